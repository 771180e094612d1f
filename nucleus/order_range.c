/* Orders of range keys: the authority to create and destroy objects of given ids. */
#include "invoke.h"

bool range_covers(const struct district *d, struct key range, uint64_t offset, oid_t *oid)
{
    uint64_t count = key_range_count(range);
    if (!range_valid(range) || offset >= count)
        return false;
    *oid = range.value + offset;
    return !d->persistent || *oid >= OID_FIRST_FREE;
}

static int range_create(struct call *c, oid_t oid)
{
    struct object *o;
    int r = object_create(c->d, oid, (enum object_type)(c->w[1] & 255), &o);
    if (r == BW_OK)
        c->out_key = object_key(o);
    return r;
}

static int range_destroy(struct call *c, oid_t oid)
{
    uint64_t count = c->w[1] == 0 ? 1 : c->w[1];
    if (count > key_range_count(c->key) - c->w[0])
        return BW_ARGUMENT;
    if (count > 256)
        count = 256;
    for (uint64_t i = 0; i < count; i++) {
        if (oid + i == c->a->domain->oid)
            return BW_ARGUMENT; /* a domain does not destroy itself */
        int r = object_destroy(c->d, oid + i);
        if (r != BW_OK)
            return r;
    }
    c->out[1] = count;
    return BW_OK;
}

static int range_rescind(struct call *c, oid_t oid)
{
    struct object *o = object_lookup(c->d, oid);
    int r;
    if (o == NULL) {
        r = object_fetch(c->d, oid, OBJECT_PAGE, &o);
        return r == BW_VOID ? BW_ABSENT : r;
    }
    if (o->type == OBJECT_NONE)
        return BW_ABSENT;
    r = object_rescind(o);
    if (r == BW_OK && o->type == OBJECT_DOMAIN)
        ((struct domain_frame *)o->data)->call_count++; /* resume keys carry no version */
    if (r == BW_OK)
        c->out_key = object_key(o);
    return r;
}

static int range_key(struct call *c, oid_t oid)
{
    struct object *o;
    if (c->w[1] < OBJECT_PAGE || c->w[1] > OBJECT_DOMAIN)
        return BW_ARGUMENT;
    int r = object_fetch(c->d, oid, (enum object_type)c->w[1], &o);
    if (r == BW_VOID)
        return BW_ABSENT;
    if (r == BW_OK)
        c->out_key = object_key(o);
    return r;
}

static int range_sub(struct call *c)
{
    uint64_t count = c->w[1];
    uint16_t shift = 0;
    if (count == 0 || count > key_range_count(c->key) - c->w[0])
        return BW_ARGUMENT;
    while (count >> shift > UINT32_MAX)
        shift++;
    c->out_key = c->key;
    c->out_key.value += c->w[0];
    c->out_key.tag = shift;
    c->out_key.version = (uint32_t)(count >> shift);
    return BW_OK;
}

static int range_find(struct call *c)
{
    struct key k = c->k[0];
    bool object = k.type == KEY_PAGE || k.type == KEY_NODE || k.type == KEY_SEGMENT ||
                  k.type == KEY_DOMAIN || k.type == KEY_RANGE;
    if (!object || k.value - c->key.value >= key_range_count(c->key))
        return BW_ABSENT;
    c->out[0] = k.value - c->key.value;
    return BW_OK;
}

int order_range(struct call *c)
{
    uint64_t count = key_range_count(c->key);
    if (!range_valid(c->key))
        return BW_VOID;
    if (c->order == RANGE_COUNT) {
        c->out[0] = count;
        c->out[1] = c->key.value;
        return BW_OK;
    }
    if (c->order == RANGE_FIND)
        return range_find(c);
    if (c->w[0] >= count)
        return BW_ARGUMENT;
    oid_t oid;
    if (!range_covers(c->d, c->key, c->w[0], &oid))
        return BW_RIGHTS;
    switch (c->order) {
    case RANGE_CREATE:
        return range_create(c, oid);
    case RANGE_DESTROY:
        return range_destroy(c, oid);
    case RANGE_KEY:
        return range_key(c, oid);
    case RANGE_RESCIND:
        return range_rescind(c, oid);
    case RANGE_SUB:
        return range_sub(c);
    default:
        return BW_ORDER;
    }
}
