/*
 * The heap: malloc and its kin, in place of musl's. Segregated free lists.
 *
 * Each block is a header of 16 bytes and a body whose size is that of its class: 16 to 128 by steps
 * of 16, from there on four classes for each doubling. Blocks are cut from the top of the heap and
 * never joined; a free one is reused for its class, or for a smaller one when the heap is
 * exhausted.
 *
 * Invariants
 *  1. A header says HEAP_USED or HEAP_FREE and its class; anything else is a damaged heap or a wild
 *     pointer, and an assertion.
 *  2. [NATIVE_HEAP, top) is blocks only, [top, mapped) is mapped and zero.
 *  3. A block of aligned_alloc with more than 16 bytes of alignment has a second header
 *     HEAP_ALIGNED before what the user sees, which says how far behind the block's body that is.
 */
#include <bailiwick/runtime.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEAP_USED    0x64657375u
#define HEAP_FREE    0x65657266u
#define HEAP_ALIGNED 0x67696c61u

#define GRANULE      16u
#define LINEAR_LIMIT 128u
#define LINEAR       (LINEAR_LIMIT / GRANULE)
#define CLASSES      (LINEAR + 4 * 21)
#define GROW         (16 * BW_PAGE_SIZE)

struct header {
    uint32_t magic;
    uint32_t class;
    uint64_t distance; /* HEAP_ALIGNED: bytes from the block's body to this body */
};
_Static_assert(sizeof(struct header) == GRANULE, "bodies are aligned as headers are");

struct block {
    struct header header;
    struct block *next; /* in the body of a free block */
};

static struct block *free_list[CLASSES];
static uintptr_t top = NATIVE_HEAP;
static uintptr_t mapped = NATIVE_HEAP;

/* Classes 0.. are 16, 32, ... 128; then 160, 192, 224, 256, 320, ... */
static size_t class_size(unsigned class)
{
    unsigned step;

    if (class < LINEAR) {
        return (class + 1) * GRANULE;
    }
    step = class - LINEAR;
    return ((size_t)LINEAR_LIMIT << step / 4) / 4 * (5 + step % 4);
}

static unsigned class_of(size_t size)
{
    unsigned doubling;
    size_t base;

    if (size <= LINEAR_LIMIT) {
        return size ? (unsigned)((size - 1) / GRANULE) : 0;
    }
    doubling = 63 - (unsigned)__builtin_clzll((size - 1) / LINEAR_LIMIT);
    base = (size_t)LINEAR_LIMIT << doubling;
    return LINEAR + doubling * 4 + (unsigned)((size - 1 - base) / (base / 4));
}

static struct block *cut_from_top(unsigned class)
{
    size_t need = sizeof(struct header) + class_size(class);
    struct block *block = (struct block *)top;

    if (need > NATIVE_HEAP_LIMIT - top) {
        return NULL;
    }
    if (top + need > mapped) {
        size_t grow = (top + need - mapped + GROW - 1) / GROW * GROW;

        if (bw_map_fresh(mapped, grow / BW_PAGE_SIZE) < 0) {
            return NULL;
        }
        mapped += grow;
    }
    top += need;
    block->header.class = class;
    return block;
}

static struct block *take_free(unsigned class)
{
    struct block *block = free_list[class];

    if (block) {
        bw_assert(block->header.magic == HEAP_FREE && block->header.class == class);
        free_list[class] = block->next;
    }
    return block;
}

void *malloc(size_t size)
{
    struct block *block;
    unsigned class;

    if (size > NATIVE_HEAP_LIMIT - NATIVE_HEAP) {
        errno = ENOMEM;
        return NULL;
    }
    class = class_of(size);
    block = take_free(class);
    if (!block) {
        block = cut_from_top(class);
    }
    while (!block && ++class < CLASSES) {
        block = take_free(class);
    }
    if (!block) {
        errno = ENOMEM;
        return NULL;
    }
    block->header.magic = HEAP_USED;
    block->header.distance = 0;
    return &block->header + 1;
}

/* The block that what malloc or aligned_alloc returned lies in. */
static struct block *block_of(void *body)
{
    struct header *header = (struct header *)body - 1;

    bw_assert((uintptr_t)body > NATIVE_HEAP && (uintptr_t)body < top &&
              (uintptr_t)body % GRANULE == 0);
    if (header->magic == HEAP_ALIGNED) {
        header = (struct header *)((char *)header - header->distance);
    }
    bw_assert(header->magic != HEAP_FREE);
    bw_assert(header->magic == HEAP_USED && header->class < CLASSES);
    return (struct block *)header;
}

void free(void *body)
{
    struct block *block;

    if (!body) {
        return;
    }
    block = block_of(body);
    block->header.magic = HEAP_FREE;
    block->next = free_list[block->header.class];
    free_list[block->header.class] = block;
}

void *calloc(size_t count, size_t size)
{
    size_t bytes;
    void *body;

    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    body = malloc(bytes);
    if (body) {
        memset(body, 0, bytes);
    }
    return body;
}

static size_t room_at(void *body)
{
    struct block *block = block_of(body);

    return class_size(block->header.class) - (size_t)((char *)body - (char *)(&block->header + 1));
}

void *realloc(void *body, size_t size)
{
    void *fresh;
    size_t room;

    if (!body) {
        return malloc(size);
    }
    room = room_at(body);
    if (size <= room && size >= room / 2) {
        return body;
    }
    fresh = malloc(size);
    if (!fresh) {
        return size <= room ? body : NULL;
    }
    memcpy(fresh, body, size < room ? size : room);
    free(body);
    return fresh;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    struct header *header;
    char *body, *aligned;

    if (alignment & (alignment - 1) || size > NATIVE_HEAP_LIMIT || alignment > NATIVE_HEAP_LIMIT) {
        errno = EINVAL;
        return NULL;
    }
    if (alignment <= GRANULE) {
        return malloc(size);
    }
    body = malloc(size + alignment);
    if (!body) {
        return NULL;
    }
    aligned = (char *)(((uintptr_t)body + alignment - 1) & ~(alignment - 1));
    if (aligned != body) {
        header = (struct header *)aligned - 1;
        *header = (struct header){.magic = HEAP_ALIGNED, .distance = (size_t)(aligned - body)};
    }
    return aligned;
}

int posix_memalign(void **result, size_t alignment, size_t size)
{
    void *body = aligned_alloc(alignment, size);

    if (!body) {
        return ENOMEM;
    }
    *result = body;
    return 0;
}
