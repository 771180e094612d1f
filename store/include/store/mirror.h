/*
 * A store with a second copy: one struct store_io made of two devices. The store library sees one
 * device; each block is written to both, and read from one of them. See mirror.c for what decides
 * which copy is believed.
 *
 * Use:
 *     mirror_look      at each device that is there, alone
 *     mirror_begin     decides; what the user has to choose stays closed until he has
 *     mirror_open      the store
 *     mirror_survive   after a failed commit; then the store is opened again
 *     mirror_resync    until a copy that was out of date is not
 */
#ifndef STORE_MIRROR_H
#define STORE_MIRROR_H

#include <store/store.h>

#define MIRROR_COPIES 2u
#define MIRROR_ALL    3u /* as a mask of copies */

/** What a device says of itself, opened alone. */
enum mirror_state {
    MIRROR_ABSENT,  /* there is no such device */
    MIRROR_DAMAGED, /* a copy of this store, but none of its roots can be read */
    MIRROR_WHOLE,
};

struct mirror_seen {
    enum mirror_state state;
    unsigned in_sync; /* mask of the copies that it says are up to date */
    uint64_t changes; /* how often that has changed */
    uint64_t sequence;
    uint64_t history; /* its last values, as store_info.mirror_history; 0: not known */
};

enum mirror_verdict {
    MIRROR_BOTH,       /* both are up to date */
    MIRROR_ALONE,      /* the leader, which knows that it runs alone */
    MIRROR_STALE,      /* the leader; the other one is there and must be brought up to date */
    MIRROR_ASK,        /* only the leader can be used, and it does not know what the other did */
    MIRROR_SPLIT,      /* both claim to be the only one: the user must choose */
    MIRROR_INCOMPLETE, /* the only one there was being brought up to date */
    MIRROR_NONE,       /* no copy can be read */
};

struct mirror_decision {
    enum mirror_verdict verdict;
    unsigned leader; /* the copy that is read; with ASK the one that could be */
};

/** Decides from what the two copies say. Pure; seen[i] is copy i. */
struct mirror_decision mirror_decide(const struct mirror_seen seen[MIRROR_COPIES]);
/** The verdict in a few words, e.g. "both copies are up to date". */
const char *mirror_verdict_text(enum mirror_verdict verdict);

/** A device looked at alone. */
struct mirror_look {
    int error;  /* of opening it; with STORE_OK, info holds */
    bool label; /* the next three are known, though perhaps no more */
    uint8_t id[16];
    char name[STORE_NAME_MAX];
    unsigned copy;
    struct store_info info;
    struct mirror_seen seen;
};

struct mirror {
    struct store_io device[MIRROR_COPIES]; /* read NULL: absent, or given up */
    struct mirror_decision decision;
    unsigned active;   /* mask: written to */
    unsigned complete; /* mask of active: up to date, so that its roots are believed */
    unsigned recorded; /* mask: which the roots call so */
    unsigned last;     /* mask: gets the next root when the other one has it; has all others */
    unsigned lost;     /* mask of complete: a write has failed; flush fails until mirror_survive */
    bool failed;       /* a write to the last one that is up to date has, and nobody was told */
    bool frozen;       /* nothing may be written: the user has not chosen, or only reads */
    void (*damage)(void *ctx, const struct store_damage *d);
    void *ctx;
};

/** Opens a device alone, only reading, and says what is there. */
void mirror_look(const struct store_io *io, struct mirror_look *look);
/** True if both are copies of one mirrored store. Two files of the same copy are not. */
bool mirror_pair(const struct mirror_look *a, const struct mirror_look *b);
/**
 * Decides between the copies that are there, by their copy numbers. With ASK the store can be read
 * from the leader; nothing is written until mirror_alone. Without a leader it cannot be opened.
 * @param device, look one each, `count` (1 or 2) of them */
enum mirror_verdict mirror_begin(struct mirror *m, const struct store_io *device,
                                 const struct mirror_look *look, unsigned count);
/** The user accepts that the leader runs alone. The store is then opened again. */
void mirror_alone(struct mirror *m);
/**
 * Opens the store. Unless m->frozen, the roots say durably from then on who is up to date, and a
 * copy that is there and out of date is written to as well. @param base damage with its context,
 * cache_blocks, fold_limit @return enum store_error; STORE_STATE: there is no leader */
int mirror_open(struct mirror *m, const struct store_io *base, struct store **out);
/** A mirror of two devices for store_format: both are written to. */
void mirror_fresh(struct mirror *m, const struct store_io device[MIRROR_COPIES]);
/** The mirror as a device; io has its damage and context, cache_blocks and fold_limit. */
void mirror_io(struct mirror *m, struct store_io *io);
/**
 * A device that has come, or has been made, while the store is open with no generation begun and
 * nothing in flight: it is written to from now on. @return STORE_OK; STORE_TRUNCATED if it is
 * smaller than the store, STORE_STATE if that copy is in use; STORE_IO: if mirror_behind has it,
 * the store must be opened again */
int mirror_add(struct mirror *m, struct store *st, unsigned copy, const struct store_io *device);
/**
 * After a failed write: gives a copy that failed up; the store is then opened again, before
 * anything is taken for committed. @return mask of what was given up; the last one never is */
unsigned mirror_survive(struct mirror *m);
/** Mask of the copies that are up to date. */
unsigned mirror_in_sync(const struct mirror *m);
/** Mask of the copies that are written to and not up to date yet. */
unsigned mirror_behind(const struct mirror *m);
/**
 * Goes on bringing a copy up to date: `scrub`, begun by store_scrub_begin after the copy became
 * active, is stepped; at its end, with nothing wrong, the copy counts as up to date, durably.
 * @return STORE_OK: more to do. STORE_ABSENT: done, or nothing to do. STORE_DAMAGED: done, but
 * there are blocks that no copy has: it does not count as up to date. Others: failed */
int mirror_resync(struct mirror *m, struct store *st, struct store_scrub *scrub,
                  uint64_t max_blocks);

#endif
