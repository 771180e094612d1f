/*
 * The simulated machine: the commons with one domain that does what districtd and the store
 * servers do, and SIDES districts, whose stores keep generations of real snapshots. Everything
 * below is the nucleus's own code over the fake machine; districts are loaded, frozen, pulled and
 * ended by the orders that the servers use, one at a time, in any order. Included by one file.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdio.h>
#include "../unit/fake_programs.h"
#include "broker_step.h"
#include "registry.h"

#define SIDES       4u /* registry slots 1 .. SIDES */
#define GENERATIONS 6u /* kept */
#define PLACES      1536u
#define R_FOUND     25u /* of the machine: what the broker has found */

/** An object as a store has it. */
struct saved {
    struct saved *next_made;
    struct object_header header;
    uint8_t bytes[BW_PAGE_SIZE];
};

struct generation {
    uint64_t number;
    struct saved *object[PLACES];
};

static struct side {
    struct key key;                      /* of the district, while it runs */
    uint64_t run;                        /* its incarnation; unique in the whole simulation */
    struct generation kept[GENERATIONS]; /* the newest first */
    struct generation frozen;            /* being pulled */
    uint64_t newest;                     /* number of the newest generation ever */
    bool ending;
} side[SIDES + 1];

static struct saved *all_made;
static struct activity *machine; /* districtd and the store servers */
static struct broker broker;
static int64_t broker_result;
static uint64_t runs;

static bool chance(unsigned percent)
{
    return (unsigned)random() % 100 < percent;
}

static unsigned any_side(void)
{
    return 1 + (unsigned)random() % SIDES;
}

static struct district *district_of(unsigned i)
{
    return &districts[side[i].key.value & (DISTRICT_MAX - 1)];
}

static bool is_up(unsigned i)
{
    return registry_entry(i)->running && district_of(i)->state == DISTRICT_RUNNING;
}

/** Which side a district is, by its name. */
static unsigned side_of(const struct district *d)
{
    return (unsigned)(d->name[1] - '0');
}

/* --- stores ----------------------------------------------------------------------------------- */

static struct saved **place_in(struct generation *g, oid_t oid)
{
    uint64_t n = oid < OID_FIRST_FREE ? oid : oid - OID_FIRST_FREE + 1024;
    ck_assert_uint_lt(n, PLACES);
    return &g->object[n];
}

static void freeze(unsigned i)
{
    uint64_t objects, ticks;
    if (!is_up(i) || snapshot_begin(district_of(i), &objects, &ticks) != BW_OK)
        return;
    side[i].frozen = side[i].kept[0];
    side[i].frozen.number = district_of(i)->snapshot_epoch;
}

/** Pulls a few objects of the snapshot, and commits when it has all. */
static void write_out(unsigned i)
{
    struct district *d = district_of(i);
    if (!is_up(i) || !d->snapshot)
        return;
    for (unsigned n = 1 + (unsigned)random() % 20; n > 0; n--) {
        struct object *o = snapshot_next(d, NULL);
        const uint8_t *bytes;
        if (o == NULL)
            break;
        struct saved *s = calloc(1, sizeof *s);
        s->next_made = all_made;
        all_made = s;
        ck_assert_int_eq(snapshot_describe(o, &s->header, &bytes), BW_OK);
        if (bytes != NULL)
            memcpy(s->bytes, bytes, sizeof s->bytes);
        *place_in(&side[i].frozen, s->header.oid) = s;
        snapshot_pulled(d, o);
    }
    if (snapshot_next(d, NULL) != NULL)
        return;
    memmove(&side[i].kept[1], &side[i].kept[0], (GENERATIONS - 1) * sizeof side[i].kept[0]);
    side[i].kept[0] = side[i].frozen;
    side[i].newest = side[i].frozen.number;
    ck_assert_int_eq(snapshot_committed(d, side[i].newest), BW_OK);
}

/** Supplies one of the objects that a district waits for. */
static void supply(unsigned i)
{
    struct district *d = district_of(i);
    unsigned from = (unsigned)random() % WANTS;
    if (!registry_entry(i)->running || d->state > DISTRICT_RUNNING)
        return;
    for (unsigned n = 0; n < WANTS; n++) {
        oid_t oid = d->wants[(from + n) % WANTS].oid;
        if (oid == 0)
            continue;
        const struct saved *s = *place_in(&side[i].kept[0], oid);
        struct object_header none = {.oid = oid};
        const struct object_header *h = s == NULL ? &none : &s->header;
        (void)district_supply(d, h, s != NULL && h->flags & OBJECT_BYTES ? s->bytes : NULL);
        return;
    }
}

/* --- starting and ending ---------------------------------------------------------------------- */

static int64_t machine_order(unsigned i, uint64_t code, struct key k)
{
    frame(machine)->keys[R_OUT + 1] = k;
    return order(machine, side[i].key, code, 0, 0, 0);
}

static void watch(unsigned i)
{
    ck_assert_int_eq(machine_order(i, DISTRICT_WATCH, start_key(machine, 1)), BW_OK);
}

/** A new incarnation, from one of the generations; it loads as it is supplied. */
static void start(unsigned i, unsigned generation)
{
    struct generation *g = &side[i].kept[generation];
    struct district_params p = {.name = {'d', (char)('0' + i)}, .id = {(uint8_t)i}};
    if (registry_entry(i)->running || g->number == 0)
        return;
    p.from = g->number;
    p.generation = side[i].newest;
    p.incarnation = p.incarnation_random = side[i].run = ++runs;
    ck_assert_int_eq(district_create(&p, &side[i].key), BW_OK);
    memmove(&side[i].kept[0], g, sizeof *g); /* what was left behind is not needed here */
    watch(i);
    registry_entry(i)->running = true;
    ck_assert_int_eq(machine_order(i, DISTRICT_START, key_void()), BW_OK);
}

/** One step of the end of a district. */
static void end_step(unsigned i)
{
    if (!registry_entry(i)->running)
        return;
    side[i].ending = machine_order(i, DISTRICT_KILL, key_void()) == BW_AGAIN;
    if (!side[i].ending) {
        registry_entry(i)->running = false;
        broker.wanted = true;
    }
}

/* --- districtd's broker ----------------------------------------------------------------------- */

static int64_t broker_perform(enum broker_order what)
{
    bool find = what == BROKER_FIND;
    struct regs *r = prepare(machine, OP_CALL, INVOKE_RECEIVE | (find ? INVOKE_STRING : 0), R_OUT,
                             find                  ? DISTRICT_PUBLISHED
                             : what == BROKER_LINE ? DISTRICT_LINKS
                                                   : DISTRICT_LINK);
    frame(machine)->keys[R_OUT] = side[find ? broker.other : broker.slot].key;
    r->rsi = broker.index;
    r->r14 = BUFFER;
    switch (what) {
    case BROKER_LINE:
        r->r15 = sizeof broker.line;
        break;
    case BROKER_FIND:
        r->r12 = STRING;
        r->r13 = __builtin_strlen(broker.line.name);
        memcpy(memory(machine, STRING), broker.line.name, sizeof broker.line.name);
        r->r15 = sizeof broker.access - 1;
        r->rbx = R_FOUND;
        break;
    default:
        r->rdx = broker.line.version;
        r->r8 = broker.why;
        r->r10 = what == BROKER_CONNECT ? R_FOUND : 0;
    }
    int64_t result = go(machine);
    if (what == BROKER_LINE) {
        broker.index = result == BW_OK ? r->rsi : broker.index;
        memcpy(&broker.line, memory(machine, BUFFER), sizeof broker.line);
    } else if (find) {
        memcpy(broker.access, memory(machine, BUFFER), sizeof broker.access);
        broker.access[result == BW_OK ? r->r13 : 0] = 0;
    }
    return result;
}

/** What the world is told when a link was established; oracle. */
static void established(unsigned i, uint64_t place);

/** One order of the broker. @return false: it rests */
static bool broker_go(void)
{
    if (frame(machine)->posted | machine->posted)
        broker.wanted = true;
    frame(machine)->posted = machine->posted = 0;
    if (broker.last == BROKER_REST && broker.failed) /* after a pause */
        broker.wanted = true;
    enum broker_order what = broker_step(&broker, broker_result);
    if (what == BROKER_REST)
        return false;
    broker_result = broker_perform(what);
    if (what == BROKER_CONNECT && broker_result == BW_OK)
        established(broker.slot, broker.index);
    return true;
}

/** districtd fails: the next one watches what runs and knows nothing else. */
static void broker_restart(void)
{
    frame(machine)->posted = machine->posted = 0;
    frame(machine)->keys[R_FOUND] = key_void();
    broker = (struct broker){.wanted = true};
    for (unsigned i = 1; i <= SIDES; i++)
        if (registry_entry(i)->running && !side[i].ending)
            watch(i);
}

#endif
