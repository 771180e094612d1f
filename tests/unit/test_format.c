// sources: ../../userland/shell/format.c
/*
 * The shell's times, sizes and words.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "format.h"

START_TEST(times_are_readable)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } cases[] = {
        {0, "0 ms"},
        {999999999, "999 ms"},
        {1000000000, "1.0 s"},
        {3250000000, "3.2 s"},
        {42000000000, "42 s"},
        {60000000000, "1 min"},
        {185000000000, "3 min 5 s"},
        {7800000000000, "2 h 10 min"},
        {442800000000000, "5 d 3 h"},
    };
    char buf[FORMAT_SIZE];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ck_assert_str_eq(format_time(buf, cases[i].ns), cases[i].text);
    ck_assert_uint_lt(strlen(format_time(buf, UINT64_MAX)), FORMAT_SIZE - 1);
}
END_TEST

START_TEST(short_times_have_short_units)
{
    char buf[FORMAT_SIZE];

    ck_assert_str_eq(format_short_time(buf, 850), "850 ns");
    ck_assert_str_eq(format_short_time(buf, 85000), "85 us");
    ck_assert_str_eq(format_short_time(buf, 1500000), "1.5 ms");
    ck_assert_str_eq(format_short_time(buf, 15000000), "15 ms");
    ck_assert_str_eq(format_short_time(buf, 2000000000), "2.0 s");
}
END_TEST

START_TEST(sizes_are_readable)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 KiB"},
        {4096, "4 KiB"},
        {1023 * 1024, "1023 KiB"},
        {1536 * 1024, "1.5 MiB"},
        {256ull << 20, "256 MiB"},
        {2ull << 30, "2.0 GiB"},
        {10ull << 40, "10 TiB"},
    };
    char buf[FORMAT_SIZE];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ck_assert_str_eq(format_bytes(buf, cases[i].bytes), cases[i].text);
    ck_assert_uint_lt(strlen(format_bytes(buf, UINT64_MAX)), FORMAT_SIZE - 1);
}
END_TEST

START_TEST(times_are_read)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } cases[] = {
        {"500ms", 500000000},  {"2s", 2000000000},
        {"2", 2000000000},     {"1.5s", 1500000000},
        {"0.25", 250000000},   {"1m", 60000000000},
        {"1h", 3600000000000}, {"off", 0},
        {"never", 0},          {"0", 0},
        {"10us", 10000},       {"7ns", 7},
        {".5s", 500000000},
    };
    static const char *const wrong[] = {
        "", "s", "-1", "1x", "1 s", "ms", ".", "99999999999999999999", "1e3"};
    uint64_t ns;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_msg(parse_time(cases[i].text, &ns), "%s", cases[i].text);
        ck_assert_uint_eq(ns, cases[i].ns);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ck_assert_msg(!parse_time(wrong[i], &ns), "%s", wrong[i]);
}
END_TEST

START_TEST(ticks_do_not_overflow)
{
    ck_assert_uint_eq(ticks_to_ns(3000, 3000000000), 1000);
    ck_assert_uint_eq(ticks_to_ns(3000000000ull * 100000, 3000000000), 100000000000000);
    ck_assert_uint_eq(ticks_to_ns(5, 0), 0);
}
END_TEST

START_TEST(words_are_split)
{
    char line[] = "  restart\t'my  district' a\"b c\"d ''  ";
    char *words[8];

    ck_assert_int_eq(split_words(line, words, 8), 4);
    ck_assert_str_eq(words[0], "restart");
    ck_assert_str_eq(words[1], "my  district");
    ck_assert_str_eq(words[2], "ab cd");
    ck_assert_str_eq(words[3], "");
}
END_TEST

START_TEST(bad_lines_are_refused)
{
    char open[] = "attach 'x";
    char many[] = "a b c";
    char blank[] = "   ";
    char exact[] = "a b";
    char *words[2];

    ck_assert_int_eq(split_words(open, words, 2), -1);
    ck_assert_int_eq(split_words(many, words, 2), -2);
    ck_assert_int_eq(split_words(blank, words, 2), 0);
    ck_assert_int_eq(split_words(exact, words, 2), 2);
}
END_TEST

START_TEST(dates_are_right)
{
    static const struct {
        uint64_t seconds;
        const char *text;
    } cases[] = {
        {0, "1970-01-01 00:00:00"},          {951782399, "2000-02-28 23:59:59"},
        {951782400, "2000-02-29 00:00:00"},  {951868800, "2000-03-01 00:00:00"},
        {1078012800, "2004-02-29 00:00:00"}, {1795257902, "2026-11-21 10:45:02"},
        {4107542400, "2100-03-01 00:00:00"}, {4107456000, "2100-02-28 00:00:00"},
    };
    char buf[FORMAT_SIZE];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ck_assert_str_eq(format_date(buf, cases[i].seconds * 1000000000ull), cases[i].text);
    ck_assert_uint_lt(strlen(format_date(buf, UINT64_MAX)), FORMAT_SIZE - 1);
}
END_TEST

START_TEST(numbers_are_read)
{
    static const char *const wrong[] = {
        "", "x", "1x", "-1", "+1", " 1", "1 ", "0x1", "99999999999999999999", "1,2"};
    uint64_t n[4];

    ck_assert(parse_number("0", n) && n[0] == 0);
    ck_assert(parse_number("18446744073709551", n) && n[0] == 18446744073709551ull);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ck_assert_msg(!parse_number(wrong[i], n), "%s", wrong[i]);
    ck_assert(parse_numbers("8,60,24,30", n, 4));
    ck_assert(n[0] == 8 && n[1] == 60 && n[2] == 24 && n[3] == 30);
    ck_assert(!parse_numbers("8,60,24", n, 4));
    ck_assert(!parse_numbers("8,60,24,", n, 4));
    ck_assert(!parse_numbers("8,60,24,30,1", n, 4));
    ck_assert(!parse_numbers("8, 60,24,30", n, 4));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("format");
    TCase *tests = tcase_create("format");

    tcase_add_test(tests, times_are_readable);
    tcase_add_test(tests, short_times_have_short_units);
    tcase_add_test(tests, sizes_are_readable);
    tcase_add_test(tests, times_are_read);
    tcase_add_test(tests, ticks_do_not_overflow);
    tcase_add_test(tests, words_are_split);
    tcase_add_test(tests, bad_lines_are_refused);
    tcase_add_test(tests, dates_are_right);
    tcase_add_test(tests, numbers_are_read);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
