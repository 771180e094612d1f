// sources: fake_programs.h
/*
 * The authority that keys give: places for keys that a designator names, rights and the sense of a
 * node, keys that are rescinded, objects that are destroyed.
 */
#include "fake_programs.h"

/* --- designators ------------------------------------------------------------------------- */

START_TEST(keys_in_nodes)
{
    set_up();
    struct activity *a = program(COMMONS);
    struct regs *r = prepare(a, OP_SELF, 0, 0, SELF_NUMBER);
    r->rsi = 42;
    r->rbx = KEY_IN_NODE(R_NODE, 200);
    ck_assert_int_eq(go(a), BW_OK);
    struct object *node = object_of(a, frame(a)->keys[R_NODE]);
    ck_assert(keys_same(node_slots(node)[200], number(42)));
    r = prepare(a, OP_SELF, 0, 0, SELF_IDENTIFY);
    r->r10 = KEY_IN_NODE(R_NODE, 200);
    ck_assert_int_eq(go(a), BW_OK);
    ck_assert_uint_eq(frame(a)->regs.rdx, 42);
    frame(a)->keys[R_NODE].rights = 0; /* read-only now */
    r = prepare(a, OP_SELF, 0, 0, SELF_NUMBER);
    r->rsi = 43;
    r->rbx = KEY_IN_NODE(R_NODE, 200);
    ck_assert_int_eq(go(a), BW_ARGUMENT);
    ck_assert(keys_same(node_slots(node)[200], number(42)));
    r = prepare(a, OP_SELF, 0, 0, SELF_IDENTIFY);
    r->r10 = KEY_IN_NODE(R_SELF, 0); /* no node */
    ck_assert_int_eq(go(a), BW_ARGUMENT);
}
END_TEST

START_TEST(register_zero_stays_void)
{
    set_up();
    struct activity *a = program(COMMONS), *server = program(COMMONS);
    static const uint16_t zeros[] = {0, 0x20, 0x7fe0};
    for (unsigned i = 0; i < 3; i++) {
        struct regs *r = prepare(a, OP_SELF, 0, 0, SELF_NUMBER);
        r->rbx = zeros[i];
        (void)go(a);
        ck_assert_uint_eq(frame(a)->keys[0].type, KEY_VOID);
        receive(server, 0);
        frame(server)->regs.rax &= 0xffff;
        frame(server)->regs.rax |= (uint64_t)zeros[i] << 32;
        frame(server)->regs.rbx = FOUR_KEYS(zeros[i], zeros[i], zeros[i], zeros[i]);
        r = prepare(a, OP_CALL, 0, R_OUT, 1);
        frame(a)->keys[R_OUT] = start_key(server, 1);
        r->r10 = FOUR_KEYS(R_NODE, R_NODE, R_NODE, R_NODE);
        fake_trap(a);
        ck_assert_uint_eq(frame(server)->keys[0].type, KEY_VOID);
        ck_assert(domain_frame_valid(frame(server)));
        queue_remove(server);
        domain_set_state(a, DOMAIN_RUNNING);
    }
}
END_TEST

/* --- authority --------------------------------------------------------------------------- */

/** A sense key to a node (as `type`) whose slot 1 is a writable page. Void: not this way. */
static struct key sense_tree(struct activity *a, unsigned type)
{
    struct object *node = make(object_district(a->domain), OBJECT_NODE);
    node_slots(node)[1] = object_key(make(object_district(a->domain), OBJECT_PAGE));
    struct key k = object_key(node);
    k.type = (uint8_t)type;
    k.tag = type == KEY_SEGMENT;
    return key_sense(k);
}

static void must_not_write(struct key k)
{
    ck_assert(!(k.rights & RIGHT_WRITE));
}

START_TEST(sense_is_never_dodged)
{
    set_up();
    struct activity *a = program(COMMONS);
    struct key *in = &frame(a)->keys[R_IN];
    struct key node = sense_tree(a, KEY_NODE), segment = sense_tree(a, KEY_SEGMENT);
    ck_assert_int_eq(order(a, node, NODE_FETCH, 1, 0, 0), BW_OK);
    must_not_write(*in);
    ck_assert_int_eq(order(a, segment, SEGMENT_GET, 4096, 0, 0), BW_OK);
    must_not_write(*in);
    frame(a)->keys[20] = node;
    struct regs *r = prepare(a, OP_SELF, 0, 0, SELF_COPY_KEY);
    r->r10 = KEY_IN_NODE(20, 1);
    r->rbx = R_IN;
    ck_assert_int_eq(go(a), BW_OK);
    must_not_write(*in);
    frame(a)->keys[R_OUT + 1] = node;
    ck_assert_int_eq(order(a, frame(a)->keys[R_NODE], NODE_COPY, 0, 1, 1), BW_OK);
    must_not_write(node_slots(object_of(a, frame(a)->keys[R_NODE]))[0]);
    ck_assert_int_eq(order(a, node, NODE_STORE, 1, 0, 0), BW_RIGHTS);
    frame(a)->keys[R_OUT + 1] = key_void();
    ck_assert_int_eq(order(a, segment, SEGMENT_PUT, 4096, 0, 0), BW_RIGHTS);
}
END_TEST

/** A tree of height 2 of our own, for what goes into one of its slots. */
static struct object *own_tree(struct activity *a, struct key slot_0)
{
    struct object *root = make(object_district(a->domain), OBJECT_NODE);
    node_slots(root)[0] = slot_0;
    return root;
}

START_TEST(sense_is_not_dodged_by_copies)
{
    set_up();
    struct activity *a = program(COMMONS);
    struct key segment = sense_tree(a, KEY_SEGMENT), range = frame(a)->keys[R_RANGE];
    struct object *root = own_tree(a, segment), *made;
    int64_t r;
    frame(a)->keys[R_OUT + 1] = range;
    switch (_i) {
    case 0: /* the path leads through it */
        ck_assert_int_eq(order(a, as_segment(root, 2), SEGMENT_GET, 4096, 0, 0), BW_OK);
        must_not_write(frame(a)->keys[R_IN]);
        return;
    case 1:
        frame(a)->keys[R_OUT + 2] = segment;
        r = order(a, as_segment(root, 2), SEGMENT_CREATE, 1u << 20, 1 | OBJECT_NODE << 8 | 3u << 16,
                  500000);
        break;
    case 2:
        frame(a)->keys[R_OUT + 2] = sense_tree(a, KEY_NODE);
        r = order(a, as_segment(root, 2), SEGMENT_CREATE, 1u << 20, 1 | OBJECT_NODE << 8 | 3u << 16,
                  500000);
        break;
    default:
        r = order(a, as_segment(root, 2), SEGMENT_UNSHARE, 0, 1 | 3u << 16, 500000);
    }
    if (r != BW_OK) /* refused: fine too */
        return;
    made = object_lookup(COMMONS, OID_FIRST_FREE + 500000);
    ck_assert_ptr_nonnull(made);
    must_not_write(node_slots(made)[1]);
}
END_TEST

START_TEST(read_only_pages)
{
    set_up();
    struct activity *a = program(COMMONS);
    struct key page = object_key(make(COMMONS, OBJECT_PAGE)), ro = page;
    ro.rights = 0;
    struct object *root = own_tree(a, ro);
    ck_assert_int_eq(order(a, ro, SEGMENT_ZERO, 0, 8, 0), BW_FAULT);
    ck_assert_int_eq(order(a, ro, PAGE_WRITE, 0, 0, 0), BW_RIGHTS);
    ck_assert_int_eq(order(a, as_segment(root, 1), SEGMENT_ZERO, 0, 8, 0), BW_FAULT);
    frame(a)->keys[R_OUT + 1] = key_void();
    ck_assert_int_eq(order(a, as_segment(root, 1), SEGMENT_RIGHTS, 0, RIGHT_WRITE << 16, 1), BW_OK);
    must_not_write(node_slots(root)[0]);
    frame(a)->keys[R_OUT + 1] = page; /* no range: proves nothing */
    ck_assert_int_eq(order(a, as_segment(root, 1), SEGMENT_RIGHTS, 0, RIGHT_WRITE << 16, 1), BW_OK);
    must_not_write(node_slots(root)[0]);
    frame(a)->keys[R_OUT + 1] = frame(a)->keys[R_RANGE];
    ck_assert_int_eq(order(a, as_segment(root, 1), SEGMENT_RIGHTS, 0, RIGHT_WRITE << 16, 1), BW_OK);
    ck_assert_uint_eq(node_slots(root)[0].rights, RIGHT_WRITE);
}
END_TEST

START_TEST(rescinded_and_destroyed)
{
    set_up();
    struct activity *a = program(COMMONS);
    struct object *node = make(COMMONS, OBJECT_NODE);
    struct key k = object_key(node), range = frame(a)->keys[R_RANGE];
    uint64_t offset = k.value - OID_FIRST_FREE;
    ck_assert_int_eq(order(a, k, NODE_FETCH, 0, 0, 0), BW_OK);
    ck_assert_int_eq(order(a, range, RANGE_RESCIND, offset, 0, 0), BW_OK);
    struct key fresh = frame(a)->keys[R_IN];
    ck_assert_int_eq(order(a, k, NODE_FETCH, 0, 0, 0), BW_VOID);
    ck_assert_int_eq(order(a, fresh, NODE_FETCH, 0, 0, 0), BW_OK);
    ck_assert_int_eq(order(a, range, RANGE_DESTROY, offset, 1, 0), BW_OK);
    ck_assert_int_eq(order(a, fresh, NODE_FETCH, 0, 0, 0), BW_VOID);
    ck_assert_int_eq(order(a, range, RANGE_DESTROY, a->domain->oid - OID_FIRST_FREE, 1, 0),
                     BW_ARGUMENT);
}
END_TEST

/** The place for the reply's key is in the node that the order destroys. */
START_TEST(receive_place_is_destroyed)
{
    set_up();
    struct district *d = &districts[_i & 1];
    struct activity *a = program(d);
    struct object *node = make(d, OBJECT_NODE);
    uint64_t objects, ticks, offset = node->oid - OID_FIRST_FREE;
    if (_i == 3)
        ck_assert_int_eq(snapshot_begin(d, &objects, &ticks), BW_OK);
    frame(a)->keys[20] = object_key(node);
    node_slots(node)[7] = number(9);
    struct regs *r = prepare(a, OP_CALL, 0, R_RANGE, RANGE_DESTROY);
    r->rsi = offset;
    r->rdx = 20; /* and ids that were never there */
    r->rbx = KEY_IN_NODE(20, 7);
    ck_assert_int_eq(go(a), BW_OK);
    if (_i == 3) { /* what was frozen stays as it was */
        node = object_lookup(d, node->oid);
        ck_assert_ptr_nonnull(node->snap);
        ck_assert(keys_same(((struct key *)node->snap)[7], number(9)));
    }
}
END_TEST

/** A node that names itself is cleared with a range that covers it. */
START_TEST(cleared_node_names_itself)
{
    set_up();
    struct district *d = &districts[_i & 1];
    struct activity *a = program(d);
    struct object *node = make(d, OBJECT_NODE);
    uint64_t objects, ticks;
    node_slots(node)[3] = object_key(node);
    node_slots(node)[4] = number(9);
    struct key k = as_segment(node, 1);
    if (_i == 3)
        ck_assert_int_eq(snapshot_begin(d, &objects, &ticks), BW_OK);
    frame(a)->keys[R_OUT + 1] = frame(a)->keys[R_RANGE];
    (void)order(a, k, SEGMENT_CLEAR, 0, 0, 256);
    if (_i == 3) {
        const struct object *o = object_lookup(d, k.value);
        const struct key *kept = (const struct key *)(o->snap != NULL ? o->snap : o->data);
        ck_assert(keys_same(kept[4], number(9)));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("invoke_authority");
    TCase *t = tcase_create("invoke_authority");
    tcase_add_test(t, keys_in_nodes);
    tcase_add_test(t, register_zero_stays_void);
    tcase_add_test(t, sense_is_never_dodged);
    tcase_add_loop_test(t, sense_is_not_dodged_by_copies, 0, 4);
    tcase_add_test(t, read_only_pages);
    tcase_add_test(t, rescinded_and_destroyed);
    tcase_add_loop_test(t, receive_place_is_destroyed, 0, 4);
    tcase_add_loop_test(t, cleared_node_names_itself, 0, 4);
    suite_add_tcase(s, t);
    return run_suite(s);
}
