/*
 * stored: the store server. One runs for each disk (its word is N of "diskN"); it opens the store
 * there, registers it with districtd, starts the district in it, supplies its objects, and
 * checkpoints it.
 *
 * It is called by districtd and the shell (admin.h) and posted by the disk driver and the nucleus.
 * It calls the driver, the nucleus and, once, districtd; afterwards it only ever sends to
 * districtd, which calls it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <bailiwick/names.h>
#include "server.h"

#define INTERVAL_MIN_NS 10000000ull
#define RETRY_NS        10000000ull
#define AT_ONCE         1u /* a deadline that has passed */

struct server server = {.next = BW_NO_DEADLINE};

static struct store_damage last_damage;

static void on_damage(void *ctx, const struct store_damage *d)
{
    (void)ctx;
    last_damage = *d;
    bw_log("stored: disk%llu: damage: %s: block %llu, generation %lld, object %llu: expected "
           "%#llx, found %#llx "
           "(%s:%d)",
           (unsigned long long)server.disk, d->what, (unsigned long long)d->block,
           (long long)d->generation, (unsigned long long)d->oid, (unsigned long long)d->expected,
           (unsigned long long)d->found, d->file, d->line);
}

uint64_t server_damaged_block(void)
{
    return last_damage.block;
}

int server_open_store(void)
{
    struct store_io io = {.damage = on_damage};
    int error;

    disk_io(&io);
    store_close(server.store);
    server.store = NULL;
    error = store_open(&io, &server.store);
    server.reopen = false;
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

void server_ended(enum ended_why why, const char *format, ...)
{
    va_list list;

    if (server.ended) {
        return;
    }
    va_start(list, format);
    vsnprintf(server.ended_text, sizeof(server.ended_text), format, list);
    va_end(list);
    server.ended = why;
    bw_log("stored: %s: %s", server.line.name, server.ended_text);
}

/** Sends what districtd is to be told. @return false if it is busy */
static bool tell_ended(void)
{
    struct message m = {.code = DISTRICTS_ENDED, .string = server.ended_text};
    struct store_info info = {0};

    if (!server.ended) {
        return true;
    }
    if (server.store) {
        store_info(server.store, &info);
    }
    m.length = strlen(server.ended_text);
    m.word[0] = server.ended;
    m.word[1] = info.crash_policy;
    m.word[2] = server.slot;
    if (bw_send(KEY_AT(KR_DISTRICTS), &m, INVOKE_NOBLOCK) == BW_BUSY) {
        return false;
    }
    server.ended = 0;
    return true;
}

/* --- requests
 * ------------------------------------------------------------------------------------- */

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

static void fill_line(void)
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
}

static void make_own_key(uint16_t badge, uint16_t place)
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
    make_own_key(BADGE_DISTRICT, KEY_AT(KR_HANDED));
    m = (struct message){.code = DISTRICT_BIND, .send = {KEY_AT(KR_HANDED)}};
    return bw_call(KEY_AT(KR_DISTRICT), &m);
}

/** @param string struct district_params, random parts filled in */
static int64_t start(const void *string, size_t length)
{
    struct district_params params;
    struct store_info info;
    int error;
    int64_t result;

    if (length != sizeof(params)) {
        return BW_ARGUMENT;
    }
    memcpy(&params, string, sizeof(params));
    if (!server.store || server.reopen) {
        if ((error = server_open_store()) != STORE_OK) {
            snprintf(server.line.message, sizeof(server.line.message), "%s",
                     store_error_text(error));
            return server_result(error);
        }
    }
    server.line.message[0] = 0;
    fill_line();
    error = store_claim(server.store, STORE_NEWEST, params.incarnation_random, "Bailiwick",
                        bw_realtime(), &params.incarnation);
    if (error != STORE_OK) {
        server.reopen = error == STORE_IO;
        snprintf(server.line.message, sizeof(server.line.message), "%s", store_error_text(error));
        return server_result(error);
    }
    store_info(server.store, &info);
    params.generation = info.next_generation - 1;
    memcpy(params.name, server.line.name, sizeof(params.name));
    result = create_district(&params);
    if (result != BW_OK) {
        snprintf(server.line.message, sizeof(server.line.message), "%s",
                 result == BW_LIMIT ? "too many districts are running" : "the nucleus refuses it");
        return result;
    }
    server.line.incarnation = params.incarnation;
    server.ended = 0;
    server.short_of_memory = false;
    server.crash_told = 0;
    supply_reset();
    server.running = true;
    checkpoint_reset();
    checkpoint_budget();
    return BW_OK;
}

static void ended(void)
{
    server.running = false;
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
    return server_result(error);
}

static void reply_line(struct message *reply)
{
    reply->string = &server.line;
    reply->length = sizeof(server.line);
}

/** Serves a request. @return false if the caller waits for his answer */
static bool serve(const struct message *m, const void *string, struct message *reply)
{
    switch (m->code) {
    case STORE_START:
        reply->code = server.line.error ? server.line.error
                      : server.running  ? BW_EXISTS
                                        : start(string, m->length);
        if (reply->code == BW_OK) {
            reply->send[0] = KEY_AT(KR_DISTRICT);
        }
        reply_line(reply);
        break;
    case STORE_ENDED:
        ended();
        break;
    case STORE_CHECKPOINT:
        reply->code = server.running ? checkpoint_wait(KEY_AT(KR_CALLER)) : BW_REFUSED;
        if (reply->code == BW_OK) {
            checkpoint_begin(STORE_MADE_ASKED);
            return false;
        }
        break;
    case STORE_INTERVAL:
        reply->code = set_interval(m->word[0]);
        break;
    case STORE_LINE:
        fill_line();
        reply_line(reply);
        break;
    default:
        reply->code = BW_ORDER;
    }
    return true;
}

/* --- the server
 * ------------------------------------------------------------------------------------- */

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
        server_ended(ENDED_DAMAGED, "its first objects are damaged");
    } else if (status.crashed && status.crash_oid != server.crash_told) {
        server.crash_told = status.crash_oid;
        server_ended(ENDED_CRASHED, "a domain stopped at a fault");
    } else {
        checkpoint_look(&status);
    }
}

/** Everything that is due, besides requests. */
static void work(void)
{
    if (!server.running) {
        return;
    }
    if (server.short_of_memory && !server.ended) {
        server.short_of_memory = supply_kept();
        snprintf(server.line.message, sizeof(server.line.message), "%s",
                 server.short_of_memory ? "stands still: the machine has no memory for its objects"
                                        : "");
    }
    if (disk_posts(1ull << BADGE_DISTRICT)) {
        look_at_district();
    }
    if (!server.ended && !server.writing && bw_monotonic() >= server.next) {
        checkpoint_begin(STORE_MADE_INTERVAL);
    }
    if (server.writing) {
        checkpoint_step();
    }
}

static bw_time_t next_deadline(void)
{
    bw_time_t retry;

    /* What was posted while the disk was waited for is not posted again. */
    if (server.running && disk_has_posts(1ull << BADGE_DISTRICT)) {
        return AT_ONCE;
    }
    if (server.writing) {
        return checkpoint_due() ? checkpoint_due() : AT_ONCE;
    }
    if (!tell_ended()) {
        return bw_monotonic() + RETRY_NS;
    }
    if (!server.running) {
        return BW_NO_DEADLINE;
    }
    retry = bw_monotonic() + RETRY_NS;
    return server.short_of_memory && retry < server.next ? retry : server.next;
}

/** Opens disk and store. @return false if it is no store at all */
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
    error = server_open_store();
    if (error == STORE_FOREIGN) {
        bw_log("stored: disk%llu is not a district store", (unsigned long long)server.disk);
        return false;
    }
    if (error != STORE_OK) {
        server.line.error = (int32_t)server_result(error);
        snprintf(server.line.message, sizeof(server.line.message), "%s%s%s",
                 store_error_text(error), last_damage.what ? ": " : "",
                 last_damage.what ? last_damage.what : "");
        bw_log("stored: disk%llu: %s", (unsigned long long)server.disk, server.line.message);
    }
    return true;
}

/** Makes the store known to districtd. */
static void register_store(void)
{
    struct message m = {
        .code = DISTRICTS_REGISTER, .string = &server.line, .length = sizeof(server.line)};

    fill_line();
    make_own_key(0, KEY_AT(KR_HANDED));
    m.send[0] = KEY_AT(KR_HANDED);
    if (bw_find("districts", KEY_AT(KR_DISTRICTS)) != BW_OK) {
        return;
    }
    bw_call(KEY_AT(KR_DISTRICTS), &m);
    server.slot = (unsigned)m.word[0];
    if (m.code == BW_EXISTS) { /* it stays closed */
        server.line.error = BW_EXISTS;
        store_close(server.store);
        server.store = NULL;
    }
}

static void set_up(uint64_t word)
{
    struct message m = {.code = NAMES_READY};
    char name[16];

    server.disk = word;
    if (!open_all()) {
        bw_call(KEY_AT(KR_NAMES), &m);
        bw_exit(0);
    }
    checkpoint_open();
    snprintf(name, sizeof(name), "store%u", (unsigned)word);
    bw_publish(name, 0);
    register_store();
    bw_call(KEY_AT(KR_NAMES), &m);
}

int main_native(uint64_t word)
{
    static uint8_t string[sizeof(struct district_params)];
    struct message m = {0};
    uint16_t reply_to = 0;

    set_up(word);
    for (;;) {
        m.buffer = string;
        m.size = sizeof(string);
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
        work();
    }
}
