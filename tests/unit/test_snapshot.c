// sources: ../../nucleus/object.c ../../nucleus/snapshot.c
/*
 * Objects and snapshots of a district against a model: random creations, changes, destructions,
 * snapshots, pulls, commits and drops. The model keeps what a store must hold; every pulled object
 * must be as it was at the stop, and what was committed must be exactly what the district had then.
 */
#include "fake_objects.h"

#define IDS   64
#define FIRST OID_FIRST_FREE

/* --- the machine below ------------------------------------------------------------------------ */

static size_t frames_out;
static int fail_after = -1; /* allocations until one fails; -1: never */

static bool fails(void)
{
    return fail_after >= 0 && fail_after-- == 0;
}

void *frame_allocate(enum frame_use use, bool common)
{
    (void)use, (void)common;
    if (fails())
        return NULL;
    frames_out++;
    void *frame = aligned_alloc(4096, 4096);
    memset(frame, 0xa5, 4096);
    return frame;
}

void frame_free(void *frame)
{
    frames_out--;
    free(frame);
}

void frame_set_object(void *frame, struct object *o)
{
    (void)frame, (void)o;
}

void *slab_allocate(struct slab *s, bool common)
{
    (void)common;
    return fails() ? NULL : calloc(1, s->size);
}

void slab_free(struct slab *s, void *piece)
{
    (void)s;
    free(piece);
}

void paging_node_gone(struct object *node)
{
    (void)node;
}

void paging_page_gone(struct object *page)
{
    ck_assert_ptr_null(page->entry);
}

void paging_not_accessed(struct object *page)
{
    ck_assert_ptr_null(page->entry);
}

void paging_drop_all(struct district *d)
{
    (void)d;
}

int domain_attach(struct object *o)
{
    (void)o;
    return BW_OK;
}

void domain_detach(struct object *o)
{
    (void)o;
}

void district_notify(struct district *d)
{
    (void)d;
}

unsigned share_lease(struct district *d)
{
    (void)d;
    return 3;
}

void district_want(struct district *d, oid_t oid)
{
    (void)d, (void)oid;
}

/* --- the model -------------------------------------------------------------------------------- */

struct state { /* one object: type NONE or a page or node filled with one value */
    uint8_t type;
    uint64_t value;
};
static struct state now[IDS], frozen[IDS], pulled[IDS], store[IDS], base[IDS];
static bool used[IDS]; /* ids are used once */
static struct district *d;

static void set_up(void)
{
    d = &districts[1];
    memset(districts, 0, sizeof districts);
    object_init(4096);
    d->slot = 1;
    d->state = DISTRICT_RUNNING;
    d->persistent = true;
    d->epoch = 1;
    d->budget = 1u << 30;
    ck_assert_int_eq(object_create(d, OID_SYSTEM, OBJECT_PAGE, &d->system), BW_OK);
    memset(now, 0, sizeof now);
    memset(store, 0, sizeof store);
    memset(used, 0, sizeof used);
    fail_after = -1;
}

static void fill(struct object *o, uint64_t value)
{
    uint64_t *p = (uint64_t *)o->data;
    for (unsigned i = 0; i < 512; i += 2) { /* as keys these are numbers, which a node may hold */
        p[i] = value == 0 ? 0 : KEY_NUMBER;
        p[i + 1] = value;
    }
}

static uint64_t value_of(const uint8_t *bytes)
{
    return bytes == NULL ? 0 : ((const uint64_t *)bytes)[511];
}

static void create(unsigned i)
{
    struct object *o;
    enum object_type type = random() % 2 ? OBJECT_PAGE : OBJECT_NODE;
    if (used[i])
        return;
    int r = object_create(d, FIRST + i, type, &o);
    if (r == WAIT_MEMORY)
        return;
    ck_assert_int_eq(r, BW_OK);
    used[i] = true;
    now[i] = (struct state){.type = (uint8_t)type};
}

static void change(unsigned i)
{
    struct object *o = object_lookup(d, FIRST + i);
    if (now[i].type == OBJECT_NONE) {
        ck_assert(o == NULL || o->type == OBJECT_NONE);
        return;
    }
    ck_assert_ptr_nonnull(o);
    ck_assert_uint_eq(value_of(o->data), now[i].value);
    int r = object_make_writable(o);
    if (r == WAIT_MEMORY)
        return;
    ck_assert_int_eq(r, BW_OK);
    now[i].value = random() % 4 == 0 ? 0 : (uint64_t)random();
    fill(o, now[i].value);
}

static void destroy(unsigned i)
{
    int r = object_destroy(d, FIRST + i);
    if (r == WAIT_MEMORY)
        return;
    ck_assert_int_eq(r, BW_OK);
    used[i] = true;
    now[i] = (struct state){0};
}

static void snapshot(void)
{
    uint64_t objects, ticks;
    bool under_way = d->snapshot;
    uint64_t epoch = d->epoch;
    int r = snapshot_begin(d, &objects, &ticks);
    if (under_way) {
        ck_assert_int_eq(r, BW_BUSY);
        return;
    }
    if (r == BW_CLEAN || r == BW_NOMEM)
        return;
    ck_assert_int_eq(r, BW_OK);
    ck_assert_uint_eq(d->snapshot_epoch, epoch);
    memcpy(frozen, now, sizeof now);
    memcpy(pulled, store, sizeof store);
    memcpy(base, store, sizeof store);
}

static void pull(void)
{
    struct object_header h;
    const uint8_t *bytes;
    struct object *o = d->snapshot ? snapshot_next(d, NULL) : NULL;
    if (o == NULL)
        return;
    ck_assert_int_eq(snapshot_describe(o, &h, &bytes), BW_OK);
    if (h.oid >= FIRST) {
        struct state *s = &frozen[h.oid - FIRST];
        ck_assert_uint_eq(h.type, s->type);
        ck_assert_uint_eq(value_of(bytes), s->value);
        pulled[h.oid - FIRST] = *s;
    }
    snapshot_pulled(d, o);
}

static void commit(void)
{
    if (!d->snapshot || snapshot_next(d, NULL) != NULL) {
        ck_assert_int_ne(snapshot_committed(d, d->snapshot_epoch), BW_OK);
        return;
    }
    ck_assert_int_eq(snapshot_committed(d, d->snapshot_epoch), BW_OK);
    memcpy(store, pulled, sizeof store);
    for (unsigned i = 0; i < IDS; i++) {
        ck_assert_uint_eq(store[i].type, frozen[i].type);
        ck_assert_uint_eq(store[i].value, frozen[i].value);
    }
}

static void drop(void)
{
    int expected = d->snapshot ? BW_OK : BW_ARGUMENT;
    ck_assert_int_eq(snapshot_drop(d), expected);
}

static void tear_down(void)
{
    fail_after = -1;
    while (d->all != NULL)
        object_discard(d->all);
    ck_assert_uint_eq(frames_out, 0);
    ck_assert_uint_eq(d->objects, 0);
}

static void one_step(void)
{
    unsigned i = (unsigned)random() % IDS;
    switch (random() % 16) {
    case 0 ... 1:
        create(i);
        break;
    case 2 ... 6:
        change(i);
        break;
    case 7:
        destroy(i);
        break;
    case 8:
        snapshot();
        break;
    case 9 ... 13:
        pull();
        break;
    case 14:
        commit();
        break;
    default:
        if (random() % 8 == 0)
            drop();
    }
}

START_TEST(model)
{
    srandom((unsigned)_i);
    set_up();
    for (unsigned n = 0; n < 4000; n++)
        one_step();
    tear_down();
}
END_TEST

/** The same while memory runs out now and then: nothing is lost or torn. */
START_TEST(model_short_of_memory)
{
    srandom((unsigned)_i);
    set_up();
    for (unsigned n = 0; n < 4000; n++) {
        fail_after = random() % 3 == 0 ? (int)(random() % 2) : -1;
        one_step();
    }
    tear_down();
}
END_TEST

START_TEST(idle_is_clean)
{
    uint64_t objects, ticks;
    set_up();
    create(0);
    ck_assert_int_eq(snapshot_begin(d, &objects, &ticks), BW_OK);
    ck_assert_uint_eq(objects, 2);
    memcpy(frozen, now, sizeof now);
    pull();
    pull();
    ck_assert_int_eq(snapshot_committed(d, 1), BW_OK);
    ck_assert_int_eq(snapshot_begin(d, &objects, &ticks), BW_CLEAN);
    ck_assert_uint_eq(d->generation, 1);
    tear_down();
}
END_TEST

/** A node with a key that no store may hold is not committed. */
START_TEST(broken_is_refused)
{
    uint64_t objects, ticks;
    struct object_header h;
    const uint8_t *bytes;
    struct object *o;
    set_up();
    ck_assert_int_eq(object_create(d, FIRST, OBJECT_NODE, &o), BW_OK);
    node_slots(o)[7].type = KEY_PORTS;
    ck_assert_int_eq(snapshot_begin(d, &objects, &ticks), BW_OK);
    ck_assert_int_eq(snapshot_describe(o, &h, &bytes), BW_BROKEN);
    ck_assert_int_eq(snapshot_drop(d), BW_OK);
    tear_down();
}
END_TEST

START_TEST(versions)
{
    struct object *o, *found;
    set_up();
    ck_assert_int_eq(object_create(d, FIRST, OBJECT_PAGE, &o), BW_OK);
    struct key k = object_key(o);
    ck_assert_int_eq(object_find(d, k, &found), BW_OK);
    ck_assert_int_eq(object_rescind(o), BW_OK);
    ck_assert_int_eq(object_find(d, k, &found), BW_VOID);
    ck_assert_int_eq(object_find(d, object_key(o), &found), BW_OK);
    k.type = KEY_NODE; /* of another type than its object */
    ck_assert_int_eq(object_find(d, k, &found), BW_VOID);
    ck_assert_int_eq(object_create(d, FIRST, OBJECT_PAGE, &o), BW_EXISTS);
    ck_assert_int_eq(object_find(d, (struct key){.type = KEY_PAGE, .value = FIRST + 9}, &found),
                     WAIT_OBJECT);
    tear_down();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("snapshot");
    TCase *t = tcase_create("objects");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, model, 0, 40);
    tcase_add_loop_test(t, model_short_of_memory, 0, 40);
    tcase_add_test(t, idle_is_clean);
    tcase_add_test(t, broken_is_refused);
    tcase_add_test(t, versions);
    suite_add_tcase(s, t);
    return run_suite(s);
}
