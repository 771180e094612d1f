/*
 * Which images need not be opened.
 *
 * Judging an image (opening, comparing, checking the map) is a program without input but the blocks
 * that it reads. So two images of one moment, judged against one model, are judged alike if they
 * have the same in all blocks that are read. Which block is read next depends on what was in those
 * before: so what is known is a tree. Each node names the block read next, each edge what was in
 * it; at a leaf nothing undecided was read any more, and the judgement is known.
 *
 * The edges are in one hash table: (node, content of its block) -> node.
 */
#include "readings.h"

#include <stdlib.h>
#include <string.h>

#include "model.h"

#define LEAF UINT32_MAX

struct edge {
    uint64_t key; /* node << 16 | content, + 1; 0: none */
    uint32_t to;
};

struct readings {
    uint32_t *block; /* by node: read next, or LEAF */
    size_t nodes, node_capacity;
    struct edge *edge;
    size_t edges, edge_capacity; /* a power of two */
};

struct readings *readings_new(void)
{
    struct readings *r = calloc(1, sizeof(*r));

    r->edge_capacity = 256;
    r->edge = calloc(r->edge_capacity, sizeof(*r->edge));
    return r;
}

void readings_free(struct readings *r)
{
    free(r->block);
    free(r->edge);
    free(r);
}

void readings_clear(struct readings *r)
{
    r->nodes = 0;
    if (r->edges)
        memset(r->edge, 0, r->edge_capacity * sizeof(*r->edge));
    r->edges = 0;
}

static struct edge *slot(struct edge *table, size_t capacity, uint64_t key)
{
    size_t i = (key * 0x9e3779b97f4a7c15ull >> 32) & (capacity - 1);

    while (table[i].key && table[i].key != key)
        i = (i + 1) & (capacity - 1);
    return &table[i];
}

static uint64_t key_of(uint32_t node, uint16_t content)
{
    return ((uint64_t)node << 16 | content) + 1;
}

bool readings_known(const struct readings *r, const uint16_t *content)
{
    uint32_t node = 0;

    while (node < r->nodes) {
        const struct edge *e;

        if (r->block[node] == LEAF)
            return true;
        e = slot(r->edge, r->edge_capacity, key_of(node, content[r->block[node]]));
        if (!e->key)
            return false;
        node = e->to;
    }
    return false;
}

static uint32_t add_node(struct readings *r, uint32_t block)
{
    if (r->nodes == r->node_capacity) {
        r->node_capacity = r->node_capacity ? 2 * r->node_capacity : 256;
        r->block = realloc(r->block, r->node_capacity * sizeof(*r->block));
    }
    r->block[r->nodes] = block;
    return (uint32_t)r->nodes++;
}

static void grow_edges(struct readings *r)
{
    size_t capacity = r->edge_capacity * 2;
    struct edge *table = calloc(capacity, sizeof(*table));

    for (size_t i = 0; i < r->edge_capacity; i++)
        if (r->edge[i].key)
            *slot(table, capacity, r->edge[i].key) = r->edge[i];
    free(r->edge);
    r->edge = table;
    r->edge_capacity = capacity;
}

void readings_add(struct readings *r, const uint16_t *content, const uint32_t *order, size_t n)
{
    uint32_t node = 0;

    if (r->nodes == 0)
        add_node(r, n ? order[0] : LEAF);
    for (size_t i = 0; i < n; i++) {
        struct edge *e;

        if (r->block[node] != order[i])
            model_fail("the library read other blocks though it had read the same before");
        if (r->edges * 2 >= r->edge_capacity)
            grow_edges(r);
        e = slot(r->edge, r->edge_capacity, key_of(node, content[order[i]]));
        if (!e->key) {
            uint32_t to = add_node(r, i + 1 < n ? order[i + 1] : LEAF);

            *e = (struct edge){key_of(node, content[order[i]]), to};
            r->edges++;
        }
        node = e->to;
    }
}
