/* Orders of segment keys: memory read, written and rearranged by message. */
#include "invoke.h"
#include "cpu.h"
#include "paging.h"
#include "segment.h"
#include "string.h"

/** Runs `step` over [address, address + length) page by page until a page is not there. */
struct transfer {
    struct call *c;
    uint64_t address;
    size_t length;
    bool write;
};

/** One page of a transfer: *at is the byte, *n how many of this page. On failure fills the reply.
 */
static int transfer_page(struct transfer *t, size_t done, uint8_t **at, size_t *n)
{
    uint64_t address = t->address + done;
    int r = segment_pointer(t->c->d, t->c->key, address, t->write, at);
    if (r == BW_FAULT) {
        t->c->out[0] = address;
        t->c->out[1] = done;
    }
    *n = BW_PAGE_SIZE - (address & (BW_PAGE_SIZE - 1));
    if (*n > t->length - done)
        *n = t->length - done;
    return r;
}

static int segment_bytes(struct call *c, bool write)
{
    struct pieces p;
    int r = write ? call_string(c, &p) : call_buffer(c, c->w[1], &p);
    if (r != BW_OK)
        return r;
    struct transfer t = {c, c->w[0], p.length, write};
    size_t done = 0, n;
    while (done < p.length) {
        uint8_t *at;
        r = transfer_page(&t, done, &at, &n);
        if (r != BW_OK)
            break;
        if (write)
            pieces_get(at, &p, done, n);
        else
            pieces_put(&p, done, at, n);
        done += n;
    }
    if (r != BW_OK && r != BW_FAULT)
        return r;
    if (!write)
        c->out_length = done;
    c->out[1] = done;
    return r;
}

static int segment_copy(struct call *c)
{
    struct transfer to = {c, c->w[0], c->w[2], true};
    if (c->w[2] > BW_STRING_MAX || (c->k[0].type != KEY_SEGMENT && c->k[0].type != KEY_PAGE))
        return BW_ARGUMENT;
    size_t done = 0, n;
    while (done < c->w[2]) {
        uint8_t *at, *from;
        int r = transfer_page(&to, done, &at, &n);
        if (r != BW_OK)
            return r;
        uint64_t source = c->w[1] + done;
        size_t m = BW_PAGE_SIZE - (source & (BW_PAGE_SIZE - 1));
        if (n > m)
            n = m;
        r = segment_pointer(c->d, c->k[0], source, false, &from);
        if (r == BW_FAULT) {
            c->out[0] = source;
            c->out[1] = done;
            c->out[2] = 1; /* it is the source that is not there */
        }
        if (r != BW_OK)
            return r;
        memmove(at, from, n);
        done += n;
    }
    c->out[1] = done;
    return BW_OK;
}

static int segment_zero(struct call *c)
{
    struct transfer t = {c, c->w[0], c->w[1], true};
    size_t done = 0, n;
    if (c->w[1] > BW_STRING_MAX)
        return BW_ARGUMENT;
    while (done < c->w[1]) {
        uint8_t *at;
        int r = transfer_page(&t, done, &at, &n);
        if (r != BW_OK)
            return r;
        memset(at, 0, n);
        done += n;
    }
    c->out[1] = done;
    return BW_OK;
}

/** The node that holds the slot for (a, height), ready to be changed if asked, and the rights on
 * the way to it. Fills the reply on BW_ABSENT. */
static int slot_node(struct call *c, unsigned height, bool write, struct object **node,
                     uint8_t *way)
{
    uint8_t rights;
    unsigned missing;
    int r = segment_node(c->d, c->key, c->w[0], height + 1, node, &rights, &missing);
    *way = rights;
    if (r == BW_ABSENT)
        c->out[0] = missing;
    if (r != BW_OK)
        return r;
    if (!write)
        return BW_OK;
    return rights & RIGHT_WRITE ? object_make_writable(*node) : BW_RIGHTS;
}

static int segment_get(struct call *c)
{
    struct object *node;
    uint8_t way;
    int r = slot_node(c, (unsigned)c->w[1] & 15, false, &node, &way);
    if (r != BW_OK)
        return r;
    struct key k = node_slots(node)[segment_slot(c->w[0], (unsigned)(c->w[1] & 15) + 1)];
    c->out_key = way & RIGHT_SENSE ? key_sense(k) : k;
    return BW_OK;
}

static int segment_put(struct call *c)
{
    unsigned height = (unsigned)c->w[1] & 15;
    struct key k = c->k[0];
    bool fits = k.type == KEY_VOID || (k.type == KEY_SEGMENT && k.tag <= height) ||
                k.type == KEY_PAGE || k.type == KEY_PHYSICAL;
    if (!fits)
        return BW_ARGUMENT;
    struct object *node;
    uint8_t way;
    int r = slot_node(c, height, true, &node, &way);
    if (r == BW_OK)
        node_store(node, segment_slot(c->w[0], height + 1), k);
    return r;
}

/** Key to a new page or node as it goes into a slot of this height. */
static struct key slot_key(const struct object *o, unsigned height, unsigned rights)
{
    struct key k = object_key(o);
    if (o->type == OBJECT_NODE) {
        k.type = KEY_SEGMENT;
        k.tag = (uint16_t)height;
    }
    k.rights = (uint8_t)(rights & (RIGHT_WRITE | RIGHT_EXECUTE));
    return k;
}

/** New object under id offset w2 of range k0 into the slot; if `model` is not NULL its content,
 * weakened if it was reached through a sense key. */
static int create_in_slot(struct call *c, struct object *node, unsigned height,
                          enum object_type type, unsigned rights, const struct object *model,
                          bool sense, struct object **made)
{
    oid_t oid;
    if (c->k[0].type != KEY_RANGE || !range_covers(c->d, c->k[0], c->w[2], &oid))
        return BW_ARGUMENT;
    struct object *o;
    int r = object_create(c->d, oid, type, &o);
    if (r != BW_OK)
        return r;
    if (model != NULL)
        frame_copy(o->data, model->data);
    if (sense && type == OBJECT_NODE)
        for (unsigned i = 0; i < BW_NODE_SLOTS; i++)
            node_slots(o)[i] = key_sense(node_slots(o)[i]);
    node_store(node, segment_slot(c->w[0], height + 1), slot_key(o, height, rights));
    *made = o;
    return BW_OK;
}

static int segment_create(struct call *c)
{
    unsigned height = c->w[1] & 15;
    enum object_type type = c->w[1] >> 8 & 255;
    if (type != (height == 0 ? OBJECT_PAGE : OBJECT_NODE))
        return BW_ARGUMENT;
    struct object *node, *model = NULL, *made;
    uint8_t way;
    int r = slot_node(c, height, true, &node, &way);
    if (r != BW_OK)
        return r;
    if (c->k[1].type != KEY_VOID) {
        r = object_find(c->d, c->k[1], &model);
        if (r != BW_OK)
            return r;
        if (model->type != type)
            return BW_ARGUMENT;
    }
    bool sense = c->k[1].rights & RIGHT_SENSE;
    return create_in_slot(c, node, height, type, c->w[1] >> 16, model, sense, &made);
}

static int segment_unshare(struct call *c)
{
    unsigned height = c->w[1] & 15;
    struct object *node, *model, *made;
    uint8_t way;
    int r = slot_node(c, height, true, &node, &way);
    if (r != BW_OK)
        return r;
    struct key old = node_slots(node)[segment_slot(c->w[0], height + 1)];
    if (old.type == KEY_VOID) {
        c->out[0] = c->w[0];
        return BW_FAULT;
    }
    r = object_find(c->d, old, &model);
    if (r != BW_OK)
        return r;
    if (model->type != (height == 0 ? OBJECT_PAGE : OBJECT_NODE))
        return BW_ARGUMENT;
    bool sense = (old.rights | way) & RIGHT_SENSE;
    return create_in_slot(c, node, height, model->type, c->w[1] >> 16, model, sense, &made);
}

static int segment_fork(struct call *c)
{
    unsigned height = c->w[1] & 15, missing;
    uint8_t rights, way;
    struct object *node, *source, *made;
    if (height < 1 || c->k[1].type != KEY_SEGMENT)
        return BW_ARGUMENT;
    int r = slot_node(c, height, true, &node, &way);
    if (r != BW_OK)
        return r;
    r = segment_node(c->d, c->k[1], c->w[0], height, &source, &rights, &missing);
    if (r != BW_OK)
        return r == BW_ABSENT ? BW_FAULT : r;
    if (!(rights & RIGHT_WRITE) || (rights & RIGHT_SENSE) || source == node)
        return BW_RIGHTS;
    r = object_make_writable(source);
    if (r != BW_OK)
        return r;
    r = create_in_slot(c, node, height, OBJECT_NODE, RIGHT_WRITE | RIGHT_EXECUTE, NULL, false,
                       &made);
    if (r != BW_OK)
        return r;
    struct key *from = node_slots(source);
    for (unsigned i = 0; i < BW_NODE_SLOTS; i++)
        from[i].rights &= (uint8_t)~RIGHT_WRITE;
    frame_copy(made->data, source->data);
    paging_node_changed(source, 0, BW_NODE_SLOTS, true);
    return BW_OK;
}

/** The run of slots that one call of CLEAR or RIGHTS does: within one node, at most 256. */
static int slot_run(struct call *c, unsigned height, uint64_t count, struct object **node,
                    unsigned *first, unsigned *run)
{
    uint8_t way;
    int r = slot_node(c, height, true, node, &way);
    *first = segment_slot(c->w[0], height + 1);
    *run = BW_NODE_SLOTS - *first;
    if (*run > count)
        *run = (unsigned)count;
    return r;
}

static bool in_range(struct key range, oid_t oid)
{
    return range.type == KEY_RANGE && oid - range.value < key_range_count(range);
}

/** A page or node named in a cleared slot goes with it if its id is in the range. */
static int destroy_named(struct call *c, const struct object *node, struct key k)
{
    bool object = k.type == KEY_PAGE || k.type == KEY_NODE || k.type == KEY_SEGMENT;
    if (!object || !in_range(c->k[0], k.value) || k.value == node->oid)
        return BW_OK; /* the node that is being cleared stays */
    struct object *o = object_lookup(c->d, k.value);
    if (o != NULL && (o->version != k.version || o->type == OBJECT_DOMAIN))
        return BW_OK;
    return object_destroy(c->d, k.value);
}

static int segment_clear(struct call *c)
{
    struct object *node;
    unsigned height = (unsigned)c->w[1] & 15, first, run;
    int r = slot_run(c, height, c->w[2], &node, &first, &run);
    if (r == BW_ABSENT) { /* nothing there: count the slots up to the end of what is missing */
        uint64_t span = segment_span((unsigned)c->out[0]), slot = segment_span(height);
        uint64_t absent = (span - (c->w[0] & (span - 1)) + slot - 1) / slot;
        c->out[0] = 0;
        c->out[1] = absent < c->w[2] ? absent : c->w[2];
        return BW_OK;
    }
    if (r != BW_OK)
        return r;
    struct key *slots = node_slots(node);
    bool destroys = c->k[0].type == KEY_RANGE;
    paging_node_changed(node, first, run, false);
    for (unsigned i = first; i < first + run; i++) {
        if (destroys && slots[i].type != KEY_VOID &&
            (r = destroy_named(c, node, slots[i])) != BW_OK)
            return r;
        slots[i] = key_void();
    }
    c->out[1] = run;
    return BW_OK;
}

static int segment_rights(struct call *c)
{
    struct object *node;
    unsigned height = (unsigned)c->w[1] & 15, first, run;
    uint8_t rights = (uint8_t)(c->w[1] >> 16) & (RIGHT_WRITE | RIGHT_EXECUTE);
    int r = slot_run(c, height, c->w[2], &node, &first, &run);
    if (r != BW_OK)
        return r;
    struct key *slots = node_slots(node);
    for (unsigned i = first; i < first + run; i++) {
        if (slots[i].type != KEY_PAGE)
            continue;
        bool may_write = (slots[i].rights & RIGHT_WRITE) || in_range(c->k[0], slots[i].value);
        slots[i].rights = may_write ? rights : rights & (uint8_t)~RIGHT_WRITE;
    }
    paging_node_changed(node, first, run, false);
    c->out[1] = run;
    return BW_OK;
}

int order_segment(struct call *c)
{
    switch (c->order) {
    case SEGMENT_READ:
        return segment_bytes(c, false);
    case SEGMENT_WRITE:
        return segment_bytes(c, true);
    case SEGMENT_COPY:
        return segment_copy(c);
    case SEGMENT_ZERO:
        return segment_zero(c);
    }
    if (c->key.type != KEY_SEGMENT)
        return BW_ORDER;
    if ((c->w[1] & 15) >= SEGMENT_HEIGHT_MAX)
        return BW_ARGUMENT;
    switch (c->order) {
    case SEGMENT_GET:
        return segment_get(c);
    case SEGMENT_PUT:
        return segment_put(c);
    case SEGMENT_CREATE:
        return segment_create(c);
    case SEGMENT_UNSHARE:
        return segment_unshare(c);
    case SEGMENT_FORK:
        return segment_fork(c);
    case SEGMENT_CLEAR:
        return segment_clear(c);
    case SEGMENT_RIGHTS:
        return segment_rights(c);
    default:
        return BW_ORDER;
    }
}
