/*
 * Those who have asked for a checkpoint and wait.
 *
 * What is committed must not be older than the question. So who asks waits for the next snapshot,
 * also while one is under way; when one is made, whoever has asked before waits for that one:
 *
 *   free -> next -> current -> answered, free; or, if the snapshot comes to nothing, next again
 */
#include "waiters.h"

struct waiter {
    enum { WAITER_FREE, WAITER_NEXT, WAITER_CURRENT } state;
    bw_time_t since;
};

static struct waiter waiters[WAITERS]; /* resume keys: slot i of KR_WAITERS */

void waiters_open(void)
{
    struct message m = {.code = RANGE_CREATE, .take = {KEY_AT(KR_WAITERS)}};

    m.word[0] = bw_next_id(1);
    m.word[1] = OBJECT_NODE;
    bw_assert(bw_call(KEY_AT(KR_RANGE), &m) == BW_OK);
}

int64_t waiters_add(uint16_t resume)
{
    for (unsigned i = 0; i < WAITERS; i++) {
        if (waiters[i].state == WAITER_FREE) {
            waiters[i] = (struct waiter){.state = WAITER_NEXT, .since = bw_monotonic()};
            bw_copy_key(resume, KEY_IN_NODE(KR_WAITERS, i));
            return BW_OK;
        }
    }
    return BW_LIMIT;
}

bool waiters_next(void)
{
    bool any = false;

    for (unsigned i = 0; i < WAITERS; i++) {
        any |= waiters[i].state == WAITER_NEXT;
    }
    return any;
}

bool waiters_take(bw_time_t then)
{
    bool any = false;

    for (unsigned i = 0; i < WAITERS; i++) {
        if (waiters[i].state == WAITER_NEXT && waiters[i].since <= then) {
            waiters[i].state = WAITER_CURRENT;
            any = true;
        }
    }
    return any;
}

void waiters_again(void)
{
    for (unsigned i = 0; i < WAITERS; i++) {
        if (waiters[i].state == WAITER_CURRENT) {
            waiters[i].state = WAITER_NEXT;
        }
    }
}

void waiters_answer(int64_t code, uint64_t generation, uint64_t objects, uint64_t stop)
{
    for (unsigned i = 0; i < WAITERS; i++) {
        struct message m = {.code = code, .word = {generation, objects, stop}};

        if (waiters[i].state != WAITER_CURRENT) {
            continue;
        }
        m.word[3] = bw_monotonic() - waiters[i].since;
        bw_send(KEY_IN_NODE(KR_WAITERS, i), &m, INVOKE_NOBLOCK);
        bw_drop_key(KEY_IN_NODE(KR_WAITERS, i));
        waiters[i].state = WAITER_FREE;
    }
}

void waiters_dismiss(int64_t code)
{
    waiters_take(BW_NO_DEADLINE);
    waiters_answer(code, 0, 0, 0);
}
