/*
 * The life of a generation: a new incarnation claims the store, begins, puts and deletes, and
 * commits.
 *
 *   state       | reached by               | allowed
 *   open        | store_open               | reading, store_claim, policy
 *   claimed     | store_claim, store_format | also store_begin, store_drop, store_grow
 *   begun       | store_begin              | also store_put, store_delete; it ends by store_commit
 *               |                          | or store_abort
 *   must reopen | a root write that failed | reading
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

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
int store_make_durable(struct store *st)
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
    st->pinned = NONE;
    h->current = g->number;
    if (MUTATED(MUTATION_NUMBER_REUSED))
        h->next_generation = g->number + 1;
    if (!MUTATED(MUTATION_INCARNATION))
        h->incarnation++;
    h->incarnation_random = random;
    h->ran_at = time;
    store_copy_name(h->ran_by, by);
    h->avoid_start = h->claim_start;
    h->avoid_length = h->claim_length;
    h->claim_start = ring_at(h->claim_start, h->claim_length, h->blocks);
    h->claim_length = 0;
    st->claim_left = 0;
    r = map_claim(st, h, map_claim_target(st));
    if (r == STORE_DAMAGED) { /* what the map says is known without it */
        st->folding = true;
        r = map_from_generations(st);
        if (r == STORE_OK)
            r = map_claim(st, h, map_claim_target(st));
        st->folding = false;
    }
    if (r == STORE_OK)
        r = root_write(st, &st->now, false);
    if (r) {
        store_abort(st);
        return r;
    }
    CHECK_STORE(st);
    st->claimed = true;
    *incarnation = h->incarnation;
    return STORE_OK;
}

/** After dropping, which gave r. */
static int drop_durably(struct store *st, int r)
{
    if (r == STORE_OK)
        r = store_make_durable(st);
    if (r)
        store_abort(st);
    return r;
}

/** The table is full, of generations that retention could not drop for damage. */
static int drop_oldest(struct store *st)
{
    const struct state *s = &st->now;

    for (uint32_t i = 0; i < s->head.generations; i++)
        if (!generation_needed(s, s->generation[i].number) &&
            !(s->generation[i].flags & GENERATION_GHOST))
            return generation_drop_anyway(st, s->generation[i].number);
    return STORE_NOSPACE;
}

int store_begin(struct store *st, uint64_t number)
{
    int r = STORE_OK;

    if (!st->claimed || st->begun || st->must_reopen || bond_in_doubt(&st->now.head))
        return STORE_STATE;
    if (number < st->now.head.next_generation || number >= NONE - 1)
        return STORE_ARGUMENT;
    st->allocated = 0;
    if (st->map_damaged)
        r = map_rebuild(st);
    if (r)
        return r;
    if (st->pressed && generations_kept(&st->now) > 2)
        r = drop_durably(st, generation_retain(st, 2, true));
    else if (st->now.head.generations >= STORE_GENERATIONS_MAX - 1)
        r = drop_durably(st, drop_oldest(st));
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
static int build(struct store *st, uint64_t time, enum store_reason reason,
                 const struct store_bond *bond)
{
    struct disk_root *h = &st->now.head;
    const struct disk_generation *parent = generation_kept(&st->now, STORE_NEWEST);
    uint64_t instant = parent && h->bond.members ? generation_instant(parent) : 0;
    struct disk_generation g = {.number = st->number,
                                .parent = h->current,
                                .base = h->current,
                                .time = !bond && instant ? instant : time,
                                .reason = reason,
                                .flags = bond || instant ? GENERATION_BONDED : 0};
    struct tree_counts counts = {0};
    uint32_t self;
    int r = single_updates(st);

    if (parent) {
        g.root = parent->root;
        counts = (struct tree_counts){parent->objects, parent->nodes};
    }
    g.changed = st->updates;
    if (MUTATED(MUTATION_FREED_EARLY) && r == STORE_OK && h->keep_last > 2)
        r = generation_retain(st, h->keep_last - 1, false);
    if (r == STORE_OK)
        r = tree_update(st, &g.root, st->update, st->updates, g.number, g.number, false, &counts);
    g.objects = counts.objects;
    g.nodes = counts.nodes;
    if (r == STORE_OK)
        r = generation_add(&st->now, &g);
    if (r)
        return r;
    h->current = h->newest = g.number;
    h->next_generation = g.number + 1;
    if (bond && bond_place(st, bond, &self))
        bond_enter(h, bond, self, self == 0 ? NONE : g.number);
    return generation_retain(st, h->keep_last, false);
}

/** Commits the generation begun. @param bond it is made in, or NULL: the same as the current one */
static int commit(struct store *st, uint64_t time, enum store_reason reason,
                  const struct store_bond *bond)
{
    int r = build(st, time, reason, bond);

    if (r == STORE_OK)
        r = store_make_durable(st);
    if (r)
        return r;
    if (st->allocated > st->last_commit)
        st->last_commit = st->allocated;
    else
        st->last_commit -= st->last_commit / 16;
    st->allocated = 0;
    st->updates = 0;
    st->begun = false;
    CHECK_STORE(st);
    return STORE_OK;
}

int store_commit(struct store *st, uint64_t time, enum store_reason reason)
{
    if (!st->begun || st->must_reopen)
        return STORE_STATE;
    if (st->updates == 0) {
        store_abort(st);
        return STORE_OK;
    }
    return commit(st, time, reason, NULL);
}

int store_commit_bonded(struct store *st, uint64_t instant, enum store_reason reason,
                        const struct store_bond *bond)
{
    struct store_bond b = *bond;
    uint32_t self;

    if (!st->begun || st->must_reopen)
        return STORE_STATE;
    if (!bond_place(st, bond, &self) || instant <= st->now.head.bond.last)
        return STORE_ARGUMENT;
    b.last = instant;
    return commit(st, instant, reason, &b);
}
