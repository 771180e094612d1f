/*
 * The operations that crashes are explored in: each is done to the store and to the model, and says
 * before what the state after it will be.
 *
 * A generation may be begun by one operation and committed by a later one. What goes back in time
 * (a roll back, a restart) drops it, as it would in the system; what needs a store without one
 * commits it first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explorer.h"

typedef void (*foresight)(const struct explorer *x, struct model_state *to);

static void foresee_begin(const struct explorer *x, struct model_state *to)
{
    model_after_begin(x->m, to);
}

static void foresee_commit(const struct explorer *x, struct model_state *to)
{
    model_after_commit(x->m, to);
}

static void foresee_claim(const struct explorer *x, struct model_state *to)
{
    model_after_claim(x->m, x->argument, to);
}

static void foresee_drop(const struct explorer *x, struct model_state *to)
{
    model_after_drop(x->m, x->argument, to);
}

static void foresee_grow(const struct explorer *x, struct model_state *to)
{
    model_after_grow(x->m, x->argument, to);
}

static void foresee_retention(const struct explorer *x, struct model_state *to)
{
    model_after_retention(x->m, (uint32_t)x->argument, to);
}

static void foresee_autostart(const struct explorer *x, struct model_state *to)
{
    model_after_autostart(x->m, x->argument != 0, to);
}

static void foresee_journal(const struct explorer *x, struct model_state *to)
{
    model_after_journal(x->m, to);
}

static void begin_operation(struct explorer *x, foresight foresee, uint64_t argument)
{
    x->foresee = foresee;
    x->argument = argument;
}

/** It has returned: from now on only the acknowledged state will do, whatever is still in flight.
 */
static void end_operation(struct explorer *x)
{
    if (x->has_under_way)
        model_state_free(&x->under_way);
    x->has_under_way = false;
    x->foresee = NULL;
    if (x->disk->flying.count && x->disk->before_flush)
        explorer_cut(x);
}

void explorer_failed(struct explorer *x, const char *what, int error)
{
    x->failed = true;
    if (!x->tolerant && !mirrors_fail(x))
        model_fail("%s: %s: %s", explorer_where, what, store_error_text(error));
}

static uint64_t any_value(struct explorer *x)
{
    return x->values + (1u << 20) + explorer_any(x, 1u << 30);
}

/* --- a generation ----------------------------------------------------------------------------- */

static int begin(struct explorer *x)
{
    int r;

    if (x->m->begun)
        return STORE_OK;
    begin_operation(x, foresee_begin, 0);
    r = model_try_begin(x->m);
    end_operation(x);
    x->used = 0;
    if (r == STORE_OK && store_room(x->m->st, &x->room))
        explorer_failed(x, "asking for room", STORE_STATE);
    return r;
}

/** In the end, of a failure: forgets the generation. */
static void settle(struct explorer *x, int r)
{
    if (r && x->m->begun)
        model_abort(x->m);
    if (r && (r != STORE_NOSPACE || x->used <= x->room))
        explorer_failed(x, "a generation", r);
    end_operation(x);
}

static int commit(struct explorer *x)
{
    int r;

    begin_operation(x, foresee_commit, 0);
    r = model_try_commit(x->m);
    end_operation(x);
    statistics->commits++;
    return r;
}

/** What may happen to a store in between, needs a store in which nothing is begun. */
void explorer_finish(struct explorer *x)
{
    if (x->m->begun)
        settle(x, commit(x));
}

static int put(struct explorer *x, oid_t oid, uint64_t seed)
{
    x->used++;
    return model_try_put(x->m, oid, 1 + (uint32_t)explorer_any(x, 3), seed);
}

static int delete (struct explorer *x, oid_t oid)
{
    x->used++;
    return model_try_delete(x->m, oid);
}

static void whole_commit(struct explorer *x, unsigned puts, unsigned deletes, bool zero,
                         bool committed)
{
    int r = begin(x);

    for (unsigned i = 0; i < puts && r == STORE_OK; i++)
        r = put(x, 1 + explorer_any(x, x->objects), zero ? 0 : any_value(x));
    for (unsigned i = 0; i < deletes && r == STORE_OK; i++)
        r = delete (x, deletes > 5 ? 1 + i : 1 + explorer_any(x, x->objects));
    if (r == STORE_OK && committed)
        r = commit(x);
    if (r == STORE_OK && !committed)
        model_abort(x->m);
    settle(x, r);
}

/** The most that one generation of the tests changes. */
#define FILL_MAX 150u

static void fill(struct explorer *x)
{
    int r = begin(x);

    while (r == STORE_OK && x->used < x->room && x->used < FILL_MAX)
        r = put(x, 1 + explorer_any(x, x->objects), any_value(x));
    if (r == STORE_OK)
        r = commit(x);
    settle(x, r);
}

/** An object that exists in what is begun, or one that does not. 0: there is none. */
static oid_t find(struct explorer *x, bool exists)
{
    oid_t first = explorer_any(x, x->objects);

    for (oid_t i = 0; i < x->objects; i++) {
        oid_t oid = 1 + (first + i) % x->objects;

        if (model_pending_exists(x->m, oid) == exists)
            return oid;
    }
    return 0;
}

static void change(struct explorer *x, bool exists, bool deleted)
{
    int r = begin(x);
    oid_t oid = r ? 0 : find(x, exists);

    if (oid)
        r = deleted ? delete (x, oid) : put(x, oid, any_value(x));
    settle(x, r);
}

/* --- each operation --------------------------------------------------------------------------- */

void explorer_claim(struct explorer *x, uint64_t generation)
{
    int r;

    if (x->m->begun)
        model_abort(x->m);
    end_operation(x);
    begin_operation(x, foresee_claim, generation);
    r = model_try_claim(x->m, generation);
    if (r)
        explorer_failed(x, "claim", r);
    end_operation(x);
}

/** From that kept generation, counted from the oldest. */
static void go_to(struct explorer *x, uint32_t index)
{
    explorer_claim(x, x->m->state.kept[index].number);
}

static uint32_t index_of_current(const struct explorer *x)
{
    const struct model_state *s = &x->m->state;
    uint32_t i = 0;

    while (i + 1 < s->count && s->kept[i].number != s->current)
        i++;
    return i;
}

/** Dropping gives exactly what only that generation held; but the map may be written anew then. */
static void drop_generation(struct explorer *x, uint64_t number)
{
    struct store_info before, after;
    uint64_t held;
    int r = store_held(x->m->st, number, &held);

    store_info(x->m->st, &before);
    begin_operation(x, foresee_drop, number);
    if (r == STORE_OK)
        r = model_try_drop(x->m, number);
    store_info(x->m->st, &after);
    if (r)
        explorer_failed(x, "drop", r);
    else if (x->fold_limit == 0 && after.free_blocks - before.free_blocks != held)
        explorer_bad(x, "dropping does not give what only that generation held");
    end_operation(x);
}

static void drop(struct explorer *x, bool middle)
{
    struct model_state *s = &x->m->state;
    uint32_t index;

    explorer_finish(x);
    if (s->count <= 2)
        return;
    index = middle ? s->count / 2 : 0;
    if (s->kept[index].number == s->current)
        index = index ? index - 1 : 1;
    drop_generation(x, s->kept[index].number);
}

static void grow(struct explorer *x)
{
    uint64_t blocks = x->m->state.blocks + 1 + explorer_any(x, 24);
    int r;

    explorer_finish(x);
    if (blocks > x->disk->blocks)
        return;
    begin_operation(x, foresee_grow, blocks);
    r = model_try_grow(x->m, blocks);
    if (r)
        explorer_failed(x, "grow", r);
    end_operation(x);
}

/** All that is set by change_head() is written like this. */
static void policy(struct explorer *x)
{
    bool on = !x->m->state.autostart;
    int r;

    begin_operation(x, foresee_autostart, on);
    r = model_try_autostart(x->m, on);
    if (r)
        explorer_failed(x, "setting autostart", r);
    end_operation(x);
}

static void journal(struct explorer *x)
{
    int r;

    begin_operation(x, foresee_journal, 0);
    r = model_try_journal(x->m);
    if (r)
        explorer_failed(x, "writing the journal page", r);
    end_operation(x);
}

static void retention(struct explorer *x)
{
    uint32_t keep = 2 + (uint32_t)explorer_any(x, 8);
    int r;

    begin_operation(x, foresee_retention, keep);
    r = model_try_retention(x->m, keep);
    if (r)
        explorer_failed(x, "setting the retention", r);
    end_operation(x);
}

static void reopen(struct explorer *x)
{
    int r;

    if (x->disk->flying.count) /* who closed it has ended, and what it wrote has come to rest */
        x->m->io.flush(x->m->io.ctx);
    begin_operation(x, foresee_claim, x->m->state.current);
    r = model_try_reopen(x->m);
    if (r)
        explorer_failed(x, "opening again", r);
    x->scrubbing = false;
    end_operation(x);
}

/** Some steps; it goes on in a later operation, whatever happens in between. */
static void scrub(struct explorer *x)
{
    unsigned steps = 1 + (unsigned)explorer_any(x, 6);
    int r = STORE_OK;

    if (!x->scrubbing)
        r = store_scrub_begin(x->m->st, &x->scrub);
    x->scrubbing = r == STORE_OK;
    while (r == STORE_OK && steps-- > 0)
        r = store_scrub_step(x->m->st, &x->scrub, 1 + explorer_any(x, 20));
    if (r == STORE_ABSENT)
        x->scrubbing = false;
    else if (r)
        explorer_failed(x, "scrub", r);
    /* A copy that is not up to date yet is brought up to date by this, too. */
    if (x->scrub.errors > (x->mirror ? x->scrub.repaired : 0) && !x->tolerant && !mirrors_fail(x))
        explorer_bad(x, "scrubbing finds damage");
    end_operation(x);
}

void explorer_check(struct explorer *x)
{
    const char *what = model_differs(x->m->st, &x->m->state);

    if (what)
        explorer_bad(x, what);
}

void explorer_move(struct explorer *from, struct explorer *to)
{
    uint64_t page[512];
    struct store_object o;
    oid_t oid;
    int r = begin(from);

    oid = r ? 0 : find(from, true);
    if (oid == 0 || store_get(from->m->st, STORE_NEWEST, oid, &o, page) != STORE_OK) {
        settle(from, r);
        return;
    }
    r = begin(to);
    to->used++;
    if (r == STORE_OK)
        r = model_try_put_as(to->m, 1 + explorer_any(to, to->objects), from->m, oid, page);
    if (r == STORE_OK)
        r = commit(to);
    settle(to, r);
    if (r == STORE_OK)
        r = delete (from, oid);
    settle(from, r);
}

const char *const operation_name[ALL_OPERATIONS] = {
    "dirty",     "create",  "destroy",  "commit",     "roll back",   "drop",        "grow",
    "scrub",     "put one", "put some", "put many",   "put zero",    "fill",        "delete all",
    "empty",     "abort",   "restart",  "go back",    "undo back",   "drop middle", "policy",
    "retention", "journal", "reopen",   "lose first", "lose second", "return",      "resync",
};

/** Those that write a snapshot out at once. */
static void run_whole(struct explorer *x, enum operation o)
{
    switch (o) {
    case OPERATION_PUT_ONE:
        whole_commit(x, 1, 0, false, true);
        break;
    case OPERATION_PUT_SOME:
        whole_commit(x, 3 + (unsigned)explorer_any(x, 6), 1, false, true);
        break;
    case OPERATION_PUT_MANY:
        whole_commit(x, 10 + (unsigned)explorer_any(x, 2 * x->objects), 0, false, true);
        break;
    case OPERATION_PUT_ZERO:
        whole_commit(x, 2, 0, true, true);
        break;
    case OPERATION_FILL:
        fill(x);
        break;
    case OPERATION_DELETE_ALL:
        whole_commit(x, 0, x->objects, false, true);
        break;
    case OPERATION_EMPTY:
        whole_commit(x, 0, 0, false, true);
        break;
    case OPERATION_ABORT:
        whole_commit(x, 4, 1, false, false);
        break;
    default:
        break;
    }
}

void explorer_run(struct explorer *x, enum operation o)
{
    const struct model_state *s = &x->m->state;
    uint32_t at;

    switch (o) {
    case OPERATION_DIRTY:
        change(x, true, false);
        break;
    case OPERATION_CREATE:
        change(x, false, false);
        break;
    case OPERATION_DESTROY:
        change(x, true, true);
        break;
    case OPERATION_COMMIT:
        explorer_finish(x);
        break;
    case OPERATION_ROLL_BACK:
        at = index_of_current(x);
        go_to(x, at ? at - 1 : 0);
        break;
    case OPERATION_DROP:
        drop(x, false);
        break;
    case OPERATION_DROP_MIDDLE:
        drop(x, true);
        break;
    case OPERATION_GROW:
        grow(x);
        break;
    case OPERATION_SCRUB:
        scrub(x);
        break;
    case OPERATION_RESTART:
        explorer_claim(x, s->current);
        break;
    case OPERATION_GO_BACK:
        go_to(x, 0);
        break;
    case OPERATION_UNDO_BACK:
        go_to(x, s->count - 1);
        break;
    case OPERATION_POLICY:
        policy(x);
        break;
    case OPERATION_RETENTION:
        retention(x);
        break;
    case OPERATION_JOURNAL:
        journal(x);
        break;
    case OPERATION_LOSE_FIRST:
    case OPERATION_LOSE_SECOND:
        mirrors_lose(x, o - OPERATION_LOSE_FIRST);
        break;
    case OPERATION_RETURN:
        mirrors_return(x);
        break;
    case OPERATION_RESYNC:
        mirrors_resync(x);
        break;
    case OPERATION_REOPEN:
        reopen(x);
        break;
    default:
        run_whole(x, o);
        break;
    }
    if (x->mirror && x->failed)
        mirrors_mend(x);
}

enum operation explorer_choose(struct explorer *x)
{
    static const enum operation often[] = {OPERATION_PUT_ONE, OPERATION_PUT_SOME,
                                           OPERATION_PUT_MANY, OPERATION_DIRTY};

    if (x->mirror && explorer_any(x, 3) == 0)
        return OPERATIONS + (enum operation)explorer_any(x, ALL_OPERATIONS - OPERATIONS);
    return explorer_any(x, 3) ? often[explorer_any(x, 4)]
                              : (enum operation)explorer_any(x, OPERATIONS);
}
