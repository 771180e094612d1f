/*
 * Links: keys that cross a district border (see docs/design.md, ABI bailiwick/link.h). A link key
 * is an index into its holder's link table and the version of that entry; the entry has the key
 * itself and the instance of the other district at the time. When either side ends, the comparison
 * fails and the link is severed: no search.
 *
 * Entries below LINKS are unnamed: made when a key crosses, found again by the same key (interned,
 * which gives equality). Entries from LINKS on are the volatile halves of named links.
 */
#ifndef NUCLEUS_LINK_H
#define NUCLEUS_LINK_H

#include <bailiwick/link.h>
#include "district.h"

#define LINK_CHUNK 64u /* entries in a frame */

struct link_entry {
    struct key target;     /* a key of that district; void: free, or leads nowhere */
    uint32_t version;      /* of the keys to this entry */
    uint32_t instance;     /* of the target's district when the link was made */
    uint16_t district;     /* its slot */
    uint16_t next;         /* index + 1, 0 ends: in the free list, or in the list of waiters */
    uint16_t previous;     /* in the list of waiters */
    uint16_t chain;        /* index + 1: the next one with this hash */
    uint8_t state, reason; /* enum link_state (unnamed ones: LIVE), enum link_reason */
    bool wanted;           /* named: waits to be established */
    bool held;             /* link_holder: somebody has a key to it */
    uint64_t messages;
    bw_time_t since; /* clock_now of the last change of state */
};
_Static_assert(sizeof(struct link_entry) <= 64, "a chunk of links fits a frame");

/** What a key of `from` becomes in the hands of `to`; void if it may not cross or the table is
 * full. */
struct key link_cross(struct district *from, struct district *to, struct key k);

static inline struct link_entry *link_entry_at(struct district *d, unsigned index)
{
    struct link_entry *chunk = d->links.chunk[index / LINK_CHUNK];
    return chunk == NULL ? NULL : &chunk[index % LINK_CHUNK];
}

/** The entry that a link key names, NULL if there is none any more. */
static inline struct link_entry *link_entry(struct district *d, struct key link)
{
    if (link.value >= LINKS + LINK_NAMED_MAX)
        return NULL;
    struct link_entry *e = link_entry_at(d, (unsigned)link.value);
    return e != NULL && e->version == link.version ? e : NULL;
}

/** Whether it leads to a district that has ended since. */
static inline bool link_cut(const struct link_entry *e)
{
    const struct district *d = &districts[e->district];
    return e->target.type == KEY_VOID || d->instance != e->instance || d->state != DISTRICT_RUNNING;
}

/** @return BW_OK, the district and its key; BW_SEVERED, BW_RELINKED */
static inline int link_resolve(struct district *d, struct key link, struct district **to,
                               struct key *target)
{
    const struct link_entry *e = link_entry(d, link);
    if (e == NULL || link_cut(e))
        return BW_SEVERED;
    if (e->state != LINK_LIVE)
        return BW_RELINKED;
    *to = &districts[e->district];
    *target = e->target;
    return BW_OK;
}

/** A message went through it. */
static inline void link_count_message(struct district *d, struct key link)
{
    struct link_entry *e = link_entry(d, link);
    if (e != NULL)
        e->messages++;
}

/** Makes sure that the chunk of an entry is there. */
int link_room(struct district *d, unsigned index);
/** A resume link was used, or moved on. */
void link_free(struct district *d, struct key link);
/** Its holder does without it: who waits for a reply through it gets BW_VOID. @return BW_OK,
 * WAIT_MEMORY */
int link_drop(struct district *d, struct key link);
/** `d` ends: those outside who wait for a reply from it get BW_SEVERED, a bounded number at a time.
 * Its other links are severed by its end itself. @return true when nobody waits any more */
bool link_sever_waiters(struct district *d);
/** A link of `d` to `to` is again what the note says, if it can be; then, once for all of them,
 * what is free is listed. */
void link_put_back(struct district *d, struct district *to, const struct bonded_link *note);
void link_list_free(struct district *d);
/** Of those outside who wait for a reply from `d`: nobody holds the key to it yet; one does; the
 * others are told BW_VOID. See orphans.c. */
void link_holders_begin(struct district *d);
void link_holder(struct district *d, struct key link);
void link_holders_end(struct district *d);
/** Its table goes. */
void link_forget_all(struct district *d);
/** The version of the next link key of a district: persistent, so that a key from a past never fits
 * again. @return BW_OK, WAIT_MEMORY */
int link_next_version(struct district *d, uint32_t *version);

/* named.c */

/** `d` ends: what its links to others were is told by `links` for a while. */
void named_note_end(const struct district *d);

/** The pages of both tables are brought in. @return BW_OK, WAIT_OBJECT, BW_VOID */
int named_load(struct district *d);
/** The district runs: all its named links are severed, and wanted. */
int named_start(struct district *d);
int named_open(struct district *d, const struct link_params *p, struct key notice,
               struct key *link);
int named_publish(struct district *d, const struct publication_params *p, struct key k);
/** @return what is published under a name, NULL if nothing is */
const struct publication *named_find(struct district *d, const char *name);
/** @param to,target the other side. @return BW_OK, BW_ABSENT, BW_REFUSED, BW_NOMEM */
int named_establish(struct district *d, uint64_t place, uint32_t version, struct district *to,
                    struct key target);
/** It cannot be established. @return BW_OK, BW_ABSENT */
int named_refuse(struct district *d, uint64_t place, uint32_t version, enum link_reason reason);
/** bond.c: it is established as it was. */
void named_put_back(struct district *d, struct district *to, const struct bonded_link *note);
int named_acknowledge(struct district *d, struct key link, uint64_t connection);
int named_reopen(struct district *d, struct key link);
/** The domain that a link leads to is gone, though its district runs. A named link is severed, and
 * wanted: something else may be published under its name. @return BW_SEVERED; BW_VOID: unnamed */
int named_lost(struct district *d, struct key link);
/** The persistent half of a link key, NULL if it is not a named link of now. */
struct named_link *named_of(struct district *d, struct key link);
/** The first link from an index on: places of named links, then (from LINK_NAMED_MAX) the others.
 * @return BW_OK and *index, BW_ABSENT */
int named_line(struct district *d, uint64_t *index, struct link_line *line);
/** @return BW_OK, WAIT_* */
int named_drop(struct district *d, struct key link);

#endif
