/*
 * The parts of the emulator: what changes the grid (grid.c), and what understands bytes
 * (emulator.c).
 */
#ifndef SCREENS_INTERNAL_H
#define SCREENS_INTERNAL_H

#include "emulator.h"

/** An empty cell in the pen's colours. */
cell_t grid_blank(const struct emulator *e);
/** Blanks the cells of a row from `first` up to `end`. */
void grid_erase(struct emulator *e, unsigned row, unsigned first, unsigned end);
/** Scrolls rows [top, bottom): by n lines up, or down if negative. */
void grid_scroll(struct emulator *e, unsigned top, unsigned bottom, int n);
/** Moves the cells of the cursor's row from the cursor on: n to the right, or left if negative. */
void grid_shift(struct emulator *e, int n);
/** Puts a character of code page 437 at the cursor, which goes on. */
void grid_put(struct emulator *e, uint8_t c);
/** The next line, scrolling at the region's end; and back. */
void grid_line_feed(struct emulator *e);
void grid_reverse_line_feed(struct emulator *e);
/** Places the cursor; in origin mode row 0 is the region's first. */
void grid_move(struct emulator *e, unsigned row, unsigned column);
/** Moves the cursor by so many rows and columns, as far as there are any. */
void grid_move_by(struct emulator *e, int rows, int columns);

/** A control sequence begins, and its next byte. */
void csi_begin(struct emulator *e);
void csi_byte(struct emulator *e, uint8_t c);

/** The colours of a new pen. */
#define DEFAULT_COLOURS 0x07u

/** Adds to what the terminal has to say; what does not fit is left out whole. */
void emulator_answer(struct emulator *e, const char *text);
void emulator_save(struct emulator *e);
void emulator_restore(struct emulator *e);

/** The character of code page 437 for a code of Unicode, or a box. */
uint8_t cp437(uint32_t code);

#endif
