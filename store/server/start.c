/*
 * Starting the district: the store is claimed for a new incarnation, and the district created in
 * the nucleus from the generation that it continues from. Its end, which is less.
 */
#include <stdio.h>
#include <string.h>
#include "copies.h"
#include "history.h"
#include "journal.h"
#include "settings.h"
#include "whole.h"

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
    result = result == BW_OK ? settings_tell_share() : result;
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

/** Whether the district may continue from a generation. @return BW_OK, or why not, which
 * server.line.message says, too */
static int64_t may_continue(uint64_t generation, const struct store_info *info)
{
    if (info->in_doubt && (generation == STORE_NEWEST || generation == info->current)) {
        return refused(BW_REFUSED, "whether its newest generation counts has not been decided");
    }
    if (generation == STORE_NEWEST && info->crash_policy == POLICY_STOPS &&
        !whole_generation(info->current)) {
        whole_choice(server.line.message, sizeof(server.line.message));
        return BW_DAMAGED;
    }
    if (!fits_processor(generation)) {
        return refused(BW_REFUSED, "its programs have used registers that the processor of this "
                                   "machine lacks");
    }
    return BW_OK;
}

static int64_t not_kept(uint64_t generation)
{
    char *to = server.line.message;
    size_t size = sizeof(server.line.message);
    size_t n = (size_t)snprintf(
        to, size, "generation %llu is not kept; there are: ", (unsigned long long)generation);

    history_kept(to + n, size - n);
    return BW_ABSENT;
}

/** What the nucleus is told of the district, by the store that is claimed and server.line. */
static void describe(struct district_params *params)
{
    struct store_info info;

    store_info(server.store, &info);
    params->generation = info.next_generation - 1;
    params->from = info.current;
    memcpy(params->name, server.line.name, sizeof(params->name));
    memcpy(params->id, info.id, sizeof(params->id));
    if (info.bond.members && info.instant) {
        memcpy(params->bond, info.bond.id, sizeof(params->bond));
        params->instant = info.instant;
    }
}

/** Opens the store if need be, and starts a new incarnation that continues from a generation. */
static int64_t claim(struct district_params *params, uint64_t generation)
{
    struct store_info before;
    int64_t result;
    int error = server.store && !server.reopen ? STORE_OK : server_open_store();

    if (error != STORE_OK) {
        return refused(server_result(error), store_error_text(error));
    }
    store_info(server.store, &before);
    result = may_continue(generation, &before);
    if (result != BW_OK) {
        return result;
    }
    error = store_claim(server.store, generation, params->incarnation_random, "Bailiwick",
                        bw_realtime(), &params->incarnation);
    if (error == STORE_ABSENT) {
        return not_kept(generation);
    }
    if (error != STORE_OK) {
        server.reopen = true;
        return refused(server_result(error), store_error_text(error));
    }
    server_fill_line();
    server.line.fresh = before.incarnation == 0;
    describe(params);
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

int64_t server_start(const struct message *m, const void *string)
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
