// sources: fake_machine.h
/*
 * Random invocations over a fake machine, under ASan, between domains of the commons and of a
 * district whose objects come and go as they are stored, evicted and fetched again, with
 * allocations and budgets that fail.
 *
 * After each step: an invocation that must wait has changed nothing but the place where it runs
 * again; every domain stands in a queue that fits its state; register 0 is void. Each object pulled
 * is as it was at the stop. At the end everything that was waited for is given, and nobody may be
 * left waiting for somebody who is there.
 */
#include "fake_machine.h"
#include "link.h"

#define HERE    0x10000ul
#define DOMAINS 5u /* of each district */
#define IDS     400u
#define RANGE   200u /* of them domains may make and destroy */
#define STEPS   8000u

static struct district *const home = &districts[1];
static oid_t next_id[2];

/* What the store has, and the snapshot under way. */
struct saved {
    bool there;
    struct object_header header;
    uint8_t bytes[4096] __attribute__((aligned(64)));
};
static struct saved stored[IDS + 32], pulled[IDS + 32], frozen[IDS + 32];

static uint64_t pick(uint64_t n)
{
    return (uint64_t)random() % n;
}

static unsigned place_of(oid_t oid)
{
    unsigned place = oid < 32 ? (unsigned)oid : (unsigned)(oid - OID_FIRST_FREE) + 32;
    ck_assert_uint_lt(place, IDS + 32);
    return place;
}

/* --- what there is ----------------------------------------------------------------------- */

static struct object *make(struct district *d, enum object_type type)
{
    struct object *o = NULL;
    ck_assert_int_eq(object_create(d, OID_FIRST_FREE + next_id[d->slot]++, type, &o), BW_OK);
    return o;
}

static struct key any_key(struct district *d)
{
    oid_t oid = OID_FIRST_FREE + pick(next_id[d->slot] + 2);
    struct object *o = object_lookup(d, oid);
    struct key k = {.type = KEY_NUMBER, .value = pick(1000)};
    if (o == NULL || o->type == OBJECT_NONE || pick(12) == 0) {
        if (pick(2) == 0)
            k = (struct key){.type = KEY_RANGE, .version = RANGE, .value = OID_FIRST_FREE};
        else if (pick(3) == 0)
            k = (struct key){.type = KEY_METER, .tag = (uint16_t)pick(4)};
        return k;
    }
    k = object_key(o);
    if (pick(4) == 0)
        k.rights = (uint8_t)pick(8) & (o->type == OBJECT_DOMAIN ? 0 : 7);
    if (o->type == OBJECT_DOMAIN && pick(3) != 0) {
        k.type = KEY_START;
        k.tag = (uint16_t)pick(70);
    }
    if (o->type == OBJECT_NODE && pick(2) == 0) {
        k.type = KEY_SEGMENT;
        k.tag = 1 + (uint16_t)pick(3);
    }
    return k;
}

static void program(struct district *d)
{
    struct object *o = make(d, OBJECT_DOMAIN), *space = make(d, OBJECT_NODE);
    struct activity *a = object_activity(o);
    struct domain_frame *f = activity_frame(a);
    for (unsigned i = 0; i < 3; i++)
        node_slots(space)[i] = object_key(make(d, OBJECT_PAGE));
    node_slots(space)[2].rights = 0;
    f->segment = object_key(space);
    f->segment.type = KEY_SEGMENT;
    f->segment.tag = 1;
    f->regs.rip = HERE;
    domain_set_state(a, DOMAIN_RUNNING);
    schedule_ready(a);
    (void)make(d, OBJECT_NODE);
}

static void district_up(struct district *d, unsigned slot)
{
    struct object *list;
    d->slot = (uint16_t)slot;
    d->instance = 1;
    d->persistent = slot != 0;
    d->epoch = slot != 0;
    d->budget = INT32_MAX;
    d->state = DISTRICT_RUNNING;
    if (slot != 0) {
        ck_assert_int_eq(object_create(d, OID_SYSTEM, OBJECT_PAGE, &d->system), BW_OK);
        ck_assert_int_eq(object_create(d, OID_DOMAIN_LIST, OBJECT_PAGE, &list), BW_OK);
    }
    for (unsigned i = 0; i < DOMAINS; i++)
        program(d);
}

static void give_keys(struct district *d)
{
    for (struct object *o = d->all; o != NULL; o = o->all.next) {
        if (o->type == OBJECT_NODE && pick(2) == 0)
            for (unsigned i = 4; i < 12; i++)
                node_slots(o)[i] = any_key(d);
        if (o->type != OBJECT_DOMAIN)
            continue;
        struct domain_frame *f = activity_frame(object_activity(o));
        for (unsigned i = 1; i < BW_KEY_REGISTERS; i++)
            f->keys[i] = any_key(d);
        if (pick(3) == 0 && (f->keeper = any_key(d)).type == KEY_START)
            f->flags |= pick(2) ? DOMAIN_FOREIGN : 0;
    }
}

/** Each side has a few keys of the other: to domains, and to memory. */
static void introduce(void)
{
    for (unsigned i = 0; i < 6; i++)
        for (unsigned side = 0; side < 2; side++) {
            struct district *from = &districts[side], *to = &districts[!side];
            struct key k = any_key(from);
            struct object *o = object_lookup(to, OID_FIRST_FREE + pick(DOMAINS) * 6);
            if (o != NULL && o->type == OBJECT_DOMAIN) /* what may not cross is void */
                activity_frame(object_activity(o))->keys[1 + pick(30)] = link_cross(from, to, k);
        }
}

static void set_up(unsigned seed)
{
    srandom(seed);
    memset(districts, 0, sizeof districts);
    memset(stored, 0, sizeof stored);
    fail_period = 0;
    object_init(4096);
    district_up(COMMONS, 0);
    district_up(home, 1);
    give_keys(COMMONS);
    give_keys(home);
    introduce();
    next_id[0] = next_id[1] = RANGE;
}

/* --- random registers -------------------------------------------------------------------- */

static uint16_t designator(void)
{
    if (pick(20) == 0)
        return (uint16_t)random();
    return pick(4) == 0 ? KEY_IN_NODE(pick(32), pick(14)) : KEY_AT(pick(32));
}

static uint64_t word(void)
{
    static const uint64_t words[] = {0, 1, 2, 3, 255, 256, 4095, 4096, 8192, 1 << 20, ~0ul};
    switch (pick(4)) {
    case 0:
        return words[pick(11)];
    case 1:
        return pick(IDS);
    case 2: /* height, type, rights */
        return pick(3) | (1 + pick(2)) << 8 | pick(8) << 16;
    default:
        return pick(8);
    }
}

/** A register with a key of that type, 0 if there is none. */
static unsigned register_with(const struct domain_frame *f, unsigned type)
{
    for (unsigned n = 0, i = (unsigned)pick(32); n < 32; n++, i = (i + 1) % 32)
        if (f->keys[i].type == type)
            return i;
    return 0;
}

static void randomize(struct domain_frame *f)
{
    struct regs *r = &f->regs;
    static const uint8_t operations[] = {OP_CALL,   OP_CALL, OP_CALL, OP_CALL, OP_RETURN,
                                         OP_RETURN, OP_SEND, OP_POST, OP_SELF, 9};
    uint64_t op = operations[pick(10)], flags = (uint64_t)random() & 0x1f;
    *r = (struct regs){.rip = HERE, .rflags = 0x202};
    r->rax = op | flags << 8 | (uint64_t)designator() << 16 | (uint64_t)designator() << 32;
    r->rdi = pick(3) == 0 ? 16 + pick(11) : pick(20);
    r->rsi = word(), r->rdx = word(), r->r8 = word(), r->r9 = word();
    r->r10 = FOUR_KEYS(designator(), designator(), pick(2) ? designator() : 0, 0);
    r->rbx = FOUR_KEYS(designator(), pick(2) ? designator() : 0, 0, 0);
    r->r12 = pick(3) * 4096 + pick(4000);
    r->r13 = pick(3) == 0 ? sizeof(struct regs) : pick(5000);
    r->r14 = pick(3) * 4096 + pick(4000);
    r->r15 = pick(6000);
    r->rbp = pick(2) ? fake_now + pick(1000) : 0;
    unsigned start = register_with(f, KEY_START), reply = register_with(f, KEY_RESUME);
    if (start != 0 && pick(3) == 0) { /* a call that can be answered */
        r->rax = OP_CALL | (flags | INVOKE_RECEIVE) << 8 | (uint64_t)KEY_AT(start) << 16;
    } else if (pick(4) == 0) {
        r->rax = OP_RETURN | INVOKE_RECEIVE << 8 | (uint64_t)KEY_AT(1 + pick(31)) << 32;
        if (pick(2) == 0)
            r->rax |= INVOKE_DEADLINE << 8;
    }
    if (reply != 0 && pick(2) == 0) {
        r->rax &= ~0xffff00fful;
        r->rax |= (pick(2) ? OP_RETURN : OP_SEND) | (uint64_t)KEY_AT(reply) << 16;
        r->rax |= INVOKE_STRING << 8;
        r->r13 = 1 + pick(2000);
    }
}

/* --- the store server -------------------------------------------------------------------- */

static void save(struct saved *s, const struct object_header *h, const uint8_t *bytes)
{
    s->there = h->type != OBJECT_NONE;
    s->header = *h;
    memset(s->bytes, 0, sizeof s->bytes);
    if (bytes != NULL)
        memcpy(s->bytes, bytes, sizeof s->bytes);
}

static void begin_snapshot(void)
{
    uint64_t objects, ticks;
    if (snapshot_begin(home, &objects, &ticks) != BW_OK)
        return;
    memset(pulled, 0, sizeof pulled);
    for (struct object *o = snapshot_next(home, NULL); o != NULL; o = snapshot_next(home, o)) {
        struct object_header h = {.oid = o->oid, .type = o->type, .version = o->version};
        save(&frozen[place_of(o->oid)], &h, o->data);
    }
}

static void pull(void)
{
    struct object_header h;
    const uint8_t *bytes;
    struct object *o = home->snapshot ? snapshot_next(home, NULL) : NULL;
    if (o == NULL)
        return;
    ck_assert_int_eq(snapshot_describe(o, &h, &bytes), BW_OK);
    struct saved *s = &pulled[place_of(h.oid)], *f = &frozen[place_of(h.oid)];
    save(s, &h, bytes);
    s->header.reserved[0] = 1; /* it was pulled */
    ck_assert_uint_eq(h.type, f->header.type);
    ck_assert_uint_eq(h.version, f->header.version);
    ck_assert_int_eq(memcmp(s->bytes, f->bytes, sizeof s->bytes), 0);
    snapshot_pulled(home, o);
}

static void commit_or_drop(void)
{
    if (!home->snapshot)
        return;
    if (pick(8) == 0) {
        ck_assert_int_eq(snapshot_drop(home), BW_OK);
        return;
    }
    if (snapshot_next(home, NULL) != NULL)
        return;
    for (unsigned i = 0; i < IDS + 32; i++)
        if (pulled[i].header.reserved[0])
            stored[i] = pulled[i];
    ck_assert_int_eq(snapshot_committed(home, home->snapshot_epoch), BW_OK);
}

static void supply(void)
{
    oid_t oid = home->wants[pick(WANTS)].oid;
    if (oid == 0)
        return;
    struct object_header h = {.oid = oid};
    const struct saved *s = oid < OID_FIRST_FREE + IDS ? &stored[place_of(oid)] : NULL;
    if (s != NULL && s->there) {
        h = s->header;
        memset(h.reserved, 0, sizeof h.reserved);
    }
    int r = district_supply(home, &h, s != NULL && s->there ? s->bytes : NULL);
    ck_assert(r == BW_OK || r == BW_NOMEM);
}

/** A clean object leaves memory, as eviction would have it. */
static void evict(void)
{
    struct object *o = object_lookup(home, OID_FIRST_FREE + pick(IDS));
    if (o == NULL || (o->type != OBJECT_PAGE && o->type != OBJECT_NODE) || !o->stored ||
        o->listed[0] || o->listed[1] || (home->snapshot && o->pulled_epoch == home->snapshot_epoch))
        return;
    ck_assert(stored[place_of(o->oid)].there);
    ck_assert_int_eq(memcmp(o->data, stored[place_of(o->oid)].bytes, 4096), 0);
    object_discard(o);
}

static void expire(void)
{
    struct activity *due[2 * IDS];
    unsigned n = 0;
    for (unsigned side = 0; side < 2; side++)
        for (struct object *o = districts[side].all; o != NULL; o = o->all.next)
            if (o->type == OBJECT_DOMAIN && object_activity(o)->deadline <= fake_now)
                due[n++] = object_activity(o);
    while (n-- > 0) {
        schedule_set_deadline(due[n], BW_NO_DEADLINE);
        invoke_timeout(due[n]);
    }
}

static struct object *any_domain(struct district *d)
{
    struct object *o = d->all;
    unsigned found = 0;
    struct object *chosen = NULL;
    for (; o != NULL; o = o->all.next)
        if (o->type == OBJECT_DOMAIN && pick(++found) == 0)
            chosen = o;
    return chosen;
}

/** Gets a domain going that has come to rest, gives it a key, or makes a new one in place of those
 * destroyed. */
static void mend(void)
{
    struct district *d = &districts[pick(2)];
    struct object *o = any_domain(d);
    if ((o == NULL || d->domains < DOMAINS) && next_id[d->slot] < IDS - 20 && fail_period == 0 &&
        d->budget > 10) {
        program(d);
        return;
    }
    if (o == NULL || object_make_writable(o) != BW_OK)
        return;
    struct activity *a = object_activity(o);
    struct domain_frame *f = activity_frame(a);
    f->keys[1 + pick(31)] = any_key(d);
    if (a->queue != NULL || pick(4) != 0)
        return;
    f->call_count++;
    f->regs.rip = HERE;
    domain_set_state(a, DOMAIN_STOPPED);
    domain_set_state(a, DOMAIN_RUNNING);
    domain_run(a);
}

static void serve(void)
{
    mend();
    mend();
    switch (pick(16)) {
    case 0:
        begin_snapshot();
        break;
    case 1 ... 4:
        for (unsigned i = 0; i < 8; i++)
            pull();
        break;
    case 5:
        commit_or_drop();
        break;
    case 6 ... 8:
        for (unsigned i = 0; i < 40; i++)
            supply();
        break;
    case 9 ... 10:
        for (unsigned i = 0; i < 40; i++)
            evict();
        break;
    case 11:
        expire();
        break;
    case 12:
        fail_period = pick(3) == 0 ? 2 + pick(6) : 0;
        break;
    case 13:
        home->budget = pick(3) == 0 ? (int64_t)pick(4) : INT32_MAX;
        queue_wake_all(&home->commit_waiters);
        break;
    default:
        if (fail_period == 0)
            queue_wake_all(&memory_waiters);
    }
}

/* --- what must hold ---------------------------------------------------------------------- */

static void check_domain(const struct object *o)
{
    const struct activity *a = object_activity(o);
    const struct domain_frame *f = activity_frame(a);
    ck_assert_ptr_eq(a->domain, o);
    ck_assert_uint_eq(f->keys[0].type, KEY_VOID);
    switch (f->state) {
    case DOMAIN_STOPPED:
        ck_assert_ptr_null(a->queue);
        break;
    case DOMAIN_RUNNING:
        ck_assert_ptr_nonnull(a->queue);
        break;
    default:
        ck_assert_ptr_ne(a->queue, &fake_ready);
    }
    if (f->state != DOMAIN_AVAILABLE)
        ck_assert_uint_eq(a->deadline, BW_NO_DEADLINE);
    if (f->state != DOMAIN_WAITING || a->queue == NULL) /* it lacks nothing to take a reply */
        ck_assert_ptr_null(a->repliers.first);
    if (f->state == DOMAIN_AVAILABLE && a->queue == NULL && !(f->flags & DOMAIN_POSTS_ONLY))
        ck_assert_ptr_null(a->callers.first);
}

static void check_all(void)
{
    for (unsigned side = 0; side < 2; side++)
        for (const struct object *o = districts[side].all; o != NULL; o = o->all.next) {
            if (o->type == OBJECT_DOMAIN)
                check_domain(o);
            if (side == 1 && o->data != NULL && o->oid >= OID_FIRST_FREE)
                ck_assert(object_content_valid(o->type, o->data));
        }
}

/* Everything as it was before an invocation. */
static struct {
    struct object *object;
    oid_t oid;
    uint8_t bytes[4096] __attribute__((aligned(64)));
    uint8_t type;
} before[2 * (IDS + 40)];
static unsigned before_count;

static void remember(void)
{
    before_count = 0;
    for (unsigned side = 0; side < 2; side++)
        for (struct object *o = districts[side].all; o != NULL; o = o->all.next) {
            if (o->data == NULL)
                continue;
            before[before_count].object = o;
            before[before_count].oid = o->oid;
            before[before_count].type = o->type;
            memcpy(before[before_count++].bytes, o->data, 4096);
        }
}

/** Bytes may have been copied in part, and objects destroyed in part: that is done again. */
static bool may_be_half_done(const struct regs *r)
{
    unsigned order = (unsigned)r->rdi;
    return (r->rax & 0xff) == OP_CALL &&
           (order == SEGMENT_WRITE || order == SEGMENT_COPY || order == SEGMENT_ZERO ||
            order == SEGMENT_CLEAR || order == SEGMENT_READ || order == RANGE_DESTROY);
}

static void check_unchanged(struct activity *a)
{
    if (may_be_half_done(&activity_frame(a)->regs))
        return;
    for (unsigned i = 0; i < before_count; i++) {
        struct object *o = before[i].object;
        if (o == a->domain) {
            struct domain_frame *f = (struct domain_frame *)before[i].bytes;
            f->regs.rip = HERE - 2;
        }
        ck_assert_ptr_nonnull(o->data);
        ck_assert_uint_eq(o->type, before[i].type);
        ck_assert_msg(memcmp(o->data, before[i].bytes, 4096) == 0,
                      "invocation rax %lx rdi %lx waits, but object %lx (type %u) has changed",
                      activity_frame(a)->regs.rax, activity_frame(a)->regs.rdi, o->oid, o->type);
    }
}

static void step(void)
{
    struct activity *a = fake_ready.first;
    unsigned skip = (unsigned)pick(6);
    while (a != NULL && a->next != NULL && skip-- > 0)
        a = a->next;
    if (a == NULL)
        return;
    oid_t oid = a->domain->oid;
    struct district *d = object_district(a->domain);
    struct domain_frame *f = activity_frame(a);
    int e = object_make_writable(a->domain);
    if (e != BW_OK) {
        queue_remove(a);
        domain_wait(a, e);
        return;
    }
    if (f->regs.rip == HERE - 2)
        f->regs.rip = HERE;
    else
        randomize(f);
    remember();
    fake_trap(a);
    struct object *o = object_lookup(d, oid);
    if (o != NULL && o->type == OBJECT_DOMAIN && object_activity(o) == a &&
        activity_frame(a)->state == DOMAIN_RUNNING && activity_frame(a)->regs.rip == HERE - 2)
        check_unchanged(a);
}

/* --- the end ----------------------------------------------------------------------------- */

/** All that can be had is there; each domain finishes what it was at, then only receives. */
static void settle(void)
{
    fail_period = 0;
    home->budget = INT32_MAX;
    for (unsigned n = 0; n < 40000; n++) {
        queue_wake_all(&home->commit_waiters);
        queue_wake_all(&memory_waiters);
        for (unsigned i = 0; i < WANTS && home->want_count > 0; i++)
            supply();
        struct activity *a = fake_ready.first;
        if (a == NULL && home->want_count == 0)
            return;
        if (a == NULL)
            continue;
        struct regs *r = &activity_frame(a)->regs;
        activity_frame(a)->flags &= ~DOMAIN_FOREIGN;
        if (r->rip == HERE - 2)
            r->rip = HERE;
        else
            *r = (struct regs){.rip = HERE, .rflags = 0x202, .rax = OP_RETURN};
        fake_trap(a);
    }
    ck_abort_msg("they do not come to rest");
}

static void check_nobody_is_forgotten(void)
{
    ck_assert_ptr_null(home->fetch_waiters.first);
    ck_assert_ptr_null(home->commit_waiters.first);
    ck_assert_ptr_null(memory_waiters.first);
    for (unsigned side = 0; side < 2; side++)
        for (const struct object *o = districts[side].all; o != NULL; o = o->all.next) {
            if (o->type != OBJECT_DOMAIN)
                continue;
            const struct activity *a = object_activity(o);
            const struct domain_frame *f = activity_frame(a);
            if (f->state == DOMAIN_AVAILABLE && !(f->flags & DOMAIN_POSTS_ONLY))
                ck_assert_ptr_null(a->callers.first);
            ck_assert_ptr_null(a->repliers.first);
        }
}

START_TEST(anything)
{
    set_up((unsigned)_i);
    for (unsigned n = 0; n < STEPS; n++) {
        if (pick(3) == 0)
            serve();
        step();
        if (n % 8 == 0)
            check_all();
    }
    settle();
    check_all();
    check_nobody_is_forgotten();
    int r = district_kill(home);
    ck_assert_int_eq(r, BW_OK);
    while (COMMONS->all != NULL)
        object_discard(COMMONS->all);
    link_forget_all(COMMONS);
    ck_assert_uint_eq(frames_out, 0);
    ck_assert_uint_eq(pieces_out, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("invoke_random");
    TCase *t = tcase_create("anything");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, anything, 0, 16);
    suite_add_tcase(s, t);
    return run_suite(s);
}
