/*
 * Segments: trees of nodes read as memory. Walking one gives a page and the rights that all keys on
 * the way allow.
 */
#ifndef NUCLEUS_SEGMENT_H
#define NUCLEUS_SEGMENT_H

#include "object.h"

struct walk {
    struct object *page; /* NULL: device registers at `physical` */
    uint64_t physical;
    uint8_t rights;
    uint8_t depth; /* entries of path */
    struct {
        struct object *node;
        uint64_t base; /* address of its slot 0 */
        uint8_t height;
    } path[SEGMENT_HEIGHT_MAX];
};

/** @return BW_OK, BW_FAULT, WAIT_OBJECT */
int segment_walk(struct district *d, struct key k, uint64_t address, struct walk *w);
/** Pointer to the byte at `address`, its page made writable if asked.
 *  @return BW_OK, BW_FAULT (nothing there, or rights), WAIT_* */
int segment_pointer(struct district *d, struct key k, uint64_t address, bool write, uint8_t **out);
/** The node of height `height` that covers `address`, with the rights on the way to it.
 *  @return BW_OK, BW_ABSENT (*missing: height of the node that is not there), BW_ARGUMENT,
 * WAIT_OBJECT */
int segment_node(struct district *d, struct key k, uint64_t address, unsigned height,
                 struct object **node, uint8_t *rights, unsigned *missing);

static inline unsigned segment_slot(uint64_t address, unsigned height)
{
    return address >> (BW_PAGE_SHIFT + BW_NODE_SHIFT * (height - 1)) & (BW_NODE_SLOTS - 1);
}

#endif
