/*
 * The queue of a gated link: what one district still has to tell another, and how far it has heard
 * the other. Pure: events go in, frames and verdicts come out; the gate (gate.c) and the simulator
 * (tests/unit/test_gate.c) run the very same file. It has no pointers and is ordinary memory of its
 * district, so a checkpoint has all of it.
 *
 * Messages that a side sends have numbers, from 1 on. A message leaves when the epoch in which it
 * was put is committed, and how far messages have been delivered is acknowledged when that is
 * committed. So a restart from the newest generation has everything that the other side was ever
 * told, and what is not acknowledged is sent again and dropped there if it was delivered already.
 *
 * Each message has a tag: the random half of the incarnation in which it got its number. In one
 * incarnation a number is given once, so equal number and tag mean the same message after the same
 * history. When two incarnations meet, each says in a HELLO how far the other was delivered here,
 * with that message's tag. Who does not find it in his outbox knows that one of them has gone back
 * farther than it had told: the queue is severed, both sides begin a new conversation with empty
 * outboxes.
 *
 *   session     | from                                        | frames that go out
 *   none        | restart of either, cut of the link          | HELLO to whomever, now and then
 *   met         | a HELLO of his, not to us as we run now     | HELLO to him
 *   agreed      | a HELLO of his to us, without contradiction | DATA, ACK; HELLO to who is not yet
 *
 * Frames may be lost, come twice or late; but not those of an incarnation that has ended after
 * those of the next one: links see to that.
 *
 * Invariants:
 *   1. acked <= last <= acked + GATE_OUTBOX; message n of these is outbox[n % GATE_OUTBOX].
 *   2. durable <= delivered.
 *   3. A DATA frame has a message of a committed epoch, and `durable` of a frame is committed.
 */
#ifndef GATE_QUEUE_H
#define GATE_QUEUE_H

#include <stdbool.h>
#include <bailiwick/gate.h>

#define GATE_OUTBOX (2 * GATE_CALLS)

enum gate_kind {
    GATE_CALL = 1,
    GATE_REPLY = 2,
};

struct gate_message {
    uint32_t kind;   /* enum gate_kind */
    uint32_t length; /* of bytes */
    uint64_t number;
    uint64_t tag;
    uint64_t to; /* REPLY: number of the call that it answers */
    int64_t code;
    uint64_t word[4];
    char name[LINK_NAME_MAX]; /* CALL: what is published over there */
    uint8_t bytes[GATE_BYTES_MAX];
};

/** An incarnation; all zero: not known. */
struct gate_run {
    uint64_t count, random;
};

enum gate_frame_kind {
    GATE_HELLO = 1,
    GATE_DATA = 2,
    GATE_ACK = 3,
};

/** What goes over the link: all before `message`, and for DATA that up to its length. */
struct gate_frame {
    uint32_t kind;   /* enum gate_frame_kind */
    uint32_t agreed; /* the sender has agreed with the receiver */
    struct gate_run from, to;
    uint64_t conversation;
    uint64_t durable;        /* delivered here, for good */
    uint64_t delivered, tag; /* delivered here so far, and the tag of that message */
    struct gate_message message;
};

struct gate_queue {
    uint64_t conversation;
    uint64_t severed; /* how often it was */
    /* outgoing */
    uint64_t acked, acked_tag; /* up to here they have it for good */
    uint64_t last;
    uint64_t epoch[GATE_OUTBOX]; /* in which it was put */
    struct gate_message outbox[GATE_OUTBOX];
    /* incoming */
    uint64_t delivered, delivered_tag;
    uint64_t durable;
    struct gate_mark {
        uint64_t epoch, delivered;
    } mark[2]; /* how far in an epoch that is not committed, by its parity */
    /* the session */
    struct gate_run me, you;
    bool agreed, hello, ack; /* the latter two: is due */
    uint64_t sent;
    uint64_t generation; /* newest that we know to be committed */
};

/** A session begins anew: we run as `me` now, or the link was cut. */
void gate_queue_begin(struct gate_queue *q, struct gate_run me);

/** Where the next message goes. @return NULL: the outbox is full */
struct gate_message *gate_queue_room(struct gate_queue *q);
/** It is there, and whole, since this epoch. @return its number */
uint64_t gate_queue_put(struct gate_queue *q, uint64_t epoch);

/** A generation is committed. */
void gate_queue_committed(struct gate_queue *q, uint64_t generation);
/** Whether a commit would let something go on. */
bool gate_queue_waits(const struct gate_queue *q);

enum gate_verdict {
    GATE_NOTHING,
    GATE_DELIVER, /* the message in the frame is the next one, and counts as delivered now */
    GATE_SEVERED, /* all calls under way, theirs and ours, are void */
};
/** @param epoch of now */
enum gate_verdict gate_queue_receive(struct gate_queue *q, const struct gate_frame *f,
                                     uint64_t epoch);
/** Ends the conversation for want of the other side. */
void gate_queue_sever(struct gate_queue *q);

/** What is to be sent next. @return false: nothing */
bool gate_queue_next(const struct gate_queue *q, struct gate_frame *f);
/** It has been. */
void gate_queue_sent(struct gate_queue *q, const struct gate_frame *f);
/** Nothing was heard for long: what is not acknowledged is sent again, or a HELLO.
 * @return false: nothing is waited for */
bool gate_queue_again(struct gate_queue *q);

/** Bytes of a frame on the link. */
size_t gate_frame_length(const struct gate_frame *f);
/** Whether what came over a link is a frame. */
bool gate_frame_valid(const struct gate_frame *f, size_t length);

#endif
