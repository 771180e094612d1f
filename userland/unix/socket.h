/*
 * Sockets with names (AF_UNIX, stream): what socket.c, which moves bytes, and socket_name.c, which
 * connects, share.
 */
#ifndef UNIX_SOCKET_H
#define UNIX_SOCKET_H

#include <bailiwick/link.h>
#include "files.h"

#define SOCKET_PATH_MAX 108u /* sun_path */

/** The server's half of a connection that has not been accepted yet. */
struct half {
    struct half *next;
    struct file *file;
};

struct listener {
    struct vnode *vnode; /* the name; it leads here while the socket is open. NULL: */
    unsigned channel;    /* + 1: the name is for other districts */
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
/** A new half for those that listener_close and accept know. @return 0 or -ENOMEM */
long listener_add(struct listener *l, struct file *half);
/** The name goes, and those who wait to be accepted are hung up on. */
void listener_close(struct listener *l);

/* socket_relay.c: sockets whose other end is in another district */

/** Splits "/district/NAME/PATH". @return false: it is another path */
bool relay_path(const char *path, char district[DISTRICT_NAME_MAX], char name[LINK_NAME_MAX]);
/** Whether that is this district. */
bool relay_is_here(const char *district);
long relay_bind(struct listener *l, const char *district, const char *name);
void relay_listen(struct listener *l);
void relay_unbind(struct listener *l);
/** @return 0, -errno or BLOCKED */
long relay_connect(struct file *s, const char *district, const char *name);
/** A socket that is being connected is closed. */
void relay_forget(struct file *s);
unsigned relay_poll(const struct file *s);
struct wait_queue *relay_queue(const struct file *s);

#endif
