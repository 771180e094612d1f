/*
 * futex: threads that wait for a word in memory. A word is named by the space and address, or, in
 * shared memory, by the memory and the offset in it.
 */
#include <string.h>
#include "process.h"

#define BUCKETS 256u

enum futex_operation {
    FUTEX_WAIT = 0,
    FUTEX_WAKE = 1,
    FUTEX_REQUEUE = 3,
    FUTEX_CMP_REQUEUE = 4,
    FUTEX_WAKE_OP = 5,
    FUTEX_WAIT_BITSET = 9,
    FUTEX_WAKE_BITSET = 10,
};
#define FUTEX_PRIVATE  128u
#define FUTEX_REALTIME 256u
#define FUTEX_WAITERS  0x80000000u
#define FUTEX_DIED     0x40000000u
#define FUTEX_TID      0x3fffffffu
#define ALL_BITS       0xffffffffu
#define ROBUST_MAX     2048

struct futex_key {
    const void *object;
    uint64_t offset;
};

static struct thread *bucket[BUCKETS];

static struct futex_key key_of(uint64_t address)
{
    struct space *s = current->process->space;
    struct area *v = area_find(s, address);

    if (v && (v->flags & AREA_SHARED)) {
        uint64_t offset = address - v->start + v->offset;

        if (v->memory) {
            return (struct futex_key){v->memory, offset};
        }
        /* Opens of one file are several objects; its inode is the name. */
        return (struct futex_key){(const void *)(uintptr_t)file_inode(v->file), offset};
    }
    return (struct futex_key){s, address};
}

static struct thread **bucket_of(struct futex_key k)
{
    uint64_t h = ((uintptr_t)k.object >> 4) ^ (k.offset >> 2);

    return &bucket[(h ^ h >> 8 ^ h >> 16) % BUCKETS];
}

static void enter(struct thread *t, struct futex_key k, uint32_t bits)
{
    struct thread **end = bucket_of(k);

    while (*end) {
        end = &(*end)->futex.next;
    }
    t->futex.object = k.object;
    t->futex.offset = k.offset;
    t->futex.bits = bits;
    t->futex.next = NULL;
    t->futex.link = end;
    t->futex.waiting = true;
    *end = t;
}

void futex_leave(struct thread *t)
{
    if (!t->futex.waiting) {
        return;
    }
    *t->futex.link = t->futex.next;
    if (t->futex.next) {
        t->futex.next->futex.link = t->futex.link;
    }
    t->futex.waiting = false;
}

static bool waits_for(const struct thread *t, struct futex_key k)
{
    return t->futex.object == k.object && t->futex.offset == k.offset;
}

static int wake(struct futex_key k, int count, uint32_t bits)
{
    int woken = 0;
    struct thread *next;

    for (struct thread *t = *bucket_of(k); t && woken < count; t = next) {
        next = t->futex.next;
        if (waits_for(t, k) && (t->futex.bits & bits)) {
            futex_leave(t);
            wait_wake(t);
            woken++;
        }
    }
    return woken;
}

void futex_wake_address(uint64_t address, int count)
{
    wake(key_of(address), count, ALL_BITS);
}

/** The deadline of a wait, MONOTONIC. progress: 0 first run, then deadline + 1. */
static int wait_deadline(uint64_t timeout, unsigned operation, bool realtime, bw_time_t *deadline)
{
    bw_time_t t;
    int error;

    *deadline = BW_NO_DEADLINE;
    if (!timeout) {
        return 0;
    }
    error = timespec_read(timeout, &t);
    if (error) {
        return error;
    }
    if (operation == FUTEX_WAIT) {
        *deadline = time_monotonic() + t;
    } else if (realtime) {
        bw_time_t now = time_realtime();

        *deadline = time_monotonic() + (t > now ? t - now : 0);
    } else {
        *deadline = t;
    }
    return 0;
}

static long futex_wait(uint64_t address, uint32_t value, uint64_t timeout, unsigned operation,
                       bool realtime, uint32_t bits)
{
    struct thread *t = current;
    bw_time_t deadline;
    uint32_t now;
    long r;

    if (t->progress) {
        if (!t->futex.waiting) {
            return 0; /* woken */
        }
        if (t->timed_out) {
            futex_leave(t);
            return -ETIMEDOUT;
        }
        deadline = t->progress - 1;
    } else {
        int error = wait_deadline(timeout, operation, realtime, &deadline);

        if (error) {
            return error;
        }
        if (user_read(&now, address, sizeof now)) {
            return -EFAULT;
        }
        if (now != value) {
            return -EAGAIN;
        }
        enter(t, key_of(address), bits);
        t->progress = deadline == BW_NO_DEADLINE ? BW_NO_DEADLINE : deadline + 1;
    }
    if (t->progress == BW_NO_DEADLINE) {
        deadline = BW_NO_DEADLINE;
    }
    r = wait_alone(deadline);
    if (r != BLOCKED) {
        futex_leave(t);
        t->progress = 0; /* if it is run again, from the start */
    }
    return r;
}

static long requeue(uint64_t from, int wake_count, int move_count, uint64_t to)
{
    struct futex_key k = key_of(from), other = key_of(to);
    int done = wake(k, wake_count, ALL_BITS);
    struct thread *next;

    for (struct thread *t = *bucket_of(k); t && move_count > 0; t = next) {
        next = t->futex.next;
        if (waits_for(t, k)) {
            uint32_t bits = t->futex.bits;

            futex_leave(t);
            enter(t, other, bits);
            move_count--;
            done++;
        }
    }
    return done;
}

static uint32_t combine(unsigned how, uint32_t old, uint32_t argument)
{
    switch (how & 7) {
    case 0:
        return argument;
    case 1:
        return old + argument;
    case 2:
        return old | argument;
    case 3:
        return old & ~argument;
    default:
        return old ^ argument;
    }
}

static bool compare(unsigned how, int32_t old, int32_t argument)
{
    switch (how) {
    case 0:
        return old == argument;
    case 1:
        return old != argument;
    case 2:
        return old < argument;
    case 3:
        return old <= argument;
    case 4:
        return old > argument;
    default:
        return old >= argument;
    }
}

static long wake_op(uint64_t first, int count, int count2, uint64_t second, uint32_t code)
{
    uint32_t old, value, argument = code >> 12 & 0xfff;
    int done;

    if (code & 0x80000000u) {
        argument = 1u << (argument & 31);
    }
    if (user_read(&old, second, sizeof old)) {
        return -EFAULT;
    }
    value = combine(code >> 28, old, argument);
    if (user_write(second, &value, sizeof value)) {
        return -EFAULT;
    }
    done = wake(key_of(first), count, ALL_BITS);
    if (compare(code >> 24 & 15, (int32_t)old, (int32_t)(code & 0xfff))) {
        done += wake(key_of(second), count2, ALL_BITS);
    }
    return done;
}

CALL(futex)
{
    unsigned operation = (unsigned)b & ~(FUTEX_PRIVATE | FUTEX_REALTIME);
    uint32_t now;

    if (a & 3) {
        return -EINVAL;
    }
    switch (operation) {
    case FUTEX_WAIT:
        return futex_wait(a, (uint32_t)c, d, operation, false, ALL_BITS);
    case FUTEX_WAIT_BITSET:
        return (uint32_t)f
                   ? futex_wait(a, (uint32_t)c, d, operation, b & FUTEX_REALTIME, (uint32_t)f)
                   : -EINVAL;
    case FUTEX_WAKE:
        return wake(key_of(a), (int)c, ALL_BITS);
    case FUTEX_WAKE_BITSET:
        return (uint32_t)f ? wake(key_of(a), (int)c, (uint32_t)f) : -EINVAL;
    case FUTEX_CMP_REQUEUE:
        if (user_read(&now, a, sizeof now)) {
            return -EFAULT;
        }
        if (now != (uint32_t)f) {
            return -EAGAIN;
        }
        return requeue(a, (int)c, (int)d, e);
    case FUTEX_REQUEUE:
        return requeue(a, (int)c, (int)d, e);
    case FUTEX_WAKE_OP:
        return wake_op(a, (int)c, (int)d, e, (uint32_t)f);
    default:
        return -ENOSYS;
    }
}

/* --- robust lists ----------------------------------------------------------------------------- */

struct robust_head {
    uint64_t next;
    int64_t offset;
    uint64_t pending;
};

/** A lock held by the ended thread is marked, and one waiter told. */
static void release_dead(struct thread *t, uint64_t address)
{
    uint32_t word;

    if ((address & 3) || user_read(&word, address, sizeof word) ||
        (word & FUTEX_TID) != (uint32_t)t->tid) {
        return;
    }
    word = (word & FUTEX_WAITERS) | FUTEX_DIED;
    if (user_write(address, &word, sizeof word) == 0) {
        futex_wake_address(address, 1);
    }
}

void futex_exit_robust(struct thread *t)
{
    struct robust_head head;
    uint64_t at;

    if (!t->robust_list || user_read(&head, t->robust_list, sizeof head)) {
        return;
    }
    at = head.next;
    for (int i = 0; i < ROBUST_MAX && at && at != t->robust_list; i++) {
        if (at != head.pending) {
            release_dead(t, at + (uint64_t)head.offset);
        }
        if (user_read(&at, at, sizeof at)) {
            break;
        }
    }
    if (head.pending) {
        release_dead(t, head.pending + (uint64_t)head.offset);
    }
}

CALL(set_robust_list)
{
    if (b != sizeof(struct robust_head)) {
        return -EINVAL;
    }
    current->robust_list = a;
    return 0;
}

CALL(get_robust_list)
{
    struct thread *t = a ? thread_find((int)a) : current;
    uint64_t size = sizeof(struct robust_head);

    if (!t) {
        return -ESRCH;
    }
    return user_write(b, &t->robust_list, sizeof t->robust_list) ||
                   user_write(c, &size, sizeof size)
               ? -EFAULT
               : 0;
}
