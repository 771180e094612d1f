/*
 * Reading the file tree (filetree.h) of one generation, without believing it: every number is
 * checked before it is used, and every walk has an end, whatever a forged tree says. Damage ends
 * the program with what is wrong and where.
 */
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "edit.h"

#define LINKS_MAX       40
#define DIRECTORY_PAGES ((1u << 30) / BW_PAGE_SIZE)
#define LIST_IDS        (BW_PAGE_SIZE / sizeof(oid_t))

bool files_fetch(struct files *t, struct key k, enum object_type type, void *bytes)
{
    struct store_object o;
    int r;

    if (k.type == KEY_VOID)
        return false;
    if (t->overlay && overlay_find(t->overlay, k.value)) {
        memcpy(bytes, overlay_find(t->overlay, k.value)->bytes, BW_PAGE_SIZE);
        return true;
    }
    r = store_get(t->of->store, t->generation, k.value, &o, NULL);
    if (r == STORE_ABSENT)
        return false;
    opened_check(t->of, r);
    if (o.type != type || o.version != k.version)
        return false;
    opened_check(t->of, store_get(t->of->store, t->generation, k.value, &o, bytes));
    return true;
}

/** The key of a page, void in a hole. *next: the first page that may not be in the same hole,
 * UINT64_MAX: there is none. */
static struct key find_page(struct files *t, struct key k, uint64_t index, uint64_t *next)
{
    struct key node[BW_NODE_SLOTS];
    uint64_t within = index;

    *next = UINT64_MAX;
    while (k.type == KEY_SEGMENT) {
        unsigned height = k.tag, shift = BW_NODE_SHIFT * (height - 1);

        if (height == 0 || height > SEGMENT_HEIGHT_MAX || within >> BW_NODE_SHIFT * height != 0 ||
            !files_fetch(t, k, OBJECT_NODE, node))
            return key_void();
        *next = ((index >> shift) + 1) << shift;
        k = node[within >> shift];
        if (k.type == KEY_SEGMENT && k.tag >= height)
            return key_void();
        within &= ((uint64_t)1 << shift) - 1;
    }
    return k.type == KEY_PAGE && within == 0 ? k : key_void();
}

struct key files_page_key(struct files *t, struct key k, uint64_t index)
{
    uint64_t next;

    return find_page(t, k, index, &next);
}

uint64_t files_next(struct files *t, struct key segment, uint64_t index)
{
    uint64_t next;

    if (index == 0)
        t->steps = 0;
    while (find_page(t, segment, index, &next).type != KEY_PAGE) {
        if (next == UINT64_MAX)
            return UINT64_MAX;
        index = next;
        /* Each node takes a block, unless one is in many places. */
        if (++t->steps > t->of->info.blocks * BW_NODE_SLOTS)
            fail("%s: damaged: a file with more parts than the store has room for", t->of->path);
    }
    t->steps++;
    return index;
}

bool files_page(struct files *t, struct key data, uint64_t index, uint8_t page[BW_PAGE_SIZE])
{
    struct key k = files_page_key(t, data, index);

    if (k.type == KEY_PAGE && files_fetch(t, k, OBJECT_PAGE, page))
        return true;
    memset(page, 0, BW_PAGE_SIZE);
    return false;
}

/** Is this the root of a file tree? Then it is the tree's. */
static bool try_root(struct files *t, struct key root)
{
    union {
        struct filetree_super super;
        uint8_t bytes[BW_PAGE_SIZE];
    } page;

    if (!files_fetch(t, root, OBJECT_NODE, t->root) ||
        !files_fetch(t, t->root[FILETREE_SLOT_SUPER], OBJECT_PAGE, &page) ||
        page.super.magic != FILETREE_MAGIC)
        return false;
    t->super = page.super;
    t->root_key = root;
    return true;
}

/** The personality is the domain that holds a file tree's root where image.h says. */
static bool try_domain(struct files *t, oid_t oid)
{
    struct domain_frame f;
    struct store_object o;

    if (oid == 0 || store_get(t->of->store, t->generation, oid, &o, NULL) != STORE_OK ||
        o.type != OBJECT_DOMAIN)
        return false;
    opened_check(t->of, store_get(t->of->store, t->generation, oid, &o, &f));
    t->range = f.keys[KR_RANGE];
    t->state = f.state;
    return !(f.flags & DOMAIN_FOREIGN) && f.keys[KR_IMAGE_FILES].type == KEY_NODE &&
           try_root(t, f.keys[KR_IMAGE_FILES]);
}

static bool find_root(struct files *t)
{
    for (unsigned p = 0; p < OID_DOMAIN_LIST_PAGES; p++) {
        struct key k = {.type = KEY_PAGE, .value = OID_DOMAIN_LIST + p, .version = 1};
        oid_t list[LIST_IDS];

        if (!files_fetch(t, k, OBJECT_PAGE, list))
            continue;
        for (unsigned i = 0; i < LIST_IDS; i++)
            if (try_domain(t, list[i]))
                return true;
    }
    return false;
}

void files_open(struct files *t, struct opened *o)
{
    *t = (struct files){.of = o, .generation = o->generation.number};
    if (!find_root(t))
        fail("%s: generation %llu has no file tree that this program knows", o->path,
             (unsigned long long)t->generation);
    if (t->super.version != FILETREE_VERSION)
        fail("%s: its file tree has version %u; this program knows version %u", o->path,
             t->super.version, FILETREE_VERSION);
    if (t->super.inodes > FILETREE_INODES_MAX || t->super.inodes <= FILETREE_ROOT_INODE)
        fail("%s: damaged: a file tree of %u inodes; --verify names all that is wrong", o->path,
             t->super.inodes);
}

bool files_inode(struct files *t, uint32_t number, struct filetree_inode *inode)
{
    const uint32_t per_page = BW_PAGE_SIZE / sizeof(*inode);
    struct filetree_inode page[BW_PAGE_SIZE / sizeof(*inode)];

    if (number == 0 || number >= t->super.inodes)
        return false;
    files_page(t, t->root[FILETREE_SLOT_INODES], number / per_page, (uint8_t *)page);
    *inode = page[number % per_page];
    if (inode->size > (uint64_t)1 << 44)
        fail("%s: damaged: inode %u says that it has %llu bytes", t->of->path, number,
             (unsigned long long)inode->size);
    return inode->mode != 0;
}

struct key files_data_key(struct files *t, uint32_t number)
{
    struct key node[BW_NODE_SLOTS];

    if (!files_fetch(t, t->root[FILETREE_SLOT_DATA + (number >> 16)], OBJECT_NODE, node) ||
        !files_fetch(t, node[number >> 8 & 255], OBJECT_NODE, node))
        return key_void();
    return node[number & 255];
}

size_t files_read(struct files *t, uint32_t number, const struct filetree_inode *inode, void *to,
                  size_t n)
{
    struct key data = files_data_key(t, number);
    uint8_t page[BW_PAGE_SIZE], *into = to;
    size_t done = 0;

    if (n > inode->size)
        n = (size_t)inode->size;
    while (done < n) {
        size_t part = n - done < BW_PAGE_SIZE ? n - done : BW_PAGE_SIZE;

        files_page(t, data, done / BW_PAGE_SIZE, page);
        memcpy(into + done, page, part);
        done += part;
    }
    return n;
}

/* --- names ------------------------------------------------------------------------------------ */

static bool possible_name(const char *name, size_t n)
{
    return n > 0 && !memchr(name, '/', n) && !memchr(name, 0, n);
}

int files_each(struct files *t, uint32_t directory, const struct filetree_inode *inode,
               int (*each)(void *ctx, const char *name, uint32_t number), void *ctx)
{
    struct key data = files_data_key(t, directory);
    union {
        uint8_t bytes[BW_PAGE_SIZE];
        struct filetree_entry entry;
    } page;

    for (uint64_t i = 0; (i = files_next(t, data, i)) < DIRECTORY_PAGES; i++) {
        uint64_t at = i * BW_PAGE_SIZE;

        if (at >= inode->size)
            break;
        if (!files_page(t, data, i, page.bytes))
            continue;
        for (size_t offset = 0; offset < BW_PAGE_SIZE;) {
            const struct filetree_entry *e = (const struct filetree_entry *)(page.bytes + offset);
            char name[FILETREE_NAME_MAX + 1];
            int r;

            if (offset + 8 > BW_PAGE_SIZE || e->length < 8 || e->length % 8 ||
                offset + e->length > BW_PAGE_SIZE ||
                (e->ino && (FILETREE_ENTRY_SIZE(e->name_length) > e->length ||
                            !possible_name(e->name, e->name_length))))
                fail("%s: damaged: the directory with inode %u, at its byte %llu", t->of->path,
                     directory, (unsigned long long)(at + offset));
            memcpy(name, e->name, e->ino ? e->name_length : 0);
            name[e->ino ? e->name_length : 0] = 0;
            offset += e->length;
            if (e->ino == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                continue;
            r = each(ctx, name, e->ino);
            if (r)
                return r;
        }
    }
    return 0;
}

struct looking {
    const char *name;
    size_t length;
    uint32_t found;
};

static int look(void *ctx, const char *name, uint32_t number)
{
    struct looking *l = ctx;

    if (strlen(name) != l->length || memcmp(name, l->name, l->length) != 0)
        return 0;
    l->found = number;
    return 1;
}

/** A path being followed: the directories from the root to where it is. */
struct walk {
    struct files *t;
    uint32_t at[PATH_MAX / 2];
    unsigned depth; /* at[depth] is where it is */
    int links;
    const char *why;
};

static bool follow_path(struct walk *w, const char *path, bool last, struct filetree_inode *inode);

static bool follow_link(struct walk *w, uint32_t number, const struct filetree_inode *link,
                        bool last, struct filetree_inode *inode)
{
    char target[BW_PAGE_SIZE + 1];
    size_t n = files_read(w->t, number, link, target, BW_PAGE_SIZE);

    target[n] = 0;
    if (--w->links < 0) {
        w->why = "too many symbolic links on the way";
        return false;
    }
    if (target[0] == '/')
        w->depth = 0;
    return follow_path(w, target, last, inode);
}

/** One component, from the directory where the walk is. */
static bool step(struct walk *w, const char *name, size_t n, bool follow,
                 struct filetree_inode *inode)
{
    struct looking l = {name, n, 0};
    struct filetree_inode found;

    if (n == 1 && name[0] == '.')
        return true;
    if (n == 2 && memcmp(name, "..", 2) == 0) {
        w->depth -= w->depth > 0;
        return files_inode(w->t, w->at[w->depth], inode);
    }
    files_each(w->t, w->at[w->depth], inode, look, &l);
    if (l.found == 0 || !files_inode(w->t, l.found, &found)) {
        w->why = l.found ? "its inode is free: the tree is damaged" : "no such file";
        return false;
    }
    if (S_ISLNK(found.mode) && follow)
        return follow_link(w, l.found, &found, true, inode);
    if (w->depth + 1 >= sizeof(w->at) / sizeof(w->at[0])) {
        w->why = "the path is too long";
        return false;
    }
    w->at[++w->depth] = l.found;
    *inode = found;
    return true;
}

static bool follow_path(struct walk *w, const char *path, bool last, struct filetree_inode *inode)
{
    if (!files_inode(w->t, w->at[w->depth], inode)) {
        w->why = "there is no root directory";
        return false;
    }
    for (;;) {
        size_t n;
        bool end;

        path += strspn(path, "/");
        n = strcspn(path, "/");
        if (n == 0)
            return true;
        if (!S_ISDIR(inode->mode)) {
            w->why = "a part of the path is not a directory";
            return false;
        }
        end = path[n] == 0;
        if (!step(w, path, n, last || !end, inode))
            return false;
        path += n;
        if (!end && !S_ISDIR(inode->mode)) {
            w->why = "a part of the path is not a directory";
            return false;
        }
    }
}

uint32_t files_look(struct files *t, const char *path, bool follow, struct filetree_inode *inode,
                    const char **why)
{
    struct walk w = {.t = t, .links = LINKS_MAX};

    w.at[0] = FILETREE_ROOT_INODE;
    if (!follow_path(&w, path, follow, inode)) {
        *why = w.why ? w.why : "the tree is damaged";
        return 0;
    }
    return w.at[w.depth];
}

uint32_t files_find(struct files *t, const char *path, bool follow, struct filetree_inode *inode)
{
    const char *why;
    uint32_t number = files_look(t, path, follow, inode, &why);

    if (number == 0)
        fail("%s: %s: %s", t->of->path, path, why);
    return number;
}
