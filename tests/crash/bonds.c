/*
 * A deterministic simulation of bonded districts: the steps of districts/bond_step.c, store servers
 * reduced to what they do to their stores, and real stores on disks that lose what was not
 * flushed. Districts change, are frozen together, written out by turns, and decided about; writes
 * fail, store servers and the coordinator end and are started again, the power goes, districts are
 * rolled back, generations are dropped.
 *
 * At each flush of any disk, images of what a power cut could leave of all disks are opened, and
 * the districts in them restarted. The oracle: all are at one instant, with what they had when they
 * were frozen; and it is the last one that was acknowledged, or one that is being decided.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../store/internal.h"
#include "bonds.h"

/* --- a store server --------------------------------------------------------------------------- */

static void report(struct member *m, enum bond_event event)
{
    struct store_info info;

    store_info(m->st, &info);
    m->reports = true;
    m->report = event;
    m->reported = event == BOND_READY ? m->instant : info.instant;
}

static void over(struct member *m)
{
    m->instant = 0;
    m->held = false;
    report(m, BOND_AT);
}

static void take_back(struct member *m)
{
    struct store_generation g;
    struct store_info info;
    uint64_t incarnation;

    store_info(m->st, &info);
    for (uint32_t i = 0; store_generation(m->st, i, &g) == STORE_OK; i++)
        if (g.number == info.current) {
            bonds_must(store_claim(m->st, g.ancestor, 1, "crash", 1, &incarnation), "taking back");
            break;
        }
    store_drop(m->st, info.current);
}

/** As bond_settle in store/server/bond.c. */
static void settle(struct member *m)
{
    struct store_info info;

    store_info(m->st, &info);
    if (info.in_doubt && info.instant == m->kept)
        bonds_must(store_set_bond(m->st, &info.bond), "settling");
    else if (info.in_doubt)
        take_back(m);
}

static void drop(struct member *m)
{
    store_abort(m->st);
    m->snapshot = false;
    over(m);
}

static void told(struct member *m)
{
    m->snapshot = false;
    m->committed = m->frozen;
}

static void begin_writing(struct member *m, uint64_t instant)
{
    m->reports = false;
    settle(m);
    m->instant = instant;
    m->held = false;
    m->next = 0;
    bonds_must(store_begin(m->st, m->frozen_epoch), "begin");
}

static void decide(struct world *w, struct member *m)
{
    w->maybe = m->instant;
    bonds_must(store_commit_bonded(m->st, m->instant, STORE_MADE_INTERVAL, &w->bond), "deciding");
    w->sure = m->instant;
    w->maybe = 0;
    w->bonded = true;
    told(m);
    over(m);
}

/** Goes on with what is under way, a little. */
static void work(struct world *w, struct member *m)
{
    uint64_t page[512];

    if (m->instant == 0 || m->held)
        return;
    if (bonds_any(w, 40) == 0) { /* the disk has failed */
        drop(m);
        return;
    }
    if (m->next < OBJECTS) {
        unsigned n = m->next++;

        if (m->frozen.value[n] != m->committed.value[n]) {
            model_bytes(m->frozen.value[n], FIRST_OID + n, page);
            bonds_must(store_put(m->st, FIRST_OID + n, OBJECT_PAGE, 1, page), "put");
        }
        return;
    }
    if (m != &w->member[0]) {
        w->maybe = w->bonded ? 0 : m->instant; /* before there is a bond, each is by itself */
        bonds_must(store_commit_bonded(m->st, m->instant, STORE_MADE_INTERVAL, &w->bond),
                   "preparing");
    }
    m->held = true;
    report(m, BOND_READY);
}

static void keep(struct member *m, uint64_t instant)
{
    if (!m->held || m->instant != instant)
        return;
    m->kept = instant;
    told(m);
    settle(m);
    over(m);
}

static void undo(struct member *m)
{
    if (m->instant == 0)
        return;
    store_abort(m->st);
    m->snapshot = false;
    settle(m);
    over(m);
}

/** It ends, and the next one takes over the running district, as adopt.c does. */
static void replace_server(struct world *w, unsigned i)
{
    struct member *m = &w->member[i];
    struct store_io io = simdisk_io(w->disk, i);
    struct store_info info;
    uint64_t incarnation;

    store_close(m->st);
    bonds_must(store_open(&io, &m->st), "opening again");
    bonds_must(store_claim(m->st, STORE_NEWEST, 1, "crash", 1, &incarnation), "claim");
    m->instant = m->kept = 0;
    m->held = false;
    store_info(m->st, &info);
    if (m->snapshot && info.in_doubt && info.current == m->frozen_epoch) {
        m->instant = info.instant;
        m->held = true;
        report(m, BOND_READY);
        return;
    }
    if (m->snapshot && info.current == m->frozen_epoch)
        m->committed = m->frozen;
    m->snapshot = false;
    over(m);
}

/* --- the coordinator -------------------------------------------------------------------------- */

static void freeze(struct world *w)
{
    uint64_t instant = w->bond.last + 1 + bonds_any(w, 5);

    for (unsigned i = 0; i < w->members; i++)
        if (w->member[i].snapshot)
            return;
    if (w->round.phase != BOND_IDLE || w->pasts == INSTANTS)
        return;
    w->bond.last = instant;
    w->past[w->pasts].instant = instant;
    for (unsigned i = 0; i < w->members; i++) {
        struct member *m = &w->member[i];

        m->frozen = w->past[w->pasts].contents[i] = m->now;
        m->frozen_epoch = m->epoch++;
        m->snapshot = true;
    }
    w->pasts++;
    bond_step(&w->round, BOND_FROZEN, 0, instant);
    for (unsigned i = 0; i < w->members; i++)
        begin_writing(&w->member[i], instant);
}

static void answer_asked(struct world *w)
{
    struct store_info home;

    store_info(w->member[0].st, &home);
    for (unsigned i = 0; i < w->members; i++) {
        struct member *m = &w->member[i];

        if (!(w->asked >> i & 1))
            continue;
        if (bond_answer(i, m->instant, home.instant) == BOND_KEEP &&
            !MUTATED(MUTATION_BOND_FORGOTTEN))
            keep(m, m->instant);
        else
            undo(m);
    }
    w->asked = 0;
}

static void act(struct world *w, unsigned member, enum bond_action a)
{
    switch (a) {
    case BOND_COMMIT:
        if (w->member[0].held && w->member[0].instant == w->round.instant)
            decide(w, &w->member[0]);
        break;
    case BOND_KEEP:
        for (unsigned i = 1; i < w->members; i++)
            keep(&w->member[i], w->round.instant);
        break;
    case BOND_UNDO:
        for (unsigned i = 0; i < w->members; i++)
            undo(&w->member[i]);
        break;
    case BOND_ASK:
        w->asked |= 1u << member;
        break;
    case BOND_NOTHING:
        break;
    }
}

static void deliver(struct world *w, unsigned i)
{
    struct member *m = &w->member[i];

    if (!m->reports)
        return;
    m->reports = false;
    if (MUTATED(MUTATION_BOND_EARLY) && m->report == BOND_READY && w->round.phase == BOND_WRITING)
        w->round.ready |= ((1u << w->members) - 1) & ~1u; /* only its own word is waited for */
    act(w, i, bond_step(&w->round, m->report, i, m->reported));
    answer_asked(w);
}

static void replace_coordinator(struct world *w)
{
    w->round = (struct bond_round){.members = w->members};
    w->asked = 0;
    for (unsigned i = 0; i < w->members; i++) {
        struct member *m = &w->member[i];

        m->reports = false;
        if (m->held)
            report(m, BOND_READY);
        else if (m->instant == 0)
            report(m, BOND_AT);
    }
}

/* --- what happens to all ---------------------------------------------------------------------- */

static void stores_of(struct world *w, struct store **st)
{
    for (unsigned i = 0; i < w->members; i++)
        st[i] = w->member[i].st;
}

/** All run again, from where their stores are. */
static void run_again(struct world *w, uint64_t instant)
{
    w->round = (struct bond_round){.members = w->members};
    w->asked = 0;
    w->sure = instant ? instant : w->sure;
    w->maybe = 0;
    for (unsigned i = 0; i < w->members; i++) {
        struct member *m = &w->member[i];
        struct store_info info;

        store_info(m->st, &info);
        *m = (struct member){.st = m->st, .epoch = info.next_generation};
        for (unsigned n = w->pasts; n-- > 0;)
            if (bonds_contains(m->st, &w->past[n].contents[i])) {
                m->now = m->committed = w->own[i] = w->past[n].contents[i];
                break;
            }
    }
}

/** The districts end and are started again. */
static void kill_all(struct world *w)
{
    struct store *st[MEMBERS];
    uint64_t instant;

    for (unsigned i = 0; i < w->members; i++)
        store_abort(w->member[i].st);
    stores_of(w, st);
    instant = bonds_restart(st, w->members, &w->bond);
    bonds_judge(w, st, instant);
    run_again(w, instant);
}

static void roll_back(struct world *w)
{
    struct store *st[MEMBERS];
    uint64_t instant, number;

    if (!w->bonded || w->pasts == 0)
        return;
    instant = w->past[bonds_any(w, w->pasts)].instant;
    stores_of(w, st);
    for (unsigned i = 0; i < w->members; i++)
        if (instant == 0 || !bonds_has_instant(st[i], instant, &number))
            return;
    for (unsigned i = 0; i < w->members; i++)
        store_abort(st[i]);
    w->maybe = instant;
    bonds_go_to(st, w->members, instant);
    run_again(w, instant);
}

static void power_cut(struct world *w)
{
    struct simdisk *old = w->disk;

    image_restore(w->image);
    bonds_cut(w, w->image);
    for (unsigned i = 0; i < w->members; i++)
        store_close(w->member[i].st);
    w->disk = simdisk_from(w->image->bytes, BLOCKS, w->members);
    simdisk_free(old);
    image_free(w->image);
    w->image = image_new(w->disk);
    w->disk->ctx = w;
    w->disk->before_flush = bonds_before_flush;
    w->disk->became_durable = bonds_became_durable;
    for (unsigned i = 0; i < w->members; i++) {
        struct store_io io = simdisk_io(w->disk, i);

        bonds_must(store_open(&io, &w->member[i].st), "opening");
    }
    kill_all(w);
}

static void drop_one(struct world *w)
{
    struct member *m = &w->member[bonds_any(w, w->members)];
    struct store_generation g;

    if (m->instant == 0 && store_generation(m->st, (uint32_t)bonds_any(w, 8), &g) == STORE_OK)
        store_drop(m->st, g.number);
}

static void change(struct world *w)
{
    w->member[bonds_any(w, w->members)].now.value[bonds_any(w, OBJECTS)] =
        model_random_number(&w->random) | 1;
}

static void step(struct world *w)
{
    unsigned i = (unsigned)bonds_any(w, w->members);

    switch (bonds_any(w, 100)) {
    case 0:
        power_cut(w);
        break;
    case 1:
        kill_all(w);
        break;
    case 2:
        roll_back(w);
        break;
    case 3:
    case 4:
        replace_server(w, i);
        break;
    case 5:
        replace_coordinator(w);
        break;
    case 6:
        drop_one(w);
        break;
    case 7 ... 20:
        change(w);
        break;
    case 21 ... 35:
        freeze(w);
        break;
    case 36 ... 50:
        deliver(w, i);
        break;
    default:
        work(w, &w->member[i]);
    }
}

/** A store with one generation, made by a host tool. */
static void make_store(struct world *w, unsigned i)
{
    struct store_format_params p = {.name = "a", .blocks = BLOCKS, .keep_last = 2};
    struct store_io io = simdisk_io(w->disk, i);
    struct member *m = &w->member[i];
    uint64_t page[512], incarnation;

    p.id[0] = w->bond.member[i].id[0] = (uint8_t)(i + 1);
    p.name[0] = w->bond.member[i].name[0] = (char)('a' + i);
    bonds_must(store_format(&io, &p, &m->st), "format");
    bonds_must(store_begin(m->st, 0), "begin");
    for (unsigned k = 0; k < OBJECTS; k++) {
        m->now.value[k] = model_random_number(&w->random) | 1;
        model_bytes(m->now.value[k], FIRST_OID + k, page);
        bonds_must(store_put(m->st, FIRST_OID + k, OBJECT_PAGE, 1, page), "put");
    }
    bonds_must(store_commit(m->st, 1, STORE_MADE_FORMAT), "commit");
    bonds_must(store_claim(m->st, STORE_NEWEST, 1, "crash", 1, &incarnation), "claim");
    m->committed = w->own[i] = w->past[0].contents[i] = m->now;
    m->epoch = 1;
}

void workload_bonds(uint64_t seed, unsigned effort, unsigned length)
{
    struct world *w = calloc(1, sizeof(*w));

    w->random = seed;
    w->effort = effort;
    w->members = 2 + seed % 2;
    w->disk = simdisk_new(BLOCKS, w->members);
    w->bond.members = w->round.members = w->members;
    w->bond.id[0] = 7;
    w->pasts = 1; /* "instant 0": as they were made */
    for (unsigned i = 0; i < w->members; i++)
        make_store(w, i);
    w->image = image_new(w->disk);
    w->disk->ctx = w;
    w->disk->before_flush = bonds_before_flush;
    w->disk->became_durable = bonds_became_durable;
    for (unsigned i = 0; i < length; i++) {
        snprintf(explorer_where, sizeof(explorer_where), "--bonds --seed %llu, step %u",
                 (unsigned long long)seed, i);
        step(w);
    }
    for (unsigned i = 0; i < w->members; i++)
        store_close(w->member[i].st);
    image_free(w->image);
    simdisk_free(w->disk);
    free(w);
}
