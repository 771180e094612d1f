/*
 * Pipes and fifos as open files.
 *
 * open() of a fifo waits for the other side. The call is run again from its start when it is woken,
 * and it may be killed instead; so a waiting opener is counted nowhere but in its queue, and the
 * side that comes counts those it let in (coming_*) until they have arrived.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include "files.h"
#include "pipe.h"

static bool nonblocking(const struct file *f)
{
    return (f->flags & O_NONBLOCK) != 0;
}

static long file_pipe_read(struct file *f, struct io *io, uint64_t *offset)
{
    (void)offset;
    return f->pipe.in == NULL ? -EBADF : pipe_read(f->pipe.in, io, nonblocking(f));
}

static long file_pipe_write(struct file *f, struct io *io, uint64_t *offset)
{
    (void)offset;
    return f->pipe.out == NULL ? -EBADF : pipe_write(f->pipe.out, io, nonblocking(f));
}

static unsigned file_pipe_poll(struct file *f)
{
    unsigned mask = 0;

    if (f->pipe.in != NULL) {
        mask |= f->pipe.in->count > 0 ? EPOLLIN | EPOLLRDNORM : 0;
        mask |= !pipe_has_writer(f->pipe.in) ? EPOLLHUP : 0;
    }
    if (f->pipe.out != NULL) {
        mask |= PIPE_SIZE - f->pipe.out->count >= PIPE_ATOMIC ? EPOLLOUT | EPOLLWRNORM : 0;
        mask |= !pipe_has_reader(f->pipe.out) ? EPOLLERR : 0;
    }
    return mask;
}

static int file_pipe_queues(struct file *f, struct wait_queue *queue[2])
{
    int n = 0;

    if (f->pipe.in != NULL) {
        queue[n++] = &f->pipe.in->queue;
    }
    if (f->pipe.out != NULL && f->pipe.out != f->pipe.in) {
        queue[n++] = &f->pipe.out->queue;
    }
    return n;
}

static long file_pipe_ioctl(struct file *f, unsigned request, uint64_t argument)
{
    int count;

    if (request != FIONREAD || f->pipe.in == NULL) {
        return -ENOTTY;
    }
    count = (int)f->pipe.in->count;
    return user_write(argument, &count, sizeof(count));
}

static void close_ends(struct file *f)
{
    if (f->pipe.in != NULL) {
        pipe_close_reader(f->pipe.in);
    }
    if (f->pipe.out != NULL) {
        pipe_close_writer(f->pipe.out);
    }
}

static bool unused(const struct pipe *p)
{
    return p->readers + p->writers == 0;
}

static void file_pipe_close(struct file *f)
{
    struct pipe *in = f->pipe.in, *out = f->pipe.out;

    close_ends(f);
    if (in != NULL && unused(in)) {
        pipe_free(in);
    }
    if (out != NULL && unused(out)) {
        pipe_free(out);
    }
}

static void fifo_close(struct file *f)
{
    struct pipe *p = f->pipe.in != NULL ? f->pipe.in : f->pipe.out;
    struct vnode *v = p->vnode;

    close_ends(f);
    if (unused(p)) {
        wake_all(&p->open_readers);
        wake_all(&p->open_writers);
        v->fifo = NULL;
        pipe_free(p);
        vnode_release(v);
    }
}

const struct file_kind file_pipe = {
    .name = "pipe",
    .read = file_pipe_read,
    .write = file_pipe_write,
    .poll = file_pipe_poll,
    .queues = file_pipe_queues,
    .ioctl = file_pipe_ioctl,
    .close = file_pipe_close,
};

const struct file_kind file_fifo = {
    .name = "fifo",
    .read = file_pipe_read,
    .write = file_pipe_write,
    .poll = file_pipe_poll,
    .queues = file_pipe_queues,
    .ioctl = file_pipe_ioctl,
    .close = fifo_close,
};

long pipe_pair(uint32_t flags, struct file **read_end, struct file **write_end)
{
    struct pipe *p = pipe_new();

    *read_end = file_new(&file_pipe, flags | O_RDONLY, NULL);
    *write_end = file_new(&file_pipe, flags | O_WRONLY, NULL);
    if (p == NULL || *read_end == NULL || *write_end == NULL) {
        free(p);
        file_release(*read_end);
        file_release(*write_end);
        return -ENOMEM;
    }
    p->readers = p->writers = 1;
    (*read_end)->pipe.in = p;
    (*write_end)->pipe.out = p;
    return 0;
}

/** The fifo's pipe, which keeps the vnode. */
static struct pipe *fifo_pipe(struct vnode *v)
{
    if (v->fifo == NULL) {
        v->fifo = pipe_new();
        if (v->fifo != NULL) {
            v->fifo->vnode = v;
            vnode_hold(v);
        }
    }
    return v->fifo;
}

/** May a reader go on? Lets in the writers that wait for one. */
static bool meet_writer(struct pipe *p)
{
    if (p->coming_readers > 0) {
        p->coming_readers--;
        return true;
    }
    if (p->open_writers.first != NULL && p->coming_writers == 0) {
        p->coming_writers = 1;
    }
    return p->writers + p->coming_writers > 0;
}

static bool meet_reader(struct pipe *p)
{
    if (p->coming_writers > 0) {
        p->coming_writers--;
        return true;
    }
    if (p->open_readers.first != NULL && p->coming_readers == 0) {
        p->coming_readers = 1;
    }
    return p->readers + p->coming_readers > 0;
}

static long fifo_admit(struct pipe *p, uint32_t flags)
{
    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        if (!meet_writer(p) && !(flags & O_NONBLOCK)) {
            return wait_on(&p->open_readers, BW_NO_DEADLINE);
        }
        break;
    case O_WRONLY:
        if (!meet_reader(p)) {
            return flags & O_NONBLOCK ? -ENXIO : wait_on(&p->open_writers, BW_NO_DEADLINE);
        }
        break;
    default:
        break;
    }
    return 0;
}

long fifo_open(struct vnode *v, uint32_t flags, struct file **out)
{
    struct pipe *p = fifo_pipe(v);
    struct file *f;
    long r = p != NULL ? fifo_admit(p, flags) : -ENOMEM;

    if (r != 0) {
        return r;
    }
    f = file_new(&file_fifo, flags, v);
    if (f == NULL) {
        return -ENOMEM;
    }
    if (file_reads(f)) {
        f->pipe.in = p;
        p->readers++;
        wake_all(&p->open_writers);
    }
    if (file_writes(f)) {
        f->pipe.out = p;
        p->writers++;
        wake_all(&p->open_readers);
    }
    *out = f;
    return 0;
}
