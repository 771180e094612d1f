#include <stdint.h>
#include "string.h"

void *memcpy(void *to, const void *from, size_t n)
{
    void *d = to;
    size_t words = n / 8, bytes = n % 8;
    __asm__ volatile("rep movsq" : "+D"(d), "+S"(from), "+c"(words) : : "memory");
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(bytes) : : "memory");
    return to;
}

void *memset(void *to, int c, size_t n)
{
    void *d = to;
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    if ((uintptr_t)to - (uintptr_t)from >= n)
        return memcpy(to, from, n);
    for (uint8_t *d = to; n-- > 0;)
        d[n] = ((const uint8_t *)from)[n];
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;
    for (size_t i = 0; i < n; i++)
        if (x[i] != y[i])
            return x[i] - y[i];
    return 0;
}

bool frame_is_zero(const void *frame)
{
    const uint64_t *p = frame;
    for (unsigned i = 0; i < 512; i++)
        if (p[i] != 0)
            return false;
    return true;
}
