/*
 * One generation as it travels: read out of a store object by object, and made into a new one.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "tools.h"

/* --- out of a store --------------------------------------------------------------------------- */

struct counting {
    uint64_t objects, bytes;
};

static int count(void *ctx, const struct store_object *o)
{
    struct counting *c = ctx;

    c->objects++;
    c->bytes += o->bytes;
    return 0;
}

void generation_describe(struct opened *o, struct generation_head *h)
{
    const struct store_info *i = &o->info;
    struct counting c = {0};

    opened_check(o, store_walk(o->store, o->generation.number, 0, count, &c));
    *h = (struct generation_head){
        .blocks = i->blocks,
        .interval = i->interval,
        .number = o->generation.number,
        .parent = o->generation.parent,
        .time = o->generation.time,
        .objects = c.objects,
        .bytes = c.bytes,
        .reason = o->generation.reason,
        .crash_policy = i->crash_policy,
        .abi_version = i->abi_version,
        .image_version = i->image_version,
        .keep_last = i->keep_last,
        .keep_minutes = i->keep_minutes,
        .keep_hours = i->keep_hours,
        .keep_days = i->keep_days,
        .next = i->next_generation,
    };
    memcpy(h->id, i->id, sizeof(h->id));
    memcpy(h->name, i->name, sizeof(h->name));
    memcpy(h->owner, i->owner, sizeof(h->owner));
}

struct visiting {
    struct opened *o;
    void (*each)(void *ctx, const struct generation_object *g, const void *bytes);
    void *ctx;
};

static int visit(void *ctx, const struct store_object *s)
{
    struct visiting *v = ctx;
    struct generation_object g = {.oid = s->oid,
                                  .version = s->version,
                                  .type = (uint8_t)s->type,
                                  .flags = s->bytes ? OBJECT_BYTES : 0};
    uint8_t bytes[STORE_BLOCK];
    struct store_object again;
    int r;

    if (!s->bytes) {
        v->each(v->ctx, &g, NULL);
        return 0;
    }
    r = store_get(v->o->store, v->o->generation.number, s->oid, &again, bytes);
    if (r == STORE_OK)
        v->each(v->ctx, &g, bytes);
    return r;
}

void generation_each(struct opened *o,
                     void (*each)(void *ctx, const struct generation_object *g, const void *bytes),
                     void *ctx)
{
    struct visiting v = {o, each, ctx};

    opened_check(o, store_walk(o->store, o->generation.number, 0, visit, &v));
}

/* --- into a new one --------------------------------------------------------------------------- */

static bool ends(const char *text, size_t size)
{
    return memchr(text, 0, size) != NULL;
}

const char *generation_implausible(const struct generation_head *h)
{
    if (!ends(h->name, sizeof(h->name)) || !ends(h->owner, sizeof(h->owner)))
        return "a name in it has no end";
    if (bad_name(h->name))
        return "no district can have its name";
    if (h->blocks < STORE_MIN_BLOCKS || h->blocks > STORE_MAX_BLOCKS)
        return "no store can have its size";
    if (h->number >= STORE_NEWEST - 1)
        return "no generation can have its number";
    if (h->bytes > h->objects || h->bytes > h->blocks)
        return "its counts of objects contradict each other";
    if (h->next >= STORE_NEWEST - 1 || (h->next && h->next <= h->number))
        return "no generation can have the number that follows";
    if (h->crash_policy > 2)
        return "its crash policy is unknown";
    if (h->abi_version > NUCLEUS_ABI_VERSION)
        return "it was made for a newer system";
    if (h->journal > STORE_JOURNAL || (h->journal && h->journal_sequence == 0))
        return "no journal page can be like its";
    return NULL;
}

static struct store_format_params parameters(const struct maker *m, uint64_t blocks)
{
    const struct generation_head *h = &m->head;
    struct store_format_params p = {.blocks = blocks,
                                    .interval = h->interval,
                                    .time = time_now(),
                                    .crash_policy = h->crash_policy,
                                    .abi_version = h->abi_version,
                                    .image_version = h->image_version};

    memcpy(p.id, h->id, sizeof(p.id));
    if (!m->same_id && getrandom(p.id, sizeof(p.id), 0) != sizeof(p.id))
        fail("no random bytes to be had");
    memcpy(p.name, h->name, sizeof(p.name));
    if (m->name)
        snprintf(p.name, sizeof(p.name), "%s", m->name);
    memcpy(p.owner, h->owner, sizeof(p.owner));
    return p;
}

static void check(const struct maker *m, int r)
{
    if (r == STORE_NOSPACE)
        fail("%s: it does not fit: choose a larger --size", m->path);
    if (r)
        fail("%s: %s", m->path, store_error_text(r));
}

/** A district's numbers are never used twice: those of the store whose place this takes are taken.
 */
static void look_at_replaced(struct maker *m)
{
    struct store_info info;
    struct store_io io;
    struct store *st;
    struct file f;

    if (!m->same_id || !m->force || access(m->path, F_OK) != 0)
        return;
    file_open(&f, m->path, false);
    io = file_io(&f);
    io.damage = NULL;
    if (store_open(&io, &st) == STORE_OK) {
        store_info(st, &info);
        if (memcmp(info.id, m->head.id, sizeof(info.id)) == 0 && info.next_generation > m->next)
            m->next = info.next_generation;
        store_close(st);
    }
    close(f.fd);
}

void maker_begin(struct maker *m)
{
    struct store_format_params p;
    struct store_io io;
    uint64_t size = m->size ? m->size - m->size % STORE_BLOCK : m->head.blocks * STORE_BLOCK;

    if (size < (uint64_t)STORE_MIN_BLOCKS * STORE_BLOCK)
        fail("--size: at least 1M is needed");
    look_at_replaced(m);
    p = parameters(m, size / STORE_BLOCK);
    catch_signals();
    file_create(&making, m->path, size, m->force);
    io = file_io(&making);
    check(m, store_format(&io, &p, &m->store));
    check(m, store_begin(m->store, m->head.number));
}

/** The system page has the district's name, too. */
static const void *rename_system(const struct maker *m, const void *bytes,
                                 uint8_t copy[STORE_BLOCK])
{
    struct system_page *s = (struct system_page *)copy;

    memcpy(copy, bytes, STORE_BLOCK);
    memset(s->name, 0, sizeof(s->name));
    strncpy(s->name, m->name, sizeof(s->name) - 1);
    return copy;
}

void maker_object(struct maker *m, const struct generation_object *g, const void *bytes)
{
    uint8_t copy[STORE_BLOCK] __attribute__((aligned(8)));

    if (g->oid == OID_SYSTEM && m->name && bytes)
        bytes = rename_system(m, bytes, copy);
    check(m, store_put(m->store, g->oid, g->type, g->version, bytes));
}

void maker_finish(struct maker *m)
{
    const struct generation_head *h = &m->head;
    uint64_t next = m->next > h->next ? m->next : h->next;

    check(m, store_commit(m->store, h->time, (enum store_reason)h->reason));
    if (h->keep_last >= 2 && store_set_retention(m->store, h->keep_last, h->keep_minutes,
                                                 h->keep_hours, h->keep_days) == STORE_IO)
        fail("%s: %s", m->path, store_error_text(STORE_IO));
    if (h->journal_sequence)
        check(m, store_set_journal(m->store, h->journal_sequence, m->journal, h->journal));
    if (m->same_id && next > h->number + 1)
        check(m, store_set_next(m->store, next));
    store_close(m->store);
    m->store = NULL;
    file_finish(&making, m->force);
}
