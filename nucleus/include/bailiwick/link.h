/*
 * Links: what the nucleus keeps of keys that lead out of a district, and what it tells of them.
 *
 * An unnamed link is made by the nucleus when a key crosses a border in a message. It lives in
 * memory only; once severed it stays so.
 *
 * A named link is opened by a sturdy name (district, published name) with GRANT_OPEN. It is an
 * entry of a system object of its holder, so the key to it survives a restart. The broker
 * (districtd) establishes it, again and again, whenever both sides run:
 *
 *   state     | from                                   | invoking it
 *   SEVERED   | opened; either side ended; refused     | BW_SEVERED
 *   RELINKED  | established again (not the first time) | BW_RELINKED until SELF_LINK_ACK
 *   LIVE      | established; acknowledged; LINK_AUTO   | goes to the other side
 *
 * A publication is a start key under a name, with the names of the districts that may open it; it
 * is an entry of a system object too, so a restarted district publishes what it did before.
 */
#ifndef BAILIWICK_LINK_H
#define BAILIWICK_LINK_H

#include <bailiwick/district.h>

#define LINK_NAME_MAX    112u /* published name, with its NUL; a Unix socket path fits */
#define LINK_ACCESS_MAX  112u /* district names with a space between; "*": everybody */
#define LINK_NAMED_MAX   256u /* of a district */
#define PUBLICATIONS_MAX 256u

/** Ids of the system objects; on disk: do not change. */
#define OID_NAMED_LINKS  ((oid_t)256) /* pages of struct named_link */
#define OID_PUBLICATIONS ((oid_t)512) /* pages of struct publication */

enum link_mode {
    LINK_FREE = 0,   /* no link: the entry is free */
    LINK_NOTIFY = 1, /* RELINKED until the holder has acknowledged the new connection */
    LINK_AUTO = 2,   /* LIVE at once */
    LINK_MANUAL = 3, /* is established again only when the holder asks: SELF_LINK_REOPEN */
    LINK_GATED = 4,  /* not of the nucleus: bw_link_open asks the district's gate for it */
};

enum link_state {
    LINK_SEVERED = 0,
    LINK_RELINKED = 1,
    LINK_LIVE = 2,
};

/** Why a link is severed. */
enum link_reason {
    LINK_OPENED = 0,      /* never established yet */
    LINK_PEER_ENDED = 1,  /* the other district was killed, rolled back or restarted */
    LINK_RESTARTED = 2,   /* its holder was */
    LINK_NO_DISTRICT = 3, /* none of that name runs here */
    LINK_NO_NAME = 4,     /* it publishes nothing under that name */
    LINK_REFUSED = 5,     /* this district may not open it */
    LINK_STRANGER = 6,    /* another district has that name now: its store has another id */
};

/** On disk: do not change. */
struct named_link {
    char district[DISTRICT_NAME_MAX];
    char name[LINK_NAME_MAX];
    uint32_t version;                  /* of the key to it */
    uint32_t mode;                     /* enum link_mode */
    uint64_t connection, acknowledged; /* how often it was established; last one acknowledged */
    uint8_t peer[16];                  /* store id of the other district, once established */
    struct key notice; /* start key of this district, posted when the state changes; or void */
    uint64_t reserved[7];
};
_Static_assert(sizeof(struct named_link) == 256, "on disk: a named link");

/** On disk: do not change. */
struct publication {
    char name[LINK_NAME_MAX]; /* empty: the entry is free */
    char access[LINK_ACCESS_MAX];
    struct key key; /* start key of this district */
    uint64_t reserved[2];
};
_Static_assert(sizeof(struct publication) == 256, "on disk: a publication");

/** For GRANT_OPEN. */
struct link_params {
    char district[DISTRICT_NAME_MAX];
    char name[LINK_NAME_MAX];
    uint32_t mode; /* enum link_mode, not LINK_FREE */
    uint32_t reserved;
};

/** For GRANT_PUBLISH. */
struct publication_params {
    char name[LINK_NAME_MAX];
    char access[LINK_ACCESS_MAX];
};

/** From DISTRICT_LINKS. */
struct link_line {
    char district[DISTRICT_NAME_MAX]; /* of the peer */
    char name[LINK_NAME_MAX];         /* empty: unnamed */
    uint32_t mode;                    /* enum link_mode; LINK_FREE: unnamed */
    uint32_t state, reason;           /* enum link_state, enum link_reason */
    uint32_t version;
    uint64_t connection;
    uint64_t messages; /* sent through it since it was established */
    bw_time_t since;   /* MONOTONIC of the commons when the state last changed */
    uint32_t wanted;   /* it waits to be established */
    uint32_t waiting;  /* it leads to a caller who waits for his reply */
};

#endif
