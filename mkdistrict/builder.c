/*
 * Making objects of the first generation: ids, keys, nodes, segments. All have version 1.
 */
#include <stdlib.h>
#include <string.h>

#include "mkdistrict.h"

oid_t builder_id(struct builder *b)
{
    return b->next++;
}

void builder_put(struct builder *b, oid_t oid, enum object_type type, const void *bytes)
{
    int r = store_put(b->store, oid, type, 1, bytes);

    if (r == STORE_NOSPACE)
        fail("it does not fit: choose a larger --size");
    if (r)
        fail("%s", store_error_text(r));
}

struct key make_key(enum key_type type, unsigned rights, unsigned tag, oid_t oid)
{
    return (struct key){(uint8_t)type, (uint8_t)rights, (uint16_t)tag, 1, oid};
}

struct key range_key(oid_t first, uint64_t count)
{
    unsigned shift = 0;

    while (count >> shift > UINT32_MAX)
        shift++;
    return (struct key){KEY_RANGE, 0, (uint16_t)shift, (uint32_t)(count >> shift), first};
}

static struct segment_node *new_node(struct builder *b)
{
    struct segment_node *n = allocate(sizeof(*n));

    n->oid = builder_id(b);
    return n;
}

static struct key node_segment_key(const struct segment_node *n, unsigned height)
{
    return make_key(KEY_SEGMENT, RIGHT_WRITE | RIGHT_EXECUTE, height, n->oid);
}

struct segment segment_new(struct builder *b, unsigned height)
{
    return (struct segment){height, new_node(b)};
}

struct key segment_key(const struct segment *s)
{
    return node_segment_key(s->root, s->height);
}

static unsigned slot_for(uint64_t index, unsigned height)
{
    return (unsigned)(index >> BW_NODE_SHIFT * (height - 1)) & (BW_NODE_SLOTS - 1);
}

void segment_put(struct builder *b, struct segment *s, unsigned height, uint64_t index,
                 struct key k)
{
    struct segment_node *n = s->root;

    for (unsigned h = s->height; h > height + 1; h--) {
        unsigned i = slot_for(index, h);

        if (!n->child[i]) {
            n->child[i] = new_node(b);
            n->slot[i] = node_segment_key(n->child[i], h - 1);
        }
        n = n->child[i];
    }
    n->slot[slot_for(index, height + 1)] = k;
}

struct key segment_get(const struct segment *s, uint64_t index)
{
    const struct segment_node *n = s->root;

    for (unsigned h = s->height; n && h > 1; h--)
        n = n->child[slot_for(index, h)];
    return n ? n->slot[slot_for(index, 1)] : key_void();
}

static void emit_node(struct builder *b, const struct segment_node *n)
{
    for (unsigned i = 0; i < BW_NODE_SLOTS; i++)
        if (n->child[i])
            emit_node(b, n->child[i]);
    builder_put(b, n->oid, OBJECT_NODE, n->slot);
}

static void free_node(struct segment_node *n)
{
    for (unsigned i = 0; n && i < BW_NODE_SLOTS; i++)
        free_node(n->child[i]);
    free(n);
}

void segment_forget(struct segment *s)
{
    free_node(s->root);
    s->root = NULL;
}

void segment_emit(struct builder *b, struct segment *s)
{
    emit_node(b, s->root);
    segment_forget(s);
}
