/*
 * Sockets with names (AF_UNIX, stream): what socket.c, which moves bytes, and socket_name.c, which
 * connects, share.
 */
#ifndef UNIX_SOCKET_H
#define UNIX_SOCKET_H

#include "files.h"

#define SOCKET_PATH_MAX 108u /* sun_path */

/** The server's half of a connection that has not been accepted yet. */
struct half {
    struct half *next;
    struct file *file;
};

struct listener {
    struct vnode *vnode; /* the name; it leads here while the socket is open */
    bool listening;
    unsigned backlog, count;
    struct half *first, *last;
    struct wait_queue queue; /* those in accept(), and those who wait for room in connect() */
    char path[SOCKET_PATH_MAX + 1];
};

/** The calling process's socket of a descriptor, or NULL and why. */
struct file *socket_of(uint64_t fd, long *error);
/** Connects two sockets by two pipes crosswise. @return 0 or -ENOMEM */
long socket_join(struct file *one, struct file *other);
/** The name goes, and those who wait to be accepted are hung up on. */
void listener_close(struct listener *l);

#endif
