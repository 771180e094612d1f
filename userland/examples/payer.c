/*
 * Example of a native program that uses a link: it pays 1 into an account of another district,
 * again and again, and never pays twice or skips a payment, whichever side is killed or goes back
 * in time.
 *
 *     mkdistrict --program 'payer bank 0 100' ... shop.district
 *
 * The words: the district of the account, our number there, the milliseconds between two payments,
 * and `gated` for a gated link. That one is all that is needed: calls through it are made once,
 * whoever is killed, and only SEVERED says that one of the two has gone back farther. Without
 * `gated` the link is a `notify` one: after a break it answers RELINKED until we have agreed with
 * the other side on how far we are. Whoever went back then knows less than the other:
 *   - the account: we pay again what it has forgotten;
 *   - we: what the account knows was paid, we have paid, in a past that we do not remember.
 */
#include <stdlib.h>
#include <string.h>
#include <bailiwick/image.h>
#include <bailiwick/program.h>
#include "account.h"

#define KR_ACCOUNT KEY_AT(24)
#define BADGE_LINK 1u
#define DURABLE    10u /* after so many payments we wait until they are */

static const struct image_arguments *const arguments =
    (const struct image_arguments *)IMAGE_WINDOW(1);

static uint64_t paid; /* number of our last payment */
static uint64_t me, interval;
static bool gated;

/** The index-th word of the arguments, or the default. */
static const char *word_at(unsigned index, const char *otherwise)
{
    const char *at = arguments->exec;

    for (; index > 0 && *at; index--) {
        at += strlen(at) + 1;
    }
    return *at ? at : otherwise;
}

/** Agrees with the account on how far we are. @return BW_OK, BW_SEVERED, BW_RELINKED */
static int64_t reopen(void)
{
    struct message m = {.code = ACCOUNT_HELLO, .word = {me}};
    uint64_t connection;

    if (gated) {
        connection = 0;
    } else if (bw_link_state(KR_ACCOUNT, &connection, NULL) == LINK_SEVERED) {
        return BW_SEVERED;
    } else {
        bw_link_acknowledge(KR_ACCOUNT, connection);
    }
    if (bw_call(KR_ACCOUNT, &m) != BW_OK) {
        return m.code;
    }
    bw_log("payer: connection %llu: we have paid %llu, the account knows of %llu, balance %llu",
           (unsigned long long)connection, (unsigned long long)paid, (unsigned long long)m.word[0],
           (unsigned long long)m.word[1]);
    paid = m.word[0]; /* what it has forgotten is paid again, what we have forgotten is not */
    return BW_OK;
}

static int64_t pay(void)
{
    struct message m = {.code = gated ? ACCOUNT_ADD : ACCOUNT_PAY, .word = {me, paid + 1, 1}};

    if (bw_call(KR_ACCOUNT, &m) == BW_OK) {
        if (gated && m.word[0] != paid + 1) {
            bw_log("payer: payment %llu counts as number %llu", (unsigned long long)paid + 1,
                   (unsigned long long)m.word[0]);
        }
        paid = m.word[0];
    }
    return m.code;
}

int main_native(uint64_t word)
{
    bool open = false;

    (void)word;
    me = strtoul(word_at(2, "0"), NULL, 10);
    interval = strtoul(word_at(3, "100"), NULL, 10) * 1000000;
    gated = strcmp(word_at(4, ""), "gated") == 0;
    bw_assert(bw_link_open(word_at(1, "bank"), ACCOUNT_NAME, gated ? LINK_GATED : LINK_NOTIFY,
                           gated ? 0 : BADGE_LINK, KR_ACCOUNT) == BW_OK);
    for (;;) {
        int64_t result = open ? pay() : reopen();

        open = result == BW_OK;
        if (result == BW_RELINKED || result == BW_RESTARTED || (gated && result == BW_SEVERED)) {
            continue; /* agree again, at once */
        }
        if (open && !gated && paid % DURABLE == 0 && bw_barrier() == BW_OK) {
            bw_log("payer: %llu payments are durable here", (unsigned long long)paid);
        }
        bw_wait(bw_monotonic() + interval); /* or until the state of the link changes */
    }
}
