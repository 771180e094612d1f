/*
 * The arithmetic in the ABI headers: what keys and segments span, and how file tree records are
 * sized.
 */
#include <check.h>
#include <bailiwick/filetree.h>
#include <bailiwick/invoke.h>

START_TEST(ranges_count_their_ids)
{
    struct key k = {.type = KEY_RANGE, .tag = 0, .version = 7};
    ck_assert_uint_eq(key_range_count(k), 7);
    k.tag = 24;
    k.version = UINT32_MAX;
    ck_assert_uint_eq(key_range_count(k), (uint64_t)UINT32_MAX << 24);
}
END_TEST

START_TEST(call_counts_have_48_bits)
{
    struct key k = {.type = KEY_RESUME, .tag = 0xffff, .version = 0xfffffffe};
    ck_assert_uint_eq(key_call_count(k), 0xfffffffffffeull);
}
END_TEST

START_TEST(segments_span_256_times_more_a_level)
{
    ck_assert_uint_eq(segment_span(0), 4096);
    for (unsigned height = 1; height <= SEGMENT_HEIGHT_MAX; height++)
        ck_assert_uint_eq(segment_span(height), 256 * segment_span(height - 1));
}
END_TEST

START_TEST(designators_tell_registers_from_slots)
{
    ck_assert_uint_eq(KEY_AT(31), 31);
    ck_assert_uint_eq(KEY_IN_NODE(20, 255), 0x8000 | 255 << 5 | 20);
    ck_assert_uint_eq(FOUR_KEYS(1, 2, 3, 4), 0x0004000300020001ull);
}
END_TEST

START_TEST(directory_records_are_multiples_of_eight)
{
    for (unsigned length = 1; length <= FILETREE_NAME_MAX; length++) {
        ck_assert_uint_eq(FILETREE_ENTRY_SIZE(length) % 8, 0);
        ck_assert_uint_ge(FILETREE_ENTRY_SIZE(length), sizeof(struct filetree_entry) + length);
        ck_assert_uint_lt(FILETREE_ENTRY_SIZE(length), sizeof(struct filetree_entry) + length + 8);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("abi");
    TCase *tests = tcase_create("arithmetic");
    tcase_add_test(tests, ranges_count_their_ids);
    tcase_add_test(tests, call_counts_have_48_bits);
    tcase_add_test(tests, segments_span_256_times_more_a_level);
    tcase_add_test(tests, designators_tell_registers_from_slots);
    tcase_add_test(tests, directory_records_are_multiples_of_eight);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
