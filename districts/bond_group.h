/*
 * What the parts of districtd that look after bonds share (bond.c, bond_start.c).
 */
#ifndef DISTRICTS_BOND_GROUP_H
#define DISTRICTS_BOND_GROUP_H

#include "bond.h"
#include "bond_step.h"

#define EVERYBODY UINT32_MAX

/** A bond whose members run. */
struct group {
    bool used;
    bool joined;      /* not durable yet */
    unsigned leaving; /* 1 + who is to leave when nothing is under way; EVERYBODY: it ends */
    bool again;       /* a checkpoint is wanted */
    bool retry;       /* ... and could not begin for a moment */
    bool told;        /* that it cannot be checkpointed */
    bw_time_t tell;   /* when the members are asked what they are at, if that is still not over */
    unsigned asked;   /* mask: ready for something that we know nothing of */
    struct bond_line bond;
    unsigned slot[BOND_MAX];
    struct bond_round round;
};

/** The group that the district in this slot belongs to, by its store, or NULL. @param member which
 * one it is */
struct group *group_of(unsigned slot, unsigned *member);
struct group *group_new(const struct bond_line *bond);

bool bond_same_id(const uint64_t *a, const uint64_t *b);
/** The slot of a member whose store is there, or 0. */
unsigned bond_slot(const struct bond_line *bond, unsigned member);
/** The names of all members but one (BOND_MAX: of all), as a list. */
void bond_names(const struct bond_line *bond, unsigned but, char *to, size_t size);
/** Tells a store. @return BW_OK, or why it could not */
int64_t bond_set(unsigned slot, const struct bond_line *bond);
int64_t bond_set_none(unsigned slot);
/** What the stores of a bond say, one line each. @return bond_restart's verdict */
enum bond_verdict bond_look(const struct bond_line *bond, struct district_line *line,
                            struct bond_seen *seen, uint64_t *instant, unsigned *missing);
/** The bond that the district's store names, as its home's store has it: that one is believed.
 * @return false: it is in none, by the one or by the other */
bool bond_known(unsigned slot, struct bond_line *bond);

#endif
