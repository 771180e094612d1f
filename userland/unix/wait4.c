/*
 * wait4 and waitid.
 */
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "process.h"

/** What a child has to tell. */
struct report {
    struct process *child;
    int code;   /* CLD_* */
    int status; /* as wait4 gives it */
};

static bool child_matches(const struct process *c, int64_t pid)
{
    if (c->adopted) {
        return false;
    }
    if (pid > 0) {
        return c->pid == pid;
    }
    if (pid == 0) {
        return c->pgid == current->process->pgid;
    }
    return pid == -1 || c->pgid == -pid;
}

/** @param what WEXITED, WSTOPPED, WCONTINUED @return whether the child has something of it to tell
 */
static bool child_reports(struct process *c, int what, struct report *r)
{
    r->child = c;
    if (c->state == PROCESS_ZOMBIE && (what & WEXITED)) {
        r->code = !(c->status & 0x7f) ? CLD_EXITED : c->status & 0x80 ? CLD_DUMPED : CLD_KILLED;
        r->status = c->status;
        return true;
    }
    if (c->stopped && !c->stop_reported && (what & WSTOPPED)) {
        r->code = CLD_STOPPED;
        r->status = c->stop_signal << 8 | 0x7f;
        return true;
    }
    if (!c->continue_reported && (what & WCONTINUED)) {
        r->code = CLD_CONTINUED;
        r->status = 0xffff;
        return true;
    }
    return false;
}

/** @return 1 found, 0 not yet, -ECHILD */
static int find_report(int64_t pid, int what, struct report *r)
{
    bool any = false;

    for (struct process *c = current->process->children; c; c = c->sibling) {
        if (!child_matches(c, pid)) {
            continue;
        }
        any = true;
        if (child_reports(c, what, r)) {
            return 1;
        }
    }
    return any ? 0 : -ECHILD;
}

static void consume(const struct report *r)
{
    struct process *c = r->child, *p = current->process;
    uint64_t user, system;

    if (r->code == CLD_STOPPED) {
        c->stop_reported = true;
    } else if (r->code == CLD_CONTINUED) {
        c->continue_reported = true;
    } else {
        process_ticks(c, &user, &system);
        p->children_user_ticks += user + c->children_user_ticks;
        p->children_system_ticks += system + c->children_system_ticks;
        process_free(c);
    }
}

static int usage_write(uint64_t address, const struct process *c)
{
    struct rusage u = {0};
    uint64_t user, system;

    process_ticks(c, &user, &system);
    user = ticks_to_ns(user) / 1000;
    system = ticks_to_ns(system) / 1000;
    u.ru_utime.tv_sec = (time_t)(user / 1000000);
    u.ru_utime.tv_usec = (long)(user % 1000000);
    u.ru_stime.tv_sec = (time_t)(system / 1000000);
    u.ru_stime.tv_usec = (long)(system % 1000000);
    return user_write(address, &u, offsetof(struct rusage, __reserved));
}

CALL(wait4)
{
    struct report r;
    int what = WEXITED | (c & WUNTRACED ? WSTOPPED : 0) | (c & WCONTINUED ? WCONTINUED : 0);
    int found = find_report((int)a, what, &r);
    int pid;

    if (found < 0) {
        return found;
    }
    if (!found) {
        return c & WNOHANG ? 0 : wait_on(&current->process->child_queue, BW_NO_DEADLINE);
    }
    if (b && user_write(b, &r.status, sizeof r.status)) {
        return -EFAULT;
    }
    if (d && usage_write(d, r.child)) {
        return -EFAULT;
    }
    pid = r.child->pid;
    consume(&r);
    return pid;
}

static int64_t waitid_pid(uint64_t type, uint64_t id)
{
    switch (type) {
    case P_ALL:
        return -1;
    case P_PID:
        return (int)id;
    case P_PGID:
        return id ? -(int64_t)(int)id : 0;
    default:
        return INT64_MIN;
    }
}

CALL(waitid)
{
    struct signal_info info = {.number = SIGCHLD};
    struct report r;
    int64_t pid = waitid_pid(a, b);
    int found;

    if (pid == INT64_MIN || !(d & (WEXITED | WSTOPPED | WCONTINUED))) {
        return -EINVAL;
    }
    found = find_report(pid, (int)d, &r);
    if (found < 0) {
        return found;
    }
    if (!found) {
        memset(&info, 0, sizeof info);
        if (d & WNOHANG) {
            return c && user_write(c, &info, sizeof info) ? -EFAULT : 0;
        }
        return wait_on(&current->process->child_queue, BW_NO_DEADLINE);
    }
    info.code = r.code;
    info.from.pid = r.child->pid;
    info.from.value = (uint32_t)(r.code == CLD_EXITED      ? r.status >> 8 & 0xff
                                 : r.code == CLD_CONTINUED ? SIGCONT
                                 : r.code == CLD_STOPPED   ? r.status >> 8
                                                           : r.status & 0x7f);
    if ((c && user_write(c, &info, sizeof info)) || (e && usage_write(e, r.child))) {
        return -EFAULT;
    }
    if (!(d & WNOWAIT)) {
        consume(&r);
    }
    return 0;
}
