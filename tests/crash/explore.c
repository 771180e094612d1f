/*
 * The explorer: a store over a simulated disk, and the images that a power cut can leave of it.
 *
 * A power cut is tried before each flush, and when an operation has returned with writes not
 * flushed. That covers a cut at every write, too: the library never writes a block twice without a
 * flush between (the disk checks it), so what could be there after a cut at an earlier write is one
 * of the subsets tried at the flush.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explorer.h"

char explorer_where[256];

enum { OLD, NEW, GARBAGE };

uint64_t explorer_any(struct explorer *x, uint64_t n)
{
    return model_random_number(&x->random) % n;
}

struct store_io explorer_image_io(struct explorer *x)
{
    struct store_io io = image_io(x->image, 0);

    io.fold_limit = x->fold_limit;
    return io;
}

struct store_io explorer_disk_io(struct explorer *x)
{
    struct store_io io = simdisk_io(x->disk, 0);

    io.fold_limit = x->fold_limit;
    return io;
}

static void forget_undecided(struct explorer *x)
{
    for (size_t i = 0; i < x->count; i++)
        x->image->undecided[x->undecided[i].sector / SECTORS_PER_BLOCK] = 0;
    x->count = 0;
    x->blocks = 0;
}

static struct undecided *undecided_new(struct explorer *x)
{
    if (x->count == x->capacity) {
        x->capacity = x->capacity ? x->capacity * 2 : 1024;
        x->undecided = realloc(x->undecided, x->capacity * sizeof(*x->undecided));
        x->chosen = realloc(x->chosen, x->capacity);
        x->content = realloc(x->content, x->capacity * sizeof(*x->content));
    }
    return &x->undecided[x->count++];
}

static void collect(struct explorer *x)
{
    const struct flights *f = &x->disk->flying;

    forget_undecided(x);
    readings_clear(x->readings);
    for (size_t i = 0; i < f->count; i++)
        for (unsigned s = 0; s < SECTORS_PER_BLOCK; s++) {
            const uint8_t *bytes = f->at[i].bytes + s * SECTOR;
            uint64_t block = f->at[i].block, sector = block * SECTORS_PER_BLOCK + s;
            const uint8_t *old = x->disk->durable + sector * SECTOR;

            if (memcmp(bytes, old, SECTOR) == 0)
                continue; /* there or not, it is the same */
            if (!x->image->undecided[block])
                x->image->undecided[block] = ++x->blocks;
            *undecided_new(x) =
                (struct undecided){sector, bytes, i, x->image->undecided[block] - 1,
                                   sector_hash(sector, bytes) ^ sector_hash(sector, old)};
        }
}

/** Neither old nor new, but the same for the same sector. */
static void garbage(const struct undecided *u, uint8_t *junk)
{
    for (size_t k = 0; k < SECTOR; k++)
        junk[k] = (uint8_t)(k * 31 + u->sector * 7 + 1);
}

/** The image's hash, and content[]. */
static uint64_t describe(struct explorer *x)
{
    uint64_t hash = x->disk->hash;

    memset(x->content, 0, x->blocks * sizeof(*x->content));
    for (size_t i = 0; i < x->count; i++) {
        const struct undecided *u = &x->undecided[i];

        x->content[u->block] = (uint16_t)(x->content[u->block] * 3 + x->chosen[i]);
        if (x->chosen[i] == NEW) {
            hash ^= u->change;
        } else if (x->chosen[i] == GARBAGE) {
            uint8_t junk[SECTOR];

            garbage(u, junk);
            hash ^= sector_hash(u->sector, x->disk->durable + u->sector * SECTOR) ^
                    sector_hash(u->sector, junk);
        }
    }
    return hash;
}

static void make_image(struct explorer *x)
{
    image_restore(x->image);
    for (size_t i = 0; i < x->count; i++) {
        const struct undecided *u = &x->undecided[i];

        if (x->chosen[i] == NEW) {
            image_write_sector(x->image, u->sector, u->bytes);
        } else if (x->chosen[i] == GARBAGE) {
            uint8_t junk[SECTOR];

            garbage(u, junk);
            image_write_sector(x->image, u->sector, junk);
        }
    }
}

/** Of the images known to be judged the same, one in so many is opened all the same. */
#define SPOT_CHECK 997u

static void try_chosen(struct explorer *x)
{
    uint64_t hash = describe(x);

    statistics->images++;
    if (readings_known(x->readings, x->content) && ++x->images % SPOT_CHECK)
        return;
    statistics->opened++;
    x->opened++;
    distinct_count(hash);
    make_image(x);
    explorer_judge(x);
    readings_add(x->readings, x->content, x->image->order, x->image->ordered);
}

static void choose_all(struct explorer *x, uint8_t value)
{
    memset(x->chosen, value, x->count);
}

/** All the same but one. */
static void try_but_one(struct explorer *x, uint8_t all, uint8_t one)
{
    choose_all(x, all);
    for (size_t i = 0; i < x->count; i++) {
        x->chosen[i] = one;
        try_chosen(x);
        x->chosen[i] = all;
    }
}

static void try_all_subsets(struct explorer *x)
{
    for (uint64_t set = 0; set < (uint64_t)1 << x->count; set++) {
        for (size_t i = 0; i < x->count; i++)
            x->chosen[i] = set >> i & 1;
        try_chosen(x);
    }
}

/** Each pair of sectors alone, and missing. */
static void try_pairs(struct explorer *x)
{
    for (uint8_t all = OLD; all <= NEW; all++) {
        choose_all(x, all);
        for (size_t i = 0; i < x->count; i++)
            for (size_t k = i + 1; k < x->count; k++) {
                x->chosen[i] = x->chosen[k] = NEW - all;
                try_chosen(x);
                x->chosen[i] = x->chosen[k] = all;
            }
    }
}

/** Whole blocks: all subsets. */
static void try_blocks(struct explorer *x)
{
    for (uint64_t set = 0; set < (uint64_t)1 << x->disk->flying.count; set++) {
        for (size_t i = 0; i < x->count; i++)
            x->chosen[i] = set >> x->undecided[i].write & 1;
        try_chosen(x);
    }
}

/** Prefixes in order of writing, the last one torn at each sector; one write missing, one alone. */
static void try_writes(struct explorer *x)
{
    size_t writes = x->disk->flying.count, step = writes > 64 ? writes / 32 : 1;

    for (size_t w = 0; w < writes; w += step) {
        for (unsigned torn = 0; torn < SECTORS_PER_BLOCK; torn++) {
            for (size_t i = 0; i < x->count; i++)
                x->chosen[i] = x->undecided[i].write < w ||
                               (x->undecided[i].write == w &&
                                x->undecided[i].sector % SECTORS_PER_BLOCK < torn);
            try_chosen(x);
        }
        for (size_t i = 0; i < x->count; i++)
            x->chosen[i] = x->undecided[i].write != w;
        try_chosen(x);
        for (size_t i = 0; i < x->count; i++)
            x->chosen[i] = x->undecided[i].write == w;
        try_chosen(x);
    }
    choose_all(x, NEW);
    try_chosen(x);
}

static void try_random(struct explorer *x, unsigned n)
{
    for (unsigned k = 0; k < n; k++) {
        uint64_t odds = 1 + explorer_any(x, 7);

        for (size_t i = 0; i < x->count; i++)
            x->chosen[i] = explorer_any(x, 8) < odds;
        if (k % 4 == 0)
            x->chosen[explorer_any(x, x->count)] = GARBAGE;
        try_chosen(x);
    }
}

#define PAIRS_MAX  40u  /* undecided sectors up to which all pairs are tried */
#define ONES_MAX   256u /* each one alone */
#define BLOCKS_MAX 8u   /* all subsets of whole blocks */

static void try_families(struct explorer *x)
{
    try_writes(x);
    if (x->count <= PAIRS_MAX)
        try_pairs(x);
    if (x->disk->flying.count <= BLOCKS_MAX)
        try_blocks(x);
    if (x->count <= ONES_MAX) {
        try_but_one(x, OLD, NEW);
        try_but_one(x, NEW, OLD);
        try_but_one(x, OLD, GARBAGE);
    }
    try_random(x, x->effort->random);
}

/** A power cut now. */
void explorer_cut(void *ctx)
{
    struct explorer *x = ctx;

    statistics->points++;
    if (x->foresee && !x->has_under_way) {
        x->foresee(x, &x->under_way);
        x->has_under_way = true;
    }
    collect(x);
    x->first = true;
    if (x->count <= x->effort->exhaustive)
        try_all_subsets(x);
    else
        try_families(x);
    if (x->count <= ONES_MAX)
        try_but_one(x, NEW, GARBAGE);
    forget_undecided(x);
    image_restore(x->image);
}

static void became_durable(void *ctx, uint64_t block)
{
    struct explorer *x = ctx;

    image_follow(x->image, block);
}

struct explorer *explorer_on(struct simdisk *disk, unsigned objects, uint64_t seed,
                             const struct effort *e)
{
    struct explorer *x = calloc(1, sizeof(*x));

    assert(disk->blocks <= 4096);
    x->disk = disk;
    x->image = image_new(disk);
    x->readings = readings_new();
    x->claimed = calloc(disk->blocks, sizeof(*x->claimed));
    x->effort = e;
    x->objects = objects;
    x->random = seed;
    x->values = seed << 32;
    x->fold_limit = seed % 3 == 0 ? 4 : seed % 3 == 1 ? 24 : 0;
    undecided_new(x); /* so that all arrays are there */
    x->count = 0;
    disk->ctx = x;
    disk->became_durable = became_durable;
    return x;
}

/** What was on the disk before: another store, whose blocks and roots must not count. */
static void former_store(struct explorer *x, uint64_t blocks)
{
    struct store_io io = explorer_disk_io(x);
    struct model *m = model_new_named(&io, blocks, 'F');

    model_random(m, (unsigned)x->random, 12);
    model_free(m);
    io.flush(io.ctx);
}

static struct explorer *make(unsigned copies, uint64_t blocks, unsigned objects, uint64_t seed,
                             const struct effort *e)
{
    struct explorer *x = explorer_on(simdisk_new(blocks, copies), objects, seed, e);
    struct store_io io = explorer_disk_io(x);

    if (copies > 1)
        mirrors_begin(x, &io);
    else if (seed % 4 == 3)
        former_store(x, blocks);
    x->m = model_new_named(&io, blocks - blocks / 8, (char)('a' + seed % 16));
    if (copies > 1)
        mirrors_follow(x);
    model_begin(x->m);
    for (oid_t oid = 1; oid <= objects / 2; oid++)
        model_put(x->m, oid, OBJECT_PAGE, x->values + oid);
    model_commit(x->m);
    model_claim(x->m, 0);
    x->disk->before_flush = e ? explorer_cut : NULL;
    return x;
}

struct explorer *explorer_new(uint64_t blocks, unsigned objects, uint64_t seed,
                              const struct effort *e)
{
    return make(1, blocks, objects, seed, e);
}

struct explorer *explorer_new_mirror(uint64_t blocks, unsigned objects, uint64_t seed,
                                     const struct effort *e)
{
    return make(2, blocks, objects, seed, e);
}

void explorer_free(struct explorer *x)
{
    x->disk->before_flush = NULL;
    model_free(x->m);
    mirrors_end(x);
    image_free(x->image);
    simdisk_free(x->disk);
    readings_free(x->readings);
    free(x->undecided);
    free(x->chosen);
    free(x->content);
    free(x->claimed);
    free(x);
}
