/*
 * Sockets (AF_UNIX, stream): two pipes crosswise. How they are named and connected is in
 * socket_name.c. Descriptors are not passed through them.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "pipe.h"
#include "socket.h"

/** struct msghdr of the system call. */
struct message_header {
    uint64_t name;
    uint32_t name_length, pad0;
    uint64_t parts, part_count;
    uint64_t control, control_length;
    uint32_t flags, pad1;
};

/** Whether the other side was lost: told once, to who reads or who writes; then it is closed. */
static bool tell_reset(struct file *f)
{
    bool reset = f->pipe.in->reset;

    f->pipe.in->reset = false;
    return reset;
}

static long socket_read(struct file *f, struct io *io, uint64_t *offset)
{
    if (f->pipe.in == NULL) {
        return -EINVAL;
    }
    if (f->pipe.in->count == 0 && io->left > 0) {
        if (tell_reset(f)) {
            return -ECONNRESET;
        }
        if (f->pipe.in->reading_over) {
            return 0;
        }
    }
    return file_pipe.read(f, io, offset);
}

static long socket_write(struct file *f, struct io *io, uint64_t *offset)
{
    if (f->pipe.out == NULL) {
        return -ENOTCONN;
    }
    if (io->done == 0 && tell_reset(f)) { /* else the bytes that went are told first */
        return -ECONNRESET;
    }
    return file_pipe.write(f, io, offset);
}

/** Of two that are connected: each direction may be over, by either side's shutdown() or close(). */
static unsigned connected_poll(struct file *f)
{
    unsigned mask = file_pipe.poll(f);
    bool in_over = (mask & EPOLLHUP) || f->pipe.in->reading_over;
    bool out_over = (mask & EPOLLERR) || f->pipe.out->writing_over;

    mask &= ~(unsigned)(EPOLLHUP | EPOLLERR);
    mask |= in_over ? EPOLLIN | EPOLLRDNORM | EPOLLRDHUP : 0;
    mask |= out_over ? EPOLLOUT | EPOLLWRNORM : 0; /* write() does not wait, it fails */
    return mask | (in_over && out_over ? EPOLLHUP : 0);
}

static unsigned socket_poll(struct file *f)
{

    if (f->pipe.listener != NULL && f->pipe.listener->listening) {
        return f->pipe.listener->count > 0 ? EPOLLIN | EPOLLRDNORM : 0;
    }
    if (f->pipe.channel != 0) {
        return relay_poll(f);
    }
    if (f->pipe.in == NULL) {
        return EPOLLOUT | EPOLLHUP | (f->pipe.error != 0 ? EPOLLERR : 0);
    }
    return connected_poll(f);
}

static int socket_queues(struct file *f, struct wait_queue *queue[2])
{
    if (f->pipe.listener != NULL) {
        queue[0] = &f->pipe.listener->queue;
        return 1;
    }
    if (f->pipe.channel != 0) {
        queue[0] = relay_queue(f);
        return 1;
    }
    return file_pipe.queues(f, queue);
}

static long socket_ioctl(struct file *f, unsigned request, uint64_t argument)
{
    return file_pipe.ioctl(f, request, argument);
}

static void socket_close(struct file *f)
{
    if (f->pipe.listener != NULL) {
        listener_close(f->pipe.listener);
    }
    if (f->pipe.channel != 0) {
        relay_forget(f);
    }
    file_pipe.close(f);
}

const struct file_kind file_socket = {
    .name = "socket",
    .read = socket_read,
    .write = socket_write,
    .poll = socket_poll,
    .queues = socket_queues,
    .ioctl = socket_ioctl,
    .close = socket_close,
};

long socket_join(struct file *one, struct file *other)
{
    struct pipe *there = pipe_new(), *back = pipe_new();

    if (there == NULL || back == NULL) {
        free(there);
        free(back);
        return -ENOMEM;
    }
    there->readers = there->writers = back->readers = back->writers = 1;
    one->pipe.out = other->pipe.in = there;
    other->pipe.out = one->pipe.in = back;
    return 0;
}

static long socket_pair(uint32_t flags, struct file *out[2])
{
    out[0] = file_new(&file_socket, O_RDWR | flags, NULL);
    out[1] = file_new(&file_socket, O_RDWR | flags, NULL);
    if (out[0] == NULL || out[1] == NULL || socket_join(out[0], out[1]) != 0) {
        file_release(out[0]);
        file_release(out[1]);
        return -ENOMEM;
    }
    return 0;
}

long sys_socketpair(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct files *t = process_files(thread_process(current));
    uint32_t flags = b & SOCK_NONBLOCK ? O_NONBLOCK : 0;
    bool close_on_exec = (b & SOCK_CLOEXEC) != 0;
    struct file *pair[2];
    int fd[2];
    long r;

    (void)c, (void)e, (void)f;
    if (a != AF_UNIX) {
        return -EAFNOSUPPORT;
    }
    if ((b & 15) != SOCK_STREAM) {
        return -EPROTONOSUPPORT;
    }
    r = socket_pair(flags, pair);
    if (r != 0) {
        return r;
    }
    fd[0] = (int)files_install(t, pair[0], 0, close_on_exec);
    fd[1] = (int)files_install(t, pair[1], 0, close_on_exec);
    if (fd[0] >= 0 && fd[1] >= 0 && user_write(d, fd, sizeof(fd)) == 0) {
        return 0;
    }
    r = fd[0] < 0 ? fd[0] : fd[1] < 0 ? fd[1] : -EFAULT;
    files_close(t, fd[0]);
    files_close(t, fd[1]);
    return r;
}

long sys_socket(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct file *s;

    (void)c, (void)d, (void)e, (void)f;
    if (a != AF_UNIX) {
        return -EAFNOSUPPORT;
    }
    if ((b & 15) != SOCK_STREAM) {
        return -ESOCKTNOSUPPORT;
    }
    s = file_new(&file_socket, O_RDWR | (b & SOCK_NONBLOCK ? O_NONBLOCK : 0), NULL);
    return s == NULL ? -ENOMEM
                     : files_install(process_files(thread_process(current)), s, 0,
                                     (b & SOCK_CLOEXEC) != 0);
}

struct file *socket_of(uint64_t fd, long *error)
{
    struct file *f = file_of(fd);

    *error = f == NULL ? -EBADF : f->kind != &file_socket ? -ENOTSOCK : 0;
    return *error == 0 ? f : NULL;
}

/** Whether a write would only raise SIGPIPE: nothing of it has gone, and nothing else is to be told. */
static bool broken(const struct file *s)
{
    return s->pipe.out != NULL && !pipe_has_reader(s->pipe.out) && !s->pipe.in->reset &&
           *thread_progress(current) == 0;
}

/** A transfer with MSG_DONTWAIT and MSG_NOSIGNAL. */
static long transfer(struct file *s, struct io *io, uint64_t flags, bool write)
{
    uint32_t kept = s->flags;
    long r;

    if (flags & MSG_DONTWAIT) {
        s->flags |= O_NONBLOCK;
    }
    if (write && (flags & MSG_NOSIGNAL) && broken(s)) {
        r = -EPIPE;
    } else {
        r = file_transfer(s, io, NULL, write);
    }
    s->flags = kept;
    return r;
}

long sys_sendto(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct io_part part;
    struct io io;
    long r;
    struct file *s = socket_of(a, &r);

    (void)f;
    if (s == NULL || e != 0) {
        return s == NULL ? r : -EISCONN;
    }
    io_init_user(&io, &part, b, c);
    return transfer(s, &io, d, true);
}

long sys_recvfrom(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct io_part part;
    struct io io;
    uint32_t zero = 0;
    long r;
    struct file *s = socket_of(a, &r);

    if (s == NULL || (d & (MSG_PEEK | MSG_OOB))) {
        return s == NULL ? r : -EOPNOTSUPP;
    }
    if (e != 0 && f != 0 && user_write(f, &zero, sizeof(zero)) != 0) {
        return -EFAULT;
    }
    io_init_user(&io, &part, b, c);
    return transfer(s, &io, d, false);
}

static long message_transfer(uint64_t fd, uint64_t address, uint64_t flags, bool write)
{
    struct message_header h;
    struct io_part *part;
    struct io io;
    long r;
    struct file *s = socket_of(fd, &r);

    if (s == NULL) {
        return r;
    }
    if (user_read(&h, address, sizeof(h)) != 0) {
        return -EFAULT;
    }
    if (write && h.control_length != 0) {
        return -EOPNOTSUPP; /* no descriptors are passed */
    }
    r = io_read_parts(&io, &part, h.parts, h.part_count);
    if (r != 0) {
        return r;
    }
    r = transfer(s, &io, flags, write);
    free(part);
    if (r >= 0 && !write) {
        h.name_length = 0;
        h.control_length = 0;
        h.flags = 0;
        r = user_write(address, &h, sizeof(h)) == 0 ? r : -EFAULT;
    }
    return r;
}

long sys_sendmsg(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    (void)d, (void)e, (void)f;
    return message_transfer(a, b, c, true);
}

long sys_recvmsg(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    (void)d, (void)e, (void)f;
    return message_transfer(a, b, c, false);
}

long sys_shutdown(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    long r;
    struct file *s = socket_of(a, &r);

    (void)c, (void)d, (void)e, (void)f;
    if (s == NULL || b > SHUT_RDWR) {
        return s == NULL ? r : -EINVAL;
    }
    if (s->pipe.in == NULL) {
        return 0; /* as on Linux */
    }
    if (b != SHUT_WR) {
        s->pipe.in->reading_over = true;
        wake_all(&s->pipe.in->queue);
    }
    if (b != SHUT_RD) {
        s->pipe.out->writing_over = true;
        wake_all(&s->pipe.out->queue);
    }
    return 0;
}
