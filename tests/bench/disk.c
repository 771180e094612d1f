/*
 * Raw sequential writes through a block driver, as fast as it takes them: what a commit is compared
 * with. Booted in place of stored (the boot module of that name), so it has what stored has. The
 * lines "bench raw_begins 1" and "bench raw_ends 1" go to the log, and RAW_MIB MiB in between.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <bailiwick/block.h>
#include <bailiwick/names.h>
#include <bailiwick/runtime.h>

#define KR_DISK   KEY_AT(24)
#define KR_DRIVER KEY_AT(25)
#define KR_WINDOW KEY_AT(26)
#define KR_OWN    KEY_AT(27)

#define WINDOW        0x20000000ul
#define RAW_MIB       40u
#define REQUEST_PAGES 15u /* as one pull of a snapshot has */
#define REQUESTS      (RAW_MIB * 256u / REQUEST_PAGES)
#define IN_FLIGHT     16u
#define PAGE_SECTORS  (BW_PAGE_SIZE / BLOCK_SECTOR)
#define FIRST_SECTOR  2048u

static struct block_ring *const ring = (struct block_ring *)WINDOW;

static void must(int64_t result, const char *what)
{
    if (result < 0)
        bw_log("bench: %s: result %lld\n", what, (long long)result);
    bw_assert(result >= 0);
}

static void submit(uint32_t n, uint32_t operation)
{
    struct block_request *r = &ring->request[n % BLOCK_RING];
    *r = (struct block_request){.operation = operation,
                                .page = 1 + n % IN_FLIGHT * REQUEST_PAGES,
                                .sector = FIRST_SECTOR + (uint64_t)n * REQUEST_PAGES * PAGE_SECTORS,
                                .sectors =
                                    operation == BLOCK_FLUSH ? 0 : REQUEST_PAGES * PAGE_SECTORS};
    atomic_store_explicit((_Atomic uint32_t *)&ring->submitted, n + 1, memory_order_release);
    bw_post(KR_DRIVER);
}

static void await(uint32_t n)
{
    struct block_request *r = &ring->request[n % BLOCK_RING];
    while (!atomic_load_explicit((_Atomic uint32_t *)&r->done, memory_order_acquire))
        bw_wait(BW_NO_DEADLINE);
    must(r->status, "request");
}

static void open_disk(uint64_t number)
{
    char name[NAME_MAX_LENGTH];
    snprintf(name, sizeof name, "disk%llu", (unsigned long long)number);
    must(bw_find(name, KR_DISK), "find");
    struct message m = {.code = DOMAIN_MAKE_START, .word = {1}, .take = {KR_OWN}};
    must(bw_call(KEY_AT(KR_SELF), &m), "start key");
    m = (struct message){.code = BLOCK_OPEN, .send = {KR_OWN}, .take = {KR_WINDOW, KR_DRIVER}};
    must(bw_call(KR_DISK, &m), "open");
    must(bw_map_key(WINDOW, 1, KR_WINDOW), "window");
}

int main_native(uint64_t word)
{
    open_disk(word);
    bw_log("bench raw_begins 1\n");
    for (uint32_t n = 0; n < REQUESTS; n++) {
        if (n >= IN_FLIGHT)
            await(n - IN_FLIGHT);
        submit(n, BLOCK_WRITE);
    }
    for (uint32_t n = REQUESTS - IN_FLIGHT; n < REQUESTS; n++)
        await(n);
    submit(REQUESTS, BLOCK_FLUSH);
    await(REQUESTS);
    bw_log("bench raw_ends 1\n");
    struct message ready = {.code = NAMES_READY};
    bw_call(KEY_AT(KR_NAMES), &ready);
    for (;;)
        bw_wait(BW_NO_DEADLINE);
}
