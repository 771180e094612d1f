/*
 * `bench_caller DISTRICT`, a native program of a district: calls the account there for some time
 * over a plain link, one call after the other, then over a gated one, and logs how many; again and
 * again.
 */
#include <string.h>
#include <bailiwick/image.h>
#include <bailiwick/program.h>
#include "../../userland/examples/account.h"

#define KR_PLAIN KEY_AT(24)
#define KR_GATED KEY_AT(25)
#define PLAIN_NS 2000000000ull
#define GATED_NS 12000000000ull

static const struct image_arguments *const arguments =
    (const struct image_arguments *)IMAGE_WINDOW(1);

/** Calls that were answered, in a thousandth of a second each. */
static uint64_t calls(uint16_t key, bw_time_t time)
{
    bw_time_t begin = bw_monotonic(), now;
    uint64_t n = 0;

    do {
        struct message m = {.code = ACCOUNT_HELLO};

        if (bw_call(key, &m) == BW_OK) {
            n++;
        } else {
            bw_wait(bw_monotonic() + 10000000); /* it does not run yet */
        }
        now = bw_monotonic();
    } while (now - begin < time);
    return n * 1000000000000ull / (now - begin);
}

int main_native(uint64_t word)
{
    const char *district = arguments->exec + strlen(arguments->exec) + 1;

    (void)word;
    bw_assert(bw_link_open(district, ACCOUNT_NAME, LINK_AUTO, 0, KR_PLAIN) == BW_OK);
    bw_assert(bw_link_open(district, ACCOUNT_NAME, LINK_GATED, 0, KR_GATED) == BW_OK);
    for (unsigned round = 1;; round++) {
        uint64_t plain = calls(KR_PLAIN, PLAIN_NS), gated = calls(KR_GATED, GATED_NS);

        bw_log("caller: round %u: %llu plain, %llu gated in 1000 s", round,
               (unsigned long long)plain, (unsigned long long)gated);
    }
}
