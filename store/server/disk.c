/*
 * A block device as the store library wants it.
 *
 * Writes do not wait: a block that follows the one before, on the disk and in memory, joins it, so
 * that a row of objects becomes one request; a request goes to the driver when it cannot grow any
 * more. What lies in the window is written from where it is; other blocks are copied into the
 * bounce pages first.
 *
 * Invariants:
 *   1. busy[p] is set exactly while a write from page p is held back or with the driver.
 *   2. A ring entry is used again only after its `done` was seen. slots[i].used says which are out.
 *   3. A read waits for writes under way to the same blocks, since the driver may change the order.
 *   4. A write that failed is reported by the next wait or flush.
 *   5. The pages from DISK_AHEAD hold blocks [ahead.block, + ahead.count) as they are on the disk;
 * a write to one of them empties it.
 *
 * While it waits here the server takes posts only, never messages; posts that are not the driver's
 * are kept for the main loop.
 */
#include "disk.h"
#include <stdio.h>
#include <string.h>
#include <bailiwick/block.h>
#include <bailiwick/runtime.h>

#define BLOCK_SECTORS (STORE_BLOCK / BLOCK_SECTOR)
#define REQUEST_PAGES 64u            /* most of one request */
#define SILENCE_NS    30000000000ull /* a driver that says nothing for so long has failed */

struct slot {
    bool used;
    uint32_t operation;
    unsigned page, pages;
    uint64_t block;
};

static struct block_ring *const ring = (struct block_ring *)DISK_WINDOW;
static struct slot slots[BLOCK_RING];
static uint32_t submitted; /* requests ever */
static unsigned out;       /* slots used */
static struct slot held;   /* a write that may still grow; used: there is one */
static bool busy[BLOCK_WINDOW_PAGES];
static unsigned bounce; /* next bounce page */
static struct {
    uint64_t block;
    unsigned count;
    uint64_t next;  /* the block behind the one that was read last */
    unsigned pages; /* how many to read at once when that is read next */
} ahead;
static uint64_t blocks;
static bool flush_needed;
static bool failed; /* a write has failed and nobody has been told */
static bool dead;   /* the driver is silent */
static uint64_t posts;
static bw_time_t waited;

uint8_t *disk_page(unsigned page)
{
    return (uint8_t *)DISK_WINDOW + (size_t)page * BW_PAGE_SIZE;
}

bw_time_t disk_waited(void)
{
    return waited;
}

bool disk_has_posts(uint64_t mask)
{
    return (posts & mask) != 0;
}

uint64_t disk_posts(uint64_t mask)
{
    uint64_t bits = posts & mask;

    posts &= ~mask;
    return bits;
}

void disk_posted(uint64_t bits)
{
    posts |= bits;
}

/** Takes back the entries that are done. @return how many */
static unsigned collect(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < BLOCK_RING; i++) {
        struct slot *s = &slots[i];

        if (!s->used || !__atomic_load_n(&ring->request[i].done, __ATOMIC_ACQUIRE)) {
            continue;
        }
        if (ring->request[i].status != BW_OK && s->operation != BLOCK_READ) {
            failed = true;
        }
        if (s->operation == BLOCK_WRITE) {
            memset(busy + s->page, 0, s->pages * sizeof(busy[0]));
        }
        s->used = false;
        out--;
        count++;
    }
    return count;
}

/** Waits until the driver has done something. @return false if it is silent for too long */
static bool wait_driver(void)
{
    bw_time_t start = bw_monotonic();
    bw_time_t end = start + SILENCE_NS;

    while (!dead && collect() == 0) {
        posts |= bw_wait(end);
        disk_posts(1ull << BADGE_DISK);
        if (bw_monotonic() >= end && collect() == 0) {
            bw_log("stored: the disk driver does not answer");
            dead = true;
        }
    }
    waited += bw_monotonic() - start;
    return !dead;
}

/** Puts a request into the ring. @return its entry, or -1 if the driver is dead */
static int submit(const struct slot *s)
{
    unsigned i = submitted % BLOCK_RING;

    while (slots[i].used && wait_driver()) {
    }
    if (dead) {
        return -1;
    }
    slots[i] = *s;
    slots[i].used = true;
    out++;
    ring->request[i] = (struct block_request){.operation = s->operation,
                                              .page = s->page,
                                              .sector = s->block * BLOCK_SECTORS,
                                              .sectors = s->pages * BLOCK_SECTORS};
    __atomic_store_n(&ring->submitted, ++submitted, __ATOMIC_RELEASE);
    bw_post(KEY_AT(KR_DRIVER));
    return (int)i;
}

void disk_submit(void)
{
    if (!held.used) {
        return;
    }
    held.used = false;
    if (submit(&held) < 0) {
        failed = true;
        memset(busy + held.page, 0, held.pages * sizeof(busy[0]));
    }
}

void disk_settle(unsigned first, unsigned count)
{
    for (unsigned p = first; p < first + count; p++) {
        while (busy[p]) {
            disk_submit();
            if (busy[p] && !wait_driver()) {
                memset(busy, 0, sizeof(busy));
            }
        }
    }
}

/** Takes a page of the window for writing, joining it with the one held back if it follows. */
static void write_page(uint64_t block, unsigned page)
{
    busy[page] = true;
    if (block - ahead.block < ahead.count) {
        ahead.count = 0;
    }
    if (held.used && held.block + held.pages == block && held.page + held.pages == page &&
        held.pages < REQUEST_PAGES) {
        held.pages++;
        return;
    }
    disk_submit();
    held = (struct slot){
        .used = true, .operation = BLOCK_WRITE, .page = page, .pages = 1, .block = block};
}

/** The window page that an address lies at, 0 if it is not a whole page of the window. */
static unsigned window_page(const void *at)
{
    uintptr_t offset = (uintptr_t)at - DISK_WINDOW;

    return offset < (uintptr_t)BLOCK_WINDOW_PAGES * BW_PAGE_SIZE && offset % BW_PAGE_SIZE == 0
               ? (unsigned)(offset / BW_PAGE_SIZE)
               : 0;
}

static int io_write(void *ctx, uint64_t block, const void *buf, size_t nblocks)
{
    (void)ctx;
    if (dead || block > blocks || nblocks > blocks - block) {
        return -1;
    }
    for (size_t i = 0; i < nblocks; i++) {
        const uint8_t *from = (const uint8_t *)buf + i * STORE_BLOCK;
        unsigned page = window_page(from);

        if (page == 0) {
            page = DISK_BOUNCE + bounce++ % DISK_BOUNCE_PAGES;
            disk_settle(page, 1);
            memcpy(disk_page(page), from, STORE_BLOCK);
        }
        write_page(block + i, page);
    }
    return dead ? -1 : 0;
}

static int io_wait(void *ctx)
{
    bool bad;

    (void)ctx;
    disk_submit();
    while (out > 0 && wait_driver()) {
    }
    bad = failed || dead;
    failed = false;
    return bad ? -1 : 0;
}

static int io_flush(void *ctx)
{
    struct slot s = {.operation = BLOCK_FLUSH};

    if (io_wait(ctx) != 0) {
        return -1;
    }
    if (!flush_needed) {
        return 0;
    }
    return submit(&s) < 0 ? -1 : io_wait(ctx);
}

/** True if a write to one of these blocks is held back or under way. */
static bool being_written(uint64_t block, size_t nblocks)
{
    bool any = held.used && held.block < block + nblocks && block < held.block + held.pages;

    for (unsigned i = 0; i < BLOCK_RING && !any; i++) {
        const struct slot *s = &slots[i];
        any = s->used && s->operation == BLOCK_WRITE && s->block < block + nblocks &&
              block < s->block + s->pages;
    }
    return any;
}

/** Reads into pages of the window. */
static int read_pages(uint64_t block, unsigned page, unsigned pages)
{
    struct slot s = {.operation = BLOCK_READ, .page = page, .pages = pages, .block = block};
    int i = submit(&s);

    while (i >= 0 && slots[i].used) {
        if (!wait_driver()) {
            return -1;
        }
    }
    return i >= 0 && ring->request[i].status == BW_OK ? 0 : -1;
}

/** Waits until none of these blocks is being written. @return false if the driver is dead */
static bool await_writes(uint64_t block, size_t nblocks)
{
    while (being_written(block, nblocks)) {
        disk_submit();
        if (!wait_driver()) {
            return false;
        }
    }
    return true;
}

/** Reads one block; in a row of such reads, what follows it is read with it, ever more of it. */
static int read_one(uint64_t block, void *buf)
{
    if (block - ahead.block >= ahead.count) {
        unsigned n = block == ahead.next && ahead.pages > 0 ? ahead.pages : 1;

        if (n > blocks - block) {
            n = (unsigned)(blocks - block);
        }
        ahead.pages = 2 * n < DISK_AHEAD_PAGES ? 2 * n : DISK_AHEAD_PAGES;
        ahead.count = 0;
        if (!await_writes(block, n) || read_pages(block, DISK_AHEAD, n) != 0) {
            return -1;
        }
        ahead.block = block;
        ahead.count = n;
    }
    ahead.next = block + 1;
    memcpy(buf, disk_page(DISK_AHEAD + (unsigned)(block - ahead.block)), STORE_BLOCK);
    return 0;
}

static int io_read(void *ctx, uint64_t block, void *buf, size_t nblocks)
{
    (void)ctx;
    if (dead || block > blocks || nblocks > blocks - block) {
        return -1;
    }
    if (nblocks == 1) {
        return read_one(block, buf);
    }
    if (!await_writes(block, nblocks)) {
        return -1;
    }
    while (nblocks > 0) {
        unsigned n = nblocks < DISK_READ_PAGES ? (unsigned)nblocks : DISK_READ_PAGES;

        if (read_pages(block, DISK_READS, n) != 0) {
            return -1;
        }
        memcpy(buf, disk_page(DISK_READS), n * STORE_BLOCK);
        block += n;
        nblocks -= n;
        buf = (uint8_t *)buf + n * STORE_BLOCK;
    }
    return 0;
}

int64_t disk_open(uint64_t n)
{
    char name[16];
    struct message m = {.code = BLOCK_INFO};
    int64_t result;

    snprintf(name, sizeof(name), "disk%u", (unsigned)n);
    result = bw_find(name, KEY_AT(KR_DISK));
    if (result != BW_OK || (result = bw_call(KEY_AT(KR_DISK), &m)) != BW_OK) {
        return result;
    }
    blocks = m.word[0] / BLOCK_SECTORS;
    flush_needed = m.word[1] != 0;
    m = (struct message){
        .code = DOMAIN_MAKE_START, .word = {BADGE_DISK}, .take = {KEY_AT(KR_HANDED)}};
    result = bw_call(KEY_AT(KR_SELF), &m);
    if (result != BW_OK) {
        return result;
    }
    m = (struct message){.code = BLOCK_OPEN,
                         .send = {KEY_AT(KR_HANDED)},
                         .take = {KEY_AT(KR_ARGUMENT), KEY_AT(KR_DRIVER)}};
    result = bw_call(KEY_AT(KR_DISK), &m);
    if (result != BW_OK) {
        return result;
    }
    return bw_map_key(DISK_WINDOW, 1, KEY_AT(KR_ARGUMENT));
}

void disk_io(struct store_io *io)
{
    io->blocks = blocks;
    io->read = io_read;
    io->write = io_write;
    io->wait = io_wait;
    io->flush = io_flush;
}
