// sources: ../../store
/*
 * A mirrored store on two simulated disks, which fail and lose their power when they are told to,
 * with the state that it must have. Included by one file of a test program.
 */
#ifndef TESTS_FAKE_MIRROR_H
#define TESTS_FAKE_MIRROR_H

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

#endif
