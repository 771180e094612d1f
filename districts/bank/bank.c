/*
 * The space bank of a district (bank.h): a domain whose KR_RANGE covers all ids of the district
 * that nobody else was given. It sells them in order, never twice, keeps books (ledger.c) of who
 * bought what, and destroys the objects when they come back. Its memory is part of the district, so
 * the books are always as old as the objects.
 *
 * The badge of the start key that a message came through says which bank is meant; badge 0 is the
 * root.
 */
#include <string.h>
#include <bailiwick/bank.h>
#include <bailiwick/district.h>
#include <bailiwick/image.h>
#include <bailiwick/runtime.h>
#include "ledger.h"

#define KR_OFFERED KEY_AT(KR_ARGUMENT) /* first key of the request */
#define KR_SOLD    KEY_AT(24)          /* key handed out in the reply */

static struct ledger ledger; /* persistent */
static int opened;

/** Destroys what still exists of ids [start, start + count) of our range. */
static void destroy_objects(uint64_t start, uint64_t count)
{
    while (count > 0) {
        struct message m = {.code = RANGE_DESTROY, .word = {start, count}};

        if (bw_call(KEY_AT(KR_RANGE), &m) < 0 || m.word[1] == 0 || m.word[1] > count) {
            bw_log("bank: objects from id offset %llu cannot be destroyed (%lld)",
                   (unsigned long long)start, (long long)m.code);
            return;
        }
        start += m.word[1];
        count -= m.word[1];
    }
}

/** New objects that the store has room for. What was sold and not yet made counts as room: objects
 * need space, not ids. */
static uint64_t room_in_store(void)
{
    struct message m = {0};

    if (bw_self(SELF_SPACE, &m) != BW_OK || m.word[1] == 0) {
        return BANK_UNLIMITED;
    }
    return m.word[2] == SPACE_FULL ? 0 : m.word[0];
}

/** Ids that the bank can sell now. */
static uint64_t can_sell(const struct bank *b)
{
    uint64_t left = ledger_left(&ledger, b), room = room_in_store();

    return left < room ? left : room;
}

static void serve_buy(struct bank *b, uint64_t count, struct message *reply)
{
    uint64_t start, left = can_sell(b);
    struct message m;

    if (count == 0 || count > BANK_BUY_MAX) {
        reply->code = BW_ARGUMENT;
        return;
    }
    if (count > left) {
        reply->code = BW_NOSPACE;
        reply->word[0] = left;
        return;
    }
    start = bw_next_id(count);
    m = (struct message){.code = RANGE_SUB, .word = {start, count}, .take = {KR_SOLD}};
    if (bw_call(KEY_AT(KR_RANGE), &m) == BW_OK && ledger_sell(&ledger, b, start, count) == BW_OK) {
        reply->send[0] = KR_SOLD;
    } else {
        reply->code = BW_NOSPACE; /* our own memory, too, grows only while the store has room */
    }
}

/** Where the range key in KR_OFFERED begins in our own range; never believes that it is one. */
static bool offered_extent(uint64_t *start, uint64_t *count)
{
    struct message kind = {.send = {KR_OFFERED}};
    struct message theirs = {.code = RANGE_COUNT};
    struct message ours = {.code = RANGE_COUNT};

    if (bw_self(SELF_IDENTIFY, &kind) != BW_OK || (kind.word[0] & 0xff) != KEY_RANGE ||
        bw_call(KR_OFFERED, &theirs) != BW_OK || bw_call(KEY_AT(KR_RANGE), &ours) != BW_OK) {
        return false;
    }
    *start = theirs.word[1] - ours.word[1];
    *count = theirs.word[0];
    return true;
}

static void serve_return(struct bank *b, struct message *reply)
{
    uint64_t start;
    uint64_t count;

    if (!offered_extent(&start, &count) || !ledger_has(b, start, count)) {
        reply->code = BW_ARGUMENT;
        return;
    }
    destroy_objects(start, count);
    reply->code = ledger_return(&ledger, b, start, count);
}

static void serve_sub(struct bank *b, uint64_t limit, struct message *reply)
{
    uint16_t badge;
    struct message m = {.code = DOMAIN_MAKE_START, .take = {KR_SOLD}};

    reply->code = ledger_sub(&ledger, b, limit, &badge);
    if (reply->code != BW_OK) {
        return;
    }
    m.word[0] = badge;
    bw_assert(bw_call(KEY_AT(KR_SELF), &m) == BW_OK);
    reply->send[0] = KR_SOLD;
}

static void serve_destroy(struct bank *b, struct message *reply)
{
    uint64_t start;
    uint64_t count;

    if (b->badge == 0) {
        reply->code = BW_REFUSED;
        return;
    }
    while (ledger_end_step(&ledger, b, &start, &count)) {
        destroy_objects(start, count);
    }
}

/** Serves `request`, which came through a key with `badge`. */
static void serve(const struct message *request, struct message *reply)
{
    struct bank *b = ledger_find(&ledger, request->badge);

    *reply = (struct message){.code = BW_OK};
    if (!b) {
        reply->code = BW_VOID;
        return;
    }
    switch (request->code) {
    case BANK_BUY:
        serve_buy(b, request->word[0], reply);
        break;
    case BANK_RETURN:
        serve_return(b, reply);
        break;
    case BANK_SUB:
        serve_sub(b, request->word[0], reply);
        break;
    case BANK_DESTROY:
        serve_destroy(b, reply);
        break;
    case BANK_STATUS:
        reply->word[0] = b->limit;
        reply->word[1] = b->sold;
        reply->word[2] = b->subs;
        reply->word[3] = can_sell(b);
        break;
    default:
        reply->code = BW_ORDER;
    }
}

int main_native(uint64_t word)
{
    struct message m = {0};
    uint16_t reply_to = 0;

    (void)word;
    if (!opened) {
        ledger_open(&ledger, BANK_UNLIMITED);
        opened = 1;
    }
    for (;;) {
        m.take[0] = KR_OFFERED;
        bw_return(reply_to, &m, KEY_AT(KR_CALLER), 0);
        reply_to = 0;
        if (m.delivery == DELIVERY_MESSAGE) {
            struct message request = m;
            serve(&request, &m);
            reply_to = KEY_AT(KR_CALLER);
        } else {
            m = (struct message){0};
        }
    }
}
