/*
 * The store library: what a district's backing store is, as a pure library without OS calls. The
 * store server, the host tools and the tests use the same code; block I/O is passed in.
 * docs/store-format.md has the format byte by byte.
 *
 * A store is a row of 4 KiB blocks. It keeps several generations of a set of objects, each whole.
 * One thread uses a struct store at a time. Blocking is up to the io callbacks: the library calls
 * them and goes on when they return. What returns an int returns an enum store_error; what is
 * passed in stays the caller's. Times are ns since 1970, blocks of 4096 bytes.
 *
 * Life of a writer:
 *     store_open
 *     store_claim: a new incarnation, durable
 *     store_begin, store_put.., store_commit; again and again
 *     store_close
 * and of a reader: store_open, store_get, store_walk, store_verify, store_close.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bailiwick/types.h>

#define STORE_BLOCK           4096u
#define STORE_FORMAT_VERSION  1u
#define STORE_NAME_MAX        32u  /* with its NUL; as DISTRICT_NAME_MAX */
#define STORE_MIN_BLOCKS      256u /* 1 MiB: the smallest store that is accepted */
#define STORE_MAX_BLOCKS      (1ull << 40)
#define STORE_LABEL_BLOCKS    2u   /* the first ones: what is known as a store begins with them */
#define STORE_GENERATIONS_MAX 256u /* kept at once */
#define STORE_NEWEST          UINT64_MAX /* as a generation: the current one (see store_info.current) */
#define STORE_COPIES_MAX      2u         /* devices of a mirror */
#define STORE_BOND_MAX        4u         /* districts in a bond */

/* What is kept if a new store says nothing: so many of the last generations, and so many older
 * ones, a minute, an hour and a day apart. */
#define STORE_KEEP_LAST    8u
#define STORE_KEEP_MINUTES 60u
#define STORE_KEEP_HOURS   24u
#define STORE_KEEP_DAYS    30u
/* last + minutes + hours + days is no more than that. */
#define STORE_KEEP_MAX 124u
/* Bytes of the journal page. */
#define STORE_JOURNAL STORE_BLOCK

enum store_error {
    STORE_OK = 0,
    STORE_IO = -1,        /* a callback failed */
    STORE_FOREIGN = -2,   /* this is not a store */
    STORE_VERSION = -3,   /* a store of a format that this library does not know */
    STORE_DAMAGED = -4,   /* bytes are not what was written; reported through `damage` */
    STORE_TRUNCATED = -5, /* the device has fewer blocks than the store */
    STORE_NOSPACE = -6,
    STORE_NOMEM = -7,
    STORE_ABSENT = -8, /* no such object, or no such generation */
    STORE_STATE = -9,  /* not now: no claim, no generation begun, one is under way, or one must
                          reopen */
    STORE_ARGUMENT = -10,
};

/** A few words for the user, e.g. "the store is full". Never NULL. */
const char *store_error_text(int error);

/** What was found to be wrong, and where. Filled in by one function of the library only. */
struct store_damage {
    const char *file; /* of the library: who noticed */
    int line;
    const char *what;    /* e.g. "index block: checksum" */
    uint64_t block;      /* of the store; byte offset / 4096. 0 with no block */
    uint64_t generation; /* in which it was met; STORE_NEWEST: none in particular */
    uint64_t oid;        /* of the object; for index blocks: the lowest id below it; 0: none */
    uint64_t expected;
    uint64_t found;
    unsigned copy; /* of a mirror; else 0 */
    bool repaired; /* another copy was good, and has been written over this one */
};

/**
 * Block I/O and what else the library needs from outside. Each returns 0, or anything else for
 * failure.
 *   read       has the bytes in buf when it returns.
 *   write      may return before it is done. buf then stays unchanged until `wait` or `flush` has
 *              returned, except the bytes given to store_put, which are the caller's business.
 *              Writes to one block are never issued twice without a flush between them. Of a
 *              mirror: goes to all copies that are in sync.
 *   wait       returns when no write is under way any more (without durability). NULL: write never
 *              lingers.
 *   flush      returns when every write issued before is durable. Reports failures of those writes
 *              too.
 *   damage     may be NULL.
 *
 * A mirror (copies > 1) also has
 *   read_copy  reads from that copy only. Fails for one that is missing, and for roots and
 *              superblocks of one that is not in sync. What else that one lacks is repaired.
 *   repair     writes one block in that copy only; buf may be reused when it returns. NULL:
 *              nothing is repaired.
 * A copy that becomes in sync again must have everything that the other one has, roots included.
 */
struct store_io {
    void *ctx;
    uint64_t blocks; /* of the device */
    int (*read)(void *ctx, uint64_t block, void *buf, size_t nblocks);
    int (*write)(void *ctx, uint64_t block, const void *buf, size_t nblocks);
    int (*wait)(void *ctx);
    int (*flush)(void *ctx);
    void (*damage)(void *ctx, const struct store_damage *d);
    unsigned copies; /* 0 or 1: one */
    int (*read_copy)(void *ctx, unsigned copy, uint64_t block, void *buf, size_t nblocks);
    int (*repair)(void *ctx, unsigned copy, uint64_t block, const void *buf);
    size_t cache_blocks; /* index blocks kept in memory; 0: 1024 */
    size_t fold_limit;   /* ranges of the map, twice, that a root may list; 0: 300 */
};

struct store;

/** What a new store is made with. */
struct store_format_params {
    uint8_t id[16];            /* fresh random bytes */
    char name[STORE_NAME_MAX]; /* of the district */
    char owner[STORE_NAME_MAX];
    uint64_t blocks;        /* capacity; at most io->blocks */
    uint64_t interval;      /* ns between checkpoints, 0: only when asked */
    uint64_t time;          /* now, ns since 1970 */
    uint32_t crash_policy;  /* 0 rollback, 1 stop, 2 continue */
    uint32_t abi_version;   /* NUCLEUS_ABI_VERSION */
    uint32_t image_version; /* of the programs that mkdistrict put in */
    uint32_t copies;        /* 2: a mirror; io has as many. 0 or 1: one */
    /* retention; all 0: STORE_KEEP_LAST.. */
    uint32_t keep_last, keep_minutes, keep_hours, keep_days;
};

/** Districts that commit together and go back together. Their generations of one moment have the
 * same time, its *instant*. Where they are is what the first one, the home, has committed. */
struct store_bond {
    uint8_t id[16];   /* random */
    uint32_t members; /* 0: none; else 2 or more */
    uint64_t last;    /* the highest instant that was ever used here */
    struct {
        uint8_t id[16]; /* of a store */
        char name[STORE_NAME_MAX];
    } member[STORE_BOND_MAX]; /* the first is the home */
};

/** Everything that a store says of itself. */
struct store_info {
    uint8_t id[16];
    char name[STORE_NAME_MAX];
    char owner[STORE_NAME_MAX];
    char ran_by[STORE_NAME_MAX]; /* who claimed it last */
    uint32_t format_version;
    uint32_t abi_version, image_version;
    uint32_t crash_policy;
    uint64_t interval;
    uint64_t created;     /* ns since 1970 */
    uint64_t ran_at;      /* time of the last claim, 0: never */
    uint64_t incarnation; /* counter; 0: it has never run */
    uint64_t incarnation_random;
    uint64_t current;         /* the generation that the next one grows from */
    uint64_t newest;          /* highest number committed */
    uint64_t next_generation; /* lowest number that the next commit may have */
    uint64_t sequence;        /* of the root: counts every root written */
    uint64_t blocks;          /* capacity */
    uint64_t free_blocks;
    uint64_t avoided_blocks; /* free or not, kept clear of because the last incarnation may still
                                write there */
    uint32_t generations;    /* kept */
    uint32_t share;          /* weight of the district on its machine; 0: the usual one */
    uint32_t keep_last;      /* retention: how many of the last are kept, */
    uint32_t keep_minutes, keep_hours, keep_days; /* and of sparser older ones (0: none) */
    uint32_t copies;         /* that the store is made of: 1, or 2 of a mirror */
    uint32_t copy;           /* which one this is, as its superblock says */
    uint32_t in_sync;        /* bit n: copy n has all of it */
    uint64_t mirror_changes; /* counts changes of in_sync: the copy that has counted on is right */
    uint64_t mirror_history; /* the last values of in_sync, 2 bits each, the present one lowest */
    uint32_t roots_lost;     /* twins of the newest root that are not whole, as after a power cut;
                                the next write mends them */
    bool root_cut_off; /* there are remains of a newer root: a commit that a power cut (or damage)
                          undid */
    bool leaks;        /* used blocks may be needed by nobody: see store_drop */
    uint32_t journal;  /* bytes of the journal page; behind them it is zero */
    uint64_t journal_sequence; /* of what it has; 0: it was never written */
    bool autostart;            /* the district starts by itself when the machine does */
    bool gated;                /* what it shows on its console is held until it is committed */
    struct store_bond bond;
    uint64_t instant; /* of the current generation; 0: it was not made in a bond */
    bool in_doubt;    /* the current generation counts only if the home has that instant */
};

/** Why a generation was made; on disk: do not change. */
enum store_reason {
    STORE_MADE_FORMAT = 0,   /* the first one */
    STORE_MADE_INTERVAL = 1, /* it was time */
    STORE_MADE_ASKED = 2,    /* by people or programs */
    STORE_MADE_PRESSURE = 3, /* memory or space was short */
    STORE_MADE_SHUTDOWN = 4, /* not made any more: a shutdown asks */
    STORE_MADE_TOOL = 5,     /* on the host: `put` */
};

struct store_generation {
    uint64_t number;
    uint64_t parent;   /* STORE_NEWEST: none (the first one) */
    uint64_t time;     /* ns since 1970 */
    uint64_t objects;  /* in it */
    uint64_t changed;  /* put or deleted by it */
    uint32_t reason;   /* enum store_reason */
    uint64_t ancestor; /* the nearest one that is still kept; STORE_NEWEST: none */
    uint64_t instant;  /* its time, if it was made in a bond; else 0 */
};

struct store_object {
    oid_t oid;
    uint32_t type; /* enum object_type: PAGE, NODE or DOMAIN */
    uint32_t version;
    bool bytes;     /* false: all zero, takes no block */
    uint64_t block; /* where, if bytes */
    uint64_t birth; /* generation that wrote it */
};

/* --- opening ---------------------------------------------------------------------------------- */

/** Writes an empty store: no generation yet; the caller goes on with store_begin(0).. store_commit.
 *  The result is claimed already (incarnation 0). io is copied. @param out the caller's, until
 * store_close; NULL on failure */
int store_format(const struct store_io *io, const struct store_format_params *p,
                 struct store **out);
/** Opens at the newest root that is whole. Writes nothing. Damage in what there is two of is
 * reported, and no error. @param out as above */
int store_open(const struct store_io *io, struct store **out);
/** Forgets everything not committed. NULL is fine. */
void store_close(struct store *st);
void store_info(const struct store *st, struct store_info *info);

/* --- reading ---------------------------------------------------------------------------------- */

/** Kept generations in order of number, index from 0. STORE_ABSENT behind the last. */
int store_generation(const struct store *st, uint32_t index, struct store_generation *g);
/** Reads an object as of a kept generation (STORE_NEWEST: the current one; what is begun and not
 * yet committed is not seen). @param buf 4096 bytes, zeros if the object has no bytes; NULL: not
 * read.
 *  @return STORE_OK, STORE_ABSENT, STORE_DAMAGED (buf is then all zero), STORE_IO */
int store_get(struct store *st, uint64_t generation, oid_t oid, struct store_object *o, void *buf);
/** Calls `each` for every object with id >= first in order of id, until it returns non-zero, which
 * is then returned. Does not read their bytes. */
int store_walk(struct store *st, uint64_t generation, oid_t first,
               int (*each)(void *ctx, const struct store_object *o), void *ctx);

/* --- writing ---------------------------------------------------------------------------------- */

/** Starts a new incarnation, which will continue from `generation` (STORE_NEWEST: the current one).
 *  Durable when it returns STORE_OK. Needed before store_begin. @param random its random half
 *  @param by who runs it, for people */
int store_claim(struct store *st, uint64_t generation, uint64_t random, const char *by,
                uint64_t time, uint64_t *incarnation);
/** Begins a generation that grows from the current one. @param number >= info.next_generation.
 * STORE_STATE also if the current one is in doubt */
int store_begin(struct store *st, uint64_t number);
/** The object as it is in this generation. bytes: 4096, or NULL (or all zero): takes no block. The
 * bytes are given to io.write as they are. */
int store_put(struct store *st, oid_t oid, uint32_t type, uint32_t version, const void *bytes);
/** The object does not exist in this generation. */
int store_delete(struct store *st, oid_t oid);
/** Makes the generation durable and current, and drops what retention no longer keeps. After
 * STORE_IO the store takes no more writes until it is opened again: the commit may or may not have
 * happened. After STORE_NOSPACE, STORE_NOMEM, STORE_DAMAGED nothing has happened: abort. With
 * nothing put or deleted, it writes nothing and makes no generation. */
int store_commit(struct store *st, uint64_t time, enum store_reason reason);
/** The same in a bond, of which the root then tells; also with nothing put or deleted. The home's
 * commit is the decision, and that of the others, which comes before it, only prepares: their new
 * generation is in doubt, and the one before it stays, until store_set_bond says that it counts, or
 * store_claim that it does not. @param instant above bond.last of each member */
int store_commit_bonded(struct store *st, uint64_t instant, enum store_reason reason,
                        const struct store_bond *bond);
/** Forgets the generation begun. */
void store_abort(struct store *st);
/** The bond that it is in from now on, or NULL: none. The current generation counts. Durable when
 * it returns. */
int store_set_bond(struct store *st, const struct store_bond *bond);
/* What is set for the district, as store_info tells it. Durable when it returns. */
/** @param interval ns between checkpoints; 0: only when asked */
int store_set_interval(struct store *st, uint64_t interval);
/** @param policy 0 rollback, 1 stop, 2 continue */
int store_set_crash_policy(struct store *st, uint32_t policy);
int store_set_autostart(struct store *st, bool on);
/** @param share weight of the district on its machine; 0: the usual one */
int store_set_share(struct store *st, uint32_t share);
int store_set_gated(struct store *st, bool on);
/** The journal page belongs to no generation: what is written to it stays, whichever generation the
 * district goes back to. Durable when it returns; after STORE_IO it may have happened.
 * @param bytes n <= STORE_JOURNAL, the rest is zero @param sequence above the one before, else
 * STORE_ARGUMENT */
int store_set_journal(struct store *st, uint64_t sequence, const void *bytes, size_t n);
/** @param to STORE_JOURNAL bytes @return its sequence number */
uint64_t store_journal(const struct store *st, void *to);
/** How many generations are kept: at least 2. Durable when it returns; takes effect at the next
 * commit. */
int store_set_retention(struct store *st, uint32_t last, uint32_t minutes, uint32_t hours,
                        uint32_t days);
/** The next generation will have this number or a higher one; never lower than it would be. For a
 * store made from an old generation of a district whose later numbers are taken. Durable when it
 * returns. */
int store_set_next(struct store *st, uint64_t number);
/** Makes the capacity larger: at most what the device has. Durable when it returns. */
int store_grow(struct store *st, uint64_t blocks);
/** Retention passes a kept generation over until the next claim (or the next one that is pinned):
 * the district is about to go back to it. Nothing is written. */
int store_pin(struct store *st, uint64_t generation);
/** Drops one kept generation, not the current one, never below two. Durable when it returns. One
 * whose index is damaged goes too: then all others are read to find out what only it held, and if
 * they cannot be read either, what is not known to be free stays used (store_info.leaks) until a
 * later store_drop finds it out. */
int store_drop(struct store *st, uint64_t generation);
/** Which copies of a mirror have all of it. Durable when it returns. */
int store_set_in_sync(struct store *st, uint32_t mask);
/** Makes a store of one device part of a mirror, of which it is the only copy that has all of it,
 * or the other way round. io is one device. Durable when it returns. */
int store_set_copies(struct store *st, uint32_t copies);

/* --- space ------------------------------------------------------------------------------------ */

/** How many objects may be put or deleted (each time counts) in the next generation such that
 * store_commit cannot fail for want of space, and that dropping, claiming, going back and growing
 * still work afterwards. 0 in a store that is full: then generations can be dropped, and it can
 * grow. Of a generation begun: as of its begin. */
int store_room(const struct store *st, uint64_t *objects);
/** Blocks that only this kept generation holds: what dropping it gives. */
int store_held(struct store *st, uint64_t generation, uint64_t *blocks);

/* --- checking --------------------------------------------------------------------------------- */

struct store_verify {
    /* in, may be NULL: blocks done, of about `total` */
    void (*progress)(void *ctx, uint64_t done, uint64_t total);
    void *ctx;
    bool structure_only; /* objects' bytes are not read: the index and the map alone */
    bool repair;         /* of a mirror: bad copies are overwritten. Nobody else has it open */
    /* out */
    uint64_t errors;   /* damage found, all reported through io.damage */
    uint64_t repaired; /* of that */
    uint64_t blocks;   /* read and compared */
};
/** Reads every block that any kept generation needs, checks all structure, and compares the
 * allocation map with what is reachable. Of a mirror, in all copies. Goes on after damage.
 * @return STORE_OK, STORE_DAMAGED if errors were not all repaired, STORE_IO, STORE_NOMEM */
int store_verify(struct store *st, struct store_verify *v);

/** Verification of an open store, a little at a time, while it goes on being written. */
struct store_scrub {
    uint64_t done, total;      /* blocks read, of about so many */
    uint64_t errors, repaired; /* damage found, reported through io.damage, and repaired of that */
    /* where it is: of the library */
    unsigned phase;
    bool blind;
    uint64_t key, end, generation, limit;
    uint32_t kept; /* generations when this stretch of keys began */
    struct store_scrub_generation {
        uint64_t number, ancestor; /* the nearest one, of these */
        bool done;                 /* has been read in this stretch */
    } at[STORE_GENERATIONS_MAX];
};
/** Every block that is there now, and still is when its turn comes, will have been read. */
int store_scrub_begin(struct store *st, struct store_scrub *s);
/** Reads max_blocks blocks, or up to one index block and what it names more. Of a mirror, in all
 * copies, and repairs. @return STORE_OK: there is more; STORE_ABSENT: it is complete;
 * STORE_NOMEM. What cannot be read is damage. */
int store_scrub_step(struct store *st, struct store_scrub *s, uint64_t max_blocks);

#endif
