/*
 * Threads: a foreign domain each.
 */
#include <stdlib.h>
#include <string.h>
#include <bailiwick/runtime.h>
#include "process.h"

struct thread *threads[THREADS_MAX];
static uint16_t free_index[THREADS_MAX];
static unsigned free_indexes, fresh_indexes;

static int index_take(void)
{
    if (free_indexes) {
        return free_index[--free_indexes];
    }
    return fresh_indexes < THREADS_MAX ? (int)fresh_indexes++ : -1;
}

uint16_t thread_key(const struct thread *t)
{
    return machine_key(&t->domain);
}

/** Sets up the domain: keeper key with our badge, space, meter, foreign. */
static int64_t domain_make(struct thread *t, const struct thread *model)
{
    struct message m = {.code = DOMAIN_MAKE, .word = {t->index + THREAD_BADGE, 1, model != NULL}};
    struct space *s = t->process->space;

    m.send[0] = s ? machine_key(&s->root) : 0;
    m.send[1] = KEY_AT(KR_SELF);
    m.send[2] = KEY_AT(KR_IMAGE_METER);
    m.send[3] = model ? thread_key(model) : 0;
    return bw_call(thread_key(t), &m);
}

static void link_in(struct thread *t)
{
    struct thread **end = &t->process->threads;

    while (*end) {
        end = &(*end)->next_in_process;
    }
    *end = t;
    t->process->thread_count++;
    threads[t->index] = t;
    process_name_thread(t->tid, t);
}

int thread_new(struct process *p, const struct thread *model, struct thread **out)
{
    struct thread *t = calloc(1, sizeof *t);
    int index = t ? index_take() : -1;

    if (index < 0) {
        free(t);
        return -EAGAIN;
    }
    t->index = (uint16_t)index;
    t->process = p;
    t->state = THREAD_SERVED;
    t->tid = p->threads ? process_allocate_pid() : p->pid;
    if (t->tid < 0 || machine_domain_create(&t->domain) != BW_OK) {
        free_index[free_indexes++] = t->index;
        free(t);
        return -EAGAIN;
    }
    link_in(t);
    if (domain_make(t, model) != BW_OK) {
        thread_end(t);
        return -EAGAIN;
    }
    *out = t;
    return 0;
}

static void resume(struct thread *t, struct message *m)
{
    m->code = DOMAIN_RESUME;
    t->state = THREAD_RUNNING;
    bw_call(thread_key(t), m);
}

void thread_resume_value(struct thread *t, uint64_t value)
{
    struct message m = {.word = {FAULT_SET_RAX, value}};

    resume(t, &m);
}

void thread_resume_retry(struct thread *t)
{
    struct message m = {.word = {FAULT_RETRY}};

    resume(t, &m);
}

void thread_resume_regs(struct thread *t, const struct regs *regs)
{
    struct message m = {.word = {FAULT_SET_REGS}, .string = regs, .length = sizeof *regs};

    resume(t, &m);
}

static void link_out(struct thread *t)
{
    struct thread **at = &t->process->threads;

    while (*at != t) {
        at = &(*at)->next_in_process;
    }
    *at = t->next_in_process;
    t->process->thread_count--;
    threads[t->index] = NULL;
    process_name_thread(t->tid, NULL);
}

void thread_end(struct thread *t)
{
    struct process *p = t->process;

    main_forget(t);
    for (struct process *c = p->children; c; c = c->sibling) {
        if (c->vfork_parent == t) {
            c->vfork_parent = NULL;
        }
    }
    futex_leave(t);
    wait_leave(t);
    wait_drop_ready(t);
    signal_flush(&t->signals, ~0ull);
    link_out(t);
    p->user_ticks += t->user_ticks;
    p->system_ticks += t->system_ticks;
    machine_destroy(t->domain.id);
    machine_forget(&t->domain);
    free_index[free_indexes++] = t->index;
    free(t);
}

/** Memory that others still see is told that the thread is gone. */
static void thread_farewell(struct thread *t)
{
    struct thread *before = current;
    uint32_t zero = 0;

    if (!t->process->space ||
        (t->process->space->references == 1 && t->process->thread_count == 1)) {
        return;
    }
    current = t;
    futex_exit_robust(t);
    if (t->clear_tid && user_write(t->clear_tid, &zero, sizeof zero) == 0) {
        futex_wake_address(t->clear_tid, 1);
    }
    current = before;
}

void process_end_threads(struct process *p, struct thread *except)
{
    struct thread *next;

    for (struct thread *t = p->threads; t; t = next) {
        next = t->next_in_process;
        if (t != except) {
            thread_farewell(t);
            thread_end(t);
        }
    }
    machine_destroy_flush();
}

/** The current thread ends alone; its event gets no answer. */
void thread_exit_current(void)
{
    struct thread *t = current;

    thread_farewell(t);
    current = NULL;
    thread_end(t);
    machine_destroy_flush();
}
