// sources: fake_district.h
/*
 * The store server's checkpoints of a district that is bonded: frozen together with others, and
 * committed or undone as it is told, as the home or as another member.
 */
#include "fake_district.h"

static const struct bond_line none;

/** The first or the second of two. @param self which one we are */
static void join(unsigned self)
{
    struct bond_line line = {.id = {5, 6}, .members = 2};
    struct message m = {.code = STORE_BOND, .word = {STORE_BOND_JOIN}, .length = sizeof(line)};
    struct message reply = {0};

    line.member[!self].id[0] = 99; /* the id of our store is 0 */
    ck_assert(bond_serve(&m, &line, &reply));
    ck_assert_int_eq(reply.code, BW_OK);
    ck_assert(server.bonded);
}

static void order(enum store_bond_order what, uint64_t a, uint64_t b, const void *string,
                  size_t length)
{
    struct message m = {.code = STORE_BOND, .word = {what, a, b}, .length = length}, reply = {0};

    bond_serve(&m, string, &reply);
}

/** @param late how many ask between the freezing and our hearing of it */
static void freeze_together(uint64_t instant, unsigned late)
{
    struct message m = {.code = DISTRICT_SNAPSHOT};
    struct district_frozen f;
    bw_time_t then = bw_monotonic();

    ck_assert_int_eq(order_snapshot(&m), BW_OK);
    while (late-- > 0)
        ask();
    f = (struct district_frozen){m.word[0], m.word[1], m.word[2]};
    order(STORE_BOND_WRITE, instant, then, &f, sizeof(f));
    while (server.writing && server.bond.what != BONDED_READY)
        checkpoint_step();
}

static struct store_info said(void)
{
    struct store_info info;

    store_info(server.store, &info);
    return info;
}

START_TEST(nobody_is_frozen_alone_in_a_bond)
{
    join(1);
    ck_assert_int_eq(server.bond.what, BONDED_AT);
    change(100);
    ask();
    ck_assert(!server.writing && !district.snapshot);
    ck_assert(server.bond_asks);
    freeze_together(1000, 0);
    ck_assert_int_eq(server.bond.what, BONDED_READY);
    ck_assert_uint_eq(server.bond.instant, 1000);
    ck_assert(said().in_doubt);
    ck_assert_uint_eq(district.committed, 0);
    ck_assert_uint_eq(answered, 0);
    order(STORE_BOND_COMMIT, 999, 0, NULL, 0);
    order(STORE_BOND_KEEP, 999, 0, NULL, 0);
    ck_assert_uint_eq(district.committed, 0);
    order(STORE_BOND_KEEP, 1000, 0, NULL, 0);
    ck_assert_uint_eq(district.committed, 1);
    ck_assert_uint_eq(answered, 1);
    ck_assert_int_eq(last_code, BW_OK);
    ck_assert(!said().in_doubt);
    ck_assert_int_eq(server.bond.what, BONDED_AT);
    ck_assert_uint_eq(server.bond.instant, 1000);
    ask();
    order(STORE_BOND_CLEAN, 0, bw_monotonic(), NULL, 0);
    ck_assert_uint_eq(answered, 2);
    order(STORE_BOND_SET, 0, 0, &none, sizeof(none));
    ck_assert(!server.bonded);
}
END_TEST

/** What is committed must not be older than the question. */
START_TEST(who_asks_after_the_freeze_waits_for_the_next)
{
    join(1);
    change(100);
    ask();
    freeze_together(1000, 1);
    order(STORE_BOND_KEEP, 1000, 0, NULL, 0);
    ck_assert_uint_eq(answered, 1);
    ck_assert(server.bond_asks);
    bw_time_t before = bw_monotonic();
    ask();
    order(STORE_BOND_CLEAN, 0, before, NULL, 0);
    ck_assert_uint_eq(answered, 2);
    change(101);
    freeze_together(2000, 0);
    order(STORE_BOND_KEEP, 2000, 0, NULL, 0);
    ck_assert_uint_eq(answered, 3);
}
END_TEST

START_TEST(the_home_commits_when_it_is_told)
{
    join(0);
    change(100);
    ask();
    freeze_together(1000, 0);
    ck_assert_int_eq(server.bond.what, BONDED_READY);
    ck_assert_uint_eq(said().instant, 0);
    order(STORE_BOND_COMMIT, 1000, 0, NULL, 0);
    ck_assert_uint_eq(said().instant, 1000);
    ck_assert(!said().in_doubt);
    ck_assert_uint_eq(district.committed, 1);
    ck_assert_uint_eq(answered, 1);
    ck_assert_int_eq(server.bond.what, BONDED_AT);
    check_store(district.durable);
}
END_TEST

/** Whatever fails and is decided, the store has what counts, and each who asks is answered once. */
static void bonded_history(unsigned self)
{
    unsigned kept = 0, undone = 0, could_not = 0;

    join(self);
    for (uint64_t instant = 1000; instant < 1300; instant++) {
        change(1 + (unsigned)rand() % 200);
        if (rand() % 3 == 0)
            driver.fail_write = rand() % 30;
        else if (rand() % 3 == 0)
            driver.fail_flush = rand() % 5;
        if (answered == asked)
            ask();
        freeze_together(instant, 0);
        change((unsigned)rand() % 20);
        if (!server.writing) {
            could_not++;
            ck_assert_int_eq(server.bond.what, BONDED_AT);
            ck_assert_uint_ne(server.bond.instant, instant);
        } else if (rand() % 3 == 0) {
            undone++;
            order(STORE_BOND_UNDO, 0, (uint64_t)(rand() % 2 ? 0 : BW_NOSPACE), NULL, 0);
            ck_assert(!server.writing && !district.snapshot);
        } else {
            order(self ? STORE_BOND_KEEP : STORE_BOND_COMMIT, instant, 0, NULL, 0);
            kept += district.committed == district.epoch - 1;
        }
        driver.fail_write = driver.fail_flush = 0;
        ck_assert(!server.writing);
        ck_assert_uint_le(answered, asked);
        if (!server.reopen && !said().in_doubt)
            check_store(district.durable);
    }
    ck_assert_uint_gt(kept, 60);
    ck_assert_uint_gt(undone, 40);
    ck_assert_uint_gt(could_not, 4);
}

START_TEST(a_bonded_history_of_a_member)
{
    bonded_history(1);
}
END_TEST

START_TEST(a_bonded_history_of_a_home)
{
    bonded_history(0);
}
END_TEST

/** Nobody waits for ever for a checkpoint that his bond does not make. */
START_TEST(who_waits_is_not_forgotten)
{
    join(1);
    change(100);
    ask();
    freeze_together(1000, 0);
    server.bond_asks = false;
    order(STORE_BOND_UNDO, 0, 0, NULL, 0);
    ck_assert_uint_eq(answered, 0);
    ck_assert(server.bond_asks);
    order(STORE_BOND_SET, 0, 0, &none, sizeof(none));
    ck_assert(server.writing);
    finish();
    ck_assert_uint_eq(answered, 1);
    ck_assert_int_eq(last_code, BW_OK);
    check_store(district.durable);
}
END_TEST

/** While nobody can tell whether the decision was made, it is not taken back. */
START_TEST(a_home_that_cannot_tell_waits)
{
    join(0);
    change(100);
    ask();
    freeze_together(1000, 0);
    driver.fail_from = 1;
    order(STORE_BOND_COMMIT, 1000, 0, NULL, 0);
    ck_assert(server.writing && district.snapshot);
    order(STORE_BOND_UNDO, 0, 0, NULL, 0);
    ck_assert(server.writing && district.snapshot);
    fake_now = server.next + 1;
    checkpoint_step();
    ck_assert(server.writing);
    ck_assert_uint_eq(answered, 0);
    driver.fail_from = 0;
    fake_now = server.next + 1;
    checkpoint_step();
    ck_assert(!server.writing && !district.snapshot);
    ck_assert_int_eq(server.bond.what, BONDED_AT);
    check_store(district.durable);
}
END_TEST

START_TEST(a_server_that_follows_waits_for_the_word)
{
    join(1);
    change(100);
    freeze_together(1000, 0);
    ck_assert(said().in_doubt);
    ck_assert_int_eq(server_open_store(), STORE_OK); /* the next one: knows what the disk has */
    server.writing = false;
    checkpoint_reset();
    bond_open();
    ck_assert(server.bonded);
    checkpoint_prepared(district.frozen_epoch, said().instant);
    ck_assert_int_eq(server.bond.what, BONDED_READY);
    ck_assert_uint_eq(server.bond.instant, 1000);
    order(STORE_BOND_KEEP, 1000, 0, NULL, 0);
    ck_assert_uint_eq(district.committed, district.frozen_epoch);
    check_store(district.durable);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stored_bond");
    TCase *tests = tcase_create("bond");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, nobody_is_frozen_alone_in_a_bond);
    tcase_add_test(tests, who_asks_after_the_freeze_waits_for_the_next);
    tcase_add_test(tests, the_home_commits_when_it_is_told);
    tcase_add_test(tests, a_bonded_history_of_a_member);
    tcase_add_test(tests, a_bonded_history_of_a_home);
    tcase_add_test(tests, who_waits_is_not_forgotten);
    tcase_add_test(tests, a_home_that_cannot_tell_waits);
    tcase_add_test(tests, a_server_that_follows_waits_for_the_word);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
