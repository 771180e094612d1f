/*
 * The operations that crashes are explored in: each is done to the store and to the model, and says
 * before what the state after it will be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explorer.h"

const char *const operation_name[OPERATIONS] = {
    "put one", "put some", "put many",    "put zero",    "delete", "delete all", "empty", "abort",
    "restart", "go back",  "drop oldest", "drop middle", "policy", "reopen",     "grow"};

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

static void begin_operation(struct explorer *x,
                            void (*foresee)(const struct explorer *, struct model_state *),
                            uint64_t argument)
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
    if (x->disk->flying.count)
        explorer_cut(x);
}

static void operation_commit(struct explorer *x, unsigned puts, unsigned deletes, bool zero,
                             bool commit)
{
    struct model *m = x->m;
    int r;

    begin_operation(x, foresee_begin, 0);
    r = model_try_begin(m);
    end_operation(x);
    for (unsigned i = 0; i < puts && r == STORE_OK; i++) {
        uint64_t seed = zero ? 0 : 1 + explorer_any(x, 1u << 30);

        r = model_try_put(m, 1 + explorer_any(x, x->objects), 1 + (uint32_t)explorer_any(x, 3),
                          seed);
    }
    for (unsigned i = 0; i < deletes && r == STORE_OK; i++)
        r = model_try_delete(m, deletes > 5 ? 1 + i : 1 + explorer_any(x, x->objects));
    if (r == STORE_OK && commit) {
        begin_operation(x, foresee_commit, 0);
        r = model_try_commit(m);
        end_operation(x);
        statistics.commits++;
    }
    if (m->begun)
        model_abort(m);
    if (r && r != STORE_NOSPACE)
        model_fail("%s: %s", explorer_where, store_error_text(r));
}

static void operation_claim(struct explorer *x, uint64_t generation)
{
    begin_operation(x, foresee_claim, generation);
    model_claim(x->m, generation);
    end_operation(x);
}

static void operation_drop(struct explorer *x, uint32_t index)
{
    struct model_state *s = &x->m->state;

    if (s->count <= 2)
        return;
    if (s->kept[index].number == s->current)
        index = index ? index - 1 : 1;
    begin_operation(x, foresee_drop, s->kept[index].number);
    model_drop(x->m, s->kept[index].number);
    end_operation(x);
}

static void foresee_grow(const struct explorer *x, struct model_state *to)
{
    model_after_grow(x->m, x->argument, to);
}

static void operation_grow(struct explorer *x)
{
    uint64_t blocks = x->m->state.blocks + 1 + explorer_any(x, 24);

    if (blocks > x->disk->blocks)
        return;
    begin_operation(x, foresee_grow, blocks);
    if (model_try_grow(x->m, blocks))
        model_fail("%s: it cannot grow", explorer_where);
    end_operation(x);
}

static void operation_policy(struct explorer *x)
{
    begin_operation(x, NULL, 0);
    if (store_set_interval(x->m->st, explorer_any(x, 1u << 30)))
        model_fail("%s: the interval cannot be set", explorer_where);
    end_operation(x);
}

static void operation_reopen(struct explorer *x)
{
    begin_operation(x, foresee_claim, x->m->state.current);
    model_reopen(x->m);
    end_operation(x);
}

void explorer_run(struct explorer *x, enum operation o)
{
    switch (o) {
    case OPERATION_PUT_ONE:
        operation_commit(x, 1, 0, false, true);
        break;
    case OPERATION_PUT_SOME:
        operation_commit(x, 3 + (unsigned)explorer_any(x, 6), 1, false, true);
        break;
    case OPERATION_PUT_MANY:
        operation_commit(x, 10 + (unsigned)explorer_any(x, 2 * x->objects), 0, false, true);
        break;
    case OPERATION_PUT_ZERO:
        operation_commit(x, 2, 0, true, true);
        break;
    case OPERATION_DELETE:
        operation_commit(x, 0, 2, false, true);
        break;
    case OPERATION_DELETE_ALL:
        operation_commit(x, 0, x->objects, false, true);
        break;
    case OPERATION_EMPTY:
        operation_commit(x, 0, 0, false, true);
        break;
    case OPERATION_ABORT:
        operation_commit(x, 4, 1, false, false);
        break;
    case OPERATION_RESTART:
        operation_claim(x, x->m->state.current);
        break;
    case OPERATION_GO_BACK:
        operation_claim(x, x->m->state.kept[0].number);
        break;
    case OPERATION_DROP_OLDEST:
        operation_drop(x, 0);
        break;
    case OPERATION_DROP_MIDDLE:
        operation_drop(x, x->m->state.count / 2);
        break;
    case OPERATION_POLICY:
        operation_policy(x);
        break;
    case OPERATION_GROW:
        operation_grow(x);
        break;
    default:
        operation_reopen(x);
        break;
    }
}

enum operation explorer_choose(struct explorer *x)
{
    static const enum operation often[] = {OPERATION_PUT_ONE, OPERATION_PUT_SOME,
                                           OPERATION_PUT_MANY};

    return explorer_any(x, 3) ? often[explorer_any(x, 3)]
                              : (enum operation)explorer_any(x, OPERATIONS);
}
