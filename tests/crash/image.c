/*
 * Images, and the checksums of their blocks.
 *
 * The library's store_checksum is here, in its place: of a block that was just read from an image
 * the sum is remembered, because thousands of images share it. It is used only after all 4096
 * bytes were compared with those it was made from.
 */
#include <stdlib.h>
#include <string.h>

#include "../../store/internal.h"
#include "image.h"

uint64_t checksum_plain(const void *bytes, size_t n); /* store/checksum.c, renamed */

static struct {
    const void *buffer;
    struct image *image;
    uint64_t block;
} last_read;

uint64_t store_checksum(const void *bytes, size_t n)
{
    struct image *i = last_read.image;
    uint64_t block = last_read.block;

    if (!i || n != STORE_BLOCK || bytes != last_read.buffer ||
        memcmp(bytes, i->bytes + block * STORE_BLOCK, STORE_BLOCK) != 0)
        return checksum_plain(bytes, n);
    if (!i->sum_known[block]) {
        i->sum[block] = checksum_plain(bytes, n);
        i->sum_known[block] = true;
    }
    return i->sum[block];
}

struct image *image_new(const struct simdisk *d)
{
    struct image *i = calloc(1, sizeof(*i));

    i->blocks = d->blocks;
    i->total = simdisk_total(d);
    for (unsigned c = 0; c < d->copies; c++)
        i->copy[c] = (struct image_copy){i, c * d->blocks, false};
    i->base = d->durable;
    i->bytes = malloc(i->total * STORE_BLOCK);
    memcpy(i->bytes, i->base, i->total * STORE_BLOCK);
    i->dirty = malloc(i->total * sizeof(*i->dirty));
    i->is_dirty = calloc(i->total, sizeof(*i->is_dirty));
    i->sum = malloc(i->total * sizeof(*i->sum));
    i->sum_known = calloc(i->total, sizeof(*i->sum_known));
    i->undecided = calloc(i->total, sizeof(*i->undecided));
    i->order = malloc(i->total * sizeof(*i->order));
    return i;
}

void image_free(struct image *i)
{
    if (last_read.image == i)
        last_read.image = NULL;
    free(i->bytes);
    free(i->dirty);
    free(i->is_dirty);
    free(i->sum);
    free(i->sum_known);
    free(i->undecided);
    free(i->order);
    free(i);
}

void image_follow(struct image *i, uint64_t block)
{
    memcpy(i->bytes + block * STORE_BLOCK, i->base + block * STORE_BLOCK, STORE_BLOCK);
    i->sum_known[block] = false;
}

void image_restore(struct image *i)
{
    for (size_t k = 0; k < i->dirty_count; k++) {
        image_follow(i, i->dirty[k]);
        i->is_dirty[i->dirty[k]] = false;
    }
    i->dirty_count = 0;
    i->reads = i->writes = i->flushes = i->damages = i->repaired = 0;
    i->ordered = 0;
}

static void touch(struct image *i, uint64_t block)
{
    i->sum_known[block] = false;
    if (i->is_dirty[block])
        return;
    i->is_dirty[block] = true;
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

/** Notes that somebody looked at an undecided block. */
static void note_reading(struct image *i, uint64_t block)
{
    uint32_t u = i->undecided[block];

    if (!u)
        return;
    for (size_t k = 0; k < i->ordered; k++)
        if (i->order[k] == u - 1)
            return;
    i->order[i->ordered++] = u - 1;
}

static int image_io_read(void *ctx, uint64_t block, void *buf, size_t n)
{
    const struct image_copy *c = ctx;
    struct image *i = c->image;

    i->reads += n;
    if (c->missing)
        return -1;
    block += c->first;
    memcpy(buf, i->bytes + block * STORE_BLOCK, n * STORE_BLOCK);
    for (size_t k = 0; i->watched && k < n; k++)
        note_reading(i, block + k);
    last_read.buffer = buf;
    last_read.image = i;
    last_read.block = block;
    return 0;
}

static int image_io_write(void *ctx, uint64_t block, const void *buf, size_t n)
{
    const struct image_copy *c = ctx;
    struct image *i = c->image;

    i->writes += n;
    if (c->missing)
        return -1;
    for (size_t k = 0; k < n; k++)
        image_write(i, c->first + block + k, (const uint8_t *)buf + k * STORE_BLOCK);
    return 0;
}

static int image_io_flush(void *ctx)
{
    const struct image_copy *c = ctx;

    c->image->flushes++;
    return c->missing ? -1 : 0;
}

static void image_damage(void *ctx, const struct store_damage *g)
{
    const struct image_copy *c = ctx;

    (void)g;
    c->image->damages++;
}

struct store_io image_io(struct image *i, unsigned copy)
{
    return (struct store_io){.ctx = &i->copy[copy],
                             .blocks = i->blocks,
                             .read = image_io_read,
                             .write = image_io_write,
                             .flush = image_io_flush,
                             .damage = image_damage,
                             .cache_blocks = 16};
}
