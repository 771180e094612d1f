/*
 * Checksums: XXH64 with seed 0. Not XXH3: without vector instructions, as in a native program, it
 * takes nearly twice as long.
 */
#define XXH_INLINE_ALL
#define XXH_VECTOR    XXH_SCALAR
#define XXH_NO_STREAM 1
#include <xxhash.h>

#include "internal.h"

uint64_t store_checksum(const void *bytes, size_t n)
{
    return XXH64(bytes, n, 0);
}

bool store_is_zero(const void *block)
{
    const uint64_t *w = block;

    for (size_t i = 0; i < STORE_BLOCK / sizeof(*w); i++)
        if (w[i])
            return false;
    return true;
}
