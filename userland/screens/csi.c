/*
 * Control sequences: ESC [, parameters, and a letter that says what is to be done.
 */
#include "internal.h"
#include <stdio.h>
#include <string.h>

#define PARAMETER_MOST 9999u

/** Parameter n of a sequence; one that is missing or 0 is 1. */
static unsigned count(const struct emulator *e, unsigned n)
{
    return n < e->parameters && e->parameter[n] ? e->parameter[n] : 1;
}

static unsigned parameter(const struct emulator *e, unsigned n)
{
    return n < e->parameters ? e->parameter[n] : 0;
}

static void erase_display(struct emulator *e)
{
    unsigned how = parameter(e, 0), row = e->pen.row;
    unsigned first = how == 0 ? row + 1 : 0;
    unsigned end = how == 1 ? row : EMULATOR_ROWS;

    if (how > 3) {
        return;
    }
    if (how == 0) {
        grid_erase(e, row, e->pen.column, EMULATOR_COLUMNS);
    } else if (how == 1) {
        grid_erase(e, row, 0, e->pen.column + 1);
    } else if (how == 3) {
        e->gone = e->back = 0;
    }
    for (unsigned n = first; n < end; n++) {
        grid_erase(e, n, 0, EMULATOR_COLUMNS);
    }
    e->wrap_pending = false;
}

static void erase_line(struct emulator *e)
{
    unsigned how = parameter(e, 0);

    if (how <= 2) {
        grid_erase(e, e->pen.row, how == 0 ? e->pen.column : 0,
                   how == 1 ? e->pen.column + 1 : EMULATOR_COLUMNS);
        e->wrap_pending = false;
    }
}

static void erase_characters(struct emulator *e)
{
    unsigned end = e->pen.column + count(e, 0);

    grid_erase(e, e->pen.row, e->pen.column, end < EMULATOR_COLUMNS ? end : EMULATOR_COLUMNS);
    e->wrap_pending = false;
}

/* Inserts lines at the cursor, or deletes some if n is negative. */
static void insert_lines(struct emulator *e, int n)
{
    unsigned row = e->pen.row;

    if (row < e->top || row >= e->bottom) {
        return;
    }
    if (row == 0 && n < 0) { /* deleted lines are not history */
        unsigned by = (unsigned)-n < e->bottom ? (unsigned)-n : e->bottom;

        memmove(e->cells[0], e->cells[by], (e->bottom - by) * sizeof(e->cells[0]));
        for (unsigned r = e->bottom - by; r < e->bottom; r++) {
            grid_erase(e, r, 0, EMULATOR_COLUMNS);
        }
    } else {
        grid_scroll(e, row, e->bottom, -n);
    }
    e->pen.column = 0;
    e->wrap_pending = false;
}

static void set_region(struct emulator *e)
{
    unsigned top = count(e, 0) - 1;
    unsigned bottom = parameter(e, 1) ? parameter(e, 1) : EMULATOR_ROWS;

    bottom = bottom < EMULATOR_ROWS ? bottom : EMULATOR_ROWS;
    if (top + 1 < bottom) {
        e->top = top;
        e->bottom = bottom;
        grid_move(e, 0, 0);
    }
}

static void clear_tabs(struct emulator *e)
{
    if (parameter(e, 0) == 0) {
        e->tabs[e->pen.column] = false;
    } else if (parameter(e, 0) == 3) {
        memset(e->tabs, 0, sizeof(e->tabs));
    }
}

static void report(struct emulator *e)
{
    char text[32];

    if (parameter(e, 0) == 5) {
        emulator_answer(e, "\x1b[0n");
    } else if (parameter(e, 0) == 6) {
        snprintf(text, sizeof(text), "\x1b[%u;%uR", e->pen.row + 1 - (e->origin ? e->top : 0),
                 e->pen.column + 1);
        emulator_answer(e, text);
    }
}

/* A mode with a number of ECMA-48. */
static void set_mode(struct emulator *e, unsigned mode, bool on)
{
    if (mode == 4) {
        e->insert = on;
    } else if (mode == 20) {
        e->newline = on;
    }
}

/* The screen as it is, with the colours of every cell changed over. */
static void set_inverse(struct emulator *e, bool on)
{
    for (unsigned n = 0; e->inverse != on && n < EMULATOR_ROWS * EMULATOR_COLUMNS; n++) {
        cell_t *cell = &e->cells[n / EMULATOR_COLUMNS][n % EMULATOR_COLUMNS];
        unsigned c = *cell;

        *cell = (cell_t)((c & 0x88ff) | (c >> 4 & 0x0700) | (c & 0x0700) << 4);
    }
    e->inverse = on;
}

/* A mode with a number of DEC's. */
static void set_private_mode(struct emulator *e, unsigned mode, bool on)
{
    switch (mode) {
    case 1:
        e->cursor_keys = on;
        break;
    case 5:
        set_inverse(e, on);
        break;
    case 6:
        e->origin = on;
        grid_move(e, 0, 0);
        break;
    case 7:
        e->wrap = on;
        break;
    case 25:
        e->cursor_shown = on;
        break;
    default:
        break;
    }
}

static void set_modes(struct emulator *e, bool on)
{
    for (unsigned n = 0; n < e->parameters; n++) {
        if (e->question) {
            set_private_mode(e, e->parameter[n], on);
        } else {
            set_mode(e, e->parameter[n], on);
        }
    }
}

/* --- colours ---------------------------------------------------------------------------------- */

/* Red, green, blue, of 256 each, as one of 8 colours and whether it is a bright one. */
static uint8_t nearest(unsigned r, unsigned g, unsigned b)
{
    unsigned most = r > g ? r : g;
    uint8_t colour;

    most = most > b ? most : b;
    if (most < 32) {
        return 0;
    }
    colour = (uint8_t)((r > most / 2 ? 4 : 0) | (g > most / 2 ? 2 : 0) | (b > most / 2 ? 1 : 0));
    if (colour == 7 && most < 112) {
        return 8;
    }
    return most > 191 ? colour | 8 : colour;
}

/* Colour `n` of the 256 of ESC [ 38;5;n m. */
static uint8_t of_256(unsigned n)
{
    static const uint8_t basic[8] = {0, 4, 2, 6, 1, 5, 3, 7};

    if (n < 16) {
        return basic[n & 7] | (n & 8);
    }
    if (n < 232) {
        n -= 16;
        return nearest(n / 36 * 51, n / 6 % 6 * 51, n % 6 * 51);
    }
    n = 8 + (n - 232) * 10;
    return n < 256 ? nearest(n, n, n) : 15;
}

static void set_foreground(struct emulator *e, uint8_t colour)
{
    e->pen.colours = (uint8_t)((e->pen.colours & 0x70) | colour);
}

static void set_background(struct emulator *e, uint8_t colour)
{
    e->pen.colours = (uint8_t)((e->pen.colours & 0x0f) | (colour & 7) << 4);
}

/* 38 or 48, at parameter n: a colour of many. @return the last parameter that belongs to it */
static unsigned set_any_colour(struct emulator *e, unsigned n)
{
    unsigned from = n;
    uint8_t colour;

    if (parameter(e, n + 1) == 5 && n + 2 < e->parameters) {
        n += 2;
        colour = of_256(e->parameter[n]);
    } else if (parameter(e, n + 1) == 2 && n + 4 < e->parameters) {
        n += 4;
        colour = nearest(e->parameter[n - 2], e->parameter[n - 1], e->parameter[n]);
    } else {
        return e->parameters;
    }
    if (e->parameter[from] == 38) {
        set_foreground(e, colour);
    } else {
        set_background(e, colour);
    }
    return n;
}

static void set_effect(struct emulator_pen *pen, unsigned effect)
{
    bool on = effect < 20;

    switch (effect % 20) {
    case 1:
        pen->bold = on;
        pen->underline |= !on; /* 21, as in Linux */
        break;
    case 2:
        pen->dim = on;
        pen->bold &= on;
        break;
    case 4:
        pen->underline = on;
        break;
    case 5:
        pen->blink = on;
        break;
    case 7:
        pen->reverse = on;
        break;
    case 8:
        pen->hidden = on;
        break;
    default:
        break;
    }
}

static void set_colours(struct emulator *e)
{
    struct emulator_pen *pen = &e->pen;

    for (unsigned n = 0; n < e->parameters; n++) {
        unsigned p = e->parameter[n];

        if (p == 0) {
            pen->bold = pen->dim = pen->underline = pen->blink = pen->reverse = false;
            pen->hidden = false;
            pen->colours = DEFAULT_COLOURS;
        } else if (p < 30) {
            set_effect(pen, p);
        } else if (p == 38 || p == 48) {
            n = set_any_colour(e, n);
        } else if (p == 39 || p < 38) {
            set_foreground(e, p == 39 ? DEFAULT_COLOURS : of_256(p - 30));
        } else if (p >= 40 && p <= 49) {
            set_background(e, p == 49 ? 0 : of_256(p - 40));
        } else if (p >= 90 && p <= 97) {
            set_foreground(e, of_256(p - 90 + 8));
        } else if (p >= 100 && p <= 107) {
            set_background(e, of_256(p - 100));
        }
    }
}

/* --- the letters ------------------------------------------------------------------------------ */

/* Sequences that move the cursor. @return whether it was one */
static bool csi_move(struct emulator *e, uint8_t c)
{
    int n = (int)count(e, 0);

    switch (c) {
    case 'A':
        grid_move_by(e, -n, 0);
        return true;
    case 'B':
    case 'e':
        grid_move_by(e, n, 0);
        return true;
    case 'C':
    case 'a':
        grid_move_by(e, 0, n);
        return true;
    case 'D':
        grid_move_by(e, 0, -n);
        return true;
    case 'E':
        grid_move_by(e, n, -(int)EMULATOR_COLUMNS);
        return true;
    case 'F':
        grid_move_by(e, -n, -(int)EMULATOR_COLUMNS);
        return true;
    case 'G':
    case '`':
        e->pen.column = 0;
        grid_move_by(e, 0, n - 1);
        return true;
    case 'd':
        grid_move(e, (unsigned)n - 1, e->pen.column);
        return true;
    case 'H':
    case 'f':
        grid_move(e, (unsigned)n - 1, count(e, 1) - 1);
        return true;
    default:
        return false;
    }
}

/* Sequences that change cells. @return whether it was one */
static bool csi_change(struct emulator *e, uint8_t c)
{
    int n = (int)count(e, 0);

    switch (c) {
    case 'J':
        erase_display(e);
        return true;
    case 'K':
        erase_line(e);
        return true;
    case 'X':
        erase_characters(e);
        return true;
    case 'L':
        insert_lines(e, n);
        return true;
    case 'M':
        insert_lines(e, -n);
        return true;
    case '@':
        grid_shift(e, n);
        return true;
    case 'P':
        grid_shift(e, -n);
        return true;
    case 'S':
        grid_scroll(e, e->top, e->bottom, n);
        return true;
    case 'T':
        grid_scroll(e, e->top, e->bottom, -n);
        return true;
    case 'b':
        for (uint8_t last = e->last; n > 0; n--) {
            grid_put(e, last);
        }
        return true;
    default:
        return false;
    }
}

static void csi_setting(struct emulator *e, uint8_t c)
{
    switch (c) {
    case 'm':
        set_colours(e);
        break;
    case 'r':
        set_region(e);
        break;
    case 'n':
        report(e);
        break;
    case 'c':
        if (parameter(e, 0) == 0) {
            emulator_answer(e, "\x1b[?6c");
        }
        break;
    case 'g':
        clear_tabs(e);
        break;
    case 's':
        emulator_save(e);
        break;
    case 'u':
        emulator_restore(e);
        break;
    default:
        break;
    }
}

static void csi_end(struct emulator *e, uint8_t c)
{
    e->state = STATE_TEXT;
    if (e->foreign) {
        return;
    }
    if (c == 'h' || c == 'l') {
        set_modes(e, c == 'h');
    } else if (!e->question && !csi_move(e, c) && !csi_change(e, c)) {
        csi_setting(e, c);
    }
}

void csi_begin(struct emulator *e)
{
    e->state = STATE_CSI;
    e->question = e->foreign = false;
    e->parameters = 1;
    memset(e->parameter, 0, sizeof(e->parameter));
}

void csi_byte(struct emulator *e, uint8_t c)
{
    unsigned *p = &e->parameter[e->parameters - 1];

    if (c >= '0' && c <= '9') {
        *p = *p * 10 + (c - '0') < PARAMETER_MOST ? *p * 10 + (c - '0') : PARAMETER_MOST;
    } else if (c == ';' || c == ':') {
        if (e->parameters < EMULATOR_PARAMETERS) {
            e->parameters++;
        } else {
            e->foreign = true;
        }
    } else if (c == '?') {
        e->question = true;
    } else if (c == '[' && e->parameters == 1 && *p == 0) {
        e->state = STATE_CSI_KEY;
    } else if (c >= 0x40) {
        csi_end(e, c);
    } else {
        e->foreign = true;
    }
}
