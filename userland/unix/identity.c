/*
 * Who and where a process is: ids, groups, sessions, limits, scheduling, names. There is one user,
 * root.
 */
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include "files.h"
#include "process.h"

#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004
#define NAME_SIZE   65

static char host_name[NAME_SIZE] = "bailiwick";
static char domain_name[NAME_SIZE] = "(none)";

CALL(getpid)
{
    return current->process->pid;
}

CALL(gettid)
{
    return current->tid;
}

CALL(getppid)
{
    struct process *parent = current->process->parent;

    return parent ? parent->pid : 0;
}

#define ALWAYS_ZERO(name)                                                                          \
    CALL(name)                                                                                     \
    {                                                                                              \
        return 0;                                                                                  \
    }
ALWAYS_ZERO(getuid)
ALWAYS_ZERO(getgid)
ALWAYS_ZERO(geteuid)
ALWAYS_ZERO(getegid)
ALWAYS_ZERO(setfsuid)
ALWAYS_ZERO(setfsgid)
ALWAYS_ZERO(setgroups)
ALWAYS_ZERO(getgroups)
ALWAYS_ZERO(sched_getscheduler)
ALWAYS_ZERO(sched_get_priority_min)
ALWAYS_ZERO(sched_get_priority_max)
ALWAYS_ZERO(membarrier)

static long only_root(uint64_t id)
{
    return id == 0 || (uint32_t)id == UINT32_MAX ? 0 : -EPERM;
}

CALL(setuid)
{
    return only_root(a);
}

CALL(setgid)
{
    return only_root(a);
}

CALL(setreuid)
{
    return only_root(a) ? -EPERM : only_root(b);
}

CALL(setregid)
{
    return only_root(a) ? -EPERM : only_root(b);
}

CALL(setresuid)
{
    return only_root(a) || only_root(b) ? -EPERM : only_root(c);
}

CALL(setresgid)
{
    return only_root(a) || only_root(b) ? -EPERM : only_root(c);
}

static long three_zeros(uint64_t x, uint64_t y, uint64_t z)
{
    uint32_t zero = 0;

    return user_write(x, &zero, 4) || user_write(y, &zero, 4) || user_write(z, &zero, 4) ? -EFAULT
                                                                                         : 0;
}

CALL(getresuid)
{
    return three_zeros(a, b, c);
}

CALL(getresgid)
{
    return three_zeros(a, b, c);
}

CALL(capget)
{
    uint32_t all[6] = {~0u, ~0u, 0, ~0u, ~0u, 0};

    return b ? user_write(b, all, sizeof all) : 0;
}

CALL(capset)
{
    return 0;
}

/* --- groups and sessions ---------------------------------------------------------------------- */

static struct process *named(uint64_t pid)
{
    return (int)pid ? process_find((int)pid) : current->process;
}

static bool group_exists_in(int pgid, int sid)
{
    for (struct process *p = process_next(NULL); p; p = process_next(p)) {
        if (p->pgid == pgid && p->sid == sid) {
            return true;
        }
    }
    return false;
}

CALL(setpgid)
{
    struct process *self = current->process, *p = named(a);
    int pgid = (int)b ? (int)b : p ? p->pid : 0;

    if ((int)b < 0) {
        return -EINVAL;
    }
    if (!p || p->state != PROCESS_ALIVE || (p != self && p->parent != self)) {
        return -ESRCH;
    }
    if (p != self && p->did_exec) {
        return -EACCES;
    }
    if (p->sid != self->sid || p->sid == p->pid ||
        (pgid != p->pid && !group_exists_in(pgid, self->sid))) {
        return -EPERM;
    }
    p->pgid = pgid;
    return 0;
}

CALL(getpgid)
{
    struct process *p = named(a);

    return p ? p->pgid : -ESRCH;
}

CALL(getpgrp)
{
    return current->process->pgid;
}

CALL(getsid)
{
    struct process *p = named(a);

    return p ? p->sid : -ESRCH;
}

CALL(setsid)
{
    struct process *self = current->process;

    for (struct process *p = process_next(NULL); p; p = process_next(p)) {
        if (p->pgid == self->pid) {
            return -EPERM;
        }
    }
    self->pgid = self->sid = self->pid;
    return self->pid;
}

/* --- limits and use --------------------------------------------------------------------------- */

static long limit_get(const struct process *p, uint64_t which, uint64_t to)
{
    return which >= RESOURCE_LIMITS ? -EINVAL
                                    : user_write(to, &p->limit[which], sizeof p->limit[which]);
}

static long limit_set(struct process *p, uint64_t which, uint64_t from)
{
    struct resource_limit l;

    if (which >= RESOURCE_LIMITS) {
        return -EINVAL;
    }
    if (user_read(&l, from, sizeof l)) {
        return -EFAULT;
    }
    if (l.soft > l.hard) {
        return -EINVAL;
    }
    p->limit[which] = l;
    return 0;
}

CALL(getrlimit)
{
    return limit_get(current->process, a, b);
}

CALL(setrlimit)
{
    return limit_set(current->process, a, b);
}

CALL(prlimit64)
{
    struct process *p = named(a);
    struct resource_limit old;
    long r = 0;

    if (!p) {
        return -ESRCH;
    }
    if (b >= RESOURCE_LIMITS) {
        return -EINVAL;
    }
    old = p->limit[b];
    if (c) {
        r = limit_set(p, b, c);
    }
    if (!r && d) {
        r = user_write(d, &old, sizeof old);
    }
    return r;
}

CALL(getrusage)
{
    struct process *p = current->process;
    struct rusage u = {0};
    uint64_t user, system;

    switch ((int)a) {
    case RUSAGE_SELF:
        process_ticks(p, &user, &system);
        break;
    case RUSAGE_CHILDREN:
        user = p->children_user_ticks;
        system = p->children_system_ticks;
        break;
    case 1: /* RUSAGE_THREAD */
        user = current->user_ticks;
        system = current->system_ticks;
        break;
    default:
        return -EINVAL;
    }
    user = ticks_to_ns(user) / 1000;
    system = ticks_to_ns(system) / 1000;
    u.ru_utime.tv_sec = (time_t)(user / 1000000);
    u.ru_utime.tv_usec = (long)(user % 1000000);
    u.ru_stime.tv_sec = (time_t)(system / 1000000);
    u.ru_stime.tv_usec = (long)(system % 1000000);
    u.ru_maxrss = (long)(p->space->resident * (PAGE / 1024));
    u.ru_minflt = (long)p->faults;
    return user_write(b, &u, offsetof(struct rusage, __reserved));
}

CALL(sysinfo)
{
    struct sysinfo s = {0};
    uint64_t kib;

    s.uptime = time_boottime() / 1000000000ull;
    system_memory(&kib, NULL);
    s.totalram = kib;
    system_memory(NULL, &kib);
    s.freeram = kib;
    s.mem_unit = 1024;
    s.procs = (unsigned short)process_count();
    return user_write(a, &s, 112);
}

/* --- scheduling ------------------------------------------------------------------------------- */

CALL(getpriority)
{
    return 20;
}

CALL(setpriority)
{
    return 0;
}

/** A thread that needs attention is not answered by the event's reply, with which it would run at
 * once, but resumed, which puts it behind the others. */
CALL(sched_yield)
{
    current->attention = true;
    return 0;
}

CALL(sched_getparam)
{
    int32_t zero = 0;

    return user_write(b, &zero, sizeof zero);
}

CALL(sched_setparam)
{
    return 0;
}

CALL(sched_setscheduler)
{
    return b == SCHED_OTHER || b == SCHED_BATCH || b == SCHED_IDLE ? 0 : -EPERM;
}

CALL(sched_rr_get_interval)
{
    struct user_timespec t = {0, 10000000};

    return user_write(b, &t, sizeof t);
}

CALL(sched_getaffinity)
{
    uint64_t cpus = 1;

    if (b < sizeof cpus || (b & 7)) {
        return -EINVAL;
    }
    return user_write(c, &cpus, sizeof cpus) ? -EFAULT : (long)sizeof cpus;
}

CALL(sched_setaffinity)
{
    uint8_t cpus;

    if (!b || user_read(&cpus, c, 1)) {
        return -EFAULT;
    }
    return cpus & 1 ? 0 : -EINVAL;
}

CALL(getcpu)
{
    uint32_t zero = 0;

    return (a && user_write(a, &zero, 4)) || (b && user_write(b, &zero, 4)) ? -EFAULT : 0;
}

/* --- names and the rest ----------------------------------------------------------------------- */

CALL(uname)
{
    struct utsname u = {0};

    strcpy(u.sysname, "Linux");
    strcpy(u.nodename, host_name);
    strcpy(u.release, "6.1.0-bailiwick");
    strcpy(u.version, "#1 Bailiwick");
    strcpy(u.machine, "x86_64");
    strcpy(u.domainname, domain_name);
    return user_write(a, &u, sizeof u);
}

static long name_set(char *name, uint64_t from, uint64_t length)
{
    char fresh[NAME_SIZE] = {0};

    if (length >= NAME_SIZE) {
        return -EINVAL;
    }
    if (user_read(fresh, from, length)) {
        return -EFAULT;
    }
    memcpy(name, fresh, sizeof fresh);
    return 0;
}

CALL(sethostname)
{
    return name_set(host_name, a, b);
}

CALL(setdomainname)
{
    return name_set(domain_name, a, b);
}

CALL(arch_prctl)
{
    switch (a) {
    case ARCH_SET_FS:
    case ARCH_SET_GS:
        if (b >= SPACE_TOP) {
            return -EPERM;
        }
        *(a == ARCH_SET_FS ? &user_regs->fs_base : &user_regs->gs_base) = b;
        user_regs->rax = 0;
        return RESULT_REGISTERS;
    case ARCH_GET_FS:
        return user_write(b, &user_regs->fs_base, 8);
    case ARCH_GET_GS:
        return user_write(b, &user_regs->gs_base, 8);
    default:
        return -EINVAL;
    }
}

CALL(prctl)
{
    struct process *p = current->process;
    char name[16] = {0};
    int32_t value;
    long n;

    switch (a) {
    case PR_SET_NAME:
        n = user_read_string(name, b, sizeof name);
        if (n == -EFAULT) {
            return n;
        }
        name[sizeof name - 1] = 0;
        memcpy(current->name, name, sizeof name);
        if (current->tid == p->pid) {
            memcpy(p->name, name, sizeof name);
        }
        return 0;
    case PR_GET_NAME:
        return user_write(b, current->name, sizeof current->name);
    case PR_SET_PDEATHSIG:
        if (b > SIGNALS) {
            return -EINVAL;
        }
        p->parent_death_signal = (int)b;
        return 0;
    case PR_GET_PDEATHSIG:
        value = p->parent_death_signal;
        return user_write(b, &value, sizeof value);
    case PR_GET_DUMPABLE:
        return !p->dumpable_off;
    case PR_SET_DUMPABLE:
        p->dumpable_off = !b;
        return 0;
    case PR_CAPBSET_READ:
        return b <= 40 ? 1 : -EINVAL;
    case PR_GET_NO_NEW_PRIVS:
    case PR_GET_KEEPCAPS:
    case PR_GET_SECCOMP:
        return 0;
    case PR_SET_NO_NEW_PRIVS:
    case PR_SET_KEEPCAPS:
    case PR_SET_TIMERSLACK:
        return 0;
    default:
        return -EINVAL;
    }
}

CALL(set_tid_address)
{
    current->clear_tid = a;
    return current->tid;
}

CALL(personality)
{
    uint64_t old = current->process->personality;

    if ((uint32_t)a != UINT32_MAX) {
        current->process->personality = (uint32_t)a;
    }
    return (long)old;
}

CALL(restart_syscall)
{
    return -EINTR; /* calls are run again by the personality itself, never through this */
}

CALL(getrandom)
{
    uint8_t block[256];
    uint64_t done = 0;

    if (c & ~7ull) {
        return -EINVAL;
    }
    if (b > 0x1ffffff) {
        b = 0x1ffffff;
    }
    while (done < b) {
        size_t step = b - done < sizeof block ? b - done : sizeof block;

        random_bytes(block, step);
        if (user_write(a + done, block, step)) {
            return done ? (long)done : -EFAULT;
        }
        done += step;
    }
    return (long)done;
}
