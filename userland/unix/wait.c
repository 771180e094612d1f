/*
 * Threads that wait: in any number of queues, with one deadline, or for a signal. Who is woken
 * becomes READY and its handler is run again by main.c.
 */
#include <stdlib.h>
#include "process.h"

static struct thread *ready_first, **ready_last = &ready_first;

/** A free waiter of the thread: its own one first. */
static struct waiter *waiter_get(struct thread *t)
{
    return t->own_waiter.link ? malloc(sizeof(struct waiter)) : &t->own_waiter;
}

static void enter(struct wait_queue *q, struct thread *t, struct waiter *w)
{
    struct waiter **end = &q->first;

    while (*end) {
        end = &(*end)->next;
    }
    w->thread = t;
    w->next = NULL;
    w->link = end;
    *end = w;
    w->more = t->waiters;
    t->waiters = w;
}

void wait_leave(struct thread *t)
{
    while (t->waiters) {
        struct waiter *w = t->waiters;

        t->waiters = w->more;
        *w->link = w->next;
        if (w->next) {
            w->next->link = w->link;
        }
        w->link = NULL;
        if (w != &t->own_waiter) {
            free(w);
        }
    }
    timer_cancel(&t->timer);
}

long wait_alone(bw_time_t deadline)
{
    struct thread *t = current;

    if (signal_deliverable(t)) {
        wait_leave(t);
        t->interrupted = true;
        return -EINTR;
    }
    if (deadline != BW_NO_DEADLINE && (!t->timer.place || deadline < t->timer.when)) {
        t->timer.kind = TIMER_THREAD;
        t->timer.owner = t;
        if (!timer_set(&t->timer, deadline)) {
            wait_leave(t);
            return -ENOMEM;
        }
    }
    return BLOCKED;
}

long wait_in(struct wait_queue *q)
{
    struct waiter *w = waiter_get(current);

    if (!w) {
        wait_leave(current);
        return -ENOMEM;
    }
    enter(q, current, w);
    return BLOCKED;
}

long wait_on(struct wait_queue *q, bw_time_t deadline)
{
    long r = wait_alone(deadline);

    return r == BLOCKED ? wait_in(q) : r;
}

void wait_make_ready(struct thread *t)
{
    t->state = THREAD_READY;
    t->ready_next = NULL;
    *ready_last = t;
    ready_last = &t->ready_next;
}

void wait_wake(struct thread *t)
{
    wait_leave(t);
    if (t->state == THREAD_WAITING) {
        wait_make_ready(t);
    }
}

void wake_all(struct wait_queue *q)
{
    while (q->first) {
        wait_wake(q->first->thread);
    }
}

struct thread *wait_next_ready(void)
{
    struct thread *t = ready_first;

    if (t) {
        ready_first = t->ready_next;
        if (!ready_first) {
            ready_last = &ready_first;
        }
    }
    return t;
}

void wait_drop_ready(struct thread *t)
{
    for (struct thread **at = &ready_first; *at; at = &(*at)->ready_next) {
        if (*at == t) {
            *at = t->ready_next;
            if (!*at) {
                ready_last = at;
            }
            return;
        }
    }
}

uint64_t *thread_progress(struct thread *t)
{
    return &t->progress;
}

bool thread_timed_out(const struct thread *t)
{
    return t->timed_out;
}

bool thread_signalled(const struct thread *t)
{
    return signal_deliverable(t);
}
