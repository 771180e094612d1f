#include "domain.h"
#include "district.h"
#include "cpu.h"
#include "frame.h"
#include "panic.h"

static struct slab activities = {.size = 192};
_Static_assert(sizeof(struct activity) <= 192, "activities fit their slab");

void queue_add(struct queue *q, struct activity *a)
{
    assert(a->queue == NULL, "an activity is in one queue at most");
    a->queue = q;
    a->next = NULL;
    a->previous = q->last;
    if (q->last != NULL)
        q->last->next = a;
    else
        q->first = a;
    q->last = a;
}

void queue_remove(struct activity *a)
{
    struct queue *q = a->queue;
    if (q == NULL)
        return;
    if (a->next != NULL)
        a->next->previous = a->previous;
    else
        q->last = a->previous;
    if (a->previous != NULL)
        a->previous->next = a->next;
    else
        q->first = a->next;
    a->queue = NULL;
}

void queue_wake_all(struct queue *q)
{
    /* Those who must wait again go into the same queue: stop at the one that was last. */
    struct activity *last = q->last;
    while (q->first != NULL) {
        struct activity *a = q->first;
        queue_remove(a);
        domain_wake(a);
        if (a == last)
            break;
    }
}

int domain_attach(struct object *o)
{
    struct activity *a = slab_allocate(&activities, o->district == 0);
    if (a == NULL)
        return BW_NOMEM;
    a->domain = o;
    a->deadline = BW_NO_DEADLINE;
    a->class = CLASSES - 1;
    a->share = (uint8_t)o->district;
    o->aux = a;
    object_district(o)->domains++;
    return BW_OK;
}

void domain_detach(struct object *o)
{
    struct activity *a = object_activity(o);
    schedule_set_deadline(a, BW_NO_DEADLINE);
    queue_remove(a);
    queue_wake_all(&a->callers);
    queue_wake_all(&a->repliers);
    fpu_forget(a);
    if (cpu0.current == a)
        cpu0.current = NULL;
    object_district(o)->domains--;
    o->aux = NULL;
    slab_free(&activities, a);
}

void domain_set_state(struct activity *a, enum domain_state s)
{
    struct domain_frame *f = activity_frame(a);
    f->state = s;
    if (a->repliers.first != NULL)
        queue_wake_all(&a->repliers);
    if (s == DOMAIN_RUNNING)
        f->flags &= ~(DOMAIN_OUTSIDE | DOMAIN_IN_FAULT | DOMAIN_POSTS_ONLY | DOMAIN_CRASHED);
    if (s != DOMAIN_AVAILABLE && a->deadline != BW_NO_DEADLINE)
        schedule_set_deadline(a, BW_NO_DEADLINE);
}

/** Hands the posted bits to a domain that is AVAILABLE. */
static void deliver_posted(struct activity *a)
{
    struct domain_frame *f = activity_frame(a);
    f->regs.rax = DELIVERY_POSTED;
    f->regs.rsi = f->posted;
    f->posted = 0;
    domain_set_state(a, DOMAIN_RUNNING);
    domain_run(a);
}

void domain_post(struct activity *a, uint64_t bits)
{
    struct domain_frame *f = activity_frame(a);
    bits |= a->posted;
    a->posted = 0;
    int r = object_make_writable(a->domain);
    if (r != BW_OK) { /* keep them until it can be written */
        a->posted = bits;
        if (a->queue == NULL && f->state == DOMAIN_AVAILABLE)
            domain_wait(a, r);
        return;
    }
    f->posted |= bits;
    if (f->state == DOMAIN_AVAILABLE && a->queue == NULL && f->posted != 0)
        deliver_posted(a);
}

void domain_wake(struct activity *a)
{
    enum domain_state s = activity_frame(a)->state;
    if (s == DOMAIN_RUNNING) {
        schedule_ready(a);
        return;
    }
    if (s == DOMAIN_WAITING)
        queue_wake_all(&a->repliers); /* what it lacked to take a reply is there */
    if (s != DOMAIN_AVAILABLE)
        return;
    domain_post(a, 0);
    if (a->queue == NULL && activity_frame(a)->state == DOMAIN_AVAILABLE &&
        !(activity_frame(a)->flags & DOMAIN_POSTS_ONLY))
        queue_wake_all(&a->callers); /* one of them finds it receptive, the others queue again */
}

void domain_run(struct activity *a)
{
    queue_remove(a);
    schedule_ready(a);
}

void domain_wait(struct activity *a, int why)
{
    struct district *d = object_district(a->domain);
    switch (why) {
    case WAIT_OBJECT:
        queue_add(&d->fetch_waiters, a);
        break;
    case WAIT_MEMORY:
        queue_add(&memory_waiters, a);
        break;
    case WAIT_COMMIT:
        queue_add(&d->commit_waiters, a);
        break;
    default:
        assert(why == WAIT_CALLEE && a->queue != NULL, "a domain waits for something");
    }
}

/** Its meter's, but the first two belong to the commons. */
static uint8_t class_of(const struct activity *a)
{
    struct key meter = activity_frame(a)->meter;
    uint8_t class =
        meter.type == KEY_METER && meter.tag < CLASSES ? (uint8_t)meter.tag : CLASSES - 1;
    return a->share != COMMONS->slot && class < 2 ? 2 : class;
}

void domain_refresh(struct activity *a)
{
    a->space = NULL;
    a->class = class_of(a);
}

void domain_share(struct activity *a, const struct district *d)
{
    bool was_ready = schedule_is_ready(a);
    if (was_ready)
        queue_remove(a);
    a->share = (uint8_t)d->slot;
    a->class = class_of(a);
    if (was_ready)
        schedule_ready(a);
}

void regs_make_safe(struct regs *r)
{
    /* Bits that ring 3 may set: CF PF AF ZF SF TF DF OF AC ID; IF is always on. */
    r->rflags = (r->rflags & 0x240dd5) | 0x202;
    if (r->rip >> 47)
        r->rip = 0;
    if (r->fs_base >> 47)
        r->fs_base = 0;
    if (r->gs_base >> 47)
        r->gs_base = 0;
}

bool domain_frame_valid(const struct domain_frame *f)
{
    if (f->state > DOMAIN_WAITING || f->list_slot >= OID_DOMAIN_LIST_PAGES * 512u)
        return false;
    return keys_valid(&f->segment, 4) && keys_valid(f->keys, BW_KEY_REGISTERS) &&
           f->keys[0].type == KEY_VOID;
}

void domain_make_safe(struct domain_frame *f)
{
    regs_make_safe(&f->regs);
    f->flags &= DOMAIN_FOREIGN | DOMAIN_IN_FAULT | DOMAIN_OUTSIDE | DOMAIN_HAS_FPU |
                DOMAIN_POSTS_ONLY | DOMAIN_CRASHED;
    if ((f->flags & DOMAIN_HAS_FPU) && !fpu_check(f->fpu))
        f->flags &= ~DOMAIN_HAS_FPU;
}
