/*
 * The window that the personality and the relay share: channels, each one socket whose other end
 * is, or will be, in another district. It lies at IMAGE_WINDOW(4) of both programs, and all of it
 * is ordinary memory of the district.
 *
 * Each field has one writer. Those below CHANNELS_OURS are taken by the personality (to listen or
 * to connect), the others by the relay (for a connection that comes in). The life of a channel:
 *
 *   want (personality)      state (relay)
 *   NOTHING                 IDLE                 free
 *   LISTEN                  IDLE                 connections to `name` are taken
 *   CONNECT                 IDLE                 being connected to district/name
 *   CONNECT                 OPEN or FAILED       bytes flow; or `error` says why not
 *   NOTHING                 INCOMING             somebody has connected to the listening channel
 *                                                `listener`; the personality is to take it
 *   DATA                    INCOMING             bytes flow; who connects is told so
 *   DONE                    any                  the personality is through with it
 *   DONE                    ENDED                the relay is too; the personality frees it
 *   NOTHING                 ENDED                the relay makes it IDLE
 *
 * Bytes: heads and tails count all bytes ever and wrap at 2^32. `out` goes to the other side: the
 * personality puts, and out_tail is how many the other side has taken. `in` comes from it.
 */
#ifndef UNIX_CHANNELS_H
#define UNIX_CHANNELS_H

#include <stdint.h>
#include <bailiwick/image.h>
#include <bailiwick/link.h>

#define CHANNELS      32u
#define CHANNELS_OURS 16u
#define CHANNEL_RING  4096u

enum channel_want { WANT_NOTHING, WANT_LISTEN, WANT_CONNECT, WANT_DATA, WANT_DONE };
enum channel_state {
    CHANNEL_IDLE,
    CHANNEL_OPEN,
    CHANNEL_FAILED,
    CHANNEL_INCOMING,
    CHANNEL_ENDED, /* not IDLE, which it is while it connects, too: DONE may not have been seen yet */
};

struct channel {
    /* by the personality */
    uint32_t want;
    uint32_t out_head, in_tail;
    uint32_t out_over;                /* nothing comes behind out_head */
    char district[DISTRICT_NAME_MAX]; /* below CHANNELS_OURS; else by the relay: who connects */
    char name[LINK_NAME_MAX];
    /* by the relay */
    uint32_t state;
    uint32_t out_tail, in_head;
    uint32_t in_over;  /* nothing comes behind in_head */
    uint32_t closed;   /* the other side takes nothing more */
    uint32_t reset;    /* the other side is lost */
    uint32_t error;    /* FAILED: an errno */
    uint32_t listener; /* INCOMING: the channel that listens */
    uint32_t refusal;  /* by the personality: DONE with INCOMING: the errno for who connects */
    uint32_t reserved[15];
};
_Static_assert(sizeof(struct channel) == 256, "two pages of channels");

struct channels {
    struct channel channel[CHANNELS];
    uint8_t out[CHANNELS][CHANNEL_RING];
    uint8_t in[CHANNELS][CHANNEL_RING];
};
_Static_assert(sizeof(struct channels) == IMAGE_CHANNEL_PAGES * 4096, "mkdistrict makes the pages");

static inline uint32_t channel_load(const uint32_t *field)
{
    return __atomic_load_n(field, __ATOMIC_ACQUIRE);
}

static inline void channel_store(uint32_t *field, uint32_t value)
{
    __atomic_store_n(field, value, __ATOMIC_RELEASE);
}

#endif
