/*
 * The allocation map: which blocks are used. On disk it is a tree of blocks of bits, plus, in the
 * root, ranges in which the bits are inverted: what changed since the tree was written. A small
 * commit thus changes the map by a few numbers in the root that it writes anyway; when the ranges
 * have become many, map_fold writes them into the tree, by copying, like everything else.
 *
 * Nothing reads the whole map: blocks of bits are loaded when something is allocated there. Areas
 * without an entry are all free, so that an empty store of any size is made in an instant.
 *
 * Allocation goes through the store in a circle (so what a commit writes is mostly one row of
 * blocks), inside the claim, and outside of what the root says to avoid.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

uint64_t ring_at(uint64_t start, uint64_t offset, uint64_t blocks)
{
    uint64_t at = start + offset;

    return at < blocks ? at : at - blocks + FIRST_DATA;
}

bool in_ring(uint64_t start, uint64_t length, uint64_t blocks, uint64_t b)
{
    uint64_t offset = b >= start ? b - start : b - FIRST_DATA + blocks - start;

    return offset < length;
}

static bool avoided(const struct disk_root *h, uint64_t b)
{
    return h->avoid_length && in_ring(h->avoid_start, h->avoid_length, h->blocks, b) &&
           !MUTATED(MUTATION_AVOID_IGNORED);
}

/* --- areas ------------------------------------------------------------------------------------ */

static void area_set(struct area *a, uint64_t block, bool used)
{
    uint64_t bit = (uint64_t)1 << block % 64, *w = &a->bits[block % AREA_BLOCKS / 64];

    *w = used ? *w | bit : *w & ~bit;
}

static bool area_get(const struct area *a, uint64_t block)
{
    return a->bits[block % AREA_BLOCKS / 64] >> block % 64 & 1;
}

static uint64_t minimum(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static int area_read(struct store *st, struct area *a)
{
    struct disk_entry e;
    int r = tree_find(st, &st->now.head.map, NONE, a->index, &e);

    if (r)
        return r == STORE_ABSENT ? STORE_OK : r;
    if (e.type != MAP_TYPE || !(e.flags & ENTRY_BYTES))
        return DAMAGED(st, "map: entry", e.place, NONE, a->index, MAP_TYPE, e.type);
    return io_read_checked(st,
                           &(struct wanted){.what = "map block: checksum",
                                            .block = e.place,
                                            .generation = NONE,
                                            .oid = a->index,
                                            .checksum = e.checksum,
                                            .believe = MUTATED(MUTATION_NODE_CHECKSUM)},
                           a->bits);
}

/** Inverts the bits of the area that `points` says. */
static void area_apply(struct area *a, const struct points *p)
{
    uint64_t start = a->index * AREA_BLOCKS, end = start + AREA_BLOCKS, b = start;

    if (!points_cover(p, b))
        b = points_next(p, b);
    while (b < end) {
        uint64_t stop = minimum(points_next(p, b), end);

        for (uint64_t i = b; i < stop; i++)
            area_set(a, i, !area_get(a, i));
        b = stop < end ? points_next(p, stop) : end;
    }
}

static void areas_trim(struct store *st)
{
    struct area **p = &st->areas;
    unsigned n = 0;

    while (*p && ++n < AREAS_LOADED_MAX)
        p = &(*p)->next;
    while (*p && !st->folding) {
        struct area *a = *p;

        *p = a->next;
        free(a);
    }
}

static struct area *area_loaded(struct store *st, uint64_t index)
{
    for (struct area **p = &st->areas; *p; p = &(*p)->next) {
        struct area *a = *p;

        if (a->index != index)
            continue;
        *p = a->next;
        a->next = st->areas;
        st->areas = a;
        return a;
    }
    return NULL;
}

static int area_load(struct store *st, uint64_t index, struct area **out)
{
    struct area *a = area_loaded(st, index);
    int r;

    *out = a;
    if (a)
        return STORE_OK;
    a = calloc(1, sizeof(*a));
    if (!a)
        return STORE_NOMEM;
    a->index = index;
    r = area_read(st, a);
    st->map_damaged |= r == STORE_DAMAGED;
    if (r) {
        free(a);
        return r;
    }
    area_apply(a, &st->now.points);
    areas_trim(st);
    a->next = st->areas;
    st->areas = a;
    *out = a;
    return STORE_OK;
}

int map_put_area(struct store *st, uint64_t index, const uint64_t *bits)
{
    struct area *a = malloc(sizeof(*a));

    if (!a)
        return STORE_NOMEM;
    a->index = index;
    memcpy(a->bits, bits, sizeof(a->bits));
    a->next = st->areas;
    st->areas = a;
    return STORE_OK;
}

void map_forget(struct store *st)
{
    while (st->areas) {
        struct area *a = st->areas;

        st->areas = a->next;
        free(a);
    }
}

bool map_used(struct store *st, uint64_t place, int *error)
{
    struct area *a;

    *error = area_load(st, place / AREA_BLOCKS, &a);
    return *error == STORE_OK && area_get(a, place);
}

int map_area(struct store *st, uint64_t index, const uint64_t **bits)
{
    struct area *a;
    int r = area_load(st, index, &a);

    *bits = r ? NULL : a->bits;
    return r;
}

/** A claim does not reach across what is avoided if it has so many free blocks before that. */
#define CLAIM_MINIMUM 16u

/* --- claims ----------------------------------------------------------------------------------- */

uint64_t map_claim_target(const struct store *st)
{
    const struct disk_root *h = &st->now.head;
    uint64_t wanted = 1024, half;

    if (st->last_commit * 2 > wanted)
        wanted = st->last_commit * 2;
    /* The other half is for a successor, which stays out of this one's. */
    half = h->free_blocks > h->avoid_length ? (h->free_blocks - h->avoid_length) / 2 : 0;
    return minimum(wanted, half < CLAIM_MINIMUM ? CLAIM_MINIMUM : half);
}

/** Free blocks among the n <= 64 from b on that lie in one word of the map. */
static unsigned count_free(const struct disk_root *h, const struct area *a, uint64_t b, uint64_t n)
{
    unsigned count = 0;

    for (uint64_t i = b; i < b + n; i++)
        count += !area_get(a, i) && !avoided(h, i);
    return count;
}

int map_claim(struct store *st, struct disk_root *head, uint64_t wanted)
{
    uint64_t ring = head->blocks - FIRST_DATA;

    while (st->claim_left < wanted && head->claim_length < ring) {
        uint64_t b = ring_at(head->claim_start, head->claim_length, head->blocks);
        uint64_t n = minimum(64 - b % 64, ring - head->claim_length);
        struct area *a;
        int r;

        if (avoided(head, b) && st->claim_left >= CLAIM_MINIMUM)
            break;
        if (head->avoid_length && head->avoid_start > b)
            n = minimum(n, head->avoid_start - b);
        n = minimum(n, head->blocks - b);
        r = area_load(st, b / AREA_BLOCKS, &a);
        if (r)
            return r;
        st->claim_left += count_free(head, a, b, n);
        head->claim_length += n;
    }
    return STORE_OK;
}

/** The claim is used up in the middle of a commit: makes a larger one durable before it is used. */
static int claim_more(struct store *st)
{
    struct disk_root *h = &st->committed.head, before = *h;
    int r = STORE_OK;

    if (h->claim_length == h->blocks - FIRST_DATA) {
        st->pressed = true;
        if (!h->avoid_length)
            return STORE_NOSPACE;
        /* Better to write where a predecessor might still than not at all. */
        h->avoid_start = h->avoid_length = 0;
        st->walked = 0;
    } else {
        st->claim_left = 0;
        r = map_claim(st, h, map_claim_target(st));
    }
    if (r == STORE_OK && !MUTATED(MUTATION_CLAIM_NOT_EXTENDED))
        r = root_write(st, &st->committed, false);
    if (r) {
        *h = before;
        return r;
    }
    st->now.head.claim_length = h->claim_length;
    st->now.head.avoid_start = h->avoid_start;
    st->now.head.avoid_length = h->avoid_length;
    return STORE_OK;
}

/* --- allocating and freeing ------------------------------------------------------------------- */

/** First block in [b, end), all in one area, with a clear bit, or end. */
static uint64_t clear_bit(const struct area *a, uint64_t b, uint64_t end)
{
    while (b < end) {
        uint64_t w = ~a->bits[b % AREA_BLOCKS / 64] >> b % 64;

        if (w)
            return minimum(b + (uint64_t)__builtin_ctzll(w), end);
        b = (b | 63) + 1;
    }
    return end;
}

/** Looks in what is left of the claim. @return STORE_ABSENT: nothing there */
static int find_free(struct store *st, uint64_t *place)
{
    const struct disk_root *h = &st->now.head;

    while (st->walked < h->claim_length) {
        uint64_t from = ring_at(h->claim_start, st->walked, h->blocks), b;
        uint64_t end = minimum((from / AREA_BLOCKS + 1) * AREA_BLOCKS, h->blocks);
        struct area *a;
        int r = area_load(st, from / AREA_BLOCKS, &a);

        if (r)
            return r;
        end = minimum(end, from + h->claim_length - st->walked);
        for (b = clear_bit(a, from, end); b < end; b = clear_bit(a, b + 1, end))
            if (!points_cover(&st->guard, b) && !avoided(h, b))
                break;
        st->walked += b - from;
        if (b == end)
            continue;
        st->walked++;
        *place = b;
        return STORE_OK;
    }
    return STORE_ABSENT;
}

int map_allocate(struct store *st, uint64_t *place)
{
    struct area *a;
    int r;

    while ((r = find_free(st, place)) == STORE_ABSENT) {
        r = claim_more(st);
        if (r)
            return r;
    }
    if (r)
        return r;
    if (st->now.head.free_blocks == 0)
        return DAMAGED(st, "map: count of free blocks", *place, NONE, 0, 1, 0);
    CHECK_ALLOCATION(st, *place);
    r = points_toggle(&st->now.points, *place, 1);
    if (r)
        return r;
    a = area_loaded(st, *place / AREA_BLOCKS);
    area_set(a, *place, true);
    st->now.head.free_blocks--;
    st->allocated++;
    if (st->claim_left)
        st->claim_left--;
    return STORE_OK;
}

bool map_may_free(struct store *st, uint64_t place)
{
    const struct area *a = area_loaded(st, place / AREA_BLOCKS);

    return !points_cover(&st->guard, place) && (!a || area_get(a, place));
}

int map_free(struct store *st, uint64_t place, uint64_t count)
{
    uint64_t used = st->now.head.blocks - FIRST_DATA - st->now.head.free_blocks;

    if (count > used)
        return DAMAGED(st, "map: count of free blocks", place, NONE, 0, used, count);
    for (uint64_t b = place; b < place + count; b++) {
        struct area *a = area_loaded(st, b / AREA_BLOCKS);

        if (!map_may_free(st, b))
            return DAMAGED(st, "map: a block is freed that is not in use", b, NONE, 0, 1, 0);
        if (a)
            area_set(a, b, false);
    }
    if (!MUTATED(MUTATION_FREED_EARLY) && points_toggle(&st->guard, place, count))
        return STORE_NOMEM;
    if (!MUTATED(MUTATION_FREE_COUNT))
        st->now.head.free_blocks += count;
    return points_toggle(&st->now.points, place, count);
}

/* --- folding ---------------------------------------------------------------------------------- */

static uint64_t area_used(const struct area *a)
{
    uint64_t n = 0;

    for (size_t i = 0; i < AREA_BLOCKS / 64; i++)
        n += (uint64_t)__builtin_popcountll(a->bits[i]);
    return n;
}

/** Writes one area as it is now and describes that in u. Then no point is left in it. */
static int fold_area(struct store *st, uint64_t index, struct update *u)
{
    struct disk_entry old = {0};
    struct area *a;
    bool in_place;
    int r = area_load(st, index, &a);

    *u = (struct update){.entry = {.oid = index}};
    if (r == STORE_OK)
        r = tree_find(st, &st->now.head.map, NONE, index, &old);
    in_place = r == STORE_OK && MUTATED(MUTATION_MAP_IN_PLACE);
    if (r == STORE_OK && !in_place)
        r = map_free(st, old.place, 1);
    if (r && r != STORE_ABSENT)
        return r;
    if (area_used(a)) {
        u->entry.type = MAP_TYPE;
        u->entry.flags = ENTRY_BYTES;
        u->entry.birth = st->committed.head.sequence + 1;
        u->entry.place = old.place;
        r = in_place ? STORE_OK : map_allocate(st, &u->entry.place);
        if (r)
            return r;
        u->entry.version = (uint32_t)area_used(a);
        u->entry.checksum = store_checksum(a->bits, STORE_BLOCK);
        r = io_write_copy(st, u->entry.place, a->bits);
        if (r)
            return r;
    }
    return points_clear(&st->now.points, index * AREA_BLOCKS, (index + 1) * AREA_BLOCKS);
}

/** First area >= index with a point's range in it, or UINT64_MAX. */
static uint64_t touched(const struct points *p, uint64_t index)
{
    uint64_t b = index * AREA_BLOCKS;

    if (!points_cover(p, b))
        b = points_next(p, b);
    return b == UINT64_MAX ? b : b / AREA_BLOCKS;
}

static int fold_once(struct store *st)
{
    struct update *u = NULL;
    size_t n = 0, capacity = 0;
    struct tree_counts ignored = {0};
    int r = STORE_OK;

    for (uint64_t i = touched(&st->now.points, 0); i != UINT64_MAX && r == STORE_OK;
         i = touched(&st->now.points, i + 1)) {
        if (n == capacity) {
            struct update *more = realloc(u, (capacity + 64) * sizeof(*u));

            if (!more) {
                r = STORE_NOMEM;
                break;
            }
            u = more;
            capacity += 64;
        }
        r = fold_area(st, i, &u[n++]);
    }
    if (r == STORE_OK)
        r = tree_update(st, &st->now.head.map, u, n, st->committed.head.sequence + 1, NONE, true,
                        &ignored);
    free(u);
    return r;
}

/** As many always fit a root. */
#define POINTS_MAX                                                                                 \
    ((ROOT_BLOCKS * STORE_BLOCK - sizeof(struct disk_root) - STORE_JOURNAL -                       \
      STORE_GENERATIONS_MAX * sizeof(struct disk_generation)) /                                    \
     sizeof(uint64_t))

/** Folding takes blocks before it gives some. In a full store it waits, as long as the root has
 * room. */
static bool too_full_to_fold(const struct store *st)
{
    return st->committed.head.free_blocks < st->allocated + 2 * room_for_fold(st) &&
           st->now.points.count <= POINTS_MAX;
}

int map_fold_all(struct store *st)
{
    int r;

    st->folding = true;
    r = fold_once(st);
    st->folding = false;
    return r ? r : map_fold(st);
}

int map_fold(struct store *st)
{
    size_t before = SIZE_MAX;
    int r = STORE_OK;

    st->folding = true; /* all areas that it loads must stay */
    /* What folding itself writes and frees is folded again, as long as that makes it less. */
    while (r == STORE_OK && st->now.points.count > st->io.fold_limit &&
           st->now.points.count < before && !too_full_to_fold(st)) {
        before = st->now.points.count / 2;
        r = fold_once(st);
    }
    st->folding = false;
    return r; /* what is left fits the root, or encoding it fails */
}
