/*
 * The simulated disk.
 */
#include <stdlib.h>
#include <string.h>

#include "../../store/internal.h"
#include "simdisk.h"

uint64_t sector_hash(uint64_t sector, const uint8_t *bytes)
{
    uint64_t z = store_checksum(bytes, SECTOR) + (sector + 1) * 0x9e3779b97f4a7c15ull;

    return model_random_number(&z);
}

static void add(struct flights *f, uint64_t block, const void *bytes)
{
    if (f->count == f->capacity) {
        f->capacity = f->capacity ? f->capacity * 2 : 64;
        f->at = realloc(f->at, f->capacity * sizeof(*f->at));
    }
    f->at[f->count].block = block;
    memcpy(f->at[f->count++].bytes, bytes, STORE_BLOCK);
}

uint64_t simdisk_total(const struct simdisk *d)
{
    return d->blocks * d->copies;
}

static void hash_all(struct simdisk *d)
{
    d->hash = 0;
    for (uint64_t s = 0; s < simdisk_total(d) * SECTORS_PER_BLOCK; s++)
        d->hash ^= sector_hash(s, d->durable + s * SECTOR);
}

static struct simdisk *make(uint64_t blocks, unsigned copies)
{
    struct simdisk *d = calloc(1, sizeof(*d));

    d->blocks = blocks;
    d->copies = copies;
    for (unsigned c = 0; c < copies; c++)
        d->copy[c] = (struct simdisk_copy){.disk = d, .first = c * blocks};
    d->durable = calloc(simdisk_total(d), STORE_BLOCK);
    d->current = calloc(simdisk_total(d), STORE_BLOCK);
    d->in_flight = calloc(simdisk_total(d), sizeof(*d->in_flight));
    return d;
}

struct simdisk *simdisk_new(uint64_t blocks, unsigned copies)
{
    struct simdisk *d = make(blocks, copies);

    hash_all(d);
    return d;
}

struct simdisk *simdisk_from(const uint8_t *bytes, uint64_t blocks, unsigned copies)
{
    struct simdisk *d = make(blocks, copies);

    memcpy(d->durable, bytes, simdisk_total(d) * STORE_BLOCK);
    memcpy(d->current, bytes, simdisk_total(d) * STORE_BLOCK);
    hash_all(d);
    return d;
}

void simdisk_free(struct simdisk *d)
{
    free(d->durable);
    free(d->current);
    free(d->in_flight);
    free(d->flying.at);
    free(d);
}

/** Is it time for a lie of that kind? */
static bool lies(const struct simdisk_copy *c, enum lie from, enum lie to)
{
    struct simdisk *d = c->disk;

    if (d->lied || c != &d->copy[d->lie_copy] || d->lie < from || d->lie > to || d->lie_after-- > 0)
        return false;
    d->lied = true;
    return true;
}

static uint64_t any(struct simdisk *d, uint64_t n)
{
    return model_random_number(&d->random) % n;
}

static bool is_gone(struct simdisk_copy *c)
{
    if (c->failing && c->fails_after-- == 0)
        c->gone = true;
    return c->gone;
}

static int sim_read(void *ctx, uint64_t block, void *buf, size_t n)
{
    struct simdisk_copy *c = ctx;
    struct simdisk *d = c->disk;

    if (is_gone(c))
        return -1;
    if (lies(c, LIE_READ_FAILS, LIE_READ_CORRUPTED)) {
        d->lied_at = c->first + block;
        if (d->lie == LIE_READ_FAILS)
            return -1;
        memcpy(buf, d->current + (c->first + block) * STORE_BLOCK, n * STORE_BLOCK);
        ((uint8_t *)buf)[any(d, n * STORE_BLOCK)] ^= (uint8_t)(1u << any(d, 8));
        return 0;
    }
    memcpy(buf, d->current + (c->first + block) * STORE_BLOCK, n * STORE_BLOCK);
    return 0;
}

static void write_one(struct simdisk *d, uint64_t block, const uint8_t *bytes)
{
    if (d->in_flight[block] && !d->lied)
        model_fail("block %llu is written twice without a flush between",
                   (unsigned long long)block);
    d->in_flight[block] = true;
    memcpy(d->current + block * STORE_BLOCK, bytes, STORE_BLOCK);
    add(&d->flying, block, bytes);
}

static void write_wrongly(struct simdisk *d, uint64_t block, const uint8_t *bytes)
{
    uint8_t wrong[STORE_BLOCK];

    d->lied_at = block;
    memcpy(wrong, bytes, sizeof(wrong));
    switch (d->lie) {
    case LIE_LOST:
        break;
    case LIE_MISDIRECTED:
        write_one(d, block / d->blocks * d->blocks + any(d, d->blocks), bytes);
        break;
    case LIE_CORRUPTED:
        wrong[any(d, any(d, 2) ? 256 : STORE_BLOCK)] ^= (uint8_t)(1u << any(d, 8));
        write_one(d, block, wrong);
        break;
    default: {
        size_t whole = any(d, SECTORS_PER_BLOCK) * SECTOR;

        memcpy(wrong + whole, d->current + block * STORE_BLOCK + whole, STORE_BLOCK - whole);
        write_one(d, block, wrong);
        break;
    }
    }
}

static int sim_write(void *ctx, uint64_t block, const void *buf, size_t n)
{
    struct simdisk_copy *c = ctx;
    struct simdisk *d = c->disk;

    if (is_gone(c))
        return -1;
    if (lies(c, LIE_WRITE_FAILS, LIE_WRITE_FAILS)) {
        d->lied_at = c->first + block;
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        const uint8_t *bytes = (const uint8_t *)buf + i * STORE_BLOCK;

        if (lies(c, LIE_LOST, LIE_TORN))
            write_wrongly(d, c->first + block + i, bytes);
        else
            write_one(d, c->first + block + i, bytes);
    }
    return 0;
}

static void make_durable(struct simdisk *d, const struct flight *f)
{
    uint8_t *to = d->durable + f->block * STORE_BLOCK;

    for (unsigned s = 0; s < SECTORS_PER_BLOCK; s++) {
        const uint8_t *bytes = f->bytes + s * SECTOR;
        uint64_t sector = f->block * SECTORS_PER_BLOCK + s;

        if (memcmp(to + s * SECTOR, bytes, SECTOR) == 0)
            continue;
        d->hash ^= sector_hash(sector, to + s * SECTOR) ^ sector_hash(sector, bytes);
        memcpy(to + s * SECTOR, bytes, SECTOR);
    }
    if (d->became_durable)
        d->became_durable(d->ctx, f->block);
}

/** All that is in flight to one copy becomes durable; or, at random, some of it is lost. */
static void land(struct simdisk *d, unsigned copy, bool lossy)
{
    size_t left = 0;

    for (size_t i = 0; i < d->flying.count; i++) {
        struct flight *f = &d->flying.at[i];

        if (f->block / d->blocks != copy) {
            if (left++ != i)
                d->flying.at[left - 1] = *f;
            continue;
        }
        d->in_flight[f->block] = false;
        if (!lossy || any(d, 2))
            make_durable(d, f);
        else
            memcpy(d->current + f->block * STORE_BLOCK, d->durable + f->block * STORE_BLOCK,
                   STORE_BLOCK);
    }
    d->flying.count = left;
}

static int sim_flush(void *ctx)
{
    struct simdisk_copy *c = ctx;
    struct simdisk *d = c->disk;
    bool fails;

    if (d->before_flush)
        d->before_flush(d->ctx);
    if (is_gone(c))
        return -1;
    fails = lies(c, LIE_FLUSH_FAILS, LIE_FLUSH_FAILS);
    land(d, (unsigned)(c - d->copy), fails);
    return fails ? -1 : 0;
}

void simdisk_lose(struct simdisk *d, unsigned copy, uint64_t after)
{
    d->copy[copy].failing = true;
    d->copy[copy].fails_after = after;
}

void simdisk_settle(struct simdisk *d, unsigned copy)
{
    land(d, copy, true);
}

void simdisk_return(struct simdisk *d, unsigned copy)
{
    simdisk_settle(d, copy);
    d->copy[copy].failing = d->copy[copy].gone = false;
}

static void sim_damage(void *ctx, const struct store_damage *g)
{
    const struct simdisk_copy *c = ctx;

    (void)g;
    c->disk->damages++;
}

struct store_io simdisk_io(struct simdisk *d, unsigned copy)
{
    return (struct store_io){.ctx = &d->copy[copy],
                             .blocks = d->blocks,
                             .read = sim_read,
                             .write = sim_write,
                             .flush = sim_flush,
                             .damage = sim_damage,
                             .cache_blocks = 16};
}
