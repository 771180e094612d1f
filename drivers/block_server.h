/*
 * The driver's side of block.h for one disk: its window, its one client, and the requests in the
 * ring; the same for all kinds of disk.
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

struct block_server {
    /* set by the driver */
    uint64_t number;   /* the disk's: "diskN" */
    uintptr_t window;  /* where it is mapped: 1 MiB, aligned */
    uint8_t badge;     /* of the client's posts */
    uint8_t client;    /* register: start key that the client wants to be posted */
    uint8_t given;     /* two registers from here on: what BLOCK_OPEN gives */
    uint64_t capacity; /* in sectors */
    bool read_only, can_flush;

    /* the rest is block_server.c's */
    uint64_t physical; /* of the window */
    bool open;
    bool news;             /* something is complete that the client was not told of */
    uint32_t taken;        /* requests up to here have been taken from the ring, in order */
    unsigned in_flight;    /* those taken that are not complete */
    bool busy[BLOCK_RING]; /* which */
    bw_time_t quiet_until;
    unsigned unreported;
};

/** Makes the window; `nucleus` is the place of KEY_NUCLEUS. */
int64_t block_make_window(struct block_server *s, uint16_t nucleus);
/** Publishes "diskN". */
void block_publish(const struct block_server *s);

/** The next request that wants the disk, copied to *r, and its ring entry; others are answered.
 * @return false: there is none */
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
/** Serves an order of block.h. */
void block_serve(struct block_server *s, struct message *m);

#endif
