/*
 * Administration of districts: what the shell asks districtd, and districtd the store servers.
 */
#ifndef BAILIWICK_ADMIN_H
#define BAILIWICK_ADMIN_H

#include <bailiwick/district.h>

#define DISTRICT_MESSAGE_MAX 192u
#define EVENT_TEXT_MAX       208u
#define ROLLBACK_NEWEST      UINT64_MAX

/** To "districts" (districtd). String in: the district's name, unless said otherwise. */
enum districts_order {
    DISTRICTS_LIST = 1,    /* w0 index -> string: struct district_line; BW_ABSENT behind the last,
                              w0 when districtd was started, MONOTONIC: soon after that there may
                              be more */
    DISTRICTS_RESTART = 2, /* starts it: w0 0 from the current generation, w0 1 from generation w1;
                              w2 1: alone, if the other copy of its mirrored store is not there ->
                              w0 console session, string: struct district_line (before its first
                              instruction). BW_EXISTS: runs already. BW_ABSENT. BW_AGAIN: disks may
                              still turn up. Others: see line.error and line.message */
    DISTRICTS_ATTACH = 3, /* -> w0 console session of a running district. BW_ABSENT, BW_REFUSED: not
                             running */
    DISTRICTS_KILL = 4,   /* drops it from memory. BW_REFUSED: not running */
    DISTRICTS_STORE = 5,  /* -> k0 start key of its store server, for enum store_order from
                             STORE_CHECKPOINT on */
    DISTRICTS_REGISTER = 6, /* from a store server: string struct district_line, k0 start key to it,
                               k1 to the driver of its disk, w0 and w1 the store's id, w2 1 + which
                               copy of a mirrored store it is (0: it is not mirrored), plus
                               REGISTER_PAIRED if k3 is the driver of the other one's disk and
                               REGISTER_AGAIN if a districtd before this one has ended, w3 the slot
                               that it would like, the same each time, k2 its district if that is in
                               memory (state not EMPTY) -> w0 slot, or 0: the server of the other
                               copy looks after this disk, too. w1 1: that of the other copy has
                               ended, k0 is the driver of its disk. w2 1: the district k1 runs,
                               which is to be served; 0: it does not (any more). BW_EXISTS: another
                               store has this name (it then stays closed) */
    DISTRICTS_ENDED = 7, /* from a store server, sent without waiting (it never calls us again once
                            it is registered, since we call it): w0 enum ended_why, w1 its crash
                            policy (as in struct system_page), w2 the slot got from
                            DISTRICTS_REGISTER, w3 the object, string: a few words, or empty */
    DISTRICTS_ROLLBACK = 8, /* a running district goes back to generation w0 (ROLLBACK_NEWEST: the
                               newest that counts when it has been stopped) -> string: struct
                               district_line, as with RESTART. BW_REFUSED: not running. BW_ABSENT:
                               not kept; it runs on */
    DISTRICTS_EVENT = 9,   /* from a store server, sent without waiting: w2 its slot, string: struct
                              event; number and name are filled in by us */
    DISTRICTS_EVENTS = 10, /* w0 number -> string: struct event, the first with that number or a
                              higher one. BW_ABSENT: there is none; w0 the number that the next one
                              gets */
    DISTRICTS_LINK = 11,   /* w0 index -> w0, string: struct link_line, as DISTRICT_LINKS has it.
                              BW_REFUSED: not running */
    DISTRICTS_LOG = 12,    /* -> string: the last of what its native programs logged in this run.
                              BW_REFUSED: not running */
    DISTRICTS_BOND = 13,   /* string: two to BOND_LINE_MAX names of running districts, a space
                              between them: they are bonded, durably with their first common
                              checkpoint, which is under way. string: why not, in words */
    DISTRICTS_UNBOND = 14, /* string: a name: its bond ends; or two: the second one leaves the bond
                              with the first. BW_AGAIN: when the checkpoint under way is over; ask
                              again, until BW_ABSENT. string: why not, in words */
    DISTRICTS_BONDED = 15, /* from a store server, sent without waiting: w0 enum bonded, w1 instant,
                              w2 its slot, w3 what was wrong (enum bw_result) */
    DISTRICTS_GATED = 16,  /* w0 1: what the district shows on its console is held until it is
                              committed, 0: not; at once if it runs, and kept in its store */
};

/* What a store server says of a bond (districts/bond_step.h). */
enum bonded {
    BONDED_ASK = 1,   /* a checkpoint of all members is wanted */
    BONDED_READY = 2, /* all of the snapshot is written: as prepared, or at home up to the commit */
    BONDED_AT = 3,    /* nothing is under way, and the store is at that instant */
};

#define REGISTER_PAIRED 16u
#define REGISTER_AGAIN  32u
#define BOND_LINE_MAX   4u /* districts in a bond */

enum ended_why {
    ENDED_CRASHED = 1, /* a domain stopped at a fault that nobody took (DISTRICT_STATUS) */
    ENDED_BROKEN = 2,  /* the check before a commit failed */
    ENDED_DAMAGED = 3, /* an object cannot be had from the store */
};

/** A bond, as a store tells of it. */
struct bond_line {
    uint64_t id[2];
    uint64_t instant; /* of the store's current generation; 0: it is in no bond (any more) */
    uint64_t last;    /* the highest instant that it has seen */
    uint32_t members; /* 0: none */
    uint32_t doubt;   /* 1: the current generation counts only if the home has that instant; of the
                         home: what its store has is not known */
    struct {
        uint64_t id[2]; /* of its store */
        char name[DISTRICT_NAME_MAX];
    } member[BOND_LINE_MAX]; /* the first is the home */
};

struct district_line {
    char name[DISTRICT_NAME_MAX];
    uint32_t state;          /* enum district_state; EMPTY: not running */
    int32_t error;           /* enum bw_result why it cannot run, 0 if it can */
    uint64_t generation;     /* the current one: newest committed, or gone back to */
    uint64_t incarnation;    /* counter */
    bw_time_t age;           /* ns since that generation was committed (REALTIME) */
    uint64_t used, capacity; /* bytes of the store */
    uint64_t interval;       /* ns between checkpoints, 0: only when asked */
    uint64_t fresh;          /* 1: it has never run */
    uint32_t crash_policy;   /* as in struct system_page */
    uint32_t generations;    /* kept */
    uint32_t autostart;      /* 1: it starts by itself when the machine does */
    uint32_t gated;          /* 1: its output to the console is held until it is committed */
    uint32_t share;          /* its weight among the districts of the machine */
    uint32_t reserved;
    uint32_t keep[4];                   /* retention: of the last, one a minute, an hour, a day */
    char mirror[64];                    /* how its copies are, or empty: it is not mirrored */
    char message[DISTRICT_MESSAGE_MAX]; /* one line for the user, or empty */
    struct bond_line bond;
};

/* What happened to districts. districtd keeps the last ones. */

enum event_kind {
    EVENT_STARTED = 1,
    EVENT_ENDED = 2,       /* killed or stopped */
    EVENT_ROLLED_BACK = 3, /* by itself or by a user */
    EVENT_FAULT = 4,       /* a crash after which it runs on */
    EVENT_DAMAGE = 5,
    EVENT_REPAIRED = 6,
    EVENT_CHECKPOINT = 7, /* one was dropped */
    EVENT_SPACE = 8,
    EVENT_MIRROR = 9,
    EVENT_SCRUB = 10,
    EVENT_DROPPED = 11, /* a generation */
    EVENT_SERVER = 12,  /* one failed and was replaced */
    EVENT_BOND = 13,
};

struct event {
    uint64_t number;    /* from 1 on */
    uint64_t time;      /* REALTIME */
    uint32_t kind;      /* enum event_kind */
    uint32_t important; /* 1: a user who did not ask wants to know */
    char name[DISTRICT_NAME_MAX];
    char text[EVENT_TEXT_MAX]; /* one line */
};

/** To a store server ("storeN"). */
enum store_order {
    STORE_START = 1, /* districtd: string struct district_params (random and entropy filled in, the
                        server fills in the rest); w0 0 from the current generation, w0 1 from
                        generation w1 -> k0 district key, string struct district_line. See below */
    STORE_ENDED = 2, /* districtd: the district was killed; close it, be ready for START */
    STORE_CHECKPOINT = 3, /* -> w0 generation, w1 objects written, w2 stop in TSC ticks (0: nothing
                             had changed, w0 is the newest), w3 ns from the request to the commit;
                             when it is committed. BW_REFUSED: not running */
    STORE_INTERVAL = 4,   /* w0 ns (0: never by itself; else >= 10 ms): kept in the store */
    STORE_LINE = 5,       /* -> string: struct district_line as of now */
    STORE_GENERATION = 6, /* w0 number, w1 1: with what only it holds -> string: struct
                             generation_line of the first kept one with that number or a higher one.
                             BW_ABSENT: there is none */
    STORE_DROP = 7,       /* w0 generation -> w0 bytes freed. BW_ABSENT: not kept. BW_EXISTS: it is
                             the current one. BW_REFUSED: two are always kept */
    STORE_RETENTION = 8, /* w0..w3 as district_line.keep: kept in the store. BW_ARGUMENT: fewer than
                            2 last ones, or more than RETENTION_MAX in all */
    STORE_SCRUB = 9,     /* w0 enum scrub_order -> string: struct scrub_line */
    STORE_WHOLE = 10,    /* w0 number -> w0 the newest generation before it that can be read as far
                            as known, of those that the current one grew from. BW_ABSENT: none.
                            string: which ones can be restarted, for the user */
    STORE_POLICY = 11,   /* w0 crash policy (as in struct system_page): kept in the store */
    STORE_PAIR = 12,     /* districtd: k0 the driver of the disk that has the other copy -> string:
                            struct district_line. BW_EXISTS: it is not, or is not needed */
    STORE_ALONE = 13,    /* districtd: go on with the copy that is there. BW_REFUSED */
    STORE_AUTOSTART = 14, /* w0 1: the district starts by itself when the machine does: kept in the
                             store */
    STORE_BOND = 15,      /* districtd: w0 enum store_bond_order */
    STORE_SHARE = 17,     /* w0 1..SHARE_MAX, as DISTRICT_SHARE: kept in the store */
    STORE_GATED = 16,     /* districtd: w0 as DISTRICTS_GATED; kept in the store */
    STORE_PIN = 24, /* districtd: w0 generation, to which the district is about to go back: it stays
                       until then. BW_ABSENT: it is not kept */
    STORE_DISK = 18, /* -> string: struct disk_line */
    /* A free partition becomes a store; store/server/maker.c */
    STORE_LIKE = 19, /* -> string: struct store_like. BW_AGAIN: its bond is to be settled first */
    STORE_READ = 20, /* w0 generation, w1 id -> w0 id, w1 type, w2 version, string: bytes (none: all
                        zero) of the first object with that id or a higher one. BW_ABSENT behind the
                        last: w0 the journal's sequence number, string: the journal page.
                        BW_REFUSED: the generation is not kept (any more) */
    STORE_MAKE = 21, /* string: struct store_like; w0 1: even if something is there. BW_EXISTS:
                        something is */
    STORE_PUT = 22,  /* w0, w1, w2, string as READ gives them */
    STORE_MADE = 23, /* w0, string as the last READ has given them -> string: struct district_line.
                        BW_EXISTS: another district has that name */
};

enum disk_state {
    DISK_IN_USE = 1, /* a store is on it */
    DISK_FREE = 2,   /* a partition for one, empty */
    DISK_OTHER = 3,  /* such a partition, but something else is on it */
};

struct disk_line {
    uint64_t number; /* block.h */
    uint64_t bytes;
    uint32_t state; /* enum disk_state */
    int32_t error;  /* enum bw_result why what is on it cannot be used, 0 if it can */
    char name[DISTRICT_NAME_MAX];
};

/** What a store is made with that is to have a copy of a generation of another one's district. */
struct store_like {
    char name[DISTRICT_NAME_MAX];
    char owner[DISTRICT_NAME_MAX];
    uint64_t generation, time; /* ns since 1970 */
    uint64_t objects;          /* in it */
    uint64_t interval;         /* ns */
    uint32_t crash_policy, abi_version, image_version;
    uint32_t reserved;
    uint32_t keep[4]; /* as in struct district_line */
};

/** STORE_BOND. Those with an instant are answered at once; what comes of them is reported with
 * DISTRICTS_BONDED. */
enum store_bond_order {
    STORE_BOND_SET = 1,  /* string: struct bond_line (instant and doubt are not looked at): the bond
                            it is in; members 0: none. Durable. The current generation counts */
    STORE_BOND_JOIN = 2, /* string: struct bond_line: the bond it is in from the next checkpoint on.
                            From now on districtd says when; what is under way ends, and is reported
                            with BONDED_AT */
    STORE_BOND_CLEAN = 3,  /* a checkpoint was asked for, and nothing had changed in any member. w2:
                              at that time, bw_monotonic; who asked later waits for the next one */
    STORE_BOND_WRITE = 4,  /* w1 instant, string: struct district_frozen: its district was frozen.
                              w2 as above */
    STORE_BOND_COMMIT = 5, /* w1 instant, to the home: all others have prepared */
    STORE_BOND_KEEP = 6,   /* w1 instant: it was decided */
    STORE_BOND_UNDO = 7,   /* what is under way, or prepared, does not count. w2 for those who wait:
                              enum bw_result, or 0: they wait for the next one */
    STORE_BOND_TELL = 8,   /* nothing was heard for long: it says again what it is at. What was
                              frozen, and not told, is dropped */
};
/*
 * STORE_START: the server bumps the incarnation durably, then creates the district through its own
 * KEY_NUCLEUS, binds it and returns its district key as k0, LOADING not yet begun; districtd adds
 * the grants ("console", "clock", "entropy") and calls DISTRICT_START itself.
 */

#define RETENTION_MAX 124u

#define GENERATION_CURRENT   1u
#define GENERATION_ABANDONED 2u /* the current one did not grow from it: a rollback left it */
#define GENERATION_DAMAGED   4u /* something in it cannot be read, as far as is known */

struct generation_line {
    uint64_t number;
    uint64_t parent;   /* UINT64_MAX: none */
    uint64_t ancestor; /* the nearest one that is still kept. UINT64_MAX: none */
    bw_time_t age;     /* ns since its commit (REALTIME) */
    uint64_t objects, changed;
    uint64_t held;    /* bytes that only it holds; UINT64_MAX: not asked, or not known */
    uint32_t reason;  /* enum store_reason (store/store.h) */
    uint32_t flags;   /* GENERATION_* */
    uint64_t instant; /* of a bond; 0: it was made in none */
};

enum scrub_order {
    SCRUB_LOOK = 0,
    SCRUB_BEGIN = 1, /* if none is under way */
    SCRUB_STOP = 2,
};

enum scrub_state {
    SCRUB_NEVER = 0,
    SCRUB_RUNNING = 1,
    SCRUB_DONE = 2,
    SCRUB_STOPPED = 3,
    SCRUB_FAILED = 4,
};

struct scrub_line {
    uint32_t state; /* enum scrub_state */
    uint32_t reserved;
    uint64_t done, total; /* blocks */
    uint64_t errors, repaired;
    bw_time_t took; /* ns so far */
};

#endif
