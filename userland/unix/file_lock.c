/*
 * Locks: POSIX record locks (fcntl), owned by processes, and flock, owned by open file
 * descriptions.
 *
 * Invariants: a vnode's record locks are in order of `start`; locks of one process do not overlap,
 * and adjoining ones of one type are joined. `end` is the last byte, UINT64_MAX for "to the end of
 * the file".
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include "files.h"

struct record_lock {
    struct record_lock *next;
    uint64_t start, end;
    int pid;
    short type; /* F_RDLCK or F_WRLCK */
};

struct flock_holder {
    struct flock_holder *next;
    struct file *file;
    bool exclusive;
};

/** struct flock of the system call. */
struct lock_request {
    short type, whence;
    int pad;
    int64_t start, length;
    int pid, pad2;
};

static bool overlap(const struct record_lock *l, uint64_t start, uint64_t end)
{
    return l->start <= end && start <= l->end;
}

static struct record_lock *conflict(struct vnode *v, const struct record_lock *want)
{
    for (struct record_lock *l = v->locks; l != NULL; l = l->next) {
        if (l->pid != want->pid && overlap(l, want->start, want->end) &&
            (l->type == F_WRLCK || want->type == F_WRLCK)) {
            return l;
        }
    }
    return NULL;
}

static void insert(struct vnode *v, struct record_lock *new)
{
    struct record_lock **link = &v->locks;

    while (*link != NULL && (*link)->start < new->start) {
        link = &(*link)->next;
    }
    new->next = *link;
    *link = new;
}

/** Takes [start, end] out of a process's locks; `spare` serves a lock that falls into two. */
static void cut(struct vnode *v, int pid, uint64_t start, uint64_t end, struct record_lock **spare)
{
    for (struct record_lock **link = &v->locks; *link != NULL;) {
        struct record_lock *l = *link;

        if (l->pid != pid || !overlap(l, start, end)) {
            link = &l->next;
            continue;
        }
        if (l->start < start && l->end > end) {
            struct record_lock *rest = *spare;

            *rest = *l;
            rest->start = end + 1;
            l->end = start - 1;
            *spare = NULL;
            insert(v, rest);
            return;
        }
        if (l->start < start) {
            l->end = start - 1;
            link = &l->next;
        } else if (l->end > end) {
            l->start = end + 1;
            link = &l->next;
        } else {
            *link = l->next;
            free(l);
        }
    }
}

/** Joins a new lock with what adjoins it. */
static void join(struct vnode *v, struct record_lock *new)
{
    for (struct record_lock **link = &v->locks; *link != NULL;) {
        struct record_lock *l = *link;
        bool before = l->end != UINT64_MAX && l->end + 1 == new->start;
        bool behind = new->end != UINT64_MAX &&new->end + 1 == l->start;

        if (l == new || l->pid != new->pid || l->type != new->type || (!before && !behind)) {
            link = &l->next;
            continue;
        }
        new->start = before ? l->start : new->start;
        new->end = behind ? l->end : new->end;
        *link = l->next;
        free(l);
    }
}

static long set_lock(struct vnode *v, const struct record_lock *want)
{
    struct record_lock *new = malloc(sizeof(*new)), *spare = malloc(sizeof(*spare));

    if (new == NULL || spare == NULL) {
        free(new);
        free(spare);
        return -ENOLCK;
    }
    /* point of no return */
    cut(v, want->pid, want->start, want->end, &spare);
    free(spare);
    if (want->type == F_UNLCK) {
        free(new);
    } else {
        *new = *want;
        join(v, new);
        insert(v, new);
    }
    wake_all(&v->lock_queue);
    return 0;
}

void locks_release(struct vnode *v, int pid)
{
    struct record_lock *spare = NULL;

    if (v->locks != NULL) {
        cut(v, pid, 0, UINT64_MAX, &spare);
        wake_all(&v->lock_queue);
    }
}

/** The range of a request. @return 0 or -EINVAL, -EOVERFLOW */
static long range_of(struct file *f, const struct lock_request *q, struct record_lock *want)
{
    int64_t base = q->whence == SEEK_CUR   ? (int64_t)f->offset
                   : q->whence == SEEK_END ? (int64_t)file_size(f)
                                           : 0;
    int64_t start, end;

    if (q->whence != SEEK_SET && q->whence != SEEK_CUR && q->whence != SEEK_END) {
        return -EINVAL;
    }
    if (q->type != F_RDLCK && q->type != F_WRLCK && q->type != F_UNLCK) {
        return -EINVAL;
    }
    if (__builtin_add_overflow(base, q->start, &start) ||
        __builtin_add_overflow(start, q->length, &end)) {
        return -EOVERFLOW;
    }
    if (q->length < 0) {
        int64_t first = end;

        end = start;
        start = first;
    }
    if (start < 0) {
        return -EINVAL;
    }
    want->start = (uint64_t)start;
    want->end = q->length == 0 ? UINT64_MAX : (uint64_t)end - 1;
    want->type = q->type;
    want->pid = process_pid(thread_process(current));
    return 0;
}

static long tell_conflict(struct vnode *v, struct lock_request *q, const struct record_lock *want,
                          uint64_t argument)
{
    struct record_lock *l = conflict(v, want);

    if (l == NULL) {
        q->type = F_UNLCK;
    } else {
        q->type = l->type;
        q->whence = SEEK_SET;
        q->start = (int64_t)l->start;
        q->length = l->end == UINT64_MAX ? 0 : (int64_t)(l->end - l->start + 1);
        q->pid = l->pid;
    }
    return user_write(argument, q, sizeof(*q));
}

long locks_fcntl(struct file *f, int command, uint64_t argument)
{
    struct lock_request q;
    struct record_lock want = {0};
    long r;

    if (f->vnode == NULL) {
        return -EINVAL;
    }
    if (user_read(&q, argument, sizeof(q)) != 0) {
        return -EFAULT;
    }
    r = range_of(f, &q, &want);
    if (r != 0) {
        return r;
    }
    if (command == F_GETLK) {
        return tell_conflict(f->vnode, &q, &want, argument);
    }
    if ((want.type == F_RDLCK && !file_reads(f)) || (want.type == F_WRLCK && !file_writes(f))) {
        return -EBADF;
    }
    if (want.type != F_UNLCK && conflict(f->vnode, &want) != NULL) {
        return command == F_SETLK ? -EAGAIN : wait_on(&f->vnode->lock_queue, BW_NO_DEADLINE);
    }
    return set_lock(f->vnode, &want);
}

/* --- flock --- */

void flock_release(struct vnode *v, struct file *f)
{
    for (struct flock_holder **link = &v->flock; *link != NULL; link = &(*link)->next) {
        if ((*link)->file == f) {
            struct flock_holder *h = *link;

            *link = h->next;
            free(h);
            wake_all(&v->lock_queue);
            return;
        }
    }
}

static bool flock_free(const struct vnode *v, const struct file *f, bool exclusive)
{
    for (struct flock_holder *h = v->flock; h != NULL; h = h->next) {
        if (h->file != f && (h->exclusive || exclusive)) {
            return false;
        }
    }
    return true;
}

static long flock_take(struct vnode *v, struct file *f, bool exclusive)
{
    struct flock_holder *h = malloc(sizeof(*h));

    if (h == NULL) {
        return -ENOLCK;
    }
    flock_release(v, f);
    *h = (struct flock_holder){v->flock, f, exclusive};
    v->flock = h;
    return 0;
}

long sys_flock(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct file *file = file_of(a);
    uint64_t operation = b & ~(uint64_t)LOCK_NB;

    (void)c, (void)d, (void)e, (void)f;
    if (file == NULL || file->vnode == NULL) {
        return file == NULL ? -EBADF : -EINVAL;
    }
    if (operation == LOCK_UN) {
        flock_release(file->vnode, file);
        return 0;
    }
    if (operation != LOCK_SH && operation != LOCK_EX) {
        return -EINVAL;
    }
    if (!flock_free(file->vnode, file, operation == LOCK_EX)) {
        return b & LOCK_NB ? -EAGAIN : wait_on(&file->vnode->lock_queue, BW_NO_DEADLINE);
    }
    return flock_take(file->vnode, file, operation == LOCK_EX);
}
