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

const struct effort effort_quick = {6, 4, 4, 12};

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
    [MUTATION_NOT_REMOVED] = "a copy that comes back has old roots without its newer ones",
    [MUTATION_SYNC_EARLY] = "a copy called up to date before it is",
};

enum { CAUGHT = 3 };

static void caught(void)
{
    fflush(stderr);
    _exit(CAUGHT);
}

static void run_until(int mutation, double seconds)
{
    double end = workload_now() + seconds;

    store_mutation = mutation;
    model_failed = caught;
    if (mutation && !freopen("/dev/null", "w", stderr))
        _exit(4);
    for (uint64_t s = 1; workload_now() < end; s++) {
        for (uint64_t k = 0; k < 20; k++)
            explorer_lies(s * 20 + k);
        workload_random(s, &effort_quick, 25);
        workload_mirror(s, &effort_quick, 25);
        if (s <= 2)
            workload_sequences(&effort_quick, (unsigned)s, false, 0, 1);
    }
    _exit(0);
}

/** @return exit status of a child that runs with that fault (0: none) for so long at the most */
static int child_status(int mutation, double seconds)
{
    int status = 0;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0)
        run_until(mutation, seconds);
    return child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status) ? -1
                                                                             : WEXITSTATUS(status);
}

/** The same tests without a fault find nothing. */
static int run_control(double seconds)
{
    int status = child_status(0, seconds);

    printf("%s in %.0f s without a fault\n", status ? "SOMETHING FOUND" : "nothing found", seconds);
    return status ? 1 : 0;
}

/** Runs with one fault until it is caught. @return 0 if it was */
static int run_mutated(int mutation, double seconds)
{
    double start = workload_now();
    int status = child_status(mutation, seconds);

    if (status == CAUGHT)
        printf("caught after %4.1f s: %s\n", workload_now() - start, mutation_name[mutation]);
    else
        printf("NOT CAUGHT: %s (status %d)\n", mutation_name[mutation], status);
    return status != CAUGHT;
}

int mutations_run(double seconds)
{
    double start = workload_now(), longest = 0;
    int missed = 0;

    for (int m = 1; m <= MUTATION_LAST; m++) {
        double began = workload_now();

        missed += run_mutated(m, seconds);
        if (workload_now() - began > longest)
            longest = workload_now() - began;
    }
    missed += run_control(longest < 5 ? 5 : longest);
    printf("%.0f s in all\n", workload_now() - start);
    printf("%d passed, %d failed\n", MUTATION_LAST + 1 - missed, missed);
    return missed ? 1 : 0;
}
