/*
 * A disk that lies once while operations are done: a write that is acknowledged and lost, done
 * elsewhere, altered or torn; a read, a write or a flush that fails, or a read with other bytes.
 *
 * What must hold afterwards, when the store is opened again:
 *  1. It opens at the last committed state: roots and superblocks are there twice, so that one lie
 *     does not hide one. (A misdirected write may hit two places: then an older state will do.)
 *  2. Every object of every generation that it has is what was committed in that generation, or is
 *     reported to be damaged.
 *  3. If verification finds nothing, everything is exactly as in that state. (Except that what
 *     could not be read for a moment was not dropped then.)
 *  4. On a mirror, one copy of which lies, everything is right, and what was wrong is repaired.
 *  5. After an error, as opposed to a lie, verification finds nothing, whether the program went on
 *     or opened the store again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explorer.h"

#define STATES_MAX 48u

struct liar {
    struct explorer *x;
    struct model_state
        state[STATES_MAX]; /* committed, or perhaps committed, since before the lie */
    unsigned states;
};

static const char *const lie_name[LIES] = {
    [LIE_LOST] = "a lost write",           [LIE_MISDIRECTED] = "a misdirected write",
    [LIE_CORRUPTED] = "an altered write",  [LIE_TORN] = "a torn write",
    [LIE_READ_FAILS] = "a failing read",   [LIE_READ_CORRUPTED] = "an altered read",
    [LIE_WRITE_FAILS] = "a failing write", [LIE_FLUSH_FAILS] = "a failing flush",
};

static void note(struct liar *l, const struct model_state *s)
{
    if (l->states == STATES_MAX)
        model_fail("%s: too many states", explorer_where);
    model_state_copy(&l->state[l->states++], s);
}

static void note_standing(struct liar *l)
{
    note(l, &l->x->m->state);
    if (l->x->m->unsure)
        note(l, &l->x->m->maybe);
}

/** Says so, or at least leaves the disk as it is. */
static bool leaves_disk(enum lie lie)
{
    return lie == LIE_READ_FAILS || lie == LIE_WRITE_FAILS || lie == LIE_FLUSH_FAILS ||
           lie == LIE_READ_CORRUPTED;
}

/** The generation of that number as it was committed, in any of the states. */
static bool was_committed(const struct liar *l, uint64_t number, oid_t oid,
                          const struct store_object *o, const uint64_t *page)
{
    for (unsigned s = 0; s < l->states; s++)
        for (uint32_t k = 0; k < l->state[s].count; k++) {
            const struct model_generation *g = &l->state[s].kept[k];
            const struct model_object *e = oid < g->limit ? &g->object[oid] : NULL;

            if (g->number != number)
                continue;
            if (!o ? !e || e->type == OBJECT_NONE
                   : e && o->type == e->type && o->version == e->version &&
                         model_bytes_are(e->seed, e->made, page))
                return true;
        }
    return false;
}

static void read_all(struct liar *l, struct store *st)
{
    struct explorer *x = l->x;
    struct store_generation g;
    uint64_t page[512];

    for (uint32_t i = 0; store_generation(st, i, &g) == STORE_OK; i++)
        for (oid_t oid = 1; oid <= x->objects + 1; oid++) {
            struct store_object o;
            uint64_t before = x->disk->damages;
            int r = store_get(st, g.number, oid, &o, page);

            if (r && r != STORE_ABSENT && x->mirror)
                explorer_bad(x, "what one copy has right is not read");
            if (r == STORE_DAMAGED && x->disk->damages == before)
                explorer_bad(x, "damage that nobody reported");
            if (r != STORE_OK && r != STORE_ABSENT && r != STORE_DAMAGED)
                explorer_bad(x, store_error_text(r));
            if (r != STORE_DAMAGED && !was_committed(l, g.number, oid, r ? NULL : &o, page))
                explorer_bad(x, "a lie is believed");
        }
}

/** Exactly the last of the states, or any of them. */
static void is_state(struct liar *l, struct store *st, bool last)
{
    const char *what = "no state";

    for (unsigned s = last ? l->states - 1 : 0; s < l->states && what; s++)
        what = model_differs(st, &l->state[s]);
    if (what)
        explorer_bad(l->x, what);
}

/** Of a mirror: repaired, and then both copies have everything. */
static void open_and_repair(struct liar *l)
{
    struct explorer *x = l->x;
    struct store_verify v = {.repair = true};

    x->disk->lie_after = UINT64_MAX;
    if (model_try_open(x->m))
        explorer_bad(x, "a mirror does not open");
    read_all(l, x->m->st);
    is_state(l, x->m->st, true);
    if (store_verify(x->m->st, &v) || v.errors != v.repaired)
        explorer_bad(x, "a copy is not repaired");
    v = (struct store_verify){.repair = false};
    if (store_verify(x->m->st, &v) || v.errors)
        explorer_bad(x, "what was repaired is not right");
}

static void open_and_judge(struct liar *l)
{
    struct explorer *x = l->x;
    struct store_io io = explorer_disk_io(x);
    bool last = x->disk->lie != LIE_MISDIRECTED;
    struct store_verify v = {0};
    struct store *st;
    int r;

    x->disk->lie_after = UINT64_MAX;
    r = store_open(&io, &st);
    if (r == STORE_DAMAGED && x->disk->damages && !last)
        return;
    if (r)
        explorer_bad(x, store_error_text(r));
    read_all(l, st);
    r = store_verify(st, &v);
    if (r == STORE_OK && x->disk->lie != LIE_READ_CORRUPTED)
        is_state(l, st, last);
    else if (r && (r != STORE_DAMAGED || leaves_disk(x->disk->lie)))
        explorer_bad(x, "damage, though what was written is there");
    store_close(st);
}

/** What a program of the system does after an error: goes on, if it may, or opens it again. */
static void go_on(struct explorer *x)
{
    struct model *m = x->m;

    if (!x->failed || !leaves_disk(x->disk->lie) || x->mirror) /* a mirror was mended already */
        return;
    x->failed = false;
    if (m->begun)
        model_abort(m);
    if (m->st && !m->unsure && !m->st->must_reopen && explorer_any(x, 2))
        return;
    if (model_try_reopen(m))
        explorer_bad(x, "does not open after an error");
}

/** Opening it again would show the lie to a model that does not know of it. */
static enum operation choose(struct explorer *x, enum lie lie)
{
    enum operation o = explorer_choose(x);

    if (x->mirror)
        return o < OPERATIONS ? o : OPERATION_RESYNC; /* one thing at a time goes wrong */
    return o == OPERATION_REOPEN && !leaves_disk(lie) ? OPERATION_RESTART : o;
}

void explorer_lies(uint64_t seed)
{
    enum lie lie = 1 + (enum lie)(seed % (LIES - 1));
    unsigned objects = 12 + (unsigned)(seed / LIES % 3) * 20;
    bool mirror = seed / (LIES - 1) % 3 == 2;
    struct explorer *x = (mirror ? explorer_new_mirror : explorer_new)(300, objects, seed, NULL);
    struct liar l = {.x = x};

    for (unsigned i = 0; i < 6; i++)
        explorer_run(x, choose(x, LIE_NONE));
    if (seed % 5 == 0)
        explorer_run(x, OPERATION_FILL);
    snprintf(explorer_where, sizeof(explorer_where), "--lies --seed %llu (%s%s)",
             (unsigned long long)seed, lie_name[lie], mirror ? ", of a mirror" : "");
    x->tolerant = true;
    note_standing(&l);
    x->disk->random = seed;
    x->disk->lie_after = explorer_any(x, lie == LIE_FLUSH_FAILS ? 8 : 60);
    x->disk->lie_copy = mirror ? (unsigned)explorer_any(x, 2) : 0;
    x->disk->lie = lie;
    for (unsigned i = 0; i < 10; i++) {
        explorer_run(x, choose(x, lie));
        note_standing(&l);
        go_on(x);
        note_standing(&l);
    }
    if (x->m->begun)
        model_abort(x->m);
    mirror ? open_and_repair(&l) : open_and_judge(&l);
    statistics->damaged++;
    while (l.states)
        model_state_free(&l.state[--l.states]);
    explorer_free(x);
}
