/*
 * The terminal's language: control characters, UTF-8, escape sequences.
 *
 * Whatever bytes come, in whatever pieces, the state after them depends on the bytes alone. What is
 * not understood is dropped, whole sequences as far as their form says where they end.
 */
#include "internal.h"
#include <string.h>

#define ESC            0x1bu
#define REPLACEMENT    0xfffdu
#define PALETTE_DIGITS 7u

/* The line drawing set of the VT100, for 0x60 to 0x7e. */
static const uint16_t line_drawing[31] = {
    0x25c6, 0x2592, 0x2409, 0x240c, 0x240d, 0x240a, 0x00b0, 0x00b1, 0x2591, 0x240b, 0x2518,
    0x2510, 0x250c, 0x2514, 0x253c, 0x2500, 0x2500, 0x2500, 0x2500, 0x2500, 0x251c, 0x2524,
    0x2534, 0x252c, 0x2502, 0x2264, 0x2265, 0x03c0, 0x2260, 0x00a3, 0x00b7};

static void set_tabs(struct emulator *e)
{
    for (unsigned n = 0; n < EMULATOR_COLUMNS; n++) {
        e->tabs[n] = n % 8 == 0;
    }
}

static void reset(struct emulator *e)
{
    e->pen = (struct emulator_pen){.colours = DEFAULT_COLOURS};
    e->saved = e->pen;
    e->wrap_pending = e->origin = e->insert = e->newline = e->cursor_keys = e->inverse = false;
    e->wrap = e->cursor_shown = true;
    e->top = 0;
    e->bottom = EMULATOR_ROWS;
    e->state = STATE_TEXT;
    e->left = 0;
    e->last = ' ';
    set_tabs(e);
    for (unsigned row = 0; row < EMULATOR_ROWS; row++) {
        grid_erase(e, row, 0, EMULATOR_COLUMNS);
    }
}

void emulator_begin(struct emulator *e, cell_t (*history)[EMULATOR_COLUMNS])
{
    *e = (struct emulator){.history = history};
    reset(e);
}

void emulator_answer(struct emulator *e, const char *text)
{
    size_t n = strlen(text);

    if (n <= sizeof(e->answer) - e->answers) {
        memcpy(e->answer + e->answers, text, n);
        e->answers += n;
    }
}

void emulator_save(struct emulator *e)
{
    e->saved = e->pen;
}

void emulator_restore(struct emulator *e)
{
    e->pen = e->saved;
    e->wrap_pending = false;
}

static void tab(struct emulator *e)
{
    do {
        grid_move_by(e, 0, 1);
    } while (e->pen.column + 1 < EMULATOR_COLUMNS && !e->tabs[e->pen.column]);
}

static void escape_byte(struct emulator *e, uint8_t c)
{
    e->state = STATE_TEXT;
    switch (c) {
    case '[':
        csi_begin(e);
        break;
    case ']':
        e->state = STATE_OSC;
        break;
    case 'P':
    case 'X':
    case '^':
    case '_':
        e->state = STATE_STRING;
        break;
    case '(':
        e->state = STATE_G0;
        break;
    case ')':
        e->state = STATE_G1;
        break;
    case '#':
        e->state = STATE_HASH;
        break;
    case '%':
    case ' ':
    case '*':
    case '+':
        e->state = STATE_SKIP;
        break;
    case 'c':
        reset(e);
        break;
    case 'D':
        grid_line_feed(e);
        break;
    case 'E':
        e->pen.column = 0;
        e->wrap_pending = false;
        grid_line_feed(e);
        break;
    case 'M':
        grid_reverse_line_feed(e);
        break;
    case 'H':
        e->tabs[e->pen.column] = true;
        break;
    case 'Z':
        emulator_answer(e, "\x1b[?6c");
        break;
    case '7':
        emulator_save(e);
        break;
    case '8':
        emulator_restore(e);
        break;
    default:
        break;
    }
}

static void control(struct emulator *e, uint8_t c)
{
    switch (c) {
    case '\b':
        grid_move_by(e, 0, -1);
        break;
    case '\t':
        tab(e);
        break;
    case '\n':
    case '\v':
    case '\f':
        e->wrap_pending = false;
        grid_line_feed(e);
        if (e->newline) {
            e->pen.column = 0;
        }
        break;
    case '\r':
        e->pen.column = 0;
        e->wrap_pending = false;
        break;
    case 0x0e:
        e->pen.shift = true;
        break;
    case 0x0f:
        e->pen.shift = false;
        break;
    case 0x18:
    case 0x1a:
        e->state = STATE_TEXT;
        break;
    case ESC:
        e->state = STATE_ESCAPE;
        break;
    default:
        break;
    }
}

/* A character of Unicode, in the character set that was chosen. */
static void put_code(struct emulator *e, uint32_t code)
{
    if (e->pen.graphics[e->pen.shift] && code >= 0x60 && code <= 0x7e) {
        code = line_drawing[code - 0x60];
    }
    if (code >= 0x20 && code != 0x7f && (code < 0x80 || code >= 0xa0)) {
        grid_put(e, cp437(code));
    }
}

/* A byte of text, in UTF-8. */
static void text_byte(struct emulator *e, uint8_t c)
{
    if (e->left && (c & 0xc0) == 0x80) {
        e->code = e->code << 6 | (c & 0x3f);
        if (--e->left == 0) {
            put_code(e, e->code < e->least ? REPLACEMENT : e->code);
        }
        return;
    }
    if (e->left) {
        e->left = 0;
        put_code(e, REPLACEMENT);
    }
    if (c < 0x80) {
        put_code(e, c);
    } else if (c < 0xc0 || c >= 0xf8) {
        put_code(e, REPLACEMENT);
    } else {
        e->left = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        e->code = c & (0x3fu >> e->left);
        e->least = e->left == 1 ? 0x80 : e->left == 2 ? 0x800 : 0x10000;
    }
}

/* The rest of an operating system command, of which only the form matters. */
static void osc_byte(struct emulator *e, uint8_t c)
{
    if (c == 'P') {
        e->state = STATE_PALETTE;
        e->parameters = 0;
    } else {
        e->state = c == 'R' ? STATE_TEXT : STATE_STRING;
    }
}

static void align(struct emulator *e, uint8_t c)
{
    e->state = STATE_TEXT;
    for (unsigned n = 0; c == '8' && n < EMULATOR_ROWS * EMULATOR_COLUMNS; n++) {
        e->cells[n / EMULATOR_COLUMNS][n % EMULATOR_COLUMNS] = CELL('E', DEFAULT_COLOURS);
    }
}

static void sequence_byte(struct emulator *e, uint8_t c)
{
    switch (e->state) {
    case STATE_ESCAPE:
        escape_byte(e, c);
        break;
    case STATE_CSI:
        csi_byte(e, c);
        break;
    case STATE_G0:
    case STATE_G1:
        e->pen.graphics[e->state == STATE_G1] = c == '0';
        e->state = STATE_TEXT;
        break;
    case STATE_HASH:
        align(e, c);
        break;
    case STATE_OSC:
        osc_byte(e, c);
        break;
    case STATE_PALETTE:
        e->state = ++e->parameters == PALETTE_DIGITS ? STATE_TEXT : STATE_PALETTE;
        break;
    case STATE_STRING:
        break;
    default:
        e->state = STATE_TEXT;
    }
}

void emulator_write(struct emulator *e, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t c = from[i];

        if (e->state == STATE_STRING && c == '\a') {
            e->state = STATE_TEXT;
        } else if (c < 0x20 && (e->state != STATE_STRING || c == ESC || c == 0x18 || c == 0x1a)) {
            if (e->left) {
                e->left = 0;
                put_code(e, REPLACEMENT);
            }
            control(e, c);
        } else if (e->state == STATE_TEXT) {
            text_byte(e, c);
        } else {
            sequence_byte(e, c);
        }
    }
}
