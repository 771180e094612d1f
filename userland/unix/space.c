/*
 * Room in the district's store (SELF_SPACE), shared out so that a full store is a message and not
 * the end of anybody who did not fill it.
 *
 * New objects are refused by use, each use at a floor of its own below which it leaves the rest to
 * the others: first files do not grow any more (ENOSPC), then processes get no more memory
 * (ENOMEM), then one that touches what it was given before is ended, the larger the sooner, then
 * there are no new processes. A shell that runs rm in a full store thus still can. Last of all the
 * nucleus refuses everything.
 *
 * Before anything is refused, its thread waits if there is hope: what was destroyed lately may be
 * known to the store only, and give its place back with the next checkpoint, which waiting asks
 * for; and somebody else may end. Invariant: a call waits for WAIT_EPOCHS checkpoints at most, and
 * no longer than WAIT_LIMIT; or, for others, no longer than PATIENCE.
 *
 * Free is what the nucleus said at the last question, less what was taken since; it is asked again
 * after some objects, and always before a refusal.
 */
#include <bailiwick/runtime.h>
#include "process.h"
#include "space.h"

#define ASK_EVERY     64u
#define LARGE_PAGES   256u /* of its own, from which on a process is large: 1 MiB */
#define SMALL_PAGES   96u  /* up to here it is small: as a program starts */
#define FREED_EPOCHS  2u   /* until what was destroyed is committed */
#define WAIT_EPOCHS   4u
#define WAIT_LIMIT    10000000000ull /* ns */
#define PATIENCE      1000000000ull
#define WAIT_STEP     20000000ull
#define START_OBJECTS 256u /* for our own memory, and a shell */
#define START_STEP    1000000000ull
#define UNIT_FRACTION 64u /* floors count in this part of the store, */
#define UNIT_MIN      64u
#define UNIT_MAX      4096u

static uint64_t total, left;       /* as of the last question; total 0: not known */
static uint64_t taken = ASK_EVERY; /* since then */
static bool destroyed;             /* objects, since the last question */
static uint64_t freed_epoch;       /* in which objects were destroyed last, at the latest */
static uint64_t epoch;
static bool refused; /* in this call or fault */
static struct wait_queue waiting;

/** @param press ask for a checkpoint as well */
static void ask(bool press)
{
    struct message m = {.word = {press ? PRESSED_SHORT : PRESSED_NOT}};

    if (bw_self(SELF_SPACE, &m) != BW_OK) {
        return;
    }
    left = m.word[0];
    total = m.word[1];
    taken = 0;
    m = (struct message){0};
    bw_self(SELF_DISTRICT, &m);
    epoch = m.word[2];
    if (destroyed) {
        destroyed = false;
        freed_epoch = epoch;
    }
}

static uint64_t floor_of(unsigned use)
{
    uint64_t unit = total / UNIT_FRACTION;

    unit = unit < UNIT_MIN ? UNIT_MIN : unit > UNIT_MAX ? UNIT_MAX : unit;
    return unit * use / 256;
}

static bool fits(unsigned use, uint64_t objects)
{
    return total == 0 || left >= taken + objects + floor_of(use);
}

static bool enough(unsigned use, uint64_t objects)
{
    if (taken < ASK_EVERY && fits(use, objects)) {
        return true;
    }
    ask(false);
    refused = refused || !fits(use, objects);
    return fits(use, objects);
}

void space_wait_to_start(void)
{
    ask(false);
    if (!fits(SPACE_LAST, START_OBJECTS)) {
        bw_log("unix: the store has no room to start in; waiting for some");
    }
    while (!fits(SPACE_LAST, START_OBJECTS)) {
        bw_wait(bw_monotonic() + START_STEP);
        ask(false);
    }
}

static bool take(unsigned use, uint64_t objects)
{
    if (!enough(use, objects)) {
        return false;
    }
    taken += objects;
    return true;
}

bool space_take(enum space_use use, uint64_t objects)
{
    return take(use, objects);
}

bool space_protects(const struct process *p)
{
    return p == init_process || p->pid == p->sid;
}

bool space_is_large(const struct space *s)
{
    return s->owned > LARGE_PAGES;
}

/** The floor at which a process that has so many pages gets no more of them. */
static unsigned memory_use(uint64_t pages)
{
    if (pages > LARGE_PAGES) {
        return SPACE_LARGE;
    }
    if (pages < SMALL_PAGES) {
        return SPACE_SMALL;
    }
    return SPACE_SMALL + (SPACE_LARGE - SPACE_SMALL) * (unsigned)(pages - SMALL_PAGES) /
                             (LARGE_PAGES - SMALL_PAGES);
}

bool space_take_page(const struct space *s)
{
    bool last = !current || space_protects(current->process);

    return take(last ? SPACE_LAST : memory_use(s->owned), 1);
}

bool space_take_mapping(uint64_t pages)
{
    const struct process *p = current->process;
    uint64_t sum = p->space->owned + pages;

    if (sum > LARGE_PAGES) {
        return enough(SPACE_MAPPING, pages);
    }
    /* It may just have started, and will touch little of it. */
    return enough(space_protects(p) ? SPACE_LAST : memory_use(sum), 0);
}

void space_freed(void)
{
    destroyed = true;
}

void space_begin(void)
{
    refused = false;
}

void space_satisfied(void)
{
    current->space_epoch = 0;
}

/** May the next checkpoints bring space? */
static bool hopeful(const struct thread *t)
{
    return freed_epoch != 0 && epoch < freed_epoch + FREED_EPOCHS &&
           epoch < t->space_epoch + WAIT_EPOCHS && time_monotonic() < t->space_since + WAIT_LIMIT;
}

/** May others have gone by then? A small process waits for that, so that a large one that comes and
 * goes is not its end. */
static bool patient(const struct thread *t)
{
    const struct space *s = t->process->space;

    return s && !space_is_large(s) && time_monotonic() < t->space_since + PATIENCE;
}

/** Enters current in the queue if there is hope. @return BLOCKED, -EINTR, -ENOMEM */
static long wait_here(bool for_memory)
{
    struct thread *t = current;

    ask(true);
    if (t->space_epoch == 0) {
        t->space_epoch = epoch;
        t->space_since = time_monotonic();
    }
    return hopeful(t) || (for_memory && patient(t))
               ? wait_on(&waiting, time_monotonic() + WAIT_STEP)
               : -ENOMEM;
}

long space_outcome(long result)
{
    if (result != -ENOSPC && (!refused || (result != -ENOMEM && result != -EAGAIN))) {
        return result;
    }
    return wait_here(result != -ENOSPC) == BLOCKED ? BLOCKED : result;
}

long space_wait_fault(void)
{
    long r = wait_here(true);

    if (r == BLOCKED) {
        current->waits_in_fault = true;
    }
    return r == -EINTR ? RESULT_RETRY : r;
}

void space_figures(struct space_figures *f)
{
    ask(false);
    *f = (struct space_figures){.total = total, .free = left};
    if (left > floor_of(SPACE_FILES)) {
        f->files = left - floor_of(SPACE_FILES);
    }
}
