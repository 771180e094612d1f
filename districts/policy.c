/*
 * Crash policy.
 *
 *   why \ policy   rollback              stop      continue
 *   crashed        roll back, or stop    stop      leave
 *   broken         roll back, or stop    stop      roll back, or stop
 *   damaged        stop                  stop      stop
 *   store          stop                  stop      stop
 *
 * "or stop": after POLICY_ROLLBACKS rollbacks within POLICY_WINDOW_NS. A broken district cannot run
 * on, whatever its policy says. Going back does not mend a store that has lost bytes or takes no
 * more writes.
 */
#include "policy.h"

unsigned policy_recent(const struct crash_history *h, bw_time_t now)
{
    unsigned kept = h->count < POLICY_ROLLBACKS ? (unsigned)h->count : POLICY_ROLLBACKS;
    unsigned recent = 0;

    for (unsigned i = 0; i < kept; i++) {
        recent += now - h->at[i] < POLICY_WINDOW_NS;
    }
    return recent;
}

enum policy_action policy_decide(struct crash_history *h, enum ended_why why, uint32_t policy,
                                 bw_time_t now)
{
    if (why == ENDED_CRASHED && policy == POLICY_CONTINUE) {
        return ACTION_LEAVE;
    }
    if ((why != ENDED_CRASHED && why != ENDED_BROKEN) || policy == POLICY_STOP ||
        policy_recent(h, now) == POLICY_ROLLBACKS) {
        return ACTION_STOP;
    }
    h->at[h->count++ % POLICY_ROLLBACKS] = now;
    return ACTION_ROLL_BACK;
}
