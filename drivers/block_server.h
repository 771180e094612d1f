/*
 * The driver's side of block.h for one disk, or part of one: its window, its one client, and the
 * requests in the ring; the same for all kinds of disk. A driver has a row of them: first its
 * disks, then their parts as they come. Place n in the row is also in the badge of the client's
 * posts.
 *
 * A driver takes requests with block_next and block_taken while the disk has room, says what became
 * of each with block_complete, and at the end of its turn tells the client with block_tell. What is
 * read from the ring is copied and checked before it is used: the client may change it at any time.
 */
#ifndef DRIVERS_BLOCK_SERVER_H
#define DRIVERS_BLOCK_SERVER_H

#include <bailiwick/block.h>
#include <bailiwick/runtime.h>

#include <stdbool.h>

#define BLOCK_PARTS       16u /* of all disks of a driver */
#define BLOCK_POST_SUBMIT 2u  /* badge of the first one's client */

#define BLOCK_WINDOWS_AT 0x20000000ul
#define BLOCK_KR_CLIENTS 11                /* node: start keys that the clients want to be posted */
#define BLOCK_KR_GIVEN   (KR_ARGUMENT + 2) /* .. +3: what BLOCK_OPEN gives */

struct block_server {
    /* set by the driver */
    uint64_t number;   /* the disk's: "diskN" */
    unsigned unit;     /* which of the driver's disks it is, or is on */
    uint64_t capacity; /* in sectors */
    bool read_only, can_flush;

    /* the rest is block_server.c's */
    unsigned place;    /* in the row */
    uint64_t first;    /* sector of the disk */
    uintptr_t window;  /* where it is mapped: 1 MiB, aligned */
    uint64_t physical; /* of that */
    bool open;
    bool news;             /* something is complete that the client was not told of */
    uint32_t taken;        /* requests up to here have been taken from the ring, in order */
    unsigned in_flight;    /* those taken that are not complete */
    bool busy[BLOCK_RING]; /* which */
    bw_time_t quiet_until;
    unsigned unreported;
};

/** For all of the driver's disks; once. */
int64_t block_prepare(void);
/** Makes the window; `nucleus` is the place of KEY_NUCLEUS. */
int64_t block_make_window(struct block_server *s, unsigned place, uint16_t nucleus);
/** Publishes "diskN". */
void block_publish(const struct block_server *s);

/** The next request that wants the disk, copied to *r with its sector counted from the disk's first
 * one, and its ring entry; others are answered. @return false: there is none */
bool block_next(struct block_server *s, struct block_request *r, unsigned *entry);
/** The request that block_next gave is in flight. */
void block_taken(struct block_server *s);
void block_complete(struct block_server *s, unsigned entry, int32_t status);
/** Posts to the client if there is news for it. */
void block_tell(struct block_server *s);
/** Logs a failure, one line a second at most: a disk that dies fails every request. */
void block_failed(struct block_server *s, uint64_t sector, unsigned status);

/** No more requests are taken: before another client's BLOCK_OPEN is served, those in flight must
 * be complete, since they use the window. */
void block_close(struct block_server *s);
/** Serves an order of block.h to the one in `row` at `place`. Of `count` servers; a part becomes
 * one more, up to `max`. */
void block_serve(struct block_server *row, unsigned place, unsigned *count, unsigned max,
                 uint16_t nucleus, struct message *m);

#endif
