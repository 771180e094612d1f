// sources: ../../store ../../store/server/disk.c ../../store/server/checkpoint.c
// sources: ../../store/server/waiters.c ../../store/server/bond.c ../../store/server/supply.c
// sources: ../../store/server/space.c ../../store/server/whole.c
/*
 * The store server's checkpoints: a district that changes all the time, a disk that fails now and
 * then, and people who ask. Whatever happens, each is answered once; what is committed is one
 * instant of the district, and not older than the question; and the store has it.
 */
#include "fake_runtime.h"
#include "server.h"
#include "waiters.h"

#define OBJECTS 600u
#define FIRST   5000u

struct state {
    uint32_t type; /* OBJECT_NONE: there is none */
    uint8_t value; /* 0: all zero */
};

static struct {
    struct state now[OBJECTS], frozen[OBJECTS];
    bool dirty[OBJECTS], listed[OBJECTS]; /* listed: still to be pulled */
    unsigned next;                        /* where pulling goes on */
    uint64_t epoch, frozen_epoch;
    bool snapshot;
    bool broken; /* pulling finds it out */
    bool crashed;
    bool full;
    unsigned wanted, supplied; /* objects from FIRST on */
    uint64_t committed;
    struct state durable[OBJECTS]; /* as of `committed` */
} district;

static unsigned asked, answered;
static int64_t last_code;
static uint64_t last_generation;
static enum ended_why last_ended;
static unsigned events;
struct server server = {.next = BW_NO_DEADLINE};

/* --- the nucleus ------------------------------------------------------------------------------ */

static uint64_t listed(void)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < OBJECTS; i++)
        n += district.listed[i];
    return n;
}

static uint64_t dirty(void)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < OBJECTS; i++)
        n += district.dirty[i];
    return n;
}

static int64_t order_snapshot(struct message *m)
{
    if (district.snapshot)
        return BW_BUSY;
    m->word[0] = district.epoch - 1;
    if (dirty() == 0)
        return BW_CLEAN;
    memcpy(district.frozen, district.now, sizeof(district.now));
    memcpy(district.listed, district.dirty, sizeof(district.dirty));
    memset(district.dirty, 0, sizeof(district.dirty));
    district.next = 0;
    district.frozen_epoch = district.epoch++;
    district.snapshot = true;
    m->word[0] = district.frozen_epoch;
    m->word[1] = listed();
    m->word[2] = 1234;
    return BW_OK;
}

static int64_t order_pull(struct message *m)
{
    struct object_header headers[DISTRICT_PULL_MAX] = {0};
    uint8_t values[DISTRICT_PULL_MAX];
    uint64_t max = m->word[0], n = 0, bytes = 0;
    uint8_t *out = m->buffer;

    if (!district.snapshot)
        return BW_REFUSED;
    ck_assert_uint_le(max, DISTRICT_PULL_MAX);
    ck_assert_uint_ge(m->size, max * (sizeof(headers[0]) + BW_PAGE_SIZE));
    for (; n < max && district.next < OBJECTS; district.next++) {
        const struct state *s = &district.frozen[district.next];
        if (!district.listed[district.next])
            continue;
        if (district.broken && district.next > OBJECTS / 2) {
            m->word[0] = FIRST + district.next;
            return BW_BROKEN;
        }
        district.listed[district.next] = false;
        headers[n].oid = FIRST + district.next;
        headers[n].type = s->type;
        headers[n].version = 3;
        headers[n].flags = s->type && s->value ? OBJECT_BYTES : 0;
        if (headers[n].flags)
            values[bytes++] = s->value;
        n++;
    }
    memcpy(out, headers, n * sizeof(headers[0]));
    for (uint64_t i = 0; i < bytes; i++)
        memset(out + n * sizeof(headers[0]) + i * BW_PAGE_SIZE, values[i], BW_PAGE_SIZE);
    m->length = n * sizeof(headers[0]) + bytes * BW_PAGE_SIZE;
    m->word[0] = n;
    m->word[1] = listed();
    return BW_OK;
}

/** The store has exactly this state as its current generation. */
static void check_store(const struct state *state)
{
    static uint8_t bytes[BW_PAGE_SIZE], expected[BW_PAGE_SIZE];

    for (unsigned i = 0; i < OBJECTS; i++) {
        struct store_object o;
        int error = store_get(server.store, STORE_NEWEST, FIRST + i, &o, bytes);
        ck_assert_int_eq(error, state[i].type ? STORE_OK : STORE_ABSENT);
        if (error != STORE_OK)
            continue;
        memset(expected, state[i].value, sizeof(expected));
        ck_assert_uint_eq(o.type, state[i].type);
        ck_assert_mem_eq(bytes, expected, sizeof(bytes));
    }
}

static int64_t order_committed(const struct message *m)
{
    ck_assert(district.snapshot);
    ck_assert_uint_eq(m->word[0], district.frozen_epoch);
    ck_assert_uint_eq(listed(), 0);
    district.snapshot = false;
    district.committed = district.frozen_epoch;
    memcpy(district.durable, district.frozen, sizeof(district.frozen));
    return BW_OK;
}

static int64_t order_drop(void)
{
    ck_assert(district.snapshot);
    for (unsigned i = 0; i < OBJECTS; i++) /* as the nucleus does: what the snapshot held, and what
                                              was pulled, is dirty again */
        district.dirty[i] |=
            memcmp(&district.now[i], &district.durable[i], sizeof(district.now[i])) != 0;
    memset(district.listed, 0, sizeof(district.listed));
    district.snapshot = false;
    return BW_OK;
}

static int64_t order_status(struct message *m)
{
    struct district_status s = {.state = DISTRICT_RUNNING, .dirty = dirty()};

    ck_assert_uint_ge(m->size, sizeof(s));
    memcpy(m->buffer, &s, sizeof(s));
    m->length = sizeof(s);
    return BW_OK;
}

static int64_t order_wanted(struct message *m)
{
    oid_t *oids = m->buffer;
    unsigned n = 0;

    for (; district.wanted > 0 && (n + 1) * sizeof(*oids) <= m->size; n++)
        oids[n] = FIRST + 2 * --district.wanted; /* no row, so that each is supplied alone */
    m->word[0] = n;
    m->length = n * sizeof(*oids);
    return BW_OK;
}

static int64_t fake_call(uint16_t key, struct message *m)
{
    if (key == KEY_AT(KR_RANGE))
        return BW_OK;
    if (key == KEY_AT(KR_NUCLEUS)) {
        m->word[0] = m->word[1] = 10000;
        return BW_OK;
    }
    ck_assert_uint_eq(key, KEY_AT(KR_DISTRICT));
    switch (m->code) {
    case DISTRICT_SNAPSHOT:
        return order_snapshot(m);
    case DISTRICT_PULL:
        return order_pull(m);
    case DISTRICT_COMMITTED:
        return order_committed(m);
    case DISTRICT_DROP:
        return order_drop();
    case DISTRICT_STATUS:
        return order_status(m);
    case DISTRICT_WANTED:
        return order_wanted(m);
    case DISTRICT_SUPPLY:
        district.supplied += (unsigned)m->word[0];
        return BW_OK;
    case DISTRICT_BUDGET:
        district.full = m->word[1] == SPACE_FULL;
        return BW_OK;
    default:
        ck_abort_msg("order %d", (int)m->code);
        return BW_ORDER;
    }
}

int64_t bw_send(uint16_t key, struct message *m, unsigned flags)
{
    if (key == KEY_AT(KR_CALLER)) /* districtd, which does not wait for what it has ordered */
        return BW_OK;
    ck_assert(key & 0x8000);
    ck_assert_uint_eq(flags, INVOKE_NOBLOCK);
    answered++;
    last_code = m->code;
    last_generation = m->word[0];
    return BW_OK;
}

int64_t bw_copy_key(uint16_t from, uint16_t to)
{
    (void)from;
    (void)to;
    return BW_OK;
}

void bw_drop_key(uint16_t place)
{
    (void)place;
}

uint64_t bw_next_id(uint64_t count)
{
    return count;
}

void bw_panic(const char *file, int line, const char *what)
{
    ck_abort_msg("%s:%d: %s", file, line, what);
    abort();
}

/* --- the rest of the server ------------------------------------------------------------------- */

int server_open_store(void)
{
    struct store_io io = {.cache_blocks = 64};
    struct store *opened;
    int error;

    disk_io(&io);
    error = store_open(&io, &opened);
    if (error == STORE_OK) {
        store_close(server.store);
        server.store = opened;
    }
    return error;
}

bool server_look_for_crash(void)
{
    server.doomed |= district.crashed;
    return server.doomed;
}

void server_ended(enum ended_why why, uint64_t object, const char *format, ...)
{
    (void)object;
    (void)format;
    last_ended = why;
    server.doomed = true;
}

bool server_report(void)
{
    return true;
}

void server_event(enum event_kind kind, bool important, const char *format, ...)
{
    (void)format;
    ck_assert(important);
    ck_assert(kind == EVENT_CHECKPOINT || kind == EVENT_SPACE);
    events++;
}

int64_t server_result(int error)
{
    return error == STORE_OK ? BW_OK : error == STORE_NOSPACE ? BW_NOSPACE : BW_IO;
}

int64_t server_changed(int error)
{
    server.reopen |= error == STORE_IO;
    return server_result(error);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void setup(void)
{
    struct store_format_params params = {
        .name = "test", .interval = 1000000, .blocks = FAKE_BLOCKS};
    struct store_io io = {.cache_blocks = 64};
    uint64_t incarnation;

    srand(11);
    fake_open();
    disk_io(&io);
    ck_assert_int_eq(store_format(&io, &params, &server.store), STORE_OK);
    ck_assert_int_eq(store_begin(server.store, 0), STORE_OK);
    ck_assert_int_eq(store_put(server.store, 1, OBJECT_PAGE, 1, NULL), STORE_OK);
    ck_assert_int_eq(store_commit(server.store, 1, STORE_MADE_FORMAT), STORE_OK);
    ck_assert_int_eq(server_open_store(), STORE_OK);
    ck_assert_int_eq(store_claim(server.store, STORE_NEWEST, 5, "test", 2, &incarnation), STORE_OK);
    waiters_open();
    server.running = true;
    district.epoch = 1;
    checkpoint_reset();
}

static void teardown(void)
{
    store_close(server.store);
}

static void change(unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        unsigned i = (unsigned)rand() % OBJECTS;
        int what = rand() % 10;

        district.now[i].type = what == 0 ? OBJECT_NONE : OBJECT_PAGE;
        district.now[i].value = what < 3 ? 0 : (uint8_t)rand();
        district.dirty[i] = true;
    }
}

static void ask(void)
{
    fake_now++;
    ck_assert_int_eq(waiters_add(KEY_AT(KR_CALLER)), BW_OK);
    asked++;
    checkpoint_begin(STORE_MADE_ASKED);
}

static void finish(void)
{
    for (unsigned i = 0; server.writing; i++) {
        ck_assert_uint_lt(i, 1000);
        checkpoint_step();
    }
}

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

/* --- frozen together with others -------------------------------------------------------------- */

static const struct bond_line none;

/** The first or the second of two. @param self which one we are */
static void join(unsigned self)
{
    struct bond_line line = {.id = {5, 6}, .members = 2};
    struct message m = {.code = STORE_BOND, .word = {STORE_BOND_JOIN}, .length = sizeof(line)};
    struct message reply = {0};

    line.member[!self].id[0] = 99; /* the id of our store is 0 */
    ck_assert(bond_serve(&m, &line, &reply));
    ck_assert_int_eq(reply.code, BW_OK);
    ck_assert(server.bonded);
}

static void order(enum store_bond_order what, uint64_t a, uint64_t b, const void *string,
                  size_t length)
{
    struct message m = {.code = STORE_BOND, .word = {what, a, b}, .length = length}, reply = {0};

    bond_serve(&m, string, &reply);
}

/** @param late how many ask between the freezing and our hearing of it */
static void freeze_together(uint64_t instant, unsigned late)
{
    struct message m = {.code = DISTRICT_SNAPSHOT};
    struct district_frozen f;
    bw_time_t then = bw_monotonic();

    ck_assert_int_eq(order_snapshot(&m), BW_OK);
    while (late-- > 0)
        ask();
    f = (struct district_frozen){m.word[0], m.word[1], m.word[2]};
    order(STORE_BOND_WRITE, instant, then, &f, sizeof(f));
    while (server.writing && server.bond.what != BONDED_READY)
        checkpoint_step();
}

static struct store_info said(void)
{
    struct store_info info;

    store_info(server.store, &info);
    return info;
}

START_TEST(nobody_is_frozen_alone_in_a_bond)
{
    join(1);
    ck_assert_int_eq(server.bond.what, BONDED_AT);
    change(100);
    ask();
    ck_assert(!server.writing && !district.snapshot);
    ck_assert(server.bond_asks);
    freeze_together(1000, 0);
    ck_assert_int_eq(server.bond.what, BONDED_READY);
    ck_assert_uint_eq(server.bond.instant, 1000);
    ck_assert(said().in_doubt);
    ck_assert_uint_eq(district.committed, 0);
    ck_assert_uint_eq(answered, 0);
    order(STORE_BOND_COMMIT, 999, 0, NULL, 0);
    order(STORE_BOND_KEEP, 999, 0, NULL, 0);
    ck_assert_uint_eq(district.committed, 0);
    order(STORE_BOND_KEEP, 1000, 0, NULL, 0);
    ck_assert_uint_eq(district.committed, 1);
    ck_assert_uint_eq(answered, 1);
    ck_assert_int_eq(last_code, BW_OK);
    ck_assert(!said().in_doubt);
    ck_assert_int_eq(server.bond.what, BONDED_AT);
    ck_assert_uint_eq(server.bond.instant, 1000);
    ask();
    order(STORE_BOND_CLEAN, 0, bw_monotonic(), NULL, 0);
    ck_assert_uint_eq(answered, 2);
    order(STORE_BOND_SET, 0, 0, &none, sizeof(none));
    ck_assert(!server.bonded);
}
END_TEST

/** What is committed must not be older than the question. */
START_TEST(who_asks_after_the_freeze_waits_for_the_next)
{
    join(1);
    change(100);
    ask();
    freeze_together(1000, 1);
    order(STORE_BOND_KEEP, 1000, 0, NULL, 0);
    ck_assert_uint_eq(answered, 1);
    ck_assert(server.bond_asks);
    bw_time_t before = bw_monotonic();
    ask();
    order(STORE_BOND_CLEAN, 0, before, NULL, 0);
    ck_assert_uint_eq(answered, 2);
    change(101);
    freeze_together(2000, 0);
    order(STORE_BOND_KEEP, 2000, 0, NULL, 0);
    ck_assert_uint_eq(answered, 3);
}
END_TEST

START_TEST(the_home_commits_when_it_is_told)
{
    join(0);
    change(100);
    ask();
    freeze_together(1000, 0);
    ck_assert_int_eq(server.bond.what, BONDED_READY);
    ck_assert_uint_eq(said().instant, 0);
    order(STORE_BOND_COMMIT, 1000, 0, NULL, 0);
    ck_assert_uint_eq(said().instant, 1000);
    ck_assert(!said().in_doubt);
    ck_assert_uint_eq(district.committed, 1);
    ck_assert_uint_eq(answered, 1);
    ck_assert_int_eq(server.bond.what, BONDED_AT);
    check_store(district.durable);
}
END_TEST

/** Whatever fails and is decided, the store has what counts, and each who asks is answered once. */
static void bonded_history(unsigned self)
{
    unsigned kept = 0, undone = 0, could_not = 0;

    join(self);
    for (uint64_t instant = 1000; instant < 1300; instant++) {
        change(1 + (unsigned)rand() % 200);
        if (rand() % 3 == 0)
            driver.fail_write = rand() % 30;
        else if (rand() % 3 == 0)
            driver.fail_flush = rand() % 5;
        if (answered == asked)
            ask();
        freeze_together(instant, 0);
        change((unsigned)rand() % 20);
        if (!server.writing) {
            could_not++;
            ck_assert_int_eq(server.bond.what, BONDED_AT);
            ck_assert_uint_ne(server.bond.instant, instant);
        } else if (rand() % 3 == 0) {
            undone++;
            order(STORE_BOND_UNDO, 0, (uint64_t)(rand() % 2 ? 0 : BW_NOSPACE), NULL, 0);
            ck_assert(!server.writing && !district.snapshot);
        } else {
            order(self ? STORE_BOND_KEEP : STORE_BOND_COMMIT, instant, 0, NULL, 0);
            kept += district.committed == district.epoch - 1;
        }
        driver.fail_write = driver.fail_flush = 0;
        ck_assert(!server.writing);
        ck_assert_uint_le(answered, asked);
        if (!server.reopen && !said().in_doubt)
            check_store(district.durable);
    }
    ck_assert_uint_gt(kept, 60);
    ck_assert_uint_gt(undone, 40);
    ck_assert_uint_gt(could_not, 4);
}

START_TEST(a_bonded_history_of_a_member)
{
    bonded_history(1);
}
END_TEST

START_TEST(a_bonded_history_of_a_home)
{
    bonded_history(0);
}
END_TEST

/** Nobody waits for ever for a checkpoint that his bond does not make. */
START_TEST(who_waits_is_not_forgotten)
{
    join(1);
    change(100);
    ask();
    freeze_together(1000, 0);
    server.bond_asks = false;
    order(STORE_BOND_UNDO, 0, 0, NULL, 0);
    ck_assert_uint_eq(answered, 0);
    ck_assert(server.bond_asks);
    order(STORE_BOND_SET, 0, 0, &none, sizeof(none));
    ck_assert(server.writing);
    finish();
    ck_assert_uint_eq(answered, 1);
    ck_assert_int_eq(last_code, BW_OK);
    check_store(district.durable);
}
END_TEST

/** While nobody can tell whether the decision was made, it is not taken back. */
START_TEST(a_home_that_cannot_tell_waits)
{
    join(0);
    change(100);
    ask();
    freeze_together(1000, 0);
    driver.fail_from = 1;
    order(STORE_BOND_COMMIT, 1000, 0, NULL, 0);
    ck_assert(server.writing && district.snapshot);
    order(STORE_BOND_UNDO, 0, 0, NULL, 0);
    ck_assert(server.writing && district.snapshot);
    fake_now = server.next + 1;
    checkpoint_step();
    ck_assert(server.writing);
    ck_assert_uint_eq(answered, 0);
    driver.fail_from = 0;
    fake_now = server.next + 1;
    checkpoint_step();
    ck_assert(!server.writing && !district.snapshot);
    ck_assert_int_eq(server.bond.what, BONDED_AT);
    check_store(district.durable);
}
END_TEST

START_TEST(a_server_that_follows_waits_for_the_word)
{
    join(1);
    change(100);
    freeze_together(1000, 0);
    ck_assert(said().in_doubt);
    ck_assert_int_eq(server_open_store(), STORE_OK); /* the next one: knows what the disk has */
    server.writing = false;
    checkpoint_reset();
    bond_open();
    ck_assert(server.bonded);
    checkpoint_prepared(district.frozen_epoch, said().instant);
    ck_assert_int_eq(server.bond.what, BONDED_READY);
    ck_assert_uint_eq(server.bond.instant, 1000);
    order(STORE_BOND_KEEP, 1000, 0, NULL, 0);
    ck_assert_uint_eq(district.committed, district.frozen_epoch);
    check_store(district.durable);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stored_checkpoint");
    TCase *tests = tcase_create("checkpoint");
    SRunner *runner;
    int failed;

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
    tcase_add_test(tests, nobody_is_frozen_alone_in_a_bond);
    tcase_add_test(tests, who_asks_after_the_freeze_waits_for_the_next);
    tcase_add_test(tests, the_home_commits_when_it_is_told);
    tcase_add_test(tests, a_bonded_history_of_a_member);
    tcase_add_test(tests, a_bonded_history_of_a_home);
    tcase_add_test(tests, who_waits_is_not_forgotten);
    tcase_add_test(tests, a_home_that_cannot_tell_waits);
    tcase_add_test(tests, a_server_that_follows_waits_for_the_word);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
