/*
 * The driver of virtio disks, for the clients of the disk and of its parts in turn, over one queue,
 * with as many requests in flight as the queue has room for. Data goes straight between the disk
 * and the window that is shared with the client; a request's header and status byte are in memory
 * of our own.
 *
 * Invariant: the header and status byte of a ring's entry (its slot) are used by no other request
 * while it is busy; then its chain of descriptors begins at heads[slot].
 */
#include "block_server.h"
#include "virtio.h"

#include <string.h>

#ifndef BW_MUTATION
#define BW_MUTATION 0 /* tests: main_native() */
#endif

#define KR_NUCLEUS (KR_PROGRAM + 4)

#define SERVERS_MAX (1 + BLOCK_PARTS)
#define SLOTS       (SERVERS_MAX * BLOCK_RING)

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
    struct header header[SLOTS];
    uint8_t status[SLOTS];
};
#define AREA_OFFSET (VIRTIO_QUEUE_PAGES * BW_PAGE_SIZE)
#define AREA_PAGES  5u
_Static_assert(sizeof(struct area) <= AREA_PAGES * BW_PAGE_SIZE,
               "the area holds what we put there");

static struct virtio virtio;
static volatile struct area *const area = (volatile struct area *)(VIRTIO_DMA_AT + AREA_OFFSET);
static struct block_server servers[SERVERS_MAX]; /* the disk, then its parts */
static unsigned count = 1;                       /* of these */
static unsigned turn;                            /* who is asked first for the next request */
static int heads[SLOTS];                         /* descriptors */
static unsigned slot_of_head[VIRTIO_QUEUE_MAX];
static unsigned flushes; /* ever; tests */

/* Gives the request to the disk. @return false: the queue is full */
static bool start(const struct block_server *server, unsigned entry, const struct block_request *r)
{
    uint64_t base = virtio.physical + AREA_OFFSET;
    unsigned slot = server->place * BLOCK_RING + entry;
    bool flush = r->operation == BLOCK_FLUSH;
    struct virtio_piece piece[3] = {
        {base + offsetof(struct area, header) + slot * sizeof(struct header), sizeof(struct header),
         false},
        {server->physical + (uint64_t)r->page * BW_PAGE_SIZE, r->sectors * BLOCK_SECTOR,
         r->operation == BLOCK_READ}};
    int head;

    piece[flush ? 1 : 2] =
        (struct virtio_piece){base + offsetof(struct area, status) + slot, 1, true};
    area->header[slot].type = flush ? TYPE_FLUSH : r->operation == BLOCK_WRITE ? TYPE_OUT : TYPE_IN;
    area->header[slot].reserved = 0;
    area->header[slot].sector = flush ? 0 : r->sector;
    area->status[slot] = STATUS_UNKNOWN;
    head = virtio_add(&virtio, piece, flush ? 2 : 3);
    if (head < 0) {
        return false;
    }
    heads[slot] = head;
    slot_of_head[head] = slot;
    return true;
}

/* Takes requests from the rings, one from each in turn, while the queue has room. */
static void take_requests(void)
{
    struct block_request r;
    unsigned entry;
    bool started = false;

    for (unsigned idle = 0; idle < count; turn = (turn + 1) % count) {
        struct block_server *server = &servers[turn];

        if (!block_next(server, &r, &entry)) {
            idle++;
        } else if (start(server, entry, &r)) {
            block_taken(server);
            started = true;
            idle = 0;
        } else {
            break;
        }
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
        unsigned slot = slot_of_head[head];
        struct block_server *server = &servers[slot / BLOCK_RING];
        uint8_t status = area->status[slot];

        bw_assert(heads[slot] == head);
        if (status != STATUS_OK) {
            block_failed(server, area->header[slot].sector, status);
        }
        flushes += area->header[slot].type == TYPE_FLUSH;
        block_complete(server, slot % BLOCK_RING, status == STATUS_OK ? BW_OK : BW_IO);
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
    for (unsigned n = 0; n < count; n++) {
        block_tell(&servers[n]);
    }
}

static void drain(struct block_server *server)
{
    block_close(server);
    while (server->in_flight) {
        bw_wait(BW_NO_DEADLINE);
        serve_posts();
    }
}

static void initialise(struct block_server *server)
{
    int64_t result = virtio_open(&virtio, FEATURE_READ_ONLY | FEATURE_FLUSH,
                                 VIRTIO_QUEUE_PAGES + AREA_PAGES, KEY_AT(KR_NUCLEUS));

    if (result >= 0) {
        result = block_prepare();
    }
    if (result >= 0) {
        result = block_make_window(server, 0, KEY_AT(KR_NUCLEUS));
    }
    if (result < 0) {
        bw_log("disk%llu: cannot be opened: %lld\n", (unsigned long long)server->number,
               (long long)result);
        bw_exit(1);
    }
    server->read_only = virtio.features & FEATURE_READ_ONLY;
    server->can_flush = virtio.features & FEATURE_FLUSH;
    server->capacity = virtio_config64(&virtio, CONFIG_CAPACITY);
    virtio_ready(&virtio);
    bw_log("disk%llu: %llu MiB%s, queue of %u%s\n", (unsigned long long)server->number,
           (unsigned long long)server->capacity / 2048, server->read_only ? ", read-only" : "",
           virtio.size, server->can_flush ? "" : ", no flush");
}

int main_native(uint64_t word)
{
    struct message m = {.take = {KEY_AT(KR_ARGUMENT)}};
    uint16_t reply = 0;

    servers[0].number = word;
    initialise(&servers[0]);
    block_publish(&servers[0]);
    for (;;) {
        if (BW_MUTATION == 1 && flushes == 4) { /* the mutation that then ends when it is idle */
            m.deadline = bw_monotonic() + 300000000ull;
        }
        bw_return(reply, &m, KEY_AT(KR_CALLER), 0);
        bw_assert(BW_MUTATION != 1 || m.delivery != DELIVERY_TIMEOUT);
        reply = m.delivery == DELIVERY_MESSAGE ? KEY_AT(KR_CALLER) : 0;
        if (!reply) {
            serve_posts();
            continue;
        }
        if (m.badge < BLOCK_POST_SUBMIT || m.badge >= BLOCK_POST_SUBMIT + count) {
            m.code = BW_ORDER;
            continue;
        }
        if (m.code == BLOCK_OPEN) {
            drain(&servers[m.badge - BLOCK_POST_SUBMIT]);
        }
        block_serve(servers, m.badge - BLOCK_POST_SUBMIT, &count, SERVERS_MAX, KEY_AT(KR_NUCLEUS),
                    &m);
    }
}
