/*
 * The driver of the ATA disks at one controller: two channels of two drives. Each disk found is
 * "diskN" with N from our word on; it and each of its parts has a client and a window of its own
 * (block.h); a channel works at one request at a time, for all that are on its two disks in turn.
 *
 * Posts are only hints: whatever comes, all channels and rings are looked at. Interrupt lines are
 * edge triggered; one is let through again when the channel's answer has been taken.
 */
#include "ata.h"
#include "block_server.h"

#include <bailiwick/pci.h>
#include <string.h>

#define KR_FUNCTION (KR_PROGRAM + PCI_FUNCTION)
#define KR_NUCLEUS  (KR_PROGRAM + 4)
#define KR_CHANNELS 24 /* PCI_CHANNEL's four keys for each */

#define CHANNELS    2u
#define DISKS       (2 * CHANNELS)
#define SERVERS_MAX (DISKS + BLOCK_PARTS)
#define TABLES_AT   0x10000000ul /* the bus masters' */
#define POST_IRQ    1u           /* both lines' */

static struct ata_channel channels[CHANNELS];
static struct block_server servers[SERVERS_MAX]; /* the disks, then their parts */
static unsigned count = DISKS;                   /* of these */
/* the request that a channel works at: of which server, and its entry in the ring */
static struct block_server *working[CHANNELS];
static unsigned entries[CHANNELS];
static unsigned turns[CHANNELS]; /* who is asked first for the next one */

static uint16_t channel_key(unsigned n, enum pci_channel_key which)
{
    return KEY_AT(KR_CHANNELS + 4 * n + which);
}

static void finish(unsigned n, enum ata_outcome outcome)
{
    struct ata_channel *c = &channels[n];
    struct block_server *s = working[n];

    if (outcome == ATA_TIMEOUT) {
        bw_log("disk%llu: does not answer\n", (unsigned long long)s->number);
    }
    if (outcome != ATA_DONE) {
        block_failed(s, c->request.sector, c->error);
    }
    block_complete(s, entries[n], outcome == ATA_DONE ? BW_OK : BW_IO);
}

/* Gives the idle channel a request. @return false: there is none */
static bool begin(unsigned n)
{
    static const uint8_t operation[] = {
        [BLOCK_READ] = ATA_READ, [BLOCK_WRITE] = ATA_WRITE, [BLOCK_FLUSH] = ATA_FLUSH};
    struct block_request r;

    for (unsigned i = 0; i < count; i++) {
        struct block_server *s = &servers[turns[n]];
        uint64_t offset;
        enum ata_outcome outcome;

        turns[n] = (turns[n] + 1) % count;
        if (s->unit / 2 != n || !block_next(s, &r, &entries[n])) {
            continue;
        }
        block_taken(s);
        working[n] = s;
        offset = r.operation == BLOCK_FLUSH ? 0 : (uint64_t)r.page * BW_PAGE_SIZE;
        outcome = ata_begin(&channels[n], s->unit % 2,
                            &(struct ata_request){.operation = operation[r.operation],
                                                  .sector = r.sector,
                                                  .sectors = r.sectors,
                                                  .data = (uint8_t *)s->window + offset,
                                                  .physical = s->physical + offset});
        if (outcome != ATA_BUSY) {
            finish(n, outcome);
        }
        return true;
    }
    return false;
}

static void work(void)
{
    struct message unmask = {.code = IRQ_UNMASK};

    for (unsigned n = 0; n < CHANNELS; n++) {
        enum ata_outcome outcome = ata_step(&channels[n]);

        if (outcome != ATA_IDLE && outcome != ATA_BUSY) {
            finish(n, outcome);
        }
        bw_call(channel_key(n, PCI_CHANNEL_IRQ), &unmask);
        while (channels[n].state == ATA_IDLE && begin(n)) {
        }
        unmask.code = IRQ_UNMASK;
    }
    for (unsigned n = 0; n < count; n++) {
        block_tell(&servers[n]);
    }
}

static bw_time_t deadline(void)
{
    return channels[0].deadline < channels[1].deadline ? channels[0].deadline
                                                       : channels[1].deadline;
}

static void serve(unsigned place, struct message *m)
{
    struct block_server *s = &servers[place];

    if (m->code == BLOCK_OPEN) {
        block_close(s);
        while (s->in_flight) {
            bw_wait(deadline());
            work();
        }
    }
    block_serve(servers, place, &count, SERVERS_MAX, KEY_AT(KR_NUCLEUS), m);
}

/* --- the start -------------------------------------------------------------------------------- */

static int64_t bind_interrupt(unsigned n)
{
    struct message start = {
        .code = DOMAIN_MAKE_START, .word = {POST_IRQ}, .take = {KEY_AT(KR_SCRATCH)}};
    struct message bind = {.code = IRQ_BIND, .send = {KEY_AT(KR_SCRATCH)}};
    int64_t result = bw_call(KEY_AT(KR_SELF), &start);

    return result < 0 ? result : bw_call(channel_key(n, PCI_CHANNEL_IRQ), &bind);
}

static int64_t open_channel(unsigned n, uint64_t physical)
{
    struct ata_channel *c = &channels[n];
    struct message m = {.code = PCI_CHANNEL, .word = {n}};
    int64_t result;

    for (unsigned key = 0; key < 4; key++) {
        m.take[key] = channel_key(n, key);
    }
    result = bw_call(KEY_AT(KR_FUNCTION), &m);
    if (result < 0) {
        return result;
    }
    c->command = channel_key(n, PCI_CHANNEL_COMMAND);
    c->control = channel_key(n, PCI_CHANNEL_CONTROL);
    c->master = m.word[0] ? channel_key(n, PCI_CHANNEL_MASTER) : 0;
    c->prd = (volatile struct ata_prd *)TABLES_AT + n * ATA_PRD_MAX;
    c->prd_physical = physical + n * ATA_PRD_MAX * sizeof(struct ata_prd);
    ata_find(c);
    return bind_interrupt(n);
}

/* The page of both bus masters' tables. */
static int64_t make_tables(uint64_t *physical)
{
    struct message m = {
        .code = NUCLEUS_DMA, .word = {TABLES_AT, 1}, .send = {KEY_AT(KR_SPACE), KEY_AT(KR_RANGE)}};
    int64_t result = bw_map_fresh(TABLES_AT, 1);

    m.word[2] = bw_next_id(1);
    if (result >= 0) {
        result = bw_call(KEY_AT(KR_NUCLEUS), &m);
    }
    *physical = m.word[0];
    return result;
}

static void open_disk(unsigned n, uint64_t number)
{
    const struct ata_drive *d = &channels[n / 2].drive[n % 2];
    struct block_server *s = &servers[n];
    int64_t result;

    *s = (struct block_server){
        .number = number, .unit = n, .capacity = d->sectors, .can_flush = d->flush};
    result = block_make_window(s, n, KEY_AT(KR_NUCLEUS));
    if (result < 0) {
        bw_log("disk%llu: no window: %lld\n", (unsigned long long)number, (long long)result);
        return;
    }
    bw_log("disk%llu: %llu MiB, ATA, %s%s%s: %s\n", (unsigned long long)number,
           (unsigned long long)d->sectors / 2048, d->dma ? "DMA" : "PIO",
           d->wide ? ", 48 bits" : "", d->flush ? "" : ", no flush", d->model);
    block_publish(s);
}

static bool find_disks(uint64_t first)
{
    struct message master = {.code = PCI_MASTER, .word = {1}};
    uint64_t physical = 0;
    int64_t result = make_tables(&physical);
    bool any = false;

    if (result >= 0) {
        result = block_prepare();
    }
    for (unsigned n = 0; n < CHANNELS && result >= 0; n++) {
        result = open_channel(n, physical);
    }
    if (result < 0) {
        bw_log("ata: the controller cannot be opened: %lld\n", (long long)result);
        bw_exit(1);
    }
    bw_call(KEY_AT(KR_FUNCTION), &master);
    for (unsigned n = 0; n < DISKS; n++) {
        if (channels[n / 2].drive[n % 2].present) {
            open_disk(n, first + n);
            any = true;
        }
    }
    return any;
}

int main_native(uint64_t word)
{
    struct message m = {.take = {KEY_AT(KR_ARGUMENT)}};
    uint16_t reply = 0;

    if (!find_disks(word)) {
        bw_exit(0);
    }
    for (;;) {
        m.deadline = deadline();
        bw_return(reply, &m, KEY_AT(KR_CALLER), 0);
        reply = m.delivery == DELIVERY_MESSAGE ? KEY_AT(KR_CALLER) : 0;
        if (!reply) {
            work();
        } else if (m.badge >= BLOCK_POST_SUBMIT && m.badge < BLOCK_POST_SUBMIT + count) {
            serve(m.badge - BLOCK_POST_SUBMIT, &m);
        } else {
            m.code = BW_ORDER;
        }
    }
}
