/*
 * What a power cut has left: a copy of the durable bytes with some sectors changed, on which a
 * store is opened, and which is put back as it was for the next image. It knows which of the
 * undecided blocks were read, in what order.
 */
#ifndef CRASH_IMAGE_H
#define CRASH_IMAGE_H

#include "simdisk.h"

struct image;
struct image_copy {
    struct image *image;
    uint64_t first;
    bool missing; /* this copy is gone: its I/O fails */
};

struct image {
    uint64_t blocks, total; /* of one copy, of all */
    struct image_copy copy[COPIES_MAX];
    const uint8_t *base; /* what restoring goes back to */
    uint8_t *bytes;
    uint64_t *dirty; /* blocks that may differ from base */
    size_t dirty_count;
    bool *is_dirty;
    uint64_t reads, writes, flushes; /* blocks read and written, since it was restored */
    uint64_t damages, repaired;
    /* checksums of whole blocks as they are now, once somebody needed them */
    uint64_t *sum;
    bool *sum_known;
    /* reading while watched */
    bool watched;
    uint32_t *undecided; /* by block: its index among the undecided ones + 1; 0: decided */
    uint32_t *order;     /* those indices in the order in which they were first read */
    size_t ordered;
};

struct image *image_new(const struct simdisk *d);
void image_free(struct image *i);
void image_restore(struct image *i);
/** The base has another block there now. Only after image_restore. */
void image_follow(struct image *i, uint64_t block);
void image_write(struct image *i, uint64_t block, const void *bytes);
void image_write_sector(struct image *i, uint64_t sector, const void *bytes);
struct store_io image_io(struct image *i, unsigned copy);

#endif
