/*
 * The broker of named links: it establishes them when both sides run. See broker.c.
 */
#ifndef DISTRICTS_BROKER_H
#define DISTRICTS_BROKER_H

#include <stdint.h>
#include <bailiwick/types.h>

#define BADGE_BROKER 1u /* post bit of the nucleus: look at the links of districts */

/** Has the nucleus post when the district's links change. @return BW_OK, or why not */
int64_t broker_watch(unsigned slot);
/** Tries to establish all links that wait for it. */
void broker_run(void);
/** It was posted: broker_run is due, now or a little later. */
void broker_post(void);
/** When broker_run is to be called, MONOTONIC; BW_NO_DEADLINE: nothing waits for it. */
bw_time_t broker_due(void);

#endif
