/*
 * The scrub of an open store. See scrub.c.
 */
#ifndef SERVER_SCRUB_H
#define SERVER_SCRUB_H

#include <bailiwick/admin.h>

/** @param order enum scrub_order */
void scrub_order(uint64_t order);
/** How far it is. */
const struct scrub_line *scrub_look(void);
/** When the next step is due; BW_NO_DEADLINE: none is under way. */
bw_time_t scrub_due(void);
/** Goes on, a bounded step, if it is time for one. */
void scrub_step(void);

#endif
