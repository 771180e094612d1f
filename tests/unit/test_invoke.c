// sources: fake_programs.h
/*
 * Invocation over a fake machine: messages, replies, strings, posts, deadlines and faults. Its
 * companions are test_invoke_authority.c, test_invoke_waiting.c and test_invoke_random.c.
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
    t = tcase_create("faults");
    tcase_add_test(t, foreign_system_call);
    tcase_add_test(t, fault_reply_is_made_safe);
    tcase_add_loop_test(t, nobody_takes_the_fault, 0, 3);
    suite_add_tcase(s, t);
    return run_suite(s);
}
