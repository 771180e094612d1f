/*
 * A district may be larger than memory: clean objects leave it, and are fetched again when they are
 * used.
 *
 * Runs only between invocations (evict_step, from the scheduler), when nobody holds a pointer to an
 * object. The district with the most objects in memory for its share gives first, so that none
 * starves another: what one has below its share, others cannot take from it.
 *
 * Which of its objects go is decided by use. A hand goes round them, by age, a bounded part a step;
 * what was used since it last came by is spared: what the nucleus has used, and pages that programs
 * have accessed, as their page table entry says. Where it was not accessed, the entry goes with the
 * page, and the table with its last entry. So a page leaves when nobody has touched it for a whole
 * round; one that is touched in each round stays and never faults. New objects enter behind the
 * hand; how they were used at first does not count (young, in object.c), or a scan through more
 * than fits would look like use of all of it. A node that page tables are built from stays as long
 * as they have entries from it.
 *
 * A page that is mapped by several programs has more entries than it knows. It stays until
 * paging_sweep, which goes through all page tables, has left one or none; that runs while such
 * pages are many.
 *
 * Only what the store has for certain may go: not dirty, not in a snapshot that is not yet
 * committed. That there is always something of that kind is share.c's business; if there is not,
 * the store server is asked for an early checkpoint.
 */
#include "district.h"
#include "frame.h"
#include "paging.h"

#define STEP   256u /* objects looked at in one step */
#define ENOUGH 64u  /* freed in one step */
#define TABLES 4u   /* page tables swept in one step */

static bool evictable(const struct district *d, const struct object *o)
{
    if (o->type != OBJECT_PAGE && o->type != OBJECT_NODE)
        return false;
    if (!o->stored || o->listed[0] || o->listed[1] || o->oid < OID_FIRST_FREE)
        return false;
    return !d->snapshot || o->pulled_epoch != d->snapshot_epoch;
}

/** Whether there is something to take: not nearly all of it is dirty, frozen or domains. */
static bool has_clean(const struct district *d)
{
    size_t kept = d->changes[d->epoch & 1].count + d->frozen + d->domains;
    return d->objects > kept + d->objects / 8;
}

/** The one that gives: the largest for its share, but first of those that have something. */
static struct district *largest(void)
{
    struct district *best = NULL;
    bool best_clean = false;
    for (unsigned i = 1; i < DISTRICT_MAX; i++) {
        struct district *d = &districts[i];
        if (d->state != DISTRICT_RUNNING || d->barren)
            continue;
        bool clean = has_clean(d);
        if (best == NULL || clean > best_clean ||
            (clean == best_clean &&
             d->objects * district_share(best) > best->objects * district_share(d))) {
            best = d;
            best_clean = clean;
        }
    }
    return best;
}

/** The hand has come round. */
static void circle_done(struct district *d)
{
    d->hand = d->all;
    if (d->circle_nodes > d->objects / 16) /* that too many page tables are built from */
        paging_drop_all(d);
    d->sweeping = d->circle_shared > d->circle_freed;
    if (d->circle_freed > 0)
        d->vain = 0;
    else if (d->circle_seen > 0)
        d->vain++;
    d->barren = d->vain >= 2; /* the first one may have found all in use */
    if (d->barren && !d->pressed && d->changes[d->epoch & 1].count > 0) {
        d->pressed = PRESSED_SHORT;
        district_notify(d);
    }
    d->circle_seen = d->circle_freed = d->circle_shared = d->circle_nodes = 0;
}

/** Whether the object stays for now. */
static bool spare(struct district *d, struct object *o)
{
    bool idle = !o->used;
    o->used = false;
    if (o->type == OBJECT_NODE) {
        d->circle_nodes += paging_node_shared(o);
        idle &= !paging_node_mapped(o);
    } else {
        d->circle_shared += o->mapped > 1;
        idle = paging_page_idle(o) && idle;
    }
    return !idle;
}

static unsigned free_some(struct district *d)
{
    unsigned freed = 0;
    for (unsigned i = 0; i < STEP && freed < ENOUGH && d->hand != NULL; i++) {
        struct object *o = d->hand;
        d->hand = o->all.next;
        d->circle_seen++;
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
    if (d->sweeping)
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
            district_load(&districts[i]);
            district_notify(&districts[i]);
        }
    }
}
