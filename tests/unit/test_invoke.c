// sources: fake_programs.h
/*
 * Invocation over a fake machine: messages, replies, strings, designators, posts, faults, the
 * authority that keys give, and what happens when something must be waited for.
 * test_invoke_random.c is its companion.
 */
#include "fake_programs.h"

/* --- messages ---------------------------------------------------------------------------- */

static void exchange(unsigned client_district, unsigned server_district)
{
    set_up();
    struct district *home = &districts[client_district], *other = &districts[server_district];
    struct activity *client = program(home), *server = program(other);
    bool local = home == other;
    receive(server, 0);
    ck_assert_uint_eq(frame(server)->state, DOMAIN_AVAILABLE);
    struct regs *r = prepare(client, OP_CALL, INVOKE_STRING | INVOKE_RECEIVE, R_OUT, 77);
    frame(client)->keys[R_OUT] = link_cross(other, home, start_key(server, 0x1234));
    frame(client)->keys[R_OUT + 1] = number(5);
    r->rsi = 1, r->rdx = 2, r->r8 = 3, r->r9 = 4;
    r->r10 = FOUR_KEYS(R_OUT + 1, R_NODE, 0, R_OUT + 1);
    r->r12 = STRING + 4090;
    r->r13 = 12; /* over the end of a page */
    r->r14 = BUFFER, r->r15 = 4096;
    memcpy(memory(client, STRING + 4090), "hello ", 6);
    memcpy(memory(client, FIXED), "world!", 6);
    fake_trap(client);
    const struct regs *s = &frame(server)->regs;
    ck_assert_uint_eq(frame(client)->state, DOMAIN_WAITING);
    ck_assert_uint_eq(frame(server)->state, DOMAIN_RUNNING);
    ck_assert_uint_eq(s->rax, DELIVERY_MESSAGE | 0x12340000u);
    ck_assert_uint_eq(s->rdi, 77);
    ck_assert(s->rsi == 1 && s->rdx == 2 && s->r8 == 3 && s->r9 == 4);
    ck_assert_uint_eq(s->r13, 12);
    ck_assert_uint_eq(s->rcx, local ? 0 : client_district + 1);
    ck_assert_int_eq(memcmp(memory(server, BUFFER), "hello world!", 12), 0);
    const struct key *k = frame(server)->keys;
    ck_assert(keys_same(k[R_IN], number(5)) && keys_same(k[R_IN + 3], number(5)));
    ck_assert_uint_eq(k[R_IN + 1].type, local ? KEY_NODE : KEY_VOID); /* a node never crosses */
    ck_assert_uint_eq(k[R_IN + 2].type, KEY_VOID);
    ck_assert_uint_eq(k[1].type, local ? KEY_RESUME : KEY_LINK);

    frame(server)->keys[20] = frame(server)->keys[1];
    struct regs *reply = prepare(server, OP_RETURN, INVOKE_STRING, 1, (uint64_t)-7);
    reply->rsi = 9;
    reply->r12 = FIXED;
    reply->r13 = 3;
    memcpy(memory(server, FIXED), "abc", 3);
    fake_trap(server);
    ck_assert_uint_eq(frame(client)->state, DOMAIN_RUNNING);
    ck_assert_int_eq((int64_t)frame(client)->regs.rdi, -7);
    ck_assert_uint_eq(frame(client)->regs.rsi, 9);
    ck_assert_uint_eq(frame(client)->regs.r13, 3);
    ck_assert_int_eq(memcmp(memory(client, BUFFER), "abc", 3), 0);
    ck_assert_uint_eq(frame(server)->state, DOMAIN_AVAILABLE);

    /* The same resume key again, now that the client waits for something else. */
    struct activity *third = program(home), *thief = program(other);
    receive(third, 0);
    call(client, start_key(third, 0), 1);
    ck_assert_uint_eq(frame(client)->state, DOMAIN_WAITING);
    frame(thief)->keys[R_OUT] = frame(server)->keys[20];
    prepare(thief, OP_SEND, 0, R_OUT, 5);
    int64_t result = go(thief);
    ck_assert(result == BW_VOID || result == BW_SEVERED);
    ck_assert_uint_eq(frame(client)->state, DOMAIN_WAITING);
}

START_TEST(call_and_reply)
{
    static const unsigned pairs[][2] = {{0, 0}, {1, 1}, {0, 1}, {1, 0}, {1, 2}};
    exchange(pairs[_i][0], pairs[_i][1]);
}
END_TEST

START_TEST(strings_are_cut)
{
    static const struct {
        uint64_t address, size, got;
    } cases[] = {{BUFFER, 4, 4},   {BUFFER, 0, 0},         {FIXED, 50, 0},    {NOWHERE, 50, 0},
                 {~15ul, 4096, 0}, {STRING + 4090, 50, 0}, {BUFFER, ~0ul, 10}};
    set_up();
    struct activity *client = program(COMMONS), *server = program(COMMONS);
    receive(server, 0);
    frame(server)->regs.r14 = cases[_i].address;
    frame(server)->regs.r15 = cases[_i].size;
    struct regs *r = prepare(client, OP_SEND, INVOKE_STRING, R_OUT, 1);
    frame(client)->keys[R_OUT] = start_key(server, 0);
    r->r12 = STRING;
    r->r13 = 10;
    memcpy(memory(client, STRING), "0123456789", 10);
    if (cases[_i].address == STRING + 4090)
        r->r13 = 20; /* the buffer's second page is read-only */
    ck_assert_int_eq(go(client), BW_OK);
    ck_assert_uint_eq(frame(server)->state, DOMAIN_RUNNING);
    ck_assert_uint_eq(frame(server)->regs.r13, cases[_i].got);
    ck_assert_uint_eq(!!(frame(server)->regs.rax & DELIVERY_CUT),
                      cases[_i].got < r->r13 || cases[_i].got < 10);
    if (cases[_i].got > 0)
        ck_assert_int_eq(memcmp(memory(server, BUFFER), "0123456789", cases[_i].got), 0);
}
END_TEST

START_TEST(bad_strings_to_send)
{
    static const uint64_t cases[][2] = {
        {NOWHERE, 1}, {FIXED, 4097}, {~0ul - 2, 8}, {STRING, BW_STRING_MAX + 1}, {STRING, ~0ul}};
    set_up();
    struct activity *client = program(COMMONS), *server = program(COMMONS);
    receive(server, 0);
    struct regs *r = prepare(client, OP_SEND, INVOKE_STRING, R_OUT, 1);
    frame(client)->keys[R_OUT] = start_key(server, 0);
    r->r12 = cases[_i][0];
    r->r13 = cases[_i][1];
    int64_t result = go(client);
    ck_assert_int_eq(result, _i < 3 ? BW_FAULT : BW_ARGUMENT);
    ck_assert_uint_eq(frame(server)->state, DOMAIN_AVAILABLE);
}
END_TEST

START_TEST(busy_callee_serves_in_order)
{
    struct activity *client[4];
    set_up();
    struct activity *server = program(COMMONS);
    struct key k = start_key(server, 0);
    for (unsigned i = 0; i < 4; i++) {
        client[i] = program(COMMONS);
        call(client[i], k, 10 + i);
        ck_assert(waited(client[i]));
        ck_assert_ptr_eq(client[i]->queue, &server->callers);
        ck_assert_uint_eq(frame(client[i])->regs.rdi, 10 + i);
    }
    prepare(client[3], OP_SEND, INVOKE_NOBLOCK, R_OUT, 1);
    ck_assert_int_eq(go(client[3]), BW_BUSY);
    for (unsigned i = 0; i < 3; i++) {
        receive(server, 0);
        ck_assert_ptr_eq(client[i]->queue, &fake_ready);
        frame(client[i])->regs.rip = HERE; /* the instruction runs again */
        fake_trap(client[i]);
        ck_assert_uint_eq(frame(server)->state, DOMAIN_RUNNING);
        ck_assert_uint_eq(frame(server)->regs.rdi, 10 + i);
        queue_remove(server);
    }
}
END_TEST

/** The caller that was woken never comes: the next one must have its turn. */
START_TEST(a_caller_that_goes_away_passes_its_turn)
{
    struct activity *client[3];
    set_up();
    struct activity *server = program(COMMONS), *controller = program(COMMONS);
    for (unsigned i = 0; i < 3; i++) {
        client[i] = program(COMMONS);
        call(client[i], start_key(server, 0), 10 + i);
    }
    receive(server, 0);
    switch (_i) {
    case 0:
        ck_assert_int_eq(order(controller, object_key(client[0]->domain), DOMAIN_STOP, 0, 0, 0),
                         BW_OK);
        break;
    case 1:
        ck_assert_int_eq(object_destroy(COMMONS, client[0]->domain->oid), BW_OK);
        break;
    default: /* its key is void now */
        frame(client[0])->keys[R_OUT] = key_void();
        frame(client[0])->regs.rip = HERE;
        ck_assert_int_eq(go(client[0]), BW_VOID);
    }
    ck_assert_ptr_eq(client[1]->queue, &fake_ready);
}
END_TEST

/** A program is destroyed: whom it served is told, and nobody else. */
START_TEST(who_waits_for_nobody_is_answered)
{
    struct activity *client[4], *server[4];
    set_up();
    struct object *node = make(COMMONS, OBJECT_NODE);
    for (unsigned i = 0; i < 4; i++) {
        client[i] = program(COMMONS);
        server[i] = program(COMMONS);
        receive(server[i], 0);
        call(client[i], start_key(server[i], 0), 1);
        ck_assert_uint_eq(frame(client[i])->state, DOMAIN_WAITING);
    }
    /* 0 is destroyed; 1 has put the key away; 2 has lost it; 3 has it, and another's. */
    ((struct key *)node->data)[200] = frame(server[1])->keys[1];
    frame(server[1])->keys[1] = key_void();
    frame(server[2])->keys[1] = key_void();
    frame(server[3])->keys[20] = frame(server[0])->keys[1];
    frame(server[3])->keys[20].version++; /* of an earlier call */
    orphans_answer();
    ck_assert_uint_eq(frame(client[0])->state, DOMAIN_WAITING);
    ck_assert_int_eq(object_destroy(COMMONS, server[0]->domain->oid), BW_OK);
    orphans_answer();
    for (unsigned i = 0; i < 4; i++) {
        bool told = i == 0 || i == 2;
        ck_assert_uint_eq(frame(client[i])->state, told ? DOMAIN_RUNNING : DOMAIN_WAITING);
        if (told)
            ck_assert_int_eq((int64_t)frame(client[i])->regs.rdi, BW_VOID);
    }
}
END_TEST

START_TEST(posts)
{
    set_up();
    struct activity *a = program(COMMONS), *server = program(COMMONS), *client = program(COMMONS);
    prepare(a, OP_POST, 0, R_OUT, 0);
    frame(a)->keys[R_OUT] = start_key(server, 5);
    ck_assert_int_eq(go(a), BW_OK);
    prepare(a, OP_POST, 0, R_OUT, 0);
    frame(a)->keys[R_OUT] = start_key(server, 64 + 9);
    ck_assert_int_eq(go(a), BW_OK);
    receive(server, 0);
    ck_assert_uint_eq(frame(server)->state, DOMAIN_RUNNING);
    ck_assert_uint_eq(frame(server)->regs.rax, DELIVERY_POSTED);
    ck_assert_uint_eq(frame(server)->regs.rsi, 1 << 5 | 1 << 9);
    queue_remove(server);
    receive(server, INVOKE_POSTS_ONLY);
    ck_assert_uint_eq(frame(server)->state, DOMAIN_AVAILABLE);
    call(client, start_key(server, 0), 1);
    ck_assert(waited(client));
    prepare(a, OP_POST, 0, R_OUT, 0);
    ck_assert_int_eq(go(a), BW_OK);
    ck_assert_uint_eq(frame(server)->regs.rsi, 1 << 9);
    ck_assert_ptr_eq(client->queue, &server->callers);
    queue_remove(server);
    receive(server, 0);
    ck_assert_uint_eq(frame(server)->state, DOMAIN_AVAILABLE);
    ck_assert_ptr_eq(client->queue, &fake_ready);
}
END_TEST

START_TEST(deadlines)
{
    set_up();
    struct activity *a = program(&districts[1]);
    districts[1].monotonic_offset = (bw_time_t)-500000; /* its clock is behind */
    struct regs *r = prepare(a, OP_RETURN, INVOKE_DEADLINE, 0, 0);
    r->rbp = clock_now() + 1000;
    fake_trap(a);
    ck_assert_uint_eq(frame(a)->state, DOMAIN_AVAILABLE);
    ck_assert_uint_gt(a->deadline, clock_now());
    ck_assert_uint_lt(a->deadline, clock_now() + 600000);
    a->deadline = BW_NO_DEADLINE;
    invoke_timeout(a);
    ck_assert_uint_eq(frame(a)->state, DOMAIN_RUNNING);
    ck_assert_uint_eq(frame(a)->regs.rax, DELIVERY_TIMEOUT);
}
END_TEST

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

/* --- waiting ----------------------------------------------------------------------------- */

/** A client in district 1 that waits for the server's reply into a page that is not in memory. */
static struct activity *client_without_buffer(struct activity *server, struct object_header *page)
{
    struct district *d = &districts[1];
    struct activity *client = program(d);
    uint64_t objects, ticks;
    receive(server, 0);
    call(client, link_cross(object_district(server->domain), d, start_key(server, 0)), 1);
    ck_assert_uint_eq(frame(client)->state, DOMAIN_WAITING);
    ck_assert_int_eq(snapshot_begin(d, &objects, &ticks), BW_OK);
    while (snapshot_next(d, NULL) != NULL)
        snapshot_pulled(d, snapshot_next(d, NULL));
    ck_assert_int_eq(snapshot_committed(d, d->snapshot_epoch), BW_OK);
    struct object *o = object_of(client, node_slots(object_of(client, frame(client)->segment))[0]);
    *page = (struct object_header){.oid = o->oid, .type = OBJECT_PAGE, .version = o->version};
    object_discard(o); /* as if the district had just been restarted */
    return client;
}

static void reply_with_string(struct activity *server)
{
    struct regs *r = prepare(server, OP_SEND, INVOKE_STRING, 1, 33);
    r->r12 = STRING;
    r->r13 = 5;
    memcpy(memory(server, STRING), "reply", 5);
    fake_trap(server);
}

START_TEST(reply_waits_for_the_buffer)
{
    struct object_header page;
    set_up();
    struct activity *server = program(&districts[1]);
    struct activity *client = client_without_buffer(server, &page);
    reply_with_string(server);
    ck_assert(waited(server));
    ck_assert_uint_eq(frame(client)->state, DOMAIN_WAITING);
    ck_assert_int_eq(district_supply(&districts[1], &page, NULL), BW_OK);
    ck_assert_ptr_eq(server->queue, &fake_ready);
    frame(server)->regs.rip = HERE;
    ck_assert_int_eq(go(server), BW_OK);
    ck_assert_uint_eq(frame(client)->state, DOMAIN_RUNNING);
    ck_assert_uint_eq(frame(client)->regs.r13, 5);
    ck_assert_int_eq(memcmp(memory(client, BUFFER), "reply", 5), 0);
}
END_TEST

/** .. and the client gets away by another path meanwhile. */
START_TEST(waiting_reply_is_overtaken)
{
    struct object_header page;
    set_up();
    struct activity *server = program(&districts[1]), *other = program(&districts[1]);
    struct activity *client = client_without_buffer(server, &page);
    struct key k = object_key(client->domain);
    reply_with_string(server);
    ck_assert(waited(server));
    switch (_i) {
    case 0:
        ck_assert_int_eq(order(other, k, DOMAIN_STOP, 0, 0, 0), BW_OK);
        break;
    case 1:
        ck_assert_int_eq(order(other, k, DOMAIN_RESUME, FAULT_RETRY, 0, 0), BW_OK);
        ck_assert_ptr_eq(client->queue, &fake_ready);
        break;
    case 2: /* a second copy of the resume key, without a string */
        frame(other)->keys[R_OUT] = frame(server)->keys[1];
        prepare(other, OP_SEND, 0, R_OUT, 44);
        ck_assert_int_eq(go(other), BW_OK);
        ck_assert_uint_eq(frame(client)->regs.rdi, 44);
        ck_assert_ptr_eq(client->queue, &fake_ready);
        break;
    default:
        ck_assert_int_eq(object_destroy(&districts[1], client->domain->oid), BW_OK);
    }
    (void)district_supply(&districts[1], &page, NULL);
    ck_assert_ptr_eq(server->queue, &fake_ready);
    frame(server)->regs.rip = HERE;
    ck_assert_int_eq(go(server), BW_VOID);
}
END_TEST

/** A server of the commons never waits for a district: what cannot be taken now is cut. */
START_TEST(commons_never_waits_for_a_district)
{
    struct object_header page;
    set_up();
    struct activity *server = program(COMMONS);
    struct activity *client = client_without_buffer(server, &page);
    if (_i == 1) {
        uint64_t objects, ticks;
        frame(client)->regs.r15 = 0;
        object_make_dirty(client->domain);
        (void)snapshot_begin(&districts[1], &objects, &ticks);
        districts[1].budget = 0; /* its own frame could not be changed before the next commit */
    }
    reply_with_string(server);
    ck_assert(!waited(server));
    ck_assert_uint_eq(frame(client)->state, DOMAIN_RUNNING);
    ck_assert_uint_eq(frame(client)->regs.rdi, 33);
    ck_assert_uint_eq(frame(client)->regs.r13, 0);
    ck_assert(frame(client)->regs.rax & DELIVERY_CUT);
}
END_TEST

START_TEST(object_is_fetched)
{
    set_up();
    struct activity *a = program(&districts[1]);
    struct key absent = {.type = KEY_NODE, .version = 1, .value = OID_FIRST_FREE + 9000};
    struct object_header h = {.oid = absent.value, .type = OBJECT_NODE, .version = 1};
    frame(a)->keys[R_OUT] = absent;
    prepare(a, OP_CALL, 0, R_OUT, NODE_FETCH);
    fake_trap(a);
    ck_assert(waited(a));
    ck_assert_ptr_eq(a->queue, &districts[1].fetch_waiters);
    ck_assert_uint_eq(districts[1].wants[0].oid, absent.value);
    if (_i == 1)
        h.type = OBJECT_NONE;
    ck_assert_int_eq(district_supply(&districts[1], &h, NULL), BW_OK);
    ck_assert_ptr_eq(a->queue, &fake_ready);
    ck_assert_uint_eq(districts[1].want_count, 0);
    frame(a)->regs.rip = HERE;
    ck_assert_int_eq(go(a), _i == 1 ? BW_VOID : BW_OK);
}
END_TEST

START_TEST(budget_waits_for_the_commit)
{
    uint64_t objects, ticks;
    set_up();
    struct district *d = &districts[1];
    struct activity *a = program(d);
    d->budget = 0;
    struct regs *r = prepare(a, OP_CALL, 0, R_RANGE, RANGE_CREATE);
    r->rsi = 9000;
    r->rdx = OBJECT_DOMAIN;
    fake_trap(a);
    ck_assert(waited(a));
    ck_assert_ptr_eq(a->queue, &d->commit_waiters);
    ck_assert_ptr_null(object_lookup(d, OID_FIRST_FREE + 9000));
    ck_assert_int_eq(snapshot_begin(d, &objects, &ticks), BW_OK);
    ck_assert_int_ge((int64_t)d->budget, -1);
    ck_assert_int_le((int64_t)d->budget, 0);
    while (snapshot_next(d, NULL) != NULL)
        snapshot_pulled(d, snapshot_next(d, NULL));
    ck_assert_int_eq(snapshot_committed(d, d->snapshot_epoch), BW_OK);
    ck_assert_ptr_eq(a->queue, &fake_ready);
}
END_TEST

static struct regs *space(struct activity *a)
{
    prepare(a, OP_SELF, 0, 0, SELF_SPACE);
    ck_assert_int_eq(go(a), BW_OK);
    return &frame(a)->regs;
}

/** The district is told what its store has left, less what it dirtied since; a full one refuses
 *  new objects, and lets go of old ones. */
START_TEST(space_of_the_store)
{
    set_up();
    struct district *d = &districts[1];
    struct activity *server = program(COMMONS), *a = program(d);
    struct key range = frame(a)->keys[R_RANGE];
    frame(server)->keys[R_OUT] = district_key(d);
    d->made = 0;
    /* nothing is committed meanwhile */
    for (unsigned stage = 0; stage <= SPACE_FULL + 1; stage++) {
        struct regs *r = prepare(server, OP_CALL, 0, R_OUT, DISTRICT_BUDGET);
        r->rsi = 500;
        r->rdx = stage;
        r->r8 = 1000;
        r->r9 = 4096;
        ck_assert_int_eq(go(server), stage <= SPACE_FULL ? BW_OK : BW_ARGUMENT);
        if (stage > SPACE_FULL)
            break;
        ck_assert_uint_eq(space(a)->rsi, 1000 - stage);
        ck_assert_uint_eq(space(a)->rdx, 4096);
        ck_assert_uint_eq(space(a)->r8, stage);
        ck_assert_int_eq(order(a, range, RANGE_CREATE, 9000 + stage, OBJECT_PAGE, 0),
                         stage == SPACE_FULL ? BW_NOSPACE : BW_OK);
        ck_assert_uint_eq(space(a)->rsi, 1000 - (stage == SPACE_FULL ? stage : stage + 1));
    }
    ck_assert_int_eq(order(a, range, RANGE_DESTROY, 9000, 2, 0), BW_OK);
    ck_assert_uint_eq(space(a)->rsi, 1000);
    d->made_frozen = 300; /* of a snapshot that is not yet committed */
    ck_assert_uint_eq(space(a)->rsi, 700);
    d->space_free = 200; /* more was made than there is: nothing, not less */
    ck_assert_uint_eq(space(a)->rsi, 0);
}
END_TEST

/* --- faults ------------------------------------------------------------------------------ */

START_TEST(foreign_system_call)
{
    set_up();
    struct activity *keeper = program(&districts[1]), *a = program(&districts[1]);
    frame(a)->keeper = start_key(keeper, 321);
    frame(a)->flags |= DOMAIN_FOREIGN;
    receive(keeper, 0);
    frame(keeper)->regs.r15 = 4096;
    frame(a)->regs = (struct regs){.rip = HERE, .rax = 39, .rdi = 7};
    fake_trap(a);
    ck_assert_uint_eq(frame(a)->state, DOMAIN_WAITING);
    const struct regs *k = &frame(keeper)->regs;
    ck_assert_uint_eq(k->rdi, FAULT_SYSCALL);
    ck_assert_uint_eq(k->rsi, 39);
    ck_assert_uint_eq(k->r8, HERE);
    ck_assert_uint_eq(k->rax >> 16, 321);
    ck_assert_uint_eq(k->r13, sizeof(struct regs));
    ck_assert_int_eq(memcmp(memory(keeper, BUFFER), &frame(a)->regs, sizeof(struct regs)), 0);
    struct regs *r = prepare(keeper, OP_RETURN, 0, 1, FAULT_SET_RAX);
    r->rsi = 1234;
    fake_trap(keeper);
    ck_assert_uint_eq(frame(a)->state, DOMAIN_RUNNING);
    ck_assert_uint_eq(frame(a)->regs.rax, 1234);
    ck_assert_uint_eq(frame(a)->regs.rdi, 7);
}
END_TEST

START_TEST(fault_reply_is_made_safe)
{
    struct regs evil = {
        .rip = 1ul << 63, .rflags = ~0ul, .fs_base = 1ul << 60, .gs_base = 1ul << 47, .rbx = 5};
    set_up();
    struct activity *keeper = program(COMMONS), *a = program(COMMONS);
    frame(a)->keeper = start_key(keeper, 0);
    receive(keeper, 0);
    cpu0.current = a;
    fault_deliver(a, FAULT_PAGE, 6, 0x5000);
    ck_assert_uint_eq(frame(a)->state, DOMAIN_WAITING);
    ck_assert_uint_eq(frame(keeper)->regs.rsi, 0x5000);
    ck_assert_uint_eq(frame(keeper)->regs.rdx, 6);
    ck_assert(frame(keeper)->regs.rax & DELIVERY_CUT); /* 100 bytes were too few */
    struct regs *r = prepare(keeper, OP_RETURN, INVOKE_STRING, 1, FAULT_SET_REGS);
    memcpy(memory(keeper, STRING), &evil, sizeof evil);
    r->r12 = STRING;
    r->r13 = sizeof evil;
    fake_trap(keeper);
    const struct regs *s = &frame(a)->regs;
    ck_assert_uint_eq(frame(a)->state, DOMAIN_RUNNING);
    ck_assert_uint_eq(s->rbx, 5);
    ck_assert_uint_eq(s->rip >> 47, 0);
    ck_assert_uint_eq(s->fs_base >> 47 | s->gs_base >> 47, 0);
    ck_assert_uint_eq(s->rflags & ~0x240dd5ul, 0x202);
}
END_TEST

START_TEST(nobody_takes_the_fault)
{
    set_up();
    struct district *d = &districts[_i == 2 ? 0 : 1];
    struct activity *a = program(d), *gone = program(d);
    if (_i == 1)
        frame(a)->keeper = start_key(a, 0); /* itself */
    if (_i == 2) {
        frame(a)->keeper = start_key(gone, 0);
        ck_assert_int_eq(object_destroy(d, gone->domain->oid), BW_OK);
    }
    cpu0.current = a;
    fault_deliver(a, FAULT_DIVIDE, 0, 0);
    ck_assert_uint_eq(frame(a)->state, DOMAIN_STOPPED);
    ck_assert(frame(a)->flags & DOMAIN_CRASHED);
    ck_assert(d->crashed);
    ck_assert_uint_eq(d->crash_oid, a->domain->oid);
    ck_assert_uint_eq(d->crash_code, FAULT_DIVIDE);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("invoke");
    TCase *t = tcase_create("messages");
    tcase_add_loop_test(t, call_and_reply, 0, 5);
    tcase_add_loop_test(t, strings_are_cut, 0, 7);
    tcase_add_loop_test(t, bad_strings_to_send, 0, 5);
    tcase_add_test(t, busy_callee_serves_in_order);
    tcase_add_loop_test(t, a_caller_that_goes_away_passes_its_turn, 0, 3);
    tcase_add_test(t, who_waits_for_nobody_is_answered);
    tcase_add_test(t, posts);
    tcase_add_test(t, deadlines);
    suite_add_tcase(s, t);
    t = tcase_create("authority");
    tcase_add_test(t, keys_in_nodes);
    tcase_add_test(t, register_zero_stays_void);
    tcase_add_test(t, sense_is_never_dodged);
    tcase_add_loop_test(t, sense_is_not_dodged_by_copies, 0, 4);
    tcase_add_test(t, read_only_pages);
    tcase_add_test(t, rescinded_and_destroyed);
    tcase_add_loop_test(t, receive_place_is_destroyed, 0, 4);
    tcase_add_loop_test(t, cleared_node_names_itself, 0, 4);
    suite_add_tcase(s, t);
    t = tcase_create("waiting");
    tcase_add_test(t, reply_waits_for_the_buffer);
    tcase_add_loop_test(t, waiting_reply_is_overtaken, 0, 4);
    tcase_add_loop_test(t, commons_never_waits_for_a_district, 0, 2);
    tcase_add_loop_test(t, object_is_fetched, 0, 2);
    tcase_add_test(t, budget_waits_for_the_commit);
    tcase_add_test(t, space_of_the_store);
    suite_add_tcase(s, t);
    t = tcase_create("faults");
    tcase_add_test(t, foreign_system_call);
    tcase_add_test(t, fault_reply_is_made_safe);
    tcase_add_loop_test(t, nobody_takes_the_fault, 0, 3);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
