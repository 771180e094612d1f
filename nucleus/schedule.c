/*
 * Scheduling: the first class with a ready domain runs; in it the district that has had least of
 * the processor for its share, however many domains it has; in that, domains in turns of SLICE. A
 * district that had nothing to run gets no more than a CREDIT for that time. The store server of a
 * district uses its share, so that what one district writes or fetches takes no time from another;
 * it comes before the district's own domains. A call or reply switches directly to the other domain
 * as long as nothing of an earlier class is ready. Deadlines are a sorted list: few domains have
 * one, since the Linux personality keeps its processes' timers itself.
 */
#include "cpu.h"
#include "district.h"
#include "domain.h"
#include "frame.h"
#include "paging.h"
#include "panic.h"

#define SLICE      10000000u /* ns */
#define CREDIT     10000000u /* ns */
#define IDLE_STEPS 8u        /* of eviction, before the processor rests */

struct queue memory_waiters;
struct nucleus_statistics statistics;

/* By class, and by the district whose share it is. */
static struct queue ready[CLASSES][DISTRICT_MAX];
static bw_time_t used[CLASSES]
                     [DISTRICT_MAX];      /* of the processor; what was not wanted is not kept */
static uint64_t ready_districts[CLASSES]; /* bits: whose queue may have something */
static bw_time_t least_used[CLASSES];     /* all who wanted have had so much */
static bw_time_t *running;                /* the entry of `used` that pays; NULL: idle */
static bw_time_t running_since;
static struct activity *timers; /* by deadline */
static bool tick_armed;
_Static_assert(DISTRICT_MAX <= 64, "a bit for each district");

/** The queue that it will stand in. */
static struct queue *ready_queue(const struct activity *a)
{
    struct queue *q = &ready[a->class][a->share];
    bw_time_t *had = &used[a->class][a->share];
    if (q->first == NULL && *had + CREDIT < least_used[a->class])
        *had = least_used[a->class] - CREDIT;
    ready_districts[a->class] |= (uint64_t)1 << a->share;
    return q;
}

void schedule_first(struct activity *a)
{
    struct queue *q = ready_queue(a);
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

void schedule_ready(struct activity *a)
{
    if (a->share == a->domain->district)
        queue_add(ready_queue(a), a);
    else
        schedule_first(a); /* whom it serves waits for it */
}

bool schedule_is_ready(const struct activity *a)
{
    return a->queue == &ready[a->class][a->share];
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

/** The processor was the last one's until now, and is another's (NULL: nobody's) from now on. */
static void charge(bw_time_t *next)
{
    bw_time_t now = clock_now();
    if (running != NULL)
        *running += (now - running_since) * SHARE_USUAL /
                    district_share(&districts[(size_t)(running - used[0]) % DISTRICT_MAX]);
    running = next;
    running_since = now;
}

/** Of those with something ready in a class, the queue of the district that has had least, or NULL.
 */
static struct queue *choose(unsigned class)
{
    unsigned least = DISTRICT_MAX;
    for (uint64_t left = ready_districts[class]; left != 0; left &= left - 1) {
        unsigned slot = (unsigned)__builtin_ctzll(left);
        if (ready[class][slot].first == NULL)
            ready_districts[class] &= ~((uint64_t)1 << slot);
        else if (least == DISTRICT_MAX || used[class][slot] < used[class][least])
            least = slot;
    }
    return least == DISTRICT_MAX ? NULL : &ready[class][least];
}

static struct activity *take_first(void)
{
    charge(running);
    for (unsigned c = 0; c < CLASSES; c++) {
        struct queue *q = choose(c);
        if (q != NULL) {
            struct activity *a = q->first;
            if (least_used[c] < used[c][a->share])
                least_used[c] = used[c][a->share];
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
    bw_time_t *pays = &used[a->class][a->share];
    if (running != pays)
        charge(pays);
    paging_load(a, object_district(a->domain)->epoch);
    load_bases(r);
    fpu_dispatch(a);
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
    charge(NULL);
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
        if (ready_districts[c] != 0 && choose(c) != NULL)
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
    if (a->queue != NULL && !schedule_is_ready(a))
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
