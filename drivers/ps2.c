/*
 * A PC's keyboard: the 8042 controller, at its interrupt. What is typed goes, as scancodes of set 1
 * (the controller translates), to "keys" (screen.h), whose answer says which lights are to be on.
 *
 * The controller says nothing that must be waited for: a command to the keyboard is sent when there
 * is room and goes on when the keyboard has acknowledged it, while keys come in between. What a
 * keyboard that never answers is owed is forgotten at the next key. A controller that never stops
 * sending is left alone.
 */
#include "ports.h"

#include <bailiwick/names.h>
#include <bailiwick/screen.h>
#include <stdbool.h>

#ifndef BW_MUTATION
#define BW_MUTATION 0 /* tests: take_bytes() */
#endif

#define KR_DATA   KR_PROGRAM       /* 0x60 */
#define KR_STATUS (KR_PROGRAM + 1) /* 0x64: status; commands when written */
#define KR_IRQ    (KR_PROGRAM + 2)
#define KR_KEYS   24

#define POST_IRQ 1u /* badge of the interrupt's posts */

#define STATUS_FULL     0x01u /* there is a byte for us */
#define STATUS_BUSY     0x02u /* it has not yet taken the last byte */
#define STATUS_AUXILIAR 0x20u /* the byte is the mouse's */
#define STATUS_NOBODY   0xffu

enum controller_command {
    READ_CONFIGURATION = 0x20,
    WRITE_CONFIGURATION = 0x60,
    DISABLE_MOUSE = 0xa7,
    DISABLE_KEYBOARD = 0xad,
    ENABLE_KEYBOARD = 0xae,
};
#define CONFIG_INTERRUPT       0x01u
#define CONFIG_MOUSE_INTERRUPT 0x02u
#define CONFIG_NO_KEYBOARD     0x10u
#define CONFIG_NO_MOUSE        0x20u
#define CONFIG_TRANSLATE       0x40u

enum keyboard_command {
    KEYBOARD_LIGHTS = 0xed, /* followed by which */
    KEYBOARD_SCAN = 0xf4,
    KEYBOARD_ACKNOWLEDGED = 0xfa, /* answers */
    KEYBOARD_RESEND = 0xfe,
};

#define MUTATION_KEY 0x58u /* F12 */

#define PATIENCE 100000000ull /* ns for the controller to take or give a byte */
#define ROUNDS   64u
#define BURST    64u /* times ROUNDS bytes at one interrupt: more than anybody types */

#define LIGHTS_UNKNOWN 0xffu /* as the firmware has left them */

static uint8_t typed[ROUNDS];
static uint8_t lights = LIGHTS_UNKNOWN; /* as the keyboard was told */
static uint8_t lights_wanted;           /* as it should be told */
static bool lights_announced;           /* KEYBOARD_LIGHTS was sent; its argument follows */

static uint8_t status(void)
{
    return (uint8_t)port_in(KEY_AT(KR_STATUS), 0, 1);
}

static bool settles(uint8_t bit, uint8_t value)
{
    bw_time_t until = bw_monotonic() + PATIENCE;

    while ((status() & bit) != value) {
        if (bw_monotonic() > until) {
            return false;
        }
        port_pause();
    }
    return true;
}

static bool send(unsigned reg, uint8_t byte)
{
    if (!settles(STATUS_BUSY, 0)) {
        return false;
    }
    port_out(KEY_AT(reg), 0, 1, byte);
    return true;
}

static uint8_t receive(void)
{
    return (uint8_t)port_in(KEY_AT(KR_DATA), 0, 1);
}

static void drain(void)
{
    for (unsigned n = 0; n < ROUNDS && status() & STATUS_FULL; n++) {
        receive();
    }
}

/* @return false if there is no controller */
static bool set_up_controller(void)
{
    uint8_t config;

    if (status() == STATUS_NOBODY || !send(KR_STATUS, DISABLE_KEYBOARD) ||
        !send(KR_STATUS, DISABLE_MOUSE)) {
        return false;
    }
    settles(STATUS_BUSY, 0);
    drain();
    if (!send(KR_STATUS, READ_CONFIGURATION) || !settles(STATUS_FULL, STATUS_FULL)) {
        return false;
    }
    config = receive();
    config |= CONFIG_INTERRUPT | CONFIG_TRANSLATE | CONFIG_NO_MOUSE;
    config &= (uint8_t) ~(CONFIG_MOUSE_INTERRUPT | CONFIG_NO_KEYBOARD);
    return send(KR_STATUS, WRITE_CONFIGURATION) && send(KR_DATA, config) &&
           send(KR_STATUS, ENABLE_KEYBOARD) && send(KR_DATA, KEYBOARD_SCAN);
}

static void find_keys(void)
{
    if (bw_find("keys", KEY_AT(KR_KEYS)) < 0) { /* for good */
        bw_exit(1);
    }
}

/* Hands over what was typed; a program that was restarted is found again. */
static void hand_over(size_t n)
{
    struct message m = {.code = KEYS_TYPED, .string = typed, .length = n};
    struct message again = m;

    while (bw_call(KEY_AT(KR_KEYS), &m) != BW_OK) {
        find_keys();
        m = again;
    }
    lights_wanted = (uint8_t)m.word[0];
}

static void acknowledged(void)
{
    if (lights_announced) {
        lights_announced = false;
        lights = lights_wanted;
        send(KR_DATA, lights);
    }
}

/* @return how many scancodes came, in `typed` */
static size_t take_bytes(void)
{
    size_t count = 0;
    uint8_t now;

    for (unsigned n = 0; n < ROUNDS && (now = status()) & STATUS_FULL; n++) {
        uint8_t byte = receive();

        if (now & STATUS_AUXILIAR) {
            continue;
        }
        if (byte == KEYBOARD_ACKNOWLEDGED) {
            acknowledged();
        } else if (byte != KEYBOARD_RESEND) {
            bw_assert(BW_MUTATION != 1 ||
                      byte != MUTATION_KEY); /* the mutation that ends it then */
            typed[count++] = byte;
        }
    }
    return count;
}

/* @return false: it has no end */
static bool serve_interrupt(void)
{
    struct message m = {.code = IRQ_UNMASK};

    for (unsigned n = 0; status() & STATUS_FULL; n++) {
        size_t count = take_bytes();

        if (n == BURST) {
            return false;
        }
        if (count) {
            hand_over(count);
            lights_announced = lights != lights_wanted && send(KR_DATA, KEYBOARD_LIGHTS);
        }
    }
    bw_call(KEY_AT(KR_IRQ), &m);
    return true;
}

static void bind_interrupt(void)
{
    struct message start = {
        .code = DOMAIN_MAKE_START, .word = {POST_IRQ}, .take = {KEY_AT(KR_SCRATCH)}};
    struct message bind = {.code = IRQ_BIND, .send = {KEY_AT(KR_SCRATCH)}};

    bw_assert(bw_call(KEY_AT(KR_SELF), &start) >= 0);
    bw_assert(bw_call(KEY_AT(KR_IRQ), &bind) >= 0);
}

int main_native(uint64_t word)
{
    (void)word;
    find_keys();
    bind_interrupt();
    if (!set_up_controller()) {
        bw_log("ps2: this machine has no keyboard controller\n");
        return 0;
    }
    while (serve_interrupt()) {
        bw_wait(BW_NO_DEADLINE);
    }
    bw_log("ps2: the keyboard controller never stops sending: left alone\n");
    return 0;
}
