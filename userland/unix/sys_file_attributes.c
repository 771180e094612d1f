/*
 * System calls on what a file is: stat, modes, owners, times, sizes, file systems.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include "files.h"
#include "space.h"
#include "sys_file.h"

#define CWD       ((uint64_t)AT_FDCWD)
#define TREE_TYPE 0x42574654l /* "BWFT" */
#define PROC_TYPE 0x9fa0l
#define NS_NOW    ((1l << 30) - 1l)
#define NS_OMIT   ((1l << 30) - 2l)

_Static_assert(sizeof(struct stat) == 144, "Linux ABI: struct stat");

/** The inode of a place for a change; things outside the tree cannot be changed. */
static long writable_inode(struct place place, struct filetree_inode **out)
{
    *out = place.kind == PLACE_TREE ? filetree_inode((uint32_t)place.id) : NULL;
    return *out != NULL ? 0 : -EPERM;
}

/** The place of an open descriptor. */
static long place_of(uint64_t fd, struct place *place)
{
    struct file *f = file_of(fd);

    if (f == NULL || f->vnode == NULL) {
        return f == NULL ? -EBADF : -EINVAL;
    }
    *place = f->vnode->place;
    return 0;
}

/* --- stat --- */

static long stat_path(uint64_t dirfd, uint64_t path, uint64_t address, uint64_t flags)
{
    struct file *open = NULL;
    struct place place;
    struct stat st;
    long r = walk_at(dirfd, path, flags, &place);

    if (r == 0 && place.kind == PLACE_PROC && !(flags & AT_SYMLINK_NOFOLLOW)) {
        open = proc_fd_file(place.id); /* a file without a name */
    }
    if (r == 0) {
        r = open != NULL ? file_stat(open, &st) : place_stat(place, &st);
    }
    return r != 0 ? r : user_write(address, &st, sizeof(st));
}

CALL(stat)
{
    UNUSED4;
    return stat_path(CWD, a, b, 0);
}

CALL(lstat)
{
    UNUSED4;
    return stat_path(CWD, a, b, AT_SYMLINK_NOFOLLOW);
}

CALL(fstat)
{
    struct file *file = file_of(a);
    struct stat st;
    long r;

    UNUSED4;
    if (file == NULL) {
        return -EBADF;
    }
    r = file_stat(file, &st);
    return r != 0 ? r : user_write(b, &st, sizeof(st));
}

CALL(newfstatat)
{
    UNUSED2;
    if ((d & AT_EMPTY_PATH) && (int)a != AT_FDCWD) {
        uint8_t first = 0;

        if (b != 0 && user_read(&first, b, 1) != 0) {
            return -EFAULT;
        }
        if (first == '\0') {
            return sys_fstat(a, c, 0, 0, 0, 0);
        }
    }
    return stat_path(a, b, c, d);
}

static long access_path(uint64_t dirfd, uint64_t path, uint64_t mode, uint64_t flags)
{
    struct place place;
    uint32_t bits;
    long r;

    if (mode & ~7ul) {
        return -EINVAL;
    }
    r = walk_at(dirfd, path, flags, &place);
    if (r != 0) {
        return r;
    }
    bits = place_mode(place);
    return (mode & 1) && !S_ISDIR(bits) && (bits & 0111) == 0 ? -EACCES : 0;
}

CALL(access)
{
    UNUSED4;
    return access_path(CWD, a, b, 0);
}

CALL(faccessat)
{
    UNUSED3;
    return access_path(a, b, c, 0);
}

CALL(faccessat2)
{
    UNUSED2;
    return access_path(a, b, c, d);
}

/* --- modes and owners --- */

static long change_mode(struct place place, uint64_t mode)
{
    struct filetree_inode *n;
    long r = writable_inode(place, &n);

    if (r == 0) {
        n->mode = (n->mode & S_IFMT) | ((uint32_t)mode & 07777);
        n->ctime = time_realtime();
    }
    return r;
}

CALL(chmod)
{
    struct place place;
    long r = walk_at(CWD, a, 0, &place);

    UNUSED4;
    return r != 0 ? r : change_mode(place, b);
}

CALL(fchmod)
{
    struct place place;
    long r = place_of(a, &place);

    UNUSED4;
    return r != 0 ? r : change_mode(place, b);
}

CALL(fchmodat)
{
    struct place place;
    long r = walk_at(a, b, 0, &place);

    UNUSED3;
    return r != 0 ? r : change_mode(place, c);
}

static long change_owner(struct place place, uint64_t uid, uint64_t gid)
{
    struct filetree_inode *n;
    long r = writable_inode(place, &n);

    if (r != 0) {
        return r;
    }
    n->uid = (uint32_t)uid != UINT32_MAX ? (uint32_t)uid : n->uid;
    n->gid = (uint32_t)gid != UINT32_MAX ? (uint32_t)gid : n->gid;
    n->ctime = time_realtime();
    return 0;
}

static long chown_path(uint64_t dirfd, uint64_t path, uint64_t uid, uint64_t gid, uint64_t flags)
{
    struct place place;
    long r = walk_at(dirfd, path, flags, &place);

    return r != 0 ? r : change_owner(place, uid, gid);
}

CALL(chown)
{
    UNUSED3;
    return chown_path(CWD, a, b, c, 0);
}

CALL(lchown)
{
    UNUSED3;
    return chown_path(CWD, a, b, c, AT_SYMLINK_NOFOLLOW);
}

CALL(fchownat)
{
    UNUSED1;
    return chown_path(a, b, c, d, e);
}

CALL(fchown)
{
    struct place place;
    long r = place_of(a, &place);

    UNUSED3;
    return r != 0 ? r : change_owner(place, b, c);
}

/* --- times --- */

/** ns since 1970 for utimensat; *omit: leave it. */
static long time_of(const int64_t t[2], uint64_t *ns, bool *omit)
{
    *omit = t[1] == NS_OMIT;
    if (t[1] == NS_NOW || *omit) {
        *ns = time_realtime();
        return 0;
    }
    if (t[1] < 0 || t[1] >= 1000000000 || t[0] < 0 || t[0] > INT64_MAX / 1000000000) {
        return -EINVAL;
    }
    *ns = (uint64_t)t[0] * 1000000000u + (uint64_t)t[1];
    return 0;
}

/** @param t access and modification time as timespecs, NULL: now */
static long set_times(struct place place, const int64_t t[4])
{
    uint64_t access = time_realtime(), change = access, modify = access;
    bool omit_access = false, omit_modify = false;
    struct filetree_inode *n;
    long r = writable_inode(place, &n);

    if (r == 0 && t != NULL) {
        r = time_of(t, &access, &omit_access);
        r = r == 0 ? time_of(t + 2, &modify, &omit_modify) : r;
    }
    if (r != 0) {
        return r;
    }
    n->atime = omit_access ? n->atime : access;
    n->mtime = omit_modify ? n->mtime : modify;
    n->ctime = change;
    return 0;
}

CALL(utimensat)
{
    struct place place;
    int64_t t[4];
    long r;

    UNUSED2;
    if (c != 0 && user_read(t, c, sizeof(t)) != 0) {
        return -EFAULT;
    }
    r = b == 0 ? place_of(a, &place) : walk_at(a, b, d, &place);
    return r != 0 ? r : set_times(place, c != 0 ? t : NULL);
}

/** Times as two timevals. */
static long set_timevals(uint64_t dirfd, uint64_t path, uint64_t address)
{
    struct place place;
    int64_t t[4] = {0};
    long r;

    if (address != 0 && user_read(t, address, sizeof(t)) != 0) {
        return -EFAULT;
    }
    if (address != 0 && (t[1] < 0 || t[1] >= 1000000 || t[3] < 0 || t[3] >= 1000000)) {
        return -EINVAL;
    }
    t[1] *= 1000;
    t[3] *= 1000;
    r = walk_at(dirfd, path, 0, &place);
    return r != 0 ? r : set_times(place, address != 0 ? t : NULL);
}

CALL(utimes)
{
    UNUSED4;
    return set_timevals(CWD, a, b);
}

CALL(futimesat)
{
    UNUSED3;
    return set_timevals(a, b, c);
}

CALL(utime)
{
    struct place place;
    int64_t seconds[2], t[4];
    long r;

    UNUSED4;
    if (b != 0 && user_read(seconds, b, sizeof(seconds)) != 0) {
        return -EFAULT;
    }
    r = walk_at(CWD, a, 0, &place);
    if (r != 0 || b == 0) {
        return r != 0 ? r : set_times(place, NULL);
    }
    t[0] = seconds[0];
    t[2] = seconds[1];
    t[1] = t[3] = 0;
    return set_times(place, t);
}

/* --- sizes --- */

static long set_size(struct place place, uint64_t size)
{
    uint32_t mode = place_mode(place);

    if ((int64_t)size < 0 || place.kind != PLACE_TREE || !S_ISREG(mode)) {
        return S_ISDIR(mode) ? -EISDIR : -EINVAL;
    }
    return file_is_executing((uint32_t)place.id) ? -ETXTBSY
                                                 : file_set_size((uint32_t)place.id, size);
}

CALL(truncate)
{
    struct place place;
    long r = walk_at(CWD, a, 0, &place);

    UNUSED4;
    return r != 0 ? r : set_size(place, b);
}

CALL(ftruncate)
{
    struct file *file = file_of(a);
    struct place place;
    long r = place_of(a, &place);

    UNUSED4;
    if (r == 0 && !file_writes(file)) {
        return -EINVAL;
    }
    return r != 0 ? r : set_size(place, b);
}

CALL(fallocate)
{
    struct file *file = file_of(a);
    uint64_t end;

    UNUSED2;
    if (file == NULL || !file_writes(file)) {
        return -EBADF;
    }
    if (file->kind != &file_regular) {
        return -ENODEV;
    }
    if (b & ~1ul) { /* only FALLOC_FL_KEEP_SIZE */
        return -EOPNOTSUPP;
    }
    if ((int64_t)c < 0 || (int64_t)d <= 0 || __builtin_add_overflow(c, d, &end)) {
        return -EINVAL;
    }
    if (end > FILETREE_SIZE_MAX) {
        return -EFBIG;
    }
    return (b & 1) || end <= file_size(file) ? 0 : file_set_size(file_inode(file), end);
}

/* --- file systems --- */

static long give_statfs(struct place place, uint64_t address)
{
    struct space_figures figures;
    struct statfs s;

    memset(&s, 0, sizeof(s));
    s.f_bsize = s.f_frsize = 4096;
    s.f_namelen = FILETREE_NAME_MAX;
    s.f_flags = ST_RELATIME;
    if (place.kind == PLACE_PROC) {
        s.f_type = PROC_TYPE;
        return user_write(address, &s, sizeof(s));
    }
    s.f_type = TREE_TYPE;
    space_figures(&figures);
    s.f_blocks = figures.total;
    s.f_bfree = figures.free;
    s.f_bavail = figures.files;
    s.f_files = FILETREE_INODES_MAX;
    s.f_ffree = FILETREE_INODES_MAX - filetree.super->inodes + filetree.super->free_count;
    return user_write(address, &s, sizeof(s));
}

CALL(statfs)
{
    struct place place;
    long r = walk_at(CWD, a, 0, &place);

    UNUSED4;
    return r != 0 ? r : give_statfs(place, b);
}

CALL(fstatfs)
{
    struct file *file = file_of(a);

    UNUSED4;
    if (file == NULL) {
        return -EBADF;
    }
    return give_statfs(file->vnode != NULL ? file->vnode->place : path_root(), b);
}

/* What is written is part of the district's next generation; there is nothing to flush below it. */

CALL(sync)
{
    UNUSED6;
    return 0;
}

CALL(syncfs)
{
    UNUSED5;
    return file_of(a) != NULL ? 0 : -EBADF;
}

CALL(fsync)
{
    UNUSED5;
    return file_of(a) != NULL ? 0 : -EBADF;
}

CALL(fdatasync)
{
    UNUSED5;
    return file_of(a) != NULL ? 0 : -EBADF;
}
