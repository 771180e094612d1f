/*
 * Figures of the store library alone, over a disk in memory that counts blocks and flushes: what a
 * commit writes, what dropping a generation costs, what verification costs. Instructions are
 * counted as counting.h says; those of copying to and from the disk are not part of it.
 */
#include "counting.h"

#include <stdio.h>
#include <string.h>
#include <store/store.h>

#define DISK        0x40000000ul
#define DISK_BLOCKS 98304u
#define OBJECTS     32768u
#define STEP        10000000ull /* ns from commit to commit */

static struct {
    uint64_t read, written, flushes; /* blocks; calls */
    uint64_t ticks;                  /* spent in these callbacks */
} counted;

static struct store *st;
static uint64_t now = 1700000000000000000ull;
static uint64_t content[STORE_BLOCK / sizeof(uint64_t)];

/* --- the disk --------------------------------------------------------------------------------- */

static int disk_read(void *ctx, uint64_t block, void *buf, size_t n)
{
    uint64_t begin = ticks();

    (void)ctx;
    memcpy(buf, (const void *)(DISK + block * STORE_BLOCK), n * STORE_BLOCK);
    counted.read += n;
    counted.ticks += ticks() - begin;
    return 0;
}

static int disk_write(void *ctx, uint64_t block, const void *buf, size_t n)
{
    uint64_t begin = ticks();

    (void)ctx;
    memcpy((void *)(DISK + block * STORE_BLOCK), buf, n * STORE_BLOCK);
    counted.written += n;
    counted.ticks += ticks() - begin;
    return 0;
}

static int disk_flush(void *ctx)
{
    (void)ctx;
    counted.flushes++;
    return 0;
}

static void count_from_here(void)
{
    memset(&counted, 0, sizeof(counted));
}

/* --- generations ------------------------------------------------------------------------------ */

static void put(oid_t oid)
{
    content[0] = oid;
    content[1]++;
    must(store_put(st, oid, OBJECT_PAGE, 1, content), "put");
}

/** A generation in which `count` of the objects, far from each other, have changed. */
static void commit(unsigned objects, unsigned count)
{
    struct store_info info;

    store_info(st, &info);
    must(store_begin(st, info.next_generation), "begin");
    for (unsigned i = 0; i < count; i++)
        put(1 + (uint64_t)i * objects / count);
    must(store_commit(st, now += STEP, STORE_MADE_ASKED), "commit");
}

static void make_store(unsigned objects)
{
    const struct store_io io = {.blocks = DISK_BLOCKS,
                                .read = disk_read,
                                .write = disk_write,
                                .flush = disk_flush,
                                .cache_blocks = 4096};
    const struct store_format_params p = {.name = "bench", .blocks = DISK_BLOCKS, .time = now};

    must(store_format(&io, &p, &st), "format");
    must(store_set_retention(st, 4, 0, 0, 0), "retention");
    commit(objects, objects);
}

/* --- the figures ------------------------------------------------------------------------------ */

/** What one commit writes for each object, in thousandths of its size, and its flushes. */
static void measure_commits(void)
{
    static const unsigned counts[] = {1, 10, 100, 10000};
    const unsigned warm = 6, rounds = 8;
    uint64_t flushes = 0;
    char name[48];

    make_store(OBJECTS);
    for (unsigned c = 0; c < 4; c++) {
        uint64_t begin = 0;

        for (unsigned i = 0; i < warm + (counts[c] > 1000 ? 1 : rounds); i++) {
            if (i == warm) {
                count_from_here();
                begin = ticks();
            }
            commit(OBJECTS, counts[c]);
        }
        uint64_t n = (uint64_t)counts[c] * (counts[c] > 1000 ? 1 : rounds);
        uint64_t spent = ticks() - begin - counted.ticks;

        snprintf(name, sizeof(name), "write_thousandths_%u_objects", counts[c]);
        report(name, counted.written * 1000 / n);
        snprintf(name, sizeof(name), "commit_instructions_%u_objects", counts[c]);
        report(name, spent * counts[c] / n);
        flushes = counts[c] == 100 ? counted.flushes * 1000 / rounds : flushes;
    }
    report("flush_thousandths", flushes);
    store_close(st);
}

/** Dropping a generation that alone holds `held` objects, in a store of so many. */
static void measure_drop(unsigned objects, unsigned held)
{
    struct store_generation g;
    char name[64];
    uint64_t begin, spent;

    make_store(objects);
    commit(objects, held);
    commit(objects, held);
    commit(objects, 1);
    must(store_generation(st, 1, &g), "generation");
    count_from_here();
    begin = ticks();
    must(store_drop(st, g.number), "drop");
    spent = ticks() - begin - counted.ticks;
    snprintf(name, sizeof(name), "drop_%u_of_%u_blocks_read", held, objects);
    report(name, counted.read);
    snprintf(name, sizeof(name), "drop_%u_of_%u_blocks_written", held, objects);
    report(name, counted.written);
    snprintf(name, sizeof(name), "drop_%u_of_%u_instructions", held, objects);
    report(name, spent);
    store_close(st);
}

static void measure_verify(void)
{
    struct store_verify v = {0};
    uint64_t begin, spent;

    make_store(OBJECTS);
    count_from_here();
    begin = ticks();
    must(store_verify(st, &v), "verify");
    spent = ticks() - begin - counted.ticks;
    report("verify_instructions_per_block", spent / v.blocks);
    store_close(st);
}

int main_native(uint64_t word)
{
    (void)word;
    report_open();
    must(bw_map_fresh(DISK, DISK_BLOCKS), "disk");
    for (unsigned i = 2; i < STORE_BLOCK / sizeof(uint64_t); i++)
        content[i] = i * 0x9e3779b97f4a7c15ull;
    measure_commits();
    for (unsigned held = 16; held <= 2048; held *= 128) {
        measure_drop(2048, held);
        measure_drop(OBJECTS, held);
    }
    measure_verify();
    report_done();
    return 0;
}
