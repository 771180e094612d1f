/*
 * A terminal as Linux's console is one (console_codes(4), TERM=linux; so also a VT100's relative):
 * bytes in, a grid of cells out. Pure.
 */
#ifndef SCREENS_EMULATOR_H
#define SCREENS_EMULATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EMULATOR_ROWS    25u
#define EMULATOR_COLUMNS 80u
#define EMULATOR_HISTORY 400u /* lines that have left at the top and can be seen again */
#define EMULATOR_ANSWERS 64u

#define EMULATOR_PARAMETERS 16u

/** As a PC's text screen has it: a character of code page 437, and above it its attributes. */
typedef uint16_t cell_t;
#define CELL(c, attributes) ((cell_t)((uint8_t)(c) | (unsigned)(attributes) << 8))

enum emulator_state {
    STATE_TEXT,
    STATE_ESCAPE,  /* ESC */
    STATE_SKIP,    /* ESC and a byte that takes one more, which means nothing here */
    STATE_HASH,    /* ESC # */
    STATE_G0,      /* ESC ( */
    STATE_G1,      /* ESC ) */
    STATE_CSI,     /* ESC [ */
    STATE_CSI_KEY, /* ESC [ [: a byte more is dropped */
    STATE_OSC,     /* ESC ] */
    STATE_PALETTE, /* ESC ] P and seven digits, which are dropped */
    STATE_STRING,  /* up to ESC \ or BEL, dropped */
};

/** What ESC 7 saves. */
struct emulator_pen {
    unsigned row, column;
    uint8_t colours; /* foreground, background << 4, without the effects */
    bool bold, dim, underline, blink, reverse, hidden;
    bool graphics[2]; /* G0, G1 are the line drawing set */
    bool shift;       /* G1 is in use */
};

struct emulator {
    cell_t cells[EMULATOR_ROWS][EMULATOR_COLUMNS];
    struct emulator_pen pen, saved;
    bool wrap_pending;    /* the last column was written; the next character begins a line */
    unsigned top, bottom; /* of the region that scrolls; bottom is behind it */
    bool tabs[EMULATOR_COLUMNS];
    /* modes */
    bool wrap, origin, insert, newline, cursor_shown, cursor_keys, inverse;
    /* of the input */
    uint8_t state; /* enum emulator_state */
    bool question; /* a private sequence, CSI ? */
    bool foreign;  /* CSI with another prefix or with intermediates: is dropped */
    unsigned parameter[EMULATOR_PARAMETERS];
    unsigned parameters;           /* begun so far */
    uint32_t code;                 /* of a UTF-8 character that is not complete */
    unsigned left;                 /* bytes that it lacks */
    uint32_t least;                /* shorter forms of smaller codes are wrong */
    uint8_t last;                  /* character, for REP */
    char answer[EMULATOR_ANSWERS]; /* what the terminal has to say to the program */
    size_t answers;
    /* line i of all that have left is history[i % EMULATOR_HISTORY] */
    cell_t (*history)[EMULATOR_COLUMNS];
    unsigned gone;
    unsigned back; /* the view begins so many lines above the grid */
};

/** @param history room for EMULATOR_HISTORY lines */
void emulator_begin(struct emulator *e, cell_t (*history)[EMULATOR_COLUMNS]);
void emulator_write(struct emulator *e, const uint8_t *from, size_t n);
/** Moves the view by `lines`, up if positive. 0: back to the grid. */
void emulator_scroll(struct emulator *e, int lines);
/** What is to be seen. */
void emulator_view(const struct emulator *e, cell_t to[EMULATOR_ROWS][EMULATOR_COLUMNS]);
/** Where the cursor is seen, as an index of a cell. @return false: nowhere */
bool emulator_cursor(const struct emulator *e, unsigned *at);

#endif
