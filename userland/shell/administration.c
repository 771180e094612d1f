/*
 * What the shell asks districtd and the store servers. Keys are found when they are first needed,
 * so that a shell works as far as it can while something is missing.
 */
#include "administration.h"
#include <stdio.h>
#include <string.h>
#include <bailiwick/block.h>
#include <bailiwick/console.h>
#include <bailiwick/names.h>
#include "screen.h"

#define KR_DISTRICTS KEY_AT(26)
#define KR_STORE     KEY_AT(27)
#define KR_POWER     KEY_AT(28)
#define KR_DISK      KEY_AT(29) /* the store server of a disk */

#define SETTLE_NS 3000000000ull /* so long after districtd's start stores may still turn up */
#define POLL_NS   50000000ull

static bool given_up; /* districtd has failed for good */
static bw_time_t settled = SETTLE_NS;

/** For the first time, or again if districtd was restarted. */
static bool find_districts(void)
{
    int64_t result = bw_find("districts", KR_DISTRICTS);

    given_up = result == BW_BROKEN;
    return result == BW_OK;
}

static int64_t call_districts(struct message *m)
{
    struct message again = *m;

    if (bw_call(KR_DISTRICTS, m) == BW_VOID && find_districts()) {
        *m = again;
        bw_call(KR_DISTRICTS, m);
    }
    return m->code;
}

bool admin_works(void)
{
    struct message m = {.code = DISTRICTS_EVENTS, .word = {UINT64_MAX}};

    call_districts(&m);
    return !given_up;
}

bool admin_line(unsigned index, struct district_line *line)
{
    struct message m = {.code = DISTRICTS_LIST, .word = {index}, .buffer = line};

    m.size = sizeof(*line);
    if (call_districts(&m) == BW_ABSENT) {
        settled = m.word[0] + SETTLE_NS;
    }
    return m.code == BW_OK && m.length == sizeof(*line);
}

bool admin_first(struct district_line *line)
{
    while (!admin_line(0, line)) {
        if (bw_monotonic() > settled || given_up) {
            return false;
        }
        bw_wait(bw_monotonic() + POLL_NS);
    }
    return true;
}

void admin_settle(void)
{
    struct district_line line;

    admin_line(DISTRICT_MAX, &line);
    while (!given_up && bw_monotonic() < settled) {
        bw_wait(settled);
    }
}

bool admin_find_now(const char *name, struct district_line *line)
{
    struct district_line other;
    bool found = false;

    for (unsigned i = 0; admin_line(i, &other); i++) { /* of namesakes, the one that can run */
        if (strncmp(other.name, name, DISTRICT_NAME_MAX) == 0 && (!found || other.error == 0)) {
            *line = other;
            found = true;
        }
    }
    return found;
}

bool admin_find(const char *name, struct district_line *line)
{
    while (!admin_find_now(name, line)) {
        if (bw_monotonic() > settled || given_up) {
            return false;
        }
        bw_wait(bw_monotonic() + POLL_NS);
    }
    return true;
}

int64_t admin_order(enum districts_order order, const char *name, struct message *m,
                    struct district_line *line)
{
    m->code = order;
    m->string = name;
    m->length = strlen(name);
    if (line) {
        m->buffer = line;
        m->size = sizeof(*line);
    }
    if (order == DISTRICTS_STORE) {
        m->take[0] = KR_STORE;
    }
    return call_districts(m);
}

int64_t admin_store(const char *name, enum store_order order, struct message *m)
{
    struct message find = {0};
    int64_t result = admin_order(DISTRICTS_STORE, name, &find, NULL);

    if (result != BW_OK) {
        return result;
    }
    m->code = order;
    return bw_call(KR_STORE, m);
}

bool admin_generation(const char *name, uint64_t number, bool held, struct generation_line *g)
{
    struct message m = {.word = {number, held}, .buffer = g, .size = sizeof(*g)};

    return admin_store(name, STORE_GENERATION, &m) == BW_OK && m.length == sizeof(*g);
}

bool admin_event(uint64_t number, struct event *e)
{
    struct message m = {.code = DISTRICTS_EVENTS, .word = {number}, .buffer = e};

    m.size = sizeof(*e);
    return call_districts(&m) == BW_OK && m.length == sizeof(*e);
}

int64_t admin_at_disk(uint64_t number, enum store_order order, struct message *m)
{
    char name[NAME_MAX_LENGTH];
    int64_t result;

    snprintf(name, sizeof(name), "store%llu", (unsigned long long)number);
    result = bw_find_now(name, KR_DISK);
    if (result != BW_OK) {
        return result;
    }
    m->code = order;
    return bw_call(KR_DISK, m);
}

const char *admin_disk_name(char name[DISK_NAME_SIZE], uint64_t number)
{
    unsigned disk = (unsigned)(number % BLOCK_WHOLE_MAX);
    unsigned part = (unsigned)(number / BLOCK_WHOLE_MAX);

    snprintf(name, DISK_NAME_SIZE, part ? "disk%up%u" : "disk%u", disk, part);
    return name;
}

bool admin_disk(unsigned index, struct disk_line *line)
{
    static char list[BW_PAGE_SIZE];
    struct message m = {.code = NAMES_LIST, .buffer = list, .size = sizeof(list) - 1};

    if (bw_call(KEY_AT(KR_NAMES), &m) != BW_OK) {
        return false;
    }
    list[m.length] = 0;
    for (const char *at = list; (at = strstr(at, "stored ")) != NULL; at++) {
        unsigned number;

        m = (struct message){.buffer = line, .size = sizeof(*line)};
        if (sscanf(at, "stored %u", &number) == 1 &&
            admin_at_disk(number, STORE_DISK, &m) == BW_OK && m.length == sizeof(*line) &&
            index-- == 0) {
            return true;
        }
    }
    return false;
}

int64_t admin_link(const char *name, uint64_t *index, struct link_line *line)
{
    struct message m = {.word = {*index}, .buffer = line, .size = sizeof(*line)};
    int64_t result = admin_order(DISTRICTS_LINK, name, &m, NULL);

    *index = m.word[0];
    return result == BW_OK && m.length != sizeof(*line) ? BW_ABSENT : result;
}

int64_t admin_attach(uint64_t session)
{
    struct message m = {.code = CONSOLE_ATTACH, .word = {session}};
    int64_t result = bw_call(KR_CONSOLE, &m);

    return result == BW_OK ? (int64_t)m.word[0] : result;
}

int64_t admin_power(uint64_t order)
{
    struct message m = {.code = (int64_t)order};

    if (bw_find("power", KR_POWER) != BW_OK) {
        return BW_ABSENT;
    }
    return bw_call(KR_POWER, &m);
}

const char *admin_store_reason(const char *name, int64_t result)
{
    static struct district_line line;

    if (admin_find(name, &line) && line.message[0] &&
        (result == BW_RIGHTS || result == line.error)) {
        return line.message;
    }
    return admin_reason(result);
}

const char *admin_reason(int64_t result)
{
    switch (result) {
    case BW_VOID:
        if (given_up) {
            return "districtd, which looks after districts, has failed too often; 'reboot --force' "
                   "starts it again";
        }
        return "the server has ended; try again";
    case BW_SEVERED:
    case BW_RESTARTED:
        return "the server has ended; try again";
    case BW_RIGHTS:
    case BW_REFUSED:
        return "it was refused";
    case BW_ARGUMENT:
        return "the request is not acceptable";
    case BW_BUSY:
    case BW_AGAIN:
        return "it is busy; try again";
    case BW_NOMEM:
        return "the machine is out of memory";
    case BW_NOSPACE:
        return "the store is full";
    case BW_EXISTS:
        return "it exists already";
    case BW_BROKEN:
        return "its state is broken";
    case BW_LIMIT:
        return "too many are running";
    case BW_ABSENT:
        return "there is none";
    case BW_IO:
        return "the disk failed";
    case BW_DAMAGED:
        return "the store is damaged";
    default:
        return "it failed";
    }
}
