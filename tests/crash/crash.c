/*
 * Crash tests of the store (workloads.c), and proof that they can fail (mutations.c).
 *
 *   crash [--sequences N] [--images N] [--seed N] [--workers N] [--mirror] [--thorough | --quick]
 *                            all sequences of up to N operations (of three: only those of the core,
 *                            unless thorough), then random ones until so many different images have
 *                            been opened
 *   crash --mutations                          each fault in turn
 *   crash --mutation NUMBER                    that fault, to look at
 *   crash --lies [--seed N] [--rounds N]       disks that lie and fail
 *   crash --bonds [--seed N] [--rounds N]      bonded districts
 *   crash --allocations                        each allocation fails in turn
 *   crash --forge [--seconds N] [--seed N]     index blocks and roots with anything in them
 */
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../store/mutation.h"
#include "allocate.h"
#include "workloads.h"

extern int store_mutation;

struct options {
    unsigned sequences, workers;
    uint64_t images, seed, rounds;
    double seconds;
    bool mirror, thorough;
    struct effort effort;
};

static void report(double start)
{
    struct statistics s = distinct_sum();
    double seconds = workload_now() - start;

    printf("%llu different images opened and compared (%.0f a second; %llu opened, of %llu made),\n"
           "at %llu power cuts, after %llu commits; %llu recovered, %llu with cuts of their own, "
           "%llu damaged\n",
           (unsigned long long)s.distinct, (double)s.distinct / seconds,
           (unsigned long long)s.opened, (unsigned long long)s.images, (unsigned long long)s.points,
           (unsigned long long)s.commits, (unsigned long long)s.recoveries,
           (unsigned long long)s.nested, (unsigned long long)s.damaged);
    fflush(stdout);
}

static void work(const struct options *o, unsigned worker)
{
    double start = workload_now();

    distinct_worker(worker);
    for (unsigned length = 1; length <= o->sequences; length++) {
        workload_sequences(&o->effort, length, length > 2 && !o->thorough, worker, o->workers);
        if (worker == 0) {
            printf("up to %u operation%s: ", length, length > 1 ? "s" : "");
            report(start);
        }
    }
    for (uint64_t s = o->seed + worker; !distinct_enough(); s += o->workers)
        o->mirror ? workload_mirror(s, &o->effort, 50) : workload_random(s, &o->effort, 50);
}

/** No mutation: everything must hold. */
static int run(const struct options *o)
{
    double start = workload_now();
    int failed = 0, status;

    distinct_begin(o->images, o->workers);
    distinct_goal(o->images);
    fflush(stdout);
    for (unsigned w = 0; w < o->workers; w++)
        if (fork() == 0) {
            work(o, w);
            exit(0);
        }
    while (wait(&status) > 0)
        failed += status != 0;
    printf("with random ones from --seed %llu: ", (unsigned long long)o->seed);
    report(start);
    printf("%d passed, %d failed\n", !failed, !!failed);
    return failed ? 1 : 0;
}

static int lies(const struct options *o)
{
    for (uint64_t s = o->seed; s < o->seed + o->rounds; s++)
        explorer_lies(s);
    printf("%llu disks that lied\n1 passed, 0 failed\n", (unsigned long long)o->rounds);
    return 0;
}

static int bonds(const struct options *o)
{
    double start = workload_now();

    for (uint64_t s = o->seed; s < o->seed + o->rounds; s++)
        workload_bonds(s, 3, 3000);
    report(start);
    printf("1 passed, 0 failed\n");
    return 0;
}

/** Hostile stores: there is nothing to compare, but sanitizers are watching. */
static int forge(uint64_t seed, double seconds)
{
    double start = workload_now();

    for (uint64_t s = seed; workload_now() < start + seconds; s++) {
        struct explorer *x = explorer_new(s % 2 ? 300 : 800, s % 2 ? 30 : 400, s, NULL);

        for (unsigned i = 0; i < 6; i++)
            explorer_run(x, explorer_choose(x));
        explorer_run(x, OPERATION_COMMIT);
        store_mutation = s % 3 ? MUTATION_NODE_CHECKSUM : MUTATION_ROOT_CHECKSUM;
        snprintf(explorer_where, sizeof(explorer_where), "--forge --seed %llu",
                 (unsigned long long)s);
        explorer_forge(x, 300);
        store_mutation = 0;
        explorer_free(x);
    }
    report(start);
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

int main(int argc, char **argv)
{
    static const struct option known[] = {{"sequences", required_argument, NULL, 'n'},
                                          {"images", required_argument, NULL, 'i'},
                                          {"seed", required_argument, NULL, 'r'},
                                          {"workers", required_argument, NULL, 'w'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {"mutation", required_argument, NULL, 'm'},
                                          {"mutations", no_argument, NULL, 'M'},
                                          {"thorough", no_argument, NULL, 't'},
                                          {"allocations", no_argument, NULL, 'a'},
                                          {"forge", no_argument, NULL, 'f'},
                                          {"lies", no_argument, NULL, 'l'},
                                          {"mirror", no_argument, NULL, 'd'},
                                          {"quick", no_argument, NULL, 'q'},
                                          {"bonds", no_argument, NULL, 'b'},
                                          {"rounds", required_argument, NULL, 'R'},
                                          {0}};
    struct options o = {2, 1, 100000, 1, 1000, 20, false, false, {16, 16, 6, 24}};
    int c, what = 0;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 'n')
            o.sequences = (unsigned)atoi(optarg);
        else if (c == 'i')
            o.images = strtoull(optarg, NULL, 0);
        else if (c == 'r')
            o.seed = strtoull(optarg, NULL, 0);
        else if (c == 'R')
            o.rounds = strtoull(optarg, NULL, 0);
        else if (c == 'w')
            o.workers = (unsigned)atoi(optarg);
        else if (c == 's')
            o.seconds = atof(optarg);
        else if (c == 'm')
            store_mutation = atoi(optarg);
        else if (c == 't')
            o.thorough = true, o.effort = (struct effort){16, 64, 4, 16};
        else if (c == 'q')
            o.effort = effort_quick;
        else if (c == 'd')
            o.mirror = true;
        else if (c == '?')
            return 2;
        else
            what = c;
    }
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    distinct_begin(o.images, 1);
    switch (what) {
    case 'M':
        return mutations_run();
    case 'a':
        return fail_allocations(o.seed);
    case 'f':
        return forge(o.seed, o.seconds);
    case 'b':
        return bonds(&o);
    case 'l':
        return lies(&o);
    default:
        return run(&o);
    }
}
