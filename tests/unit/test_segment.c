// sources: fake_machine.h
/*
 * Segments against a model: random trees of nodes, with slots that are empty, stale, of the wrong
 * kind or height, and addresses around all borders. The model resolves an address by plain
 * division, one level after the other, knowing nothing of the nucleus's code.
 */
#include "fake_machine.h"
#include "segment.h"

#define NODES 10u
#define PAGES 10u
#define FIRST OID_FIRST_FREE

static struct district *d;
static struct object *nodes[NODES], *pages[PAGES];
static const unsigned used_slots[] = {0, 1, 2, 17, 128, 254, 255};
#define USED (sizeof used_slots / sizeof *used_slots)

static uint64_t pick(uint64_t n)
{
    return (uint64_t)random() % n;
}

static struct key random_key(void)
{
    static const uint8_t types[] = {KEY_SEGMENT, KEY_SEGMENT, KEY_SEGMENT, KEY_SEGMENT,
                                    KEY_PAGE,    KEY_PAGE,    KEY_NODE,    KEY_NUMBER};
    uint8_t type = types[pick(sizeof types)];
    bool node = type == KEY_SEGMENT || type == KEY_NODE;
    struct object *o = node ? nodes[pick(NODES)] : pages[pick(PAGES)];
    struct key k = {
        .type = type, .rights = (uint8_t)pick(4), .version = o->version, .value = o->oid};
    if (type == KEY_SEGMENT)
        k.tag = (uint16_t)pick(7);
    if (pick(12) == 0)
        k.version++;
    if (pick(20) == 0)
        k.value = FIRST + 500; /* not in memory */
    return k;
}

static void set_up(bool persistent)
{
    memset(districts, 0, sizeof districts);
    object_init(4096);
    d = &districts[persistent];
    d->slot = persistent;
    d->state = DISTRICT_RUNNING;
    d->persistent = persistent;
    d->epoch = persistent;
    d->budget = 1u << 30;
    for (unsigned i = 0; i < NODES; i++)
        ck_assert_int_eq(object_create(d, FIRST + i, OBJECT_NODE, &nodes[i]), BW_OK);
    for (unsigned i = 0; i < PAGES; i++)
        ck_assert_int_eq(object_create(d, FIRST + NODES + i, OBJECT_PAGE, &pages[i]), BW_OK);
    for (unsigned i = 0; i < NODES; i++)
        for (unsigned s = 0; s < USED; s++)
            if (pick(5) != 0)
                node_slots(nodes[i])[used_slots[s]] = random_key();
}

static uint64_t bytes_of(unsigned height)
{
    uint64_t n = 4096;
    for (; height > 0; height--)
        n *= 256;
    return n;
}

static uint64_t random_address(void)
{
    uint64_t a = 0;
    for (unsigned h = 4; h > 0; h--)
        a += used_slots[pick(USED)] * bytes_of(h - 1) * (pick(4) != 0);
    return pick(40) == 0 ? (uint64_t)random() << pick(40) : a + pick(2) * 4095;
}

/* --- the model --------------------------------------------------------------------------- */

/** 1: found, 0: nothing there, -1: must be fetched first. */
static int model_object(struct key k, struct object **o)
{
    for (unsigned i = 0; i < NODES + PAGES; i++) {
        *o = i < NODES ? nodes[i] : pages[i - NODES];
        if ((*o)->oid == k.value)
            return (*o)->version == k.version && ((k.type == KEY_PAGE) == (i >= NODES));
    }
    return d->persistent ? -1 : 0;
}

static int model_walk(struct key k, uint64_t offset, unsigned limit, struct object **page,
                      uint8_t *rights)
{
    struct object *o;
    *rights &= k.rights;
    if (k.type == KEY_PAGE) {
        *page = NULL;
        return offset / 4096 != 0 ? 0 : model_object(k, page);
    }
    if (k.type != KEY_SEGMENT || k.tag < 1 || k.tag >= limit || offset / bytes_of(k.tag) != 0)
        return 0;
    int r = model_object(k, &o);
    if (r != 1)
        return r;
    struct key next = node_slots(o)[offset / bytes_of(k.tag - 1u)];
    return model_walk(next, offset % bytes_of(k.tag - 1u), k.tag, page, rights);
}

/** The node of exactly that height above the address. -2: a smaller segment is in the way. */
static int model_node(struct key k, uint64_t offset, unsigned height, unsigned limit,
                      struct object **node, uint8_t *rights)
{
    if (k.type != KEY_SEGMENT || k.tag < height || k.tag >= limit || k.tag == 0 ||
        offset / bytes_of(k.tag) != 0)
        return 0;
    int r = model_object(k, node);
    *rights &= k.rights;
    if (r != 1 || k.tag == height)
        return r;
    struct key next = node_slots(*node)[offset / bytes_of(k.tag - 1u)];
    offset %= bytes_of(k.tag - 1u);
    if (next.type == KEY_SEGMENT && next.tag >= 1 && next.tag < k.tag &&
        (next.tag < height || offset / bytes_of(next.tag) != 0))
        return -2;
    return model_node(next, offset, height, k.tag, node, rights);
}

/* --- tests ------------------------------------------------------------------------------- */

static int expected_result(int model)
{
    return model == 1 ? BW_OK : model == 0 ? BW_FAULT : WAIT_OBJECT;
}

static void check_walk(struct key k, uint64_t address)
{
    struct walk w;
    struct object *page;
    uint8_t rights = 0xff;
    int expected = model_walk(k, address, SEGMENT_HEIGHT_MAX + 1, &page, &rights);
    ck_assert_int_eq(segment_walk(d, k, address, &w), expected_result(expected));
    if (expected != 1)
        return;
    ck_assert_ptr_eq(w.page, page);
    ck_assert_uint_eq(w.rights, rights);
    ck_assert_uint_le(w.depth, SEGMENT_HEIGHT_MAX);
    for (unsigned i = 0; i < w.depth; i++) {
        ck_assert_uint_le(w.path[i].base, address);
        ck_assert_uint_lt(address - w.path[i].base, bytes_of(w.path[i].height));
    }
}

static void check_pointer(struct key k, uint64_t address)
{
    struct object *page;
    uint8_t rights = 0xff, *at;
    bool write = pick(2);
    int expected = model_walk(k, address, SEGMENT_HEIGHT_MAX + 1, &page, &rights);
    if (expected == 1 && write && !(rights & RIGHT_WRITE))
        expected = 0;
    ck_assert_int_eq(segment_pointer(d, k, address, write, &at), expected_result(expected));
    if (expected == 1)
        ck_assert_ptr_eq(at, page->data + address % 4096);
}

static void check_node(struct key k, uint64_t address)
{
    struct object *node, *found = NULL;
    uint8_t rights = 0xff, found_rights;
    unsigned missing = 99, height = 1 + (unsigned)pick(4);
    int expected = model_node(k, address, height, SEGMENT_HEIGHT_MAX + 1, &node, &rights);
    int r = segment_node(d, k, address, height, &found, &found_rights, &missing);
    if (k.type != KEY_SEGMENT || k.tag > SEGMENT_HEIGHT_MAX || k.tag < height ||
        address / bytes_of(k.tag) != 0) {
        ck_assert_int_eq(r, BW_ARGUMENT);
        return;
    }
    static const int results[] = {BW_ARGUMENT, WAIT_OBJECT, BW_ABSENT, BW_OK};
    ck_assert_int_eq(r, results[expected + 2]);
    if (expected == 1) {
        ck_assert_ptr_eq(found, node);
        ck_assert_uint_eq(found_rights & (RIGHT_WRITE | RIGHT_EXECUTE),
                          rights & (RIGHT_WRITE | RIGHT_EXECUTE));
    } else if (expected == 0) {
        ck_assert_uint_ge(missing, height);
        ck_assert_uint_le(missing, k.tag);
    }
}

START_TEST(against_model)
{
    srandom((unsigned)_i);
    set_up(_i & 1);
    for (unsigned n = 0; n < 3000; n++) {
        struct key root = random_key();
        if (n % 4 != 0) {
            root = object_key(nodes[pick(NODES)]);
            root.type = KEY_SEGMENT;
            root.rights = (uint8_t)pick(8);
            root.tag = (uint16_t)pick(6);
        }
        uint64_t address = random_address();
        check_walk(root, address);
        check_pointer(root, address);
        check_node(root, address);
        if (n % 16 == 0)
            node_slots(nodes[pick(NODES)])[used_slots[pick(USED)]] = random_key();
    }
}
END_TEST

/** Whoever got a tree as sense (nothing may be changed through it) gets nothing better by walking
 * it. */
START_TEST(sense_is_kept_on_the_way)
{
    struct object *node;
    uint8_t rights;
    unsigned missing;
    set_up(false);
    struct key inner = object_key(nodes[1]), root = object_key(nodes[0]);
    inner.type = root.type = KEY_SEGMENT;
    inner.rights = RIGHT_SENSE;
    inner.tag = 1;
    root.tag = 2;
    node_slots(nodes[0])[0] = inner;
    ck_assert_int_eq(segment_node(d, root, 0, 1, &node, &rights, &missing), BW_OK);
    ck_assert_ptr_eq(node, nodes[1]);
    ck_assert_uint_eq(rights, RIGHT_SENSE);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("segment");
    TCase *t = tcase_create("walk");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, against_model, 0, 30);
    tcase_add_test(t, sense_is_kept_on_the_way);
    suite_add_tcase(s, t);
    return run_suite(s);
}
