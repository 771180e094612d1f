/*
 * What people set for a district. See settings.c.
 */
#ifndef SERVER_SETTINGS_H
#define SERVER_SETTINGS_H

#include "server.h"

/** Whether an order (enum store_order) sets something. */
bool settings_has(int64_t order);
/** Serves such an order. @param word of its message @return BW_OK, BW_ARGUMENT, why the store is
 * closed, or the store's error (server_changed) */
int64_t settings_set(int64_t order, const uint64_t *word);
/** Tells the nucleus of the running district's share. @return BW_OK, or its error */
int64_t settings_tell_share(void);

#endif
