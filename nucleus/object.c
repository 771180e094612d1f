#include "object.h"
#include "cpu.h"
#include "district.h"
#include "domain.h"
#include "frame.h"
#include "paging.h"
#include "panic.h"
#include "string.h"

static struct object **table;
static unsigned table_shift;
static struct slab headers = {.size = 192};
_Static_assert(sizeof(struct object) <= 192, "object headers fit their slab");

void object_init(size_t frames)
{
    unsigned bits = 12;
    while ((size_t)1 << bits < frames)
        bits++;
    size_t bytes = sizeof *table << bits;
    table = frame_allocate_run((bytes + 4095) / 4096);
    assert(table != NULL, "there is memory for the object table");
    memset(table, 0, bytes);
    table_shift = 64 - bits;
}

static inline struct object **bucket(const struct district *d, oid_t oid)
{
    return &table[((oid ^ (uint64_t)d->slot << 52) * 0x9e3779b97f4a7c15ull) >> table_shift];
}

struct object *object_lookup(struct district *d, oid_t oid)
{
    for (struct object *o = *bucket(d, oid); o != NULL; o = o->hash_next)
        if (o->oid == oid && o->district == d->slot)
            return o;
    return NULL;
}

/** Behind the hand of evict.c, so that it comes to a new object last. */
static void list_all(struct district *d, struct object *o)
{
    struct object *next = d->hand, *previous = next != NULL ? next->all.previous : d->all_last;
    o->all.next = next;
    o->all.previous = previous;
    *(previous != NULL ? &previous->all.next : &d->all) = o;
    *(next != NULL ? &next->all.previous : &d->all_last) = o;
    d->objects++;
}

static struct object *header_new(struct district *d, oid_t oid)
{
    struct object *o = slab_allocate(&headers, !d->persistent);
    if (o == NULL)
        return NULL;
    o->oid = oid;
    o->district = d->slot;
    struct object **b = bucket(d, oid);
    o->hash_next = *b;
    *b = o;
    list_all(d, o);
    return o;
}

static void header_free(struct object *o)
{
    struct district *d = object_district(o);
    struct object **b = bucket(d, o->oid);
    while (*b != o)
        b = &(*b)->hash_next;
    *b = o->hash_next;
    *(o->all.next != NULL ? &o->all.next->all.previous : &d->all_last) = o->all.previous;
    *(o->all.previous != NULL ? &o->all.previous->all.next : &d->all) = o->all.next;
    if (d->hand == o)
        d->hand = o->all.next;
    d->objects--;
    slab_free(&headers, o);
}

void change_add(struct object_list *l, struct object *o, unsigned parity)
{
    struct object_link *link = &o->change[parity];
    link->next = NULL;
    link->previous = l->last;
    if (l->last != NULL)
        l->last->change[parity].next = o;
    else
        l->first = o;
    l->last = o;
    l->count++;
}

void change_remove(struct object_list *l, struct object *o, unsigned parity)
{
    struct object_link *link = &o->change[parity];
    if (link->next != NULL)
        link->next->change[parity].previous = link->previous;
    else
        l->last = link->previous;
    if (link->previous != NULL)
        link->previous->change[parity].next = link->next;
    else
        l->first = link->next;
    l->count--;
}

static bool in_snapshot(const struct district *d, const struct object *o)
{
    return d->snapshot && o->listed[d->snapshot_epoch & 1];
}

/** Enters the object in the dirty list of this epoch; what a snapshot needs of it has been kept. */
static void set_dirty(struct district *d, struct object *o)
{
    unsigned parity = d->epoch & 1;
    o->dirty_epoch = d->epoch;
    if (o->listed[parity])
        return;
    o->listed[parity] = true;
    change_add(&d->changes[parity], o, parity);
    d->budget--;
    d->lease--;
}

/** Space in the store and the district's share of memory for one more. @return BW_OK, WAIT_COMMIT
 */
static int may_dirty(struct district *d)
{
    if (d->lease <= 0 && (d->lease = share_lease(d)) == 0)
        return WAIT_COMMIT;
    if (d->budget > 0)
        return BW_OK;
    district_notify(d);
    return WAIT_COMMIT;
}

/** Keeps what a snapshot under way needs of the object. @return BW_OK, WAIT_MEMORY */
static int keep_copy(struct district *d, struct object *o, bool reserve)
{
#if BW_MUTATION != 1 /* the mutation that leaves out the copy under a snapshot */
    if (in_snapshot(d, o) && o->snap == NULL) {
        uint8_t *copy = frame_allocate(FRAME_SNAPSHOT, reserve);
        if (copy == NULL)
            return WAIT_MEMORY;
        frame_copy(copy, o->data);
        o->snap = copy;
        o->snap_type = o->type;
        o->snap_version = o->version;
        statistics.copies++;
    }
#else
    (void)d, (void)o, (void)reserve;
#endif
    return BW_OK;
}

int object_make_dirty(struct object *o)
{
    struct district *d = object_district(o);
    int r = may_dirty(d);
    if (r == BW_OK)
        r = keep_copy(d, o, false);
    if (r == BW_OK)
        set_dirty(d, o);
    return r;
}

bool object_force_writable(struct object *o)
{
    struct district *d = object_district(o);
    if (o->dirty_epoch == d->epoch)
        return true;
    if (keep_copy(d, o, true) != BW_OK)
        return false;
    set_dirty(d, o);
    return true;
}

struct key object_key(const struct object *o)
{
    static const uint8_t types[] = {KEY_VOID, KEY_PAGE, KEY_NODE, KEY_DOMAIN};
    return (struct key){.type = types[o->type],
                        .rights = o->type == OBJECT_DOMAIN ? 0 : RIGHT_WRITE,
                        .version = o->version,
                        .value = o->oid};
}

static int want(struct district *d, oid_t oid)
{
    if (!d->persistent)
        return BW_VOID;
    district_want(d, oid);
    if (cpu0.current != NULL)
        cpu0.current->wants = oid;
    return WAIT_OBJECT;
}

int object_fetch(struct district *d, oid_t oid, enum object_type type, struct object **out)
{
    struct object *o = object_lookup(d, oid);
    if (o == NULL)
        return want(d, oid);
    if (o->type != type)
        return BW_VOID;
    o->used = true;
    *out = o;
    return BW_OK;
}

int object_find(struct district *d, struct key k, struct object **out)
{
    static const uint8_t types[] = {
        [KEY_PAGE] = OBJECT_PAGE,     [KEY_NODE] = OBJECT_NODE,    [KEY_SEGMENT] = OBJECT_NODE,
        [KEY_DOMAIN] = OBJECT_DOMAIN, [KEY_START] = OBJECT_DOMAIN, [KEY_RESUME] = OBJECT_DOMAIN,
    };
    if (k.type >= sizeof types || types[k.type] == OBJECT_NONE)
        return BW_VOID;
    struct object *o = object_lookup(d, k.value);
    if (o == NULL)
        return want(d, k.value);
    /* A resume key's version is a part of its call count; ids are never reused, so that suffices.
     */
    if (o->type != types[k.type] || (o->version != k.version && k.type != KEY_RESUME))
        return BW_VOID;
    o->used = true;
    *out = o;
    return BW_OK;
}

/** What came YOUNG objects ago is old enough: from now on it counts whether it is used. */
static void note_young(struct district *d, struct object *o)
{
    oid_t *place = &d->young[d->young_next++ & (YOUNG - 1)];
    struct object *old = *place != 0 ? object_lookup(d, *place) : NULL;
    *place = o->oid;
    if (old == NULL)
        return;
    old->used = false;
    paging_not_accessed(old);
}

/** An object header with a frame of content, and for a domain its activity. Content is undefined.
 */
static int object_new(struct district *d, oid_t oid, enum object_type type, struct object **out)
{
    uint8_t *data = frame_allocate(FRAME_OBJECT, !d->persistent);
    if (data == NULL)
        return BW_NOMEM;
    struct object *o = header_new(d, oid);
    if (o == NULL) {
        frame_free(data);
        return BW_NOMEM;
    }
    o->data = data;
    o->type = (uint8_t)type;
    o->used = true;
    frame_set_object(data, o);
    if (type == OBJECT_DOMAIN && domain_attach(o) != BW_OK) {
        frame_free(data);
        header_free(o);
        return BW_NOMEM;
    }
    *out = o;
    return BW_OK;
}

/** Makes way for a new object under the id, if only a forgotten tombstone is there. */
static int vacate(struct district *d, oid_t oid)
{
    struct object *o = object_lookup(d, oid);
    if (o == NULL)
        return BW_OK;
    if (o->type != OBJECT_NONE || o->stored || o->listed[0] || o->listed[1])
        return BW_EXISTS;
    change_remove(&d->tombstones[1], o, 0);
    header_free(o);
    return BW_OK;
}

int object_create(struct district *d, oid_t oid, enum object_type type, struct object **out)
{
    if (oid == 0 || oid >= OID_LIMIT || type < OBJECT_PAGE || type > OBJECT_DOMAIN)
        return BW_ARGUMENT;
    int r = vacate(d, oid);
    if (r != BW_OK)
        return r;
    if (d->space_stage == SPACE_FULL)
        return BW_NOSPACE;
    if (d->persistent && (r = may_dirty(d)) != BW_OK)
        return r;
    uint32_t place = 0;
    if (d->persistent && type == OBJECT_DOMAIN &&
        (r = district_list_domain(d, oid, &place)) != BW_OK)
        return r;
    struct object *o;
    r = object_new(d, oid, type, &o);
    if (r != BW_OK) {
        if (d->persistent && type == OBJECT_DOMAIN)
            (void)district_unlist_domain(d, place); /* its page is writable already */
        return d->persistent ? WAIT_MEMORY : r;     /* something can be evicted, or soon will be */
    }
    frame_zero(o->data);
    static uint32_t
        creations; /* of the commons: a program that is loaded again gets other versions */
    o->version = d->persistent ? (uint32_t)d->epoch : ++creations;
    if (type == OBJECT_DOMAIN) {
        struct domain_frame *f = (struct domain_frame *)o->data;
        f->regs.rflags = 0x202;
        f->list_slot = place;
        f->deadline = BW_NO_DEADLINE;
        if (!d->persistent) /* ids come back here: no old resume key may fit */
            f->call_count = (uint64_t)o->version << 20 & 0xffffffffffff;
    }
    if (d->persistent) {
        set_dirty(d, o);
        note_young(d, o);
        d->made++;
    }
    *out = o;
    return BW_OK;
}

int object_install(struct district *d, oid_t oid, enum object_type type, uint32_t version,
                   const uint8_t *bytes)
{
    if (object_lookup(d, oid) != NULL)
        return BW_EXISTS;
    struct object *o;
    if (type == OBJECT_NONE) { /* remembered for a while, so that who asked finds out */
        o = header_new(d, oid);
        if (o == NULL)
            return BW_NOMEM;
        change_add(&d->tombstones[1], o, 0);
        return BW_OK;
    }
    int r = object_new(d, oid, type, &o);
    if (r != BW_OK)
        return r;
    if (bytes != NULL)
        frame_copy(o->data, bytes);
    else
        frame_zero(o->data);
    o->version = version;
    o->stored = true;
    note_young(d, o);
    if (type == OBJECT_DOMAIN)
        domain_make_safe((struct domain_frame *)o->data);
    return BW_OK;
}

struct object *object_adopt(struct district *d, oid_t oid, enum object_type type, void *frame)
{
    struct object *o = header_new(d, oid);
    if (o == NULL)
        return NULL;
    o->data = frame;
    o->type = (uint8_t)type;
    o->version = 1;
    frame_set_object(frame, o);
    return o;
}

/** Everything that is derived from the object's content goes. */
static void drop_derived(struct object *o)
{
    if (o->type == OBJECT_DOMAIN)
        domain_detach(o);
    else if (o->type == OBJECT_NODE)
        paging_node_gone(o);
    else if (o->type == OBJECT_PAGE)
        paging_page_gone(o);
}

static void free_content(struct object *o)
{
    if (o->data != NULL)
        frame_free(o->data);
    o->data = NULL;
}

/** What stays of a destroyed object: its content for the snapshot, a tombstone for the next commit.
 */
static void become_tombstone(struct district *d, struct object *o)
{
    if (in_snapshot(d, o)) {
        if (o->snap == NULL) {
            o->snap = o->data;
            o->snap_type = o->type;
            o->snap_version = o->version;
            o->data = NULL;
        }
        o->stored = true;
    }
    free_content(o);
    unsigned parity = d->epoch & 1;
    o->type = OBJECT_NONE;
    o->aux = NULL;
    if (o->stored) {
        set_dirty(d, o);
        return;
    }
    if (o->listed[parity]) {
        change_remove(&d->changes[parity], o, parity);
        d->budget++;
    }
    header_free(o);
}

int object_destroy(struct district *d, oid_t oid)
{
    struct object *o = object_lookup(d, oid);
    if (!d->persistent) {
        if (o != NULL)
            object_discard(o);
        return BW_OK;
    }
    if (o != NULL && o->type == OBJECT_NONE)
        return BW_OK;
    int r = may_dirty(d);
    if (r != BW_OK)
        return r;
    if (o == NULL) { /* only the store may have it */
        o = header_new(d, oid);
        if (o == NULL)
            return WAIT_MEMORY;
        o->stored = true;
        set_dirty(d, o);
        return BW_OK;
    }
    if (o->type == OBJECT_DOMAIN) {
        r = district_unlist_domain(d, ((struct domain_frame *)o->data)->list_slot);
        if (r != BW_OK)
            return r;
    }
    drop_derived(o);
    become_tombstone(d, o);
    d->made--;
    return BW_OK;
}

int object_rescind(struct object *o)
{
    int r = object_make_writable(o);
    if (r != BW_OK)
        return r;
    o->version++;
    if (o->type == OBJECT_NODE)
        paging_node_gone(o);
    else if (o->type == OBJECT_PAGE)
        paging_page_gone(o);
    return BW_OK;
}

void object_discard(struct object *o)
{
    drop_derived(o);
    struct district *d = object_district(o);
    for (unsigned parity = 0; parity < 2; parity++)
        if (o->listed[parity])
            change_remove(&d->changes[parity], o, parity);
    free_content(o);
    if (o->snap != NULL)
        frame_free(o->snap);
    header_free(o);
}
