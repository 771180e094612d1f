/*
 * The process side of the personality: processes, threads, address spaces, signals, timers.
 *
 * Invariants:
 *   1. A thread is a foreign domain; index + THREAD_BADGE is the badge of its keeper key.
 *   2. A thread is in user mode (THREAD_RUNNING), or its domain waits for a reply to its last fault
 *      (THREAD_SERVED while its handler runs, THREAD_WAITING, THREAD_READY, THREAD_HELD), and then
 *      `regs` holds its registers (while served: *user_regs does).
 *   3. Nobody frees a thread or process while an event is being handled: what must end is marked
 *      (`doomed`) and ended by process_settle() between events.
 *   4. A signal that the process ignores and does not block is never pending.
 *
 *   state    | its domain              | what ends it
 *   RUNNING  | runs or is about to     | a fault message
 *   SERVED   | waits for its reply     | its handler's result
 *   WAITING  | waits for its reply     | wake_all, a deadline, a signal: READY
 *   READY    | waits for its reply     | its handler is run again by main.c
 *   HELD     | waits for its reply, or | SIGCONT; the reply is ready (`held_result`)
 *            | STOPPED in user mode    |
 */
#ifndef UNIX_PROCESS_H
#define UNIX_PROCESS_H

#include <errno.h>
#include <bailiwick/invoke.h>
#include <bailiwick/native.h>
#include <bailiwick/image.h>
#include "machine.h"
#include "space.h"
#include "timer.h"
#include "unix.h"
#include "vm.h"

#define THREADS_MAX  2048u
#define THREAD_BADGE 16u
#define PID_MAX      32768
#define SIGNALS      64

/** Handler results besides those of unix.h; never errnos. */
#define RESULT_REGISTERS (-4097L) /* *user_regs was set: exec, sigreturn */
#define RESULT_ENDED     (-4098L) /* current has ended: nobody to answer */
#define RESULT_RETRY     (-4099L) /* go on with the registers as they are: a fault was resolved */

#define SIGNAL_BIT(n) ((uint64_t)1 << ((n)-1))

/** struct sigaction of the system call. */
struct signal_action {
    uint64_t handler;
    uint64_t flags;
    uint64_t restorer;
    uint64_t mask;
};

/** siginfo_t of the system call, as far as we fill it in. */
struct signal_info {
    int32_t number;
    int32_t error;
    int32_t code;
    int32_t pad;
    union {
        struct {
            int32_t pid;
            uint32_t uid;
            uint64_t value; /* of sigqueue; SIGCHLD: status, then times */
            uint64_t times[2];
        } from;
        struct {
            uint64_t address;
        } fault;
        uint8_t bytes[112];
    };
};
_Static_assert(sizeof(struct signal_info) == 128, "ABI: siginfo_t");

struct signal_entry {
    struct signal_entry *next;
    struct signal_info info;
};

/** Signals that wait to be taken: one of each below 32, a queue from 32 on. */
struct signal_queue {
    uint64_t pending;
    struct signal_entry *first, **last;
};

/** Dispositions, shared by CLONE_SIGHAND. */
struct signal_actions {
    unsigned references;
    struct signal_action action[SIGNALS + 1];
};

enum thread_state {
    THREAD_RUNNING = 0,
    THREAD_SERVED = 1,
    THREAD_WAITING = 2,
    THREAD_READY = 3,
    THREAD_HELD = 4,
};

struct waiter {
    struct thread *thread;
    struct waiter *next, **link; /* in the queue */
    struct waiter *more;         /* of the same thread */
};

struct thread {
    /* of every event */
    struct process *process;
    uint64_t progress;
    bool timed_out;
    bool attention;   /* a signal may be deliverable, or the process stops or ends */
    bool interrupted; /* wait_on saw a signal in this run */
    bool mask_saved;  /* saved_mask is to be put back when the call ends */
    uint8_t state;    /* enum thread_state */
    uint16_t index;
    uint64_t mask; /* blocked signals */
    uint64_t user_ticks, system_ticks;
    /* identity */
    int tid;
    struct handle domain;
    struct thread *next_in_process;
    char name[16];
    /* while its domain waits for a reply */
    struct regs regs;
    long held_result;
    bool held_in_user;      /* HELD: stopped in user mode, its registers are in the domain */
    bool held_rerun;        /* HELD: was READY */
    unsigned fault_repeats; /* page faults in turn that changed nothing */
    /* while the store has no room for what it needs (space.c) */
    bool waits_in_fault;  /* WAITING in a page fault, not in a call */
    uint64_t space_epoch; /* of the first refusal of this call or fault; 0: none */
    bw_time_t space_since;
    /* waiting */
    struct waiter *waiters;
    struct waiter own_waiter; /* the first one, without malloc */
    struct timer timer;
    struct thread *ready_next;
    struct {
        struct thread *next, **link;
        const void *object;
        uint64_t offset;
        uint32_t bits;
        bool waiting;
    } futex;
    /* signals */
    uint64_t saved_mask;
    uint64_t wanted; /* rt_sigtimedwait: signals that end it though blocked */
    struct signal_queue signals;
    uint64_t stack_base, stack_size; /* alternate signal stack */
    uint32_t stack_flags;
    /* the end */
    uint64_t clear_tid;
    uint64_t robust_list;
};

enum process_state {
    PROCESS_ALIVE = 0,
    PROCESS_ZOMBIE = 1,
};

struct resource_limit {
    uint64_t soft, hard;
};
#define RESOURCE_LIMITS 16

struct process {
    /* identity */
    int pid, pgid, sid;
    uint8_t state; /* enum process_state */
    bool did_exec;
    struct process *next, *previous; /* all, in order of pid */
    /* family */
    struct process *parent;
    struct process *children, *sibling, **sibling_link;
    struct wait_queue child_queue; /* its wait4 */
    int exit_signal;               /* to the parent at its end */
    struct thread *vfork_parent;   /* waits until we exec or end */
    struct wait_queue vfork_queue;
    /* threads */
    struct thread *threads;
    unsigned thread_count;
    /* what it owns */
    struct space *space;
    struct files *files;
    struct directory *directory;
    struct file *executable;
    uint64_t arguments, arguments_end, environment_end; /* in its stack, for /proc */
    char name[16];
    struct resource_limit limit[RESOURCE_LIMITS];
    /* signals */
    struct signal_actions *actions;
    struct signal_queue signals;
    bool stopped;
    bool stop_reported, continue_reported; /* false: wait4 may still report it */
    int stop_signal;
    int parent_death_signal;
    int restart_signal; /* wanted after each restart of the district; 0: none */
    /* the end */
    bool doomed;
    bool adopted; /* its parent ended before it: nobody will wait for it */
    struct process *doomed_next;
    int status; /* as wait4 gives it */
    /* time */
    bw_time_t started;                 /* BOOTTIME */
    uint64_t user_ticks, system_ticks; /* of ended threads */
    uint64_t children_user_ticks, children_system_ticks;
    uint64_t faults;
    struct timer alarm;
    bw_time_t alarm_interval;
    uint64_t personality;
    bool dumpable_off;
};

/** Registers of the event being served: current's, to be changed by exec, sigreturn and clone. */
extern struct regs *user_regs;
extern struct thread *threads[THREADS_MAX];
extern struct process *init_process; /* pid 1, NULL before it was spawned */

/* --- main.c ----------------------------------------------------------------------------------- */
/** The thread ends: its event is not to be answered any more. */
void main_forget(const struct thread *t);

/* --- process.c -------------------------------------------------------------------------------- */
int process_allocate_pid(void);
/** A process without threads. NULL: no memory or no pid. */
struct process *process_new(struct process *parent);
void process_free(struct process *p);
struct thread *thread_find(int tid);
void process_name_thread(int tid, struct thread *t);
unsigned process_count(void);
int process_last_pid(void);
/** Marks it: it ends with this wait status when the event has been handled. */
void process_doom(struct process *p, int status);
/** Ends what is doomed. */
void process_settle(void);
/** True if its group has no member with a parent outside the group in the same session. */
bool process_group_is_orphaned(int pgid, int sid);
void process_stop(struct process *p, int signal);
void process_continue(struct process *p);
/** Starts the first process. @return pid or enum bw_result */
long process_spawn_first(const char *words, size_t length);
void process_respawn(void);
uint64_t ticks_to_ns(uint64_t ticks);
void process_ticks(const struct process *p, uint64_t *user, uint64_t *system);

/* --- thread.c --------------------------------------------------------------------------------- */
/** A thread whose domain exists and is STOPPED, as a copy of `model` (NULL: fresh). @return 0,
 * -errno */
int thread_new(struct process *p, const struct thread *model, struct thread **out);
/** Its domain runs (or goes on) with a result in rax. */
void thread_resume_value(struct thread *t, uint64_t value);
void thread_resume_retry(struct thread *t);
/** The same with new registers. */
void thread_resume_regs(struct thread *t, const struct regs *regs);
/** Ends one thread: domain, waits, robust futexes. Never current while its event is served. */
void thread_end(struct thread *t);
/** All threads but one end (exec, exit_group). */
void process_end_threads(struct process *p, struct thread *except);
/** The current thread ends alone; its event gets no answer. */
void thread_exit_current(void);
uint16_t thread_key(const struct thread *t);

/* --- wait.c ----------------------------------------------------------------------------------- */
/** Leaves all queues and its deadline. */
void wait_leave(struct thread *t);
/** A WAITING thread becomes READY. */
void wait_wake(struct thread *t);
struct thread *wait_next_ready(void);
/** Waits in a queue whatever signals come. @return BLOCKED, -ENOMEM */
long wait_in(struct wait_queue *q);
/** Waits without a queue: for a deadline, a signal or wait_wake. */
long wait_alone(bw_time_t deadline);
void wait_drop_ready(struct thread *t);
/** Its handler is to be run again. */
void wait_make_ready(struct thread *t);

/* --- signal.c --------------------------------------------------------------------------------- */
void signal_send(struct process *p, struct thread *t, const struct signal_info *info);
/** The same, forced by a fault: blocked or ignored ones end the process. */
void signal_fault(struct thread *t, int signal, int code, uint64_t address);
/** True if t must run a handler or stop or end before it goes on in user mode. */
bool signal_deliverable(const struct thread *t);
/** Takes the next signal off; false: none. */
bool signal_take(struct thread *t, uint64_t among, struct signal_info *info);
void signal_flush(struct signal_queue *q, uint64_t set);
void signal_child(struct process *child, int code, int status);
struct signal_actions *signal_actions_new(void);
void signal_actions_release(struct signal_actions *a);
void signal_exec(struct process *p);
/** The district was restarted: those who asked for a signal get it. */
void signal_restarted(void);
bool signal_ignored(const struct process *p, int signal);
void signal_set_mask(struct thread *t, uint64_t mask);

/* --- sigframe.c ------------------------------------------------------------------------------- */
/** Pushes a frame for a handler onto the user's stack and points *regs at it. @return 0, -EFAULT */
int sigframe_push(struct thread *t, struct regs *regs, const struct signal_action *action,
                  const struct signal_info *info, uint64_t old_mask);
long sigframe_pop(struct thread *t, struct regs *regs, uint64_t *mask);

/* --- deliver.c -------------------------------------------------------------------------------- */
/** What becomes of a thread whose handler returned `result`, with its registers in t->regs: it goes
 * on, waits, is held, or gets a signal. */
void deliver_result(struct thread *t, long result);
/** A running thread has got a signal: interrupts it in user mode. */
void deliver_interrupt(struct thread *t);
/** A thread goes on that was HELD. */
void deliver_release(struct thread *t);

/* --- syscall.c -------------------------------------------------------------------------------- */
typedef long (*call_handler)(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                             uint64_t f);
#define CALLS 452
enum call_restart {
    RESTART_NO = 0,         /* -EINTR stays */
    RESTART_HANDLER = 1,    /* run again after a handler with SA_RESTART, or without a handler */
    RESTART_NO_HANDLER = 2, /* run again only if no handler ran */
};
struct call {
    call_handler run;
    uint8_t restart;
};
extern const struct call calls[CALLS];
long call_describe_unknown(char *buf, size_t size);
long call_run(const struct regs *regs);

/* --- describe.c ------------------------------------------------------------------------------- */
/** In KiB; either may be NULL. */
void system_memory(uint64_t *total, uint64_t *free);

/* --- futex.c ---------------------------------------------------------------------------------- */
void futex_leave(struct thread *t);
void futex_wake_address(uint64_t address, int count);
void futex_exit_robust(struct thread *t);

/* --- exec.c ----------------------------------------------------------------------------------- */
struct exec_words {
    char *bytes; /* arguments, then environment, each with NUL */
    size_t size, capacity;
    unsigned arguments, environment;
    size_t argument_bytes;
};
int exec_words_add(struct exec_words *w, const char *word, size_t length);
/** Loads a program into a new space. @return 0 and the space, registers; or -errno. */
struct exec_result {
    struct space *space;
    struct file *executable;
    struct regs regs;
    uint64_t arguments, arguments_end, environment_end;
    char name[16];
};
int exec_load(const char *path, struct exec_words *words, struct exec_result *out);
/** t's process becomes what was loaded; its registers are in t->regs. Cannot fail. */
void exec_install(struct thread *t, struct exec_result *loaded);

/* --- time.c ----------------------------------------------------------------------------------- */
struct user_timespec {
    int64_t seconds, nanoseconds;
};
int timespec_read(uint64_t address, bw_time_t *out);
void time_alarm_fired(struct process *p);

/* clang-format off */
#define PROCESS_CALLS(X)                                                                          \
    X(mmap) X(mprotect) X(munmap) X(brk) X(mremap) X(madvise) X(msync) X(mincore) X(mlock)        \
    X(rt_sigaction) X(rt_sigprocmask) X(rt_sigreturn) X(rt_sigpending) X(rt_sigtimedwait)         \
    X(rt_sigqueueinfo) X(rt_tgsigqueueinfo) X(rt_sigsuspend) X(sigaltstack) X(pause) X(kill)      \
    X(tkill) X(tgkill) X(sched_yield) X(nanosleep) X(clock_nanosleep) X(clock_gettime)            \
    X(clock_getres) X(clock_settime) X(gettimeofday) X(settimeofday) X(time) X(times)             \
    X(getitimer) X(setitimer) X(alarm) X(getpid) X(gettid) X(getppid) X(clone) X(clone3) X(fork)  \
    X(vfork) X(execve) X(execveat) X(exit) X(exit_group) X(wait4) X(waitid) X(uname) X(getrlimit) \
    X(setrlimit) X(prlimit64) X(getrusage) X(sysinfo) X(getuid) X(getgid) X(geteuid) X(getegid)   \
    X(setuid) X(setgid) X(setreuid) X(setregid) X(setresuid) X(setresgid) X(getresuid)            \
    X(getresgid) X(setfsuid) X(setfsgid) X(getgroups) X(setgroups) X(setpgid) X(getpgid)          \
    X(getpgrp) X(setsid) X(getsid) X(getpriority) X(setpriority) X(sched_getparam)                \
    X(sched_setparam) X(sched_getscheduler) X(sched_setscheduler) X(sched_get_priority_max)       \
    X(sched_get_priority_min) X(sched_rr_get_interval) X(sched_setaffinity) X(sched_getaffinity)  \
    X(prctl) X(arch_prctl) X(futex) X(set_tid_address) X(set_robust_list) X(get_robust_list)      \
    X(restart_syscall) X(getrandom) X(personality) X(getcpu) X(sethostname) X(setdomainname)      \
    X(capget) X(capset) X(membarrier)
/* clang-format on */

#define PROCESS_CALL_DECLARE(name)                                                                 \
    long sys_##name(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f);
PROCESS_CALLS(PROCESS_CALL_DECLARE)

/** Head of a handler: all six arguments, those not used marked so by the caller's (void). */
#define CALL(name)                                                                                 \
    long sys_##name(uint64_t a __attribute__((unused)), uint64_t b __attribute__((unused)),        \
                    uint64_t c __attribute__((unused)), uint64_t d __attribute__((unused)),        \
                    uint64_t e __attribute__((unused)), uint64_t f __attribute__((unused)))

#endif
