// sources: ../../store ../crash/model.h
/*
 * Scrubbing an open store, and two copies that mend each other: damage anywhere is found while the
 * store goes on, and what one copy lacks comes from the other.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "model.h"

#define BLOCKS 400u

/** The plainest mirror there can be. */
struct mirror {
    struct memory_disk *disk[2];
    bool missing[2];
    unsigned preferred;
    uint64_t damages, repaired;
    struct store_damage last;
};

static uint8_t *at(struct mirror *m, unsigned copy, uint64_t block)
{
    return m->disk[copy]->bytes + block * STORE_BLOCK;
}

static int mirror_read_copy(void *ctx, unsigned copy, uint64_t block, void *buf, size_t n)
{
    struct mirror *m = ctx;

    if (m->missing[copy])
        return -1;
    memcpy(buf, at(m, copy, block), n * STORE_BLOCK);
    return 0;
}

static int mirror_read(void *ctx, uint64_t block, void *buf, size_t n)
{
    struct mirror *m = ctx;

    return mirror_read_copy(ctx, m->missing[m->preferred] ? !m->preferred : m->preferred, block,
                            buf, n);
}

static int mirror_write(void *ctx, uint64_t block, const void *buf, size_t n)
{
    struct mirror *m = ctx;

    for (unsigned c = 0; c < 2; c++)
        if (!m->missing[c])
            memcpy(at(m, c, block), buf, n * STORE_BLOCK);
    return 0;
}

static int mirror_repair(void *ctx, unsigned copy, uint64_t block, const void *buf)
{
    struct mirror *m = ctx;

    if (m->missing[copy])
        return -1;
    memcpy(at(m, copy, block), buf, STORE_BLOCK);
    return 0;
}

static int mirror_flush(void *ctx)
{
    (void)ctx;
    return 0;
}

static void mirror_damage(void *ctx, const struct store_damage *d)
{
    struct mirror *m = ctx;

    m->damages++;
    m->repaired += d->repaired;
    m->last = *d;
}

static struct store_io mirror_io(struct mirror *m)
{
    return (struct store_io){.ctx = m,
                             .blocks = BLOCKS,
                             .read = mirror_read,
                             .write = mirror_write,
                             .flush = mirror_flush,
                             .damage = mirror_damage,
                             .copies = 2,
                             .read_copy = mirror_read_copy,
                             .repair = mirror_repair,
                             .fold_limit = 4,
                             .cache_blocks = 8};
}

static struct mirror mirror;
static struct model *model;

static void some_generations(void)
{
    for (unsigned g = 0; g < 5; g++) {
        model_begin(model);
        for (oid_t oid = 1; oid <= 30; oid++)
            if (g == 0 || oid % 5 == g)
                model_put(model, oid, OBJECT_PAGE, g * 100 + oid);
        model_commit(model);
    }
}

static void make_mirror(void)
{
    struct store_io io = mirror_io(&mirror);

    mirror = (struct mirror){.disk = {memory_disk_new(BLOCKS), memory_disk_new(BLOCKS)}};
    model = model_new_io(&io, BLOCKS);
    some_generations();
}

static void end_mirror(void)
{
    model_free(model);
    memory_disk_free(mirror.disk[0]);
    memory_disk_free(mirror.disk[1]);
}

static bool used(struct store *st, uint64_t block)
{
    int r;

    return map_used(st, block, &r);
}

/** All of it, in steps. @return the damage found */
static uint64_t scrub(struct store *st, uint64_t step, uint64_t *repaired)
{
    struct store_scrub s;
    unsigned steps = 0;
    int r;

    ck_assert_int_eq(store_scrub_begin(st, &s), STORE_OK);
    while ((r = store_scrub_step(st, &s, step)) == STORE_OK)
        ck_assert_uint_lt(steps++, 10000);
    ck_assert_int_eq(r, STORE_ABSENT);
    ck_assert_int_eq(store_scrub_step(st, &s, step), STORE_ABSENT);
    ck_assert_uint_ge(s.done, s.errors ? 0 : s.total);
    if (repaired)
        *repaired = s.repaired;
    return s.errors;
}

/* --- one copy --------------------------------------------------------------------------------- */

START_TEST(scrubbing_finds_damage_in_any_block)
{
    struct memory_disk *d = memory_disk_new(BLOCKS);
    struct store_io io = memory_disk_io(d);

    io.fold_limit = 4;
    model = model_new_io(&io, BLOCKS);
    some_generations();
    model_claim(model, 2);
    some_generations();
    d->quiet = true;
    for (uint64_t block = FIRST_DATA; block < BLOCKS; block++) {
        uint8_t *byte = d->bytes + block * STORE_BLOCK + block * 13 % STORE_BLOCK;

        ck_assert_uint_eq(scrub(model->st, 1 + block % 40, NULL), 0);
        *byte ^= 1;
        d->damages = 0;
        if (used(model->st, block)) {
            ck_assert_uint_eq(scrub(model->st, 1 + block % 40, NULL), d->damages);
            ck_assert_uint_ge(d->damages, 1);
            ck_assert_uint_eq(d->last.block, block);
        } else {
            ck_assert_uint_eq(scrub(model->st, 1 + block % 40, NULL), 0);
        }
        *byte ^= 1;
    }
    model_free(model);
    memory_disk_free(d);
}
END_TEST

/** Anything may happen to the store between two steps. */
START_TEST(scrubbing_goes_on_while_the_store_changes)
{
    struct memory_disk *d = memory_disk_new(20000);
    struct store_io io = memory_disk_io(d);
    uint64_t random = (uint64_t)_i + 3, steps = 0;
    struct store_object o;
    struct store_scrub s;

    io.fold_limit = 20;
    model = model_new_io(&io, 20000);
    model->disk = d;
    model_begin(model);
    for (oid_t oid = 1; oid <= 3000; oid++)
        model_put(model, oid, OBJECT_PAGE, oid);
    model_commit(model);
    /* damage in something that stays: a block far behind */
    ck_assert_int_eq(store_get(model->st, STORE_NEWEST, 2999, &o, NULL), STORE_OK);
    d->bytes[o.block * STORE_BLOCK + 99] ^= _i & 1;
    d->quiet = true;
    ck_assert_int_eq(store_scrub_begin(model->st, &s), STORE_OK);
    for (;;) {
        uint64_t z = model_random_number(&random), step = 1 + (z >> 16) % 60, before = s.done;

        if (store_scrub_step(model->st, &s, step) != STORE_OK)
            break;
        ck_assert_uint_lt(steps++, 100000);
        ck_assert_uint_le(s.done - before, step + NODE_ENTRIES + LEVEL_MAX);
        if (z % 4 == 0) {
            model_begin(model);
            for (unsigned i = 0; i < 20; i++)
                model_put(model, 1 + model_random_number(&random) % 2990, OBJECT_PAGE, 1 + i);
            model_commit(model);
        } else if (z % 16 == 1) {
            model_claim(model, model->state.kept[(z >> 8) % model->state.count].number);
        } else if (z % 16 == 2 && model->state.count > 2 &&
                   model->state.kept[0].number != model->state.current) {
            model_drop(model, model->state.kept[0].number);
        }
    }
    ck_assert_uint_eq(s.errors > 0, _i & 1);
    ck_assert_uint_ge(s.done, 2000); /* what was written over meanwhile is not */
    d->bytes[o.block * STORE_BLOCK + 99] ^= _i & 1;
    model_check(model);
    model_free(model);
    memory_disk_free(d);
}
END_TEST

START_TEST(what_cannot_be_read_is_damage)
{
    struct memory_disk *d = memory_disk_new(BLOCKS);
    struct store_io io = memory_disk_io(d);

    model = model_new_io(&io, BLOCKS);
    some_generations();
    d->quiet = true;
    for (uint64_t n = 1; n < 60; n++) {
        d->fail_at = d->operations + n;
        scrub(model->st, 7, NULL);
        d->fail_at = 0;
    }
    ck_assert_uint_gt(d->damages, 30);
    ck_assert_uint_eq(scrub(model->st, 7, NULL), 0);
    model_check(model);
    model_free(model);
    memory_disk_free(d);
}
END_TEST

/* --- two copies ------------------------------------------------------------------------------- */

static void reopen(void)
{
    model_reopen(model);
    mirror.damages = mirror.repaired = 0;
}

START_TEST(two_copies_are_the_same_but_for_their_number)
{
    struct store_info i;

    make_mirror();
    store_info(model->st, &i);
    ck_assert_uint_eq(i.copies, 2);
    ck_assert_uint_eq(i.in_sync, 3);
    ck_assert_mem_ne(at(&mirror, 0, 0), at(&mirror, 1, 0), STORE_BLOCK);
    ck_assert_mem_eq(at(&mirror, 0, 2), at(&mirror, 1, 2), (BLOCKS - 2) * STORE_BLOCK);
    ck_assert_uint_eq(scrub(model->st, 50, NULL), 0);
    ck_assert_uint_eq(mirror.damages, 0);
    end_mirror();
}
END_TEST

START_TEST(a_bad_block_is_read_from_the_other_copy_and_mended)
{
    make_mirror();
    for (unsigned c = 0; c < 2; c++)
        for (uint64_t block = FIRST_DATA; block < BLOCKS; block++) {
            uint8_t before[STORE_BLOCK];

            if (!used(model->st, block))
                continue;
            memcpy(before, at(&mirror, c, block), STORE_BLOCK);
            at(&mirror, c, block)[block * 7 % STORE_BLOCK] ^= 1;
            mirror.preferred = c;
            reopen();
            model_check(model);
            if (memcmp(before, at(&mirror, c, block), STORE_BLOCK) == 0)
                ck_assert_uint_eq(mirror.repaired, mirror.damages);
            else /* a block of the map, or freed by now: reading all objects does not meet it */
                memcpy(at(&mirror, c, block), before, STORE_BLOCK);
        }
    ck_assert_uint_eq(model_verify(model), 0);
    end_mirror();
}
END_TEST

START_TEST(scrubbing_and_verification_mend_both_copies)
{
    make_mirror();
    for (unsigned by = 0; by < 2; by++)
        for (unsigned c = 0; c < 2; c++)
            for (uint64_t block = 0; block < BLOCKS; block++) {
                struct store_verify v = {0};
                uint8_t before[STORE_BLOCK];
                uint64_t repaired;

                if (block < FIRST_DATA ? *(uint64_t *)at(&mirror, c, block) == 0
                                       : !used(model->st, block))
                    continue;
                memcpy(before, at(&mirror, c, block), STORE_BLOCK);
                at(&mirror, c, block)[50] ^= 1;
                mirror.damages = 0;
                if (by == 0) {
                    ck_assert_uint_eq(scrub(model->st, 9, &repaired), mirror.damages);
                    ck_assert_uint_eq(repaired, mirror.damages);
                } else {
                    ck_assert_int_eq(store_verify(model->st, &v), STORE_OK);
                    ck_assert_uint_eq(v.repaired, v.errors);
                }
                if (mirror.damages) {
                    ck_assert_uint_eq(mirror.last.block / 16, block / 16);
                    ck_assert_uint_eq(mirror.last.copy, c);
                    ck_assert_mem_eq(before, at(&mirror, c, block), STORE_BLOCK);
                } else { /* the slot of the next root, which nothing is expected of */
                    ck_assert_uint_lt(block, FIRST_DATA);
                    memcpy(at(&mirror, c, block), before, STORE_BLOCK);
                }
            }
    end_mirror();
}
END_TEST

START_TEST(what_is_bad_in_both_copies_is_damage)
{
    struct store_object o;
    uint64_t page[512];

    make_mirror();
    ck_assert_int_eq(store_get(model->st, STORE_NEWEST, 7, &o, page), STORE_OK);
    at(&mirror, 0, o.block)[7] ^= 1;
    at(&mirror, 1, o.block)[8] ^= 1;
    ck_assert_int_eq(store_get(model->st, STORE_NEWEST, 7, &o, page), STORE_DAMAGED);
    ck_assert_uint_eq(page[0], 0);
    ck_assert_uint_eq(mirror.damages, 2);
    ck_assert_uint_eq(mirror.repaired, 0);
    ck_assert_uint_ge(scrub(model->st, 9, NULL), 2);
    end_mirror();
}
END_TEST

START_TEST(a_reader_mends_nothing)
{
    struct store_io io = mirror_io(&mirror);
    struct store_verify v = {0};
    struct store_object o;
    uint64_t page[512];
    struct store *st;

    make_mirror();
    ck_assert_int_eq(store_get(model->st, STORE_NEWEST, 7, &o, page), STORE_OK);
    at(&mirror, 0, o.block)[7] ^= 1;
    ck_assert_int_eq(store_open(&io, &st), STORE_OK);
    ck_assert_int_eq(store_get(st, STORE_NEWEST, 7, &o, page), STORE_OK);
    ck_assert_int_eq(store_verify(st, &v), STORE_DAMAGED);
    ck_assert_uint_eq(mirror.repaired, 0);
    v.repair = true;
    ck_assert_int_eq(store_verify(st, &v), STORE_OK);
    ck_assert_uint_eq(v.repaired, 1);
    ck_assert_mem_eq(at(&mirror, 0, o.block), at(&mirror, 1, o.block), STORE_BLOCK);
    store_close(st);
    end_mirror();
}
END_TEST

START_TEST(one_copy_is_enough_and_says_that_it_is_alone)
{
    make_mirror();
    for (unsigned c = 0; c < 2; c++) {
        struct store_io io = memory_disk_io(mirror.disk[c]);
        uint64_t incarnation;
        struct store_info i;
        struct store *st;

        ck_assert_int_eq(store_open(&io, &st), STORE_OK);
        store_info(st, &i);
        ck_assert_uint_eq(i.copy, c);
        ck_assert_uint_eq(i.in_sync, 3);
        ck_assert_uint_eq(i.mirror_changes, 0);
        ck_assert_int_eq(store_claim(st, STORE_NEWEST, 1, "alone", 1, &incarnation), STORE_OK);
        store_info(st, &i);
        ck_assert_uint_eq(i.in_sync, 1u << c);
        ck_assert_uint_eq(i.mirror_changes, 1);
        store_close(st);
        ck_assert_int_eq(store_open(&io, &st), STORE_OK);
        ck_assert_int_eq(store_set_interval(st, 3), STORE_OK);
        store_info(st, &i);
        ck_assert_uint_eq(i.in_sync, 1u << c);
        ck_assert_uint_eq(i.mirror_changes, 1);
        store_close(st);
    }
    end_mirror();
}
END_TEST

START_TEST(a_copy_that_is_missing_is_no_damage)
{
    struct store_info i;

    make_mirror();
    for (unsigned c = 0; c < 2; c++) {
        mirror.missing[c] = true;
        mirror.damages = 0;
        ck_assert_int_eq(model_try_reopen(model), STORE_OK);
        ck_assert_uint_eq(mirror.damages, 0);
        ck_assert_int_eq(store_set_in_sync(model->st, 1u << !c), STORE_OK);
        store_info(model->st, &i);
        ck_assert_uint_eq(i.in_sync, 1u << !c);
        some_generations();
        ck_assert_uint_eq(scrub(model->st, 20, NULL), 0);
        model_check(model);
        /* it comes back, and gets everything */
        mirror.missing[c] = false;
        memcpy(at(&mirror, c, 2), at(&mirror, !c, 2), (BLOCKS - 2) * STORE_BLOCK);
        ck_assert_int_eq(store_set_in_sync(model->st, 3), STORE_OK);
        ck_assert_uint_eq(scrub(model->st, 20, NULL), 0);
    }
    store_info(model->st, &i);
    ck_assert_uint_eq(i.mirror_changes, 4);
    ck_assert_int_eq(store_set_in_sync(model->st, 3), STORE_OK);
    store_info(model->st, &i);
    ck_assert_uint_eq(i.mirror_changes, 4);
    ck_assert_int_eq(store_set_in_sync(model->st, 0), STORE_ARGUMENT);
    ck_assert_int_eq(store_set_in_sync(model->st, 4), STORE_ARGUMENT);
    end_mirror();
}
END_TEST

/** A root that reached one copy only, before a power cut, counts; the next write mends the other.
 */
START_TEST(a_root_on_one_copy_counts)
{
    struct store_info before, after;
    uint64_t slot;

    make_mirror();
    store_info(model->st, &before);
    slot = ROOT_FIRST + before.sequence % ROOT_SLOTS * ROOT_SLOT_BLOCKS;
    for (unsigned c = 0; c < 2; c++) {
        struct store_io io = mirror_io(&mirror);
        struct store *st;

        memset(at(&mirror, c, slot), 0, STORE_BLOCK);
        memset(at(&mirror, c, slot + ROOT_BLOCKS) + 512, 0, 512);
        ck_assert_int_eq(store_open(&io, &st), STORE_OK);
        store_info(st, &after);
        ck_assert_uint_eq(after.sequence, before.sequence);
        ck_assert_uint_eq(after.roots_lost, 2);
        ck_assert_int_eq(store_set_interval(st, 3), STORE_OK);
        ck_assert_mem_eq(at(&mirror, 0, slot), at(&mirror, 1, slot),
                         ROOT_SLOT_BLOCKS * STORE_BLOCK);
        store_info(st, &before);
        slot = ROOT_FIRST + before.sequence % ROOT_SLOTS * ROOT_SLOT_BLOCKS;
        store_close(st);
    }
    ck_assert_uint_eq(mirror.damages, 0);
    end_mirror();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("store scrub");
    TCase *t = tcase_create("scrub");

    tcase_set_timeout(t, 120);
    tcase_add_test(t, scrubbing_finds_damage_in_any_block);
    tcase_add_loop_test(t, scrubbing_goes_on_while_the_store_changes, 0, 6);
    tcase_add_test(t, what_cannot_be_read_is_damage);
    tcase_add_test(t, two_copies_are_the_same_but_for_their_number);
    tcase_add_test(t, a_bad_block_is_read_from_the_other_copy_and_mended);
    tcase_add_test(t, scrubbing_and_verification_mend_both_copies);
    tcase_add_test(t, what_is_bad_in_both_copies_is_damage);
    tcase_add_test(t, a_reader_mends_nothing);
    tcase_add_test(t, one_copy_is_enough_and_says_that_it_is_alone);
    tcase_add_test(t, a_copy_that_is_missing_is_no_damage);
    tcase_add_test(t, a_root_on_one_copy_counts);
    suite_add_tcase(s, t);
    return run_suite(s);
}
