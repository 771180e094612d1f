// sources: ../../userland/console/session.c
/*
 * A console session's backlog and input, and the rings between personality and terminal agent.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "session.h"
#include "../../userland/unix/rings.h"

static struct session session;

static void setup(void)
{
    memset(&session, 0, sizeof(session));
    ck_assert(session_open(&session, false));
}

static void teardown(void)
{
    free(session.backlog);
    free(session.input);
}

/** Everything that is unshown, as the terminal would get it. */
static size_t show(char *to)
{
    const uint8_t *from;
    size_t n, total = 0;

    while ((n = session_unshown(&session, &from)) > 0) {
        memcpy(to + total, from, n);
        total += n;
        session.shown += n;
    }
    to[total] = 0;
    return total;
}

START_TEST(output_comes_in_order)
{
    static char text[CONSOLE_BACKLOG + 1];
    uint32_t wrote = 0, read = 0;

    srand(2);
    for (int round = 0; round < 2000; round++) {
        uint8_t bytes[CONSOLE_WRITE_MAX];
        size_t n = (size_t)rand() % sizeof(bytes);

        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)((wrote + i) * 7);
        wrote += (uint32_t)session_write(&session, bytes, n, true);
        ck_assert_uint_le(session.written - session.shown, CONSOLE_BACKLOG);
        if (rand() % 3 == 0) {
            size_t got = show(text);
            bool same = true;
            for (size_t i = 0; i < got; i++, read++)
                same = same && (uint8_t)text[i] == (uint8_t)(read * 7);
            ck_assert(same);
        }
    }
}
END_TEST

START_TEST(without_the_focus_the_oldest_go)
{
    static uint8_t bytes[CONSOLE_WRITE_MAX];
    static char text[CONSOLE_BACKLOG + 1];

    for (int i = 0; i < 6; i++) {
        memset(bytes, 'a' + i, sizeof(bytes));
        ck_assert_uint_eq(session_write(&session, bytes, sizeof(bytes), false), sizeof(bytes));
    }
    ck_assert_uint_eq(show(text), CONSOLE_BACKLOG);
    ck_assert_int_eq(text[0], 'c');
    ck_assert_int_eq(text[CONSOLE_BACKLOG - 1], 'f');
    ck_assert(!session.wants_room);
}
END_TEST

START_TEST(with_the_focus_the_writer_waits)
{
    static uint8_t bytes[CONSOLE_WRITE_MAX];

    for (unsigned i = 0; i < CONSOLE_BACKLOG / CONSOLE_WRITE_MAX; i++)
        ck_assert_uint_eq(session_write(&session, bytes, sizeof(bytes), true), sizeof(bytes));
    ck_assert(!session.wants_room);
    ck_assert_uint_eq(session_write(&session, bytes, 1, true), 0);
    ck_assert(session.wants_room);
}
END_TEST

START_TEST(the_line_is_shown_again)
{
    static char text[CONSOLE_BACKLOG + 1];

    session_write(&session, "one\n/ # ", 8, true);
    show(text);
    session_write(&session, "two\n", 4, false);
    session_rewind_line(&session);
    show(text);
    ck_assert_str_eq(text, "/ # two\n");
    session_rewind_line(&session);
    ck_assert_uint_eq(show(text), 0);
}
END_TEST

START_TEST(the_terminal_is_not_asked_again)
{
    static char text[CONSOLE_BACKLOG + 1];

    session_write(&session, "\x1b[1m/ # \x1b[6n\x1b[0c\x1b[K\x1b[6", 22, true);
    show(text);
    session_rewind_line(&session);
    ck_assert_uint_eq(show(text), 22);
    ck_assert_mem_eq(text, "\x1b[1m/ # \0\0\0\0\0\0\0\0\x1b[K\x1b[6", 22);
}
END_TEST

START_TEST(input_is_bounded)
{
    uint8_t bytes[8];

    for (unsigned i = 0; i < SESSION_INPUT; i++)
        ck_assert(session_type(&session, (uint8_t)i));
    ck_assert(!session_type(&session, 0));
    ck_assert_uint_eq(session_read(&session, bytes, sizeof(bytes)), sizeof(bytes));
    ck_assert_int_eq(bytes[7], 7);
    ck_assert(session_type(&session, 0));
}
END_TEST

START_TEST(opening_again_empties)
{
    char text[8];

    session_write(&session, "old", 3, false);
    session_type(&session, 'x');
    session_close(&session);
    ck_assert(!session.open);
    ck_assert(session_open(&session, false));
    ck_assert_uint_eq(show(text), 0);
    ck_assert_uint_eq(session_read(&session, text, sizeof(text)), 0);
}
END_TEST

/** What a gated district has shown is known when it comes again, and is not shown again. */
START_TEST(opening_a_gated_one_goes_on)
{
    char text[16];

    ck_assert(session_open(&session, true));
    ck_assert_uint_eq(session_write(&session, "shown", 5, false), 5);
    session_mark(&session, 7, 100 + 5);
    ck_assert_uint_eq(show(text), 5);
    session_write(&session, "kept", 4, false);
    session_mark(&session, 8, 105 + 4);
    session_type(&session, 'x');
    session_close(&session);
    ck_assert(!session.open);
    ck_assert(session_open(&session, true));
    ck_assert_uint_eq(session.mark, 8);
    ck_assert_uint_eq(session.number, 109);
    ck_assert_uint_eq(session_read(&session, text, sizeof(text)), 0);
    ck_assert_uint_eq(show(text), 4);
    ck_assert_str_eq(text, "kept");
    session_mark(&session, 0, 50); /* history */
    ck_assert_uint_eq(session.number, 109);
    session_close(&session);
    ck_assert(session_open(&session, false));
    ck_assert_uint_eq(session.mark, 0);
    ck_assert_uint_eq(show(text), 0);
}
END_TEST

START_TEST(rings_keep_order)
{
    static struct terminal_rings rings;
    uint8_t bytes[RINGS_OUT + 1];

    memset(&rings, 0, sizeof(rings));
    rings.out_head = rings.out_tail = UINT32_MAX - 10; /* the counters wrap */
    rings.in_head = rings.in_tail = UINT32_MAX - 3;
    memset(bytes, 'x', sizeof(bytes));
    ck_assert_uint_eq(rings_put_out(&rings, bytes, 100), 100);
    ck_assert_uint_eq(rings_out_room(&rings), RINGS_OUT - 100);
    ck_assert_uint_eq(rings_put_out(&rings, bytes, sizeof(bytes)), RINGS_OUT - 100);
    ck_assert_uint_eq(rings_put_out(&rings, bytes, 1), 0);
    for (int i = 0; i < 10; i++)
        rings.in[(rings.in_head + (uint32_t)i) % RINGS_IN] = (uint8_t)i;
    rings.in_head += 10;
    ck_assert_uint_eq(rings_in_count(&rings), 10);
    ck_assert_uint_eq(rings_take_in(&rings, bytes, 4), 4);
    ck_assert_uint_eq(rings_take_in(&rings, bytes + 4, 100), 6);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(bytes[i], i);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("session");
    TCase *tests = tcase_create("session");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, output_comes_in_order);
    tcase_add_test(tests, without_the_focus_the_oldest_go);
    tcase_add_test(tests, with_the_focus_the_writer_waits);
    tcase_add_test(tests, the_line_is_shown_again);
    tcase_add_test(tests, the_terminal_is_not_asked_again);
    tcase_add_test(tests, input_is_bounded);
    tcase_add_test(tests, opening_again_empties);
    tcase_add_test(tests, opening_a_gated_one_goes_on);
    tcase_add_test(tests, rings_keep_order);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
