/*
 * Links under every kind of bad luck, on the host: four districts with clients, which call over
 * named links of all three modes, and servers, which answer at once, later, or have another one
 * answer. Districts are killed, go back, are checkpointed and load piece by piece; the broker takes
 * one step at a time and is lost now and then; names are withdrawn and published again. The
 * nucleus's link.c, named.c, invoke.c ... and the broker's step function are those of the system.
 *
 * What must hold, for every seed:
 *   1. A message reaches only the incarnation to which its link was established; a reply only the
 *      call that it answers, in the incarnation of the caller that made it.
 *   2. SEVERED is true: the other side of the link, or who had to answer, has ended.
 *   3. Nothing goes over a `notify` or `manual` link, after its first connection, before its holder
 *      has acknowledged just this one. It says RELINKED until then, so here once at most.
 *   4. Nobody waits for ever: when nothing more happens to districts, each link comes back, and
 *      each client gets on, without being told more than the system tells it.
 *   5. Tables stay small, and at the end all memory is free again.
 *
 * All that a program knows is in its pages and registers, so that it goes back with its district.
 */
#include "world.h"

#define CLIENTS 3u /* of each side; the how manieth is its enum link_mode, or LINK_NOTIFY */
#define ASIDE   3u /* calls that a server keeps for later */
#define R_LINK  16u
#define R_ASIDE 20u
#define CALL    77u /* the orders of these programs */
#define FORWARD 78u /* key 0: who is to be answered */
#define TIMER   4u  /* post bits */
#define NOTICE  5u

enum phase {
    IDLE, /* server: waits for messages */
    SENDING,
    FORWARDING,
    TRY, /* client: next it calls */
    CALLING,
    REOPENING,
    WAITING, /* for the notice that the link has changed */
    LOOKING,
    ACKNOWLEDGING,
};

/** In page 1 of each program. */
struct program {
    uint32_t phase;
    uint32_t at; /* server: which one set aside it answers */
    uint64_t nonce, connection;
    uint64_t aside[ASIDE]; /* nonces; 0: none */
};

/* --- the oracle ------------------------------------------------------------------------------- */

static struct established {
    uint64_t holder_run, target_run, connection;
    unsigned target;
} link_now[SIDES + 1][CLIENTS + 1]; /* by holder and place of the link */

static struct pending {
    unsigned client, number, holder; /* sides; which client */
    uint64_t client_run, holder_run; /* holder: who has to answer */
    bool open, answered;
} * calls; /* by nonce */
static uint64_t nonces, calls_room;

static struct {
    uint64_t run, connection;
} relinked[SIDES + 1][CLIENTS], acknowledged[SIDES + 1][CLIENTS];
static unsigned progress[SIDES + 1][CLIENTS];
static oid_t client_oid[SIDES + 1][CLIENTS], server_oid[SIDES + 1];
static unsigned peer_of[SIDES + 1][CLIENTS + 1];
static bool with_manual; /* who reopens a link has the broker look at all */

static enum link_mode mode_of(unsigned client)
{
    return client + 1 == LINK_MANUAL && !with_manual ? LINK_NOTIFY : (enum link_mode)(client + 1);
}

static bool runs_now(unsigned i, uint64_t run)
{
    return is_up(i) && side[i].run == run;
}

static void established(unsigned i, uint64_t place)
{
    struct district *d = district_of(i);
    struct key link = {.type = KEY_LINK, .version = broker.line.version, .value = LINKS + place};
    ck_assert_uint_le(place, CLIENTS);
    link_now[i][place] = (struct established){.holder_run = side[i].run,
                                              .target = broker.other,
                                              .target_run = side[broker.other].run,
                                              .connection = named_of(d, link)->connection};
    ck_assert_uint_eq(broker.other, peer_of[i][place]);
}

static bool link_is_whole(unsigned i, unsigned place)
{
    const struct established *l = &link_now[i][place];
    return runs_now(i, l->holder_run) && runs_now(l->target, l->target_run);
}

/** The server that has just got this message. */
static struct activity *receiver(uint64_t order, uint64_t nonce)
{
    struct activity *found = NULL;
    for (unsigned i = 1; i <= SIDES; i++) {
        struct object *o = is_up(i) ? object_lookup(district_of(i), server_oid[i]) : NULL;
        const struct domain_frame *f = o == NULL ? NULL : frame(object_activity(o));
        if (f == NULL || f->state != DOMAIN_RUNNING || f->regs.rdi != order ||
            f->regs.rsi != nonce || f->regs.rip != HERE)
            continue;
        ck_assert_ptr_null(found);
        found = object_activity(o);
    }
    ck_assert_ptr_nonnull(found);
    return found;
}

/** A message went over a link of side i. */
static unsigned check_delivery(unsigned i, unsigned place, uint64_t order, uint64_t nonce)
{
    const struct established *l = &link_now[i][place];
    struct activity *to = receiver(order, nonce);
    unsigned target = side_of(object_district(to->domain));
    ck_assert(link_is_whole(i, place));
    ck_assert_uint_eq(target, l->target);
    ck_assert_uint_eq(frame(to)->sender_incarnation, side[i].run);
    return target;
}

static void check_call(unsigned i, unsigned n, uint64_t nonce)
{
    unsigned target = check_delivery(i, n, CALL, nonce);
    const struct established *l = &link_now[i][n];
    if (mode_of(n) != LINK_AUTO && l->connection > 1) {
        ck_assert_uint_eq(acknowledged[i][n].run, side[i].run);
        ck_assert_uint_eq(acknowledged[i][n].connection, l->connection);
    }
    calls[nonce] = (struct pending){.client = i,
                                    .number = n,
                                    .client_run = side[i].run,
                                    .holder = target,
                                    .holder_run = side[target].run,
                                    .open = true};
}

/** The result of a call that did not even begin. */
static void check_refusal(unsigned i, unsigned n, int64_t result)
{
    uint64_t connection = link_now[i][n].connection;
    if (result == BW_SEVERED) {
        ck_assert(!link_is_whole(i, n));
        return;
    }
    ck_assert_int_eq(result, BW_RELINKED);
    ck_assert(link_is_whole(i, n) && connection > 1 && mode_of(n) != LINK_AUTO);
    ck_assert(relinked[i][n].run != side[i].run || relinked[i][n].connection != connection);
    relinked[i][n].run = side[i].run;
    relinked[i][n].connection = connection;
}

/** Side i has answered a call, or has tried to. */
static void check_answer(unsigned i, uint64_t nonce)
{
    struct pending *c = &calls[nonce];
    struct object *o = is_up(c->client)
                           ? object_lookup(district_of(c->client), client_oid[c->client][c->number])
                           : NULL;
    const struct domain_frame *f = o == NULL ? NULL : frame(object_activity(o));
    if (f == NULL || !c->open || f->state != DOMAIN_RUNNING || f->regs.rip != HERE ||
        f->regs.rdi != BW_OK || f->regs.rsi != nonce)
        return;
    ck_assert_uint_eq(c->client_run, side[c->client].run);
    ck_assert_uint_eq(c->holder, i);
    ck_assert_uint_eq(c->holder_run, side[i].run);
    c->open = false;
    c->answered = true;
}

/** What a client finds, perhaps in a later run than that in which it came. */
static void check_result(unsigned i, unsigned n, const struct regs *r, uint64_t nonce)
{
    struct pending *c = &calls[nonce];
    switch ((int64_t)r->rdi) {
    case BW_OK:
        ck_assert_uint_eq(r->rsi, nonce);
        ck_assert(c->answered && c->client == i && c->number == n);
        progress[i][n]++;
        break;
    case BW_SEVERED:
        if (c->open && c->client_run == side[i].run) {
            ck_assert(!runs_now(c->holder, c->holder_run));
            c->open = false;
        }
        break;
    case BW_RELINKED:
        break;
    case BW_RESTARTED:
        ck_assert(c->client_run != side[i].run);
        break;
    default:
        ck_abort_msg("a call ends with %ld", (long)r->rdi);
    }
}

/* --- programs --------------------------------------------------------------------------------- */

/** Its page, ready to be changed. NULL: it waits for that. */
static struct program *state_of(struct activity *a)
{
    struct object *space, *page;
    cpu0.current = a;
    int r = object_find(object_district(a->domain), frame(a)->segment, &space);
    if (r == BW_OK)
        r = object_find(object_district(a->domain), node_slots(space)[STRING / 4096], &page);
    if (r == BW_OK)
        r = object_make_writable(page);
    if (r == BW_OK)
        r = object_make_writable(a->domain);
    cpu0.current = NULL;
    if (r == BW_OK)
        return (struct program *)page->data;
    ck_assert_int_eq(r, WAIT_OBJECT);
    domain_wait(a, r);
    return NULL;
}

static void wait_for_notice(struct activity *a, struct program *p)
{
    p->phase = WAITING;
    prepare(a, OP_RETURN, 0, 0, 0);
}

static void self(struct activity *a, struct program *p, enum phase phase, enum self_order order)
{
    p->phase = phase;
    prepare(a, OP_SELF, 0, 0, order)->r10 = R_LINK;
}

/** What came of a client's last invocation, and its next one. */
static void client_step(struct activity *a, struct program *p, unsigned i, unsigned n)
{
    struct regs *r = &frame(a)->regs;
    int64_t result = (int64_t)r->rdi;
    switch (p->phase) {
    case CALLING:
        check_result(i, n, r, p->nonce);
        if (result != BW_RELINKED && result != BW_SEVERED)
            break;
        self(a, p, LOOKING, SELF_LINK_STATE); /* who passed our call on may live, and his link */
        return;
    case LOOKING:
        if (r->rsi == LINK_RELINKED) {
            uint64_t connection = r->rdx;
            self(a, p, ACKNOWLEDGING, SELF_LINK_ACK);
            frame(a)->regs.rsi = p->connection = connection;
            return;
        }
        if (r->rsi == LINK_LIVE)
            break;
        if (mode_of(n) == LINK_MANUAL)
            self(a, p, REOPENING, SELF_LINK_REOPEN);
        else
            wait_for_notice(a, p);
        return;
    case REOPENING:
        wait_for_notice(a, p);
        return;
    default:
        break;
    }
    p->phase = CALLING;
    p->nonce = ++nonces;
    r = prepare(a, OP_CALL, 0, R_LINK, CALL);
    r->rsi = p->nonce;
}

/** The server takes messages; `key`: whom it answers as it does. */
static void serve_next(struct activity *a, struct program *p, uint16_t key, uint64_t nonce)
{
    p->phase = IDLE;
    struct regs *r = prepare(a, OP_RETURN, 0, key, BW_OK);
    r->rax |= (uint64_t)1 << 32;
    r->rbx = R_IN;
    r->rsi = nonce;
    r->rdx = object_district(a->domain)->incarnation;
}

/** Answers the next one of those set aside, if there is one. */
static bool answer_aside(struct activity *a, struct program *p)
{
    for (p->at = 0; p->at < ASIDE; p->at++)
        if (p->aside[p->at] != 0) {
            p->phase = SENDING;
            struct regs *r = prepare(a, OP_SEND, 0, (uint16_t)(R_ASIDE + p->at), BW_OK);
            r->rsi = p->aside[p->at];
            r->rdx = object_district(a->domain)->incarnation;
            p->aside[p->at] = 0;
            return true;
        }
    return false;
}

static bool set_aside(struct activity *a, struct program *p, unsigned key, uint64_t nonce)
{
    for (unsigned n = 0; n < ASIDE; n++)
        if (p->aside[n] == 0) {
            p->aside[n] = nonce;
            frame(a)->keys[R_ASIDE + n] = frame(a)->keys[key];
            return true;
        }
    return false;
}

static void server_step(struct activity *a, struct program *p)
{
    struct regs *r = &frame(a)->regs;
    uint64_t nonce = r->rsi;
    if (p->phase == SENDING || (p->phase == IDLE && (r->rax & 255) != DELIVERY_MESSAGE)) {
        if (!answer_aside(a, p))
            serve_next(a, p, 0, 0);
        return;
    }
    if (p->phase == FORWARDING) { /* if it has moved, an answer goes nowhere */
        serve_next(a, p, r->rdi == BW_OK ? 0 : 1, p->nonce);
        return;
    }
    unsigned key = r->rdi == FORWARD ? R_IN : 1;
    if (chance(50) && set_aside(a, p, key, nonce)) {
        serve_next(a, p, 0, 0);
    } else if (key == 1 && chance(50)) {
        p->phase = FORWARDING;
        p->nonce = nonce;
        r = prepare(a, OP_SEND, INVOKE_NOBLOCK, R_LINK, FORWARD);
        r->rsi = nonce;
        r->r10 = 1;
    } else {
        serve_next(a, p, (uint16_t)key, nonce);
    }
}

/** The oracle looks at what an invocation has done. */
static void after(struct activity *a, unsigned i, unsigned client, const struct program *p,
                  const struct regs *before)
{
    const struct domain_frame *f = frame(a);
    int64_t result = (int64_t)f->regs.rdi;
    if (waited(a))
        return;
    if (p->phase == CALLING && f->state == DOMAIN_WAITING) {
        check_call(i, client, p->nonce);
    } else if (p->phase == CALLING) {
        check_refusal(i, client, result);
    } else if (p->phase == ACKNOWLEDGING && result == BW_OK) {
        acknowledged[i][client].run = side[i].run;
        acknowledged[i][client].connection = before->rsi;
    } else if (p->phase == FORWARDING && result == BW_OK) {
        unsigned third = check_delivery(i, CLIENTS, FORWARD, p->nonce);
        calls[p->nonce].holder = third;
        calls[p->nonce].holder_run = side[third].run;
    } else if ((p->phase == IDLE || p->phase == SENDING) && before->rsi != 0) {
        check_answer(i, before->rsi);
    }
}

static void step(struct activity *a)
{
    unsigned i = side_of(object_district(a->domain)), client = 0;
    queue_remove(a);
    if (object_district(a->domain)->state != DISTRICT_RUNNING)
        return; /* kill collects it */
    struct program *p = state_of(a);
    if (p == NULL)
        return;
    while (client < CLIENTS && client_oid[i][client] != a->domain->oid)
        client++;
    if (waited(a))
        frame(a)->regs.rip = HERE;
    else if (client < CLIENTS)
        client_step(a, p, i, client);
    else
        server_step(a, p);
    struct program now = *p;
    struct regs before = frame(a)->regs;
    while (nonces >= calls_room) {
        calls = realloc(calls, (calls_room + 1024) * sizeof *calls);
        memset(calls + calls_room, 0, 1024 * sizeof *calls);
        calls_room += 1024;
    }
    fake_trap(a);
    after(a, i, client, &now, &before);
}

/* --- the world as it begins ------------------------------------------------------------------- */

static struct key open_link(struct district *d, unsigned peer, enum link_mode mode, struct key k)
{
    struct link_params p = {.district = {'d', (char)('0' + peer)}, .name = "svc", .mode = mode};
    struct key link;
    ck_assert_int_eq(named_open(d, &p, k, &link), BW_OK);
    return link;
}

static int publish(unsigned i, bool there)
{
    struct publication_params p = {.name = "svc", .access = "*"};
    struct district *d = district_of(i);
    struct object *o = object_lookup(d, server_oid[i]);
    return named_publish(d, &p, there ? start_key(object_activity(o), 0) : key_void());
}

/** A district as it was made, committed as its first generation. */
static void make_side(unsigned i)
{
    struct district_params p = {.name = {'d', (char)('0' + i)}, .id = {(uint8_t)i}};
    struct object *list;
    struct entry *e = registry_entry(i);
    *e = (struct entry){.known = true, .running = true, .name = {'d', (char)('0' + i)}};
    side[i] = (struct side){.run = ++runs};
    p.incarnation = p.incarnation_random = side[i].run;
    ck_assert_int_eq(district_create(&p, &side[i].key), BW_OK);
    struct district *d = district_of(i);
    watch(i);
    ck_assert_int_eq(object_create(d, OID_SYSTEM, OBJECT_PAGE, &d->system), BW_OK);
    ck_assert_int_eq(object_create(d, OID_DOMAIN_LIST, OBJECT_PAGE, &list), BW_OK);
    district_system(d)->magic = SYSTEM_MAGIC;
    district_system(d)->abi_version = NUCLEUS_ABI_VERSION;
    d->state = DISTRICT_RUNNING;
    for (unsigned n = 0; n <= CLIENTS; n++) {
        struct activity *a = program(d);
        bool server = n == CLIENTS;
        *(server ? &server_oid[i] : &client_oid[i][n]) = a->domain->oid;
        peer_of[i][n] =
            chance(50) ? ((i - 1) ^ 1) + 1 : 1 + (i + (unsigned)random() % (SIDES - 1)) % SIDES;
        frame(a)->keys[R_LINK] = open_link(d, peer_of[i][n], server ? LINK_AUTO : mode_of(n),
                                           server ? key_void() : start_key(a, NOTICE));
        state_of(a)->phase = server ? SENDING : TRY;
        frame(a)->regs.rip = HERE;
        schedule_ready(a);
    }
    ck_assert_int_eq(publish(i, true), BW_OK);
    freeze(i);
    while (d->snapshot)
        write_out(i);
}

static void set_up_world(void)
{
    memset(districts, 0, sizeof districts);
    memset(link_now, 0, sizeof link_now);
    for (unsigned i = 0; i < DISTRICT_MAX; i++)
        districts[i].slot = (uint16_t)i;
    object_init(4096);
    next_oid = OID_FIRST_FREE;
    district_up(0);
    machine = program(COMMONS);
    broker = (struct broker){.wanted = true};
    for (unsigned i = 1; i <= SIDES; i++)
        make_side(i);
}

/* --- what happens ----------------------------------------------------------------------------- */

/** One of those that are ready runs. @return false: nobody is */
static bool run_somebody(void)
{
    unsigned n = 0;
    for (struct activity *a = fake_ready.first; a != NULL; a = a->next)
        n++;
    if (n == 0)
        return false;
    struct activity *a = fake_ready.first;
    for (n = (unsigned)random() % n; n > 0; n--)
        a = a->next;
    step(a);
    return true;
}

/** A server's own timer, on which it answers those that it had set aside. */
static void timer(unsigned i)
{
    struct object *o = is_up(i) ? object_lookup(district_of(i), server_oid[i]) : NULL;
    if (o != NULL)
        domain_post(object_activity(o), 1ull << TIMER);
}

/** `rollback`, as districtd does it: nobody else runs before it loads, or even runs again. */
static void go_back(unsigned i)
{
    bool at_once = chance(50);
    while (registry_entry(i)->running)
        end_step(i);
    start(i, chance(50) ? (unsigned)random() % GENERATIONS : 0);
    for (unsigned n = 0; n < 1000 && at_once && !is_up(i); n++)
        supply(i);
}

static void happen(void)
{
    unsigned i = any_side(), what = (unsigned)random() % 1000;
    if (side[i].ending && what < 900)
        end_step(i);
    else if (what < 600)
        run_somebody();
    else if (what < 720)
        broker_go();
    else if (what < 860)
        supply(i);
    else if (what < 880)
        freeze(i);
    else if (what < 930)
        write_out(i);
    else if (what < 945)
        timer(i);
    else if (what < 970)
        start(i, chance(30) ? (unsigned)random() % GENERATIONS : 0);
    else if (what < 982)
        end_step(i);
    else if (what < 986)
        go_back(i);
    else if (what < 987)
        broker_restart();
    else if (what < 990 && is_up(i))
        (void)publish(i, chance(50));
}

static bool all_got_on(void)
{
    for (unsigned i = 1; i <= SIDES; i++)
        for (unsigned n = 0; n < CLIENTS; n++)
            if (progress[i][n] < 3)
                return false;
    return true;
}

/** From now on nothing bad happens: everybody must get on. */
static void calm(void)
{
    static const char name[LINK_NAME_MAX] = "svc";
    memset(progress, 0, sizeof progress);
    for (unsigned n = 0; n < 20000; n++) {
        unsigned i = any_side();
        if (side[i].ending)
            end_step(i);
        else if (!registry_entry(i)->running)
            start(i, 0);
        else if (is_up(i) && named_find(district_of(i), name) == NULL)
            (void)publish(i, true);
        supply(i);
        broker_go();
        timer(i);
        for (unsigned k = 0; k < 10; k++)
            run_somebody();
        if (n % 100 == 0 && all_got_on())
            return;
    }
    for (unsigned i = 1; i <= SIDES; i++)
        for (unsigned n = 0; n < CLIENTS; n++) {
            struct object *o = object_lookup(district_of(i), client_oid[i][n]);
            ck_assert_msg(progress[i][n] >= 3,
                          "client %u of d%u has made %u calls, state %d, link %s", n + 1, i,
                          progress[i][n], o == NULL ? -1 : (int)frame(object_activity(o))->state,
                          link_is_whole(i, n) ? "whole" : "severed");
        }
}

static void check_tables(void)
{
    for (unsigned i = 1; i <= SIDES; i++)
        ck_assert_uint_le(district_of(i)->links.limit, 4 * LINK_CHUNK);
    ck_assert_uint_le(COMMONS->links.limit, 4 * LINK_CHUNK);
}

static unsigned long setting(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoul(text, NULL, 10) : otherwise;
}

START_TEST(history)
{
    srandom((unsigned)(setting("SIM_SEED", 0) + (unsigned long)_i));
    with_manual = chance(50);
    set_up_world();
    for (unsigned long n = setting("SIM_EVENTS", 20000); n > 0; n--)
        happen();
    calm();
    check_tables();
    for (unsigned i = 1; i <= SIDES; i++)
        while (registry_entry(i)->running)
            end_step(i);
    link_forget_all(COMMONS);
    while (COMMONS->all != NULL)
        object_discard(COMMONS->all);
    ck_assert_uint_eq(frames_out, 0);
    ck_assert_uint_eq(pieces_out, 0);
    free(calls);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("links under bad luck");
    TCase *t = tcase_create("links");
    int seeds = (int)setting("SIM_SEEDS", 10);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, history, 0, seeds);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    printf("%d seeds of %lu events\n", seeds, setting("SIM_EVENTS", 20000));
    return failed != 0;
}
