/*
 * The driver of virtio disks, for one client, over one queue, with as many requests in flight as
 * the queue has room for. Data goes straight between the disk and the window that is shared with
 * the client; a request's header and status byte are in memory of our own.
 *
 * Invariant: a ring entry's header and status byte are used by no other request while it is busy;
 * then its chain of descriptors begins at heads[entry].
 */
#include "block_server.h"
#include "virtio.h"

#include <string.h>

#define KR_NUCLEUS (KR_PROGRAM + 4)
#define KR_CLIENT  24
#define KR_GIVEN   25 /* .. 26 */

#define WINDOW_AT   0x20000000ul
#define POST_SUBMIT 2u

#define FEATURE_READ_ONLY (1ull << 5)
#define FEATURE_FLUSH     (1ull << 9)
#define CONFIG_CAPACITY   0u

#define TYPE_IN        0u
#define TYPE_OUT       1u
#define TYPE_FLUSH     4u
#define STATUS_OK      0u
#define STATUS_UNKNOWN 0xffu

struct header {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector;
};

/* Our part of the DMA area, behind the queue. */
struct area {
    struct header header[BLOCK_RING];
    uint8_t status[BLOCK_RING];
};
#define AREA_OFFSET (VIRTIO_QUEUE_PAGES * BW_PAGE_SIZE)
#define AREA_PAGES  1u
_Static_assert(sizeof(struct area) <= AREA_PAGES * BW_PAGE_SIZE,
               "the area holds what we put there");

static struct virtio virtio;
static volatile struct area *const area = (volatile struct area *)(VIRTIO_DMA_AT + AREA_OFFSET);
static struct block_server server = {
    .window = WINDOW_AT, .badge = POST_SUBMIT, .client = KR_CLIENT, .given = KR_GIVEN};
static int heads[BLOCK_RING]; /* descriptors */
static unsigned entry_of_head[VIRTIO_QUEUE_MAX];

/* Gives the request to the disk. @return false: the queue is full */
static bool start(unsigned entry, const struct block_request *r)
{
    uint64_t base = virtio.physical + AREA_OFFSET;
    bool flush = r->operation == BLOCK_FLUSH;
    struct virtio_piece piece[3] = {
        {base + offsetof(struct area, header) + entry * sizeof(struct header),
         sizeof(struct header), false},
        {server.physical + (uint64_t)r->page * BW_PAGE_SIZE, r->sectors * BLOCK_SECTOR,
         r->operation == BLOCK_READ}};
    int head;

    piece[flush ? 1 : 2] =
        (struct virtio_piece){base + offsetof(struct area, status) + entry, 1, true};
    area->header[entry].type = flush                         ? TYPE_FLUSH
                               : r->operation == BLOCK_WRITE ? TYPE_OUT
                                                             : TYPE_IN;
    area->header[entry].reserved = 0;
    area->header[entry].sector = flush ? 0 : r->sector;
    area->status[entry] = STATUS_UNKNOWN;
    head = virtio_add(&virtio, piece, flush ? 2 : 3);
    if (head < 0) {
        return false;
    }
    heads[entry] = head;
    entry_of_head[head] = entry;
    return true;
}

/* Takes requests from the ring while the queue has room. */
static void take_requests(void)
{
    struct block_request r;
    unsigned entry;
    bool started = false;

    while (block_next(&server, &r, &entry) && start(entry, &r)) {
        block_taken(&server);
        started = true;
    }
    if (started) {
        virtio_kick(&virtio);
    }
}

/* Answers what the disk has done. */
static void take_results(void)
{
    uint32_t length;
    int head;

    while ((head = virtio_take_used(&virtio, &length)) >= 0) {
        unsigned entry = entry_of_head[head];
        uint8_t status = area->status[entry];

        bw_assert(heads[entry] == head);
        if (status != STATUS_OK) {
            block_failed(&server, area->header[entry].sector, status);
        }
        block_complete(&server, entry, status == STATUS_OK ? BW_OK : BW_IO);
    }
}

static void serve_posts(void)
{
    virtio_acknowledge(&virtio);
    take_results();
    take_requests();
    virtio_unmask();
    if (virtio_broken(&virtio)) {
        bw_panic(__FILE__, __LINE__, "the device works");
    }
    block_tell(&server);
}

static void drain(void)
{
    block_close(&server);
    while (server.in_flight) {
        bw_wait(BW_NO_DEADLINE);
        virtio_acknowledge(&virtio);
        take_results();
        virtio_unmask();
    }
}

static void initialise(void)
{
    int64_t result = virtio_open(&virtio, FEATURE_READ_ONLY | FEATURE_FLUSH,
                                 VIRTIO_QUEUE_PAGES + AREA_PAGES, KEY_AT(KR_NUCLEUS));

    if (result >= 0) {
        result = block_make_window(&server, KEY_AT(KR_NUCLEUS));
    }
    if (result < 0) {
        bw_log("disk%llu: cannot be opened: %lld\n", (unsigned long long)server.number,
               (long long)result);
        bw_exit(1);
    }
    server.read_only = virtio.features & FEATURE_READ_ONLY;
    server.can_flush = virtio.features & FEATURE_FLUSH;
    server.capacity = virtio_config64(&virtio, CONFIG_CAPACITY);
    virtio_ready(&virtio);
    bw_log("disk%llu: %llu MiB%s, queue of %u%s\n", (unsigned long long)server.number,
           (unsigned long long)server.capacity / 2048, server.read_only ? ", read-only" : "",
           virtio.size, server.can_flush ? "" : ", no flush");
}

int main_native(uint64_t word)
{
    struct message m = {.take = {KEY_AT(KR_ARGUMENT)}};
    uint16_t reply = 0;

    server.number = word;
    initialise();
    block_publish(&server);
    for (;;) {
        bw_return(reply, &m, KEY_AT(KR_CALLER), 0);
        reply = m.delivery == DELIVERY_MESSAGE ? KEY_AT(KR_CALLER) : 0;
        if (!reply) {
            serve_posts();
            continue;
        }
        if (m.code == BLOCK_OPEN) {
            drain();
        }
        block_serve(&server, &m);
    }
}
