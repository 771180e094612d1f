/*
 * Basic types of the nucleus ABI, and the one list of result codes.
 */
#ifndef BAILIWICK_TYPES_H
#define BAILIWICK_TYPES_H

#include <stddef.h>
#include <stdint.h>

#define BW_PAGE_SIZE     4096u
#define BW_PAGE_SHIFT    12
#define BW_NODE_SLOTS    256u
#define BW_NODE_SHIFT    8
#define BW_KEY_REGISTERS 32u
#define BW_MESSAGE_KEYS  4u
#define BW_MESSAGE_WORDS 4u
/** Longest byte string of one message, and of one segment or district operation. */
#define BW_STRING_MAX  (64u * 1024u)
#define BW_NO_DEADLINE UINT64_MAX

typedef uint64_t oid_t;        /* names one object of a district for ever; 0 names nothing */
typedef uint64_t generation_t; /* one committed checkpoint; 0 is the state mkdistrict made */
typedef uint64_t bw_time_t;    /* nanoseconds */

/** Kinds of object; on disk: do not change. */
enum object_type {
    OBJECT_NONE = 0, /* no object stands under the id (in a pull: it was destroyed) */
    OBJECT_PAGE = 1, /* 4096 bytes */
    OBJECT_NODE = 2, /* 256 keys */
    OBJECT_DOMAIN = 3,
};

/**
 * Results. 0 and above are successes or a server's own codes; the nucleus itself answers with these
 * negative ones only. Servers use them too where they fit.
 */
enum bw_result {
    BW_OK = 0,
    BW_VOID = -1,      /* the key is void, or its object is gone */
    BW_SEVERED = -2,   /* the link was cut: the other side restarted, was killed, or we were */
    BW_RESTARTED = -3, /* our district was restarted while the call was under way */
    BW_RIGHTS = -4,    /* the key does not allow this */
    BW_ORDER = -5,     /* this kind of key does not know the order */
    BW_ARGUMENT = -6,  /* a word, length or key of the message is not acceptable */
    BW_FAULT = -7,     /* memory named in the request is not there */
    BW_BUSY = -8,      /* non-blocking send: nobody is receiving */
    BW_NOMEM = -10,    /* the machine is out of memory */
    BW_NOSPACE = -11,  /* the store or the bank's limit is exhausted */
    BW_EXISTS = -12,   /* there is one of that name or number already */
    BW_AGAIN = -13,    /* bounded step done, call again to go on */
    BW_CLEAN = -14,    /* snapshot: nothing has changed since the last */
    BW_BROKEN = -15,   /* an invariant of the district does not hold */
    BW_LIMIT = -16,    /* a table is full */
    BW_ABSENT = -17,   /* no such name, slot or object */
    BW_IO = -18,       /* a device or store failed */
    BW_REFUSED = -19,  /* policy says no */
    BW_DAMAGED = -20,  /* a store's bytes are not what was written */
    BW_RELINKED = -21, /* the link was established again: reopen the session, then SELF_LINK_ACK */
};

#endif
