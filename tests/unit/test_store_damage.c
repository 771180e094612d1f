// sources: ../../store ../crash/model.h
/*
 * Damage: a byte that turns, anywhere in a store, is found and named if anything needs it, and
 * whatever is in the bytes, nothing crashes.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "model.h"

#define BLOCKS 300u

static struct memory_disk *disk;
static struct model *model;

/** A store with several generations, whose map has blocks of its own. */
static void make_store(void)
{
    struct store_io io;

    disk = memory_disk_new(BLOCKS);
    io = memory_disk_io(disk);
    io.fold_limit = 1;
    model = model_new_io(&io, BLOCKS);
    model->disk = disk;
    for (unsigned g = 0; g < 5; g++) {
        model_begin(model);
        for (oid_t oid = 1; oid <= 30; oid++)
            if (g == 0 || oid % 5 == g)
                model_put(model, oid, OBJECT_PAGE, g * 100 + oid);
        model_commit(model);
    }
    disk->quiet = true;
}

static void end_store(void)
{
    model_free(model);
    memory_disk_free(disk);
}

/** Opens and verifies what is on the disk now. @return what verification says, or why it does not
 * open */
static int look(void)
{
    struct store_io io = memory_disk_io(disk);
    struct store_verify v = {0};
    struct store *st;
    int r = store_open(&io, &st);

    if (r)
        return r;
    r = store_verify(st, &v);
    store_close(st);
    return r;
}

static bool used(uint64_t block)
{
    int r;

    return map_used(model->st, block, &r);
}

START_TEST(a_byte_that_turns_is_found)
{
    make_store();
    ck_assert_int_eq(look(), STORE_OK);
    for (uint64_t block = FIRST_DATA; block < BLOCKS; block++)
        for (size_t at = block % 61; at < STORE_BLOCK; at += 61) {
            uint8_t *byte = disk->bytes + block * STORE_BLOCK + at;

            *byte ^= (uint8_t)(1 + at % 255);
            disk->damages = 0;
            ck_assert_int_eq(look(), used(block) ? STORE_DAMAGED : STORE_OK);
            ck_assert(used(block) == (disk->damages > 0));
            *byte ^= (uint8_t)(1 + at % 255);
            if (!used(block))
                break;
        }
    end_store();
}
END_TEST

static uint8_t *root_byte(uint64_t sequence, unsigned twin, size_t at)
{
    return disk->bytes +
           (ROOT_FIRST + sequence % ROOT_SLOTS * ROOT_SLOT_BLOCKS + twin * ROOT_BLOCKS) *
               STORE_BLOCK +
           at;
}

START_TEST(a_torn_root_gives_way_to_the_one_before)
{
    struct store_info now, then;
    struct store_io io;
    struct store *st;

    make_store();
    store_info(model->st, &now);
    io = memory_disk_io(disk);
    for (size_t at = 0; at < 700; at += 3) {
        *root_byte(now.sequence, 0, at) ^= 0x5a;
        *root_byte(now.sequence, 1, at) ^= 0x5a;
        disk->damages = 0;
        ck_assert_int_eq(store_open(&io, &st), STORE_OK);
        store_info(st, &then);
        ck_assert_uint_eq(then.sequence, now.sequence - 1);
        ck_assert_uint_eq(disk->damages, 0);
        store_close(st);
        *root_byte(now.sequence, 0, at) ^= 0x5a;
        *root_byte(now.sequence, 1, at) ^= 0x5a;
    }
    for (unsigned slot = 0; slot < ROOT_SLOTS * ROOT_TWINS; slot++)
        disk->bytes[(ROOT_FIRST + slot * ROOT_BLOCKS) * STORE_BLOCK + 20] ^= 1;
    ck_assert_int_eq(store_open(&io, &st), STORE_DAMAGED);
    ck_assert_uint_gt(disk->damages, 0);
    end_store();
}
END_TEST

/** A twin of the newest root may be torn: that is no damage, and the next write mends it. */
START_TEST(one_twin_of_a_root_is_enough)
{
    struct store_info now, then;
    struct store_io io;
    struct store *st;

    make_store();
    store_info(model->st, &now);
    io = memory_disk_io(disk);
    for (size_t at = 0; at < 700; at += 3) {
        uint8_t *byte = root_byte(now.sequence, at & 1, at);

        *byte ^= 0x5a;
        disk->damages = 0;
        ck_assert_int_eq(store_open(&io, &st), STORE_OK);
        store_info(st, &then);
        ck_assert_uint_eq(then.sequence, now.sequence);
        ck_assert_uint_eq(then.roots_lost, 1);
        ck_assert_uint_eq(disk->damages, 0);
        store_close(st);
        *byte ^= 0x5a;
    }
    *root_byte(now.sequence, 0, 77) ^= 1;
    ck_assert_int_eq(store_open(&io, &st), STORE_OK);
    ck_assert_int_eq(store_set_interval(st, 5), STORE_OK);
    store_close(st);
    ck_assert_mem_eq(root_byte(now.sequence, 0, 0), root_byte(now.sequence, 1, 0), STORE_BLOCK);
    ck_assert_int_eq(store_open(&io, &st), STORE_OK);
    store_info(st, &then);
    ck_assert_uint_eq(then.sequence, now.sequence + 1);
    ck_assert_uint_eq(then.roots_lost, 0);
    store_close(st);
    end_store();
}
END_TEST

/** A disk that tells of a write's failure later, as most do: a twin counts as mended when it is there. */
START_TEST(a_twin_is_mended_until_it_is_there)
{
    struct store_info now;
    struct store_io io;
    struct store *st;

    make_store();
    store_info(model->st, &now);
    *root_byte(now.sequence, 0, 77) ^= 1;
    io = memory_disk_io(disk);
    disk->late = true;
    ck_assert_int_eq(store_open(&io, &st), STORE_OK);
    for (unsigned n = 2; n < 4; n++) { /* behind reading the other twin: the write, the flush */
        disk->fail_at = disk->operations + n;
        ck_assert_int_eq(store_set_interval(st, n), STORE_IO);
    }
    disk->fail_at = 0;
    ck_assert_int_eq(store_set_interval(st, 5), STORE_OK);
    store_close(st);
    ck_assert_mem_eq(root_byte(now.sequence, 0, 0), root_byte(now.sequence, 1, 0), STORE_BLOCK);
    ck_assert_int_eq(look(), STORE_OK);
    end_store();
}
END_TEST

/** An older root was flushed before the newest one was written: it can only be damaged. */
START_TEST(a_damaged_twin_of_an_older_root_is_reported)
{
    struct store_info now;

    make_store();
    store_info(model->st, &now);
    for (unsigned k = 1; k < 3; k++) {
        disk->damages = 0;
        *root_byte(now.sequence - k, k & 1, 99) ^= 1;
        ck_assert_int_eq(look(), STORE_DAMAGED);
        ck_assert_uint_eq(disk->damages, 2); /* when it is opened, and when it is verified */
        ck_assert_str_eq(disk->last.what, "root: not whole");
        *root_byte(now.sequence - k, k & 1, 99) ^= 1;
    }
    disk->damages = 0;
    *root_byte(now.sequence - 3, 0, 99) ^= 1; /* its turn is next */
    ck_assert_int_eq(look(), STORE_OK);
    end_store();
}
END_TEST

START_TEST(the_superblock_has_a_copy)
{
    make_store();
    disk->bytes[77] ^= 1;
    ck_assert_int_eq(look(), STORE_DAMAGED);
    ck_assert_uint_eq(disk->damages, 2);
    memset(disk->bytes, 0, STORE_BLOCK);
    ck_assert_int_eq(look(), STORE_DAMAGED);
    disk->bytes[STORE_BLOCK + 77] ^= 1;
    ck_assert_int_eq(look(), STORE_DAMAGED);
    memset(disk->bytes + STORE_BLOCK, 0, STORE_BLOCK);
    ck_assert_int_eq(look(), STORE_FOREIGN);
    end_store();
}
END_TEST

START_TEST(roots_of_an_earlier_store_do_not_count)
{
    struct store_format_params p = {.name = "later", .blocks = BLOCKS, .id = "another store!!"};
    struct store_io io;
    struct store_info i;
    struct store *st;

    make_store();
    io = memory_disk_io(disk);
    ck_assert_int_eq(store_format(&io, &p, &st), STORE_OK);
    store_close(st);
    ck_assert_int_eq(store_open(&io, &st), STORE_OK);
    store_info(st, &i);
    ck_assert_str_eq(i.name, "later");
    ck_assert_uint_eq(i.generations, 0);
    store_close(st);
    end_store();
}
END_TEST

START_TEST(damage_is_named)
{
    struct store_object o;
    uint64_t page[512];

    make_store();
    ck_assert_int_eq(store_get(model->st, STORE_NEWEST, 7, &o, page), STORE_OK);
    disk->bytes[o.block * STORE_BLOCK + 4095] ^= 0x80;
    ck_assert_int_eq(store_get(model->st, STORE_NEWEST, 7, &o, page), STORE_DAMAGED);
    ck_assert_uint_eq(disk->last.oid, 7);
    ck_assert_uint_eq(disk->last.block, o.block);
    ck_assert_uint_eq(disk->last.generation, 4);
    ck_assert_uint_ne(disk->last.expected, disk->last.found);
    ck_assert_uint_eq(page[0], 0);
    /* others are not concerned */
    ck_assert_int_eq(store_get(model->st, STORE_NEWEST, 8, &o, page), STORE_OK);
    end_store();
}
END_TEST

START_TEST(a_damaged_generation_does_not_stop_the_district)
{
    struct store_io io;
    struct store_info i;
    struct store_object o;
    struct store *st;
    uint64_t incarnation, page[512] = {5};

    make_store();
    disk->bytes[model->st->committed.generation[0].root.place * STORE_BLOCK + 50] ^= 1;
    io = memory_disk_io(disk);
    ck_assert_int_eq(store_open(&io, &st), STORE_OK);
    ck_assert_int_eq(store_claim(st, STORE_NEWEST, 1, "test", 1, &incarnation), STORE_OK);
    for (uint64_t g = 5; g < 30; g++) {
        ck_assert_int_eq(store_begin(st, g), STORE_OK);
        ck_assert_int_eq(store_put(st, g, OBJECT_PAGE, 1, page), STORE_OK);
        ck_assert_int_eq(store_commit(st, g, STORE_MADE_INTERVAL), STORE_OK);
    }
    store_info(st, &i);
    ck_assert_uint_eq(i.newest, 29);
    ck_assert_uint_le(i.generations, 9); /* it cannot be dropped, since it cannot be read */
    ck_assert_int_eq(store_get(st, STORE_NEWEST, 29, &o, page), STORE_OK);
    ck_assert_int_eq(store_get(st, 0, 1, &o, page), STORE_DAMAGED);
    store_close(st);
    end_store();
}
END_TEST

/* --- going on with damage --------------------------------------------------------------------- */

static const struct disk_generation *generation(struct store *st, uint64_t number)
{
    return generation_kept(&st->committed, number);
}

/** A byte of that generation's topmost index block, which is its own. */
static void damage_index(struct store *st, uint64_t number)
{
    disk->bytes[generation(st, number)->root.place * STORE_BLOCK + 50] ^= 1;
}

static struct store *open_again(void)
{
    struct store_io io = memory_disk_io(disk);
    struct store *st;

    ck_assert_int_eq(store_open(&io, &st), STORE_OK);
    return st;
}

static void commit_one(struct store *st, int expected)
{
    uint64_t page[512] = {77};
    struct store_info i;

    int r;

    store_info(st, &i);
    ck_assert_int_eq(store_begin(st, i.next_generation), STORE_OK);
    r = store_put(st, 7, OBJECT_PAGE, 1, page);
    if (r == STORE_OK)
        r = store_commit(st, 9, STORE_MADE_ASKED);
    ck_assert_int_eq(r, expected);
    if (expected)
        store_abort(st);
}

static uint64_t leaks(struct store *st)
{
    struct store_info i;

    store_info(st, &i);
    return i.leaks;
}

START_TEST(a_damaged_generation_can_be_dropped)
{
    for (uint64_t number = 0; number < 4; number++) {
        struct store_verify v = {0};
        struct store *st;
        uint64_t incarnation;

        make_store();
        damage_index(model->st, number);
        st = open_again();
        ck_assert_int_eq(store_claim(st, STORE_NEWEST, 1, "test", 1, &incarnation), STORE_OK);
        ck_assert_int_eq(store_drop(st, number), STORE_OK);
        ck_assert(!generation(st, number));
        ck_assert_uint_eq(leaks(st), 0);
        ck_assert_int_eq(store_verify(st, &v), STORE_OK); /* the map is exact again */
        commit_one(st, STORE_OK);
        store_close(st);
        end_store();
    }
}
END_TEST

START_TEST(what_two_damaged_generations_hold_is_found_with_the_second)
{
    struct store_verify v = {0};
    struct store *st;
    uint64_t incarnation;

    make_store();
    damage_index(model->st, 1);
    damage_index(model->st, 2);
    st = open_again();
    ck_assert_int_eq(store_claim(st, STORE_NEWEST, 1, "test", 1, &incarnation), STORE_OK);
    ck_assert_int_eq(store_drop(st, 1), STORE_OK);
    ck_assert_uint_eq(leaks(st), 1);
    ck_assert_int_eq(store_verify(st, &v), STORE_DAMAGED);
    store_close(st);
    st = open_again();
    ck_assert_uint_eq(leaks(st), 1);
    ck_assert_int_eq(store_claim(st, STORE_NEWEST, 1, "test", 1, &incarnation), STORE_OK);
    ck_assert_int_eq(store_drop(st, 2), STORE_OK);
    ck_assert_uint_eq(leaks(st), 0);
    ck_assert_int_eq(store_verify(st, &v), STORE_OK);
    store_close(st);
    end_store();
}
END_TEST

START_TEST(from_a_damaged_one_an_older_one_is_claimed)
{
    struct store_object o;
    struct store_info i;
    struct store *st;
    uint64_t incarnation, page[512];

    make_store();
    damage_index(model->st, 4);
    st = open_again();
    ck_assert_int_eq(store_get(st, STORE_NEWEST, 1, &o, page), STORE_DAMAGED);
    ck_assert_int_eq(store_get(st, 3, 1, &o, page), STORE_OK);
    ck_assert_int_eq(store_claim(st, STORE_NEWEST, 1, "test", 1, &incarnation), STORE_OK);
    commit_one(st, STORE_DAMAGED); /* it would grow from what cannot be read */
    store_info(st, &i);
    ck_assert_uint_eq(i.current, 4);
    ck_assert_int_eq(store_claim(st, 3, 2, "test", 2, &incarnation), STORE_OK);
    commit_one(st, STORE_OK);
    store_info(st, &i);
    ck_assert_uint_eq(i.current, 5);
    ck_assert_int_eq(store_get(st, STORE_NEWEST, 7, &o, page), STORE_OK);
    ck_assert_uint_eq(page[0], 77);
    ck_assert_int_eq(store_drop(st, 4), STORE_OK);
    store_close(st);
    ck_assert_int_eq(look(), STORE_OK);
    end_store();
}
END_TEST

/** The topmost block of the map's tree, and a block of bits. */
static void map_blocks(struct store *st, uint64_t block[2])
{
    const struct disk_ref *map = &st->committed.head.map;
    struct disk_entry e;

    ck_assert_uint_ne(map->place, 0);
    ck_assert_int_eq(tree_find(st, map, NONE, 0, &e), STORE_OK);
    block[0] = map->place;
    block[1] = e.place;
}

START_TEST(a_damaged_map_is_made_anew)
{
    uint64_t block[2], incarnation;
    struct store_verify v = {0};
    struct store *st;
    uint8_t *byte;

    make_store();
    map_blocks(model->st, block);
    byte = disk->bytes + block[_i % 2] * STORE_BLOCK + 50;
    *byte ^= _i < 2; /* known before it is claimed; else met by a commit */
    st = open_again();
    ck_assert_int_eq(store_claim(st, STORE_NEWEST, 1, "test", 1, &incarnation), STORE_OK);
    if (_i >= 2) {
        *byte ^= 1;
        map_forget(st);
        node_cache_free(st);
        commit_one(st, STORE_DAMAGED);
    }
    for (unsigned n = 0; n < 30; n++)
        commit_one(st, STORE_OK);
    ck_assert_int_eq(store_verify(st, &v), STORE_OK);
    store_close(st);
    ck_assert_int_eq(look(), STORE_OK);
    end_store();
}
END_TEST

/** Without a map and without a generation nothing is known to be free. */
START_TEST(a_damaged_map_and_a_damaged_generation_are_too_much)
{
    uint64_t block[2], incarnation;
    struct store_object o;
    struct store *st;

    make_store();
    map_blocks(model->st, block);
    disk->bytes[block[0] * STORE_BLOCK + 50] ^= 1;
    damage_index(model->st, 2);
    st = open_again();
    ck_assert_int_eq(store_claim(st, STORE_NEWEST, 1, "test", 1, &incarnation), STORE_DAMAGED);
    ck_assert_int_eq(store_get(st, STORE_NEWEST, 1, &o, NULL), STORE_OK);
    store_close(st);
    end_store();
}
END_TEST

static void allowed(int r)
{
    ck_assert_msg(r == STORE_OK || r == STORE_DAMAGED, "%s", store_error_text(r));
}

static void try_commit(uint64_t seed)
{
    int r = model_try_begin(model);

    for (oid_t oid = 1; oid <= 30 && r == STORE_OK; oid += 5 + seed % 7)
        r = model_try_put(model, oid, OBJECT_PAGE, seed + oid);
    if (r == STORE_OK)
        r = model_try_commit(model);
    allowed(r);
    if (r)
        model_abort(model);
}

/** Whatever is damaged: what is done is done and what is refused is not. When the damaged byte is
 * as it was, all of it is there. */
START_TEST(with_damage_anywhere_nothing_else_is_lost)
{
    for (uint64_t block = FIRST_DATA; block < BLOCKS; block++) {
        uint8_t damaged[STORE_BLOCK], *bytes;
        int r;

        make_store();
        if (!used(block)) {
            end_store();
            continue;
        }
        bytes = disk->bytes + block * STORE_BLOCK;
        /* so that all stay: what retention does with damaged ones the model does not know */
        ck_assert_int_eq(model_try_retention(model, 20), STORE_OK);
        bytes[50] ^= 1;
        memcpy(damaged, bytes, STORE_BLOCK);
        r = model_try_reopen(model);
        allowed(r);
        for (unsigned n = 0; n < 2 && r == STORE_OK; n++) {
            try_commit(block + n);
            allowed(model_try_claim(model, model->state.kept[n % 2].number));
            try_commit(block + n + 7);
            if (model->state.count > 2 && model->state.kept[1].number != model->state.current)
                allowed(model_try_drop(model, model->state.kept[1].number));
        }
        if (memcmp(bytes, damaged, STORE_BLOCK) == 0)
            bytes[50] ^= 1;
        store_close(model->st);
        ck_assert_int_eq(store_open(&model->io, &model->st), STORE_OK);
        model_check(model);
        end_store();
    }
}
END_TEST

/** Every generation but the newest has a leaf of its own that is damaged, and one more comes with
 * each commit: none of them can be dropped in passing. */
START_TEST(a_table_full_of_damage_makes_room)
{
    struct store_format_params p = {.name = "bad", .blocks = 4000, .keep_last = 2};
    struct memory_disk *d = memory_disk_new(4000);
    struct store_io io = memory_disk_io(d);
    struct store_info i;
    struct store *st;

    disk = d;
    d->quiet = true;
    io.cache_blocks = 1;
    ck_assert_int_eq(store_format(&io, &p, &st), STORE_OK);
    for (unsigned n = 0; n < 600; n++) {
        commit_one(st, STORE_OK);
        store_info(st, &i);
        if (n > 0)
            damage_index(st, i.current - 1);
    }
    store_info(st, &i);
    ck_assert_uint_eq(i.newest, 599);
    store_close(st);
    memory_disk_free(d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("store damage");
    TCase *t = tcase_create("damage");

    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_byte_that_turns_is_found);
    tcase_add_test(t, a_torn_root_gives_way_to_the_one_before);
    tcase_add_test(t, one_twin_of_a_root_is_enough);
    tcase_add_test(t, a_twin_is_mended_until_it_is_there);
    tcase_add_test(t, a_damaged_twin_of_an_older_root_is_reported);
    tcase_add_test(t, the_superblock_has_a_copy);
    tcase_add_test(t, roots_of_an_earlier_store_do_not_count);
    tcase_add_test(t, damage_is_named);
    tcase_add_test(t, a_damaged_generation_does_not_stop_the_district);
    tcase_add_test(t, a_damaged_generation_can_be_dropped);
    tcase_add_test(t, what_two_damaged_generations_hold_is_found_with_the_second);
    tcase_add_test(t, from_a_damaged_one_an_older_one_is_claimed);
    tcase_add_loop_test(t, a_damaged_map_is_made_anew, 0, 4);
    tcase_add_test(t, a_damaged_map_and_a_damaged_generation_are_too_much);
    tcase_add_test(t, with_damage_anywhere_nothing_else_is_lost);
    tcase_add_test(t, a_table_full_of_damage_makes_room);
    suite_add_tcase(s, t);
    return run_suite(s);
}
