/*
 * System calls that make, remove and rename.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "files.h"
#include "sys_file.h"

#define CWD       ((uint64_t)AT_FDCWD)
#define EXCHANGE  2u /* RENAME_EXCHANGE */
#define NOREPLACE 1u

static long make_node(uint64_t dirfd, uint64_t path, uint32_t mode, uint32_t rdev)
{
    struct walk w;
    long r = walk_new(dirfd, path, S_ISDIR(mode), &w);

    if (r != 0) {
        return r;
    }
    mode &= S_IFMT | (07777 & ~own_directory()->umask);
    r = filetree_make((uint32_t)w.parent.id, w.name, mode, rdev);
    return r < 0 ? r : 0;
}

static long make_special(uint64_t dirfd, uint64_t path, uint64_t mode, uint64_t rdev)
{
    uint32_t type = (uint32_t)mode & S_IFMT;

    switch (type) {
    case 0:
    case S_IFREG:
        return make_node(dirfd, path, ((uint32_t)mode & 07777) | S_IFREG, 0);
    case S_IFIFO:
    case S_IFSOCK:
        return make_node(dirfd, path, (uint32_t)mode, 0);
    case S_IFCHR:
    case S_IFBLK:
        return make_node(dirfd, path, (uint32_t)mode, (uint32_t)rdev & 0xffff);
    default:
        return -EINVAL;
    }
}

CALL(mkdir)
{
    UNUSED4;
    return make_node(CWD, a, S_IFDIR | ((uint32_t)b & 01777), 0);
}

CALL(mkdirat)
{
    UNUSED3;
    return make_node(a, b, S_IFDIR | ((uint32_t)c & 01777), 0);
}

CALL(mknod)
{
    UNUSED3;
    return make_special(CWD, a, b, c);
}

CALL(mknodat)
{
    UNUSED2;
    return make_special(a, b, c, d);
}

/* --- removing --- */

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static long remove_directory(uint64_t dirfd, uint64_t path)
{
    struct walk w;
    long r = walk_user(dirfd, path, WALK_NOFOLLOW, &w);

    if (r != 0) {
        return r;
    }
    if (is_dot(w.name)) {
        return w.name[1] == '.' ? -ENOTEMPTY : -EINVAL;
    }
    if (w.name[0] == '\0' || path_is_mount(w.place)) {
        return -EBUSY;
    }
    if (w.place.kind != PLACE_TREE) {
        return w.parent.kind == PLACE_TREE ? -EBUSY : -EPERM;
    }
    return filetree_rmdir((uint32_t)w.parent.id, w.name);
}

static long remove_name(uint64_t dirfd, uint64_t path)
{
    struct walk w;
    long r = walk_user(dirfd, path, WALK_NOFOLLOW, &w);

    if (r != 0) {
        return r;
    }
    if (w.name[0] == '\0' || is_dot(w.name)) {
        return -EISDIR;
    }
    if (w.place.kind != PLACE_TREE) {
        return S_ISDIR(place_mode(w.place)) ? -EISDIR : -EPERM;
    }
    return filetree_unlink((uint32_t)w.parent.id, w.name);
}

CALL(rmdir)
{
    UNUSED5;
    return remove_directory(CWD, a);
}

CALL(unlink)
{
    UNUSED5;
    return remove_name(CWD, a);
}

CALL(unlinkat)
{
    UNUSED3;
    if (c & ~(uint64_t)AT_REMOVEDIR) {
        return -EINVAL;
    }
    return c & AT_REMOVEDIR ? remove_directory(a, b) : remove_name(a, b);
}

/* --- renaming and linking --- */

static long check_names(const struct walk *from, const struct walk *to)
{
    if (from->name[0] == '\0' || is_dot(from->name) || path_is_mount(from->place) ||
        (to->found && (to->name[0] == '\0' || is_dot(to->name) || path_is_mount(to->place)))) {
        return -EBUSY;
    }
    if (from->place.kind != PLACE_TREE || to->parent.kind != PLACE_TREE ||
        (to->found && to->place.kind != PLACE_TREE)) {
        return -EXDEV;
    }
    if (!to->found && to->trailing && !S_ISDIR(place_mode(from->place))) {
        return -ENOTDIR;
    }
    return 0;
}

static long rename_path(uint64_t from_dir, uint64_t from_path, uint64_t to_dir, uint64_t to_path,
                        uint64_t flags)
{
    struct walk from, to;
    long r;

    if (flags & ~(uint64_t)(EXCHANGE | NOREPLACE) || flags == (EXCHANGE | NOREPLACE)) {
        return -EINVAL;
    }
    r = walk_user(from_dir, from_path, WALK_NOFOLLOW, &from);
    r = r == 0 ? walk_user(to_dir, to_path, WALK_NOFOLLOW | WALK_PARENT, &to) : r;
    r = r == 0 ? check_names(&from, &to) : r;
    if (r != 0) {
        return r;
    }
    if (to.found && (flags & NOREPLACE)) {
        return -EEXIST;
    }
    return filetree_rename((uint32_t)from.parent.id, from.name, (uint32_t)to.parent.id, to.name,
                           (flags & EXCHANGE) != 0);
}

CALL(rename)
{
    UNUSED4;
    return rename_path(CWD, a, CWD, b, 0);
}

CALL(renameat)
{
    UNUSED2;
    return rename_path(a, b, c, d, 0);
}

CALL(renameat2)
{
    UNUSED1;
    return rename_path(a, b, c, d, e);
}

static long link_path(uint64_t from_dir, uint64_t from_path, uint64_t to_dir, uint64_t to_path,
                      uint64_t flags)
{
    struct place from;
    struct walk to;
    long r = walk_at(
        from_dir, from_path,
        (flags & AT_EMPTY_PATH) | (flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW), &from);

    r = r == 0 ? walk_new(to_dir, to_path, false, &to) : r;
    if (r != 0) {
        return r;
    }
    if (from.kind != PLACE_TREE) {
        return -EXDEV;
    }
    return filetree_link((uint32_t)to.parent.id, to.name, (uint32_t)from.id);
}

CALL(link)
{
    UNUSED4;
    return link_path(CWD, a, CWD, b, 0);
}

CALL(linkat)
{
    UNUSED1;
    return link_path(a, b, c, d, e);
}

static long symlink_path(uint64_t target, uint64_t dirfd, uint64_t path)
{
    char *text = malloc(PATH_LIMIT);
    struct walk w;
    long r;

    if (text == NULL) {
        return -ENOMEM;
    }
    r = user_read_string(text, target, PATH_LIMIT);
    r = r == 0 ? -ENOENT : r;
    r = r > 0 ? walk_new(dirfd, path, false, &w) : r;
    r = r == 0 ? filetree_symlink((uint32_t)w.parent.id, w.name, text) : r;
    free(text);
    return r;
}

CALL(symlink)
{
    UNUSED4;
    return symlink_path(a, CWD, b);
}

CALL(symlinkat)
{
    UNUSED3;
    return symlink_path(a, b, c);
}

static long readlink_path(uint64_t dirfd, uint64_t path, uint64_t buffer, uint64_t size)
{
    struct place place;
    char *text;
    long r = walk_at(dirfd, path, AT_SYMLINK_NOFOLLOW, &place);

    if (r != 0) {
        return r;
    }
    if ((int)size <= 0 || !S_ISLNK(place_mode(place))) {
        return -EINVAL;
    }
    text = malloc(PATH_LIMIT);
    if (text == NULL) {
        return -ENOMEM;
    }
    r = place_readlink(place, text, size < PATH_LIMIT ? size : PATH_LIMIT);
    if (r > 0 && user_write(buffer, text, (size_t)r) != 0) {
        r = -EFAULT;
    }
    free(text);
    return r;
}

CALL(readlink)
{
    UNUSED3;
    return readlink_path(CWD, a, b, c);
}

CALL(readlinkat)
{
    UNUSED2;
    return readlink_path(a, b, c, d);
}
