/*
 * See keys.h. A key that is released changes nothing but whether a modifier is held, so a scancode
 * that is lost cannot do lasting harm: the next press of the same modifier mends it.
 */
#include "keys.h"
#include <string.h>

#define RELEASED 0x80u

#define CODE_CONTROL     0x1du
#define CODE_LEFT_SHIFT  0x2au
#define CODE_RIGHT_SHIFT 0x36u
#define CODE_ALT         0x38u
#define CODE_CAPS        0x3au
#define CODE_F1          0x3bu
#define CODE_F10         0x44u
#define CODE_NUM         0x45u
#define CODE_PAD_7       0x47u
#define CODE_PAD_POINT   0x53u
#define CODE_F11         0x57u
#define CODE_F12         0x58u

/* What keys 0x00 to 0x39 type, plain and shifted. */
static const char plain[] = "\0\x1b"
                            "1234567890-=\x7f\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
static const char shifted[] = "\0\x1b"
                              "!@#$%^&*()_+\x7f\tQWERTYUIOP{}\r\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";

/* The number pad, from 7 on; as cursor keys, a letter is ESC [ letter, a digit ESC [ digit ~. */
static const char pad_digits[] = "789-456+1230.";
static const char pad_keys[] = "1A5-DGC+4B623";

static struct stroke text(const char *from, size_t n)
{
    struct stroke key = {.kind = KEY_TEXT, .length = n};

    memcpy(key.text, from, n);
    return key;
}

static struct stroke number(enum key_kind kind, int n)
{
    return (struct stroke){.kind = kind, .number = n};
}

/* ESC [ digits ~ */
static struct stroke numbered(unsigned n)
{
    char out[5] = {0x1b, '['};
    size_t length = 2;

    if (n >= 10) {
        out[length++] = (char)('0' + n / 10);
    }
    out[length++] = (char)('0' + n % 10);
    out[length++] = '~';
    return text(out, length);
}

static bool is_held(const bool key[2])
{
    return key[0] || key[1];
}

/* @return whether it was a modifier or a lock */
static bool modifier(struct keys *k, uint8_t code, bool right, bool pressed)
{
    switch (code) {
    case CODE_LEFT_SHIFT:
    case CODE_RIGHT_SHIFT:
        if (!right) { /* with 0xe0 it goes with a cursor key, and is not the user's */
            k->shift[code == CODE_RIGHT_SHIFT] = pressed;
        }
        return true;
    case CODE_CONTROL:
        k->control[right] = pressed;
        return true;
    case CODE_ALT:
        k->alt[right] = pressed;
        return true;
    case CODE_CAPS:
        k->leds ^= pressed ? LED_CAPS : 0;
        return true;
    case CODE_NUM:
        k->leds ^= pressed ? LED_NUM : 0;
        return true;
    default:
        return false;
    }
}

/* Control with a key that types `c`. */
static char controlled(char c)
{
    static const char also[][2] = {{' ', 0},    {'2', 0},    {'@', 0},    {'3', 0x1b},
                                   {'4', 0x1c}, {'5', 0x1d}, {'6', 0x1e}, {'7', 0x1f},
                                   {'/', 0x1f}, {'8', 0x7f}, {'?', 0x7f}, {'`', 0}};

    if (c >= 'a' && c <= 'z') {
        return (char)(c - 'a' + 1);
    }
    if ((c >= '[' && c <= '_') || (c >= 'A' && c <= 'Z')) {
        return c & 0x1f;
    }
    for (size_t n = 0; n < sizeof(also) / sizeof(also[0]); n++) {
        if (also[n][0] == c) {
            return also[n][1];
        }
    }
    return c;
}

static struct stroke character(const struct keys *k, uint8_t code)
{
    bool shift = is_held(k->shift);
    char out[2] = {0x1b, plain[code]};
    bool escape = is_held(k->alt);

    if (out[1] >= 'a' && out[1] <= 'z' && k->leds & LED_CAPS) {
        shift = !shift;
    }
    if (shift) {
        out[1] = shifted[code];
    }
    if (out[1] == 0) {
        return number(KEY_NOTHING, 0);
    }
    if (is_held(k->control)) {
        out[1] = controlled(out[1]);
    }
    return text(escape ? out : out + 1, escape ? 2 : 1);
}

/* A key of the number pad as a cursor key, by what pad_keys has for it. */
static struct stroke cursor(const struct keys *k, char c, bool application)
{
    char out[3] = {0x1b, application ? 'O' : '[', c};

    if (is_held(k->alt) && (c == 'C' || c == 'D')) {
        return number(KEY_NEIGHBOUR, c == 'C' ? 1 : -1);
    }
    if (is_held(k->shift) && (c == '5' || c == '6')) {
        return number(KEY_SCROLL, c == '5' ? 1 : -1);
    }
    if (c == 'G') { /* 5 in the middle */
        out[1] = '[';
    }
    return c >= '1' && c <= '6' ? numbered((unsigned)(c - '0')) : text(out, 3);
}

static struct stroke pad(const struct keys *k, uint8_t code, bool application)
{
    unsigned n = code - CODE_PAD_7;

    if (k->prefix == 0 && (pad_keys[n] == pad_digits[n] || k->leds & LED_NUM)) {
        return text(pad_digits + n, 1);
    }
    return cursor(k, pad_keys[n], application);
}

static struct stroke function(const struct keys *k, unsigned n)
{
    static const uint8_t numbers[] = {17, 18, 19, 20, 21, 23, 24}; /* F6.. */
    char out[4] = {0x1b, '[', '[', (char)('A' + n)};

    if (is_held(k->alt)) {
        return number(KEY_SCREEN, (int)n);
    }
    return n < 5 ? text(out, 4) : numbered(numbers[n - 5]);
}

static struct stroke pressed(const struct keys *k, uint8_t code, bool application)
{
    if (code >= CODE_PAD_7 && code <= CODE_PAD_POINT) {
        return pad(k, code, application);
    }
    if (code >= CODE_F1 && code <= CODE_F10) {
        return function(k, code - CODE_F1);
    }
    if (code == CODE_F11 || code == CODE_F12) {
        return function(k, code - CODE_F11 + 10);
    }
    if (k->prefix && code != 0x1c && code != 0x35) { /* of these, Enter and / of the pad type */
        return number(KEY_NOTHING, 0);
    }
    return code < sizeof(plain) - 1 ? character(k, code) : number(KEY_NOTHING, 0);
}

struct stroke keys_step(struct keys *k, uint8_t code, bool application)
{
    struct stroke key = {.kind = KEY_NOTHING};

    if (k->skip) {
        k->skip--;
        return key;
    }
    if (code == 0xe0) {
        k->prefix = code;
        return key;
    }
    if (code == 0xe1) { /* Pause: two more */
        k->skip = 2;
        return key;
    }
    if (!modifier(k, code & (uint8_t)~RELEASED, k->prefix != 0, !(code & RELEASED)) &&
        !(code & RELEASED)) {
        key = pressed(k, code, application);
    }
    k->prefix = 0;
    return key;
}
