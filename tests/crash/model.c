/*
 * The model of a store: plain arrays, copied whole for each generation.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

void (*model_failed)(void);

void model_fail(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    if (model_failed)
        model_failed();
    abort();
}

/* --- states ----------------------------------------------------------------------------------- */

static struct model_generation generation_copy(const struct model_generation *g)
{
    struct model_generation copy = *g;

    copy.object = malloc(g->limit * sizeof(*g->object) + 1);
    if (g->limit)
        memcpy(copy.object, g->object, g->limit * sizeof(*g->object));
    return copy;
}

void model_state_copy(struct model_state *to, const struct model_state *from)
{
    *to = *from;
    for (uint32_t i = 0; i < from->count; i++)
        to->kept[i] = generation_copy(&from->kept[i]);
}

void model_state_free(struct model_state *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        free(s->kept[i].object);
    s->count = 0;
}

static struct model_generation *find(struct model_state *s, uint64_t number)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->kept[i].number == number)
            return &s->kept[i];
    return NULL;
}

static void remove_generation(struct model_state *s, uint64_t number)
{
    struct model_generation *g = find(s, number);

    free(g->object);
    memmove(g, g + 1, (size_t)(s->kept + s->count - g - 1) * sizeof(*g));
    s->count--;
}

static void retain(struct model_state *s, uint32_t keep)
{
    while (s->count > keep) {
        uint32_t i = s->kept[0].number == s->current;

        remove_generation(s, s->kept[i].number);
    }
}

/* --- doing the same to both ------------------------------------------------------------------- */

struct model *model_new_named(const struct store_io *io, uint64_t blocks, char id)
{
    struct store_format_params p = {.name = "model",
                                    .owner = "test",
                                    .blocks = blocks,
                                    .id = "0123456789abcde",
                                    .copies = io->copies,
                                    .keep_last = 8};
    struct model *m = calloc(1, sizeof(*m));
    int r;

    m->io = *io;
    p.id[0] = (uint8_t)id;
    r = store_format(io, &p, &m->st);
    if (r)
        model_fail("format: %s", store_error_text(r));
    m->state.current = STORE_NEWEST;
    m->state.keep = 8;
    m->state.blocks = blocks;
    return m;
}

struct model *model_new_io(const struct store_io *io, uint64_t blocks)
{
    return model_new_named(io, blocks, '0');
}

struct model *model_new(struct memory_disk *d, uint64_t blocks)
{
    struct store_io io = memory_disk_io(d);
    struct model *m = model_new_io(&io, blocks);

    m->disk = d;
    return m;
}

void model_free(struct model *m)
{
    if (m->begun)
        free(m->pending.object);
    store_close(m->st);
    if (m->unsure)
        model_state_free(&m->maybe);
    model_state_free(&m->state);
    free(m);
}

#define BYTES_STEP 0x2545f4914f6cdd1dull

static uint64_t first_word(uint64_t seed, oid_t oid)
{
    return seed * 0x9e3779b97f4a7c15ull + oid;
}

/** Some objects fill one sector only: so few undecided ones that all subsets of them are tried. */
static unsigned words_of(uint64_t seed)
{
    return seed == 0 ? 0 : seed % 4 == 1 ? 64 : 512;
}

void model_bytes(uint64_t seed, oid_t oid, uint64_t page[512])
{
    uint64_t w = first_word(seed, oid);
    unsigned words = words_of(seed);

    memset(page, 0, STORE_BLOCK);
    for (unsigned i = 0; i < words; i++)
        page[i] = w + i * BYTES_STEP;
    if (words)
        page[seed % words] |= 1;
}

/* This is most of what comparing costs. The sanitizers do not know how to choose among clones. */
#ifdef __SANITIZE_ADDRESS__
#define VECTORISED
#else
#define VECTORISED __attribute__((optimize("O3"), target_clones("avx2", "default")))
#endif

VECTORISED bool model_bytes_are(uint64_t seed, oid_t oid, const uint64_t page[512])
{
    uint64_t w = first_word(seed, oid), wrong = 0, rest = 0;
    unsigned words = words_of(seed);

    for (unsigned i = 0; i < words; i++)
        wrong |= page[i] ^ (w + i * BYTES_STEP);
    for (unsigned i = words; i < 512; i++)
        rest |= page[i];
    if (wrong > 1 || rest)
        return false;
    /* Bit 0 of one word is set whatever it would be; elsewhere it must be as it is. */
    for (unsigned i = 0; wrong && i < words; i++)
        if (i != seed % words && page[i] != w + i * BYTES_STEP)
            return false;
    return words == 0 || page[seed % words] & 1;
}

/** The operation that would have led to s was cut off: it may have been done. Takes s over. */
static void not_sure(struct model *m, struct model_state *s)
{
    if (m->unsure)
        model_state_free(&m->maybe);
    m->maybe = *s;
    m->unsure = true;
}

static void become(struct model *m, struct model_state *s)
{
    model_state_free(&m->state);
    m->state = *s;
}

/** After an operation that would lead to s: it was done, or, after an I/O error, may have been. */
static int done(struct model *m, int r, struct model_state *s)
{
    if (r == STORE_IO)
        not_sure(m, s);
    else
        become(m, s);
    return r;
}

void model_after_begin(const struct model *m, struct model_state *to)
{
    model_state_copy(to, &m->state);
    retain(to, 2);
}

int model_try_begin(struct model *m)
{
    struct model_generation *parent = find(&m->state, m->state.current);
    struct store_info before, after;
    int r;

    store_info(m->st, &before);
    r = store_begin(m->st, m->state.next);
    if (r == STORE_IO) {
        struct model_state less;

        model_after_begin(m, &less);
        not_sure(m, &less);
    }
    if (r)
        return r;
    store_info(m->st, &after);
    if (after.generations != before.generations) /* under pressure old ones go */
        retain(&m->state, 2);
    m->begun = true;
    m->changes = 0;
    parent = find(&m->state, m->state.current);
    m->pending = parent ? generation_copy(parent) : (struct model_generation){.object = malloc(1)};
    m->pending.number = m->state.next;
    return STORE_OK;
}

void model_begin(struct model *m)
{
    int r = model_try_begin(m);

    if (r)
        model_fail("begin: %s", store_error_text(r));
}

static struct model_object *pending_object(struct model *m, oid_t oid)
{
    struct model_generation *g = &m->pending;

    m->changes++;
    if (oid >= g->limit) {
        g->object = realloc(g->object, (oid + 1) * sizeof(*g->object));
        memset(g->object + g->limit, 0, (oid + 1 - g->limit) * sizeof(*g->object));
        g->limit = (uint32_t)oid + 1;
    }
    return &g->object[oid];
}

int model_try_put(struct model *m, oid_t oid, uint32_t type, uint64_t seed)
{
    uint64_t page[512];
    int r;

    model_bytes(seed, oid, page);
    r = store_put(m->st, oid, type, (uint32_t)seed, seed ? page : NULL);
    if (r == STORE_OK)
        *pending_object(m, oid) = (struct model_object){seed, (uint32_t)seed, type, oid};
    return r;
}

void model_put(struct model *m, oid_t oid, uint32_t type, uint64_t seed)
{
    int r = model_try_put(m, oid, type, seed);

    if (r)
        model_fail("put: %s", store_error_text(r));
}

bool model_pending_exists(const struct model *m, oid_t oid)
{
    return oid < m->pending.limit && m->pending.object[oid].type != OBJECT_NONE;
}

int model_try_put_as(struct model *m, oid_t oid, const struct model *from, oid_t other,
                     const void *page)
{
    const struct model_state *s = &from->state;
    const struct model_object *o = NULL;
    int r;

    for (uint32_t i = 0; i < s->count; i++)
        if (s->kept[i].number == s->current && other < s->kept[i].limit)
            o = &s->kept[i].object[other];
    if (!o || !model_bytes_are(o->seed, o->made, page))
        model_fail("an object is read that is not in the model, or with other bytes");
    r = store_put(m->st, oid, o->type, o->version, page);
    if (r == STORE_OK)
        *pending_object(m, oid) = *o;
    return r;
}

int model_try_delete(struct model *m, oid_t oid)
{
    int r = store_delete(m->st, oid);

    if (r == STORE_OK)
        *pending_object(m, oid) = (struct model_object){0};
    return r;
}

void model_after_commit(const struct model *m, struct model_state *to)
{
    model_state_copy(to, &m->state);
    if (m->changes == 0)
        return;
    to->kept[to->count++] = generation_copy(&m->pending);
    to->current = m->pending.number;
    to->next = m->pending.number + 1;
    retain(to, to->keep);
}

int model_try_commit(struct model *m)
{
    int r = store_commit(m->st, 1, STORE_MADE_ASKED);
    struct model_state after;

    if (r == STORE_OK || r == STORE_IO)
        model_after_commit(m, &after);
    if (r == STORE_IO)
        not_sure(m, &after);
    if (r == STORE_OK) {
        become(m, &after);
        free(m->pending.object);
        m->begun = false;
    }
    return r;
}

void model_commit(struct model *m)
{
    int r = model_try_commit(m);

    if (r)
        model_fail("commit: %s", store_error_text(r));
}

void model_abort(struct model *m)
{
    store_abort(m->st);
    if (m->begun)
        free(m->pending.object);
    m->begun = false;
}

void model_after_claim(const struct model *m, uint64_t generation, struct model_state *to)
{
    model_state_copy(to, &m->state);
    to->current = generation;
    to->incarnation++;
}

int model_try_claim(struct model *m, uint64_t generation)
{
    struct model_state after;
    uint64_t incarnation;
    int r = store_claim(m->st, generation, 42, "test", 1, &incarnation);

    if (r && r != STORE_IO)
        return r;
    model_after_claim(m, generation, &after);
    done(m, r, &after);
    if (r == STORE_OK && incarnation != m->state.incarnation)
        model_fail("claim: incarnation %llu after %llu", (unsigned long long)incarnation,
                   (unsigned long long)m->state.incarnation - 1);
    return r;
}

void model_claim(struct model *m, uint64_t generation)
{
    int r = model_try_claim(m, generation);

    if (r)
        model_fail("claim: %s", store_error_text(r));
}

void model_after_drop(const struct model *m, uint64_t generation, struct model_state *to)
{
    model_state_copy(to, &m->state);
    remove_generation(to, generation);
}

int model_try_drop(struct model *m, uint64_t generation)
{
    struct model_state after;
    int r = store_drop(m->st, generation);

    if (r && r != STORE_IO)
        return r;
    model_after_drop(m, generation, &after);
    return done(m, r, &after);
}

void model_after_retention(const struct model *m, uint32_t keep, struct model_state *to)
{
    model_state_copy(to, &m->state);
    to->keep = keep;
}

int model_try_retention(struct model *m, uint32_t keep)
{
    struct model_state after;
    int r = store_set_retention(m->st, keep, 0, 0, 0);

    if (r && r != STORE_IO)
        return r;
    model_after_retention(m, keep, &after);
    return done(m, r, &after);
}

void model_after_autostart(const struct model *m, bool on, struct model_state *to)
{
    model_state_copy(to, &m->state);
    to->autostart = on;
}

int model_try_autostart(struct model *m, bool on)
{
    struct model_state after;
    int r = store_set_autostart(m->st, on);

    if (r && r != STORE_IO)
        return r;
    model_after_autostart(m, on, &after);
    return done(m, r, &after);
}

void model_after_journal(const struct model *m, struct model_state *to)
{
    model_state_copy(to, &m->state);
    to->journal++;
}

int model_try_journal(struct model *m)
{
    struct model_state after;
    uint64_t page[512];
    int r;

    model_bytes(m->state.journal + 1, 0, page);
    r = store_set_journal(m->st, m->state.journal + 1, page, sizeof(page));
    if (r && r != STORE_IO)
        return r;
    model_after_journal(m, &after);
    return done(m, r, &after);
}

void model_after_grow(const struct model *m, uint64_t blocks, struct model_state *to)
{
    model_state_copy(to, &m->state);
    to->blocks = blocks;
}

int model_try_grow(struct model *m, uint64_t blocks)
{
    struct model_state after;
    int r = store_grow(m->st, blocks);

    if (r && r != STORE_IO)
        return r;
    model_after_grow(m, blocks, &after);
    return done(m, r, &after);
}

void model_drop(struct model *m, uint64_t generation)
{
    int r = model_try_drop(m, generation);

    if (r)
        model_fail("drop %llu: %s", (unsigned long long)generation, store_error_text(r));
}

int model_try_open(struct model *m)
{
    int r;

    if (m->begun)
        free(m->pending.object);
    m->begun = false;
    store_close(m->st);
    r = m->open ? m->open(m->open_ctx, &m->st) : store_open(&m->io, &m->st);
    if (r)
        return r;
    if (m->unsure && !model_differs(m->st, &m->maybe))
        become(m, &m->maybe);
    else if (m->unsure)
        model_state_free(&m->maybe);
    m->unsure = false;
    return STORE_OK;
}

int model_try_reopen(struct model *m)
{
    int r = model_try_open(m);

    return r == STORE_OK && m->state.count ? model_try_claim(m, m->state.current) : r;
}

void model_reopen(struct model *m)
{
    int r = model_try_reopen(m);

    if (r)
        model_fail("open: %s", store_error_text(r));
}

/* --- random workloads ------------------------------------------------------------------------- */

uint64_t model_random_number(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

/** Puts and deletes n objects, mostly in one place, and commits. */
static int random_commit(struct model *m, uint64_t *random, unsigned n, unsigned objects)
{
    unsigned base = (unsigned)(model_random_number(random) % objects);
    int r = model_try_begin(m);

    for (unsigned i = 0; i < n && r == STORE_OK; i++) {
        uint64_t z = model_random_number(random);
        oid_t oid = 1 + (z & 1 ? (base + i) % objects : (z >> 8) % objects);

        if (z >> 20 & 3)
            r = model_try_put(m, oid, 1 + (z >> 30) % 3, (z >> 40) % 8 ? 1 + (z >> 40) : 0);
        else
            r = model_try_delete(m, oid);
    }
    if (r == STORE_OK && model_random_number(random) % 16)
        r = model_try_commit(m);
    if (m->begun)
        model_abort(m);
    return r;
}

static int random_operation(struct model *m, uint64_t *random)
{
    uint64_t z = model_random_number(random);
    uint64_t blocks = m->io.blocks;
    unsigned objects = blocks < 1000 ? 20 : blocks < 4000 ? 60 : 3000;
    unsigned n = (unsigned)(z >> 8) % (blocks < 1000 ? 12 : blocks < 4000 ? 30 : 800);
    const struct model_generation *g =
        &m->state.kept[m->state.count ? (z >> 32) % m->state.count : 0];

    switch (m->state.count ? z % 32 : 9) {
    case 0:
        return model_try_claim(m, g->number);
    case 1:
        return m->state.count > 2 && g->number != m->state.current ? model_try_drop(m, g->number)
                                                                   : 0;
    case 2:
        return model_try_reopen(m);
    case 3:
        return store_set_interval(m->st, z);
    case 5:
        return model_try_journal(m);
    case 4:
        if (m->io.blocks > 1000)
            model_check(m);
        return 0;
    default:
        return random_commit(m, random, n, objects);
    }
}

void model_random(struct model *m, unsigned seed, unsigned n)
{
    uint64_t random = seed;

    for (unsigned i = 0; i < n; i++) {
        int r = random_operation(m, &random);

        if (r == STORE_IO || r == STORE_STATE || r == STORE_NOMEM)
            return;
        if (r && r != STORE_NOSPACE)
            model_fail("operation %u of seed %u: %s", i, seed, store_error_text(r));
    }
}
