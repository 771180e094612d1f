// sources: ../../userland/unix/space.c
/*
 * Who is refused when the store runs full, in which order, and who waits first for the checkpoints
 * that may bring space back.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <bailiwick/runtime.h>
#include "process.h"
#include "space.h"

#define TOTAL 8192u /* blocks: units of 128 */
#define UNIT  128u

struct thread *current;
struct process *init_process;

static struct {
    uint64_t left, total, epoch;
    unsigned questions, presses, logs;
    bw_time_t now;
    bool signal;
} fake;

static struct space memory;
static struct process first, shell, program;
static struct thread thread;

int64_t bw_self(enum self_order order, struct message *m)
{
    if (order == SELF_SPACE) {
        fake.questions++;
        fake.presses += m->word[0] != 0;
        m->word[0] = fake.left;
        m->word[1] = fake.total;
        return BW_OK;
    }
    ck_assert_int_eq(order, SELF_DISTRICT);
    m->word[2] = fake.epoch;
    return BW_OK;
}

bw_time_t time_monotonic(void)
{
    return fake.now;
}

uint64_t bw_wait(bw_time_t deadline)
{
    fake.now = deadline;
    fake.left += 100; /* it was cut off, made larger, and started again */
    return 0;
}

bw_time_t bw_monotonic(void)
{
    return fake.now;
}

void bw_log(const char *format, ...)
{
    (void)format;
    fake.logs++;
}

long wait_on(struct wait_queue *q, bw_time_t deadline)
{
    ck_assert_ptr_nonnull(q);
    ck_assert_uint_gt(deadline, fake.now);
    return fake.signal ? -EINTR : BLOCKED;
}

static void act_as(struct process *p)
{
    thread = (struct thread){.process = p};
    current = &thread;
}

/** What is left, as after a commit. */
static void commit(uint64_t left)
{
    fake.left = left;
    fake.epoch++;
}

/** So much is left, and the personality knows it. */
static void know(uint64_t left)
{
    struct space_figures f;

    fake.left = left;
    space_figures(&f);
}

static void setup(void)
{
    memset(&fake, 0, sizeof(fake));
    fake.total = TOTAL;
    fake.epoch = 10;
    fake.now = 5;
    memory = (struct space){0};
    first = (struct process){.pid = 1, .sid = 1, .space = &memory};
    shell = (struct process){.pid = 7, .sid = 7, .space = &memory};
    program = (struct process){.pid = 9, .sid = 7, .space = &memory};
    init_process = &first;
    act_as(&program);
}

/** The most that refuses this use, found by trying all. */
static uint64_t floor_found(enum space_use use)
{
    uint64_t left = 0;

    do {
        know(left);
    } while (!space_take(use, 1) && left++ < TOTAL);
    return left;
}

START_TEST(each_use_leaves_the_rest_to_the_next)
{
    ck_assert_uint_eq(floor_found(SPACE_FILES), 5 * UNIT + 1);
    ck_assert_uint_eq(floor_found(SPACE_MAPPING), 4 * UNIT + 1);
    ck_assert_uint_eq(floor_found(SPACE_LARGE), 3 * UNIT + 1);
    ck_assert_uint_eq(floor_found(SPACE_PROCESS), UNIT * 3 / 2 + 1);
    ck_assert_uint_eq(floor_found(SPACE_SMALL), UNIT / 2 + 1);
    ck_assert_uint_eq(floor_found(SPACE_LAST), 1);
}
END_TEST

START_TEST(memory_is_refused_to_the_large_before_the_small)
{
    memory.owned = 10;
    know(UNIT);
    ck_assert(space_take_page(&memory));
    memory.owned = 95;
    ck_assert(space_take_page(&memory));
    memory.owned = 200;
    ck_assert(!space_take_page(&memory));
    know(2 * UNIT + UNIT / 2);
    ck_assert(space_take_page(&memory));
    memory.owned = 10000;
    ck_assert(!space_take_page(&memory));
    act_as(&shell);
    ck_assert(space_take_page(&memory));
    act_as(&first);
    ck_assert(space_take_page(&memory));
    current = NULL;
    ck_assert(space_take_page(&memory));
}
END_TEST

START_TEST(a_mapping_must_fit)
{
    fake.left = 2000;
    ck_assert(space_take_mapping(1400));
    ck_assert(!space_take_mapping(1700));
    ck_assert(space_take_mapping(1400)); /* it is not counted: memory comes when it is touched */
    know(2 * UNIT);
    ck_assert(space_take_mapping(UNIT - 1)); /* as a program needs it to start */
    ck_assert(!space_take_mapping(1000));
    memory.owned = 10000;
    ck_assert(!space_take_mapping(1));
}
END_TEST

START_TEST(a_store_that_says_nothing_has_room)
{
    fake.total = 0;
    ck_assert(space_take(SPACE_FILES, 1000000));
    ck_assert(space_take_mapping(1000000));
}
END_TEST

START_TEST(it_starts_when_there_is_room)
{
    fake.left = 1000;
    space_wait_to_start();
    ck_assert_uint_eq(fake.logs, 0);
    ck_assert_uint_eq(fake.now, 5);
    fake.left = 10;
    space_wait_to_start();
    ck_assert_uint_eq(fake.logs, 1);
    ck_assert_uint_eq(fake.left, 310);
}
END_TEST

START_TEST(it_asks_now_and_then_and_before_it_refuses)
{
    know(5000);
    fake.questions = 0;
    for (unsigned i = 0; i < 630; i++)
        ck_assert(space_take(SPACE_FILES, 1));
    ck_assert_uint_ge(fake.questions, 9);
    ck_assert_uint_le(fake.questions, 12);
    fake.left = 0; /* others took it, or a commit says so */
    for (unsigned i = 0; i < 64; i++)
        space_take(SPACE_FILES, 1);
    ck_assert(!space_take(SPACE_FILES, 1));
    fake.left = 5000;
    ck_assert(space_take(SPACE_FILES, 1));
}
END_TEST

/** A refusal of a file's growth. @return what becomes of the call */
static long refused_call(void)
{
    space_begin();
    ck_assert(!space_take(SPACE_FILES, 1));
    return space_outcome(-ENOSPC);
}

START_TEST(without_hope_it_is_said_at_once)
{
    fake.left = 1;
    ck_assert_int_eq(refused_call(), -ENOSPC);
}
END_TEST

START_TEST(what_was_destroyed_is_waited_for)
{
    fake.left = 1;
    space_freed();
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(refused_call(), BLOCKED);
        commit(1);
    }
    ck_assert_int_eq(refused_call(), -ENOSPC);
    space_satisfied(); /* the next call does not wait for the same again */
    ck_assert_int_eq(refused_call(), -ENOSPC);
}
END_TEST

START_TEST(nobody_waits_for_ever)
{
    unsigned waited = 0;

    fake.left = 1;
    do {
        space_freed(); /* others come and go */
        commit(1);
        waited++;
    } while (refused_call() == BLOCKED);
    ck_assert_uint_le(waited, 6);
    space_satisfied();
    space_freed();
    for (waited = 0; refused_call() == BLOCKED; waited++) { /* no checkpoint ever comes */
        ck_assert_uint_lt(waited, 1000);
        fake.now += 20000000;
    }
    ck_assert_uint_gt(waited, 100);
}
END_TEST

START_TEST(other_failures_are_left_alone)
{
    memory.owned = 10000;
    fake.left = 1;
    space_freed();
    space_begin();
    ck_assert_int_eq(space_outcome(-ENOENT), -ENOENT);
    ck_assert_int_eq(space_outcome(-EAGAIN), -EAGAIN);
    ck_assert_int_eq(space_outcome(-ENOMEM), -ENOMEM);
    ck_assert(!space_take(SPACE_PROCESS, 1));
    ck_assert_int_eq(space_outcome(-ENOENT), -ENOENT);
    ck_assert_int_eq(space_outcome(-EAGAIN), BLOCKED);
    fake.signal = true;
    ck_assert_int_eq(space_outcome(-EAGAIN), -EAGAIN);
}
END_TEST

START_TEST(a_fault_waits_too)
{
    memory.owned = 10000;
    fake.left = 1;
    space_freed();
    ck_assert_int_eq(space_wait_fault(), BLOCKED);
    ck_assert(thread.waits_in_fault);
    fake.signal = true;
    ck_assert_int_eq(space_wait_fault(), RESULT_RETRY);
    fake.signal = false;
    fake.epoch += 4;
    ck_assert_int_eq(space_wait_fault(), -ENOMEM);
}
END_TEST

START_TEST(a_small_process_lets_others_go_first)
{
    fake.left = 1;
    space_begin();
    ck_assert(!space_take(SPACE_PROCESS, 1));
    ck_assert_int_eq(space_outcome(-ENOMEM), BLOCKED);
    ck_assert_int_eq(space_wait_fault(), BLOCKED);
    ck_assert_int_eq(refused_call(), -ENOSPC); /* files do not wait for that */
    fake.now += 1000000000;
    ck_assert_int_eq(space_wait_fault(), -ENOMEM);
    ck_assert_int_eq(space_outcome(-ENOMEM), -ENOMEM);
    memory.owned = 10000;
    space_satisfied();
    ck_assert_int_eq(space_wait_fault(), -ENOMEM);
}
END_TEST

START_TEST(figures_tell_what_files_may_have)
{
    struct space_figures f;

    fake.left = 1000;
    space_figures(&f);
    ck_assert_uint_eq(f.total, TOTAL);
    ck_assert_uint_eq(f.free, 1000);
    ck_assert_uint_eq(f.files, 1000 - 5 * UNIT);
    fake.left = 5 * UNIT;
    space_figures(&f);
    ck_assert_uint_eq(f.files, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("space");
    TCase *tests = tcase_create("space");

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, each_use_leaves_the_rest_to_the_next);
    tcase_add_test(tests, memory_is_refused_to_the_large_before_the_small);
    tcase_add_test(tests, a_mapping_must_fit);
    tcase_add_test(tests, a_store_that_says_nothing_has_room);
    tcase_add_test(tests, it_starts_when_there_is_room);
    tcase_add_test(tests, it_asks_now_and_then_and_before_it_refuses);
    tcase_add_test(tests, without_hope_it_is_said_at_once);
    tcase_add_test(tests, what_was_destroyed_is_waited_for);
    tcase_add_test(tests, nobody_waits_for_ever);
    tcase_add_test(tests, other_failures_are_left_alone);
    tcase_add_test(tests, a_fault_waits_too);
    tcase_add_test(tests, a_small_process_lets_others_go_first);
    tcase_add_test(tests, figures_tell_what_files_may_have);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
