/*
 * What happened to the districts, as far as it is remembered. See events.c.
 */
#ifndef DISTRICTS_EVENTS_H
#define DISTRICTS_EVENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <bailiwick/admin.h>

#define EVENTS_KEPT 256u

/** What number the first event has. */
void events_open(uint64_t number);
/** Enters an event; the oldest may go. @param time REALTIME */
void events_add(enum event_kind kind, bool important, const char *name, bw_time_t time,
                const char *text);
/** The same, now. */
void events_say(enum event_kind kind, bool important, const char *name, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/** The first event with that number or a higher one, or NULL. */
const struct event *events_from(uint64_t number);
/** The number that the next event gets. */
uint64_t events_next(void);

#endif
