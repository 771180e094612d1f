/*
 * A district may be larger than memory: clean objects leave it, and are fetched again when they are
 * used.
 *
 * Runs only between invocations (evict_step, from the scheduler), when nobody holds a pointer to an
 * object. The district with the most objects in memory gives first, so that none starves another.
 * Its objects are gone through in a circle, a bounded part a step; one that was used since the hand
 * last passed is spared. Mapped pages count as used; when a whole circle has given too little, the
 * district's page tables are dropped, and what is really used comes back by cheap faults.
 *
 * Only what the store has for certain may go: not dirty, not in a snapshot that is not yet
 * committed. If all is dirty, the store server is asked for an early checkpoint.
 */
#include "district.h"
#include "frame.h"
#include "paging.h"

#define STEP 512u /* objects looked at in one step */

static bool evictable(const struct district *d, const struct object *o)
{
    if (o->type != OBJECT_PAGE && o->type != OBJECT_NODE)
        return false;
    if (!o->stored || o->listed[0] || o->listed[1] || o->oid < OID_FIRST_FREE)
        return false;
    return !d->snapshot || o->pulled_epoch != d->snapshot_epoch;
}

static struct district *largest(void)
{
    struct district *best = NULL;
    for (unsigned i = 1; i < DISTRICT_MAX; i++) {
        struct district *d = &districts[i];
        if (d->state == DISTRICT_RUNNING && !d->barren &&
            (best == NULL || d->objects > best->objects))
            best = d;
    }
    return best;
}

/** The hand has come round. */
static void circle_done(struct district *d)
{
    d->hand = d->all;
    if (d->circle_freed < STEP / 8 && d->circle_mapped > 0)
        paging_drop_all(d);
    else
        d->barren = d->circle_freed == 0;
    if (d->barren && !d->pressed && d->changes[d->epoch & 1].count > 0) {
        d->pressed = true;
        district_notify(d);
    }
    d->circle_freed = d->circle_mapped = 0;
}

void evict_step(void)
{
    struct district *d = largest();
    if (d == NULL)
        return;
    for (unsigned i = 0; i < STEP; i++) {
        struct object *o = d->hand;
        if (o == NULL) {
            circle_done(d);
            break;
        }
        d->hand = o->all.next;
        if (!evictable(d, o))
            continue;
        bool mapped = o->type == OBJECT_PAGE ? o->mapped > 0 : paging_node_mapped(o);
        if (o->used || mapped) {
            o->used = false;
            d->circle_mapped += mapped;
            continue;
        }
        object_discard(o);
        d->circle_freed++;
    }
    if (!frame_scarce() && memory_waiters.first != NULL)
        queue_wake_all(&memory_waiters);
}

void evict_relieved(void)
{
    bool scarce = frame_scarce();
    if (!scarce)
        queue_wake_all(&memory_waiters);
    for (unsigned i = 1; i < DISTRICT_MAX; i++) {
        districts[i].barren = false;
        if (districts[i].starved && !scarce) {
            districts[i].starved = false;
            district_notify(&districts[i]);
        }
    }
}
