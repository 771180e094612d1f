/*
 * A district may be larger than memory: clean objects leave it, and are fetched again when they are
 * used.
 *
 * Runs only between invocations (evict_step, from the scheduler), when nobody holds a pointer to an
 * object. The district with the most objects in memory gives first, so that none starves another:
 * what one has below an equal share, others cannot take from it.
 *
 * Which of its objects go is decided by use, by two hands that go round, a bounded part a step:
 *
 *   hand          | goes through        | and
 *   paging_sweep  | page tables         | unmaps what was not accessed since it last came by
 *   d->hand       | objects, by age     | spares what is mapped, and once what was used otherwise
 *
 * So a page leaves when nobody has touched it for a whole round; one that is touched in each round
 * stays mapped and never faults. New objects enter behind the hand. A node that page tables are
 * built from stays as long as there are such tables.
 *
 * Only what the store has for certain may go: not dirty, not in a snapshot that is not yet
 * committed. That there is always something of that kind is share.c's business; if there is not,
 * the store server is asked for an early checkpoint.
 */
#include "district.h"
#include "frame.h"
#include "paging.h"

#define STEP   256u /* objects looked at in one step */
#define ENOUGH 32u  /* freed of them: the page tables need no sweep */
#define TABLES 4u   /* page tables swept in one step */

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
    if (d->circle_shared > d->objects / 16) /* nodes that too many page tables are built from */
        paging_drop_all(d);
    d->barren = d->circle_freed == 0 && d->circle_spared == 0;
    if (d->barren && !d->pressed && d->changes[d->epoch & 1].count > 0) {
        d->pressed = true;
        district_notify(d);
    }
    d->circle_freed = d->circle_spared = d->circle_shared = 0;
}

/** Whether the object stays for now. */
static bool spare(struct district *d, struct object *o)
{
    bool mapped = o->type == OBJECT_PAGE ? o->mapped > 0 : paging_node_mapped(o);
    if (!mapped && !o->used)
        return false;
    if (mapped && o->type == OBJECT_NODE && paging_node_shared(o))
        d->circle_shared++;
    if (!mapped)
        o->used = false;
    d->circle_spared++;
    return true;
}

static unsigned free_some(struct district *d)
{
    unsigned freed = 0;
    for (unsigned i = 0; i < STEP && d->hand != NULL; i++) {
        struct object *o = d->hand;
        d->hand = o->all.next;
        if (!evictable(d, o) || spare(d, o))
            continue;
        object_discard(o);
        freed++;
    }
    return freed;
}

void evict_step(void)
{
    struct district *d = largest();
    if (d == NULL)
        return;
    if (d->hand == NULL)
        circle_done(d);
    unsigned freed = free_some(d);
    d->circle_freed += freed;
    d->evicted += freed;
    statistics.evicted += freed;
    if (freed < ENOUGH)
        paging_sweep(d, TABLES);
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
