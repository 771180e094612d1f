/*
 * Those who have asked for a checkpoint and wait. See waiters.c.
 */
#ifndef SERVER_WAITERS_H
#define SERVER_WAITERS_H

#include "server.h"

void waiters_open(void);
/** Keeps a caller until a snapshot taken from now on is committed. @param resume place of his resume
 * key @return BW_OK: he waits, or BW_LIMIT */
int64_t waiters_add(uint16_t resume);
/** Whether anybody waits for the next snapshot. */
bool waiters_next(void);
/** A snapshot was made: whoever has waited since `then` waits for this one. @return true: somebody
 * does */
bool waiters_take(bw_time_t then);
/** Who waits for the snapshot under way waits for the next one instead. */
void waiters_again(void);
/** Answers those who wait for the snapshot under way: its generation, its objects, and for how many
 * ticks the district stood still; and how long each has waited. */
void waiters_answer(int64_t code, uint64_t generation, uint64_t objects, uint64_t stop);
/** Answers everybody that nothing comes. */
void waiters_dismiss(int64_t code);

#endif
