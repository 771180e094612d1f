/*
 * I/O ports through a KEY_PORTS; offsets count from the key's first port.
 */
#ifndef DRIVERS_PORTS_H
#define DRIVERS_PORTS_H

#include <bailiwick/runtime.h>

static inline uint32_t port_in(uint16_t key, unsigned offset, unsigned width)
{
    struct message m = {.code = PORTS_IN, .word = {offset, width}};

    bw_call(key, &m);
    return (uint32_t)m.word[0];
}

static inline void port_out(uint16_t key, unsigned offset, unsigned width, uint32_t value)
{
    struct message m = {.code = PORTS_OUT, .word = {offset, width, value}};

    bw_call(key, &m);
}

/* While a device is polled: the other drivers' turn. A serial line waits for a millisecond only. */
static inline void port_pause(void)
{
    struct message m = {0};

    bw_self(SELF_YIELD, &m);
}

/* Words of 16 bits through one port, PORTS_WORDS_MAX at most. */
static inline void port_in_words(uint16_t key, unsigned offset, void *to, unsigned words)
{
    struct message m = {
        .code = PORTS_IN_WORDS, .word = {offset, words}, .buffer = to, .size = words * 2};

    bw_assert(bw_call(key, &m) == BW_OK);
}

static inline void port_out_words(uint16_t key, unsigned offset, const void *from, unsigned words)
{
    struct message m = {
        .code = PORTS_OUT_WORDS, .word = {offset}, .string = from, .length = words * 2};

    bw_assert(bw_call(key, &m) == BW_OK);
}

#endif
