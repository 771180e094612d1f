/* The few memory functions that GCC may call and the nucleus uses (string.c). */
#ifndef NUCLEUS_STRING_H
#define NUCLEUS_STRING_H

#include <stdbool.h>
#include <stddef.h>

void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memmove(void *to, const void *from, size_t n);

/** One whole frame. */
static inline void frame_copy(void *to, const void *from)
{
    size_t n = 512;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}
static inline void frame_zero(void *to)
{
    size_t n = 512;
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(n) : "a"(0) : "memory");
}
bool frame_is_zero(const void *frame);

#endif
