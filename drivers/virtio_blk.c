/*
 * The driver of virtio disks: block.h's protocol for one client, over one queue, with as many
 * requests in flight as the queue has room for. Data goes straight between the disk and the window
 * that is shared with the client; a request's header and status byte are in memory of our own.
 *
 * Invariants
 *  1. Ring entry e is in flight exactly while slot e is busy, and slot e's header and status byte
 * are used by no other request.
 *  2. Requests up to `taken` have been taken from the ring, in order. What is read from the ring is
 * copied and checked before it is used: the client may change it at any time.
 */
#include "virtio.h"

#include <bailiwick/block.h>
#include <stdio.h>
#include <string.h>

#define KR_NUCLEUS (KR_PROGRAM + 4)
#define KR_CLIENT  24 /* start key that the client wants to be posted */
#define KR_WINDOW  25
#define KR_SUBMIT  26

#define WINDOW_AT   0x20000000ul
#define POST_SUBMIT 2u /* badge of the client's posts */

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
static struct block_ring *const ring = (struct block_ring *)WINDOW_AT;
static uint64_t window_physical;
static uint64_t capacity; /* in sectors */
static bool read_only, can_flush;
static uint64_t number; /* of the disk */

static struct {
    bool busy;
    int head; /* descriptor */
} slots[BLOCK_RING];
static int slot_of_head[VIRTIO_QUEUE_MAX];
static unsigned in_flight;
static uint32_t taken;
static bool open;

static void complete(unsigned entry, int32_t status)
{
    struct block_request *r = &ring->request[entry];

    r->status = status;
    __atomic_store_n(&r->done, 1u, __ATOMIC_RELEASE);
}

/* BW_OK if the request may be given to the disk. */
static int32_t check(const struct block_request *r)
{
    if (r->operation == BLOCK_FLUSH) {
        return BW_OK;
    }
    if (r->operation != BLOCK_READ && r->operation != BLOCK_WRITE) {
        return BW_ARGUMENT;
    }
    if (r->page < 1 || r->page >= BLOCK_WINDOW_PAGES || r->sectors == 0 ||
        r->sectors > (BLOCK_WINDOW_PAGES - r->page) * (BW_PAGE_SIZE / BLOCK_SECTOR)) {
        return BW_ARGUMENT;
    }
    if (r->sector > capacity || r->sectors > capacity - r->sector ||
        (r->operation == BLOCK_WRITE && read_only)) {
        return BW_ARGUMENT;
    }
    return BW_OK;
}

/* Gives the request to the disk. @return false: the queue is full */
static bool start(unsigned entry, const struct block_request *r)
{
    uint64_t base = virtio.physical + AREA_OFFSET;
    bool flush = r->operation == BLOCK_FLUSH;
    struct virtio_piece piece[3] = {
        {base + offsetof(struct area, header) + entry * sizeof(struct header),
         sizeof(struct header), false},
        {window_physical + (uint64_t)r->page * BW_PAGE_SIZE, r->sectors * BLOCK_SECTOR,
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
    slots[entry].busy = true;
    slots[entry].head = head;
    slot_of_head[head] = (int)entry;
    in_flight++;
    return true;
}

/* Takes requests from the ring while the queue has room. @return whether some were answered at once
 */
static bool take_requests(void)
{
    uint32_t submitted = open ? __atomic_load_n(&ring->submitted, __ATOMIC_ACQUIRE) : taken;
    bool answered = false, started = false;

    if (submitted - taken > BLOCK_RING) { /* a client that cannot count */
        submitted = taken + BLOCK_RING;
    }
    while (taken != submitted) {
        unsigned entry = taken % BLOCK_RING;
        struct block_request r = *(volatile struct block_request *)&ring->request[entry];
        int32_t status = check(&r);

        if (slots[entry].busy) {
            break;
        }
        if (status == BW_OK && !(r.operation == BLOCK_FLUSH && !can_flush)) {
            if (!start(entry, &r)) {
                break;
            }
            started = true;
        } else {
            complete(entry, status);
            answered = true;
        }
        taken++;
    }
    if (started) {
        virtio_kick(&virtio);
    }
    return answered;
}

/* One line a second at most: a disk that dies fails every request. */
static void report_failure(uint64_t sector, unsigned status)
{
    static bw_time_t quiet_until;
    static unsigned unreported;
    bw_time_t now = bw_monotonic();

    unreported++;
    if (now < quiet_until) {
        return;
    }
    bw_log("disk%llu: %u requests failed, the last one at sector %llu (status %u)",
           (unsigned long long)number, unreported, (unsigned long long)sector, status);
    unreported = 0;
    quiet_until = now + 1000000000ull;
}

/* Answers what the disk has done. @return whether there was any */
static bool take_results(void)
{
    uint32_t length;
    int head;
    bool any = false;

    while ((head = virtio_take_used(&virtio, &length)) >= 0) {
        unsigned entry = (unsigned)slot_of_head[head];
        uint8_t status = area->status[entry];

        bw_assert(slots[entry].busy && slots[entry].head == head);
        slots[entry].busy = false;
        in_flight--;
        if (status != STATUS_OK) {
            report_failure(area->header[entry].sector, status);
        }
        complete(entry, status == STATUS_OK ? BW_OK : BW_IO);
        any = true;
    }
    return any;
}

static void serve_posts(void)
{
    bool news;

    virtio_acknowledge(&virtio);
    news = take_results();
    news |= take_requests();
    virtio_unmask();
    if (virtio_broken(&virtio)) {
        bw_panic(__FILE__, __LINE__, "the device works");
    }
    if (news) {
        bw_post(KEY_AT(KR_CLIENT));
    }
}

/* What the earlier client has in flight must be done before another uses its memory. */
static void drain(void)
{
    open = false;
    while (in_flight) {
        bw_wait(BW_NO_DEADLINE);
        virtio_acknowledge(&virtio);
        take_results();
        virtio_unmask();
    }
}

static void open_window(struct message *m)
{
    struct message start_key = {
        .code = DOMAIN_MAKE_START, .word = {POST_SUBMIT}, .take = {KEY_AT(KR_SUBMIT)}};
    struct message get = {.code = SEGMENT_GET, .word = {WINDOW_AT, 1}, .take = {KEY_AT(KR_WINDOW)}};

    drain();
    memset(ring, 0, sizeof(*ring));
    taken = 0;
    bw_copy_key(KEY_AT(KR_ARGUMENT), KEY_AT(KR_CLIENT));
    if ((m->code = bw_call(KEY_AT(KR_SELF), &start_key)) < 0 ||
        (m->code = bw_call(KEY_AT(KR_SPACE), &get)) < 0) {
        return;
    }
    open = true;
    m->send[0] = KEY_AT(KR_WINDOW);
    m->send[1] = KEY_AT(KR_SUBMIT);
}

static void serve(struct message *m)
{
    switch (m->code) {
    case BLOCK_INFO:
        m->code = BW_OK;
        m->word[0] = capacity;
        m->word[1] = can_flush;
        m->word[2] = read_only;
        break;
    case BLOCK_OPEN:
        open_window(m);
        break;
    default:
        m->code = BW_ORDER;
    }
}

/* The window: a node of height 1 full of contiguous pages. */
static int64_t make_window(void)
{
    struct message m = {.code = NUCLEUS_DMA,
                        .word = {WINDOW_AT, BLOCK_WINDOW_PAGES, 0},
                        .send = {KEY_AT(KR_SPACE), KEY_AT(KR_RANGE)}};
    int64_t result = bw_map_fresh(WINDOW_AT, 1);

    m.word[2] = bw_next_id(BLOCK_WINDOW_PAGES);
    if (result >= 0) {
        result = bw_call(KEY_AT(KR_NUCLEUS), &m);
    }
    window_physical = m.word[0];
    return result;
}

static void initialise(void)
{
    int64_t result = virtio_open(&virtio, FEATURE_READ_ONLY | FEATURE_FLUSH,
                                 VIRTIO_QUEUE_PAGES + AREA_PAGES, KEY_AT(KR_NUCLEUS));

    if (result >= 0) {
        result = make_window();
    }
    if (result < 0) {
        bw_log("disk%llu: cannot be opened: %lld\n", (unsigned long long)number, (long long)result);
        bw_exit(1);
    }
    read_only = virtio.features & FEATURE_READ_ONLY;
    can_flush = virtio.features & FEATURE_FLUSH;
    capacity = virtio_config64(&virtio, CONFIG_CAPACITY);
    virtio_ready(&virtio);
    bw_log("disk%llu: %llu MiB%s, queue of %u%s\n", (unsigned long long)number,
           (unsigned long long)capacity / 2048, read_only ? ", read-only" : "", virtio.size,
           can_flush ? "" : ", no flush");
}

int main_native(uint64_t word)
{
    struct message m = {.take = {KEY_AT(KR_ARGUMENT)}};
    char name[32];
    uint16_t reply = 0;

    number = word;
    initialise();
    snprintf(name, sizeof(name), "disk%llu", (unsigned long long)number);
    bw_assert(bw_publish(name, 0) >= 0);
    for (;;) {
        bw_return(reply, &m, KEY_AT(KR_CALLER), 0);
        reply = m.delivery == DELIVERY_MESSAGE ? KEY_AT(KR_CALLER) : 0;
        if (reply) {
            serve(&m);
        } else {
            serve_posts();
        }
    }
}
