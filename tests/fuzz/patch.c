/*
 * Inputs as changes of an image.
 */
#include <stdlib.h>
#include <string.h>

#include <store/store.h>

#include "fuzz.h"

void patch_init(struct patched *p, uint8_t *image, size_t blocks)
{
    uint8_t *base = malloc(blocks * STORE_BLOCK);

    *p = (struct patched){.bytes = image,
                          .base = base,
                          .blocks = blocks,
                          .used = calloc(blocks, sizeof(*p->used)),
                          .touched = calloc(blocks, sizeof(*p->touched))};
    if (!base || !p->used || !p->touched)
        abort();
    memcpy(base, image, blocks * STORE_BLOCK);
    for (size_t b = 0; b < blocks; b++)
        for (size_t i = 0; i < STORE_BLOCK; i++)
            if (base[b * STORE_BLOCK + i]) {
                p->used[p->count++] = (uint16_t)b;
                break;
            }
}

void patch_touch(struct patched *p, size_t block)
{
    p->touched[block] = true;
}

void patch_restore(struct patched *p)
{
    for (size_t b = 0; b < p->blocks; b++) {
        if (p->touched[b])
            memcpy(p->bytes + b * STORE_BLOCK, p->base + b * STORE_BLOCK, STORE_BLOCK);
        p->touched[b] = false;
    }
}

static void apply(struct patched *p, const struct patch *c)
{
    size_t n = (size_t)1 << (c->size & 3), offset = c->offset % STORE_BLOCK / n * n;
    uint8_t *block = p->bytes + p->used[c->block % p->count] * (size_t)STORE_BLOCK;
    const uint8_t *other = p->bytes + p->used[c->other % p->count] * (size_t)STORE_BLOCK;
    size_t some = c->value % (STORE_BLOCK - offset + 1);
    uint64_t sum = 0;

    patch_touch(p, p->used[c->block % p->count]);
    switch (c->operation % PATCH_OPERATIONS) {
    case PATCH_SET:
        memcpy(block + offset, &c->value, n);
        break;
    case PATCH_ADD:
        memcpy(&sum, block + offset, n);
        sum += c->value;
        memcpy(block + offset, &sum, n);
        break;
    case PATCH_COPY_BLOCK:
        memmove(block, other, STORE_BLOCK);
        break;
    case PATCH_ZERO_BLOCK:
        memset(block, 0, STORE_BLOCK);
        break;
    case PATCH_COPY_SOME:
        memmove(block + offset, other + offset, some);
        break;
    default:
        for (size_t at = offset / 8 * 8; at + 8 <= STORE_BLOCK; at += 8)
            memcpy(block + at, &c->value, 8);
        break;
    }
}

void patch_apply(struct patched *p, const uint8_t *input, size_t size)
{
    struct patch c;

    for (; size >= sizeof(c); input += sizeof(c), size -= sizeof(c)) {
        memcpy(&c, input, sizeof(c));
        apply(p, &c);
    }
}

size_t patch_seed(unsigned n, uint8_t *to, size_t room)
{
    static const uint64_t values[] = {0, 1, UINT64_MAX, 1ull << 63, 72, 4096};
    struct patch c[2];

    if (n >= 48 || room < sizeof(c))
        return 0;
    for (unsigned i = 0; i < 2; i++)
        c[i] = (struct patch){.operation = (uint8_t)(n + i),
                              .size = (uint8_t)(3 - n % 4),
                              .block = (uint16_t)(n * 3 + i),
                              .offset = (uint16_t)(n % 2 ? n * 8 : n * 88),
                              .other = (uint16_t)(n + 1),
                              .value = values[n % 6]};
    memcpy(to, c, sizeof(c));
    return sizeof(c);
}
