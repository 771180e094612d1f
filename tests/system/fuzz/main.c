/*
 * A fuzzer of the nucleus, booted in place of the supervisor (the boot module of that name).
 * Domains of the commons and of districts, with many keys but none to the machine, make random
 * invocations by the million, with each other's keys; some are foreign and have other workers as
 * keepers. The nucleus must stay up, go on answering, lose no memory, and keep each checkpoint of
 * the districts whole, and nobody may gain a key.
 *
 * The boot command line has "seed=N rounds=N". On the serial port a line comes at the end of each
 * round, and "fuzz done" or "fuzz FAILED: ..." as the last.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"

#define SERIAL_PORT   0x3f8
#define ROUND_TIME    1000000000ull
#define BALLOON_FIRST (1u << 24) /* in KR_RANGE */
#define BALLOON_IDS   65536u
#define STEP_TIME     5000000ull
#define SLACK         100u /* frames: the link table of the commons grows slowly */

uint64_t balloon;

void must(int64_t result, const char *what)
{
    if (result < 0)
        failed("%s: result %lld", what, (long long)result);
}

static uint64_t port(unsigned order, uint64_t offset, uint64_t value)
{
    struct message m = {.code = (int64_t)order, .word = {offset, 1, value}};
    bw_call(KR_PORTS, &m);
    return m.word[0];
}

static void put_line(const char *line)
{
    for (; *line; line++) {
        while (!(port(PORTS_IN, 5, 0) & 0x20)) {
        }
        port(PORTS_OUT, 0, (uint8_t)*line);
    }
}

void report(const char *format, ...)
{
    char line[160];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    put_line("fuzz ");
    put_line(line);
    put_line("\r\n");
}

void failed(const char *format, ...)
{
    char line[160];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    report("FAILED: %s", line);
    for (;;)
        bw_wait(BW_NO_DEADLINE);
}

static uint64_t argument(const char *name, uint64_t otherwise)
{
    static char line[512];
    struct message m = {.code = NUCLEUS_COMMAND_LINE, .buffer = line, .size = sizeof line - 1};
    must(bw_call(KR_NUCLEUS, &m), "command line");
    line[m.length] = 0;
    const char *at = strstr(line, name);
    return at ? strtoull(at + strlen(name), NULL, 10) : otherwise;
}

static uint64_t free_frames(void)
{
    struct message m = {.code = NUCLEUS_INFO};
    must(bw_call(KR_NUCLEUS, &m), "information");
    return m.word[1];
}

static uint64_t invocations(void)
{
    struct nucleus_statistics s;
    struct message m = {.code = NUCLEUS_STATISTICS, .buffer = &s, .size = sizeof s};
    must(bw_call(KR_NUCLEUS, &m), "statistics");
    return s.invocations;
}

/** Takes all but so many frames away, so that objects are evicted and domains wait. */
static void balloon_fill(uint64_t leave)
{
    while (balloon < BALLOON_IDS && free_frames() > leave) {
        struct message m = {.code = RANGE_CREATE, .word = {BALLOON_FIRST + balloon++, OBJECT_PAGE}};
        must(bw_call(KEY_AT(KR_RANGE), &m), "balloon");
    }
}

static void balloon_empty(void)
{
    while (balloon > 0) {
        uint64_t n = balloon < 256 ? balloon : 256;
        balloon -= n;
        struct message m = {.code = RANGE_DESTROY, .word = {BALLOON_FIRST + balloon, n}};
        must(bw_call(KEY_AT(KR_RANGE), &m), "balloon");
    }
}

static void play_round(void)
{
    commons_begin();
    if (pick(2) == 0)
        balloon_fill(1200 + pick(1600)); /* what is loaded at least fits */
    district_begin();
    bw_time_t end = bw_monotonic() + ROUND_TIME;
    while (bw_monotonic() < end) {
        bw_wait(bw_monotonic() + pick(STEP_TIME));
        commons_step();
        district_step();
    }
    district_end();
    commons_end();
    balloon_empty();
}

int main_native(uint64_t word)
{
    (void)word;
    struct message m = {.code = NUCLEUS_PORTS, .word = {SERIAL_PORT, 8}, .take = {KR_PORTS}};
    must(bw_call(KR_NUCLEUS, &m), "ports");
    m = (struct message){.code = DOMAIN_MAKE_START, .word = {1}, .take = {KR_OWN}};
    must(bw_call(KEY_AT(KR_SELF), &m), "own start key");
    uint64_t rounds = argument("rounds=", 10), seed = argument("seed=", 1), least = 0;
    random_seed(seed);
    report("seed %llu", (unsigned long long)seed);
    balloon_fill(400); /* the nucleus keeps what the headers of so many objects need */
    balloon_empty();
    for (uint64_t round = 1; round <= rounds; round++) {
        play_round();
        uint64_t frames = free_frames();
        if (round == 2)
            least = frames - SLACK;
        if (round > 2 && frames < least)
            failed("%llu frames are free, there were %llu", (unsigned long long)frames,
                   (unsigned long long)least + SLACK);
        report("round %llu: %llu invocations, %llu commits, %llu restarts, %llu links made, "
               "%llu frames free",
               (unsigned long long)round, (unsigned long long)invocations(),
               (unsigned long long)district_commits, (unsigned long long)district_restarts,
               (unsigned long long)district_connections, (unsigned long long)frames);
    }
    report("done");
    for (;;)
        bw_wait(BW_NO_DEADLINE);
}
