/*
 * writer [-n] PATH: writes to a socket for ever and never reads; says how that ended. With -n nothing blocks: it connects
 * as a library with time limits does, and waits until it may write.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/** Of a connect() that goes on by itself. */
static int outcome(struct pollfd *p)
{
    socklen_t length = sizeof(errno);

    return poll(p, 1, -1) == 1 && getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &errno, &length) == 0
               ? errno
               : -1;
}

int main(int argc, char **argv)
{
    static const char bytes[10000];
    int flags = argc > 2 ? SOCK_NONBLOCK : 0;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct pollfd p = {.fd = socket(AF_UNIX, SOCK_STREAM | flags, 0), .events = POLLOUT};

    signal(SIGPIPE, SIG_IGN);
    strncpy(a.sun_path, argv[argc - 1], sizeof(a.sun_path) - 1);
    if (connect(p.fd, (const struct sockaddr *)&a, sizeof(a)) != 0 &&
        (errno != EINPROGRESS || outcome(&p) != 0)) {
        perror("connect");
        return 1;
    }
    puts("connected");
    fflush(stdout);
    while ((flags == 0 || poll(&p, 1, -1) == 1) && send(p.fd, bytes, sizeof(bytes), 0) >= 0) {
    }
    perror("send");
    return 0;
}
