/*
 * Deliberate faults, to show that the crash tests can fail: the library compiled with
 * -DBW_MUTATIONS has fault number store_mutation. Ordinary builds have none.
 * tests/crash/mutations.c lists them.
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
    MUTATION_ROOM = 18,               /* what is promised does not count the index */
    MUTATION_ONE_TWIN = 19,           /* the root is written once */
    MUTATION_TWIN_IGNORED = 20,       /* and the second one is not looked at */
    MUTATION_NOT_MENDED = 21,         /* a twin that is not whole stays so */
    MUTATION_NOT_WIPED = 22,          /* the next root is written over a torn one */
    MUTATION_SCRUB_BELIEVES = 23,     /* scrubbing compares no checksums */
    MUTATION_RETAIN_LESS = 24,        /* retention drops one too many */
    MUTATION_FREE_COUNT = 25,         /* what is freed is not counted */
    MUTATION_NOT_RECORDED = 26,       /* a mirror's survivor does not say that it is alone */
    MUTATION_NOT_ALIGNED = 27,        /* a copy that comes back keeps its roots */
    MUTATION_ONE_COPY_FLUSHED = 28,   /* of a mirror only the leader */
    MUTATION_REPAIR_LIES = 29,        /* a bad copy is said to be mended */
    MUTATION_SYNC_EARLY = 30,         /* a copy counts as up to date before it is */
    MUTATION_NOT_REMOVED = 31,        /* its roots are replaced in order of place */
    MUTATION_OLDER_TWIN = 32,         /* with them, the newest brings what else is in its slot */
    MUTATION_NOT_KEPT = 33,           /* what one in doubt grew from may be dropped */
    /* of the simulated bond (tests/crash/bonds.c) */
    MUTATION_BOND_EARLY = 34,     /* the home commits before all have prepared */
    MUTATION_BOND_FORGOTTEN = 35, /* a new coordinator does not ask what the home has */
    MUTATION_BOND_NEWEST = 36,    /* a restart takes what each store has newest */
    MUTATION_LAST = 36,
};

#endif
