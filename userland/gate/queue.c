#include "queue.h"
#include <string.h>

/* Deliberate faults, to show that the tests can fail (tests/unit/test_gate.c). */
#ifdef BW_TEST
int gate_mutation;
#define MUTATED(n) (gate_mutation == (n))
#else
#define MUTATED(n) 0
#endif

static bool same_run(struct gate_run a, struct gate_run b)
{
    return a.count == b.count && a.random == b.random;
}

void gate_queue_begin(struct gate_queue *q, struct gate_run me)
{
    q->me = me;
    q->you = (struct gate_run){0};
    q->agreed = false;
    q->hello = true;
    q->ack = false;
    q->sent = q->acked;
}

/* --- outgoing -------------------------------------------------------------------------------- */

static struct gate_message *message_at(struct gate_queue *q, uint64_t number)
{
    return &q->outbox[number % GATE_OUTBOX];
}

struct gate_message *gate_queue_room(struct gate_queue *q)
{
    return q->last - q->acked < GATE_OUTBOX ? message_at(q, q->last + 1) : NULL;
}

uint64_t gate_queue_put(struct gate_queue *q, uint64_t epoch)
{
    struct gate_message *m = message_at(q, q->last + 1);

    m->number = q->last + 1;
    m->tag = q->me.random;
    q->epoch[m->number % GATE_OUTBOX] = epoch;
    q->last++;
    return q->last;
}

static uint64_t tag_of(struct gate_queue *q, uint64_t number)
{
    return number == q->acked ? q->acked_tag : message_at(q, number)->tag;
}

/** They have the messages up to `number` for good. */
static void acknowledged(struct gate_queue *q, uint64_t number)
{
    if (number > q->acked && number <= q->last) {
        q->acked_tag = tag_of(q, number);
        q->acked = number;
    }
    if (q->sent < q->acked) {
        q->sent = q->acked;
    }
}

/** How far they are. What they do not have yet is sent again. */
static void heard_of(struct gate_queue *q, const struct gate_frame *f)
{
    acknowledged(q, f->durable);
    if (f->delivered >= q->acked && f->delivered <= q->last) {
        q->sent = f->delivered;
    }
}

/* --- commits --------------------------------------------------------------------------------- */

void gate_queue_committed(struct gate_queue *q, uint64_t generation)
{
    q->generation = generation;
    for (unsigned i = 0; i < 2; i++) {
        if ((generation >= q->mark[i].epoch || MUTATED(1)) && q->mark[i].delivered > q->durable) {
            q->durable = q->mark[i].delivered;
            q->ack = true;
        }
    }
}

static bool may_leave(const struct gate_queue *q, uint64_t number)
{
    return q->epoch[number % GATE_OUTBOX] <= q->generation || MUTATED(2);
}

bool gate_queue_waits(const struct gate_queue *q)
{
    return q->durable < q->delivered || (q->last > q->acked && !may_leave(q, q->last));
}

/* --- incoming -------------------------------------------------------------------------------- */

/** All messages of the conversation are void, on both sides. */
static void begin_conversation(struct gate_queue *q, uint64_t conversation)
{
    q->conversation = conversation;
    q->severed++;
    q->acked = q->acked_tag = q->last = q->sent = 0;
    q->delivered = q->delivered_tag = q->durable = 0;
    q->mark[0] = q->mark[1] = (struct gate_mark){0};
    q->agreed = false;
    q->ack = false;
    q->hello = true;
}

void gate_queue_sever(struct gate_queue *q)
{
    begin_conversation(q, q->conversation + 1);
}

/** Whether what they have from us is not what we have sent, or they lack what they had. */
static bool contradicts(struct gate_queue *q, const struct gate_frame *f)
{
    if (f->delivered > q->last) {
        return !MUTATED(3);
    }
    if (f->delivered < q->acked) {
        return !MUTATED(4);
    }
    return f->tag != tag_of(q, f->delivered) && !MUTATED(5);
}

static enum gate_verdict receive_hello(struct gate_queue *q, const struct gate_frame *f)
{
    uint64_t severed = q->severed;

    if (!same_run(f->from, q->you)) {
        gate_queue_begin(q, q->me);
        q->you = f->from;
    }
    if (!same_run(f->to, q->me) || f->conversation < q->conversation) {
        q->hello = true;
        return GATE_NOTHING;
    }
    if (f->conversation > q->conversation) {
        begin_conversation(q, f->conversation);
    }
    if (!q->agreed) {
        q->hello = true;
        if (contradicts(q, f)) {
            gate_queue_sever(q);
        } else {
            q->agreed = true;
            heard_of(q, f);
        }
    }
    q->hello |= !f->agreed;
    return q->severed != severed ? GATE_SEVERED : GATE_NOTHING;
}

static enum gate_verdict receive_data(struct gate_queue *q, const struct gate_message *m,
                                      uint64_t epoch)
{
    if (m->number != q->delivered + 1 && (m->number > q->delivered || !MUTATED(6))) {
        q->ack = true; /* it came twice, or one before it was lost */
        return GATE_NOTHING;
    }
    q->delivered = m->number;
    q->delivered_tag = m->tag;
    q->mark[epoch % 2] = (struct gate_mark){epoch, q->delivered};
    return GATE_DELIVER;
}

enum gate_verdict gate_queue_receive(struct gate_queue *q, const struct gate_frame *f,
                                     uint64_t epoch)
{
    if (f->kind == GATE_HELLO) {
        return receive_hello(q, f);
    }
    if (!q->agreed || !same_run(f->from, q->you) || !same_run(f->to, q->me) ||
        f->conversation != q->conversation) {
        q->hello |= !q->agreed;
        return GATE_NOTHING;
    }
    heard_of(q, f);
    return f->kind == GATE_DATA ? receive_data(q, &f->message, epoch) : GATE_NOTHING;
}

/* --- frames ---------------------------------------------------------------------------------- */

bool gate_queue_next(const struct gate_queue *q, struct gate_frame *f)
{
    const struct gate_message *m = &q->outbox[(q->sent + 1) % GATE_OUTBOX];

    f->kind = q->hello                                                      ? GATE_HELLO
              : q->agreed && q->sent < q->last && may_leave(q, q->sent + 1) ? GATE_DATA
                                                                            : GATE_ACK;
    if (f->kind == GATE_ACK && !(q->agreed && q->ack)) {
        return false;
    }
    f->agreed = q->agreed;
    f->from = q->me;
    f->to = q->you;
    f->conversation = q->conversation;
    f->durable = q->durable;
    f->delivered = q->delivered;
    f->tag = q->delivered_tag;
    if (f->kind == GATE_DATA) {
        memcpy(&f->message, m, offsetof(struct gate_message, bytes) + m->length);
    }
    return true;
}

void gate_queue_sent(struct gate_queue *q, const struct gate_frame *f)
{
    q->hello &= f->kind != GATE_HELLO;
    q->ack &= f->kind == GATE_HELLO;
    if (f->kind == GATE_DATA) {
        q->sent = f->message.number;
    }
}

bool gate_queue_again(struct gate_queue *q)
{
    q->hello |= !q->agreed;
    q->sent = q->acked;
    return !q->agreed || q->last > q->acked;
}

size_t gate_frame_length(const struct gate_frame *f)
{
    size_t header = offsetof(struct gate_frame, message);

    return f->kind == GATE_DATA ? header + offsetof(struct gate_message, bytes) + f->message.length
                                : header;
}

bool gate_frame_valid(const struct gate_frame *f, size_t length)
{
    const struct gate_message *m = &f->message;
    size_t least = offsetof(struct gate_frame, message);

    if (length < least || f->kind < GATE_HELLO || f->kind > GATE_ACK) {
        return false;
    }
    if (f->kind != GATE_DATA) {
        return length == least;
    }
    return length >= least + offsetof(struct gate_message, bytes) && m->length <= GATE_BYTES_MAX &&
           length == gate_frame_length(f) && (m->kind == GATE_CALL || m->kind == GATE_REPLY) &&
           m->name[LINK_NAME_MAX - 1] == 0;
}
