/*
 * Places for keys: what a designator names in a domain, which is a key register, or a slot of a node
 * whose key is in one. Inline: every invocation looks at several.
 */
#ifndef NUCLEUS_PLACE_H
#define NUCLEUS_PLACE_H

#include "district.h"

/** A designator with bit 15 set. @return as place_find */
int place_in_node(struct activity *a, uint16_t designator, bool write, struct key **place,
                  struct object **node);

/** The place that a designator names in domain a. write: ready to be stored to.
 * @return BW_OK, *place (NULL: designator 0) and *node (NULL: a register); BW_ARGUMENT, WAIT_* */
static inline int place_find(struct activity *a, uint16_t designator, bool write,
                             struct key **place, struct object **node)
{
    unsigned i = designator & (BW_KEY_REGISTERS - 1);
    if (designator & 0x8000)
        return place_in_node(a, designator, write, place, node);
    *node = NULL;
    *place = i == 0 ? NULL : &activity_frame(a)->keys[i];
    return BW_OK;
}

/** Stores a key to a node's slot, tearing down what was mapped through it. The node is writable. */
void node_store(struct object *node, unsigned slot, struct key k);

static inline void place_store(struct key *place, struct object *node, struct key k)
{
    if (node != NULL)
        node_store(node, (unsigned)(place - node_slots(node)), k);
    else if (place != NULL)
        *place = k;
}

/** The key in a slot of a node; read-only and sense rights of the node on the way apply. */
int key_in_node(struct activity *a, uint16_t designator, struct key *out);

/** Value of the key that a designator names. @return BW_OK, BW_ARGUMENT, WAIT_* */
static inline int key_at(struct activity *a, uint16_t designator, struct key *out)
{
    if (designator & 0x8000)
        return key_in_node(a, designator, out);
    *out = activity_frame(a)->keys[designator & (BW_KEY_REGISTERS - 1)]; /* register 0 is void */
    return BW_OK;
}

bool keys_same(struct key a, struct key b);
/** What a key becomes when it is fetched through a sense key: nothing can be changed through it. */
struct key key_sense(struct key k);

#endif
