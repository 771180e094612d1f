/*
 * How much fits: the promise that a commit does not fail for want of space, kept before anything
 * becomes dirty.
 *
 * What a commit of n changes takes at the most, each counted as often as it is put:
 *
 *   bytes   n blocks.
 *   index   An index block that is updated (a change lies below it) is written as at most
 *           2 + a/f blocks, where a is the number of items that it gains and f (96 in a leaf, 120
 *           above) what a full one gets when ids are appended; splitting evenly makes fewer. At
 *           most one of them is small, and opening a neighbour to merge it with, in vain, writes
 *           one more. (If it is not in vain there is one less. The neighbour is then not small, so
 *           that it opens no other.) So u updated blocks of one level, which gain a items together,
 *           are written as at most 3 u + a/f. They give the level above at most u + a/f items more,
 *           and at most u blocks there are updated. u is no more than n, and over all levels no
 *           more than the tree has blocks.
 *           New levels on top: k blocks need at most 1 + k/f above them, until one is left.
 *   map     Folding writes each area that is touched, at most all of them, and the blocks of the
 *           map's tree, as above, of which there are no more than areas on a level: FOLD(areas). It
 *           is done only while twice as much is free, or if the root has no room for the points.
 *           One fold leaves at most 6 points for each block that it writes or frees; they fit the
 *           root if there are no more than some 370 areas (46 GiB), and in fact, since it writes
 *           row by row, of far larger stores.
 *   root    nothing: its place is its own. Nor do claiming, going back and growing take blocks.
 *
 * One FOLD more is left alone: dropping a generation may need it, and gives it back.
 */
#include "internal.h"

#define LEAF_FULL  (NODE_ENTRIES - NODE_ENTRIES / 16)
#define INNER_FULL (NODE_CHILDREN - NODE_CHILDREN / 16)

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t ceiling(uint64_t a, uint64_t b)
{
    return (a + b - 1) / b;
}

/** Index blocks that n changes in a tree of `nodes` blocks and `height` levels may write. */
static uint64_t index_cost(uint64_t n, uint64_t nodes, uint64_t height)
{
    uint64_t updated = least(n, nodes ? nodes : 1), gained = n, cost = 0, sum = 0;

    if (nodes == 0)
        nodes = height = 1; /* the first leaf */
    for (uint64_t level = 0; level < height; level++) {
        uint64_t split = ceiling(gained, level ? INNER_FULL : LEAF_FULL);

        sum += updated;
        cost += split;
        gained = updated + split;
    }
    for (uint64_t k = 1 + gained; k > 1; k = ceiling(k, INNER_FULL)) {
        cost += ceiling(k, INNER_FULL);
        if (k <= NODE_CHILDREN)
            break;
    }
    return cost + 3 * least(sum, nodes);
}

uint64_t room_for_fold(const struct store *st)
{
    const struct disk_root *h = &st->committed.head;
    uint64_t areas = h->blocks / AREA_BLOCKS + 1;

    return areas +
           index_cost(areas, h->map.place ? areas * (h->map.level + 1) : 0, h->map.level + 1);
}

int store_room(const struct store *st, uint64_t *objects)
{
    const struct disk_generation *g = generation_kept(&st->committed, STORE_NEWEST);
    uint64_t nodes = g ? g->nodes : 0, height = g ? g->root.level + 1 : 0;
    uint64_t reserve = MUTATED(MUTATION_ROOM) ? 0 : 2 * room_for_fold(st),
             free = st->committed.head.free_blocks;
    uint64_t low = 0, high;

    *objects = 0;
    if (st->must_reopen)
        return STORE_STATE;
    if (free <= reserve)
        return STORE_OK;
    high = free - reserve + 1;
    /* low fits, high does not. The cost grows with n. */
    while (high - low > 1) {
        uint64_t n = low + (high - low) / 2;

        uint64_t index = MUTATED(MUTATION_ROOM) ? 0 : index_cost(n, nodes, height) + reserve;

        *(n + index <= free ? &low : &high) = n;
    }
    *objects = low;
    return STORE_OK;
}
