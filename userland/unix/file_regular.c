/*
 * Regular files and directories as open files, and what the process side asks of files (exec,
 * mmap).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include "files.h"
#include "process.h"

#define RUN_BYTES (1u << 20) /* at most so much in one run of a call; others come between */

/** Threads that let others run in the middle of a long transfer. */
static struct wait_queue pause_queue;

static uint32_t ino_of(const struct file *f)
{
    return (uint32_t)f->vnode->place.id;
}

/** Access times move only past a modification, so that reading changes nothing (relatime). */
static void touch_access(struct filetree_inode *n)
{
    if (n->atime <= n->mtime || n->atime <= n->ctime) {
        n->atime = time_realtime();
    }
}

/** Runs one bounded piece of a transfer, and pauses if more is to come. */
static long transfer_piece(struct file *f, struct io *io, uint64_t *offset, bool write)
{
    size_t whole = io->left, before = io->done;
    long r;

    io->left = whole > RUN_BYTES ? RUN_BYTES : whole;
    r = write ? filetree_write(ino_of(f), *offset, io) : filetree_read(ino_of(f), *offset, io);
    io->left = whole - (io->done - before);
    if (r > 0) {
        *offset += (uint64_t)r;
    }
    if (r == (long)RUN_BYTES && io->left > 0 && io->part != NULL) {
        return wait_on(&pause_queue, time_monotonic());
    }
    return r;
}

static long regular_read(struct file *f, struct io *io, uint64_t *offset)
{
    struct filetree_inode *n = filetree_inode(ino_of(f));
    long r;

    if (n == NULL) {
        return -EIO;
    }
    r = transfer_piece(f, io, offset, false);
    if (r > 0 && !(f->flags & O_NOATIME)) {
        touch_access(n);
    }
    return r;
}

static long regular_write(struct file *f, struct io *io, uint64_t *offset)
{
    struct filetree_inode *n = filetree_inode(ino_of(f));

    if (n == NULL) {
        return -EIO;
    }
    if ((f->flags & O_APPEND) && io->left > 0) {
        *offset = n->size;
    }
    return transfer_piece(f, io, offset, true);
}

static unsigned regular_poll(struct file *f)
{
    (void)f;
    return EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM;
}

static long directory_no_read(struct file *f, struct io *io, uint64_t *offset)
{
    (void)f, (void)io, (void)offset;
    return -EISDIR;
}

const struct file_kind file_regular = {
    .name = "file",
    .read = regular_read,
    .write = regular_write,
    .poll = regular_poll,
    .seekable = true,
};

const struct file_kind file_directory = {
    .name = "directory",
    .read = directory_no_read,
    .poll = regular_poll,
    .seekable = true,
};

int file_set_size(uint32_t ino, uint64_t size)
{
    struct filetree_inode *n = filetree_inode(ino);
    uint64_t old = n != NULL ? n->size : 0;
    int r;

    if (size < old) {
        vm_file_truncated(ino, size);
    }
    r = filetree_truncate(ino, size);
    return r;
}

/** The inode number of a file without a name; both ends of a pipe have the same. */
static ino_t anonymous_ino(const struct file *f)
{
    const void *what = f;

    if (f->kind == &file_pipe) {
        what = f->pipe.in != NULL ? f->pipe.in : f->pipe.out;
    }
    return (ino_t)(uintptr_t)what >> 4;
}

int file_stat(struct file *f, struct stat *st)
{
    if (f->vnode != NULL) {
        return place_stat(f->vnode->place, st);
    }
    memset(st, 0, sizeof(*st));
    st->st_nlink = 1;
    st->st_mode = f->kind == &file_pipe     ? S_IFIFO | 0600
                  : f->kind == &file_socket ? S_IFSOCK | 0777
                                            : S_IFREG | 0600;
    st->st_ino = anonymous_ino(f);
    st->st_blksize = 4096;
    return 0;
}

static long open_tree(struct vnode *v, uint32_t parent, uint32_t flags, struct file **out)
{
    uint32_t mode = place_mode(v->place);
    uint32_t rdev;

    switch (mode & S_IFMT) {
    case S_IFREG:
    case S_IFDIR:
        *out = file_new(S_ISDIR(mode) ? &file_directory : &file_regular, flags, v);
        break;
    case S_IFIFO:
        return fifo_open(v, flags, out);
    case S_IFCHR:
        rdev = filetree_inode((uint32_t)v->place.id)->rdev;
        return device_open(rdev, v, flags, out);
    case S_IFLNK:
        return -ELOOP;
    default:
        return -ENXIO;
    }
    if (*out == NULL) {
        return -ENOMEM;
    }
    (*out)->parent = parent;
    return 0;
}

static long open_built_in(struct vnode *v, uint32_t flags, struct file **out)
{
    const char *name, *link;
    uint32_t mode, rdev;

    if (!device_entry((unsigned)v->place.id, &name, &mode, &rdev, &link)) {
        return -ENOENT;
    }
    return link != NULL ? -ELOOP : device_open(rdev, v, flags, out);
}

long file_open_place(struct place place, uint32_t parent, uint32_t flags, struct file **out)
{
    struct file *same = place.kind == PLACE_PROC ? proc_fd_file(place.id) : NULL;
    struct vnode *v;
    long r;

    if (same != NULL) {
        file_hold(same);
        *out = same;
        return 0;
    }
    v = vnode_get(place);
    if (v == NULL) {
        return -ENOMEM;
    }
    switch (place.kind) {
    case PLACE_TREE:
        r = open_tree(v, parent, flags, out);
        break;
    case PLACE_DEVICE:
        r = open_built_in(v, flags, out);
        break;
    default:
        r = proc_open(v, flags, out);
    }
    vnode_release(v);
    return r;
}

/* --- what the process side asks --- */

int file_open_exec(const char *path, struct file **out)
{
    struct directory *d = process_directory(thread_process(current));
    struct walk w;
    uint32_t mode;
    int r = path_walk(d, d->cwd->place, path, 0, &w);

    if (r != 0) {
        return r;
    }
    mode = place_mode(w.place);
    if (!S_ISREG(mode) || (mode & 0111) == 0 || w.place.kind != PLACE_TREE) {
        return -EACCES;
    }
    return (int)file_open_place(w.place, (uint32_t)w.parent.id, O_RDONLY, out);
}

bool file_is_executing(uint32_t ino)
{
    for (struct process *p = process_next(NULL); p != NULL; p = process_next(p)) {
        if (p->executable != NULL && file_inode(p->executable) == ino) {
            return true;
        }
    }
    return false;
}

bool file_is_regular(const struct file *f)
{
    return f->kind == &file_regular;
}

uint32_t file_inode(const struct file *f)
{
    return f->kind == &file_regular ? ino_of(f) : 0;
}

uint64_t file_size(const struct file *f)
{
    struct filetree_inode *n = f->kind == &file_regular ? filetree_inode(ino_of(f)) : NULL;

    return n != NULL ? n->size : 0;
}

int file_mode(const struct file *f)
{
    return f->vnode != NULL ? (int)place_mode(f->vnode->place) : 0;
}

bool file_writable(const struct file *f)
{
    return file_writes(f);
}

long file_pread(struct file *f, void *to, size_t n, uint64_t offset)
{
    return f->kind == &file_regular ? filetree_read_memory(ino_of(f), offset, to, n) : -EINVAL;
}

int file_page(struct file *f, uint64_t offset, bool write, uint16_t to)
{
    return f->kind == &file_regular ? filetree_page(ino_of(f), offset, write, to) : -ENXIO;
}

static long copy_text(char *buf, size_t size, const char *text)
{
    size_t n = strlen(text) < size ? strlen(text) : size;

    memcpy(buf, text, n);
    return (long)n;
}

static long tree_path(const struct file *f, char *buf, size_t size)
{
    char name[FILETREE_NAME_MAX + 1];
    struct place parent = {PLACE_TREE, f->parent};
    long n, length;

    if (f->kind == &file_directory) {
        return path_of_directory(path_root(), f->vnode->place, buf, size);
    }
    n = f->parent != 0 ? directory_name_of(f->parent, ino_of(f), name) : -ENOENT;
    length = n > 0 ? path_of_directory(path_root(), parent, buf, size) : n;
    if (length < 0) {
        return copy_text(buf, size, "(deleted)");
    }
    if (length == 1) {
        length = 0; /* the root's own slash */
    }
    if ((size_t)(length + n + 1) > size) {
        return -ENAMETOOLONG;
    }
    buf[length] = '/';
    memcpy(buf + length + 1, name, (size_t)n);
    return length + n + 1;
}

static long anonymous_path(const struct file *f, char *buf, size_t size)
{
    char text[64];

    if (f->kind == &file_pipe || f->kind == &file_socket) {
        snprintf(text, sizeof(text), "%s:[%lu]", f->kind->name, (unsigned long)anonymous_ino(f));
    } else {
        snprintf(text, sizeof(text), "anon_inode:%s", f->kind->name);
    }
    return copy_text(buf, size, text);
}

long file_path(const struct file *f, char *buf, size_t size)
{
    const char *name, *link;
    uint32_t mode, rdev;
    char text[64] = "/dev/";

    if (f->vnode == NULL) {
        return anonymous_path(f, buf, size);
    }
    switch (f->vnode->place.kind) {
    case PLACE_TREE:
        return tree_path(f, buf, size);
    case PLACE_DEVICE:
        device_entry((unsigned)f->vnode->place.id, &name, &mode, &rdev, &link);
        return copy_text(buf, size, strcat(text, name));
    default:
        return proc_directory_path(f->vnode->place.id, buf, size);
    }
}
