/*
 * Waiting for several files: shared by poll, select and epoll.
 */
#ifndef UNIX_POLL_H
#define UNIX_POLL_H

#include "files.h"

/** EPOLL* bits that hold; a kind without poll is always ready. */
unsigned poll_file(struct file *f);
/** Enters current in the file's queues. @return BLOCKED or -errno */
long poll_enter(struct file *f, bw_time_t deadline);
/** Deadline of a call that began with `timeout` ns (or BW_NO_DEADLINE), kept in the thread's
 * progress. */
bw_time_t poll_deadline(uint64_t timeout);
/** Nothing was ready: waits only for the deadline. */
long poll_sleep(bw_time_t deadline);
/** The temporary signal mask of ppoll, pselect6 and epoll_pwait; address 0: none. @return 0 or
 * -errno */
long poll_signal_mask(uint64_t address, uint64_t size);
/** Reads a timespec or a timeval; 0 address: BW_NO_DEADLINE. @return 0 or -errno */
long poll_timespec(uint64_t address, uint64_t *ns);
long poll_timeval(uint64_t address, uint64_t *ns);

#endif
