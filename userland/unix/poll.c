/*
 * poll, ppoll, select, pselect6. A call that waits enters the queues of all its files, and is run
 * again from the start when one of them wakes it; its deadline is kept in the thread's progress.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include "poll.h"
#include "process.h"

#define POLL_ALWAYS  (POLLERR | POLLHUP | POLLNVAL)
#define SELECT_MAX   1024u
#define SELECT_WORDS (SELECT_MAX / 64)

unsigned poll_file(struct file *f)
{
    return f->kind->poll != NULL ? f->kind->poll(f) : EPOLLIN | EPOLLOUT;
}

long poll_enter(struct file *f, bw_time_t deadline)
{
    struct wait_queue *queue[2];
    int n = f->kind->queues != NULL ? f->kind->queues(f, queue) : 0;
    long r = BLOCKED;

    for (int i = 0; i < n && r == BLOCKED; i++) {
        r = wait_on(queue[i], deadline);
    }
    return r;
}

bw_time_t poll_deadline(uint64_t timeout)
{
    uint64_t *progress = thread_progress(current);

    if (*progress == 0) {
        bw_time_t now = time_monotonic();

        *progress = timeout >= BW_NO_DEADLINE - now ? BW_NO_DEADLINE : now + timeout;
    }
    return *progress;
}

static struct wait_queue sleepers; /* nobody wakes it: only deadlines and signals */

long poll_sleep(bw_time_t deadline)
{
    return wait_on(&sleepers, deadline);
}

long poll_signal_mask(uint64_t address, uint64_t size)
{
    uint64_t mask;

    if (address == 0 || current->mask_saved) { /* saved: the call is run again */
        return 0;
    }
    if (size != sizeof(mask)) {
        return -EINVAL;
    }
    if (user_read(&mask, address, sizeof(mask)) != 0) {
        return -EFAULT;
    }
    current->saved_mask = current->mask;
    current->mask_saved = true;
    signal_set_mask(current, mask);
    return 0;
}

static long to_ns(int64_t seconds, int64_t part, int64_t per_second, uint64_t *ns)
{
    if (seconds < 0 || part < 0 || part >= per_second) {
        return -EINVAL;
    }
    *ns = (uint64_t)seconds > (BW_NO_DEADLINE >> 1) / 1000000000u
              ? BW_NO_DEADLINE
              : (uint64_t)seconds * 1000000000u +
                    (uint64_t)part * (1000000000u / (uint64_t)per_second);
    return 0;
}

long poll_timespec(uint64_t address, uint64_t *ns)
{
    int64_t t[2];

    *ns = BW_NO_DEADLINE;
    if (address == 0) {
        return 0;
    }
    if (user_read(t, address, sizeof(t)) != 0) {
        return -EFAULT;
    }
    return to_ns(t[0], t[1], 1000000000, ns);
}

long poll_timeval(uint64_t address, uint64_t *ns)
{
    int64_t t[2];

    *ns = BW_NO_DEADLINE;
    if (address == 0) {
        return 0;
    }
    if (user_read(t, address, sizeof(t)) != 0) {
        return -EFAULT;
    }
    if (t[1] >= 1000000) { /* select() allows it */
        t[0] += t[1] / 1000000;
        t[1] %= 1000000;
    }
    return to_ns(t[0], t[1], 1000000, ns);
}

/** Waits if nothing is ready and the time is not over. `enter` has entered the queues. */
static long wait_or_end(long entered, bw_time_t deadline)
{
    long r = entered != BLOCKED ? entered : poll_sleep(deadline);

    return r == -EINTR ? INTERRUPTED : r;
}

static bool time_over(bw_time_t deadline)
{
    return deadline != BW_NO_DEADLINE &&
           (thread_timed_out(current) || time_monotonic() >= deadline);
}

/* --- poll --- */

static unsigned scan(struct pollfd *set, size_t n)
{
    unsigned ready = 0;

    for (size_t i = 0; i < n; i++) {
        struct file *f = set[i].fd < 0 ? NULL : file_of((unsigned)set[i].fd);

        set[i].revents = 0;
        if (f != NULL) {
            set[i].revents = (short)(poll_file(f) & ((unsigned)set[i].events | POLL_ALWAYS));
        } else if (set[i].fd >= 0) {
            set[i].revents = POLLNVAL;
        }
        ready += set[i].revents != 0;
    }
    return ready;
}

static long poll_set(struct pollfd *set, size_t n, uint64_t timeout)
{
    bw_time_t deadline = poll_deadline(timeout);
    unsigned ready = scan(set, n);
    long r = BLOCKED;

    if (ready > 0 || timeout == 0 || time_over(deadline)) {
        return ready;
    }
    for (size_t i = 0; i < n && r == BLOCKED; i++) {
        if (set[i].fd >= 0) {
            r = poll_enter(file_of((unsigned)set[i].fd), deadline);
        }
    }
    return wait_or_end(r, deadline);
}

static long do_poll(uint64_t address, uint64_t n, uint64_t timeout)
{
    struct pollfd *set;
    size_t bytes = n * sizeof(*set);
    long r;

    if (n > FILES_MAX) {
        return -EINVAL;
    }
    set = malloc(bytes + 1);
    if (set == NULL) {
        return -ENOMEM;
    }
    r = user_read(set, address, bytes);
    r = r == 0 ? poll_set(set, n, timeout) : r;
    if (r >= 0 && bytes > 0 && user_write(address, set, bytes) != 0) {
        r = -EFAULT;
    }
    free(set);
    return r;
}

long sys_poll(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    (void)d, (void)e, (void)f;
    return do_poll(a, b, (int)c < 0 ? BW_NO_DEADLINE : (uint64_t)(int)c * 1000000u);
}

long sys_ppoll(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    uint64_t timeout;
    long r = poll_timespec(c, &timeout);

    (void)f;
    r = r == 0 ? poll_signal_mask(d, e) : r;
    return r == 0 ? do_poll(a, b, timeout) : r;
}

/* --- select --- */

struct select_sets {
    uint64_t in[3][SELECT_WORDS], out[3][SELECT_WORDS];
};

static const unsigned select_bits[3] = {
    EPOLLIN | EPOLLRDNORM | EPOLLHUP | EPOLLERR,
    EPOLLOUT | EPOLLWRNORM | EPOLLERR,
    EPOLLPRI,
};

static bool wanted(const struct select_sets *s, int which, unsigned fd)
{
    return (s->in[which][fd / 64] >> fd % 64 & 1) != 0;
}

/** @return how many bits are set in the result, or -EBADF */
static long select_scan(struct select_sets *s, unsigned n)
{
    long ready = 0;

    for (unsigned fd = 0; fd < n; fd++) {
        if (!wanted(s, 0, fd) && !wanted(s, 1, fd) && !wanted(s, 2, fd)) {
            continue;
        }
        struct file *f = file_of(fd);
        unsigned mask;

        if (f == NULL) {
            return -EBADF;
        }
        mask = poll_file(f);
        for (int i = 0; i < 3; i++) {
            if (wanted(s, i, fd) && (mask & select_bits[i])) {
                s->out[i][fd / 64] |= 1ull << fd % 64;
                ready++;
            }
        }
    }
    return ready;
}

static long select_wait(const struct select_sets *s, unsigned n, bw_time_t deadline)
{
    long r = BLOCKED;

    for (unsigned fd = 0; fd < n && r == BLOCKED; fd++) {
        if (wanted(s, 0, fd) || wanted(s, 1, fd) || wanted(s, 2, fd)) {
            r = poll_enter(file_of(fd), deadline);
        }
    }
    return wait_or_end(r, deadline);
}

static long do_select(uint64_t count, const uint64_t address[3], uint64_t timeout)
{
    static struct select_sets s;
    unsigned n = count > SELECT_MAX ? SELECT_MAX : (unsigned)count;
    size_t bytes = (n + 63) / 64 * 8;
    bw_time_t deadline = poll_deadline(timeout);
    long r;

    if ((int)count < 0) {
        return -EINVAL;
    }
    memset(&s, 0, sizeof(s));
    for (int i = 0; i < 3; i++) {
        if (address[i] != 0 && user_read(s.in[i], address[i], bytes) != 0) {
            return -EFAULT;
        }
    }
    r = select_scan(&s, n);
    if (r == 0 && timeout != 0 && !time_over(deadline)) {
        return select_wait(&s, n, deadline);
    }
    for (int i = 0; i < 3 && r >= 0; i++) {
        if (address[i] != 0 && user_write(address[i], s.out[i], bytes) != 0) {
            return -EFAULT;
        }
    }
    return r;
}

long sys_select(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    const uint64_t address[3] = {b, c, d};
    uint64_t timeout;
    long r = poll_timeval(e, &timeout);

    (void)f;
    return r == 0 ? do_select(a, address, timeout) : r;
}

long sys_pselect6(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    const uint64_t address[3] = {b, c, d};
    uint64_t mask[2] = {0, 0}, timeout;
    long r = poll_timespec(e, &timeout);

    if (r == 0 && f != 0) {
        r = user_read(mask, f, sizeof(mask));
    }
    r = r == 0 ? poll_signal_mask(mask[0], mask[1]) : r;
    return r == 0 ? do_select(a, address, timeout) : r;
}
