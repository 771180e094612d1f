/*
 * Roots: finding the newest whole one, and making the next one durable.
 *
 * The order that a commit rests on is here: everything that the new root needs is flushed, then the
 * root is written, twice, to the slot of the oldest one, then that is flushed. A root is there if
 * one of its twins is whole. If none is, it was torn and does not count.
 *
 *   slot of        | twins not whole mean      | and are
 *   the next root  | nothing                   | wiped before they are written, if torn
 *   the newest one | a power cut, or damage    | mended before the next root is written
 *   older ones     | damage: they were flushed | reported, and mended when nobody else writes
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
    memcpy(to->journal, from->journal, from->head.journal);
    return STORE_OK;
}

/** First block of a twin. */
static uint64_t twin_block(uint64_t sequence, unsigned twin)
{
    if (MUTATED(MUTATION_ONE_ROOT_SLOT))
        sequence = 0;
    return ROOT_FIRST + sequence % ROOT_SLOTS * ROOT_SLOT_BLOCKS + twin % ROOT_TWINS * ROOT_BLOCKS;
}

uint32_t store_in_sync(const struct store *st)
{
    return st->committed.head.in_sync & ~st->missing;
}

/** The twins that a root has, as a mask: those of all copies in sync and there. */
static unsigned all_twins(const struct store *st)
{
    unsigned mask = 0;

    if (st->io.copies == 1)
        return (1u << ROOT_TWINS) - 1;
    for (unsigned c = 0; c < st->io.copies; c++)
        if (store_in_sync(st) >> c & 1)
            mask |= ((1u << ROOT_TWINS) - 1) << c * ROOT_TWINS;
    return mask;
}

uint32_t root_twins_lost(const struct store *st)
{
    const struct slot *s = &st->slot[st->committed.head.sequence % ROOT_SLOTS];

    return s->whole ? (uint32_t)__builtin_popcount(all_twins(st) & ~s->whole) : 0;
}

bool root_cut_off(const struct store *st)
{
    const struct slot *s = &st->slot[(st->committed.head.sequence + 1) % ROOT_SLOTS];

    return s->torn && s->whole == 0;
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
    size_t length = sizeof(s->head) + table + points + s->head.journal;
    struct disk_root *head = (struct disk_root *)st->root_buffer;

    if (length > ROOT_BLOCKS * STORE_BLOCK)
        return 0;
    memset(st->root_buffer, 0, (length + STORE_BLOCK - 1) / STORE_BLOCK * STORE_BLOCK);
    s->head.magic = ROOT_MAGIC;
    s->head.version = s->head.bond.members ? ROOT_VERSION_BONDED : STORE_FORMAT_VERSION;
    s->head.length = (uint32_t)length;
    s->head.points = (uint32_t)s->points.count;
    memcpy(s->head.id, st->super.id, sizeof(s->head.id));
    memcpy(st->root_buffer, &s->head, sizeof(s->head));
    memcpy(st->root_buffer + sizeof(s->head), s->generation, table);
    if (points)
        memcpy(st->root_buffer + sizeof(s->head) + table, s->points.at, points);
    memcpy(st->root_buffer + length - s->head.journal, s->journal, s->head.journal);
    head->checksum = s->head.checksum = root_checksum(st->root_buffer, length);
    return length;
}

static unsigned blocks_of(size_t length)
{
    return (unsigned)((length + STORE_BLOCK - 1) / STORE_BLOCK);
}

/** Reads a twin into root_buffer. @return STORE_ABSENT: none is there; STORE_DAMAGED: what is there
 * is not whole */
static int read_twin(struct store *st, uint64_t sequence, unsigned twin)
{
    const struct disk_root *h = (const struct disk_root *)st->root_buffer;
    uint64_t block = twin_block(sequence, twin);
    unsigned copy = twin / ROOT_TWINS, more;
    int r = io_read_from(st, copy, block, st->root_buffer, 1);

    if (r)
        return r;
    if (h->magic != ROOT_MAGIC || memcmp(h->id, st->super.id, sizeof(h->id)) != 0)
        return STORE_ABSENT;
    if (h->length < sizeof(*h) || h->length > ROOT_BLOCKS * STORE_BLOCK)
        return STORE_DAMAGED;
    more = blocks_of(h->length) - 1;
    if (more)
        r = io_read_from(st, copy, block + 1, st->root_buffer + STORE_BLOCK, more);
    if (r)
        return r;
    if (root_checksum(st->root_buffer, h->length) != h->checksum &&
        !MUTATED(MUTATION_ROOT_CHECKSUM))
        return STORE_DAMAGED;
    return h->version == STORE_FORMAT_VERSION || h->version == ROOT_VERSION_BONDED ? STORE_OK
                                                                                   : STORE_VERSION;
}

/* --- writing ---------------------------------------------------------------------------------- */

/** Writes the root in root_buffer to these twins of its slot. It is copied. */
static int write_twins(struct store *st, uint64_t sequence, unsigned twins)
{
    const struct disk_root *h = (const struct disk_root *)st->root_buffer;

    for (unsigned t = 0; t < st->io.copies * ROOT_TWINS; t++)
        for (unsigned b = 0; (twins >> t & 1) && b < blocks_of(h->length); b++) {
            const uint8_t *bytes = st->root_buffer + (size_t)b * STORE_BLOCK;
            uint64_t block = twin_block(sequence, t) + b;
            int r;

            if (st->io.copies > 1)
                r = io_repair(st, t / ROOT_TWINS, block, bytes) ? STORE_OK : STORE_IO;
            else
                r = io_write_copy(st, block, bytes);
            if (r)
                return r;
        }
    return STORE_OK;
}

/** Writes a twin that is whole over those that are not, and waits until they are there. */
static int mend(struct store *st, uint64_t sequence)
{
    struct slot *s = &st->slot[sequence % ROOT_SLOTS];
    unsigned bad = all_twins(st) & ~s->whole, good = 0;
    int r;

    while (!(s->whole >> good & 1))
        good++;
    r = read_twin(st, sequence, good);
    if (r == STORE_OK)
        r = write_twins(st, sequence, bad);
    if (r == STORE_OK)
        r = io_flush(st); /* until then nobody knows whether a write has failed */
    if (r == STORE_OK)
        s->whole |= bad;
    return r;
}

/** The newest root is the only one that is sure to count: it must be there in full before the next
 * one is begun. One that was only read may be one whose flush failed: it is flushed once more. */
static int mend_newest(struct store *st, bool only_read)
{
    const struct slot *s = &st->slot[st->committed.head.sequence % ROOT_SLOTS];

    super_mend(st);
    if (MUTATED(MUTATION_NOT_MENDED))
        return STORE_OK;
    if (s->whole == 0 || (all_twins(st) & ~s->whole) == 0)
        return only_read && s->whole ? io_flush(st) : STORE_OK;
    return mend(st, st->committed.head.sequence);
}

/** What is torn and has that slot's next sequence number must not become whole by what is written
 * there next. */
static int wipe(struct store *st, uint64_t sequence)
{
    static const uint8_t zeros[STORE_BLOCK];
    int r = STORE_OK;

    for (unsigned t = 0; t < ROOT_TWINS && r == STORE_OK; t++)
        r = io_write(st, twin_block(sequence, t), zeros, 1);
    if (r == STORE_OK)
        r = io_flush(st);
    if (r == STORE_OK)
        st->slot[sequence % ROOT_SLOTS] = (struct slot){0};
    return r;
}

static int write_and_flush(struct store *st, uint64_t sequence, size_t length, bool data_first)
{
    bool flush = !MUTATED(MUTATION_NO_FLUSH_AFTER_ROOT) &&
                 (data_first || !MUTATED(MUTATION_CLAIM_NOT_FLUSHED));
    int r = STORE_OK;

    st->slot[sequence % ROOT_SLOTS] = (struct slot){0};
    for (unsigned t = MUTATED(MUTATION_ONE_TWIN); t < ROOT_TWINS && r == STORE_OK; t++)
        r = io_write(st, twin_block(sequence, t), st->root_buffer, blocks_of(length));
    if (r == STORE_OK)
        r = flush ? io_flush(st) : io_wait(st);
    return r;
}

void root_set_in_sync(struct disk_root *h, uint32_t mask)
{
    if (h->in_sync == mask)
        return;
    h->in_sync = mask;
    h->mirror_changes++;
    h->mirror_history = h->mirror_history << 2 | mask;
}

/** A copy of a mirror that is written to alone says so in whatever root it gets. */
static void note_alone(struct store *st, struct state *s)
{
    uint32_t alone = 1u << st->super.copy;

    if (st->io.copies > 1 || s->head.copies < 2 || s->head.in_sync == alone)
        return;
    root_set_in_sync(&s->head, alone);
    root_set_in_sync(&st->now.head, alone);
}

int root_write(struct store *st, struct state *s, bool data_first)
{
    uint64_t sequence = st->committed.head.sequence + 1;
    bool first = !st->repairs;
    size_t length;
    int r;

    st->repairs = true;
    r = mend_newest(st, first);
    if (r) {
        st->repairs = !first;
        return r;
    }
    note_alone(st, s);
    s->head.sequence = sequence;
    length = encode(st, s);
    if (length == 0)
        r = STORE_NOSPACE;
    else if (points_reserve(&st->committed.points, s->points.count))
        r = STORE_NOMEM;
    else if (data_first)
        r = MUTATED(MUTATION_NO_FLUSH_BEFORE_ROOT) ? io_wait(st) : io_flush(st);
    if (r == STORE_OK && st->slot[sequence % ROOT_SLOTS].torn && !MUTATED(MUTATION_NOT_WIPED))
        r = wipe(st, sequence);
    if (r) {
        s->head.sequence = sequence - 1;
        return r;
    }
    /* From here on the new root may be durable, whatever the device says. */
    r = write_and_flush(st, sequence, length, data_first);
    if (r == STORE_OK && s != &st->committed)
        r = state_copy(&st->committed, s);
    if (r)
        st->must_reopen = true;
    else
        st->slot[sequence % ROOT_SLOTS] = (struct slot){sequence, all_twins(st), false};
    if (MUTATED(MUTATION_ROOT_BEFORE_DATA) && data_first && r == STORE_OK)
        r = io_late(st);
    st->now.head.sequence = sequence;
    return r;
}

/* --- opening ---------------------------------------------------------------------------------- */

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
    if (h->copies == 0 || h->copies > STORE_COPIES_MAX || h->in_sync == 0 ||
        h->in_sync >= 1u << h->copies)
        return false;
    if (h->bond.members == 1 || h->bond.members > STORE_BOND_MAX ||
        (h->bond.members && h->bond.self >= h->bond.members))
        return false;
    return h->map.level < LEVEL_MAX && h->generations <= STORE_GENERATIONS_MAX &&
           h->points % 2 == 0 && h->journal <= STORE_JOURNAL;
}

static bool table_sane(const struct state *s)
{
    for (uint32_t i = 0; i < s->head.generations; i++) {
        const struct disk_generation *g = &s->generation[i];

        if (g->root.place && (g->root.place < FIRST_DATA || g->root.place >= s->head.blocks))
            return false;
        if (g->root.place && g->root.birth > g->number)
            return false;
        if (g->flags & GENERATION_GHOST && (g->root.place || generation_children(s, g->number) < 2))
            return false;
        if (g->root.level >= LEVEL_MAX || g->number > s->head.newest ||
            g->number >= s->head.next_generation)
            return false;
        if (i && g->number <= g[-1].number)
            return false;
        if (g->base != NONE &&
            (g->base >= g->number || !generation_find((struct state *)s, g->base)))
            return false;
    }
    for (size_t i = 0; i < s->points.count; i++) {
        uint64_t p = s->points.at[i];

        if (p < FIRST_DATA || p > s->head.blocks || (i && p <= s->points.at[i - 1]))
            return false;
    }
    if ((s->head.newest != NONE || s->head.generations) &&
        s->head.newest >= s->head.next_generation)
        return false;
    return s->head.generations == 0 || generation_kept(s, STORE_NEWEST) != NULL;
}

/** Takes what root_buffer has, checked by its checksum already, into s. */
static int decode(struct store *st, struct state *s)
{
    const struct disk_root *h = (const struct disk_root *)st->root_buffer;
    size_t table = h->generations * sizeof(*s->generation);
    struct points p;

    if (!head_sane(h) ||
        h->length != sizeof(*h) + table + h->points * sizeof(uint64_t) + h->journal)
        return STORE_DAMAGED;
    p = (struct points){(uint64_t *)(st->root_buffer + sizeof(*h) + table), h->points, h->points};
    if (points_copy(&s->points, &p))
        return STORE_NOMEM;
    s->head = *h;
    s->head.ran_by[STORE_NAME_MAX - 1] = 0;
    memcpy(s->generation, st->root_buffer + sizeof(*h), table);
    memcpy(s->journal, st->root_buffer + h->length - h->journal, h->journal);
    return table_sane(s) ? STORE_OK : STORE_DAMAGED;
}

static bool newer(uint64_t a, uint64_t b)
{
    return MUTATED(MUTATION_OLDEST_ROOT) ? a < b : a > b;
}

/** What root_buffer has is the newest one so far: takes it. */
static int take(struct store *st, uint64_t slot, uint64_t *best)
{
    const struct disk_root *h = (const struct disk_root *)st->root_buffer;
    int r;

    if (*best && !newer(h->sequence, *best))
        return STORE_OK;
    *best = h->sequence;
    r = decode(st, &st->committed);
    return r == STORE_DAMAGED
               ? DAMAGED(st, "root: contents", ROOT_FIRST + slot * ROOT_SLOT_BLOCKS, NONE, 0, 0, 0)
               : r;
}

/** Looks at all twins in a slot. best: not NULL when opening. */
static int look(struct store *st, uint64_t slot, uint64_t *best)
{
    const struct disk_root *h = (const struct disk_root *)st->root_buffer;
    unsigned twins = st->io.copies * ROOT_TWINS, unreadable = 0;
    struct slot *s = &st->slot[slot];

    *s = (struct slot){0};
    for (unsigned t = 0; t < twins; t += MUTATED(MUTATION_TWIN_IGNORED) ? ROOT_TWINS : 1) {
        int r = read_twin(st, slot, t);

        if (r == STORE_VERSION)
            return r;
        unreadable += r == STORE_IO;
        if (r != STORE_IO)
            st->missing &= ~(1u << t / ROOT_TWINS);
        s->torn |= r == STORE_DAMAGED;
        if (r || h->sequence == 0 || h->sequence < s->sequence)
            continue;
        if (h->sequence > s->sequence)
            s->whole = 0;
        s->sequence = h->sequence;
        s->whole |= 1u << t;
        r = best ? take(st, slot, best) : STORE_OK;
        if (r)
            return r;
    }
    /* The newest root may be where nothing can be read. */
    if (s->whole == 0 && (unreadable == twins || (unreadable && st->io.copies == 1)))
        return STORE_IO;
    return STORE_OK;
}

/** Names the twins that a root lacks, which has been flushed with all of them. */
static void check_whole(struct store *st, uint64_t sequence)
{
    struct slot *s = &st->slot[sequence % ROOT_SLOTS];
    unsigned lacks;
    bool mended;

    if (s->sequence != sequence)
        s->whole = 0;
    lacks = all_twins(st) & ~s->whole;
    mended = lacks && s->whole && st->repairs && mend(st, sequence) == STORE_OK;
    for (unsigned t = 0; t < st->io.copies * ROOT_TWINS; t++)
        if (lacks >> t & 1)
            store_damaged_copy(
                st, __FILE__, __LINE__,
                &(struct store_damage){.what = "root: not whole",
                                       .block = twin_block(sequence, t),
                                       .generation = NONE,
                                       .expected = sequence,
                                       .found = s->sequence == sequence ? 0 : s->sequence,
                                       .copy = st->io.copies > 1 ? t / ROOT_TWINS : st->super.copy,
                                       .repaired = mended});
}

static void check_older(struct store *st)
{
    uint64_t newest = st->committed.head.sequence;

    for (uint64_t k = 1; k < ROOT_SLOTS - 1 && k < newest; k++)
        check_whole(st, newest - k);
}

int root_check(struct store *st)
{
    int r = STORE_OK;

    for (uint64_t slot = 0; slot < ROOT_SLOTS && r == STORE_OK; slot++)
        r = look(st, slot, NULL);
    if (r)
        return r;
    /* One that was written since the store was opened cannot have been cut off. */
    if (st->claimed)
        check_whole(st, st->committed.head.sequence);
    check_older(st);
    return STORE_OK;
}

int root_open(struct store *st)
{
    uint64_t best = 0;
    int r = super_open(st);

    if (r)
        return r;
    if (st->io.blocks < FIRST_DATA)
        return STORE_TRUNCATED;
    st->missing = (1u << st->io.copies) - 1; /* until something is read from it */
    for (uint64_t slot = 0; slot < ROOT_SLOTS && r == STORE_OK; slot++)
        r = look(st, slot, &best);
    if (r)
        return r;
    if (best == 0)
        return DAMAGED(st, "root: none is whole", ROOT_FIRST, NONE, 0, 1, 0);
    if (st->committed.head.blocks > st->io.blocks)
        return STORE_TRUNCATED;
    check_older(st);
    return state_copy(&st->now, &st->committed);
}
