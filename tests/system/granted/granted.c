/*
 * Asks what each district is granted, the clock and randomness, until both have answered often enough,
 * and logs how often they did not.
 */
#include <bailiwick/names.h>
#include <bailiwick/program.h>

#define ANSWERS  15u
#define PAUSE_NS 20000000ull

static void ask(const char *name, int64_t order)
{
    unsigned answers = 0, failures = 0;

    while (answers < ANSWERS) {
        struct message m = {.code = order};
        bool answered =
            bw_find(name, KEY_AT(KR_PROGRAM)) == BW_OK && bw_call(KEY_AT(KR_PROGRAM), &m) == BW_OK;

        answers += answered;
        failures += !answered;
        bw_wait(bw_monotonic() + PAUSE_NS);
    }
    bw_log("granted: %s: it failed, and answered again: %s", name, failures ? "yes" : "no");
}

int main_native(uint64_t word)
{
    (void)word;
    ask("clock", CLOCK_GET);
    ask("entropy", ENTROPY_GET);
    bw_wait(BW_NO_DEADLINE);
    return 0;
}
