/*
 * Proof that the crash tests can fail: each deliberate fault of the library (store/mutation.h) is
 * switched on in turn, and must be caught by the tests that the library passes without.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../store/mutation.h"
#include "workloads.h"

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
    [MUTATION_ROOM] = "a reservation forgotten: room for the index is not counted",
    [MUTATION_ONE_TWIN] = "the root written once instead of twice",
    [MUTATION_TWIN_IGNORED] = "the root's twin not looked at",
    [MUTATION_NOT_MENDED] = "a root's twin that is not whole not mended",
    [MUTATION_NOT_WIPED] = "the next root written over a torn one",
    [MUTATION_SCRUB_BELIEVES] = "scrubbing believes what it reads",
    [MUTATION_RETAIN_LESS] = "retention drops one generation too many",
    [MUTATION_FREE_COUNT] = "what is freed not counted",
    [MUTATION_NOT_RECORDED] = "a mirror's survivor does not record that it runs alone",
    [MUTATION_NOT_ALIGNED] = "a copy that comes back keeps its own roots",
    [MUTATION_ONE_COPY_FLUSHED] = "only one copy of a mirror flushed",
    [MUTATION_REPAIR_LIES] = "a bad copy said to be mended, and is not",
    [MUTATION_SYNC_EARLY] = "a copy called up to date before it is",
};

static void caught(void)
{
    fflush(stderr);
    _exit(3);
}

static void run_until(int mutation, double seconds)
{
    static const struct effort e = {6, 4, 4, 0};
    double end = workload_now() + seconds;

    store_mutation = mutation;
    model_failed = caught;
    if (!freopen("/dev/null", "w", stderr))
        _exit(4);
    for (uint64_t s = 1; workload_now() < end; s++) {
        for (uint64_t k = 0; k < 20; k++)
            explorer_lies(s * 20 + k);
        workload_mirror(s, &e, 25);
        workload_random(s, &e, 50);
    }
    _exit(0);
}

/** Runs with one fault until it is caught. @return 0 if it was */
static int run_mutated(int mutation, double seconds)
{
    double start = workload_now();
    int status = 0;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0)
        run_until(mutation, seconds);
    if (child < 0 || waitpid(child, &status, 0) < 0)
        return 1;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 3) {
        printf("caught after %4.1f s: %s\n", workload_now() - start, mutation_name[mutation]);
        return 0;
    }
    printf("NOT CAUGHT: %s (status %#x)\n", mutation_name[mutation], status);
    return 1;
}

int mutations_run(double seconds)
{
    int missed = 0;

    for (int m = 1; m <= MUTATION_LAST; m++)
        missed += run_mutated(m, seconds);
    printf("%d passed, %d failed\n", MUTATION_LAST - missed, missed);
    return missed ? 1 : 0;
}
