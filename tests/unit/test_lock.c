// sources: ../../userland/unix/file_lock.c
/*
 * Record locks against a model that keeps, for each byte and process, what lock it has; and flock.
 */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include "files.h"

#define BYTES     64
#define PROCESSES 3

/** struct flock of the system call. */
struct lock_request {
    short type, whence;
    int pad;
    int64_t start, length;
    int pid, pad2;
};

static struct vnode vnode;
static struct file file[PROCESSES];
static int pid;

/* --- stand-ins --- */

struct thread *current;

struct process *thread_process(const struct thread *t)
{
    (void)t;
    return NULL;
}

int process_pid(const struct process *p)
{
    (void)p;
    return pid;
}

uint64_t file_size(const struct file *f)
{
    (void)f;
    return 40;
}

struct file *file_of(uint64_t fd)
{
    return fd < PROCESSES ? &file[fd] : NULL;
}

long wait_on(struct wait_queue *q, bw_time_t deadline)
{
    ck_assert_ptr_eq(q, &vnode.lock_queue);
    ck_assert(deadline == BW_NO_DEADLINE);
    return BLOCKED;
}

void wake_all(struct wait_queue *q)
{
    (void)q;
}

int user_read(void *to, uint64_t from, size_t n)
{
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
    memset(&vnode, 0, sizeof(vnode));
    for (int i = 0; i < PROCESSES; i++) {
        file[i] = (struct file){.vnode = &vnode, .flags = O_RDWR};
    }
    pid = 1;
}

static void teardown(void)
{
    for (pid = 1; pid <= PROCESSES; pid++) {
        locks_release(&vnode, pid);
    }
    ck_assert_ptr_null(vnode.locks);
    for (int i = 0; i < PROCESSES; i++) {
        flock_release(&vnode, &file[i]);
    }
    ck_assert_ptr_null(vnode.flock);
}

static long order(int command, short type, short whence, int64_t start, int64_t length,
                  struct lock_request *q)
{
    *q = (struct lock_request){.type = type, .whence = whence, .start = start, .length = length};
    return locks_fcntl(&file[pid - 1], command, (uint64_t)(uintptr_t)q);
}

static long set(short type, int64_t start, int64_t length)
{
    struct lock_request q;

    return order(F_SETLK, type, SEEK_SET, start, length, &q);
}

static short model[PROCESSES + 1][BYTES]; /* F_UNLCK, F_RDLCK, F_WRLCK */

static bool model_conflict(short type, int from, int to)
{
    for (int p = 1; p <= PROCESSES; p++) {
        for (int i = from; p != pid && i < to; i++) {
            if (model[p][i] != F_UNLCK && (type == F_WRLCK || model[p][i] == F_WRLCK)) {
                return true;
            }
        }
    }
    return false;
}

START_TEST(random_locks_against_a_model)
{
    srand((unsigned)_i);
    for (int p = 0; p <= PROCESSES; p++) {
        for (int i = 0; i < BYTES; i++) {
            model[p][i] = F_UNLCK;
        }
    }
    for (int step = 0; step < 5000; step++) {
        static const short types[] = {F_RDLCK, F_WRLCK, F_UNLCK, F_UNLCK};
        short type = types[rand() % 4];
        int from = rand() % BYTES, length = rand() % (BYTES - from) + 1;
        struct lock_request q;
        bool busy;

        pid = rand() % PROCESSES + 1;
        busy = model_conflict(type == F_UNLCK ? F_WRLCK : type, from, from + length);
        if (type != F_UNLCK) {
            ck_assert_int_eq(order(F_GETLK, type, SEEK_SET, from, length, &q), 0);
            ck_assert_int_eq(q.type != F_UNLCK, busy);
            ck_assert_int_eq(set(type, from, length), busy ? -EAGAIN : 0);
        } else {
            ck_assert_int_eq(set(type, from, length), 0);
        }
        for (int i = from; i < from + length && (type == F_UNLCK || !busy); i++) {
            model[pid][i] = type;
        }
        if (rand() % 50 == 0) {
            locks_release(&vnode, pid);
            for (int i = 0; i < BYTES; i++) {
                model[pid][i] = F_UNLCK;
            }
        }
    }
}
END_TEST

START_TEST(ranges)
{
    struct lock_request q;

    file[0].offset = 20;
    ck_assert_int_eq(order(F_SETLK, F_WRLCK, SEEK_CUR, -10, 5, &q), 0);
    pid = 2;
    ck_assert_int_eq(order(F_GETLK, F_RDLCK, SEEK_SET, 0, 0, &q), 0);
    ck_assert_int_eq(q.start, 10);
    ck_assert_int_eq(q.length, 5);
    ck_assert_int_eq(q.pid, 1);
    ck_assert_int_eq(order(F_SETLK, F_WRLCK, SEEK_END, 0, -10, &q), 0); /* 30 to 39 */
    ck_assert_int_eq(order(F_SETLK, F_WRLCK, SEEK_SET, 14, 2, &q), -EAGAIN);
    ck_assert_int_eq(order(F_SETLKW, F_WRLCK, SEEK_SET, 14, 2, &q), BLOCKED);
    ck_assert_int_eq(order(F_SETLK, F_WRLCK, SEEK_SET, 5, -10, &q), -EINVAL);
    ck_assert_int_eq(order(F_SETLK, F_WRLCK, 9, 5, 1, &q), -EINVAL);
    ck_assert_int_eq(order(F_SETLK, 9, SEEK_SET, 5, 1, &q), -EINVAL);
    ck_assert_int_eq(order(F_SETLK, F_WRLCK, SEEK_END, INT64_MAX, 1, &q), -EOVERFLOW);
    ck_assert_int_eq(order(F_SETLK, F_RDLCK, SEEK_SET, 100, 0, &q), 0);
    pid = 1;
    ck_assert_int_eq(order(F_GETLK, F_WRLCK, SEEK_SET, INT64_MAX, 0, &q), 0);
    ck_assert_int_eq(q.type, F_RDLCK);
    ck_assert_int_eq(q.start, 100);
    ck_assert_int_eq(q.length, 0);
}
END_TEST

START_TEST(access_modes)
{
    file[0].flags = O_RDONLY;
    ck_assert_int_eq(set(F_WRLCK, 0, 1), -EBADF);
    ck_assert_int_eq(set(F_RDLCK, 0, 1), 0);
    file[0].flags = O_WRONLY;
    ck_assert_int_eq(set(F_RDLCK, 0, 1), -EBADF);
}
END_TEST

static long do_flock(uint64_t fd, uint64_t operation)
{
    return sys_flock(fd, operation, 0, 0, 0, 0);
}

START_TEST(flocks)
{
    ck_assert_int_eq(do_flock(0, LOCK_SH), 0);
    ck_assert_int_eq(do_flock(1, LOCK_SH), 0);
    ck_assert_int_eq(do_flock(0, LOCK_EX | LOCK_NB), -EAGAIN);
    ck_assert_int_eq(do_flock(0, LOCK_EX), BLOCKED);
    ck_assert_int_eq(do_flock(1, LOCK_UN), 0);
    ck_assert_int_eq(do_flock(0, LOCK_EX), 0);
    ck_assert_int_eq(do_flock(0, LOCK_SH), 0);
    ck_assert_int_eq(do_flock(1, LOCK_SH | LOCK_NB), 0);
    ck_assert_int_eq(do_flock(9, LOCK_SH), -EBADF);
    ck_assert_int_eq(do_flock(0, 77), -EINVAL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lock");
    TCase *t = tcase_create("all");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, random_locks_against_a_model, 0, 6);
    tcase_add_test(t, ranges);
    tcase_add_test(t, access_modes);
    tcase_add_test(t, flocks);
    suite_add_tcase(s, t);
    return run_suite(s);
}
