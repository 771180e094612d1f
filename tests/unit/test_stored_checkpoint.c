// sources: fake_district.h
/*
 * The store server's checkpoints: a district that changes all the time, a disk that fails now and
 * then, and people who ask. Whatever happens, each is answered once; what is committed is one
 * instant of the district, and not older than the question; and the store has it.
 */
#include "fake_district.h"

START_TEST(a_checkpoint_is_what_was_when_asked)
{
    change(400);
    ask();
    ck_assert(server.writing);
    change(50);
    finish();
    ck_assert_uint_eq(answered, 1);
    ck_assert_int_eq(last_code, BW_OK);
    ck_assert_uint_eq(last_generation, 1);
    check_store(district.durable);
    ck_assert_int_ne(memcmp(district.durable, district.now, sizeof(district.now)), 0);
}
END_TEST

START_TEST(nothing_changed_is_answered_at_once)
{
    uint64_t requests = driver.requests;

    ask();
    ck_assert(!server.writing);
    ck_assert_uint_eq(answered, 1);
    ck_assert_int_eq(last_code, BW_OK);
    ck_assert_uint_eq(last_generation, 0);
    ck_assert_uint_eq(driver.requests, requests);
}
END_TEST

START_TEST(who_asks_meanwhile_gets_the_next)
{
    change(400);
    checkpoint_begin(STORE_MADE_INTERVAL);
    change(10);
    ask();
    while (district.committed == 0) {
        ck_assert_uint_eq(answered, 0);
        checkpoint_step();
    }
    ck_assert_uint_eq(answered, 0);
    ck_assert(server.writing);
    finish();
    ck_assert_uint_eq(answered, 1);
    ck_assert_uint_eq(last_generation, 2);
    check_store(district.now);
}
END_TEST

START_TEST(an_end_answers_everybody)
{
    change(400);
    ask();
    checkpoint_step();
    ask();
    server.running = false;
    checkpoint_reset();
    ck_assert_uint_eq(answered, 2);
    ck_assert_int_eq(last_code, BW_REFUSED);
    ck_assert(!server.writing);
    check_store(district.durable);
}
END_TEST

START_TEST(a_broken_district_is_not_committed)
{
    change(2000);
    district.broken = true;
    ask();
    finish();
    ck_assert_uint_eq(answered, 1);
    ck_assert_int_ne(last_code, BW_OK);
    ck_assert_int_eq(last_ended, ENDED_BROKEN);
    ck_assert_uint_eq(district.committed, 0);
    check_store(district.durable);
}
END_TEST

START_TEST(failing_writes_lose_nothing)
{
    for (int round = 0; round < 200; round++) {
        uint64_t before = district.committed;

        change(1 + (unsigned)rand() % 200);
        if (rand() % 2)
            driver.fail_write = rand() % 30;
        else
            driver.fail_flush = rand() % 4;
        ask();
        change((unsigned)rand() % 20);
        finish();
        driver.fail_write = driver.fail_flush = 0;
        ck_assert_uint_eq(answered, asked);
        ck_assert_int_ne(last_ended, ENDED_BROKEN);
        if (last_code == BW_OK)
            ck_assert_uint_gt(district.committed, before);
        check_store(district.durable);
    }
    ck_assert_uint_gt(district.committed, 20);
}
END_TEST

START_TEST(what_is_frozen_after_a_crash_is_not_committed)
{
    change(400);
    district.crashed = true;
    ask();
    ck_assert(!server.writing);
    ck_assert(!district.snapshot);
    checkpoint_begin(STORE_MADE_INTERVAL);
    ck_assert(!server.writing);
    ck_assert_uint_eq(district.committed, 0);
    ck_assert_uint_eq(answered, 0);
    server.running = false;
    checkpoint_reset(); /* the district was ended */
    ck_assert_uint_eq(answered, 1);
    ck_assert_int_eq(last_code, BW_REFUSED);
}
END_TEST

/** A district whose policy is to continue, while districtd does not listen. */
START_TEST(a_crash_that_is_survived_loses_no_faults)
{
    district.wanted = 100;
    server.ended = ENDED_CRASHED;
    supply_wanted();
    ck_assert_uint_eq(district.wanted, 0);
    ck_assert_uint_eq(district.supplied, 100);
}
END_TEST

/** A disk on which nothing works for a while, from some request on. */
START_TEST(a_disk_that_comes_back_gets_everything)
{
    for (int round = 0; round < 60; round++) {
        uint64_t before = district.committed;
        unsigned told = events;

        change(1 + (unsigned)rand() % 200);
        driver.fail_from = 1 + rand() % 40;
        ask();
        change((unsigned)rand() % 20);
        finish();
        if (driver.fail_from < 0) {
            ck_assert_int_eq(last_code, BW_IO);
            ck_assert_uint_eq(district.committed, before);
            change(20);
            ask(); /* still not */
            finish();
            ck_assert_int_eq(last_code, BW_IO);
            ck_assert_uint_le(events, told + 1);
        }
        driver.fail_from = 0;
        change(1);
        ask();
        finish();
        ck_assert_int_eq(last_code, BW_OK);
        ck_assert_uint_eq(answered, asked);
        ck_assert_int_eq(last_ended, 0);
        ck_assert(!server.doomed);
        check_store(district.now);
    }
    ck_assert_uint_gt(events, 20);
}
END_TEST

START_TEST(old_generations_make_room)
{
    for (int round = 0; round < 100; round++) {
        struct store_info info;

        change(3000);
        ask();
        finish();
        ck_assert_uint_eq(answered, asked);
        ck_assert_int_eq(last_code, BW_OK);
        check_store(district.durable);
        store_info(server.store, &info);
        ck_assert_uint_ge(info.generations, 2);
        ck_assert(!district.full || info.generations == 2);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stored_checkpoint");
    TCase *tests = tcase_create("checkpoint");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_checkpoint_is_what_was_when_asked);
    tcase_add_test(tests, nothing_changed_is_answered_at_once);
    tcase_add_test(tests, who_asks_meanwhile_gets_the_next);
    tcase_add_test(tests, an_end_answers_everybody);
    tcase_add_test(tests, a_broken_district_is_not_committed);
    tcase_add_test(tests, failing_writes_lose_nothing);
    tcase_add_test(tests, what_is_frozen_after_a_crash_is_not_committed);
    tcase_add_test(tests, a_crash_that_is_survived_loses_no_faults);
    tcase_add_test(tests, a_disk_that_comes_back_gets_everything);
    tcase_add_test(tests, old_generations_make_room);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
