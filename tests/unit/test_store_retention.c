// sources: ../../store ../crash/model.h
/*
 * Retention, against a plain statement of it: of all that was ever committed, the last ones, the
 * first of each recent minute, hour and day, the current one, and what the last rollback left.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "model.h"

#define MOST 6000u

struct made {
    uint64_t number, parent, seconds;
    bool kept;
};

struct history {
    struct made at[MOST];
    unsigned count;
    uint32_t last, minutes, hours, days;
};

static struct history history;

static bool first_in(const struct history *h, unsigned i, uint64_t unit)
{
    for (unsigned k = i; k-- > 0;)
        if (h->at[k].seconds / unit == h->at[i].seconds / unit)
            return false;
    return true;
}

static bool recent(const struct history *h, unsigned i, uint64_t unit, uint64_t keep)
{
    return h->at[h->count - 1].seconds / unit - h->at[i].seconds / unit < keep;
}

static const struct made *made(const struct history *h, uint64_t number)
{
    for (unsigned i = 0; i < h->count; i++)
        if (h->at[i].number == number)
            return &h->at[i];
    return NULL;
}

static bool descends(const struct history *h, uint64_t from, uint64_t number)
{
    for (const struct made *m = made(h, from); m; m = made(h, m->parent))
        if (m->number == number)
            return true;
    return false;
}

/** The newest one kept so far from which the one just made does not descend; count: none. */
static unsigned abandoned(const struct history *h)
{
    for (unsigned i = h->count; i-- > 0;)
        if (h->at[i].kept && !descends(h, h->at[h->count - 1].number, h->at[i].number))
            return i;
    return h->count;
}

/** What the one just made leaves of the others. */
static void expect(struct history *h)
{
    unsigned left = abandoned(h);

    for (unsigned i = 0; i < h->count; i++) {
        bool minute = recent(h, i, 60, h->minutes), hour = recent(h, i, 3600, h->hours);
        bool day = recent(h, i, 86400, h->days);

        h->at[i].kept &= h->count - i <= h->last || (i == left && (minute || hour || day)) ||
                         (minute && first_in(h, i, 60)) || (hour && first_in(h, i, 3600)) ||
                         (day && first_in(h, i, 86400));
    }
}

static void compare(struct store *st, const struct history *h)
{
    struct store_generation g;
    uint32_t index = 0;

    for (unsigned i = 0; i < h->count; i++) {
        if (!h->at[i].kept)
            continue;
        ck_assert_int_eq(store_generation(st, index++, &g), STORE_OK);
        ck_assert_msg(g.number == h->at[i].number, "generation %llu is kept, expected %llu (of %u)",
                      (unsigned long long)g.number, (unsigned long long)h->at[i].number, h->count);
    }
    ck_assert_int_eq(store_generation(st, index, &g), STORE_ABSENT);
}

static void commit_at(struct store *st, struct history *h, uint64_t seconds)
{
    uint64_t page[512] = {h->count + 1};
    struct store_info i;

    store_info(st, &i);
    ck_assert_int_eq(store_begin(st, i.next_generation), STORE_OK);
    ck_assert_int_eq(store_put(st, 1 + h->count % 9, OBJECT_PAGE, 1, page), STORE_OK);
    ck_assert_int_eq(store_commit(st, seconds * 1000000000ull, STORE_MADE_INTERVAL), STORE_OK);
    h->at[h->count++] = (struct made){i.next_generation, i.current, seconds, true};
}

static void go_back(struct store *st, uint64_t z)
{
    struct store_generation g;
    struct store_info i;
    uint64_t incarnation;

    store_info(st, &i);
    ck_assert_int_eq(store_generation(st, (uint32_t)(z % i.generations), &g), STORE_OK);
    ck_assert_int_eq(store_claim(st, g.number, 1, "test", 1, &incarnation), STORE_OK);
}

START_TEST(what_is_kept_is_what_should_be)
{
    static const struct {
        uint32_t last, minutes, hours, days;
        uint64_t step; /* seconds between commits, at the most */
    } policy[] = {{8, 60, 24, 30, 40}, {2, 0, 0, 0, 5},    {3, 5, 4, 2, 90},
                  {8, 60, 0, 0, 7},    {4, 0, 24, 0, 900}, {2, 3, 0, 7, 4000}};
    unsigned which = (unsigned)_i % 6;
    struct memory_disk *d = memory_disk_new(4096);
    struct store_io io = memory_disk_io(d);
    struct store_format_params p = {.name = "kept", .blocks = 4096};
    struct store_verify v = {0};
    uint64_t random = (uint64_t)_i + 1, seconds = 1000000;
    struct store *st;

    history = (struct history){.last = p.keep_last = policy[which].last,
                               .minutes = p.keep_minutes = policy[which].minutes,
                               .hours = p.keep_hours = policy[which].hours,
                               .days = p.keep_days = policy[which].days};
    ck_assert_int_eq(store_format(&io, &p, &st), STORE_OK);
    for (unsigned n = 0; n < 1500; n++) {
        uint64_t z = model_random_number(&random);

        if (n > 2 && z % 40 == 0)
            go_back(st, z >> 8);
        seconds += z >> 32 & 31 ? 1 + (z >> 8) % policy[which].step : (z >> 8) % 20000;
        commit_at(st, &history, seconds);
        expect(&history);
        compare(st, &history);
    }
    ck_assert_int_eq(store_verify(st, &v), STORE_OK);
    store_close(st);
    memory_disk_free(d);
}
END_TEST

START_TEST(by_default_so_many_are_kept)
{
    struct memory_disk *d = memory_disk_new(4096);
    struct store_io io = memory_disk_io(d);
    struct store_format_params p = {.name = "kept", .blocks = 4096};
    struct store_info i;
    struct store *st;

    ck_assert_int_eq(store_format(&io, &p, &st), STORE_OK);
    store_info(st, &i);
    ck_assert_uint_eq(i.keep_last, 8);
    ck_assert_uint_eq(i.keep_minutes, 60);
    ck_assert_uint_eq(i.keep_hours, 24);
    ck_assert_uint_eq(i.keep_days, 30);
    ck_assert_int_eq(store_set_retention(st, 8, 60, 24, 33), STORE_ARGUMENT);
    ck_assert_int_eq(store_set_retention(st, 8, 60, 24, UINT32_MAX), STORE_ARGUMENT);
    store_close(st);
    p.keep_last = 1;
    ck_assert_int_eq(store_format(&io, &p, &st), STORE_ARGUMENT);
    memory_disk_free(d);
}
END_TEST

/** A clock that goes back makes every generation the first of its minute. */
START_TEST(a_wrong_clock_fills_no_table)
{
    struct memory_disk *d = memory_disk_new(8192);
    struct store_io io = memory_disk_io(d);
    struct store_format_params p = {.name = "kept", .blocks = 8192};
    uint64_t random = 7;
    struct store_info i;
    struct store *st;

    history = (struct history){0};
    ck_assert_int_eq(store_format(&io, &p, &st), STORE_OK);
    for (unsigned n = 0; n < 1000; n++) {
        uint64_t z = model_random_number(&random);

        if (n > 2 && z % 8 == 0)
            go_back(st, z >> 8);
        commit_at(st, &history, 86400 * (2000 - n));
        store_info(st, &i);
        ck_assert_uint_le(i.generations, 8 + 60 + 24 + 30 + 2);
        ck_assert_uint_le(st->committed.head.generations, STORE_GENERATIONS_MAX);
    }
    store_close(st);
    memory_disk_free(d);
}
END_TEST

/** What a rollback left is there as long as an older generation may be, and then goes. */
START_TEST(what_was_abandoned_can_be_taken_up_for_a_while)
{
    struct memory_disk *d = memory_disk_new(8192);
    struct store_io io = memory_disk_io(d);
    struct store_format_params p = {
        .name = "kept", .blocks = 8192, .keep_last = 8, .keep_minutes = 10};
    struct store_generation g;
    struct store *st;
    uint64_t incarnation;

    history = (struct history){0};
    ck_assert_int_eq(store_format(&io, &p, &st), STORE_OK);
    for (unsigned n = 0; n < 100; n++)
        commit_at(st, &history, 6000 + n);
    ck_assert_int_eq(store_claim(st, 95, 1, "test", 1, &incarnation), STORE_OK);
    for (unsigned n = 0; n < 400; n++) {
        bool there = false;

        commit_at(st, &history, 6100 + 2 * n);
        for (uint32_t k = 0; store_generation(st, k, &g) == STORE_OK; k++)
            there |= g.number == 99;
        ck_assert(there == (6100 + 2 * n < 6600 + 60));
    }
    store_close(st);
    memory_disk_free(d);
}
END_TEST

/** What the district is about to go back to stays until it has. */
START_TEST(what_is_pinned_waits_to_be_claimed)
{
    struct memory_disk *d = memory_disk_new(8192);
    struct store_io io = memory_disk_io(d);
    struct store_format_params p = {.name = "kept", .blocks = 8192, .keep_last = 2};
    struct store_info i;
    struct store *st;
    uint64_t incarnation;

    history = (struct history){0};
    ck_assert_int_eq(store_format(&io, &p, &st), STORE_OK);
    for (unsigned n = 0; n < 10; n++)
        commit_at(st, &history, 6000 + n);
    ck_assert_int_eq(store_pin(st, 3), STORE_ABSENT);
    ck_assert_int_eq(store_pin(st, 8), STORE_OK);
    for (unsigned n = 0; n < 10; n++)
        commit_at(st, &history, 6010 + n);
    store_info(st, &i);
    ck_assert_uint_eq(i.generations, 3);
    ck_assert_int_eq(store_claim(st, 8, 1, "test", 1, &incarnation), STORE_OK);
    for (unsigned n = 0; n < 3; n++)
        commit_at(st, &history, 6020 + n);
    store_info(st, &i);
    ck_assert_uint_eq(i.generations, 2);
    store_close(st);
    memory_disk_free(d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("store retention");
    TCase *t = tcase_create("retention");

    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, what_is_kept_is_what_should_be, 0, 12);
    tcase_add_test(t, by_default_so_many_are_kept);
    tcase_add_test(t, a_wrong_clock_fills_no_table);
    tcase_add_test(t, what_was_abandoned_can_be_taken_up_for_a_while);
    tcase_add_test(t, what_is_pinned_waits_to_be_claimed);
    suite_add_tcase(s, t);
    return run_suite(s);
}
