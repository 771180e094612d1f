// sources: ../../userland/unix/tty_line.c
/*
 * The terminal's line discipline: what is typed against what programs read and what the screen
 * shows.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include "tty_line.h"

static struct tty_line line;
static char got[8192], screen[8192];
static int signals;

static void setup(void)
{
    tty_line_init(&line);
    signals = 0;
}

static void type(const char *text)
{
    for (; *text != '\0'; text++) {
        int s = tty_line_input(&line, (uint8_t)*text);

        signals = s != 0 ? s : signals;
    }
}

static const char *taken(size_t n)
{
    n = tty_line_read(&line, (uint8_t *)got, n);
    got[n] = '\0';
    return got;
}

static const char *shown(void)
{
    size_t n = tty_line_take_output(&line, (uint8_t *)screen, sizeof(screen) - 1);

    screen[n] = '\0';
    return screen;
}

static bool ready(void)
{
    bool r;

    tty_line_readable(&line, &r);
    return r;
}

static void set_flags(uint32_t clear, uint32_t add)
{
    struct tty_settings set = line.set;

    set.lflag = (set.lflag & ~clear) | add;
    tty_line_set(&line, &set);
}

START_TEST(lines)
{
    type("hello");
    ck_assert(!ready());
    ck_assert_str_eq(shown(), "hello");
    type("\r");
    ck_assert(ready());
    type("next\n");
    ck_assert_str_eq(shown(), "\r\nnext\r\n");
    ck_assert_str_eq(taken(2), "he");
    ck_assert_str_eq(taken(100), "llo\n");
    ck_assert_str_eq(taken(100), "next\n");
    ck_assert(!ready());
}
END_TEST

START_TEST(editing)
{
    type("abc\177\177x\n");
    ck_assert_str_eq(shown(), "abc\b \b\b \bx\r\n");
    ck_assert_str_eq(taken(100), "ax\n");
    type("one two  \027three\025four\n");
    ck_assert_str_eq(taken(100), "four\n");
    shown();
    type("\177\b\027\025");
    ck_assert_str_eq(shown(), "");
    type("a\001\177\n");
    ck_assert_str_eq(shown(), "a^A\b \b\b \b\r\n");
    ck_assert_str_eq(taken(100), "a\n");
}
END_TEST

START_TEST(a_tab_is_erased_whole)
{
    type("ab\t\177");
    ck_assert_str_eq(shown(), "ab\t\b \b\b \b\b \b\b \b\b \b\b \b");
}
END_TEST

START_TEST(utf8_is_erased_by_character)
{
    type("x\303\266\177\n");
    ck_assert_str_eq(shown(), "x\303\266\b \b\r\n");
    ck_assert_str_eq(taken(100), "x\n");
}
END_TEST

START_TEST(end_of_file)
{
    type("\004");
    ck_assert(ready());
    ck_assert_uint_eq(tty_line_read(&line, (uint8_t *)got, 100), 0);
    ck_assert(!ready());
    type("part\004");
    ck_assert_str_eq(taken(100), "part");
    ck_assert(!ready());
    type("full\004");
    ck_assert_str_eq(taken(4), "full");
    ck_assert(!ready()); /* the EOF went with its line */
    ck_assert_str_eq(shown(), "partfull");
}
END_TEST

START_TEST(signals_flush)
{
    type("half\003");
    ck_assert_int_eq(signals, SIGINT);
    ck_assert(!ready());
    ck_assert_str_eq(shown(), "^C");
    type("\034");
    ck_assert_int_eq(signals, SIGQUIT);
    type("\032");
    ck_assert_int_eq(signals, SIGTSTP);
    signals = 0;
    set_flags(ISIG, 0);
    type("\003\n");
    ck_assert_int_eq(signals, 0);
    ck_assert_str_eq(taken(100), "\003\n");
}
END_TEST

START_TEST(literal_next)
{
    type("\026\003\n");
    ck_assert_int_eq(signals, 0);
    ck_assert_str_eq(taken(100), "\003\n");
    ck_assert_str_eq(shown(), "^\b^C\r\n");
}
END_TEST

START_TEST(raw)
{
    bool r;

    type("typed");
    set_flags(ICANON | ECHO, 0);
    ck_assert_uint_eq(tty_line_readable(&line, &r), 5);
    type("\004\r");
    ck_assert_str_eq(taken(100), "typed\004\n");
    shown();
    type("left");
    ck_assert_str_eq(shown(), "");
    set_flags(0, ICANON | ECHO);
    ck_assert(ready());
    ck_assert_str_eq(taken(100), "left");
}
END_TEST

START_TEST(no_echo)
{
    set_flags(ECHO, 0);
    type("secret\n");
    ck_assert_str_eq(shown(), "");
    set_flags(0, ECHONL);
    type("secret\n");
    ck_assert_str_eq(shown(), "\r\n");
}
END_TEST

START_TEST(output)
{
    struct tty_settings set = line.set;
    static const uint8_t text[] = "a\nb";

    ck_assert_uint_eq(tty_line_write(&line, text, 3), 3);
    ck_assert_str_eq(shown(), "a\r\nb");
    set.oflag = 0;
    tty_line_set(&line, &set);
    ck_assert_uint_eq(tty_line_write(&line, text, 3), 3);
    ck_assert_str_eq(shown(), "a\nb");
}
END_TEST

START_TEST(output_fills)
{
    static uint8_t text[3 * TTY_OUT];
    size_t done = 0, n, shown_bytes = 0;

    memset(text, '\n', sizeof(text));
    while (done < sizeof(text)) {
        n = tty_line_write(&line, text + done, sizeof(text) - done);
        ck_assert_uint_gt(n, 0);
        done += n;
        shown_bytes += strlen(shown());
    }
    ck_assert_uint_eq(shown_bytes, 2 * sizeof(text));
}
END_TEST

START_TEST(flow_control)
{
    type("\023");
    ck_assert_uint_eq(tty_line_write(&line, (const uint8_t *)"x", 1), 0);
    ck_assert_str_eq(shown(), "");
    type("\021");
    ck_assert_uint_eq(tty_line_write(&line, (const uint8_t *)"x", 1), 1);
    ck_assert_str_eq(shown(), "x");
    type("\023\003"); /* an interrupt also lets output go on */
    ck_assert_str_eq(shown(), "^C");
}
END_TEST

START_TEST(a_line_that_is_too_long)
{
    for (unsigned i = 0; i < 2 * TTY_IN; i++) {
        ck_assert(tty_line_accepts(&line));
        tty_line_input(&line, 'x');
        shown();
    }
    tty_line_input(&line, '\n');
    ck_assert_uint_eq(tty_line_read(&line, (uint8_t *)got, sizeof(got)), TTY_IN);
    ck_assert_uint_eq(got[TTY_IN - 1], '\n');
}
END_TEST

START_TEST(full_of_lines)
{
    unsigned n = 0;

    while (tty_line_accepts(&line)) {
        type("ab\n");
        shown();
        n++;
    }
    ck_assert_uint_ge(n, TTY_IN / 3 - 1);
    for (; n > 0; n--) {
        ck_assert_str_eq(taken(100), "ab\n");
    }
    ck_assert(!ready());
}
END_TEST

START_TEST(random_keys_keep_the_invariants)
{
    static const uint32_t modes[] = {0, ICANON, ECHO, ISIG, IEXTEN};

    srand((unsigned)_i);
    for (int step = 0; step < 20000; step++) {
        switch (rand() % 16) {
        case 0:
            set_flags(modes[rand() % 5], modes[rand() % 5]);
            break;
        case 1:
            taken((size_t)rand() % 64);
            break;
        case 2:
            shown();
            break;
        default:
            if (tty_line_accepts(&line)) {
                tty_line_input(&line, (uint8_t)(rand() % 3 ? rand() % 40 : rand()));
            }
        }
        ck_assert_uint_le(line.committed, line.count);
        ck_assert_uint_le(line.count, TTY_IN);
        ck_assert_uint_le(line.out_count, TTY_OUT);
        if ((line.set.lflag & ICANON) && line.committed > 0) {
            ck_assert_uint_ne(line.mark[(line.start + line.committed - 1) % TTY_IN], TTY_PLAIN);
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tty");
    TCase *t = tcase_create("all");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, lines);
    tcase_add_test(t, editing);
    tcase_add_test(t, a_tab_is_erased_whole);
    tcase_add_test(t, utf8_is_erased_by_character);
    tcase_add_test(t, end_of_file);
    tcase_add_test(t, signals_flush);
    tcase_add_test(t, literal_next);
    tcase_add_test(t, raw);
    tcase_add_test(t, no_echo);
    tcase_add_test(t, output);
    tcase_add_test(t, output_fills);
    tcase_add_test(t, flow_control);
    tcase_add_test(t, a_line_that_is_too_long);
    tcase_add_test(t, full_of_lines);
    tcase_add_loop_test(t, random_keys_keep_the_invariants, 0, 10);
    suite_add_tcase(s, t);
    return run_suite(s);
}
