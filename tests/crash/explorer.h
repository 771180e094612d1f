/*
 * What the parts of the explorer share.
 */
#ifndef CRASH_EXPLORER_H
#define CRASH_EXPLORER_H

#include "../../store/internal.h"
#include "explore.h"
#include "image.h"
#include "readings.h"

/** A sector that a power cut may leave old or new. */
struct undecided {
    uint64_t sector;
    const uint8_t *bytes;
    size_t write;    /* which of the writes it belongs to */
    uint32_t block;  /* index of its block among the undecided ones */
    uint64_t change; /* of the image's hash, if it is new */
};

struct explorer {
    struct simdisk *disk;
    struct model *m;
    struct image *image;
    const struct effort *effort;
    unsigned objects;
    uint64_t random;
    unsigned depth;      /* crashes while recovering: of how many */
    size_t fold_limit;   /* small ones, so that the map is written often */
    uint64_t values;     /* seeds of its values begin here: two stores never have the same */
    bool tolerant;       /* its disk lies: operations may fail, */
    bool failed;         /* and one has */
    uint64_t room, used; /* changes promised when the generation began, and made since */
    bool scrubbing;
    struct store_scrub scrub;
    /* the operation under way */
    bool has_under_way;
    struct model_state under_way;
    void (*foresee)(const struct explorer *x, struct model_state *to);
    uint64_t argument;
    /* the images being made */
    struct undecided *undecided;
    size_t count, capacity;
    uint8_t *chosen;   /* by undecided sector: 0 old, 1 new, 2 garbage */
    uint32_t blocks;   /* of undecided sectors */
    uint16_t *content; /* by such a block: which of its possible contents it has */
    struct readings *readings;
    /* what is done to one image in so many is chosen by these, so that a seed does the same again
     */
    uint64_t images, opened, recoveries;
    bool *claimed; /* by block: the interrupted incarnation may still write there */
};

/* explore.c */
uint64_t explorer_any(struct explorer *x, uint64_t n); /* at random, below n */
struct store_io explorer_image_io(struct explorer *x);
struct store_io explorer_disk_io(struct explorer *x);
/** A disk that has a store already, or will; the model is the caller's business. */
struct explorer *explorer_on(struct simdisk *disk, unsigned objects, uint64_t seed,
                             const struct effort *e);
void explorer_cut(void *ctx); /* a power cut now: makes images and judges them */

/* judge.c */
void explorer_bad(struct explorer *x, const char *what); /* ends the test */
void explorer_judge(struct explorer *x);

/* operations.c */
/** It did not succeed: was that to be expected? Ends the test if not. */
void explorer_failed(struct explorer *x, const char *what, int error);

#endif
