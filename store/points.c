/*
 * Sets of block numbers, kept as the sorted list of their borders. To invert a range is to toggle
 * its two borders, whatever the set was, so that a set is changed and written down with little
 * thought.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/** Index of the first border > b. */
static size_t above(const struct points *p, uint64_t b)
{
    size_t lo = 0, hi = p->count;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;

        if (p->at[mid] <= b)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

int points_reserve(struct points *p, size_t n)
{
    size_t capacity = p->capacity ? p->capacity : 64;
    uint64_t *at;

    if (n <= p->capacity)
        return STORE_OK;
    while (capacity < n)
        capacity *= 2;
    at = realloc(p->at, capacity * sizeof(*at));
    if (!at)
        return STORE_NOMEM;
    p->at = at;
    p->capacity = capacity;
    return STORE_OK;
}

/** Needs room for one more. */
static void toggle_border(struct points *p, uint64_t b)
{
    size_t i = above(p, b);

    if (i > 0 && p->at[i - 1] == b) {
        memmove(p->at + i - 1, p->at + i, (p->count - i) * sizeof(*p->at));
        p->count--;
        return;
    }
    memmove(p->at + i + 1, p->at + i, (p->count - i) * sizeof(*p->at));
    p->at[i] = b;
    p->count++;
}

int points_toggle(struct points *p, uint64_t start, uint64_t count)
{
    if (points_reserve(p, p->count + 2))
        return STORE_NOMEM;
    toggle_border(p, start);
    toggle_border(p, start + count);
    return STORE_OK;
}

bool points_cover(const struct points *p, uint64_t b)
{
    return above(p, b) & 1;
}

uint64_t points_next(const struct points *p, uint64_t b)
{
    size_t i = above(p, b);

    return i < p->count ? p->at[i] : UINT64_MAX;
}

int points_clear(struct points *p, uint64_t start, uint64_t end)
{
    size_t first = start ? above(p, start - 1) : 0, last = above(p, end);
    bool before = first & 1, after = last & 1;

    if (points_reserve(p, p->count + 2))
        return STORE_NOMEM;
    memmove(p->at + first, p->at + last, (p->count - last) * sizeof(*p->at));
    p->count -= last - first;
    if (before)
        toggle_border(p, start);
    if (after)
        toggle_border(p, end);
    return STORE_OK;
}

int points_copy(struct points *to, const struct points *from)
{
    if (points_reserve(to, from->count))
        return STORE_NOMEM;
    if (from->count)
        memcpy(to->at, from->at, from->count * sizeof(*to->at));
    to->count = from->count;
    return STORE_OK;
}

void points_free(struct points *p)
{
    free(p->at);
    *p = (struct points){0};
}
