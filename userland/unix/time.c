/*
 * Clocks, sleeps, alarms. Deadlines are kept in MONOTONIC time of the district, which goes on from
 * the checkpoint after a restart, so that sleeps and alarms need no care.
 */
#include <signal.h>
#include <string.h>
#include <time.h>
#include <sys/time.h>
#include <sys/times.h>
#include "process.h"

#define SECOND     1000000000ull
#define CLOCK_TICK 10000000ull /* 100 Hz */

int timespec_read(uint64_t address, bw_time_t *out)
{
    struct user_timespec t;

    if (user_read(&t, address, sizeof t)) {
        return -EFAULT;
    }
    if (t.seconds < 0 || t.nanoseconds < 0 || t.nanoseconds >= (int64_t)SECOND) {
        return -EINVAL;
    }
    *out = t.seconds > 9000000000ll ? 9000000000ull * SECOND
                                    : (uint64_t)t.seconds * SECOND + (uint64_t)t.nanoseconds;
    return 0;
}

static struct user_timespec timespec_of(bw_time_t t)
{
    return (struct user_timespec){(int64_t)(t / SECOND), (int64_t)(t % SECOND)};
}

uint64_t ticks_to_ns(uint64_t ticks)
{
    uint64_t rate = machine_ticks_per_second();

    return rate ? (uint64_t)((unsigned __int128)ticks * SECOND / rate) : 0;
}

void process_ticks(const struct process *p, uint64_t *user, uint64_t *system)
{
    *user = p->user_ticks;
    *system = p->system_ticks;
    for (const struct thread *t = p->threads; t; t = t->next_in_process) {
        *user += t->user_ticks;
        *system += t->system_ticks;
    }
}

/** Reads a clock. @return 0, -EINVAL */
static int clock_now(int clock, bw_time_t *out)
{
    uint64_t user, system;

    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_TAI:
        *out = time_realtime();
        return 0;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
        *out = time_monotonic();
        return 0;
    case CLOCK_BOOTTIME:
        *out = time_boottime();
        return 0;
    case CLOCK_PROCESS_CPUTIME_ID:
        process_ticks(current->process, &user, &system);
        *out = ticks_to_ns(user + system);
        return 0;
    case CLOCK_THREAD_CPUTIME_ID:
        *out = ticks_to_ns(current->user_ticks + current->system_ticks);
        return 0;
    default:
        return -EINVAL;
    }
}

CALL(clock_gettime)
{
    bw_time_t now;
    struct user_timespec t;
    int error = clock_now((int)a, &now);

    if (error) {
        return error;
    }
    t = timespec_of(now);
    return user_write(b, &t, sizeof t);
}

CALL(clock_getres)
{
    struct user_timespec t = {0, 1};
    bw_time_t now;
    int error = clock_now((int)a, &now);

    return error || !b ? error : user_write(b, &t, sizeof t);
}

CALL(clock_settime)
{
    return -EPERM; /* the district's clock comes from outside */
}

CALL(settimeofday)
{
    return -EPERM;
}

CALL(gettimeofday)
{
    bw_time_t now = time_realtime();
    int64_t t[2] = {(int64_t)(now / SECOND), (int64_t)(now % SECOND / 1000)};
    int32_t zone[2] = {0, 0};

    if ((a && user_write(a, t, sizeof t)) || (b && user_write(b, zone, sizeof zone))) {
        return -EFAULT;
    }
    return 0;
}

CALL(time)
{
    int64_t now = (int64_t)(time_realtime() / SECOND);

    return a && user_write(a, &now, sizeof now) ? -EFAULT : now;
}

CALL(times)
{
    struct process *p = current->process;
    uint64_t user, system;
    int64_t t[4];

    process_ticks(p, &user, &system);
    t[0] = (int64_t)(ticks_to_ns(user) / CLOCK_TICK);
    t[1] = (int64_t)(ticks_to_ns(system) / CLOCK_TICK);
    t[2] = (int64_t)(ticks_to_ns(p->children_user_ticks) / CLOCK_TICK);
    t[3] = (int64_t)(ticks_to_ns(p->children_system_ticks) / CLOCK_TICK);
    if (a && user_write(a, t, sizeof t)) {
        return -EFAULT;
    }
    return (long)(time_monotonic() / CLOCK_TICK);
}

/* --- sleeping --------------------------------------------------------------------------------- */

/** Sleeps until `deadline`; a signal writes what is left to `left`. */
static long sleep_until(bw_time_t deadline, uint64_t left)
{
    bw_time_t now;
    struct user_timespec t;
    long r;

    if (current->timed_out) {
        return 0;
    }
    r = wait_alone(deadline);
    if (r == -EINTR && left) {
        now = time_monotonic();
        t = timespec_of(deadline > now ? deadline - now : 0);
        if (user_write(left, &t, sizeof t)) {
            return -EFAULT;
        }
    }
    return r == -EINTR ? INTERRUPTED : r;
}

CALL(nanosleep)
{
    bw_time_t t;
    int error;

    if (!current->progress) {
        error = timespec_read(a, &t);
        if (error) {
            return error;
        }
        current->progress = time_monotonic() + t;
    }
    return sleep_until(current->progress, b);
}

/** The MONOTONIC moment at which a clock will show `t`. */
static int deadline_of(int clock, bool absolute, bw_time_t t, bw_time_t *deadline)
{
    bw_time_t now;
    int error = clock_now(clock, &now);

    if (error) {
        return error;
    }
    if (absolute) {
        t = t > now ? t - now : 0;
    }
    *deadline = time_monotonic() + t;
    return 0;
}

CALL(clock_nanosleep)
{
    bw_time_t t;
    int error;

    if (!current->progress) {
        error = timespec_read(c, &t);
        if (!error) {
            error = deadline_of((int)a, b & TIMER_ABSTIME, t, &current->progress);
        }
        if (error) {
            return error;
        }
    }
    return sleep_until(current->progress, b & TIMER_ABSTIME ? 0 : d);
}

/* --- alarms ----------------------------------------------------------------------------------- */

void time_alarm_fired(struct process *p)
{
    if (p->alarm_interval) {
        bw_time_t now = time_monotonic(), next = p->alarm.when + p->alarm_interval;

        timer_set(&p->alarm, next > now ? next : now + p->alarm_interval);
    }
    signal_process(p, SIGALRM);
}

static bw_time_t alarm_left(const struct process *p)
{
    bw_time_t now = time_monotonic();

    if (!p->alarm.place) {
        return 0;
    }
    return p->alarm.when > now ? p->alarm.when - now : 1;
}

static int alarm_set(struct process *p, bw_time_t delay, bw_time_t interval)
{
    p->alarm_interval = interval;
    timer_cancel(&p->alarm);
    if (delay && !timer_set(&p->alarm, time_monotonic() + delay)) {
        return -ENOMEM;
    }
    return 0;
}

CALL(alarm)
{
    bw_time_t left = alarm_left(current->process);
    int error = alarm_set(current->process, (uint32_t)a * SECOND, 0);

    return error ? error : (long)((left + SECOND - 1) / SECOND);
}

static void interval_of(const struct process *p, int64_t out[4])
{
    bw_time_t left = alarm_left(p);

    out[0] = (int64_t)(p->alarm_interval / SECOND);
    out[1] = (int64_t)(p->alarm_interval % SECOND / 1000);
    out[2] = (int64_t)(left / SECOND);
    out[3] = (int64_t)(left % SECOND / 1000);
}

CALL(getitimer)
{
    int64_t t[4] = {0};

    if (a > ITIMER_PROF) {
        return -EINVAL;
    }
    if (a == ITIMER_REAL) {
        interval_of(current->process, t);
    }
    return user_write(b, t, sizeof t);
}

CALL(setitimer)
{
    int64_t t[4] = {0}, old[4];

    if (a != ITIMER_REAL) {
        return a > ITIMER_PROF ? -EINVAL : -ENOSYS;
    }
    if (b && user_read(t, b, sizeof t)) {
        return -EFAULT;
    }
    for (int i = 0; i < 4; i++) {
        if (t[i] < 0 || t[i] >= (i & 1 ? 1000000 : 9000000000ll)) {
            return -EINVAL;
        }
    }
    interval_of(current->process, old);
    if (c && user_write(c, old, sizeof old)) {
        return -EFAULT;
    }
    return alarm_set(current->process, (uint64_t)t[2] * SECOND + (uint64_t)t[3] * 1000,
                     (uint64_t)t[0] * SECOND + (uint64_t)t[1] * 1000);
}
