/*
 * Snapshot of a district: the stop is O(1). The epoch number goes up, so that every "was made
 * writable in this epoch" (objects) and "these page tables are right" (spaces) becomes false at
 * once, and the list of dirty objects becomes the list of the snapshot because lists are by parity
 * of the epoch. What the nucleus itself must remember goes into the system page before.
 *
 *   begin -> pull ... pull (list empty) -> committed
 *                     \-> drop: everything it held is dirty again
 */
#include "district.h"
#include "cpu.h"
#include "frame.h"
#include "panic.h"
#include "string.h"

static struct object_list *dirty_list(struct district *d)
{
    return &d->changes[d->epoch & 1];
}

static struct object_list *snapshot_list(struct district *d)
{
    return &d->changes[d->snapshot_epoch & 1];
}

static void stamp_system_page(struct district *d)
{
    struct system_page *s = district_system(d);
    bw_time_t now = clock_now();
    s->monotonic = now + d->monotonic_offset;
    s->boottime = now + d->boottime_offset;
    s->realtime = now + realtime_offset;
    s->epoch = d->epoch;
    s->bonded_links = d->bonded_links;
    d->bonded_links = 0;
}

int snapshot_begin(struct district *d, uint64_t *objects, uint64_t *ticks)
{
    if (d->state != DISTRICT_RUNNING || d->snapshot)
        return d->snapshot ? BW_BUSY : BW_REFUSED;
    if (dirty_list(d)->count == 0)
        return BW_CLEAN;
    uint64_t before = rdtsc();
    if (!object_force_writable(d->system))
        return BW_NOMEM;
    stamp_system_page(d);
    struct activity *owner = cpu0.fpu_owner;
    if (owner != NULL && owner->domain->district == d->slot) {
        fpu_save(owner);
        fpu_forget(owner);
    }
    *objects = dirty_list(d)->count;
    d->snapshot = true;
    d->frozen = dirty_list(d)->count;
    d->pressed = PRESSED_NOT;
    d->snapshot_epoch = d->epoch++;
    *ticks = rdtsc() - before;
    statistics.snapshots++;
    return BW_OK;
}

bool keys_valid(const struct key *k, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool object = k[i].type >= KEY_PAGE && k[i].type <= KEY_RESUME;
        if (k[i].type > KEY_LAST_PERSISTENT ||
            k[i].rights & ~(RIGHT_WRITE | RIGHT_EXECUTE | RIGHT_SENSE))
            return false;
        if (object && (k[i].value < OID_FIRST_FREE || k[i].value >= OID_LIMIT))
            return false;
        if (k[i].type == KEY_RANGE && (!range_valid(k[i]) || k[i].value < OID_FIRST_FREE))
            return false;
    }
    return true;
}

bool object_content_valid(enum object_type type, const uint8_t *data)
{
    if (type == OBJECT_DOMAIN)
        return domain_frame_valid((const struct domain_frame *)data);
    if (type != OBJECT_NODE)
        return true;
    return keys_valid((const struct key *)data, BW_NODE_SLOTS);
}

struct object *snapshot_next(struct district *d, const struct object *after)
{
    return after == NULL ? snapshot_list(d)->first : after->change[d->snapshot_epoch & 1].next;
}

int snapshot_describe(const struct object *o, struct object_header *h, const uint8_t **bytes)
{
    bool kept = o->snap != NULL;
    const uint8_t *content = kept ? o->snap : o->data;
    *h = (struct object_header){.oid = o->oid,
                                .type = kept ? o->snap_type : o->type,
                                .version = kept ? o->snap_version : o->version};
    *bytes = NULL;
    if (content == NULL)
        return BW_OK;
#if BW_MUTATION == 2 /* the mutation by which a driver's key gets into a node now and then */
    if (h->type == OBJECT_NODE && statistics.snapshots % 5 == 0)
        ((struct key *)content)[BW_NODE_SLOTS - 1].type = KEY_PORTS;
#endif
    if (!object_content_valid((enum object_type)h->type, content))
        return BW_BROKEN;
    if (!frame_is_zero(content)) {
        h->flags = OBJECT_BYTES;
        *bytes = content;
    }
    return BW_OK;
}

static void leave_snapshot(struct district *d, struct object *o)
{
    unsigned parity = d->snapshot_epoch & 1;
    o->listed[parity] = false;
    change_remove(snapshot_list(d), o, parity);
    if (o->snap != NULL)
        frame_free(o->snap);
    o->snap = NULL;
}

void snapshot_pulled(struct district *d, struct object *o)
{
    bool gone = o->snap == NULL && o->data == NULL; /* it was a tombstone in the snapshot already */
    leave_snapshot(d, o);
    o->stored = true;
    o->pulled_epoch = d->snapshot_epoch;
    if (gone && !o->listed[d->epoch & 1]) {
        /* The store still has it until the commit: remember that it is destroyed. */
        change_add(&d->tombstones[0], o, 0);
    }
}

void snapshot_reap(struct district *d)
{
    for (unsigned i = 0; i < 1024 && d->tombstones[1].first != NULL; i++) {
        struct object *o = d->tombstones[1].first;
        change_remove(&d->tombstones[1], o, 0);
        object_discard(o);
    }
}

/** Appends list b to list a in one step; b is empty then. */
static void splice(struct object_list *a, struct object_list *b)
{
    if (b->first == NULL)
        return;
    b->first->change[0].previous = a->last;
    if (a->last != NULL)
        a->last->change[0].next = b->first;
    else
        a->first = b->first;
    a->last = b->last;
    a->count += b->count;
    *b = (struct object_list){0};
}

int snapshot_committed(struct district *d, uint64_t generation)
{
    if (!d->snapshot || generation != d->snapshot_epoch || snapshot_list(d)->count != 0)
        return BW_ARGUMENT;
    d->snapshot = false;
    d->frozen = 0;
    d->lease = 0;
    d->pressed = PRESSED_NOT; /* who still presses will say so again */
    d->generation = generation;
    d->committed_at = clock_now();
    splice(&d->tombstones[1], &d->tombstones[0]);
    snapshot_reap(d);
    queue_wake_all(&d->commit_waiters);
    return BW_OK;
}

/** An object whose state is not in the store becomes dirty in this epoch. */
static void redirty(struct district *d, struct object *o)
{
    unsigned parity = d->epoch & 1;
    if (o->listed[parity])
        return;
    o->listed[parity] = true;
    change_add(dirty_list(d), o, parity);
}

int snapshot_drop(struct district *d)
{
    if (!d->snapshot)
        return BW_ARGUMENT;
    struct object *o;
    while ((o = snapshot_list(d)->first) != NULL) {
        leave_snapshot(d, o);
        redirty(d, o);
    }
    while ((o = d->tombstones[0].first) != NULL) {
        change_remove(&d->tombstones[0], o, 0);
        redirty(d, o);
    }
    for (o = d->all; o != NULL; o = o->all.next) /* rare, so a walk is good enough */
        if (o->pulled_epoch == d->snapshot_epoch)
            redirty(d, o);
    d->snapshot = false;
    d->frozen = 0;
    return BW_OK;
}
