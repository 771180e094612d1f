// sources: fake_mirror.h
/*
 * A mirrored store on two simulated disks: the power goes, or one of them fails, at every single
 * write and flush; each block of each copy is damaged; a copy that missed something is brought up
 * to date, and that is cut off everywhere, too. Whatever is acknowledged is there afterwards, and
 * each copy that is called up to date is a whole store of its own.
 */
#include "fake_mirror.h"

START_TEST(both_copies_are_whole_stores)
{
    fresh();
    for (unsigned n = 0; n < 30; n++)
        ck_assert_int_eq(commit(), STORE_OK);
    close_store();
    check_copies(3);
    ck_assert_int_eq(decide(3), MIRROR_BOTH);
    ck_assert_int_eq(open_store(), STORE_OK);
    check_state();
    close_store();
    ck_assert_uint_eq(damages, 0);
}
END_TEST

START_TEST(the_power_goes_at_every_operation)
{
    uint64_t last = 1;

    for (uint64_t at = 0; at < last; at++)
        for (unsigned how = 0; how < 9; how++) {
            srand((unsigned)at * 16 + how);
            fresh();
            ck_assert_int_eq(commit(), STORE_OK);
            operations = 0;
            cut_at = at;
            for (unsigned n = 0; n < 6 && commit() == STORE_OK; n++) {
            }
            last = power_off ? at + 2 : last;
            close_store();
            settle(&disks[0], how % 3);
            settle(&disks[1], how / 3);
            power_on();
            recover();
        }
    ck_assert_uint_gt(last, 100);
}
END_TEST

START_TEST(the_power_goes_again_while_it_comes_back)
{
    for (unsigned seed = 0; seed < 400; seed++) {
        srand(seed);
        fresh();
        ck_assert_int_eq(commit(), STORE_OK);
        for (unsigned cuts = 0; cuts < 4; cuts++) {
            operations = 0;
            cut_at = (uint64_t)rand() % 60;
            if (!store && decide(3) < MIRROR_ASK && open_store() == STORE_OK) {
                check_state();
                claim();
            }
            while (store && commit() == STORE_OK) {
            }
            close_store();
            settle(&disks[0], (unsigned)rand() % 3);
            settle(&disks[1], (unsigned)rand() % 3);
            power_on();
        }
        recover();
    }
}
END_TEST

/** One copy fails at its operation `at`. @return false if it did not come to that */
static bool lose(unsigned copy, uint64_t at)
{
    bool failed;

    fresh();
    ck_assert_int_eq(commit(), STORE_OK);
    disks[copy].operations = 0;
    disks[copy].fails_from = at;
    for (unsigned n = 0; n < 6 && commit() == STORE_OK; n++) {
    }
    failed = disks[copy].operations > at;
    return failed;
}

START_TEST(a_copy_fails_at_every_operation)
{
    for (unsigned copy = 0; copy < 2; copy++)
        for (uint64_t at = 0;; at++) {
            unsigned alone = 1u << !copy;

            srand((unsigned)at);
            if (!lose(copy, at))
                break;
            ck_assert_uint_eq(mirror_survive(&mirror), 1u << copy);
            close_store();
            ck_assert_int_eq(open_store(), STORE_OK);
            ck_assert_uint_eq(mirror_in_sync(&mirror), alone);
            check_state();
            ck_assert_int_eq(claim(), STORE_OK);
            for (unsigned n = 0; n < 3; n++)
                ck_assert_int_eq(commit(), STORE_OK);
            close_store();
            check_copies(alone);
            /* The survivor asks nobody; the other one does not pretend. */
            ck_assert_int_eq(decide(alone), MIRROR_ALONE);
            settle(&disks[copy], (unsigned)rand() % 3);
            power_on();
            ck_assert_int_eq(decide(1u << copy), MIRROR_ASK);
            ck_assert_int_eq(decide(3), MIRROR_STALE);
            ck_assert_uint_eq(mirror.decision.leader, !copy);
            recover();
            ck_assert_int_eq(decide(1u << copy), MIRROR_ASK);
        }
}
END_TEST

START_TEST(a_copy_fails_and_then_the_power)
{
    for (unsigned seed = 0; seed < 400; seed++) {
        unsigned copy = seed % 2;

        srand(seed);
        if (!lose(copy, (uint64_t)rand() % 60))
            continue;
        operations = 0;
        cut_at = (uint64_t)rand() % 20;
        mirror_survive(&mirror);
        close_store();
        if (open_store() == STORE_OK) {
            check_state();
            if (claim() == STORE_OK)
                commit();
        }
        close_store();
        settle(&disks[0], (unsigned)rand() % 3);
        settle(&disks[1], (unsigned)rand() % 3);
        power_on();
        recover();
    }
}
END_TEST

START_TEST(both_fail_now_and_then)
{
    unsigned alone = 0;

    for (unsigned seed = 0; seed < 200; seed++) {
        srand(seed);
        fresh();
        ck_assert_int_eq(commit(), STORE_OK);
        disks[0].fails_often = disks[1].fails_often = 90;
        for (unsigned n = 0; n < 40; n++) {
            if (store && commit() == STORE_OK)
                continue;
            close_store();
            mirror_survive(&mirror);
            if (open_store() != STORE_OK)
                continue;
            check_state();
            if (claim() != STORE_OK)
                close_store();
        }
        alone += mirror_in_sync(&mirror) != MIRROR_ALL;
        close_store();
        power_on();
        recover();
    }
    ck_assert_uint_gt(alone, 20);
}
END_TEST

START_TEST(bringing_up_to_date_is_cut_off_everywhere)
{
    uint64_t last = 1;

    for (uint64_t at = 0; at < last; at++) {
        unsigned copy = at % 2;

        srand((unsigned)at);
        ck_assert(lose(copy, 20));
        mirror_survive(&mirror);
        close_store();
        ck_assert_int_eq(open_store(), STORE_OK);
        check_state();
        ck_assert_int_eq(claim(), STORE_OK);
        ck_assert_int_eq(commit(), STORE_OK);
        close_store();
        power_on();
        ck_assert_int_eq(decide(3), MIRROR_STALE);
        cut_at = at;
        if (open_store() == STORE_OK && claim() == STORE_OK)
            resync();
        last = power_off ? at + 2 : last;
        close_store();
        settle(&disks[0], (unsigned)rand() % 3);
        settle(&disks[1], (unsigned)rand() % 3);
        power_on();
        /* Only the one that leads can be used alone, perhaps after a question. */
        ck_assert(decide(1u << !copy) == MIRROR_ALONE || mirror.decision.verdict == MIRROR_ASK);
        ck_assert_int_ne(decide(1u << copy), MIRROR_ALONE);
        recover();
    }
    ck_assert_uint_gt(last, 50);
}
END_TEST

START_TEST(each_block_of_a_copy_is_damaged)
{
    static uint8_t good[BLOCKS][STORE_BLOCK];

    srand(5);
    fresh();
    for (unsigned n = 0; n < 12; n++)
        ck_assert_int_eq(commit(), STORE_OK);
    close_store();
    for (unsigned copy = 0; copy < 2; copy++)
        for (unsigned block = 0; block < BLOCKS; block++) {
            struct store_verify v = {.repair = true};

            memcpy(good, disks[copy].now, sizeof(good));
            for (unsigned i = 0; i < STORE_BLOCK; i += 16)
                disks[copy].now[block][i] ^= 0x41;
            memcpy(disks[copy].durable, disks[copy].now, sizeof(good));
            ck_assert_int_ne(decide(3), MIRROR_SPLIT);
            ck_assert_int_eq(open_store(), STORE_OK);
            check_state();
            ck_assert_int_eq(store_verify(store, &v), STORE_OK);
            ck_assert_uint_eq(v.errors, v.repaired);
            ck_assert_int_eq(claim(), STORE_OK);
            ck_assert_int_eq(resync(), STORE_ABSENT);
            close_store();
            check_copies(3);
        }

    ck_assert_uint_gt(repaired, 60);
}
END_TEST

START_TEST(copies_that_ran_apart_are_not_mixed)
{
    fresh();
    ck_assert_int_eq(commit(), STORE_OK);
    close_store();
    for (unsigned c = 0; c < 2; c++) {
        ck_assert_int_eq(decide(1u << c), MIRROR_ASK);
        ck_assert_int_eq(open_store(), STORE_OK);
        check_state();
        ck_assert_int_eq(claim(), STORE_IO); /* before the user has said so */
        close_store();
        mirror_alone(&mirror);
        ck_assert_int_eq(open_store(), STORE_OK);
        ck_assert_int_eq(claim(), STORE_OK);
        close_store();
        ck_assert_int_eq(decide(1u << c), MIRROR_ALONE);
    }
    ck_assert_int_eq(decide(3), MIRROR_SPLIT);
    ck_assert_int_eq(open_store(), STORE_STATE);
}
END_TEST

/** The copy runs alone, and a new disk takes the other one's place. */
static void find_another(unsigned copy)
{
    struct store_io io = device(!copy);

    ck_assert_int_eq(decide(1u << copy), MIRROR_ASK);
    mirror_alone(&mirror);
    ck_assert_int_eq(open_store(), STORE_OK);
    ck_assert_int_eq(claim(), STORE_OK);
    memset(disks[!copy].now, 0, sizeof(disks[!copy].now));
    ck_assert_int_eq(mirror_add(&mirror, store, !copy, &io), STORE_OK);
    ck_assert_int_eq(resync(), STORE_ABSENT);
    close_store();
    ck_assert_int_eq(decide(3), MIRROR_BOTH);
}

START_TEST(halves_of_two_mirrors_are_not_put_together)
{
    static uint8_t first[BLOCKS][STORE_BLOCK], second[BLOCKS][STORE_BLOCK];

    fresh();
    ck_assert_int_eq(commit(), STORE_OK);
    close_store();
    memcpy(second, disks[1].now, sizeof(second));
    find_another(0);
    memcpy(first, disks[0].now, sizeof(first));
    memcpy(disks[1].now, second, sizeof(second));
    find_another(1);
    memcpy(disks[0].now, first, sizeof(first));
    ck_assert_int_eq(decide(3), MIRROR_SPLIT);
}
END_TEST

START_TEST(a_copy_comes_while_the_store_is_open)
{
    struct store_io io;

    fresh();
    ck_assert_int_eq(commit(), STORE_OK);
    close_store();
    decide(1);
    mirror_alone(&mirror);
    ck_assert_int_eq(open_store(), STORE_OK);
    ck_assert_int_eq(claim(), STORE_OK);
    ck_assert_int_eq(commit(), STORE_OK);
    memset(disks[1].now, 0x55, sizeof(disks[1].now)); /* a new disk, in place of the old one */
    io = device(1);
    io.blocks = BLOCKS - 1;
    ck_assert_int_eq(mirror_add(&mirror, store, 1, &io), STORE_TRUNCATED);
    io.blocks = BLOCKS;
    ck_assert_int_eq(mirror_add(&mirror, store, 0, &io), STORE_STATE);
    ck_assert_int_eq(mirror_add(&mirror, store, 1, &io), STORE_OK);
    ck_assert_uint_eq(mirror_behind(&mirror), 2);
    ck_assert_int_eq(commit(), STORE_OK);
    ck_assert_int_eq(resync(), STORE_ABSENT);
    ck_assert_uint_eq(mirror_behind(&mirror), 0);
    ck_assert_uint_eq(mirror_in_sync(&mirror), 3);
    close_store();
    check_copies(3);
    ck_assert_uint_eq(damages, 0);
}
END_TEST

START_TEST(what_no_copy_has_is_not_called_up_to_date)
{
    struct store_object o;
    uint8_t bytes[STORE_BLOCK];

    fresh();
    ck_assert_int_eq(commit(), STORE_OK);
    for (oid_t oid = 1;; oid++)
        if (store_get(store, STORE_NEWEST, oid, &o, bytes) == STORE_OK && o.bytes)
            break;
    close_store();
    decide(1);
    mirror_alone(&mirror);
    ck_assert_int_eq(open_store(), STORE_OK);
    close_store();
    disks[0].now[o.block][77]++;
    disks[1].now[o.block][77]++;
    ck_assert_int_eq(decide(3), MIRROR_STALE);
    ck_assert_int_eq(open_store(), STORE_OK);
    ck_assert_int_eq(store_scrub_begin(store, &scrub), STORE_OK);
    int r;
    while ((r = mirror_resync(&mirror, store, &scrub, 5)) == STORE_OK) {
    }
    ck_assert_int_eq(r, STORE_DAMAGED);
    ck_assert_uint_eq(mirror_in_sync(&mirror), 1);
    close_store();
}
END_TEST

START_TEST(who_belongs_together)
{
    struct store_io io[2] = {device(0), device(1)};
    struct mirror_look look[2], other;

    fresh();
    close_store();
    mirror_look(&io[0], &look[0]);
    mirror_look(&io[1], &look[1]);
    ck_assert(look[0].copy == 0 && look[1].copy == 1);
    ck_assert(mirror_pair(&look[0], &look[1]));
    ck_assert(!mirror_pair(&look[0], &look[0])); /* the same copy twice */
    other = look[1];
    other.id[3]++;
    ck_assert(!mirror_pair(&look[0], &other));
    other = look[1];
    other.info.copies = 1;
    ck_assert(!mirror_pair(&look[0], &other));
    memset(disks[1].now[8], 0xee, 4 * 32 * STORE_BLOCK); /* all of its roots */
    mirror_look(&io[1], &look[1]);
    ck_assert(look[1].label && look[1].error == STORE_DAMAGED);
    ck_assert_str_eq(look[1].name, "mirrored");
    ck_assert(mirror_pair(&look[0], &look[1]));
    ck_assert_int_eq(decide(3), MIRROR_ASK);
    memset(disks[1].now, 0, sizeof(disks[1].now));
    mirror_look(&io[1], &look[1]);
    ck_assert(!look[1].label && look[1].error == STORE_FOREIGN);
    ck_assert(!mirror_pair(&look[0], &look[1]));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mirror");
    TCase *tests = tcase_create("mirror");

    tcase_set_timeout(tests, 100);
    tcase_add_test(tests, both_copies_are_whole_stores);
    tcase_add_test(tests, the_power_goes_at_every_operation);
    tcase_add_test(tests, the_power_goes_again_while_it_comes_back);
    tcase_add_test(tests, a_copy_fails_at_every_operation);
    tcase_add_test(tests, a_copy_fails_and_then_the_power);
    tcase_add_test(tests, both_fail_now_and_then);
    tcase_add_test(tests, bringing_up_to_date_is_cut_off_everywhere);
    tcase_add_test(tests, each_block_of_a_copy_is_damaged);
    tcase_add_test(tests, copies_that_ran_apart_are_not_mixed);
    tcase_add_test(tests, halves_of_two_mirrors_are_not_put_together);
    tcase_add_test(tests, a_copy_comes_while_the_store_is_open);
    tcase_add_test(tests, what_no_copy_has_is_not_called_up_to_date);
    tcase_add_test(tests, who_belongs_together);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
