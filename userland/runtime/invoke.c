/*
 * Invocations in C: struct message to registers and back.
 */
#include "invocation.h"

static uint64_t four(const uint16_t designator[BW_MESSAGE_KEYS])
{
    return FOUR_KEYS(designator[0], designator[1], designator[2], designator[3]);
}

/* Fills `i` from `m`; returns the INVOKE_* flags of the parts that are present. */
static unsigned load(struct invocation *i, const struct message *m)
{
    unsigned flags = 0;

    i->rdi = (uint64_t)m->code;
    for (unsigned n = 0; n < BW_MESSAGE_WORDS; n++) {
        i->word[n] = m->word[n];
    }
    i->r10 = four(m->send);
    i->rbx = four(m->take);
    i->string = i->length = i->buffer = i->size = i->deadline = i->sender = 0;
    if (m->string && m->length) {
        i->string = (uintptr_t)m->string;
        i->length = m->length;
        flags |= INVOKE_STRING;
    }
    if (m->buffer && m->size) {
        i->buffer = (uintptr_t)m->buffer;
        i->size = m->size;
        flags |= INVOKE_RECEIVE;
    }
    return flags;
}

/* What was sent is gone from `m` afterwards, so that a struct message can be used again and again.
 */
static void store(struct message *m, const struct invocation *i, unsigned flags)
{
    m->code = (int64_t)i->rdi;
    for (unsigned n = 0; n < BW_MESSAGE_WORDS; n++) {
        m->word[n] = i->word[n];
        m->send[n] = 0;
    }
    m->string = NULL;
    m->length = flags & INVOKE_RECEIVE ? i->length : 0;
    m->badge = (uint16_t)(i->rax >> 16);
    m->delivery = (uint8_t)i->rax;
    m->cut = (i->rax & DELIVERY_CUT) != 0;
    m->sender = (uint32_t)i->sender;
}

static void invoke(struct invocation *i, enum operation operation, unsigned flags, uint16_t key,
                   uint16_t resume)
{
    i->rax =
        (uint64_t)operation | (uint64_t)flags << 8 | (uint64_t)key << 16 | (uint64_t)resume << 32;
    runtime_invoke(i);
}

int64_t bw_call(uint16_t key, struct message *m)
{
    struct invocation i;
    unsigned flags = load(&i, m);

    invoke(&i, OP_CALL, flags, key, 0);
    store(m, &i, flags);
    return m->code;
}

int64_t bw_send(uint16_t key, struct message *m, unsigned more)
{
    struct invocation i;
    unsigned flags = load(&i, m) & INVOKE_STRING;

    invoke(&i, OP_SEND, flags | more, key, 0);
    return (int64_t)i.rdi;
}

void bw_return(uint16_t key, struct message *m, uint16_t resume, unsigned more)
{
    struct invocation i;
    unsigned flags = load(&i, m) | more;

    if (m->deadline && m->deadline != BW_NO_DEADLINE) {
        i.deadline = m->deadline;
        flags |= INVOKE_DEADLINE;
    }
    invoke(&i, OP_RETURN, flags, key, resume);
    store(m, &i, flags);
    if (m->delivery != DELIVERY_MESSAGE) {
        m->length = 0;
    }
    if (m->delivery == DELIVERY_TIMEOUT) {
        m->deadline = 0;
    }
}

int64_t bw_post(uint16_t key)
{
    struct invocation i = {0};

    invoke(&i, OP_POST, 0, key, 0);
    return (int64_t)i.rdi;
}

int64_t bw_self(enum self_order order, struct message *m)
{
    struct invocation i;
    unsigned flags;

    m->code = order;
    flags = load(&i, m);
    invoke(&i, OP_SELF, flags, 0, 0);
    store(m, &i, flags);
    return m->code;
}
