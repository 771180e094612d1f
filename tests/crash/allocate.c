/*
 * The memory that the store library of the crash tests gets: one allocation, chosen, fails.
 */
#include <stdlib.h>

#include "allocate.h"

uint64_t allocations, allocation_fails_at;

static int fails(void)
{
    return ++allocations == allocation_fails_at;
}

void *crash_malloc(size_t size)
{
    return fails() ? NULL : malloc(size);
}

void *crash_calloc(size_t n, size_t size)
{
    return fails() ? NULL : calloc(n, size);
}

void *crash_realloc(void *p, size_t size)
{
    return fails() ? NULL : realloc(p, size);
}
