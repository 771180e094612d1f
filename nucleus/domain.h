/*
 * Domains in memory: the volatile side of a process (struct activity), queues of them, and
 * scheduling.
 *
 * An activity is in at most one queue:
 *
 *   frame's state | queue
 *   RUNNING       | a ready one (schedule.c); or a callee's callers, or fetch, memory or commit
 *                 | waiters; or none: it is current
 *   AVAILABLE     | none; or fetch/memory waiters while its receive buffer is brought in ("busy")
 *   WAITING       | none; or a waiters' queue while what its reply needs is brought in
 *   STOPPED       | none
 */
#ifndef NUCLEUS_DOMAIN_H
#define NUCLEUS_DOMAIN_H

#include <bailiwick/domain.h>
#include <bailiwick/invoke.h>
#include "object.h"

struct activity;
struct district;

struct queue {
    struct activity *first, *last;
};

#define CLASSES 4u

struct activity {
    struct object *domain;
    struct activity *next, *previous; /* in queue */
    struct queue *queue;
    struct queue callers;  /* those who wait for it to be AVAILABLE */
    struct queue repliers; /* those whose reply it cannot take yet */
    struct activity *timer_next, *timer_previous;
    bw_time_t deadline;  /* clock_now time; BW_NO_DEADLINE: not in the timer list */
    struct space *space; /* derivable; valid only while its id is space_id */
    uint64_t space_id;
    oid_t wants;     /* in fetch_waiters: what for */
    uint64_t posted; /* posts that could not yet go into the frame */
    uint8_t class;
    uint8_t share; /* slot of the district whose share of the processor it uses */
    bool yield;
    bool kept;      /* at start: who owes it a reply came back with it (bond.c) */
    bool turn_over; /* its turn ended while it served a caller, who yields when it is answered */
};

static inline struct domain_frame *activity_frame(const struct activity *a)
{
    return (struct domain_frame *)a->domain->data;
}
static inline struct activity *object_activity(const struct object *o)
{
    return o->aux;
}

void queue_add(struct queue *q, struct activity *a);
void queue_remove(struct activity *a);
/** All of them are ready again (to run their invocation again, or to be available). */
void queue_wake_all(struct queue *q);

/** Gives a domain object its activity. @return BW_OK or BW_NOMEM */
int domain_attach(struct object *o);
/** Takes the activity away: the object goes. Callers are woken. */
void domain_detach(struct object *o);
/** The one function that changes a domain's state. The frame must be writable. */
void domain_set_state(struct activity *a, enum domain_state s);
/** Ready to run, or available again: after a wait, or at load. */
void domain_wake(struct activity *a);
/** It is RUNNING now: ready, and in no other queue. */
void domain_run(struct activity *a);
/** Puts the current domain into a queue to run its invocation again later; frame's rip was set
 * back. */
void domain_wait(struct activity *a, int why);
/** The frame's meter or segment key has changed. */
void domain_refresh(struct activity *a);
/** It serves that district, and uses its share of the processor. */
void domain_share(struct activity *a, const struct district *d);
/** Makes a frame from outside safe to run. False: not acceptable. */
bool domain_frame_valid(const struct domain_frame *f);
void domain_make_safe(struct domain_frame *f);
void regs_make_safe(struct regs *r);
/** Sets bits in the posted word and delivers them if the domain is waiting for some. */
void domain_post(struct activity *a, uint64_t bits);

/* schedule.c */
extern struct queue memory_waiters;
void schedule_ready(struct activity *a);
/** The same before all others of its class and district. */
void schedule_first(struct activity *a);
/** It is in the queue of those that are ready. */
bool schedule_is_ready(const struct activity *a);
void schedule_set_deadline(struct activity *a, bw_time_t deadline);
/** Runs what is due: the given one if it can run and nothing is before it, else the next. */
void schedule_run(struct activity *preferred) __attribute__((noreturn));
void schedule_tick(void);

/* trap.c: a fault goes to its keeper as a message. */
void fault_deliver(struct activity *a, uint64_t code, uint64_t error, uint64_t address);

/** Moves a message's ends: see invoke.c. */
int invoke_fault(struct activity *a, uint64_t code, uint64_t error, uint64_t address);
void invoke_syscall(struct activity *a);
/** Ends the wait of a WAITING domain with a result of the nucleus. @return false: it could not be
 * told, without a frame even in the reserve */
bool invoke_answer(struct activity *a, int result);
void invoke_timeout(struct activity *a);

extern struct nucleus_statistics statistics;

#endif
