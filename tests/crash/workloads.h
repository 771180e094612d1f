/*
 * What the crash tests run: see workloads.c and mutations.c.
 */
#ifndef CRASH_WORKLOADS_H
#define CRASH_WORKLOADS_H

#include "explore.h"

double workload_now(void); /* seconds */

/** All sequences of `length` operations, those of the core only, or all; of them, every
 * `workers`-th one beginning with `worker`. */
void workload_sequences(const struct effort *e, unsigned length, bool core, unsigned worker,
                        unsigned workers);
/** One random sequence of `length` operations on two stores. */
void workload_random(uint64_t seed, const struct effort *e, unsigned length);
/** One on a mirror, whose copies are lost and come back. */
void workload_mirror(uint64_t seed, const struct effort *e, unsigned length);

/** One of bonded districts; `effort` images at each flush. */
void workload_bonds(uint64_t seed, unsigned effort, unsigned length);

extern const struct effort effort_quick; /* for finding faults */
/** Each fault in turn. @return exit status */
int mutations_run(void);

#endif
