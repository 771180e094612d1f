/*
 * Crash policy: what becomes of a district that broke. Pure.
 */
#ifndef DISTRICTS_POLICY_H
#define DISTRICTS_POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include <bailiwick/admin.h>

/** As in struct system_page; on disk: do not change. */
enum crash_policy {
    POLICY_ROLLBACK = 0,
    POLICY_STOP = 1,
    POLICY_CONTINUE = 2,
};

enum policy_action {
    ACTION_ROLL_BACK, /* drop it from memory and restart it from an older state */
    ACTION_STOP,      /* drop it from memory; the user decides */
    ACTION_LEAVE,     /* let it run on without the domain that stopped */
};

#define POLICY_WINDOW_NS 60000000000ull /* "soon again" */
#define POLICY_TRIES     3u             /* rollbacks in a row before each leads farther back */
#define POLICY_ANY       UINT64_MAX     /* as a bound: each generation will do */

/** What went wrong: two faults are the same if all of it is. */
struct policy_fault {
    enum ended_why why;
    uint64_t what;  /* fault code, or object */
    uint64_t where; /* instruction */
};

/** The last rollback of a district; all zero at first. */
struct crash_history {
    unsigned row;    /* rollbacks, each soon after the one before; 0: none yet */
    bw_time_t at;    /* when, MONOTONIC of the commons */
    uint64_t target; /* the generation it went back to */
    struct policy_fault fault;
};

/** Decides. @param current generation, that it grows from. @param bound with ACTION_ROLL_BACK: go
 * to the newest generation before this one; stop if there is none */
enum policy_action policy_decide(const struct crash_history *h, const struct policy_fault *f,
                                 uint32_t policy, bw_time_t now, uint64_t current, uint64_t *bound);
/** Enters that it went back to a generation for this fault. */
void policy_rolled_back(struct crash_history *h, const struct policy_fault *f, uint64_t target,
                        bw_time_t now);

#endif
