// sources: ../../store
/*
 * A mirrored store on two simulated disks: the power goes, or one of them fails, at every single
 * write and flush; each block of each copy is damaged; a copy that missed something is brought up
 * to date, and that is cut off everywhere, too. Whatever is acknowledged is there afterwards, and
 * each copy that is called up to date is a whole store of its own.
 */
#include <check.h>

#include <stdlib.h>
#include <string.h>

#include <store/mirror.h>

#define BLOCKS  320u
#define OBJECTS 40u
#define SECTOR  512u
#define ALWAYS  UINT64_MAX

/* --- disks ------------------------------------------------------------------------------------ */

struct flight {
    uint64_t block;
    uint8_t bytes[STORE_BLOCK];
};

struct disk {
    uint8_t now[BLOCKS][STORE_BLOCK];     /* what a reader sees */
    uint8_t durable[BLOCKS][STORE_BLOCK]; /* and what a power cut leaves at the least */
    struct flight *flight;                /* written since the last flush */
    size_t flights, capacity;
    uint64_t operations, fails_from; /* writes and flushes; from that one on they fail */
    unsigned fails_often;            /* one of so many fails; 0: none */
};

static struct disk disks[2];
static uint64_t operations; /* writes and flushes of both */
static uint64_t cut_at;     /* the power goes at this one */
static bool power_off;

static bool works(struct disk *d)
{
    d->operations++;
    power_off |= ++operations > cut_at;
    if (d->fails_often && (unsigned)rand() % d->fails_often == 0)
        return false;
    return !power_off && d->operations <= d->fails_from;
}

static int disk_read(void *ctx, uint64_t block, void *buf, size_t n)
{
    struct disk *d = ctx;

    if (power_off || d->operations > d->fails_from)
        return -1;
    memcpy(buf, d->now[block], n * STORE_BLOCK);
    return 0;
}

static int disk_write(void *ctx, uint64_t block, const void *buf, size_t n)
{
    struct disk *d = ctx;
    bool good = works(d);

    if (power_off) /* what is under way when the power goes may arrive */
        good = operations == cut_at + 1;
    for (size_t i = 0; good && i < n; i++) {
        if (d->flights == d->capacity) {
            d->capacity = d->capacity ? 2 * d->capacity : 64;
            d->flight = realloc(d->flight, d->capacity * sizeof(*d->flight));
        }
        d->flight[d->flights].block = block + i;
        memcpy(d->flight[d->flights++].bytes, (const uint8_t *)buf + i * STORE_BLOCK, STORE_BLOCK);
        memcpy(d->now[block + i], (const uint8_t *)buf + i * STORE_BLOCK, STORE_BLOCK);
    }
    return good && !power_off ? 0 : -1;
}

static int disk_flush(void *ctx)
{
    struct disk *d = ctx;

    if (!works(d))
        return -1;
    memcpy(d->durable, d->now, sizeof(d->now));
    d->flights = 0;
    return 0;
}

/** What a power cut leaves: of what was in flight nothing, all, or some sectors. */
static void settle(struct disk *d, unsigned how)
{
    memcpy(d->now, d->durable, sizeof(d->now));
    for (size_t i = 0; i < d->flights; i++)
        for (unsigned s = 0; s < STORE_BLOCK; s += SECTOR)
            if (how == 1 || (how == 2 && rand() % 2))
                memcpy(d->now[d->flight[i].block] + s, d->flight[i].bytes + s, SECTOR);
    memcpy(d->durable, d->now, sizeof(d->now));
    d->flights = 0;
}

static void power_on(void)
{
    power_off = false;
    operations = 0;
    cut_at = ALWAYS;
    for (unsigned c = 0; c < 2; c++) {
        disks[c].operations = 0;
        disks[c].fails_from = ALWAYS;
        disks[c].fails_often = 0;
    }
}

static struct store_io device(unsigned copy)
{
    return (struct store_io){.ctx = &disks[copy],
                             .blocks = BLOCKS,
                             .read = disk_read,
                             .write = disk_write,
                             .flush = disk_flush,
                             .cache_blocks = 8};
}

/* --- the store on them ------------------------------------------------------------------------ */

/* What a generation has: an object's value, 0: there is none. */
struct state {
    uint8_t value[OBJECTS];
};

static struct mirror mirror;
static struct store *store;
static struct store_scrub scrub;
static bool scrubbing;
static struct state committed, begun;
static uint64_t damages, repaired;

static void on_damage(void *ctx, const struct store_damage *d)
{
    (void)ctx;
    damages++;
    repaired += d->repaired;
}

static const struct store_io base = {.damage = on_damage, .cache_blocks = 8};

static void close_store(void)
{
    store_close(store);
    store = NULL;
}

static void fresh(void)
{
    struct store_io both[2] = {device(0), device(1)}, io = base;
    struct store_format_params p = {
        .name = "mirrored", .blocks = BLOCKS, .copies = 2, .keep_last = 3};

    close_store();
    for (unsigned c = 0; c < 2; c++) {
        memset(disks[c].now, 0, sizeof(disks[c].now));
        memset(disks[c].durable, 0, sizeof(disks[c].durable));
        disks[c].flights = 0;
    }
    power_on();
    mirror_fresh(&mirror, both);
    mirror_io(&mirror, &io);
    ck_assert_int_eq(store_format(&io, &p, &store), STORE_OK);
    committed = begun = (struct state){{0}};
    damages = repaired = 0;
    scrubbing = false;
}

/** Looks at the copies that are there and decides. */
static enum mirror_verdict decide(unsigned there)
{
    struct mirror_look look[2];
    struct store_io io[2];
    unsigned n = 0;

    for (unsigned c = 0; c < 2; c++)
        if (there >> c & 1) {
            io[n] = device(c);
            mirror_look(&io[n], &look[n]);
            n++;
        }
    return mirror_begin(&mirror, io, look, n);
}

static int open_store(void)
{
    scrubbing = false;
    return mirror_open(&mirror, &base, &store);
}

static int claim(void)
{
    uint64_t incarnation;

    return store_claim(store, STORE_NEWEST, 1, "test", 1, &incarnation);
}

/** One commit that changes some objects. @return its result; `committed` follows with STORE_OK */
static int commit(void)
{
    struct store_info info;
    uint8_t bytes[STORE_BLOCK];
    int r;

    store_info(store, &info);
    begun = committed;
    r = store_begin(store, info.next_generation);
    for (unsigned n = 0; n < 6 && r == STORE_OK; n++) {
        unsigned i = (unsigned)rand() % OBJECTS;

        if (begun.value[i] && rand() % 4 == 0) {
            begun.value[i] = 0;
            r = store_delete(store, i + 1);
        } else {
            begun.value[i] = (uint8_t)(1 + rand() % 255);
            memset(bytes, begun.value[i], sizeof(bytes));
            r = store_put(store, i + 1, OBJECT_PAGE, 1, bytes);
        }
    }
    r = r == STORE_OK ? store_commit(store, 1, STORE_MADE_ASKED) : r;
    if (r == STORE_OK)
        committed = begun;
    return r;
}

static bool has(struct store *st, const struct state *s)
{
    uint8_t bytes[STORE_BLOCK];
    struct store_object o;

    for (unsigned i = 0; i < OBJECTS; i++) {
        int r = store_get(st, STORE_NEWEST, i + 1, &o, bytes);

        if (r == STORE_ABSENT && s->value[i] == 0)
            continue;
        if (r != STORE_OK || bytes[0] != s->value[i] || bytes[STORE_BLOCK - 1] != s->value[i])
            return false;
    }
    return true;
}

/** The store has what was acknowledged, or what was under way. */
static void check_state(void)
{
    if (has(store, &committed))
        return;
    ck_assert_msg(has(store, &begun), "neither what was acknowledged nor what was under way");
    committed = begun;
}

/** Each copy that is called up to date is a whole store, with the same in it. */
static void check_copies(unsigned which)
{
    for (unsigned c = 0; c < 2; c++) {
        struct store_io io = device(c);
        struct store_verify v = {.repair = false};
        struct store *st;

        if (!(which >> c & 1))
            continue;
        io.damage = on_damage;
        ck_assert_int_eq(store_open(&io, &st), STORE_OK);
        ck_assert(has(st, &committed));
        ck_assert_int_eq(store_verify(st, &v), STORE_OK);
        store_close(st);
    }
}

/** Brings the other copy up to date, committing on the way. */
static int resync(void)
{
    int r = scrubbing ? STORE_OK : store_scrub_begin(store, &scrub);

    scrubbing = true;
    for (unsigned n = 0; r == STORE_OK; n++) {
        if (n % 3 == 2)
            r = commit();
        if (r == STORE_OK)
            r = mirror_resync(&mirror, store, &scrub, 7);
    }
    return r;
}

/** After a power cut: all of it comes back with both copies, and goes on. */
static void recover(void)
{
    enum mirror_verdict verdict = decide(3);

    ck_assert_msg(verdict == MIRROR_BOTH || verdict == MIRROR_STALE, "%s",
                  mirror_verdict_text(verdict));
    ck_assert_int_eq(open_store(), STORE_OK);
    check_state();
    ck_assert_int_eq(claim(), STORE_OK);
    ck_assert_int_eq(commit(), STORE_OK);
    ck_assert_int_eq(resync(), STORE_ABSENT);
    ck_assert_uint_eq(mirror_in_sync(&mirror), 3);
    close_store();
    check_copies(3);
}

/* --- tests ------------------------------------------------------------------------------------ */

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
    SRunner *runner;
    int failed;

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
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
