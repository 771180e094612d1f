/*
 * A latency probe. It wants to be woken each millisecond, and each time sends a numbered message
 * over a link to an echo in another district; with the word `spin` it computes instead. Ten times a
 * second it tells in the nucleus's log what it has seen since the last time:
 *
 *     probe: N wakes, L us late at most, M messages, C us the longest, X lost; run R
 *     probe: N turns, L us between two at most; run R
 *
 *     mkdistrict --program 'bench_probe wake there' ... quiet.district
 *
 * The words: wake or spin; the district of the echo.
 */
#include <string.h>
#include <bailiwick/image.h>
#include <bailiwick/program.h>
#include "echo.h"

#define KR_ECHO    KEY_AT(24)
#define PERIOD     1000000u   /* ns between two wakes */
#define TELL       100000000u /* ns between two reports */
#define TURN_LOOPS 1000u      /* of computing, between two looks at the clock */

typedef unsigned long long number;

static const struct image_arguments *const arguments =
    (const struct image_arguments *)IMAGE_WINDOW(1);

static number run(void)
{
    struct incarnation now;

    bw_incarnation(&now);
    return now.count;
}

static void raise_to(uint64_t *most, uint64_t value)
{
    *most = value > *most ? value : *most;
}

/** @return ns that the echo took, 0: it is not there */
static uint64_t ask(uint64_t *lost)
{
    static uint64_t last, seen;
    struct message m = {.code = ECHO_NEXT, .word = {last + 1}};
    bw_time_t begin = bw_monotonic();

    if (bw_call(KR_ECHO, &m) != BW_OK) {
        return 0;
    }
    *lost += m.word[0] != last && run() == seen;
    seen = run();
    last++;
    return bw_monotonic() - begin;
}

static void wake(void)
{
    static uint64_t lost;

    for (bw_time_t told = bw_monotonic();; told += TELL) {
        uint64_t wakes = 0, late = 0, messages = 0, longest = 0;

        while (bw_monotonic() < told + TELL) {
            bw_time_t due = bw_monotonic() + PERIOD;
            if (bw_wait(due) == 0) { /* else something was posted */
                raise_to(&late, bw_monotonic() - due);
                wakes++;
            }
            uint64_t took = ask(&lost);
            messages += took != 0;
            raise_to(&longest, took);
        }
        bw_log("probe: %llu wakes, %llu us late at most, %llu messages, %llu us the longest, %llu "
               "lost; run %llu",
               (number)wakes, (number)late / 1000, (number)messages, (number)longest / 1000,
               (number)lost, run());
    }
}

static void spin(void)
{
    for (bw_time_t told = bw_monotonic();; told += TELL) {
        uint64_t turns = 0, longest = 0;
        bw_time_t before = bw_monotonic(), now = before;

        for (; now < told + TELL; before = now) {
            for (volatile unsigned i = 0; i < TURN_LOOPS; i++) {
            }
            now = bw_monotonic();
            raise_to(&longest, now - before);
            turns++;
        }
        bw_log("probe: %llu turns, %llu us between two at most; run %llu", (number)turns,
               (number)longest / 1000, run());
    }
}

int main_native(uint64_t word)
{
    const char *kind = arguments->exec + strlen(arguments->exec) + 1;
    const char *echo = kind + strlen(kind) + 1;

    (void)word;
    if (strcmp(kind, "spin") == 0) {
        spin();
    }
    bw_assert(bw_link_open(echo, ECHO_NAME, LINK_AUTO, 0, KR_ECHO) == BW_OK);
    wake();
    return 0;
}
