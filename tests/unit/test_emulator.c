// sources: ../../userland/screens/emulator.c ../../userland/screens/csi.c
//          ../../userland/screens/grid.c ../../userland/screens/cp437.c
/*
 * The terminal of a screen: what bytes leave on the grid, what it answers, what has left it; and
 * that no bytes, in whatever pieces, leave it in a state that is none.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "internal.h"

static struct emulator e, other;
static cell_t history[EMULATOR_HISTORY][EMULATOR_COLUMNS];
static cell_t other_history[EMULATOR_HISTORY][EMULATOR_COLUMNS];

static void setup(void)
{
    emulator_begin(&e, history);
}

static void feed(const char *text)
{
    emulator_write(&e, (const uint8_t *)text, strlen(text));
}

/* A row as text, without blanks at its end. */
static const char *row_of(cell_t cells[EMULATOR_ROWS][EMULATOR_COLUMNS], unsigned row)
{
    static char text[EMULATOR_COLUMNS + 1];
    unsigned n = EMULATOR_COLUMNS;

    for (unsigned i = 0; i < EMULATOR_COLUMNS; i++)
        text[i] = (char)(cells[row][i] & 0xff);
    while (n > 0 && text[n - 1] == ' ')
        n--;
    text[n] = 0;
    return text;
}

static void is_row(unsigned row, const char *expected)
{
    ck_assert_str_eq(row_of(e.cells, row), expected);
}

static void is_at(unsigned row, unsigned column)
{
    ck_assert_uint_eq(e.pen.row, row);
    ck_assert_uint_eq(e.pen.column, column);
}

static unsigned attributes_at(unsigned row, unsigned column)
{
    return e.cells[row][column] >> 8;
}

static void is_answer(const char *expected)
{
    ck_assert_uint_eq(e.answers, strlen(expected));
    ck_assert_mem_eq(e.answer, expected, e.answers);
    e.answers = 0;
}

START_TEST(text_and_control_characters)
{
    feed("one\r\ntwo\tx\b\bab\r\n\nfour\a\177!");
    is_row(0, "one");
    is_row(1, "two    ab"); /* x was at the tab, 8 */
    is_row(2, "");
    is_row(3, "four!");
    is_at(3, 5);
}
END_TEST

START_TEST(the_last_column_waits)
{
    for (unsigned n = 0; n < EMULATOR_COLUMNS; n++)
        feed("x");
    is_at(0, EMULATOR_COLUMNS - 1);
    feed("\r\n");
    is_at(1, 0);
    for (unsigned n = 0; n < EMULATOR_COLUMNS; n++)
        feed("y");
    feed("zz");
    is_row(2, "zz");
    is_at(2, 2);
    feed("\x1b[?7l\x1b[1;79HABCD");
    ck_assert_str_eq(row_of(e.cells, 0) + 78, "AD");
    is_at(0, 79);
    feed("\x1b[?7h");
}
END_TEST

START_TEST(the_cursor_moves)
{
    feed("\x1b[5;10H");
    is_at(4, 9);
    feed("\x1b[A\x1b[2C\x1b[3B\x1b[D");
    is_at(6, 10);
    feed("\x1b[999;999f");
    is_at(EMULATOR_ROWS - 1, EMULATOR_COLUMNS - 1);
    feed("\x1b[999A\x1b[999D");
    is_at(0, 0);
    feed("\x1b[3d\x1b[7G");
    is_at(2, 6);
    feed("\x1b[2E");
    is_at(4, 0);
    feed("\x1b[4`\x1b[F");
    is_at(3, 0);
    feed("\x1b[H");
    is_at(0, 0);
    feed("\x1b[3;4H\x1b[s\x1b[H\x1b[u");
    is_at(2, 3);
    feed("\x1b"
         "7\x1b[H\x1b"
         "8");
    is_at(2, 3);
    feed("\x1b[99999999999999999999B");
    is_at(EMULATOR_ROWS - 1, 3);
}
END_TEST

START_TEST(erasing)
{
    feed("abcdef\r\nghijkl\r\nmnopqr\x1b[2;3H\x1b[K");
    is_row(1, "gh");
    feed("\x1b[1K");
    is_row(1, "");
    feed("\x1b[1;3H\x1b[2X");
    is_row(0, "ab  ef");
    feed("\x1b[1J");
    is_row(0, "   "
              " ef");
    feed("\x1b[J");
    is_row(0, "");
    is_row(2, "");
    feed("\x1b[HXY\x1b[2J");
    is_row(0, "");
    is_at(0, 2);
}
END_TEST

START_TEST(inserting_and_deleting)
{
    feed("abcdef\x1b[3G\x1b[2@");
    is_row(0, "ab  cdef");
    feed("\x1b[3P");
    is_row(0, "abdef");
    feed("\x1b[4hXY\x1b[4lZ");
    is_row(0, "abXYZef");
    feed("\r\nsecond\r\nthird\x1b[2;4H\x1b[L");
    is_row(1, "");
    is_row(2, "second");
    is_at(1, 0);
    feed("\x1b[2M");
    is_row(1, "third");
    feed("\x1b[H\x1b[M");
    is_row(0, "third");
    ck_assert_uint_eq(e.gone, 0);
    feed("\x1b[1;2H\x1b[99P\x1b[99@\x1b[99M\x1b[99L");
    is_row(0, "");
}
END_TEST

START_TEST(regions_scroll)
{
    for (unsigned n = 1; n <= EMULATOR_ROWS; n++) {
        char line[32];

        snprintf(line, sizeof(line), "\x1b[%u;1Hline %u", n, n);
        feed(line);
    }
    feed("\x1b[3;5r");
    is_at(0, 0);
    feed("\x1b[5;1H\nnew");
    is_row(1, "line 2");
    is_row(2, "line 4");
    is_row(4, "new");
    is_row(5, "line 6");
    ck_assert_uint_eq(e.gone, 0);
    feed("\x1b[3;1H\x1bM");
    is_row(2, "");
    is_row(3, "line 4");
    feed("\x1b[?6h\x1b[2;1Horigin\x1b[6n\x1b[99;1H");
    is_row(3, "origin");
    is_answer("\x1b[2;7R");
    is_at(4, 0);
    feed("\x1b[?6l\x1b[r\x1b[25;1H\n");
    ck_assert_uint_eq(e.gone, 1);
    feed("\x1b[2S");
    ck_assert_uint_eq(e.gone, 3);
    feed("\x1b[2T\x1b[7;7r\x1b[9;3r");
    ck_assert_uint_eq(e.bottom, EMULATOR_ROWS);
}
END_TEST

START_TEST(colours)
{
    feed("a\x1b[31mb\x1b[1mc\x1b[22;44md\x1b[7me\x1b[27;39;49mf");
    ck_assert_uint_eq(attributes_at(0, 0), 0x07);
    ck_assert_uint_eq(attributes_at(0, 1), 0x04);
    ck_assert_uint_eq(attributes_at(0, 2), 0x0c);
    ck_assert_uint_eq(attributes_at(0, 3), 0x14);
    ck_assert_uint_eq(attributes_at(0, 4), 0x41);
    ck_assert_uint_eq(attributes_at(0, 5), 0x07);
    feed("\x1b[4mg\x1b[24;5mh\x1b[0;93mi\x1b[8mj\x1b[28;2mk\x1b[m.");
    ck_assert_uint_eq(attributes_at(0, 6), 0x0f);
    ck_assert_uint_eq(attributes_at(0, 7), 0x87);
    ck_assert_uint_eq(attributes_at(0, 8), 0x0e);
    ck_assert_uint_eq(attributes_at(0, 9), 0x00);
    ck_assert_uint_eq(attributes_at(0, 10), 0x08);
    feed("\r\x1b[38;5;196ma\x1b[38;2;0;0;255mb\x1b[48;5;2mc\x1b[0;38;5md");
    ck_assert_uint_eq(attributes_at(0, 0), 0x0c);
    ck_assert_uint_eq(attributes_at(0, 1), 0x09);
    ck_assert_uint_eq(attributes_at(0, 2), 0x29);
    ck_assert_uint_eq(attributes_at(0, 3), 0x07);
    feed("\x1b[0;45m\x1b[K");
    ck_assert_uint_eq(attributes_at(0, 70), 0x57);
    feed("\x1b[0m\x1b[?5h");
    ck_assert_uint_eq(attributes_at(5, 5), 0x70);
    feed("\x1b[?5l");
    ck_assert_uint_eq(attributes_at(5, 5), 0x07);
}
END_TEST

START_TEST(characters_beyond_ascii)
{
    feed("\xc3\xa4\xe2\x94\x80\xe2\x82\xac\xf0\x9f\x98\x80|\xff|\xc3|\xc0\x80|\xc3\n");
    ck_assert_str_eq(row_of(e.cells, 0), "\x84\xc4\xfe\xfe|\xfe|\xfe|\xfe|\xfe");
    feed("\r\x1b(0lqk\x1b(Bl\x1b)0\x0ex\x0fx");
    ck_assert_str_eq(row_of(e.cells, 1), "\xda\xc4\xbfl\xb3x");
}
END_TEST

START_TEST(it_answers)
{
    feed("\x1b[5n\x1b[3;4H\x1b[6n\x1b[c\x1bZ\x1b[>c\x1b[?6n");
    is_answer("\x1b[0n\x1b[3;4R\x1b[?6c\x1b[?6c");
    for (unsigned n = 0; n < 1000; n++)
        feed("\x1b[c");
    ck_assert_uint_le(e.answers, sizeof(e.answer));
    ck_assert_mem_eq(e.answer + e.answers - 5, "\x1b[?6c", 5);
}
END_TEST

START_TEST(what_is_not_understood_is_dropped)
{
    feed("a\x1b[?1049hb\x1b]0;a "
         "title\ac\x1b]2;another\x1b\\d\x1bP1$r0m\x1b\\e\x1b]P0123456f\x1b]Rg");
    feed("\x1b[>0;1qh\x1b[1$xi\x1b%Gj\x1b#3k\x1b[[Al\x1b[5\x18m\x1b[1;2;3;4;5;6;7;8;9;10;11;12;13;"
         "14;"
         "15;16;17;31mn\x1b[3\n1mo\x1b_private\x1b\\p");
    is_row(0, "abcdefghijklmn");
    is_row(1, "              op");
    ck_assert_uint_eq(attributes_at(0, 13), 0x07);
    ck_assert_uint_eq(attributes_at(1, 14), 0x04);
}
END_TEST

START_TEST(modes)
{
    unsigned at;

    feed("\x1b[?25l");
    ck_assert(!emulator_cursor(&e, &at));
    feed("\x1b[?25h\x1b[2;3H");
    ck_assert(emulator_cursor(&e, &at));
    ck_assert_uint_eq(at, EMULATOR_COLUMNS + 2);
    feed("\x1b[?1h");
    ck_assert(e.cursor_keys);
    feed("\x1b[20hx\ny");
    is_row(2, "y");
    feed("\x1b[3g\r\t");
    is_at(2, EMULATOR_COLUMNS - 1);
    feed("\r\x1b[5C\x1bH\r\t");
    is_at(2, 5);
    feed("\x1b#8");
    ck_assert_str_eq(row_of(e.cells, 24) + 76, "EEEE");
    feed("\x1b"
         "c");
    ck_assert(!e.cursor_keys && !e.newline && e.tabs[8]);
    is_row(24, "");
    feed("ab\x1b[3b");
    is_row(0, "abbbb");
}
END_TEST

START_TEST(what_has_left_is_seen_again)
{
    cell_t view[EMULATOR_ROWS][EMULATOR_COLUMNS];
    unsigned at;

    for (unsigned n = 1; n <= 1000; n++) {
        char line[32];

        snprintf(line, sizeof(line), "line %u\r\n", n);
        feed(line);
    }
    emulator_scroll(&e, 12);
    emulator_view(&e, view);
    ck_assert_str_eq(row_of(view, 0), "line 965"); /* of 977 .. 1000 and an empty one */
    ck_assert_str_eq(row_of(view, 24), "line 989");
    ck_assert(!emulator_cursor(&e, &at));
    feed("line 1001\r\n"); /* the view stays */
    emulator_view(&e, view);
    ck_assert_str_eq(row_of(view, 0), "line 965");
    emulator_scroll(&e, 10000);
    emulator_view(&e, view);
    ck_assert_str_eq(row_of(view, 0), "line 578"); /* 400 above 978 */
    for (unsigned n = 0; n < 3; n++)
        feed("more\r\n");
    emulator_view(&e, view);
    ck_assert_str_eq(row_of(view, 0), "line 581"); /* the oldest go all the same */
    emulator_scroll(&e, -10000);
    emulator_view(&e, view);
    ck_assert_mem_eq(view, e.cells, sizeof(view));
    emulator_scroll(&e, 7);
    feed("\x1b[3J");
    ck_assert_uint_eq(e.back, 0);
    emulator_scroll(&e, 5);
    ck_assert_uint_eq(e.back, 0);
}
END_TEST

/* Bytes as wild programs send them: many sequences, cut short and mixed. */
static size_t wild(uint8_t *to, size_t most)
{
    static const char *const pieces[] = {"\x1b[",
                                         "\x1b[?",
                                         "\x1b]",
                                         "\x1b",
                                         ";",
                                         "99",
                                         "7",
                                         "0",
                                         "m",
                                         "H",
                                         "r",
                                         "L",
                                         "M",
                                         "P",
                                         "@",
                                         "J",
                                         "K",
                                         "S",
                                         "T",
                                         "h",
                                         "l",
                                         "6n",
                                         "c",
                                         "\x1b"
                                         "7",
                                         "\x1b"
                                         "8",
                                         "\x1b"
                                         "c",
                                         "\x1bM",
                                         "\x1b"
                                         "D",
                                         "\x1b[4h",
                                         "\x1b[?6h",
                                         "\x1b[?7l",
                                         "\x1b[5;9r",
                                         "\x1b[25;80H",
                                         "\n",
                                         "\r",
                                         "\t",
                                         "\b",
                                         "abc",
                                         "\xe2\x94\x80",
                                         "\xf0\x9f",
                                         "\x1b(0",
                                         "\x0e",
                                         "\x1b[?5h",
                                         "\x1b[38;5;",
                                         "b",
                                         "\x1bP",
                                         "\x18"};
    size_t n = 0;

    while (n + 16 < most) {
        if (rand() % 8 == 0) {
            to[n++] = (uint8_t)rand();
        } else {
            const char *piece = pieces[(size_t)rand() % (sizeof(pieces) / sizeof(pieces[0]))];

            memcpy(to + n, piece, strlen(piece));
            n += strlen(piece);
        }
    }
    return n;
}

static void is_sound(void)
{
    ck_assert_uint_lt(e.pen.row, EMULATOR_ROWS);
    ck_assert_uint_lt(e.pen.column, EMULATOR_COLUMNS);
    ck_assert_uint_lt(e.saved.row, EMULATOR_ROWS);
    ck_assert_uint_lt(e.saved.column, EMULATOR_COLUMNS);
    ck_assert_uint_lt(e.top, e.bottom);
    ck_assert_uint_le(e.bottom, EMULATOR_ROWS);
    ck_assert_uint_le(e.answers, sizeof(e.answer));
    ck_assert_uint_le(e.back, e.gone < EMULATOR_HISTORY ? e.gone : EMULATOR_HISTORY);
    ck_assert_uint_le(e.state, STATE_STRING);
}

/* The same bytes, at once and one by one, with the view moved about in between. */
START_TEST(no_bytes_break_it)
{
    cell_t view[EMULATOR_ROWS][EMULATOR_COLUMNS];

    srand((unsigned)_i + 1);
    emulator_begin(&other, other_history);
    for (int round = 0; round < 300; round++) {
        uint8_t bytes[512];
        size_t n = wild(bytes, sizeof(bytes));

        emulator_write(&e, bytes, n);
        is_sound();
        for (size_t i = 0; i < n; i++)
            emulator_write(&other, bytes + i, 1);
        ck_assert_mem_eq(e.cells, other.cells, sizeof(e.cells));
        ck_assert_mem_eq(&e.pen, &other.pen, sizeof(e.pen));
        ck_assert_uint_eq(e.gone, other.gone);
        ck_assert_uint_eq(e.state, other.state);
        emulator_scroll(&e, rand() % 100 - 50);
        is_sound();
        emulator_view(&e, view);
        e.answers = other.answers = 0;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("emulator");
    TCase *tests = tcase_create("emulator");

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, text_and_control_characters);
    tcase_add_test(tests, the_last_column_waits);
    tcase_add_test(tests, the_cursor_moves);
    tcase_add_test(tests, erasing);
    tcase_add_test(tests, inserting_and_deleting);
    tcase_add_test(tests, regions_scroll);
    tcase_add_test(tests, colours);
    tcase_add_test(tests, characters_beyond_ascii);
    tcase_add_test(tests, it_answers);
    tcase_add_test(tests, what_is_not_understood_is_dropped);
    tcase_add_test(tests, modes);
    tcase_add_test(tests, what_has_left_is_seen_again);
    tcase_add_loop_test(tests, no_bytes_break_it, 0, 8);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
