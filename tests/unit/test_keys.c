// sources: ../../userland/screens/keys.c
/*
 * A PC's keyboard: scancodes to what is typed.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "keys.h"

#define SHIFT   0x2a
#define CONTROL 0x1d
#define ALT     0x38
#define CAPS    0x3a
#define NUM     0x45
#define UP(c)   ((c) | 0x80)

static struct keys keys;

static void setup(void)
{
    keys = (struct keys){0};
}

/* All that the scancodes type, in a row. */
static const char *typed(const uint8_t *codes, size_t n, bool application)
{
    static char text[256];
    size_t length = 0;

    for (size_t i = 0; i < n; i++) {
        struct stroke stroke = keys_step(&keys, codes[i], application);

        ck_assert_uint_le(stroke.length, KEYS_TEXT);
        if (stroke.kind == KEY_TEXT) {
            memcpy(text + length, stroke.text, stroke.length);
            length += stroke.length;
        }
    }
    text[length] = 0;
    return text;
}
#define TYPES(expected, ...)                                                                       \
    ck_assert_str_eq(                                                                              \
        typed((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), false),      \
        expected)

static void is_step(uint8_t code, enum key_kind kind, int number)
{
    struct stroke stroke = keys_step(&keys, code, false);

    ck_assert_int_eq(stroke.kind, kind);
    ck_assert_int_eq(stroke.number, number);
}

START_TEST(the_layout)
{
    TYPES("\x1b"
          "1234567890-=\x7f\t",
          1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    TYPES("qwertyuiop[]\r", 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28);
    TYPES("asdfghjkl;'`\\zxcvbnm,./* ", 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 43, 44, 45,
          46, 47, 48, 49, 50, 51, 52, 53, 55, 57);
    TYPES("!@#$%^&*()_+", SHIFT, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13);
    TYPES("QP{}AL:\"~|ZM<>?", 16, 25, 26, 27, 30, 38, 39, 40, 41, 43, 44, 50, 51, 52, 53);
    TYPES("", UP(SHIFT), 0, 0x54, 0x55, 0x59, 0x7f);
}
END_TEST

START_TEST(modifiers)
{
    TYPES("aAaA", 30, SHIFT, 30, UP(30), UP(SHIFT), 30, 0x36, 30, UP(0x36));
    TYPES("A1b", CAPS, UP(CAPS), 30, 2, SHIFT, 48, UP(SHIFT));
    ck_assert_uint_eq(keys.leds, LED_CAPS);
    TYPES("a", CAPS, UP(CAPS), 30);
    TYPES("\x03\x1d\x1b", CONTROL, 46, 27, 26, UP(CONTROL));
    TYPES("\x1b"
          "a\x1bx",
          ALT, 30, 45, UP(ALT));
    TYPES("\x03", 0xe0, CONTROL, 46, 0xe0, UP(CONTROL));
    TYPES("c", 46);
}
END_TEST

START_TEST(control_and_blank_is_nul)
{
    struct stroke stroke;

    keys_step(&keys, CONTROL, false);
    stroke = keys_step(&keys, 57, false);
    ck_assert_int_eq(stroke.kind, KEY_TEXT);
    ck_assert_uint_eq(stroke.length, 1);
    ck_assert_int_eq(stroke.text[0], 0);
}
END_TEST

START_TEST(cursor_and_function_keys)
{
    TYPES("\x1b[A\x1b[B\x1b[C\x1b[D", 0xe0, 0x48, 0xe0, 0x50, 0xe0, 0x4d, 0xe0, 0x4b);
    TYPES("\x1b[1~\x1b[4~\x1b[5~\x1b[6~\x1b[2~\x1b[3~", 0xe0, 0x47, 0xe0, 0x4f, 0xe0, 0x49, 0xe0,
          0x51, 0xe0, 0x52, 0xe0, 0x53);
    TYPES("\x1b[[A\x1b[[E\x1b[17~\x1b[21~\x1b[23~\x1b[24~", 0x3b, 0x3f, 0x40, 0x44, 0x57, 0x58);
    ck_assert_str_eq(typed((const uint8_t[]){0xe0, 0x48}, 2, true), "\x1bOA");
}
END_TEST

START_TEST(the_number_pad)
{
    TYPES("\x1b[A-+/\r*", 0x48, 0x4a, 0x4e, 0xe0, 0x35, 0xe0, 0x1c, 0x37);
    TYPES("7.5", NUM, UP(NUM), 0x47, 0x53, 0x4c);
    TYPES("\x1b[1~", 0xe0, 0x2a, 0xe0, 0x47, 0xe0, UP(0x47), 0xe0, UP(0x2a)); /* as keyboards do */
    TYPES("a", 30);
    TYPES("", 0xe1, 0x1d, 0x45, 0xe1, UP(0x1d), UP(0x45)); /* Pause */
    ck_assert_uint_eq(keys.leds, LED_NUM);
    TYPES("", 0xe0, 0x5b, 0xe0, UP(0x5b), 0xe0, 0x1e);
}
END_TEST

START_TEST(keys_that_are_for_the_screens)
{
    keys_step(&keys, ALT, false);
    is_step(0x3b, KEY_SCREEN, 0);
    is_step(0x3e, KEY_SCREEN, 3);
    keys_step(&keys, 0xe0, false);
    is_step(0x4b, KEY_NEIGHBOUR, -1);
    keys_step(&keys, 0xe0, false);
    is_step(0x4d, KEY_NEIGHBOUR, 1);
    keys_step(&keys, UP(ALT), false);
    keys_step(&keys, SHIFT, false);
    keys_step(&keys, 0xe0, false);
    is_step(0x49, KEY_SCROLL, 1);
    keys_step(&keys, 0xe0, false);
    is_step(0x51, KEY_SCROLL, -1);
    is_step(UP(0x51), KEY_NOTHING, 0);
    keys_step(&keys, 0xe0, false); /* a keyboard hides Shift from those who know no grey keys */
    keys_step(&keys, UP(SHIFT), false);
    keys_step(&keys, 0xe0, false);
    is_step(0x49, KEY_SCROLL, 1);
}
END_TEST

START_TEST(no_codes_break_it)
{
    srand((unsigned)_i + 1);
    for (int n = 0; n < 100000; n++) {
        struct stroke stroke = keys_step(&keys, (uint8_t)rand(), rand() % 2);

        ck_assert_uint_le(stroke.length, KEYS_TEXT);
        ck_assert(stroke.kind != KEY_TEXT || stroke.length > 0);
        ck_assert_int_ge(stroke.number, -1);
        ck_assert_int_le(stroke.number, 11);
        ck_assert_uint_lt(keys.leds, 8);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keys");
    TCase *tests = tcase_create("keys");

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, the_layout);
    tcase_add_test(tests, modifiers);
    tcase_add_test(tests, control_and_blank_is_nul);
    tcase_add_test(tests, cursor_and_function_keys);
    tcase_add_test(tests, the_number_pad);
    tcase_add_test(tests, keys_that_are_for_the_screens);
    tcase_add_loop_test(tests, no_codes_break_it, 0, 4);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
