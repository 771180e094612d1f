/*
 * One session of the console: what was written to it and what was typed for it. Pure. See
 * session.c.
 */
#ifndef CONSOLE_SESSION_H
#define CONSOLE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <bailiwick/console.h>

#define SESSION_INPUT 16384u

struct session {
    bool open;
    bool listening;  /* it has given a key for posts */
    bool wants_room; /* a write was cut short and a post is owed */
    bool gated;
    uint64_t mark, number; /* CONSOLE_SHOWN */
    uint64_t written;      /* bytes ever written */
    uint64_t shown;        /* of these, given to the terminal or overwritten */
    uint64_t typed;        /* bytes ever typed */
    uint64_t taken;        /* of these, read */
    uint8_t *backlog;      /* CONSOLE_BACKLOG bytes */
    uint8_t *input;        /* SESSION_INPUT bytes */
};

/** Opens s: empty, or gated and with what was written to it. @return false if there is no memory */
bool session_open(struct session *s, bool gated);
void session_close(struct session *s);
/** Takes bytes to be shown. With the focus it takes what there is room for; without, everything. */
size_t session_write(struct session *s, const void *from, size_t n, bool focused);
/** What was written has this mark (0: none; in a gated session that is history, shown again) and
 * ends before this number. */
void session_mark(struct session *s, uint64_t mark, uint64_t number);
/** The next bytes to show. @return how many lie at *from, 0: none */
size_t session_unshown(const struct session *s, const uint8_t **from);
/** Goes back to the start of the line that the terminal was in, so that a prompt is seen again. */
void session_rewind_line(struct session *s);
/** @return false if the input ring is full */
bool session_type(struct session *s, uint8_t c);
size_t session_read(struct session *s, void *to, size_t n);

#endif
