/*
 * Checkpoints: a snapshot of the district is frozen by the nucleus, pulled in batches, put into the
 * store, and committed. Between batches the server looks after everything else.
 *
 * Batches go straight into the window: pulled behind their headers so that the objects' bytes fall
 * on page boundaries, handed to the store library there, and written by the driver from there. An
 * area of the window is used again when the driver has done with it (disk_settle).
 *
 * The server runs before all districts. So that a checkpoint that nobody waits for does not stand
 * in their way, it rests between batches as long as it has worked; waiting for the disk counts as
 * rest.
 *
 * Who has asked for a checkpoint waits for a snapshot that was made later (waiters.c).
 *
 * A district in a bond is frozen by districtd, together with the others; whoever wants a checkpoint
 * of it asks there. What was frozen together is written like any other snapshot, but then:
 *
 *   writing -> held (prepared; at home: ready to commit) -> kept or undone, as districtd says
 */
#include <stdio.h>
#include "space.h"
#include "waiters.h"
#include "whole.h"

#define AREA_PAGES   (DISTRICT_PULL_MAX + 1) /* headers, then bytes */
#define AREAS        (DISK_OBJECT_PAGES / AREA_PAGES)
#define STEP_BATCHES 4
#define SHORTEST_NS  1000000ull /* between checkpoints: less than anybody may ask for */

/* of the snapshot under way */
static uint64_t epoch, frozen, written, left, stop_ticks; /* frozen: objects in it */
static enum store_reason why;
static unsigned area; /* next one of the window */
static bw_time_t rest_until;
static uint64_t instant; /* it was frozen with those of other districts; 0: alone */
static bool held;        /* ... and written: what becomes of it is decided elsewhere */
static bool unknown;     /* ... here, but the disk cannot be read */
static bool hurry;       /* somebody waits for the commit */
static int dropped_for;  /* the error of the last checkpoint, if it was dropped: told once */

/** A store may say anything: neither is it busy with checkpoints alone, nor is the sum believed. */
static bw_time_t due_after(uint64_t interval)
{
    bw_time_t now = bw_monotonic();

    if (interval == 0 || interval >= BW_NO_DEADLINE - now) {
        return BW_NO_DEADLINE;
    }
    return now + (interval < SHORTEST_NS ? SHORTEST_NS : interval);
}

static void set_next(void)
{
    struct store_info info;

    store_info(server.store, &info);
    server.next = due_after(info.interval);
}

void checkpoint_reset(void)
{
    if (server.writing) {
        store_abort(server.store);
        server.writing = false;
    }
    instant = 0;
    held = unknown = false;
    waiters_dismiss(BW_REFUSED);
    server.next = BW_NO_DEADLINE;
    if (server.running) {
        set_next();
    }
}

static void set_message(const char *text)
{
    snprintf(server.line.message, sizeof(server.line.message), "%s", text);
}

static void tell_dropped(int error)
{
    if (error != dropped_for) {
        server_event(EVENT_CHECKPOINT, true, "checkpoint %llu could not be committed: %s",
                     (unsigned long long)epoch, store_error_text(error));
    }
    dropped_for = error;
}

/** The snapshot is not committed; the district keeps what it held. */
static void give_up(void)
{
    struct message m = {.code = DISTRICT_DROP};

    store_abort(server.store);
    server.writing = false;
    instant = 0;
    held = unknown = false;
    bw_call(KEY_AT(KR_DISTRICT), &m);
}

/** Nothing is under way any more. */
static void over(int64_t result)
{
    if (server.bonded) {
        bond_report(BONDED_AT, result);
        server.bond_asks |= waiters_next();
    }
}

/** A part of the current generation's index that cannot be read fails each commit that changes what
 * is below it. Then the district is to go on from a generation that is whole, if there is one. */
static void look_for_damage(void)
{
    struct store_info info;
    uint64_t whole;

    store_info(server.store, &info);
    if (!whole_generation(info.current) && whole_before(STORE_NEWEST, &whole)) {
        server_ended(ENDED_DAMAGED, 0, "the index of generation %llu is damaged (block %llu)",
                     (unsigned long long)info.current, (unsigned long long)server.damaged_block);
    }
}

/** Gives up for an error of the store; the district runs on, if there is hope for the next one. */
static void drop(int error)
{
    bool copy_lost = error == STORE_IO && server.copy_lost; /* and the other one goes on */
    bool again = error == STORE_DAMAGED && dropped_for == STORE_DAMAGED; /* not only the map */

    server.copy_lost = false;
    if (!copy_lost) {
        tell_dropped(error);
        set_message(error == STORE_NOSPACE ? "the store is full: it cannot be checkpointed"
                                           : "the last checkpoint could not be written");
    }
    give_up();
    set_next();
    if (copy_lost || (error == STORE_NOSPACE && space_make_room())) { /* once more */
        waiters_again();
        server.next = bw_monotonic();
    }
    waiters_answer(server_result(error), 0, 0, 0);
    checkpoint_budget();
    over(server_result(error));
    if (again) {
        look_for_damage();
    }
}

static void committed(void)
{
    struct message m = {.code = DISTRICT_COMMITTED, .word = {epoch}};

    /* The mutation that ends it before that is told; but not its successor. */
    bw_assert(BW_MUTATION != 1 || epoch != 4 || written == 0);
    server.writing = false;
    instant = 0;
    held = unknown = false;
    server.line.message[0] = 0;
    if (dropped_for != STORE_OK) {
        server_event(EVENT_CHECKPOINT, true, "checkpoints can be committed again: generation %llu",
                     (unsigned long long)epoch);
    }
    dropped_for = STORE_OK;
    bw_call(KEY_AT(KR_DISTRICT), &m);
    waiters_answer(BW_OK, epoch, written, stop_ticks);
    checkpoint_budget();
    over(BW_OK);
}

int checkpoint_recover(struct store_info *found)
{
    int error = server_open_store();

    if (error == STORE_OK) {
        store_info(server.store, found);
        error = store_claim(server.store, STORE_NEWEST, found->incarnation_random, "Bailiwick",
                            bw_realtime(), &found->incarnation);
    }
    server.reopen = error != STORE_OK;
    return error;
}

/** What became of a commit. After a failed one, what the disk has decides whether it happened, but
 * not before it is durable: what can be read may yet be lost. @return its error, or STORE_STATE:
 * the disk cannot be read or written at all */
static int outcome(int error)
{
    struct store_info info;

    if (error != STORE_IO) {
        return error;
    }
    if (checkpoint_recover(&info) != STORE_OK) {
        return STORE_STATE;
    }
    return info.current == epoch ? STORE_OK : STORE_IO;
}

/** While the disk cannot be used, the district runs on, and its next snapshot has everything again.
 */
static void not_known(void)
{
    tell_dropped(STORE_IO);
    set_message("its store cannot be written; that is tried again at each checkpoint");
}

static void commit(void)
{
    int error = outcome(store_commit(server.store, bw_realtime(), why));

    if (error == STORE_OK) {
        committed();
    } else if (error == STORE_STATE) {
        not_known();
        give_up();
        waiters_answer(BW_IO, 0, 0, 0);
        over(BW_IO);
    } else {
        drop(error);
    }
}

/** All of it is written. */
static void written_out(void)
{
    int error = STORE_OK;

    if (!instant) {
        commit();
        return;
    }
    if (!bond_is_home()) {
        error = outcome(bond_commit(instant, why));
    }
    if (error != STORE_OK) {
        drop(error == STORE_STATE ? STORE_IO : error);
        return;
    }
    held = true;
    bond_report(BONDED_READY, BW_OK);
}

/** The home's commit, from which there is no way back while nobody can tell what the disk has. */
static void decided(int error)
{
    unknown = error == STORE_STATE;
    if (unknown) {
        not_known();
        set_next();
    } else if (error == STORE_OK) {
        committed();
    } else {
        drop(error);
    }
}

/** Opens the store again if that is needed. @return false: not possible; who waits is told */
static bool store_ready(void)
{
    struct store_info info;

    if (!server.reopen || checkpoint_recover(&info) == STORE_OK) {
        return true;
    }
    waiters_dismiss(BW_IO);
    return false;
}

/** What was frozen after a crash must not become a generation: rolling back to it would not help.
 */
static bool frozen_after_crash(void)
{
    struct message m = {.code = DISTRICT_DROP};

    if (!server_look_for_crash()) {
        return false;
    }
    bw_call(KEY_AT(KR_DISTRICT), &m);
    waiters_again();
    return true;
}

static void write_out(const struct district_frozen *f, enum store_reason reason)
{
    struct store_info info;
    int error;

    epoch = f->epoch;
    written = 0;
    frozen = left = f->objects;
    stop_ticks = f->ticks ? f->ticks : 1; /* 0 says that nothing has changed */
    why = reason;
    server.writing = true;
    rest_until = 0;
    hurry = reason != STORE_MADE_INTERVAL;
    error = store_begin(server.store, epoch);
    if (error == STORE_STATE &&
        checkpoint_recover(&info) == STORE_OK) { /* another change of the store failed */
        error = store_begin(server.store, epoch);
    }
    if (error != STORE_OK) {
        drop(error);
    }
}

void checkpoint_begin(enum store_reason reason)
{
    struct message m = {.code = DISTRICT_SNAPSHOT};

    if (server.writing || server.doomed) {
        return;
    }
    set_next();
    if (server.bonded) {
        server.bond_asks = true;
        return;
    }
    if (!store_ready()) {
        return;
    }
    if (waiters_take(BW_NO_DEADLINE)) {
        reason = STORE_MADE_ASKED;
    }
    if (bw_call(KEY_AT(KR_DISTRICT), &m) != BW_OK) {
        waiters_answer(m.code == BW_CLEAN ? BW_OK : m.code, m.word[0], 0, 0);
        return;
    }
    if (!frozen_after_crash()) {
        write_out(&(struct district_frozen){m.word[0], m.word[1], m.word[2]}, reason);
    }
}

void checkpoint_together(const struct district_frozen *f, uint64_t at, bw_time_t asked)
{
    struct message m = {.code = DISTRICT_DROP};

    server.bond.what = 0; /* what it was still to be told is of the past */
    set_next();
    if (server.doomed || frozen_after_crash()) {
        over(BW_BROKEN);
        return;
    }
    if (!store_ready() || bond_settle() != STORE_OK) {
        bw_call(KEY_AT(KR_DISTRICT), &m);
        over(BW_IO);
        return;
    }
    instant = at;
    write_out(f, waiters_take(asked) ? STORE_MADE_ASKED : STORE_MADE_INTERVAL);
}

uint64_t checkpoint_instant(void)
{
    return instant;
}

void checkpoint_decide(void)
{
    if (held && !unknown) {
        decided(outcome(bond_commit(instant, why)));
    }
}

void checkpoint_keep(void)
{
    uint64_t at = instant;

    if (held) {
        committed();
        bond_counts(at);
        over(BW_OK);
    }
}

void checkpoint_undo(int64_t code)
{
    if (!instant || unknown) {
        return;
    }
    give_up();
    bond_settle();
    set_next();
    if (code) {
        waiters_answer(code, 0, 0, 0);
    } else {
        waiters_again();
    }
    over(BW_OK);
}

void checkpoint_alone(void)
{
    if (server.running && waiters_next()) {
        checkpoint_begin(STORE_MADE_ASKED);
    }
}

void checkpoint_tell(void)
{
    if (held) {
        bond_report(BONDED_READY, BW_OK);
    } else if (!server.writing) {
        bond_report(BONDED_AT, BW_OK);
    }
    server.bond_asks = true;
}

void checkpoint_forget(void)
{
    struct message m = {.code = DISTRICT_DROP};

    if (server.running && !server.writing) {
        bw_call(KEY_AT(KR_DISTRICT), &m);
    }
}

void checkpoint_clean(bw_time_t asked)
{
    struct store_info info;

    store_info(server.store, &info);
    waiters_take(asked);
    waiters_answer(BW_OK, info.current, 0, 0);
    server.bond_asks |= waiters_next();
}

void checkpoint_prepared(uint64_t frozen_epoch, uint64_t at)
{
    epoch = frozen_epoch;
    instant = at;
    stop_ticks = 1;
    server.writing = held = true;
    bond_report(BONDED_READY, BW_OK);
}

void checkpoint_look(const struct district_status *status)
{
    uint64_t changed = status->dirty + (server.writing ? frozen : 0);
    bool is_short = status->pressed == PRESSED_SHORT || space_budget_nears(changed);

    if (changed == 0 || (!is_short && status->pressed == PRESSED_NOT)) {
        return;
    }
    hurry = true;
    checkpoint_begin(is_short ? STORE_MADE_PRESSURE : STORE_MADE_ASKED);
}

/** Puts a pulled batch into the store. */
static int put_batch(const struct object_header *headers, unsigned n, const uint8_t *bytes)
{
    for (unsigned i = 0; i < n; i++) {
        const struct object_header *h = &headers[i];
        int error;

        if (h->type == OBJECT_NONE) {
            error = store_delete(server.store, h->oid);
            error = error == STORE_ABSENT ? STORE_OK : error;
        } else if (h->flags & OBJECT_BYTES) {
            error = store_put(server.store, h->oid, h->type, h->version, bytes);
            bytes += BW_PAGE_SIZE;
        } else {
            error = store_put(server.store, h->oid, h->type, h->version, NULL);
        }
        if (error != STORE_OK) {
            return error;
        }
        written += h->type != OBJECT_NONE;
    }
    disk_submit();
    return STORE_OK;
}

/** The district was killed meanwhile; or districtd had frozen it just before we took it over, and
 * dropped that: then it is to hear of it. */
static void nothing_to_pull(void)
{
    if (instant) {
        give_up();
        waiters_again();
        over(BW_OK);
    } else {
        checkpoint_reset();
    }
}

static void pull_failed(const struct message *m)
{
    if (m->code != BW_BROKEN) {
        disk_touch();
        nothing_to_pull();
        return;
    }
    give_up();
    server_ended(ENDED_BROKEN, m->word[0], "the check before a commit failed: object %llu",
                 (unsigned long long)m->word[0]);
    server_report(); /* first: who is answered may ask districtd what happened */
    waiters_answer(BW_BROKEN, 0, 0, 0);
}

/** Pulls one batch and puts it. @return false when writing is over, one way or the other */
static bool write_batch(void)
{
    unsigned first = DISK_OBJECTS + area * AREA_PAGES;
    unsigned ask = left < DISTRICT_PULL_MAX ? (unsigned)left : DISTRICT_PULL_MAX;
    uint8_t *bytes = disk_page(first + 1);
    uint8_t *headers;
    struct message m = {.code = DISTRICT_PULL};
    int error;

    bw_assert(BW_MUTATION != 1 || epoch != 7 || left == frozen); /* ... and in a snapshot */
    ask = ask ? ask : 1;
    headers = bytes - ask * sizeof(struct object_header);
    area = (area + 1) % AREAS;
    disk_settle(first, AREA_PAGES);
    m.word[0] = ask;
    m.buffer = headers;
    m.size = ask * (sizeof(struct object_header) + BW_PAGE_SIZE);
    if (bw_call(KEY_AT(KR_DISTRICT), &m) != BW_OK) {
        pull_failed(&m);
        return false;
    }
    left = m.word[1];
    if (m.word[0] == 0) {
        written_out();
        return false;
    }
    error = put_batch((const struct object_header *)headers, (unsigned)m.word[0],
                      headers + m.word[0] * sizeof(struct object_header));
    if (error != STORE_OK) {
        drop(error);
        return false;
    }
    if (left == 0) {
        written_out();
        return false;
    }
    return true;
}

bw_time_t checkpoint_due(void)
{
    if (held) {
        return unknown ? server.next : BW_NO_DEADLINE;
    }
    return hurry || waiters_next() ? 0 : rest_until;
}

void checkpoint_step(void)
{
    bw_time_t start = bw_monotonic();
    bw_time_t before = disk_waited();
    bw_time_t rest;

    if (start < checkpoint_due()) {
        return;
    }
    if (held) {
        decided(outcome(STORE_IO));
        return;
    }
    for (int i = 0; i < STEP_BATCHES && write_batch(); i++) {
    }
    rest = bw_monotonic();
    before = disk_waited() - before;
    rest_until = rest - start > 2 * before ? rest + (rest - start) - 2 * before : 0;
    if (!server.writing && server.running && waiters_next()) {
        checkpoint_begin(STORE_MADE_ASKED);
    }
}
