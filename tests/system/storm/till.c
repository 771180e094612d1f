/*
 * A till: money that others add to. Each change is a line in the nucleus's log, which no rollback
 * takes back, for the oracle of test_storm.py:
 *
 *     till: run R from generation G: made N, balance B      once in each incarnation R
 *     till: run R adds A for transfer T of run S: made N, balance B
 *
 * S is the incarnation of the district that asked, 0 if that was the gate of our own.
 */
#include <bailiwick/program.h>
#include "till.h"

typedef unsigned long long number;

static int64_t balance;
static uint64_t made; /* changes so far */
static uint64_t seen; /* incarnation of our last look */

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
        bw_log("till: run %llu from generation %llu: made %llu, balance %lld", (number)seen,
               (number)m.word[0], (number)made, (long long)balance);
    }
}

static void serve(const struct message *request, struct message *reply)
{
    struct incarnation asker = {0};

    if (request->code != TILL_ADD) {
        reply->code = BW_ORDER;
        return;
    }
    if (request->sender != 0) {
        bw_sender(&asker);
    }
    balance += (int64_t)request->word[1];
    made++;
    bw_log("till: run %llu adds %lld for transfer %llu of run %llu: made %llu, balance %lld",
           (number)run(), (long long)request->word[1], (number)request->word[0],
           (number)asker.count, (number)made, (long long)balance);
    reply->word[0] = (uint64_t)balance;
    reply->word[1] = asker.count;
}

int main_native(uint64_t word)
{
    struct message m = {0};
    uint16_t reply_to = 0;

    (void)word;
    bw_assert(bw_publish_name(TILL_NAME, "*", 0) == BW_OK);
    for (;;) {
        look_at_incarnation();
        bw_return(reply_to, &m, KEY_AT(KR_CALLER), 0);

        struct message request = m;
        m = (struct message){.code = BW_OK};
        reply_to = 0;
        if (request.delivery == DELIVERY_MESSAGE) {
            look_at_incarnation(); /* a message may be here before the post */
            serve(&request, &m);
            reply_to = KEY_AT(KR_CALLER);
        }
    }
}
