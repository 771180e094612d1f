/*
 * The screens: four terminals on the one text screen and keyboard of a PC ("vga", and ps2 which
 * calls "keys"; screen.h), for the console server (console.h, terminals 1 to 4). Alt-F1 to Alt-F4
 * and Alt-Left, Alt-Right choose which is seen, Shift-PgUp and Shift-PgDn look at what has left it.
 *
 * Invariants:
 *   1. `shown` is what the screen shows; before the next message is taken it is the view of the
 *      terminal `visible`. That is, while there is a driver: nothing here waits for one that has
 *      failed. It posts when it has been started again, and so does the console.
 *   2. What a terminal has to say (keys, answers) is posted to the console when it comes, and kept
 *      until it is read; what does not fit is dropped.
 *   3. While this program waits for "terminals" the console may not wait for it: all four are made
 *      known in one call, before the console has a key to any, and again when a post says that the
 *      console is another one.
 */
#include <bailiwick/console.h>
#include <bailiwick/names.h>
#include <bailiwick/runtime.h>
#include <bailiwick/screen.h>
#include <stdlib.h>
#include <string.h>
#include "emulator.h"
#include "keys.h"

#ifndef BW_MUTATION
#define BW_MUTATION 0 /* tests: type() */
#endif

#define KR_VGA       24
#define KR_TERMINALS 25
#define KR_POSTS     26 /* .. 29: one for each terminal */

#define SCREENS    (CONSOLE_TERMINALS - 1)
#define BADGE_KEYS SCREENS /* terminals have badges 0 .. SCREENS - 1 */

#define INPUT       4096u
#define SCROLL_STEP (VGA_ROWS / 2)

_Static_assert(VGA_ROWS == EMULATOR_ROWS && VGA_COLUMNS == EMULATOR_COLUMNS, "one size");
_Static_assert(SCREENS == BW_MESSAGE_KEYS, "all are made known in one message");

typedef cell_t picture[EMULATOR_ROWS][EMULATOR_COLUMNS];

static struct screen {
    struct emulator emulator;
    uint8_t input[INPUT];
    uint32_t typed, taken; /* bytes ever */
} screens[SCREENS];
static unsigned visible;
static struct keys keys;

static picture shown;
static uint64_t shown_cursor;
static bool shown_is_known; /* else the screen may show anything */
static bool has_driver;

/* --- the screen ------------------------------------------------------------------------------- */

/* @return false if the driver has failed */
static bool draw(const picture next)
{
    const cell_t *cells = &next[0][0], *old = &shown[0][0];
    size_t first = 0, end = VGA_ROWS * VGA_COLUMNS;
    struct message m = {.code = VGA_DRAW};

    while (shown_is_known && first < end && cells[first] == old[first]) {
        first++;
    }
    while (shown_is_known && end > first && cells[end - 1] == old[end - 1]) {
        end--;
    }
    if (first == end) {
        return true;
    }
    m.word[0] = first;
    m.string = cells + first;
    m.length = (end - first) * sizeof(*cells);
    return bw_call(KEY_AT(KR_VGA), &m) == BW_OK;
}

static bool place_cursor(uint64_t at)
{
    struct message m = {.code = VGA_CURSOR, .word = {at}};

    return (shown_is_known && at == shown_cursor) || bw_call(KEY_AT(KR_VGA), &m) == BW_OK;
}

static void refresh(void)
{
    static picture next;
    const struct emulator *e = &screens[visible].emulator;
    unsigned cell;
    uint64_t cursor = emulator_cursor(e, &cell) ? cell : VGA_NO_CURSOR;

    emulator_view(e, next);
    has_driver = has_driver && draw(next) && place_cursor(cursor);
    memcpy(shown, next, sizeof(shown));
    shown_cursor = cursor;
    shown_is_known = has_driver;
}

/* The driver is there, for the first time or again; it is told everything. */
static void find_driver(void)
{
    has_driver = bw_find("vga", KEY_AT(KR_VGA)) >= 0;
    shown_is_known = false;
}

/* --- the console ------------------------------------------------------------------------------ */

static void make_known(void)
{
    struct message m = {.code = CONSOLE_SCREENS, .word = {VGA_ROWS, VGA_COLUMNS}};

    for (unsigned n = 0; n < SCREENS; n++) {
        struct message start = {
            .code = DOMAIN_MAKE_START, .word = {n}, .take = {KEY_AT(KR_ARGUMENT + n)}};

        bw_assert(bw_call(KEY_AT(KR_SELF), &start) >= 0);
        m.send[n] = KEY_AT(KR_ARGUMENT + n);
        m.take[n] = KEY_AT(KR_POSTS + n);
    }
    do {
        if (bw_find("terminals", KEY_AT(KR_TERMINALS)) < 0) {
            bw_exit(1);
        }
    } while (bw_call(KEY_AT(KR_TERMINALS), &m) != BW_OK);
    for (unsigned n = 0; n < SCREENS; n++) { /* it may have something to show already */
        bw_post(KEY_AT(KR_POSTS + n));
    }
}

/* Posts what has been typed at a screen. A console that has failed is another one now. */
static void post(unsigned n)
{
    if (bw_post(KEY_AT(KR_POSTS + n)) < 0) {
        make_known();
    }
}

static void add_input(unsigned n, const char *from, size_t length)
{
    struct screen *s = &screens[n];

    for (size_t i = 0; i < length && s->typed - s->taken < INPUT; i++) {
        s->input[s->typed++ % INPUT] = (uint8_t)from[i];
    }
    if (length) {
        post(n);
    }
}

static void write_screen(unsigned n, const uint8_t *from, struct message *m)
{
    struct emulator *e = &screens[n].emulator;

    emulator_write(e, from, m->length);
    m->word[0] = m->length;
    add_input(n, e->answer, e->answers);
    e->answers = 0;
}

static void read_screen(struct screen *s, struct message *m)
{
    static uint8_t out[INPUT];
    size_t n;

    for (n = 0; n < m->word[0] && s->taken != s->typed; n++) {
        out[n] = s->input[s->taken++ % INPUT];
    }
    m->string = out;
    m->length = n;
}

/* --- the keyboard ----------------------------------------------------------------------------- */

static void act(const struct stroke *key)
{
    struct emulator *e = &screens[visible].emulator;

    switch (key->kind) {
    case KEY_TEXT:
        emulator_scroll(e, 0);
        add_input(visible, key->text, key->length);
        break;
    case KEY_SCREEN:
        visible = (unsigned)key->number < SCREENS ? (unsigned)key->number : visible;
        break;
    case KEY_NEIGHBOUR:
        visible = (visible + SCREENS + (unsigned)key->number) % SCREENS;
        break;
    case KEY_SCROLL:
        emulator_scroll(e, key->number * (int)SCROLL_STEP);
        break;
    case KEY_NOTHING:
        break;
    }
}

static void type(const uint8_t *codes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct stroke key = keys_step(&keys, codes[i], screens[visible].emulator.cursor_keys);

        /* the mutation that ends it at a key that it is then told again */
        bw_assert(BW_MUTATION != 1 || key.kind != KEY_SCROLL || screens[visible].typed == 0);
        act(&key);
    }
}

static void serve(struct message *m, const uint8_t *string)
{
    int64_t order = m->code;

    m->code = BW_OK;
    if (m->badge == BADGE_KEYS && order == KEYS_TYPED) {
        type(string, m->length);
        m->word[0] = keys.leds;
    } else if (m->badge < SCREENS && order == CONSOLE_WRITE) {
        write_screen(m->badge, string, m);
    } else if (m->badge < SCREENS && order == CONSOLE_READ) {
        read_screen(&screens[m->badge], m);
    } else {
        m->code = BW_ORDER;
    }
}

static void set_up(void)
{
    struct message m = {.code = NAMES_SPAWN, .string = "ps2", .length = strlen("ps2")};

    for (unsigned n = 0; n < SCREENS; n++) {
        cell_t(*history)[EMULATOR_COLUMNS] = malloc(EMULATOR_HISTORY * sizeof(*history));

        bw_assert(history);
        emulator_begin(&screens[n].emulator, history);
    }
    find_driver();
    bw_assert(bw_publish("keys", BADGE_KEYS) >= 0);
    bw_call(KEY_AT(KR_NAMES), &m);
    make_known();
}

int main_native(uint64_t word)
{
    static uint8_t string[CONSOLE_WRITE_MAX];
    struct message m = {.buffer = string, .size = sizeof(string)};
    uint16_t reply = 0;

    (void)word;
    set_up();
    for (;;) {
        bw_return(reply, &m, KEY_AT(KR_CALLER), 0);
        reply = m.delivery == DELIVERY_MESSAGE ? KEY_AT(KR_CALLER) : 0;
        if (reply) {
            serve(&m, string);
        } else {
            find_driver();
            post(visible);
        }
        refresh();
    }
}
