// sources: ../../districts/events.c
/*
 * The ring of events: each is seen once by who remembers the last number, the oldest are forgotten.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "events.h"

bw_time_t bw_realtime(void)
{
    return 1234;
}

START_TEST(events_are_kept_in_order)
{
    ck_assert_ptr_null(events_from(0));
    ck_assert_uint_eq(events_next(), 1);
    for (unsigned n = 1; n <= 3 * EVENTS_KEPT; n++) {
        const struct event *e;

        events_say(EVENT_DAMAGE, n % 2, "alpha", "event %u", n);
        e = events_from(n);
        ck_assert_ptr_nonnull(e);
        ck_assert_uint_eq(e->number, n);
        ck_assert_uint_eq(e->time, 1234);
        ck_assert_uint_eq(e->important, n % 2);
        ck_assert_ptr_null(events_from(n + 1));
        ck_assert_uint_eq(events_next(), n + 1);
        e = events_from(0);
        ck_assert_uint_eq(e->number, n < EVENTS_KEPT ? 1 : n - EVENTS_KEPT + 1);
    }
    ck_assert_str_eq(events_from(3 * EVENTS_KEPT - 1)->text, "event 767");
}
END_TEST

START_TEST(who_has_seen_those_of_another_ring_sees_these_too)
{
    events_open(1000);
    ck_assert_ptr_null(events_from(0));
    ck_assert_uint_eq(events_next(), 1000);
    for (unsigned n = 1000; n < 1003; n++) {
        events_say(EVENT_DAMAGE, true, "alpha", "event %u", n);
        ck_assert_uint_eq(events_from(7)->number, 1000);
        ck_assert_uint_eq(events_from(n)->number, n);
    }
}
END_TEST

START_TEST(long_texts_are_cut)
{
    char text[2 * EVENT_TEXT_MAX];
    const struct event *e;

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    events_add(EVENT_SPACE, true, text, 1, text);
    e = events_from(events_next() - 1);
    ck_assert_uint_eq(strlen(e->text), EVENT_TEXT_MAX - 1);
    ck_assert_uint_eq(strlen(e->name), DISTRICT_NAME_MAX - 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("events");
    TCase *tests = tcase_create("events");

    tcase_add_test(tests, events_are_kept_in_order);
    tcase_add_test(tests, who_has_seen_those_of_another_ring_sees_these_too);
    tcase_add_test(tests, long_texts_are_cut);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
