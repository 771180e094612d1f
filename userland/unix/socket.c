/*
 * Socket pairs (AF_UNIX, stream): two pipes crosswise. Other sockets do not exist here.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "files.h"
#include "pipe.h"

/** struct msghdr of the system call. */
struct message_header {
    uint64_t name;
    uint32_t name_length, pad0;
    uint64_t parts, part_count;
    uint64_t control, control_length;
    uint32_t flags, pad1;
};

static long socket_read(struct file *f, struct io *io, uint64_t *offset)
{
    return file_pipe.read(f, io, offset);
}

static long socket_write(struct file *f, struct io *io, uint64_t *offset)
{
    return file_pipe.write(f, io, offset);
}

static unsigned socket_poll(struct file *f)
{
    unsigned mask = file_pipe.poll(f);

    if (mask & EPOLLERR) { /* the peer is gone: a socket says it as end of file */
        mask = (mask & ~(unsigned)EPOLLERR) | EPOLLIN | EPOLLRDHUP | EPOLLHUP;
    }
    return mask;
}

static int socket_queues(struct file *f, struct wait_queue *queue[2])
{
    return file_pipe.queues(f, queue);
}

static long socket_ioctl(struct file *f, unsigned request, uint64_t argument)
{
    return file_pipe.ioctl(f, request, argument);
}

static void socket_close(struct file *f)
{
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

long socket_pair(int type, uint32_t flags, struct file *out[2])
{
    struct pipe *there = pipe_new(), *back = pipe_new();

    (void)type;
    out[0] = file_new(&file_socket, O_RDWR | flags, NULL);
    out[1] = file_new(&file_socket, O_RDWR | flags, NULL);
    if (there == NULL || back == NULL || out[0] == NULL || out[1] == NULL) {
        free(there);
        free(back);
        file_release(out[0]);
        file_release(out[1]);
        return -ENOMEM;
    }
    there->readers = there->writers = back->readers = back->writers = 1;
    out[0]->pipe.out = out[1]->pipe.in = there;
    out[1]->pipe.out = out[0]->pipe.in = back;
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
    r = socket_pair(SOCK_STREAM, flags, pair);
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
    (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;
    return -EAFNOSUPPORT;
}

/** @return the socket of a descriptor, or NULL and why */
static struct file *socket_of(uint64_t fd, long *error)
{
    struct file *f = file_of(fd);

    *error = f == NULL ? -EBADF : f->kind != &file_socket ? -ENOTSOCK : 0;
    return *error == 0 ? f : NULL;
}

/** A transfer with MSG_DONTWAIT and MSG_NOSIGNAL. */
static long transfer(struct file *s, struct io *io, uint64_t flags, bool write)
{
    uint32_t kept = s->flags;
    long r;

    if (flags & MSG_DONTWAIT) {
        s->flags |= O_NONBLOCK;
    }
    if (write && (flags & MSG_NOSIGNAL) && !pipe_has_reader(s->pipe.out)) {
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

/** Orders on sockets that a pair does not know; a wrong descriptor is told first. */
static long not_for_pairs(uint64_t fd, long otherwise)
{
    long r;

    return socket_of(fd, &r) == NULL ? r : otherwise;
}

#define PAIR_CALL(name, result)                                                                    \
    long sys_##name(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)        \
    {                                                                                              \
        (void)b, (void)c, (void)d, (void)e, (void)f;                                               \
        return not_for_pairs(a, result);                                                           \
    }

PAIR_CALL(connect, -EISCONN)
PAIR_CALL(accept, -EINVAL)
PAIR_CALL(accept4, -EINVAL)
PAIR_CALL(bind, -EINVAL)
PAIR_CALL(listen, -EINVAL)
PAIR_CALL(setsockopt, -ENOPROTOOPT)

static long give_name(uint64_t fd, uint64_t address, uint64_t length_address)
{
    uint16_t family = AF_UNIX;
    uint32_t length;
    long r;

    if (socket_of(fd, &r) == NULL) {
        return r;
    }
    if (user_read(&length, length_address, sizeof(length)) != 0) {
        return -EFAULT;
    }
    if (user_write(address, &family, length < sizeof(family) ? length : sizeof(family)) != 0) {
        return -EFAULT;
    }
    length = sizeof(family);
    return user_write(length_address, &length, sizeof(length));
}

long sys_getsockname(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    (void)d, (void)e, (void)f;
    return give_name(a, b, c);
}

long sys_getpeername(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    (void)d, (void)e, (void)f;
    return give_name(a, b, c);
}

long sys_getsockopt(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    uint32_t length = sizeof(int);
    int value;
    long r;

    (void)f;
    if (socket_of(a, &r) == NULL) {
        return r;
    }
    if (b != SOL_SOCKET || (c != SO_TYPE && c != SO_ERROR && c != SO_DOMAIN)) {
        return -ENOPROTOOPT;
    }
    value = c == SO_TYPE ? SOCK_STREAM : c == SO_DOMAIN ? AF_UNIX : 0;
    if (user_write(d, &value, sizeof(value)) != 0) {
        return -EFAULT;
    }
    return user_write(e, &length, sizeof(length));
}
