/*
 * A teller: moves money between the tills of two other districts, one transfer after the other. It
 * is naive on purpose: what fails is asked again, without a word about how far the two are. All
 * that it is told by the links is a line in the nucleus's log, for the oracle of test_storm.py:
 *
 *     teller: run R from generation G: at transfer T
 *     teller: run R RELINKED at TILL, connection C          also SEVERED, RESTARTED
 *     teller: run R has added A for transfer T at TILL, of run S: balance B
 *     teller: run R rests at transfer T
 *
 * S is the incarnation of ours in which the till was asked. It rests, between two transfers, while
 * there is a till in the district `whistle`.
 *
 *     mkdistrict --program 'bench_teller left right 5' ... teller.district
 *
 * The words: districts of the tills, milliseconds between two transfers; `gated`: by gated links.
 */
#include <stdlib.h>
#include <string.h>
#include <bailiwick/image.h>
#include <bailiwick/program.h>
#include "till.h"

#define KR_TILL(n)  KEY_AT(24 + (n))
#define KR_WHISTLE  KEY_AT(26)
#define BADGE_LINK  1u
#define SEVERED_GAP 5000000u /* ns between two tries on a link that is cut */
#define REST_GAP    20000000u

typedef unsigned long long number;

static const struct image_arguments *const arguments =
    (const struct image_arguments *)IMAGE_WINDOW(1);

static uint64_t transfer; /* the one that we are at */
static uint64_t seen;     /* incarnation of our last look */
static const char *till[2];

/** The index-th word of the arguments. */
static const char *word_at(unsigned index)
{
    const char *at = arguments->exec;

    for (; index > 0 && *at; index--) {
        at += strlen(at) + 1;
    }
    return at;
}

static uint64_t run(void)
{
    struct incarnation now;

    bw_incarnation(&now);
    return now.count;
}

static void look_at_incarnation(void)
{
    struct message m = {0};

    if (run() != seen) {
        seen = run();
        bw_self(SELF_START, &m);
        bw_log("teller: run %llu from generation %llu: at transfer %llu", (number)seen,
               (number)m.word[0], (number)transfer);
    }
}

static void report(const char *what, unsigned at)
{
    uint64_t connection = 0;

    bw_link_state(KR_TILL(at), &connection, NULL);
    bw_log("teller: run %llu %s at %s, connection %llu", (number)run(), what, till[at],
           (number)connection);
    if (strcmp(what, "RELINKED") == 0) {
        bw_link_acknowledge(KR_TILL(at), connection);
    }
}

/** Has it done, however often that must be asked. */
static void add(unsigned at, int64_t amount)
{
    bool cut = false;

    for (;;) {
        struct message m = {.code = TILL_ADD, .word = {transfer, (uint64_t)amount}};
        int64_t result = bw_call(KR_TILL(at), &m);

        look_at_incarnation();
        switch (result) {
        case BW_OK:
            bw_log("teller: run %llu has added %lld for transfer %llu at %s, of run %llu: balance "
                   "%lld",
                   (number)run(), (long long)amount, (number)transfer, till[at], (number)m.word[1],
                   (long long)m.word[0]);
            return;
        case BW_SEVERED:
            if (!cut) {
                report("SEVERED", at);
            }
            cut = true;
            bw_wait(bw_monotonic() + SEVERED_GAP);
            break;
        case BW_RELINKED:
            cut = false;
            report("RELINKED", at);
            break;
        case BW_RESTARTED:
            report("RESTARTED", at);
            break;
        default:
            bw_log("teller: unexpected result %lld", (long long)result);
            bw_assert(false);
        }
    }
}

static void rest(void)
{
    bool resting = false;

    while (bw_link_state(KR_WHISTLE, NULL, NULL) == LINK_LIVE) {
        look_at_incarnation();
        if (!resting) {
            bw_log("teller: run %llu rests at transfer %llu", (number)run(), (number)transfer);
        }
        resting = true;
        bw_wait(bw_monotonic() + REST_GAP);
    }
}

int main_native(uint64_t word)
{
    uint64_t interval = strtoul(word_at(3), NULL, 10) * 1000000;

    bool gated = strcmp(word_at(4), "gated") == 0;

    (void)word;
    for (unsigned at = 0; at < 2; at++) {
        till[at] = word_at(1 + at);
        bw_assert(bw_link_open(till[at], TILL_NAME, gated ? LINK_GATED : LINK_NOTIFY,
                               gated ? 0 : BADGE_LINK, KR_TILL(at)) == BW_OK);
    }
    bw_assert(bw_link_open("whistle", TILL_NAME, LINK_AUTO, BADGE_LINK, KR_WHISTLE) == BW_OK);
    for (;; transfer++) {
        unsigned from = transfer & 1;
        int64_t amount = 1 + (int64_t)(transfer * 7 % 13);

        rest();
        look_at_incarnation();
        add(from, -amount);
        add(1 - from, amount);
        bw_wait(bw_monotonic() + interval);
    }
}
