/*
 * The two disks of a mirrored store. One server looks after both: the one that registers first. The
 * other one finds that out when it registers (districtd tells both), and ends.
 *
 *   own disk only    it says "alone"             runs, asks nobody
 *                    it says "both"              the user is asked: STORE_ALONE
 *                    it was being brought up     closed: it is not complete
 *   the other comes  while nothing runs          the two are looked at, and it is opened anew
 *                    while the district runs     added when no snapshot is written, as out of date
 *
 * A copy that is out of date is brought up to date in the background, like a scrub. A copy of which
 * a write fails is given up; the store is opened again with the other one, which says durably that
 * it is alone before anything is committed.
 *
 * Nothing is written as long as only one disk was looked at and the district was not started.
 */
#include "copies.h"
#include <stdio.h>
#include <string.h>
#include <store/mirror.h>

#define STEP_BLOCKS 32u
#define REST_MIN_NS 1000000ull
#define SETTLE_NS   3000000000ull /* so long after the start the other disk may still turn up */
#define RETRY_NS    50000000ull

enum { OWN, OTHER };

static struct mirror_look look[MIRROR_COPIES];
static bool there;   /* the other disk is open, and has the other copy */
static bool waiting; /* it is to be added to the open store as soon as that can be */
static bool decided; /* mirror holds */
static bool told;    /* that a stale copy is not used, or has failed */
static struct mirror mirror;
static struct store_scrub scrub;
static enum { RESYNC_NONE, RESYNC_RUNS, RESYNC_INCOMPLETE } resync;
static bw_time_t rest_until;

static struct store_io device(unsigned which)
{
    struct store_io io = {.cache_blocks = 0};

    if (which == OWN) {
        disk_io(&io);
    } else {
        disk_second_io(&io);
    }
    return io;
}

static void look_at(unsigned which)
{
    struct store_io io = device(which);

    mirror_look(&io, &look[which]);
}

static bool mirrored(void)
{
    return there || (look[OWN].error == STORE_OK && look[OWN].info.copies == MIRROR_COPIES);
}

int copies_look(void)
{
    look_at(OWN);
    if (look[OWN].label) {
        memcpy(server.line.name, look[OWN].name, sizeof(server.line.name) - 1);
    }
    return look[OWN].label ? STORE_OK : look[OWN].error;
}

void copies_describe(struct message *m)
{
    memcpy(m->word, look[OWN].id, sizeof(look[OWN].id));
    m->word[2] = look[OWN].label && (look[OWN].error || mirrored()) ? 1 + look[OWN].copy : 0;
    if (there) {
        m->word[2] |= REGISTER_PAIRED;
        m->send[3] = KEY_AT(KR_PARTNER);
    }
}

/* --- opening ---------------------------------------------------------------------------------- */

static void decide(void)
{
    struct store_io io[MIRROR_COPIES] = {device(OWN), device(OTHER)};

    mirror_begin(&mirror, io, look, there ? 2 : 1);
    decided = true;
    told = false;
    resync = RESYNC_NONE;
}

static void note_survivor(void)
{
    unsigned lost = mirror_survive(&mirror);

    if (lost == 0) {
        return;
    }
    server.copy_lost = true;
    server_event(EVENT_MIRROR, true, "copy %u has failed: it goes on with copy %u alone",
                 lost == 2 ? 1u : 0u, mirror.decision.leader);
}

static void not_used(unsigned copy, const char *why)
{
    server_event(EVENT_MIRROR, true, "copy %u is not used: %s", copy, why);
}

static void begin_resync(struct store *st)
{
    resync = RESYNC_NONE;
    if (mirror_behind(&mirror) == 0) {
        if (mirror.decision.verdict == MIRROR_STALE && mirror.complete != MIRROR_ALL && !told) {
            told = true;
            not_used(!mirror.decision.leader, "it cannot be written, or its disk is too small");
        }
        return;
    }
    scrub = (struct store_scrub){0};
    if (store_scrub_begin(st, &scrub) == STORE_OK) {
        resync = RESYNC_RUNS;
        rest_until = 0;
        server_event(EVENT_MIRROR, true, "copy %u is out of date: it is brought up to date",
                     !mirror.decision.leader);
    }
}

int copies_open(const struct store_io *base, struct store **out)
{
    int error = STORE_IO;

    if (!mirrored()) {
        struct store_io io = device(OWN);

        io.damage = base->damage;
        io.cache_blocks = base->cache_blocks;
        return store_open(&io, out);
    }
    if (!decided) {
        decide();
    }
    for (unsigned tries = 0; tries <= MIRROR_COPIES && error == STORE_IO; tries++) {
        note_survivor();
        error = mirror_open(&mirror, base, out);
    }
    if (error == STORE_OK && resync != RESYNC_RUNS) {
        begin_resync(*out);
    }
    return error;
}

const char *copies_trouble(void)
{
    if (!mirrored()) {
        return NULL;
    }
    switch (mirror.decision.verdict) {
    case MIRROR_SPLIT:
        return "each of its two copies has run without the other one, and they differ: give only "
               "the one that is to be kept, or make the other one anew (mkdistrict mirror --force)";
    case MIRROR_INCOMPLETE:
        return "this copy is not complete: it was being brought up to date from the other one, "
               "which is needed";
    case MIRROR_NONE:
        return "none of its copies can be read";
    default:
        return NULL;
    }
}

int64_t copies_ready(void)
{
    if (!mirrored() || !mirror.frozen) {
        return BW_OK;
    }
    snprintf(
        server.line.message, sizeof(server.line.message),
        "its copy %u is %s, and may be newer; attach it, or go on with copy %u: 'restart %.31s "
        "--alone'",
        !mirror.decision.leader, there ? "damaged" : "not there", mirror.decision.leader,
        server.line.name);
    return there || bw_monotonic() > SETTLE_NS ? BW_REFUSED : BW_AGAIN;
}

int64_t copies_alone(void)
{
    int error;

    if (!mirrored() || !mirror.frozen || !mirror.complete) {
        return copies_ready() == BW_OK ? BW_OK : BW_REFUSED;
    }
    if (copies_ready() == BW_AGAIN) {
        return BW_AGAIN;
    }
    mirror_alone(&mirror);
    server.line.message[0] = 0;
    error = server_open_store();
    if (error != STORE_OK) {
        return server_result(error);
    }
    server_event(EVENT_MIRROR, true, "it goes on with copy %u alone, as asked",
                 mirror.decision.leader);
    return BW_OK;
}

/* --- the other disk --------------------------------------------------------------------------- */

/** Closes what was opened with one disk, and opens it with both. */
static int64_t open_both(void)
{
    int error;

    store_close(server.store);
    server.store = NULL;
    decide();
    error = server_open_store();
    if (error == STORE_OK) {
        server.line.error = 0;
        server.line.message[0] = 0;
        copies_ready();
        return BW_OK;
    }
    server.line.error = (int32_t)server_result(error);
    snprintf(server.line.message, sizeof(server.line.message), "%s",
             copies_trouble() ? copies_trouble() : store_error_text(error));
    return BW_OK;
}

/** While the district runs, the other one can only be what it has left behind. */
static int64_t add_later(void)
{
    struct mirror_seen seen[MIRROR_COPIES];
    struct mirror_decision d;

    look_at(OWN);
    seen[look[OWN].copy] = look[OWN].seen;
    seen[look[OTHER].copy] = look[OTHER].seen;
    d = mirror_decide(seen);
    if (d.verdict != MIRROR_STALE || d.leader != mirror.decision.leader) {
        not_used(look[OTHER].copy, mirror_verdict_text(d.verdict));
        return BW_EXISTS;
    }
    waiting = true;
    return BW_OK;
}

int64_t copies_pair(uint16_t key)
{
    bool in_use = there && mirror.active == MIRROR_ALL;
    int64_t result;

    if (in_use || disk_open_second(key) != BW_OK) {
        return BW_EXISTS;
    }
    there = false;
    look_at(OTHER);
    if (!mirror_pair(&look[OWN], &look[OTHER])) {
        return BW_EXISTS;
    }
    bw_copy_key(key, KEY_AT(KR_PARTNER));
    if (server.running) {
        result = add_later();
        there = result == BW_OK;
        return result;
    }
    there = true;
    look_at(OWN);
    return open_both();
}

static void add_now(void)
{
    struct store_io io = device(OTHER);
    int error = mirror_add(&mirror, server.store, look[OTHER].copy, &io);

    waiting = false;
    if (error == STORE_OK) {
        begin_resync(server.store);
        return;
    }
    server.reopen |= error == STORE_IO && mirror_behind(&mirror);
    not_used(look[OTHER].copy,
             error == STORE_TRUNCATED ? "its disk is too small" : store_error_text(error));
}

/* --- bringing it up to date ------------------------------------------------------------------- */

static bool may_step(void)
{
    return decided && server.store && !server.reopen && !mirror.frozen;
}

bw_time_t copies_due(void)
{
    if (!may_step()) {
        return BW_NO_DEADLINE;
    }
    if (waiting) {
        return server.writing ? bw_monotonic() + RETRY_NS : 0;
    }
    return resync == RESYNC_RUNS ? rest_until : BW_NO_DEADLINE;
}

static void end_resync(int error)
{
    resync = RESYNC_NONE;
    if (error == STORE_ABSENT && mirror_in_sync(&mirror) == MIRROR_ALL) {
        server_event(EVENT_MIRROR, true, "both copies are up to date");
    } else if (error == STORE_ABSENT) {
        told = true;
        server_event(EVENT_MIRROR, true, "copy %u has failed: it goes on with copy %u alone",
                     !mirror.decision.leader, mirror.decision.leader);
    } else if (error == STORE_DAMAGED) {
        resync = RESYNC_INCOMPLETE;
        server_event(EVENT_MIRROR, true,
                     "copy %u is not up to date: there are blocks that no copy has",
                     !mirror.decision.leader);
    } else {
        server.reopen |= error == STORE_IO;
        server_event(EVENT_MIRROR, true, "copy %u is not up to date: %s", !mirror.decision.leader,
                     store_error_text(error));
    }
}

void copies_step(void)
{
    bw_time_t start = bw_monotonic();
    bw_time_t now;
    int error;

    if (!may_step() || start < copies_due()) {
        return;
    }
    if (waiting) {
        add_now();
    }
    if (resync != RESYNC_RUNS || server.reopen) {
        return;
    }
    error = mirror_resync(&mirror, server.store, &scrub, STEP_BLOCKS);
    now = bw_monotonic();
    rest_until = now + (now - start > REST_MIN_NS ? now - start : REST_MIN_NS);
    if (error != STORE_OK) {
        end_resync(error);
    }
}

void copies_text(char *to, size_t size)
{
    to[0] = 0;
    if (!mirrored() || !decided || !mirror.complete) {
        return;
    }
    if (mirror.complete == MIRROR_ALL) {
        snprintf(to, size, "mirrored: both copies are up to date");
    } else if (resync == RESYNC_RUNS && mirror_behind(&mirror)) {
        snprintf(to, size, "mirrored: copy %u is brought up to date, %llu %% done",
                 !mirror.decision.leader,
                 (unsigned long long)(scrub.total ? scrub.done * 100 / scrub.total : 0));
    } else if (mirror_behind(&mirror)) {
        snprintf(to, size, "mirrored: copy %u is not up to date", !mirror.decision.leader);
    } else {
        snprintf(to, size, "mirrored: only copy %u", mirror.decision.leader);
    }
}
