/*
 * Block devices, the same for each kind of disk driver (virtio-blk, ATA, ...).
 *
 * A client calls the driver's start key:
 *   BLOCK_INFO -> w0 sectors of 512 bytes, w1 1 if a flush is needed for durability, w2 read-only
 *   BLOCK_OPEN  k0: start key that the driver posts to when requests are complete
 *               -> k0: a segment of height 1 (BLOCK_WINDOW_PAGES pages), physically contiguous
 *                  memory that both share; k1: start key that the client posts to when it has put
 *                  requests there. One client at a time; opening again ends the earlier one's.
 *   BLOCK_PART  w0 first sector, w1 sectors, w2 n, 1 or more: that part is a disk of its own from
 *               now on, with a window of its own, whose clients cannot reach beyond it:
 *               BLOCK_PART_OF(N, n) of "diskN", at the same driver. Of a whole disk only.
 *               BW_ARGUMENT: not within it, or another part is in the way. BW_LIMIT: too many
 *
 * Then all traffic goes through the shared window: page 0 is a struct block_ring, pages 1.. data.
 *
 * The client fills ring.request[i % BLOCK_RING], then advances `submitted` (a release store) and
 * posts. The driver takes requests from its own count up to `submitted`, keeps several in flight,
 * and may complete them in any order: it sets request.status, then sets `done` in it (release), and
 * posts. The client reuses an entry only after it has seen `done`. A flush completes when every
 * write that was *done* before the flush was submitted is durable. Neither believes the other:
 * indices are masked, ranges checked.
 */
#ifndef BAILIWICK_BLOCK_H
#define BAILIWICK_BLOCK_H

#include <stdint.h>

enum block_order {
    BLOCK_INFO = 1,
    BLOCK_OPEN = 2,
    BLOCK_PART = 3,
};

/* The numbers of disks: "disk3" is a whole one, "disk203" the second part of it. */
#define BLOCK_WHOLE_MAX     100u
#define BLOCK_PART_OF(d, n) ((d) + (n) * (uint64_t)BLOCK_WHOLE_MAX)
#define BLOCK_PART_MAX      128u

#define BLOCK_WINDOW_PAGES 256u
#define BLOCK_RING         64u
#define BLOCK_SECTOR       512u

enum block_operation {
    BLOCK_READ = 1,
    BLOCK_WRITE = 2,
    BLOCK_FLUSH = 3,
};

struct block_request {
    uint32_t operation; /* enum block_operation */
    uint32_t page;      /* first window page of the data, 1 .. BLOCK_WINDOW_PAGES - 1 */
    uint64_t sector;
    uint32_t sectors; /* at most 8 * pages left in the window */
    int32_t status;   /* enum bw_result, by the driver: BW_OK, BW_IO, BW_ARGUMENT */
    uint32_t done;    /* by the driver: 1 */
    uint32_t reserved;
};
_Static_assert(sizeof(struct block_request) == 32, "ABI: block request");

struct block_ring {
    uint32_t submitted; /* by the client, counts all requests ever, wraps */
    uint32_t reserved[15];
    struct block_request request[BLOCK_RING];
};

#endif
