/*
 * Districts that broke: what happened is described for the user, the crash policy (policy.c)
 * decides, and the district goes back, stops, or runs on.
 *
 * Going back means: to the newest generation before the policy's bound which can be read as far as
 * is known, of those that the current one grew from. What a rollback had abandoned is not gone back
 * to unasked. Those that are bonded with it stop, or go back, with it.
 */
#include "broken.h"
#include <stdio.h>
#include "bond.h"
#include "events.h"
#include "lifecycle.h"

static const char *fault_text(uint64_t code)
{
    switch (code) {
    case FAULT_SYSCALL:
        return "system call";
    case FAULT_PAGE:
        return "page fault";
    case FAULT_DIVIDE:
        return "division";
    case FAULT_DEBUG:
        return "breakpoint";
    case FAULT_ILLEGAL:
        return "illegal instruction";
    case FAULT_PROTECTION:
        return "protection fault";
    default:
        return "fault";
    }
}

/** Fills in the fault, and describes in a few words what happened. */
static void describe(unsigned slot, struct policy_fault *f, const char *text, char *to, size_t size)
{
    struct district_status s;

    if (f->why == ENDED_CRASHED && lifecycle_status(slot, &s) == BW_OK) {
        f->what = s.crash_code;
        f->where = s.crash_rip;
        snprintf(to, size, "%s of domain %llu at %#llx", fault_text(s.crash_code),
                 (unsigned long long)s.crash_oid, (unsigned long long)s.crash_rip);
        bw_log("districtd: %s: %s, error %#llx, address %#llx", registry_entry(slot)->name, to,
               (unsigned long long)s.crash_error, (unsigned long long)s.crash_address);
    } else {
        snprintf(to, size, "%s", text[0] ? text : "it ended");
        bw_log("districtd: %s: %s", registry_entry(slot)->name, to);
    }
}

static void stop(unsigned slot, const char *what, const char *more)
{
    struct entry *e = registry_entry(slot);

    bond_end(slot, what);
    registry_say(e, "stopped: %s; %s", what, more);
    events_say(EVENT_ENDED, true, e->name, "%s", e->message);
}

static enum start_reason start_reason(enum ended_why why)
{
    return why == ENDED_CRASHED  ? START_CRASHED
           : why == ENDED_BROKEN ? START_BROKEN
                                 : START_DAMAGED;
}

/** Goes back to the newest readable generation before the bound, or stops if there is none. */
static void roll_back(unsigned slot, const struct policy_fault *f, uint64_t bound, const char *what)
{
    struct entry *e = registry_entry(slot);
    char choice[DISTRICT_MESSAGE_MAX];
    uint64_t target, from = e->line.generation;
    struct bond_plan plan;

    if (!bond_whole(slot, bound, &target, choice) ||
        bond_plan(slot, &target, false, &plan) != BW_OK) {
        stop(slot, what, choice);
        return;
    }
    policy_rolled_back(&e->crashes, f, target, bw_monotonic());
    bond_end(slot, what);
    if (bond_start(&plan, start_reason(f->why)) == BW_OK) {
        registry_say(e, "%s; rolled back to generation %llu", what, (unsigned long long)target);
        events_say(EVENT_ROLLED_BACK, true, e->name, "%s", e->message);
    } else {
        events_say(EVENT_ENDED, true, e->name, "%s; it was to go back from generation %llu to %llu",
                   what, (unsigned long long)from, (unsigned long long)target);
    }
}

void broken(unsigned slot, enum ended_why why, uint32_t policy, uint64_t object, const char *text)
{
    struct entry *e = registry_entry(slot);
    struct policy_fault fault = {.why = why, .what = object};
    char what[DISTRICT_MESSAGE_MAX / 2], choice[DISTRICT_MESSAGE_MAX];
    struct district_line line;
    uint64_t bound, target;

    if (!e->running) {
        return;
    }
    lifecycle_line(slot, &line);
    describe(slot, &fault, text, what, sizeof(what));
    switch (policy_decide(&e->crashes, &fault, policy, bw_monotonic(), line.generation, &bound)) {
    case ACTION_ROLL_BACK:
        roll_back(slot, &fault, bound, what);
        break;
    case ACTION_STOP:
        lifecycle_whole(slot, bound, &target, choice);
        stop(slot, what, choice);
        break;
    case ACTION_LEAVE:
        registry_say(e, "runs on after: %s", what);
        events_say(EVENT_FAULT, true, e->name, "%s", e->message);
        break;
    }
}
