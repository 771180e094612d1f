/*
 * Example of a native program that publishes a key: an account. What it knows is in its own memory
 * and nowhere else; the district's checkpoints keep it.
 *
 *     mkdistrict --program account ... bank.district
 */
#include <bailiwick/program.h>
#include "account.h"

static uint64_t balance;
static uint64_t last[ACCOUNT_PAYERS]; /* numbers of the payments made */
static uint64_t seen_incarnation;     /* in which we last looked */

/** Says how far we are, once in each incarnation. */
static void look_at_incarnation(void)
{
    struct incarnation now;

    bw_incarnation(&now);
    if (now.count != seen_incarnation) {
        seen_incarnation = now.count;
        bw_log("account: incarnation %llu, balance %llu", (unsigned long long)now.count,
               (unsigned long long)balance);
    }
}

static void serve(const struct message *m, struct message *reply)
{
    uint64_t payer = m->word[0];

    if (payer >= ACCOUNT_PAYERS) {
        reply->code = BW_ARGUMENT;
        return;
    }
    switch (m->code) {
    case ACCOUNT_HELLO:
        break;
    case ACCOUNT_PAY:
        if (m->word[1] > last[payer] + 1) {
            reply->code = BW_ARGUMENT;
        } else if (m->word[1] == last[payer] + 1) {
            last[payer]++;
            balance += m->word[2];
        }
        break;
    case ACCOUNT_ADD:
        last[payer]++;
        balance += m->word[2];
        break;
    default:
        reply->code = BW_ORDER;
    }
    reply->word[0] = last[payer];
    reply->word[1] = balance;
}

int main_native(uint64_t word)
{
    struct message m = {0};
    uint16_t reply_to = 0;

    (void)word;
    bw_assert(bw_publish_name(ACCOUNT_NAME, "*", 0) == BW_OK);
    for (;;) {
        look_at_incarnation();
        bw_return(reply_to, &m, KEY_AT(KR_CALLER), 0);

        struct message request = m;
        m = (struct message){.code = BW_OK};
        reply_to = 0;
        if (request.delivery ==
            DELIVERY_MESSAGE) { /* else: posted that the district was restarted */
            serve(&request, &m);
            reply_to = KEY_AT(KR_CALLER);
        }
    }
}
