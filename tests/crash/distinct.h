/*
 * How many different images there were: a set of their hashes that all worker processes share, and
 * what they count.
 */
#ifndef CRASH_DISTINCT_H
#define CRASH_DISTINCT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct statistics {
    uint64_t points;     /* moments at which a power cut was tried */
    uint64_t images;     /* of them: all that were made */
    uint64_t opened;     /* opened and compared, the others being known to be judged the same */
    uint64_t distinct;   /* of those opened, no two are the same */
    uint64_t recoveries; /* claimed, written to, and hit by a stale writer */
    uint64_t nested;     /* of which the crashes while recovering were explored */
    uint64_t damaged;    /* damaged and lying disks */
    uint64_t commits;
};
extern struct statistics *statistics; /* of this process */

/** Memory for so many images and workers, shared with children. */
void distinct_begin(uint64_t images, unsigned workers);
void distinct_worker(unsigned n); /* this process is that one */
/** So many are enough: random workloads then end. 0: they never do. */
void distinct_goal(uint64_t images);
bool distinct_enough(void);
/** Counts an image, unless it has been counted. */
void distinct_count(uint64_t hash);
struct statistics distinct_sum(void);

#endif
