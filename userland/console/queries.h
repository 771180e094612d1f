/*
 * Output that is shown a second time must not ask the terminal anything a second time: its answer
 * would be typed into a program that does not wait for it.
 */
#ifndef CONSOLE_QUERIES_H
#define CONSOLE_QUERIES_H

#include <stddef.h>
#include <stdint.h>

/**
 * Blanks with NULs, which terminals ignore, the queries among the bytes from .. to-1 (counts) of a
 * ring: CSI sequences that end in n (status, cursor position) or c (what are you).
 * @param size of the ring, a power of two
 */
static inline void blank_queries(uint8_t *ring, size_t size, uint64_t from, uint64_t to)
{
    for (uint64_t start = from; start + 2 < to; start++) {
        uint64_t at = start + 2;

        if (ring[start % size] != 0x1b || ring[(start + 1) % size] != '[') {
            continue;
        }
        while (at < to && ring[at % size] >= 0x30 && ring[at % size] <= 0x3f) {
            at++;
        }
        if (at < to && (ring[at % size] == 'n' || ring[at % size] == 'c')) {
            for (uint64_t i = start; i <= at; i++) {
                ring[i % size] = 0;
            }
        }
    }
}

#endif
