/*
 * Pipes, fifos and socket pairs: between processes that read and write in different pieces.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "posix.h"

#define NUMBERS 30000
#define BIG     500000

static int ends[2];

static int write_numbers(void *unused)
{
    (void)unused;
    close(ends[0]);
    for (int i = 0; i < NUMBERS; i++) {
        if (write(ends[1], &i, sizeof(i)) != sizeof(i)) {
            return 1;
        }
    }
    return 0;
}

static void check_many_small(void)
{
    int next = 0, number;
    size_t have = 0, used;
    ssize_t n;
    pid_t pid;

    YES(pipe(ends) == 0);
    pid = child(write_numbers, NULL);
    close(ends[1]);
    while ((n = read(ends[0], buffer + have, 5000)) > 0) {
        have += (size_t)n;
        for (used = 0; used + sizeof(number) <= have; used += sizeof(number), next++) {
            memcpy(&number, buffer + used, sizeof(number));
            YES(number == next);
        }
        memmove(buffer, buffer + used, have - used);
        have -= used;
    }
    YES(next == NUMBERS && ended(pid) == 0);
    close(ends[0]);
}

static int write_big(void *unused)
{
    static char big[BIG];

    (void)unused;
    close(ends[0]);
    for (int i = 0; i < BIG; i++) {
        big[i] = (char)(i * 7);
    }
    return write(ends[1], big, BIG) == BIG ? 0 : 1;
}

static void check_one_big(void)
{
    long got = 0;
    ssize_t n;
    pid_t pid;

    YES(pipe(ends) == 0);
    pid = child(write_big, NULL);
    close(ends[1]);
    while ((n = read(ends[0], buffer, 3333)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (buffer[i] != (char)((got + i) * 7)) {
                YES(!"the bytes are in order");
                break;
            }
        }
        got += n;
    }
    YES(got == BIG && ended(pid) == 0);
    close(ends[0]);
}

static int write_to_nobody(void *unused)
{
    (void)unused;
    close(ends[0]);
    return write(ends[1], "x", 1) == 1;
}

static void check_nobody_reads(void)
{
    int status;

    YES(pipe(ends) == 0);
    close(ends[0]);
    ends[0] = -1;
    status = ended(child(write_to_nobody, NULL));
    YES(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
    signal(SIGPIPE, SIG_IGN);
    ERROR(write(ends[1], "x", 1), EPIPE);
    signal(SIGPIPE, SIG_DFL);
    close(ends[1]);
}

static void check_nonblocking(void)
{
    long room = 0;
    int waiting;
    ssize_t n;

    YES(pipe2(ends, O_NONBLOCK) == 0);
    YES(write(ends[1], "hi", 2) == 2 && ioctl(ends[0], FIONREAD, &waiting) == 0 && waiting == 2);
    YES(read(ends[0], buffer, 10) == 2);
    ERROR(read(ends[0], buffer, 1), EAGAIN);
    ERROR(lseek(ends[0], 0, SEEK_SET), ESPIPE);
    while ((n = write(ends[1], buffer, 4096)) > 0) {
        room += n;
    }
    YES(room == 65536);
    close(ends[0]);
    close(ends[1]);
}

static int open_and_write(void *name)
{
    int fd = open(name, O_WRONLY);

    return write(fd, "fifo", 4) == 4 ? 0 : 1;
}

static int open_and_read(void *name)
{
    int fd = open(name, O_RDONLY);

    return read(fd, buffer, 10) == 2 ? 0 : 1;
}

static void check_fifo(void)
{
    pid_t pid;
    int fd;

    YES(mkfifo("fifo", 0600) == 0);
    ERROR(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
    pid = child(open_and_write, "fifo");
    fd = open("fifo", O_RDONLY);
    YES(read(fd, buffer, 10) == 4 && read(fd, buffer, 10) == 0);
    close(fd);
    YES(ended(pid) == 0);
    pid = child(open_and_read, "fifo");
    usleep(50000);
    fd = open("fifo", O_WRONLY);
    YES(write(fd, "ab", 2) == 2);
    close(fd);
    YES(ended(pid) == 0);
    pid = child(open_and_read, "fifo"); /* one that is killed while it waits */
    usleep(50000);
    kill(pid, SIGKILL);
    YES(WIFSIGNALED(ended(pid)));
    ERROR(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
}

static void check_socket_pair(void)
{
    int s[2];

    YES(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    YES(write(s[0], "ping", 4) == 4 && read(s[1], buffer, 9) == 4);
    YES(send(s[1], "pong!", 5, 0) == 5 && recv(s[0], buffer, 9, 0) == 5);
    ERROR(recv(s[0], buffer, 9, MSG_DONTWAIT), EAGAIN);
    YES(shutdown(s[0], SHUT_WR) == 0 && read(s[1], buffer, 1) == 0);
    close(s[0]);
    ERROR(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(s[1]);
    ERROR(socket(AF_INET6, SOCK_SEQPACKET, 0), EAFNOSUPPORT);
}

void check_pipes(void)
{
    check_many_small();
    check_one_big();
    check_nobody_reads();
    check_nonblocking();
    check_fifo();
    check_socket_pair();
}
