/*
 * Events: a ring of the last EVENTS_KEPT. Numbers go up by one each, so that a reader who remembers
 * the last number sees each event once. They begin with the time, so that those of a districtd that
 * was started again, which has lost what was before, are news to him, too.
 */
#include "events.h"
#include <stdarg.h>
#include <stdio.h>
#include <bailiwick/runtime.h>

static struct event ring[EVENTS_KEPT];
static uint64_t first = 1, next = 1;

void events_open(uint64_t number)
{
    first = next = number;
}

void events_add(enum event_kind kind, bool important, const char *name, bw_time_t time,
                const char *text)
{
    struct event *e = &ring[next % EVENTS_KEPT];

    *e = (struct event){.number = next++, .time = time, .kind = kind, .important = important};
    snprintf(e->name, sizeof(e->name), "%s", name);
    snprintf(e->text, sizeof(e->text), "%s", text);
}

void events_say(enum event_kind kind, bool important, const char *name, const char *format, ...)
{
    char text[EVENT_TEXT_MAX];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    events_add(kind, important, name, bw_realtime(), text);
}

const struct event *events_from(uint64_t number)
{
    uint64_t oldest = next - first > EVENTS_KEPT ? next - EVENTS_KEPT : first;

    if (number < oldest) {
        number = oldest;
    }
    return number < next ? &ring[number % EVENTS_KEPT] : NULL;
}

uint64_t events_next(void)
{
    return next;
}
