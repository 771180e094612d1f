/*
 * The file tree of a new district (filetree.h): names in memory, data into the store as it comes.
 * Files are written one after the other, so that the ids of one file's objects are one row.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mkdistrict.h"

#define BUCKETS   65536u
#define LINKS_MAX 8 /* symbolic links followed in one path */

struct name {
    struct name *hash_next, *next; /* next: in its directory */
    struct inode *directory, *inode;
    char text[];
};

struct inode {
    struct filetree_inode a;
    uint32_t number;
    struct inode *parent;       /* directories */
    struct name *names, **last; /* directories: in the order of the archive */
    char *target;               /* symbolic links */
    struct segment data;        /* while it is being written */
    struct key key;             /* of the data, when finished */
    oid_t first, end;           /* ids of its data */
};

struct tree {
    struct builder *b;
    oid_t base;
    struct name *bucket[BUCKETS];
    struct inode **inode; /* by number */
    uint32_t inodes, capacity;
    struct segment table;
    oid_t root_oid;
    uint64_t now; /* ns since 1970 */
    /* the page being filled */
    uint64_t page;
    bool page_used;
    _Alignas(8) uint8_t bytes[BW_PAGE_SIZE];
};

static unsigned bucket_of(const struct inode *directory, const char *name, size_t length)
{
    uint32_t h = directory->number * 2654435761u;

    for (size_t i = 0; i < length; i++)
        h = (h ^ (uint8_t)name[i]) * 16777619u;
    return h % BUCKETS;
}

static struct inode *new_inode(struct tree *t, uint32_t mode)
{
    struct inode *i = allocate(sizeof(*i));

    if (t->inodes >= FILETREE_INODES_MAX)
        fail("too many files");
    if (t->inodes == t->capacity) {
        t->capacity = t->capacity ? t->capacity * 2 : 1024;
        t->inode = realloc(t->inode, t->capacity * sizeof(struct inode *));
        if (!t->inode)
            fail("out of memory");
    }
    i->number = t->inodes;
    i->a.mode = mode;
    i->a.atime = i->a.mtime = i->a.ctime = t->now;
    i->last = &i->names;
    t->inode[t->inodes++] = i;
    return i;
}

static struct name *find_name(struct tree *t, const struct inode *directory, const char *text,
                              size_t n)
{
    struct name *e = t->bucket[bucket_of(directory, text, n)];

    while (e &&
           (e->directory != directory || strlen(e->text) != n || memcmp(e->text, text, n) != 0))
        e = e->hash_next;
    return e;
}

static void add_name(struct tree *t, struct inode *directory, const char *text, size_t n,
                     struct inode *i)
{
    unsigned b = bucket_of(directory, text, n);
    struct name *e = allocate(sizeof(*e) + n + 1);

    memcpy(e->text, text, n);
    e->directory = directory;
    e->inode = i;
    e->hash_next = t->bucket[b];
    t->bucket[b] = e;
    *directory->last = e;
    directory->last = &e->next;
    i->a.links++;
    if (S_ISDIR(i->a.mode)) {
        i->parent = directory;
        i->a.links++;
        directory->a.links++;
    }
}

/** The inode loses a name; without any it is free, and its data is destroyed. */
static void drop_link(struct tree *t, struct inode *i)
{
    if (--i->a.links > 0)
        return;
    for (oid_t oid = i->first; oid < i->end; oid++)
        store_delete(t->b->store, oid);
    free(i->target);
    i->target = NULL;
    i->a = (struct filetree_inode){0};
    i->key = key_void();
}

struct tree *tree_new(struct builder *b, uint64_t now)
{
    struct tree *t = allocate(sizeof(*t));
    struct inode *root;

    t->b = b;
    t->now = now;
    t->base = b->next;
    t->root_oid = builder_id(b);
    t->table = segment_new(b, 2);
    new_inode(t, 0); /* 0 is never used */
    root = new_inode(t, S_IFDIR | 0755);
    root->parent = root;
    root->a.links = 2;
    return t;
}

static struct inode *walk(struct tree *t, struct inode *from, const char *path, bool make,
                          int *links, const char **why, struct inode **directory, const char **last,
                          size_t *length);

/** Finds a directory's member, following symbolic links; with `make`, missing ones are made. */
static struct inode *step(struct tree *t, struct inode *at, const char *name, size_t n, bool make,
                          int *links, const char **why)
{
    struct name *e = find_name(t, at, name, n);
    struct inode *i = e ? e->inode : NULL;

    if (!i && make) {
        i = new_inode(t, S_IFDIR | 0755);
        add_name(t, at, name, n, i);
    }
    if (i && S_ISLNK(i->a.mode)) {
        if (--*links < 0) {
            *why = "too many symbolic links on the way";
            return NULL;
        }
        return walk(t, i->target[0] == '/' ? t->inode[FILETREE_ROOT_INODE] : at, i->target, make,
                    links, why, NULL, NULL, NULL);
    }
    if (!i)
        *why = "no such file";
    return i;
}

/** Walks a path. With `directory`, stops before the last component and gives that instead. */
static struct inode *walk(struct tree *t, struct inode *from, const char *path, bool make,
                          int *links, const char **why, struct inode **directory, const char **last,
                          size_t *length)
{
    struct inode *at = from;

    for (;;) {
        size_t n;

        path += strspn(path, "/");
        n = strcspn(path, "/");
        if (n == 0)
            return at;
        if (!S_ISDIR(at->a.mode)) {
            *why = "a part of the path is not a directory";
            return NULL;
        }
        if (n > FILETREE_NAME_MAX) {
            *why = "a name is longer than 255 bytes";
            return NULL;
        }
        if (n == 2 && memcmp(path, "..", 2) == 0) {
            at = at->parent;
        } else if (n > 1 || path[0] != '.') {
            if (directory && path[n + strspn(path + n, "/")] == 0) {
                *directory = at;
                *last = path;
                *length = n;
                return at;
            }
            at = step(t, at, path, n, make, links, why);
            if (!at)
                return NULL;
        }
        path += n;
    }
}

/** Directory and last name of a path. @return false with *why; *length 0 for the root itself */
static bool split(struct tree *t, const char *path, struct inode **directory, const char **last,
                  size_t *length, const char **why)
{
    int links = LINKS_MAX;

    *length = 0;
    *directory = NULL;
    for (const char *p = strstr(path, ".."); p; p = strstr(p + 2, ".."))
        if ((p == path || p[-1] == '/') && (p[2] == 0 || p[2] == '/')) {
            *why = "\"..\" in its path";
            return false;
        }
    return walk(t, t->inode[FILETREE_ROOT_INODE], path, true, &links, why, directory, last, length);
}

struct inode *tree_make(struct tree *t, const char *path, uint32_t mode, const char **why)
{
    struct inode *directory, *i;
    const char *last;
    size_t length;
    struct name *e;

    if (!split(t, path, &directory, &last, &length, why))
        return NULL;
    e = directory ? find_name(t, directory, last, length) : NULL;
    i = directory ? (e ? e->inode : NULL) : t->inode[FILETREE_ROOT_INODE];
    if (i && S_ISDIR(i->a.mode)) {
        if (!S_ISDIR(mode)) {
            *why = "a directory is in its place";
            return NULL;
        }
        i->a.mode = mode;
        return i;
    }
    if (i) {
        drop_link(t, i);
        e->inode = new_inode(t, mode);
        e->inode->a.links = S_ISDIR(mode) ? 2 : 1;
        e->inode->parent = directory;
        directory->a.links += S_ISDIR(mode);
        return e->inode;
    }
    i = new_inode(t, mode);
    add_name(t, directory, last, length, i);
    return i;
}

struct inode *tree_lookup(struct tree *t, const char *path)
{
    int links = LINKS_MAX;
    const char *why;

    return walk(t, t->inode[FILETREE_ROOT_INODE], path, false, &links, &why, NULL, NULL, NULL);
}

const char *tree_link(struct tree *t, const char *path, const char *target)
{
    struct inode *directory, *from, *i;
    const char *last, *why = NULL;
    size_t length;
    struct name *e;

    if (!split(t, target, &from, &last, &length, &why))
        return why;
    e = length ? find_name(t, from, last, length) : NULL;
    if (!e || S_ISDIR(e->inode->a.mode))
        return "a hard link to what is not there";
    i = e->inode;
    if (!split(t, path, &directory, &last, &length, &why))
        return why;
    e = length ? find_name(t, directory, last, length) : NULL;
    if (length == 0 || (e && S_ISDIR(e->inode->a.mode)))
        return "a directory is in its place";
    if (!e) {
        add_name(t, directory, last, length, i);
    } else if (e->inode != i) {
        drop_link(t, e->inode);
        e->inode = i;
        i->a.links++;
    }
    return NULL;
}

struct filetree_inode *inode_attributes(struct inode *i)
{
    return &i->a;
}

void inode_target(struct inode *i, const char *target)
{
    free(i->target);
    i->target = strdup(target);
    if (!i->target)
        fail("out of memory");
}

/* --- data ------------------------------------------------------------------------------------- */

static unsigned height_for(uint64_t size)
{
    unsigned h = 1;

    while (h < SEGMENT_HEIGHT_MAX && segment_span(h) < size)
        h++;
    return h;
}

static bool all_zero(const uint8_t *bytes)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, BW_PAGE_SIZE - 1) == 0;
}

static void flush_page(struct tree *t, struct inode *i)
{
    oid_t oid;

    if (!t->page_used)
        return;
    t->page_used = false;
    if (all_zero(t->bytes))
        return;
    if (!i->data.root) {
        i->first = t->b->next;
        i->data = segment_new(t->b, height_for(i->a.size));
        i->a.height = i->data.height;
    }
    oid = builder_id(t->b);
    builder_put(t->b, oid, OBJECT_PAGE, t->bytes);
    segment_put(t->b, &i->data, 0, t->page, make_key(KEY_PAGE, RIGHT_WRITE, 0, oid));
    i->a.pages++;
}

void inode_write(struct tree *t, struct inode *i, uint64_t offset, const void *bytes, size_t n)
{
    const uint8_t *from = bytes;

    while (n > 0) {
        uint64_t page = offset / BW_PAGE_SIZE;
        size_t at = offset % BW_PAGE_SIZE, part = BW_PAGE_SIZE - at < n ? BW_PAGE_SIZE - at : n;

        if (!t->page_used || t->page != page) {
            flush_page(t, i);
            memset(t->bytes, 0, sizeof(t->bytes));
            t->page = page;
            t->page_used = true;
        }
        memcpy(t->bytes + at, from, part);
        offset += part;
        from += part;
        n -= part;
    }
}

void inode_finish(struct tree *t, struct inode *i)
{
    flush_page(t, i);
    if (!i->data.root)
        return;
    i->key = segment_key(&i->data);
    i->key.rights = RIGHT_WRITE;
    segment_emit(t->b, &i->data);
    i->end = t->b->next;
}

/* --- writing it all --------------------------------------------------------------------------- */

struct directory_writer {
    uint8_t *blocks;
    size_t count; /* blocks */
    size_t used;  /* bytes of the last one */
    size_t last;  /* offset of the last record */
};

static void put_record(struct directory_writer *w, const char *name, const struct inode *i)
{
    size_t n = strlen(name), size = FILETREE_ENTRY_SIZE(n);
    struct filetree_entry *e;

    if (w->count == 0 || w->used + size > BW_PAGE_SIZE) {
        if (w->count) {
            e = (struct filetree_entry *)(w->blocks + w->last);
            e->length = (uint16_t)(e->length + BW_PAGE_SIZE - w->used);
        }
        w->blocks = realloc(w->blocks, (w->count + 1) * BW_PAGE_SIZE);
        if (!w->blocks)
            fail("out of memory");
        memset(w->blocks + w->count * BW_PAGE_SIZE, 0, BW_PAGE_SIZE);
        w->count++;
        w->used = 0;
    }
    w->last = (w->count - 1) * BW_PAGE_SIZE + w->used;
    e = (struct filetree_entry *)(w->blocks + w->last);
    e->ino = i->number;
    e->length = (uint16_t)size;
    e->type = (uint8_t)((i->a.mode & S_IFMT) >> 12);
    e->name_length = (uint8_t)n;
    memcpy(e->name, name, n);
    w->used += size;
}

static void emit_directory(struct tree *t, struct inode *d)
{
    struct directory_writer w = {0};
    struct filetree_entry *e;

    put_record(&w, ".", d);
    put_record(&w, "..", d->parent);
    for (struct name *n = d->names; n; n = n->next)
        put_record(&w, n->text, n->inode);
    e = (struct filetree_entry *)(w.blocks + w.last);
    e->length = (uint16_t)(e->length + BW_PAGE_SIZE - w.used);
    d->a.size = w.count * BW_PAGE_SIZE;
    inode_write(t, d, 0, w.blocks, d->a.size);
    inode_finish(t, d);
    free(w.blocks);
}

/** Writes the inode table; @return the number of data pages */
static uint64_t emit_table(struct tree *t, struct filetree_super *super)
{
    const uint32_t per_page = BW_PAGE_SIZE / sizeof(struct filetree_inode);
    uint64_t pages = 0;

    for (uint32_t i = t->inodes; i-- > 1;)
        if (t->inode[i]->a.mode == 0) {
            t->inode[i]->a.next = super->free_head;
            super->free_head = i;
            super->free_count++;
        }
    for (uint32_t first = 0; first < t->inodes; first += per_page) {
        struct filetree_inode page[BW_PAGE_SIZE / sizeof(struct filetree_inode)] = {0};
        oid_t oid = builder_id(t->b);

        for (uint32_t k = 0; k < per_page && first + k < t->inodes; k++) {
            page[k] = t->inode[first + k]->a;
            pages += page[k].pages;
        }
        builder_put(t->b, oid, OBJECT_PAGE, page);
        segment_put(t->b, &t->table, 0, first / per_page, make_key(KEY_PAGE, RIGHT_WRITE, 0, oid));
    }
    return pages;
}

/** Writes the nodes that lead from the root to the data of inodes first .. first + 65535. */
static struct key emit_data_nodes(struct tree *t, uint32_t first)
{
    struct key a[BW_NODE_SLOTS] = {0};
    oid_t a_oid = builder_id(t->b);

    for (uint32_t i = 0; i < BW_NODE_SLOTS; i++) {
        uint32_t low = first + i * BW_NODE_SLOTS;
        struct key b[BW_NODE_SLOTS] = {0};

        if (low >= t->inodes)
            break;
        for (uint32_t k = 0; k < BW_NODE_SLOTS && low + k < t->inodes; k++)
            b[k] = t->inode[low + k]->key;
        a[i] = make_key(KEY_NODE, RIGHT_WRITE, 0, builder_id(t->b));
        builder_put(t->b, a[i].value, OBJECT_NODE, b);
    }
    builder_put(t->b, a_oid, OBJECT_NODE, a);
    return make_key(KEY_NODE, RIGHT_WRITE, 0, a_oid);
}

struct key tree_emit(struct tree *t)
{
    struct filetree_super super = {.magic = FILETREE_MAGIC, .version = FILETREE_VERSION};
    struct key root[BW_NODE_SLOTS] = {0};
    union {
        struct filetree_super super;
        uint8_t bytes[BW_PAGE_SIZE];
    } page = {0};
    oid_t super_oid = builder_id(t->b);

    for (uint32_t i = 1; i < t->inodes; i++)
        if (S_ISDIR(t->inode[i]->a.mode))
            emit_directory(t, t->inode[i]);
    super.inodes = t->inodes;
    super.pages = emit_table(t, &super);
    root[FILETREE_SLOT_SUPER] = make_key(KEY_PAGE, RIGHT_WRITE, 0, super_oid);
    root[FILETREE_SLOT_INODES] = tree_inode_table(t);
    segment_emit(t->b, &t->table);
    for (uint32_t first = 0; first < t->inodes; first += BW_NODE_SLOTS * BW_NODE_SLOTS)
        root[FILETREE_SLOT_DATA + (first >> 16)] = emit_data_nodes(t, first);
    builder_put(t->b, t->root_oid, OBJECT_NODE, root);
    super.first_offset = t->b->next - t->base;
    page.super = super;
    builder_put(t->b, super_oid, OBJECT_PAGE, &page);
    return make_key(KEY_NODE, RIGHT_WRITE, 0, t->root_oid);
}

struct key tree_inode_table(struct tree *t)
{
    struct key k = make_key(KEY_SEGMENT, RIGHT_WRITE, 2, t->table.root ? t->table.root->oid : 0);

    return k;
}

void tree_free(struct tree *t)
{
    for (uint32_t i = 0; i < t->inodes; i++) {
        struct inode *inode = t->inode[i];

        while (inode->names) {
            struct name *n = inode->names;

            inode->names = n->next;
            free(n);
        }
        segment_forget(&inode->data);
        free(inode->target);
        free(inode);
    }
    segment_forget(&t->table);
    free(t->inode);
    free(t);
}
