// sources: ../../districts/policy.c
/*
 * Crash policy: the table in policy.c, how far back a fault leads, and that every row of faults
 * ends, whatever they are. Short histories are tried exhaustively.
 */
#include <check.h>
#include <stdlib.h>
#include "policy.h"

#define SECOND 1000000000ull

START_TEST(the_table_holds)
{
    static const struct {
        enum ended_why why;
        uint32_t policy;
        enum policy_action action;
    } cases[] = {
        {ENDED_CRASHED, POLICY_ROLLBACK, ACTION_ROLL_BACK},
        {ENDED_CRASHED, POLICY_STOP, ACTION_STOP},
        {ENDED_CRASHED, POLICY_CONTINUE, ACTION_LEAVE},
        {ENDED_BROKEN, POLICY_ROLLBACK, ACTION_ROLL_BACK},
        {ENDED_BROKEN, POLICY_STOP, ACTION_STOP},
        {ENDED_BROKEN, POLICY_CONTINUE, ACTION_ROLL_BACK},
        {ENDED_DAMAGED, POLICY_ROLLBACK, ACTION_ROLL_BACK},
        {ENDED_DAMAGED, POLICY_STOP, ACTION_STOP},
        {ENDED_DAMAGED, POLICY_CONTINUE, ACTION_ROLL_BACK},
        {ENDED_CRASHED, 77, ACTION_ROLL_BACK}, /* a store may say anything */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct crash_history h = {0};
        struct policy_fault f = {cases[i].why, 1, 2};
        uint64_t bound = 0;

        ck_assert_int_eq(policy_decide(&h, &f, cases[i].policy, SECOND, 7, &bound),
                         cases[i].action);
        ck_assert_uint_eq(bound, POLICY_ANY);
    }
}
END_TEST

START_TEST(the_same_fault_soon_again_leads_farther)
{
    struct crash_history h = {0};
    struct policy_fault f = {ENDED_CRASHED, 0x101, 0x400000};
    uint64_t bound;

    for (uint64_t target = 20; target > 10; target--) {
        ck_assert_int_eq(
            policy_decide(&h, &f, POLICY_ROLLBACK, (100 - target) * SECOND, target + 1, &bound),
            ACTION_ROLL_BACK);
        ck_assert_uint_eq(bound, target == 20 ? POLICY_ANY : target + 1);
        policy_rolled_back(&h, &f, target, (100 - target) * SECOND);
    }
}
END_TEST

START_TEST(later_is_forgiven)
{
    struct crash_history h = {0};
    struct policy_fault f = {ENDED_BROKEN, 4711, 0};
    uint64_t bound;

    for (uint64_t n = 1; n < 50; n++) {
        bw_time_t now = n * POLICY_WINDOW_NS;

        ck_assert_int_eq(policy_decide(&h, &f, POLICY_CONTINUE, now, n, &bound), ACTION_ROLL_BACK);
        ck_assert_uint_eq(bound, POLICY_ANY);
        policy_rolled_back(&h, &f, n, now);
        ck_assert_uint_eq(h.row, 1);
    }
}
END_TEST

START_TEST(what_was_made_meanwhile_is_not_given_up_at_once)
{
    struct crash_history h = {0};
    struct policy_fault f = {ENDED_CRASHED, 0x101, 0x400000};
    uint64_t bound, current = 10;

    for (unsigned n = 0; n < 6; n++, current += 10) { /* ten more generations each time */
        ck_assert_int_eq(policy_decide(&h, &f, POLICY_ROLLBACK, n * SECOND, current, &bound),
                         ACTION_ROLL_BACK);
        ck_assert_uint_eq(bound, n == 0 ? POLICY_ANY : n < POLICY_TRIES ? current : h.target);
        policy_rolled_back(&h, &f, bound == POLICY_ANY ? current : bound - 1, n * SECOND);
    }
    ck_assert_uint_eq(h.target, 29 - 3);
}
END_TEST

START_TEST(other_faults_are_let_through_a_few_times)
{
    struct crash_history h = {0};
    uint64_t bound;

    for (uint64_t n = 0; n < 10; n++) {
        struct policy_fault f = {ENDED_CRASHED, n, n};

        ck_assert_int_eq(policy_decide(&h, &f, POLICY_ROLLBACK, n * SECOND, 99, &bound),
                         ACTION_ROLL_BACK);
        ck_assert_uint_eq(bound, n < POLICY_TRIES ? POLICY_ANY : 100 - n + 1);
        policy_rolled_back(&h, &f, 100 - n, n * SECOND);
    }
}
END_TEST

/* A district that breaks as soon as it runs, in ways chosen by `choices`, two bits a time, and
 * commits one generation before each fault if `commits` says so. @return how many rollbacks it took
 * until none is left */
static unsigned breaks_at_once(unsigned choices, unsigned commits, unsigned generations)
{
    static const struct policy_fault faults[4] = {
        {ENDED_CRASHED, 1, 1}, {ENDED_CRASHED, 1, 2}, {ENDED_DAMAGED, 1, 1}, {ENDED_BROKEN, 9, 0}};
    struct crash_history h = {0};
    uint64_t line[64], newest = generations;
    unsigned n = 0, kept = generations;

    for (unsigned i = 0; i < generations; i++)
        line[i] = i + 1; /* what the current one grew from, oldest first */
    for (; n < 64; n++) {
        const struct policy_fault *f = &faults[choices >> 2 * (n % 6) & 3];
        uint64_t bound, last = h.target;

        if (commits >> n % 6 & 1 && kept < 63)
            line[kept++] = ++newest;
        ck_assert_int_eq(policy_decide(&h, f, POLICY_ROLLBACK, n * SECOND, line[kept - 1], &bound),
                         ACTION_ROLL_BACK);
        while (kept > 0 && line[kept - 1] >= bound)
            kept--;
        if (kept == 0)
            return n;
        policy_rolled_back(&h, f, line[kept - 1], n * SECOND);
        ck_assert(n < POLICY_TRIES || h.target < last);
    }
    return n;
}

START_TEST(every_row_of_faults_ends)
{
    for (unsigned choices = 0; choices < 1u << 12; choices++)
        for (unsigned commits = 0; commits < 1u << 6; commits++)
            ck_assert_uint_le(breaks_at_once(choices, commits, 5), 5 + 2 * POLICY_TRIES);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy");
    TCase *tests = tcase_create("policy");

    tcase_add_test(tests, the_table_holds);
    tcase_add_test(tests, the_same_fault_soon_again_leads_farther);
    tcase_add_test(tests, later_is_forgiven);
    tcase_add_test(tests, what_was_made_meanwhile_is_not_given_up_at_once);
    tcase_add_test(tests, other_faults_are_let_through_a_few_times);
    tcase_add_test(tests, every_row_of_faults_ends);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
