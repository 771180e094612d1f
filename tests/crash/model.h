// sources: model.c memory_disk.c model_compare.c
/*
 * A model of what a store must hold, and a disk in memory; for the unit tests and the crash tests.
 * What differs from the model ends the program through model_fail.
 */
#ifndef CRASH_MODEL_H
#define CRASH_MODEL_H

#include <store/store.h>

/** Prints what is wrong, and aborts (or does what the test has put in model_failed). */
void model_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
extern void (*model_failed)(void);

struct memory_disk {
    uint8_t *bytes;
    uint64_t blocks;
    uint64_t writes, blocks_written, flushes, reads;
    uint64_t operations; /* all of them */
    uint64_t fail_at;    /* that operation fails; 0: none */
    bool late;           /* a write that fails is told of by the next wait or flush */
    bool lost;           /* one has failed since the last of them */
    uint64_t low, high;  /* data blocks written lie in it */
    uint64_t damages;    /* reported */
    struct store_damage last;
    bool quiet; /* damage is expected: not printed */
};

struct memory_disk *memory_disk_new(uint64_t blocks);
void memory_disk_free(struct memory_disk *d);
struct store_io memory_disk_io(struct memory_disk *d);

#define MODEL_GENERATIONS 64u

struct model_object {
    uint64_t seed; /* of its bytes; 0: zeros */
    uint32_t version;
    uint32_t type;
    oid_t made; /* the id that its bytes were made for: its own, or where it was copied from */
};

struct model_generation {
    uint64_t number;
    uint32_t limit; /* ids below it may be in it */
    struct model_object *object;
};

/** What a store must hold: everything of it is plain data, so that it can be copied. */
struct model_state {
    uint64_t current, next, incarnation;
    uint64_t blocks;  /* capacity */
    uint64_t journal; /* sequence number of the journal page, which says what is in it */
    uint32_t keep;
    bool autostart;
    uint32_t count;
    struct model_generation kept[MODEL_GENERATIONS];
};

struct model {
    struct memory_disk *disk;
    struct store_io io;
    struct store *st;
    /* how to open it again, if not by store_open */
    int (*open)(void *ctx, struct store **out);
    void *open_ctx;
    struct model_state state;
    struct model_generation pending;
    bool begun;
    uint32_t changes;
    bool unsure; /* an operation ended in an I/O error: the store may be as in `maybe` */
    struct model_state maybe;
};

void model_state_copy(struct model_state *to, const struct model_state *from);
void model_state_free(struct model_state *s);

/** Formats the disk. */
struct model *model_new(struct memory_disk *d, uint64_t blocks);
struct model *model_new_io(const struct store_io *io, uint64_t blocks);
struct model *model_new_named(const struct store_io *io, uint64_t blocks, char id);
void model_free(struct model *m);
/** Bytes of an object. */
void model_bytes(uint64_t seed, oid_t oid, uint64_t page[512]);
/** Are these they? */
bool model_bytes_are(uint64_t seed, oid_t oid, const uint64_t page[512]);

/* Each does the same to the store and to the model. Those that return an int leave the model as it
 * was if the store refuses. */
void model_begin(struct model *m);
int model_try_begin(struct model *m);
void model_put(struct model *m, oid_t oid, uint32_t type, uint64_t seed);
int model_try_put(struct model *m, oid_t oid, uint32_t type, uint64_t seed);
int model_try_delete(struct model *m, oid_t oid);
/** Puts bytes, those of an object of another store, as they were read there. */
int model_try_put_as(struct model *m, oid_t oid, const struct model *from, oid_t other,
                     const void *page);
/** In the generation begun. */
bool model_pending_exists(const struct model *m, oid_t oid);
void model_commit(struct model *m);
int model_try_commit(struct model *m);
void model_abort(struct model *m);
void model_claim(struct model *m, uint64_t generation);
int model_try_claim(struct model *m, uint64_t generation);
void model_drop(struct model *m, uint64_t generation);
int model_try_drop(struct model *m, uint64_t generation);
/** What the model will be if the commit under way, or the drop, is done. */
void model_after_begin(const struct model *m,
                       struct model_state *to); /* of a store under pressure */
void model_after_commit(const struct model *m, struct model_state *to);
void model_after_claim(const struct model *m, uint64_t generation, struct model_state *to);
void model_after_drop(const struct model *m, uint64_t generation, struct model_state *to);
void model_after_retention(const struct model *m, uint32_t keep, struct model_state *to);
int model_try_retention(struct model *m, uint32_t keep);
void model_after_autostart(const struct model *m, bool on, struct model_state *to);
int model_try_autostart(struct model *m, bool on);
void model_after_journal(const struct model *m, struct model_state *to);
int model_try_journal(struct model *m);
void model_after_grow(const struct model *m, uint64_t blocks, struct model_state *to);
int model_try_grow(struct model *m, uint64_t blocks);
/** Closes and opens; then it is sure of its state again. */
int model_try_open(struct model *m);
/** And claims. */
void model_reopen(struct model *m);
int model_try_reopen(struct model *m);
/** n operations of all kinds; stops at the first that fails for want of I/O or memory. */
void model_random(struct model *m, unsigned seed, unsigned n);

/** NULL if the store has exactly these generations with these objects, else what differs. */
const char *model_differs(struct store *st, const struct model_state *s);
void model_check(struct model *m);
uint64_t model_verify(struct model *m);

uint64_t model_random_number(uint64_t *state);

#endif
