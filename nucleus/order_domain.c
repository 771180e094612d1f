/* Orders of domain keys. */
#include "invoke.h"
#include "cpu.h"
#include "link.h"
#include "panic.h"
#include "string.h"

static int set_regs(struct call *c, struct activity *a)
{
    struct regs r;
    int e = call_get(c, &r, sizeof r, sizeof r, NULL);
    if (e != BW_OK)
        return e;
    regs_make_safe(&r);
    activity_frame(a)->regs = r;
    return BW_OK;
}

static int get_fpu(struct call *c, struct activity *a)
{
    struct domain_frame *f = activity_frame(a);
    fpu_save(a);
    if (!(f->flags & DOMAIN_HAS_FPU))
        return BW_OK;
    return call_put(c, f->fpu, fpu_area_size());
}

static int set_fpu(struct call *c, struct activity *a)
{
    static uint8_t area[DOMAIN_FPU_SIZE] __attribute__((aligned(64)));
    size_t n;
    struct domain_frame *f = activity_frame(a);
    memset(area, 0, sizeof area);
    int r = call_get(c, area, 0, fpu_area_size(), &n);
    if (r != BW_OK)
        return r;
    if (n != 0 && (n < 512 || !fpu_check(area)))
        return BW_ARGUMENT;
    fpu_forget(a);
    f->flags &= ~DOMAIN_HAS_FPU;
    if (n != 0) {
        memcpy(f->fpu, area, sizeof area);
        f->flags |= DOMAIN_HAS_FPU;
    }
    return BW_OK;
}

static int start(struct activity *a)
{
    if (activity_frame(a)->state != DOMAIN_STOPPED)
        return BW_OK;
    domain_refresh(a);
    domain_set_state(a, DOMAIN_RUNNING);
    domain_run(a);
    return BW_OK;
}

static int stop(struct call *c, struct activity *a)
{
    if (a == c->a)
        return BW_ARGUMENT; /* RETURN with nothing to receive is how a domain rests */
    queue_remove(a);
    activity_frame(a)->call_count++;
    domain_set_state(a, DOMAIN_STOPPED);
    return BW_OK;
}

static int set_key(struct call *c, struct activity *a)
{
    if (c->w[0] == 0 || c->w[0] >= BW_KEY_REGISTERS)
        return BW_ARGUMENT;
    activity_frame(a)->keys[c->w[0]] = c->k[0];
    return BW_OK;
}

static bool is_segment(struct key k)
{
    return k.type == KEY_VOID || (k.type == KEY_SEGMENT && k.tag <= SEGMENT_HEIGHT_MAX);
}

/** Registers, FPU state and foreign flag of `from`. */
static void copy(struct activity *to, struct activity *from)
{
    struct domain_frame *t = activity_frame(to), *f = activity_frame(from);
    fpu_save(from);
    fpu_forget(to);
    t->regs = f->regs;
    if (f->flags & DOMAIN_HAS_FPU)
        memcpy(t->fpu, f->fpu, fpu_area_size());
    t->flags &= ~(DOMAIN_HAS_FPU | DOMAIN_FOREIGN);
    t->flags |= f->flags & (DOMAIN_HAS_FPU | DOMAIN_FOREIGN);
}

static int copy_from(struct call *c, struct activity *to, struct key k)
{
    struct object *from;
    if (k.type != KEY_DOMAIN || activity_frame(to)->state != DOMAIN_STOPPED)
        return BW_ARGUMENT;
    int r = object_find(c->d, k, &from);
    if (r == BW_OK)
        copy(to, object_activity(from));
    return r;
}

static int resume(struct call *c, struct activity *a)
{
    struct domain_frame *f = activity_frame(a);
    struct regs r;
    bool whole = c->w[0] == FAULT_SET_REGS;
    if (f->state != DOMAIN_WAITING && f->state != DOMAIN_STOPPED)
        return BW_ARGUMENT;
    if (whole) {
        int e = call_get(c, &r, sizeof r, sizeof r, NULL);
        if (e != BW_OK)
            return e;
    }
    int e = fault_reply(a, c->w[0], c->w[1], whole ? &r : NULL);
    if (e != BW_OK)
        return e;
    f->call_count++;
    domain_refresh(a);
    domain_set_state(a, DOMAIN_RUNNING);
    domain_run(a);
    return BW_OK;
}

static int make(struct call *c, struct activity *a)
{
    struct domain_frame *f = activity_frame(a);
    if (!is_segment(c->k[0]) || c->k[1].type != KEY_DOMAIN || c->k[2].type != KEY_METER)
        return BW_ARGUMENT;
    if (c->w[2] != 0) {
        int r = copy_from(c, a, c->k[3]);
        if (r != BW_OK)
            return r;
    }
    f->segment = c->k[0];
    f->keeper = c->k[1];
    f->keeper.type = KEY_START;
    f->keeper.tag = (uint16_t)c->w[0];
    f->meter = c->k[2];
    f->flags &= ~DOMAIN_FOREIGN;
    if (c->w[1] & 1)
        f->flags |= DOMAIN_FOREIGN;
    domain_refresh(a);
    return BW_OK;
}

/** Orders that change nothing in the domain. */
static int look(struct call *c, struct activity *a, bool *done)
{
    const struct domain_frame *f = activity_frame(a);
    *done = true;
    switch (c->order) {
    case DOMAIN_GET_REGS:
        c->out[0] = f->state;
        c->out[1] = f->flags;
        return call_put(c, &f->regs, sizeof f->regs);
    case DOMAIN_GET_KEY:
        if (c->w[0] >= BW_KEY_REGISTERS)
            return BW_ARGUMENT;
        c->out_key = f->keys[c->w[0]];
        return BW_OK;
    case DOMAIN_MAKE_START:
        c->out_key = (struct key){.type = KEY_START,
                                  .tag = (uint16_t)c->w[0],
                                  .version = a->domain->version,
                                  .value = a->domain->oid};
        return BW_OK;
    default:
        *done = false;
        return BW_OK;
    }
}

static int set_slot(struct call *c, struct activity *a)
{
    struct domain_frame *f = activity_frame(a);
    struct key k = c->k[0];
    if (c->order == DOMAIN_SET_SEGMENT && is_segment(k))
        f->segment = k;
    else if (c->order == DOMAIN_SET_KEEPER && (k.type == KEY_START || k.type == KEY_VOID))
        f->keeper = k;
    else if (c->order == DOMAIN_SET_METER && k.type == KEY_METER)
        f->meter = k;
    else
        return BW_ARGUMENT;
    domain_refresh(a);
    return BW_OK;
}

int order_domain(struct call *c)
{
    struct object *o;
    int r = object_find(c->d, c->key, &o);
    if (r != BW_OK)
        return r;
    struct activity *a = object_activity(o);
    bool done;
    r = look(c, a, &done);
    if (done)
        return r;
    r = object_make_writable(o);
    if (r != BW_OK)
        return r;
    switch (c->order) {
    case DOMAIN_SET_REGS:
        return set_regs(c, a);
    case DOMAIN_GET_FPU:
        return get_fpu(c, a);
    case DOMAIN_SET_FPU:
        return set_fpu(c, a);
    case DOMAIN_START:
        return start(a);
    case DOMAIN_STOP:
        return stop(c, a);
    case DOMAIN_SET_KEY:
        return set_key(c, a);
    case DOMAIN_SET_SEGMENT:
    case DOMAIN_SET_KEEPER:
    case DOMAIN_SET_METER:
        return set_slot(c, a);
    case DOMAIN_SET_FOREIGN:
        activity_frame(a)->flags &= ~DOMAIN_FOREIGN;
        if (c->w[0] & 1)
            activity_frame(a)->flags |= DOMAIN_FOREIGN;
        return BW_OK;
    case DOMAIN_COPY:
        return copy_from(c, a, c->k[0]);
    case DOMAIN_RESUME:
        return resume(c, a);
    case DOMAIN_MAKE:
        return make(c, a);
    default:
        return BW_ORDER;
    }
}
