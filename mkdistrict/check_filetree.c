/*
 * The file tree of one generation, checked from outside: inodes, directories, and what leads to
 * data.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mkdistrict.h"

struct walker {
    struct store *st;
    uint64_t generation;
    uint64_t errors;
    struct key root[BW_NODE_SLOTS];
    struct filetree_super super;
    uint32_t inode_page; /* that inodes has, plus 1 */
    struct filetree_inode inodes[BW_PAGE_SIZE / sizeof(struct filetree_inode)];
    uint32_t *names;         /* by inode: directory entries that name it, "." and ".." too */
    uint64_t directory_left; /* pages of directories: each takes a block of the store */
};

static void wrong(struct walker *w, uint32_t inode, const char *what, uint64_t found)
{
    if (++w->errors <= DAMAGES_SHOWN)
        printf("generation %llu, file tree, inode %u: %s (%llu)\n",
               (unsigned long long)w->generation, inode, what, (unsigned long long)found);
}

/** Reads what a key names. @return false if it is void or nothing of that kind is there */
static bool fetch(struct walker *w, struct key k, enum object_type type, void *bytes)
{
    struct store_object o;

    return k.type != KEY_VOID && store_get(w->st, w->generation, k.value, &o, bytes) == STORE_OK &&
           o.type == type && o.version == k.version;
}

/** A page of a segment; a hole reads as zeros. */
static void read_page(struct walker *w, struct key k, uint64_t index, uint8_t *page)
{
    struct key node[BW_NODE_SLOTS];

    memset(page, 0, BW_PAGE_SIZE);
    while (k.type == KEY_SEGMENT) {
        unsigned height = k.tag;

        if (height == 0 || height > SEGMENT_HEIGHT_MAX || !fetch(w, k, OBJECT_NODE, node))
            return;
        k = node[index >> BW_NODE_SHIFT * (height - 1) & (BW_NODE_SLOTS - 1)];
        if (k.type == KEY_SEGMENT && k.tag >= height)
            return;
        index &= ((uint64_t)1 << BW_NODE_SHIFT * (height - 1)) - 1;
    }
    if (k.type == KEY_PAGE && !fetch(w, k, OBJECT_PAGE, page))
        memset(page, 0, BW_PAGE_SIZE);
}

static void read_inode(struct walker *w, uint32_t i, struct filetree_inode *inode)
{
    const uint32_t per_page = BW_PAGE_SIZE / sizeof(*inode);

    if (w->inode_page != i / per_page + 1)
        read_page(w, w->root[FILETREE_SLOT_INODES], i / per_page, (uint8_t *)w->inodes);
    w->inode_page = i / per_page + 1;
    *inode = w->inodes[i % per_page];
}

static struct key data_key(struct walker *w, uint32_t i)
{
    struct key node[BW_NODE_SLOTS];

    if (!fetch(w, w->root[FILETREE_SLOT_DATA + (i >> 16)], OBJECT_NODE, node))
        return key_void();
    if (!fetch(w, node[i >> 8 & 255], OBJECT_NODE, node))
        return key_void();
    return node[i & 255];
}

static void check_record(struct walker *w, uint32_t directory, const struct filetree_entry *e)
{
    struct filetree_inode inode;

    if (e->ino == 0)
        return;
    if (e->ino >= w->super.inodes) {
        wrong(w, directory, "a name for an inode that does not exist", e->ino);
        return;
    }
    read_inode(w, e->ino, &inode);
    if (inode.mode == 0)
        wrong(w, directory, "a name for a free inode", e->ino);
    else if (e->type != (inode.mode & S_IFMT) >> 12)
        wrong(w, directory, "a name says another type than its inode", e->ino);
    if (e->name_length == 0 || memchr(e->name, '/', e->name_length) ||
        memchr(e->name, 0, e->name_length))
        wrong(w, directory, "an impossible name", e->ino);
    w->names[e->ino]++;
}

/** @return false if it cannot be read to its end */
static bool check_directory_page(struct walker *w, uint32_t i, const uint8_t *bytes, uint64_t at)
{
    for (size_t offset = 0; offset < BW_PAGE_SIZE;) {
        const struct filetree_entry *e = (const struct filetree_entry *)(bytes + offset);

        if (offset + 8 > BW_PAGE_SIZE || e->length < 8 || e->length % 8 ||
            offset + e->length > BW_PAGE_SIZE ||
            (e->ino && FILETREE_ENTRY_SIZE(e->name_length) > e->length)) {
            wrong(w, i, "a broken directory block", at + offset);
            return false;
        }
        check_record(w, i, e);
        offset += e->length;
    }
    return true;
}

static void check_directory(struct walker *w, uint32_t i, const struct filetree_inode *inode)
{
    struct key data = data_key(w, i);
    union {
        uint8_t bytes[BW_PAGE_SIZE];
        struct filetree_entry entry;
    } page;

    if (inode->size % BW_PAGE_SIZE || inode->size > (1u << 30))
        wrong(w, i, "a directory of an impossible size", inode->size);
    for (uint64_t at = 0; at < inode->size && at < (1u << 30); at += BW_PAGE_SIZE) {
        if (w->directory_left == 0) {
            wrong(w, i, "a part of a directory that is in more than one place", at);
            return;
        }
        w->directory_left--;
        read_page(w, data, at / BW_PAGE_SIZE, page.bytes);
        if (!check_directory_page(w, i, page.bytes, at))
            return;
    }
}

static void check_inode(struct walker *w, uint32_t i)
{
    struct filetree_inode inode;
    struct key data;

    read_inode(w, i, &inode);
    if (inode.mode == 0)
        return;
    data = data_key(w, i);
    if (data.type != KEY_VOID && data.type != KEY_SEGMENT)
        wrong(w, i, "its data is not a segment", data.type);
    if (data.type == KEY_SEGMENT && data.tag != inode.height)
        wrong(w, i, "its data has another height than it says", data.tag);
    if (S_ISREG(inode.mode) && data.type == KEY_SEGMENT && data.tag <= SEGMENT_HEIGHT_MAX &&
        inode.size > segment_span(data.tag))
        wrong(w, i, "it is larger than its segment", inode.size);
    if (S_ISDIR(inode.mode))
        check_directory(w, i, &inode);
}

static void check_links(struct walker *w)
{
    for (uint32_t i = 1; i < w->super.inodes; i++) {
        struct filetree_inode inode;

        read_inode(w, i, &inode);
        if (inode.mode && inode.links != w->names[i] && inode.links != 0)
            wrong(w, i, "its count of links is not the number of its names", inode.links);
    }
}

uint64_t check_filetree(struct store *st, uint64_t generation, struct key root)
{
    struct walker w = {.st = st, .generation = generation};
    struct store_info info;
    union {
        struct filetree_super super;
        uint8_t bytes[BW_PAGE_SIZE];
    } page;

    if (!fetch(&w, root, OBJECT_NODE, w.root)) {
        wrong(&w, 0, "its root node is missing", root.value);
        return w.errors;
    }
    if (!fetch(&w, w.root[FILETREE_SLOT_SUPER], OBJECT_PAGE, &page) ||
        page.super.magic != FILETREE_MAGIC) {
        wrong(&w, 0, "its first page is missing or has the wrong mark", 0);
        return w.errors;
    }
    w.super = page.super;
    if (w.super.version != FILETREE_VERSION || w.super.inodes > FILETREE_INODES_MAX ||
        w.super.inodes <= FILETREE_ROOT_INODE) {
        wrong(&w, 0, "its version or count of inodes is impossible", w.super.inodes);
        return w.errors;
    }
    store_info(st, &info);
    w.directory_left = info.blocks;
    w.names = allocate(w.super.inodes * sizeof(*w.names));
    for (uint32_t i = FILETREE_ROOT_INODE; i < w.super.inodes; i++)
        check_inode(&w, i);
    check_links(&w);
    free(w.names);
    return w.errors;
}
