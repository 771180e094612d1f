/*
 * The text of /proc files about processes and the machine.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "files.h"
#include "machine.h"
#include "process.h"

#define CLOCK_TICK 10000000ull
#define SECOND     1000000000ull

static char state_of(const struct process *p)
{
    if (p->state == PROCESS_ZOMBIE) {
        return 'Z';
    }
    if (p->stopped) {
        return 'T';
    }
    for (const struct thread *t = p->threads; t; t = t->next_in_process) {
        if (t->state != THREAD_WAITING) {
            return 'R';
        }
    }
    return 'S';
}

static int parent_pid(const struct process *p)
{
    return p->parent ? p->parent->pid : 0;
}

static uint64_t pages_of(const struct process *p)
{
    return p->space ? area_total(p->space) / PAGE : 0;
}

static uint64_t resident(const struct process *p)
{
    return p->space ? p->space->resident : 0;
}

static long stat_text(struct process *p, char *buf, size_t size)
{
    uint64_t user, system;
    int foreground;
    uint32_t tty = tty_of_session(p->sid, &foreground);

    process_ticks(p, &user, &system);
    return snprintf(
        buf, size,
        "%d (%s) %c %d %d %d %u %d 0 %lu 0 0 0 %lu %lu %lu %lu 20 0 %u 0 %lu %lu %lu "
        "18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 %d 0 0 0 0 0 0 0 0 0 0 0 0 0 %d\n",
        p->pid, p->name, state_of(p), parent_pid(p), p->pgid, p->sid, tty, foreground, p->faults,
        ticks_to_ns(user) / CLOCK_TICK, ticks_to_ns(system) / CLOCK_TICK,
        ticks_to_ns(p->children_user_ticks) / CLOCK_TICK,
        ticks_to_ns(p->children_system_ticks) / CLOCK_TICK, p->thread_count,
        p->started / CLOCK_TICK, pages_of(p) * PAGE, resident(p), SIGCHLD, p->status);
}

static const char *state_name(char state)
{
    switch (state) {
    case 'R':
        return "R (running)";
    case 'T':
        return "T (stopped)";
    case 'Z':
        return "Z (zombie)";
    default:
        return "S (sleeping)";
    }
}

static void signal_sets(const struct process *p, uint64_t *ignored, uint64_t *caught)
{
    *ignored = *caught = 0;
    for (int i = 1; p->actions && i <= SIGNALS; i++) {
        uint64_t handler = p->actions->action[i].handler;

        *ignored |= handler == 1 ? SIGNAL_BIT(i) : 0;
        *caught |= handler > 1 ? SIGNAL_BIT(i) : 0;
    }
}

static long status_text(struct process *p, char *buf, size_t size)
{
    uint64_t ignored, caught;

    signal_sets(p, &ignored, &caught);
    return snprintf(
        buf, size,
        "Name:\t%s\nUmask:\t0022\nState:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\n"
        "TracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t64\nGroups:\t0\n"
        "VmPeak:\t%8lu kB\nVmSize:\t%8lu kB\nVmRSS:\t%8lu kB\nThreads:\t%u\n"
        "SigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\nSigIgn:\t%016lx\n"
        "SigCgt:\t%016lx\n",
        p->name, state_name(state_of(p)), p->pid, p->pid, parent_pid(p), pages_of(p) * 4,
        pages_of(p) * 4, resident(p) * 4, p->thread_count,
        p->threads ? p->threads->signals.pending : 0, p->signals.pending,
        p->threads ? p->threads->mask : 0, ignored, caught);
}

static long statm_text(struct process *p, char *buf, size_t size)
{
    return snprintf(buf, size, "%lu %lu 0 0 0 %lu 0\n", pages_of(p), resident(p), pages_of(p));
}

static long area_text(const struct space *s, const struct area *v, char *buf, size_t size)
{
    char name[256] = "";
    long n;

    if (v->file) {
        n = file_path(v->file, name, sizeof name - 1);
        name[n > 0 ? n : 0] = 0;
    } else if (v->flags & AREA_HEAP) {
        strcpy(name, "[heap]");
    } else if (v->flags & AREA_STACK) {
        strcpy(name, "[stack]");
    }
    (void)s;
    return snprintf(buf, size, "%08lx-%08lx %c%c%c%c %08lx 00:%02x %-10u %s\n", v->start, v->end,
                    v->prot & VM_READ ? 'r' : '-', v->prot & VM_WRITE ? 'w' : '-',
                    v->prot & VM_EXEC ? 'x' : '-', v->flags & AREA_SHARED ? 's' : 'p', v->offset,
                    v->file ? 1 : 0, v->file ? file_inode(v->file) : 0, name);
}

static long maps_text(struct process *p, char *buf, size_t size)
{
    size_t length = 0;

    for (unsigned i = 0; p->space && i < p->space->areas; i++) {
        long n = area_text(p->space, &p->space->area[i], buf + length, size - length);

        if ((size_t)n >= size - length) {
            break;
        }
        length += (size_t)n;
    }
    return (long)length;
}

static long arguments_text(struct process *p, uint64_t from, uint64_t to, char *buf, size_t size)
{
    size_t n = to - from;

    if (!p->space) {
        return 0;
    }
    return (long)space_read(p->space, buf, from, n < size ? n : size);
}

long process_describe(struct process *p, const char *what, char *buf, size_t size)
{
    long n = -ENOENT;

    if (!strcmp(what, "stat")) {
        n = stat_text(p, buf, size);
    } else if (!strcmp(what, "status")) {
        n = status_text(p, buf, size);
    } else if (!strcmp(what, "statm")) {
        n = statm_text(p, buf, size);
    } else if (!strcmp(what, "maps")) {
        return maps_text(p, buf, size);
    } else if (!strcmp(what, "restart_signal")) {
        n = snprintf(buf, size, "%d\n", p->restart_signal);
    } else if (!strcmp(what, "comm")) {
        n = snprintf(buf, size, "%s\n", p->name);
    } else if (!strcmp(what, "cmdline")) {
        return arguments_text(p, p->arguments, p->arguments_end, buf, size);
    } else if (!strcmp(what, "environ")) {
        return arguments_text(p, p->arguments_end, p->environment_end, buf, size);
    }
    return n >= (long)size ? (long)size - 1 : n;
}

long process_readlink(struct process *p, const char *what, char *buf, size_t size)
{
    if (!strcmp(what, "exe") && p->executable) {
        return file_path(p->executable, buf, size);
    }
    return -ENOENT;
}

/* --- the machine ------------------------------------------------------------------------------ */

/* A district may be much larger than the machine's memory, which it does not know: what bounds its
 * own is its store. */
void system_memory(uint64_t *total, uint64_t *free)
{
    struct space_figures figures;

    space_figures(&figures);
    if (total) {
        *total = figures.total * 4;
    }
    if (free) {
        *free = figures.free * 4;
    }
}

static long meminfo_text(char *buf, size_t size)
{
    uint64_t total, free;

    system_memory(&total, &free);
    return snprintf(
        buf, size,
        "MemTotal:       %8lu kB\nMemFree:        %8lu kB\nMemAvailable:   %8lu kB\n"
        "Buffers:               0 kB\nCached:                0 kB\nSwapTotal:             0 kB\n"
        "SwapFree:              0 kB\nShmem:                 0 kB\nSReclaimable:          0 kB\n",
        total, free, free);
}

/** Pages are objects of all kinds here. `idle_ticks` is of the whole machine, by the TSC. */
static long vmstat_text(char *buf, size_t size)
{
    uint64_t figures[4];

    machine_memory(figures);
    return snprintf(buf, size, "nr_resident %lu\npgmajfault %lu\npgsteal %lu\nidle_ticks %lu\n",
                    figures[0], figures[1], figures[2], figures[3]);
}

/** Which run of the district this is, and how it began. */
static long district_text(char *buf, size_t size)
{
    static const char *const reasons[] = {"asked",  "rolled back", "crashed",
                                          "broken", "damaged",     "autostart"};
    struct district_run run;

    machine_run(&run);
    return snprintf(buf, size,
                    "name %s\nincarnation %lu %016lx\ngeneration %lu\nreason %s\nstarted %lu\n",
                    run.name, run.incarnation, run.random, run.from,
                    run.reason < sizeof reasons / sizeof reasons[0] ? reasons[run.reason] : "other",
                    run.started / SECOND);
}

static unsigned running(void)
{
    unsigned n = 0;

    for (struct process *p = process_next(NULL); p; p = process_next(p)) {
        n += p->state == PROCESS_ALIVE && state_of(p) == 'R';
    }
    return n;
}

static void all_ticks(uint64_t *user, uint64_t *system)
{
    *user = *system = 0;
    for (struct process *p = process_next(NULL); p; p = process_next(p)) {
        uint64_t u, s;

        process_ticks(p, &u, &s);
        *user += u + p->children_user_ticks;
        *system += s + p->children_system_ticks;
    }
    *user = ticks_to_ns(*user) / CLOCK_TICK;
    *system = ticks_to_ns(*system) / CLOCK_TICK;
}

static long stat_of_machine(char *buf, size_t size)
{
    uint64_t user, system, up = time_monotonic() / CLOCK_TICK, idle;
    uint64_t boot = (time_realtime() - time_boottime()) / SECOND;

    all_ticks(&user, &system);
    idle = up > user + system ? up - user - system : 0;
    return snprintf(
        buf, size,
        "cpu  %lu 0 %lu %lu 0 0 0 0 0 0\ncpu0 %lu 0 %lu %lu 0 0 0 0 0 0\nintr 0\nctxt 0\n"
        "btime %lu\nprocesses %u\nprocs_running %u\nprocs_blocked 0\n",
        user, system, idle, user, system, idle, boot, process_count(), running());
}

long system_describe(const char *what, char *buf, size_t size)
{
    long n = -ENOENT;
    uint64_t now;

    if (!strcmp(what, "uptime")) {
        now = time_boottime();
        n = snprintf(buf, size, "%lu.%02lu %lu.%02lu\n", now / SECOND, now % SECOND / CLOCK_TICK,
                     now / SECOND, now % SECOND / CLOCK_TICK);
    } else if (!strcmp(what, "meminfo")) {
        n = meminfo_text(buf, size);
    } else if (!strcmp(what, "vmstat")) {
        n = vmstat_text(buf, size);
    } else if (!strcmp(what, "district")) {
        n = district_text(buf, size);
    } else if (!strcmp(what, "stat")) {
        n = stat_of_machine(buf, size);
    } else if (!strcmp(what, "loadavg")) {
        n = snprintf(buf, size, "0.00 0.00 0.00 %u/%u %d\n", running(), process_count(),
                     process_last_pid());
    } else if (!strcmp(what, "enosys")) {
        n = call_describe_unknown(buf, size);
    }
    return n >= (long)size ? (long)size - 1 : n;
}
