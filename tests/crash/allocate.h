/*
 * See allocate.c. The library is compiled with malloc, calloc and realloc defined as these.
 */
#ifndef CRASH_ALLOCATE_H
#define CRASH_ALLOCATE_H

#include <stddef.h>
#include <stdint.h>

extern uint64_t allocations;         /* so far */
extern uint64_t allocation_fails_at; /* that one; 0: none */

void *crash_malloc(size_t size);
void *crash_calloc(size_t n, size_t size);
void *crash_realloc(void *p, size_t size);

#endif
