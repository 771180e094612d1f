/*
 * See distinct.h. The set is open addressing in shared memory; a slot is taken by one atomic
 * exchange. When three quarters are taken nothing more is counted: too few, never too many.
 */
#include "distinct.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static uint64_t *slot;
static uint64_t slots; /* a power of two */
static struct statistics *all;
static unsigned processes;
struct statistics *statistics;

static void *shared(size_t size)
{
    void *p =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED) {
        perror("crash: mmap");
        exit(2);
    }
    return p;
}

void distinct_begin(uint64_t images, unsigned workers)
{
    slots = 1u << 20;
    while (slots < images + images / 2)
        slots *= 2;
    slot = shared(slots * sizeof(*slot));
    all = shared(workers * sizeof(*all));
    processes = workers;
    statistics = all;
}

static uint64_t goal;

void distinct_goal(uint64_t images)
{
    goal = images;
}

bool distinct_enough(void)
{
    return goal && distinct_sum().distinct >= goal;
}

void distinct_worker(unsigned n)
{
    statistics = &all[n];
}

struct statistics distinct_sum(void)
{
    struct statistics s = {0};

    for (unsigned i = 0; i < processes; i++) {
        uint64_t *to = (uint64_t *)&s;
        const volatile uint64_t *from = (const volatile uint64_t *)&all[i];

        for (size_t k = 0; k < sizeof(s) / sizeof(*to); k++)
            to[k] += from[k];
    }
    return s;
}

void distinct_count(uint64_t hash)
{
    if (hash == 0)
        hash = 1;
    if (statistics->distinct * processes > slots / 4 * 3)
        return;
    for (uint64_t i = hash & (slots - 1);; i = (i + 1) & (slots - 1)) {
        uint64_t empty = 0;

        if (slot[i] == hash)
            return;
        if (slot[i])
            continue;
        if (__atomic_compare_exchange_n(&slot[i], &empty, hash, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
            statistics->distinct++;
            return;
        }
        if (empty == hash)
            return;
    }
}
