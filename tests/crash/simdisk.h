/*
 * A simulated disk with a volatile cache: what was written since the last flush may, after a power
 * cut, be there or not, sector by sector, in any combination, or be garbage. It can also lie. It
 * may hold several copies of a store, one after the other, each flushed by itself.
 */
#ifndef CRASH_SIMDISK_H
#define CRASH_SIMDISK_H

#include "model.h"

#define SECTOR            512u
#define SECTORS_PER_BLOCK (STORE_BLOCK / SECTOR)
#define COPIES_MAX        3u

/** A block written, and not flushed yet. */
struct flight {
    uint64_t block;
    uint8_t bytes[STORE_BLOCK];
};

struct flights {
    struct flight *at;
    size_t count, capacity;
};

/** What a disk can do wrong, once. */
enum lie {
    LIE_NONE,
    LIE_LOST,        /* a write is acknowledged and not done */
    LIE_MISDIRECTED, /* done elsewhere */
    LIE_CORRUPTED,   /* a bit of it turned */
    LIE_TORN,        /* done in part */
    LIE_READ_FAILS,
    LIE_READ_CORRUPTED, /* a read gives other bytes, once */
    LIE_WRITE_FAILS,
    LIE_FLUSH_FAILS, /* and forgets some of what it should have made durable */
    LIES,
};

struct simdisk;
/** One copy: what a struct store_io is made from. */
struct simdisk_copy {
    struct simdisk *disk;
    uint64_t first;
    bool failing;         /* it will be gone, */
    uint64_t fails_after; /* after so many operations */
    bool gone;            /* it is */
};

struct simdisk {
    uint64_t blocks; /* of one copy */
    unsigned copies;
    struct simdisk_copy copy[COPIES_MAX];
    uint8_t *durable;      /* what is there after a power cut at the least */
    uint8_t *current;      /* what a reader sees */
    struct flights flying; /* since the last flush */
    bool *in_flight;       /* by block */
    uint64_t hash;         /* of what is durable: all sectors' hashes, added without carry */
    uint64_t damages, repaired;
    /* called when a flush is about to make everything durable, and for a block that became so */
    void (*before_flush)(void *ctx);
    void (*became_durable)(void *ctx, uint64_t block);
    void *ctx;
    /* the lie to come */
    enum lie lie;
    uint64_t lie_after; /* so many operations of its kind, */
    unsigned lie_copy;  /* on that copy */
    uint64_t random;    /* of lies, and of what copies that are gone still wrote */
    bool lied;
    uint64_t lied_at; /* block */
};

struct simdisk *simdisk_new(uint64_t blocks, unsigned copies);
/** One that has these bytes. */
struct simdisk *simdisk_from(const uint8_t *bytes, uint64_t blocks, unsigned copies);
void simdisk_free(struct simdisk *d);
struct store_io simdisk_io(struct simdisk *d, unsigned copy);
/** From so many operations on, nothing of that copy can be read or written. */
void simdisk_lose(struct simdisk *d, unsigned copy, uint64_t after);
/** It is there again. */
void simdisk_return(struct simdisk *d, unsigned copy);
/** What a copy that is gone was still to write is there now, or never will be. */
void simdisk_settle(struct simdisk *d, unsigned copy);
/** All blocks of all copies. */
uint64_t simdisk_total(const struct simdisk *d);
/** Of a sector with that number and content. */
uint64_t sector_hash(uint64_t sector, const uint8_t *bytes);

#endif
