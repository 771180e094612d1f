// sources: ../../store ../crash/model.h
/*
 * The store library against a model of it: what every kept generation has, after any sequence of
 * operations, reopened again and again; and verification, which also compares the allocation map
 * with what is reachable, so that a block freed too early or never is seen.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

START_TEST(a_new_store_is_empty_and_knows_its_name)
{
    struct memory_disk *d = memory_disk_new(1024);
    struct model *m = model_new(d, 1024);
    struct store_info i;

    store_info(m->st, &i);
    ck_assert_str_eq(i.name, "model");
    ck_assert_uint_eq(i.blocks, 1024);
    ck_assert_uint_eq(i.generations, 0);
    ck_assert_uint_eq(i.next_generation, 0);
    ck_assert_uint_eq(i.incarnation, 0);
    model_free(m);
    memory_disk_free(d);
}
END_TEST

START_TEST(objects_come_back)
{
    struct memory_disk *d = memory_disk_new(4096);
    struct model *m = model_new(d, 4096);

    model_begin(m);
    for (oid_t oid = 1; oid <= 1000; oid++)
        model_put(m, oid * 7, OBJECT_PAGE, oid % 3 ? oid : 0);
    model_commit(m);
    model_check(m);
    model_reopen(m);
    model_check(m);
    ck_assert_uint_eq(model_verify(m), 0);
    model_free(m);
    memory_disk_free(d);
}
END_TEST

START_TEST(an_idle_commit_writes_nothing)
{
    struct memory_disk *d = memory_disk_new(1024);
    struct model *m = model_new(d, 1024);
    uint64_t writes, flushes;
    struct store_info before, after;

    model_begin(m);
    model_put(m, 5, OBJECT_PAGE, 1);
    model_commit(m);
    store_info(m->st, &before);
    writes = d->writes;
    flushes = d->flushes;
    ck_assert_int_eq(store_begin(m->st, 1), STORE_OK);
    ck_assert_int_eq(store_commit(m->st, 0, STORE_MADE_INTERVAL), STORE_OK);
    store_info(m->st, &after);
    ck_assert_uint_eq(d->writes, writes);
    ck_assert_uint_eq(d->flushes, flushes);
    ck_assert_uint_eq(after.newest, before.newest);
    model_free(m);
    memory_disk_free(d);
}
END_TEST

START_TEST(a_commit_takes_two_flushes_and_few_blocks)
{
    struct memory_disk *d = memory_disk_new(32768);
    struct model *m = model_new(d, 32768);
    uint64_t writes, flushes, most = 0, sum = 0;

    model_begin(m);
    for (oid_t oid = 1; oid <= 10000; oid++)
        model_put(m, oid, OBJECT_PAGE, oid);
    model_commit(m);
    for (unsigned i = 0; i < 300; i++) {
        writes = d->blocks_written;
        flushes = d->flushes;
        model_begin(m);
        model_put(m, 1 + i * 37 % 10000, OBJECT_PAGE, i + 1);
        model_commit(m);
        ck_assert_uint_eq(d->flushes - flushes, 2);
        writes = d->blocks_written - writes;
        sum += writes;
        most = writes > most ? writes : most;
    }
    /* one object, two levels of index, the root twice; now and then the map */
    ck_assert_uint_le(sum, 300 * 6);
    ck_assert_uint_le(most, 16);
    model_check(m);
    ck_assert_uint_eq(model_verify(m), 0);
    model_free(m);
    memory_disk_free(d);
}
END_TEST

START_TEST(random_operations_agree_with_the_model)
{
    uint64_t blocks = _i % 3 == 0 ? 512 : _i % 3 == 1 ? 2048 : 40000;
    struct memory_disk *d = memory_disk_new(blocks);
    struct model *m = model_new(d, blocks);

    model_random(m, (unsigned)_i + 1, 400);
    model_check(m);
    ck_assert_uint_eq(model_verify(m), 0);
    model_free(m);
    memory_disk_free(d);
}
END_TEST

START_TEST(going_back_forks_and_can_be_undone)
{
    struct memory_disk *d = memory_disk_new(2048);
    struct model *m = model_new(d, 2048);
    struct store_info i;

    for (unsigned g = 0; g < 6; g++) {
        model_begin(m);
        for (oid_t oid = 1; oid < 50; oid++)
            if (oid % 7 == g)
                model_put(m, oid, OBJECT_NODE, g * 100 + oid + 1);
        model_commit(m);
    }
    model_claim(m, 2);
    model_begin(m);
    model_put(m, 3, OBJECT_NODE, 77);
    model_commit(m);
    store_info(m->st, &i);
    ck_assert_uint_eq(i.newest, 6);
    model_check(m);
    model_claim(m, 5);
    model_begin(m);
    model_put(m, 4, OBJECT_NODE, 78);
    model_commit(m);
    model_check(m);
    /* the fork itself, and then one side of it */
    model_drop(m, 2);
    ck_assert_uint_eq(model_verify(m), 0);
    model_drop(m, 6);
    model_check(m);
    ck_assert_uint_eq(model_verify(m), 0);
    model_free(m);
    memory_disk_free(d);
}
END_TEST

START_TEST(a_full_store_says_so_and_goes_on)
{
    struct memory_disk *d = memory_disk_new(664);
    struct model *m = model_new(d, 664);
    int r = STORE_OK;

    model_begin(m);
    for (oid_t oid = 1; oid <= 100; oid++)
        model_put(m, oid, OBJECT_PAGE, oid);
    model_commit(m);
    ck_assert_int_eq(store_begin(m->st, 1), STORE_OK);
    for (oid_t oid = 1; oid <= 600 && r == STORE_OK; oid++) {
        uint64_t page[512] = {oid};

        r = store_put(m->st, oid, OBJECT_PAGE, 1, page);
    }
    ck_assert_int_eq(r, STORE_NOSPACE);
    store_abort(m->st);
    model_check(m);
    ck_assert_uint_eq(model_verify(m), 0);
    for (unsigned i = 0; i < 40; i++) {
        model_begin(m);
        for (oid_t oid = 1; oid <= 50; oid++)
            model_put(m, oid, OBJECT_PAGE, oid + i);
        model_commit(m);
    }
    model_check(m);
    ck_assert_uint_eq(model_verify(m), 0);
    model_free(m);
    memory_disk_free(d);
}
END_TEST

START_TEST(failures_of_the_nth_io_are_reported_and_harm_nothing)
{
    for (uint64_t n = 1;; n++) {
        struct memory_disk *d = memory_disk_new(600);
        struct model *m = model_new(d, 600);
        bool failed;

        d->quiet = true; /* a root's twin that cannot be read is reported */
        d->fail_at = d->operations + n;
        model_random(m, 99, 25);
        failed = d->operations >= d->fail_at;
        d->fail_at = 0;
        model_reopen(m);
        model_check(m);
        ck_assert_uint_eq(model_verify(m), 0);
        model_free(m);
        memory_disk_free(d);
        if (!failed)
            break;
    }
}
END_TEST

START_TEST(what_is_not_a_store_is_refused)
{
    struct memory_disk *d = memory_disk_new(512);
    struct store_io io = memory_disk_io(d);
    struct model *m;
    struct store *st;

    ck_assert_int_eq(store_open(&io, &st), STORE_FOREIGN);
    io.blocks = 0;
    ck_assert_int_eq(store_open(&io, &st), STORE_FOREIGN);
    memset(d->bytes, 0xff, 512 * STORE_BLOCK);
    io.blocks = 512;
    ck_assert_int_eq(store_open(&io, &st), STORE_FOREIGN);
    m = model_new(d, 512);
    model_begin(m);
    model_put(m, 1, OBJECT_PAGE, 1);
    model_commit(m);
    model_free(m);
    io.blocks = 511;
    ck_assert_int_eq(store_open(&io, &st), STORE_TRUNCATED);
    io.blocks = 20;
    ck_assert_int_eq(store_open(&io, &st), STORE_TRUNCATED);
    ck_assert_ptr_null(st);
    memory_disk_free(d);
}
END_TEST

START_TEST(bad_arguments_are_refused)
{
    struct memory_disk *d = memory_disk_new(512);
    struct model *m = model_new(d, 512);
    uint64_t incarnation;

    ck_assert_int_eq(store_put(m->st, 1, OBJECT_PAGE, 1, NULL), STORE_STATE);
    ck_assert_int_eq(store_commit(m->st, 0, STORE_MADE_ASKED), STORE_STATE);
    ck_assert_int_eq(store_claim(m->st, STORE_NEWEST, 1, "x", 0, &incarnation), STORE_ABSENT);
    model_begin(m);
    ck_assert_int_eq(store_begin(m->st, 9), STORE_STATE);
    ck_assert_int_eq(store_put(m->st, 0, OBJECT_PAGE, 1, NULL), STORE_ARGUMENT);
    ck_assert_int_eq(store_put(m->st, 1, OBJECT_NONE, 1, NULL), STORE_ARGUMENT);
    ck_assert_int_eq(store_put(m->st, 1, 9, 1, NULL), STORE_ARGUMENT);
    model_put(m, 1, OBJECT_PAGE, 1);
    model_commit(m);
    ck_assert_int_eq(store_begin(m->st, 0), STORE_ARGUMENT);
    ck_assert_int_eq(store_drop(m->st, 0), STORE_ARGUMENT);
    ck_assert_int_eq(store_drop(m->st, 17), STORE_ABSENT);
    ck_assert_int_eq(store_set_retention(m->st, 1, 0, 0, 0), STORE_ARGUMENT);
    model_free(m);
    memory_disk_free(d);
}
END_TEST

START_TEST(policy_is_kept)
{
    struct memory_disk *d = memory_disk_new(512);
    struct model *m = model_new(d, 512);
    struct store_info i;

    model_begin(m);
    model_put(m, 1, OBJECT_PAGE, 1);
    ck_assert_int_eq(store_set_interval(m->st, 12345), STORE_OK); /* even while one is begun */
    model_commit(m);
    ck_assert_int_eq(store_set_crash_policy(m->st, 2), STORE_OK);
    ck_assert_int_eq(model_try_autostart(m, false), STORE_OK);
    ck_assert_int_eq(model_try_autostart(m, true), STORE_OK);
    ck_assert_int_eq(store_set_share(m->st, 250), STORE_OK);
    ck_assert_int_eq(store_set_gated(m->st, true), STORE_OK);
    ck_assert_int_eq(store_set_gated(m->st, false), STORE_OK);
    ck_assert_int_eq(store_set_gated(m->st, true), STORE_OK);
    ck_assert_int_eq(store_set_retention(m->st, 8, 4, 5, 6), STORE_OK);
    model_reopen(m);
    store_info(m->st, &i);
    ck_assert_uint_eq(i.interval, 12345);
    ck_assert_uint_eq(i.crash_policy, 2);
    ck_assert(i.autostart && i.gated && !i.leaks && i.share == 250);
    ck_assert_uint_eq(i.keep_last, 8);
    ck_assert_uint_eq(i.keep_days, 6);
    model_check(m);
    model_free(m);
    memory_disk_free(d);
}
END_TEST

/** It belongs to no generation: not even to one that is being made, or gone back to. */
START_TEST(journal_stays)
{
    struct memory_disk *d = memory_disk_new(512);
    struct model *m = model_new(d, 512);
    uint8_t page[STORE_JOURNAL] = {1, 2, 3};
    struct store_info i;

    for (unsigned n = 0; n < 3; n++) {
        model_begin(m);
        model_put(m, 1, OBJECT_PAGE, n + 1);
        ck_assert_int_eq(model_try_journal(m), STORE_OK);
        model_commit(m);
        ck_assert_int_eq(model_try_journal(m), STORE_OK);
    }
    model_claim(m, 0);
    model_check(m);
    model_reopen(m);
    model_check(m);
    ck_assert_uint_eq(store_journal(m->st, page), 6);
    ck_assert_int_eq(store_set_journal(m->st, 6, page, 3), STORE_ARGUMENT);
    ck_assert_int_eq(store_set_journal(m->st, 9, page, STORE_JOURNAL + 1), STORE_ARGUMENT);
    page[0] = page[1] = page[2] = 5;
    ck_assert_int_eq(store_set_journal(m->st, 9, page, 3), STORE_OK);
    store_info(m->st, &i);
    ck_assert(i.journal == 3 && i.journal_sequence == 9);
    ck_assert_uint_eq(store_journal(m->st, page), 9);
    ck_assert(page[2] == 5 && page[3] == 0 && page[STORE_JOURNAL - 1] == 0);
    model_free(m);
    memory_disk_free(d);
}
END_TEST

/** What is not durable is not there. */
START_TEST(journal_that_cannot_be_written)
{
    struct memory_disk *d = memory_disk_new(512);
    struct model *m = model_new(d, 512);

    model_begin(m);
    model_put(m, 1, OBJECT_PAGE, 1);
    model_commit(m);
    ck_assert_int_eq(model_try_journal(m), STORE_OK);
    d->fail_at = d->operations + 1;
    ck_assert_int_eq(model_try_journal(m), STORE_IO);
    ck_assert_int_eq(model_try_journal(m), STORE_STATE);
    d->fail_at = 0;
    model_reopen(m);
    model_check(m);
    model_free(m);
    memory_disk_free(d);
}
END_TEST

START_TEST(taken_numbers_are_passed_over)
{
    struct memory_disk *d = memory_disk_new(512);
    struct model *m = model_new(d, 512);
    struct store_info i;

    model_begin(m);
    model_put(m, 1, OBJECT_PAGE, 1);
    ck_assert_int_eq(store_set_next(m->st, 9), STORE_STATE);
    model_commit(m);
    store_info(m->st, &i);
    ck_assert_int_eq(store_set_next(m->st, i.next_generation - 1), STORE_ARGUMENT);
    ck_assert_int_eq(store_set_next(m->st, UINT64_MAX), STORE_ARGUMENT);
    ck_assert_int_eq(store_set_next(m->st, 9), STORE_OK);
    model_reopen(m);
    store_info(m->st, &i);
    ck_assert_uint_eq(i.next_generation, 9);
    ck_assert_int_eq(store_claim(m->st, STORE_NEWEST, 1, "test", 1, &i.incarnation), STORE_OK);
    ck_assert_int_eq(store_begin(m->st, 8), STORE_ARGUMENT);
    ck_assert_int_eq(store_begin(m->st, 9), STORE_OK);
    model_free(m);
    memory_disk_free(d);
}
END_TEST

START_TEST(blocks_of_a_predecessors_claim_are_left_alone)
{
    struct memory_disk *d = memory_disk_new(4096);
    struct model *m = model_new(d, 4096);
    uint8_t *before = malloc(4096 * STORE_BLOCK);
    uint64_t first, last = 0;

    model_begin(m);
    model_put(m, 1, OBJECT_PAGE, 1);
    model_commit(m);
    /* An incarnation that writes without committing, as one that was cut off from its successor. */
    ck_assert_int_eq(store_begin(m->st, 1), STORE_OK);
    memcpy(before, d->bytes, 4096 * STORE_BLOCK);
    for (oid_t oid = 1; oid < 200; oid++) {
        uint64_t page[512] = {oid};

        ck_assert_int_eq(store_put(m->st, oid, OBJECT_PAGE, 1, page), STORE_OK);
    }
    for (first = 0;
         memcmp(before + first * STORE_BLOCK, d->bytes + first * STORE_BLOCK, STORE_BLOCK) == 0;)
        first++;
    for (uint64_t b = first; b < 4096; b++)
        if (memcmp(before + b * STORE_BLOCK, d->bytes + b * STORE_BLOCK, STORE_BLOCK) != 0)
            last = b;
    model_reopen(m);
    d->low = UINT64_MAX;
    d->high = 0;
    for (unsigned i = 0; i < 10; i++) {
        model_begin(m);
        for (oid_t oid = 1; oid < 20; oid++)
            model_put(m, oid, OBJECT_PAGE, oid + i);
        model_commit(m);
    }
    ck_assert_msg(d->low > last || d->high < first, "%llu..%llu written, %llu..%llu claimed",
                  (unsigned long long)d->low, (unsigned long long)d->high,
                  (unsigned long long)first, (unsigned long long)last);
    free(before);
    model_free(m);
    memory_disk_free(d);
}
END_TEST

static bool has(struct store *st, uint64_t from, uint64_t to)
{
    struct store_generation g;

    for (uint32_t i = 0; store_generation(st, i, &g) == STORE_OK; i++)
        if (g.time / 1000000000ull >= from && g.time / 1000000000ull < to)
            return true;
    return false;
}

START_TEST(older_generations_are_kept_ever_sparser)
{
    const uint64_t step = 20, end = 3 * 86400 + 4000;
    struct memory_disk *d = memory_disk_new(2048);
    struct model *m = model_new(d, 2048);
    struct store_info i;
    uint64_t n = 0, page[512] = {1};

    ck_assert_int_eq(store_set_retention(m->st, 3, 5, 4, 2), STORE_OK);
    for (uint64_t t = 0; t < end; t += step, n++) {
        ck_assert_int_eq(store_begin(m->st, n), STORE_OK);
        ck_assert_int_eq(store_put(m->st, 1 + n % 9, OBJECT_PAGE, 1, page), STORE_OK);
        ck_assert_int_eq(store_commit(m->st, t * 1000000000ull, STORE_MADE_INTERVAL), STORE_OK);
        if (n % 97)
            continue;
        store_info(m->st, &i);
        ck_assert_uint_le(i.generations, 3 + 5 + 4 + 2 + 1);
        for (uint64_t k = 1; k < 3 && k <= n; k++)
            ck_assert(has(m->st, t - k * step, t - k * step + 1));
        for (uint64_t k = 1; k < 5 && t >= k * 60; k++)
            ck_assert(has(m->st, (t / 60 - k) * 60, (t / 60 - k + 1) * 60));
        for (uint64_t k = 1; k < 4 && t >= k * 3600; k++)
            ck_assert(has(m->st, (t / 3600 - k) * 3600, (t / 3600 - k + 1) * 3600));
        for (uint64_t k = 1; k < 2 && t >= k * 86400; k++)
            ck_assert(has(m->st, (t / 86400 - k) * 86400, (t / 86400 - k + 1) * 86400));
    }
    ck_assert_uint_eq(model_verify(m), 0);
    model_free(m);
    memory_disk_free(d);
}
END_TEST

START_TEST(a_store_grows)
{
    struct memory_disk *d = memory_disk_new(100000);
    struct model *m = model_new(d, 512);
    int r = STORE_OK;

    model_begin(m);
    for (oid_t oid = 1; oid <= 200; oid++)
        model_put(m, oid, OBJECT_PAGE, oid);
    model_commit(m);
    ck_assert_int_eq(store_grow(m->st, 512), STORE_ARGUMENT);
    ck_assert_int_eq(store_grow(m->st, 100001), STORE_ARGUMENT);
    ck_assert_int_eq(model_try_grow(m, 100000), STORE_OK);
    ck_assert_uint_eq(model_verify(m), 0);
    model_begin(m);
    for (oid_t oid = 1; oid <= 5000 && r == STORE_OK; oid++)
        r = model_try_put(m, oid, OBJECT_PAGE, oid + 1);
    ck_assert_int_eq(r, STORE_OK);
    model_commit(m);
    model_reopen(m);
    model_check(m);
    ck_assert_uint_eq(model_verify(m), 0);
    model_free(m);
    memory_disk_free(d);
}
END_TEST

START_TEST(in_a_full_store_generations_can_be_dropped)
{
    struct memory_disk *d = memory_disk_new(600);
    struct model *m = model_new(d, 600);
    int r = STORE_OK;

    /* ever more objects, until even the least change does not fit */
    for (oid_t oid = 1; r == STORE_OK || m->state.count > 4; oid++) {
        r = model_try_begin(m);
        if (r == STORE_OK)
            r = model_try_put(m, oid, OBJECT_PAGE, oid);
        if (r == STORE_OK)
            r = model_try_put(m, oid + 1000, OBJECT_PAGE, oid);
        if (r == STORE_OK)
            r = model_try_commit(m);
        if (m->begun)
            model_abort(m);
        ck_assert(r == STORE_OK || r == STORE_NOSPACE);
    }
    while (m->state.count > 2)
        model_drop(m, m->state.kept[0].number);
    model_check(m);
    ck_assert_uint_eq(model_verify(m), 0);
    /* and what exists can go */
    model_begin(m);
    for (oid_t oid = 1; oid < 2000; oid++)
        ck_assert_int_eq(model_try_delete(m, oid), STORE_OK);
    r = model_try_commit(m);
    ck_assert_int_eq(r, STORE_OK);
    model_free(m);
    memory_disk_free(d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("store");
    TCase *t = tcase_create("store");

    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_new_store_is_empty_and_knows_its_name);
    tcase_add_test(t, objects_come_back);
    tcase_add_test(t, an_idle_commit_writes_nothing);
    tcase_add_test(t, a_commit_takes_two_flushes_and_few_blocks);
    tcase_add_loop_test(t, random_operations_agree_with_the_model, 0, 24);
    tcase_add_test(t, going_back_forks_and_can_be_undone);
    tcase_add_test(t, a_full_store_says_so_and_goes_on);
    tcase_add_test(t, failures_of_the_nth_io_are_reported_and_harm_nothing);
    tcase_add_test(t, what_is_not_a_store_is_refused);
    tcase_add_test(t, bad_arguments_are_refused);
    tcase_add_test(t, policy_is_kept);
    tcase_add_test(t, journal_stays);
    tcase_add_test(t, journal_that_cannot_be_written);
    tcase_add_test(t, taken_numbers_are_passed_over);
    tcase_add_test(t, blocks_of_a_predecessors_claim_are_left_alone);
    tcase_add_test(t, older_generations_are_kept_ever_sparser);
    tcase_add_test(t, a_store_grows);
    tcase_add_test(t, in_a_full_store_generations_can_be_dropped);
    suite_add_tcase(s, t);
    return run_suite(s);
}
