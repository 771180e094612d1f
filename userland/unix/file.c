/*
 * Descriptor tables, open file descriptions, and the transfer of bytes as all kinds of file have
 * it.
 *
 * Invariants: a description lives while a descriptor, a running call's hold or a mapping refers to
 * it; a table's slots above `highest` are empty; `lowest_free` is at or below the lowest empty
 * slot.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "files.h"

#define TABLE_FIRST 32u

struct descriptor {
    struct file *file;
    bool close_on_exec;
};

struct files {
    unsigned references;
    unsigned size;
    int highest;
    unsigned lowest_free;
    struct descriptor *slot;
};

/* --- open files --- */

struct file *file_new(const struct file_kind *kind, uint32_t flags, struct vnode *v)
{
    struct file *f = calloc(1, sizeof(*f));

    if (f == NULL) {
        return NULL;
    }
    f->references = 1;
    f->kind = kind;
    f->flags = flags & ~(uint32_t)(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);
    f->vnode = v;
    if (v != NULL) {
        vnode_hold(v);
    }
    return f;
}

void file_hold(struct file *f)
{
    f->references++;
}

void file_release(struct file *f)
{
    if (f == NULL || --f->references > 0) {
        return;
    }
    if (f->watched != 0) {
        epoll_forget(f);
    }
    if (f->vnode != NULL) {
        flock_release(f->vnode, f);
    }
    if (f->kind->close != NULL) {
        f->kind->close(f);
    }
    vnode_release(f->vnode);
    free(f);
}

/* --- descriptor tables --- */

struct files *files_new(void)
{
    struct files *t = calloc(1, sizeof(*t));

    if (t == NULL) {
        return NULL;
    }
    t->references = 1;
    t->highest = -1;
    t->size = TABLE_FIRST;
    t->slot = calloc(t->size, sizeof(t->slot[0]));
    if (t->slot == NULL) {
        free(t);
        return NULL;
    }
    return t;
}

struct files *files_clone(struct files *f)
{
    struct files *t = malloc(sizeof(*t));

    if (t == NULL) {
        return NULL;
    }
    *t = *f;
    t->references = 1;
    t->slot = malloc(t->size * sizeof(t->slot[0]));
    if (t->slot == NULL) {
        free(t);
        return NULL;
    }
    memcpy(t->slot, f->slot, t->size * sizeof(t->slot[0]));
    for (int i = 0; i <= t->highest; i++) {
        if (t->slot[i].file != NULL) {
            file_hold(t->slot[i].file);
        }
    }
    return t;
}

struct files *files_share(struct files *f)
{
    f->references++;
    return f;
}

void files_release(struct files *f)
{
    if (f == NULL || --f->references > 0) {
        return;
    }
    for (int i = 0; i <= f->highest; i++) {
        file_release(f->slot[i].file);
    }
    free(f->slot);
    free(f);
}

void files_process_ended(struct files *f, int pid)
{
    for (int i = 0; i <= f->highest; i++) {
        struct file *file = f->slot[i].file;

        if (file != NULL && file->vnode != NULL) {
            locks_release(file->vnode, pid);
        }
    }
}

struct file *files_get(struct files *f, int fd)
{
    return fd >= 0 && fd <= f->highest ? f->slot[fd].file : NULL;
}

struct file *file_of(uint64_t fd)
{
    return files_get(process_files(thread_process(current)), (int)fd);
}

int files_highest(struct files *t)
{
    return t->highest;
}

static int grow(struct files *t, unsigned need)
{
    unsigned size = t->size;
    struct descriptor *slot;

    while (size <= need) {
        size *= 2;
    }
    slot = realloc(t->slot, size * sizeof(*slot));
    if (slot == NULL) {
        return -ENOMEM;
    }
    memset(slot + t->size, 0, (size - t->size) * sizeof(*slot));
    t->slot = slot;
    t->size = size;
    return 0;
}

long files_install(struct files *t, struct file *f, int least, bool close_on_exec)
{
    unsigned fd = (unsigned)least > t->lowest_free ? (unsigned)least : t->lowest_free;

    while (fd < t->size && t->slot[fd].file != NULL) {
        fd++;
    }
    if (fd >= FILES_MAX) {
        file_release(f);
        return -EMFILE;
    }
    if (fd >= t->size && grow(t, fd) != 0) {
        file_release(f);
        return -ENOMEM;
    }
    t->slot[fd] = (struct descriptor){f, close_on_exec};
    if ((int)fd > t->highest) {
        t->highest = (int)fd;
    }
    if ((unsigned)least <= t->lowest_free) {
        t->lowest_free = fd + 1;
    }
    return fd;
}

long files_close(struct files *t, int fd)
{
    struct file *f = files_get(t, fd);

    if (f == NULL) {
        return -EBADF;
    }
    t->slot[fd] = (struct descriptor){0};
    if ((unsigned)fd < t->lowest_free) {
        t->lowest_free = (unsigned)fd;
    }
    while (t->highest >= 0 && t->slot[t->highest].file == NULL) {
        t->highest--;
    }
    if (f->vnode != NULL && f->vnode->locks != NULL && current != NULL) {
        locks_release(f->vnode, process_pid(thread_process(current)));
    }
    file_release(f);
    return 0;
}

bool files_close_on_exec(struct files *t, int fd)
{
    return files_get(t, fd) != NULL && t->slot[fd].close_on_exec;
}

void files_set_close_on_exec(struct files *t, int fd, bool on)
{
    if (files_get(t, fd) != NULL) {
        t->slot[fd].close_on_exec = on;
    }
}

void files_exec(struct files *f)
{
    for (int i = 0; i <= f->highest; i++) {
        if (f->slot[i].close_on_exec) {
            files_close(f, i);
        }
    }
}

long files_duplicate_to(struct files *t, int from, int to, bool close_on_exec)
{
    struct file *f = files_get(t, from);

    if (f == NULL || to < 0 || to >= FILES_MAX) {
        return -EBADF;
    }
    if ((unsigned)to >= t->size && grow(t, (unsigned)to) != 0) {
        return -ENOMEM;
    }
    file_hold(f);
    if (files_get(t, to) != NULL) {
        files_close(t, to);
    }
    t->slot[to] = (struct descriptor){f, close_on_exec};
    if (to > t->highest) {
        t->highest = to;
    }
    return to;
}

/* --- working directories --- */

struct directory *directory_new(void)
{
    struct directory *d = calloc(1, sizeof(*d));

    if (d == NULL) {
        return NULL;
    }
    d->references = 1;
    d->umask = 022;
    d->root = vnode_get(path_root());
    d->cwd = vnode_get(path_root());
    if (d->root == NULL || d->cwd == NULL) {
        directory_release(d);
        return NULL;
    }
    return d;
}

struct directory *directory_clone(struct directory *d)
{
    struct directory *copy = malloc(sizeof(*copy));

    if (copy != NULL) {
        *copy = *d;
        copy->references = 1;
        vnode_hold(copy->root);
        vnode_hold(copy->cwd);
    }
    return copy;
}

struct directory *directory_share(struct directory *d)
{
    d->references++;
    return d;
}

void directory_release(struct directory *d)
{
    if (d != NULL && --d->references == 0) {
        vnode_release(d->root);
        vnode_release(d->cwd);
        free(d);
    }
}

/* --- transfer --- */

/** What a call that stopped gives back: bytes done earlier or now count more than the reason. */
static long outcome(struct io *io, long r, bool write)
{
    if (r == BLOCKED) {
        *thread_progress(current) = io->done;
        return r;
    }
    if (io->done > 0) {
        return (long)io->done;
    }
    if (r == -EPIPE && write) {
        signal_process(thread_process(current), SIGPIPE);
    }
    return r;
}

long file_transfer(struct file *f, struct io *io, uint64_t *offset, bool write)
{
    uint64_t *at = offset != NULL ? offset : &f->offset;
    long r;

    if (write ? !file_writes(f) : !file_reads(f)) {
        return -EBADF;
    }
    if (io->part != NULL) {
        io_skip(io, (size_t)*thread_progress(current));
    }
    file_hold(f);
    if (write) {
        r = f->kind->write != NULL ? f->kind->write(f, io, at) : -EINVAL;
    } else {
        r = f->kind->read != NULL ? f->kind->read(f, io, at) : -EINVAL;
    }
    if (io->part != NULL) {
        r = outcome(io, r, write);
    }
    file_release(f);
    return r;
}
