/*
 * Deadlines: a binary heap of timers by MONOTONIC time. No function pointers, since the heap
 * persists and the program may be replaced: the kind says what happens.
 */
#ifndef UNIX_TIMER_H
#define UNIX_TIMER_H

#include <stdbool.h>
#include <bailiwick/types.h>

enum timer_kind {
    TIMER_THREAD = 0,  /* owner: struct thread; its wait is over */
    TIMER_ALARM = 1,   /* owner: struct process; SIGALRM */
    TIMER_RESPAWN = 2, /* the first process starts again */
};

struct timer {
    bw_time_t when;
    uint32_t place; /* in the heap, from 1; 0: not set */
    uint8_t kind;   /* enum timer_kind */
    void *owner;
};

/** Sets or moves it. @return false: no memory */
bool timer_set(struct timer *t, bw_time_t when);
void timer_cancel(struct timer *t);
/** When the first one is due; BW_NO_DEADLINE: none. */
bw_time_t timer_next(void);
/** Takes the first one that is due at `now`, NULL: none. */
struct timer *timer_due(bw_time_t now);

#endif
