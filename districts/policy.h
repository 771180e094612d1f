/*
 * Crash policy: what becomes of a district that broke. Pure.
 */
#ifndef DISTRICTS_POLICY_H
#define DISTRICTS_POLICY_H

#include <stdint.h>
#include <bailiwick/admin.h>

/** As in struct system_page; on disk: do not change. */
enum crash_policy {
    POLICY_ROLLBACK = 0,
    POLICY_STOP = 1,
    POLICY_CONTINUE = 2,
};

enum policy_action {
    ACTION_ROLL_BACK, /* drop it from memory and restart it from the newest generation */
    ACTION_STOP,      /* drop it from memory; the user decides */
    ACTION_LEAVE,     /* let it run on without the domain that stopped */
};

#define POLICY_ROLLBACKS 3u             /* at most so many ... */
#define POLICY_WINDOW_NS 60000000000ull /* ... within this time */

/** When a district was last rolled back; all zero at first. */
struct crash_history {
    bw_time_t at[POLICY_ROLLBACKS]; /* the last ones; a ring */
    uint64_t count;                 /* rollbacks ever */
};

/** Decides, and enters a rollback in the history. @param now MONOTONIC of the commons */
enum policy_action policy_decide(struct crash_history *h, enum ended_why why, uint32_t policy,
                                 bw_time_t now);
/** How many rollbacks of the history lie within the window that ends now. */
unsigned policy_recent(const struct crash_history *h, bw_time_t now);

#endif
