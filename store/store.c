/*
 * The library's interface: formatting, opening, reading, and the life of a generation.
 *
 *   state      | reached by               | allowed
 *   open       | store_open               | reading, store_claim, policy
 *   claimed    | store_claim, store_format | also store_begin, store_drop
 *   begun      | store_begin              | also store_put, store_delete, store_commit, store_abort
 *   must reopen| a root write that failed | reading
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

bool store_probe(const void *block)
{
    const struct disk_super *s = block;

    return s->magic == SUPER_MAGIC;
}

static struct store *store_new(const struct store_io *io)
{
    struct store *st = calloc(1, sizeof(*st));

    if (!st)
        return NULL;
    st->io = *io;
    if (st->io.cache_blocks == 0)
        st->io.cache_blocks = 1024;
    if (st->io.fold_limit == 0)
        st->io.fold_limit = 300;
    st->io_epoch = 1;
    st->root_buffer = malloc((size_t)ROOT_SLOT_BLOCKS * STORE_BLOCK);
    if (!st->root_buffer) {
        free(st);
        return NULL;
    }
    return st;
}

void store_close(struct store *st)
{
    if (!st)
        return;
    if (st->in_flight || st->parcels || st->begun)
        io_wait(st);
    node_cache_free(st);
    map_forget(st);
    points_free(&st->guard);
    points_free(&st->now.points);
    points_free(&st->committed.points);
    free(st->update);
    free(st->root_buffer);
    free(st);
}

int store_open(const struct store_io *io, struct store **out)
{
    struct store *st = store_new(io);
    int r;

    *out = NULL;
    if (!st)
        return STORE_NOMEM;
    r = root_open(st);
    if (r) {
        store_close(st);
        return r;
    }
    *out = st;
    return STORE_OK;
}

static void copy_name(char *to, const char *from)
{
    memset(to, 0, STORE_NAME_MAX);
    for (size_t i = 0; i < STORE_NAME_MAX - 1 && from[i]; i++)
        to[i] = from[i];
}

static int write_super(struct store *st, const struct store_format_params *p)
{
    struct disk_super *s = &st->super;
    int r = STORE_OK;

    s->magic = SUPER_MAGIC;
    s->version = STORE_FORMAT_VERSION;
    s->block_size = STORE_BLOCK;
    s->first_data = FIRST_DATA;
    s->root_first = ROOT_FIRST;
    s->root_slots = ROOT_SLOTS;
    s->root_slot_blocks = ROOT_SLOT_BLOCKS;
    s->created = p->time;
    memcpy(s->id, p->id, sizeof(s->id));
    copy_name(s->name, p->name);
    copy_name(s->owner, p->owner);
    s->checksum = store_checksum(s, offsetof(struct disk_super, checksum));
    for (uint64_t copy = 0; copy < SUPER_COPIES && r == STORE_OK; copy++)
        r = io_write(st, copy, s, 1);
    return r;
}

static int write_first_root(struct store *st, const struct store_format_params *p)
{
    struct disk_root *h = &st->now.head;
    int r;

    h->blocks = p->blocks;
    h->free_blocks = p->blocks - FIRST_DATA;
    h->current = h->newest = NONE;
    h->interval = p->interval;
    h->crash_policy = p->crash_policy;
    h->abi_version = p->abi_version;
    h->image_version = p->image_version;
    h->keep_last = 8;
    h->claim_start = FIRST_DATA;
    st->committed.head = *h;
    r = map_claim(st, h, map_claim_target(st));
    return r ? r : root_write(st, &st->now, true);
}

int store_format(const struct store_io *io, const struct store_format_params *p, struct store **out)
{
    struct store *st;
    int r;

    *out = NULL;
    if (p->blocks < STORE_MIN_BLOCKS || p->blocks > STORE_MAX_BLOCKS || p->blocks > io->blocks)
        return STORE_ARGUMENT;
    st = store_new(io);
    if (!st)
        return STORE_NOMEM;
    r = write_super(st, p);
    if (r == STORE_OK)
        r = write_first_root(st, p);
    if (r) {
        store_close(st);
        return r;
    }
    st->claimed = true;
    *out = st;
    return STORE_OK;
}

void store_info(const struct store *st, struct store_info *info)
{
    const struct disk_root *h = &st->committed.head;

    *info = (struct store_info){
        .format_version = st->super.version,
        .abi_version = h->abi_version,
        .image_version = h->image_version,
        .crash_policy = h->crash_policy,
        .interval = h->interval,
        .created = st->super.created,
        .ran_at = h->ran_at,
        .incarnation = h->incarnation,
        .incarnation_random = h->incarnation_random,
        .current = h->current,
        .newest = h->newest,
        .next_generation = h->next_generation,
        .sequence = h->sequence,
        .blocks = h->blocks,
        .free_blocks = h->free_blocks,
        .avoided_blocks = h->avoid_length,
        .generations = generations_kept(&st->committed),
        .keep_last = h->keep_last,
        .keep_minutes = h->keep_minutes,
        .keep_hours = h->keep_hours,
        .keep_days = h->keep_days,
    };
    memcpy(info->id, st->super.id, sizeof(info->id));
    memcpy(info->name, st->super.name, STORE_NAME_MAX);
    memcpy(info->owner, st->super.owner, STORE_NAME_MAX);
    memcpy(info->ran_by, h->ran_by, STORE_NAME_MAX);
}

/* --- reading -------------------------------------------------------------------------------------
 */

int store_generation(const struct store *st, uint32_t index, struct store_generation *out)
{
    const struct state *s = &st->committed;

    for (uint32_t i = 0; i < s->head.generations; i++) {
        const struct disk_generation *g = &s->generation[i];

        if (g->flags & GENERATION_GHOST || index-- > 0)
            continue;
        *out = (struct store_generation){g->number,  g->parent,  g->time,
                                         g->objects, g->changed, g->reason};
        return STORE_OK;
    }
    return STORE_ABSENT;
}

static struct store_object object_of(const struct disk_entry *e)
{
    return (struct store_object){e->oid,   e->type, e->version, (e->flags & ENTRY_BYTES) != 0,
                                 e->place, e->birth};
}

int store_get(struct store *st, uint64_t generation, oid_t oid, struct store_object *o, void *buf)
{
    const struct disk_generation *g = generation_kept(&st->committed, generation);
    struct disk_entry e;
    uint64_t sum;
    int r;

    if (!g)
        return STORE_ABSENT;
    r = tree_find(st, &g->root, g->number, oid, &e);
    if (r)
        return r;
    *o = object_of(&e);
    if (!buf)
        return STORE_OK;
    if (!o->bytes) {
        memset(buf, 0, STORE_BLOCK);
        return STORE_OK;
    }
    r = io_read(st, e.place, buf, 1);
    if (r)
        return r;
    sum = store_checksum(buf, STORE_BLOCK);
    if (sum == e.checksum || MUTATED(MUTATION_OBJECT_CHECKSUM))
        return STORE_OK;
    memset(buf, 0, STORE_BLOCK);
    return DAMAGED(st, "object: checksum", e.place, g->number, oid, e.checksum, sum);
}

int store_walk(struct store *st, uint64_t generation, oid_t first,
               int (*each)(void *ctx, const struct store_object *o), void *ctx)
{
    const struct disk_generation *g = generation_kept(&st->committed, generation);
    const struct disk_entry *e;
    struct cursor c;
    int r;

    if (!g)
        return STORE_ABSENT;
    r = cursor_seek(&c, st, &g->root, g->number, first);
    while (r == STORE_OK && (e = cursor_entry(&c))) {
        struct store_object o = object_of(e);

        r = each(ctx, &o);
        if (r == STORE_OK)
            r = cursor_next(&c);
    }
    cursor_end(&c);
    return r;
}

/* --- writing -------------------------------------------------------------------------------------
 */

/** Moves the claim's start to the cursor, and its end on if little is left. */
static int advance_claim(struct store *st)
{
    struct disk_root *h = &st->now.head;
    uint64_t target = map_claim_target(st);

    h->claim_start = ring_at(h->claim_start, st->walked, h->blocks);
    h->claim_length -= st->walked;
    st->walked = 0;
    return st->claim_left < target / 2 ? map_claim(st, h, target) : STORE_OK;
}

/** Makes `now` durable. The last step of everything that frees or allocates blocks. */
static int make_durable(struct store *st)
{
    int r = map_fold(st);

    if (r == STORE_OK)
        r = advance_claim(st);
    if (r == STORE_OK)
        r = root_write(st, &st->now, true);
    if (r == STORE_OK)
        st->guard.count = 0;
    return r;
}

void store_abort(struct store *st)
{
    bool wrote = st->allocated > 0;

    st->begun = false;
    st->updates = 0;
    if (st->must_reopen)
        return;
    /* Blocks are used again at once: nothing may still be on its way to them. */
    if (wrote && io_flush(st))
        st->must_reopen = true;
    while (st->fresh)
        node_discard(st, st->fresh);
    map_forget(st);
    st->folding = false;
    st->guard.count = 0;
    st->walked = 0;
    st->claim_left = 0;
    st->allocated = 0;
    if (state_copy(&st->now, &st->committed))
        st->must_reopen = true;
}

int store_claim(struct store *st, uint64_t generation, uint64_t random, const char *by,
                uint64_t time, uint64_t *incarnation)
{
    struct disk_root *h = &st->now.head;
    const struct disk_generation *g = generation_kept(&st->committed, generation);
    int r;

    if (st->begun || st->must_reopen)
        return STORE_STATE;
    if (!g)
        return STORE_ABSENT;
    h->current = g->number;
    if (MUTATED(MUTATION_NUMBER_REUSED))
        h->next_generation = g->number + 1;
    if (!MUTATED(MUTATION_INCARNATION))
        h->incarnation++;
    h->incarnation_random = random;
    h->ran_at = time;
    copy_name(h->ran_by, by);
    h->avoid_start = h->claim_start;
    h->avoid_length = h->claim_length;
    h->claim_start = ring_at(h->claim_start, h->claim_length, h->blocks);
    h->claim_length = 0;
    st->claim_left = 0;
    r = map_claim(st, h, map_claim_target(st));
    if (r == STORE_OK)
        r = root_write(st, &st->now, false);
    if (r) {
        store_abort(st);
        return r;
    }
    st->claimed = true;
    *incarnation = h->incarnation;
    return STORE_OK;
}

int store_begin(struct store *st, uint64_t number)
{
    int r = STORE_OK;

    if (!st->claimed || st->begun || st->must_reopen)
        return STORE_STATE;
    if (number < st->now.head.next_generation || number >= NONE - 1)
        return STORE_ARGUMENT;
    if (st->pressed && generations_kept(&st->now) > 2) {
        r = generation_retain(st, 2, true);
        if (r == STORE_OK)
            r = make_durable(st);
        if (r)
            store_abort(st);
    }
    if (r == STORE_OK)
        st->pressed = false;
    st->begun = r == STORE_OK;
    st->number = number;
    st->updates = 0;
    st->allocated = 0;
    return r;
}

/** A place for one more change, in which order is set. */
static struct update *update_new(struct store *st)
{
    struct update *u;

    if (st->updates == st->update_capacity) {
        size_t capacity = st->update_capacity ? st->update_capacity * 2 : 256;

        u = realloc(st->update, capacity * sizeof(*u));
        if (!u)
            return NULL;
        st->update = u;
        st->update_capacity = capacity;
    }
    u = &st->update[st->updates];
    *u = (struct update){.order = st->updates};
    st->updates++;
    return u;
}

int store_put(struct store *st, oid_t oid, uint32_t type, uint32_t version, const void *bytes)
{
    struct disk_entry e = {
        .oid = oid, .version = version, .type = (uint8_t)type, .birth = st->number};
    struct update *u;
    int r = STORE_OK;

    if (!st->begun)
        return STORE_STATE;
    if (oid == 0 || type < OBJECT_PAGE || type > OBJECT_DOMAIN)
        return STORE_ARGUMENT;
    if (bytes && !store_is_zero(bytes)) {
        e.flags = ENTRY_BYTES;
        e.checksum = store_checksum(bytes, STORE_BLOCK);
        r = map_allocate(st, &e.place);
        if (r == STORE_OK)
            r = io_write(st, e.place, bytes, 1);
    }
    if (r)
        return r;
    u = update_new(st);
    if (!u)
        return STORE_NOMEM;
    u->entry = e;
    return STORE_OK;
}

int store_delete(struct store *st, oid_t oid)
{
    struct update *u;

    if (!st->begun)
        return STORE_STATE;
    u = update_new(st);
    if (!u)
        return STORE_NOMEM;
    u->entry.oid = oid;
    return STORE_OK;
}

static bool before(const struct update *a, const struct update *b)
{
    return a->entry.oid != b->entry.oid ? a->entry.oid < b->entry.oid : a->order < b->order;
}

static void sift(struct update *u, size_t root, size_t n)
{
    for (;;) {
        size_t child = 2 * root + 1;
        struct update t;

        if (child >= n)
            return;
        if (child + 1 < n && before(&u[child], &u[child + 1]))
            child++;
        if (!before(&u[root], &u[child]))
            return;
        t = u[root];
        u[root] = u[child];
        u[child] = t;
        root = child;
    }
}

/** Heapsort: no recursion, no memory, and no worse for any order. */
static void sort_updates(struct update *u, size_t n)
{
    size_t i = 1;

    while (i < n && before(&u[i - 1], &u[i]))
        i++;
    if (i >= n)
        return;
    for (i = n / 2; i-- > 0;)
        sift(u, i, n);
    for (i = n; i-- > 1;) {
        struct update t = u[0];

        u[0] = u[i];
        u[i] = t;
        sift(u, 0, i);
    }
}

/** Of several changes to one object the last counts; the blocks of the others are freed. */
static int single_updates(struct store *st)
{
    size_t n = 0;

    sort_updates(st->update, st->updates);
    for (size_t i = 0; i < st->updates; i++) {
        struct update *u = &st->update[i];

        if (i + 1 < st->updates && u[1].entry.oid == u->entry.oid) {
            int r = u->entry.flags & ENTRY_BYTES ? map_free(st, u->entry.place, 1) : STORE_OK;

            if (r)
                return r;
            continue;
        }
        st->update[n++] = *u;
    }
    st->updates = n;
    return STORE_OK;
}

/** Puts the generation begun into `now`. */
static int build(struct store *st, uint64_t time, enum store_reason reason)
{
    struct disk_root *h = &st->now.head;
    const struct disk_generation *parent = generation_kept(&st->now, STORE_NEWEST);
    struct disk_generation g = {.number = st->number,
                                .parent = h->current,
                                .base = h->current,
                                .time = time,
                                .reason = reason};
    int r = single_updates(st);

    if (parent) {
        g.root = parent->root;
        g.objects = parent->objects;
    }
    g.changed = st->updates;
    if (MUTATED(MUTATION_FREED_EARLY) && r == STORE_OK && h->keep_last > 2)
        r = generation_retain(st, h->keep_last - 1, false);
    if (r == STORE_OK)
        r = tree_update(st, &g.root, st->update, st->updates, g.number, g.number, false,
                        &g.objects);
    if (r == STORE_OK)
        r = generation_add(&st->now, &g);
    if (r)
        return r;
    h->current = h->newest = g.number;
    h->next_generation = g.number + 1;
    r = generation_retain(st, h->keep_last, false);
    /* What cannot be read cannot be dropped; that must not keep the district from going on. */
    return r == STORE_DAMAGED ? STORE_OK : r;
}

int store_commit(struct store *st, uint64_t time, enum store_reason reason)
{
    int r;

    if (!st->begun || st->must_reopen)
        return STORE_STATE;
    if (st->updates == 0) {
        store_abort(st);
        return STORE_OK;
    }
    r = build(st, time, reason);
    if (r == STORE_OK)
        r = make_durable(st);
    if (r)
        return r;
    if (st->allocated > st->last_commit)
        st->last_commit = st->allocated;
    else
        st->last_commit -= st->last_commit / 16;
    st->allocated = 0;
    st->updates = 0;
    st->begun = false;
    return STORE_OK;
}

/** For what is not part of a generation: changes the head of the last durable root. */
static int change_head(struct store *st, void (*change)(struct disk_root *h, const uint64_t *v),
                       const uint64_t *v)
{
    if (st->must_reopen)
        return STORE_STATE;
    change(&st->committed.head, v);
    change(&st->now.head, v);
    return root_write(st, &st->committed, false);
}

static void change_interval(struct disk_root *h, const uint64_t *v)
{
    h->interval = v[0];
}

static void change_policy(struct disk_root *h, const uint64_t *v)
{
    h->crash_policy = (uint32_t)v[0];
}

static void change_retention(struct disk_root *h, const uint64_t *v)
{
    h->keep_last = (uint32_t)v[0];
    h->keep_minutes = (uint32_t)v[1];
    h->keep_hours = (uint32_t)v[2];
    h->keep_days = (uint32_t)v[3];
}

int store_set_interval(struct store *st, uint64_t interval)
{
    return change_head(st, change_interval, &interval);
}

int store_set_crash_policy(struct store *st, uint32_t policy)
{
    uint64_t v = policy;

    return change_head(st, change_policy, &v);
}

int store_set_retention(struct store *st, uint32_t last, uint32_t minutes, uint32_t hours,
                        uint32_t days)
{
    uint64_t v[4] = {last, minutes, hours, days};

    if (last < 2 || (uint64_t)last + minutes + hours + days > STORE_GENERATIONS_MAX / 2)
        return STORE_ARGUMENT;
    return change_head(st, change_retention, v);
}

/** A range that wraps at the old end has to go on meaning (at least) the same blocks. */
static uint64_t stretched(uint64_t start, uint64_t length, uint64_t old, uint64_t blocks)
{
    return length && start + length > old ? length + (blocks - old) : length;
}

int store_grow(struct store *st, uint64_t blocks)
{
    struct disk_root *h = &st->now.head;
    uint64_t old = h->blocks;
    int r;

    if (st->begun || st->must_reopen)
        return STORE_STATE;
    if (blocks <= old || blocks > STORE_MAX_BLOCKS || blocks > st->io.blocks)
        return STORE_ARGUMENT;
    h->claim_length = stretched(h->claim_start, h->claim_length, old, blocks);
    h->avoid_length = stretched(h->avoid_start, h->avoid_length, old, blocks);
    h->blocks = blocks;
    h->free_blocks += blocks - old;
    r = root_write(st, &st->now, false);
    if (r)
        store_abort(st);
    return r;
}

int store_drop(struct store *st, uint64_t generation)
{
    int r;

    if (!st->claimed || st->begun || st->must_reopen)
        return STORE_STATE;
    if (!generation_kept(&st->now, generation))
        return STORE_ABSENT;
    if (generation == STORE_NEWEST || generation == st->now.head.current ||
        generations_kept(&st->now) <= 2)
        return STORE_ARGUMENT;
    r = generation_drop(st, generation);
    if (r == STORE_OK)
        r = make_durable(st);
    if (r)
        store_abort(st);
    return r;
}
