/*
 * Exploring crashes: operations are run on a store over a simulated disk; at each flush, and at the
 * end of each operation, images of what a power cut could leave are made, opened and compared with
 * the model.
 */
#ifndef CRASH_EXPLORE_H
#define CRASH_EXPLORE_H

#include "distinct.h"
#include "simdisk.h"

enum operation {
    /* what sequences are made of, all of them up to a length */
    OPERATION_DIRTY,   /* puts an object that is there */
    OPERATION_CREATE,  /* puts one that is not */
    OPERATION_DESTROY, /* deletes one */
    OPERATION_COMMIT,
    OPERATION_ROLL_BACK, /* a new incarnation from the generation before */
    OPERATION_DROP,      /* the oldest generation */
    OPERATION_GROW,
    OPERATION_SCRUB,
    CORE_OPERATIONS,
    /* whole commits, and what is rarer */
    OPERATION_PUT_ONE = CORE_OPERATIONS,
    OPERATION_PUT_SOME,
    OPERATION_PUT_MANY,
    OPERATION_PUT_ZERO,
    OPERATION_FILL, /* as many as the store promises to have room for */
    OPERATION_DELETE_ALL,
    OPERATION_EMPTY,
    OPERATION_ABORT,
    OPERATION_RESTART,   /* a new incarnation from the current generation */
    OPERATION_GO_BACK,   /* and from the oldest */
    OPERATION_UNDO_BACK, /* and from the newest, abandoned or not */
    OPERATION_DROP_MIDDLE,
    OPERATION_POLICY,
    OPERATION_RETENTION,
    OPERATION_JOURNAL,
    OPERATION_REOPEN,
    OPERATIONS,
    /* of a mirror */
    OPERATION_LOSE_FIRST = OPERATIONS, /* from some moment on, soon */
    OPERATION_LOSE_SECOND,
    OPERATION_RETURN,
    OPERATION_RESYNC,
    ALL_OPERATIONS,
};
extern const char *const operation_name[ALL_OPERATIONS];

/** What an image costs; more finds more. */
struct effort {
    unsigned exhaustive; /* undecided sectors up to which all subsets are tried */
    unsigned random;     /* random subsets beyond that */
    unsigned deeper;     /* one in so many images is also recovered from, and written to; 0: none.
                            The first of each moment is as well */
    unsigned twice;      /* one in so many of those has its own crashes explored; 0: none */
};

struct explorer;
/** Formats a store on a disk of `blocks` blocks, that it can grow into, and commits a first
 * generation. The seed chooses everything else. Without effort, no power cuts are tried. */
struct explorer *explorer_new(uint64_t blocks, unsigned objects, uint64_t seed,
                              const struct effort *e);
/** The same on two disks. */
struct explorer *explorer_new_mirror(uint64_t blocks, unsigned objects, uint64_t seed,
                                     const struct effort *e);
void explorer_free(struct explorer *x);
void explorer_run(struct explorer *x, enum operation o);
enum operation explorer_choose(struct explorer *x); /* at random */
/** Reads an object of one store and puts it into another, as a message between two districts would;
 * then both are as their models say, whatever the other did. */
void explorer_move(struct explorer *from, struct explorer *to);
/** Must be as the model says, and damage-free. */
void explorer_check(struct explorer *x);

/** Changes blocks at random: it must be found, and nothing wrong may be believed. */
void explorer_damage(struct explorer *x, unsigned times);
/** Changes index blocks and roots with checksums not compared: whatever is in them, nothing may
 * crash or hang. Needs store_mutation to be MUTATION_NODE_CHECKSUM or MUTATION_ROOT_CHECKSUM. */
void explorer_forge(struct explorer *x, unsigned times);
/** The disk lies once, in some way, while some operations are done: what can be read afterwards is
 * right, and the rest is reported. */
void explorer_lies(uint64_t seed);

/** Where we are, for the line that a failure prints. */
extern char explorer_where[256];

#endif
