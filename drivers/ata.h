/*
 * One channel of an ATA controller: registers that two drives share, of which one works at a time.
 *
 * A channel is IDLE, or has one command under way. ata_begin gives it a request, ata_step says what
 * has become of it; both return at once. A request that is longer than one command may be is made
 * of several. Whoever owns the channel calls ata_step at its interrupts and when `deadline` has
 * passed, and looks for nothing else in between.
 */
#ifndef DRIVERS_ATA_H
#define DRIVERS_ATA_H

#include <bailiwick/runtime.h>

#include <stdbool.h>

#define ATA_SECTOR  512u
#define ATA_PRD_MAX 32u /* regions of one transfer: 1 MiB, cut at each 64 KiB */

struct ata_drive {
    bool present;
    bool wide;       /* 48 address bits */
    bool dma;        /* can do it, and so can the channel */
    bool flush;      /* has a cache to be flushed, and the command */
    bool flush_wide; /* by its 48-bit form */
    bool silent;     /* it has not answered the last command: the next has less time */
    uint64_t sectors;
    char model[41];
};

/** A region of memory for the bus master; none crosses 64 KiB. */
struct ata_prd {
    uint32_t address;
    uint16_t bytes; /* 0: 64 KiB */
    uint16_t flags;
};

enum ata_operation {
    ATA_READ,
    ATA_WRITE,
    ATA_FLUSH,
};

struct ata_request {
    enum ata_operation operation;
    uint64_t sector;
    uint32_t sectors;
    uint8_t *data;     /* where it is mapped */
    uint64_t physical; /* contiguous, below 4 GiB, even */
};

enum ata_outcome {
    ATA_IDLE,    /* nothing is under way */
    ATA_BUSY,    /* not done yet */
    ATA_DONE,    /* and idle now */
    ATA_FAILED,  /* the drive says so; idle now */
    ATA_TIMEOUT, /* the drive says nothing; the channel was reset and is idle now */
};

struct ata_channel {
    /* set by the owner: places of keys, and memory */
    uint16_t command, control, master; /* master 0: no bus master, all by the processor */
    volatile struct ata_prd *prd;      /* ATA_PRD_MAX of them */
    uint64_t prd_physical;

    struct ata_drive drive[2];
    unsigned selected; /* drive, plus 1; 0: not known */
    /* the command under way */
    enum ata_outcome state;     /* IDLE or BUSY */
    unsigned working;           /* drive */
    struct ata_request request; /* what is left of it */
    uint32_t left;              /* sectors of the command */
    unsigned error;             /* of the last failure: error register, status << 8 */
    bw_time_t deadline;         /* BW_NO_DEADLINE when idle */
};

/** Resets the channel and finds its drives. */
void ata_find(struct ata_channel *c);
/** Starts a request on an idle channel. @return BUSY, FAILED or TIMEOUT */
enum ata_outcome ata_begin(struct ata_channel *c, unsigned drive, const struct ata_request *r);
enum ata_outcome ata_step(struct ata_channel *c);

#endif
