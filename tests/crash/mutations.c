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

/** What is broken, and the seed of the workload that finds it soonest. */
static const struct {
    const char *name;
    unsigned seed;
} mutation[MUTATION_LAST + 1] = {
    [MUTATION_NO_FLUSH_BEFORE_ROOT] = {"no flush before the root", 1},
    [MUTATION_NO_FLUSH_AFTER_ROOT] = {"no flush after the root", 1},
    [MUTATION_NODE_CHECKSUM] = {"checksums of index and map blocks not compared", 1},
    [MUTATION_OBJECT_CHECKSUM] = {"checksums of objects not compared", 1},
    [MUTATION_ROOT_CHECKSUM] = {"checksums of roots not compared", 1},
    [MUTATION_ONE_ROOT_SLOT] = {"the root overwrites its predecessor", 1},
    [MUTATION_FREED_EARLY] = {"space freed one generation early", 1},
    [MUTATION_INCARNATION] = {"incarnation not bumped", 1},
    [MUTATION_CLAIM_NOT_FLUSHED] = {"a claim not flushed", 1},
    [MUTATION_ROOT_BEFORE_DATA] = {"the root made durable before the data", 1},
    [MUTATION_NUMBER_REUSED] = {"generation numbers used again after going back", 2},
    [MUTATION_DROP_SHARED] = {"dropping frees what the next generation shares", 1},
    [MUTATION_CLAIM_NOT_EXTENDED] = {"writes outside the claim", 2},
    [MUTATION_DROP_LEAKS] = {"dropping keeps index blocks", 1},
    [MUTATION_AVOID_IGNORED] = {"the predecessor's claim not avoided", 1},
    [MUTATION_MAP_IN_PLACE] = {"map blocks overwritten in place", 1},
    [MUTATION_OLDEST_ROOT] = {"the oldest root counts", 1},
    [MUTATION_ROOM] = {"a reservation forgotten: room for the index is not counted", 1},
    [MUTATION_ONE_TWIN] = {"the root written once instead of twice", 1},
    [MUTATION_TWIN_IGNORED] = {"the root's twin not looked at", 1},
    [MUTATION_NOT_MENDED] = {"a root's twin that is not whole not mended", 1},
    [MUTATION_NOT_WIPED] = {"the next root written over a torn one", 1},
    [MUTATION_SCRUB_BELIEVES] = {"scrubbing believes what it reads", 1},
    [MUTATION_RETAIN_LESS] = {"retention drops one generation too many", 1},
    [MUTATION_FREE_COUNT] = {"what is freed not counted", 1},
    [MUTATION_NOT_RECORDED] = {"a mirror's survivor does not record that it runs alone", 3},
    [MUTATION_NOT_ALIGNED] = {"a copy that comes back keeps its own roots", 3},
    [MUTATION_ONE_COPY_FLUSHED] = {"only one copy of a mirror flushed", 3},
    [MUTATION_REPAIR_LIES] = {"a bad copy said to be mended, and is not", 3},
    [MUTATION_NOT_REMOVED] = {"a copy that comes back has old roots without its newer ones", 3},
    [MUTATION_OLDER_TWIN] = {"a copy that comes back has an older root beside its newest", 3},
    [MUTATION_SYNC_EARLY] = {"a copy called up to date before it is", 3},
    [MUTATION_NOT_KEPT] = {"what one in doubt grew from may be dropped", 1},
    [MUTATION_BOND_EARLY] = {"the home of a bond commits before all have prepared", 1},
    [MUTATION_BOND_FORGOTTEN] = {"a new coordinator does not ask what the home of a bond has", 1},
    [MUTATION_BOND_NEWEST] = {"bonded districts restart each from its newest generation", 1},
};

#define FIRST_OF_MIRRORS MUTATION_NOT_RECORDED
#define FIRST_OF_BONDS   MUTATION_NOT_KEPT
#define LENGTH           50u    /* operations of a workload */
#define IMAGES           30000u /* and different images, after which it may end earlier */
#define SEEDS            8u     /* that are tried, from that one on */
#define BOND_STEPS       3000u

enum kind { ALONE, MIRROR, BONDS, KINDS };

static const char *const kind_option[KINDS] = {"        ", "--mirror", "--bonds "};

/** Exit status of a child: with the seed after that one, something was found. */
enum { CAUGHT = 16 };

static unsigned tried;

static void caught(void)
{
    fflush(stderr);
    _exit(CAUGHT + (int)tried);
}

static void run_workload(enum kind kind, unsigned seed)
{
    distinct_begin(IMAGES, 1);
    distinct_goal(IMAGES);
    if (kind == BONDS)
        workload_bonds(seed, 2, BOND_STEPS);
    else if (kind == MIRROR)
        workload_mirror(seed, &effort_quick, LENGTH);
    else
        workload_random(seed, &effort_quick, LENGTH);
}

/** @return exit status of a child that runs so many workloads with that fault (0: none) */
static int child_status(int fault, enum kind kind, unsigned seed, unsigned seeds)
{
    int status = 0;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        store_mutation = fault;
        model_failed = caught;
        if (fault && !freopen("/dev/null", "w", stderr))
            _exit(4);
        for (; tried < seeds; tried++)
            run_workload(kind, seed + tried);
        _exit(0);
    }
    return child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status) ? -1
                                                                             : WEXITSTATUS(status);
}

/** Which workloads have caught something. */
static bool used[KINDS][64];

/** Runs with one fault until it is caught. @return 0 if it was */
static int run_mutated(int fault)
{
    enum kind kind = fault >= FIRST_OF_BONDS ? BONDS : fault >= FIRST_OF_MIRRORS ? MIRROR : ALONE;
    double start = workload_now();
    int status = child_status(fault, kind, mutation[fault].seed, SEEDS);
    unsigned seed = mutation[fault].seed + (unsigned)(status - CAUGHT);

    if (status < CAUGHT) {
        printf("NOT CAUGHT: %s (status %d)\n", mutation[fault].name, status);
        return 1;
    }
    used[kind][seed] = true;
    printf("caught after %4.1f s, %s --seed %u: %s\n", workload_now() - start, kind_option[kind],
           seed, mutation[fault].name);
    return 0;
}

/** The very workloads that have caught something find nothing without a fault. */
static int run_control(void)
{
    double start = workload_now();
    unsigned count = 0, found = 0;

    for (int kind = 0; kind < KINDS; kind++)
        for (unsigned seed = 0; seed < sizeof(used[kind]); seed++)
            if (used[kind][seed]) {
                count++;
                found += child_status(0, (enum kind)kind, seed, 1) != 0;
            }
    printf("%s in %.0f s without a fault, in the same %u workloads\n",
           found ? "SOMETHING FOUND" : "nothing found", workload_now() - start, count);
    return found ? 1 : 0;
}

int mutations_run(void)
{
    double start = workload_now();
    int missed = 0;

    for (int m = 1; m <= MUTATION_LAST; m++)
        missed += run_mutated(m);
    missed += run_control();
    printf("%.0f s in all\n", workload_now() - start);
    printf("%d passed, %d failed\n", MUTATION_LAST + 1 - missed, missed);
    return missed ? 1 : 0;
}
