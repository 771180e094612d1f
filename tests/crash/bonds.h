/*
 * The world of bonded districts that bonds.c simulates and bonds_oracle.c judges.
 */
#ifndef CRASH_BONDS_H
#define CRASH_BONDS_H

#include "../../districts/bond_step.h"
#include "image.h"
#include "workloads.h"

#define MEMBERS   3u
#define OBJECTS   6u
#define BLOCKS    300u
#define INSTANTS  400u
#define FIRST_OID 10u

struct contents {
    uint64_t value[OBJECTS];
};

/** One member: its store server, and what the nucleus has of its district. */
struct member {
    struct store *st;
    /* of the nucleus: lost in a power cut or when the district ends */
    struct contents now, frozen, committed;
    bool snapshot;
    uint64_t epoch, frozen_epoch;
    /* of the store server: lost also when that ends */
    uint64_t instant; /* of what is under way; 0: nothing */
    bool held;
    unsigned next; /* object to be put; OBJECTS: all are */
    uint64_t kept;
    bool reports; /* not delivered yet */
    enum bond_event report;
    uint64_t reported;
};

struct world {
    uint64_t random;
    unsigned members;
    struct simdisk *disk;
    struct image *image;
    struct member member[MEMBERS];
    struct store_bond bond;
    bool bonded; /* durably */
    /* of the coordinator */
    struct bond_round round;
    unsigned asked;
    /* the oracle */
    struct {
        uint64_t instant;
        struct contents contents[MEMBERS];
    } past[INSTANTS];
    unsigned pasts;
    uint64_t sure, maybe;         /* instants; 0: none */
    struct contents own[MEMBERS]; /* of each by itself, while there is no bond */
    bool looking;
    unsigned effort;
};

/** A random number below n. */
uint64_t bonds_any(struct world *w, uint64_t n);
/** Ends the program if that is an error of the store. */
void bonds_must(int error, const char *what);
/** Whether the store has kept a generation of that instant. @param number gets it */
bool bonds_has_instant(struct store *st, uint64_t instant, uint64_t *number);
/** Each continues from its generation of that instant. */
void bonds_go_to(struct store *const *st, unsigned members, uint64_t instant);
/** Restarts all that are there, as districtd does. @return their instant; 0: they are in no bond */
uint64_t bonds_restart(struct store *const *st, unsigned members, const struct store_bond *bond);
/** Whether a store has what its district had then. */
bool bonds_contains(struct store *st, const struct contents *c);
/** After a restart that has led to an instant: is it one that it may have led to? */
void bonds_judge(const struct world *w, struct store *const *st, uint64_t instant);
/** What a power cut leaves of the sectors in flight: all, none, or some. */
void bonds_cut(struct world *w, struct image *image);
/** A disk is about to be flushed: what if the power went before? @param ctx struct world */
void bonds_before_flush(void *ctx);
/** The images follow. @param ctx struct world */
void bonds_became_durable(void *ctx, uint64_t block);

#endif
