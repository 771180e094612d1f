/*
 * fork, vfork, clone, exit.
 */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "process.h"

/* About so many objects a new process takes at once, and a new thread. */
#define FORK_OBJECTS   24u
#define THREAD_OBJECTS 4u

struct clone_request {
    uint64_t flags;
    uint64_t stack; /* 0: the parent's */
    uint64_t parent_tid, child_tid, tls;
    int exit_signal;
};

struct clone3_arguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    uint64_t set_tid, set_tid_size, cgroup;
};

static int share_or_copy(struct process *child, struct process *parent, uint64_t flags)
{
    child->space = flags & CLONE_VM ? space_share(parent->space) : space_fork(parent->space);
    child->files = flags & CLONE_FILES ? files_share(parent->files) : files_clone(parent->files);
    child->directory =
        flags & CLONE_FS ? directory_share(parent->directory) : directory_clone(parent->directory);
    if (flags & CLONE_SIGHAND) {
        child->actions = parent->actions;
        child->actions->references++;
    } else {
        child->actions = signal_actions_new();
        if (child->actions) {
            memcpy(child->actions->action, parent->actions->action, sizeof child->actions->action);
        }
    }
    if (parent->executable) {
        file_hold(parent->executable);
        child->executable = parent->executable;
    }
    return child->space && child->files && child->directory && child->actions ? 0 : -ENOMEM;
}

static void undo(struct process *child)
{
    process_end_threads(child, NULL);
    if (child->files) {
        files_release(child->files);
    }
    if (child->directory) {
        directory_release(child->directory);
    }
    if (child->space) {
        space_release(child->space);
    }
    if (child->actions) {
        signal_actions_release(child->actions);
    }
    if (child->executable) {
        file_release(child->executable);
    }
    process_free(child);
}

static bool flags_are_good(uint64_t flags)
{
    if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM)) {
        return false;
    }
    if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND)) {
        return false;
    }
    return !(flags & (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                      CLONE_NEWNET | CLONE_NEWCGROUP));
}

/** What is the child's alone, and its start. */
static void launch(struct thread *t, const struct clone_request *r)
{
    struct regs regs = *user_regs;
    int32_t tid = t->tid;

    if (r->flags & CLONE_PARENT_SETTID) {
        user_write(r->parent_tid, &tid, sizeof tid);
    }
    if (r->flags & CLONE_CHILD_SETTID) {
        space_write(t->process->space, r->child_tid, &tid, sizeof tid);
    }
    if (r->flags & CLONE_CHILD_CLEARTID) {
        t->clear_tid = r->child_tid;
    }
    t->mask = current->mask;
    memcpy(t->name, current->name, sizeof t->name);
    if (!(r->flags & CLONE_VM) || (r->flags & CLONE_VFORK)) {
        t->stack_base = current->stack_base;
        t->stack_size = current->stack_size;
    }
    if (!r->stack && !(r->flags & CLONE_SETTLS)) {
        thread_resume_value(t, 0);
        return;
    }
    regs.rax = 0;
    if (r->stack) {
        regs.rsp = r->stack;
    }
    if (r->flags & CLONE_SETTLS) {
        regs.fs_base = r->tls;
    }
    thread_resume_regs(t, &regs);
}

static long clone_thread(const struct clone_request *r)
{
    struct thread *t;
    int error = space_take(SPACE_PROCESS, THREAD_OBJECTS)
                    ? thread_new(current->process, current, &t)
                    : -EAGAIN;

    if (error) {
        return error;
    }
    launch(t, r);
    return t->tid;
}

static long clone_process(const struct clone_request *r)
{
    struct process *parent = current->process, *child;
    struct thread *t;

    if (process_count() >= parent->limit[6].soft) {
        return -EAGAIN;
    }
    if (!space_take(SPACE_PROCESS, FORK_OBJECTS)) {
        return -ENOMEM;
    }
    child = process_new(r->flags & CLONE_PARENT && parent->parent ? parent->parent : parent);
    if (!child) {
        return -EAGAIN;
    }
    child->exit_signal = r->exit_signal;
    if (share_or_copy(child, parent, r->flags)) {
        undo(child);
        return -ENOMEM;
    }
    if (thread_new(child, current, &t)) {
        undo(child);
        return -EAGAIN;
    }
    if (r->flags & CLONE_VFORK) {
        child->vfork_parent = current;
    }
    launch(t, r);
    return child->pid;
}

/** The parent of a vfork waits until the child has its own memory; signals wait with it. */
static long vfork_wait(void)
{
    struct process *child = process_find((int)current->progress);

    if (child && child->vfork_parent == current && wait_in(&child->vfork_queue) == BLOCKED) {
        return BLOCKED;
    }
    return (long)current->progress;
}

static long clone_any(const struct clone_request *r)
{
    long pid;

    if (current->progress) {
        return vfork_wait();
    }
    if (!flags_are_good(r->flags)) {
        return -EINVAL;
    }
    if (r->flags & CLONE_THREAD) {
        return clone_thread(r);
    }
    pid = clone_process(r);
    if (pid > 0 && (r->flags & CLONE_VFORK)) {
        current->progress = (uint64_t)pid;
        return vfork_wait();
    }
    return pid;
}

CALL(fork)
{
    struct clone_request r = {.exit_signal = SIGCHLD};

    return clone_any(&r);
}

CALL(vfork)
{
    struct clone_request r = {.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD};

    return clone_any(&r);
}

CALL(clone)
{
    struct clone_request r = {.flags = a & ~0xffull,
                              .stack = b,
                              .parent_tid = c,
                              .child_tid = d,
                              .tls = e,
                              .exit_signal = (int)(a & 0xff)};

    return clone_any(&r);
}

CALL(clone3)
{
    struct clone3_arguments args = {0};
    struct clone_request r;

    if (b < 64 || b > 4096) {
        return -EINVAL;
    }
    if (user_read(&args, a, b < sizeof args ? b : sizeof args)) {
        return -EFAULT;
    }
    if (args.set_tid_size || (args.flags & 0xff) || args.exit_signal > SIGNALS) {
        return -EINVAL;
    }
    r = (struct clone_request){.flags = args.flags,
                               .stack = args.stack ? args.stack + args.stack_size : 0,
                               .parent_tid = args.parent_tid,
                               .child_tid = args.child_tid,
                               .tls = args.tls,
                               .exit_signal = (int)args.exit_signal};
    return clone_any(&r);
}

/* --- exit ------------------------------------------------------------------------------------- */

CALL(exit_group)
{
    process_doom(current->process, (int)(a & 0xff) << 8);
    return 0;
}

CALL(exit)
{
    if (current->process->thread_count == 1) {
        process_doom(current->process, (int)(a & 0xff) << 8);
        return 0;
    }
    thread_exit_current();
    return RESULT_ENDED;
}
