/*
 * The broker of named links: it establishes them when both sides run. See broker.c.
 */
#ifndef DISTRICTS_BROKER_H
#define DISTRICTS_BROKER_H

#include <stdbool.h>
#include <stdint.h>

#define BADGE_BROKER 1u /* post bit of the nucleus: look at the links of districts */

/** Has the nucleus post when the district's links change. @return BW_OK, or why not */
int64_t broker_watch(unsigned slot);
/** Tries to establish all links that wait for it. */
void broker_run(void);
/** Whether an access list, as it was published, names a district. Pure. */
bool broker_allows(const char *access, const char *district);

#endif
