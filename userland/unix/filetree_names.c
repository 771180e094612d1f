/*
 * Creating, linking, removing and renaming in the file tree, with the counts of links that go with
 * it.
 *
 * A directory has 2 links (its name and its own ".") and one more for each directory in it (their
 * ".."). Each function checks everything first; behind the line "point of no return" only damage
 * can fail.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "filetree.h"

bool (*filetree_in_use)(uint32_t ino);

static void touch(uint32_t dir)
{
    struct filetree_inode *n = filetree_inode(dir);

    n->mtime = n->ctime = filetree.now();
}

/** One link less; the inode goes when nobody has it open. */
static void drop_link(uint32_t ino)
{
    struct filetree_inode *n = filetree_inode(ino);

    if (n == NULL) {
        return;
    }
    if (n->links > 0) {
        n->links--;
    }
    n->ctime = filetree.now();
    if (n->links == 0 && !(filetree_in_use != NULL && filetree_in_use(ino))) {
        filetree_destroy(ino);
    }
}

/** "." and ".." of a new directory. */
static int fill_directory(uint32_t ino, uint32_t parent)
{
    int r = directory_add(ino, ".", 1, ino);

    return r == 0 ? directory_add(ino, "..", 2, parent) : r;
}

/** Can a name be added to the directory? */
static int check_new(uint32_t dir, const char *name)
{
    struct filetree_inode *d = filetree_inode(dir);
    long r;

    if (d == NULL || !S_ISDIR(d->mode)) {
        return -ENOTDIR;
    }
    if (strlen(name) > FILETREE_NAME_MAX) {
        return -ENAMETOOLONG;
    }
    if (d->links == 0) {
        return -ENOENT; /* it was removed while somebody is in it */
    }
    r = directory_lookup(dir, name, strlen(name));
    return r > 0 ? -EEXIST : r == -ENOENT ? 0 : (int)r;
}

long filetree_make(uint32_t dir, const char *name, uint32_t mode, uint32_t rdev)
{
    int r = check_new(dir, name);
    long ino = r == 0 ? filetree_create(mode) : r;

    if (ino < 0) {
        return ino;
    }
    filetree_inode((uint32_t)ino)->rdev = rdev;
    if (S_ISDIR(mode)) {
        r = fill_directory((uint32_t)ino, dir);
    }
    if (r == 0) {
        r = directory_add(dir, name, strlen(name), (uint32_t)ino);
    }
    if (r != 0) {
        filetree_destroy((uint32_t)ino);
        return r;
    }
    filetree_inode((uint32_t)ino)->links = S_ISDIR(mode) ? 2 : 1;
    filetree_inode(dir)->links += S_ISDIR(mode) ? 1 : 0;
    touch(dir);
    return ino;
}

int filetree_symlink(uint32_t dir, const char *name, const char *target)
{
    size_t length = strlen(target);
    long ino = filetree_make(dir, name, S_IFLNK | 0777, 0);
    long r;

    if (ino < 0) {
        return (int)ino;
    }
    r = filetree_write_memory((uint32_t)ino, 0, target, length);
    if (r != (long)length) {
        filetree_unlink(dir, name);
        return r < 0 ? (int)r : -ENOSPC;
    }
    return 0;
}

int filetree_link(uint32_t dir, const char *name, uint32_t ino)
{
    struct filetree_inode *n = filetree_inode(ino);
    int r = check_new(dir, name);

    if (n == NULL || n->mode == 0 || n->links == 0) {
        return -ENOENT;
    }
    if (S_ISDIR(n->mode)) {
        return -EPERM;
    }
    r = r == 0 ? directory_add(dir, name, strlen(name), ino) : r;
    if (r == 0) {
        n->links++;
        n->ctime = filetree.now();
        touch(dir);
    }
    return r;
}

int filetree_unlink(uint32_t dir, const char *name)
{
    long ino = directory_lookup(dir, name, strlen(name));
    int r;

    if (ino < 0) {
        return (int)ino;
    }
    if (S_ISDIR(filetree_inode((uint32_t)ino)->mode)) {
        return -EISDIR;
    }
    r = directory_remove(dir, name, strlen(name));
    if (r == 0) {
        touch(dir);
        drop_link((uint32_t)ino);
    }
    return r;
}

/** A directory without a name any more: whoever is still in it finds nothing, not even "..". */
static void bury_directory(uint32_t ino, uint32_t parent)
{
    struct filetree_inode *n = filetree_inode(ino);

    filetree_inode(parent)->links--;
    n->links = 0;
    directory_forget(ino);
    filetree_truncate(ino, 0);
    drop_link(ino);
}

int filetree_rmdir(uint32_t dir, const char *name)
{
    long ino = directory_lookup(dir, name, strlen(name));
    int r;

    if (ino < 0) {
        return (int)ino;
    }
    if (!S_ISDIR(filetree_inode((uint32_t)ino)->mode)) {
        return -ENOTDIR;
    }
    if (!directory_empty((uint32_t)ino)) {
        return -ENOTEMPTY;
    }
    r = directory_remove(dir, name, strlen(name));
    if (r == 0) {
        touch(dir);
        bury_directory((uint32_t)ino, dir);
    }
    return r;
}

/** True if `dir` is `ino` or lies below it. */
static bool is_below(uint32_t dir, uint32_t ino)
{
    for (unsigned depth = 0; depth < 4096; depth++) {
        long up;

        if (dir == ino) {
            return true;
        }
        if (dir == FILETREE_ROOT_INODE) {
            return false;
        }
        up = directory_lookup(dir, "..", 2);
        if (up <= 0) {
            return false;
        }
        dir = (uint32_t)up;
    }
    return true;
}

/** A directory that moved from one parent to another. */
static int moved(uint32_t ino, uint32_t from_dir, uint32_t to_dir)
{
    int r = 0;

    if (from_dir != to_dir && S_ISDIR(filetree_inode(ino)->mode)) {
        r = directory_replace(ino, "..", 2, to_dir);
        filetree_inode(from_dir)->links--;
        filetree_inode(to_dir)->links++;
    }
    filetree_inode(ino)->ctime = filetree.now();
    return r;
}

/** May `ino` take the place of the existing `old`? */
static int check_replace(uint32_t ino, uint32_t old)
{
    bool directory = S_ISDIR(filetree_inode(ino)->mode);
    bool old_directory = S_ISDIR(filetree_inode(old)->mode);

    if (directory && !old_directory) {
        return -ENOTDIR;
    }
    if (!directory && old_directory) {
        return -EISDIR;
    }
    return old_directory && !directory_empty(old) ? -ENOTEMPTY : 0;
}

static int exchange_names(uint32_t from_dir, const char *from, uint32_t ino, uint32_t to_dir,
                          const char *to, uint32_t other)
{
    int r;

    if (is_below(from_dir, other)) {
        return -EINVAL;
    }
    /* point of no return */
    r = directory_replace(to_dir, to, strlen(to), ino);
    r = r == 0 ? directory_replace(from_dir, from, strlen(from), other) : r;
    r = r == 0 ? moved(ino, from_dir, to_dir) : r;
    return r == 0 ? moved(other, to_dir, from_dir) : r;
}

static int replace_name(uint32_t to_dir, const char *to, uint32_t ino, uint32_t old)
{
    bool directory = S_ISDIR(filetree_inode(old)->mode);
    int r = directory_replace(to_dir, to, strlen(to), ino);

    if (r == 0 && directory) {
        bury_directory(old, to_dir);
    } else if (r == 0) {
        drop_link(old);
    }
    return r;
}

int filetree_rename(uint32_t from_dir, const char *from, uint32_t to_dir, const char *to,
                    bool exchange)
{
    long ino = directory_lookup(from_dir, from, strlen(from));
    long old = directory_lookup(to_dir, to, strlen(to));
    int r;

    if (ino < 0) {
        return (int)ino;
    }
    if (old < 0 && (old != -ENOENT || exchange)) {
        return (int)old;
    }
    if (old == ino) {
        return 0;
    }
    if (S_ISDIR(filetree_inode((uint32_t)ino)->mode) && is_below(to_dir, (uint32_t)ino)) {
        return -EINVAL;
    }
    if (exchange) {
        return exchange_names(from_dir, from, (uint32_t)ino, to_dir, to, (uint32_t)old);
    }
    r = old > 0 ? check_replace((uint32_t)ino, (uint32_t)old) : check_new(to_dir, to);
    if (r != 0) {
        return r;
    }
    /* point of no return */
    r = old > 0 ? replace_name(to_dir, to, (uint32_t)ino, (uint32_t)old)
                : directory_add(to_dir, to, strlen(to), (uint32_t)ino);
    r = r == 0 ? directory_remove(from_dir, from, strlen(from)) : r;
    r = r == 0 ? moved((uint32_t)ino, from_dir, to_dir) : r;
    touch(from_dir);
    touch(to_dir);
    return r;
}
