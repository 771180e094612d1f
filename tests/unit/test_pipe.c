// sources: ../../userland/unix/pipe.c ../../userland/unix/file_io.c
/*
 * Pipes: a reader and a writer whose calls are run again from the start when they were woken, as
 * the personality does it, must pass every byte once and in order.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "pipe.h"

static struct pipe *p;
static unsigned waits, wakes;
static uint8_t *fault_from; /* user memory from here on is not there */

long wait_on(struct wait_queue *q, bw_time_t deadline)
{
    ck_assert_ptr_eq(q, &p->queue);
    ck_assert(deadline == BW_NO_DEADLINE);
    waits++;
    return BLOCKED;
}

void wake_all(struct wait_queue *q)
{
    (void)q;
    wakes++;
}

int user_read(void *to, uint64_t from, size_t n)
{
    if (fault_from != NULL && (uint8_t *)(uintptr_t)from + n > fault_from) {
        return -EFAULT;
    }
    memcpy(to, (void *)(uintptr_t)from, n);
    return 0;
}

int user_write(uint64_t to, const void *from, size_t n)
{
    memcpy((void *)(uintptr_t)to, from, n);
    return 0;
}

static void setup(void)
{
    p = pipe_new();
    p->readers = p->writers = 1;
    waits = wakes = 0;
    fault_from = NULL;
}

static void teardown(void)
{
    pipe_free(p);
}

static long do_write(const void *from, size_t n, bool nonblock)
{
    struct io_part part;
    struct io io;

    io_init_user(&io, &part, (uint64_t)(uintptr_t)from, n);
    return pipe_write(p, &io, nonblock);
}

static long do_read(void *to, size_t n, bool nonblock)
{
    struct io_part part;
    struct io io;

    io_init_user(&io, &part, (uint64_t)(uintptr_t)to, n);
    return pipe_read(p, &io, nonblock);
}

START_TEST(passes_bytes)
{
    char out[16] = {0};

    ck_assert_int_eq(do_read(out, 5, true), -EAGAIN);
    ck_assert_int_eq(do_read(out, 5, false), BLOCKED);
    ck_assert_int_eq(do_write("hello", 5, false), 5);
    ck_assert_uint_ge(wakes, 1);
    ck_assert_int_eq(do_read(out, 2, false), 2);
    ck_assert_int_eq(do_read(out + 2, 10, false), 3);
    ck_assert_str_eq(out, "hello");
    ck_assert_int_eq(do_read(out, 0, false), 0);
    ck_assert_int_eq(do_write("", 0, false), 0);
}
END_TEST

START_TEST(ends)
{
    char out[4];

    ck_assert_int_eq(do_write("ab", 2, false), 2);
    pipe_close_writer(p);
    ck_assert_int_eq(do_read(out, 4, false), 2);
    ck_assert_int_eq(do_read(out, 4, false), 0);
    p->writers = 1;
    pipe_close_reader(p);
    ck_assert_int_eq(do_write("x", 1, false), -EPIPE);
}
END_TEST

START_TEST(small_writes_are_atomic)
{
    static uint8_t bytes[PIPE_SIZE];

    ck_assert_int_eq(do_write(bytes, PIPE_SIZE - 100, true), PIPE_SIZE - 100);
    ck_assert_int_eq(do_write(bytes, 101, true), -EAGAIN);
    ck_assert_int_eq(do_write(bytes, 101, false), BLOCKED);
    ck_assert_uint_eq(p->count, PIPE_SIZE - 100);
    ck_assert_int_eq(do_write(bytes, PIPE_ATOMIC + 1, true), 100);
    ck_assert_int_eq(do_write(bytes, PIPE_ATOMIC + 1, true), -EAGAIN);
}
END_TEST

START_TEST(a_fault_of_the_writer)
{
    static uint8_t bytes[100];

    fault_from = bytes;
    ck_assert_int_eq(do_write(bytes, 100, false), -EFAULT);
    ck_assert_uint_eq(p->count, 0);
}
END_TEST

START_TEST(runs_again_until_done)
{
    static uint8_t in[5 * PIPE_SIZE], out[5 * PIPE_SIZE];
    uint64_t written = 0;
    size_t got = 0;
    long w = BLOCKED;

    srand((unsigned)_i);
    for (size_t i = 0; i < sizeof(in); i++) {
        in[i] = (uint8_t)rand();
    }
    while (got < sizeof(out)) {
        struct io_part part;
        struct io io;
        long r;

        if (w == BLOCKED) {
            io_init_user(&io, &part, (uint64_t)(uintptr_t)in, sizeof(in));
            io_skip(&io, (size_t)written);
            w = pipe_write(p, &io, false);
            written = io.done;
        }
        r = do_read(out + got, (size_t)rand() % 30000 + 1, false);
        ck_assert_int_gt(r, 0);
        got += (size_t)r;
    }
    ck_assert_uint_eq(written, sizeof(in));
    ck_assert_mem_eq(in, out, sizeof(in));
    ck_assert_uint_eq(p->count, 0);
}
END_TEST

START_TEST(vectors)
{
    char a[] = "ab", b[] = "cdef", out[8] = {0}, x[3] = {0}, y[8] = {0};
    struct io_part from[] = {{(uint64_t)(uintptr_t)a, 2}, {0, 0}, {(uint64_t)(uintptr_t)b, 4}};
    struct io_part to[] = {{0, 0}, {(uint64_t)(uintptr_t)x, 3}, {(uint64_t)(uintptr_t)y, 8}};
    struct io io;

    io_init_parts(&io, from, 3, 6);
    ck_assert_int_eq(pipe_write(p, &io, false), 6);
    io_init_parts(&io, to, 3, 11);
    ck_assert_int_eq(pipe_read(p, &io, false), 6);
    memcpy(out, x, 3);
    memcpy(out + 3, y, 3);
    ck_assert_str_eq(out, "abcdef");
}
END_TEST

START_TEST(shutdown_of_a_side)
{
    char out[4];

    p->writing_over = true;
    ck_assert_int_eq(do_read(out, 4, false), 0);
    p->reading_over = true;
    ck_assert_int_eq(do_write("x", 1, false), -EPIPE);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pipe");
    TCase *t = tcase_create("all");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, passes_bytes);
    tcase_add_test(t, ends);
    tcase_add_test(t, small_writes_are_atomic);
    tcase_add_test(t, a_fault_of_the_writer);
    tcase_add_loop_test(t, runs_again_until_done, 0, 4);
    tcase_add_test(t, vectors);
    tcase_add_test(t, shutdown_of_a_side);
    suite_add_tcase(s, t);
    return run_suite(s);
}
