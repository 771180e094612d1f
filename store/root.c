/*
 * Roots: finding the newest whole one, and making the next one durable.
 *
 * The order that a commit rests on is here: everything that the new root needs is flushed, then the
 * root is written to the slot of the oldest one, then that is flushed. A root that is torn has a
 * wrong checksum and does not count.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

int state_copy(struct state *to, const struct state *from)
{
    int r = points_copy(&to->points, &from->points);

    if (r)
        return r;
    to->head = from->head;
    memcpy(to->generation, from->generation, from->head.generations * sizeof(*to->generation));
    return STORE_OK;
}

static uint64_t slot_block(uint64_t sequence)
{
    if (MUTATED(MUTATION_ONE_ROOT_SLOT))
        sequence = 0;
    return ROOT_FIRST + sequence % ROOT_SLOTS * ROOT_SLOT_BLOCKS;
}

static uint64_t root_checksum(const uint8_t *buffer, size_t length)
{
    return store_checksum(buffer + 16, length - 16);
}

/** Encodes into root_buffer. @return its length in bytes, 0 if it does not fit */
static size_t encode(struct store *st, struct state *s)
{
    size_t table = s->head.generations * sizeof(*s->generation);
    size_t points = s->points.count * sizeof(uint64_t);
    size_t length = sizeof(s->head) + table + points;
    struct disk_root *head = (struct disk_root *)st->root_buffer;

    if (length > ROOT_SLOT_BLOCKS * STORE_BLOCK)
        return 0;
    memset(st->root_buffer, 0, (length + STORE_BLOCK - 1) / STORE_BLOCK * STORE_BLOCK);
    s->head.magic = ROOT_MAGIC;
    s->head.version = STORE_FORMAT_VERSION;
    s->head.length = (uint32_t)length;
    s->head.points = (uint32_t)s->points.count;
    memcpy(s->head.id, st->super.id, sizeof(s->head.id));
    memcpy(st->root_buffer, &s->head, sizeof(s->head));
    memcpy(st->root_buffer + sizeof(s->head), s->generation, table);
    if (points)
        memcpy(st->root_buffer + sizeof(s->head) + table, s->points.at, points);
    head->checksum = s->head.checksum = root_checksum(st->root_buffer, length);
    return length;
}

static int wipe(struct store *st, uint64_t block)
{
    static const uint8_t zeros[STORE_BLOCK];
    int r = io_write(st, block, zeros, 1);

    return r ? r : io_flush(st);
}

static int write_and_flush(struct store *st, uint64_t sequence, size_t length, bool data_first)
{
    bool flush = !MUTATED(MUTATION_NO_FLUSH_AFTER_ROOT) &&
                 (data_first || !MUTATED(MUTATION_CLAIM_NOT_FLUSHED));
    int r = io_write(st, slot_block(sequence), st->root_buffer,
                     (length + STORE_BLOCK - 1) / STORE_BLOCK);

    if (r == STORE_OK)
        r = flush ? io_flush(st) : io_wait(st);
    return r;
}

int root_write(struct store *st, struct state *s, bool data_first)
{
    uint64_t sequence = st->committed.head.sequence + 1;
    size_t length;
    int r = STORE_OK;

    s->head.sequence = sequence;
    length = encode(st, s);
    if (length == 0)
        return STORE_NOSPACE;
    if (points_reserve(&st->committed.points, s->points.count))
        return STORE_NOMEM;
    if (data_first)
        r = MUTATED(MUTATION_NO_FLUSH_BEFORE_ROOT) ? io_wait(st) : io_flush(st);
    if (r)
        return r;
    if (st->torn >> sequence % ROOT_SLOTS & 1) {
        r = wipe(st, slot_block(sequence));
        if (r)
            return r;
        st->torn &= ~(1u << sequence % ROOT_SLOTS);
    }
    /* From here on the new root may be durable, whatever the device says. */
    r = write_and_flush(st, sequence, length, data_first);
    if (r == STORE_OK && s != &st->committed)
        r = state_copy(&st->committed, s);
    if (r)
        st->must_reopen = true;
    if (MUTATED(MUTATION_ROOT_BEFORE_DATA) && data_first && r == STORE_OK)
        r = io_late(st);
    st->now.head.sequence = sequence;
    return r;
}

/* --- opening -------------------------------------------------------------------------------------
 */

static int read_super(struct store *st)
{
    struct disk_super *s = &st->super;
    int r = STORE_FOREIGN, last;

    for (uint64_t copy = 0; copy < SUPER_COPIES && copy < st->io.blocks; copy++) {
        last = io_read(st, copy, s, 1);
        if (last)
            return last;
        if (s->magic != SUPER_MAGIC)
            continue;
        if (store_checksum(s, offsetof(struct disk_super, checksum)) != s->checksum) {
            r = DAMAGED(st, "superblock: checksum", copy, NONE, 0,
                        store_checksum(s, offsetof(struct disk_super, checksum)), s->checksum);
            continue;
        }
        if (s->version != STORE_FORMAT_VERSION)
            return STORE_VERSION;
        if (s->block_size != STORE_BLOCK || s->first_data != FIRST_DATA ||
            s->root_first != ROOT_FIRST || s->root_slots != ROOT_SLOTS ||
            s->root_slot_blocks != ROOT_SLOT_BLOCKS)
            return STORE_VERSION;
        s->name[STORE_NAME_MAX - 1] = s->owner[STORE_NAME_MAX - 1] = 0;
        return STORE_OK;
    }
    return r;
}

/** Are the places, counts and ranges in the head possible? */
static bool head_sane(const struct disk_root *h)
{
    uint64_t ring = h->blocks - FIRST_DATA;

    if (h->blocks < STORE_MIN_BLOCKS || h->blocks > STORE_MAX_BLOCKS || h->free_blocks > ring)
        return false;
    if (h->claim_length > ring || h->avoid_length > ring)
        return false;
    if (h->claim_length && (h->claim_start < FIRST_DATA || h->claim_start >= h->blocks))
        return false;
    if (h->avoid_length && (h->avoid_start < FIRST_DATA || h->avoid_start >= h->blocks))
        return false;
    if (h->map.place && (h->map.place < FIRST_DATA || h->map.place >= h->blocks))
        return false;
    return h->map.level < LEVEL_MAX && h->generations <= STORE_GENERATIONS_MAX &&
           h->points % 2 == 0;
}

static bool table_sane(const struct state *s)
{
    for (uint32_t i = 0; i < s->head.generations; i++) {
        const struct disk_generation *g = &s->generation[i];

        if (g->root.place && (g->root.place < FIRST_DATA || g->root.place >= s->head.blocks))
            return false;
        if (g->root.level >= LEVEL_MAX || g->number >= s->head.next_generation)
            return false;
        if (i && g->number <= g[-1].number)
            return false;
        if (g->base != NONE && g->base >= g->number)
            return false;
    }
    for (size_t i = 0; i < s->points.count; i++) {
        uint64_t p = s->points.at[i];

        if (p < FIRST_DATA || p > s->head.blocks || (i && p <= s->points.at[i - 1]))
            return false;
    }
    return s->head.generations == 0 || generation_kept(s, STORE_NEWEST) != NULL;
}

/** Takes what root_buffer has, checked by its checksum already, into s. */
static int decode(struct store *st, struct state *s)
{
    const struct disk_root *h = (const struct disk_root *)st->root_buffer;
    size_t table = h->generations * sizeof(*s->generation);
    struct points p;

    if (!head_sane(h) || h->length != sizeof(*h) + table + h->points * sizeof(uint64_t))
        return STORE_DAMAGED;
    p = (struct points){(uint64_t *)(st->root_buffer + sizeof(*h) + table), h->points, h->points};
    if (points_copy(&s->points, &p))
        return STORE_NOMEM;
    s->head = *h;
    s->head.ran_by[STORE_NAME_MAX - 1] = 0;
    memcpy(s->generation, st->root_buffer + sizeof(*h), table);
    return table_sane(s) ? STORE_OK : STORE_DAMAGED;
}

/** Reads the root in a slot into root_buffer. @return STORE_ABSENT if there is no whole one */
static int read_root(struct store *st, uint64_t slot)
{
    const struct disk_root *h = (const struct disk_root *)st->root_buffer;
    uint64_t block = ROOT_FIRST + slot * ROOT_SLOT_BLOCKS;
    size_t more;
    int r = io_read(st, block, st->root_buffer, 1);

    if (r)
        return r;
    if (h->magic != ROOT_MAGIC || memcmp(h->id, st->super.id, sizeof(h->id)) != 0)
        return STORE_ABSENT;
    st->torn |= 1u << slot;
    if (h->length < sizeof(*h) || h->length > ROOT_SLOT_BLOCKS * STORE_BLOCK)
        return STORE_ABSENT;
    more = (h->length - 1) / STORE_BLOCK;
    if (more)
        r = io_read(st, block + 1, st->root_buffer + STORE_BLOCK, more);
    if (r)
        return r;
    if (root_checksum(st->root_buffer, h->length) != h->checksum &&
        !MUTATED(MUTATION_ROOT_CHECKSUM))
        return STORE_ABSENT;
    st->torn &= ~(1u << slot);
    return h->version == STORE_FORMAT_VERSION ? STORE_OK : STORE_VERSION;
}

static bool newer(uint64_t a, uint64_t b)
{
    return MUTATED(MUTATION_OLDEST_ROOT) ? a < b : a > b;
}

int root_open(struct store *st)
{
    const struct disk_root *h = (const struct disk_root *)st->root_buffer;
    uint64_t best = 0;
    bool any = false;
    int r = read_super(st);

    if (r)
        return r;
    if (st->io.blocks < FIRST_DATA)
        return STORE_TRUNCATED;
    for (uint64_t slot = 0; slot < ROOT_SLOTS; slot++) {
        r = read_root(st, slot);
        if (r == STORE_ABSENT)
            continue;
        if (r)
            return r;
        if (any && !newer(h->sequence, best))
            continue;
        best = h->sequence;
        any = true;
        r = decode(st, &st->committed);
        if (r == STORE_DAMAGED)
            return DAMAGED(st, "root: contents", ROOT_FIRST + slot * ROOT_SLOT_BLOCKS, NONE, 0, 0,
                           0);
        if (r)
            return r;
    }
    if (!any)
        return DAMAGED(st, "root: none is whole", ROOT_FIRST, NONE, 0, 1, 0);
    if (st->committed.head.blocks > st->io.blocks)
        return STORE_TRUNCATED;
    return state_copy(&st->now, &st->committed);
}
