/*
 * Invocations in C.
 */
#include "invocation.h"

#ifndef BW_MUTATION
#define BW_MUTATION 0 /* tests: fail() */
#endif
#define FAILS_ONCE_IN 1500u /* invocations */

/* Of the mutation that ends the program before any of its invocations. */
static void fail(void)
{
    static uint64_t state;

    state = (state + __builtin_ia32_rdtsc()) * 6364136223846793005ull + 1;
    if ((state >> 32) % FAILS_ONCE_IN == 0) {
        __builtin_trap();
    }
}

static uint64_t first_word(enum operation operation, unsigned flags, uint16_t key, uint16_t resume)
{
    if (BW_MUTATION && operation != OP_SELF) {
        fail();
    }
    return (uint64_t)operation | (uint64_t)flags << 8 | (uint64_t)key << 16 |
           (uint64_t)resume << 32;
}

int64_t bw_call(uint16_t key, struct message *m)
{
    return runtime_invoke(first_word(OP_CALL, 0, key, 0), m, 0);
}

/* Works on a copy, so that a message that met a busy receiver can be sent again. */
int64_t bw_send(uint16_t key, struct message *m, unsigned flags)
{
    struct message copy = *m;

    copy.buffer = NULL;
    return runtime_invoke(first_word(OP_SEND, flags, key, 0), &copy, 0);
}

void bw_return(uint16_t key, struct message *m, uint16_t resume, unsigned flags)
{
    if (m->deadline && m->deadline != BW_NO_DEADLINE) {
        flags |= INVOKE_DEADLINE;
    }
    runtime_invoke(first_word(OP_RETURN, flags, key, resume), m, m->deadline);
    if (m->delivery != DELIVERY_MESSAGE) {
        m->length = 0;
        if (m->delivery == DELIVERY_TIMEOUT) {
            m->deadline = 0;
        }
    }
}

int64_t bw_post(uint16_t key)
{
    struct message m = {0};

    return runtime_invoke(first_word(OP_POST, 0, key, 0), &m, 0);
}

int64_t bw_self(enum self_order order, struct message *m)
{
    m->code = order;
    return runtime_invoke(first_word(OP_SELF, 0, 0, 0), m, 0);
}
