/*
 * Output that is held until it is committed. Pure. Bytes are counted as in the rings, so counts
 * wrap at 2^32.
 *
 * What was put up to `upto` was there in epoch `epoch`; when that is committed it may be shown, and
 * what was put meanwhile is next. `since` is the epoch of the newest byte that may be shown: a
 * generation from there on has it.
 *
 *   a district starts again from   and the console has shown bytes that are in generation m
 *   m or newer                     it goes on behind them
 *   one before m                   it went back farther: what it shows now is another story
 */
#ifndef TERMINAL_HELD_H
#define TERMINAL_HELD_H

#include <stdbool.h>
#include <stdint.h>

#define HELD_LOOK_NS     1000000ull /* for a commit, at first; then after 1/8 of the time waited */
#define HELD_LOOK_MAX_NS 1000000000ull

struct held {
    uint32_t free; /* what is before may be shown */
    uint32_t upto;
    uint64_t epoch, since;
    bool waits;         /* for `epoch` to be committed */
    uint64_t looked_at; /* first, whether it is; 0: not yet */
};

/** Nothing before `shown` is held. */
static inline void held_begin(struct held *h, uint32_t shown)
{
    h->free = shown;
    h->waits = false;
}

/** @param head what has been put, @param epoch looked at after that, @param generation committed
 *  @return up to where may be shown */
static inline uint32_t held_limit(struct held *h, uint32_t head, uint64_t epoch,
                                  uint64_t generation)
{
    if (h->waits && generation >= h->epoch) {
        h->free = h->upto;
        h->since = h->epoch;
        h->waits = false;
    }
    if (!h->waits && head != h->free) {
        h->upto = head;
        h->epoch = epoch;
        h->waits = true;
        h->looked_at = 0;
    }
    return h->free;
}

/** @return when to look again whether what is waited for is committed; UINT64_MAX: nothing is */
static inline uint64_t held_look(struct held *h, uint64_t now)
{
    uint64_t after;

    if (!h->waits) {
        return UINT64_MAX;
    }
    if (h->looked_at == 0 || h->looked_at > now) {
        h->looked_at = now;
    }
    after = (now - h->looked_at) / 8;
    after = after < HELD_LOOK_NS ? HELD_LOOK_NS : after;
    return now + (after > HELD_LOOK_MAX_NS ? HELD_LOOK_MAX_NS : after);
}

/** What the console is told with what it shows. Never 0. */
static inline uint64_t held_mark(const struct held *h)
{
    return h->since + 1;
}

/** After a restart from generation `from`: whether what the console was told last, and has shown up
 * to `number`, is in there. Then it is gone on with behind it. */
static inline bool held_goes_on(struct held *h, uint64_t from, uint64_t mark, uint32_t number,
                                uint32_t shown, uint32_t head)
{
    if (mark == 0 || from < mark - 1 || number - shown > head - shown) {
        return false;
    }
    held_begin(h, number);
    h->since = h->since > mark - 1 ? h->since : mark - 1;
    return true;
}

#endif
