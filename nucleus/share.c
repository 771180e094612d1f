/*
 * How much of memory may be dirty. Dirty objects, and those of a snapshot that is not yet
 * committed, cannot be evicted; so that something always can be, they are at most half of the
 * memory that districts have, and a bit.
 *
 * Each district's fair part of that half goes by its share among those of all. It always gets a
 * fourth of its fair part; what others leave of the half it may have too, first come, first served.
 * A district with more than its fair part in one epoch is told to make an early checkpoint, so that
 * it is under way before programs must wait.
 *
 * Who makes the next object dirty asks for a lease of some objects at a time, since the sum over
 * all districts is too long for each of them.
 */
#include "district.h"
#include "frame.h"

#define LEASE     64u
#define LEAST     64u /* what a district always gets, however many there are */
#define GUARANTEE 4u

static size_t uncommitted(const struct district *d)
{
    return d->changes[d->epoch & 1].count + d->frozen;
}

static void press(struct district *d)
{
    if (d->pressed)
        return;
    d->pressed = PRESSED_SHORT;
    district_notify(d);
}

static unsigned at_most(size_t n)
{
    return n < LEASE ? (unsigned)n : LEASE;
}

unsigned share_lease(struct district *d)
{
    size_t weights = 0, sum = 0, fixed = COMMONS->objects, own = uncommitted(d);
    for (unsigned i = 1; i < DISTRICT_MAX; i++) {
        const struct district *other = &districts[i];
        if (other->state != DISTRICT_RUNNING && other->state != DISTRICT_LOADING)
            continue;
        weights += district_share(other);
        sum += uncommitted(other);
        fixed += other->domains;
    }
    size_t frames = frame_count();
    size_t limit = frames > fixed ? (frames - fixed) / 2 : 0,
           fair = limit * district_share(d) / (weights > 0 ? weights : 1);
    size_t least = fair / GUARANTEE > LEAST ? fair / GUARANTEE : LEAST;
    if (d->changes[d->epoch & 1].count >= fair / 2)
        press(d);
    if (sum < limit)
        return at_most(limit - sum);
    if (own < least)
        return at_most(least - own);
    press(d);
    return 0;
}
