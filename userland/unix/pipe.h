/*
 * A pipe: a ring of bytes with two sides. Used by pipes, fifos and socket pairs; it knows files and
 * waiting only through unix.h, and is tested on the host.
 *
 * Invariants: count <= PIPE_SIZE; bytes are at ring[(start + i) % PIPE_SIZE]; a write of at most
 * PIPE_ATOMIC bytes is taken whole or not at all; whatever may end somebody's wait wakes the queue.
 */
#ifndef UNIX_PIPE_H
#define UNIX_PIPE_H

#include "unix.h"
#include "io.h"

#define PIPE_SIZE   65536u
#define PIPE_ATOMIC 4096u

struct vnode;

struct pipe {
    uint8_t *ring; /* made by the first write */
    uint32_t start, count;
    unsigned readers, writers;       /* open ends */
    bool reading_over, writing_over; /* shutdown() of a socket */
    bool reset;                      /* of a socket: the other side was lost, not closed */
    struct wait_queue queue;
    /* of a fifo: */
    struct vnode *vnode;
    struct wait_queue open_readers, open_writers; /* those who wait in open() */
    unsigned coming_readers, coming_writers;      /* of them: those whose other side has come */
};

struct pipe *pipe_new(void); /* NULL: no memory */
/** @return bytes, 0 at the end, -EAGAIN, or what wait_on() said */
long pipe_read(struct pipe *p, struct io *io, bool nonblock);
/** @return bytes, -EPIPE, -EAGAIN, or what wait_on() said (what was written is in io->done) */
long pipe_write(struct pipe *p, struct io *io, bool nonblock);
bool pipe_has_reader(const struct pipe *p);
bool pipe_has_writer(const struct pipe *p);
void pipe_close_reader(struct pipe *p);
void pipe_close_writer(struct pipe *p);
void pipe_free(struct pipe *p);

#endif
