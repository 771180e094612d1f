/*
 * The explorer: a store over a simulated disk, and the images that a power cut can leave of it.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explorer.h"

struct statistics statistics;
char explorer_where[256];

uint64_t explorer_any(struct explorer *x, uint64_t n)
{
    return model_random_number(&x->random) % n;
}
struct store_io explorer_image_io(struct explorer *x)
{
    struct store_io io = image_io(x->image);

    io.fold_limit = x->fold_limit;
    return io;
}

struct store_io explorer_disk_io(struct explorer *x)
{
    struct store_io io = simdisk_io(x->disk);

    io.fold_limit = x->fold_limit;
    return io;
}

static void collect(struct explorer *x)
{
    const struct flights *f = &x->disk->flying;

    x->count = 0;
    for (size_t i = 0; i < f->count; i++)
        for (unsigned s = 0; s < SECTORS_PER_BLOCK; s++) {
            const uint8_t *bytes = f->at[i].bytes + s * SECTOR;
            uint64_t sector = f->at[i].block * SECTORS_PER_BLOCK + s;

            if (memcmp(bytes, x->disk->durable + sector * SECTOR, SECTOR) == 0)
                continue; /* there or not, it is the same */
            if (x->count == x->capacity) {
                x->capacity = x->capacity ? x->capacity * 2 : 1024;
                x->undecided = realloc(x->undecided, x->capacity * sizeof(*x->undecided));
                x->chosen = realloc(x->chosen, x->capacity);
            }
            x->undecided[x->count++] = (struct undecided){sector, bytes, i};
        }
}

/** garbage: index of a sector that is neither old nor new; SIZE_MAX: none. */
static void try_chosen(struct explorer *x, size_t garbage)
{
    image_restore(x->image);
    for (size_t i = 0; i < x->count; i++) {
        uint8_t junk[SECTOR];

        if (i == garbage) {
            for (size_t k = 0; k < SECTOR; k++)
                junk[k] = (uint8_t)(k * 31 + statistics.images);
            image_write_sector(x->image, x->undecided[i].sector, junk);
        } else if (x->chosen[i]) {
            image_write_sector(x->image, x->undecided[i].sector, x->undecided[i].bytes);
        }
    }
    explorer_judge(x);
}

static void choose_all(struct explorer *x, bool value)
{
    for (size_t i = 0; i < x->count; i++)
        x->chosen[i] = value;
}

static void try_all_subsets(struct explorer *x)
{
    for (uint64_t set = 0; set < (uint64_t)1 << x->count; set++) {
        for (size_t i = 0; i < x->count; i++)
            x->chosen[i] = set >> i & 1;
        try_chosen(x, SIZE_MAX);
    }
    for (size_t i = 0; i < x->count; i++) {
        choose_all(x, true);
        try_chosen(x, i);
    }
}

/** All or nothing, prefixes, one write missing, one write alone, a torn write. */
static void try_families(struct explorer *x)
{
    size_t writes = x->disk->flying.count, step = writes > 12 ? writes / 8 : 1;

    for (size_t w = 0; w <= writes; w += step) {
        for (size_t i = 0; i < x->count; i++)
            x->chosen[i] = x->undecided[i].write < w;
        try_chosen(x, SIZE_MAX);
        for (size_t i = 0; i < x->count; i++)
            x->chosen[i] = x->undecided[i].write != w;
        try_chosen(x, SIZE_MAX);
        for (size_t i = 0; i < x->count; i++)
            x->chosen[i] = x->undecided[i].write == w;
        try_chosen(x, SIZE_MAX);
        for (size_t i = 0; i < x->count; i++)
            x->chosen[i] =
                x->undecided[i].write < w ||
                (x->undecided[i].write == w && x->undecided[i].sector % 8 < statistics.images % 8);
        try_chosen(x, SIZE_MAX);
    }
    choose_all(x, true);
    try_chosen(x, SIZE_MAX);
}

static void try_random(struct explorer *x, unsigned n)
{
    for (unsigned k = 0; k < n; k++) {
        uint64_t odds = 1 + explorer_any(x, 7);

        for (size_t i = 0; i < x->count; i++)
            x->chosen[i] = explorer_any(x, 8) < odds;
        try_chosen(x, k % 4 == 0 ? explorer_any(x, x->count) : SIZE_MAX);
    }
}

/** A power cut now. */
void explorer_cut(void *ctx)
{
    struct explorer *x = ctx;

    statistics.points++;
    if (x->foresee && !x->has_under_way) {
        x->foresee(x, &x->under_way);
        x->has_under_way = true;
    }
    image_base(x->image, x->disk->durable);
    collect(x);
    if (x->count <= x->effort->exhaustive) {
        if (x->count)
            try_all_subsets(x);
        else
            explorer_judge(x);
        return;
    }
    try_families(x);
    try_random(x, x->effort->random);
}

struct explorer *explorer_on(struct simdisk *disk, unsigned objects, uint64_t seed,
                             const struct effort *e)
{
    struct explorer *x = calloc(1, sizeof(*x));

    assert(disk->blocks <= 4096);

    x->disk = disk;
    x->image = image_new(disk->blocks);
    x->claimed = calloc(disk->blocks, sizeof(*x->claimed));
    x->effort = e;
    x->objects = objects;
    x->random = seed;
    x->fold_limit = seed % 3 == 0 ? 4 : seed % 3 == 1 ? 24 : 0;
    disk->ctx = x;
    return x;
}

struct explorer *explorer_new(uint64_t blocks, unsigned objects, uint64_t seed,
                              const struct effort *e)
{
    struct explorer *x = explorer_on(simdisk_new(blocks), objects, seed, e);
    struct store_io io = explorer_disk_io(x);

    x->m = model_new_io(&io, blocks - blocks / 8);
    model_begin(x->m);
    for (oid_t oid = 1; oid <= objects / 2; oid++)
        model_put(x->m, oid, OBJECT_PAGE, seed + oid);
    model_commit(x->m);
    model_claim(x->m, 0);
    x->disk->before_flush = explorer_cut;
    return x;
}

void explorer_free(struct explorer *x)
{
    x->disk->before_flush = NULL;
    model_free(x->m);
    simdisk_free(x->disk);
    image_free(x->image);
    free(x->undecided);
    free(x->chosen);
    free(x->claimed);
    free(x);
}
