/*
 * Waiting: poll, select, epoll, eventfd; signals that end a wait, and those that do not; locks.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/select.h>
#include <time.h>
#include "posix.h"

static int ends[2];

static int write_late(void *unused)
{
    (void)unused;
    usleep(100000);
    return write(ends[1], "z", 1) == 1 ? 0 : 1;
}

static long milliseconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void check_poll(void)
{
    struct pollfd set[] = {{ends[0], POLLIN, 0}, {ends[1], POLLOUT, 0}}, bad = {300, POLLIN, 0};
    long begin;
    pid_t pid;

    YES(poll(set, 2, 1000) == 1 && set[1].revents == POLLOUT && set[0].revents == 0);
    begin = milliseconds();
    YES(poll(set, 1, 100) == 0 && milliseconds() - begin >= 99);
    pid = child(write_late, NULL);
    YES(poll(set, 1, 20000) == 1 && set[0].revents == POLLIN && read(ends[0], buffer, 1) == 1);
    YES(ended(pid) == 0);
    YES(poll(&bad, 1, 0) == 1 && bad.revents == POLLNVAL);
}

static void check_select(void)
{
    struct timeval t = {0, 50000};
    fd_set set;

    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    YES(select(ends[0] + 1, &set, NULL, NULL, &t) == 0 && !FD_ISSET(ends[0], &set));
    YES(write(ends[1], "q", 1) == 1);
    FD_SET(ends[0], &set);
    YES(select(ends[0] + 1, &set, NULL, NULL, NULL) == 1 && FD_ISSET(ends[0], &set));
    YES(read(ends[0], buffer, 1) == 1);
    FD_ZERO(&set);
    FD_SET(300, &set);
    ERROR(select(301, &set, NULL, NULL, &t), EBADF);
}

static void check_epoll(void)
{
    struct epoll_event event = {EPOLLIN, {.u64 = 42}}, out[4];
    int set = epoll_create1(EPOLL_CLOEXEC), counter = eventfd(3, EFD_NONBLOCK), other;
    uint64_t value;
    pid_t pid;

    YES(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event) == 0);
    ERROR(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event), EEXIST);
    YES(epoll_wait(set, out, 4, 50) == 0);
    pid = child(write_late, NULL);
    YES(epoll_wait(set, out, 4, 20000) == 1 && out[0].events == EPOLLIN && out[0].data.u64 == 42);
    YES(ended(pid) == 0);
    YES(read(counter, &value, 8) == 8 && value == 3);
    ERROR(read(counter, &value, 8), EAGAIN);
    YES(write(counter, &value, 8) == 8);
    event.data.u64 = 7;
    YES(epoll_ctl(set, EPOLL_CTL_ADD, counter, &event) == 0 && epoll_wait(set, out, 4, 0) == 2);
    other = dup(ends[0]); /* the file stays in the set until its last descriptor goes */
    close(ends[0]);
    YES(epoll_wait(set, out, 4, 0) == 2);
    close(other);
    YES(epoll_wait(set, out, 4, 0) == 1 && out[0].data.u64 == 7);
    close(set);
    close(counter);
    close(ends[1]);
}

static void ignore(int signal)
{
    (void)signal;
}

static void check_interruption(void)
{
    struct sigaction action = {.sa_handler = ignore};
    struct pollfd set;
    pid_t pid;

    YES(pipe(ends) == 0);
    set = (struct pollfd){ends[0], POLLIN, 0};
    sigaction(SIGALRM, &action, NULL);
    ualarm(50000, 0);
    ERROR(poll(&set, 1, 20000), EINTR);
    ualarm(50000, 0);
    ERROR(read(ends[0], buffer, 1), EINTR);
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    pid = child(write_late, NULL);
    ualarm(50000, 0);
    YES(read(ends[0], buffer, 1) == 1 && ended(pid) == 0);
    ualarm(50000, 0);
    ERROR(poll(&set, 1, 20000), EINTR); /* SA_RESTART or not */
    close(ends[0]);
    close(ends[1]);
}

void check_waits(void)
{
    YES(pipe(ends) == 0);
    check_poll();
    check_select();
    check_epoll();
    check_interruption();
}

/* --- locks --- */

static int locks_of_another(void *unused)
{
    int fd = open("lock", O_RDWR);
    struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 15, .l_len = 1};

    (void)unused;
    if (fcntl(fd, F_SETLK, &l) != -1 || errno != EAGAIN) {
        return 1;
    }
    if (fcntl(fd, F_GETLK, &l) != 0 || l.l_type != F_WRLCK || l.l_pid != getppid() ||
        l.l_start != 10 || l.l_len != 10) {
        return 2;
    }
    l = (struct flock){.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 20, .l_len = 0};
    if (fcntl(fd, F_SETLK, &l) != 0) {
        return 3;
    }
    l = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 10};
    return fcntl(fd, F_SETLKW, &l) == 0 ? 0 : 4;
}

static int flock_of_another(void *unused)
{
    (void)unused;
    return flock(open("lock", O_RDWR), LOCK_SH) == 0 ? 0 : 1;
}

void check_locks(void)
{
    int fd = file_with("lock", ""), again = open("lock", O_RDWR);
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10};
    pid_t pid;

    YES(fcntl(fd, F_SETLK, &l) == 0);
    pid = child(locks_of_another, NULL);
    usleep(100000);
    l = (struct flock){.l_type = F_UNLCK, .l_whence = SEEK_SET};
    YES(fcntl(fd, F_SETLK, &l) == 0 && ended(pid) == 0);
    YES(flock(fd, LOCK_EX) == 0);
    ERROR(flock(again, LOCK_EX | LOCK_NB), EAGAIN);
    pid = child(flock_of_another, NULL);
    usleep(50000);
    YES(flock(fd, LOCK_UN) == 0 && ended(pid) == 0);
    close(fd);
    close(again);
}
