/*
 * A disk in memory, which counts, and fails at the operation that it is told.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

struct memory_disk *memory_disk_new(uint64_t blocks)
{
    struct memory_disk *d = calloc(1, sizeof(*d));

    d->bytes = calloc(blocks, STORE_BLOCK);
    d->blocks = blocks;
    d->low = UINT64_MAX;
    return d;
}

void memory_disk_free(struct memory_disk *d)
{
    free(d->bytes);
    free(d);
}

static int disk_read(void *ctx, uint64_t block, void *buf, size_t n)
{
    struct memory_disk *d = ctx;

    d->reads++;
    if (++d->operations == d->fail_at)
        return -1;
    memcpy(buf, d->bytes + block * STORE_BLOCK, n * STORE_BLOCK);
    return 0;
}

static int disk_write(void *ctx, uint64_t block, const void *buf, size_t n)
{
    struct memory_disk *d = ctx;

    d->writes++;
    d->blocks_written += n;
    if (++d->operations == d->fail_at) {
        d->lost = d->late;
        return d->late ? 0 : -1;
    }
    if (block >= 136) {
        d->low = block < d->low ? block : d->low;
        d->high = block > d->high ? block : d->high;
    }
    memcpy(d->bytes + block * STORE_BLOCK, buf, n * STORE_BLOCK);
    return 0;
}

static int disk_wait(void *ctx)
{
    struct memory_disk *d = ctx;
    bool lost = d->lost;

    d->lost = false;
    return lost ? -1 : 0;
}

static int disk_flush(void *ctx)
{
    struct memory_disk *d = ctx;

    d->flushes++;
    return ++d->operations == d->fail_at || disk_wait(d) ? -1 : 0;
}

static void disk_damage(void *ctx, const struct store_damage *g)
{
    struct memory_disk *d = ctx;

    d->damages++;
    d->last = *g;
    if (!d->quiet)
        fprintf(stderr,
                "%s:%d: %s, block %llu, generation %llu, object %llu: expected %llx, found %llx\n",
                g->file, g->line, g->what, (unsigned long long)g->block,
                (unsigned long long)g->generation, (unsigned long long)g->oid,
                (unsigned long long)g->expected, (unsigned long long)g->found);
}

struct store_io memory_disk_io(struct memory_disk *d)
{
    return (struct store_io){.ctx = d,
                             .blocks = d->blocks,
                             .read = disk_read,
                             .write = disk_write,
                             .wait = disk_wait,
                             .flush = disk_flush,
                             .damage = disk_damage,
                             .cache_blocks = 64};
}
