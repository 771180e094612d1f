/*
 * Starting and ending districts. See lifecycle.c.
 */
#ifndef DISTRICTS_LIFECYCLE_H
#define DISTRICTS_LIFECYCLE_H

#include <stdbool.h>
#include <bailiwick/runtime.h>
#include "registry.h"

/* Slot s: key to the store server of entry s; slot 64 + s: its district key; slot 128 + s: key to
 * the driver of the disk that has the other copy of its store. */
#define KR_NODE               24
#define KEY_STORE(slot)       KEY_IN_NODE(KR_NODE, (slot))
#define KEY_DISTRICT_OF(slot) KEY_IN_NODE(KR_NODE, REGISTRY_MAX + (slot))
#define KEY_PARTNER(slot)     KEY_IN_NODE(KR_NODE, 2 * REGISTRY_MAX + (slot))

/** Makes the node and finds the console. */
void lifecycle_open(void);
/** Makes the district from a generation (NULL: the current one), with all that it is granted.
 * @return BW_OK, or why not (then the entry's message says it in words); BW_AGAIN: soon after the
 * start of the machine something may still turn up */
int64_t lifecycle_create(unsigned slot, const uint64_t *generation, enum start_reason reason);
/** Has it run. @return BW_OK, or why not (the same; it has been ended) */
int64_t lifecycle_begin(unsigned slot);
/** Gives it a session of the console, if it runs and has none because that was restarted. */
void lifecycle_console(unsigned slot);
/** Grants what serves all districts again to those that run: some of it may be another one. */
void lifecycle_services(void);
/** Has its output to the console held until it is committed, or not. */
int64_t lifecycle_gated(unsigned slot, bool on);
/** Drops the district from memory and tells its store server. */
void lifecycle_end(unsigned slot);
/** Random bits of the machine. @return BW_OK, or why there are none */
int64_t lifecycle_random(uint64_t random[2]);
/** A line as of now: from the store server, the nucleus and the entry. @return false: the store
 * server does not answer, and this is what it said last */
bool lifecycle_line(unsigned slot, struct district_line *line);
/** What STORE_WHOLE says: the newest readable generation before `bound`, that the current one grew
 * from. @param choice DISTRICT_MESSAGE_MAX bytes: which ones can be restarted, in words
 *  @return false: there is none */
bool lifecycle_whole(unsigned slot, uint64_t bound, uint64_t *generation, char *choice);
/** The first generation that its store keeps with that number or a higher one. @return false: none
 */
bool lifecycle_generation(unsigned slot, uint64_t number, struct generation_line *g);
/** Has its store keep the generation until the district has gone back to it. @return false: it is
 * not kept (any more) */
bool lifecycle_pin(unsigned slot, uint64_t generation);
/** What DISTRICT_STATUS says. @return its result */
int64_t lifecycle_status(unsigned slot, struct district_status *status);

#endif
