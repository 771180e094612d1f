/*
 * Deliberate faults, to show that the crash tests can fail: the library compiled with
 * -DBW_MUTATION=n has fault n. Ordinary builds have none. tests/crash/mutations lists them.
 */
#ifndef STORE_MUTATION_H
#define STORE_MUTATION_H

#ifdef BW_MUTATIONS
extern int store_mutation;
#define MUTATED(n) (store_mutation == (n))
#else
#define MUTATED(n) 0
#endif

enum mutation {
    MUTATION_NO_FLUSH_BEFORE_ROOT = 1,
    MUTATION_NO_FLUSH_AFTER_ROOT = 2,
    MUTATION_NODE_CHECKSUM = 3,   /* not compared */
    MUTATION_OBJECT_CHECKSUM = 4, /* not compared */
    MUTATION_ROOT_CHECKSUM = 5,   /* not compared */
    MUTATION_ONE_ROOT_SLOT = 6,   /* the root overwrites its predecessor */
    MUTATION_FREED_EARLY = 7,     /* what a commit frees is used again before it is durable */
    MUTATION_INCARNATION = 8,     /* not bumped */
    MUTATION_CLAIM_NOT_FLUSHED = 9,
    MUTATION_ROOT_BEFORE_DATA = 10,   /* the root is made durable before the index is written */
    MUTATION_NUMBER_REUSED = 11,      /* after going back, numbers are given out again */
    MUTATION_DROP_SHARED = 12,        /* dropping a generation frees what the next one shares */
    MUTATION_CLAIM_NOT_EXTENDED = 13, /* blocks outside the claim are written to */
    MUTATION_DROP_LEAKS = 14,         /* dropping a generation keeps its index blocks */
    MUTATION_AVOID_IGNORED = 15,      /* the successor writes where its predecessor still may */
    MUTATION_MAP_IN_PLACE = 16,       /* map blocks are overwritten */
    MUTATION_OLDEST_ROOT = 17,        /* the wrong one of the valid roots is taken */
    MUTATION_LAST = 17,
};

#endif
