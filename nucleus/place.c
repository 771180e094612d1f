/*
 * Places for keys that are slots of nodes, and what keys become on the way through a node.
 */
#include "place.h"
#include "paging.h"

int place_in_node(struct activity *a, uint16_t designator, bool write, struct key **place,
                  struct object **node)
{
    const struct key *k = &activity_frame(a)->keys[designator & (BW_KEY_REGISTERS - 1)];
    if (k->type != KEY_NODE || (write && !(k->rights & RIGHT_WRITE)))
        return BW_ARGUMENT;
    struct object *o;
    int r = object_find(object_district(a->domain), *k, &o);
    if (r == BW_OK && write)
        r = object_make_writable(o);
    if (r != BW_OK)
        return r == BW_VOID ? BW_ARGUMENT : r;
    *node = o;
    *place = &node_slots(o)[designator >> 5 & 255];
    return BW_OK;
}

void node_store(struct object *node, unsigned slot, struct key k)
{
    struct key *s = &node_slots(node)[slot];
    bool mapped = node->aux != NULL && s->type != KEY_VOID;
    *s = k;
    if (mapped)
        paging_node_changed(node, slot, 1, false);
}

int key_in_node(struct activity *a, uint16_t designator, struct key *out)
{
    struct key *place;
    struct object *node;
    int r = place_in_node(a, designator, false, &place, &node);
    if (r != BW_OK)
        return r;
    bool sense = activity_frame(a)->keys[designator & 31].rights & RIGHT_SENSE;
    *out = sense ? key_sense(*place) : *place;
    return BW_OK;
}

bool keys_same(struct key a, struct key b)
{
    return a.type == b.type && a.rights == b.rights && a.tag == b.tag && a.version == b.version &&
           a.value == b.value;
}

struct key key_sense(struct key k)
{
    switch (k.type) {
    case KEY_NODE:
    case KEY_SEGMENT:
        k.rights |= RIGHT_SENSE;
        k.rights &= (uint8_t)~RIGHT_WRITE;
        return k;
    case KEY_PAGE:
        k.rights &= (uint8_t)~RIGHT_WRITE;
        return k;
    case KEY_NUMBER:
        return k;
    default:
        return key_void();
    }
}
