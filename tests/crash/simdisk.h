/*
 * A simulated disk with a volatile cache: what was written since the last flush may, after a power
 * cut, be there or not, sector by sector, in any combination, or be garbage.
 */
#ifndef CRASH_SIMDISK_H
#define CRASH_SIMDISK_H

#include "model.h"

#define SECTOR            512u
#define SECTORS_PER_BLOCK (STORE_BLOCK / SECTOR)

/** A block written, and not flushed yet. */
struct flight {
    uint64_t block;
    uint8_t bytes[STORE_BLOCK];
};

struct flights {
    struct flight *at;
    size_t count, capacity;
};

struct simdisk {
    uint64_t blocks;
    uint8_t *durable;      /* what is there after a power cut at the least */
    uint8_t *current;      /* what a reader sees */
    struct flights flying; /* since the last flush */
    struct flights
        written; /* data blocks since simdisk_mark: what a stale writer might write again */
    uint64_t damages;
    /* called when a flush is about to make everything durable */
    void (*before_flush)(void *ctx);
    void *ctx;
};

struct simdisk *simdisk_new(uint64_t blocks);
/** One that has these bytes. */
struct simdisk *simdisk_from(const uint8_t *bytes, uint64_t blocks);
void simdisk_free(struct simdisk *d);
struct store_io simdisk_io(struct simdisk *d);

/** An image that is changed and restored: a disk for recovering from. */
struct image {
    uint64_t blocks;
    const uint8_t *base; /* what restoring goes back to */
    uint8_t *bytes;
    uint64_t *dirty; /* blocks that may differ from base */
    size_t dirty_count, dirty_capacity;
    uint64_t operations, damages;
};

struct image *image_new(uint64_t blocks);
void image_free(struct image *i);
void image_base(struct image *i, const uint8_t *base); /* and becomes it */
void image_restore(struct image *i);
void image_write(struct image *i, uint64_t block, const void *bytes);
void image_write_sector(struct image *i, uint64_t sector, const void *bytes);
struct store_io image_io(struct image *i);

#endif
