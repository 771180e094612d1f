/*
 * In place of store/checksum.c: every checksum is 0, so that forged blocks are believed.
 */
#include "internal.h"

uint64_t store_checksum(const void *bytes, size_t n)
{
    (void)bytes;
    (void)n;
    return 0;
}

bool store_is_zero(const void *block)
{
    const uint64_t *word = block;

    for (size_t i = 0; i < STORE_BLOCK / sizeof(*word); i++)
        if (word[i])
            return false;
    return true;
}
