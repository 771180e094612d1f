/*
 * Invocation of keys: decoding, messages between domains, replies, faults as messages.
 *
 * A message moves in one step, when its receiver is AVAILABLE (or WAITING, for a reply): everything
 * that it needs is found first (find_ends), then moved (deliver); nothing can fail between.
 */
#include "invoke.h"
#include "cpu.h"
#include "frame.h"
#include "link.h"
#include "place.h"

#define KEY_DESIGNATOR(rax)    ((uint16_t)((rax) >> 16))
#define RESUME_DESIGNATOR(rax) ((uint16_t)((rax) >> 32))

/** A message on its way. */
struct parcel {
    struct district *from;
    uint64_t code;
    const uint64_t *words;
    struct key keys[BW_MESSAGE_KEYS];
    bool has_keys;
    struct pieces string;
    struct key resume;
    uint16_t badge;
};

/** Where it goes in the receiver. */
struct ends {
    bool takes_keys;
    struct key *place[BW_MESSAGE_KEYS];
    struct object *node[BW_MESSAGE_KEYS];
    struct key *resume_place;
    struct object *resume_node;
    struct pieces buffer;
};

/* One CPU, no nesting: these need not be on the stack. */
static struct parcel parcel;
static struct ends ends;

/* --- delivery --------------------------------------------------------------------------------- */

/** The receiver must bring something in before it can receive: it is busy with that, and the sender
 * waits for it. Not for another district, though: what is not there is cut or dropped then
 * (BW_FAULT). */
static int receiver_waits(struct activity *to, const struct parcel *p, int why)
{
    if (p->from != object_district(to->domain))
        return BW_FAULT;
    if (why == WAIT_OBJECT && cpu0.current != NULL)
        to->wants = cpu0.current->wants;
    if (to->queue == NULL)
        domain_wait(to, why);
    return WAIT_CALLEE;
}

/** Readies the receiver's own frame. @return as find_ends */
static int find_frame(struct activity *to, const struct parcel *p)
{
    int r = object_make_writable(to->domain);
    if (r == BW_OK)
        return BW_OK;
    if (p->from == object_district(to->domain))
        return receiver_waits(to, p, r);
    return object_force_writable(to->domain) ? BW_OK : WAIT_MEMORY;
}

/** Finds where the parcel goes. @return BW_OK, WAIT_* of the sender, WAIT_CALLEE: receiver is busy
 */
static int find_ends(struct activity *to, const struct parcel *p, struct ends *e)
{
    int r = find_frame(to, p);
    if (r != BW_OK)
        return r;
    const struct domain_frame *f = activity_frame(to);
    uint64_t places = f->regs.rbx;
    e->buffer.count = 0;
    e->buffer.length = 0;
    e->takes_keys = places != 0;
    for (unsigned i = 0; e->takes_keys && i < BW_MESSAGE_KEYS; i++) {
        r = place_find(to, (uint16_t)(places >> 16 * i), true, &e->place[i], &e->node[i]);
        if (r <= WAIT_OBJECT)
            r = receiver_waits(to, p, r);
        if (r == WAIT_CALLEE)
            return r;
        if (r != BW_OK)
            e->place[i] = NULL;
    }
    e->resume_place = NULL;
    if (f->state == DOMAIN_AVAILABLE) {
        r = place_find(to, RESUME_DESIGNATOR(f->regs.rax), true, &e->resume_place, &e->resume_node);
        if (r <= WAIT_OBJECT)
            r = receiver_waits(to, p, r);
        if (r == WAIT_CALLEE)
            return r;
        if (r != BW_OK)
            e->resume_place = NULL;
    }
    if (p->string.length == 0 || !(INVOKE_FLAGS(f->regs.rax) & INVOKE_RECEIVE))
        return BW_OK;
    size_t n = p->string.length < f->regs.r15 ? p->string.length : f->regs.r15;
    r = pieces_find(to, f->regs.r14, n, true, &e->buffer);
    if (r <= WAIT_OBJECT)
        r = receiver_waits(to, p, r);
    if (r == WAIT_CALLEE)
        return r;
    if (r != BW_OK)
        e->buffer.length = 0; /* its buffer is not there: the string is cut */
    return BW_OK;
}

/** Every message that crosses a border says whose it is. */
static void stamp(struct domain_frame *f, const struct district *from)
{
    f->regs.rcx = f->sender_slot = from->slot + 1u;
    f->sender_incarnation = from->incarnation;
    f->sender_random = from->incarnation_random;
    f->sender_epoch = from->epoch;
}

/** Moves the parcel. Nothing fails from here on. The receiver is left RUNNING. */
static void deliver(struct activity *to, const struct parcel *p, const struct ends *e)
{
    struct district *d = object_district(to->domain);
    struct domain_frame *f = activity_frame(to);
    if (e->buffer.length > 0)
        pieces_copy(&e->buffer, &p->string, e->buffer.length);
    for (unsigned i = 0; e->takes_keys && i < BW_MESSAGE_KEYS; i++)
        if (e->place[i] != NULL)
            place_store(e->place[i], e->node[i],
                        p->has_keys ? link_cross(p->from, d, p->keys[i]) : key_void());
    if (e->resume_place != NULL)
        place_store(e->resume_place, e->resume_node, p->resume);
    f->regs.rax = DELIVERY_MESSAGE | (uint64_t)p->badge << 16 |
                  (e->buffer.length < p->string.length ? DELIVERY_CUT : 0);
    f->regs.rdi = p->code;
    f->regs.rsi = p->words[0];
    f->regs.rdx = p->words[1];
    f->regs.r8 = p->words[2];
    f->regs.r9 = p->words[3];
    f->regs.r13 = e->buffer.length;
    f->regs.rcx = 0;
    if (p->from != d)
        stamp(f, p->from);
    queue_remove(to);
    domain_set_state(to, DOMAIN_RUNNING);
}

static bool receptive(const struct activity *a)
{
    const struct domain_frame *f = activity_frame(a);
    return f->state == DOMAIN_AVAILABLE && a->queue == NULL && !(f->flags & DOMAIN_POSTS_ONLY);
}

/** The domain that a key of `home` leads to. link: the key that d has, if it leads out of d.
 * @return BW_OK, BW_VOID, BW_SEVERED, WAIT_OBJECT */
static int callee_at(struct district *d, struct key link, struct district *home, struct key k,
                     struct activity **out)
{
    struct object *o;
    if (home != d) { /* never wait for another district's objects */
        o = object_lookup(home, k.value);
        if (o == NULL || o->type != OBJECT_DOMAIN)
            return k.type == KEY_START ? named_lost(d, link) : BW_VOID;
        if (k.type == KEY_START && o->version != k.version)
            return named_lost(d, link);
    } else {
        int r = object_find(d, k, &o);
        if (r != BW_OK)
            return r;
    }
    *out = object_activity(o);
    return BW_OK;
}

/** Target of a start key, which may be a link: *k becomes what it leads to. @return as callee_at */
static int find_callee(struct district *d, struct key *k, struct activity **out)
{
    struct district *home = d;
    const struct key link = *k;
    int r = link.type == KEY_LINK ? link_resolve(d, link, &home, k) : BW_OK;
    return r == BW_OK ? callee_at(d, link, home, *k, out) : r;
}

/** The current domain is put in a queue of the other one, to run its invocation again. */
static int wait_in(struct queue *q, struct activity *a)
{
    queue_add(q, a);
    return WAIT_CALLEE;
}

/* --- results ---------------------------------------------------------------------------------- */

static void set_result(struct regs *r, int64_t result, const uint64_t *words)
{
    r->rax = DELIVERY_MESSAGE;
    r->rdi = (uint64_t)result;
    r->rsi = words[0];
    r->rdx = words[1];
    r->r8 = words[2];
    r->r9 = words[3];
    r->r13 = 0;
    r->rcx = 0;
}

static const uint64_t no_words[BW_MESSAGE_WORDS];

/** Ends the invocation of domain a with a result of the nucleus, without words, keys or string. */
static void end(struct activity *a, int result)
{
    set_result(&activity_frame(a)->regs, result, no_words);
}

/** The invocation is run again later. */
static void again(struct activity *a, int why)
{
    activity_frame(a)->regs.rip -= 2;
    if (a->queue == NULL)
        domain_wait(a, why);
}

bool invoke_answer(struct activity *a, int result)
{
    struct domain_frame *f = activity_frame(a);
    if (f->state != DOMAIN_WAITING)
        return true;
    if (!object_force_writable(a->domain))
        return false;
    f->call_count++;
    if (f->flags & DOMAIN_IN_FAULT) /* its keeper is gone: the instruction runs again */
        f->regs.rip -= f->fault_code == FAULT_SYSCALL ? 2 : 0;
    else
        end(a, result);
    domain_set_state(a, DOMAIN_RUNNING);
    domain_run(a);
    return true;
}

void invoke_timeout(struct activity *a)
{
    struct domain_frame *f = activity_frame(a);
    if (f->state != DOMAIN_AVAILABLE)
        return;
    if (a->queue != NULL || object_make_writable(a->domain) != BW_OK) { /* busy: a little later */
        schedule_set_deadline(a, clock_now() + 10000000);
        return;
    }
    f->deadline = BW_NO_DEADLINE;
    f->regs.rax = DELIVERY_TIMEOUT;
    domain_set_state(a, DOMAIN_RUNNING);
    schedule_ready(a);
}

/* --- replies ---------------------------------------------------------------------------------- */

int fault_reply(struct activity *a, uint64_t code, uint64_t value, const struct regs *r)
{
    struct domain_frame *f = activity_frame(a);
    switch (code) {
    case FAULT_RETRY:
        return BW_OK;
    case FAULT_SET_RAX:
        f->regs.rax = value;
        return BW_OK;
    case FAULT_SET_REGS:
        if (r == NULL)
            return BW_ARGUMENT;
        f->regs = *r;
        regs_make_safe(&f->regs);
        return BW_OK;
    default:
        return BW_ARGUMENT;
    }
}

/** The reply of a keeper to a domain that waits in a fault. */
static void reply_to_fault(struct activity *to, const struct parcel *p)
{
    struct regs r;
    bool whole = p->string.length >= sizeof r;
    if (p->code == FAULT_SET_REGS && whole)
        pieces_get(&r, &p->string, 0, sizeof r);
    (void)fault_reply(to, p->code, p->words[0], whole ? &r : NULL); /* a bad reply retries */
    activity_frame(to)->call_count++;
    queue_remove(to);
    domain_set_state(to, DOMAIN_RUNNING);
}

/** Sends the parcel through a resume key of `home`; link: the key that the sender has. @return
 * BW_OK (*woken runs), BW_VOID, WAIT_* */
static int reply(struct district *home, struct key k, struct key link, struct activity **woken)
{
    struct district *d = parcel.from;
    struct activity *to;
    int r = callee_at(d, link, home, k, &to);
    if (r != BW_OK && r != BW_VOID)
        return r;
    if (r == BW_VOID || activity_frame(to)->state != DOMAIN_WAITING ||
        activity_frame(to)->call_count != key_call_count(k)) {
        if (link.type == KEY_LINK)
            link_free(d, link);
        return BW_VOID;
    }
    struct domain_frame *f = activity_frame(to);
    bool faulted =
        f->flags & DOMAIN_IN_FAULT; /* then its registers are a program's, not an invocation's */
    r = faulted ? find_frame(to, &parcel) : find_ends(to, &parcel, &ends);
    if (r == WAIT_CALLEE)
        return wait_in(&to->repliers, cpu0.current);
    if (r != BW_OK)
        return r;
    if (faulted) {
        reply_to_fault(to, &parcel);
    } else {
        deliver(to, &parcel, &ends);
        f->call_count++;
    }
    if (link.type == KEY_LINK)
        link_free(d, link);
    *woken = to;
    return BW_OK;
}

/* --- the operations --------------------------------------------------------------------------- */

/** Fills the parcel from the invocation of domain a. */
static int load_parcel(struct activity *a, const uint64_t words[4])
{
    const struct regs *r = &activity_frame(a)->regs;
    parcel.from = object_district(a->domain);
    parcel.code = r->rdi;
    parcel.words = words;
    parcel.badge = 0;
    parcel.has_keys = r->r10 != 0;
    parcel.resume = key_void();
    parcel.string.length = 0;
    parcel.string.count = 0;
    for (unsigned i = 0; parcel.has_keys && i < BW_MESSAGE_KEYS; i++) {
        int e = key_at(a, (uint16_t)(r->r10 >> 16 * i), &parcel.keys[i]);
        if (e != BW_OK)
            return e;
    }
    if (!(INVOKE_FLAGS(r->rax) & INVOKE_STRING))
        return BW_OK;
    return pieces_find(a, r->r12, r->r13, false, &parcel.string);
}

/** A message to a start key. call: with a resume key to the sender. @return BW_OK, WAIT_*, BW_BUSY,
 * ... */
static int send(struct activity *a, struct activity *callee, bool call, bool may_wait)
{
    if (callee == a)
        return BW_ARGUMENT;
    if (!receptive(callee))
        return may_wait ? wait_in(&callee->callers, a) : BW_BUSY;
    int r = find_ends(callee, &parcel, &ends);
    if (r == WAIT_CALLEE)
        return may_wait ? wait_in(&callee->callers, a) : BW_BUSY;
    if (r != BW_OK)
        return r;
    if (call) {
        struct district *home = object_district(callee->domain);
        parcel.resume = (struct key){.type = KEY_RESUME,
                                     .tag = (uint16_t)(activity_frame(a)->call_count >> 32),
                                     .version = (uint32_t)activity_frame(a)->call_count,
                                     .value = a->domain->oid};
        if (home != parcel.from) {
            bool takes = RESUME_DESIGNATOR(activity_frame(callee)->regs.rax) != 0;
            if (takes && ends.resume_place == NULL)
                return BW_BUSY; /* the node for it is not in memory: nobody could answer */
            parcel.resume = link_cross(parcel.from, home, parcel.resume);
            if (parcel.resume.type == KEY_VOID)
                return BW_LIMIT; /* its table is full: nobody could answer */
        }
    }
    deliver(callee, &parcel, &ends);
    return BW_OK;
}

static order_handler *const handlers[] = {
    [KEY_NUMBER] = order_number,     [KEY_PAGE] = order_page,     [KEY_NODE] = order_node,
    [KEY_SEGMENT] = order_segment,   [KEY_DOMAIN] = order_domain, [KEY_RANGE] = order_range,
    [KEY_METER] = order_number,      [KEY_GRANT] = order_grant,   [KEY_NUCLEUS] = order_nucleus,
    [KEY_DISTRICT] = order_district, [KEY_PORTS] = order_ports,   [KEY_PHYSICAL] = order_physical,
    [KEY_IRQ] = order_irq,
};

/** Runs an order of the nucleus itself for domain a, on objects of district d, and stores its
 * reply.
 */
static int run_order(struct activity *a, struct district *d, struct key k, order_handler *handler)
{
    static struct call c; /* not cleared as a whole: that is most of the cost of a short order */
    struct regs *r = &activity_frame(a)->regs;
    c.a = a;
    c.d = d;
    c.regs = r;
    c.key = k;
    c.order = r->rdi;
    c.out[0] = c.out[1] = c.out[2] = c.out[3] = 0;
    c.out_key = key_void();
    c.out_length = 0;
    c.cut = false;
    c.w[0] = r->rsi;
    c.w[1] = r->rdx;
    c.w[2] = r->r8;
    c.w[3] = r->r9;
    if (r->r10 == 0)
        c.k[0] = c.k[1] = c.k[2] = c.k[3] = key_void();
    for (unsigned i = 0; r->r10 != 0 && i < BW_MESSAGE_KEYS; i++) {
        int e = key_at(a, (uint16_t)(r->r10 >> 16 * i), &c.k[i]);
        if (e != BW_OK)
            return e;
    }
    struct key *place = NULL;
    struct object *node = NULL;
    if (r->rbx != 0) {
        int e = place_find(a, (uint16_t)r->rbx, true, &place, &node);
        if (e != BW_OK)
            return e;
    }
    int result = handler(&c);
    if (result <= WAIT_OBJECT)
        return result;
    /* The order may have destroyed the very node that takes the key. It was writable, so nothing
     * waits here. */
    if (node != NULL && place_find(a, (uint16_t)r->rbx, true, &place, &node) != BW_OK)
        place = NULL;
    place_store(place, place == NULL ? NULL : node, c.out_key);
    set_result(r, result, c.out);
    r->r13 = c.out_length;
    if (c.cut)
        r->rax |= DELIVERY_CUT;
    return BW_OK;
}

/** Brings in what the reply of another district will need, since that one does not wait for us. */
static int find_own_ends(struct activity *a)
{
    static struct pieces p;
    const struct regs *r = &activity_frame(a)->regs;
    for (unsigned i = 0; r->rbx != 0 && i < BW_MESSAGE_KEYS; i++) {
        struct key *place;
        struct object *node;
        int e = place_find(a, (uint16_t)(r->rbx >> 16 * i), true, &place, &node);
        if (e <= WAIT_OBJECT)
            return e;
    }
    return INVOKE_FLAGS(r->rax) & INVOKE_RECEIVE ? pieces_find(a, r->r14, r->r15, true, &p) : BW_OK;
}

/** Memory of another district is read and written by message. What must be fetched there first is
 * asked for, and the caller asks again: nobody waits for another district's objects. */
static int call_memory(struct activity *a, struct key link)
{
    struct district *home;
    struct key k;
    int r = link_resolve(object_district(a->domain), link, &home, &k);
    if (r != BW_OK)
        return r;
    switch (activity_frame(a)->regs.rdi) {
    case PAGE_READ:
    case PAGE_WRITE:
        if (k.type != KEY_PAGE)
            return BW_ORDER;
        break;
    case SEGMENT_READ:
    case SEGMENT_WRITE:
        break;
    default:
        return BW_ORDER;
    }
    if ((r = find_own_ends(a)) <= WAIT_OBJECT)
        return r;
    r = run_order(a, home, k, handlers[k.type]);
    return r <= WAIT_OBJECT ? BW_AGAIN : r;
}

static int op_call(struct activity *a, const uint64_t words[4])
{
    struct district *d = object_district(a->domain);
    struct domain_frame *f = activity_frame(a);
    struct key k;
    int r = key_at(a, KEY_DESIGNATOR(f->regs.rax), &k);
    if (r != BW_OK)
        return r;
    if (k.type != KEY_START && k.type != KEY_LINK) {
        if (k.type >= sizeof handlers / sizeof *handlers || handlers[k.type] == NULL)
            return BW_VOID;
        return run_order(a, d, k, handlers[k.type]);
    }
    r = load_parcel(a, words);
    if (r != BW_OK)
        return r;
    struct key link = k;
    bool outside = k.type == KEY_LINK;
    struct activity *callee;
    r = find_callee(d, &k, &callee);
    if (r == BW_VOID && outside && (k.type == KEY_PAGE || k.type == KEY_SEGMENT))
        return call_memory(a, link);
    if (r != BW_OK)
        return r;
    if (k.type != KEY_START)
        return BW_VOID; /* a link to a resume key cannot be called */
    if (outside && (f->regs.rbx != 0 || (INVOKE_FLAGS(f->regs.rax) & INVOKE_RECEIVE)) &&
        (r = find_own_ends(a)) <= WAIT_OBJECT)
        return r;
    parcel.badge = k.tag;
    r = send(a, callee, true, true);
    if (r != BW_OK)
        return r;
    domain_set_state(a, DOMAIN_WAITING);
    if (outside) {
        f->flags |= DOMAIN_OUTSIDE;
        link_count_message(d, link);
    }
    cpu0.current = callee;
    return BW_OK;
}

static int op_send(struct activity *a, const uint64_t words[4])
{
    struct district *d = object_district(a->domain);
    struct regs *regs = &activity_frame(a)->regs;
    struct key k;
    int r = key_at(a, KEY_DESIGNATOR(regs->rax), &k);
    if (r == BW_OK)
        r = load_parcel(a, words);
    if (r != BW_OK)
        return r;
    struct key link = k;
    struct activity *to;
    struct district *home = d;
    if (k.type == KEY_LINK && (r = link_resolve(d, k, &home, &k)) != BW_OK)
        return r;
    if (k.type == KEY_RESUME) {
        r = reply(home, k, link, &to);
    } else if (k.type == KEY_START) {
        parcel.badge = k.tag;
        r = callee_at(d, link, home, k, &to);
        if (r == BW_OK)
            r = send(a, to, false, !(INVOKE_FLAGS(regs->rax) & INVOKE_NOBLOCK));
    } else {
        return BW_VOID;
    }
    if (r <= WAIT_OBJECT && (INVOKE_FLAGS(regs->rax) & INVOKE_NOBLOCK)) {
        queue_remove(a);
        return BW_BUSY;
    }
    if (r != BW_OK)
        return r;
    if (link.type == KEY_LINK)
        link_count_message(d, link);
    domain_run(to);
    end(a, BW_OK);
    return BW_OK;
}

/** The domain has replied and becomes AVAILABLE, unless something is there for it already. */
static void receive(struct activity *a)
{
    struct domain_frame *f = activity_frame(a);
    uint64_t flags = INVOKE_FLAGS(f->regs.rax);
    f->deadline = flags & INVOKE_DEADLINE ? f->regs.rbp : BW_NO_DEADLINE;
    domain_set_state(a, DOMAIN_AVAILABLE);
    if (flags & INVOKE_POSTS_ONLY)
        f->flags |= DOMAIN_POSTS_ONLY;
    if (f->deadline != BW_NO_DEADLINE)
        schedule_set_deadline(a, district_deadline(object_district(a->domain), f->deadline));
    domain_wake(a);
}

static int op_return(struct activity *a, const uint64_t words[4])
{
    struct district *d = object_district(a->domain);
    struct regs *regs = &activity_frame(a)->regs;
    struct key k;
    int r = key_at(a, KEY_DESIGNATOR(regs->rax), &k);
    if (r != BW_OK)
        return r;
    struct activity *woken = NULL;
    struct key target = k;
    struct district *home = d;
    if (k.type == KEY_LINK && link_resolve(d, k, &home, &target) != BW_OK)
        target = key_void();
    if (target.type == KEY_RESUME || target.type == KEY_START) {
        r = load_parcel(a, words);
        if (r != BW_OK)
            return r;
        struct activity *to;
        if (target.type == KEY_START)
            parcel.badge = target.tag;
        if (target.type == KEY_RESUME)
            r = reply(home, target, k, &woken);
        else if ((r = callee_at(d, k, home, target, &to)) == BW_OK &&
                 (r = send(a, to, false, true)) == BW_OK)
            woken = to;
        if (r <= WAIT_OBJECT)
            return r; /* any other failure: the message is dropped */
    }
    /* Or a caller could call again and again on the turns of the server and never end its own. */
    if (woken != NULL && a->turn_over) {
        woken->yield = true;
        a->turn_over = false;
    }
    cpu0.current = woken;
    receive(a);
    return BW_OK;
}

static int op_post(struct activity *a)
{
    struct district *d = object_district(a->domain);
    struct key k;
    int r = key_at(a, KEY_DESIGNATOR(activity_frame(a)->regs.rax), &k);
    if (r != BW_OK)
        return r;
    struct activity *to;
    r = find_callee(d, &k, &to);
    if (r != BW_OK)
        return r;
    if (k.type != KEY_START)
        return BW_VOID;
    if (to->domain->district == a->domain->district &&
        (r = object_make_writable(to->domain)) != BW_OK)
        return r;
    domain_post(to, (uint64_t)1 << (k.tag & 63));
    end(a, BW_OK);
    return BW_OK;
}

void invoke_syscall(struct activity *a)
{
    const struct regs *regs = &activity_frame(a)->regs;
    const uint64_t words[BW_MESSAGE_WORDS] = {regs->rsi, regs->rdx, regs->r8, regs->r9};
    int r;
    switch (regs->rax & 0xff) {
    case OP_CALL:
        r = op_call(a, words);
        break;
    case OP_RETURN:
        r = op_return(a, words);
        break;
    case OP_SEND:
        r = op_send(a, words);
        break;
    case OP_POST:
        r = op_post(a);
        break;
    case OP_SELF:
        r = run_order(a, object_district(a->domain), key_void(), order_self);
        break;
    default:
        r = BW_ORDER;
    }
    if (r == BW_OK)
        return;
    if (r <= WAIT_OBJECT)
        again(a, r);
    else
        end(a, r);
}

int invoke_fault(struct activity *a, uint64_t code, uint64_t error, uint64_t address)
{
    struct district *d = object_district(a->domain);
    struct domain_frame *f = activity_frame(a);
    struct key k = f->keeper;
    if (k.type != KEY_START)
        return BW_VOID;
    struct activity *keeper;
    int r = find_callee(d, &k, &keeper);
    if (r != BW_OK)
        return r;
    const uint64_t words[BW_MESSAGE_WORDS] = {address, error, f->regs.rip, 0};
    parcel.from = d;
    parcel.code = code;
    parcel.words = words;
    parcel.badge = k.tag;
    parcel.has_keys = false;
    parcel.string.count = 1;
    parcel.string.length = sizeof f->regs;
    parcel.string.piece[0].at = (uint8_t *)&f->regs;
    parcel.string.piece[0].length = sizeof f->regs;
    r = send(a, keeper, true, true);
    if (r != BW_OK)
        return r;
    f->fault_code = (uint32_t)code;
    domain_set_state(a, DOMAIN_WAITING);
    f->flags |= DOMAIN_IN_FAULT;
    cpu0.current = keeper;
    return BW_OK;
}
