/*
 * Line editing on a plain terminal, one byte of input at a time. Pure: output goes to a function
 * that is passed in. Printable ASCII only; lines longer than the terminal scroll sideways.
 *
 * Keys: arrows, Home, End, Delete, Backspace; Ctrl-A, E start and end; B, F left and right; P, N
 * history; K, U kill to the end, to the start; W kill the word before; L clear the screen; C give
 * up the line; D delete, or end of input on an empty line. Tab completes the word before the cursor
 * as far as that is unique, and shows the choice if there is one.
 */
#ifndef SHELL_LINEEDIT_H
#define SHELL_LINEEDIT_H

#include <stddef.h>
#include <stdint.h>

#define LINE_SIZE    512u /* with its NUL */
#define LINE_HISTORY 64u
#define LINE_WORDS   64u /* that a word may be completed to */
#define LINE_WORD    40u /* bytes of each, with its NUL */

enum line_event {
    LINE_MORE,      /* the line goes on */
    LINE_DONE,      /* text holds the line */
    LINE_CANCELLED, /* Ctrl-C */
    LINE_END,       /* Ctrl-D on an empty line */
};

struct line_edit {
    /* set by the user of this */
    const char *prompt;
    void (*put)(void *ctx, const char *text, size_t n);
    /* Tab: the words that the one from `start` to the cursor may become. NULL: no completion.
     * @return how many, at most LINE_WORDS */
    size_t (*complete)(void *ctx, const char *text, size_t start, size_t cursor,
                       char words[LINE_WORDS][LINE_WORD]);
    void *ctx;
    unsigned columns; /* of the terminal; 0: 80 */
    /* the line, NUL-terminated */
    char text[LINE_SIZE];
    size_t length, cursor;
    size_t first; /* of the part that is shown */
    /* of the input */
    enum { ESCAPE_NONE, ESCAPE_BEGUN, ESCAPE_CSI, ESCAPE_SS3 } escape;
    unsigned parameter; /* first number of an escape sequence */
    unsigned parameters;
    int after_return; /* the last byte was CR: a LF belongs to it */
    /* history: entry i of `entries` in history[i % LINE_HISTORY] */
    char history[LINE_HISTORY][LINE_SIZE];
    unsigned entries;
    unsigned browsing;          /* entry shown; == entries: the new line */
    char unfinished[LINE_SIZE]; /* the new line while others are shown */
};

/** Starts an empty line and shows the prompt. */
void line_begin(struct line_edit *l);
/** Takes one byte. After anything but LINE_MORE the cursor is at the start of a fresh line. */
enum line_event line_type(struct line_edit *l, uint8_t c);
/** Enters the text in the history unless it is blank or the same as the last. */
void line_remember(struct line_edit *l, const char *text);

#endif
