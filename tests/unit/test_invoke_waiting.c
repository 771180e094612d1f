// sources: fake_programs.h
/*
 * What happens when an invocation must wait for something: an object that is still in the store, a
 * frame, a commit, room in the store; and who never waits for whom.
 */
#include "fake_programs.h"

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

int main(void)
{
    Suite *s = suite_create("invoke_waiting");
    TCase *t = tcase_create("invoke_waiting");
    tcase_add_test(t, reply_waits_for_the_buffer);
    tcase_add_loop_test(t, waiting_reply_is_overtaken, 0, 4);
    tcase_add_loop_test(t, commons_never_waits_for_a_district, 0, 2);
    tcase_add_loop_test(t, object_is_fetched, 0, 2);
    tcase_add_test(t, budget_waits_for_the_commit);
    tcase_add_test(t, space_of_the_store);
    suite_add_tcase(s, t);
    return run_suite(s);
}
