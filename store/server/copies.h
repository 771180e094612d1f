/*
 * A store that is mirrored on two disks. See copies.c.
 */
#ifndef SERVER_COPIES_H
#define SERVER_COPIES_H

#include <store/store.h>
#include "server.h"

/** Looks at the own disk. @return STORE_OK if there is a store or a copy of one; STORE_FOREIGN.. */
int copies_look(void);
/** Which store it is and which copy, for DISTRICTS_REGISTER: w0, w1, w2, k3. */
void copies_describe(struct message *m);
/** Opens the store on what disks there are. @return enum store_error */
int copies_open(const struct store_io *base, struct store **out);
/** What is wrong when copies_open fails, or NULL if the error says it all. */
const char *copies_trouble(void);
/** BW_OK if the store may be written to; else the reason is in server.line.message. BW_AGAIN: the
 * other copy may still turn up. */
int64_t copies_ready(void);
/** STORE_ALONE: the user goes on with the copy that is there. */
int64_t copies_alone(void);
/** STORE_PAIR: the other copy is on the disk whose driver has that key. */
int64_t copies_pair(uint16_t key);
/** Brings the other copy up to date, a bounded step, if it is time for one. */
void copies_step(void);
/** When the next step is due; BW_NO_DEADLINE: none. */
bw_time_t copies_due(void);
/** Says how the copies are, in a few words; empty: it is not mirrored. */
void copies_text(char *to, size_t size);

#endif
