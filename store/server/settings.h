/*
 * What people set for a district. See settings.c. Each answers BW_OK, BW_ARGUMENT, the reason why
 * the store is closed, or the store's error (server_changed).
 */
#ifndef SERVER_SETTINGS_H
#define SERVER_SETTINGS_H

#include "server.h"

/** Sets the time between checkpoints, ns; 0: never by themselves. */
int64_t settings_interval(uint64_t ns);
/** Sets how many generations are kept: last, minutes, hours, days. */
int64_t settings_retention(const uint64_t *keep);
/** Sets the crash policy. */
int64_t settings_policy(uint64_t policy);
/** Sets whether the district starts by itself when the machine does. */
int64_t settings_autostart(bool on);
/** Sets whether its output to the console is held until it is committed. */
int64_t settings_gated(bool on);
/** Sets the district's share, at once if it runs. */
int64_t settings_share(uint64_t share);
/** Tells the nucleus of the running district's share. @return BW_OK, or its error */
int64_t settings_tell_share(void);

#endif
