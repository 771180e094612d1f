/*
 * Crash policy.
 *
 *   why \ policy   rollback     stop      continue
 *   crashed        roll back    stop      leave
 *   broken         roll back    stop      roll back
 *   damaged        roll back    stop      roll back
 *
 * A broken district cannot run on, nor can one that waits for an object that nobody can read,
 * whatever its policy says. A policy that is not known counts as "rollback".
 *
 * How far back: to the newest generation. When the same fault comes soon again, the cause is
 * probably in that one already: one farther, and so on. After POLICY_TRIES rollbacks in a row, each
 * soon after the one before and for whatever fault, it goes farther back than the last time, also
 * if newer generations were made meanwhile; so a district that breaks again and again comes to an
 * end of its generations, but one that gets somewhere between its faults loses little.
 *
 * Invariant: from the POLICY_TRIES-th rollback of a row on, each goes to a lower number than the
 * one before; so a row ends.
 */
#include "policy.h"

static bool soon(const struct crash_history *h, bw_time_t now)
{
    return h->row > 0 && now - h->at < POLICY_WINDOW_NS;
}

static bool same(const struct policy_fault *a, const struct policy_fault *b)
{
    return a->why == b->why && a->what == b->what && a->where == b->where;
}

enum policy_action policy_decide(const struct crash_history *h, const struct policy_fault *f,
                                 uint32_t policy, bw_time_t now, uint64_t current, uint64_t *bound)
{
    *bound = POLICY_ANY;
    if (policy == POLICY_STOP) {
        return ACTION_STOP;
    }
    if (policy == POLICY_CONTINUE && f->why == ENDED_CRASHED) {
        return ACTION_LEAVE;
    }
    if (soon(h, now) && h->row >= POLICY_TRIES) {
        *bound = h->target;
    } else if (soon(h, now) && same(f, &h->fault)) {
        *bound = current;
    }
    return ACTION_ROLL_BACK;
}

void policy_rolled_back(struct crash_history *h, const struct policy_fault *f, uint64_t target,
                        bw_time_t now)
{
    h->row = soon(h, now) ? h->row + 1 : 1;
    h->at = now;
    h->target = target;
    h->fault = *f;
}
