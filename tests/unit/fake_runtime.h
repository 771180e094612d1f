/*
 * What a store server sees of the machine, for its unit tests: a disk driver behind the shared
 * window that completes requests in any order, and the calls of the run-time library. Included by
 * one test each.
 *
 * The driver works only while the server waits (bw_wait), as it would on one processor. It keeps
 * the disk in memory and checks what the server promises: no request overlaps another that is under
 * way, unless both read.
 */
#ifndef TESTS_FAKE_RUNTIME_H
#define TESTS_FAKE_RUNTIME_H

#include <check.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <bailiwick/block.h>
#include <bailiwick/runtime.h>
#include "disk.h"

#define FAKE_BLOCKS  4096u
#define FAKE_SECTORS (FAKE_BLOCKS * 8)
#define FAKE_SECOND  19 /* register of the second driver's key */

struct fake_driver {
    uintptr_t window;
    uint8_t *bytes; /* of the disk */
    uint32_t taken; /* requests seen */
    struct {
        bool active;
        uint32_t entry;
    } flight[BLOCK_RING];
    unsigned in_flight, most_in_flight;
    uint64_t requests, flushes, pages;
    bool silent;   /* never answers */
    bool small;    /* smaller than what is on it */
    int fail_from; /* from the how manieth request on everything fails; < 0: it does; 0: none */
    int fail_write, fail_flush; /* the how manieth from now on fails; 0: none */
    uint64_t bad_block;         /* every read of it fails; 0: none */
};

static struct fake_driver driver, second_driver; /* the second one: disk_open_second */

static bw_time_t fake_now = 1000;

static struct block_ring *fake_ring(const struct fake_driver *d)
{
    return (struct block_ring *)d->window;
}

static bool overlap(const struct block_request *a, const struct block_request *b)
{
    return a->operation != BLOCK_FLUSH && b->operation != BLOCK_FLUSH &&
           a->sector < b->sector + b->sectors && b->sector < a->sector + a->sectors &&
           (a->operation == BLOCK_WRITE || b->operation == BLOCK_WRITE);
}

static void driver_take(struct fake_driver *d)
{
    while (d->taken != fake_ring(d)->submitted) {
        uint32_t entry = d->taken % BLOCK_RING;
        struct block_request *r = &fake_ring(d)->request[entry];

        ck_assert_uint_eq(r->done, 0);
        ck_assert_uint_lt(r->page, BLOCK_WINDOW_PAGES);
        ck_assert_uint_le(r->sector + r->sectors, FAKE_SECTORS);
        ck_assert_uint_le(r->page + r->sectors / 8, BLOCK_WINDOW_PAGES);
        for (unsigned i = 0; i < BLOCK_RING; i++)
            if (d->flight[i].active)
                ck_assert(!overlap(r, &fake_ring(d)->request[d->flight[i].entry]));
        ck_assert(!d->flight[entry].active);
        d->flight[entry].active = true;
        d->flight[entry].entry = entry;
        d->taken++;
        d->in_flight++;
        d->requests++;
        if (d->in_flight > d->most_in_flight)
            d->most_in_flight = d->in_flight;
    }
}

static void driver_do(struct fake_driver *d, struct block_request *r)
{
    uint8_t *memory = (uint8_t *)d->window + (size_t)r->page * BW_PAGE_SIZE;
    uint8_t *disk = d->bytes + r->sector * BLOCK_SECTOR;

    r->status = BW_OK;
    if (d->fail_from > 0 && --d->fail_from == 0)
        d->fail_from = -1;
    if (d->fail_from < 0) {
        r->status = BW_IO;
    } else if (r->operation == BLOCK_READ && d->bad_block &&
               d->bad_block - r->sector / 8 < r->sectors / 8) {
        r->status = BW_IO;
    } else if (r->operation == BLOCK_READ) {
        memcpy(memory, disk, (size_t)r->sectors * BLOCK_SECTOR);
    } else if (r->operation == BLOCK_WRITE && d->fail_write > 0 && --d->fail_write == 0) {
        r->status = BW_IO;
    } else if (r->operation == BLOCK_WRITE) {
        memcpy(disk, memory, (size_t)r->sectors * BLOCK_SECTOR);
        d->pages += r->sectors / 8;
    } else if (d->fail_flush > 0 && --d->fail_flush == 0) {
        r->status = BW_IO;
    } else {
        d->flushes++;
    }
    __atomic_store_n(&r->done, 1, __ATOMIC_RELEASE);
}

/** Completes some of what is under way, at least one if there is any. */
static bool driver_work(struct fake_driver *d)
{
    unsigned start = (unsigned)rand() % BLOCK_RING;
    bool any = false;

    driver_take(d);
    for (unsigned n = 0; n < BLOCK_RING && !d->silent; n++) {
        unsigned i = (start + n) % BLOCK_RING;
        if (!d->flight[i].active || (any && rand() % 3))
            continue;
        driver_do(d, &fake_ring(d)->request[d->flight[i].entry]);
        d->flight[i].active = false;
        d->in_flight--;
        any = true;
    }
    return any;
}

static void fake_window(struct fake_driver *d, uintptr_t at)
{
    void *window =
        mmap((void *)at, (size_t)BLOCK_WINDOW_PAGES * BW_PAGE_SIZE, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    ck_assert_ptr_eq(window, (void *)at);
    d->window = at;
}

static void fake_open(void)
{
    static uint8_t bytes[(size_t)FAKE_BLOCKS * 4096];

    fake_window(&driver, DISK_WINDOW);
    driver.bytes = bytes;
    ck_assert_int_eq(disk_open(0), BW_OK);
}

/* --- the run-time library --------------------------------------------------------------------- */

/** What the test itself answers: calls to keys other than the driver's. */
static int64_t fake_call(uint16_t key, struct message *m);

int64_t bw_call(uint16_t key, struct message *m)
{
    int64_t order = m->code;

    if (key == KEY_AT(KR_DISK) || (second_driver.window && key == KEY_AT(FAKE_SECOND))) {
        if (order == BLOCK_OPEN && key == KEY_AT(FAKE_SECOND)) {
            memset((void *)second_driver.window, 0, BW_PAGE_SIZE);
            second_driver.taken = 0;
        }
        memset(m->word, 0, sizeof(m->word));
        m->word[0] = order == BLOCK_INFO ? FAKE_SECTORS : 0;
        if (key == KEY_AT(FAKE_SECOND) && second_driver.small)
            m->word[0] /= 8;
        m->word[1] = 1;
        m->code = BW_OK;
    } else if (key == KEY_AT(KR_SELF)) {
        m->code = BW_OK;
    } else {
        m->code = fake_call(key, m);
    }
    return m->code;
}

uint64_t bw_wait(bw_time_t deadline)
{
    fake_now += 1000;
    if (driver_work(&driver))
        return 1ull << BADGE_DISK;
    if (second_driver.window && driver_work(&second_driver))
        return 1ull << BADGE_SECOND_DISK;
    ck_assert_msg(deadline != BW_NO_DEADLINE, "waits for ever");
    fake_now = deadline;
    return 0;
}

bw_time_t bw_monotonic(void)
{
    return fake_now;
}

bw_time_t bw_realtime(void)
{
    return fake_now + 1000000000000000000ull;
}

int64_t bw_post(uint16_t key)
{
    ck_assert(key == KEY_AT(KR_DRIVER) || key == KEY_AT(KR_SECOND_DRIVER));
    return BW_OK;
}

int64_t bw_find(const char *name, uint16_t place)
{
    ck_assert_str_eq(name, "disk0");
    ck_assert_uint_eq(place, KEY_AT(KR_DISK));
    return BW_OK;
}

int64_t bw_map_key(uintptr_t address, unsigned height, uint16_t key)
{
    (void)key;
    ck_assert((address == DISK_WINDOW || address == second_driver.window) && height == 1);
    return BW_OK;
}

void bw_log(const char *format, ...)
{
    (void)format;
}

#endif
