/* Orders of node, page and number keys. */
#include "invoke.h"
#include "cpu.h"
#include "frame.h"
#include "paging.h"
#include "string.h"

int order_number(struct call *c)
{
    (void)c;
    return BW_ORDER;
}

static int node_fetch(struct call *c, struct object *node)
{
    if (c->w[0] >= BW_NODE_SLOTS)
        return BW_ARGUMENT;
    struct key k = node_slots(node)[c->w[0]];
    c->out_key = c->key.rights & RIGHT_SENSE ? key_sense(k) : k;
    return BW_OK;
}

static int node_put(struct call *c, struct object *node)
{
    if (c->w[0] >= BW_NODE_SLOTS)
        return BW_ARGUMENT;
    int r = object_make_writable(node);
    if (r != BW_OK)
        return r;
    node_store(node, (unsigned)c->w[0], c->k[0]);
    return BW_OK;
}

static bool slots_valid(uint64_t first, uint64_t count)
{
    return first < BW_NODE_SLOTS && count <= BW_NODE_SLOTS - first;
}

static int node_clear(struct call *c, struct object *node)
{
    if (!slots_valid(c->w[0], c->w[1]))
        return BW_ARGUMENT;
    int r = object_make_writable(node);
    if (r != BW_OK)
        return r;
    memset(&node_slots(node)[c->w[0]], 0, c->w[1] * sizeof(struct key));
    paging_node_changed(node, (unsigned)c->w[0], (unsigned)c->w[1], false);
    return BW_OK;
}

static int node_copy(struct call *c, struct object *node)
{
    struct object *from;
    if (!slots_valid(c->w[0], c->w[2]) || !slots_valid(c->w[1], c->w[2]) ||
        c->k[0].type != KEY_NODE)
        return BW_ARGUMENT;
    int r = object_find(c->d, c->k[0], &from);
    if (r == BW_OK)
        r = object_make_writable(node);
    if (r != BW_OK)
        return r;
    struct key *to = &node_slots(node)[c->w[0]];
    memmove(to, &node_slots(from)[c->w[1]], c->w[2] * sizeof *to);
    if (c->k[0].rights & RIGHT_SENSE)
        for (unsigned i = 0; i < c->w[2]; i++)
            to[i] = key_sense(to[i]);
    paging_node_changed(node, (unsigned)c->w[0], (unsigned)c->w[2], false);
    return BW_OK;
}

int order_node(struct call *c)
{
    struct object *node;
    int r = object_find(c->d, c->key, &node);
    if (r != BW_OK)
        return r;
    bool changes = c->order == NODE_STORE || c->order == NODE_CLEAR || c->order == NODE_COPY;
    if (changes && !(c->key.rights & RIGHT_WRITE))
        return BW_RIGHTS;
    switch (c->order) {
    case NODE_FETCH:
        return node_fetch(c, node);
    case NODE_STORE:
        return node_put(c, node);
    case NODE_CLEAR:
        return node_clear(c, node);
    case NODE_COPY:
        return node_copy(c, node);
    case NODE_SEGMENT:
        if (c->w[0] < 1 || c->w[0] > SEGMENT_HEIGHT_MAX)
            return BW_ARGUMENT;
        c->out_key = c->key;
        c->out_key.type = KEY_SEGMENT;
        c->out_key.tag = (uint16_t)c->w[0];
        c->out_key.rights &= RIGHT_SENSE | (uint8_t)c->w[1];
        if (c->w[1] & RIGHT_EXECUTE)
            c->out_key.rights |= RIGHT_EXECUTE;
        return BW_OK;
    default:
        return BW_ORDER;
    }
}

static int page_read(struct call *c, struct object *page)
{
    if (c->w[0] > BW_PAGE_SIZE || c->w[1] > BW_PAGE_SIZE - c->w[0])
        return BW_ARGUMENT;
    return call_put(c, page->data + c->w[0], c->w[1]);
}

static int page_write(struct call *c, struct object *page)
{
    if (!(c->key.rights & RIGHT_WRITE))
        return BW_RIGHTS;
    if (c->w[0] > BW_PAGE_SIZE)
        return BW_ARGUMENT;
    struct pieces p;
    int r = call_string(c, &p);
    if (r == BW_OK)
        r = object_make_writable(page);
    if (r != BW_OK)
        return r;
    if (p.length > BW_PAGE_SIZE - c->w[0])
        return BW_ARGUMENT;
    pieces_get(page->data + c->w[0], &p, 0, p.length);
    return BW_OK;
}

int order_page(struct call *c)
{
    if (c->order >= 16)
        return order_segment(c);
    struct object *page;
    int r = object_find(c->d, c->key, &page);
    if (r != BW_OK)
        return r;
    switch (c->order) {
    case PAGE_READ:
        return page_read(c, page);
    case PAGE_WRITE:
        return page_write(c, page);
    case PAGE_PHYSICAL:
        if (c->k[0].type != KEY_NUCLEUS)
            return BW_RIGHTS;
        c->out[0] = frame_physical(page->data);
        return BW_OK;
    default:
        return BW_ORDER;
    }
}
