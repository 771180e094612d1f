/*
 * Districts that start by themselves when the machine does: those whose stores say so (`autostart
 * NAME on`).
 *
 *   a store registers for the first time        waits, if it says so
 *   a mirrored one that cannot be used alone    waits or not as soon as its other copy is there
 *   its server or districtd was restarted       does not: the district runs on, or was ended
 *   started or asked for by somebody            waits no more
 *
 * Each is tried once, but while disks or what districts are granted may still turn up (BW_AGAIN) it
 * waits. What goes wrong is told, and left to the user: a mirrored store that has to be decided
 * about is not started.
 */
#include "autostart.h"
#include "bond.h"
#include "events.h"
#include "lifecycle.h"

#define RETRY_NS 50000000ull

static bw_time_t next_try = 1;

void autostart_note(struct entry *e)
{
    if (e->error == 0 && e->fresh) {
        e->fresh = false;
        e->waits = e->line.autostart != 0;
    }
}

bw_time_t autostart_due(void)
{
    for (unsigned slot = 1; slot < REGISTRY_MAX; slot++) {
        if (registry_entry(slot)->waits) {
            return next_try;
        }
    }
    return BW_NO_DEADLINE;
}

static void start(unsigned slot)
{
    struct entry *e = registry_entry(slot);
    int64_t result = e->error;

    e->message[0] = e->error ? e->message[0] : 0;
    e->crashes = (struct crash_history){0};
    if (result == 0) {
        result = bond_start_newest(slot, START_BOOT);
    }
    e->waits = result == BW_AGAIN;
    if (result == BW_OK) {
        events_say(EVENT_STARTED, false, e->name,
                   e->line.fresh ? "started by itself, for the first time"
                                 : "started by itself from generation %llu",
                   (unsigned long long)e->line.generation);
    } else if (!e->waits) {
        events_say(EVENT_ENDED, true, e->name, "did not start by itself: %s", e->message);
    }
}

void autostart_run(void)
{
    for (unsigned slot = 1; slot < REGISTRY_MAX; slot++) {
        if (registry_entry(slot)->waits) {
            start(slot);
        }
    }
    next_try = bw_monotonic() + RETRY_NS;
}
