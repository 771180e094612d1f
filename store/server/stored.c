/*
 * stored: the store server. One runs for each disk (its word is N of "diskN"); it opens the store
 * there, registers it with districtd, starts the district in it, supplies its objects, and
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
#include "whole.h"

#define INTERVAL_MIN_NS 10000000ull
#define RETRY_NS        10000000ull
#define AT_ONCE         1u /* a deadline that has passed */
#define CACHE_PART      32u
#define CACHE_MIN       64u
#define CACHE_MAX       2048u

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

void server_own_key(uint16_t badge, uint16_t place)
{
    struct message m = {.code = DOMAIN_MAKE_START, .word = {badge}, .take = {place}};

    bw_assert(bw_call(KEY_AT(KR_SELF), &m) == BW_OK);
}

/** Creates the district in the nucleus, from a store that is claimed. */
static int64_t create_district(struct district_params *params)
{
    struct message m = {.code = NUCLEUS_DISTRICT, .string = params, .length = sizeof(*params)};
    int64_t result;

    m.take[0] = KEY_AT(KR_DISTRICT);
    result = bw_call(KEY_AT(KR_NUCLEUS), &m);
    if (result != BW_OK) {
        return result;
    }
    server_own_key(BADGE_DISTRICT, KEY_AT(KR_HANDED));
    m = (struct message){.code = DISTRICT_BIND, .send = {KEY_AT(KR_HANDED)}};
    result = bw_call(KEY_AT(KR_DISTRICT), &m);
    result = result == BW_OK ? history_tell_share() : result;
    return result == BW_OK ? journal_grant() : result;
}

/** Says why the district cannot be started. */
static int64_t refused(int64_t result, const char *text)
{
    snprintf(server.line.message, sizeof(server.line.message), "%s", text);
    return result;
}

/** XCR0 bits that programs can use here, as the nucleus stamps them (struct system_page). */
static uint64_t processor_features(void)
{
    uint32_t a = 1, b, c = 0, d;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(c & 1u << 27)) {
        return 3;
    }
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return a;
}

/** Whether the programs of a generation find all registers of the processor again. What cannot be
 * read is told of later. */
static bool fits_processor(uint64_t generation)
{
    static uint8_t bytes[STORE_BLOCK];
    const struct system_page *system = (const struct system_page *)bytes;
    struct store_object o;

    return store_get(server.store, generation, OID_SYSTEM, &o, bytes) != STORE_OK ||
           (system->cpu_features & ~processor_features()) == 0;
}

/** Opens the store if need be, and starts a new incarnation that continues from a generation. */
static int64_t claim(struct district_params *params, uint64_t generation)
{
    struct store_info info;
    uint64_t fresh;
    int error = server.store && !server.reopen ? STORE_OK : server_open_store();

    if (error != STORE_OK) {
        return refused(server_result(error), store_error_text(error));
    }
    store_info(server.store, &info);
    fresh = info.incarnation == 0;
    if (info.in_doubt && (generation == STORE_NEWEST || generation == info.current)) {
        return refused(BW_REFUSED, "whether its newest generation counts has not been decided");
    }
    if (generation == STORE_NEWEST && info.crash_policy == POLICY_STOPS &&
        !whole_generation(info.current)) {
        whole_choice(server.line.message, sizeof(server.line.message));
        return BW_DAMAGED;
    }
    if (!fits_processor(generation)) {
        return refused(BW_REFUSED, "its programs have used registers that the processor of this "
                                   "machine lacks");
    }
    error = store_claim(server.store, generation, params->incarnation_random, "Bailiwick",
                        bw_realtime(), &params->incarnation);
    if (error == STORE_ABSENT) {
        size_t n = (size_t)snprintf(
            server.line.message, sizeof(server.line.message),
            "generation %llu is not kept; there are: ", (unsigned long long)generation);

        history_kept(server.line.message + n, sizeof(server.line.message) - n);
        return BW_ABSENT;
    }
    if (error != STORE_OK) {
        server.reopen = true;
        return refused(server_result(error), store_error_text(error));
    }
    server_fill_line();
    server.line.fresh = fresh;
    store_info(server.store, &info);
    params->generation = info.next_generation - 1;
    params->from = info.current;
    memcpy(params->name, server.line.name, sizeof(params->name));
    memcpy(params->id, info.id, sizeof(params->id));
    if (info.bond.members && info.instant) {
        memcpy(params->bond, info.bond.id, sizeof(params->bond));
        params->instant = info.instant;
    }
    return BW_OK;
}

/** @param string struct district_params, random parts filled in */
static int64_t start(const void *string, size_t length, uint64_t generation)
{
    struct district_params params;
    int64_t result;

    if (length != sizeof(params)) {
        return BW_ARGUMENT;
    }
    memcpy(&params, string, sizeof(params));
    server.line.message[0] = 0;
    result = claim(&params, generation);
    if (result != BW_OK) {
        return result;
    }
    result = create_district(&params);
    if (result != BW_OK) {
        return refused(result, result == BW_LIMIT ? "too many districts are running"
                                                  : "the nucleus refuses it");
    }
    server.line.incarnation = params.incarnation;
    server.ended = 0;
    server.doomed = false;
    server.short_of_memory = false;
    server.crash_told = 0;
    supply_reset();
    bond_open();
    server.running = true;
    checkpoint_reset();
    checkpoint_budget();
    return BW_OK;
}

void server_stopped(void)
{
    server.running = false;
    server.doomed = false;
    server.ended = 0;
    if (server.store) {
        checkpoint_reset();
    }
    bw_drop_key(KEY_AT(KR_DISTRICT));
}

static int64_t set_interval(uint64_t ns)
{
    int error;

    if (!server.store) {
        return server.line.error;
    }
    if (ns != 0 && ns < INTERVAL_MIN_NS) {
        return BW_ARGUMENT;
    }
    error = store_set_interval(server.store, ns);
    if (error == STORE_OK && server.running) {
        bw_time_t next = ns ? bw_monotonic() + ns : BW_NO_DEADLINE;

        /* Setting it again and again must not put the next checkpoint off for ever. */
        server.next = ns && server.next < next ? server.next : next;
    }
    return server_changed(error);
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

static int64_t start_asked(const struct message *m, const void *string)
{
    int64_t ready;

    if (server.line.error) {
        return server.line.error;
    }
    ready = copies_ready();
    if (ready != BW_OK) {
        return ready;
    }
    return server.running ? BW_EXISTS
                          : start(string, m->length, m->word[0] ? m->word[1] : STORE_NEWEST);
}

/** What would write to a store of which the user has not said yet that it may be written to. */
static bool too_early(int64_t order)
{
    bool changes = order == STORE_INTERVAL || order == STORE_DROP || order == STORE_RETENTION ||
                   order == STORE_SCRUB || order == STORE_POLICY || order == STORE_AUTOSTART ||
                   order == STORE_GATED || order == STORE_SHARE;

    return changes && server.store && copies_ready() != BW_OK;
}

/** @return false if the caller waits for his answer */
static bool serve_checkpoint(struct message *reply)
{
    reply->code = !server.running ? BW_REFUSED
                  : server.doomed ? BW_BROKEN
                                  : checkpoint_wait(KEY_AT(KR_CALLER));
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
        reply->code = BW_REFUSED;
        return true;
    }
    switch (m->code) {
    case STORE_START:
        reply->code = start_asked(m, string);
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
    case STORE_INTERVAL:
        reply->code = set_interval(m->word[0]);
        break;
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
    case STORE_RETENTION:
        reply->code = history_retain(m->word);
        break;
    case STORE_POLICY:
        reply->code = history_policy(m->word[0]);
        break;
    case STORE_SHARE:
        reply->code = history_share(m->word[0]);
        break;
    case STORE_AUTOSTART:
        reply->code = history_autostart(m->word[0] != 0);
        break;
    case STORE_GATED:
        reply->code = history_gated(m->word[0] != 0);
        break;
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
        if (copies_trouble()) {
            refused(error, copies_trouble());
        } else if (server.damaged_block) {
            snprintf(server.line.message, sizeof(server.line.message), "%s: block %llu",
                     store_error_text(error), (unsigned long long)server.damaged_block);
        } else {
            refused(error, store_error_text(error));
        }
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
    checkpoint_open();
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
            server_look_for_districtd();
        }
        work();
    }
}
