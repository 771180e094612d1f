/*
 * The districts that this machine knows of: one entry for each store that a store server has
 * registered.
 */
#ifndef DISTRICTS_REGISTRY_H
#define DISTRICTS_REGISTRY_H

#include <stdbool.h>
#include <bailiwick/admin.h>
#include "policy.h"

#define REGISTRY_MAX DISTRICT_MAX /* slot 0 is not used; a slot is also the console session */

struct entry {
    bool known;     /* registered */
    bool running;   /* its district key is held */
    uint64_t id[2]; /* of the store */
    unsigned copy;  /* 1 + which copy of a mirrored store registered; 0: it is not mirrored */
    bool fresh;     /* new with this districtd, and its store could not be used so far */
    bool waits;     /* for being started by itself: autostart.c */
    bool paired;    /* its server looks after the other copy's disk, too: KEY_PARTNER */
    char name[DISTRICT_NAME_MAX];
    struct district_line line;          /* as last heard from the store server */
    int32_t error;                      /* why it cannot run (enum bw_result), 0 if it can */
    char message[DISTRICT_MESSAGE_MAX]; /* for the user: why, or what happened to it last */
    struct crash_history crashes;
};

/** @return the slot of a district that may run, or 0 */
unsigned registry_find(const char *name);
/** The slot of the store server that has another copy of that mirrored store, or 0. */
unsigned registry_partner(const uint64_t id[2], unsigned copy);
/** The slot of the store with that id, if its district may run, or 0. */
unsigned registry_by_id(const uint64_t id[2]);
/** The slot of the index-th entry, or 0. */
unsigned registry_at(uint64_t index);
struct entry *registry_entry(unsigned slot);
/** Whether a store may call its district so: mkdistrict's rule, which others need not keep to. */
bool registry_name_valid(const char *name);
/** Enters what a store server said. @param other the slot of another store with that name, or 0
 *  @param wish the slot that it would like to have, or 0 @return the slot, or 0 if there is no room
 */
unsigned registry_add(const struct district_line *line, unsigned other, uint64_t wish);
/** Sets the entry's message. */
void registry_say(struct entry *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
