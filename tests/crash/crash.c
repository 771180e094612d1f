/*
 * Crash tests of the store: every sequence of two operations, then random ones for a given time;
 * and proof that they can fail: each deliberate fault of the library (store/mutation.h) must be
 * caught.
 *
 *   crash [--seconds N] [--seed N] [--long]    no faults
 *   crash --mutations [--seconds N]            each fault in turn; N is the most that one may take
 *   crash --mutation NUMBER                    that fault, to look at
 *   crash --allocations                        each allocation fails in turn
 *   crash --forge [--seconds N] [--seed N]     index blocks and roots with anything in them
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../store/mutation.h"
#include "allocate.h"
#include "explore.h"

int store_mutation;

static const char *const mutation_name[MUTATION_LAST + 1] = {
    [MUTATION_NO_FLUSH_BEFORE_ROOT] = "no flush before the root",
    [MUTATION_NO_FLUSH_AFTER_ROOT] = "no flush after the root",
    [MUTATION_NODE_CHECKSUM] = "checksums of index and map blocks not compared",
    [MUTATION_OBJECT_CHECKSUM] = "checksums of objects not compared",
    [MUTATION_ROOT_CHECKSUM] = "checksums of roots not compared",
    [MUTATION_ONE_ROOT_SLOT] = "the root overwrites its predecessor",
    [MUTATION_FREED_EARLY] = "space freed one generation early",
    [MUTATION_INCARNATION] = "incarnation not bumped",
    [MUTATION_CLAIM_NOT_FLUSHED] = "a claim not flushed",
    [MUTATION_ROOT_BEFORE_DATA] = "the root made durable before the data",
    [MUTATION_NUMBER_REUSED] = "generation numbers used again after going back",
    [MUTATION_DROP_SHARED] = "dropping frees what the next generation shares",
    [MUTATION_CLAIM_NOT_EXTENDED] = "writes outside the claim",
    [MUTATION_DROP_LEAKS] = "dropping keeps index blocks",
    [MUTATION_AVOID_IGNORED] = "the predecessor's claim not avoided",
    [MUTATION_MAP_IN_PLACE] = "map blocks overwritten in place",
    [MUTATION_OLDEST_ROOT] = "the oldest root counts",
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void prepare(struct explorer *x)
{
    static const enum operation first[] = {OPERATION_PUT_SOME, OPERATION_PUT_ONE,
                                           OPERATION_PUT_SOME};

    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
        explorer_run(x, first[i]);
}

/** All sequences of two operations on a store with four generations. */
static void pairs(const struct effort *e, double deadline)
{
    for (unsigned a = 0; a < OPERATIONS && now() < deadline; a++)
        for (unsigned b = 0; b < OPERATIONS && now() < deadline; b++) {
            struct explorer *x = explorer_new(300, 12, 1, e);

            snprintf(explorer_where, sizeof(explorer_where), "%s, %s", operation_name[a],
                     operation_name[b]);
            prepare(x);
            explorer_run(x, (enum operation)a);
            explorer_run(x, (enum operation)b);
            explorer_free(x);
        }
}

static void random_round(uint64_t seed, const struct effort *e, unsigned length, double deadline)
{
    static const struct {
        uint64_t blocks;
        unsigned objects;
    } size[] = {{300, 12}, {300, 40}, {340, 60}, {800, 150}};
    unsigned which = (unsigned)seed % 4;
    struct explorer *x = explorer_new(size[which].blocks, size[which].objects, seed, e);

    for (unsigned i = 0; i < length && now() < deadline; i++) {
        enum operation o = explorer_choose(x);

        snprintf(explorer_where, sizeof(explorer_where), "--seed %llu, operation %u (%s)",
                 (unsigned long long)seed, i, operation_name[o]);
        explorer_run(x, o);
        if (i % 8 == 0)
            explorer_damage(x, 16);
    }
    explorer_free(x);
}

static void report(double seconds)
{
    printf("%llu power cuts, %llu images (%.0f a second), %llu recovered, %llu commits\n",
           (unsigned long long)statistics.points, (unsigned long long)statistics.images,
           (double)statistics.images / seconds, (unsigned long long)statistics.recoveries,
           (unsigned long long)statistics.commits);
}

/** No mutation: everything must hold. */
static int run(uint64_t seed, double seconds, const struct effort *e)
{
    double start = now();

    pairs(e, start + seconds * 0.5);
    printf("pairs of operations: ");
    report(now() - start);
    fflush(stdout);
    for (uint64_t s = seed; now() < start + seconds; s++)
        random_round(s, e, 50, start + seconds);
    printf("with random ones from --seed %llu: ", (unsigned long long)seed);
    report(now() - start);
    printf("1 passed, 0 failed\n");
    return 0;
}

/** Hostile stores: there is nothing to compare, but sanitizers are watching. */
static int forge(uint64_t seed, double seconds)
{
    static const struct effort none = {0, 0, 0, 0};
    double start = now();

    for (uint64_t s = seed; now() < start + seconds; s++) {
        struct explorer *x = explorer_new(s % 2 ? 300 : 800, s % 2 ? 30 : 400, s, &none);

        for (unsigned i = 0; i < 6; i++)
            explorer_run(x, explorer_choose(x));
        store_mutation = s % 3 ? MUTATION_NODE_CHECKSUM : MUTATION_ROOT_CHECKSUM;
        snprintf(explorer_where, sizeof(explorer_where), "--forge --seed %llu",
                 (unsigned long long)s);
        explorer_forge(x, 300);
        store_mutation = 0;
        explorer_free(x);
    }
    report(now() - start);
    printf("1 passed, 0 failed\n");
    return 0;
}

/** A workload in which the n-th allocation fails, for every n: an error, and nothing is lost. */
static int fail_allocations(uint64_t seed)
{
    bool failed = true;
    uint64_t n;

    for (n = 1; failed; n++) {
        struct memory_disk *d = memory_disk_new(500);
        struct model *m = model_new(d, 500);

        snprintf(explorer_where, sizeof(explorer_where), "allocation %llu", (unsigned long long)n);
        allocations = 0;
        allocation_fails_at = n;
        model_random(m, (unsigned)seed, 30);
        failed = allocations >= n;
        allocation_fails_at = 0;
        model_reopen(m);
        model_check(m);
        if (model_verify(m))
            model_fail("%s: damage", explorer_where);
        model_free(m);
        memory_disk_free(d);
    }
    printf("%llu allocations failed in turn\n", (unsigned long long)n - 2);
    printf("1 passed, 0 failed\n");
    return 0;
}

static void caught(void)
{
    fflush(stderr);
    _exit(3);
}

/** Runs with one fault until it is caught. @return 0 if it was */
static int run_mutated(int mutation, double seconds)
{
    static const struct effort e = {6, 4, 4, 0};
    double start = now();
    int status = 0;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        store_mutation = mutation;
        model_failed = caught;
        if (!freopen("/dev/null", "w", stderr))
            _exit(4);
        for (uint64_t s = 1; now() < start + seconds; s++)
            random_round(s, &e, 50, start + seconds);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0)
        return 1;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 3) {
        printf("caught after %4.1f s: %s\n", now() - start, mutation_name[mutation]);
        return 0;
    }
    printf("NOT CAUGHT: %s (status %#x)\n", mutation_name[mutation], status);
    return 1;
}

static int run_mutations(double seconds)
{
    int missed = 0;

    for (int m = 1; m <= MUTATION_LAST; m++)
        missed += run_mutated(m, seconds);
    printf("%d passed, %d failed\n", MUTATION_LAST - missed, missed);
    return missed ? 1 : 0;
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"seconds", required_argument, NULL, 's'},  {"seed", required_argument, NULL, 'r'},
        {"mutation", required_argument, NULL, 'm'}, {"mutations", no_argument, NULL, 'M'},
        {"long", no_argument, NULL, 'l'},           {"allocations", no_argument, NULL, 'a'},
        {"forge", no_argument, NULL, 'f'},          {0}};
    struct effort e = {8, 16, 6, 24};
    double seconds = 20;
    uint64_t seed = 1;
    int c, mutations = 0, forged = 0, starve = 0;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 's')
            seconds = atof(optarg);
        else if (c == 'r')
            seed = strtoull(optarg, NULL, 0);
        else if (c == 'm')
            store_mutation = atoi(optarg);
        else if (c == 'M')
            mutations = 1;
        else if (c == 'a')
            starve = 1;
        else if (c == 'f')
            forged = 1;
        else if (c == 'l')
            e = (struct effort){12, 200, 2, 8};
        else
            return 2;
    }
    if (starve)
        return fail_allocations(seed);
    if (forged)
        return forge(seed, seconds);
    return mutations ? run_mutations(seconds) : run(seed, seconds, &e);
}
