// sources: ../../store ../crash/model.h
/*
 * What a store says of a bond: what is prepared is in doubt until it is said that it counts, and
 * keeps what it grew from; what is committed on top belongs to the same instant.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "model.h"

static struct memory_disk *disk;
static struct store *st;
static struct store_bond bond;

static struct store_info said(void)
{
    struct store_info info;

    store_info(st, &info);
    return info;
}

static void reopen(void)
{
    struct store_io io = memory_disk_io(disk);

    store_close(st);
    ck_assert_int_eq(store_open(&io, &st), STORE_OK);
}

static void claim(uint64_t generation)
{
    uint64_t incarnation;

    ck_assert_int_eq(store_claim(st, generation, 1, "test", 1, &incarnation), STORE_OK);
}

static void put(uint64_t value)
{
    uint64_t page[512] = {value};

    ck_assert_int_eq(store_begin(st, said().next_generation), STORE_OK);
    ck_assert_int_eq(store_put(st, 9, OBJECT_PAGE, 1, page), STORE_OK);
}

static void commit(uint64_t value)
{
    put(value);
    ck_assert_int_eq(store_commit(st, value, STORE_MADE_ASKED), STORE_OK);
}

static void commit_bonded(uint64_t instant)
{
    put(instant);
    ck_assert_int_eq(store_commit_bonded(st, instant, STORE_MADE_ASKED, &bond), STORE_OK);
}

static struct store_generation generation(uint64_t number)
{
    struct store_generation g = {0};

    for (uint32_t i = 0; store_generation(st, i, &g) == STORE_OK; i++)
        if (g.number == number)
            return g;
    ck_abort_msg("generation %llu is not kept", (unsigned long long)number);
    return g;
}

/** The second of three members; two generations are kept. */
static void setup(void)
{
    struct store_format_params p = {
        .id = {2}, .name = "b", .blocks = 400, .keep_last = 2, .keep_minutes = 0};
    struct store_io io;

    disk = memory_disk_new(400);
    io = memory_disk_io(disk);
    ck_assert_int_eq(store_format(&io, &p, &st), STORE_OK);
    bond = (struct store_bond){.id = {77}, .members = 3};
    for (unsigned i = 0; i < 3; i++) {
        bond.member[i].id[0] = (uint8_t)(i + 1);
        bond.member[i].name[0] = (char)('a' + i);
    }
    commit(1);
}

static void teardown(void)
{
    store_close(st);
    memory_disk_free(disk);
}

START_TEST(what_is_prepared_is_in_doubt_until_it_counts)
{
    ck_assert_uint_eq(said().instant, 0);
    ck_assert_uint_eq(said().bond.members, 0);
    commit_bonded(1000);
    reopen();
    ck_assert(said().in_doubt);
    ck_assert_uint_eq(said().instant, 1000);
    ck_assert_mem_eq(said().bond.member, bond.member, sizeof(bond.member));
    ck_assert_uint_eq(said().bond.last, 1000);
    claim(STORE_NEWEST); /* another server */
    ck_assert(said().in_doubt);
    ck_assert_int_eq(store_begin(st, 9), STORE_STATE);
    ck_assert_int_eq(store_drop(st, generation(1).ancestor), STORE_ARGUMENT);
    ck_assert_int_eq(store_set_bond(st, &bond), STORE_OK);
    reopen();
    ck_assert(!said().in_doubt);
    ck_assert_uint_eq(said().instant, 1000);
}
END_TEST

START_TEST(what_is_undone_leaves_what_it_grew_from)
{
    commit_bonded(1000);
    ck_assert_int_eq(store_set_bond(st, &bond), STORE_OK);
    commit_bonded(1001);
    claim(generation(said().current).ancestor);
    reopen();
    ck_assert(!said().in_doubt);
    ck_assert_uint_eq(said().instant, 1000);
    ck_assert_uint_eq(said().bond.last, 1001);
    claim(STORE_NEWEST);
    put(5);
    ck_assert_int_eq(store_commit_bonded(st, 1001, STORE_MADE_ASKED, &bond), STORE_ARGUMENT);
    store_abort(st);
    commit_bonded(1002);
    ck_assert_uint_eq(said().instant, 1002);
}
END_TEST

START_TEST(the_one_before_stays_although_others_are_newer)
{
    commit_bonded(1000);
    ck_assert_int_eq(store_set_bond(st, &bond), STORE_OK);
    for (uint64_t i = 1; i < 4; i++) { /* abandoned ones, which count as the last */
        commit_bonded(1000 + i);
        claim(1);
    }
    commit_bonded(1010);
    ck_assert_uint_eq(generation(1).instant, 1000);
    ck_assert_uint_eq(generation(said().current).ancestor, 1);
    ck_assert_int_eq(store_drop(st, 1), STORE_ARGUMENT);
}
END_TEST

START_TEST(the_home_decides_with_its_commit)
{
    bond.member[1].id[0] = 9;
    bond.member[0].id[0] = 2; /* it is us */
    commit_bonded(1000);
    ck_assert(!said().in_doubt);
    commit_bonded(1001);
    ck_assert_uint_eq(said().instant, 1001);
}
END_TEST

START_TEST(what_a_tool_commits_belongs_to_the_same_instant)
{
    commit_bonded(1000);
    ck_assert_int_eq(store_set_bond(st, &bond), STORE_OK);
    commit(5);
    ck_assert_uint_eq(said().instant, 1000);
    ck_assert_int_eq(store_set_bond(st, NULL), STORE_OK);
    reopen();
    ck_assert_uint_eq(said().bond.members, 0);
    claim(STORE_NEWEST);
    commit(6);
    ck_assert_uint_eq(said().instant, 0);
}
END_TEST

START_TEST(before_the_bond_there_is_none)
{
    commit_bonded(1000);
    claim(0);
    ck_assert_uint_eq(said().instant, 0);
    ck_assert(!said().in_doubt);
    commit(7);
    ck_assert_uint_eq(said().instant, 0);
}
END_TEST

START_TEST(impossible_bonds_are_refused)
{
    struct store_bond none = bond;

    none.members = 1;
    ck_assert_int_eq(store_set_bond(st, &none), STORE_ARGUMENT);
    none.members = STORE_BOND_MAX + 1;
    ck_assert_int_eq(store_set_bond(st, &none), STORE_ARGUMENT);
    none = bond;
    none.member[1].id[0] = 50; /* we are not in it */
    ck_assert_int_eq(store_set_bond(st, &none), STORE_ARGUMENT);
    put(1);
    ck_assert_int_eq(store_commit_bonded(st, 9, STORE_MADE_ASKED, &none), STORE_ARGUMENT);
    ck_assert_int_eq(store_set_bond(st, &bond), STORE_STATE);
}
END_TEST

START_TEST(nothing_changed_is_an_instant_as_well)
{
    struct store_verify v = {0};

    for (uint64_t i = 0; i < 20; i++) {
        ck_assert_int_eq(store_begin(st, said().next_generation), STORE_OK);
        ck_assert_int_eq(store_commit_bonded(st, 1000 + i, STORE_MADE_ASKED, &bond), STORE_OK);
        ck_assert_int_eq(store_set_bond(st, &bond), STORE_OK);
        ck_assert_uint_eq(said().instant, 1000 + i);
    }
    ck_assert_int_eq(store_verify(st, &v), STORE_OK);
    ck_assert_uint_eq(said().generations, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_bond");
    TCase *tests = tcase_create("bond");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, what_is_prepared_is_in_doubt_until_it_counts);
    tcase_add_test(tests, what_is_undone_leaves_what_it_grew_from);
    tcase_add_test(tests, the_one_before_stays_although_others_are_newer);
    tcase_add_test(tests, the_home_decides_with_its_commit);
    tcase_add_test(tests, what_a_tool_commits_belongs_to_the_same_instant);
    tcase_add_test(tests, before_the_bond_there_is_none);
    tcase_add_test(tests, impossible_bonds_are_refused);
    tcase_add_test(tests, nothing_changed_is_an_instant_as_well);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
