/*
 * The line discipline of a terminal: bytes typed go in, bytes for programs and bytes to show come
 * out. Pure: it knows neither processes nor waiting.
 *
 * Input is a ring; each place has a mark. Canonical: programs may read up to and including the
 * first marked place; raw: everything. Invariants:
 *   1. committed <= count <= TTY_IN; the first `committed` bytes can no longer be edited.
 *   2. In canonical mode the last committed byte has a mark; no byte behind it has one.
 *   3. output holds bytes as the screen gets them (output processing is done).
 */
#ifndef UNIX_TTY_LINE_H
#define UNIX_TTY_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TTY_IN       4096u
#define TTY_OUT      4096u
#define TTY_CONTROLS 19

/** As the kernel has it (TCGETS). */
struct tty_settings {
    uint32_t iflag, oflag, cflag, lflag;
    uint8_t line;
    uint8_t cc[TTY_CONTROLS];
};
_Static_assert(sizeof(struct tty_settings) == 36, "Linux ABI: struct termios");

enum tty_mark {
    TTY_PLAIN = 0,
    TTY_END = 1, /* ends a line and belongs to it */
    TTY_EOF = 2, /* ends a line; programs do not get the byte */
};

struct tty_line {
    struct tty_settings set;
    uint32_t start, count, committed;
    uint32_t out_start, out_count;
    unsigned column;      /* of the cursor */
    unsigned edit_column; /* where the line under edit began */
    bool stopped;         /* Ctrl-S */
    bool literal;         /* Ctrl-V: the next byte is plain */
    uint8_t input[TTY_IN];
    uint8_t mark[TTY_IN];
    uint8_t output[TTY_OUT];
};

void tty_line_init(struct tty_line *t);
/** New settings; what was being edited can be read if the mode is no longer canonical. */
void tty_line_set(struct tty_line *t, const struct tty_settings *set);
/** Takes a byte typed. @return the signal it stands for, 0 */
int tty_line_input(struct tty_line *t, uint8_t byte);
/** False: leave what was typed where it is until something has been read. */
bool tty_line_accepts(const struct tty_line *t);
/** Bytes that a read could get now; *ready: a read need not wait in canonical mode (also at an
 * EOF). */
size_t tty_line_readable(const struct tty_line *t, bool *ready);
/** Takes at most n bytes (canonical: of one line). @return bytes; 0 in canonical mode: end of file
 */
size_t tty_line_read(struct tty_line *t, uint8_t *to, size_t n);
/** Processes output. @return bytes of `from` taken; fewer than n: the output is full or stopped */
size_t tty_line_write(struct tty_line *t, const uint8_t *from, size_t n);
/** Takes processed output for the screen. */
size_t tty_line_take_output(struct tty_line *t, uint8_t *to, size_t n);
void tty_line_flush_input(struct tty_line *t);
void tty_line_flush_output(struct tty_line *t);

#endif
