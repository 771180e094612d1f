/*
 * The VGA's text screen, as "vga" (screen.h): 80 by 25 cells, in the mode in which the firmware
 * leaves it. What is drawn comes from the program screens, which is started when there is a screen.
 *
 * Whether there is one is asked of the registers that every VGA has had at these ports, on whatever
 * bus: one of the cursor's must keep what is written to it.
 */
#include "ports.h"

#include <bailiwick/names.h>
#include <bailiwick/screen.h>
#include <stdbool.h>
#include <string.h>

#ifndef BW_MUTATION
#define BW_MUTATION 0 /* tests: draw() */
#endif

#define KR_PORTS  KR_PROGRAM       /* 0x3c0 .. 0x3df */
#define KR_MEMORY (KR_PROGRAM + 1) /* 0xb8000 .. 0xbffff */
#define KR_KEYS   24

#define CELLS_AT NATIVE_WINDOWS
#define CELLS    (VGA_ROWS * VGA_COLUMNS)

enum vga_port { /* from 0x3c0 */
                PORT_MISC = 0x0c,
                PORT_GRAPHICS = 0x0e, /* index; data behind it */
                PORT_CRT = 0x14,      /* index; data behind it */
};
#define MISC_COLOUR      0x01u /* the registers of the CRT are at 0x3d4 */
#define GRAPHICS_MISC    0x06u
#define GRAPHICS_NO_TEXT 0x01u
enum crt_register {
    CRT_CURSOR_START = 0x0a, /* first line of a character cell; CURSOR_OFF */
    CRT_CURSOR_END = 0x0b,
    CRT_START_HIGH = 0x0c,
    CRT_START_LOW = 0x0d,
    CRT_CURSOR_HIGH = 0x0e,
    CRT_CURSOR_LOW = 0x0f,
};
#define CURSOR_OFF   0x20u
#define CURSOR_FIRST 14u
#define CURSOR_LAST  15u

static volatile uint16_t *const cells = (volatile uint16_t *)CELLS_AT;
static uint16_t drawn[CELLS];

static uint8_t indexed_in(enum vga_port port, uint8_t index)
{
    port_out(KEY_AT(KR_PORTS), port, 1, index);
    return (uint8_t)port_in(KEY_AT(KR_PORTS), port + 1u, 1);
}

static void indexed_out(enum vga_port port, uint8_t index, uint8_t value)
{
    port_out(KEY_AT(KR_PORTS), port, 1, index);
    port_out(KEY_AT(KR_PORTS), port + 1u, 1, value);
}

/* @return whether the register keeps a value, and does not keep that by accident */
static bool is_kept(uint8_t value)
{
    indexed_out(PORT_CRT, CRT_CURSOR_LOW, value);
    return indexed_in(PORT_CRT, CRT_CURSOR_LOW) == value;
}

static bool is_there(void)
{
    uint8_t misc = (uint8_t)port_in(KEY_AT(KR_PORTS), PORT_MISC, 1);

    return misc != 0xff && misc & MISC_COLOUR && is_kept(0x5a) && is_kept(0x25);
}

static int64_t map_cells(void)
{
    struct message node = {
        .code = RANGE_CREATE, .word = {bw_next_id(1), OBJECT_NODE}, .take = {KEY_AT(KR_SCRATCH)}};
    struct message m = {
        .code = PHYSICAL_MAP, .word = {CELLS_AT}, .send = {KEY_AT(KR_SPACE), KEY_AT(KR_SCRATCH)}};
    int64_t result = bw_map_fresh(CELLS_AT + 0x100000, 1); /* makes the nodes above both */

    if (result >= 0) {
        result = bw_call(KEY_AT(KR_RANGE), &node);
    }
    return result < 0 ? result : bw_call(KEY_AT(KR_MEMORY), &m);
}

static void set_cursor(uint64_t at)
{
    bool shown = at < CELLS;

    indexed_out(PORT_CRT, CRT_CURSOR_START, CURSOR_FIRST | (shown ? 0 : CURSOR_OFF));
    if (shown) {
        indexed_out(PORT_CRT, CRT_CURSOR_HIGH, (uint8_t)(at >> 8));
        indexed_out(PORT_CRT, CRT_CURSOR_LOW, (uint8_t)at);
    }
}

static int64_t draw(uint64_t first, size_t bytes)
{
    size_t count = bytes / sizeof(drawn[0]);

    /* the mutation that ends it when this is typed */
    bw_assert(BW_MUTATION != 1 || count != 1 || (drawn[0] & 0xff) != '~');
    if (first > CELLS || count > CELLS - first) {
        return BW_ARGUMENT;
    }
    for (size_t n = 0; n < count; n++) {
        cells[first + n] = drawn[n];
    }
    return BW_OK;
}

static void serve(struct message *m)
{
    switch (m->code) {
    case VGA_DRAW:
        m->code = m->cut ? BW_ARGUMENT : draw(m->word[0], m->length);
        break;
    case VGA_CURSOR:
        set_cursor(m->word[0]);
        m->code = BW_OK;
        break;
    default:
        m->code = BW_ORDER;
    }
}

static void initialise(void)
{
    indexed_out(PORT_CRT, CRT_START_HIGH, 0);
    indexed_out(PORT_CRT, CRT_START_LOW, 0);
    indexed_out(PORT_CRT, CRT_CURSOR_END, CURSOR_LAST);
    set_cursor(VGA_NO_CURSOR);
}

int main_native(uint64_t word)
{
    struct message m = {.code = NAMES_SPAWN, .string = "screens", .length = strlen("screens")};
    uint16_t reply = 0;

    (void)word;
    if (!is_there()) {
        bw_log("vga: this machine has no screen\n");
        return 0;
    }
    if (indexed_in(PORT_GRAPHICS, GRAPHICS_MISC) & GRAPHICS_NO_TEXT) {
        bw_log("vga: the screen is not in text mode, and is left alone\n");
        return 0;
    }
    bw_assert(map_cells() >= 0);
    initialise();
    bw_assert(bw_publish("vga", 0) >= 0);
    bw_call(KEY_AT(KR_NAMES), &m);
    if (bw_find("keys", KEY_AT(KR_KEYS)) >= 0) {
        bw_post(KEY_AT(KR_KEYS));
    }
    m = (struct message){.buffer = drawn, .size = sizeof(drawn)};
    for (;;) {
        bw_return(reply, &m, KEY_AT(KR_CALLER), 0);
        reply = m.delivery == DELIVERY_MESSAGE ? KEY_AT(KR_CALLER) : 0;
        if (reply) {
            serve(&m);
        }
    }
}
