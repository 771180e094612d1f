/*
 * The journal page of the district, which asks for it itself. See journal.c.
 */
#ifndef SERVER_JOURNAL_H
#define SERVER_JOURNAL_H

#include "server.h"

/** Grants the running district a key to its journal page. @return BW_OK, or why not */
int64_t journal_grant(void);
/** Serves a request from the district. @param string what came with it */
void journal_serve(const struct message *m, const void *string, struct message *reply);

#endif
