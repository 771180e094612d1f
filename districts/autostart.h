/*
 * Districts that start by themselves when the machine does. See autostart.c.
 */
#ifndef DISTRICTS_AUTOSTART_H
#define DISTRICTS_AUTOSTART_H

#include "registry.h"

/** The entry's store server has said how its store is: is the district to be started by itself? */
void autostart_note(struct entry *e);
/** When autostart_run should be called (MONOTONIC); BW_NO_DEADLINE: nobody waits. */
bw_time_t autostart_due(void);
/** Starts those that wait. Not while a store server waits for our answer: it is called. */
void autostart_run(void);

#endif
