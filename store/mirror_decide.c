/*
 * Which copy of a mirrored store is believed. Pure: from what the two roots say.
 *
 * What a root says: `in_sync`, the copies that were up to date when it was written; `changes`, how
 * often that has changed; `sequence`, its number. What is known of them:
 *
 *   1. Whatever a root needs is durable on every copy that it calls in sync before it is written to
 *      any of them. So of two roots that follow each other, the newer one may be taken although the
 *      other copy does not have it: a power cut between the two writes loses nothing.
 *   2. The next root is written only when the last one is durable on all copies in sync. So copies
 *      in sync are never more than one root apart; what is farther behind has missed something.
 *   3. A copy that is given up is first struck from in_sync, on the other one, before the next
 *      commit. So a copy that calls itself the only one knows what it says, and one that calls both
 *      in sync does not know what the other did since.
 *   4. A copy that is being brought up to date carries the roots of the one that leads, which do
 *      not call it in sync. So it never leads. In the end the one that leads is the first to call
 *      both in sync, durably: else it would go on alone, without a question, while the other one
 *      says that it has missed something.
 *   5. A copy begins to run alone without knowing only when the user says so. So if each calls
 *      itself the only one, they have gone different ways, and only the user can choose. So they
 *      have if one has been in sync with a third one since: the values that in_sync had tell.
 *
 *   the one says     the other one says         verdict (n: the newer, o: the older)
 *   ------------     ------------------         -----------------------------------
 *   itself alone     absent                     ALONE
 *   both             absent or damaged          ASK
 *   itself alone     damaged                    STALE
 *   not itself       absent or damaged          INCOMPLETE
 *   both             both, at most a root back  BOTH
 *   both             both, farther back         STALE
 *   n alone          o: both, fewer changes     STALE
 *   n both           o: n alone                 BOTH if one root and one change apart, else STALE
 *   one alone        the same one alone         STALE
 *   each alone, or each the other, or what cannot follow from the other: SPLIT
 */
#include <store/mirror.h>

static bool says_alone(const struct mirror_seen *s, unsigned copy)
{
    return s->in_sync == 1u << copy;
}

static bool can_lead(const struct mirror_seen *s, unsigned copy)
{
    return s->in_sync >> copy & 1;
}

static struct mirror_decision decided(enum mirror_verdict verdict, unsigned leader)
{
    return (struct mirror_decision){verdict, leader};
}

static struct mirror_decision decide_one(const struct mirror_seen *seen, unsigned copy)
{
    if (!can_lead(&seen[copy], copy))
        return decided(MIRROR_INCOMPLETE, copy);
    if (!says_alone(&seen[copy], copy))
        return decided(MIRROR_ASK, copy);
    return decided(seen[!copy].state == MIRROR_ABSENT ? MIRROR_ALONE : MIRROR_STALE, copy);
}

/** n is the newer one, and calls both in sync. */
static struct mirror_decision decide_both(const struct mirror_seen *seen, unsigned n)
{
    unsigned o = !n;
    uint64_t roots = seen[n].sequence - seen[o].sequence;
    uint64_t changes = seen[n].changes - seen[o].changes;

    if (seen[o].in_sync == MIRROR_ALL)
        return decided(changes == 0 && roots <= 1 ? MIRROR_BOTH : MIRROR_STALE, n);
    if (says_alone(&seen[o], o))
        return decided(MIRROR_SPLIT, n);
    return decided(changes == 1 && roots == 1 ? MIRROR_BOTH : MIRROR_STALE, n);
}

/** Is what the older root knows of earlier values of in_sync a part of what the newer one knows? */
static bool same_past(const struct mirror_seen *n, const struct mirror_seen *o)
{
    uint64_t bits = 2 * (n->changes - o->changes);

    if (n->history == 0 || o->history == 0 || bits >= 64)
        return true;
    return n->history >> bits == (o->history & UINT64_MAX >> bits);
}

/** Can the older root have been followed by the newer one? */
static bool one_history(const struct mirror_seen *n, const struct mirror_seen *o)
{
    if (n->changes == o->changes && n->in_sync != o->in_sync)
        return false;
    if (n->changes != o->changes && (n->changes < o->changes || n->sequence <= o->sequence))
        return false;
    return same_past(n, o);
}

static struct mirror_decision decide_two(const struct mirror_seen *seen)
{
    unsigned n = seen[1].sequence > seen[0].sequence;
    unsigned o = !n;
    bool n_leads = can_lead(&seen[n], n), o_leads = can_lead(&seen[o], o);

    if (!one_history(&seen[n], &seen[o]) || (!n_leads && !o_leads))
        return decided(MIRROR_SPLIT, n);
    if (!n_leads)
        return decided(seen[n].sequence - seen[o].sequence <= 1 ? MIRROR_STALE : MIRROR_SPLIT, o);
    if (seen[n].in_sync == MIRROR_ALL)
        return decide_both(seen, n);
    return decided(says_alone(&seen[o], o) ? MIRROR_SPLIT : MIRROR_STALE, n);
}

struct mirror_decision mirror_decide(const struct mirror_seen seen[MIRROR_COPIES])
{
    bool first = seen[0].state == MIRROR_WHOLE, second = seen[1].state == MIRROR_WHOLE;

    if (first && second)
        return decide_two(seen);
    if (first || second)
        return decide_one(seen, second);
    return decided(MIRROR_NONE, 0);
}

const char *mirror_verdict_text(enum mirror_verdict verdict)
{
    switch (verdict) {
    case MIRROR_BOTH:
        return "both copies are up to date";
    case MIRROR_ALONE:
        return "it runs alone";
    case MIRROR_STALE:
        return "its other copy is out of date";
    case MIRROR_ASK:
        return "its other copy is not there, and may be newer";
    case MIRROR_SPLIT:
        return "its two copies have gone different ways";
    case MIRROR_INCOMPLETE:
        return "this copy is incomplete: it was being brought up to date from the other one";
    case MIRROR_NONE:
        return "no copy of it can be read";
    }
    return "unknown";
}
