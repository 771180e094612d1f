/*
 * Districts: what the nucleus keeps of one, in memory and in the district's own system objects, and
 * the orders of a district key, by which the store server feeds, snapshots and ends it.
 */
#ifndef BAILIWICK_DISTRICT_H
#define BAILIWICK_DISTRICT_H

#include <bailiwick/key.h>

/** Ids of the system objects; on disk: do not change. */
#define OID_SYSTEM            ((oid_t)1)      /* page: struct system_page */
#define OID_DOMAIN_LIST       ((oid_t)16)     /* pages: 512 oids of domains each, 0 = free place */
#define OID_DOMAIN_LIST_PAGES 128u            /* so 65,536 domains at most */
#define OID_FIRST_FREE        ((oid_t)0x1000) /* what banks may sell begins here */
#define OID_LIMIT             ((oid_t)1 << 60)

#define DISTRICT_NAME_MAX 32u
#define DISTRICT_LOG_MAX  2048u         /* bytes that are kept */
#define DISTRICT_MAX      64u           /* running at once on one machine; slot 0 is the commons */
#define BOND_MAX          4u            /* districts in one bond */
#define OID_BONDED_LINKS  ((oid_t)1024) /* pages: struct bonded_link */
#define BONDED_LINKS_MAX  16384u

#define SYSTEM_MAGIC        0x6d65747379734442ull /* "BDsystem" in little-endian order */
#define NUCLEUS_ABI_VERSION 1u

/** The district's system page. On disk: do not change; grow at the end only. */
struct system_page {
    uint64_t magic;
    uint32_t abi_version;     /* NUCLEUS_ABI_VERSION that wrote it */
    uint32_t commons_version; /* protocols to the commons */
    uint32_t bank_version;    /* state of the space bank */
    uint32_t steward_version;
    uint32_t unix_version;  /* state of the personality */
    uint32_t crash_policy;  /* 0 rollback, 1 stop, 2 continue */
    uint64_t cpu_features;  /* XCR0 bits its programs have seen; 0 in a new district */
    bw_time_t monotonic;    /* at the snapshot */
    bw_time_t boottime;     /* at the snapshot */
    bw_time_t realtime;     /* at the snapshot, ns since 1970 */
    uint64_t epoch;         /* of the snapshot */
    uint32_t domain_places; /* places of the domain list in use, holes counted */
    uint32_t link_version;  /* version the next link gets */
    char name[DISTRICT_NAME_MAX];
    uint32_t link_places;        /* entries of OID_NAMED_LINKS, holes counted */
    uint32_t publication_places; /* entries of OID_PUBLICATIONS */
    uint32_t bonded_links; /* entries of OID_BONDED_LINKS; 0 if it was not frozen with others */
    uint32_t reserved;
};

/** A link into this district from one that is bonded with it, as of their common snapshot. It is
 * kept where it leads to: a store can only hand out keys to what is its own. On disk: do not
 * change. */
struct bonded_link {
    struct key target;       /* a key of this district */
    uint8_t holder[16];      /* store id of the other district */
    uint32_t index, version; /* of the link in its table */
    uint64_t messages;       /* that went through it */
    uint64_t reserved[2];
};
_Static_assert(sizeof(struct bonded_link) == 64, "on disk: a bonded link");

/** Why a district was started. */
enum start_reason {
    START_ASKED = 0, /* `restart`: for the first time, or after a kill, a power cut, a shutdown */
    START_ROLLED_BACK = 1, /* `rollback` */
    START_CRASHED = 2,     /* a domain stopped at a fault that nobody took */
    START_BROKEN = 3,      /* an invariant of it did not hold */
    START_DAMAGED = 4,     /* an object could not be had from its store */
    START_BOOT = 5,        /* by itself, since the machine was started (`autostart`) */
};

/** For NUCLEUS_DISTRICT. */
struct district_params {
    uint64_t incarnation;        /* counter, already durable in the store */
    uint64_t incarnation_random; /* its random half */
    uint64_t generation;         /* newest committed; the first epoch is generation + 1 */
    uint64_t entropy[4];
    char name[DISTRICT_NAME_MAX];
    uint8_t id[16];    /* of its store: which district this is, whatever its name */
    uint64_t from;     /* the generation that it starts from */
    uint64_t reason;   /* enum start_reason */
    uint64_t bond[2];  /* id of the bond it is in; 0 0: none */
    bw_time_t instant; /* .. whose snapshot of this instant it starts from. Districts of one bond
                          and instant start running together, when all that were made have loaded,
                          and the links between them are what they were */
};

enum district_state {
    DISTRICT_EMPTY = 0,
    DISTRICT_LOADING = 1,
    DISTRICT_RUNNING = 2,
    DISTRICT_ENDING = 3,
    DISTRICT_FAILED = 4, /* loading met damage; DISTRICT_KILL it */
};

/** KEY_DISTRICT. */
enum district_order {
    DISTRICT_BIND = 1,  /* k0 start key of the store server: its post bits (badge) mean "objects are
                           wanted, or the state changed, or memory asks for a checkpoint" */
    DISTRICT_START = 2, /* begin loading: asks for the system page, domain list and domains, then
                           runs */
    DISTRICT_WANTED = 3,    /* -> w0 count, string: that many oid_t to be supplied */
    DISTRICT_SUPPLY = 4,    /* w0 how many (0: one; <= DISTRICT_SUPPLY_MAX), string: so many struct
                               object_header, then 4096 bytes for each that has OBJECT_BYTES, in
                               order -> w0 how many were taken; a result other than BW_OK is that of
                               the next one */
    DISTRICT_SNAPSHOT = 5,  /* -> w0 the epoch frozen (it becomes the generation), w1 objects in it,
                               w2 TSC ticks of the stop; BW_CLEAN if nothing is dirty (w0 last
                               epoch); BW_BUSY if one is under way */
    DISTRICT_PULL = 6,      /* w0 how many at most (<= DISTRICT_PULL_MAX) -> w0 n, w1 objects left;
                               string: n struct object_header, then 4096 bytes for each that has
                               OBJECT_BYTES, in order. Checks what it hands out: BW_BROKEN, w0 oid:
                               drop the snapshot */
    DISTRICT_COMMITTED = 7, /* w0 generation = epoch: all that was pulled is durable */
    DISTRICT_DROP = 8,      /* the snapshot will not be committed; what it held is dirty again */
    DISTRICT_KILL = 9,      /* drops the district from memory; BW_AGAIN until it is gone */
    DISTRICT_GRANT = 10,    /* string: name, k0: what GRANT_FIND will find */
    DISTRICT_STATUS = 11,   /* -> string: struct district_status */
    DISTRICT_BUDGET = 12,   /* w0: objects that may become dirty before they must wait for a commit;
                               w1 enum space_stage; w2 blocks of the store that are free, w3 blocks
                               it has: both only told to the district (SELF_SPACE) */
    DISTRICT_LOG = 13,      /* -> string: the last of what SELF_LOG of its domains left */
    DISTRICT_WATCH = 14, /* k0 start key of the broker: its post bit means that a named link waits
                            to be established, or a publication has changed */
    DISTRICT_LINKS = 15, /* w0 index -> string: struct link_line of the first link from there,
                            w0 its index (named ones come first); BW_ABSENT behind the last */
    DISTRICT_LINK = 16,  /* w0 index, w1 version of a named link, k0 key to the other side: it is
                            established; k0 void: w2 enum link_reason why not. BW_ABSENT: it is
                            gone. BW_REFUSED: another district than the first time */
    DISTRICT_PUBLISHED = 17, /* string: name -> k0, string: access list; BW_ABSENT */
    DISTRICT_FREEZE = 18,    /* DISTRICT_SNAPSHOT of this district and of w0 others (keys k0..k2) at
                                one instant: all or none, with the links between them. -> w0 how
                                many in all, string: struct district_frozen of each, this one first.
                                BW_CLEAN: nothing is dirty in any of them (with w1 1 they are frozen
                                all the same); else all are frozen. BW_BUSY: a snapshot of one is
                                under way. BW_AGAIN: something is being fetched */
    DISTRICT_SHARE = 19, /* w0 1..SHARE_MAX: its weight among the districts that want memory or the
                            processor; SHARE_USUAL at first */
};

#define SHARE_USUAL 100u
#define SHARE_MAX   10000u

/** How full a district's store is. */
enum space_stage {
    SPACE_PLENTY = 0,
    SPACE_SCARCE = 1, /* nothing is refused; who can do without new objects should */
    SPACE_FULL = 2,   /* new objects are refused with BW_NOSPACE */
};

/** From DISTRICT_FREEZE. */
struct district_frozen {
    uint64_t epoch, objects, ticks; /* as from DISTRICT_SNAPSHOT */
};

#define DISTRICT_PULL_MAX   15u /* 15 * (4096 + 32) fits BW_STRING_MAX */
#define DISTRICT_SUPPLY_MAX 15u
#define DISTRICT_WANTED_MAX 64u

#define OBJECT_BYTES 1u /* content follows; else the object is all zero (or was destroyed) */

/** In DISTRICT_PULL and DISTRICT_SUPPLY. */
struct object_header {
    oid_t oid;
    uint32_t type; /* enum object_type; NONE: it was destroyed, or does not exist */
    uint32_t version;
    uint32_t flags; /* OBJECT_BYTES */
    uint32_t reserved[3];
};
_Static_assert(sizeof(struct object_header) == 32, "ABI: object header");

/** Whether a checkpoint is wanted now, and why. */
enum district_pressed {
    PRESSED_NOT = 0,
    PRESSED_SHORT = 1, /* memory or space is short: it would help */
    PRESSED_ASKED = 2, /* a program of the district asks for it */
};

struct district_status {
    uint32_t state;   /* enum district_state */
    uint32_t crashed; /* a domain stopped at a fault that nobody took: the crash policy decides */
    uint64_t generation; /* last committed */
    uint64_t epoch;      /* the one being made */
    uint64_t incarnation;
    uint64_t objects;       /* in memory */
    uint64_t dirty;         /* in this epoch */
    uint64_t snapshot_left; /* of a snapshot under way: not yet committed */
    uint64_t domains;
    bw_time_t committed_at; /* commons' MONOTONIC of the last commit or start */
    uint64_t pressed;       /* enum district_pressed */
    uint64_t crash_oid, crash_code, crash_error, crash_address, crash_rip;
    char name[DISTRICT_NAME_MAX];
};

#endif
