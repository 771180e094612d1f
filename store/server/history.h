/*
 * What people ask about a store's generations. See history.c.
 */
#ifndef SERVER_HISTORY_H
#define SERVER_HISTORY_H

#include "server.h"

/** The first kept generation with that number or a higher one. @param held with what only it holds
 * @return BW_OK, BW_ABSENT */
int64_t history_line(uint64_t number, bool held, struct generation_line *line);
/** The numbers of those that are kept, in words. */
void history_kept(char *to, size_t size);
/** Drops a generation, now or when the snapshot under way is written. @return false: the caller,
 * whose resume key is in KR_CALLER, waits */
bool history_drop(uint64_t generation, struct message *reply);
/** Whether somebody waits to drop one: then no snapshot should begin. */
bool history_waits(void);
/** Drops it, if it can be done now. */
void history_work(void);

#endif
