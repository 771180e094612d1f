/*
 * Processes: table, family, groups, and their end.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <bailiwick/runtime.h>
#include "process.h"
#include "files.h"

#define PID_PAGE        512
#define PROCESSES_USUAL 1100 /* soft limit: a fork bomb is to leave memory for others */

/** What a pid names: a thread, and the process whose pid it is (they may end at different times).
 */
struct pid_entry {
    struct thread *thread;
    struct process *process;
};

struct process *init_process;
static struct pid_entry *pid_page[PID_MAX / PID_PAGE];
static int last_pid;
static unsigned processes;
static struct process *first_process, *last_process, *first_doomed;

static struct pid_entry *pid_entry(int pid)
{
    struct pid_entry *page;

    if (pid <= 0 || pid >= PID_MAX) {
        return NULL;
    }
    page = pid_page[pid / PID_PAGE];
    return page ? &page[pid % PID_PAGE] : NULL;
}

static bool pid_is_free(int pid)
{
    struct pid_entry *e = pid_entry(pid);

    if (e && (e->thread || e->process)) {
        return false;
    }
    for (struct process *p = first_process; p; p = p->next) {
        if (p->pgid == pid || p->sid == pid) {
            return false;
        }
    }
    return true;
}

int process_allocate_pid(void)
{
    for (int tries = 0; tries < PID_MAX; tries++) {
        last_pid = last_pid + 1 < PID_MAX ? last_pid + 1 : 2;
        if (pid_is_free(last_pid)) {
            struct pid_entry **page = &pid_page[last_pid / PID_PAGE];

            if (!*page) {
                *page = calloc(PID_PAGE, sizeof **page);
            }
            return *page ? last_pid : -1;
        }
    }
    return -1;
}

void process_name_thread(int tid, struct thread *t)
{
    struct pid_entry *e = pid_entry(tid);

    if (e) {
        e->thread = t;
    }
}

struct thread *thread_find(int tid)
{
    struct pid_entry *e = pid_entry(tid);

    return e ? e->thread : NULL;
}

struct process *process_find(int pid)
{
    struct pid_entry *e = pid_entry(pid);

    return e ? e->process : NULL;
}

struct process *process_next(const struct process *p)
{
    return p ? p->next : first_process;
}

unsigned process_count(void)
{
    return processes;
}

int process_last_pid(void)
{
    return last_pid;
}

static void list_insert(struct process *p)
{
    struct process *after = last_process;

    while (after && after->pid > p->pid) {
        after = after->previous;
    }
    p->previous = after;
    p->next = after ? after->next : first_process;
    *(after ? &after->next : &first_process) = p;
    *(p->next ? &p->next->previous : &last_process) = p;
    processes++;
}

static void list_remove(struct process *p)
{
    *(p->previous ? &p->previous->next : &first_process) = p->next;
    *(p->next ? &p->next->previous : &last_process) = p->previous;
    processes--;
}

static void family_enter(struct process *child, struct process *parent)
{
    child->parent = parent;
    if (!parent) {
        return;
    }
    child->sibling = parent->children;
    if (child->sibling) {
        child->sibling->sibling_link = &child->sibling;
    }
    child->sibling_link = &parent->children;
    parent->children = child;
}

static void family_leave(struct process *child)
{
    if (!child->parent) {
        return;
    }
    *child->sibling_link = child->sibling;
    if (child->sibling) {
        child->sibling->sibling_link = child->sibling_link;
    }
    child->parent = NULL;
}

static void default_limits(struct process *p)
{
    for (int i = 0; i < RESOURCE_LIMITS; i++) {
        p->limit[i] = (struct resource_limit){~0ull, ~0ull};
    }
    p->limit[3].soft = STACK_SIZE;                                       /* RLIMIT_STACK */
    p->limit[4].soft = 0;                                                /* RLIMIT_CORE */
    p->limit[6] = (struct resource_limit){PROCESSES_USUAL, THREADS_MAX}; /* RLIMIT_NPROC */
    p->limit[7] = (struct resource_limit){FILES_MAX, FILES_MAX};         /* RLIMIT_NOFILE */
    p->limit[8] = (struct resource_limit){8u << 20, 8u << 20};           /* RLIMIT_MEMLOCK */
    p->limit[13] = p->limit[14] = (struct resource_limit){0, 0};         /* NICE, RTPRIO */
}

struct process *process_new(struct process *parent)
{
    struct process *p = calloc(1, sizeof *p);
    int pid = p ? process_allocate_pid() : -1;

    if (pid < 0) {
        free(p);
        return NULL;
    }
    p->pid = pid;
    p->pgid = parent ? parent->pgid : pid;
    p->sid = parent ? parent->sid : pid;
    p->stop_reported = p->continue_reported = true;
    p->exit_signal = SIGCHLD;
    p->started = time_boottime();
    p->alarm = (struct timer){.kind = TIMER_ALARM, .owner = p};
    if (parent) {
        memcpy(p->name, parent->name, sizeof p->name);
        memcpy(p->limit, parent->limit, sizeof p->limit);
        p->arguments = parent->arguments;
        p->arguments_end = parent->arguments_end;
        p->environment_end = parent->environment_end;
        p->personality = parent->personality;
    } else {
        default_limits(p);
    }
    pid_entry(pid)->process = p;
    list_insert(p);
    family_enter(p, parent);
    return p;
}

void process_free(struct process *p)
{
    pid_entry(p->pid)->process = NULL;
    list_remove(p);
    family_leave(p);
    free(p);
}

/* --- groups ----------------------------------------------------------------------------------- */

bool process_group_is_orphaned(int pgid, int sid)
{
    for (struct process *p = first_process; p; p = p->next) {
        if (p->pgid == pgid && p->state == PROCESS_ALIVE && p->parent && p->parent->sid == sid &&
            p->parent->pgid != pgid) {
            return false;
        }
    }
    return true;
}

static bool group_has_stopped(int pgid)
{
    for (struct process *p = first_process; p; p = p->next) {
        if (p->pgid == pgid && p->stopped) {
            return true;
        }
    }
    return false;
}

/** A group that lost its last tie to its session while a member is stopped is woken up. */
static void rouse_if_orphaned(int pgid, int sid)
{
    if (group_has_stopped(pgid) && process_group_is_orphaned(pgid, sid)) {
        signal_group(pgid, SIGHUP);
        signal_group(pgid, SIGCONT);
    }
}

/* --- the end ---------------------------------------------------------------------------------- */

void process_doom(struct process *p, int status)
{
    if (p->doomed || p->state != PROCESS_ALIVE) {
        return;
    }
    p->doomed = true;
    p->status = status;
    p->doomed_next = first_doomed;
    first_doomed = p;
    for (struct thread *t = p->threads; t; t = t->next_in_process) {
        t->attention = true;
    }
}

/** Children go to pid 1, which does not know them: nobody waits for them. */
static void give_away_children(struct process *p)
{
    struct process *heir = init_process != p ? init_process : NULL;

    while (p->children) {
        struct process *c = p->children;

        family_leave(c);
        if (c->state == PROCESS_ZOMBIE) {
            process_free(c);
            continue;
        }
        c->adopted = true;
        family_enter(c, heir);
        if (c->parent_death_signal) {
            signal_process(c, c->parent_death_signal);
        }
        if (c->pgid != p->pgid) {
            rouse_if_orphaned(c->pgid, c->sid);
        }
    }
}

static void give_up_what_it_owns(struct process *p)
{
    timer_cancel(&p->alarm);
    if (p->files) {
        files_process_ended(p->files, p->pid);
        files_release(p->files);
        p->files = NULL;
    }
    if (p->directory) {
        directory_release(p->directory);
        p->directory = NULL;
    }
    if (p->executable) {
        file_release(p->executable);
        p->executable = NULL;
    }
    if (p->space) {
        space_release(p->space);
        p->space = NULL;
    }
    if (p->actions) {
        signal_actions_release(p->actions);
        p->actions = NULL;
    }
    signal_flush(&p->signals, ~0ull);
    p->vfork_parent = NULL;
    wake_all(&p->vfork_queue);
}

static bool parent_does_not_care(const struct process *p)
{
    const struct process *parent = p->parent;

    if (!parent || p->adopted || parent->state != PROCESS_ALIVE) {
        return true;
    }
    return p->exit_signal == SIGCHLD && (parent->actions->action[SIGCHLD].handler == 1 ||
                                         (parent->actions->action[SIGCHLD].flags & SA_NOCLDWAIT));
}

static void tell_parent(struct process *p)
{
    int code = !(p->status & 0x7f) ? CLD_EXITED : p->status & 0x80 ? CLD_DUMPED : CLD_KILLED;
    struct process *parent = p->parent;
    bool forget = parent_does_not_care(p);

    signal_child(p, code, code == CLD_EXITED ? p->status >> 8 & 0xff : p->status & 0x7f);
    if (forget) {
        process_free(p);
    }
    if (parent) {
        wake_all(&parent->child_queue);
    }
}

static struct timer respawn = {.kind = TIMER_RESPAWN};

static void init_ended(struct process *p)
{
    char line[96];

    if (p->status & 0x7f) {
        snprintf(line, sizeof line, "\r\n[%s was ended by signal %d; it starts again]\r\n", p->name,
                 p->status & 0x7f);
    } else {
        snprintf(line, sizeof line, "\r\n[%s has exited with %d; it starts again]\r\n", p->name,
                 p->status >> 8 & 0xff);
    }
    tty_print(line);
    init_process = NULL;
    process_free(p);
    timer_set(&respawn, time_monotonic() + 1000000000ull);
}

static void process_end(struct process *p)
{
    int pgid = p->pgid, sid = p->sid;
    bool leader = p->sid == p->pid;

    process_end_threads(p, NULL);
    p->stopped = false;
    give_up_what_it_owns(p);
    p->state = PROCESS_ZOMBIE;
    give_away_children(p);
    if (leader) {
        tty_session_ended(sid);
    }
    if (p == init_process) {
        init_ended(p);
    } else {
        tell_parent(p);
    }
    rouse_if_orphaned(pgid, sid);
}

void process_settle(void)
{
    while (first_doomed) {
        struct process *p = first_doomed;

        first_doomed = p->doomed_next;
        process_end(p);
    }
}

/* --- the first process ------------------------------------------------------------------------ */

static char *first_words; /* as the steward gave them */
static size_t first_length;

static const char *const environment[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=vt100",
    "USER=root"};

static int collect_words(struct exec_words *w)
{
    for (size_t at = 0; at < first_length && first_words[at];) {
        size_t n = strnlen(first_words + at, first_length - at);

        if (exec_words_add(w, first_words + at, n)) {
            return -ENOMEM;
        }
        w->arguments++;
        at += n + 1;
    }
    w->argument_bytes = w->size;
    for (size_t i = 0; i < sizeof environment / sizeof *environment; i++) {
        if (exec_words_add(w, environment[i], strlen(environment[i]))) {
            return -ENOMEM;
        }
        w->environment++;
    }
    return w->arguments ? 0 : -ENOENT;
}

static void take_over_orphans(struct process *init)
{
    for (struct process *p = first_process; p; p = p->next) {
        if (p != init && !p->parent) {
            family_enter(p, init);
        }
    }
}

/** Files, actions and thread of the first process. */
static int furnish_first(struct process *p, struct thread **t)
{
    p->files = files_new();
    p->directory = directory_new();
    p->actions = signal_actions_new();
    if (!p->files || !p->directory || !p->actions) {
        return -ENOMEM;
    }
    return thread_new(p, NULL, t);
}

static void first_failed(struct process *p)
{
    process_end_threads(p, NULL);
    give_up_what_it_owns(p);
    process_free(p);
}

/** Loads the program; path look-ups are made in the name of its thread. */
static int load_first(struct process *p, struct thread *t)
{
    struct exec_words words = {0};
    struct exec_result loaded;
    int error = collect_words(&words);

    current = t;
    if (!error) {
        error = exec_load(first_words, &words, &loaded);
    }
    if (!error) {
        exec_install(t, &loaded);
        error = files_open_console(p->files);
    }
    current = NULL;
    free(words.bytes);
    return error;
}

static int start_first(void)
{
    struct process *p;
    struct thread *t = NULL;
    int error;

    last_pid = 0;
    p = process_new(NULL);
    if (!p) {
        return -ENOMEM;
    }
    error = furnish_first(p, &t);
    if (!error) {
        error = load_first(p, t);
    }
    if (error) {
        first_failed(p);
        return error;
    }
    init_process = p;
    take_over_orphans(p);
    thread_resume_regs(t, &t->regs);
    return 0;
}

long process_spawn_first(const char *words, size_t length)
{
    int error;

    if (first_words) {
        return BW_EXISTS;
    }
    first_words = malloc(length + 2);
    if (!first_words) {
        return BW_NOMEM;
    }
    memcpy(first_words, words, length);
    memset(first_words + length, 0, 2);
    first_length = length;
    error = start_first();
    if (error) {
        bw_log("unix: %s cannot be started: error %d", first_words, -error);
        free(first_words);
        first_words = NULL;
        return error == -ENOENT ? BW_ABSENT : error == -ENOMEM ? BW_NOMEM : BW_ARGUMENT;
    }
    return init_process->pid;
}

void process_respawn(void)
{
    if (start_first()) {
        timer_set(&respawn, time_monotonic() + 1000000000ull);
    }
}

/* --- what the file side asks ------------------------------------------------------------------ */

int process_pid(const struct process *p)
{
    return p->pid;
}

int process_pgid(const struct process *p)
{
    return p->pgid;
}

int process_sid(const struct process *p)
{
    return p->sid;
}

struct process *thread_process(const struct thread *t)
{
    return t->process;
}

struct files *process_files(struct process *p)
{
    return p->files;
}

struct directory *process_directory(struct process *p)
{
    return p->directory;
}
