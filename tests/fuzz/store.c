/*
 * Target: a store with anything in its superblock, roots, index and map. It is opened, verified,
 * read, claimed, written, scrubbed, rolled back, dropped and grown; nothing of that has to succeed.
 *
 * An input: one byte that chooses the store, 15 of nothing, then patches (patch.c).
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include <store/store.h>

#define BLOCKS 800u
#define STORES 3u

static struct base {
    uint8_t image[BLOCKS * STORE_BLOCK];
    struct patched patched;
    uint64_t limit; /* ids in it are lower */
} base[STORES];

/* --- the disk --------------------------------------------------------------------------------- */

static int disk_read(void *ctx, uint64_t block, void *buf, size_t n)
{
    struct base *b = ctx;

    if (block > BLOCKS || n > BLOCKS - block)
        return -1;
    memcpy(buf, b->image + block * STORE_BLOCK, n * STORE_BLOCK);
    return 0;
}

static int disk_write(void *ctx, uint64_t block, const void *buf, size_t n)
{
    struct base *b = ctx;

    if (block > BLOCKS || n > BLOCKS - block)
        return -1;
    for (size_t i = 0; b->patched.touched && i < n; i++)
        patch_touch(&b->patched, block + i);
    memcpy(b->image + block * STORE_BLOCK, buf, n * STORE_BLOCK);
    return 0;
}

static int disk_flush(void *ctx)
{
    (void)ctx;
    return 0;
}

static struct store_io disk(struct base *b)
{
    return (struct store_io){.ctx = b,
                             .blocks = BLOCKS,
                             .read = disk_read,
                             .write = disk_write,
                             .flush = disk_flush,
                             .cache_blocks = 16,
                             .fold_limit = 40};
}

/* --- stores to begin with --------------------------------------------------------------------- */

static void must(int r)
{
    if (r != STORE_OK)
        abort();
}

static void generation(struct store *st, uint64_t seed, uint64_t objects, uint64_t limit)
{
    uint8_t page[STORE_BLOCK];
    struct store_info info;

    store_info(st, &info);
    must(store_begin(st, info.next_generation));
    for (uint64_t i = 0; i < objects; i++) {
        memset(page, (int)(seed + i) & 63, sizeof(page)); /* zeros at times */
        must(store_put(st, 1 + (i * 7 + seed) % limit, (uint32_t)(1 + i % 3), 1, page));
    }
    if (seed % 3 == 2)
        must(store_delete(st, 1 + seed * 7 % limit));
    must(store_commit(st, seed * 1000000000ull, STORE_MADE_INTERVAL));
}

static void make(struct base *b, unsigned which)
{
    static const uint64_t limits[STORES] = {12, 330, 60};
    struct store_format_params p = {.name = "fuzz", .blocks = BLOCKS - 100 * which};
    struct store_io io = disk(b);
    uint64_t incarnation;
    struct store *st;

    b->limit = limits[which];
    must(store_format(&io, &p, &st));
    generation(st, 1, b->limit, b->limit);
    for (uint64_t n = 2; n < 8; n++) {
        if (n == 5)
            must(store_claim(st, which == 2 ? 2 : STORE_NEWEST, n, "fuzz", n, &incarnation));
        generation(st, n, 3 + n, b->limit);
    }
    store_close(st);
    patch_init(&b->patched, b->image, BLOCKS);
}

/* --- everything that can be done with one ----------------------------------------------------- */

static int look(void *ctx, const struct store_object *o)
{
    uint64_t *left = ctx;

    (void)o;
    return --*left == 0;
}

static void read_all(struct store *st, uint64_t limit)
{
    struct store_verify v = {0};
    struct store_generation g;
    uint8_t page[STORE_BLOCK];
    uint64_t blocks;

    store_verify(st, &v);
    for (uint32_t i = 0; store_generation(st, i, &g) == STORE_OK; i++) {
        uint64_t left = 100000;

        store_walk(st, g.number, 0, look, &left);
        store_held(st, g.number, &blocks);
        for (oid_t oid = 1; oid < limit; oid += 1 + limit / 16) {
            struct store_object o;

            store_get(st, g.number, oid, &o, page);
        }
    }
}

static void write_all(struct store *st, unsigned round)
{
    uint8_t page[STORE_BLOCK];
    struct store_info info;
    uint64_t room;

    store_info(st, &info);
    if (store_begin(st, info.next_generation))
        return;
    store_room(st, &room);
    memset(page, 7, sizeof(page));
    for (oid_t oid = 1; oid < 12; oid++)
        if (store_put(st, oid * (round + 1), 1, 1, page))
            break;
    store_delete(st, 3);
    if (store_commit(st, (round + 1) * 1000000000ull, STORE_MADE_ASKED))
        store_abort(st);
}

static void scrub(struct store *st)
{
    struct store_scrub s;

    if (store_scrub_begin(st, &s) == STORE_OK)
        for (unsigned i = 0; i < 2000 && store_scrub_step(st, &s, 64) == STORE_OK; i++)
            ;
}

static void use(struct base *b)
{
    struct store_io io = disk(b);
    struct store_generation g;
    uint64_t incarnation;
    struct store *st;

    if (store_open(&io, &st) != STORE_OK)
        return;
    read_all(st, b->limit);
    if (store_claim(st, STORE_NEWEST, 1, "fuzz", 1, &incarnation) == STORE_OK) {
        write_all(st, 0);
        scrub(st);
        if (store_generation(st, 0, &g) == STORE_OK)
            store_drop(st, g.number);
        store_set_retention(st, 2, 1, 1, 1);
        write_all(st, 1);
        store_grow(st, BLOCKS);
        if (store_generation(st, 0, &g) == STORE_OK)
            store_claim(st, g.number, 2, "fuzz", 2, &incarnation);
        write_all(st, 2);
    }
    store_close(st);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct base *b;

    if (base[0].limit == 0)
        for (unsigned i = 0; i < STORES; i++)
            make(&base[i], i);
    if (size < 16)
        return 0;
    b = &base[bytes[0] % STORES];
    memory_begin();
    patch_apply(&b->patched, bytes + 16, size - 16);
    use(b);
    memory_end();
    patch_restore(&b->patched);
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *to, size_t room)
{
    size_t size = room > 16 ? patch_seed(n, to + 16, room - 16) : 0;

    if (size == 0)
        return 0;
    memset(to, 0, 16);
    to[0] = (uint8_t)(n % STORES);
    return 16 + size;
}
