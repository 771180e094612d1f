/*
 * impatient PATH: connects again and again, each time without waiting for longer than a moment, and says how often it has
 * succeeded.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TIMES 200

int main(int argc, char **argv)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int connected = 0;

    strncpy(a.sun_path, argv[argc - 1], sizeof(a.sun_path) - 1);
    for (int i = 0; i < TIMES; i++) {
        struct pollfd p = {.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0),
                           .events = POLLOUT};
        int error = connect(p.fd, (const struct sockaddr *)&a, sizeof(a)) == 0 ? 0 : errno;
        socklen_t length = sizeof(error);

        if (error == EINPROGRESS && poll(&p, 1, i % 4) == 1) {
            getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &error, &length);
        }
        connected += error == 0;
        close(p.fd);
    }
    printf("%d times\n", connected);
    return 0;
}
