/*
 * Counted allocations: a block has a header that links it into one list, and memory_end frees what
 * is in it. The header is as large as malloc's alignment. An input that wants more than LIMIT gets
 * none, and what is written ends at WRITE_LIMIT: code under test must bear that.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define LIMIT       ((size_t)256 << 20)
#define WRITE_LIMIT ((size_t)16 << 20)

struct header {
    struct header *next, *previous;
    size_t size;
    size_t pad;
};

static struct header all = {&all, &all, 0, 0};
static size_t total, written;

void *fuzz_malloc(size_t size);
void *fuzz_calloc(size_t n, size_t size);
void *fuzz_realloc(void *p, size_t size);
char *fuzz_strdup(const char *s);
void fuzz_free(void *p);
ssize_t fuzz_write(int fd, const void *bytes, size_t n);

static struct header *header_of(void *p)
{
    return (struct header *)p - 1;
}

void *fuzz_calloc(size_t n, size_t size)
{
    struct header *h;
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes) || bytes > LIMIT || total + bytes > LIMIT)
        return NULL;
    h = calloc(1, sizeof(*h) + bytes);
    if (!h)
        return NULL;
    *h = (struct header){all.next, &all, bytes, 0};
    all.next->previous = h;
    all.next = h;
    total += bytes;
    return h + 1;
}

void *fuzz_malloc(size_t size)
{
    void *p = fuzz_calloc(1, size);

    if (p)
        memset(p, 0xa5, size);
    return p;
}

void fuzz_free(void *p)
{
    struct header *h;

    if (!p)
        return;
    h = header_of(p);
    h->next->previous = h->previous;
    h->previous->next = h->next;
    total -= h->size;
    free(h);
}

void *fuzz_realloc(void *p, size_t size)
{
    void *q = fuzz_malloc(size);

    if (p && q) {
        size_t old = header_of(p)->size;

        memcpy(q, p, old < size ? old : size);
        fuzz_free(p);
    }
    return q;
}

char *fuzz_strdup(const char *s)
{
    char *p = fuzz_malloc(strlen(s) + 1);

    if (p)
        strcpy(p, s);
    return p;
}

ssize_t fuzz_write(int fd, const void *bytes, size_t n)
{
    if (n > WRITE_LIMIT - written) {
        errno = ENOSPC;
        return -1;
    }
    written += n;
    return write(fd, bytes, n);
}

void memory_begin(void)
{
    memory_end();
    written = 0;
}

void memory_end(void)
{
    while (all.next != &all)
        fuzz_free(all.next + 1);
}
