/*
 * A new store on a free partition. See maker.c.
 */
#ifndef SERVER_MAKER_H
#define SERVER_MAKER_H

#include "server.h"

/** The disk has no store: whether it may get one by STORE_MAKE, and whether it looks empty. */
void maker_look(bool free);
/** Serves the orders STORE_DISK .. STORE_MADE. @param string what came with it @return false: it is
 * none of them */
bool maker_serve(const struct message *m, const void *string, struct message *reply);

#endif
