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
 *   5. The pages from ahead.page hold blocks [ahead.block, + ahead.count) as they are on the disk;
 *      a write to one of them empties it.
 *
 * A mirrored store has a second disk, with a driver and a window of its own. What lies in the first
 * one's window is copied into the second one's, so that its pages are all bounce pages but those
 * for reading.
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
#define LOOK_NS       50000000ull    /* between looks at whether its window is still there */

struct slot {
    bool used;
    uint32_t operation;
    unsigned page, pages;
    uint64_t block;
};

struct disk {
    struct block_ring *ring; /* the first page of its window */
    uint16_t driver;         /* register of the key that is posted */
    unsigned badge;          /* of its posts */
    struct slot slots[BLOCK_RING];
    uint32_t submitted; /* requests ever */
    unsigned out;       /* slots used */
    struct slot held;   /* a write that may still grow; used: there is one */
    bool busy[BLOCK_WINDOW_PAGES];
    unsigned bounce, bounces; /* first bounce page, and how many there are */
    unsigned next_bounce;
    struct {
        uint64_t block;
        unsigned page, count;
        uint64_t next;  /* the block behind the one that was read last */
        unsigned pages; /* how many to read at once when that is read next */
    } ahead;
    uint64_t blocks;
    bool flush_needed;
    bool failed; /* a write has failed and nobody has been told */
    bool dead;   /* the driver is silent */
};

static struct disk own = {.ring = (struct block_ring *)DISK_WINDOW,
                          .driver = KEY_AT(KR_DRIVER),
                          .badge = BADGE_DISK,
                          .bounce = DISK_BOUNCE,
                          .bounces = DISK_BOUNCE_PAGES};
static const struct disk second_fresh = {.ring = (struct block_ring *)DISK_SECOND_WINDOW,
                                         .driver = KEY_AT(KR_SECOND_DRIVER),
                                         .badge = BADGE_SECOND_DISK,
                                         .bounce = DISK_OBJECTS,
                                         .bounces = DISK_OBJECT_PAGES + DISK_BOUNCE_PAGES};
static struct disk second;
static uint64_t posts;
static bw_time_t waited;

static uint8_t *page_of(const struct disk *d, unsigned page)
{
    return (uint8_t *)d->ring + (size_t)page * BW_PAGE_SIZE;
}

uint8_t *disk_page(unsigned page)
{
    return page_of(&own, page);
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
static unsigned collect(struct disk *d)
{
    unsigned count = 0;

    for (unsigned i = 0; i < BLOCK_RING; i++) {
        struct slot *s = &d->slots[i];

        if (!s->used || !__atomic_load_n(&d->ring->request[i].done, __ATOMIC_ACQUIRE)) {
            continue;
        }
        if (d->ring->request[i].status != BW_OK && s->operation != BLOCK_READ) {
            d->failed = true;
        }
        if (s->operation == BLOCK_WRITE) {
            memset(d->busy + s->page, 0, s->pages * sizeof(d->busy[0]));
        }
        s->used = false;
        d->out--;
        count++;
    }
    return count;
}

/** Waits until the driver has done something. A driver that ends takes its window along, and nobody
 * posts: whoever looks at it then faults, and is started again with the next driver.
 *  @return false if it is silent for too long */
static bool wait_driver(struct disk *d)
{
    bw_time_t start = bw_monotonic();
    bw_time_t now = start;

    while (!d->dead && collect(d) == 0) {
        posts |= bw_wait(now + LOOK_NS);
        disk_posts(1ull << BADGE_DISK | 1ull << BADGE_SECOND_DISK);
        now = bw_monotonic();
        if (now >= start + SILENCE_NS && collect(d) == 0) {
            bw_log("stored: the disk driver does not answer%s", d == &own ? "" : " (second disk)");
            d->dead = true;
        }
    }
    waited += bw_monotonic() - start;
    return !d->dead;
}

/** Puts a request into the ring. @return its entry, or -1 if the driver is dead */
static int submit(struct disk *d, const struct slot *s)
{
    unsigned i = d->submitted % BLOCK_RING;

    while (d->slots[i].used && wait_driver(d)) {
    }
    if (d->dead) {
        return -1;
    }
    d->slots[i] = *s;
    d->slots[i].used = true;
    d->out++;
    d->ring->request[i] = (struct block_request){.operation = s->operation,
                                                 .page = s->page,
                                                 .sector = s->block * BLOCK_SECTORS,
                                                 .sectors = s->pages * BLOCK_SECTORS};
    __atomic_store_n(&d->ring->submitted, ++d->submitted, __ATOMIC_RELEASE);
    bw_post(d->driver);
    return (int)i;
}

static void submit_held(struct disk *d)
{
    if (!d->held.used) {
        return;
    }
    d->held.used = false;
    if (submit(d, &d->held) < 0) {
        d->failed = true;
        memset(d->busy + d->held.page, 0, d->held.pages * sizeof(d->busy[0]));
    }
}

static void settle(struct disk *d, unsigned first, unsigned count)
{
    for (unsigned p = first; p < first + count; p++) {
        while (d->busy[p]) {
            submit_held(d);
            if (d->busy[p] && !wait_driver(d)) {
                memset(d->busy, 0, sizeof(d->busy));
            }
        }
    }
}

void disk_touch(void)
{
    (void)__atomic_load_n(&own.ring->submitted, __ATOMIC_RELAXED);
}

void disk_forget_ahead(void)
{
    own.ahead.count = 0;
}

void disk_submit(void)
{
    submit_held(&own);
    submit_held(&second);
}

void disk_settle(unsigned first, unsigned count)
{
    settle(&own, first, count);
}

/** Takes a page of the window for writing, joining it with the one held back if it follows. */
static void write_page(struct disk *d, uint64_t block, unsigned page)
{
    d->busy[page] = true;
    if (block - d->ahead.block < d->ahead.count) {
        d->ahead.count = 0;
    }
    if (d->held.used && d->held.block + d->held.pages == block &&
        d->held.page + d->held.pages == page && d->held.pages < REQUEST_PAGES) {
        d->held.pages++;
        return;
    }
    submit_held(d);
    d->held = (struct slot){
        .used = true, .operation = BLOCK_WRITE, .page = page, .pages = 1, .block = block};
}

/** The window page that an address lies at, 0 if it is not a whole page of the window. */
static unsigned window_page(const struct disk *d, const void *at)
{
    uintptr_t offset = (uintptr_t)at - (uintptr_t)d->ring;

    return offset < (uintptr_t)BLOCK_WINDOW_PAGES * BW_PAGE_SIZE && offset % BW_PAGE_SIZE == 0
               ? (unsigned)(offset / BW_PAGE_SIZE)
               : 0;
}

static int io_write(void *ctx, uint64_t block, const void *buf, size_t nblocks)
{
    struct disk *d = ctx;
    if (d->dead || block > d->blocks || nblocks > d->blocks - block) {
        return -1;
    }
    for (size_t i = 0; i < nblocks; i++) {
        const uint8_t *from = (const uint8_t *)buf + i * STORE_BLOCK;
        unsigned page = window_page(d, from);

        if (page == 0) {
            page = d->bounce + d->next_bounce++ % d->bounces;
            settle(d, page, 1);
            memcpy(page_of(d, page), from, STORE_BLOCK);
        }
        write_page(d, block + i, page);
    }
    return d->dead ? -1 : 0;
}

static int io_wait(void *ctx)
{
    bool bad;

    struct disk *d = ctx;
    submit_held(d);
    while (d->out > 0 && wait_driver(d)) {
    }
    bad = d->failed || d->dead;
    d->failed = false;
    return bad ? -1 : 0;
}

static int io_flush(void *ctx)
{
    struct slot s = {.operation = BLOCK_FLUSH};
    struct disk *d = ctx;

    if (io_wait(ctx) != 0) {
        return -1;
    }
    if (!d->flush_needed) {
        return 0;
    }
    return submit(d, &s) < 0 ? -1 : io_wait(ctx);
}

/** True if a write to one of these blocks is held back or under way. */
static bool being_written(const struct disk *d, uint64_t block, size_t nblocks)
{
    bool any =
        d->held.used && d->held.block < block + nblocks && block < d->held.block + d->held.pages;

    for (unsigned i = 0; i < BLOCK_RING && !any; i++) {
        const struct slot *s = &d->slots[i];
        any = s->used && s->operation == BLOCK_WRITE && s->block < block + nblocks &&
              block < s->block + s->pages;
    }
    return any;
}

/** Reads into pages of the window. */
static int read_pages(struct disk *d, uint64_t block, unsigned page, unsigned pages)
{
    struct slot s = {.operation = BLOCK_READ, .page = page, .pages = pages, .block = block};
    int i = submit(d, &s);

    while (i >= 0 && d->slots[i].used) {
        if (!wait_driver(d)) {
            return -1;
        }
    }
    return i >= 0 && d->ring->request[i].status == BW_OK ? 0 : -1;
}

/** Waits until none of these blocks is being written. @return false if the driver is dead */
static bool await_writes(struct disk *d, uint64_t block, size_t nblocks)
{
    while (being_written(d, block, nblocks)) {
        submit_held(d);
        if (!wait_driver(d)) {
            return false;
        }
    }
    return true;
}

/** Reads one block and what follows it; in a row of such reads ever more of that. Where it is
 * wanted in the pages from DISK_SUPPLY it goes there, so that what follows is already where it will
 * be wanted. */
static int read_ahead(struct disk *d, uint64_t block, unsigned wanted_at)
{
    unsigned n = block == d->ahead.next && d->ahead.pages > 0 ? d->ahead.pages : 1;
    bool supply = wanted_at >= DISK_SUPPLY;
    unsigned page = supply ? wanted_at : DISK_AHEAD;
    unsigned room =
        (supply ? DISK_SUPPLY + DISK_SUPPLY_PAGES : DISK_AHEAD + DISK_AHEAD_PAGES) - page;

    d->ahead.pages = 2 * n < DISK_AHEAD_PAGES ? 2 * n : DISK_AHEAD_PAGES;
    d->ahead.count = 0;
    if (n > room) {
        n = room;
    }
    if (n > d->blocks - block) {
        n = (unsigned)(d->blocks - block);
    }
    if (!await_writes(d, block, n)) {
        return -1;
    }
    if (read_pages(d, block, page, n) != 0) {
        d->ahead.pages = 1; /* what fails may be one of those that nobody has asked for */
        if (n == 1 || read_pages(d, block, page, n = 1) != 0) {
            return -1;
        }
    }
    d->ahead.block = block;
    d->ahead.page = page;
    d->ahead.count = n;
    return 0;
}

static int read_one(struct disk *d, uint64_t block, void *buf)
{
    unsigned at = window_page(d, buf);
    unsigned from;

    if (block - d->ahead.block >= d->ahead.count && read_ahead(d, block, at) != 0) {
        return -1;
    }
    d->ahead.next = block + 1;
    from = d->ahead.page + (unsigned)(block - d->ahead.block);
    if (from == at) {
        return 0;
    }
    memcpy(buf, page_of(d, from), STORE_BLOCK);
    if (at - d->ahead.page < d->ahead.count) {
        d->ahead.count = 0;
    }
    return 0;
}

static int io_read(void *ctx, uint64_t block, void *buf, size_t nblocks)
{
    struct disk *d = ctx;
    if (d->dead || block > d->blocks || nblocks > d->blocks - block) {
        return -1;
    }
    if (nblocks == 1) {
        return read_one(d, block, buf);
    }
    if (!await_writes(d, block, nblocks)) {
        return -1;
    }
    while (nblocks > 0) {
        unsigned n = nblocks < DISK_READ_PAGES ? (unsigned)nblocks : DISK_READ_PAGES;

        if (read_pages(d, block, DISK_READS, n) != 0) {
            return -1;
        }
        memcpy(buf, page_of(d, DISK_READS), n * STORE_BLOCK);
        block += n;
        nblocks -= n;
        buf = (uint8_t *)buf + n * STORE_BLOCK;
    }
    return 0;
}

/** Opens the disk whose driver has that key, and maps its window. */
static int64_t open_driver(struct disk *d, uint16_t key)
{
    struct message m = {.code = BLOCK_INFO};
    int64_t result = bw_call(key, &m);

    if (result != BW_OK) {
        return result;
    }
    d->blocks = m.word[0] / BLOCK_SECTORS;
    d->flush_needed = m.word[1] != 0;
    m = (struct message){
        .code = DOMAIN_MAKE_START, .word = {d->badge}, .take = {KEY_AT(KR_HANDED)}};
    result = bw_call(KEY_AT(KR_SELF), &m);
    if (result != BW_OK) {
        return result;
    }
    m = (struct message){
        .code = BLOCK_OPEN, .send = {KEY_AT(KR_HANDED)}, .take = {KEY_AT(KR_ARGUMENT), d->driver}};
    result = bw_call(key, &m);
    if (result != BW_OK) {
        return result;
    }
    return bw_map_key((uintptr_t)d->ring, 1, KEY_AT(KR_ARGUMENT));
}

int64_t disk_open(uint64_t n)
{
    char name[16];
    int64_t result;

    snprintf(name, sizeof(name), "disk%u", (unsigned)n);
    do {
        result = bw_find(name, KEY_AT(KR_DISK));
        result = result == BW_OK ? open_driver(&own, KEY_AT(KR_DISK)) : result;
    } while (result == BW_VOID); /* its driver has ended: there will be another one */
    return result;
}

int64_t disk_open_second(uint16_t key)
{
    second = second_fresh;
    return open_driver(&second, key);
}

static void fill_io(struct disk *d, struct store_io *io)
{
    io->ctx = d;
    io->blocks = d->blocks;
    io->read = io_read;
    io->write = io_write;
    io->wait = io_wait;
    io->flush = io_flush;
}

void disk_io(struct store_io *io)
{
    fill_io(&own, io);
}

void disk_second_io(struct store_io *io)
{
    fill_io(&second, io);
}
