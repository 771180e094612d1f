/*
 * Verification: reads every block that any kept generation needs, once, and compares what is
 * reachable with the allocation map. Goes on after damage, so that all of it is named.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct verifier {
    struct store *st;
    struct store_verify *v;
    uint64_t generation;
    uint64_t *seen; /* bit set: some tree reaches the block */
    uint8_t *buffer;
    uint64_t areas;
    uint64_t used, total;
    uint64_t before, repaired; /* damage reported before this verification */
};

static bool seen(const struct verifier *v, uint64_t b)
{
    return v->seen[b / 64] >> b % 64 & 1;
}

static void note(struct verifier *v, uint64_t b)
{
    v->seen[b / 64] |= (uint64_t)1 << b % 64;
    v->used++;
    v->v->blocks++;
    if (v->v->progress && v->v->blocks % 256 == 0)
        v->v->progress(v->v->ctx, v->v->blocks, v->total);
}

/** Damage was counted when it was reported; only what ends the verification is passed on. */
static int go_on(int r)
{
    return r == STORE_IO || r == STORE_NOMEM ? r : STORE_OK;
}

static int check_data(struct verifier *v, const struct disk_entry *e, const char *what)
{
    if (seen(v, e->place))
        return STORE_OK;
    note(v, e->place);
    if (v->v->structure_only && v->generation != NONE)
        return STORE_OK;
    return io_read_all(v->st,
                       &(struct wanted){.what = what,
                                        .block = e->place,
                                        .generation = v->generation,
                                        .oid = e->oid,
                                        .checksum = e->checksum,
                                        .believe = MUTATED(MUTATION_OBJECT_CHECKSUM)},
                       v->buffer);
}

static int check_entry(struct verifier *v, const struct node *n, const struct disk_entry *e,
                       uint64_t low, uint64_t high)
{
    bool map = v->generation == NONE;

    if (e->oid < low || e->oid > high)
        return DAMAGED(v->st, "index: id in the wrong block", n->place, v->generation, e->oid, low,
                       high);
    if (map ? e->type != MAP_TYPE : e->type < OBJECT_PAGE || e->type > OBJECT_DOMAIN)
        return DAMAGED(v->st, "index: type", n->place, v->generation, e->oid, OBJECT_PAGE, e->type);
    if (!map && e->birth > v->generation)
        return DAMAGED(v->st, "index: birth", n->place, v->generation, e->oid, v->generation,
                       e->birth);
    if (!(e->flags & ENTRY_BYTES))
        return STORE_OK;
    return check_data(v, e, map ? "map block: checksum" : "object: checksum");
}

/** Gets an index block; if it is a new one, all copies of it are looked at, on the device. */
static int get_node(struct verifier *v, const struct disk_ref *ref, uint64_t low, bool known,
                    struct node **n)
{
    uint64_t before = v->st->damages;
    int r = STORE_OK;

    if (!known && v->st->io.copies > 1)
        r = io_read_all(v->st,
                        &(struct wanted){.what = "index block: checksum",
                                         .block = ref->place,
                                         .generation = v->generation,
                                         .oid = low,
                                         .checksum = ref->checksum,
                                         .believe = MUTATED(MUTATION_NODE_CHECKSUM)},
                        v->buffer);
    v->st->silent = v->st->damages != before; /* what has just been named */
    if (r == STORE_OK)
        r = node_get(v->st, ref, low, v->generation, n);
    v->st->silent = false;
    return r;
}

/** All keys below lie in low..high. */
static int check_node(struct verifier *v, const struct disk_ref *ref, uint64_t low, uint64_t high)
{
    bool known = seen(v, ref->place);
    struct node *n;
    int r;

    if (!known)
        note(v, ref->place);
    r = get_node(v, ref, low, known, &n);
    if (r)
        return go_on(r);
    /* What is below a block that an earlier generation reached has been checked with it. */
    for (unsigned i = 0; i < n->disk.count && !known && r == STORE_OK; i++) {
        if (n->disk.level == 0) {
            r = go_on(check_entry(v, n, &n->disk.entry[i], low, high));
        } else {
            struct disk_ref child = node_child(n, i);
            uint64_t from = i ? n->disk.child[i].key : low;
            uint64_t to = i + 1 < n->disk.count ? n->disk.child[i + 1].key - 1 : high;

            if (from > to || from < low || to > high)
                DAMAGED(v->st, "index: key in the wrong block", n->place, v->generation, from, low,
                        high);
            else
                r = check_node(v, &child, from, to);
        }
    }
    node_put(n);
    return r;
}

static int check_tree(struct verifier *v, const struct disk_ref *root)
{
    return root->place ? check_node(v, root, 0, UINT64_MAX) : STORE_OK;
}

/** Names the blocks of one word of the map in which it and what was seen differ. */
static void name_differences(struct verifier *v, uint64_t word, uint64_t bits)
{
    uint64_t differ = bits ^ v->seen[word];

    for (; differ; differ &= differ - 1) {
        unsigned i = (unsigned)__builtin_ctzll(differ);
        bool used = bits >> i & 1;

        DAMAGED(v->st, used ? "map: nobody needs a used block" : "map: a needed block is free",
                word * 64 + i, NONE, 0, !used, used);
    }
}

/** Compares the map with what was seen. */
static int check_map(struct verifier *v)
{
    struct store *st = v->st;
    uint64_t ring = st->committed.head.blocks - FIRST_DATA;

    for (uint64_t index = 0; index < v->areas; index++) {
        const uint64_t *bits;
        int r = map_area(st, index, &bits);

        if (r == STORE_DAMAGED)
            continue; /* named already */
        if (r)
            return r;
        for (uint64_t w = 0; w < AREA_BLOCKS / 64; w++)
            if (bits[w] != v->seen[index * (AREA_BLOCKS / 64) + w])
                name_differences(v, index * (AREA_BLOCKS / 64) + w, bits[w]);
    }
    if (st->damages == v->before && st->committed.head.free_blocks != ring - v->used)
        DAMAGED(st, "map: count of free blocks",
                ROOT_FIRST + st->committed.head.sequence % ROOT_SLOTS * ROOT_SLOT_BLOCKS, NONE, 0,
                ring - v->used, st->committed.head.free_blocks);
    return STORE_OK;
}

static int check_all(struct verifier *v)
{
    struct state *s = &v->st->committed;
    int r = super_check(v->st);

    if (r == STORE_OK)
        r = root_check(v->st);
    for (uint32_t i = 0; i < s->head.generations && r == STORE_OK; i++) {
        v->generation = s->generation[i].number;
        r = check_tree(v, &s->generation[i].root);
    }
    v->generation = NONE;
    if (r == STORE_OK)
        r = check_tree(v, &s->head.map);
    return r == STORE_OK ? check_map(v) : r;
}

int store_verify(struct store *st, struct store_verify *out)
{
    struct verifier v = {.st = st, .v = out};
    uint64_t blocks = st->committed.head.blocks;
    int r;

    out->errors = out->repaired = out->blocks = 0;
    if (st->begun)
        return STORE_STATE;
    v.before = st->damages;
    v.repaired = st->repaired;
    st->repairs |= out->repair;
    v.areas = (blocks + AREA_BLOCKS - 1) / AREA_BLOCKS;
    v.total = blocks - FIRST_DATA - st->committed.head.free_blocks;
    v.seen = calloc((size_t)v.areas, AREA_BLOCKS / 8);
    v.buffer = malloc(STORE_BLOCK);
    r = v.seen && v.buffer ? check_all(&v) : STORE_NOMEM;
    if (v.v->progress)
        v.v->progress(v.v->ctx, v.total, v.total);
    free(v.seen);
    free(v.buffer);
    out->errors = st->damages - v.before;
    out->repaired = st->repaired - v.repaired;
    st->repairs &= st->claimed;
    return r ? r : out->errors > out->repaired ? STORE_DAMAGED : STORE_OK;
}
