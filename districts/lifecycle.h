/*
 * Starting and ending districts. See lifecycle.c.
 */
#ifndef DISTRICTS_LIFECYCLE_H
#define DISTRICTS_LIFECYCLE_H

#include <bailiwick/runtime.h>
#include "registry.h"

#define KR_NODE               24 /* slot s: key to the store server of entry s; slot 64 + s: its district key */
#define KEY_STORE(slot)       KEY_IN_NODE(KR_NODE, (slot))
#define KEY_DISTRICT_OF(slot) KEY_IN_NODE(KR_NODE, REGISTRY_MAX + (slot))

/** Makes the node and finds the console. */
void lifecycle_open(void);
/** Starts the district. @return BW_OK, or why not (then the entry's message says it in words) */
int64_t lifecycle_start(unsigned slot);
/** Drops the district from memory and tells its store server. */
void lifecycle_end(unsigned slot);
/** A line as of now: from the store server, the nucleus and the entry. */
void lifecycle_line(unsigned slot, struct district_line *line);
/** What DISTRICT_STATUS says. @return its result */
int64_t lifecycle_status(unsigned slot, struct district_status *status);

#endif
