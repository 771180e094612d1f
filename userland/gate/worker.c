#include "worker.h"
#include <stdlib.h>
#include <bailiwick/image.h>
#include <bailiwick/runtime.h>

#define KEY_WORKER(w) KEY_IN_NODE(KR_WORKERS, (w))
#define KR_MADE       KEY_AT(27)
#define KR_POSTS      KEY_AT(28)

#define KR_GATE    24 /* of a worker: posts to the gate */
#define KR_SERVER  KEY_AT(KR_ARGUMENT)
#define STACK_SIZE 8192u

static uint32_t busy[WORKERS];
static unsigned made;

static void work(void)
{
    for (;;) {
        struct message m = {.take = {KR_SERVER}};
        struct request *r;
        uint64_t w;

        bw_return(0, &m, 0, 0);
        if (m.delivery != DELIVERY_MESSAGE) { /* posted that the district was restarted */
            continue;
        }
        r = (struct request *)m.word[0];
        w = m.word[1];
        m = (struct message){.code = r->message.code,
                             .string = r->message.bytes,
                             .length = r->message.length,
                             .buffer = r->message.bytes,
                             .size = sizeof(r->message.bytes)};
        for (unsigned i = 0; i < BW_MESSAGE_WORDS; i++) {
            m.word[i] = r->message.word[i];
        }
        bw_call(KR_SERVER, &m);
        r->message.code = m.code;
        r->message.length = (uint32_t)m.length;
        for (unsigned i = 0; i < BW_MESSAGE_WORDS; i++) {
            r->message.word[i] = m.word[i];
        }
        __atomic_store_n(&r->state, REQUEST_DONE, __ATOMIC_RELEASE);
        __atomic_store_n(&busy[w], 0, __ATOMIC_RELEASE);
        bw_post(KEY_AT(KR_GATE));
    }
}

static int64_t order(uint16_t key, struct message m)
{
    return bw_call(key, &m);
}

/** A domain in our own space that runs work(). */
static bool make(unsigned w)
{
    uint8_t *stack = malloc(STACK_SIZE);
    struct regs regs = {.rip = (uint64_t)work,
                        .rsp = ((uint64_t)stack + STACK_SIZE) / 16 * 16 - 8, /* as after a call */
                        .rflags = 0x202};

    if (stack == NULL ||
        order(KEY_AT(KR_RANGE), (struct message){.code = RANGE_CREATE,
                                                 .word = {bw_next_id(1), OBJECT_DOMAIN},
                                                 .take = {KR_MADE}}) != BW_OK ||
        order(KEY_AT(KR_SELF), (struct message){.code = DOMAIN_MAKE_START,
                                                .word = {WORKER_POSTS},
                                                .take = {KR_POSTS}}) != BW_OK) {
        free(stack);
        return false;
    }
    order(KR_MADE, (struct message){.code = DOMAIN_SET_SEGMENT, .send = {KEY_AT(KR_SPACE)}});
    order(KR_MADE, (struct message){.code = DOMAIN_SET_METER, .send = {KEY_AT(KR_IMAGE_METER)}});
    order(KR_MADE, (struct message){.code = DOMAIN_SET_KEY, .word = {KR_GATE}, .send = {KR_POSTS}});
    order(KR_MADE,
          (struct message){.code = DOMAIN_SET_REGS, .string = &regs, .length = sizeof(regs)});
    order(KR_MADE, (struct message){.code = DOMAIN_MAKE_START, .take = {KEY_WORKER(w)}});
    return order(KR_MADE, (struct message){.code = DOMAIN_START}) == BW_OK;
}

enum request_state worker_state(const struct request *r)
{
    return __atomic_load_n(&r->state, __ATOMIC_ACQUIRE);
}

/** A worker that has nothing to do. @return WORKERS: none */
static unsigned idle(void)
{
    for (unsigned w = 0; w < made; w++) {
        if (!__atomic_load_n(&busy[w], __ATOMIC_ACQUIRE)) {
            return w;
        }
    }
    if (made == WORKERS || !make(made)) {
        return WORKERS;
    }
    return made++;
}

bool worker_call(struct request *r, uint16_t server)
{
    unsigned w = idle();
    struct message m = {.word = {(uint64_t)r, w}, .send = {server}};

    if (w == WORKERS) {
        return false;
    }
    busy[w] = 1;
    r->state = REQUEST_CALLS;
    bw_send(KEY_WORKER(w), &m, 0); /* it is about to receive, if it does not yet */
    return true;
}
