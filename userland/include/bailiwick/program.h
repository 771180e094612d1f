/*
 * For native programs of a district: what makes them good citizens of it. Links to other districts
 * that come back by themselves, waiting for what was done to be durable, knowing which incarnation
 * one is in, and a little memory that survives going back in time. See docs/programs.md and the
 * examples in userland/examples.
 *
 * All of it returns BW_OK or a negative enum bw_result.
 */
#ifndef BAILIWICK_PROGRAM_H
#define BAILIWICK_PROGRAM_H

#include <stdbool.h>
#include <bailiwick/journal.h>
#include <bailiwick/link.h>
#include <bailiwick/runtime.h>

/** Which run of the district this is: compared whole. */
struct incarnation {
    uint64_t count;  /* restarts and rollbacks since the district was made */
    uint64_t random; /* so that copies of a store never look alike */
    uint64_t epoch;  /* the generation being made */
};
void bw_incarnation(struct incarnation *now);
/** Of the last message that was received; false: it came from our own district. */
bool bw_sender(struct incarnation *sender);

/** Publishes a start key to ourselves with that badge.
 *  @param access names of districts with a space between, or "*": who may open it */
int64_t bw_publish_name(const char *name, const char *access, uint16_t badge);
/** No link to it is established any more; those that are live stay until they are cut. */
int64_t bw_withdraw_name(const char *name);

/** Opens a link by its sturdy name. The key in `place` is good for ever; it is SEVERED until the
 * other side is there, and whenever it is not. LINK_GATED: the key never is, calls through it wait
 * for the other side, and are made once, whatever happens to either; see bailiwick/gate.h.
 *  @param badge our post bit when the state of the link changes; 0: no posts. LINK_GATED: 0 */
int64_t bw_link_open(const char *district, const char *name, enum link_mode mode, uint16_t badge,
                     uint16_t place);
/** @param connection counts how often it was established. May be NULL */
enum link_state bw_link_state(uint16_t place, uint64_t *connection, enum link_reason *reason);
/** Our session on that connection is open again: messages go through. BW_AGAIN: there is a newer
 * one. */
int64_t bw_link_acknowledge(uint16_t place, uint64_t connection);
/** Asks for it to be established now. */
int64_t bw_link_reopen(uint16_t place);

/** Returns when everything up to now is committed; asks for a checkpoint. After a restart it
 * returns too. */
int64_t bw_barrier(void);
/** The newest generation that is committed: what happened in its epoch or before is durable. */
uint64_t bw_committed(void);
/** Asks for a checkpoint now and goes on. */
void bw_hurry(void);

/** How this run of the district began. @param generation it started from. May be NULL */
enum start_reason bw_start_reason(uint64_t *generation);

/** Reads the district's journal page: it does not go back in time with the rest.
 *  @param page JOURNAL_SIZE bytes @param number to be given to bw_journal_write */
int64_t bw_journal_read(void *page, uint64_t *number);
/** Writes it; durable when this returns BW_OK. Of what may be there instead, read it again:
 * BW_AGAIN: it was written since, maybe by ourselves in a future that we do not remember;
 * BW_RESTARTED, BW_SEVERED: it may have been written or not.
 *  @param number as read or written last; here is the next one */
int64_t bw_journal_write(const void *bytes, size_t length, uint64_t *number);

#endif
