/*
 * A district's program that keeps writing to the journal page: ever higher numbers, of which it
 * logs each that is durable. Whoever reads the log, and the page later, can tell whether one was
 * lost. The first half of the page belongs to another program of the district.
 */
#include <bailiwick/program.h>

#define PAUSE_NS 200000000ull /* the log keeps what is said in half a minute */

static union {
    uint8_t page[JOURNAL_SIZE];
    uint64_t word[JOURNAL_SIZE / sizeof(uint64_t)];
} journal;

#define MINE (&journal.word[JOURNAL_SIZE / sizeof(uint64_t) / 2])

int main_native(uint64_t word)
{
    uint64_t number, last = 0;

    (void)word;
    for (;;) {
        int64_t result = bw_journal_read(&journal, &number);

        if (result == BW_OK) {
            bw_assert(*MINE >= last); /* what we know of is there */
            ++*MINE;
            result = bw_journal_write(&journal, sizeof(journal), &number);
        }
        if (result == BW_OK) {
            last = *MINE;
            bw_log("diary: %llu", (unsigned long long)last);
        } else {
            bw_log("diary: result %lld", (long long)result);
        }
        bw_wait(bw_monotonic() + PAUSE_NS);
    }
}
