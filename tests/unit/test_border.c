// sources: fake_programs.h
/*
 * Invocations that cross a district's border: whose name a message bears, and what becomes of those
 * whose partner is gone though his district runs.
 */
#include "fake_programs.h"

/** Who sent the last message, by name, as its receiver is told. */
static const char *sender_of(struct activity *a)
{
    struct regs *r = prepare(a, OP_SELF, INVOKE_RECEIVE, 0, SELF_SENDER);
    r->r14 = BUFFER;
    r->r15 = DISTRICT_NAME_MAX;
    memset(memory(a, BUFFER), 0, DISTRICT_NAME_MAX);
    ck_assert_int_eq(go(a), BW_OK);
    return (const char *)memory(a, BUFFER);
}

/** The name is that of who sent, or none: never that of who has his slot now. */
START_TEST(name_of_a_past_sender)
{
    set_up();
    struct activity *client = program(&districts[1]), *server = program(&districts[2]);
    for (unsigned i = 1; i < 3; i++)
        districts[i].name[0] = (char)('a' + i), districts[i].incarnation = 10 + i;
    receive(server, 0);
    call(client, link_cross(&districts[2], &districts[1], start_key(server, 0)), 1);
    ck_assert_str_eq(sender_of(server), "b");
    districts[1].incarnation_random++; /* restarted, or a copy of it */
    ck_assert_str_eq(sender_of(server), "");
    districts[1].incarnation_random--;
    districts[1].incarnation++;
    districts[1].name[0] = 'x'; /* another one */
    ck_assert_str_eq(sender_of(server), "");
}
END_TEST

/** A server of the commons is destroyed: the callers from districts whom it served are told. */
START_TEST(servers_that_fail_let_go)
{
    struct activity *client[4], *server[4];
    set_up();
    struct object *node = make(COMMONS, OBJECT_NODE);
    for (unsigned i = 0; i < 4; i++) {
        struct district *d = &districts[1 + i % 2];
        client[i] = program(d);
        server[i] = program(COMMONS);
        receive(server[i], 0);
        call(client[i], link_cross(COMMONS, d, start_key(server[i], 0)), 1);
        ck_assert_uint_eq(frame(client[i])->state, DOMAIN_WAITING);
    }
    /* 0 is destroyed; 1 has put the link away; 2 has lost it; 3 has it. */
    ((struct key *)node->data)[200] = frame(server[1])->keys[1];
    frame(server[1])->keys[1] = key_void();
    frame(server[2])->keys[1] = key_void();
    ck_assert_int_eq(object_destroy(COMMONS, server[0]->domain->oid), BW_OK);
    for (unsigned n = 0; n < 2; n++)
        orphans_answer();
    for (unsigned i = 0; i < 4; i++) {
        bool told = i == 0 || i == 2;
        ck_assert_uint_eq(frame(client[i])->state, told ? DOMAIN_RUNNING : DOMAIN_WAITING);
        if (told)
            ck_assert_int_eq((int64_t)frame(client[i])->regs.rdi, BW_VOID);
    }
    receive(server[3], 0); /* its table is sound: those who wait on can be answered */
    frame(server[1])->keys[1] = ((struct key *)node->data)[200];
    prepare(server[1], OP_SEND, 0, 1, 7);
    ck_assert_int_eq(go(server[1]), BW_OK);
    ck_assert_int_eq((int64_t)frame(client[1])->regs.rdi, 7);
}
END_TEST

/** A server that does without the link to its caller tells him so. */
START_TEST(who_is_dropped_is_told)
{
    set_up();
    struct activity *client = program(&districts[1]), *server = program(&districts[2]);
    receive(server, 0);
    call(client, link_cross(&districts[2], &districts[1], start_key(server, 0)), 1);
    ck_assert_uint_eq(frame(client)->state, DOMAIN_WAITING);
    for (unsigned i = 0; i < 2; i++) { /* the second time there is nothing to drop */
        prepare(server, OP_SELF, 0, 0, SELF_LINK_DROP)->r10 = 1;
        ck_assert_int_eq(go(server), BW_OK);
        ck_assert_uint_eq(frame(client)->state, DOMAIN_RUNNING);
        ck_assert_int_eq((int64_t)frame(client)->regs.rdi, BW_VOID);
    }
}
END_TEST

static struct key open_and_establish(struct district *d, struct district *to, struct key target)
{
    struct link_params p = {.district = "c", .name = "bank", .mode = LINK_NOTIFY};
    struct key link;
    ck_assert_int_eq(named_open(d, &p, key_void(), &link), BW_OK);
    ck_assert_int_eq(named_establish(d, link.value - LINKS, link.version, to, target), BW_OK);
    return link;
}

/** What was published is destroyed, and something else published in its place: the link is severed,
 * and the broker finds that it waits. */
START_TEST(what_is_published_is_replaced)
{
    struct publication_params p = {.name = "bank", .access = "*"};
    struct link_line line;
    uint64_t index = 0;
    set_up();
    struct district *d = &districts[1], *to = &districts[2];
    struct activity *client = program(d), *server = program(to);
    ck_assert_int_eq(named_publish(to, &p, start_key(server, 0)), BW_OK);
    struct key link = open_and_establish(d, to, named_find(to, p.name)->key);
    ck_assert_int_eq(object_destroy(to, server->domain->oid), BW_OK);
    ck_assert_ptr_null(named_find(to, p.name));
    frame(client)->keys[R_OUT] = link;
    for (unsigned i = 0; i < 2; i++) {
        prepare(client, i == 0 ? OP_CALL : OP_POST, 0, R_OUT, 1);
        ck_assert_int_eq(go(client), BW_SEVERED);
        ck_assert_int_eq(named_line(d, &index, &line), BW_OK);
        ck_assert(line.state == LINK_SEVERED && line.wanted && line.reason == LINK_NO_NAME);
    }
    server = program(to);
    ck_assert_int_eq(named_publish(to, &p, start_key(server, 0)), BW_OK);
    ck_assert_int_eq(named_establish(d, index, link.version, to, named_find(to, p.name)->key),
                     BW_OK);
    prepare(client, OP_POST, 0, R_OUT, 1);
    ck_assert_int_eq(go(client), BW_RELINKED);
    ck_assert_int_eq(named_acknowledge(d, link, 2), BW_OK);
    prepare(client, OP_POST, 0, R_OUT, 1);
    ck_assert_int_eq(go(client), BW_OK);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("border");
    TCase *t = tcase_create("border");
    tcase_add_test(t, name_of_a_past_sender);
    tcase_add_test(t, servers_that_fail_let_go);
    tcase_add_test(t, who_is_dropped_is_told);
    tcase_add_test(t, what_is_published_is_replaced);
    suite_add_tcase(s, t);
    return run_suite(s);
}
