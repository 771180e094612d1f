// sources: ../../userland/unix/timer.c
/* The heap of timers against a plain list. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "timer.h"

#define TIMERS 300

static struct timer timer[TIMERS];

static bw_time_t earliest(void)
{
    bw_time_t first = BW_NO_DEADLINE;

    for (int i = 0; i < TIMERS; i++) {
        if (timer[i].place && timer[i].when < first) {
            first = timer[i].when;
        }
    }
    return first;
}

START_TEST(like_a_list)
{
    bw_time_t now = 0;

    srand(7);
    for (int step = 0; step < 20000; step++) {
        struct timer *t = &timer[rand() % TIMERS];

        switch (rand() % 4) {
        case 0:
        case 1:
            ck_assert(timer_set(t, now + (bw_time_t)(rand() % 1000)));
            break;
        case 2:
            timer_cancel(t);
            ck_assert_uint_eq(t->place, 0);
            break;
        default:
            now += (bw_time_t)(rand() % 20);
            while ((t = timer_due(now)) != NULL) {
                ck_assert_uint_le(t->when, now);
                ck_assert_uint_eq(t->place, 0);
                ck_assert_uint_ge(earliest(), t->when);
            }
            ck_assert(earliest() > now);
            break;
        }
        ck_assert_uint_eq(timer_next(), earliest());
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("timer");
    TCase *c = tcase_create("timer");

    tcase_add_test(c, like_a_list);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
