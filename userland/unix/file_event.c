/*
 * eventfd: a counter as an open file.
 */
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include "files.h"

#define COUNT_MAX (UINT64_MAX - 1)

static long event_read(struct file *f, struct io *io, uint64_t *offset)
{
    uint64_t value;
    long r;

    (void)offset;
    if (io->left < sizeof(value)) {
        return -EINVAL;
    }
    if (f->event.count == 0) {
        return f->flags & O_NONBLOCK ? -EAGAIN : wait_on(&f->event.queue, BW_NO_DEADLINE);
    }
    value = f->event.semaphore ? 1 : f->event.count;
    r = io_give(io, &value, sizeof(value));
    if (r == sizeof(value)) {
        f->event.count -= value;
        wake_all(&f->event.queue);
    }
    return r;
}

static long event_write(struct file *f, struct io *io, uint64_t *offset)
{
    uint64_t value;

    (void)offset;
    if (io->left < sizeof(value)) {
        return -EINVAL;
    }
    if (io_take(io, &value, sizeof(value)) != sizeof(value)) {
        return -EFAULT;
    }
    if (value > COUNT_MAX) {
        io->done = 0;
        return -EINVAL;
    }
    if (COUNT_MAX - f->event.count < value) {
        io->done = 0; /* nothing was taken: the next run takes it again */
        return f->flags & O_NONBLOCK ? -EAGAIN : wait_on(&f->event.queue, BW_NO_DEADLINE);
    }
    f->event.count += value;
    wake_all(&f->event.queue);
    return sizeof(value);
}

static unsigned event_poll(struct file *f)
{
    return (f->event.count > 0 ? EPOLLIN | EPOLLRDNORM : 0) |
           (f->event.count < COUNT_MAX ? EPOLLOUT | EPOLLWRNORM : 0);
}

static int event_queues(struct file *f, struct wait_queue *queue[2])
{
    queue[0] = &f->event.queue;
    return 1;
}

static void event_close(struct file *f)
{
    wake_all(&f->event.queue);
}

const struct file_kind file_event = {
    .name = "[eventfd]",
    .read = event_read,
    .write = event_write,
    .poll = event_poll,
    .queues = event_queues,
    .close = event_close,
};

long event_new(uint64_t count, uint32_t flags, struct file **out)
{
    struct file *f = file_new(&file_event, O_RDWR | (flags & O_NONBLOCK), NULL);

    if (f == NULL) {
        return -ENOMEM;
    }
    f->event.count = count;
    f->event.semaphore = (flags & EFD_SEMAPHORE) != 0;
    *out = f;
    return 0;
}
