/*
 * Commands to ATA drives (ATA8-ACS) through the registers of a PC's controller: PIO, or DMA by its
 * bus master (SFF-8038i, "Programming Interface for Bus Master IDE Controller").
 *
 * PIO transfers one sector for each interrupt: before it on reading, behind it on writing, where
 * the first is asked for without one.
 */
#include "ata.h"
#include "ports.h"

#include <string.h>

enum command_register {
    REG_DATA = 0,
    REG_ERROR = 1, /* features when written */
    REG_COUNT = 2,
    REG_LOW = 3,
    REG_MIDDLE = 4,
    REG_HIGH = 5,
    REG_DEVICE = 6,
    REG_STATUS = 7, /* the command when written; reading it ends the interrupt */
};
#define STATUS_ERROR  0x01u
#define STATUS_DATA   0x08u
#define STATUS_FAULT  0x20u
#define STATUS_BUSY   0x80u
#define STATUS_NOBODY 0xffu /* what an empty bus reads as */
#define DEVICE_LBA    0x40u
#define DEVICE_SECOND 0x10u
#define DEVICE_FIXED  0xa0u /* set in old drives */

#define CONTROL_RESET        0x04u
#define CONTROL_NO_INTERRUPT 0x02u

enum ata_command {
    COMMAND_READ = 0x20,
    COMMAND_READ_WIDE = 0x24,
    COMMAND_READ_DMA_WIDE = 0x25,
    COMMAND_WRITE = 0x30,
    COMMAND_WRITE_WIDE = 0x34,
    COMMAND_WRITE_DMA_WIDE = 0x35,
    COMMAND_READ_DMA = 0xc8,
    COMMAND_WRITE_DMA = 0xca,
    COMMAND_FLUSH = 0xe7,
    COMMAND_FLUSH_WIDE = 0xea,
    COMMAND_IDENTIFY = 0xec,
};

enum master_register {
    MASTER_COMMAND = 0,
    MASTER_STATUS = 2,
    MASTER_TABLE = 4,
};
#define MASTER_START     0x01u
#define MASTER_TO_MEMORY 0x08u
#define MASTER_ACTIVE    0x01u
#define MASTER_ERROR     0x02u
#define MASTER_INTERRUPT 0x04u
#define PRD_LAST         0x8000u
#define PRD_SPAN         0x10000u

/* Words of IDENTIFY. */
#define WORD_CAPABILITIES 49u
#define WORD_SECTORS_28   60u
#define WORD_COMMANDS     83u
#define WORD_SECTORS_48   100u
#define WORD_SECTOR_SIZE  106u
#define WORD_MODEL        27u
#define WORD_INTEGRITY    255u
#define IDENTIFY_WORDS    256u
#define CAPABLE_DMA       0x0100u
#define CAPABLE_LBA       0x0200u
#define COMMANDS_VALID    0x4000u /* with 0x8000 clear */
#define COMMANDS_WIDE     0x0400u
#define COMMANDS_FLUSH    0x1000u
#define COMMANDS_FLUSH_W  0x2000u
#define LARGE_SECTORS     0x1000u
#define INTEGRITY_VALID   0xa5u /* low byte: all bytes sum up to 0 */
#define SECTORS_MOST_28   ((uint64_t)1 << 28)
#define SECTORS_MOST_48   ((uint64_t)1 << 48)

#define AT_ONCE_28 256u /* sectors of one command with 28 address bits */

#define PATIENCE       10000000000ull /* ns for a command; stored gives up after 30 s */
#define LESS_PATIENCE  2000000000ull
#define RESET_PATIENCE 5000000000ull
#define READY_PATIENCE 1000000000ull

static unsigned in(const struct ata_channel *c, enum command_register reg)
{
    return port_in(c->command, reg, 1);
}

static void out(const struct ata_channel *c, enum command_register reg, uint64_t value)
{
    port_out(c->command, reg, 1, (uint8_t)value);
}

/* The status, without an effect on the interrupt. */
static unsigned status(const struct ata_channel *c)
{
    return port_in(c->control, 0, 1);
}

/* 400 ns, after which the status is that of the drive selected or the command given. */
static void settle(const struct ata_channel *c)
{
    for (unsigned n = 0; n < 4; n++) {
        status(c);
    }
}

static bool wait_ready(const struct ata_channel *c, bw_time_t patience)
{
    bw_time_t until = bw_monotonic() + patience;

    while (status(c) & STATUS_BUSY) {
        if (bw_monotonic() > until) {
            return false;
        }
        port_pause();
    }
    return true;
}

static void pass(bw_time_t ns)
{
    bw_time_t until = bw_monotonic() + ns;

    while (bw_monotonic() < until) {
        port_pause();
    }
}

static void select_drive(struct ata_channel *c, unsigned drive, unsigned more)
{
    out(c, REG_DEVICE, DEVICE_FIXED | DEVICE_LBA | (drive ? DEVICE_SECOND : 0) | more);
    if (c->selected != drive + 1) {
        settle(c);
        c->selected = drive + 1;
    }
}

static void stop_master(const struct ata_channel *c)
{
    if (c->master) {
        port_out(c->master, MASTER_COMMAND, 1, 0);
        port_out(c->master, MASTER_STATUS, 1,
                 (port_in(c->master, MASTER_STATUS, 1) & 0x60) | MASTER_ERROR | MASTER_INTERRUPT);
    }
}

static void become_idle(struct ata_channel *c)
{
    c->state = ATA_IDLE;
    c->deadline = BW_NO_DEADLINE;
}

static bool reset(struct ata_channel *c)
{
    stop_master(c);
    c->selected = 0;
    select_drive(c, 0, 0); /* whose status says when it is over; that of a missing drive does not */
    port_out(c->control, 0, 1, CONTROL_RESET | CONTROL_NO_INTERRUPT);
    pass(10000); /* 5 us at least */
    port_out(c->control, 0, 1, CONTROL_NO_INTERRUPT);
    pass(2000000); /* 2 ms as well */
    c->selected = 0;
    become_idle(c);
    return status(c) == STATUS_NOBODY || wait_ready(c, RESET_PATIENCE);
}

static enum ata_outcome fail(struct ata_channel *c, enum ata_outcome how)
{
    c->error = in(c, REG_ERROR) | status(c) << 8;
    c->drive[c->working].silent = how == ATA_TIMEOUT;
    stop_master(c);
    become_idle(c);
    if (status(c) & (STATUS_BUSY | STATUS_DATA)) { /* in the middle of something */
        reset(c);
        port_out(c->control, 0, 1, 0);
    }
    return how;
}

/* --- finding drives --------------------------------------------------------------------------- */

static uint64_t words(const uint16_t *id, unsigned first, unsigned count)
{
    uint64_t value = 0;

    for (unsigned n = count; n-- > 0;) {
        value = value << 16 | id[first + n];
    }
    return value;
}

/* Each word has the first of its two characters on top. */
static void take_model(char model[41], const uint16_t *id)
{
    size_t length = 0;

    for (unsigned n = 0; n < 40; n++) {
        char c = (char)(id[WORD_MODEL + n / 2] >> (n % 2 ? 0 : 8));

        model[n] = c > ' ' && c <= '~' ? c : ' ';
        length = model[n] != ' ' ? n + 1 : length;
    }
    model[length] = '\0';
}

static bool is_intact(const uint16_t *id)
{
    uint8_t sum = 0;

    for (unsigned n = 0; n < IDENTIFY_WORDS; n++) {
        sum = (uint8_t)(sum + id[n] + (id[n] >> 8));
    }
    return (id[WORD_INTEGRITY] & 0xff) != INTEGRITY_VALID || sum == 0;
}

/* What IDENTIFY says. A drive that says nothing (all 0) is none. */
static void understand(struct ata_channel *c, struct ata_drive *d, const uint16_t *id)
{
    unsigned commands = id[WORD_COMMANDS];
    unsigned sizes = id[WORD_SECTOR_SIZE];

    if ((commands & 0xc000) != COMMANDS_VALID) {
        commands = 0;
    }
    d->wide = commands & COMMANDS_WIDE;
    d->sectors = d->wide ? words(id, WORD_SECTORS_48, 4) : words(id, WORD_SECTORS_28, 2);
    d->dma = c->master && id[WORD_CAPABILITIES] & CAPABLE_DMA;
    d->flush_wide = d->wide && commands & COMMANDS_FLUSH_W;
    d->flush = d->flush_wide || commands & COMMANDS_FLUSH;
    take_model(d->model, id);
    d->present = id[WORD_CAPABILITIES] & CAPABLE_LBA && d->sectors;
    if (d->present && (sizes & 0xc000) == COMMANDS_VALID && sizes & LARGE_SECTORS) {
        bw_log("ata: %s has sectors of other than 512 bytes: left alone\n", d->model);
        d->present = false;
    } else if (d->present &&
               (d->sectors > (d->wide ? SECTORS_MOST_48 : SECTORS_MOST_28) || !is_intact(id))) {
        bw_log("ata: what %s says of itself cannot be true: left alone\n", d->model);
        d->present = false;
    }
}

static bool identify(struct ata_channel *c, unsigned drive, uint16_t id[IDENTIFY_WORDS])
{
    unsigned s;

    select_drive(c, drive, 0);
    s = status(c);
    if (s == 0 || s == STATUS_NOBODY || !wait_ready(c, READY_PATIENCE)) {
        return false;
    }
    out(c, REG_STATUS, COMMAND_IDENTIFY);
    settle(c);
    if (status(c) == 0 || !wait_ready(c, READY_PATIENCE)) {
        return false;
    }
    s = in(c, REG_STATUS);
    if (s & (STATUS_ERROR | STATUS_FAULT) || !(s & STATUS_DATA)) {
        return false; /* not ATA: a CD */
    }
    port_in_words(c->command, REG_DATA, id, IDENTIFY_WORDS);
    return true;
}

void ata_find(struct ata_channel *c)
{
    uint16_t id[IDENTIFY_WORDS];

    memset(c->drive, 0, sizeof(c->drive));
    become_idle(c);
    if (status(c) == STATUS_NOBODY || !reset(c)) {
        return;
    }
    for (unsigned n = 0; n < 2; n++) {
        if (identify(c, n, id)) {
            understand(c, &c->drive[n], id);
        }
    }
    port_out(c->control, 0, 1, 0); /* interrupts from now on */
}

/* --- commands --------------------------------------------------------------------------------- */

static bool by_master(const struct ata_channel *c)
{
    return c->request.operation != ATA_FLUSH && c->drive[c->working].dma;
}

static enum ata_command command_of(const struct ata_drive *d, enum ata_operation operation)
{
    static const uint8_t transfers[2][2][2] = {
        {{COMMAND_READ, COMMAND_READ_WIDE}, {COMMAND_READ_DMA, COMMAND_READ_DMA_WIDE}},
        {{COMMAND_WRITE, COMMAND_WRITE_WIDE}, {COMMAND_WRITE_DMA, COMMAND_WRITE_DMA_WIDE}}};

    if (operation == ATA_FLUSH) {
        return d->flush_wide ? COMMAND_FLUSH_WIDE : COMMAND_FLUSH;
    }
    return transfers[operation == ATA_WRITE][d->dma][d->wide];
}

/* Each register has two places with 48 bits, of which the older is written first. */
static void set_address(struct ata_channel *c)
{
    uint64_t sector = c->request.sector;

    if (c->drive[c->working].wide) {
        out(c, REG_COUNT, c->left >> 8);
        out(c, REG_LOW, sector >> 24);
        out(c, REG_MIDDLE, sector >> 32);
        out(c, REG_HIGH, sector >> 40);
    } else {
        select_drive(c, c->working, sector >> 24 & 0x0f);
    }
    out(c, REG_COUNT, c->left);
    out(c, REG_LOW, sector);
    out(c, REG_MIDDLE, sector >> 8);
    out(c, REG_HIGH, sector >> 16);
}

static unsigned direction(const struct ata_channel *c)
{
    return c->request.operation == ATA_READ ? MASTER_TO_MEMORY : 0;
}

static void prepare_master(struct ata_channel *c)
{
    uint64_t at = c->request.physical;
    uint64_t end = at + (uint64_t)c->left * ATA_SECTOR;

    for (unsigned n = 0; at < end; n++) {
        uint64_t stop = (at / PRD_SPAN + 1) * PRD_SPAN;

        stop = stop < end ? stop : end;
        bw_assert(n < ATA_PRD_MAX);
        c->prd[n].address = (uint32_t)at;
        c->prd[n].bytes = (uint16_t)(stop - at);
        c->prd[n].flags = stop == end ? PRD_LAST : 0;
        at = stop;
    }
    stop_master(c);
    port_out(c->master, MASTER_TABLE, 4, (uint32_t)c->prd_physical);
    port_out(c->master, MASTER_COMMAND, 1, direction(c));
}

/* The drive asks for the first sector of a write without an interrupt. */
static enum ata_outcome write_first(struct ata_channel *c)
{
    if (!wait_ready(c, READY_PATIENCE)) {
        return fail(c, ATA_TIMEOUT);
    }
    if (!(status(c) & STATUS_DATA)) {
        return fail(c, ATA_FAILED);
    }
    port_out_words(c->command, REG_DATA, c->request.data, ATA_SECTOR / 2);
    return ATA_BUSY;
}

static bw_time_t patience(const struct ata_channel *c)
{
    return bw_monotonic() + (c->drive[c->working].silent ? LESS_PATIENCE : PATIENCE);
}

/* The next command of the request. */
static enum ata_outcome start(struct ata_channel *c)
{
    const struct ata_drive *d = &c->drive[c->working];
    enum ata_operation operation = c->request.operation;

    c->state = ATA_BUSY;
    c->deadline = patience(c);
    select_drive(c, c->working, 0);
    if (!wait_ready(c, READY_PATIENCE)) {
        return fail(c, ATA_TIMEOUT);
    }
    c->left = c->request.sectors;
    if (!d->wide && c->left > AT_ONCE_28) {
        c->left = AT_ONCE_28;
    }
    if (operation != ATA_FLUSH) {
        set_address(c);
    }
    if (by_master(c)) {
        prepare_master(c);
    }
    out(c, REG_STATUS, command_of(d, operation));
    if (by_master(c)) {
        port_out(c->master, MASTER_COMMAND, 1, direction(c) | MASTER_START);
        return ATA_BUSY;
    }
    settle(c); /* or it would seem to be done */
    return operation == ATA_WRITE ? write_first(c) : ATA_BUSY;
}

/* So many sectors of the request are done. @return whether the command is */
static bool advance(struct ata_channel *c, uint32_t sectors)
{
    c->request.sector += sectors;
    c->request.sectors -= sectors;
    c->request.data += (size_t)sectors * ATA_SECTOR;
    c->request.physical += (uint64_t)sectors * ATA_SECTOR;
    c->left -= sectors;
    return c->left == 0;
}

/* The command is done. */
static enum ata_outcome next(struct ata_channel *c)
{
    if (c->request.operation != ATA_FLUSH && c->request.sectors) {
        return start(c);
    }
    become_idle(c);
    return ATA_DONE;
}

static enum ata_outcome step_master(struct ata_channel *c)
{
    unsigned master = port_in(c->master, MASTER_STATUS, 1);
    unsigned s = in(c, REG_STATUS);

    stop_master(c);
    if (master & (MASTER_ERROR | MASTER_ACTIVE) ||
        s & (STATUS_BUSY | STATUS_DATA | STATUS_ERROR | STATUS_FAULT)) {
        return fail(c, ATA_FAILED);
    }
    advance(c, c->left);
    return next(c);
}

static enum ata_outcome step_processor(struct ata_channel *c)
{
    enum ata_operation operation = c->request.operation;
    unsigned s = in(c, REG_STATUS);
    bool wants_data; /* it has a sector for us, or room for one */

    if (operation == ATA_FLUSH) {
        return s & (STATUS_ERROR | STATUS_FAULT) ? fail(c, ATA_FAILED) : next(c);
    }
    wants_data = operation == ATA_READ || c->left > 1;
    if (s & (STATUS_ERROR | STATUS_FAULT) || !(s & STATUS_DATA) == wants_data) {
        return fail(c, ATA_FAILED);
    }
    if (operation == ATA_READ) {
        port_in_words(c->command, REG_DATA, c->request.data, ATA_SECTOR / 2);
    }
    if (advance(c, 1)) {
        return next(c);
    }
    if (operation == ATA_WRITE) {
        port_out_words(c->command, REG_DATA, c->request.data, ATA_SECTOR / 2);
    }
    c->deadline = patience(c);
    return ATA_BUSY;
}

/* Whether the drive has come to an end of what it was told. */
static bool has_answered(const struct ata_channel *c)
{
    return by_master(c) ? port_in(c->master, MASTER_STATUS, 1) & MASTER_INTERRUPT
                        : !(status(c) & STATUS_BUSY);
}

enum ata_outcome ata_begin(struct ata_channel *c, unsigned drive, const struct ata_request *r)
{
    c->request = *r;
    c->working = drive;
    return start(c);
}

enum ata_outcome ata_step(struct ata_channel *c)
{
    if (c->state == ATA_IDLE) {
        in(c, REG_STATUS); /* whatever it was that interrupted */
        return ATA_IDLE;
    }
    if (!has_answered(c)) {
        return bw_monotonic() < c->deadline ? ATA_BUSY : fail(c, ATA_TIMEOUT);
    }
    c->drive[c->working].silent = false;
    return by_master(c) ? step_master(c) : step_processor(c);
}
