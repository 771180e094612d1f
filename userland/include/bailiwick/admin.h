/*
 * Administration of districts: what the shell asks districtd, and districtd the store servers.
 */
#ifndef BAILIWICK_ADMIN_H
#define BAILIWICK_ADMIN_H

#include <bailiwick/district.h>

/** To "districts" (districtd). String in: the district's name, unless said otherwise. */
enum districts_order {
    DISTRICTS_LIST = 1, /* w0 index -> string: struct district_line; BW_ABSENT behind the last */
    DISTRICTS_RESTART =
        2, /* starts it -> w0 console session, string: struct district_line (before its
              first instruction). BW_EXISTS: runs already. BW_ABSENT. Others: see line.error */
    DISTRICTS_ATTACH =
        3, /* -> w0 console session of a running district. BW_ABSENT, BW_REFUSED: not running */
    DISTRICTS_KILL = 4, /* drops it from memory. BW_REFUSED: not running */
    DISTRICTS_STORE =
        5, /* -> k0 start key of its store server for STORE_CHECKPOINT, STORE_INTERVAL */
    DISTRICTS_REGISTER =
        6,               /* from a store server: string struct district_line, k0 start key to it
                            -> w0 slot. BW_EXISTS: another store has this name (it then stays closed) */
    DISTRICTS_ENDED = 7, /* from a store server, sent without waiting (it never calls us again once
                            it is registered, since we call it): w0 enum ended_why, w1 its crash
                            policy (as in struct system_page), w2 the slot got from
                            DISTRICTS_REGISTER, string: a few words for the user, or empty */
};

enum ended_why {
    ENDED_CRASHED =
        1,            /* a domain stopped at a fault that nobody took: DISTRICT_STATUS says which */
    ENDED_BROKEN = 2, /* the check before a commit failed */
    ENDED_DAMAGED = 3, /* an object cannot be had from the store */
    ENDED_STORE = 4,   /* the store cannot be written any more */
};

struct district_line {
    char name[DISTRICT_NAME_MAX];
    uint32_t state;          /* enum district_state; EMPTY: not running */
    int32_t error;           /* enum bw_result why it cannot run, 0 if it can */
    uint64_t generation;     /* newest committed */
    uint64_t incarnation;    /* counter */
    bw_time_t age;           /* ns since that generation was committed (REALTIME) */
    uint64_t used, capacity; /* bytes of the store */
    uint64_t interval;       /* ns between checkpoints, 0: only when asked */
    uint64_t fresh;          /* 1: it has never run */
    char message[96];        /* one line for the user if error */
};

/** To a store server ("storeN"). */
enum store_order {
    STORE_START = 1, /* districtd: string struct district_params (random and entropy filled in, the
                        server fills in the rest) -> k0 district key,
                        string struct district_line. See below */
    STORE_ENDED = 2, /* districtd: the district was killed; close it, be ready for START */
    STORE_CHECKPOINT = 3, /* -> w0 generation, w1 objects written, w2 stop in TSC ticks (0: nothing
                             had changed, w0 is the newest), w3 ns from the request to the commit;
                             when it is committed. BW_REFUSED: not running */
    STORE_INTERVAL = 4,   /* w0 ns (0: never by itself; else >= 10 ms): kept in the store */
    STORE_LINE = 5,       /* -> string: struct district_line as of now */
};
/*
 * STORE_START: the server bumps the incarnation durably, then creates the district through its own
 * KEY_NUCLEUS, binds it and returns its district key as k0, LOADING not yet begun; districtd adds
 * the grants ("console", "clock", "entropy") and calls DISTRICT_START itself.
 */

#endif
