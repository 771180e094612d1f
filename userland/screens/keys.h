/*
 * Keys of a PC's keyboard with the US layout: scancodes of set 1 in, bytes for a program out, as
 * Linux's console has them. Pure.
 */
#ifndef SCREENS_KEYS_H
#define SCREENS_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYS_TEXT 8u

enum key_kind {
    KEY_NOTHING,
    KEY_TEXT,      /* text, length */
    KEY_SCREEN,    /* Alt-F1..: number, from 0 */
    KEY_NEIGHBOUR, /* Alt-Left, Alt-Right: number -1, 1 */
    KEY_SCROLL,    /* Shift-PgUp, Shift-PgDn: number 1, -1 */
};

struct stroke {
    enum key_kind kind;
    int number;
    char text[KEYS_TEXT];
    size_t length;
};

#define LED_SCROLL 1u
#define LED_NUM    2u
#define LED_CAPS   4u

struct keys {
    bool shift[2], control[2], alt[2]; /* left and right are held */
    uint8_t leds;                      /* the locks that are on */
    uint8_t prefix;                    /* 0, 0xe0 or 0xe1 */
    uint8_t skip;                      /* bytes of Pause still to come */
};

/** One scancode. @param application the program wants cursor keys as ESC O A (DECCKM) */
struct stroke keys_step(struct keys *k, uint8_t code, bool application);

#endif
