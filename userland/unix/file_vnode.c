/*
 * Inodes in use: one struct vnode for each place that is open, a working directory or a root. An
 * inode whose last link goes lives until its last vnode reference goes.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "files.h"

#define HASH           256u
#define DEVICE_OF_TREE makedev(8, 1)
#define DEVICE_OF_DEV  makedev(0, 5)
#define BLOCK_SIZE     4096

static struct vnode *hash[HASH];

static struct vnode **slot_of(struct place p)
{
    return &hash[(p.id * 2654435761u >> 7 ^ p.kind) % HASH];
}

static struct vnode *vnode_find(struct place place)
{
    struct vnode *v = *slot_of(place);

    while (v != NULL && !place_same(v->place, place)) {
        v = v->next;
    }
    return v;
}

bool vnode_in_use(uint32_t ino)
{
    return vnode_find((struct place){PLACE_TREE, ino}) != NULL;
}

struct vnode *vnode_get(struct place place)
{
    struct vnode *v = vnode_find(place);

    if (v == NULL) {
        struct vnode **slot = slot_of(place);

        v = calloc(1, sizeof(*v));
        if (v == NULL) {
            return NULL;
        }
        v->place = place;
        v->next = *slot;
        *slot = v;
    }
    v->references++;
    return v;
}

void vnode_hold(struct vnode *v)
{
    v->references++;
}

void vnode_release(struct vnode *v)
{
    struct vnode **link;

    if (v == NULL || --v->references > 0) {
        return;
    }
    for (link = slot_of(v->place); *link != v; link = &(*link)->next) {
    }
    *link = v->next;
    if (v->place.kind == PLACE_TREE) {
        filetree_forget((uint32_t)v->place.id);
    }
    free(v);
}

static struct timespec to_timespec(uint64_t ns)
{
    return (struct timespec){(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
}

static int tree_stat(uint32_t ino, struct stat *st)
{
    struct filetree_inode *n = filetree_inode(ino);

    if (n == NULL || n->mode == 0) {
        return -ENOENT;
    }
    st->st_dev = DEVICE_OF_TREE;
    st->st_ino = ino;
    st->st_nlink = n->links;
    st->st_mode = n->mode;
    st->st_uid = n->uid;
    st->st_gid = n->gid;
    st->st_rdev = makedev(n->rdev >> 8, n->rdev & 255);
    st->st_size = (off_t)n->size;
    st->st_blksize = BLOCK_SIZE;
    st->st_blocks = (blkcnt_t)(n->pages * (BLOCK_SIZE / 512));
    st->st_atim = to_timespec(n->atime);
    st->st_mtim = to_timespec(n->mtime);
    st->st_ctim = to_timespec(n->ctime);
    return 0;
}

static int device_stat(uint64_t index, struct stat *st)
{
    const char *name, *link;
    uint32_t mode, rdev;

    if (!device_entry((unsigned)index, &name, &mode, &rdev, &link)) {
        return -ENOENT;
    }
    st->st_dev = DEVICE_OF_DEV;
    st->st_ino = index + 2;
    st->st_nlink = 1;
    st->st_mode = mode;
    st->st_rdev = makedev(rdev >> 8, rdev & 255);
    st->st_size = link != NULL ? (off_t)strlen(link) : 0;
    st->st_blksize = BLOCK_SIZE;
    st->st_atim = st->st_mtim = st->st_ctim = to_timespec(time_realtime());
    return 0;
}

int place_stat(struct place place, struct stat *st)
{
    memset(st, 0, sizeof(*st));
    switch (place.kind) {
    case PLACE_TREE:
        return tree_stat((uint32_t)place.id, st);
    case PLACE_DEVICE:
        return device_stat(place.id, st);
    default:
        return proc_stat(place.id, st);
    }
}

uint32_t place_mode(struct place place)
{
    struct filetree_inode *n;
    struct stat st;

    if (place.kind == PLACE_TREE) {
        n = filetree_inode((uint32_t)place.id);
        return n != NULL ? n->mode : 0;
    }
    return place_stat(place, &st) == 0 ? st.st_mode : 0;
}
