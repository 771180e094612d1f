/*
 * A PC's screen and keyboard, as their drivers and the program screens talk.
 *
 * "vga" is the text screen: rows of cells, each a character of code page 437 and above it its
 * attributes. "keys" is published by screens; the keyboard's driver (ps2) calls it with what was
 * typed, and vga posts to it when it has been started, so that each may be restarted without the
 * others' knowledge and none waits for one that has failed.
 */
#ifndef BAILIWICK_SCREEN_H
#define BAILIWICK_SCREEN_H

#define VGA_ROWS      25u
#define VGA_COLUMNS   80u
#define VGA_NO_CURSOR UINT64_MAX

enum vga_order {
    VGA_DRAW = 1,   /* w0 index of the first cell, string: cells, 2 bytes each */
    VGA_CURSOR = 2, /* w0 index of the cell that it stands on, or VGA_NO_CURSOR */
};

enum keys_order {
    KEYS_TYPED = 1, /* string: scancodes of set 1 -> w0 lights: 1 Scroll, 2 Num, 4 Caps Lock */
};

#endif
