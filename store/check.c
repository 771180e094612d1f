/*
 * The invariants of internal.h, checked by code in debug builds (BW_CHECK): those that concern a
 * state as a whole are here, at the end of each operation that made something durable; those of one
 * step are beside it. What a store on disk claims is not an invariant: root.c refuses it.
 */
#include "internal.h"

#ifdef BW_CHECK

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_CHECKED 64u /* index blocks looked at each time */

void store_broken(int number, const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: invariant %d of the store is broken: %s\n", file, line, number, what);
    abort();
}

static void check_same(const struct store *st)
{
    const struct state *a = &st->now, *b = &st->committed;

    INVARIANT(3, memcmp(&a->head, &b->head, sizeof(a->head)) == 0);
    INVARIANT(
        3, memcmp(a->generation, b->generation, b->head.generations * sizeof(*b->generation)) == 0);
    INVARIANT(3, a->points.count == b->points.count);
    INVARIANT(3, a->points.count == 0 || memcmp(a->points.at, b->points.at,
                                                b->points.count * sizeof(*b->points.at)) == 0);
    INVARIANT(1, st->guard.count == 0);
    INVARIANT(3, st->fresh == NULL);
}

static void check_nodes(const struct store *st)
{
    const struct node *n = st->newest;

    for (unsigned i = 0; n && i < NODES_CHECKED; i++, n = n->older) {
        INVARIANT(5, n->place >= FIRST_DATA);
        INVARIANT(5, store_checksum(&n->disk, STORE_BLOCK) == n->checksum ||
                         MUTATED(MUTATION_NODE_CHECKSUM));
        INVARIANT(5, n->pins == 0);
    }
}

static void check_table(const struct state *s)
{
    for (uint32_t i = 0; i < s->head.generations; i++) {
        const struct disk_generation *g = &s->generation[i];
        bool ghost = g->flags & GENERATION_GHOST;

        INVARIANT(6, i == 0 || g->number > g[-1].number);
        INVARIANT(6, g->number <= s->head.newest && s->head.newest < s->head.next_generation);
        INVARIANT(6, g->base == NONE || (g->base < g->number &&
                                         generation_find((struct state *)s, g->base) != NULL));
        INVARIANT(7, !ghost || (g->root.place == 0 && generation_children(s, g->number) > 1));
        INVARIANT(7, ghost || g->root.place == 0 || g->root.birth <= g->number);
    }
    INVARIANT(6, s->head.generations == 0 || generation_kept(s, STORE_NEWEST) != NULL);
}

static void check_points(const struct state *s)
{
    INVARIANT(8, s->points.count % 2 == 0);
    for (size_t i = 0; i < s->points.count; i++) {
        INVARIANT(8, s->points.at[i] >= FIRST_DATA && s->points.at[i] <= s->head.blocks);
        INVARIANT(8, i == 0 || s->points.at[i] > s->points.at[i - 1]);
    }
}

static void check_head(const struct store *st)
{
    const struct disk_root *h = &st->committed.head;
    const struct slot *slot = &st->slot[h->sequence % ROOT_SLOTS];
    uint64_t ring = h->blocks - FIRST_DATA;

    INVARIANT(2, h->claim_length <= ring && h->avoid_length <= ring);
    INVARIANT(9, h->free_blocks <= ring);
    INVARIANT(10, MUTATED(MUTATION_ONE_ROOT_SLOT) ||
                      (slot->sequence == h->sequence && root_twins_lost(st) == 0));
    INVARIANT(11, h->in_sync && h->in_sync < 1u << h->copies);
    INVARIANT(11, st->io.copies > 1 || h->copies == 1 || h->in_sync == 1u << st->super.copy);
}

void store_check(const struct store *st)
{
    if (st->must_reopen)
        return;
    check_same(st);
    check_nodes(st);
    check_table(&st->committed);
    check_points(&st->committed);
    check_head(st);
}

/** Before a block is written to for the first time since it was free. */
void store_check_allocation(const struct store *st, uint64_t place)
{
    const struct disk_root *h = &st->committed.head;
    bool same_tree = memcmp(&st->now.head.map, &h->map, sizeof(h->map)) == 0;

    INVARIANT(1, !points_cover(&st->guard, place));
    /* Free now, so used in the durable root exactly if its points say otherwise. */
    INVARIANT(1, MUTATED(MUTATION_FREED_EARLY) || !same_tree || st->folding ||
                     points_cover(&st->now.points, place) ==
                         points_cover(&st->committed.points, place));
    INVARIANT(2, in_ring(h->claim_start, h->claim_length, h->blocks, place) ||
                     MUTATED(MUTATION_CLAIM_NOT_EXTENDED));
    INVARIANT(2, h->avoid_length == 0 || MUTATED(MUTATION_AVOID_IGNORED) ||
                     !in_ring(h->avoid_start, h->avoid_length, h->blocks, place));
}

#endif
