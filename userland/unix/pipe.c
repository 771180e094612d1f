/*
 * The ring of a pipe; pipe.h has the invariants.
 */
#include <errno.h>
#include <stdlib.h>
#include "pipe.h"

struct pipe *pipe_new(void)
{
    return calloc(1, sizeof(struct pipe));
}

void pipe_free(struct pipe *p)
{
    wake_all(&p->queue);
    free(p->ring);
    free(p);
}

bool pipe_has_reader(const struct pipe *p)
{
    return !p->reading_over && p->readers + p->coming_readers > 0;
}

bool pipe_has_writer(const struct pipe *p)
{
    return !p->writing_over && p->writers + p->coming_writers > 0;
}

long pipe_read(struct pipe *p, struct io *io, bool nonblock)
{
    size_t done = 0;

    if (io->left == 0) {
        return 0;
    }
    if (p->count == 0) {
        if (!pipe_has_writer(p)) {
            return 0;
        }
        return nonblock ? -EAGAIN : wait_on(&p->queue, BW_NO_DEADLINE);
    }
    while (p->count > 0 && io->left > 0) {
        uint32_t n = PIPE_SIZE - p->start;
        long r;

        n = n > p->count ? p->count : n;
        r = io_give(io, p->ring + p->start, n);
        if (r <= 0) {
            return done > 0 ? (long)done : r;
        }
        p->start = (p->start + (uint32_t)r) % PIPE_SIZE;
        p->count -= (uint32_t)r;
        done += (size_t)r;
    }
    wake_all(&p->queue);
    return (long)done;
}

/** Puts what fits. @return bytes or -EFAULT */
static long put(struct pipe *p, struct io *io)
{
    size_t done = 0;

    while (p->count < PIPE_SIZE && io->left > 0) {
        uint32_t at = (p->start + p->count) % PIPE_SIZE;
        uint32_t n = PIPE_SIZE - p->count;
        long r;

        n = n > PIPE_SIZE - at ? PIPE_SIZE - at : n;
        r = io_take(io, p->ring + at, n);
        if (r <= 0) {
            return done > 0 ? (long)done : r;
        }
        p->count += (uint32_t)r;
        done += (size_t)r;
    }
    return (long)done;
}

long pipe_write(struct pipe *p, struct io *io, bool nonblock)
{
    bool atomic = io->left + io->done <= PIPE_ATOMIC;
    long r;

    if (io->left == 0) {
        return 0;
    }
    if (!pipe_has_reader(p)) {
        return -EPIPE;
    }
    if (p->ring == NULL && (p->ring = malloc(PIPE_SIZE)) == NULL) {
        return -ENOMEM;
    }
    if (PIPE_SIZE - p->count < (atomic ? io->left : 1)) {
        return nonblock ? -EAGAIN : wait_on(&p->queue, BW_NO_DEADLINE);
    }
    r = put(p, io);
    if (r > 0) {
        wake_all(&p->queue);
    }
    if (r > 0 && io->left > 0 && !nonblock) {
        return wait_on(&p->queue, BW_NO_DEADLINE);
    }
    return r;
}

void pipe_close_reader(struct pipe *p)
{
    p->readers--;
    wake_all(&p->queue);
}

void pipe_close_writer(struct pipe *p)
{
    p->writers--;
    wake_all(&p->queue);
}
