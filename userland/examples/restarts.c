/*
 * Example of the journal page: how often has this district been started? What is in memory does not
 * tell, because it goes back in time with the district; what is in the journal page does not.
 *
 *     mkdistrict --program restarts ... counted.district
 */
#include <bailiwick/program.h>

#define RETRY_NS 1000000000ull

struct note {
    uint64_t runs;
    uint64_t incarnation, random; /* the last that was counted, so that none is counted twice */
};

static union {
    struct note note;
    uint8_t page[JOURNAL_SIZE];
} journal;

static uint64_t remembered; /* the same, in memory */

static const char *reason_text(enum start_reason reason)
{
    static const char *const texts[] = {"asked",  "rolled back", "crashed",
                                        "broken", "damaged",     "autostart"};

    return reason < sizeof(texts) / sizeof(texts[0]) ? texts[reason] : "other";
}

/** Counts this run, once. @return BW_OK when that is durable */
static int64_t count(void)
{
    struct incarnation now;
    uint64_t number;
    int64_t result = bw_journal_read(&journal, &number);

    bw_incarnation(&now);
    if (result != BW_OK ||
        (journal.note.incarnation == now.count && journal.note.random == now.random)) {
        return result;
    }
    journal.note = (struct note){journal.note.runs + 1, now.count, now.random};
    return bw_journal_write(&journal, sizeof(journal), &number);
}

static void say(void)
{
    struct incarnation now;
    uint64_t generation;
    enum start_reason reason = bw_start_reason(&generation);

    bw_incarnation(&now);
    bw_log(
        "restarts: run %llu, of which memory knows %llu; incarnation %llu, from generation %llu, "
        "%s",
        (unsigned long long)journal.note.runs, (unsigned long long)++remembered,
        (unsigned long long)now.count, (unsigned long long)generation, reason_text(reason));
}

int main_native(uint64_t word)
{
    struct incarnation now;
    uint64_t said = 0;

    (void)word;
    for (;;) {
        int64_t result = count();

        if (result == BW_AGAIN) { /* another program of the district was faster */
            continue;
        }
        bw_incarnation(&now);
        if (result == BW_OK && said != now.count) {
            say();
            said = now.count;
        }
        /* Until the district is restarted, or for a while: who is in doubt reads again. */
        bw_wait(result == BW_OK ? BW_NO_DEADLINE : bw_monotonic() + RETRY_NS);
    }
}
