// sources: ../../store ../../store/server/disk.c ../../store/server/checkpoint.c
// sources: ../../store/server/waiters.c ../../store/server/bond.c ../../store/server/supply.c
// sources: ../../store/server/space.c ../../store/server/whole.c fake_panic.c
/*
 * A district that changes all the time, as the nucleus has it, below the store server's checkpoints
 * over a store of their own; and the rest of the server. Included by one file of a test program.
 */
#ifndef TESTS_FAKE_DISTRICT_H
#define TESTS_FAKE_DISTRICT_H

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

/* --- what tests do with it -------------------------------------------------------------------- */

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

#endif
