/*
 * One session of the console.
 *
 * Invariants of an open session:
 *   1. shown <= written <= shown + CONSOLE_BACKLOG; backlog[i % CONSOLE_BACKLOG] is byte i of the
 *      output for the last CONSOLE_BACKLOG bytes, shown or not.
 *   2. taken <= typed <= taken + SESSION_INPUT, likewise for the input.
 */
#include "session.h"
#include "queries.h"
#include <stdlib.h>
#include <string.h>

bool session_open(struct session *s, bool gated)
{
    struct session old = *s;

    *s = (struct session){
        .gated = gated,
        .backlog = old.backlog ? old.backlog : malloc(CONSOLE_BACKLOG),
        .input = old.input ? old.input : malloc(SESSION_INPUT),
    };
    if (gated) {
        s->mark = old.mark;
        s->number = old.number;
        s->written = old.written;
        s->shown = old.shown;
    }
    s->open = s->backlog && s->input;
    return s->open;
}

void session_close(struct session *s)
{
    s->open = s->listening = s->wants_room = false;
    s->typed = s->taken = 0;
}

size_t session_write(struct session *s, const void *from, size_t n, bool focused)
{
    size_t room = CONSOLE_BACKLOG - (size_t)(s->written - s->shown);

    if (n > CONSOLE_WRITE_MAX) {
        n = CONSOLE_WRITE_MAX;
    }
    if (focused && n > room) {
        n = room;
        s->wants_room = true;
    }
    for (size_t i = 0; i < n; i++) {
        s->backlog[(s->written + i) % CONSOLE_BACKLOG] = ((const uint8_t *)from)[i];
    }
    s->written += n;
    if (s->written - s->shown > CONSOLE_BACKLOG) {
        s->shown = s->written - CONSOLE_BACKLOG;
    }
    return n;
}

void session_mark(struct session *s, uint64_t mark, uint64_t number)
{
    if (mark || !s->gated) {
        s->mark = mark;
        s->number = number;
    }
}

size_t session_unshown(const struct session *s, const uint8_t **from)
{
    size_t at = s->shown % CONSOLE_BACKLOG;
    size_t n = (size_t)(s->written - s->shown);

    *from = s->backlog + at;
    return n < CONSOLE_BACKLOG - at ? n : CONSOLE_BACKLOG - at;
}

void session_rewind_line(struct session *s)
{
    uint64_t oldest = s->written > CONSOLE_BACKLOG ? s->written - CONSOLE_BACKLOG : 0;
    uint64_t at = s->shown;

    while (at > oldest && s->backlog[(at - 1) % CONSOLE_BACKLOG] != '\n') {
        at--;
    }
    blank_queries(s->backlog, CONSOLE_BACKLOG, at, s->shown);
    s->shown = at;
}

bool session_type(struct session *s, uint8_t c)
{
    if (s->typed - s->taken == SESSION_INPUT) {
        return false;
    }
    s->input[s->typed++ % SESSION_INPUT] = c;
    return true;
}

size_t session_read(struct session *s, void *to, size_t n)
{
    size_t i;

    for (i = 0; i < n && s->taken < s->typed; i++) {
        ((uint8_t *)to)[i] = s->input[s->taken++ % SESSION_INPUT];
    }
    return i;
}
