/*
 * What the parts of the explorer share.
 */
#ifndef CRASH_EXPLORER_H
#define CRASH_EXPLORER_H

#include "../../store/internal.h"
#include "explore.h"

/** A sector that a power cut may leave old or new. */
struct undecided {
    uint64_t sector;
    const uint8_t *bytes;
    size_t write; /* which of the writes it belongs to */
};

struct explorer {
    struct simdisk *disk;
    struct model *m;
    struct image *image;
    const struct effort *effort;
    unsigned objects;
    uint64_t random;
    bool nested;
    size_t fold_limit; /* small ones, so that the map is written often */
    /* the operation under way */
    bool has_under_way;
    struct model_state under_way;
    void (*foresee)(const struct explorer *x, struct model_state *to);
    uint64_t argument;
    /* the image being made */
    struct undecided *undecided;
    size_t count, capacity;
    bool *chosen;
    bool *claimed; /* by block: the interrupted incarnation may still write there */
};

/* explore.c */
uint64_t explorer_any(struct explorer *x, uint64_t n); /* at random, below n */
struct store_io explorer_image_io(struct explorer *x);
struct store_io explorer_disk_io(struct explorer *x);
struct explorer *explorer_on(struct simdisk *disk, unsigned objects, uint64_t seed,
                             const struct effort *e);
void explorer_cut(void *ctx); /* a power cut now: makes images and judges them */

/* judge.c */
void explorer_bad(struct explorer *x, const char *what); /* ends the test */
void explorer_judge(struct explorer *x);

#endif
