/*
 * Starting and ending districts.
 *
 * Order of a start: randomness from the machine -> STORE_START (the incarnation is durable, the
 * district exists) -> its console session, the clock and randomness are granted -> DISTRICT_START,
 * when all that are bonded with it are as far.
 * Whatever fails, the district is dropped again, so that it is either started with all its grants
 * or not at all.
 */
#include "lifecycle.h"
#include <stdio.h>
#include <string.h>
#include <bailiwick/console.h>
#include <bailiwick/names.h>
#include "broker.h"

#define KR_CONSOLES KEY_AT(25)
#define KR_CLOCK    KEY_AT(26)
#define KR_ENTROPY  KEY_AT(27)
#define KR_SESSION  KEY_AT(28)

/* Granted to each district, besides its console. */
static const struct service {
    const char *name;
    uint16_t key;
} services[] = {{"clock", KR_CLOCK}, {"entropy", KR_ENTROPY}};
#define SERVICES (sizeof(services) / sizeof(services[0]))

static unsigned found; /* of them */

#define PATIENCE_NS 10000000000ull /* so long after the start one may still turn up */

void lifecycle_open(void)
{
    struct message m = {.code = RANGE_CREATE, .take = {KEY_AT(KR_NODE)}};

    m.word[0] = bw_next_id(1);
    m.word[1] = OBJECT_NODE;
    bw_assert(bw_call(KEY_AT(KR_RANGE), &m) == BW_OK);
    bw_find("consoles", KR_CONSOLES); /* without it nothing can be started; what runs goes on */
}

/** Finds what is granted to districts; each is there soon after the machine has started. */
static bool ready(void)
{
    while (found < SERVICES && bw_find_now(services[found].name, services[found].key) == BW_OK) {
        found++;
    }
    return found == SERVICES;
}

/** Calls a service; one that was restarted meanwhile is found again. */
static int64_t call_service(const char *name, uint16_t key, struct message *m)
{
    struct message again = *m;

    if (bw_call(key, m) == BW_VOID && bw_find(name, key) == BW_OK) {
        *m = again;
        bw_call(key, m);
    }
    return m->code;
}

int64_t lifecycle_random(uint64_t random[2])
{
    struct message m = {.code = ENTROPY_GET};
    int64_t result = ready() ? call_service("entropy", KR_ENTROPY, &m) : BW_ABSENT;

    memcpy(random, m.word, 2 * sizeof(*random));
    return result;
}

static int64_t fill_random(struct district_params *p)
{
    struct message m = {.code = ENTROPY_GET};
    uint64_t random[2];
    int64_t result = lifecycle_random(random);

    if (result != BW_OK) {
        return result;
    }
    p->incarnation_random = random[0] ^ random[1];
    result = call_service("entropy", KR_ENTROPY, &m);
    memcpy(p->entropy, m.word, sizeof(p->entropy));
    return result;
}

static int64_t start_store(unsigned slot, const struct district_params *p,
                           const uint64_t *generation)
{
    struct entry *e = registry_entry(slot);
    struct district_line line = {0};
    struct message m = {.code = STORE_START, .string = p, .length = sizeof(*p), .buffer = &line};

    m.size = sizeof(line);
    m.take[0] = KEY_DISTRICT_OF(slot);
    m.word[0] = generation != NULL;
    m.word[1] = generation ? *generation : 0;
    if (bw_call(KEY_STORE(slot), &m) != BW_OK) {
        if (m.length == sizeof(line) && line.message[0]) {
            line.message[sizeof(line.message) - 1] = 0;
            registry_say(e, "%s", line.message);
        } else {
            registry_say(e, "its store server does not answer (%lld)", (long long)m.code);
        }
        return m.code == BW_VOID ? BW_IO : m.code; /* who asked us must not think that we ended */
    }
    e->line = line;
    e->running = true;
    return BW_OK;
}

static int64_t grant(unsigned slot, const char *name, uint16_t key)
{
    struct message m = {
        .code = DISTRICT_GRANT, .string = name, .length = strlen(name), .send = {key}};

    return bw_call(KEY_DISTRICT_OF(slot), &m);
}

/** Opens and grants a console session. @param again only if it has none */
static int64_t grant_console(unsigned slot, bool again)
{
    struct message m = {.code = CONSOLE_OPEN,
                        .word = {slot, registry_entry(slot)->line.gated, again},
                        .take = {KR_SESSION}};
    int64_t result = call_service("consoles", KR_CONSOLES, &m);

    return result == BW_OK ? grant(slot, "console", KR_SESSION) : result;
}

void lifecycle_console(unsigned slot)
{
    struct message m = {.code = DISTRICT_PUBLISHED,
                        .string = CONSOLE_NOTICE,
                        .length = strlen(CONSOLE_NOTICE),
                        .take = {KR_SESSION}};

    if (registry_entry(slot)->running && grant_console(slot, true) == BW_OK &&
        bw_call(KEY_DISTRICT_OF(slot), &m) == BW_OK) {
        bw_post(KR_SESSION);
    }
}

void lifecycle_services(void)
{
    for (unsigned i = 0; i < found; i++) {
        bw_find_now(services[i].name, services[i].key);
        for (unsigned slot = 1; slot < REGISTRY_MAX; slot++) {
            if (registry_entry(slot)->running) {
                grant(slot, services[i].name, services[i].key);
            }
        }
    }
}

/** Grants all that it needs. @param name what is missing, if not all could be */
static int64_t grant_all(unsigned slot, const char **name)
{
    int64_t result = grant_console(slot, false);

    *name = "console";
    for (unsigned i = 0; result == BW_OK && i < SERVICES; i++) {
        *name = services[i].name;
        result = grant(slot, *name, services[i].key);
    }
    return result;
}

/** One that cannot be given what it needs is not started. */
static int64_t or_end(unsigned slot, int64_t result, const char *what)
{
    if (result != BW_OK) {
        lifecycle_end(slot);
        registry_say(registry_entry(slot), "it could not be given its %s (%lld)", what,
                     (long long)result);
    }
    return result;
}

int64_t lifecycle_create(unsigned slot, const uint64_t *generation, enum start_reason reason)
{
    struct entry *e = registry_entry(slot);
    struct district_params params = {.reason = reason};
    const char *missing;
    int64_t result;

    e->waits = false;
    memcpy(params.name, e->name, sizeof(params.name));
    if (!ready()) {
        registry_say(e, "this machine has no %s that it could be given", services[found].name);
        return bw_monotonic() < PATIENCE_NS ? BW_AGAIN : BW_ABSENT;
    }
    result = fill_random(&params);
    if (result != BW_OK) {
        registry_say(e, "this machine's source of randomness does not answer (%lld)",
                     (long long)result);
        return result;
    }
    result = start_store(slot, &params, generation);
    if (result != BW_OK) {
        return result;
    }
    result = grant_all(slot, &missing);
    if (result == BW_OK) {
        missing = "broker of links";
        result = broker_watch(slot);
    }
    return or_end(slot, result, missing);
}

int64_t lifecycle_begin(unsigned slot)
{
    struct message m = {.code = DISTRICT_START};

    return or_end(slot, bw_call(KEY_DISTRICT_OF(slot), &m), "first instruction");
}

void lifecycle_end(unsigned slot)
{
    struct entry *e = registry_entry(slot);
    struct message m;

    for (;;) {
        m = (struct message){.code = DISTRICT_KILL};
        if (bw_call(KEY_DISTRICT_OF(slot), &m) != BW_AGAIN) {
            break;
        }
    }
    m = (struct message){.code = STORE_ENDED};
    bw_call(KEY_STORE(slot), &m);
    m = (struct message){.code = CONSOLE_CLOSE, .word = {slot}};
    bw_call(KR_CONSOLES, &m);
    bw_drop_key(KEY_DISTRICT_OF(slot));
    e->running = false;
    broker_run(); /* those who have links to it are told */
}

int64_t lifecycle_gated(unsigned slot, bool on)
{
    struct message m = {.code = STORE_GATED, .word = {on}};
    int64_t kept = bw_call(KEY_STORE(slot), &m);

    registry_entry(slot)->line.gated = kept == BW_OK ? on : registry_entry(slot)->line.gated;
    if (registry_entry(slot)->running && (kept == BW_OK || !on)) { /* off, as it may be needed */
        m = (struct message){.code = CONSOLE_GATED, .word = {slot, on}};
        call_service("consoles", KR_CONSOLES, &m);
    }
    return kept;
}

bool lifecycle_whole(unsigned slot, uint64_t bound, uint64_t *generation, char *choice)
{
    struct message m = {.code = STORE_WHOLE, .word = {bound}, .buffer = choice};

    m.size = DISTRICT_MESSAGE_MAX - 1;
    choice[0] = 0;
    bw_call(KEY_STORE(slot), &m);
    choice[m.length < m.size ? m.length : m.size] = 0;
    *generation = m.word[0];
    return m.code == BW_OK;
}

bool lifecycle_generation(unsigned slot, uint64_t number, struct generation_line *g)
{
    struct message m = {.code = STORE_GENERATION, .word = {number}, .buffer = g};

    m.size = sizeof(*g);
    return bw_call(KEY_STORE(slot), &m) == BW_OK && m.length == sizeof(*g);
}

bool lifecycle_pin(unsigned slot, uint64_t generation)
{
    struct message m = {.code = STORE_PIN, .word = {generation}};

    return bw_call(KEY_STORE(slot), &m) == BW_OK;
}

int64_t lifecycle_status(unsigned slot, struct district_status *status)
{
    struct message m = {.code = DISTRICT_STATUS, .buffer = status, .size = sizeof(*status)};

    *status = (struct district_status){0};
    return bw_call(KEY_DISTRICT_OF(slot), &m);
}

bool lifecycle_line(unsigned slot, struct district_line *line)
{
    struct entry *e = registry_entry(slot);
    struct district_status status;
    struct message m = {.code = STORE_LINE, .buffer = line, .size = sizeof(*line)};

    bool answered = bw_call(KEY_STORE(slot), &m) == BW_OK && m.length == sizeof(*line);

    if (!answered) {
        *line = e->line;
    }
    e->line = *line;
    memcpy(line->name, e->name, sizeof(line->name));
    line->state = DISTRICT_EMPTY;
    if (e->running) {
        line->state = DISTRICT_RUNNING;
        if (lifecycle_status(slot, &status) == BW_OK) {
            line->state = status.state;
            line->incarnation = status.incarnation; /* a server that has failed leaves a gap */
        }
    }
    if (e->error) {
        line->error = e->error;
    }
    if (e->message[0]) {
        memcpy(line->message, e->message, sizeof(line->message));
    } else if (!answered) {
        snprintf(line->message, sizeof(line->message), "its store server does not answer");
    }
    return answered;
}
