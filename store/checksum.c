/*
 * Checksums: XXH64 with seed 0. Not XXH3: without vector instructions, as in a native program, it
 * takes nearly twice as long. Words are read where they are: a native program is freestanding, so
 * memcpy would be called for each of them, and the checksum take four times as long.
 */
#define XXH_FORCE_MEMORY_ACCESS 1
#define XXH_INLINE_ALL
#define XXH_VECTOR    XXH_SCALAR
#define XXH_NO_STREAM 1
#include <string.h>
#include <xxhash.h>

#include "internal.h"

uint64_t store_checksum(const void *bytes, size_t n)
{
    return XXH64(bytes, n, 0);
}

bool store_is_zero(const void *block)
{
    const char *bytes = block;
    uint64_t w;

    for (size_t i = 0; i < STORE_BLOCK; i += sizeof(w)) {
        __builtin_memcpy(&w, bytes + i, sizeof(w)); /* it may lie anywhere */
        if (w)
            return false;
    }
    return true;
}
