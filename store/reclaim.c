/*
 * What to do about damage in the store's own structure: dropping a generation whose index cannot be
 * read, finding again what had to stay used then, and making the map anew.
 *
 * What a whole generation holds is found by walking down its own tree. Below a block that is
 * damaged nobody can walk; but what all others reach can be found out, and what nobody reaches is
 * free. That reads the index of everything that is kept. If there is damage in more than one
 * generation it does not help either: then what lies below it stays used (ROOT_LEAKS in the root),
 * until a later drop leaves no damaged generation.
 *
 * The map says nothing that the generations do not say as well. So if one of its blocks is damaged
 * the commit that meets it fails, and the next one makes a new map first.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct reacher {
    struct store *st;
    uint64_t *seen;
    uint64_t generation;
};

static bool note(struct reacher *x, uint64_t block)
{
    uint64_t bit = (uint64_t)1 << block % 64, *w = &x->seen[block / 64];
    bool first = !(*w & bit);

    *w |= bit;
    return first;
}

static int reach(struct reacher *x, const struct disk_ref *ref, uint64_t key)
{
    struct node *n;
    int r;

    if (ref->place == 0 || !note(x, ref->place))
        return STORE_OK;
    r = node_get(x->st, ref, key, x->generation, &n);
    if (r)
        return r;
    for (unsigned i = 0; i < n->disk.count && r == STORE_OK; i++) {
        struct disk_ref child;

        if (n->disk.level == 0) {
            if (n->disk.entry[i].flags & ENTRY_BYTES)
                note(x, n->disk.entry[i].place);
            continue;
        }
        child = node_child(n, i);
        r = reach(x, &child, n->disk.child[i].key);
    }
    node_put(n);
    return r;
}

static int reach_generations(struct reacher *x, uint64_t but)
{
    const struct state *s = &x->st->now;
    int r = STORE_OK;

    for (uint32_t i = 0; i < s->head.generations && r == STORE_OK; i++) {
        x->generation = s->generation[i].number;
        if (x->generation != but)
            r = reach(x, &s->generation[i].root, 0);
    }
    x->generation = NONE;
    return r;
}

static uint64_t areas_of(const struct store *st)
{
    return (st->now.head.blocks + AREA_BLOCKS - 1) / AREA_BLOCKS;
}

/** Frees what is used in an area and was not seen. */
static int free_unseen(struct reacher *x, uint64_t area)
{
    uint64_t start = area * AREA_BLOCKS, end = start + AREA_BLOCKS, b, n, unseen[AREA_BLOCKS / 64];
    const uint64_t *bits;
    int r = map_area(x->st, area, &bits);

    if (r)
        return r;
    for (size_t w = 0; w < AREA_BLOCKS / 64; w++)
        unseen[w] = bits[w] & ~x->seen[start / 64 + w];
    b = start < FIRST_DATA ? FIRST_DATA : start;
    end = end < x->st->now.head.blocks ? end : x->st->now.head.blocks;
    for (; b < end && r == STORE_OK; b += n) {
        for (n = 0; b + n < end && unseen[(b + n - start) / 64] >> (b + n) % 64 & 1; n++)
            ;
        if (n)
            r = map_free(x->st, b, n);
        else
            n = 1;
    }
    return r;
}

int generation_reclaim(struct store *st, uint64_t but)
{
    struct reacher x = {.st = st, .seen = calloc((size_t)areas_of(st), AREA_BLOCKS / 8)};
    int r = x.seen ? reach_generations(&x, but) : STORE_NOMEM;

    if (r == STORE_OK)
        r = reach(&x, &st->now.head.map, 0);
    for (uint64_t i = 0; i < areas_of(st) && r == STORE_OK; i++)
        r = free_unseen(&x, i);
    free(x.seen);
    if (r == STORE_OK)
        st->now.head.flags &= ~ROOT_LEAKS;
    return r;
}

int generation_drop_anyway(struct store *st, uint64_t number)
{
    bool leaks = st->now.head.flags & ROOT_LEAKS;
    int r = generation_drop(st, number);

    if (r == STORE_OK)
        return leaks && generation_reclaim(st, NONE) == STORE_NOMEM ? STORE_NOMEM : STORE_OK;
    if (r != STORE_DAMAGED)
        return r;
    st->silent = true; /* it has been named */
    r = generation_reclaim(st, number);
    if (r == STORE_OK)
        generation_strike(st, number);
    if (r == STORE_DAMAGED)
        r = generation_drop_readable(st, number);
    st->silent = false;
    return r;
}

/* --- the map ---------------------------------------------------------------------------------- */

int map_from_generations(struct store *st)
{
    struct reacher x = {.st = st, .seen = calloc((size_t)areas_of(st), AREA_BLOCKS / 8)};
    int r = x.seen ? reach_generations(&x, NONE) : STORE_NOMEM;

    map_forget(st);
    for (uint64_t i = 0; i < areas_of(st) && r == STORE_OK; i++)
        r = map_put_area(st, i, x.seen + i * (AREA_BLOCKS / 64));
    free(x.seen);
    return r;
}

/** The tree is empty, and the points are the borders of all that is used. */
static int points_from_areas(struct store *st)
{
    struct disk_root *h = &st->now.head;
    uint64_t used = 0;
    int r = STORE_OK;

    h->map = (struct disk_ref){0};
    st->now.points.count = 0;
    for (uint64_t i = 0; i < areas_of(st) && r == STORE_OK; i++) {
        const uint64_t *bits;

        r = map_area(st, i, &bits);
        for (uint64_t b = 0, n; b < AREA_BLOCKS && r == STORE_OK; b += n ? n : 1) {
            for (n = 0; b + n < AREA_BLOCKS && bits[(b + n) / 64] >> (b + n) % 64 & 1; n++)
                ;
            used += n;
            if (n)
                r = points_toggle(&st->now.points, i * AREA_BLOCKS + b, n);
        }
    }
    h->free_blocks = h->blocks - FIRST_DATA - used;
    return r;
}

int map_rebuild(struct store *st)
{
    int r;

    st->allocated = 0;
    st->folding = true; /* the areas must stay */
    r = map_from_generations(st);
    if (r == STORE_OK)
        r = points_from_areas(st);
    if (r == STORE_OK)
        r = map_fold_all(st);
    st->folding = false;
    if (r == STORE_OK)
        r = store_make_durable(st);
    if (r)
        store_abort(st);
    else
        st->map_damaged = false;
    return r;
}
