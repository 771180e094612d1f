// sources: ../../userland/unix/signal.c
/*
 * Signals: which thread takes one, what is queued, what has its effect at once. What delivery does
 * to a thread is only recorded here.
 */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "process.h"

struct thread *current;
struct process *init_process;
static struct process first, other;
static struct thread one, two;
static struct signal_actions actions, other_actions;
static int doomed, stopped, continued, interrupted, woken;
static bool orphaned;

void process_doom(struct process *p, int status)
{
    p->doomed = true;
    doomed = status;
}

void process_stop(struct process *p, int signal)
{
    p->stopped = true;
    stopped = signal;
}

void process_continue(struct process *p)
{
    continued += p->stopped;
    p->stopped = false;
}

bool process_group_is_orphaned(int pgid, int sid)
{
    (void)pgid;
    (void)sid;
    return orphaned;
}

struct process *process_next(const struct process *p)
{
    return !p ? &first : p == &first ? &other : NULL;
}

void deliver_interrupt(struct thread *t)
{
    (void)t;
    interrupted++;
}

void wait_wake(struct thread *t)
{
    t->state = THREAD_READY;
    woken++;
}

static void setup(void)
{
    doomed = stopped = continued = interrupted = woken = 0;
    orphaned = false;
    memset(&first, 0, sizeof first);
    memset(&other, 0, sizeof other);
    memset(&one, 0, sizeof one);
    memset(&two, 0, sizeof two);
    memset(&actions, 0, sizeof actions);
    memset(&other_actions, 0, sizeof other_actions);
    first.pid = first.pgid = 10;
    first.actions = &actions;
    first.threads = &one;
    other.pid = other.pgid = 20;
    other.actions = &other_actions;
    one.process = two.process = &first;
    one.next_in_process = &two;
    one.state = two.state = THREAD_WAITING;
    current = &one;
}

static void send(int signal, struct thread *t, uint64_t value)
{
    struct signal_info info = {.number = signal};

    info.from.value = value;
    signal_send(&first, t, &info);
}

START_TEST(default_actions)
{
    send(SIGCHLD, NULL, 0);
    send(SIGWINCH, NULL, 0);
    ck_assert(!first.signals.pending && !doomed);
    send(SIGTERM, NULL, 0);
    ck_assert_int_eq(doomed, SIGTERM);
}
END_TEST

START_TEST(ignored_ones_vanish_unless_blocked)
{
    struct signal_info info;

    actions.action[SIGUSR1].handler = 1;
    send(SIGUSR1, NULL, 0);
    ck_assert_uint_eq(first.signals.pending, 0);
    one.mask = two.mask = SIGNAL_BIT(SIGUSR1);
    send(SIGUSR1, NULL, 0);
    ck_assert_uint_eq(first.signals.pending, SIGNAL_BIT(SIGUSR1));
    ck_assert(!signal_deliverable(&one));
    ck_assert(signal_take(&one, ~0ull, &info) && info.number == SIGUSR1);
}
END_TEST

START_TEST(a_thread_that_does_not_block_takes_it)
{
    actions.action[SIGUSR1].handler = 0x1000;
    one.mask = SIGNAL_BIT(SIGUSR1);
    send(SIGUSR1, NULL, 0);
    ck_assert(!one.attention && two.attention);
    ck_assert_int_eq(woken, 1);
    ck_assert(signal_deliverable(&two) && !signal_deliverable(&one));
    signal_set_mask(&one, 0);
    ck_assert(one.attention);
    signal_flush(&first.signals, ~0ull);
}
END_TEST

START_TEST(a_running_one_is_interrupted)
{
    actions.action[SIGUSR1].handler = 0x1000;
    one.state = THREAD_RUNNING;
    send(SIGUSR1, NULL, 0);
    ck_assert_int_eq(interrupted, 1);
    one.state = THREAD_SERVED;
    send(SIGUSR1, &one, 0);
    ck_assert_int_eq(interrupted, 1);
    signal_flush(&first.signals, ~0ull);
    signal_flush(&one.signals, ~0ull);
}
END_TEST

START_TEST(real_time_signals_queue_in_order)
{
    struct signal_info info;

    one.mask = two.mask = ~0ull;
    for (uint64_t i = 0; i < 5; i++) {
        send(40, NULL, i);
        send(SIGUSR1, NULL, i);
        send(35, NULL, i);
    }
    ck_assert(signal_take(&one, ~0ull, &info));
    ck_assert(info.number == SIGUSR1 && info.from.value == 0);
    for (uint64_t i = 0; i < 5; i++) {
        ck_assert(signal_take(&one, ~0ull, &info) && info.number == 35 && info.from.value == i);
    }
    for (uint64_t i = 0; i < 5; i++) {
        ck_assert(signal_take(&one, ~0ull, &info) && info.number == 40 && info.from.value == i);
    }
    ck_assert(!signal_take(&one, ~0ull, &info) && !first.signals.pending);
}
END_TEST

START_TEST(stop_and_continue_cancel_each_other)
{
    one.mask = two.mask = SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGCONT);
    send(SIGTSTP, NULL, 0);
    ck_assert_uint_eq(first.signals.pending, SIGNAL_BIT(SIGTSTP));
    send(SIGCONT, NULL, 0);
    ck_assert_uint_eq(first.signals.pending & SIGNAL_BIT(SIGTSTP), 0);
    send(SIGTSTP, NULL, 0);
    ck_assert_uint_eq(first.signals.pending & SIGNAL_BIT(SIGCONT), 0);
    one.mask = two.mask = 0;
    send(SIGSTOP, NULL, 0);
    ck_assert_int_eq(stopped, SIGSTOP);
    send(SIGCONT, NULL, 0);
    ck_assert_int_eq(continued, 1);
    signal_flush(&first.signals, ~0ull);
}
END_TEST

START_TEST(a_stopped_one_ends_when_it_goes_on_or_is_killed)
{
    send(SIGSTOP, NULL, 0);
    send(SIGTERM, NULL, 0);
    ck_assert_int_eq(doomed, 0);
    ck_assert_uint_eq(first.signals.pending, SIGNAL_BIT(SIGTERM));
    send(SIGKILL, NULL, 0);
    ck_assert_int_eq(doomed, SIGKILL);
    signal_flush(&first.signals, ~0ull);
}
END_TEST

START_TEST(orphaned_groups_are_not_stopped_by_the_terminal)
{
    orphaned = true;
    send(SIGTSTP, NULL, 0);
    ck_assert_int_eq(stopped, 0);
    send(SIGSTOP, NULL, 0);
    ck_assert_int_eq(stopped, SIGSTOP);
}
END_TEST

START_TEST(the_first_process_takes_only_what_it_handles)
{
    init_process = &first;
    send(SIGTERM, NULL, 0);
    send(SIGKILL, NULL, 0);
    ck_assert_int_eq(doomed, 0);
    signal_process(&first, SIGINT); /* from the terminal */
    ck_assert_int_eq(doomed, SIGINT);
    init_process = NULL;
}
END_TEST

START_TEST(a_fault_cannot_be_ignored)
{
    actions.action[SIGSEGV].handler = 1;
    signal_fault(&one, SIGSEGV, SEGV_MAPERR, 0x1234);
    ck_assert_int_eq(doomed, SIGSEGV | 0x80);
    first.doomed = false;
    doomed = 0;
    actions.action[SIGSEGV].handler = 0x1000;
    one.mask = SIGNAL_BIT(SIGSEGV);
    signal_fault(&one, SIGSEGV, SEGV_MAPERR, 0x1234);
    ck_assert_int_eq(doomed, SIGSEGV | 0x80);
    first.doomed = false;
    doomed = 0;
    one.mask = 0;
    signal_fault(&one, SIGSEGV, SEGV_MAPERR, 0x1234);
    ck_assert(!doomed && one.attention && one.signals.pending == SIGNAL_BIT(SIGSEGV));
    signal_flush(&one.signals, ~0ull);
}
END_TEST

START_TEST(sigtimedwait_takes_what_is_blocked)
{
    one.mask = two.mask = SIGNAL_BIT(SIGUSR1);
    two.wanted = SIGNAL_BIT(SIGUSR1);
    send(SIGUSR1, NULL, 0);
    ck_assert_int_eq(doomed, 0);
    ck_assert_int_eq(woken, 1);
    ck_assert(two.state == THREAD_READY && one.state == THREAD_WAITING);
    signal_flush(&first.signals, ~0ull);
}
END_TEST

START_TEST(the_queue_is_bounded)
{
    struct signal_info info;
    int taken = 0;

    one.mask = two.mask = ~0ull;
    for (int i = 0; i < 5000; i++) {
        send(50, NULL, 0);
    }
    while (signal_take(&one, ~0ull, &info)) {
        taken++;
    }
    ck_assert_int_eq(taken, 1024);
}
END_TEST

START_TEST(exec_keeps_only_what_is_ignored)
{
    actions.action[SIGUSR1].handler = 0x1000;
    actions.action[SIGUSR2].handler = 1;
    actions.action[SIGUSR2].flags = SA_RESTART;
    signal_exec(&first);
    ck_assert_uint_eq(actions.action[SIGUSR1].handler, 0);
    ck_assert_uint_eq(actions.action[SIGUSR2].handler, 1);
    ck_assert_uint_eq(actions.action[SIGUSR2].flags, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("signal");
    TCase *c = tcase_create("signal");

    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, default_actions);
    tcase_add_test(c, ignored_ones_vanish_unless_blocked);
    tcase_add_test(c, a_thread_that_does_not_block_takes_it);
    tcase_add_test(c, a_running_one_is_interrupted);
    tcase_add_test(c, real_time_signals_queue_in_order);
    tcase_add_test(c, stop_and_continue_cancel_each_other);
    tcase_add_test(c, a_stopped_one_ends_when_it_goes_on_or_is_killed);
    tcase_add_test(c, orphaned_groups_are_not_stopped_by_the_terminal);
    tcase_add_test(c, the_first_process_takes_only_what_it_handles);
    tcase_add_test(c, a_fault_cannot_be_ignored);
    tcase_add_test(c, sigtimedwait_takes_what_is_blocked);
    tcase_add_test(c, the_queue_is_bounded);
    tcase_add_test(c, exec_keeps_only_what_is_ignored);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
