/*
 * The protocol of a bond, as pure steps: what the one who coordinates it does next. districtd runs
 * it (bond.c), and so does the simulator (tests/crash/bonds.c).
 */
#ifndef DISTRICTS_BOND_STEP_H
#define DISTRICTS_BOND_STEP_H

#include <stdbool.h>
#include <stdint.h>

enum bond_phase {
    BOND_IDLE,
    BOND_WRITING,  /* all were frozen at one instant, and write that out */
    BOND_DECIDING, /* all have: the home was told to commit */
};

/** A checkpoint of all members. All zero at first but for `members`. */
struct bond_round {
    enum bond_phase phase;
    unsigned members;
    uint64_t instant;
    unsigned ready; /* mask */
};

enum bond_event {
    BOND_FROZEN, /* all of them, at that instant */
    BOND_READY,  /* a member has written it out: durable as prepared, or at home up to the commit */
    BOND_AT,     /* a member has nothing under way, and its store is at that instant */
};

enum bond_action {
    BOND_NOTHING,
    BOND_COMMIT, /* tell the home to; what comes of it is a BOND_AT */
    BOND_KEEP,   /* tell all others that it counts */
    BOND_UNDO,   /* tell all that it does not */
    BOND_ASK,    /* tell that member what it is to do: bond_answer */
};

/** @param member who says so (BOND_FROZEN: any) */
enum bond_action bond_step(struct bond_round *r, enum bond_event event, unsigned member,
                           uint64_t instant);
/** To a member that is ready for an instant of which the coordinator knows nothing (any more).
 * @param home instant that the home has committed @return BOND_KEEP or BOND_UNDO */
enum bond_action bond_answer(unsigned member, uint64_t instant, uint64_t home);

/** What a member's store says, before it is started. */
struct bond_seen {
    bool there;  /* it can be read */
    bool bonded; /* in this bond */
    uint64_t instant;
};

enum bond_verdict {
    BOND_TOGETHER, /* all that are still bonded start, at *instant; others have left */
    BOND_MISSING,  /* *missing is not there */
    BOND_OVER,     /* the home has left, or is alone: who asks starts by itself, where he is */
};

enum bond_verdict bond_restart(const struct bond_seen *seen, unsigned members, uint64_t *instant,
                               unsigned *missing);

#endif
