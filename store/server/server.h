/*
 * What the parts of a store server share. One server serves one store, and the district in it.
 *
 *   closed      the store cannot be used: only STORE_LINE is answered, with the reason
 *   idle        open, its district does not run            -> STORE_START -> running
 *   running     the district runs; objects are supplied    -> STORE_ENDED -> idle
 *   writing     running, and a snapshot is written out     -> committed or dropped -> running
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <bailiwick/admin.h>
#include <bailiwick/runtime.h>
#include <store/store.h>
#include "disk.h"

#define KR_NUCLEUS   KR_PROGRAM
#define KR_DISTRICT  27
#define KR_WAITERS   28 /* node: resume keys of those who wait for a checkpoint */
#define KR_DISTRICTS 29
#define KR_PARTNER   30                               /* driver of the disk with the other copy */
#define KR_ADOPTED   (KR_ARGUMENT + 2)                /* a district that still runs */
#define KR_OFFERED   (KR_ARGUMENT + 3)                /* what comes with a message */
#define WAITERS      64u                              /* slots of KR_WAITERS */
#define KEY_DROPPER  KEY_IN_NODE(KR_WAITERS, WAITERS) /* resume key; history.c */

/* Crash policies (struct system_page). */
#define POLICY_STOPS     1u
#define POLICY_CONTINUES 2u

#ifndef BW_MUTATION
#define BW_MUTATION 0 /* tests: registration.c, bond.c, checkpoint.c */
#endif

struct server {
    struct store *store; /* NULL: closed */
    bool running;
    bool writing;
    bool doomed;  /* districtd was told that it cannot go on: nothing is committed any more */
    bool unknown; /* districtd has ended: the next one is to be told of us */
    bool short_of_memory; /* objects that are wanted wait for memory */
    bool bonded;          /* districtd says when it is checkpointed; bond.c */
    bool free;            /* a partition without a store, until it is made one; maker.c */
    bool copy_lost;       /* a copy of a mirrored store was given up, and the other one goes on */
    bool reopen;   /* a write has failed: the store must be opened again before the next one */
    uint64_t disk; /* N of "diskN" */
    unsigned slot; /* at districtd */
    uint64_t damaged_block;    /* met last, for the user; 0: none */
    bw_time_t next;            /* MONOTONIC: the next checkpoint by itself; BW_NO_DEADLINE: none */
    struct district_line line; /* name, error and message; the rest is filled in when asked */
    oid_t crash_told;          /* the domain whose crash districtd knows of */
    /* a message to districtd that is still to be sent; report.c */
    enum ended_why ended; /* 0: none */
    uint64_t ended_object;
    char ended_text[80];
    bool bond_asks; /* a checkpoint of its bond is wanted */
    struct {
        enum bonded what; /* 0: none */
        uint64_t instant;
        int64_t result;
    } bond;
};

extern struct server server;

/* stored.c */

/** Opens, or after a failed write opens again, the store. @return enum store_error */
int server_open_store(void);
/** Tells districtd of a crash that it does not know of. @return true: the district is at its end */
bool server_look_for_crash(void);
/** Brings server.line up to date. */
void server_fill_line(void);
/** What a store_error is in an answer: an enum bw_result. */
int64_t server_result(int error);
/** The same for a change of the store: after a failed one it must be opened again. */
int64_t server_changed(int error);

/* start.c */

/** Makes a start key to us. */
void server_own_key(uint16_t badge, uint16_t place);
/** STORE_START: claims the store and creates the district; its key is in KR_DISTRICT then. If it
 * cannot be, server.line.message says why. @param string struct district_params, the random parts
 * filled in */
int64_t server_start(const struct message *m, const void *string);
/** The district has ended. */
void server_stopped(void);

/* registration.c */

/** Makes the store known to districtd. @return false: another server looks after this disk, too */
bool server_register(void);
/** districtd has posted: if it is another one than we know, it has to be told of us. */
void server_look_for_districtd(void);

/* adopt.c */

/** Whether our district is in memory although we have not started it: its key is in KR_DISTRICT
 * then. The server before us had it, and perhaps nobody else. */
bool server_find_district(void);
/** Takes over the running district whose key is in KR_DISTRICT. @param own_key start key to us, for
 * its posts */
void server_adopt(uint16_t own_key);

/* bond.c */

/** STORE_BOND. @return false: it is answered already */
bool bond_serve(const struct message *m, const void *string, struct message *reply);
/** What the store says of its bond; afterwards nothing but that is known. */
void bond_open(void);
/** The commit of a snapshot that was frozen with those of the other members. @param home true: it
 * is the decision @return enum store_error */
int bond_commit(uint64_t instant, enum store_reason reason);
/** Whether our commit is the decision. */
bool bond_is_home(void);
/** The current generation, if it is in doubt, counts if that was said, and is undone if not, so
 * that another can be made. @return enum store_error */
int bond_settle(void);
/** The generation of that instant counts, as the server before us was told. */
void bond_counts(uint64_t instant);
/** Tells districtd, in place of what it was still to be told. */
void bond_report(enum bonded what, int64_t result);
void bond_fill_line(struct bond_line *line, const struct store_info *info);

/* report.c */

/** Tells districtd, as soon as it listens, that the district cannot go on. @param object or 0 */
void server_ended(enum ended_why why, uint64_t object, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** Tells districtd, as soon as it listens, what happened. */
void server_event(enum event_kind kind, bool important, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** io.damage of the store library. */
void server_damage(void *ctx, const struct store_damage *d);
/** Sends what districtd is still to be told. @return false: it is busy, to be tried again */
bool server_report(void);

/* supply.c */

/** Supplies what the nucleus wants of the district's objects. */
void supply_wanted(void);
/** Offers again what there was no memory for. @return true if there still is some */
bool supply_kept(void);
void supply_reset(void);

/* checkpoint.c */

/** The district has started, or ended: nothing is under way and nobody waits any more. */
void checkpoint_reset(void);
/** Stops the district for a moment and begins to write it out, if nothing is under way. */
void checkpoint_begin(enum store_reason reason);
/** Goes on writing, a bounded step, if it is time for one; the last one commits. */
void checkpoint_step(void);
/** A snapshot that was frozen with those of other districts is to be written. @param asked who has
 * waited since then waits for this one; who came later (before we heard of it) for the next */
void checkpoint_together(const struct district_frozen *frozen, uint64_t instant, bw_time_t asked);
/** The instant of such a snapshot under way; 0: there is none. */
uint64_t checkpoint_instant(void);
/** It is to be committed: we are the home. */
void checkpoint_decide(void);
/** It was decided. */
void checkpoint_keep(void);
/** It does not count. @param code for those who wait; 0: they wait for the next one */
void checkpoint_undo(int64_t code);
/** It is in no bond any more: whoever waits for a common checkpoint gets one of his own. */
void checkpoint_alone(void);
/** Tells districtd, which knows of nothing, how far it is. */
void checkpoint_tell(void);
/** What districtd has frozen, and has ended before it told us so, is dropped. */
void checkpoint_forget(void);
/** Nothing had changed anywhere. @param asked as above */
void checkpoint_clean(bw_time_t asked);
/** Takes one over that is prepared, from a server that has ended. */
void checkpoint_prepared(uint64_t frozen_epoch, uint64_t instant);
/** When the next step is due; 0: at once. */
bw_time_t checkpoint_due(void);
/** If memory or the budget asks for it, begins an early checkpoint, or hurries with the one under
 * way. */
void checkpoint_look(const struct district_status *status);
/** After a failed write of a root nothing is known of the disk: it is read again, and the claim's
 * root makes durable what was found. @return enum store_error */
int checkpoint_recover(struct store_info *found);
/** Tells the nucleus how much may become dirty. */
void checkpoint_budget(void);

#endif
