/*
 * Retention: which generations stay when a new one has been committed.
 *
 * Kept are, in order of number, whatever branch they are on:
 *   1. the current one (if it is in doubt, the one that it grew from as well), and the last ones,
 *      as many as `last` says, the current one counted;
 *   2. of the older ones, the first of each minute, hour and day, as long as that began less than
 *      `minutes` minutes (..) before that in which the newest was made;
 *   3. for as long as the longest of these, the newest one that the current one does not descend
 *      from: what the last rollback has abandoned, so that it can be undone;
 *   4. what is pinned: the district is about to go back to it.
 * An older one is the first of its minute if the kept one before it is of another. So what is
 * kept at a moment does not depend on how often it was asked before.
 *
 * Clocks go wrong. Then there may be more minutes than there should; what is over the sum of all
 * goes, oldest first.
 */
#include "internal.h"

static const uint64_t class_seconds[] = {60, 3600, 86400};
#define CLASSES (sizeof(class_seconds) / sizeof(class_seconds[0]))

/** When a generation was made, in each class's unit. */
struct moment {
    uint64_t unit[CLASSES];
};

static struct moment moment_of(const struct disk_generation *g)
{
    uint64_t minute = g->time / 1000000000ull / 60;

    return (struct moment){{minute, minute / 60, minute / 60 / 24}};
}

struct retention {
    uint32_t keep[CLASSES];
    struct moment now, before; /* of the newest; of the kept one before */
    bool any_before;
    uint64_t abandoned; /* rule 3, or NONE */
};

/** The newest kept one that is no ancestor of the current one. Bases have lower numbers. */
static uint64_t newest_abandoned(const struct state *s)
{
    uint64_t line = s->head.current;

    for (uint32_t i = s->head.generations; i-- > 0;) {
        const struct disk_generation *g = &s->generation[i];

        if (g->number == line)
            line = g->base;
        else if (!(g->flags & GENERATION_GHOST))
            return g->number;
    }
    return NONE;
}

static bool sparse(const struct retention *r, const struct disk_generation *g,
                   const struct moment *m)
{
    for (size_t i = 0; i < CLASSES; i++) {
        bool in_time = r->now.unit[i] < m->unit[i] + r->keep[i];

        if (in_time &&
            (g->number == r->abandoned || !r->any_before || r->before.unit[i] != m->unit[i]))
            return true;
    }
    return false;
}

static const struct disk_generation *next_kept(const struct state *s, uint64_t from)
{
    for (uint32_t i = 0; i < s->head.generations; i++)
        if (s->generation[i].number >= from && !(s->generation[i].flags & GENERATION_GHOST))
            return &s->generation[i];
    return NULL;
}

static struct retention retention_of(const struct state *s)
{
    const struct disk_generation *newest = generation_kept(s, s->head.newest);
    struct retention r = {.abandoned = newest_abandoned(s)};

    r.keep[0] = s->head.keep_minutes;
    r.keep[1] = s->head.keep_hours;
    r.keep[2] = s->head.keep_days;
    if (newest)
        r.now = moment_of(newest);
    return r;
}

/** Drops, of all but the last ones, those that are not sparse; or, with only_last, all. */
static int drop_older(struct store *st, uint32_t last, bool only_last)
{
    struct retention rule = retention_of(&st->now);
    uint32_t n = generations_kept(&st->now);
    const struct disk_generation *g;
    uint64_t from = 0;

    while (n > last && (g = next_kept(&st->now, from))) {
        bool needed = generation_needed(&st->now, g->number);
        struct moment m = moment_of(g);
        bool dropped = false;

        from = g->number + 1;
        if (!needed && !(g->flags & GENERATION_DAMAGED) &&
            (only_last || (g->number != st->pinned && !sparse(&rule, g, &m)))) {
            uint64_t number = g->number;
            int r = generation_drop(st, number);

            /* What cannot be read cannot be dropped on the way; the district must go on. */
            if (r == STORE_DAMAGED)
                generation_find(&st->now, number)->flags |= GENERATION_DAMAGED;
            else if (r)
                return r;
            dropped = r == STORE_OK;
        }
        n -= !needed;
        if (dropped)
            continue;
        rule.before = m;
        rule.any_before = true;
    }
    return STORE_OK;
}

int generation_retain(struct store *st, uint32_t last, bool only_last)
{
    const struct disk_root *h = &st->now.head;
    uint32_t most = last + h->keep_minutes + h->keep_hours + h->keep_days + 2;
    int r;

    if (MUTATED(MUTATION_RETAIN_LESS))
        last--;
    if (last < 2)
        last = 2;
    if (generations_kept(&st->now) <= last)
        return STORE_OK;
    r = drop_older(st, last, only_last);
    if (r == STORE_OK && generations_kept(&st->now) > most)
        r = drop_older(st, most, true);
    return r;
}
