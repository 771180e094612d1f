/*
 * The protocol of a bond: two phases over the members' stores, with one decision.
 *
 *   phase    | FROZEN           | READY                    | AT
 *   idle     | writing          | of the past: ask         | -
 *   writing  | -                | the last one: deciding,  | a member could not:
 *            |                  | the home commits         | idle, all undo
 *   deciding | -                | the home, again: it has  | home, at that instant: idle, all keep
 *            |                  | not heard, and commits   |
 *            |                  |                          | home, elsewhere: idle, all undo
 *
 * Invariants, over all stores, whatever ends when:
 *   1. The home commits an instant only when all others have it durable, as prepared.
 *   2. Who has prepared keeps that and what he was at before, until he is told.
 *   3. So the instant that the home has committed is one that everybody has; a restart takes
 *      everybody there.
 * Between READY and the home's commit nobody may decide for himself: who has lost the coordinator,
 * or was restarted, is told by what the home's store has.
 */
#include "bond_step.h"

static enum bond_action ready(struct bond_round *r, unsigned member, uint64_t instant)
{
    if (r->phase == BOND_IDLE || instant != r->instant)
        return BOND_ASK;
    if (r->phase == BOND_DECIDING)
        return member == 0 ? BOND_COMMIT : BOND_NOTHING;
    r->ready |= 1u << member;
    if (r->ready != (1u << r->members) - 1)
        return BOND_NOTHING;
    r->phase = BOND_DECIDING;
    return BOND_COMMIT;
}

static enum bond_action at(struct bond_round *r, unsigned member, uint64_t instant)
{
    if (r->phase == BOND_IDLE || (r->phase == BOND_DECIDING && member != 0))
        return BOND_NOTHING;
    r->phase = BOND_IDLE;
    return member == 0 && instant == r->instant ? BOND_KEEP : BOND_UNDO;
}

enum bond_action bond_step(struct bond_round *r, enum bond_event event, unsigned member,
                           uint64_t instant)
{
    switch (event) {
    case BOND_FROZEN:
        r->phase = BOND_WRITING;
        r->instant = instant;
        r->ready = 0;
        return BOND_NOTHING;
    case BOND_READY:
        return ready(r, member, instant);
    case BOND_AT:
        return at(r, member, instant);
    }
    return BOND_NOTHING;
}

enum bond_action bond_answer(unsigned member, uint64_t instant, uint64_t home)
{
    return member != 0 && instant == home ? BOND_KEEP : BOND_UNDO;
}

enum bond_verdict bond_restart(const struct bond_seen *seen, unsigned members, uint64_t *instant,
                               unsigned *missing)
{
    unsigned left = 0;

    if (seen[0].there && !seen[0].bonded)
        return BOND_OVER;
    for (unsigned i = 0; i < members; i++) {
        if (!seen[i].there) {
            *missing = i;
            return BOND_MISSING;
        }
        left += seen[i].bonded;
    }
    *instant = seen[0].instant;
    return left > 1 ? BOND_TOGETHER : BOND_OVER;
}
