/*
 * The personality's event loop. One event at a time: a fault message of a thread (badge = index +
 * THREAD_BADGE), an order of the steward, a post of the terminal agent, or a deadline; then
 * everything that became due by it (process_settle, ready threads, timers), and then one invocation
 * that answers the event and waits for the next.
 *
 * Everything here persists. After a restart of the district the loop goes on where it was: threads
 * that ran or waited for a reply trap again or are answered, deadlines are in the district's own
 * time.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <bailiwick/personality.h>
#include <bailiwick/runtime.h>
#include "files.h"
#include "process.h"

#define SAME_FAULT_MAX   64u
#define TIMERS_EVERY     128u /* events after which timers are looked at anyway */
#define PAGE_ERROR_WRITE 2u
#define PAGE_ERROR_FETCH 16u

struct thread *current;
struct regs *user_regs;

/** What the event brought: registers of a thread, or the words of an order. */
static union {
    struct regs regs;
    char bytes[8192];
} event;

/** What was received; code and the first word are also the reply to it. */
struct incoming {
    int64_t code;
    uint64_t word[3];
    bw_time_t deadline; /* until when to wait */
    size_t length;      /* of the string, in `event` */
    uint16_t badge;
    uint8_t delivery;
};

/** Replies through `reply` (0: not) and waits: bw_return() without its generality. The build knows
 * by its name that its SYSCALL is an invocation; rbp is lent for the deadline, r12 keeps the
 * compiler's. */
static __attribute__((noinline)) void bw_next(uint16_t reply, struct incoming *m)
{
    uint64_t rax = OP_RETURN | (INVOKE_RECEIVE | INVOKE_DEADLINE) << 8 | (uint64_t)reply << 16 |
                   (uint64_t)KEY_AT(KR_CALLER) << 32;
    register uint64_t r8 __asm__("r8") = 0;
    register uint64_t r10 __asm__("r10") = 0;
    register uint64_t r12 __asm__("r12") = m->deadline;
    register uint64_t r13 __asm__("r13") = 0;
    register void *r14 __asm__("r14") = &event;
    register uint64_t r15 __asm__("r15") = sizeof event;

    __asm__ volatile("xchgq %%rbp, %%r12\n\tsyscall\n\txchgq %%rbp, %%r12"
                     : "+a"(rax), "+D"(m->code), "+S"(m->word[0]), "+d"(m->word[1]), "+r"(r8),
                       "+r"(r12), "+r"(r13)
                     : "b"(0ul), "r"(r10), "r"(r14), "r"(r15)
                     : "rcx", "r9", "r11", "memory");
    m->word[2] = r8;
    m->length = r13;
    m->badge = (uint16_t)(rax >> 16);
    m->delivery = (uint8_t)rax;
}

/* CPU time: what passes between our answer and the next event belongs to the thread that it comes
 * from. */
static uint64_t left_at;

static uint64_t ticks(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/** Ticks since `from`; 0 if the counter went back, as it does when the district has moved. */
static uint64_t elapsed(uint64_t from, uint64_t to)
{
    return to > from && to - from < (1ull << 40) ? to - from : 0;
}

/* --- events ----------------------------------------------------------------------------------- */

/** Who must go so that `p` can go on: the process that has most memory; if none has much, which is
 * how a crowd of small ones eats a store up, the youngest. The first process and shells only if
 * there is nobody else, or if it is they who have it. */
static struct process *victim_for(struct process *p)
{
    struct process *largest = NULL, *youngest = NULL;

    for (struct process *c = process_next(NULL); c; c = process_next(c)) {
        if (!c->space || c->doomed || space_protects(c)) {
            continue;
        }
        if (!largest || c->space->owned > largest->space->owned) {
            largest = c;
        }
        if (!youngest || c->started > youngest->started) {
            youngest = c;
        }
    }
    if (!largest || (space_protects(p) && largest->space->owned < p->space->owned / 4)) {
        return p;
    }
    return space_is_large(largest->space) ? largest : youngest;
}

/** No page can be had for a process that needs one to go on: who has most must go. */
static void out_of_memory(struct process *p)
{
    struct process *victim = victim_for(p);
    char line[96];

    snprintf(line, sizeof line, "[the store is full: process %d (%s) is killed for its memory]\r\n",
             victim->pid, victim->name);
    tty_print(line);
    process_doom(victim, SIGKILL);
}

static long serve_page_fault(struct thread *t, uint64_t address, uint64_t error)
{
    unsigned access = error & PAGE_ERROR_FETCH   ? VM_EXEC
                      : error & PAGE_ERROR_WRITE ? VM_WRITE
                                                 : VM_READ;
    int r;

    t->process->faults++;
    space_begin();
    r = space_fault(t->process->space, address, access);
    if (r == -ENOMEM) {
        long result = space_wait_fault();

        if (result != -ENOMEM) {
            return result;
        }
    }
    space_satisfied();
    if (r != FAULT_NO_CHANGE) {
        t->fault_repeats = 0;
    } else if (++t->fault_repeats > SAME_FAULT_MAX) {
        r = -ENXIO;
    }
    if (r == -ENOMEM) {
        out_of_memory(t->process);
    } else if (r == -EACCES) {
        signal_fault(t, SIGSEGV, SEGV_ACCERR, address);
    } else if (r == -EFAULT) {
        signal_fault(t, SIGSEGV, SEGV_MAPERR, address);
    } else if (r < 0) {
        signal_fault(t, SIGBUS, BUS_ADRERR, address);
    }
    return RESULT_RETRY;
}

/** Faults other than calls and pages. */
static long serve_trap(struct thread *t, int64_t order, uint64_t address, uint64_t rip)
{
    switch (order) {
    case FAULT_DIVIDE:
        signal_fault(t, SIGFPE, FPE_INTDIV, rip);
        break;
    case FAULT_DEBUG:
        signal_fault(t, SIGTRAP, TRAP_BRKPT, rip);
        break;
    case FAULT_ILLEGAL:
        signal_fault(t, SIGILL, ILL_ILLOPN, rip);
        break;
    case FAULT_FPU:
        signal_fault(t, SIGFPE, FPE_FLTINV, rip);
        break;
    case FAULT_ALIGNMENT:
        signal_fault(t, SIGBUS, BUS_ADRALN, address);
        break;
    default:
        signal_fault(t, SIGSEGV, SI_KERNEL, 0);
        break;
    }
    return RESULT_RETRY;
}

static bool somebody_runs(void)
{
    for (struct process *p = process_next(NULL); p; p = process_next(p)) {
        for (struct thread *t = p->threads; t; t = t->next_in_process) {
            if (t->state == THREAD_RUNNING) {
                return true;
            }
        }
    }
    return false;
}

/** The thread whose event is being served until it is answered, and what its handler returned. */
static struct thread *serving;
static long serving_result;

void main_forget(const struct thread *t)
{
    if (serving == t) {
        serving = NULL;
    }
}

static void serve_thread(struct thread *t, const struct incoming *m)
{
    uint64_t now = ticks();
    long result;

    t->user_ticks += elapsed(left_at, now);
    left_at = now;
    t->state = THREAD_SERVED;
    serving = current = t;
    user_regs = &event.regs;
    if (m->code == FAULT_SYSCALL) {
        t->progress = 0;
        t->timed_out = t->interrupted = false;
        space_satisfied();
        result = call_run(&event.regs);
    } else if (m->code == FAULT_PAGE) {
        result = serve_page_fault(t, m->word[0], m->word[1]);
    } else {
        result = serve_trap(t, m->code, m->word[0], m->word[2]);
    }
    current = NULL;
    serving_result = result;
    if (result == BLOCKED) {
        serving = NULL;
        t->regs = event.regs;
        deliver_result(t, BLOCKED);
    }
    now = ticks();
    if (result != RESULT_ENDED) {
        t->system_ticks += elapsed(left_at, now);
    }
    left_at = now;
}

static void serve_order(struct incoming *m)
{
    if (m->badge != BADGE_STEWARD || m->code != UNIX_SPAWN) {
        m->code = BW_ORDER;
        return;
    }
    m->word[0] = (uint64_t)process_spawn_first(event.bytes, m->length);
    m->code = (int64_t)m->word[0] < 0 ? (int64_t)m->word[0] : BW_OK;
}

static void run_again(struct thread *t)
{
    long result;

    if (t->process->doomed) {
        return;
    }
    if (t->process->stopped) {
        t->state = THREAD_HELD;
        t->held_rerun = true;
        t->held_in_user = false;
        return;
    }
    t->state = THREAD_SERVED;
    current = t;
    user_regs = &t->regs;
    t->interrupted = false;
    if (t->waits_in_fault) {
        t->waits_in_fault = false;
        result = RESULT_RETRY;
    } else {
        result = call_run(&t->regs);
    }
    if (result != RESULT_ENDED) {
        deliver_result(t, result);
    }
    current = NULL;
}

static void timer_fired(struct timer *timer)
{
    struct thread *t = timer->owner;

    switch (timer->kind) {
    case TIMER_THREAD:
        t->timed_out = true;
        wait_wake(t);
        break;
    case TIMER_ALARM:
        time_alarm_fired(timer->owner);
        break;
    default:
        process_respawn();
        break;
    }
}

/** Does all that became due. */
static void settle(bool time_passed)
{
    struct thread *t;
    struct timer *timer;

    for (;;) {
        process_settle();
        relay_flush();
        t = wait_next_ready();
        if (t) {
            run_again(t);
            continue;
        }
        if (!time_passed || timer_next() == BW_NO_DEADLINE) {
            break;
        }
        timer = timer_due(time_monotonic());
        if (!timer) {
            break;
        }
        timer_fired(timer);
    }
    tty_flush();
}

static bw_time_t next_deadline(void)
{
    bw_time_t deadline = tty_deadline();

    return deadline < timer_next() ? deadline : timer_next();
}

/** Answers the thread that was served. @return the key to reply through, 0: it is answered or waits
 */
static uint16_t answer(struct incoming *m)
{
    struct thread *t = serving;
    bool value = serving_result > BLOCKED && serving_result != INTERRUPTED;

    serving = NULL;
    if ((value || serving_result == RESULT_RETRY) && !t->attention && !t->mask_saved) {
        t->state = THREAD_RUNNING;
        m->code = value ? FAULT_SET_RAX : FAULT_RETRY;
        m->word[0] = (uint64_t)serving_result;
        return KEY_AT(KR_CALLER);
    }
    t->regs = event.regs;
    deliver_result(t, serving_result);
    settle(false);
    return 0;
}

int main_native(uint64_t word)
{
    struct incoming m = {.deadline = BW_NO_DEADLINE};
    uint16_t reply = 0;
    unsigned served = 0;

    (void)word;
    space_wait_to_start();
    if (machine_init() != BW_OK) {
        bw_log("unix: the file tree cannot be read");
        bw_exit(1);
    }
    files_init();
    for (;;) {
        bw_next(reply, &m);
        reply = 0;
        if (m.delivery == DELIVERY_MESSAGE && m.badge >= THREAD_BADGE) {
            unsigned index = m.badge - THREAD_BADGE;

            if (index < THREADS_MAX && threads[index]) {
                serve_thread(threads[index], &m);
            }
        } else if (m.delivery == DELIVERY_MESSAGE) {
            serve_order(&m);
            reply = KEY_AT(KR_CALLER);
        } else {
            if (m.delivery == DELIVERY_POSTED && (m.word[0] & POST_RESTARTED)) {
                signal_restarted();
            }
            tty_poll(); /* the terminal agent has posted, or its time has come */
            relay_posted();
            if (!somebody_runs()) {
                left_at = ticks();
            }
        }
        settle(m.delivery != DELIVERY_MESSAGE || ++served % TIMERS_EVERY == 0);
        if (serving) {
            reply = answer(&m);
        }
        m.deadline = next_deadline();
    }
}
