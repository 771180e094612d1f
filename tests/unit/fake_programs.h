// sources: fake_machine.h
/*
 * Programs over the fake machine: domains with a small space, and the invocations that they
 * execute. Included by one file of a test program.
 */
#ifndef TESTS_FAKE_PROGRAMS_H
#define TESTS_FAKE_PROGRAMS_H

#include "fake_machine.h"
#include "link.h"

#define HERE    0x10000ul /* rip behind the syscall instruction */
#define BUFFER  0x0ul     /* page 0 of a domain's space */
#define STRING  0x1000ul  /* page 1 */
#define FIXED   0x2000ul  /* page 2, read-only */
#define NOWHERE 0x3000ul

/* Registers of each domain of these tests. */
#define R_SPACE 3u
#define R_NODE  4u
#define R_RANGE 5u
#define R_SELF  6u
#define R_OUT   8u /* what a test sends or calls */
#define R_IN    12u

static oid_t next_oid;

static inline struct object *make(struct district *d, enum object_type type)
{
    struct object *o = NULL;
    ck_assert_int_eq(object_create(d, next_oid++, type, &o), BW_OK);
    return o;
}

static inline struct key as_segment(struct object *o, unsigned height)
{
    struct key k = object_key(o);
    k.type = KEY_SEGMENT;
    k.tag = (uint16_t)height;
    return k;
}

static inline struct domain_frame *frame(const struct activity *a)
{
    return activity_frame(a);
}

/** A running domain with a small space, a node, its own key and a range over everything. */
static inline struct activity *program(struct district *d)
{
    struct object *o = make(d, OBJECT_DOMAIN), *space = make(d, OBJECT_NODE);
    struct activity *a = object_activity(o);
    for (unsigned i = 0; i < 3; i++)
        node_slots(space)[i] = object_key(make(d, OBJECT_PAGE));
    node_slots(space)[2].rights = 0;
    struct domain_frame *f = frame(a);
    f->segment = as_segment(space, 1);
    f->keys[R_SPACE] = f->segment;
    f->keys[R_NODE] = object_key(make(d, OBJECT_NODE));
    f->keys[R_RANGE] =
        (struct key){.type = KEY_RANGE, .version = 1u << 20, .value = OID_FIRST_FREE};
    f->keys[R_SELF] = object_key(o);
    f->call_count = 100;
    domain_set_state(a, DOMAIN_RUNNING);
    return a;
}

static inline struct object *object_of(struct activity *a, struct key k)
{
    struct object *o = NULL;
    ck_assert_int_eq(object_find(object_district(a->domain), k, &o), BW_OK);
    return o;
}

static inline uint8_t *memory(struct activity *a, uint64_t address)
{
    struct object *space = object_of(a, frame(a)->segment);
    return object_of(a, node_slots(space)[address / 4096])->data + address % 4096;
}

static inline struct key start_key(struct activity *a, uint16_t badge)
{
    return (struct key){
        .type = KEY_START, .tag = badge, .version = a->domain->version, .value = a->domain->oid};
}

static inline struct key number(uint64_t n)
{
    return (struct key){.type = KEY_NUMBER, .value = n};
}

static inline void district_up(unsigned slot)
{
    struct district *d = &districts[slot];
    struct object *list;
    d->slot = (uint16_t)slot;
    d->instance = 1;
    d->persistent = slot != 0;
    d->epoch = slot != 0;
    d->budget = 1u << 30;
    d->state = DISTRICT_RUNNING;
    if (slot == 0)
        return;
    ck_assert_int_eq(object_create(d, OID_SYSTEM, OBJECT_PAGE, &d->system), BW_OK);
    ck_assert_int_eq(object_create(d, OID_DOMAIN_LIST, OBJECT_PAGE, &list), BW_OK);
}

static inline void set_up(void)
{
    memset(districts, 0, sizeof districts);
    object_init(4096);
    next_oid = OID_FIRST_FREE;
    for (unsigned i = 0; i < 3; i++)
        district_up(i);
}

/** Sets the registers of an invocation that sends nothing. */
static inline struct regs *prepare(struct activity *a, enum operation op, unsigned flags,
                                   uint16_t key, uint64_t code)
{
    struct regs *r = &frame(a)->regs;
    *r = (struct regs){.rip = HERE, .rflags = 0x202, .rdi = code};
    r->rax = op | (uint64_t)flags << 8 | (uint64_t)key << 16;
    return r;
}

static inline bool waited(const struct activity *a)
{
    return frame(a)->state == DOMAIN_RUNNING && frame(a)->regs.rip == HERE - 2;
}

/** Runs the prepared invocation; it must complete. @return its result */
static inline int64_t go(struct activity *a)
{
    fake_trap(a);
    ck_assert(!waited(a));
    queue_remove(a);
    return (int64_t)frame(a)->regs.rdi;
}

/** Waits for a message: buffer at BUFFER, resume key to register 1, keys to R_IN... */
static inline void receive(struct activity *a, unsigned flags)
{
    struct regs *r = prepare(a, OP_RETURN, INVOKE_RECEIVE | flags, 0, 0);
    r->rax |= (uint64_t)1 << 32;
    r->rbx = FOUR_KEYS(R_IN, R_IN + 1, R_IN + 2, R_IN + 3);
    r->r14 = BUFFER;
    r->r15 = 100;
    fake_trap(a);
}

static inline void call(struct activity *a, struct key k, uint64_t code)
{
    struct regs *r = prepare(a, OP_CALL, INVOKE_RECEIVE, R_OUT, code);
    frame(a)->keys[R_OUT] = k;
    r->rbx = FOUR_KEYS(R_IN, 0, 0, 0);
    r->r14 = BUFFER;
    r->r15 = 100;
    fake_trap(a);
}

static inline int64_t order(struct activity *a, struct key k, uint64_t code, uint64_t w0,
                            uint64_t w1, uint64_t w2)
{
    struct regs *r = prepare(a, OP_CALL, 0, R_OUT, code);
    frame(a)->keys[R_OUT] = k;
    r->rsi = w0;
    r->rdx = w1;
    r->r8 = w2;
    r->r10 = FOUR_KEYS(R_OUT + 1, R_OUT + 2, 0, 0);
    r->rbx = FOUR_KEYS(R_IN, 0, 0, 0);
    return go(a);
}

#endif
