/*
 * What a store has against what the model says: each generation, each object, each byte.
 */
#include <string.h>

#include "model.h"

/** Generations share blocks: each block is read once in one comparison. */
#define MEMO 65536u
static struct {
    uint64_t stamp, seed, made;
} memo[MEMO];
static uint64_t memo_stamp;

struct comparison {
    struct store *st;
    const struct model_generation *g;
    oid_t next;
    const char *what;
};

static const char *object_differs(struct comparison *c, const struct store_object *o)
{
    const struct model_object *e = o->oid < c->g->limit ? &c->g->object[o->oid] : NULL;
    uint64_t page[512];
    struct store_object again;

    if (!e || e->type == OBJECT_NONE)
        return "an object that should not be";
    if (o->type != e->type || o->version != e->version || o->bytes != (e->seed != 0))
        return "an object of another type, version or kind";
    if (!o->bytes || (o->block < MEMO && memo[o->block].stamp == memo_stamp &&
                      memo[o->block].seed == e->seed && memo[o->block].made == e->made))
        return NULL;
    if (store_get(c->st, c->g->number, o->oid, &again, page) != STORE_OK)
        return "an object cannot be read";
    if (!model_bytes_are(e->seed, e->made, page))
        return "an object has other bytes";
    if (o->block < MEMO) {
        memo[o->block].stamp = memo_stamp;
        memo[o->block].seed = e->seed;
        memo[o->block].made = e->made;
    }
    return NULL;
}

static int compare(void *ctx, const struct store_object *o)
{
    struct comparison *c = ctx;

    for (; c->next < o->oid && c->next < c->g->limit; c->next++)
        if (c->g->object[c->next].type != OBJECT_NONE)
            c->what = "an object is missing";
    c->next = o->oid + 1;
    if (!c->what)
        c->what = object_differs(c, o);
    return c->what ? 1 : 0;
}

static const char *generation_differs(struct store *st, const struct model_generation *g)
{
    struct comparison c = {st, g, 0, NULL};
    int r = store_walk(st, g->number, 0, compare, &c);

    if (c.what)
        return c.what;
    if (r)
        return store_error_text(r);
    for (; c.next < g->limit; c.next++)
        if (g->object[c.next].type != OBJECT_NONE)
            return "an object is missing at the end";
    return NULL;
}

static bool journal_differs(struct store *st, uint64_t sequence)
{
    uint64_t page[512], expected[512];

    model_bytes(sequence, 0, expected);
    return store_journal(st, page) != sequence || memcmp(page, expected, sizeof(page)) != 0;
}

const char *model_differs(struct store *st, const struct model_state *s)
{
    struct store_generation g;
    struct store_info i;

    memo_stamp++;
    store_info(st, &i);
    if (i.incarnation != s->incarnation)
        return "another incarnation";
    if (i.blocks != s->blocks)
        return "another capacity";
    if (i.next_generation != s->next)
        return "another next generation";
    if (i.current != s->current)
        return "another current generation";
    if (i.keep_last != s->keep)
        return "another retention";
    if (i.autostart != s->autostart)
        return "another autostart";
    if (journal_differs(st, s->journal))
        return "another journal page";
    if (i.generations != s->count)
        return "another number of generations";
    for (uint32_t k = 0; k < s->count; k++)
        if (store_generation(st, k, &g) || g.number != s->kept[k].number)
            return "other generations";
    for (uint32_t k = s->count; k-- > 0;) {
        const char *what = generation_differs(st, &s->kept[k]);

        if (what)
            return what;
    }
    return NULL;
}

void model_check(struct model *m)
{
    const char *what = model_differs(m->st, &m->state);

    if (what)
        model_fail("the store differs from the model: %s", what);
}

uint64_t model_verify(struct model *m)
{
    struct store_verify v = {0};

    store_verify(m->st, &v);
    return v.errors;
}
