// sources: ../../mkdistrict/archive_policy.c ../../mkdistrict/progress.c ../../mkdistrict/words.c
/*
 * The parts of mkdistrict's commands that are pure: which generations a vault keeps, and what the
 * user reads of progress.
 */
#include <stdlib.h>
#include <string.h>
#include <check.h>
#undef fail /* Check's own, which nobody uses here */

#include "vault.h"

#define SECOND 1000000000ull
#define MAX    3000

static bool keep[MAX];

static size_t kept(const struct retention *r, const uint64_t *time, size_t n)
{
    size_t count = 0;

    memset(keep, 0, sizeof(keep));
    retention_choose(r, time, n, keep);
    for (size_t i = 0; i < n; i++)
        count += keep[i];
    return count;
}

START_TEST(retention_is_read_as_written)
{
    struct retention r = RETENTION_DEFAULT;

    ck_assert(parse_retention("3,10,5,2", &r));
    ck_assert(r.last == 3 && r.minutes == 10 && r.hours == 5 && r.days == 2);
    ck_assert(parse_retention("7", &r));
    ck_assert(r.last == 7 && r.minutes == 0 && r.hours == 0 && r.days == 0);
    ck_assert(!parse_retention("0", &r));
    ck_assert(!parse_retention("", &r));
    ck_assert(!parse_retention("3,", &r));
    ck_assert(!parse_retention("-3", &r));
    ck_assert(!parse_retention("3,4,5,6,7", &r));
    ck_assert(!parse_retention("3x", &r));
    ck_assert(!parse_retention("99999999999", &r));
}
END_TEST

START_TEST(the_last_are_kept)
{
    const struct retention r = {3, 0, 0, 0};
    const uint64_t time[] = {10, 20, 30, 40, 50};

    ck_assert_uint_eq(kept(&r, time, 5), 3);
    ck_assert(!keep[1] && keep[2] && keep[4]);
    ck_assert_uint_eq(kept(&r, time, 2), 2);
    ck_assert_uint_eq(kept(&r, time, 0), 0);
}
END_TEST

START_TEST(older_ones_become_sparse)
{
    const struct retention r = {8, 60, 24, 10};
    static uint64_t time[MAX];
    const uint64_t begin = 1000000 * (3600 * SECOND);

    for (size_t i = 0; i < MAX; i++) /* one every ten seconds */
        time[i] = begin + i * 10 * SECOND;
    /* 8 last ones, the rest of an hour by the minute, about eight hours by the hour */
    ck_assert_uint_le(kept(&r, time, MAX), 8 + 60 + 9);
    ck_assert_uint_ge(kept(&r, time, MAX), 60 + 8);
    for (size_t i = 0; i < MAX; i++)
        time[i] = begin + i * 3600 * SECOND; /* 125 days: those of ten days by the day */
    ck_assert_uint_le(kept(&r, time, MAX), 24 + 11);
    ck_assert(!keep[MAX - 24 * 12]);
}
END_TEST

/** Pruning after every generation leaves what pruning once at the end does, or little more. */
START_TEST(how_often_it_is_done_does_not_matter)
{
    const struct retention r = {4, 30, 12, 5};
    static uint64_t all[MAX], some[MAX], once[MAX];
    size_t n = 0, m = 0, k = 0;

    for (size_t i = 0; i < MAX; i++) {
        all[i] = some[n++] = (1000 + i) * 47 * SECOND;
        kept(&r, some, n);
        m = 0;
        for (size_t j = 0; j < n; j++)
            if (keep[j])
                some[m++] = some[j];
        n = m;
    }
    kept(&r, all, MAX);
    for (size_t i = 0; i < MAX; i++)
        if (keep[i])
            once[k++] = all[i];
    ck_assert_uint_eq(n, k);
    ck_assert(memcmp(some, once, n * sizeof(some[0])) == 0);
}
END_TEST

START_TEST(times_that_go_back_do_no_harm)
{
    const struct retention r = {2, 60, 24, 10};
    uint64_t time[] = {500 * SECOND, 100 * SECOND, 0, 300 * SECOND};

    ck_assert_uint_ge(kept(&r, time, 4), 2);
    ck_assert(keep[2] && keep[3]);
}
END_TEST

START_TEST(progress_is_readable)
{
    struct progress p = {.what = "reading", .total = 100u << 20, .done = 25u << 20};
    char text[160], duration[32];

    progress_text(&p, 5 * SECOND, text, sizeof(text));
    ck_assert_str_eq(text, "reading: 25.0 MiB of 100.0 MiB (25 %), 5.0 MiB/s, 16 s left");
    p.done = p.total;
    progress_text(&p, 5 * SECOND, text, sizeof(text));
    ck_assert_str_eq(text, "reading: 100.0 MiB of 100.0 MiB, 20.0 MiB/s");
    p.total = 0;
    progress_text(&p, 0, text, sizeof(text));
    ck_assert_str_eq(text, "reading: 100.0 MiB, 0 bytes/s");
    ck_assert_str_eq(show_duration(99, duration), "99 s");
    ck_assert_str_eq(show_duration(200, duration), "3 min 20 s");
    ck_assert_str_eq(show_duration(7500, duration), "2 h 5 min");
    ck_assert_str_eq(show_duration(UINT64_MAX, duration), "years");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tools");
    TCase *c = tcase_create("tools");

    suite_add_tcase(s, c);
    tcase_add_test(c, retention_is_read_as_written);
    tcase_add_test(c, the_last_are_kept);
    tcase_add_test(c, older_ones_become_sparse);
    tcase_add_test(c, how_often_it_is_done_does_not_matter);
    tcase_add_test(c, times_that_go_back_do_no_harm);
    tcase_add_test(c, progress_is_readable);
    return run_suite(s);
}
