/*
 * Scheduling: the first class with a ready domain runs, in turns of SLICE. A call or reply switches
 * directly to the other domain as long as nothing of an earlier class is ready. Deadlines are a
 * sorted list: few domains have one, since the Linux personality keeps its processes' timers
 * itself.
 */
#include "cpu.h"
#include "district.h"
#include "domain.h"
#include "frame.h"
#include "paging.h"
#include "panic.h"

#define SLICE      10000000u /* ns */
#define IDLE_STEPS 8u        /* of eviction, before the processor rests */

struct queue memory_waiters;
struct nucleus_statistics statistics;

static struct queue ready[CLASSES];
static struct activity *timers; /* by deadline */
static bool tick_armed;

void schedule_ready(struct activity *a)
{
    queue_add(&ready[a->class], a);
}

void schedule_first(struct activity *a)
{
    struct queue *q = &ready[a->class];
    if (a->queue != NULL)
        queue_remove(a);
    a->queue = q;
    a->previous = NULL;
    a->next = q->first;
    if (q->first != NULL)
        q->first->previous = a;
    else
        q->last = a;
    q->first = a;
}

void schedule_set_deadline(struct activity *a, bw_time_t deadline)
{
    if (a->deadline != BW_NO_DEADLINE) {
        if (a->timer_next != NULL)
            a->timer_next->timer_previous = a->timer_previous;
        if (a->timer_previous != NULL)
            a->timer_previous->timer_next = a->timer_next;
        else
            timers = a->timer_next;
    }
    a->deadline = deadline;
    if (deadline == BW_NO_DEADLINE)
        return;
    struct activity *before = NULL, *at = timers;
    while (at != NULL && at->deadline <= deadline) {
        before = at;
        at = at->timer_next;
    }
    a->timer_next = at;
    a->timer_previous = before;
    if (at != NULL)
        at->timer_previous = a;
    if (before != NULL)
        before->timer_next = a;
    else
        timers = a;
    if (timers == a)
        clock_arm(deadline);
}

static void expire_timers(void)
{
    bw_time_t now = clock_now();
    while (timers != NULL && timers->deadline <= now) {
        struct activity *a = timers;
        schedule_set_deadline(a, BW_NO_DEADLINE);
        invoke_timeout(a);
    }
    if (timers != NULL)
        clock_arm(timers->deadline);
}

void schedule_tick(void)
{
    clock_fired();
    tick_armed = false;
    expire_timers();
    evict_relieved();
    if (cpu0.current != NULL)
        cpu0.current->yield = true;
}

static struct activity *take_first(void)
{
    for (unsigned c = 0; c < CLASSES; c++) {
        struct activity *a = ready[c].first;
        if (a != NULL) {
            queue_remove(a);
            return a;
        }
    }
    return NULL;
}

/** The domain may run now: its frame can be written in this epoch and its space is known. */
static int prepare(struct activity *a)
{
    int r = object_make_writable(a->domain);
    return r == BW_OK ? paging_attach(a) : r;
}

static void load_bases(const struct regs *r)
{
    uint32_t fs, gs;
    __asm__ volatile("movl %%fs, %0\n\tmovl %%gs, %1" : "=r"(fs), "=r"(gs));
    if ((fs | gs) != 0) { /* a program loaded a selector, and a base with it */
        __asm__ volatile("movl %0, %%fs\n\tswapgs\n\tmovl %0, %%gs\n\tswapgs"
                         :
                         : "r"(0)
                         : "memory");
        cpu0.fs_base = cpu0.gs_base = UINT64_MAX;
    }
    if (cpu0.fs_base != r->fs_base)
        wrmsr(MSR_FS_BASE, cpu0.fs_base = r->fs_base);
    if (cpu0.gs_base != r->gs_base)
        wrmsr(MSR_KERNEL_GS_BASE, cpu0.gs_base = r->gs_base);
}

static void dispatch(struct activity *a) __attribute__((noreturn));
static void dispatch(struct activity *a)
{
    struct regs *r = &activity_frame(a)->regs;
    cpu0.current = a;
    cpu0.regs = r;
    paging_load(a, object_district(a->domain)->epoch);
    load_bases(r);
    bool trap = cpu0.fpu_owner != a;
    if (trap != cpu0.fpu_trap) {
        cpu0.fpu_trap = trap;
        if (trap)
            write_cr0(read_cr0() | 8);
        else
            __asm__ volatile("clts");
    }
    if (!tick_armed) {
        tick_armed = true;
        clock_arm(clock_now() + SLICE);
    }
    statistics.dispatches++;
    trap_leave(r);
}

static void idle(void)
{
    cpu0.current = NULL;
    if (memory_waiters.first != NULL)
        clock_arm(clock_now() + SLICE);
    uint64_t before = rdtsc();
    trap_idle();
    statistics.idle += rdtsc() - before;
}

/** The common case: what runs next is known, and nothing of an earlier class is ready. */
static bool may_run_now(const struct activity *a)
{
    if (a->queue != NULL || a->yield)
        return false;
    for (unsigned c = 0; c < a->class; c++)
        if (ready[c].first != NULL)
            return false;
    return true;
}

/** Puts a running domain where it will be taken from: first in its class, or last if its turn is
 * over. */
static void requeue(struct activity *a)
{
    bool over = a->yield;
    a->yield = false;
    a->turn_over |= over;
    if (a->queue != NULL && a->queue != &ready[a->class])
        return; /* it waits for something */
    if (!over)
        schedule_first(a);
    else if (a->queue == NULL)
        schedule_ready(a);
}

void schedule_run(struct activity *preferred)
{
    if (preferred != NULL && activity_frame(preferred)->state != DOMAIN_RUNNING)
        preferred = NULL;
    if (preferred != NULL && !may_run_now(preferred)) {
        requeue(preferred);
        preferred = NULL;
    }
    for (;; preferred = NULL) {
        if (frame_low())
            evict_step();
        struct activity *a = preferred != NULL ? preferred : take_first();
        if (a == NULL) {
            for (unsigned i = 0; i < IDLE_STEPS && frame_low(); i++)
                evict_step();
            a = take_first();
        }
        if (a == NULL) {
            idle();
            continue;
        }
        if (object_district(a->domain)->state != DISTRICT_RUNNING)
            continue; /* its district has ended, and kill collects it */
        cpu0.current = a;
        int r = prepare(a);
        if (r == BW_OK)
            dispatch(a);
        domain_wait(a, r);
    }
}
