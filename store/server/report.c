/*
 * What districtd is told: events, and that the district cannot go on. A store server never calls
 * districtd, which calls it: messages wait here until districtd listens, in their order. If
 * districtd has ended they wait until the next one has asked us to register.
 *
 * Damage is reported once for each block; what is met again and again is not news. When more
 * happens than fits, the last message says how much was left out.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "server.h"
#include "whole.h"

#define PENDING_MAX  16u
#define REPORTED_MAX 64u /* damaged blocks that are remembered */

static struct event pending[PENDING_MAX]; /* a ring */
static unsigned first, count;
static uint64_t left_out;
static uint64_t reported[REPORTED_MAX]; /* a ring of blocks */
static uint64_t reports;

void server_event(enum event_kind kind, bool important, const char *format, ...)
{
    struct event *e = &pending[(first + count) % PENDING_MAX];
    va_list list;

    if (count == PENDING_MAX) {
        left_out++;
        return;
    }
    *e = (struct event){.time = bw_realtime(), .kind = kind, .important = important};
    va_start(list, format);
    vsnprintf(e->text, sizeof(e->text), format, list);
    va_end(list);
    count++;
    bw_log("stored: %s: %s", server.line.name, e->text);
}

/** @return false if it was reported before */
static bool is_new(uint64_t block)
{
    for (uint64_t i = 0; i < REPORTED_MAX && i < reports; i++) {
        if (reported[i] == block) {
            return false;
        }
    }
    reported[reports++ % REPORTED_MAX] = block;
    return true;
}

void server_damage(void *ctx, const struct store_damage *d)
{
    char where[64] = "";

    (void)ctx;
    server.damaged_block = d->block;
    if (!d->repaired) {
        whole_note(d);
    }
    if (!is_new(d->block)) {
        return;
    }
    if (d->repaired) {
        server_event(EVENT_REPAIRED, true,
                     "damage in block %llu of copy %u: %s: written anew from "
                     "the other copy",
                     (unsigned long long)d->block, d->copy, d->what);
        return;
    }
    if (d->generation != STORE_NEWEST) {
        snprintf(where, sizeof(where), "object %llu, generation %llu, ", (unsigned long long)d->oid,
                 (unsigned long long)d->generation);
    }
    server_event(EVENT_DAMAGE, true,
                 "damage in block %llu (byte %#llx): %s%s: expected %#llx, found %#llx",
                 (unsigned long long)d->block, (unsigned long long)d->block * STORE_BLOCK, where,
                 d->what, (unsigned long long)d->expected, (unsigned long long)d->found);
}

void server_ended(enum ended_why why, uint64_t object, const char *format, ...)
{
    va_list list;

    if (server.ended && server.doomed) { /* of a crash that it survives, worse may come */
        return;
    }
    va_start(list, format);
    vsnprintf(server.ended_text, sizeof(server.ended_text), format, list);
    va_end(list);
    server.ended = why;
    server.ended_object = object;
    server.doomed = true;
    bw_log("stored: %s: %s", server.line.name, server.ended_text);
}

/** @return false: it is busy, or gone */
static bool tell(struct message *m)
{
    int64_t result = bw_send(KEY_AT(KR_DISTRICTS), m, INVOKE_NOBLOCK);

    server.unknown |= result == BW_VOID;
    return result != BW_BUSY && result != BW_VOID;
}

static bool tell_event(struct event *e)
{
    struct message m = {
        .code = DISTRICTS_EVENT, .string = e, .length = sizeof(*e), .word = {0, 0, server.slot}};
    size_t length = strlen(e->text);

    if (left_out > 0 && count == 1) {
        snprintf(e->text + length, sizeof(e->text) - length, "; and %llu more",
                 (unsigned long long)left_out);
        left_out = 0;
    }
    return tell(&m);
}

static bool tell_ended(void)
{
    struct message m = {.code = DISTRICTS_ENDED, .string = server.ended_text};
    struct store_info info = {0};

    if (server.store) {
        store_info(server.store, &info);
    }
    m.length = strlen(server.ended_text);
    m.word[0] = server.ended;
    m.word[1] = info.crash_policy;
    m.word[2] = server.slot;
    m.word[3] = server.ended_object;
    return tell(&m);
}

static bool tell_bonded(enum bonded what, uint64_t instant, int64_t result)
{
    struct message m = {.code = DISTRICTS_BONDED};

    m.word[0] = what;
    m.word[1] = instant;
    m.word[2] = server.slot;
    m.word[3] = (uint64_t)result;
    return tell(&m);
}

/** @return false: districtd is busy, or gone */
static bool report_bond(void)
{
    if (server.bond.what) {
        if (!tell_bonded(server.bond.what, server.bond.instant, server.bond.result)) {
            return false;
        }
        server.bond.what = 0;
    }
    if (server.bond_asks) {
        server.bond_asks = !tell_bonded(BONDED_ASK, 0, 0);
    }
    return !server.bond_asks;
}

bool server_report(void)
{
    while (server.slot && count > 0 && !server.unknown) {
        if (!tell_event(&pending[first])) {
            return server.unknown;
        }
        first = (first + 1) % PENDING_MAX;
        count--;
    }
    if (server.ended && !server.unknown) {
        if (!tell_ended()) {
            return server.unknown;
        }
        server.ended = 0;
    }
    return server.unknown || server.slot == 0 || report_bond() || server.unknown;
}
