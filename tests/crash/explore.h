/*
 * Exploring crashes: operations are run on a store over a simulated disk; at each flush, and at the
 * end of each operation, images of what a power cut could leave are made, opened and compared with
 * the model.
 */
#ifndef CRASH_EXPLORE_H
#define CRASH_EXPLORE_H

#include "simdisk.h"

enum operation {
    OPERATION_PUT_ONE,
    OPERATION_PUT_SOME,
    OPERATION_PUT_MANY,
    OPERATION_PUT_ZERO,
    OPERATION_DELETE,
    OPERATION_DELETE_ALL,
    OPERATION_EMPTY,
    OPERATION_ABORT,
    OPERATION_RESTART, /* a new incarnation from the current generation */
    OPERATION_GO_BACK, /* and from the oldest */
    OPERATION_DROP_OLDEST,
    OPERATION_DROP_MIDDLE,
    OPERATION_POLICY,
    OPERATION_REOPEN,
    OPERATION_GROW,
    OPERATIONS,
};
extern const char *const operation_name[OPERATIONS];

/** What an image costs; more finds more. */
struct effort {
    unsigned exhaustive; /* undecided sectors up to which all subsets are tried */
    unsigned random;     /* random subsets beyond that */
    unsigned deeper;     /* one in so many images is also recovered from, and written to; 0: none */
    unsigned twice;      /* one in so many of those has its own crashes explored; 0: none */
};

struct statistics {
    uint64_t images;     /* opened and compared */
    uint64_t recoveries; /* of them: claimed, written to, and hit by a stale writer */
    uint64_t points;     /* moments at which a power cut was tried */
    uint64_t commits;
};
extern struct statistics statistics;

struct explorer;
/** Formats a store on a disk of `blocks` blocks, that it can grow into, and commits a first
 * generation. */
struct explorer *explorer_new(uint64_t blocks, unsigned objects, uint64_t seed,
                              const struct effort *e);
void explorer_free(struct explorer *x);
void explorer_run(struct explorer *x, enum operation o);
enum operation explorer_choose(struct explorer *x); /* at random */
/** Changes blocks at random: it must be found, and nothing wrong may be believed. */
void explorer_damage(struct explorer *x, unsigned times);

/** Changes index blocks and roots with checksums not compared: whatever is in them, nothing may
 * crash or hang. Needs store_mutation to be MUTATION_NODE_CHECKSUM or MUTATION_ROOT_CHECKSUM. */
void explorer_forge(struct explorer *x, unsigned times);

/** Where we are, for the line that a failure prints. */
extern char explorer_where[256];

#endif
