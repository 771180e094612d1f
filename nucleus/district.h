/*
 * A district as the nucleus knows it. districts[0] is the commons: always running, not persistent.
 *
 *   state    | from                         | what may happen
 *   EMPTY    | KILL done                    | NUCLEUS_DISTRICT takes the slot
 *   LOADING  | NUCLEUS_DISTRICT             | objects are supplied; after DISTRICT_START, domains load
 *   RUNNING  | everything needed is there   | its domains run
 *   FAILED   | loading met damage           | only KILL
 *   ENDING   | KILL                         | bounded steps free its memory
 */
#ifndef NUCLEUS_DISTRICT_H
#define NUCLEUS_DISTRICT_H

#include <bailiwick/district.h>
#include "object.h"
#include "domain.h"

#define WANTS       128u
#define GRANTS      16u
#define YOUNG       32u                    /* power of two */
#define LINKS       16384u                 /* unnamed ones, at most */
#define LINK_CHUNKS ((LINKS + 256u) / 64u) /* frames of link entries; the last: named ones */

struct want {
    oid_t oid; /* 0: free entry */
    bool told; /* the store server has been given it */
};

struct grant {
    char name[DISTRICT_NAME_MAX];
    struct key key; /* of the commons */
};

struct link_entry;

struct link_peer {
    uint32_t instance;
    uint16_t count;
};

/** A district's link table; link.c. Lists by index + 1. */
struct links {
    struct link_entry *chunk[LINK_CHUNKS];
    uint16_t *hash; /* heads of chains: interned links */
    uint16_t free, waiters;
    unsigned limit, hand;                /* entries there are; the next to be swept */
    struct link_peer peer[DISTRICT_MAX]; /* entries by the district they lead to */
};

struct district {
    /* identity */
    uint16_t slot;
    uint8_t state; /* enum district_state */
    bool persistent;
    uint32_t instance; /* of this slot; distinguishes runs */
    uint64_t incarnation, incarnation_random;
    uint64_t entropy[4];
    uint8_t id[16]; /* of its store */
    uint64_t started_from, start_reason;
    bw_time_t started_at; /* clock_now */
    char name[DISTRICT_NAME_MAX];

    /* epochs and changes; snapshot.c */
    uint64_t generation, epoch, snapshot_epoch;
    bool snapshot; /* one is under way */
    struct object_list changes[2];
    struct object_list tombstones[2]; /* pulled ones; ones to be freed. Linked by change[0]. */
    size_t frozen;                    /* objects that the snapshot under way had at its begin */
    int64_t budget;                   /* objects that may yet become dirty */
    int64_t lease;                    /* .. before share.c is asked again */
    uint64_t space_free, space_total; /* blocks of the store, as told with it */
    int64_t made, made_frozen;        /* objects created less destroyed since, in this epoch and in
                                         the snapshot's, which space_free does not know yet */
    uint8_t space_stage;              /* enum space_stage */
    struct queue commit_waiters;

    /* objects */
    struct object *all, *all_last;
    struct object *hand; /* evict.c: the next to be looked at; NULL: a circle is done */
    size_t circle_seen, circle_freed, circle_shared, circle_nodes; /* of the circle under way */
    unsigned vain;      /* circles that gave nothing, one after the other */
    oid_t young[YOUNG]; /* the last objects that came, a ring */
    unsigned young_next;
    struct space *sweep; /* paging_sweep: the tables that it is at */
    uint64_t sweep_at;   /* .. the address in it */
    uint32_t drops;      /* paging_drop_all so far */
    bool sweeping;
    bool barren;     /* nothing can be freed: not again before the next tick */
    uint8_t pressed; /* enum district_pressed: an early checkpoint is wanted */
    bool starved;    /* the store server could not supply, or it not start, for lack of memory */
    size_t objects, domains;
    uint64_t fetched, evicted; /* objects that came from the store; that left memory again */
    struct object *system;     /* OID_SYSTEM once loaded */
    struct want wants[WANTS];
    size_t want_count;
    struct queue fetch_waiters;
    size_t load_cursor; /* LOADING: next place of the domain list */

    /* time */
    bw_time_t monotonic_offset, boottime_offset; /* added to clock_now */
    bw_time_t committed_at;

    uint32_t share; /* weight for memory and processor; 0: the usual one */

    /* outside */
    struct key binding; /* start key of the commons: its store server */
    struct grant grants[GRANTS];
    struct key watcher; /* start key of the commons: the broker */
    struct links links;
    uint64_t bond[2];      /* bond.c; 0 0: started in none */
    bw_time_t instant;     /* .. that it started from */
    uint32_t bonded_links; /* noted for the snapshot that begins now */
    bool loaded;           /* LOADING: waits for those it is bonded with */

    struct space *spaces; /* derivable */

    /* what went wrong */
    bool crashed;
    uint64_t crash_oid, crash_code, crash_error, crash_address, crash_rip;
    char log[DISTRICT_LOG_MAX];
    uint32_t log_length;
};

extern struct district districts[DISTRICT_MAX];
#define COMMONS (&districts[0])

static inline struct district *object_district(const struct object *o)
{
    return &districts[o->district];
}

static inline size_t district_share(const struct district *d)
{
    return d->share != 0 ? d->share : SHARE_USUAL;
}

/** Every change of an object's content comes after this. @return BW_OK, WAIT_MEMORY, WAIT_COMMIT */
static inline int object_make_writable(struct object *o)
{
    return o->dirty_epoch == object_district(o)->epoch ? BW_OK : object_make_dirty(o);
}

void district_init(void);
/** Asks the store server for an object; nothing happens if the table is full (the waiter asks
 * again). */
void district_want(struct district *d, oid_t oid);
/** @param server start key of its store server, a domain of the commons. */
void district_bind(struct district *d, struct key server);
/** Posts to the store server that it should look. */
void district_notify(struct district *d);
/** @return key to a district for the commons */
struct key district_key(const struct district *d);
/** The district of that id (16 bytes) that is in memory, NULL: none. */
struct district *district_find(const void *id);
int district_create(const struct district_params *p, struct key *out);
/** The loading of a district goes as far as it can. */
void district_load(struct district *d);
int district_supply(struct district *d, const struct object_header *h, const uint8_t *bytes);
/** One bounded step. @return BW_OK when it is gone, BW_AGAIN */
int district_kill(struct district *d);
void district_status(const struct district *d, struct district_status *out);
/** The district's MONOTONIC time on the nucleus's clock, 0 if it has passed (the offset may be
 * negative). */
bw_time_t district_deadline(const struct district *d, bw_time_t monotonic);
struct system_page *district_system(struct district *d);
/** Enters a new domain in the persistent domain list. @return BW_OK, BW_LIMIT, WAIT_*, BW_NOMEM */
int district_list_domain(struct district *d, oid_t oid, uint32_t *place);
int district_unlist_domain(struct district *d, uint32_t place);
/** A fault that no keeper took. */
void district_crash(struct district *d, struct object *domain, uint64_t code, uint64_t error,
                    uint64_t address);
void district_log(struct district *d, const char *bytes, size_t n);
extern bw_time_t realtime_offset; /* REALTIME - clock_now */

/* share.c */
/** How many objects it may make dirty before it asks again; 0: not before a commit. */
unsigned share_lease(struct district *d);

/* evict.c */
/** One bounded step of making room; between invocations only. */
void evict_step(void);
/** Memory may have become free: those who wait for some go on. */
void evict_relieved(void);

/* orphans.c */
/** Those of the commons who wait for a reply that nobody can give are answered VOID. */
void orphans_answer(void);

/* bond.c */
/** All at one instant or none, with the links between them. @param clean also if nothing is dirty
 * @return as DISTRICT_FREEZE */
int bond_freeze(struct district *const *member, unsigned count, bool clean,
                struct district_frozen *out);
/** The notes of links are brought in. @return BW_OK, WAIT_OBJECT, BW_VOID */
int bond_load(struct district *d);
/** Everything of d is loaded. @return how many now run together with it, itself included (member:
 * at least BOND_MAX); 0: another one is still loading */
unsigned bond_ready(struct district *d, struct district **member);
/** They run: the links between them are what they were. */
void bond_put_back(struct district *const *member, unsigned count);

/* snapshot.c */
int snapshot_begin(struct district *d, uint64_t *objects, uint64_t *ticks);
/** The object of the snapshot behind `after` (NULL: the first), or NULL. */
struct object *snapshot_next(struct district *d, const struct object *after);
/** Frees a bounded number of tombstones that the store has forgotten. */
void snapshot_reap(struct district *d);
/** What it is in the snapshot; *bytes NULL: all zero or destroyed. @return BW_OK, BW_BROKEN */
int snapshot_describe(const struct object *o, struct object_header *h, const uint8_t **bytes);
/** It was handed out and leaves the snapshot. */
void snapshot_pulled(struct district *d, struct object *o);
int snapshot_committed(struct district *d, uint64_t generation);
int snapshot_drop(struct district *d);
/** Whether these keys may be in a store: persistent types, to objects that programs may have. */
bool keys_valid(const struct key *k, size_t count);
/** Whether an object's content may be committed, or believed when it comes from a store. */
bool object_content_valid(enum object_type type, const uint8_t *data);

#endif
