/*
 * The simulated disk, and images of it after a power cut.
 */
#include <stdlib.h>
#include <string.h>

#include "simdisk.h"

static void add(struct flights *f, uint64_t block, const void *bytes)
{
    if (f->count == f->capacity) {
        f->capacity = f->capacity ? f->capacity * 2 : 64;
        f->at = realloc(f->at, f->capacity * sizeof(*f->at));
    }
    f->at[f->count].block = block;
    memcpy(f->at[f->count++].bytes, bytes, STORE_BLOCK);
}

struct simdisk *simdisk_new(uint64_t blocks)
{
    struct simdisk *d = calloc(1, sizeof(*d));

    d->blocks = blocks;
    d->durable = calloc(blocks, STORE_BLOCK);
    d->current = calloc(blocks, STORE_BLOCK);
    return d;
}

struct simdisk *simdisk_from(const uint8_t *bytes, uint64_t blocks)
{
    struct simdisk *d = simdisk_new(blocks);

    memcpy(d->durable, bytes, blocks * STORE_BLOCK);
    memcpy(d->current, bytes, blocks * STORE_BLOCK);
    return d;
}

void simdisk_free(struct simdisk *d)
{
    free(d->durable);
    free(d->current);
    free(d->flying.at);
    free(d);
}

static int sim_read(void *ctx, uint64_t block, void *buf, size_t n)
{
    struct simdisk *d = ctx;

    memcpy(buf, d->current + block * STORE_BLOCK, n * STORE_BLOCK);
    return 0;
}

static int sim_write(void *ctx, uint64_t block, const void *buf, size_t n)
{
    struct simdisk *d = ctx;

    memcpy(d->current + block * STORE_BLOCK, buf, n * STORE_BLOCK);
    for (size_t i = 0; i < n; i++)
        add(&d->flying, block + i, (const uint8_t *)buf + i * STORE_BLOCK);
    return 0;
}

static int sim_flush(void *ctx)
{
    struct simdisk *d = ctx;

    if (d->before_flush)
        d->before_flush(d->ctx);
    for (size_t i = 0; i < d->flying.count; i++)
        memcpy(d->durable + d->flying.at[i].block * STORE_BLOCK, d->flying.at[i].bytes,
               STORE_BLOCK);
    d->flying.count = 0;
    return 0;
}

static void sim_damage(void *ctx, const struct store_damage *g)
{
    struct simdisk *d = ctx;

    (void)g;
    d->damages++;
}

struct store_io simdisk_io(struct simdisk *d)
{
    return (struct store_io){.ctx = d,
                             .blocks = d->blocks,
                             .read = sim_read,
                             .write = sim_write,
                             .flush = sim_flush,
                             .damage = sim_damage,
                             .cache_blocks = 16};
}

/* --- images --------------------------------------------------------------------------------------
 */

struct image *image_new(uint64_t blocks)
{
    struct image *i = calloc(1, sizeof(*i));

    i->blocks = blocks;
    i->bytes = calloc(blocks, STORE_BLOCK);
    return i;
}

void image_free(struct image *i)
{
    free(i->bytes);
    free(i->dirty);
    free(i);
}

void image_base(struct image *i, const uint8_t *base)
{
    i->base = base;
    i->operations = i->damages = 0;
    i->dirty_count = 0;
    memcpy(i->bytes, base, i->blocks * STORE_BLOCK);
}

void image_restore(struct image *i)
{
    for (size_t k = 0; k < i->dirty_count; k++)
        memcpy(i->bytes + i->dirty[k] * STORE_BLOCK, i->base + i->dirty[k] * STORE_BLOCK,
               STORE_BLOCK);
    i->dirty_count = 0;
    i->operations = i->damages = 0;
}

static void touch(struct image *i, uint64_t block)
{
    if (i->dirty_count && i->dirty[i->dirty_count - 1] == block)
        return;
    if (i->dirty_count == i->dirty_capacity) {
        i->dirty_capacity = i->dirty_capacity ? i->dirty_capacity * 2 : 256;
        i->dirty = realloc(i->dirty, i->dirty_capacity * sizeof(*i->dirty));
    }
    i->dirty[i->dirty_count++] = block;
}

void image_write(struct image *i, uint64_t block, const void *bytes)
{
    touch(i, block);
    memcpy(i->bytes + block * STORE_BLOCK, bytes, STORE_BLOCK);
}

void image_write_sector(struct image *i, uint64_t sector, const void *bytes)
{
    touch(i, sector / SECTORS_PER_BLOCK);
    memcpy(i->bytes + sector * SECTOR, bytes, SECTOR);
}

static int image_io_read(void *ctx, uint64_t block, void *buf, size_t n)
{
    struct image *i = ctx;

    i->operations++;
    memcpy(buf, i->bytes + block * STORE_BLOCK, n * STORE_BLOCK);
    return 0;
}

static int image_io_write(void *ctx, uint64_t block, const void *buf, size_t n)
{
    struct image *i = ctx;

    i->operations++;
    for (size_t k = 0; k < n; k++)
        image_write(i, block + k, (const uint8_t *)buf + k * STORE_BLOCK);
    return 0;
}

static int image_io_flush(void *ctx)
{
    struct image *i = ctx;

    i->operations++;
    return 0;
}

static void image_damage(void *ctx, const struct store_damage *g)
{
    struct image *i = ctx;

    (void)g;
    i->damages++;
}

struct store_io image_io(struct image *i)
{
    return (struct store_io){.ctx = i,
                             .blocks = i->blocks,
                             .read = image_io_read,
                             .write = image_io_write,
                             .flush = image_io_flush,
                             .damage = image_damage,
                             .cache_blocks = 16};
}
