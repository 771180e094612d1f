/*
 * What is changed outside of generations: interval, crash policy, autostart, gated, retention, the
 * journal page, capacity, and the generations that are kept.
 */
#include <string.h>

#include "internal.h"

int change_head(struct store *st, void (*change)(struct disk_root *h, const void *v), const void *v)
{
    struct disk_root before = st->committed.head;
    int r;

    if (st->must_reopen)
        return STORE_STATE;
    change(&st->committed.head, v);
    r = root_write(st, &st->committed, false);
    if (r)
        st->committed.head = before;
    else
        change(&st->now.head, v);
    return r;
}

static void change_interval(struct disk_root *h, const void *value)
{
    const uint64_t *v = value;

    h->interval = v[0];
}

static void change_policy(struct disk_root *h, const void *value)
{
    const uint64_t *v = value;

    h->crash_policy = (uint32_t)v[0];
}

static void change_autostart(struct disk_root *h, const void *value)
{
    const uint64_t *v = value;

    h->flags = v[0] ? h->flags | ROOT_AUTOSTART : h->flags & ~ROOT_AUTOSTART;
}

static void change_gated(struct disk_root *h, const void *value)
{
    const uint64_t *v = value;

    h->flags = v[0] ? h->flags | ROOT_GATED : h->flags & ~ROOT_GATED;
}

static void change_share(struct disk_root *h, const void *share)
{
    h->share = *(const uint32_t *)share;
}

static void change_retention(struct disk_root *h, const void *value)
{
    const uint64_t *v = value;

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

int store_set_autostart(struct store *st, bool on)
{
    uint64_t v = on;

    return change_head(st, change_autostart, &v);
}

int store_set_gated(struct store *st, bool on)
{
    uint64_t v = on;

    return change_head(st, change_gated, &v);
}

int store_set_share(struct store *st, uint32_t share)
{
    return change_head(st, change_share, &share);
}

/** Without the zeros at its end. */
static uint32_t journal_length(const uint8_t *bytes, size_t n)
{
    while (n > 0 && bytes[n - 1] == 0)
        n--;
    return (uint32_t)n;
}

int store_set_journal(struct store *st, uint64_t sequence, const void *bytes, size_t n)
{
    struct disk_root *h = &st->committed.head;
    uint8_t before[STORE_JOURNAL];
    uint32_t length = h->journal;
    uint64_t last = h->journal_sequence;
    int r;

    if (st->must_reopen)
        return STORE_STATE;
    if (n > STORE_JOURNAL || sequence <= last)
        return STORE_ARGUMENT;
    memcpy(before, st->committed.journal, length);
    h->journal = journal_length(bytes, n);
    h->journal_sequence = sequence;
    memcpy(st->committed.journal, bytes, h->journal);
    r = root_write(st, &st->committed, false);
    if (r) {
        h->journal = length;
        h->journal_sequence = last;
        memcpy(st->committed.journal, before, length);
        return r;
    }
    st->now.head.journal = h->journal;
    st->now.head.journal_sequence = sequence;
    memcpy(st->now.journal, bytes, h->journal);
    return STORE_OK;
}

uint64_t store_journal(const struct store *st, void *to)
{
    const struct disk_root *h = &st->committed.head;

    memset(to, 0, STORE_JOURNAL);
    memcpy(to, st->committed.journal, h->journal);
    return h->journal_sequence;
}

/** A mask that is set again is no change. */
static void change_in_sync(struct disk_root *h, const void *value)
{
    const uint64_t *v = value;

    root_set_in_sync(h, (uint32_t)v[0]);
}

static void change_next(struct disk_root *h, const void *value)
{
    const uint64_t *v = value;

    h->next_generation = v[0];
}

int store_set_next(struct store *st, uint64_t number)
{
    if (st->begun)
        return STORE_STATE;
    if (number < st->committed.head.next_generation || number >= NONE - 1)
        return STORE_ARGUMENT;
    return change_head(st, change_next, &number);
}

bool retention_valid(uint32_t last, uint32_t minutes, uint32_t hours, uint32_t days)
{
    return last >= 2 && (uint64_t)last + minutes + hours + days <= STORE_KEEP_MAX;
}

int store_set_retention(struct store *st, uint32_t last, uint32_t minutes, uint32_t hours,
                        uint32_t days)
{
    uint64_t v[4] = {last, minutes, hours, days};

    if (!retention_valid(last, minutes, hours, days))
        return STORE_ARGUMENT;
    return change_head(st, change_retention, v);
}

int store_set_in_sync(struct store *st, uint32_t mask)
{
    uint64_t v = mask;

    if (mask == 0 || mask >= 1u << st->committed.head.copies)
        return STORE_ARGUMENT;
    st->missing &= ~mask;
    return change_head(st, change_in_sync, &v);
}

static void change_copies(struct disk_root *h, const void *value)
{
    const uint64_t *v = value;

    h->copies = (uint32_t)v[0];
    change_in_sync(h, &v[1]);
}

int store_set_copies(struct store *st, uint32_t copies)
{
    uint64_t v[2] = {copies, copies > 1 ? 1u << st->super.copy : 1};

    if (copies == 0 || copies > STORE_COPIES_MAX || st->io.copies > 1)
        return STORE_ARGUMENT;
    return change_head(st, change_copies, v);
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
    CHECK_STORE(st);
    return r;
}

int store_held(struct store *st, uint64_t generation, uint64_t *blocks)
{
    const struct disk_generation *g = generation_kept(&st->committed, generation);

    *blocks = 0;
    if (st->must_reopen) /* `now` may lack what retention took out */
        return STORE_STATE;
    return g ? generation_held(st, g->number, blocks) : STORE_ABSENT;
}

int store_pin(struct store *st, uint64_t generation)
{
    const struct disk_generation *g = generation_kept(&st->now, generation);

    if (!g)
        return STORE_ABSENT;
    st->pinned = g->number;
    return STORE_OK;
}

int store_drop(struct store *st, uint64_t generation)
{
    int r;

    if (!st->claimed || st->begun || st->must_reopen)
        return STORE_STATE;
    if (!generation_kept(&st->now, generation))
        return STORE_ABSENT;
    if (generation == STORE_NEWEST || generation_needed(&st->now, generation) ||
        generations_kept(&st->now) <= 2)
        return STORE_ARGUMENT;
    st->allocated = 0;
    r = generation_drop_anyway(st, generation);
    if (r == STORE_OK)
        r = store_make_durable(st);
    if (r)
        store_abort(st);
    CHECK_STORE(st);
    return r;
}
