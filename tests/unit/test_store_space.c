// sources: ../../store ../crash/model.h
/*
 * Space: what only one generation holds, against brute force; and the promise that what store_room
 * says can be committed, whatever it is, and that a full store can still be looked after.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "model.h"

/* --- what a generation holds ------------------------------------------------------------------ */

static void reach(struct store *st, const struct disk_ref *ref, uint64_t generation, uint8_t *seen)
{
    struct node *n;

    if (ref->place == 0)
        return;
    seen[ref->place] = 1;
    ck_assert_int_eq(node_get(st, ref, 0, generation, &n), STORE_OK);
    for (unsigned i = 0; i < n->disk.count; i++)
        if (n->disk.level) {
            struct disk_ref child = node_child(n, i);

            reach(st, &child, generation, seen);
        } else if (n->disk.entry[i].flags & ENTRY_BYTES) {
            seen[n->disk.entry[i].place] = 1;
        }
    node_put(n);
}

/** Blocks that this one reaches and no other. */
static uint64_t held(struct store *st, uint64_t number)
{
    uint64_t blocks = st->committed.head.blocks, count = 0;
    uint8_t *own = calloc(1, blocks), *others = calloc(1, blocks);

    for (uint32_t i = 0; i < st->committed.head.generations; i++) {
        const struct disk_generation *g = &st->committed.generation[i];

        reach(st, &g->root, g->number, g->number == number ? own : others);
    }
    for (uint64_t b = 0; b < blocks; b++)
        count += own[b] && !others[b];
    free(own);
    free(others);
    return count;
}

static uint64_t nodes_of(struct store *st, const struct disk_ref *ref)
{
    uint64_t count = 1;
    struct node *n;

    if (ref->place == 0)
        return 0;
    ck_assert_int_eq(node_get(st, ref, 0, NONE, &n), STORE_OK);
    for (unsigned i = 0; n->disk.level && i < n->disk.count; i++) {
        struct disk_ref child = node_child(n, i);

        count += nodes_of(st, &child);
    }
    node_put(n);
    return count;
}

static void check_generations(struct model *m)
{
    for (uint32_t i = 0; i < m->state.count; i++) {
        const struct disk_generation *g =
            generation_kept(&m->st->committed, m->state.kept[i].number);
        uint64_t blocks;

        ck_assert_int_eq(store_held(m->st, g->number, &blocks), STORE_OK);
        ck_assert_uint_eq(blocks, held(m->st, g->number));
        ck_assert_uint_eq(g->nodes, nodes_of(m->st, &g->root));
    }
}

/** A few commits from an older generation, so that there are forks, and ghosts when some go. */
static void fork_at(struct model *m, uint32_t which, uint64_t *random)
{
    model_claim(m, m->state.kept[which].number);
    for (unsigned k = 1 + (unsigned)(model_random_number(random) % 3); k > 0; k--) {
        model_begin(m);
        for (unsigned i = 0; i < 1 + model_random_number(random) % 12; i++)
            model_put(m, 1 + model_random_number(random) % 400, OBJECT_PAGE,
                      1 + model_random_number(random) % 1000);
        model_commit(m);
    }
}

START_TEST(what_a_generation_holds_is_exact_across_forks)
{
    struct memory_disk *d = memory_disk_new(8192);
    struct store_io io = memory_disk_io(d);
    uint64_t random = (uint64_t)_i + 1;
    struct model *m;

    io.fold_limit = 4000; /* the map has no blocks of its own: dropping gives just what was held */
    m = model_new_io(&io, 8192);
    model_begin(m);
    for (oid_t oid = 1; oid < 400; oid++)
        model_put(m, oid, OBJECT_PAGE, oid);
    model_commit(m);
    for (unsigned round = 0; round < 12; round++) {
        uint64_t blocks, before;
        uint32_t which;

        fork_at(m, (uint32_t)(model_random_number(&random) % m->state.count), &random);
        check_generations(m);
        which = (uint32_t)(model_random_number(&random) % m->state.count);
        if (m->state.count <= 2 || m->state.kept[which].number == m->state.current)
            continue;
        ck_assert_int_eq(store_held(m->st, m->state.kept[which].number, &blocks), STORE_OK);
        before = m->st->committed.head.free_blocks;
        model_drop(m, m->state.kept[which].number);
        ck_assert_uint_eq(m->st->committed.head.free_blocks, before + blocks);
        check_generations(m);
        ck_assert_uint_eq(model_verify(m), 0);
    }
    model_check(m);
    model_free(m);
    memory_disk_free(d);
}
END_TEST

START_TEST(going_back_can_be_undone)
{
    struct memory_disk *d = memory_disk_new(2048);
    struct model *m = model_new(d, 2048);
    struct store_info i;

    for (unsigned g = 0; g < 6; g++) {
        model_begin(m);
        for (oid_t oid = 1; oid < 50; oid++)
            model_put(m, oid, OBJECT_PAGE, g * 100 + oid);
        model_commit(m);
    }
    model_claim(m, 1);
    model_begin(m);
    model_put(m, 7, OBJECT_PAGE, 4711);
    model_commit(m);
    model_claim(m, 5); /* what was abandoned */
    model_begin(m);
    model_put(m, 8, OBJECT_PAGE, 4712);
    model_commit(m);
    store_info(m->st, &i);
    ck_assert_uint_eq(i.current, 7);
    model_reopen(m);
    model_check(m);
    ck_assert_uint_eq(model_verify(m), 0);
    model_free(m);
    memory_disk_free(d);
}
END_TEST

/* --- room ------------------------------------------------------------------------------------- */

#define IDS 4000000u

struct filler {
    struct store *st;
    struct memory_disk *disk;
    uint64_t random, next;
};

/** The ids at which the leaves of the current generation begin and end. */
static size_t leaf_borders(struct store *st, const struct disk_ref *ref, oid_t *at, size_t max)
{
    struct node *n;
    size_t count = 0;

    if (ref->place == 0)
        return 0;
    ck_assert_int_eq(node_get(st, ref, 0, NONE, &n), STORE_OK);
    if (n->disk.level == 0 && max >= 2) {
        at[count++] = n->disk.entry[0].oid;
        at[count++] = n->disk.entry[n->disk.count - 1u].oid;
    }
    for (unsigned i = 0; n->disk.level && i < n->disk.count; i++) {
        struct disk_ref child = node_child(n, i);

        count += leaf_borders(st, &child, at + count, max - count);
    }
    node_put(n);
    return count;
}

static oid_t nasty_id(struct filler *f, unsigned manner, uint64_t i, const oid_t *border,
                      size_t borders)
{
    uint64_t z = model_random_number(&f->random);

    switch (borders ? manner : 1) {
    case 0: /* behind the last of each leaf: it splits, and what is split off is small */
        return border[(2 * i + 1) % borders] + 1 + i / borders;
    case 1: /* anywhere */
        return 1 + z % IDS;
    case 2: /* the first of each leaf */
        return border[2 * i % borders];
    case 3: /* all in one place */
        return border[0] + i;
    default: /* behind all */
        return f->next++;
    }
}

/** Commits exactly n changes, as awkward as can be. */
static void commit_exactly(struct filler *f, uint64_t n)
{
    const struct disk_generation *g = generation_kept(&f->st->committed, STORE_NEWEST);
    unsigned manner = (unsigned)(model_random_number(&f->random) % 5);
    oid_t *border = malloc(20000 * sizeof(*border));
    size_t borders = g ? leaf_borders(f->st, &g->root, border, 20000) : 0;
    uint64_t odds = model_random_number(&f->random) % 4 ? 0 : 3, page[512] = {0};
    struct store_info info;

    store_info(f->st, &info);
    ck_assert_int_eq(store_begin(f->st, info.next_generation), STORE_OK);
    for (uint64_t i = 0; i < n; i++) {
        oid_t oid = nasty_id(f, manner, i, border, borders);

        page[0] = ++f->next;
        if (odds && model_random_number(&f->random) % 4 < odds)
            ck_assert_int_eq(store_delete(f->st, oid), STORE_OK);
        else
            ck_assert_int_eq(store_put(f->st, oid, OBJECT_PAGE, 1, page), STORE_OK);
    }
    ck_assert_int_eq(store_commit(f->st, f->next, STORE_MADE_ASKED), STORE_OK);
    free(border);
}

static uint64_t room(struct store *st)
{
    uint64_t n;

    ck_assert_int_eq(store_room(st, &n), STORE_OK);
    return n;
}

/** Dropping, claiming, going back: in a store that says that it is full. */
static void look_after(struct filler *f)
{
    struct store_generation g;
    struct store_info info;
    struct store_verify v = {0};
    uint64_t incarnation;

    ck_assert_int_eq(store_set_interval(f->st, 7), STORE_OK);
    store_info(f->st, &info);
    ck_assert_int_eq(store_claim(f->st, info.current, 1, "again", 1, &incarnation), STORE_OK);
    ck_assert_int_eq(store_generation(f->st, 0, &g), STORE_OK);
    ck_assert_int_eq(store_claim(f->st, g.number, 1, "back", 1, &incarnation), STORE_OK);
    ck_assert_int_eq(store_claim(f->st, info.current, 1, "undone", 1, &incarnation), STORE_OK);
    ck_assert_int_eq(store_verify(f->st, &v), STORE_OK);
    while (store_info(f->st, &info), info.generations > 2) {
        ck_assert_int_eq(store_generation(f->st, 0, &g), STORE_OK);
        ck_assert_int_eq(store_drop(f->st, g.number), STORE_OK);
    }
    ck_assert_int_eq(store_verify(f->st, &v), STORE_OK);
}

static void fill(uint64_t blocks, unsigned seed, size_t fold_limit)
{
    struct memory_disk *d = memory_disk_new(blocks + 64);
    struct store_io io = memory_disk_io(d);
    struct store_format_params p = {.name = "full", .blocks = blocks, .keep_last = 4};
    struct filler f = {.disk = d, .random = seed, .next = IDS};
    unsigned commits = 0;
    uint64_t n;

    io.fold_limit = fold_limit;
    ck_assert_int_eq(store_format(&io, &p, &f.st), STORE_OK);
    for (unsigned full = 0; full < 3;) {
        n = room(f.st);
        if (n == 0 || commits++ > 300) {
            look_after(&f);
            full++;
            commits = 0;
            continue;
        }
        commit_exactly(&f, model_random_number(&f.random) % 3 ? 1 + (n - 1) / 3 : n);
    }
    n = room(f.st);
    ck_assert_int_eq(store_grow(f.st, blocks + 64), STORE_OK);
    ck_assert_uint_gt(room(f.st), n);
    commit_exactly(&f, room(f.st));
    store_close(f.st);
    memory_disk_free(d);
}

START_TEST(what_there_is_room_for_can_be_committed)
{
    static const uint64_t size[] = {256, 400, 700, 3000, 40000};

    fill(size[_i % 5], (unsigned)_i + 1, _i % 3 == 0 ? 4 : _i % 3 == 1 ? 40 : 0);
}
END_TEST

static void commit_empty_objects(struct filler *f, oid_t first, oid_t step, unsigned n)
{
    struct store_info info;

    store_info(f->st, &info);
    ck_assert_int_eq(store_begin(f->st, info.next_generation), STORE_OK);
    for (unsigned i = 0; i < n; i++)
        ck_assert_int_eq(store_put(f->st, first + i * step, OBJECT_PAGE, 1, NULL), STORE_OK);
    ck_assert_int_eq(store_commit(f->st, 1, STORE_MADE_ASKED), STORE_OK);
}

/** Every leaf is full, and each change is behind the last entry of every other one: it becomes
 * three, the two that it is split into and a neighbour that was not to be had. */
START_TEST(what_costs_most_can_be_committed)
{
    const unsigned leaves = 400;
    struct memory_disk *d = memory_disk_new(1700);
    struct store_io io = memory_disk_io(d);
    struct store_format_params p = {.name = "worst", .blocks = 1700, .keep_last = 8};
    struct filler f = {.disk = d, .random = 1, .next = IDS};
    static oid_t border[20000];
    struct store_info info;
    uint64_t n, page[512] = {1}, before;
    size_t borders;

    ck_assert_int_eq(store_format(&io, &p, &f.st), STORE_OK);
    /* appended, each leaf gets 96; then six more each */
    commit_empty_objects(&f, 1000, 1000, 96 * leaves);
    commit_empty_objects(&f, 1000 * 48 + 1, 16000, 6 * leaves);
    borders =
        leaf_borders(f.st, &generation_kept(&f.st->committed, STORE_NEWEST)->root, border, 20000);
    n = room(f.st);
    ck_assert_uint_gt(n, 20);
    ck_assert_uint_lt(n, borders / 4);
    store_info(f.st, &info);
    before = info.free_blocks;
    ck_assert_int_eq(store_begin(f.st, info.next_generation), STORE_OK);
    for (uint64_t i = 0; i < n; i++)
        ck_assert_int_eq(store_put(f.st, border[4 * i + 1] + 1, OBJECT_PAGE, 1, page), STORE_OK);
    ck_assert_int_eq(store_commit(f.st, 1, STORE_MADE_ASKED), STORE_OK);
    store_info(f.st, &info);
    ck_assert_uint_gt(before - info.free_blocks, 4 * n); /* its bytes, and the three */
    look_after(&f);
    store_close(f.st);
    memory_disk_free(d);
}
END_TEST

START_TEST(a_store_knows_its_room)
{
    struct memory_disk *d = memory_disk_new(65536);
    struct store_io io = memory_disk_io(d);
    struct store_format_params p = {.name = "new", .blocks = 65536};
    struct filler f = {.disk = d, .random = 5, .next = IDS};

    ck_assert_int_eq(store_format(&io, &p, &f.st), STORE_OK);
    /* nearly all of it, in an empty one; and objects in a row cost little more than themselves */
    ck_assert_uint_gt(room(f.st), 64000);
    for (unsigned i = 0; i < 20; i++)
        commit_exactly(&f, 1000);
    ck_assert_uint_gt(room(f.st), 30000);
    store_close(f.st);
    memory_disk_free(d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("store space");
    TCase *t = tcase_create("space");

    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, what_a_generation_holds_is_exact_across_forks, 0, 8);
    tcase_add_test(t, going_back_can_be_undone);
    tcase_add_loop_test(t, what_there_is_room_for_can_be_committed, 0, 24);
    tcase_add_test(t, what_costs_most_can_be_committed);
    tcase_add_test(t, a_store_knows_its_room);
    suite_add_tcase(s, t);
    return run_suite(s);
}
