/*
 * Directories of the file tree: records in 4096-byte blocks, and a small cache of names looked up.
 *
 * The cache is direct-mapped by (directory, name); an entry with inode 0 says that the name is not
 * there. Invariant: what it says of a directory is what the directory's blocks say. A record that
 * is removed becomes part of the one before it in its block, so a position in a directory is found
 * again by reading its block from the start.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "filetree.h"

#define BLOCK      4096u
#define RUN_BLOCKS 16u /* blocks read at once */
#define CACHE      1024u
#define CACHE_NAME 40u

struct cached_name {
    uint32_t dir; /* 0: unused */
    uint32_t ino;
    uint8_t length;
    char name[CACHE_NAME];
};

/** A record found: where it is, and the one before it in its block. */
struct found {
    uint64_t offset;
    struct filetree_entry entry; /* header only */
    uint64_t before;             /* UINT64_MAX: it is the first of its block */
    uint16_t before_length;
};

static struct cached_name cache[CACHE];
static uint8_t run[RUN_BLOCKS * BLOCK] __attribute__((aligned(8)));

static struct cached_name *cache_slot(uint32_t dir, const char *name, size_t length)
{
    uint32_t hash = 2166136261u ^ dir * 2654435761u;

    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (uint8_t)name[i]) * 16777619u;
    }
    return &cache[(hash ^ hash >> 15) % CACHE];
}

static bool cache_is(const struct cached_name *c, uint32_t dir, const char *name, size_t length)
{
    return c->dir == dir && c->length == length && length <= CACHE_NAME &&
           memcmp(c->name, name, length) == 0;
}

static void cache_put(uint32_t dir, const char *name, size_t length, uint32_t ino)
{
    struct cached_name *c = cache_slot(dir, name, length);

    if (length > CACHE_NAME) {
        return;
    }
    c->dir = dir;
    c->ino = ino;
    c->length = (uint8_t)length;
    memcpy(c->name, name, length);
}

static void cache_forget_directory(uint32_t dir)
{
    for (unsigned i = 0; i < CACHE; i++) {
        if (cache[i].dir == dir) {
            cache[i].dir = 0;
        }
    }
}

/** A record of the run that is sound, NULL for damage (then the rest of its block is passed over).
 */
static struct filetree_entry *entry_at(size_t at, size_t length)
{
    struct filetree_entry *e = (struct filetree_entry *)(run + at);

    if (at + sizeof(*e) > length || e->length < sizeof(*e) || e->length % 8 != 0 ||
        at % BLOCK + e->length > BLOCK || FILETREE_ENTRY_SIZE(e->name_length) > e->length) {
        return NULL;
    }
    return e;
}

/** Reads blocks from `offset` (of a block) on into the run. @return bytes, 0 at the end */
static size_t read_run(uint32_t dir, uint64_t offset)
{
    long n = filetree_read_memory(dir, offset, run, sizeof(run));

    return n < 0 ? 0 : (size_t)n / BLOCK * BLOCK;
}

/** True for the record that the search is for. */
typedef bool match_function(const struct filetree_entry *e, const void *what);

static bool search_block(size_t start, size_t length, uint64_t base, match_function *match,
                         const void *what, struct found *f)
{
    struct filetree_entry *e;

    f->before = UINT64_MAX;
    for (size_t at = start; at < start + BLOCK && (e = entry_at(at, length)) != NULL;
         at += e->length) {
        if (match(e, what)) {
            f->offset = base + at;
            f->entry = *e;
            return true;
        }
        f->before = base + at;
        f->before_length = e->length;
    }
    return false;
}

/** Searches from the block at `base` on. */
static bool search(uint32_t dir, uint64_t base, match_function *match, const void *what,
                   struct found *f)
{
    size_t length;

    for (; (length = read_run(dir, base)) != 0; base += length) {
        for (size_t start = 0; start < length; start += BLOCK) {
            if (search_block(start, length, base, match, what, f)) {
                return true;
            }
        }
    }
    return false;
}

struct wanted_name {
    const char *name;
    size_t length;
};

static bool match_name(const struct filetree_entry *e, const void *what)
{
    const struct wanted_name *w = what;

    return e->ino != 0 && e->name_length == w->length && memcmp(e->name, w->name, w->length) == 0;
}

static bool match_ino(const struct filetree_entry *e, const void *what)
{
    bool dots = e->name_length <= 2 && memcmp(e->name, "..", e->name_length) == 0;

    return e->ino == *(const uint32_t *)what && !dots;
}

static bool match_room(const struct filetree_entry *e, const void *what)
{
    size_t used = e->ino != 0 ? FILETREE_ENTRY_SIZE(e->name_length) : 0;

    return e->length - used >= *(const size_t *)what;
}

static bool match_real(const struct filetree_entry *e, const void *what)
{
    (void)what;
    return e->ino != 0 && !(e->name_length <= 2 && memcmp(e->name, "..", e->name_length) == 0);
}

static bool find(uint32_t dir, const char *name, size_t length, struct found *f)
{
    struct wanted_name w = {name, length};

    return search(dir, 0, match_name, &w, f);
}

static bool is_directory(uint32_t dir)
{
    struct filetree_inode *n = filetree_inode(dir);

    return n != NULL && S_ISDIR(n->mode);
}

/** A host tool has changed the tree while the district did not run: what is remembered may be
 * wrong, and files that it replaced are freed unless somebody uses them. */
static void notice_edits(void)
{
    static uint64_t seen;

    if (filetree.super->edits == seen) {
        return;
    }
    seen = filetree.super->edits;
    memset(cache, 0, sizeof(cache));
    for (uint32_t ino = FILETREE_ROOT_INODE + 1; ino < filetree.super->inodes; ino++) {
        if (filetree_in_use == NULL || !filetree_in_use(ino)) {
            filetree_forget(ino);
        }
    }
}

long directory_lookup(uint32_t dir, const char *name, size_t length)
{
    struct cached_name *c = cache_slot(dir, name, length);
    struct found f;
    uint32_t ino;

    notice_edits();
    if (cache_is(c, dir, name, length)) {
        return c->ino != 0 ? (long)c->ino : -ENOENT;
    }
    if (!is_directory(dir)) {
        return -ENOTDIR;
    }
    ino = find(dir, name, length, &f) ? f.entry.ino : 0;
    if (ino != 0 && filetree_inode(ino) == NULL) {
        return -EIO; /* a damaged tree */
    }
    cache_put(dir, name, length, ino);
    return ino != 0 ? (long)ino : -ENOENT;
}

static uint8_t entry_type(uint32_t ino)
{
    struct filetree_inode *n = filetree_inode(ino);

    return n == NULL ? 0 : (uint8_t)((n->mode & S_IFMT) >> 12);
}

static int write_entry(uint32_t dir, uint64_t offset, uint32_t ino, uint16_t record,
                       const char *name, size_t length)
{
    uint8_t bytes[sizeof(struct filetree_entry) + FILETREE_NAME_MAX];
    struct filetree_entry e = {ino, record, entry_type(ino), (uint8_t)length};
    size_t n = sizeof(e) + length;
    long r;

    memcpy(bytes, &e, sizeof(e));
    memcpy(bytes + sizeof(e), name, length);
    r = filetree_write_memory(dir, offset, bytes, n);
    return r == (long)n ? 0 : r < 0 ? (int)r : -EIO;
}

static int write_header(uint32_t dir, uint64_t offset, const struct filetree_entry *e)
{
    long r = filetree_write_memory(dir, offset, e, sizeof(*e));

    return r == (long)sizeof(*e) ? 0 : r < 0 ? (int)r : -EIO;
}

/** Adds a block to the directory that is one free record. */
static int append_block(uint32_t dir, uint64_t *offset)
{
    struct filetree_entry *e = (struct filetree_entry *)run;
    long r;

    memset(run, 0, BLOCK);
    e->length = BLOCK;
    *offset = filetree_inode(dir)->size;
    r = filetree_write_memory(dir, *offset, run, BLOCK);
    return r == (long)BLOCK ? 0 : r < 0 ? (int)r : -EIO;
}

/** A record with room for `size` bytes: the last block first, which is where it most often is. */
static int find_room(uint32_t dir, size_t size, struct found *f)
{
    uint64_t total = filetree_inode(dir)->size;
    int r;

    if (total >= BLOCK && (search(dir, total - BLOCK, match_room, &size, f) ||
                           search(dir, 0, match_room, &size, f))) {
        return 0;
    }
    r = append_block(dir, &f->offset);
    f->entry = (struct filetree_entry){0, BLOCK, 0, 0};
    return r;
}

int directory_add(uint32_t dir, const char *name, size_t length, uint32_t ino)
{
    size_t size = FILETREE_ENTRY_SIZE(length);
    uint16_t used;
    struct found f;
    int r;

    if (length > FILETREE_NAME_MAX) {
        return -ENAMETOOLONG;
    }
    r = find_room(dir, size, &f);
    if (r != 0) {
        return r;
    }
    used = f.entry.ino != 0 ? (uint16_t)FILETREE_ENTRY_SIZE(f.entry.name_length) : 0;
    r = write_entry(dir, f.offset + used, ino, (uint16_t)(f.entry.length - used), name, length);
    if (r == 0 && used != 0) {
        f.entry.length = used;
        r = write_header(dir, f.offset, &f.entry);
    }
    if (r == 0) {
        cache_put(dir, name, length, ino);
    }
    return r;
}

int directory_remove(uint32_t dir, const char *name, size_t length)
{
    struct found f;
    int r;

    if (!find(dir, name, length, &f)) {
        return -ENOENT;
    }
    if (f.before != UINT64_MAX) {
        uint16_t sum = (uint16_t)(f.before_length + f.entry.length);

        r = (int)filetree_write_memory(dir, f.before + offsetof(struct filetree_entry, length),
                                       &sum, sizeof(sum));
    } else {
        f.entry.ino = 0;
        r = write_header(dir, f.offset, &f.entry);
    }
    if (r >= 0) {
        cache_put(dir, name, length, 0);
    }
    return r < 0 ? r : 0;
}

int directory_replace(uint32_t dir, const char *name, size_t length, uint32_t ino)
{
    struct found f;
    int r;

    if (!find(dir, name, length, &f)) {
        return -ENOENT;
    }
    f.entry.ino = ino;
    f.entry.type = entry_type(ino);
    r = write_header(dir, f.offset, &f.entry);
    if (r == 0) {
        cache_put(dir, name, length, ino);
    }
    return r;
}

bool directory_empty(uint32_t dir)
{
    struct found f;

    return !search(dir, 0, match_real, NULL, &f);
}

void directory_forget(uint32_t dir)
{
    cache_forget_directory(dir);
}

long directory_next(uint32_t dir, uint64_t *offset, char name[FILETREE_NAME_MAX + 1], uint32_t *ino,
                    uint8_t *type)
{
    uint64_t block = *offset / BLOCK * BLOCK;
    struct filetree_entry *e;

    for (;; block += BLOCK) {
        long n = filetree_read_memory(dir, block, run, BLOCK);

        if (n < (long)BLOCK) {
            return n < 0 ? n : 0;
        }
        for (size_t at = 0; at < BLOCK && (e = entry_at(at, BLOCK)) != NULL; at += e->length) {
            if (block + at < *offset || e->ino == 0) {
                continue;
            }
            memcpy(name, e->name, e->name_length);
            name[e->name_length] = '\0';
            *ino = e->ino;
            *type = e->type;
            *offset = block + at + e->length;
            return e->name_length;
        }
    }
}

long directory_name_of(uint32_t dir, uint32_t ino, char name[FILETREE_NAME_MAX + 1])
{
    struct filetree_inode *n = filetree_inode(dir);
    struct found f;
    long r;

    if (n == NULL || !S_ISDIR(n->mode) || !search(dir, 0, match_ino, &ino, &f)) {
        return -ENOENT;
    }
    r = filetree_read_memory(dir, f.offset + sizeof(f.entry), name, f.entry.name_length);
    if (r != f.entry.name_length) {
        return -EIO;
    }
    name[r] = '\0';
    return r;
}
