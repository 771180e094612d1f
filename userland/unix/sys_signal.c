/*
 * System calls on signals.
 */
#include <signal.h>
#include <string.h>
#include "process.h"

#define SET_SIZE     8u
#define NEVER_CAUGHT (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP))

CALL(rt_sigaction)
{
    struct process *p = current->process;
    struct signal_action old, new;
    int signal = (int)a;

    if (d != SET_SIZE || signal < 1 || signal > SIGNALS ||
        (b && (NEVER_CAUGHT & SIGNAL_BIT(signal)))) {
        return -EINVAL;
    }
    if (b && user_read(&new, b, sizeof new)) {
        return -EFAULT;
    }
    old = p->actions->action[signal];
    if (c && user_write(c, &old, sizeof old)) {
        return -EFAULT;
    }
    if (!b) {
        return 0;
    }
    new.mask &= ~NEVER_CAUGHT;
    p->actions->action[signal] = new;
    if (signal_ignored(p, signal)) {
        signal_flush(&p->signals, SIGNAL_BIT(signal));
        for (struct thread *t = p->threads; t; t = t->next_in_process) {
            signal_flush(&t->signals, SIGNAL_BIT(signal));
        }
    }
    return 0;
}

CALL(rt_sigprocmask)
{
    struct thread *t = current;
    uint64_t old = t->mask, set;

    if (d != SET_SIZE) {
        return -EINVAL;
    }
    if (b) {
        if (user_read(&set, b, sizeof set)) {
            return -EFAULT;
        }
        switch (a) {
        case SIG_BLOCK:
            set |= old;
            break;
        case SIG_UNBLOCK:
            set = old & ~set;
            break;
        case SIG_SETMASK:
            break;
        default:
            return -EINVAL;
        }
    }
    if (c && user_write(c, &old, sizeof old)) {
        return -EFAULT;
    }
    if (b) {
        signal_set_mask(t, set);
    }
    return 0;
}

CALL(rt_sigpending)
{
    uint64_t set = (current->signals.pending | current->process->signals.pending) & current->mask;

    return b > SET_SIZE ? -EINVAL : user_write(a, &set, b);
}

CALL(rt_sigreturn)
{
    uint64_t mask;

    if (sigframe_pop(current, user_regs, &mask)) {
        process_doom(current->process, SIGSEGV | 0x80);
        return 0;
    }
    signal_set_mask(current, mask);
    return RESULT_REGISTERS;
}

/** Until the call ends, current has this mask; then (or in the frame of the handler) its own again.
 */
long signal_temporary_mask(uint64_t address, uint64_t size)
{
    struct thread *t = current;
    uint64_t mask;

    if (!address) {
        return 0;
    }
    if (size != SET_SIZE) {
        return -EINVAL;
    }
    if (user_read(&mask, address, sizeof mask)) {
        return -EFAULT;
    }
    if (!t->mask_saved) {
        t->saved_mask = t->mask;
        t->mask_saved = true;
    }
    signal_set_mask(t, mask);
    return 0;
}

CALL(rt_sigsuspend)
{
    long error = a ? signal_temporary_mask(a, b) : -EFAULT;
    long r;

    if (error) {
        return error;
    }
    r = wait_alone(BW_NO_DEADLINE);
    return r == -EINTR ? INTERRUPTED : r;
}

CALL(pause)
{
    long r = wait_alone(BW_NO_DEADLINE);

    return r == -EINTR ? INTERRUPTED : r;
}

/** Takes a signal of `set`, which is blocked. @return its number, 0: none */
static long take_wanted(uint64_t set, uint64_t info_address)
{
    struct signal_info info;

    if (!signal_take(current, set, &info)) {
        return 0;
    }
    if (info_address && user_write(info_address, &info, sizeof info)) {
        return -EFAULT;
    }
    return info.number;
}

CALL(rt_sigtimedwait)
{
    struct thread *t = current;
    uint64_t set;
    bw_time_t timeout = BW_NO_DEADLINE;
    long r;

    if (d != SET_SIZE) {
        return -EINVAL;
    }
    if (user_read(&set, a, sizeof set) || (c && timespec_read(c, &timeout))) {
        return -EFAULT;
    }
    set &= ~NEVER_CAUGHT;
    t->wanted = 0;
    r = take_wanted(set, b);
    if (r) {
        return r;
    }
    if (t->timed_out || timeout == 0) {
        return -EAGAIN;
    }
    if (!t->progress) {
        t->progress = c ? time_monotonic() + timeout : BW_NO_DEADLINE;
    }
    r = wait_alone(t->progress);
    if (r == BLOCKED) {
        t->wanted = set;
    }
    return r == -EINTR ? INTERRUPTED : r;
}

CALL(sigaltstack)
{
    struct {
        uint64_t base;
        int32_t flags, pad;
        uint64_t size;
    } stack;
    struct thread *t = current;
    bool in_use = user_regs->rsp > t->stack_base && user_regs->rsp - t->stack_base <= t->stack_size;
    uint64_t old_base = t->stack_base, old_size = t->stack_size;

    if (a) {
        if (user_read(&stack, a, sizeof stack)) {
            return -EFAULT;
        }
        if (in_use) {
            return -EPERM;
        }
        if (stack.flags & ~(SS_DISABLE | SS_ONSTACK)) {
            return -EINVAL;
        }
        if (!(stack.flags & SS_DISABLE) && stack.size < 2048) {
            return -ENOMEM;
        }
        t->stack_base = stack.base;
        t->stack_size = stack.flags & SS_DISABLE ? 0 : stack.size;
    }
    if (b) {
        memset(&stack, 0, sizeof stack);
        stack.base = old_base;
        stack.size = old_size;
        stack.flags = !old_size ? SS_DISABLE : in_use ? SS_ONSTACK : 0;
        return user_write(b, &stack, sizeof stack);
    }
    return 0;
}

/* --- sending ---------------------------------------------------------------------------------- */

static struct signal_info from_user(int signal, int code)
{
    struct signal_info info = {.number = signal, .code = code};

    info.from.pid = current->process->pid;
    return info;
}

static void send_if(struct process *p, int signal)
{
    struct signal_info info = from_user(signal, SI_USER);

    if (signal) {
        signal_send(p, NULL, &info);
    }
}

CALL(kill)
{
    int pid = (int)a, signal = (int)b;
    bool found = false;

    if (signal < 0 || signal > SIGNALS) {
        return -EINVAL;
    }
    if (pid > 0) {
        struct process *p = process_find(pid);

        if (!p) {
            return -ESRCH;
        }
        send_if(p, signal);
        return 0;
    }
    for (struct process *p = process_next(NULL); p; p = process_next(p)) {
        bool match = pid == 0    ? p->pgid == current->process->pgid
                     : pid == -1 ? p != init_process && p != current->process
                                 : p->pgid == -pid;

        if (match) {
            found = true; /* an ended one counts until it has been waited for */
            send_if(p, signal);
        }
    }
    return found ? 0 : -ESRCH;
}

static long send_to_thread(int tgid, int tid, int signal, struct signal_info *info)
{
    struct thread *t = thread_find(tid);

    if (signal < 0 || signal > SIGNALS || tid <= 0) {
        return -EINVAL;
    }
    if (!t || (tgid > 0 && t->process->pid != tgid)) {
        return -ESRCH;
    }
    if (signal) {
        signal_send(t->process, t, info);
    }
    return 0;
}

CALL(tkill)
{
    struct signal_info info = from_user((int)b, SI_TKILL);

    return send_to_thread(0, (int)a, (int)b, &info);
}

CALL(tgkill)
{
    struct signal_info info = from_user((int)c, SI_TKILL);

    return (int)a <= 0 ? -EINVAL : send_to_thread((int)a, (int)b, (int)c, &info);
}

CALL(rt_sigqueueinfo)
{
    struct process *p = process_find((int)a);
    struct signal_info info;

    if ((int)b < 0 || (int)b > SIGNALS) {
        return -EINVAL;
    }
    if (user_read(&info, c, sizeof info)) {
        return -EFAULT;
    }
    if (!p) {
        return -ESRCH;
    }
    if (info.code >= 0 && p != current->process) {
        return -EPERM;
    }
    info.number = (int)b;
    if (b) {
        signal_send(p, NULL, &info);
    }
    return 0;
}

CALL(rt_tgsigqueueinfo)
{
    struct signal_info info;

    if (user_read(&info, d, sizeof info)) {
        return -EFAULT;
    }
    if (info.code >= 0 && (int)a != current->process->pid) {
        return -EPERM;
    }
    info.number = (int)c;
    return send_to_thread((int)a, (int)b, (int)c, &info);
}
