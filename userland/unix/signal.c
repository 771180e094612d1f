/*
 * Signals: sending, queues, dispositions. What a signal does to a thread is deliver.c's business.
 *
 * A signal whose effect needs no handler (kill, stop, continue, ignore) has it at once; only what
 * must run a handler, or is blocked, is queued.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "process.h"

#define STOP_SIGNALS                                                                               \
    (SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU))
#define DEFAULT_IGNORED                                                                            \
    (SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGCONT) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH))
#define NEVER_BLOCKED   (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP))
#define QUEUE_MAX       1024u
#define HANDLER_DEFAULT 0u
#define HANDLER_IGNORE  1u

static unsigned queued;

/* --- queues ----------------------------------------------------------------------------------- */

static void queue_put(struct signal_queue *q, const struct signal_info *info)
{
    uint64_t bit = SIGNAL_BIT(info->number);
    struct signal_entry *e;

    if (info->number < 32 && (q->pending & bit)) {
        return;
    }
    q->pending |= bit;
    e = queued < QUEUE_MAX ? malloc(sizeof *e) : NULL;
    if (!e) {
        return;
    }
    queued++;
    e->next = NULL;
    e->info = *info;
    if (!q->first) {
        q->last = &q->first;
    }
    *q->last = e;
    q->last = &e->next;
}

/** Takes the lowest signal of `among` off one queue. */
static bool queue_take(struct signal_queue *q, uint64_t among, struct signal_info *info)
{
    uint64_t set = q->pending & among;
    bool found = false, more = false;
    int number;

    if (!set) {
        return false;
    }
    number = __builtin_ctzll(set) + 1;
    memset(info, 0, sizeof *info);
    info->number = number;
    for (struct signal_entry **at = &q->first; *at;) {
        struct signal_entry *e = *at;

        if (e->info.number != number || found) {
            more |= e->info.number == number;
            at = &e->next;
            continue;
        }
        *info = e->info;
        found = true;
        *at = e->next;
        free(e);
        queued--;
    }
    for (q->last = &q->first; *q->last;) {
        q->last = &(*q->last)->next;
    }
    if (!more) {
        q->pending &= ~SIGNAL_BIT(number);
    }
    return true;
}

void signal_flush(struct signal_queue *q, uint64_t set)
{
    struct signal_info info;

    while (queue_take(q, set, &info)) {
    }
}

bool signal_take(struct thread *t, uint64_t among, struct signal_info *info)
{
    return queue_take(&t->signals, among, info) || queue_take(&t->process->signals, among, info);
}

bool signal_deliverable(const struct thread *t)
{
    return ((t->signals.pending | t->process->signals.pending) & ~t->mask) || t->process->doomed;
}

void signal_set_mask(struct thread *t, uint64_t mask)
{
    t->mask = mask & ~NEVER_BLOCKED;
    if (signal_deliverable(t)) {
        t->attention = true;
    }
}

/* --- dispositions ----------------------------------------------------------------------------- */

struct signal_actions *signal_actions_new(void)
{
    struct signal_actions *a = calloc(1, sizeof *a);

    if (a) {
        a->references = 1;
    }
    return a;
}

void signal_actions_release(struct signal_actions *a)
{
    if (--a->references == 0) {
        free(a);
    }
}

void signal_exec(struct process *p)
{
    p->restart_signal = 0; /* who has no handler any more would be ended by it */
    for (int i = 1; i <= SIGNALS; i++) {
        struct signal_action *a = &p->actions->action[i];

        *a = (struct signal_action){.handler = a->handler == HANDLER_IGNORE ? HANDLER_IGNORE : 0};
    }
}

bool signal_ignored(const struct process *p, int signal)
{
    uint64_t handler = p->actions->action[signal].handler;

    return handler == HANDLER_IGNORE ||
           (handler == HANDLER_DEFAULT && (DEFAULT_IGNORED & SIGNAL_BIT(signal)));
}

/* --- sending ---------------------------------------------------------------------------------- */

/** The thread that takes a signal to the process: one that does not block it, or waits for it. */
static struct thread *taker(struct process *p, int signal)
{
    for (struct thread *t = p->threads; t; t = t->next_in_process) {
        if (!(t->mask & SIGNAL_BIT(signal)) || (t->wanted & SIGNAL_BIT(signal))) {
            return t;
        }
    }
    return NULL;
}

static void notify(struct thread *t)
{
    t->attention = true;
    if (t->state == THREAD_RUNNING) {
        deliver_interrupt(t);
    } else if (t->state == THREAD_WAITING) {
        wait_wake(t);
    }
}

static void flush_all(struct process *p, uint64_t set)
{
    signal_flush(&p->signals, set);
    for (struct thread *t = p->threads; t; t = t->next_in_process) {
        signal_flush(&t->signals, set);
    }
}

static bool is_from_user(const struct signal_info *info)
{
    return info->code <= 0;
}

/** Effects that need no handler. @return true if that was all */
static bool send_default(struct process *p, const struct signal_info *info)
{
    int signal = info->number;

    if (p == init_process && is_from_user(info)) {
        return true; /* pid 1 gets only what it has handlers for */
    }
    if (STOP_SIGNALS & SIGNAL_BIT(signal)) {
        if (signal == SIGSTOP || !process_group_is_orphaned(p->pgid, p->sid)) {
            process_stop(p, signal);
        }
        return true;
    }
    if (p->stopped && signal != SIGKILL) {
        return false; /* it ends when it is continued */
    }
    process_doom(p, signal);
    return true;
}

void signal_send(struct process *p, struct thread *t, const struct signal_info *info)
{
    int signal = info->number;
    uint64_t bit = SIGNAL_BIT(signal);
    struct thread *to = t;

    if (p->state != PROCESS_ALIVE || p->doomed) {
        return;
    }
    if (signal == SIGCONT || signal == SIGKILL) {
        flush_all(p, STOP_SIGNALS);
        process_continue(p);
    } else if (STOP_SIGNALS & bit) {
        flush_all(p, SIGNAL_BIT(SIGCONT));
    }
    if (!to || (!(to->mask & bit) && signal == SIGKILL)) {
        to = taker(p, signal);
    } else if ((to->mask & bit) && !(to->wanted & bit)) {
        queue_put(&t->signals, info);
        return;
    }
    if (to && !(to->wanted & bit)) {
        if (signal_ignored(p, signal)) {
            return;
        }
        if (p->actions->action[signal].handler == HANDLER_DEFAULT && send_default(p, info)) {
            return;
        }
    }
    queue_put(t ? &t->signals : &p->signals, info);
    if (to) {
        notify(to);
    }
}

void signal_process(struct process *p, int signal)
{
    struct signal_info info = {.number = signal, .code = SI_KERNEL};

    signal_send(p, NULL, &info);
}

void signal_group(int pgid, int signal)
{
    for (struct process *p = process_next(NULL); p; p = process_next(p)) {
        if (p->pgid == pgid) {
            signal_process(p, signal);
        }
    }
}

long signal_set_at_restart(struct process *p, long signal)
{
    if (signal < 0 || signal > SIGNALS) {
        return -EINVAL;
    }
    p->restart_signal = (int)signal;
    return 0;
}

void signal_restarted(void)
{
    for (struct process *p = process_next(NULL); p; p = process_next(p)) {
        struct signal_info info = {.number = p->restart_signal, .code = SI_USER};

        if (info.number) {
            signal_send(p, NULL, &info);
        }
    }
}

void signal_fault(struct thread *t, int signal, int code, uint64_t address)
{
    struct process *p = t->process;
    struct signal_action *a = &p->actions->action[signal];
    struct signal_info info = {.number = signal, .code = code, .fault = {address}};

    if ((t->mask & SIGNAL_BIT(signal)) || a->handler <= HANDLER_IGNORE) {
        process_doom(p, signal | 0x80);
        return;
    }
    signal_flush(&t->signals, SIGNAL_BIT(signal));
    queue_put(&t->signals, &info);
    t->attention = true;
}

void signal_child(struct process *child, int code, int status)
{
    struct process *parent = child->parent;
    int signal = child->exit_signal;
    struct signal_info info = {.code = code};

    if (code == CLD_STOPPED || code == CLD_CONTINUED || code == CLD_TRAPPED) {
        signal = SIGCHLD;
    }
    if (!parent || parent->state != PROCESS_ALIVE || signal <= 0 || signal > SIGNALS) {
        return;
    }
    if (signal == SIGCHLD && (code == CLD_STOPPED || code == CLD_CONTINUED) &&
        (parent->actions->action[SIGCHLD].flags & SA_NOCLDSTOP)) {
        return;
    }
    info.number = signal;
    info.from.pid = child->pid;
    info.from.value = (uint32_t)status;
    signal_send(parent, NULL, &info);
}

long signal_background(int signal)
{
    struct process *p = current->process;

    if ((current->mask & SIGNAL_BIT(signal)) || signal_ignored(p, signal)) {
        return signal == SIGTTIN ? -EIO : 0;
    }
    if (process_group_is_orphaned(p->pgid, p->sid)) {
        return -EIO;
    }
    signal_group(p->pgid, signal);
    current->interrupted = true;
    return -EINTR;
}
