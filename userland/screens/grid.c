/*
 * The grid of a terminal: writing, erasing, scrolling, and the view of it.
 *
 * Invariants between calls:
 *   1. pen.row < EMULATOR_ROWS, pen.column < EMULATOR_COLUMNS, top < bottom <= EMULATOR_ROWS.
 *   2. back <= lines kept in the history, so a view never shows what was not there.
 */
#include "internal.h"
#include <string.h>

#define BLINK        0x80u
#define BRIGHT       0x08u
#define UNDERLINED   0x0fu
#define DIM          0x08u
#define COLOURS_ONLY 0x77u

/* The pen's attributes as the screen has them. Underlined and dim are colours, as in Linux. */
static uint8_t attributes(const struct emulator *e)
{
    const struct emulator_pen *pen = &e->pen;
    uint8_t a = pen->colours;

    if (pen->underline) {
        a = (uint8_t)((a & 0xf0) | UNDERLINED);
    } else if (pen->dim) {
        a = (uint8_t)((a & 0xf0) | DIM);
    }
    if (pen->reverse != e->inverse) {
        a = (uint8_t)((a & BRIGHT) | (a >> 4 & 0x07) | (a & 0x07) << 4);
    }
    if (pen->hidden) {
        a = (uint8_t)((a & 0x70) | (a >> 4 & 0x07));
    }
    if (pen->bold) {
        a |= BRIGHT;
    }
    return pen->blink ? a | BLINK : a;
}

cell_t grid_blank(const struct emulator *e)
{
    uint8_t a = e->pen.colours & COLOURS_ONLY;

    return CELL(' ', e->inverse ? (a >> 4 | a << 4) & COLOURS_ONLY : a);
}

void grid_erase(struct emulator *e, unsigned row, unsigned first, unsigned end)
{
    for (unsigned n = first; n < end; n++) {
        e->cells[row][n] = grid_blank(e);
    }
}

/* A line leaves at the top; a view that is not at the end stays where it is. */
static void keep_line(struct emulator *e, unsigned row)
{
    memcpy(e->history[e->gone++ % EMULATOR_HISTORY], e->cells[row], sizeof(e->cells[row]));
    if (e->back && e->back < EMULATOR_HISTORY) {
        e->back++;
    }
}

static void move_rows(struct emulator *e, unsigned to, unsigned from, unsigned count)
{
    memmove(e->cells[to], e->cells[from], count * sizeof(e->cells[0]));
}

void grid_scroll(struct emulator *e, unsigned top, unsigned bottom, int n)
{
    unsigned height = bottom - top;
    unsigned by = (unsigned)(n < 0 ? -n : n);

    by = by < height ? by : height;
    if (n > 0) {
        for (unsigned row = 0; top == 0 && row < by; row++) {
            keep_line(e, row);
        }
        move_rows(e, top, top + by, height - by);
    } else {
        move_rows(e, top + by, top, height - by);
    }
    for (unsigned row = 0; row < by; row++) {
        grid_erase(e, n > 0 ? bottom - 1 - row : top + row, 0, EMULATOR_COLUMNS);
    }
}

void grid_shift(struct emulator *e, int n)
{
    cell_t *row = e->cells[e->pen.row];
    unsigned at = e->pen.column;
    unsigned rest = EMULATOR_COLUMNS - at;
    unsigned by = (unsigned)(n < 0 ? -n : n);

    by = by < rest ? by : rest;
    if (n > 0) {
        memmove(row + at + by, row + at, (rest - by) * sizeof(*row));
        grid_erase(e, e->pen.row, at, at + by);
    } else {
        memmove(row + at, row + at + by, (rest - by) * sizeof(*row));
        grid_erase(e, e->pen.row, EMULATOR_COLUMNS - by, EMULATOR_COLUMNS);
    }
}

void grid_line_feed(struct emulator *e)
{
    if (e->pen.row + 1 == e->bottom) {
        grid_scroll(e, e->top, e->bottom, 1);
    } else if (e->pen.row + 1 < EMULATOR_ROWS) {
        e->pen.row++;
    }
}

void grid_reverse_line_feed(struct emulator *e)
{
    if (e->pen.row == e->top) {
        grid_scroll(e, e->top, e->bottom, -1);
    } else if (e->pen.row > 0) {
        e->pen.row--;
    }
}

void grid_put(struct emulator *e, uint8_t c)
{
    if (e->wrap_pending && e->wrap) {
        e->pen.column = 0;
        grid_line_feed(e);
    }
    e->wrap_pending = false;
    if (e->insert) {
        grid_shift(e, 1);
    }
    e->cells[e->pen.row][e->pen.column] = CELL(c, attributes(e));
    e->last = c;
    if (e->pen.column + 1 < EMULATOR_COLUMNS) {
        e->pen.column++;
    } else {
        e->wrap_pending = true;
    }
}

void grid_move(struct emulator *e, unsigned row, unsigned column)
{
    unsigned first = e->origin ? e->top : 0;
    unsigned end = e->origin ? e->bottom : EMULATOR_ROWS;

    e->pen.row = row < end - first ? first + row : end - 1;
    e->pen.column = column < EMULATOR_COLUMNS ? column : EMULATOR_COLUMNS - 1;
    e->wrap_pending = false;
}

static unsigned moved(unsigned at, int by, unsigned first, unsigned end)
{
    int to = (int)at + by;

    return to < (int)first ? first : to >= (int)end ? end - 1 : (unsigned)to;
}

void grid_move_by(struct emulator *e, int rows, int columns)
{
    /* The region holds whoever is in it. */
    unsigned first = e->pen.row >= e->top ? e->top : 0;
    unsigned end = e->pen.row < e->bottom ? e->bottom : EMULATOR_ROWS;

    e->pen.row = moved(e->pen.row, rows, first, end);
    e->pen.column = moved(e->pen.column, columns, 0, EMULATOR_COLUMNS);
    e->wrap_pending = false;
}

/* --- the view --------------------------------------------------------------------------------- */

void emulator_scroll(struct emulator *e, int lines)
{
    unsigned kept = e->gone < EMULATOR_HISTORY ? e->gone : EMULATOR_HISTORY;

    e->back = lines == 0 ? 0 : moved(e->back, lines, 0, kept + 1);
}

void emulator_view(const struct emulator *e, cell_t to[EMULATOR_ROWS][EMULATOR_COLUMNS])
{
    for (unsigned row = 0; row < EMULATOR_ROWS; row++) {
        const cell_t *from = row < e->back
                                 ? e->history[(e->gone - e->back + row) % EMULATOR_HISTORY]
                                 : e->cells[row - e->back];

        memcpy(to[row], from, sizeof(to[row]));
    }
}

bool emulator_cursor(const struct emulator *e, unsigned *at)
{
    *at = (e->pen.row + e->back) * EMULATOR_COLUMNS + e->pen.column;
    return e->cursor_shown && e->pen.row + e->back < EMULATOR_ROWS;
}
