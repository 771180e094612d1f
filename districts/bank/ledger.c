/*
 * The space bank's books.
 *
 * Invariants, true between calls:
 *   1. An open bank's `sold` is the sum of its extents' counts and of its sub-banks' `sold`.
 *   2. sold <= limit for every open bank, so a sale needs room in the bank and in all banks above
 *      it.
 *   3. Extents never overlap: the ids come from a cursor that only grows.
 *   4. A badge is given out once. A key to a bank that was destroyed never reaches another bank,
 *      even though the slot is used again.
 */
#include "ledger.h"
#include <stdlib.h>

static struct bank *bank_at(struct ledger *l, uint16_t slot)
{
    return slot == BANK_NONE ? NULL : &l->banks[slot];
}

static uint16_t slot_of(const struct ledger *l, const struct bank *b)
{
    return (uint16_t)(b - l->banks);
}

static void bank_open(struct bank *b, uint16_t badge, uint16_t parent, uint64_t limit)
{
    *b = (struct bank){.open = true,
                       .badge = badge,
                       .parent = parent,
                       .child = BANK_NONE,
                       .sibling = BANK_NONE,
                       .limit = limit};
}

void ledger_open(struct ledger *l, uint64_t limit)
{
    l->next_badge = 1;
    bank_open(&l->banks[0], 0, BANK_NONE, limit);
}

struct bank *ledger_find(struct ledger *l, uint16_t badge)
{
    struct bank *b = &l->banks[badge % BANKS_MAX];

    return b->open && b->badge == badge ? b : NULL;
}

uint64_t ledger_left(struct ledger *l, const struct bank *b)
{
    uint64_t left = UINT64_MAX;

    for (; b; b = bank_at(l, b->parent)) {
        if (b->limit - b->sold < left) {
            left = b->limit - b->sold;
        }
    }
    return left;
}

/** Adds n (or with a negative n takes it away) to what b and all banks above it have sold. */
static void count_sold(struct ledger *l, struct bank *b, uint64_t n)
{
    for (; b; b = bank_at(l, b->parent)) {
        b->sold += n;
    }
}

int ledger_sell(struct ledger *l, struct bank *b, uint64_t start, uint64_t count)
{
    struct extent *e;

    if (count == 0 || count > BANK_BUY_MAX) {
        return BW_ARGUMENT;
    }
    if (count > ledger_left(l, b)) {
        return BW_NOSPACE;
    }
    e = malloc(sizeof(*e));
    if (!e) {
        return BW_NOMEM;
    }
    *e = (struct extent){.next = b->extents, .start = start, .count = count};
    b->extents = e;
    count_sold(l, b, count);
    return BW_OK;
}

static struct extent **extent_place(struct bank *b, uint64_t start, uint64_t count)
{
    struct extent **place = &b->extents;

    while (*place && ((*place)->start != start || (*place)->count != count)) {
        place = &(*place)->next;
    }
    return place;
}

bool ledger_has(const struct bank *b, uint64_t start, uint64_t count)
{
    return *extent_place((struct bank *)b, start, count) != NULL;
}

int ledger_return(struct ledger *l, struct bank *b, uint64_t start, uint64_t count)
{
    struct extent **place = extent_place(b, start, count);
    struct extent *e = *place;

    if (!e) {
        return BW_ABSENT;
    }
    *place = e->next;
    free(e);
    count_sold(l, b, -count);
    return BW_OK;
}

int ledger_sub(struct ledger *l, struct bank *b, uint64_t limit, uint16_t *badge)
{
    for (uint32_t next = l->next_badge; next <= UINT16_MAX; next++) {
        struct bank *sub = &l->banks[next % BANKS_MAX];

        if (sub->open) {
            continue;
        }
        l->next_badge = next + 1;
        bank_open(sub, (uint16_t)next, slot_of(l, b), limit);
        sub->sibling = b->child;
        b->child = slot_of(l, sub);
        b->subs++;
        *badge = (uint16_t)next;
        return BW_OK;
    }
    return BW_LIMIT;
}

/** Takes an empty bank without sub-banks, the first child of its parent, out of the tree. */
static void bank_close(struct ledger *l, struct bank *b)
{
    struct bank *parent = bank_at(l, b->parent);
    uint16_t *place;

    if (parent) {
        for (place = &parent->child; *place != slot_of(l, b); place = &l->banks[*place].sibling) {
        }
        *place = b->sibling;
        parent->subs--;
    }
    b->open = false;
}

bool ledger_end_step(struct ledger *l, struct bank *b, uint64_t *start, uint64_t *count)
{
    for (;;) {
        struct bank *leaf = b;

        while (leaf->child != BANK_NONE) {
            leaf = bank_at(l, leaf->child);
        }
        if (leaf->extents) {
            *start = leaf->extents->start;
            *count = leaf->extents->count;
            ledger_return(l, leaf, *start, *count);
            return true;
        }
        bank_close(l, leaf);
        if (leaf == b) {
            return false;
        }
    }
}
