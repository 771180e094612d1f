// sources: ../../store ../crash/model.h ../../store/server/space.c
/*
 * How the store server shares out its store, against a district that takes whatever it is given:
 * every budget to the last object, every object as soon as it is not refused, zeros first and bytes
 * later. Whatever it does, no commit ever lacks space, two generations stay, it is never brought to
 * a stand, and what it destroys comes back.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "server.h"
#include "space.h"

#define BLOCKS  8192u
#define OBJECTS 40000u
#define DOMAINS 12u /* become dirty in every epoch, budget or not */

struct server server;

static struct object {
    oid_t oid; /* 0: there is none */
    bool zero;
    bool dirty, frozen;
} object[OBJECTS];

/** Destroyed and not yet committed. */
static oid_t tombs[2 * OBJECTS];
static unsigned tomb_count, tombs_frozen;

static struct {
    int64_t budget;
    uint64_t stage, left, total;
    uint64_t dirty;
    uint64_t objects;
} told;

static oid_t next_oid = 5000;
static uint64_t number = 1, random_state;

static uint64_t dice(uint64_t n)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (random_state >> 33) % n;
}

int64_t bw_call(uint16_t key, struct message *m)
{
    ck_assert_uint_eq(key, KEY_AT(KR_DISTRICT));
    if (m->code == DISTRICT_STATUS) {
        struct district_status s = {.dirty = told.dirty, .domains = DOMAINS};

        memcpy(m->buffer, &s, sizeof(s));
    } else {
        ck_assert_int_eq(m->code, DISTRICT_BUDGET);
        told.budget = (int64_t)m->word[0];
        told.stage = m->word[1];
        told.left = m->word[2];
        told.total = m->word[3];
        ck_assert_int_gt(told.budget, 0);
    }
    m->code = BW_OK;
    return BW_OK;
}

void bw_log(const char *format, ...)
{
    (void)format;
}

void server_event(enum event_kind kind, bool important, const char *format, ...)
{
    (void)important;
    (void)format;
    ck_assert_int_eq(kind, EVENT_SPACE);
}

/* --- the district ----------------------------------------------------------------------------- */

static void make_dirty(struct object *o)
{
    told.dirty += !o->dirty;
    told.budget -= !o->dirty;
    o->dirty = true;
}

static void create(struct object *o, bool zero)
{
    if (told.stage == SPACE_FULL)
        return;
    *o = (struct object){.oid = next_oid, .zero = zero};
    next_oid += 1 + dice(3);
    told.objects++;
    make_dirty(o);
}

static void destroy(struct object *o)
{
    tombs[tomb_count++] = o->oid;
    told.dirty += !o->dirty;
    told.budget -= !o->dirty;
    told.objects--;
    o->oid = 0;
    o->dirty = false;
}

enum habit { FILLS_WITH_ZEROS, FILLS, REWRITES, MIXES, DESTROYS, HABITS };

static void act(enum habit habit)
{
    struct object *o = &object[dice(OBJECTS)];
    enum habit what = habit == MIXES ? (enum habit)dice(HABITS) : habit;

    switch (what) {
    case FILLS_WITH_ZEROS:
    case FILLS:
        if (!o->oid)
            create(o, what == FILLS_WITH_ZEROS);
        break;
    case DESTROYS:
        if (o->oid && o >= object + DOMAINS)
            destroy(o);
        break;
    default:
        if (o->oid) {
            o->zero = false;
            make_dirty(o);
        }
    }
}

/** Goes on as long as it may, and a few domains farther. */
static void run(enum habit habit, unsigned steps)
{
    for (unsigned i = 0; i < steps && told.budget > 0; i++)
        act(habit);
    for (unsigned i = 0; i < DOMAINS; i++)
        if (object[i].oid)
            make_dirty(&object[i]);
}

/* --- checkpoints ------------------------------------------------------------------------------ */

static void freeze(void)
{
    for (unsigned i = 0; i < OBJECTS; i++) {
        object[i].frozen = object[i].dirty;
        object[i].dirty = false;
    }
    tombs_frozen = tomb_count;
    told.dirty = 0;
}

static void commit_frozen(void)
{
    uint64_t bytes[512] = {0};

    ck_assert_int_eq(store_begin(server.store, number), STORE_OK);
    for (unsigned i = 0; i < OBJECTS; i++) {
        struct object *o = &object[i];

        if (!o->frozen || !o->oid)
            continue;
        bytes[7] = o->zero ? 0 : number << 32 | i;
        ck_assert_int_eq(store_put(server.store, o->oid, OBJECT_PAGE, 1, bytes), STORE_OK);
        o->frozen = false;
    }
    for (unsigned i = 0; i < tombs_frozen; i++)
        ck_assert_int_eq(store_delete(server.store, tombs[i]), STORE_OK);
    tomb_count -= tombs_frozen;
    memmove(tombs, tombs + tombs_frozen, tomb_count * sizeof(*tombs));
    ck_assert_int_eq(store_commit(server.store, number * 1000000000, STORE_MADE_INTERVAL),
                     STORE_OK);
    number++;
    checkpoint_budget();
}

/** An interval: the district runs, also while it is written out. */
static void interval(enum habit habit, unsigned steps)
{
    struct store_info info;

    run(habit, steps);
    freeze();
    run(habit, steps / 4);
    commit_frozen();
    store_info(server.store, &info);
    ck_assert_uint_ge(info.generations, info.newest > 1 ? 2 : 1);
    ck_assert(told.stage == SPACE_FULL || told.left > 0);
}

static int restore_object(void *ctx, const struct store_object *o)
{
    (void)ctx;
    for (unsigned i = 0; i < OBJECTS; i++) {
        struct object *to = &object[(o->oid + i) % OBJECTS];

        if (!to->oid) {
            *to = (struct object){.oid = o->oid, .zero = !o->bytes};
            break;
        }
    }
    told.objects++;
    return 0;
}

/** The district is ended and goes on from one of the generations, often the newest. */
static void go_back(void)
{
    struct store_generation g = {.number = STORE_NEWEST};
    struct store_info info;
    uint64_t incarnation;

    store_info(server.store, &info);
    if (dice(2))
        ck_assert_int_eq(store_generation(server.store, (uint32_t)dice(info.generations), &g),
                         STORE_OK);
    ck_assert_int_eq(store_claim(server.store, g.number, dice(1000), "test", 2, &incarnation),
                     STORE_OK);
    memset(object, 0, sizeof(object));
    tomb_count = 0;
    told.objects = told.dirty = 0;
    ck_assert_int_eq(store_walk(server.store, STORE_NEWEST, 0, restore_object, NULL), 0);
    checkpoint_budget();
}

/* --- tests ------------------------------------------------------------------------------------ */

static struct memory_disk *disk;
static struct model *model;

static void setup(void)
{
    disk = memory_disk_new(BLOCKS);
    model = model_new(disk, BLOCKS);
    server.store = model->st;
    memset(object, 0, sizeof(object));
    tomb_count = 0;
    random_state = 77;
    told.objects = told.dirty = 0;
    checkpoint_budget();
    for (unsigned i = 0; i < DOMAINS; i++)
        create(&object[i], false);
}

static void teardown(void)
{
    struct store_verify v = {0};

    ck_assert_int_eq(store_verify(server.store, &v), STORE_OK);
    model_free(model);
    memory_disk_free(disk);
}

START_TEST(a_store_fills_and_stays_usable)
{
    uint64_t first = told.left, most;

    for (unsigned i = 0; i < 60; i++)
        interval(FILLS, 3000);
    ck_assert_uint_eq(told.stage, SPACE_FULL);
    ck_assert_uint_ne(server.line.message[0], 0);
    most = told.objects;
    ck_assert_uint_gt(most, BLOCKS * 7 / 10);
    for (unsigned i = 0; i < 60; i++) /* all of it changes, again and again */
        interval(REWRITES, 3000);
    ck_assert_uint_eq(told.objects, most);
    for (unsigned i = 0; i < 200 && told.objects > 100; i++)
        interval(DESTROYS, 40000);
    ck_assert_uint_le(told.objects, 100);
    server.line.message[0] = 0;
    interval(REWRITES, 10);
    ck_assert_uint_eq(told.stage, SPACE_PLENTY);
    ck_assert_uint_eq(server.line.message[0], 0);
    ck_assert_uint_gt(told.left, first - 400);
}
END_TEST

START_TEST(zeros_are_promised_their_blocks)
{
    for (unsigned i = 0; i < 60; i++)
        interval(FILLS_WITH_ZEROS, 3000);
    ck_assert_uint_eq(told.stage, SPACE_FULL);
    for (unsigned i = 0; i < 100; i++)
        interval(REWRITES, 3000);
    for (unsigned i = 0; i < OBJECTS; i++)
        ck_assert(!object[i].oid || !object[i].zero || told.objects > 100);
}
END_TEST

START_TEST(any_life_goes_on)
{
    random_state = (uint64_t)_i * 1000 + 3;
    for (unsigned i = 0; i < 400; i++)
        interval((enum habit)dice(HABITS), (unsigned)dice(6000));
}
END_TEST

START_TEST(going_back_in_a_full_store)
{
    random_state = (uint64_t)_i * 1000 + 5;
    for (unsigned i = 0; i < 200; i++) {
        interval(dice(3) ? FILLS : REWRITES, (unsigned)dice(6000));
        if (dice(4) == 0)
            go_back();
    }
}
END_TEST

START_TEST(old_generations_give_way)
{
    struct store_info info;

    ck_assert_int_eq(store_set_retention(server.store, 20, 0, 0, 0), STORE_OK);
    interval(FILLS, 3000);
    for (unsigned i = 0; i < 12; i++)
        interval(REWRITES, 1000);
    store_info(server.store, &info);
    ck_assert_uint_eq(info.generations, 13);
    for (unsigned i = 0; i < 12; i++)
        interval(REWRITES, 40000);
    store_info(server.store, &info);
    ck_assert_uint_le(info.generations, 5);
    for (unsigned i = 0; i < 30; i++)
        interval(REWRITES, 10);
    store_info(server.store, &info);
    ck_assert_uint_eq(info.generations, 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stored_space");
    TCase *tests = tcase_create("space");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_store_fills_and_stays_usable);
    tcase_add_test(tests, zeros_are_promised_their_blocks);
    tcase_add_loop_test(tests, any_life_goes_on, 0, 4);
    tcase_add_loop_test(tests, going_back_in_a_full_store, 0, 4);
    tcase_add_test(tests, old_generations_give_way);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
