#include "segment.h"
#include "district.h"
#include "frame.h"

/** A slot as the next step down: a segment key of less height, a page at the bottom, or device
 * registers. */
static bool step_valid(struct key k, unsigned height)
{
    return k.type == KEY_SEGMENT ? k.tag >= 1 && k.tag < height
                                 : k.type == KEY_PAGE || k.type == KEY_PHYSICAL;
}

int segment_walk(struct district *d, struct key k, uint64_t address, struct walk *w)
{
    uint64_t offset = address;
    w->rights = k.rights;
    w->depth = 0;
    while (k.type == KEY_SEGMENT) {
        unsigned height = k.tag;
        if (height == 0 || height > SEGMENT_HEIGHT_MAX || offset >= segment_span(height))
            return BW_FAULT;
        struct object *node;
        int r = object_find(d, k, &node);
        if (r != BW_OK)
            return r == BW_VOID ? BW_FAULT : r;
        unsigned slot = segment_slot(offset, height);
        w->path[w->depth].node = node;
        w->path[w->depth].base = address - offset;
        w->path[w->depth++].height = (uint8_t)height;
        k = node_slots(node)[slot];
        if (!step_valid(k, height))
            return BW_FAULT;
        w->rights &= k.rights;
        offset -= (uint64_t)slot << (BW_PAGE_SHIFT + BW_NODE_SHIFT * (height - 1));
    }
    if (offset >= BW_PAGE_SIZE)
        return BW_FAULT;
    w->page = NULL;
    if (k.type == KEY_PHYSICAL) {
        w->physical = k.value;
        return d->persistent ? BW_FAULT : BW_OK;
    }
    if (k.type != KEY_PAGE)
        return BW_FAULT;
    int r = object_find(d, k, &w->page);
    return r == BW_VOID ? BW_FAULT : r;
}

int segment_pointer(struct district *d, struct key k, uint64_t address, bool write, uint8_t **out)
{
    struct walk w;
    int r = segment_walk(d, k, address, &w);
    if (r != BW_OK)
        return r;
    if (w.page == NULL || (write && !(w.rights & RIGHT_WRITE)))
        return BW_FAULT;
    if (write && (r = object_make_writable(w.page)) != BW_OK)
        return r;
    *out = w.page->data + (address & (BW_PAGE_SIZE - 1));
    return BW_OK;
}

int segment_node(struct district *d, struct key k, uint64_t address, unsigned height,
                 struct object **node, uint8_t *rights, unsigned *missing)
{
    if (k.type != KEY_SEGMENT || k.tag > SEGMENT_HEIGHT_MAX || height == 0 || height > k.tag ||
        address >= segment_span(k.tag))
        return BW_ARGUMENT;
    *rights = k.rights;
    for (;;) { /* WRITE and EXECUTE must hold all along the way, SENSE once is enough */
        int r = object_find(d, k, node);
        *missing = k.tag;
        if (r != BW_OK)
            return r == BW_VOID ? BW_ABSENT : r;
        if (k.tag == height)
            return BW_OK;
        unsigned at = k.tag;
        struct key next = node_slots(*node)[segment_slot(address, at)];
        address &= segment_span(at - 1) - 1;
        *missing = at - 1;
        if (next.type != KEY_SEGMENT || next.tag == 0 || next.tag >= at)
            return BW_ABSENT;
        if (next.tag < height || address >= segment_span(next.tag))
            return BW_ARGUMENT; /* a smaller segment is there */
        *rights = (*rights & next.rights) | ((*rights | next.rights) & RIGHT_SENSE);
        k = next;
    }
}
