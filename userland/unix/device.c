/*
 * Character devices: what /dev has built in, and the memory devices.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include "files.h"

#define RDEV(major, minor) ((uint32_t)(major) << 8 | (minor))
#define CHUNK              1024u

enum {
    DEVICE_NULL = RDEV(1, 3),
    DEVICE_ZERO = RDEV(1, 5),
    DEVICE_FULL = RDEV(1, 7),
    DEVICE_RANDOM = RDEV(1, 8),
    DEVICE_URANDOM = RDEV(1, 9),
    DEVICE_SERIAL = RDEV(4, 64),
    DEVICE_TTY = RDEV(5, 0),
    DEVICE_CONSOLE = RDEV(5, 1),
};

static const struct {
    const char *name;
    uint32_t rdev;
    uint32_t permissions;
    const char *link;
} entries[] = {
    {"null", DEVICE_NULL, 0666, NULL},       {"zero", DEVICE_ZERO, 0666, NULL},
    {"full", DEVICE_FULL, 0666, NULL},       {"random", DEVICE_RANDOM, 0666, NULL},
    {"urandom", DEVICE_URANDOM, 0666, NULL}, {"tty", DEVICE_TTY, 0666, NULL},
    {"console", DEVICE_CONSOLE, 0600, NULL}, {"ttyS0", DEVICE_SERIAL, 0600, NULL},
    {"fd", 0, 0777, "/proc/self/fd"},        {"stdin", 0, 0777, "/proc/self/fd/0"},
    {"stdout", 0, 0777, "/proc/self/fd/1"},  {"stderr", 0, 0777, "/proc/self/fd/2"},
};

bool device_entry(unsigned index, const char **name, uint32_t *mode, uint32_t *rdev,
                  const char **link)
{
    if (index >= sizeof(entries) / sizeof(entries[0])) {
        return false;
    }
    *name = entries[index].name;
    *link = entries[index].link;
    *rdev = entries[index].rdev;
    *mode = (*link != NULL ? S_IFLNK : S_IFCHR) | entries[index].permissions;
    return true;
}

static long give_random(struct io *io)
{
    uint8_t bytes[CHUNK];
    long done = 0;

    while (io->left > 0 && done < 1 << 20) {
        size_t n = io->left < CHUNK ? io->left : CHUNK;
        long r;

        random_bytes(bytes, n);
        r = io_give(io, bytes, n);
        if (r <= 0) {
            return done > 0 ? done : r;
        }
        done += r;
    }
    return done;
}

static long device_read(struct file *f, struct io *io, uint64_t *offset)
{
    (void)offset;
    switch (f->device) {
    case DEVICE_NULL:
        return 0;
    case DEVICE_RANDOM:
    case DEVICE_URANDOM:
        return give_random(io);
    default:
        return io_give_zeros(io, io->left < 1 << 20 ? io->left : 1 << 20);
    }
}

static long device_write(struct file *f, struct io *io, uint64_t *offset)
{
    size_t n = io->left;

    (void)offset;
    if (f->device == DEVICE_FULL) {
        return n > 0 ? -ENOSPC : 0;
    }
    io_skip(io, n);
    return (long)n;
}

static unsigned device_poll(struct file *f)
{
    (void)f;
    return EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM;
}

const struct file_kind file_device = {
    .name = "device",
    .read = device_read,
    .write = device_write,
    .poll = device_poll,
    .seekable = true,
};

long device_open(uint32_t rdev, struct vnode *v, uint32_t flags, struct file **out)
{
    switch (rdev) {
    case DEVICE_TTY:
        return tty_open(v, flags, true, out);
    case DEVICE_CONSOLE:
    case DEVICE_SERIAL:
        return tty_open(v, flags, false, out);
    case DEVICE_NULL:
    case DEVICE_ZERO:
    case DEVICE_FULL:
    case DEVICE_RANDOM:
    case DEVICE_URANDOM:
        *out = file_new(&file_device, flags, v);
        if (*out == NULL) {
            return -ENOMEM;
        }
        (*out)->device = rdev;
        return 0;
    default:
        return -ENXIO;
    }
}
