/*
 * Scrubbing: the verification of an open store that goes on being written. Everything is read from
 * the device, not from the cache.
 *
 * It goes through the ids in order. At each step it looks at the generations that are kept then, so
 * commits and drops in between do no harm: a block that was there when it began, and is still
 * needed when the cursor comes to the key under which it stands, is read then. A block belongs to
 * the key of what it stands for: an object to its id, an index block to the lowest id that may be
 * below it. What a generation has from an ancestor that was read before it in the same stretch of
 * keys is not read again, unless an index block there cannot be read (`blind`).
 *
 * The cursor is (key, end, generation): the generations below `generation` are done with the ids
 * from key to end. `end` is where the first of the leaves that hold `key` ends, so that one such
 * stretch is one leaf in each generation, or a few. The map's tree comes last, in the same way.
 *
 * What was born after `limit`, the newest generation when it began, is not read: a district that
 * commits faster than this reads would keep it going for ever. Newer generations are looked at all
 * the same, since they inherit blocks from those that are dropped meanwhile.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum phase { PHASE_ROOTS, PHASE_OBJECTS, PHASE_MAP, PHASE_DONE };

struct scrubber {
    struct store *st;
    struct store_scrub *s;
    uint64_t generation; /* NONE: the map */
    bool has_floor;
    uint64_t floor; /* what was born up to it is read with the nearest kept ancestor */
    uint64_t read;  /* blocks, in this step */
    uint8_t *buffer;
};

/** Looks at the block on the device. Damage is reported. @return STORE_DAMAGED, STORE_NOMEM */
static int look(struct scrubber *x, struct wanted w)
{
    int r;

    w.believe |= MUTATED(MUTATION_SCRUB_BELIEVES);
    r = io_read_all(x->st, &w, x->buffer);

    x->read++;
    x->s->done++;
    if (r == STORE_IO)
        r = DAMAGED(x->st, "block: cannot be read", w.block, w.generation, w.oid, w.checksum, 0);
    return r;
}

/** Damage ends nothing. */
static int go_on(int r)
{
    return r == STORE_NOMEM ? r : STORE_OK;
}

static int look_at_node(struct scrubber *x, const struct disk_ref *ref, uint64_t low)
{
    return look(x, (struct wanted){.what = "index block: checksum",
                                   .block = ref->place,
                                   .generation = x->generation,
                                   .oid = low,
                                   .checksum = ref->checksum,
                                   .believe = MUTATED(MUTATION_NODE_CHECKSUM)});
}

/** It was not there when the scrub began. */
static bool too_new(const struct scrubber *x, uint64_t birth)
{
    return x->generation != NONE && birth > x->s->limit;
}

static int look_at_entries(struct scrubber *x, const struct node *n)
{
    bool map = x->generation == NONE;
    int r = STORE_OK;

    for (unsigned i = 0; i < n->disk.count && r == STORE_OK; i++) {
        const struct disk_entry *e = &n->disk.entry[i];

        if (e->oid < x->s->key || e->oid > x->s->end || !(e->flags & ENTRY_BYTES) ||
            (x->has_floor && e->birth <= x->floor) || too_new(x, e->birth))
            continue;
        r = look(x, (struct wanted){.what = map ? "map block: checksum" : "object: checksum",
                                    .block = e->place,
                                    .generation = x->generation,
                                    .oid = e->oid,
                                    .checksum = e->checksum,
                                    .believe = MUTATED(MUTATION_OBJECT_CHECKSUM)});
        r = go_on(r);
    }
    return r;
}

/** A block that is damaged is named when its own key is met, not on the way to others. */
static int get_node(struct scrubber *x, const struct disk_ref *ref, uint64_t low, struct node **n)
{
    int r;

    x->st->silent = low < x->s->key;
    r = node_get(x->st, ref, low, x->generation, n);
    x->st->silent = false;
    return r;
}

/** All that stands in this stretch of keys, below a block whose keys lie in low..high. */
static int scrub_node(struct scrubber *x, const struct disk_ref *ref, uint64_t low, uint64_t high)
{
    struct node *n;
    int r = STORE_OK;

    if (ref->place == 0 || (x->has_floor && ref->birth <= x->floor))
        return STORE_OK;
    if (low >= x->s->key && !too_new(x, ref->birth))
        r = look_at_node(x, ref, low);
    if (r == STORE_OK)
        r = get_node(x, ref, low, &n);
    if (r) {
        x->s->blind = true;
        return go_on(r);
    }
    if (n->disk.level == 0)
        r = look_at_entries(x, n);
    for (unsigned i = 0; n->disk.level && i < n->disk.count && r == STORE_OK; i++) {
        struct disk_ref child = node_child(n, i);
        uint64_t from = i ? n->disk.child[i].key : low;
        uint64_t to = i + 1 < n->disk.count ? n->disk.child[i + 1].key - 1 : high;

        if (from <= x->s->end && to >= x->s->key && from <= to)
            r = scrub_node(x, &child, from, to);
    }
    node_put(n);
    return r;
}

/** The last key of the leaf that holds `key`, or of the block on the way to it that cannot be read.
 */
static int leaf_end(struct scrubber *x, const struct disk_ref *root, uint64_t key, uint64_t *end)
{
    struct disk_ref ref = *root;
    int r = STORE_OK;

    *end = UINT64_MAX;
    while (ref.place && ref.level) {
        struct node *n;
        unsigned i = 0;

        x->st->silent = true;
        r = node_get(x->st, &ref, key, x->generation, &n);
        x->st->silent = false;
        if (r)
            return go_on(r);
        while (i + 1 < n->disk.count && n->disk.child[i + 1].key <= key)
            i++;
        if (i + 1 < n->disk.count && n->disk.child[i + 1].key - 1 < *end)
            *end = n->disk.child[i + 1].key - 1;
        ref = node_child(n, i);
        node_put(n);
    }
    return STORE_OK;
}

/** The nearest kept generation that number `of` grew from, NONE: there is none. */
static uint64_t kept_ancestor(struct state *s, uint64_t of)
{
    const struct disk_generation *g = generation_find(s, of);

    while (g && g->base != NONE) {
        g = generation_find(s, g->base);
        if (g && !(g->flags & GENERATION_GHOST))
            return g->number;
    }
    return NONE;
}

/** Notes who descends from whom as this stretch begins: that is forgotten of those that are
 * dropped.
 */
static void note_generations(struct scrubber *x)
{
    struct state *s = &x->st->committed;

    x->s->kept = 0;
    for (uint32_t i = 0; i < s->head.generations; i++)
        if (!(s->generation[i].flags & GENERATION_GHOST))
            x->s->at[x->s->kept++] = (struct store_scrub_generation){
                s->generation[i].number, kept_ancestor(s, s->generation[i].number), false};
}

static struct store_scrub_generation *noted(struct scrubber *x, uint64_t number)
{
    for (uint32_t i = 0; i < x->s->kept; i++)
        if (x->s->at[i].number == number)
            return &x->s->at[i];
    return NULL;
}

static uint64_t ancestor(struct scrubber *x, uint64_t number)
{
    const struct store_scrub_generation *n = noted(x, number);

    return n ? n->ancestor : kept_ancestor(&x->st->committed, number);
}

/** Its part of this stretch has been read. */
static bool done(struct scrubber *x, uint64_t number)
{
    const struct store_scrub_generation *n = noted(x, number);

    return n ? n->done : number < x->s->generation;
}

/** What the nearest ancestor that is done had, kept or not by now, need not be read again. */
static void find_floor(struct scrubber *x, const struct disk_generation *g)
{
    uint64_t floor = x->s->blind ? NONE : ancestor(x, g->number);

    while (floor != NONE && !done(x, floor))
        floor = ancestor(x, floor);
    x->has_floor = floor != NONE;
    x->floor = floor;
}

/** How far the stretch reaches that begins at key. */
static int find_end(struct scrubber *x)
{
    const struct state *s = &x->st->committed;
    int r = STORE_OK;

    x->s->end = UINT64_MAX;
    for (uint32_t i = 0; i < s->head.generations && r == STORE_OK; i++) {
        uint64_t end;

        x->generation = s->generation[i].number;
        r = leaf_end(x, &s->generation[i].root, x->s->key, &end);
        if (end < x->s->end)
            x->s->end = end;
    }
    return r;
}

static int scrub_objects(struct scrubber *x, uint64_t most)
{
    const struct state *s = &x->st->committed;
    int r = STORE_OK;

    if (x->s->generation == 0) {
        note_generations(x);
        r = find_end(x);
    }
    for (uint32_t i = 0; i < s->head.generations && r == STORE_OK; i++) {
        const struct disk_generation *g = &s->generation[i];
        struct store_scrub_generation *n;

        if (g->number < x->s->generation)
            continue;
        if (x->read >= most)
            return STORE_OK;
        x->generation = g->number;
        find_floor(x, g);
        if (!x->has_floor || !too_new(x, x->floor + 1))
            r = scrub_node(x, &g->root, 0, UINT64_MAX);
        n = noted(x, g->number);
        if (n)
            n->done = true;
        x->s->generation = g->number + 1;
    }
    if (r)
        return r;
    x->s->generation = 0;
    x->s->blind = false;
    x->s->key = x->s->end + 1;
    if (x->s->end == UINT64_MAX) {
        x->s->key = 0;
        x->s->phase = PHASE_MAP;
    }
    return STORE_OK;
}

static int scrub_map(struct scrubber *x)
{
    const struct disk_ref *map = &x->st->committed.head.map;
    int r;

    x->generation = NONE;
    x->has_floor = false;
    r = leaf_end(x, map, x->s->key, &x->s->end);
    if (r == STORE_OK)
        r = scrub_node(x, map, 0, UINT64_MAX);
    x->s->key = x->s->end + 1;
    if (x->s->end == UINT64_MAX)
        x->s->phase = PHASE_DONE;
    return r;
}

static int scrub_roots(struct scrubber *x)
{
    int r = super_check(x->st);

    if (r == STORE_OK)
        r = root_check(x->st);
    x->s->phase = PHASE_OBJECTS;
    if (r == STORE_IO)
        DAMAGED(x->st, "root: cannot be read", ROOT_FIRST, NONE, 0, 0, 0);
    return go_on(r);
}

int store_scrub_begin(struct store *st, struct store_scrub *s)
{
    const struct disk_root *h = &st->committed.head;

    *s = (struct store_scrub){.total = h->blocks - FIRST_DATA - h->free_blocks, .limit = h->newest};
    return STORE_OK;
}

int store_scrub_step(struct store *st, struct store_scrub *s, uint64_t max_blocks)
{
    struct scrubber x = {.st = st, .s = s};
    uint64_t errors = st->damages, repaired = st->repaired;
    int r = STORE_OK;

    if (s->phase == PHASE_DONE)
        return STORE_ABSENT;
    x.buffer = malloc(STORE_BLOCK);
    if (!x.buffer)
        return STORE_NOMEM;
    do {
        if (s->phase == PHASE_ROOTS)
            r = scrub_roots(&x);
        else if (s->phase == PHASE_OBJECTS)
            r = scrub_objects(&x, max_blocks);
        else
            r = scrub_map(&x);
    } while (r == STORE_OK && x.read < max_blocks && s->phase != PHASE_DONE);
    free(x.buffer);
    s->errors += st->damages - errors;
    s->repaired += st->repaired - repaired;
    return r ? r : s->phase == PHASE_DONE ? STORE_ABSENT : STORE_OK;
}
