/*
 * The way back to user mode: what becomes of a thread when its handler has a result (process.h
 * lists the states), and the taking of signals on that way.
 */
#include <signal.h>
#include "process.h"
#include <bailiwick/runtime.h>

#define HANDLER_IGNORE 1u
#define SYSCALL_LENGTH 2u

/** Puts a finished call's result into the registers. */
static void settle_result(struct thread *t, long *result)
{
    if (*result != RESULT_REGISTERS && *result != RESULT_RETRY) {
        t->regs.rax = (uint64_t)*result;
        *result = RESULT_REGISTERS;
    }
}

static unsigned restart_of(const struct thread *t)
{
    return t->regs.rax < CALLS ? calls[t->regs.rax].restart : (unsigned)RESTART_NO;
}

/** Was the call cut short by a signal, and how may it be run again? */
static unsigned interrupted_how(const struct thread *t, long result)
{
    if (result == INTERRUPTED) {
        return RESTART_NO_HANDLER;
    }
    return result == -EINTR && t->interrupted ? restart_of(t) : (unsigned)RESTART_NO;
}

/** Runs a handler: result, frame, mask. @return false: the stack could not be written */
static bool enter_handler(struct thread *t, const struct signal_info *info, long *result,
                          unsigned how)
{
    struct signal_action *slot = &t->process->actions->action[info->number];
    struct signal_action action = *slot;
    uint64_t old_mask = t->mask_saved ? t->saved_mask : t->mask;
    uint64_t mask = t->mask | action.mask;

    if (how == RESTART_HANDLER && (action.flags & SA_RESTART)) {
        t->regs.rip -= SYSCALL_LENGTH; /* rax still has the number */
        *result = RESULT_REGISTERS;
    } else if (*result == INTERRUPTED) {
        *result = -EINTR;
    }
    settle_result(t, result);
    if (sigframe_push(t, &t->regs, &action, info, old_mask)) {
        return false;
    }
    *result = RESULT_REGISTERS;
    t->mask_saved = false;
    if (!(action.flags & SA_NODEFER)) {
        mask |= SIGNAL_BIT(info->number);
    }
    signal_set_mask(t, mask);
    if (action.flags & SA_RESETHAND) {
        slot->handler = 0;
    }
    return true;
}

static void hold(struct thread *t, long result)
{
    t->state = THREAD_HELD;
    t->held_in_user = t->held_rerun = false;
    t->held_result = result;
}

/** Takes one signal. @return true if a handler was entered */
static bool take_one(struct thread *t, const struct signal_info *info, long *result, unsigned how)
{
    struct process *p = t->process;
    struct signal_info again = *info;

    if (p->actions->action[info->number].handler > HANDLER_IGNORE) {
        if (!enter_handler(t, info, result, how)) {
            process_doom(p, SIGSEGV | 0x80);
        }
        return true;
    }
    if (!signal_ignored(p, info->number)) {
        signal_send(p, t, &again); /* default action, now that it is not blocked */
    }
    return false;
}

/** @return false if the thread does not go on to user mode now */
static bool take_signals(struct thread *t, long *result)
{
    struct process *p = t->process;
    struct signal_info info;
    unsigned how = interrupted_how(t, *result);
    bool handled = false;

    while (!p->doomed && !p->stopped && signal_take(t, ~t->mask, &info)) {
        handled |= take_one(t, &info, result, handled ? (unsigned)RESTART_NO : how);
    }
    if (p->doomed) {
        return false;
    }
    if (p->stopped) {
        hold(t, *result);
        return false;
    }
    t->attention = false;
    if (!handled && how != RESTART_NO) {
        t->interrupted = false;
        wait_make_ready(t);
        return false;
    }
    return true;
}

void deliver_result(struct thread *t, long result)
{
    struct process *p = t->process;

    if (p->doomed) {
        return;
    }
    if (result == BLOCKED) {
        t->state = THREAD_WAITING;
        return;
    }
    if (p->stopped) {
        hold(t, result);
        return;
    }
    if ((t->attention || result == INTERRUPTED) && !take_signals(t, &result)) {
        return;
    }
    if (t->mask_saved) {
        t->mask_saved = false;
        signal_set_mask(t, t->saved_mask);
        if (t->attention && !take_signals(t, &result)) {
            return;
        }
    }
    if (result == RESULT_REGISTERS) {
        thread_resume_regs(t, &t->regs);
    } else if (result == RESULT_RETRY) {
        thread_resume_retry(t);
    } else {
        thread_resume_value(t, (uint64_t)(result == INTERRUPTED ? -EINTR : result));
    }
}

/** Stops a domain that runs in user mode and takes its registers. */
static bool halt(struct thread *t)
{
    struct message m = {.code = DOMAIN_STOP};

    return bw_call(thread_key(t), &m) == BW_OK;
}

void deliver_interrupt(struct thread *t)
{
    struct message m = {.code = DOMAIN_GET_REGS, .buffer = &t->regs, .size = sizeof t->regs};

    if (!halt(t) || bw_call(thread_key(t), &m) != BW_OK) {
        return;
    }
    t->state = THREAD_SERVED;
    deliver_result(t, RESULT_RETRY);
}

void process_stop(struct process *p, int signal)
{
    if (p->stopped || p->doomed) {
        return;
    }
    p->stopped = true;
    p->stop_signal = signal;
    p->stop_reported = false;
    p->continue_reported = true;
    for (struct thread *t = p->threads; t; t = t->next_in_process) {
        t->attention = true;
        if (t->state == THREAD_RUNNING && halt(t)) {
            t->state = THREAD_HELD;
            t->held_in_user = true;
            t->held_rerun = false;
        }
    }
    if (p->parent) {
        signal_child(p, CLD_STOPPED, signal);
        wake_all(&p->parent->child_queue);
    }
}

void deliver_release(struct thread *t)
{
    struct message m = {.code = DOMAIN_GET_REGS, .buffer = &t->regs, .size = sizeof t->regs};

    if (t->held_rerun) {
        wait_make_ready(t);
        return;
    }
    t->state = THREAD_SERVED;
    if (t->held_in_user) {
        if (bw_call(thread_key(t), &m) != BW_OK) {
            return;
        }
        t->held_result = RESULT_RETRY;
    }
    deliver_result(t, t->held_result);
}

void process_continue(struct process *p)
{
    if (!p->stopped) {
        return;
    }
    p->stopped = false;
    p->stop_reported = true;
    p->continue_reported = false;
    for (struct thread *t = p->threads; t; t = t->next_in_process) {
        if (t->state == THREAD_HELD) {
            deliver_release(t);
        }
    }
    if (p->parent) {
        signal_child(p, CLD_CONTINUED, SIGCONT);
        wake_all(&p->parent->child_queue);
    }
}
