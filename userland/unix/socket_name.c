/*
 * Sockets with names: bind() makes a name in the file tree, listen() lets others connect to it, and
 * each connect() makes both halves of the connection at once; accept() only fetches the other half.
 * So a client may write before it is accepted, as on Linux. A name below /district is for other
 * districts: socket_relay.c.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "pipe.h"
#include "socket.h"
#include "sys_file.h"

#define BACKLOG_MAX 128u

/** struct sockaddr_un. */
struct address {
    uint16_t family;
    char path[SOCKET_PATH_MAX + 1]; /* with a NUL that the user may leave out */
};

static long read_address(struct address *to, uint64_t from, uint64_t length)
{
    memset(to, 0, sizeof(*to));
    if (length < sizeof(to->family) || length > sizeof(to->family) + SOCKET_PATH_MAX) {
        return -EINVAL;
    }
    if (user_read(to, from, length) != 0) {
        return -EFAULT;
    }
    return to->family == AF_UNIX ? 0 : -EAFNOSUPPORT;
}

/** Walks to the name. The abstract ones, which begin with a NUL, do not exist here. */
static long walk_address(const struct address *a, unsigned flags, struct walk *w)
{
    const struct directory *d = own_directory();

    return a->path[0] == 0 ? -EINVAL : path_walk(d, d->cwd->place, a->path, flags, w);
}

/* --- the server's side --- */

static long make_name(const struct address *a, struct vnode **v)
{
    struct walk w;
    long r = walk_address(a, WALK_PARENT | WALK_NOFOLLOW, &w);

    if (r != 0) {
        return r;
    }
    if (w.found) {
        return -EADDRINUSE;
    }
    if (w.parent.kind != PLACE_TREE || w.trailing) {
        return w.trailing ? -ENOENT : -EPERM;
    }
    r = filetree_make((uint32_t)w.parent.id, w.name, S_IFSOCK | (0777 & ~own_directory()->umask),
                      0);
    if (r < 0) {
        return r;
    }
    *v = vnode_get((struct place){PLACE_TREE, (uint64_t)r});
    return *v != NULL ? 0 : -ENOMEM;
}

CALL(bind)
{
    char district[DISTRICT_NAME_MAX], name[LINK_NAME_MAX];
    struct address address;
    struct listener *l;
    long r;
    struct file *s = socket_of(a, &r);

    UNUSED3;
    if (s == NULL || (r = read_address(&address, b, c)) != 0) {
        return r;
    }
    if (s->pipe.listener != NULL || s->pipe.in != NULL) {
        return -EINVAL;
    }
    l = calloc(1, sizeof(*l));
    if (l == NULL) {
        return -ENOMEM;
    }
    r = relay_path(address.path, district, name) ? relay_bind(l, district, name)
                                                 : make_name(&address, &l->vnode);
    if (r != 0) {
        free(l);
        return r;
    }
    memcpy(l->path, address.path, sizeof(l->path));
    if (l->vnode != NULL) {
        l->vnode->listener = l;
    }
    s->pipe.listener = l;
    return 0;
}

CALL(listen)
{
    long r;
    struct file *s = socket_of(a, &r);

    UNUSED4;
    if (s == NULL || s->pipe.listener == NULL) {
        return s == NULL ? r : -EINVAL;
    }
    s->pipe.listener->listening = true;
    s->pipe.listener->backlog = (int)b < 0 || b > BACKLOG_MAX ? BACKLOG_MAX : (unsigned)b;
    if (s->pipe.listener->channel != 0) {
        relay_listen(s->pipe.listener);
    }
    wake_all(&s->pipe.listener->queue);
    return 0;
}

void listener_close(struct listener *l)
{
    wake_all(&l->queue);
    while (l->first != NULL) {
        struct half *h = l->first;

        l->first = h->next;
        h->file->pipe.out->reset = true;
        file_release(h->file);
        free(h);
    }
    if (l->channel != 0) {
        relay_unbind(l);
    } else {
        l->vnode->listener = NULL;
        vnode_release(l->vnode);
    }
    free(l);
}

/** Tells the address of a peer that has no name. */
static long give_unnamed(uint64_t address, uint64_t length_address)
{
    uint16_t family = AF_UNIX;
    uint32_t length;

    if (user_read(&length, length_address, sizeof(length)) != 0 ||
        user_write(address, &family, length < sizeof(family) ? length : sizeof(family)) != 0) {
        return -EFAULT;
    }
    length = sizeof(family);
    return user_write(length_address, &length, sizeof(length));
}

static long accept_half(uint64_t fd, uint64_t address, uint64_t length_address, uint64_t flags)
{
    long r;
    struct file *s = socket_of(fd, &r);
    struct listener *l = s == NULL ? NULL : s->pipe.listener;
    struct half *h;

    if (s == NULL || l == NULL || !l->listening ||
        (flags & ~(uint64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC))) {
        return s == NULL ? r : -EINVAL;
    }
    h = l->first;
    if (h == NULL) {
        return s->flags & O_NONBLOCK ? -EAGAIN : wait_on(&l->queue, BW_NO_DEADLINE);
    }
    if (address != 0 && (r = give_unnamed(address, length_address)) != 0) {
        return r;
    }
    h->file->references++;
    r = files_install(own_files(), h->file, 0, (flags & SOCK_CLOEXEC) != 0);
    if (r < 0) { /* it stays in the queue */
        return r;
    }
    if (flags & SOCK_NONBLOCK) {
        h->file->flags |= O_NONBLOCK;
    }
    l->first = h->next;
    l->count--;
    wake_all(&l->queue); /* there is room for another one */
    file_release(h->file);
    free(h);
    return r;
}

CALL(accept)
{
    UNUSED3;
    return accept_half(a, b, c, 0);
}

CALL(accept4)
{
    UNUSED2;
    return accept_half(a, b, c, d);
}

/* --- the client's side --- */

long listener_add(struct listener *l, struct file *half)
{
    struct half *h = calloc(1, sizeof(*h));

    if (h == NULL) {
        return -ENOMEM;
    }
    h->file = half;
    if (l->first == NULL) {
        l->first = h;
    } else {
        l->last->next = h;
    }
    l->last = h;
    l->count++;
    wake_all(&l->queue);
    return 0;
}

/** Makes both halves and leaves the server's with the listener. */
static long meet(struct file *s, struct listener *l)
{
    struct file *other = file_new(&file_socket, O_RDWR, NULL);

    if (other == NULL || socket_join(s, other) != 0 || listener_add(l, other) != 0) {
        file_release(other); /* if they are joined already, the socket finds itself hung up on */
        return -ENOMEM;
    }
    return 0;
}

CALL(connect)
{
    char district[DISTRICT_NAME_MAX], name[LINK_NAME_MAX];
    struct address address;
    struct walk w;
    struct vnode *v;
    long r;
    struct file *s = socket_of(a, &r);

    UNUSED3;
    if (s == NULL || (r = read_address(&address, b, c)) != 0) {
        return r;
    }
    if (s->pipe.listener == NULL && relay_path(address.path, district, name)) {
        return relay_connect(s, district, name);
    }
    if (s->pipe.in != NULL || s->pipe.listener != NULL) {
        return s->pipe.in != NULL ? -EISCONN : -EINVAL;
    }
    r = walk_address(&address, 0, &w);
    if (r != 0 || !S_ISSOCK(place_mode(w.place))) {
        return r != 0 ? r : -ECONNREFUSED;
    }
    v = vnode_get(w.place);
    if (v == NULL || v->listener == NULL || !v->listener->listening) {
        r = v == NULL ? -ENOMEM : -ECONNREFUSED;
    } else if (v->listener->count > v->listener->backlog) {
        r = s->flags & O_NONBLOCK ? -EAGAIN : wait_on(&v->listener->queue, BW_NO_DEADLINE);
    } else {
        r = meet(s, v->listener);
    }
    vnode_release(v);
    return r;
}

/* --- what a socket says of itself --- */

CALL(getsockname)
{
    struct address name = {.family = AF_UNIX};
    uint32_t length, whole = sizeof(name.family);
    long r;
    const struct file *s = socket_of(a, &r);

    UNUSED3;
    if (s == NULL) {
        return r;
    }
    if (s->pipe.listener != NULL) {
        memcpy(name.path, s->pipe.listener->path, sizeof(name.path));
        whole += (uint32_t)strlen(name.path) + 1;
    }
    if (user_read(&length, c, sizeof(length)) != 0 ||
        user_write(b, &name, length < whole ? length : whole) != 0) {
        return -EFAULT;
    }
    return user_write(c, &whole, sizeof(whole));
}

CALL(getpeername)
{
    long r;
    const struct file *s = socket_of(a, &r);

    UNUSED3;
    if (s == NULL || s->pipe.in == NULL) {
        return s == NULL ? r : -ENOTCONN;
    }
    return give_unnamed(b, c);
}

CALL(setsockopt)
{
    long r;

    UNUSED1;
    (void)d, (void)e;
    if (socket_of(a, &r) == NULL) {
        return r;
    }
    if (b != SOL_SOCKET) {
        return -ENOPROTOOPT;
    }
    switch (c) { /* what means nothing between processes of one machine */
    case SO_REUSEADDR:
    case SO_KEEPALIVE:
    case SO_SNDBUF:
    case SO_RCVBUF:
    case SO_LINGER:
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

CALL(getsockopt)
{
    uint32_t length = sizeof(int);
    int value;
    long r;
    struct file *s = socket_of(a, &r);

    UNUSED1;
    if (s == NULL || b != SOL_SOCKET) {
        return s == NULL ? r : -ENOPROTOOPT;
    }
    switch (c) {
    case SO_TYPE:
        value = SOCK_STREAM;
        break;
    case SO_DOMAIN:
        value = AF_UNIX;
        break;
    case SO_PROTOCOL:
        value = 0;
        break;
    case SO_ERROR:
        value = s->pipe.error;
        s->pipe.error = 0;
        break;
    case SO_ACCEPTCONN:
        value = s->pipe.listener != NULL && s->pipe.listener->listening;
        break;
    default:
        return -ENOPROTOOPT;
    }
    if (user_write(d, &value, sizeof(value)) != 0) {
        return -EFAULT;
    }
    return user_write(e, &length, sizeof(length));
}
