/*
 * How store servers become known: each registers when it has opened its store.
 *
 *   it is new                            an entry
 *   it has the other copy of a mirror    no entry: its disk is handed to the server of the first
 *   another one has that name            an entry that says so; it stays closed
 *   the entry's server has ended         takes its place; if its district runs, the new one is
 *                                        given the district and goes on serving it
 *   it was registered with a districtd   an entry in the slot that it had; if its district runs, we
 *   that has ended, or that one's server are given the district
 *
 * A disk's server always asks for the same slot, because that is the number of the district's
 * console session, also when neither districtd nor the server remembers it.
 *
 * Who starts or ends a district may himself end in the middle: then it is in the nucleus, but not
 * running. Such a one is ended, and its server is told in the answer: it must not be called before.
 */
#include "registration.h"
#include <stdio.h>
#include <string.h>
#include <bailiwick/names.h>
#include "autostart.h"
#include "broker.h"
#include "bond.h"
#include "events.h"
#include "lifecycle.h"

#define KR_CALLED KEY_AT(29) /* for a moment */

static uint64_t unnamed;
static struct district_line line; /* of the one who registers, or as answered */

/** 1 + which copy of a mirrored store; 0: it is not mirrored. */
static unsigned copy_of(const uint64_t *word)
{
    return (unsigned)word[2] & (REGISTER_PAIRED - 1);
}

/** Another copy of a mirrored store has turned up: its disk is handed to the server of the first
 * one.
 *  @return false: that server does not want it, or has ended */
static bool pair(unsigned slot)
{
    struct entry *e = registry_entry(slot);
    struct message m = {.code = STORE_PAIR, .buffer = &line, .size = sizeof(line)};

    m.send[0] = KR_OFFERED_DISK;
    if (bw_call(KEY_STORE(slot), &m) != BW_OK) {
        return false;
    }
    bw_copy_key(KR_OFFERED_DISK, KEY_PARTNER(slot));
    e->paired = true;
    e->line = line;
    e->error = line.error;
    line.message[sizeof(line.message) - 1] = 0;
    registry_say(e, "%s", line.error ? line.message : "");
    autostart_note(e);
    return true;
}

/** Whether the store server of an entry is still there. */
static bool alive(unsigned slot)
{
    struct district_line unused;
    struct message m = {.code = STORE_LINE, .buffer = &unused, .size = sizeof(unused)};

    return bw_call(KEY_STORE(slot), &m) == BW_OK;
}

/** Drops what is in memory of a district that is to be neither started nor served any more. */
static void end_rest(uint16_t district)
{
    struct message m;

    do {
        m = (struct message){.code = DISTRICT_KILL};
    } while (bw_call(district, &m) == BW_AGAIN);
}

/** A new server for an entry whose server has ended. */
static void replace(unsigned slot, const uint64_t *word, struct message *reply)
{
    struct entry *e = registry_entry(slot);
    bool partner = e->paired && copy_of(word) != 0;

    if (e->running && line.error && !partner) {
        bond_end(slot, "its store server failed");
        events_say(EVENT_ENDED, true, e->name, "stopped: its store server failed; %s",
                   line.message);
    }
    if (!e->running && line.state != DISTRICT_EMPTY) { /* that one has ended in its start */
        end_rest(KR_OFFERED_DISTRICT);
    }
    e->line = line;
    e->error = partner ? 0 : line.error;
    registry_say(e, "%s", e->error ? line.message : "");
    e->paired = partner;
    bw_copy_key(KR_OFFERED, KEY_STORE(slot));
    reply->word[0] = slot;
    reply->word[1] = partner;
    reply->send[0] = partner ? KEY_PARTNER(slot) : 0;
    reply->word[2] = e->running;
    reply->send[1] = e->running ? KEY_DISTRICT_OF(slot) : 0;
}

/** Takes over a district of the districtd before us, if that had finished its start and not begun
 * its end. */
static void take_over(unsigned slot)
{
    struct entry *e = registry_entry(slot);
    struct district_status status;

    bw_copy_key(KR_OFFERED_DISTRICT, KEY_DISTRICT_OF(slot));
    if (lifecycle_status(slot, &status) != BW_OK ||
        (status.state != DISTRICT_RUNNING && status.state != DISTRICT_FAILED)) {
        lifecycle_end(slot);
        registry_say(e, "districtd failed while it started or ended it");
        events_say(EVENT_ENDED, true, e->name, "ended: %s", e->message);
        return;
    }
    e->running = true;
    lifecycle_console(slot); /* it may have been restarted, too */
    broker_watch(slot);
    broker_post(); /* what its links waited for meanwhile */
    events_say(EVENT_SERVER, true, e->name,
               "districtd failed and was started again; the district runs on");
}

static void enter(const uint64_t *word, unsigned other, struct message *reply)
{
    unsigned slot = registry_add(&line, other, word[3]);
    struct entry *e = registry_entry(slot);

    if (slot == 0) {
        reply->code = BW_LIMIT;
        return;
    }
    memcpy(e->id, word, sizeof(e->id));
    e->copy = copy_of(word);
    if (word[2] & REGISTER_PAIRED && !other) {
        bw_copy_key(KR_OFFERED_PARTNER, KEY_PARTNER(slot));
        e->paired = true;
    }
    if (line.state != DISTRICT_EMPTY && !other) {
        take_over(slot);
    }
    if (!other) {
        bond_found(slot);
    }
    bw_copy_key(KR_OFFERED, KEY_STORE(slot)); /* not to be called before our answer */
    reply->word[2] = e->running;
    reply->send[1] = e->running ? KEY_DISTRICT_OF(slot) : 0;
    if (other) {
        bw_log("districtd: two stores have the district name %s; the second stays closed",
               line.name);
    }
    e->fresh = line.state == DISTRICT_EMPTY && !other && !(word[2] & REGISTER_AGAIN);
    autostart_note(e);
    reply->code = other ? BW_EXISTS : BW_OK;
    reply->word[0] = slot;
}

void registration_serve(struct message *reply, const uint64_t *word, const void *string,
                        size_t length)
{
    unsigned slot = registry_partner(word, copy_of(word));

    if (length != sizeof(line)) {
        reply->code = BW_ARGUMENT;
        return;
    }
    if (slot && pair(slot)) { /* no entry of its own: slot 0 */
        return;
    }
    memcpy(&line, string, sizeof(line));
    line.name[sizeof(line.name) - 1] = 0;
    line.message[sizeof(line.message) - 1] = 0;
    if (!registry_name_valid(line.name)) {
        snprintf(line.name, sizeof(line.name), "unnamed%llu", (unsigned long long)unnamed++);
        snprintf(line.message, sizeof(line.message),
                 "its store has a name that no district may have");
        line.error = BW_DAMAGED;
    }
    slot = registry_find(line.name);
    if (slot && registry_entry(slot)->error) {
        slot = 0;
    }
    if (slot && !alive(slot)) {
        replace(slot, word, reply);
    } else {
        enter(word, slot, reply);
    }
}

void registration_call(void)
{
    static char list[4096];
    struct message m = {.code = NAMES_LIST, .buffer = list, .size = sizeof(list) - 1};
    unsigned n;

    if (bw_call(KEY_AT(KR_NAMES), &m) != BW_OK) {
        return;
    }
    list[m.length] = 0;
    for (const char *at = list; (at = strstr(at, "stored ")) != NULL; at++) {
        char name[NAME_MAX_LENGTH];
        int end = 0; /* of what must be there all of it: who has ended has no name */

        if (sscanf(at, "stored %u running%n", &n, &end) == 1 && end > 0) {
            snprintf(name, sizeof(name), "store%u", n);
            if (bw_find_now(name, KR_CALLED) == BW_OK) { /* else it registers by itself, or ends */
                bw_post(KR_CALLED);
            }
        }
    }
}
