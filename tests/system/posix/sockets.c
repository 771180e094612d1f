/*
 * Sockets with names: made, found, refused, queued up, and gone.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "posix.h"

static struct sockaddr_un address(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    memcpy(a.sun_path, path, strlen(path));
    return a;
}

static int named(int (*call)(int, const struct sockaddr *, socklen_t), int s, const char *path)
{
    struct sockaddr_un a = address(path);

    return call(s, (const struct sockaddr *)&a, sizeof(a));
}

static int unnamed(void)
{
    int s = socket(AF_UNIX, SOCK_STREAM, 0);

    YES(s >= 0);
    return s;
}

static int server(const char *path, int backlog)
{
    int s = unnamed();

    YES(named(bind, s, path) == 0 && listen(s, backlog) == 0);
    return s;
}

static int echo_three(void *listener)
{
    char text[64];

    for (int i = 0; i < 3; i++) {
        int s = accept(*(int *)listener, NULL, NULL);
        ssize_t n;

        while ((n = read(s, text, sizeof(text))) > 0) {
            if (write(s, text, (size_t)n) != n) {
                return 1;
            }
        }
        close(s);
    }
    return 0;
}

static void check_echo(void)
{
    int listener = server("echo", 5);
    pid_t pid = child(echo_three, &listener);

    close(listener);
    for (int i = 0; i < 3; i++) {
        int s = unnamed();

        YES(named(connect, s, "echo") == 0);
        YES(write(s, "hello", 5) == 5);
        YES(recv(s, buffer, 5, MSG_WAITALL) >= 1 && buffer[0] == 'h');
        YES(shutdown(s, SHUT_WR) == 0);
        while (read(s, buffer, 64) > 0) {
        }
        close(s);
    }
    YES(ended(pid) == 0);
    ERROR(named(connect, unnamed(), "echo"), ECONNREFUSED); /* the name stays, nobody listens */
    YES(unlink("echo") == 0);
    ERROR(named(connect, unnamed(), "echo"), ENOENT);
}

static void check_names_of_sockets(void)
{
    struct stat st;
    struct sockaddr_un a;
    socklen_t length = sizeof(a);
    int s = unnamed(), other = unnamed();

    ERROR(named(bind, s, "no/such"), ENOENT);
    YES(named(bind, s, "name") == 0);
    ERROR(named(bind, s, "second"), EINVAL);
    ERROR(named(bind, other, "name"), EADDRINUSE);
    ERROR(named(connect, other, "name"), ECONNREFUSED); /* it does not listen yet */
    YES(stat("name", &st) == 0 && S_ISSOCK(st.st_mode));
    ERROR(open("name", O_RDWR), ENXIO);
    YES(getsockname(s, (struct sockaddr *)&a, &length) == 0 && strcmp(a.sun_path, "name") == 0 &&
        length == offsetof(struct sockaddr_un, sun_path) + 5);
    close(file_with("plain", "x"));
    ERROR(named(connect, other, "plain"), ECONNREFUSED);
    ERROR(listen(other, 1), EINVAL);
    ERROR(accept(other, NULL, NULL), EINVAL);
    ERROR(read(other, buffer, 1), EINVAL);
    ERROR(send(other, "x", 1, MSG_NOSIGNAL), ENOTCONN);
    ERROR(accept(0, NULL, NULL), ENOTSOCK);
    close(s);
    close(other);
    YES(unlink("name") == 0);
}

static void check_queue(void)
{
    int listener = server("queue", 1), client[3], s;
    struct pollfd p = {.fd = listener, .events = POLLIN};

    YES(poll(&p, 1, 0) == 0);
    for (int i = 0; i < 3; i++) {
        client[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (i < 2) {
            YES(named(connect, client[i], "queue") == 0 && write(client[i], "abc" + i, 1) == 1);
        } else {
            ERROR(named(connect, client[i], "queue"), EAGAIN);
        }
    }
    YES(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
    s = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    YES(fcntl(s, F_GETFL) == (O_RDWR | O_NONBLOCK) && fcntl(s, F_GETFD) == FD_CLOEXEC);
    YES(read(s, buffer, 8) == 1 && buffer[0] == 'a');
    ERROR(read(s, buffer, 8), EAGAIN);
    ERROR(named(connect, client[0], "queue"), EISCONN);
    YES(named(connect, client[2], "queue") == 0);
    close(client[1]); /* before it was accepted; what it wrote is there */
    int second = accept(listener, NULL, NULL);
    YES(read(second, buffer, 8) == 1 && buffer[0] == 'b' && read(second, buffer, 8) == 0);
    close(listener); /* the third is hung up on */
    ERROR(read(client[2], buffer, 8), ECONNRESET);
    YES(read(client[2], buffer, 8) == 0);
    ERROR(send(client[2], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(client[0]);
    close(client[2]);
    close(s);
    close(second);
    YES(unlink("queue") == 0);
}

static int inherited; /* a listener that children do not keep open */

static int connect_and_say(void *path)
{
    int s;

    close(inherited);
    s = socket(AF_UNIX, SOCK_STREAM, 0);
    return named(connect, s, path) == 0 && write(s, "x", 1) == 1 ? 0 : 1;
}

static void check_waiting(void)
{
    int listener = server("wait", 0);
    pid_t pid[4];

    inherited = listener;
    for (int i = 0; i < 4; i++) {
        pid[i] = child(connect_and_say, "wait"); /* all but the first wait for room */
    }
    for (int i = 0; i < 4; i++) {
        int s = accept(listener, NULL, NULL);

        YES(read(s, buffer, 8) == 1);
        close(s);
    }
    for (int i = 0; i < 4; i++) {
        YES(ended(pid[i]) == 0);
    }
    pid[0] = child(connect_and_say, "wait");
    pid[1] = child(connect_and_say, "wait");
    usleep(50000);
    close(listener); /* one waits for room still */
    int first = ended(pid[0]), second = ended(pid[1]);
    YES((first == 0) != (second == 0)); /* the one in the queue, and the one that waited */
    YES(unlink("wait") == 0);
}

/** Who has no descriptor left loses no connection by it. */
static void check_no_descriptor(void)
{
    int listener = server("full", 5), client = unnamed(), last = -1, fd;

    YES(named(connect, client, "full") == 0 && write(client, "x", 1) == 1);
    for (fd = dup(listener); fd >= 0; fd = dup(listener)) {
        last = fd;
    }
    ERROR(accept(listener, NULL, NULL), EMFILE);
    close(last);
    fd = accept(listener, NULL, NULL);
    YES(fd == last && read(fd, buffer, 8) == 1);
    while (last > client) {
        close(last--);
    }
    close(client);
    close(listener);
    YES(unlink("full") == 0);
}

static int events(int s)
{
    struct pollfd p = {.fd = s, .events = POLLIN | POLLOUT | POLLRDHUP};

    poll(&p, 1, 0);
    return p.revents;
}

static int close_after_a_moment(void *s)
{
    close(((int *)s)[0]);
    usleep(100000);
    return 0;
}

static int option(int s, int name)
{
    int value = -1;
    socklen_t length = sizeof(value);

    return getsockopt(s, SOL_SOCKET, name, &value, &length) == 0 && length == sizeof(value)
               ? value
               : -errno;
}

static void check_options(void)
{
    int listener = server("options", 1), s = unnamed();

    YES(option(s, SO_TYPE) == SOCK_STREAM && option(s, SO_DOMAIN) == AF_UNIX);
    YES(option(s, SO_PROTOCOL) == 0 && option(s, SO_ERROR) == 0);
    YES(option(s, SO_ACCEPTCONN) == 0 && option(listener, SO_ACCEPTCONN) == 1);
    YES(option(0, SO_TYPE) == -ENOTSOCK && option(s, 12345) == -ENOPROTOOPT);
    close(s);
    close(listener);
    YES(unlink("options") == 0);
}

/** Either direction ends by itself; who waits to write is not left waiting. */
static void check_half_closed(void)
{
    int s[2];

    YES(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    YES(events(s[0]) == POLLOUT);
    YES(shutdown(s[1], SHUT_WR) == 0);
    YES(events(s[0]) == (POLLIN | POLLOUT | POLLRDHUP) && read(s[0], buffer, 8) == 0);
    YES(events(s[1]) == POLLOUT);
    YES(write(s[0], "answer", 6) == 6 && read(s[1], buffer, 8) == 6);
    close(s[1]);
    YES(events(s[0]) == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP));
    ERROR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(s[0]);

    YES(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    YES(shutdown(s[0], SHUT_RD) == 0 && read(s[0], buffer, 8) == 0);
    while (send(s[1], buffer, 4096, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
    close(s[0]);
    close(s[1]);

    YES(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    while (send(s[0], buffer, 4096, MSG_DONTWAIT) > 0) {
    }
    YES(events(s[0]) == 0);
    close(s[1]);
    YES((events(s[0]) & (POLLOUT | POLLHUP)) == (POLLOUT | POLLHUP));
    ERROR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(s[0]);

    YES(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    pid_t pid = child(close_after_a_moment, s);
    close(s[1]);
    ssize_t n = send(s[0], buffer, sizeof(buffer), MSG_NOSIGNAL); /* what went counts */
    YES(n > 0 && n < (ssize_t)sizeof(buffer));
    ERROR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(s[0]);
    YES(ended(pid) == 0);
}

void check_sockets(void)
{
    check_echo();
    check_names_of_sockets();
    check_queue();
    check_waiting();
    check_no_descriptor();
    check_half_closed();
    check_options();
}
