/*
 * Bonds: districts that are checkpointed, started, ended and taken back together. See bond.c.
 */
#ifndef DISTRICTS_BOND_H
#define DISTRICTS_BOND_H

#include <stddef.h>
#include <bailiwick/runtime.h>
#include "registry.h"

/** What a district, with those that it is bonded with, is started from. */
struct bond_plan {
    unsigned asked; /* the slot of whom it was made for */
    unsigned members;
    unsigned slot[BOND_MAX]; /* the home first */
    bool current[BOND_MAX];  /* from its current generation, else from: */
    uint64_t generation[BOND_MAX];
    struct bond_line bond; /* members 0: it is in none */
};

/** Finds out what a start is to be from. Writes to stores only what was decided before.
 * @param generation of this district; NULL: where the bond is @param alone gives up a bond of which
 * a member is missing @return BW_OK, or why not (then the entry's message says it in words);
 * BW_AGAIN: disks may still turn up */
int64_t bond_plan(unsigned slot, const uint64_t *generation, bool alone, struct bond_plan *p);
/** Starts all of them, or none. @return BW_OK, or why not (the same) */
int64_t bond_start(const struct bond_plan *p, enum start_reason reason);
/** Both, from where the bond is. */
int64_t bond_start_newest(unsigned slot, enum start_reason reason);
/** Ends the district and those that are bonded with it. @param text for the others' events */
void bond_end(unsigned slot, const char *text);
/** As lifecycle_whole; all members have it whole. */
bool bond_whole(unsigned slot, uint64_t bound, uint64_t *generation, char *choice);

/** DISTRICTS_BOND, DISTRICTS_UNBOND. @param names space between them */
void bond_make(const char *names, struct message *reply);
void bond_part(const char *names, struct message *reply);
/** DISTRICTS_BONDED. */
void bond_heard(unsigned slot, const uint64_t *word);
/** A district runs already, or does not, as its store server says, which registers with us for the
 * first time and is not to be called now. Who is bonded with one that does not run is ended.
 */
void bond_found(unsigned slot);
/** When bond_run should be called (MONOTONIC); BW_NO_DEADLINE: need not be. */
bw_time_t bond_due(void);
void bond_run(void);

#endif
