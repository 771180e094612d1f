/*
 * The space bank's books: which bank has sold which ids, and who may buy how much more. Pure: it
 * knows nothing of keys. See ledger.c.
 */
#ifndef BANK_LEDGER_H
#define BANK_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include <bailiwick/bank.h>
#include <bailiwick/types.h>

#define BANK_NONE      UINT16_MAX
#define BANK_UNLIMITED UINT64_MAX
#define BANK_BUY_MAX   (1ull << 20)

struct extent {
    struct extent *next;
    uint64_t start; /* offset in the bank's range */
    uint64_t count;
};

struct bank {
    bool open;
    uint16_t badge;
    uint16_t parent, child, sibling; /* slots, BANK_NONE: none */
    uint64_t limit;                  /* ids, with sub-banks */
    uint64_t sold;                   /* ids, with sub-banks; never above limit */
    uint64_t subs;                   /* direct sub-banks */
    struct extent *extents;          /* sold by this bank itself */
};

struct ledger {
    uint32_t next_badge;
    struct bank banks[BANKS_MAX]; /* bank of badge b: slot b % BANKS_MAX */
};

void ledger_open(struct ledger *l, uint64_t limit);
struct bank *ledger_find(struct ledger *l, uint16_t badge);
/** How many ids the bank may still sell: what is left here and in all banks above. */
uint64_t ledger_left(struct ledger *l, const struct bank *b);
/** Enters [start, start + count) as sold. @return BW_OK, BW_ARGUMENT, BW_NOSPACE, BW_NOMEM */
int ledger_sell(struct ledger *l, struct bank *b, uint64_t start, uint64_t count);
/** True if exactly this extent was sold by b and has not come back. */
bool ledger_has(const struct bank *b, uint64_t start, uint64_t count);
/** Takes an extent out of the books. @return BW_OK, or BW_ABSENT if it is not in them */
int ledger_return(struct ledger *l, struct bank *b, uint64_t start, uint64_t count);
/** Opens a bank below b. @return BW_OK and its badge, or BW_LIMIT */
int ledger_sub(struct ledger *l, struct bank *b, uint64_t limit, uint16_t *badge);
/**
 * One step of ending a bank: takes an extent of it or of a bank below out of the books.
 * @return true and the extent, whose objects the caller destroys; false: all is empty and closed
 */
bool ledger_end_step(struct ledger *l, struct bank *b, uint64_t *start, uint64_t *count);

#endif
