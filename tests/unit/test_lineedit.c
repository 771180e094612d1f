// sources: ../../userland/shell/lineedit.c
/*
 * Line editing: what is typed against what the line then holds, and what a terminal then shows. The
 * terminal here is one row that knows the few sequences that lineedit uses.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lineedit.h"

#define ROW 200

static struct {
    char row[ROW + 1];
    int column;
    int bells;
} terminal;

static void terminal_clear(void)
{
    memset(terminal.row, ' ', ROW);
    terminal.row[ROW] = 0;
    terminal.column = 0;
}

static const char *terminal_escape(const char *text)
{
    char *end;
    long n = strtol(text + 2, &end, 10);

    ck_assert(text[1] == '[');
    if (*end == 'D') {
        terminal.column -= n ? (int)n : 1;
        ck_assert_int_ge(terminal.column, 0);
    } else if (*end == 'C') {
        terminal.column += n ? (int)n : 1;
    } else if (*end == 'K') {
        memset(terminal.row + terminal.column, ' ', (size_t)(ROW - terminal.column));
    } else if (*end == 'J') {
        memset(terminal.row, ' ', ROW);
    } else {
        ck_assert(*end == 'H');
        terminal.column = 0;
    }
    return end + 1;
}

static void terminal_put(void *ctx, const char *text, size_t n)
{
    char copy[LINE_SIZE + 64];
    const char *at = copy;

    (void)ctx;
    ck_assert_uint_lt(n, sizeof(copy));
    memcpy(copy, text, n);
    copy[n] = 0;
    while (*at) {
        if (*at == 0x1b) {
            at = terminal_escape(at);
            continue;
        }
        if (*at == '\r')
            terminal.column = 0;
        else if (*at == '\n')
            terminal_clear();
        else if (*at == '\b')
            terminal.column--;
        else if (*at == '\a')
            terminal.bells++;
        else
            terminal.row[terminal.column++] = *at;
        ck_assert_int_ge(terminal.column, 0);
        ck_assert_int_lt(terminal.column, ROW);
        at++;
    }
}

static struct line_edit line;

/** The terminal shows the prompt and the line, with the cursor at its place. */
static void check_shown(void)
{
    char expected[ROW + LINE_SIZE];
    size_t width = (line.columns ? line.columns : 80) - strlen(line.prompt) - 1;

    size_t n = (size_t)snprintf(expected, sizeof(expected), "%s%.*s", line.prompt, (int)width,
                                line.text + line.first);
    memset(expected + n, ' ', ROW - n);
    ck_assert_mem_eq(terminal.row, expected, ROW);
    ck_assert_uint_eq((size_t)terminal.column, strlen(line.prompt) + line.cursor - line.first);
}

static enum line_event type(const char *keys)
{
    enum line_event event = LINE_MORE;

    for (; *keys; keys++) {
        event = line_type(&line, (uint8_t)*keys);
        if (event == LINE_MORE)
            check_shown();
    }
    return event;
}

static void begin(void)
{
    terminal_clear();
    line_begin(&line);
}

static void setup(void)
{
    line = (struct line_edit){.prompt = "$ ", .put = terminal_put};
    terminal.bells = 0;
    begin();
}

static void check_line(const char *keys, const char *text)
{
    begin();
    ck_assert_int_eq(type(keys), LINE_MORE);
    ck_assert_str_eq(line.text, text);
    ck_assert_uint_eq(line.length, strlen(text));
}

START_TEST(keys_edit_the_line)
{
    static const struct {
        const char *keys, *text;
    } cases[] = {
        {"hello", "hello"},
        {"helo\x1b[Dl", "hello"},
        {"ello\001h", "hello"},
        {"ello\x1b[Hh", "hello"},
        {"ello\x1bOHh", "hello"},
        {"ello\x1b[1~h", "hello"},
        {"hell\x1b[D\x1b[D\x1b[Fo", "hello"},
        {"hell\001\005o", "hello"},
        {"hell\001\x1b[4~o", "hello"},
        {"hellox\x7f", "hello"},
        {"hellox\b", "hello"},
        {"hexllo\x1b[D\x1b[D\x1b[D\x7f", "hello"},
        {"xhello\001\x1b[3~", "hello"},
        {"xhello\001\004", "hello"},
        {"hello world\001\006\006\006\006\006\013", "hello"},
        {"junk hello\002\002\002\002\002\025", "hello"},
        {"hello  junk  \027\027hello", "hello"},
        {"hello\014", "hello"},
        {"\x7f\x7f\x1b[D\x1b[C\x1b[3~\027\025\013", ""},
        {"a\x1b[5~b\x1b[1;5Cc\x1b[Zd", "abcd"},
        {"a\tb\x01\x1b[C\xff\x80", "ab"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_line(cases[i].keys, cases[i].text);
}
END_TEST

START_TEST(a_line_ends)
{
    ck_assert_int_eq(type("go\r"), LINE_DONE);
    ck_assert_str_eq(line.text, "go");
    begin();
    ck_assert_int_eq(type("\n"), LINE_MORE); /* belongs to the return before */
    ck_assert_int_eq(type("on\n"), LINE_DONE);
    ck_assert_str_eq(line.text, "on");
    begin();
    ck_assert_int_eq(type("no\003"), LINE_CANCELLED);
    begin();
    ck_assert_int_eq(type("\004"), LINE_END);
}
END_TEST

START_TEST(history_is_kept)
{
    line_remember(&line, "one");
    line_remember(&line, "two");
    line_remember(&line, "two");
    line_remember(&line, "   ");
    check_line("new\x1b[A", "two");
    check_line("new\x1b[A\x1b[A", "one");
    check_line("new\x1b[A\x1b[A\x1b[A", "one");
    check_line("new\x1b[A\x1b[B", "new");
    check_line("new\x1b[B", "new");
    check_line("\020\020!", "one!");
    check_line("\020\020\016", "two");
}
END_TEST

START_TEST(old_history_is_forgotten)
{
    char text[32];

    for (int i = 0; i < (int)LINE_HISTORY + 10; i++) {
        snprintf(text, sizeof(text), "line %d", i);
        line_remember(&line, text);
    }
    begin();
    for (int i = 0; i < 2 * (int)LINE_HISTORY; i++)
        type("\x1b[A");
    ck_assert_str_eq(line.text, "line 10");
}
END_TEST

START_TEST(long_lines_scroll)
{
    line.columns = 20;
    for (int i = 0; i < 50; i++)
        type((char[]){(char)('a' + i % 26), 0});
    ck_assert_uint_eq(line.length, 50);
    type("\001");
    ck_assert_uint_eq(line.first, 0);
    type("\005\x7f\x7f\x7f\002\002z");
    ck_assert_uint_eq(line.length, 48);
}
END_TEST

START_TEST(a_full_line_rings)
{
    for (unsigned i = 0; i < LINE_SIZE + 5; i++)
        type("x");
    ck_assert_uint_eq(line.length, LINE_SIZE - 1);
    ck_assert_int_eq(terminal.bells, 6);
}
END_TEST

START_TEST(noise_does_no_harm)
{
    srand(1);
    line.columns = 40;
    for (int i = 0; i < 30000; i++) {
        static const uint8_t keys[] =
            "abc \x1b[A\x1b[B\x1b[C\x1b[D\x1b[3~\x7f\x01\x05\x0b\x15\x17\x0c\x04";
        uint8_t c = rand() % 8 ? keys[(size_t)rand() % (sizeof(keys) - 1)] : (uint8_t)rand();

        if (line_type(&line, c) != LINE_MORE) {
            line_remember(&line, line.text);
            begin();
        }
        ck_assert_uint_eq(line.length, strlen(line.text));
        ck_assert_uint_le(line.cursor, line.length);
        check_shown();
    }
}
END_TEST

static size_t months(void *ctx, const char *text, size_t start, size_t cursor,
                     char words[LINE_WORDS][LINE_WORD])
{
    static const char *const all[] = {"january", "june", "july", "may"};
    size_t n = 0;

    (void)ctx;
    for (size_t i = 0; i < 4; i++)
        if (strncmp(all[i], text + start, cursor - start) == 0)
            strcpy(words[n++], all[i]);
    return n;
}

START_TEST(tab_completes)
{
    line.complete = months;
    check_line("m\t", "may ");
    check_line("jul\t", "july ");
    check_line("say ju\tn\tx", "say june x");
    check_line("mx\001\x1b[C\t", "may x");
    ck_assert_int_eq(terminal.bells, 0);
    check_line("j\t", "j"); /* shows the choice */
    check_line("ju\t\t", "ju");
    ck_assert_int_eq(terminal.bells, 0);
    check_line("z\t", "z");
    ck_assert_int_eq(terminal.bells, 1);
    line.complete = NULL;
    check_line("m\t", "m");
    ck_assert_int_eq(terminal.bells, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lineedit");
    TCase *tests = tcase_create("lineedit");

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, keys_edit_the_line);
    tcase_add_test(tests, a_line_ends);
    tcase_add_test(tests, history_is_kept);
    tcase_add_test(tests, old_history_is_forgotten);
    tcase_add_test(tests, long_lines_scroll);
    tcase_add_test(tests, a_full_line_rings);
    tcase_add_test(tests, noise_does_no_harm);
    tcase_add_test(tests, tab_completes);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
