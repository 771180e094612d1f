/*
 * The page that the personality and the terminal agent share: two byte rings and the terminal's
 * size. It lies at IMAGE_WINDOW(2) of both programs. All of it is ordinary memory of the district.
 *
 *   out  the personality puts, the agent takes and hands to the console
 *   in   the agent puts, the personality takes
 *
 * Heads and tails count all bytes ever and wrap at 2^32; a ring's size is a power of two.
 * Invariants:
 *   1. Only the one who puts writes bytes and `head`; only the one who takes writes `tail`.
 *   2. head - tail is never above the ring's size.
 *   3. Bytes behind out_tail stay in the ring until they are overwritten: the last RINGS_OUT bytes
 *      of output are the history that the agent shows again after a restart.
 *
 * The personality posts the agent (KR_IMAGE_PEER) after it has put output or taken input; the agent
 * posts the personality when there is input, when it has made room, and when the size has changed.
 */
#ifndef UNIX_RINGS_H
#define UNIX_RINGS_H

#include <stddef.h>
#include <stdint.h>

#define RINGS_OUT 2048u
#define RINGS_IN  1024u

struct terminal_rings {
    /* by the personality */
    uint32_t out_head;
    uint32_t in_tail;
    uint32_t reserved0[14];
    /* by the agent */
    uint32_t out_tail;
    uint32_t in_head;
    uint32_t rows, columns; /* 0: not known yet */
    uint32_t resized;       /* counts changes of rows and columns */
    uint32_t restarts;      /* counts restarts of the district that the agent saw */
    uint32_t reserved1[10];
    uint8_t out[RINGS_OUT];
    uint8_t in[RINGS_IN];
};
_Static_assert(sizeof(struct terminal_rings) <= 4096, "the rings fit their page");

static inline uint32_t rings_load(const uint32_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static inline void rings_store(uint32_t *counter, uint32_t value)
{
    __atomic_store_n(counter, value, __ATOMIC_RELEASE);
}

/** Bytes that rings_put_out would take now. */
static inline size_t rings_out_room(const struct terminal_rings *r)
{
    uint32_t used = rings_load(&r->out_head) - rings_load(&r->out_tail);

    return used < RINGS_OUT ? RINGS_OUT - used : 0;
}

/** Bytes that rings_take_in would give now. */
static inline size_t rings_in_count(const struct terminal_rings *r)
{
    uint32_t used = rings_load(&r->in_head) - rings_load(&r->in_tail);

    return used <= RINGS_IN ? used : RINGS_IN;
}

/** Personality: puts output. @return bytes taken, less than n if the ring is full */
static inline size_t rings_put_out(struct terminal_rings *r, const void *from, size_t n)
{
    size_t room = rings_out_room(r);
    uint32_t head = r->out_head;

    if (n > room) {
        n = room;
    }
    for (size_t i = 0; i < n; i++) {
        r->out[(head + i) % RINGS_OUT] = ((const uint8_t *)from)[i];
    }
    rings_store(&r->out_head, head + (uint32_t)n);
    return n;
}

/** Personality: takes input. @return bytes given, 0 if there are none */
static inline size_t rings_take_in(struct terminal_rings *r, void *to, size_t n)
{
    size_t count = rings_in_count(r);
    uint32_t tail = r->in_tail;

    if (n > count) {
        n = count;
    }
    for (size_t i = 0; i < n; i++) {
        ((uint8_t *)to)[i] = r->in[(tail + i) % RINGS_IN];
    }
    rings_store(&r->in_tail, tail + (uint32_t)n);
    return n;
}

#endif
