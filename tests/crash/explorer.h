/*
 * What the parts of the explorer share.
 */
#ifndef CRASH_EXPLORER_H
#define CRASH_EXPLORER_H

#include "../../store/internal.h"
#include "explore.h"
#include "image.h"
#include "readings.h"

#include <store/mirror.h>

/** A sector that a power cut may leave old or new. */
struct undecided {
    uint64_t sector;
    const uint8_t *bytes;
    size_t write;    /* which of the writes it belongs to */
    uint32_t block;  /* index of its block among the undecided ones */
    uint64_t change; /* of the image's hash, if it is new */
};

#define STALE_MAX 16u

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
    /* of a mirror: */
    struct mirror *mirror; /* NULL: a single disk */
    unsigned complete;     /* mask of the copies that have all that was acknowledged; */
    unsigned doubtful;     /* of those that may not, as nobody has looked yet */
    bool survives;         /* it is opened again by who had it open */
    bool resyncing, finishing;
    struct store_scrub resync;
    struct model_state stale[STALE_MAX]; /* what a copy that is not complete may have */
    unsigned stales;
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
    bool first;    /* of the images of a moment, in which nothing in flight has arrived */
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

/* judge.c, again below */
void explorer_bad(struct explorer *x, const char *what); /* ends the test */
void explorer_judge(struct explorer *x);

/* judge.c */
/** If the store is in none of the states that it may be in, the test ends. */
const struct model_state *explorer_matching(struct explorer *x, struct store *st);
void explorer_check_map(struct explorer *x, struct store *st);
/** Two generations more. */
void explorer_small_commits(struct explorer *x, struct model *m);

/* operations.c */
/** It did not succeed: was that to be expected? Ends the test if not. */
void explorer_failed(struct explorer *x, const char *what, int error);
void explorer_claim(struct explorer *x, uint64_t generation);
void explorer_finish(struct explorer *x); /* commits what is begun */

/* mirrors.c */
void mirrors_begin(struct explorer *x, struct store_io *io);         /* to be formatted */
void mirrors_follow(struct explorer *x);                             /* x->m is there */
void mirrors_adopt(struct explorer *x, const struct explorer *from); /* x has its image */
void mirrors_end(struct explorer *x);
const struct model_state *mirrors_look(struct explorer *x); /* explorer_judge's, of a mirror */
void mirrors_recover(struct explorer *x, const struct model_state *state);
bool mirrors_fail(const struct explorer *x); /* a copy is gone, and nobody has noticed yet */
void mirrors_mend(struct explorer *x);
void mirrors_lose(struct explorer *x, unsigned copy);
void mirrors_return(struct explorer *x);
void mirrors_resync(struct explorer *x);

#endif
