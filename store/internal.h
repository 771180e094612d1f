/*
 * What the parts of the store library share. Not for others: they include <store/store.h>.
 *
 * Invariants. INVARIANT(n, ..) and check.c check them in debug builds; 4 and 9 are what
 * store_verify compares, in every build.
 *
 *   1. A block that the last durable root needs is never written to. So what a commit writes goes
 *      to blocks that are free in `committed`, and what it frees is guarded until its root is
 *      durable.
 *   2. Blocks are allocated only inside the claim of a durable root, and outside what it avoids.
 *   3. `now` is `committed` plus the generation begun. After an operation they are equal;
 *      store_abort makes them equal again.
 *   4. A block is used in the map exactly if a kept generation's tree, or the map's own, reaches it
 *      (but after damage: see ROOT_LEAKS).
 *   5. An index block in memory never changes once it has a place, and nobody has it pinned between
 *      operations.
 *   6. The table of generations ascends; a base is in it, and lower; the current one is kept; no
 *      number is above the newest, and the next one is above that.
 *   7. A ghost has no tree and more than one generation hanging on it. No other block is born after
 *      the generation that reaches it.
 *   8. Points ascend strictly, lie in the store, and are even in number.
 *   9. The count of free blocks is that of the map's clear bits.
 *  10. Before a root is begun the one before it is durable with all its twins.
 *  11. A copy of a mirror that is written to alone says so in the root.
 *  12. What a generation holds is dropped as a whole or not at all: nothing is freed before all
 *      that may fail for damage has been read.
 */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "format.h"
#include "mutation.h"

/** A set of block numbers as the sorted list of its borders: b is in it if an odd number are <= b.
 */
struct points {
    uint64_t *at;
    size_t count, capacity;
};

/** An index block in memory. */
struct node {
    struct node *next; /* in its hash chain, or in store.fresh while it has no place */
    struct node *older, *newer;
    uint64_t place, checksum;
    uint64_t written; /* store.io_epoch when it was given to io.write, 0: never */
    unsigned pins;
    struct disk_node disk;
};

/** A loaded block of the allocation map, as it is now (`now.points` applied). */
struct area {
    struct area *next;
    uint64_t index;
    uint64_t bits[AREA_BLOCKS / 64];
};

/** A root and what hangs on it, in memory. */
struct state {
    struct disk_root head;
    struct disk_generation generation[STORE_GENERATIONS_MAX];
    struct points points;
    uint8_t journal[STORE_JOURNAL]; /* head.journal bytes of it */
};

/** One change of the generation begun; entry.type OBJECT_NONE deletes. */
struct update {
    struct disk_entry entry;
    size_t order;
};

/** A block of bytes that must stay as they are while they are being written. */
struct parcel {
    struct parcel *next;
    uint64_t block;
    uint8_t bytes[STORE_BLOCK];
};

/** What a root slot has. Twin t of copy c is number, and bit, 2 c + t. */
struct slot {
    uint64_t sequence; /* of the newest whole root in it; 0: none */
    unsigned whole;    /* twins that have it */
    bool torn;         /* a twin has the remains of one */
};

#define HASH_SIZE        1024u
#define AREAS_LOADED_MAX 64u

struct store {
    struct store_io io;
    struct disk_super super;
    struct state committed, now;

    /* generation begun */
    bool begun;
    uint64_t number;
    struct update *update;
    size_t updates, update_capacity;
    struct points guard;  /* freed by what is under way: not to be allocated yet */
    uint64_t walked;      /* blocks of the claim that the cursor has passed */
    uint64_t claim_left;  /* at least so many free blocks are ahead in the claim */
    uint64_t last_commit; /* blocks that the largest recent commit needed */
    uint64_t allocated;   /* since begin */

    /* standing */
    bool claimed;
    uint64_t damages;  /* reported so far */
    uint64_t repaired; /* of that */
    bool silent;       /* damage is met on the way to something else: not reported */
    bool repairs;      /* bad copies are overwritten: nobody else writes here */
    uint32_t missing;  /* copies of a mirror from which no root could be read */
    bool must_reopen;  /* a root write failed: what is durable is not known */
    struct slot slot[ROOT_SLOTS];
    unsigned bad_supers; /* bit of each twin (see struct slot) */
    bool map_damaged; /* a block of the map cannot be read: a new one is made before the next begin
                       */
    bool pressed;     /* a commit ran out of space: drop generations first */
    uint64_t pinned;  /* retention passes it over, until it is claimed; NONE */

    /* caches */
    struct node *hash[HASH_SIZE];
    struct node *newest, *oldest;
    size_t cached, in_flight;
    uint64_t io_epoch;
    struct node *fresh;
    struct area *areas;
    bool folding;           /* all loaded areas must stay */
    struct parcel *parcels; /* in flight */
    struct parcel *late;    /* MUTATION_ROOT_BEFORE_DATA only */
    uint8_t *root_buffer;   /* ROOT_BLOCKS */
};

/* check.c */
#ifdef BW_CHECK
void store_check(const struct store *st);
void store_check_allocation(const struct store *st, uint64_t place);
void store_broken(int number, const char *what, const char *file, int line)
    __attribute__((noreturn));
#define INVARIANT(n, condition)                                                                    \
    ((condition) ? (void)0 : store_broken(n, #condition, __FILE__, __LINE__))
#define CHECK_STORE(st)             store_check(st)
#define CHECK_ALLOCATION(st, place) store_check_allocation(st, place)
#else
#define INVARIANT(n, condition)     ((void)0)
#define CHECK_STORE(st)             ((void)0)
#define CHECK_ALLOCATION(st, place) ((void)0)
#endif

/* store.c */
void store_copy_name(char *to, const char *from); /* STORE_NAME_MAX, with its NUL */

/* commit.c */
/** Makes `now` durable: the last step of everything that frees or allocates blocks. */
int store_make_durable(struct store *st);

/* damage.c */
int store_damaged(struct store *st, const char *file, int line, const char *what, uint64_t block,
                  uint64_t generation, uint64_t oid, uint64_t expected, uint64_t found);
/** With the file and line filled in. */
int store_damaged_copy(struct store *st, const char *file, int line, struct store_damage *d);
#define DAMAGED(st, what, block, generation, oid, expected, found)                                 \
    store_damaged(st, __FILE__, __LINE__, what, block, generation, oid, expected, found)

/* checksum.c */
uint64_t store_checksum(const void *bytes, size_t n);
bool store_is_zero(const void *block);

/* points.c */
/** Room for n borders, so that later calls cannot fail. */
int points_reserve(struct points *p, size_t n);
int points_toggle(struct points *p, uint64_t start, uint64_t count);
bool points_cover(const struct points *p, uint64_t b);
/** First border above b, or UINT64_MAX. */
uint64_t points_next(const struct points *p, uint64_t b);
/** Takes [start, end) out of the set. */
int points_clear(struct points *p, uint64_t start, uint64_t end);
int points_copy(struct points *to, const struct points *from);
void points_free(struct points *p);

/* io.c */
int io_read(struct store *st, uint64_t block, void *buf, size_t n);
/** A block, and what it must be. */
struct wanted {
    const char *what; /* for naming damage, as are generation and oid */
    uint64_t block, generation, oid;
    uint64_t checksum;
    bool believe; /* whatever its checksum is: for deliberate faults */
};
/** Reads a block from any copy that has it right. Damage is reported, and mended if it can be. */
int io_read_checked(struct store *st, const struct wanted *w, void *buf);
/** Looks at all copies. */
int io_read_all(struct store *st, const struct wanted *w, void *buf);
/** @return true if that copy's block is overwritten */
bool io_repair(struct store *st, unsigned copy, uint64_t block, const void *bytes);
/** From that copy of a mirror; else from the only one. */
int io_read_from(struct store *st, unsigned copy, uint64_t block, void *buf, size_t n);
int io_write(struct store *st, uint64_t block, const void *buf, size_t n);
int io_wait(struct store *st);
int io_flush(struct store *st);
/** Writes a copy of the 4096 bytes. */
int io_write_copy(struct store *st, uint64_t block, const void *bytes);
int io_late(struct store *st); /* MUTATION_ROOT_BEFORE_DATA: what was put off */

/* node.c */
/** Gets an index block, pinned; checks it. `low` and `generation` are for naming damage. */
int node_get(struct store *st, const struct disk_ref *ref, uint64_t low, uint64_t generation,
             struct node **out);
void node_put(struct node *n);
/** A new empty one without a place. */
struct node *node_fresh(struct store *st, unsigned level);
/** Gives a fresh one its place and writes it. birth is stored in it. */
int node_write(struct store *st, struct node *n, uint64_t birth, struct disk_ref *ref);
void node_discard(struct store *st, struct node *n); /* a fresh one */
void node_cache_free(struct store *st);
struct disk_ref node_child(const struct node *n, unsigned i);

/* tree.c */
int tree_find(struct store *st, const struct disk_ref *root, uint64_t generation, uint64_t oid,
              struct disk_entry *e);
/** True in *found if the tree has the block `place` as a node of that level under that key. */
int tree_shares(struct store *st, const struct disk_ref *root, uint64_t generation, uint64_t key,
                unsigned level, uint64_t place, bool *found);

struct cursor {
    struct store *st;
    uint64_t generation;
    unsigned depth; /* nodes on the path; 0: behind the last entry */
    struct node *node[LEVEL_MAX + 1];
    unsigned index[LEVEL_MAX + 1];
};
/** To the first entry with oid >= key. */
int cursor_seek(struct cursor *c, struct store *st, const struct disk_ref *root,
                uint64_t generation, uint64_t key);
const struct disk_entry *cursor_entry(const struct cursor *c); /* NULL behind the last */
int cursor_next(struct cursor *c);
void cursor_end(struct cursor *c);

/* update.c */
struct tree_counts {
    uint64_t objects; /* in it */
    uint64_t nodes;   /* index blocks */
};
/** Applies updates (sorted by oid, each once) by copying the path to each. release: the blocks
 * replaced are freed (the map's tree; those of a generation belong to it). What *counts has is
 * counted up and down. */
int tree_update(struct store *st, struct disk_ref *root, const struct update *u, size_t n,
                uint64_t birth, uint64_t generation, bool release, struct tree_counts *counts);

/* map.c */
int map_allocate(struct store *st, uint64_t *place);
/** Frees what is in use; it stays guarded until the next durable root. */
int map_free(struct store *st, uint64_t place, uint64_t count);
/** The bits of one area, 1 = used; good until the next call into map.c. */
int map_area(struct store *st, uint64_t index, const uint64_t **bits);
/** False if the block cannot be in use, as far as that is known without reading. */
bool map_may_free(struct store *st, uint64_t place);
bool map_used(struct store *st, uint64_t place, int *error);
/** Writes the inverted ranges into the map's own blocks when they have become many. */
int map_fold(struct store *st);
int map_fold_all(struct store *st); /* however few */
/** Has this area, which is not loaded, as if it had been read. */
int map_put_area(struct store *st, uint64_t index, const uint64_t *bits);
void map_forget(struct store *st);
/** Extends the claim of `head` until `wanted` free blocks are ahead in it, or it is all there is.
 */
int map_claim(struct store *st, struct disk_root *head, uint64_t wanted);
/** How many blocks a claim should have ahead. */
uint64_t map_claim_target(const struct store *st);
/** Is block b in the range that may wrap from the end of the store to FIRST_DATA? */
bool in_ring(uint64_t start, uint64_t length, uint64_t blocks, uint64_t b);
uint64_t ring_at(uint64_t start, uint64_t offset, uint64_t blocks);

/* super.c */
int super_open(struct store *st);
/** Names all twins that are not right, and mends them if st->repairs. */
int super_check(struct store *st);
/** Mends what super_open has found. */
void super_mend(struct store *st);
/** Makes it the superblock of that copy, checksum included. */
void super_for_copy(struct disk_super *s, unsigned copy);

/* root.c */
int root_open(struct store *st);
/** Says which copies have everything; the same mask again is no change. */
void root_set_in_sync(struct disk_root *h, uint32_t mask);
/** Names all twins of durable roots that are not whole, and mends them if st->repairs. */
int root_check(struct store *st);
/** Copies that are in sync, and there. */
uint32_t store_in_sync(const struct store *st);
uint32_t root_twins_lost(const struct store *st);
/** True if there are remains, and nothing whole, of a root behind the newest one. */
bool root_cut_off(const struct store *st);
/** Makes a state durable: flush, root, flush. On success it has the next sequence number. */
int root_write(struct store *st, struct state *s, bool data_first);
int state_copy(struct state *to, const struct state *from);

/* room.c */
/** Blocks that writing the whole map anew may take. */
uint64_t room_for_fold(const struct store *st);

/* policy.c */
/** For what is not part of a generation: changes the head of the last durable root. */
int change_head(struct store *st, void (*change)(struct disk_root *h, const void *v),
                const void *v);
bool retention_valid(uint32_t last, uint32_t minutes, uint32_t hours, uint32_t days);

/* bond.c */
void bond_info(const struct store *st, struct store_info *info);
/** 0: it was not made in a bond. */
uint64_t generation_instant(const struct disk_generation *g);
/** Whether the current generation counts only if the home has it. */
bool bond_in_doubt(const struct disk_root *h);
/** Whether it must stay: the current one, and of one in doubt the one that it grew from. */
bool generation_needed(const struct state *s, uint64_t number);
/** Which of the members it is. @return false: it is none of them, or they are too few or too many
 */
bool bond_place(const struct store *st, const struct store_bond *b, uint32_t *self);
/** Enters a bond. @param self which member it is @param prepared the generation in doubt; NONE:
 * none */
void bond_enter(struct disk_root *h, const struct store_bond *b, uint32_t self, uint64_t prepared);

/* generation.c */
struct disk_generation *generation_find(struct state *s, uint64_t number);
/** Kept (not a ghost), NULL if absent. number may be STORE_NEWEST: the current one. */
const struct disk_generation *generation_kept(const struct state *s, uint64_t number);
int generation_add(struct state *s, const struct disk_generation *g);
uint32_t generations_kept(const struct state *s);
/** How many of the table have it as their base. */
uint32_t generation_children(const struct state *s, uint64_t number);
/** Takes one out of `now`, freeing what only it needed. */
int generation_drop(struct store *st, uint64_t number);
/** The same, but what lies below damage stays used, and the root says so. */
int generation_drop_readable(struct store *st, uint64_t number);
/** Takes it out of the table; if others fork from it, it stays there as a ghost. */
void generation_strike(struct store *st, uint64_t number);
/** How many blocks that would free. */
int generation_held(struct store *st, uint64_t number, uint64_t *blocks);

/* reclaim.c */
/** Takes one out of `now`, whether it can be read or not. */
int generation_drop_anyway(struct store *st, uint64_t number);
/** Frees what no generation reaches, of all but one (NONE: of all). STORE_DAMAGED: that cannot be
 * told, and nothing has changed, or the map cannot be read, and it may have. */
int generation_reclaim(struct store *st, uint64_t but);
/** Has all areas of the map loaded, from what the generations reach, without reading any. */
int map_from_generations(struct store *st);
/** Makes the whole map anew from what the generations reach; durable when it returns. If they
 * cannot all be read, STORE_DAMAGED. */
int map_rebuild(struct store *st);

/* retain.c */
/** Drops what retention no longer keeps; only_last: of the older ones, all. At least 2 stay. */
int generation_retain(struct store *st, uint32_t last, bool only_last);

#endif
