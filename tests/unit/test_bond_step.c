// sources: ../../districts/bond_step.c
/*
 * The protocol of a bond, step by step; tests/crash/bonds.c runs it over stores, and
 * tests/model/bond.pml has it in all orders.
 */
#include <check.h>
#include <stdlib.h>

#include "bond_step.h"

#define T 100u

static struct bond_round begun(unsigned members)
{
    struct bond_round r = {.members = members};

    ck_assert_int_eq(bond_step(&r, BOND_FROZEN, 0, T), BOND_NOTHING);
    return r;
}

START_TEST(the_home_commits_when_all_have_written)
{
    for (unsigned members = 2; members <= 4; members++)
        for (unsigned last = 0; last < members; last++) {
            struct bond_round r = begun(members);

            for (unsigned i = 0; i < members; i++)
                if (i != last) {
                    ck_assert_int_eq(bond_step(&r, BOND_READY, i, T), BOND_NOTHING);
                    ck_assert_int_eq(bond_step(&r, BOND_READY, i, T), BOND_NOTHING); /* again */
                }
            ck_assert_int_eq(bond_step(&r, BOND_READY, last, T), BOND_COMMIT);
            ck_assert_int_eq(bond_step(&r, BOND_READY, 0, T), BOND_COMMIT); /* it has not heard */
            ck_assert_int_eq(bond_step(&r, BOND_READY, 1, T), BOND_NOTHING);
            ck_assert_int_eq(bond_step(&r, BOND_AT, 1, T - 1), BOND_NOTHING);
            ck_assert_int_eq(bond_step(&r, BOND_AT, 0, T), BOND_KEEP);
            ck_assert_int_eq(r.phase, BOND_IDLE);
        }
}
END_TEST

START_TEST(one_who_cannot_undoes_it_for_all)
{
    for (unsigned who = 0; who < 3; who++) {
        struct bond_round r = begun(3);

        bond_step(&r, BOND_READY, (who + 1) % 3, T);
        ck_assert_int_eq(bond_step(&r, BOND_AT, who, T - 1), BOND_UNDO);
        ck_assert_int_eq(r.phase, BOND_IDLE);
        ck_assert_int_eq(bond_step(&r, BOND_READY, (who + 2) % 3, T), BOND_ASK);
    }
}
END_TEST

START_TEST(a_home_that_could_not_commit_undoes_it)
{
    struct bond_round r = begun(2);

    bond_step(&r, BOND_READY, 0, T);
    ck_assert_int_eq(bond_step(&r, BOND_READY, 1, T), BOND_COMMIT);
    ck_assert_int_eq(bond_step(&r, BOND_AT, 0, T - 1), BOND_UNDO);
    ck_assert_int_eq(r.phase, BOND_IDLE);
}
END_TEST

START_TEST(what_is_of_the_past_is_asked)
{
    struct bond_round r = {.members = 2};

    ck_assert_int_eq(bond_step(&r, BOND_READY, 1, T), BOND_ASK); /* a new coordinator */
    ck_assert_int_eq(bond_step(&r, BOND_AT, 0, T), BOND_NOTHING);
    r = begun(2);
    ck_assert_int_eq(bond_step(&r, BOND_READY, 1, T - 1), BOND_ASK);
    ck_assert_uint_eq(r.ready, 0);
    ck_assert_int_eq(bond_answer(1, T, T), BOND_KEEP);
    ck_assert_int_eq(bond_answer(1, T, T - 1), BOND_UNDO);
    ck_assert_int_eq(bond_answer(0, T, T - 1), BOND_UNDO);
    ck_assert_int_eq(bond_answer(0, T, T), BOND_UNDO); /* ready, so it has not committed */
}
END_TEST

START_TEST(a_restart_is_where_the_home_is)
{
    struct bond_seen s[3] = {{true, true, T}, {true, true, T + 1}, {true, true, T}};
    uint64_t instant;
    unsigned missing = 9;

    ck_assert_int_eq(bond_restart(s, 3, &instant, &missing), BOND_TOGETHER);
    ck_assert_uint_eq(instant, T);
    s[1].there = false;
    ck_assert_int_eq(bond_restart(s, 3, &instant, &missing), BOND_MISSING);
    ck_assert_uint_eq(missing, 1);
    s[1] = (struct bond_seen){true, false, 0}; /* has left */
    ck_assert_int_eq(bond_restart(s, 3, &instant, &missing), BOND_TOGETHER);
    s[2].bonded = false;
    ck_assert_int_eq(bond_restart(s, 3, &instant, &missing), BOND_OVER);
    s[0].there = false;
    ck_assert_int_eq(bond_restart(s, 3, &instant, &missing), BOND_MISSING);
    ck_assert_uint_eq(missing, 0);
    s[0] = (struct bond_seen){true, false, 0}; /* whoever else is missing, it is over */
    s[1].there = false;
    ck_assert_int_eq(bond_restart(s, 3, &instant, &missing), BOND_OVER);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bond_step");
    TCase *tests = tcase_create("steps");

    tcase_add_test(tests, the_home_commits_when_all_have_written);
    tcase_add_test(tests, one_who_cannot_undoes_it_for_all);
    tcase_add_test(tests, a_home_that_could_not_commit_undoes_it);
    tcase_add_test(tests, what_is_of_the_past_is_asked);
    tcase_add_test(tests, a_restart_is_where_the_home_is);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
