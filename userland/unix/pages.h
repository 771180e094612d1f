/*
 * What pages.c (faults) and pages_change.c (removal, protection, fork) share: the mirror's shape.
 */
#ifndef UNIX_PAGES_H
#define UNIX_PAGES_H

#include "vm.h"

#define TABLE_OF(a) ((a) >> 28 & 255)
#define LEAF_OF(a)  ((a) >> 20 & 255)
#define ENTRY_OF(a) ((a) >> 12 & 255)
#define LEAF_SPAN   0x100000ull
#define TABLE_SPAN  0x10000000ull

static inline void map_set(struct map *m, unsigned i)
{
    m->word[i / 64] |= 1ull << i % 64;
}

static inline void map_clear(struct map *m, unsigned i)
{
    m->word[i / 64] &= ~(1ull << i % 64);
}

/** The first slot at or behind i whose bit is set; BW_NODE_SLOTS: none. */
static inline unsigned map_next(const struct map *m, unsigned i)
{
    while (i < BW_NODE_SLOTS) {
        uint64_t rest = m->word[i / 64] >> i % 64;

        if (rest) {
            return i + (unsigned)__builtin_ctzll(rest);
        }
        i = (i / 64 + 1) * 64;
    }
    return BW_NODE_SLOTS;
}

#define MAP_EACH(i, m) (unsigned i = map_next(m, 0); i < BW_NODE_SLOTS; i = map_next(m, i + 1))

/** An id for a new object of this space. */
uint64_t pages_id(struct space *s);
/** The leaf for an address, NULL; the others make what is missing, NULL: out of memory. */
struct leaf *pages_leaf(struct space *s, uint64_t a);
struct leaf *pages_leaf_get(struct space *s, uint64_t a);
struct table *pages_table_get(struct space *s, uint64_t a);
/** RIGHT_* that an entry's bits stand for. */
unsigned pages_rights(uint64_t entry);
/** Changes an entry and what is counted of it; the slot is the caller's business. */
void pages_entry_set(struct space *s, struct leaf *l, uint64_t a, uint64_t value);

#endif
