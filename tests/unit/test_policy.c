// sources: ../../districts/policy.c
/*
 * Crash policy: the table in policy.c, and the limit on rollbacks.
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
        {ENDED_DAMAGED, POLICY_ROLLBACK, ACTION_STOP},
        {ENDED_DAMAGED, POLICY_CONTINUE, ACTION_STOP},
        {ENDED_STORE, POLICY_ROLLBACK, ACTION_STOP},
        {ENDED_STORE, POLICY_CONTINUE, ACTION_STOP},
        {ENDED_CRASHED, 77, ACTION_ROLL_BACK}, /* a store may say anything */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct crash_history h = {0};
        ck_assert_int_eq(policy_decide(&h, cases[i].why, cases[i].policy, SECOND), cases[i].action);
        ck_assert_uint_eq(h.count, cases[i].action == ACTION_ROLL_BACK);
    }
}
END_TEST

START_TEST(rollbacks_have_a_limit)
{
    struct crash_history h = {0};

    for (unsigned i = 0; i < POLICY_ROLLBACKS; i++)
        ck_assert_int_eq(policy_decide(&h, ENDED_CRASHED, POLICY_ROLLBACK, (i + 1) * SECOND),
                         ACTION_ROLL_BACK);
    ck_assert_uint_eq(policy_recent(&h, 10 * SECOND), POLICY_ROLLBACKS);
    ck_assert_int_eq(policy_decide(&h, ENDED_CRASHED, POLICY_ROLLBACK, 10 * SECOND), ACTION_STOP);
    ck_assert_int_eq(policy_decide(&h, ENDED_BROKEN, POLICY_CONTINUE, 60 * SECOND), ACTION_STOP);
}
END_TEST

START_TEST(rollbacks_are_forgiven_in_time)
{
    struct crash_history h = {0};

    for (unsigned i = 0; i < 50; i++)
        ck_assert_int_eq(policy_decide(&h, ENDED_CRASHED, POLICY_ROLLBACK, i * 30 * SECOND),
                         ACTION_ROLL_BACK);
    ck_assert_uint_eq(policy_recent(&h, 50 * 30 * SECOND), 1);
    ck_assert_uint_eq(policy_recent(&h, 100 * 30 * SECOND), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy");
    TCase *tests = tcase_create("policy");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, the_table_holds);
    tcase_add_test(tests, rollbacks_have_a_limit);
    tcase_add_test(tests, rollbacks_are_forgiven_in_time);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
