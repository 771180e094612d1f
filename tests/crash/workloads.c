/*
 * The workloads: all short sequences of operations, and random long ones on two districts.
 */
#include "workloads.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

double workload_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/** Four generations, before a sequence. */
static void prepare(struct explorer *x)
{
    static const enum operation first[] = {OPERATION_PUT_SOME, OPERATION_PUT_ONE,
                                           OPERATION_PUT_SOME};

    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
        explorer_run(x, first[i]);
}

/** number: in base `choices`, the operations. What was begun is committed in the end. */
static void sequence(const struct effort *e, uint64_t number, unsigned length, unsigned choices)
{
    struct explorer *x = explorer_new(300, 12, number, e);
    size_t used = 0;

    snprintf(explorer_where, sizeof(explorer_where), "before a sequence");
    prepare(x);
    for (unsigned i = 0; i < length; i++, number /= choices) {
        enum operation o = (enum operation)(number % choices);

        used += (size_t)snprintf(explorer_where + used, sizeof(explorer_where) - used, "%s%s",
                                 i ? ", " : "", operation_name[o]);
        explorer_run(x, o);
    }
    explorer_run(x, OPERATION_COMMIT);
    explorer_free(x);
}

void workload_sequences(const struct effort *e, unsigned length, bool core, unsigned worker,
                        unsigned workers)
{
    unsigned choices = core ? CORE_OPERATIONS : OPERATIONS;
    uint64_t count = 1;

    for (unsigned i = 0; i < length; i++)
        count *= choices;
    for (uint64_t n = worker; n < count; n += workers)
        sequence(e, n, length, choices);
}

void workload_mirror(uint64_t seed, const struct effort *e, unsigned length)
{
    struct explorer *x = explorer_new_mirror(300, 12, seed, e);

    for (unsigned i = 0; i < length && !distinct_enough(); i++) {
        enum operation o = explorer_choose(x);

        snprintf(explorer_where, sizeof(explorer_where), "--mirror --seed %llu, operation %u (%s)",
                 (unsigned long long)seed, i, operation_name[o]);
        explorer_run(x, o);
    }
    explorer_free(x);
}

void workload_random(uint64_t seed, const struct effort *e, unsigned length)
{
    static const struct {
        uint64_t blocks;
        unsigned objects;
    } size[] = {{300, 12}, {300, 40}, {340, 60}, {600, 100}};
    unsigned which = (unsigned)seed % 4;
    struct explorer *x[2];
    uint64_t random = seed;

    for (unsigned i = 0; i < 2; i++)
        x[i] =
            explorer_new(size[i ? 0 : which].blocks, size[i ? 0 : which].objects, seed * 2 + i, e);
    for (unsigned i = 0; i < length && !distinct_enough(); i++) {
        unsigned one = model_random_number(&random) % 3 == 0;
        enum operation o = explorer_choose(x[one]);
        bool move = i % 8 == 3;

        snprintf(explorer_where, sizeof(explorer_where), "--seed %llu, operation %u (%s, of %u)",
                 (unsigned long long)seed, i, move ? "move" : operation_name[o], one);
        if (move)
            explorer_move(x[one], x[!one]);
        else
            explorer_run(x[one], o);
        explorer_check(x[!one]);
        if (i % 8 == 0)
            explorer_damage(x[one], 16);
    }
    explorer_free(x[0]);
    explorer_free(x[1]);
}
