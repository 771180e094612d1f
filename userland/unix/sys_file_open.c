/*
 * System calls that open files and list directories, and the working directory.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "files.h"
#include "sys_file.h"

#define AT_FD_CWD ((int)AT_FDCWD)

struct directory *own_directory(void)
{
    return process_directory(thread_process(current));
}

/** Where a relative path begins. */
static long start_of(uint64_t dirfd, const char *path, struct place *start)
{
    struct file *f;

    *start = own_directory()->cwd->place;
    if (*path == '/' || (int)dirfd == AT_FD_CWD) {
        return 0;
    }
    f = file_of(dirfd);
    if (f == NULL) {
        return -EBADF;
    }
    if (f->vnode == NULL || !S_ISDIR(place_mode(f->vnode->place))) {
        return -ENOTDIR;
    }
    *start = f->vnode->place;
    return 0;
}

long walk_user(uint64_t dirfd, uint64_t path, unsigned flags, struct walk *w)
{
    char *text = malloc(PATH_LIMIT);
    struct place start;
    long r;

    if (text == NULL) {
        return -ENOMEM;
    }
    r = user_read_string(text, path, PATH_LIMIT);
    if (r >= 0) {
        r = start_of(dirfd, text, &start);
    }
    if (r == 0) {
        r = path_walk(own_directory(), start, text, flags, w);
    }
    free(text);
    return r;
}

long walk_new(uint64_t dirfd, uint64_t path, bool directory, struct walk *w)
{
    long r = walk_user(dirfd, path, WALK_PARENT | WALK_NOFOLLOW, w);

    if (r != 0) {
        return r;
    }
    if (w->found) {
        return -EEXIST;
    }
    if (w->parent.kind != PLACE_TREE) {
        return -EACCES;
    }
    return w->trailing && !directory ? -ENOENT : 0;
}

long walk_at(uint64_t dirfd, uint64_t path, uint64_t flags, struct place *place)
{
    struct walk w;
    uint8_t first;
    long r;

    if (flags & AT_EMPTY_PATH) {
        if (path != 0 && user_read(&first, path, 1) != 0) {
            return -EFAULT;
        }
        if (path == 0 || first == '\0') {
            struct file *f = file_of(dirfd);

            if ((int)dirfd == AT_FD_CWD) {
                *place = own_directory()->cwd->place;
                return 0;
            }
            if (f == NULL || f->vnode == NULL) {
                return f == NULL ? -EBADF : -EINVAL;
            }
            *place = f->vnode->place;
            return 0;
        }
    }
    r = walk_user(dirfd, path, flags & AT_SYMLINK_NOFOLLOW ? WALK_NOFOLLOW : 0, &w);
    *place = w.place;
    return r;
}

/* --- open --- */

static long check_open(const struct walk *w, uint32_t flags)
{
    uint32_t mode = place_mode(w->place);
    bool proc_file = w->place.kind == PLACE_PROC && proc_fd_file(w->place.id) != NULL;

    if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
        return -EEXIST;
    }
    if (S_ISLNK(mode) && !proc_file) {
        return -ELOOP;
    }
    if ((flags & O_DIRECTORY) && !S_ISDIR(mode)) {
        return -ENOTDIR;
    }
    if (S_ISDIR(mode) && ((flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT))) {
        return -EISDIR;
    }
    if (S_ISREG(mode) && w->place.kind == PLACE_TREE &&
        ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC)) &&
        file_is_executing((uint32_t)w->place.id)) {
        return -ETXTBSY;
    }
    return 0;
}

/** Makes the file that a walk did not find. */
static long create_file(struct walk *w, uint32_t mode)
{
    long ino;

    if (w->trailing) {
        return -EISDIR;
    }
    if (w->parent.kind != PLACE_TREE) {
        return -EACCES;
    }
    mode = S_IFREG | (mode & 07777 & ~own_directory()->umask);
    ino = filetree_make((uint32_t)w->parent.id, w->name, mode, 0);
    if (ino < 0) {
        return ino;
    }
    w->place = (struct place){PLACE_TREE, (uint64_t)ino};
    return 0;
}

static long open_walked(struct walk *w, uint32_t flags, uint32_t mode)
{
    uint32_t parent = w->parent.kind == PLACE_TREE ? (uint32_t)w->parent.id : 0;
    struct file *f;
    long r;

    if (w->found) {
        r = check_open(w, flags);
    } else {
        r = create_file(w, mode);
    }
    if (r == 0) {
        r = file_open_place(w->place, parent, flags, &f);
    }
    if (r != 0) {
        return r;
    }
    if ((flags & O_TRUNC) && f->kind == &file_regular && file_writes(f) && file_size(f) > 0) {
        r = file_set_size(file_inode(f), 0);
        if (r != 0) {
            file_release(f);
            return r;
        }
    }
    return files_install(own_files(), f, 0, (flags & O_CLOEXEC) != 0);
}

static long do_open(uint64_t dirfd, uint64_t path, uint64_t open_flags, uint64_t mode)
{
    uint32_t flags = (uint32_t)open_flags;
    unsigned how = 0;
    struct walk w;
    long r;

    if (flags & O_PATH) {
        flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    }
    if ((flags & O_TMPFILE) == O_TMPFILE) {
        return -EOPNOTSUPP;
    }
    how |= flags & O_NOFOLLOW || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) ? WALK_NOFOLLOW
                                                                                    : 0;
    how |= flags & O_CREAT ? WALK_PARENT : 0;
    r = walk_user(dirfd, path, how, &w);
    return r != 0 ? r : open_walked(&w, flags, (uint32_t)mode);
}

CALL(open)
{
    UNUSED3;
    return do_open((uint64_t)AT_FDCWD, a, b, c);
}

CALL(openat)
{
    UNUSED2;
    return do_open(a, b, c, d);
}

CALL(creat)
{
    UNUSED4;
    return do_open((uint64_t)AT_FDCWD, a, O_CREAT | O_WRONLY | O_TRUNC, b);
}

/* --- directories --- */

/** A struct dirent64 record under construction. */
struct listing {
    uint64_t address;
    size_t left;
    long done;
};

/** Puts one record. @return 0, -EINVAL if it does not fit, -EFAULT */
static long put_record(struct listing *l, uint64_t ino, uint64_t next, uint8_t type,
                       const char *name)
{
    uint8_t bytes[24 + FILETREE_NAME_MAX + 1] = {0};
    size_t length = strlen(name);
    uint16_t size = (uint16_t)((19 + length + 1 + 7) & ~7ul);

    if (size > l->left) {
        return -EINVAL;
    }
    memcpy(bytes, &ino, 8);
    memcpy(bytes + 8, &next, 8);
    memcpy(bytes + 16, &size, 2);
    bytes[18] = type;
    memcpy(bytes + 19, name, length);
    if (user_write(l->address, bytes, size) != 0) {
        return -EFAULT;
    }
    l->address += size;
    l->left -= size;
    l->done += size;
    return 0;
}

#define BUILT_IN ((uint64_t)1 << 40) /* positions from here on: built-in entries of /dev */

static long list_built_in(struct file *f, struct listing *l)
{
    const char *name, *link;
    uint32_t mode, rdev;
    unsigned index = f->offset >= BUILT_IN ? (unsigned)(f->offset - BUILT_IN) : 0;

    for (; device_entry(index, &name, &mode, &rdev, &link); index++) {
        long r;

        if (directory_lookup((uint32_t)f->vnode->place.id, name, strlen(name)) >= 0) {
            continue;
        }
        r = put_record(l, index + 2, BUILT_IN + index + 1, (uint8_t)((mode & S_IFMT) >> 12), name);
        if (r != 0) {
            return r;
        }
        f->offset = BUILT_IN + index + 1;
    }
    return 0;
}

static long list_tree(struct file *f, struct listing *l)
{
    char name[FILETREE_NAME_MAX + 1];
    uint64_t next = f->offset;
    uint8_t type;
    uint32_t ino;

    while (f->offset < BUILT_IN) {
        long r = directory_next((uint32_t)f->vnode->place.id, &next, name, &ino, &type);

        if (r <= 0) {
            return r < 0 ? r : path_is_dev(f->vnode->place) ? list_built_in(f, l) : 0;
        }
        r = put_record(l, ino, next, type, name);
        if (r != 0) {
            return r;
        }
        f->offset = next;
    }
    return list_built_in(f, l);
}

static long list_proc(struct file *f, struct listing *l)
{
    char name[FILETREE_NAME_MAX + 1];
    uint64_t id, next;
    uint8_t type;

    while (proc_entry(f->vnode->place.id, f->offset, name, sizeof(name), &id, &type, &next)) {
        long r = put_record(l, id + 1, next, type, name);

        if (r != 0) {
            return r;
        }
        f->offset = next;
    }
    return 0;
}

CALL(getdents64)
{
    struct file *file = file_of(a);
    struct listing l = {b, c, 0};
    long r;

    UNUSED3;
    if (file == NULL) {
        return -EBADF;
    }
    if (file->vnode == NULL || !S_ISDIR(place_mode(file->vnode->place))) {
        return -ENOTDIR;
    }
    r = file->vnode->place.kind == PLACE_TREE ? list_tree(file, &l) : list_proc(file, &l);
    return l.done > 0 ? l.done : r;
}

static long change_directory(struct place place, struct vnode **which)
{
    struct vnode *v;

    if (!S_ISDIR(place_mode(place))) {
        return -ENOTDIR;
    }
    v = vnode_get(place);
    if (v == NULL) {
        return -ENOMEM;
    }
    vnode_release(*which);
    *which = v;
    return 0;
}

CALL(chdir)
{
    struct walk w;
    long r = walk_user((uint64_t)AT_FDCWD, a, WALK_DIRECTORY, &w);

    UNUSED5;
    return r != 0 ? r : change_directory(w.place, &own_directory()->cwd);
}

CALL(fchdir)
{
    struct file *file = file_of(a);

    UNUSED5;
    if (file == NULL || file->vnode == NULL) {
        return file == NULL ? -EBADF : -ENOTDIR;
    }
    return change_directory(file->vnode->place, &own_directory()->cwd);
}

CALL(chroot)
{
    struct walk w;
    long r = walk_user((uint64_t)AT_FDCWD, a, WALK_DIRECTORY, &w);

    UNUSED5;
    return r != 0 ? r : change_directory(w.place, &own_directory()->root);
}

CALL(getcwd)
{
    struct directory *dir = own_directory();
    char *text = malloc(PATH_LIMIT);
    long n;

    UNUSED4;
    if (text == NULL) {
        return -ENOMEM;
    }
    n = path_of_directory(dir->root->place, dir->cwd->place, text, PATH_LIMIT - 1);
    if (n >= 0) {
        text[n++] = '\0';
        if ((uint64_t)n > b) {
            n = -ERANGE;
        } else if (user_write(a, text, (size_t)n) != 0) {
            n = -EFAULT;
        }
    }
    free(text);
    return n;
}

CALL(umask)
{
    uint32_t old = own_directory()->umask;

    UNUSED5;
    own_directory()->umask = (uint32_t)a & 0777;
    return old;
}
