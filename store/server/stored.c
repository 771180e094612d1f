/*
 * stored: the store server. One runs for each disk (its word is N of "diskN"); it opens the store
 * there, registers it with districtd, starts the district in it (start.c), supplies its objects, and
 * checkpoints it. On a free partition it waits for being asked to make a store there (maker.c). Of
 * a mirrored store's two disks one server looks after both (copies.c).
 *
 * It is called by districtd and the shell (admin.h) and posted by the disk driver and the nucleus.
 * It calls the driver, the nucleus and, once, districtd; afterwards it only ever sends to
 * districtd, which calls it.
 */
#include <stdio.h>
#include <string.h>
#include <bailiwick/journal.h>
#include <bailiwick/names.h>
#include "copies.h"
#include "history.h"
#include "journal.h"
#include "maker.h"
#include "parts.h"
#include "scrub.h"
#include "settings.h"
#include "waiters.h"
#include "whole.h"

#define RETRY_NS   10000000ull
#define AT_ONCE    1u /* a deadline that has passed */
#define CACHE_PART 32u
#define CACHE_MIN  64u
#define CACHE_MAX  2048u

struct server server = {.next = BW_NO_DEADLINE};

/** Index blocks to keep in memory: a small part of what the machine has. */
static size_t cache_blocks(void)
{
    struct message m = {.code = NUCLEUS_INFO};
    uint64_t blocks = bw_call(KEY_AT(KR_NUCLEUS), &m) == BW_OK ? m.word[0] / CACHE_PART : 0;

    return blocks < CACHE_MIN ? CACHE_MIN : blocks > CACHE_MAX ? CACHE_MAX : (size_t)blocks;
}

int server_open_store(void)
{
    struct store_io io = {.damage = server_damage, .cache_blocks = cache_blocks()};
    struct store *opened;
    int error;

    error = copies_open(&io, &opened);
    if (error == STORE_OK) {
        store_close(server.store);
        server.store = opened;
    }
    server.reopen = error != STORE_OK;
    return error;
}

int64_t server_result(int error)
{
    switch (error) {
    case STORE_OK:
        return BW_OK;
    case STORE_NOSPACE:
        return BW_NOSPACE;
    case STORE_NOMEM:
        return BW_NOMEM;
    case STORE_ABSENT:
        return BW_ABSENT;
    case STORE_IO:
        return BW_IO;
    case STORE_ARGUMENT:
        return BW_ARGUMENT;
    case STORE_STATE:
        return BW_REFUSED;
    default:
        return BW_DAMAGED;
    }
}

int64_t server_changed(int error)
{
    server.reopen |= error == STORE_IO;
    return server_result(error);
}

/* --- requests --------------------------------------------------------------------------------- */

/** Time of the current generation, ns since 1970; 0 if it is not known. */
static uint64_t current_time(uint64_t current)
{
    struct store_generation g;

    for (uint32_t i = 0; store_generation(server.store, i, &g) == STORE_OK; i++) {
        if (g.number == current) {
            return g.time;
        }
    }
    return 0;
}

void server_fill_line(void)
{
    struct district_line *line = &server.line;
    struct store_info info;
    uint64_t now = bw_realtime();
    uint64_t then;

    if (!server.store) {
        return;
    }
    store_info(server.store, &info);
    then = current_time(info.current);
    memcpy(line->name, info.name, sizeof(line->name) - 1);
    line->state = server.running ? DISTRICT_RUNNING : DISTRICT_EMPTY;
    line->generation = info.current;
    line->incarnation = info.incarnation;
    line->age = now > then ? now - then : 0;
    line->used = (info.blocks - info.free_blocks) * STORE_BLOCK;
    line->capacity = info.blocks * STORE_BLOCK;
    line->interval = info.interval;
    line->fresh = info.incarnation == 0;
    line->crash_policy = info.crash_policy;
    line->generations = info.generations;
    line->autostart = info.autostart;
    line->share = info.share ? info.share : SHARE_USUAL;
    line->gated = info.gated;
    line->keep[0] = info.keep_last;
    line->keep[1] = info.keep_minutes;
    line->keep[2] = info.keep_hours;
    line->keep[3] = info.keep_days;
    bond_fill_line(&line->bond, &info);
    copies_text(line->mirror, sizeof(line->mirror));
}

static void reply_line(struct message *reply)
{
    reply->string = &server.line;
    reply->length = sizeof(server.line);
}

static void reply_generation(const struct message *m, struct message *reply)
{
    static struct generation_line line;

    reply->code = history_line(m->word[0], m->word[1] != 0, &line);
    if (reply->code == BW_OK) {
        reply->string = &line;
        reply->length = sizeof(line);
    }
}

static void reply_whole(uint64_t bound, struct message *reply)
{
    static char choice[DISTRICT_MESSAGE_MAX];

    if (!server.store) {
        reply->code = server.line.error;
        return;
    }
    reply->code = whole_before(bound, &reply->word[0]) ? BW_OK : BW_ABSENT;
    whole_choice(choice, sizeof(choice));
    reply->string = choice;
    reply->length = strlen(choice);
}

/** What would write to a store of which the user has not said yet that it may be written to. */
static bool too_early(int64_t order)
{
    bool changes = settings_has(order) || order == STORE_DROP || order == STORE_SCRUB;

    return changes && server.store && copies_ready() != BW_OK;
}

/** @return false if the caller waits for his answer */
static bool serve_checkpoint(struct message *reply)
{
    reply->code = !server.running ? BW_REFUSED
                  : server.doomed ? BW_BROKEN
                                  : waiters_add(KEY_AT(KR_CALLER));
    if (reply->code == BW_OK) {
        checkpoint_begin(STORE_MADE_ASKED);
        return false;
    }
    return true;
}

/** Serves a request. @return false if the caller waits for his answer */
static bool serve(const struct message *m, const void *string, struct message *reply)
{
    if (m->badge == BADGE_JOURNAL) {
        journal_serve(m, string, reply);
        return true;
    }
    if (maker_serve(m, string, reply)) {
        return true;
    }
    if (server.free || too_early(m->code)) {
        reply->code = server.free ? BW_REFUSED : BW_RIGHTS;
        return true;
    }
    if (settings_has(m->code)) {
        reply->code = settings_set(m->code, m->word);
        return true;
    }
    switch (m->code) {
    case STORE_START:
        reply->code = server_start(m, string);
        if (reply->code == BW_OK) {
            reply->send[0] = KEY_AT(KR_DISTRICT);
        }
        reply_line(reply);
        break;
    case STORE_ENDED:
        server_stopped();
        break;
    case STORE_CHECKPOINT:
        return serve_checkpoint(reply);
    case STORE_LINE:
        if (server.store && server.reopen && !server.running) { /* what it has is asked */
            server_open_store();
        }
        server_fill_line();
        reply_line(reply);
        break;
    case STORE_GENERATION:
        reply_generation(m, reply);
        break;
    case STORE_DROP:
        return history_drop(m->word[0], reply);
    case STORE_SCRUB:
        scrub_order(m->word[0]);
        reply->string = scrub_look();
        reply->length = sizeof(struct scrub_line);
        break;
    case STORE_PAIR:
        reply->code = copies_pair(KEY_AT(KR_OFFERED));
        server_fill_line();
        reply_line(reply);
        break;
    case STORE_ALONE:
        reply->code = copies_alone();
        break;
    case STORE_BOND:
        return bond_serve(m, string, reply);
    case STORE_PIN:
        reply->code =
            server.store ? server_result(store_pin(server.store, m->word[0])) : server.line.error;
        break;
    case STORE_WHOLE:
        reply_whole(m->word[0], reply);
        break;
    default:
        reply->code = BW_ORDER;
    }
    return true;
}

/* --- the server ------------------------------------------------------------------------------- */

/** The crash of a domain, if districtd does not know of it yet. */
static void look_for_crash(const struct district_status *status)
{
    struct store_info info;
    bool doomed = server.doomed;

    if (!status->crashed || status->crash_oid == server.crash_told) {
        return;
    }
    server.crash_told = status->crash_oid;
    store_info(server.store, &info);
    server_ended(ENDED_CRASHED, status->crash_oid, "a domain stopped at a fault");
    server.doomed = doomed || info.crash_policy != POLICY_CONTINUES;
}

bool server_look_for_crash(void)
{
    struct district_status status;
    struct message m = {.code = DISTRICT_STATUS, .buffer = &status, .size = sizeof(status)};

    if (bw_call(KEY_AT(KR_DISTRICT), &m) == BW_OK) {
        look_for_crash(&status);
    }
    return server.doomed;
}

/** Loading it has failed although all that was asked for could be read. */
static void look_for_failure(void)
{
    struct store_info info;

    store_info(server.store, &info);
    whole_condemn(info.current);
    server_ended(ENDED_DAMAGED, 0, "the first objects of generation %llu do not make a district",
                 (unsigned long long)info.current);
}

/** The nucleus has posted: objects are wanted, or something has happened to the district. */
static void look_at_district(void)
{
    struct district_status status;
    struct message m = {.code = DISTRICT_STATUS, .buffer = &status, .size = sizeof(status)};

    supply_wanted();
    if (bw_call(KEY_AT(KR_DISTRICT), &m) != BW_OK) {
        return;
    }
    if (status.state == DISTRICT_FAILED) {
        look_for_failure();
    } else {
        look_for_crash(&status);
        checkpoint_look(&status);
    }
}

/** What is due for a district that runs. */
static void work_for_district(void)
{
    if (server.short_of_memory && !server.doomed) {
        server.short_of_memory = supply_kept();
        snprintf(server.line.message, sizeof(server.line.message), "%s",
                 server.short_of_memory ? "stands still: the machine has no memory for its objects"
                                        : "");
    }
    if (disk_posts(1ull << BADGE_DISTRICT)) {
        look_at_district();
    }
    if (!server.writing && !history_waits() && bw_monotonic() >= server.next) {
        checkpoint_begin(STORE_MADE_INTERVAL);
    }
    if (server.writing) {
        checkpoint_step();
    }
}

/** Everything that is due, besides requests. */
static void work(void)
{
    if (server.running) {
        work_for_district();
    }
    history_work();
    scrub_step();
    copies_step();
}

static bw_time_t earlier(bw_time_t a, bw_time_t b)
{
    return a < b ? a : b;
}

static bw_time_t next_deadline(void)
{
    bw_time_t next = earlier(scrub_due(), copies_due());

    /* What was posted while the disk was waited for is not posted again. */
    if (disk_has_posts(1ull << BADGE_ANYBODY) ||
        (server.running && disk_has_posts(1ull << BADGE_DISTRICT))) {
        return AT_ONCE;
    }
    if (!server_report() || (server.running && server.short_of_memory)) {
        next = earlier(next, bw_monotonic() + RETRY_NS);
    }
    if (server.writing) {
        next = earlier(next, checkpoint_due());
    } else if (server.running && !server.doomed) {
        next = earlier(next, server.next);
    }
    return next ? next : AT_ONCE;
}

/** What opening found that people may want to know: roots that are lost. */
static void tell_roots(void)
{
    struct store_info info;

    store_info(server.store, &info);
    if (info.root_cut_off) {
        server_event(EVENT_DAMAGE, false,
                     "what was being committed when the power went is not whole: generation %llu "
                     "is the newest",
                     (unsigned long long)info.newest);
    }
    if (info.roots_lost) {
        server_event(EVENT_DAMAGE, false,
                     "a copy of the root of generation %llu is not whole, as after a power cut; "
                     "the next commit mends it",
                     (unsigned long long)info.current);
    }
}

static void say_why_closed(int error)
{
    const char *why = copies_trouble() ? copies_trouble() : store_error_text(error);
    char block[32] = "";

    if (!copies_trouble() && server.damaged_block) {
        snprintf(block, sizeof(block), ": block %llu", (unsigned long long)server.damaged_block);
    }
    snprintf(server.line.message, sizeof(server.line.message), "%s%s", why, block);
}

/** Opens disk and store. @return false if there is none, and nothing else to be served */
static bool open_all(void)
{
    int64_t result = disk_open(server.disk);
    int error;

    snprintf(server.line.name, sizeof(server.line.name), "disk%u", (unsigned)server.disk);
    if (result != BW_OK) {
        bw_log("stored: disk%llu cannot be opened (%lld)", (unsigned long long)server.disk,
               (long long)result);
        return false;
    }
    error = copies_look();
    if (error == STORE_OK) {
        error = server_open_store();
    }
    if (error == STORE_FOREIGN) {
        return parts_look();
    }
    if (error == STORE_OK) {
        tell_roots();
    } else {
        server.line.error = (int32_t)server_result(error);
        say_why_closed(error);
        bw_log("stored: disk%llu: %s", (unsigned long long)server.disk, server.line.message);
    }
    return true;
}

static void set_up(uint64_t word)
{
    struct message m = {.code = NAMES_READY};
    char name[16];
    bool mine;

    server.disk = word;
    if (!open_all()) {
        bw_call(KEY_AT(KR_NAMES), &m);
        bw_exit(0);
    }
    waiters_open();
    snprintf(name, sizeof(name), "store%u", (unsigned)word);
    bw_publish(name, BADGE_ANYBODY);
    maker_look(server.free);
    mine = server.free || server_register();
    bw_call(KEY_AT(KR_NAMES), &m);
    if (!mine) {
        bw_exit(0);
    }
}

int main_native(uint64_t word)
{
    static uint8_t string[JOURNAL_SIZE];
    _Static_assert(sizeof(struct district_params) <= sizeof(string) &&
                       sizeof(struct bond_line) <= sizeof(string) &&
                       sizeof(struct store_like) <= sizeof(string) && STORE_BLOCK <= sizeof(string),
                   "each request has room");
    struct message m = {0};
    uint16_t reply_to = 0;

    set_up(word);
    for (;;) {
        m.buffer = string;
        m.size = sizeof(string);
        m.take[0] = KEY_AT(KR_OFFERED);
        m.deadline = next_deadline();
        bw_return(reply_to, &m, KEY_AT(KR_CALLER), 0);

        struct message request = m;
        m = (struct message){.code = BW_OK};
        reply_to = 0;
        if (request.delivery == DELIVERY_POSTED) {
            disk_posted(request.word[0]);
        } else if (request.delivery == DELIVERY_MESSAGE) {
            reply_to = serve(&request, string, &m) ? KEY_AT(KR_CALLER) : 0;
        }
        if (disk_posts(1ull << BADGE_ANYBODY)) {
            disk_touch(); /* its driver may be another one */
            server_look_for_districtd();
        }
        work();
    }
}
