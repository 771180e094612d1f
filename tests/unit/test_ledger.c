// sources: ../../districts/bank/ledger.c
/*
 * The space bank's books: limits along the tree, returns, ends of banks, badges that never come
 * again.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "ledger.h"

static struct ledger ledger;
static struct bank *root;

static void setup(void)
{
    memset(&ledger, 0, sizeof(ledger));
    ledger_open(&ledger, BANK_UNLIMITED);
    root = ledger_find(&ledger, 0);
    ck_assert_ptr_nonnull(root);
}

/** Ends everything, so that nothing leaks. */
static void teardown(void)
{
    uint64_t start, count;

    while (ledger_end_step(&ledger, root, &start, &count)) {
    }
}

static struct bank *sub(struct bank *b, uint64_t limit)
{
    uint16_t badge;

    ck_assert_int_eq(ledger_sub(&ledger, b, limit, &badge), BW_OK);
    return ledger_find(&ledger, badge);
}

START_TEST(sales_are_counted_up_the_tree)
{
    struct bank *a = sub(root, 100), *b = sub(a, 1000);

    ck_assert_uint_eq(root->subs, 1);
    ck_assert_uint_eq(a->subs, 1);
    ck_assert_uint_eq(ledger_left(&ledger, b), 100);
    ck_assert_int_eq(ledger_sell(&ledger, b, 0, 60), BW_OK);
    ck_assert_int_eq(ledger_sell(&ledger, a, 60, 30), BW_OK);
    ck_assert_uint_eq(root->sold, 90);
    ck_assert_uint_eq(a->sold, 90);
    ck_assert_uint_eq(b->sold, 60);
    ck_assert_uint_eq(ledger_left(&ledger, b), 10);
    ck_assert_int_eq(ledger_sell(&ledger, b, 90, 11), BW_NOSPACE);
    ck_assert_int_eq(ledger_sell(&ledger, b, 90, 0), BW_ARGUMENT);
    ck_assert_int_eq(ledger_sell(&ledger, root, 90, BANK_BUY_MAX + 1), BW_ARGUMENT);
    ck_assert_uint_eq(root->sold, 90);
}
END_TEST

START_TEST(returns_must_match)
{
    struct bank *a = sub(root, 100);

    ck_assert_int_eq(ledger_sell(&ledger, a, 10, 20), BW_OK);
    ck_assert_int_eq(ledger_sell(&ledger, a, 30, 5), BW_OK);
    ck_assert(ledger_has(a, 10, 20));
    ck_assert(!ledger_has(root, 10, 20));
    ck_assert_int_eq(ledger_return(&ledger, a, 10, 19), BW_ABSENT);
    ck_assert_int_eq(ledger_return(&ledger, a, 11, 20), BW_ABSENT);
    ck_assert_int_eq(ledger_return(&ledger, root, 10, 20), BW_ABSENT);
    ck_assert_int_eq(ledger_return(&ledger, a, 10, 20), BW_OK);
    ck_assert_int_eq(ledger_return(&ledger, a, 10, 20), BW_ABSENT);
    ck_assert_uint_eq(a->sold, 5);
    ck_assert_uint_eq(root->sold, 5);
}
END_TEST

START_TEST(an_end_gives_back_everything_below)
{
    struct bank *a = sub(root, 1000), *b = sub(a, 1000), *c = sub(a, 1000), *d = sub(root, 50);
    uint16_t badges[] = {a->badge, b->badge, c->badge};
    uint64_t start, count, total = 0;

    ck_assert_int_eq(ledger_sell(&ledger, a, 0, 1), BW_OK);
    ck_assert_int_eq(ledger_sell(&ledger, b, 1, 2), BW_OK);
    ck_assert_int_eq(ledger_sell(&ledger, b, 3, 4), BW_OK);
    ck_assert_int_eq(ledger_sell(&ledger, c, 7, 8), BW_OK);
    ck_assert_int_eq(ledger_sell(&ledger, d, 15, 16), BW_OK);
    while (ledger_end_step(&ledger, a, &start, &count)) {
        ck_assert_uint_lt(start, 15);
        total += count;
    }
    ck_assert_uint_eq(total, 15);
    for (int i = 0; i < 3; i++)
        ck_assert_ptr_null(ledger_find(&ledger, badges[i]));
    ck_assert_ptr_eq(ledger_find(&ledger, d->badge), d);
    ck_assert_uint_eq(root->sold, 16);
    ck_assert_uint_eq(root->subs, 1);
}
END_TEST

START_TEST(badges_never_come_again)
{
    static bool seen[UINT16_MAX + 1];
    uint64_t start, count;
    uint16_t badge;
    unsigned made = 0;

    memset(seen, 0, sizeof(seen));
    while (ledger_sub(&ledger, root, 1, &badge) == BW_OK) {
        ck_assert(!seen[badge]);
        ck_assert_uint_ne(badge, 0);
        seen[badge] = true;
        made++;
        ck_assert(!ledger_end_step(&ledger, ledger_find(&ledger, badge), &start, &count));
        ck_assert_ptr_null(ledger_find(&ledger, badge));
    }
    ck_assert_uint_gt(made, 60000);
    ck_assert_uint_eq(root->subs, 0);
}
END_TEST

START_TEST(open_banks_have_a_limit)
{
    uint16_t badge;
    unsigned made = 0;

    while (ledger_sub(&ledger, root, 1, &badge) == BW_OK)
        made++;
    ck_assert_uint_eq(made, BANKS_MAX - 1);
    ck_assert_uint_eq(root->subs, BANKS_MAX - 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ledger");
    TCase *tests = tcase_create("ledger");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, sales_are_counted_up_the_tree);
    tcase_add_test(tests, returns_must_match);
    tcase_add_test(tests, an_end_gives_back_everything_below);
    tcase_add_test(tests, badges_never_come_again);
    tcase_add_test(tests, open_banks_have_a_limit);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
