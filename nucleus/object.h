/*
 * Objects in memory: one header each, found by (district, id).
 *
 * Content is in data; what a snapshot under way still needs of an object that has changed since is
 * in snap. An object is in up to two change lists, one by the parity of its epoch:
 *
 *   listed[e & 1]   meaning
 *   e = epoch       dirty: new or changed in the epoch being made
 *   e = snapshot's  in the snapshot and not yet pulled; its content there is snap, or else data
 *
 * A destroyed object that the store may still have stays as a tombstone (type NONE, data NULL)
 * until the commit that forgets it; absent objects are tombstones that were never anything else.
 *
 * Invariants:
 *   1. content is changed only by who has called object_make_writable in this epoch and got BW_OK;
 *   2. in the commons nothing is ever dirty;
 *   3. snap != NULL only while listed in the snapshot.
 */
#ifndef NUCLEUS_OBJECT_H
#define NUCLEUS_OBJECT_H

#include <stdbool.h>
#include <bailiwick/key.h>
#include <bailiwick/district.h>

struct district;

struct object_link {
    struct object *next, *previous;
};
struct object_list {
    struct object *first, *last;
    size_t count;
};

struct object {
    struct object *hash_next;
    struct object_link all;       /* of its district */
    struct object_link change[2]; /* by parity of the epoch */
    oid_t oid;
    uint8_t *data;
    uint8_t *snap;
    uint64_t dirty_epoch;  /* last epoch in which it was made writable */
    uint64_t pulled_epoch; /* last snapshot in which it was handed out */
    void *aux;             /* derivable: DOMAIN struct activity, NODE struct node_maps */
    uint64_t *entry; /* derivable: one of the page table entries that point to data, or NULL */
    uint32_t version;
    uint32_t mapped; /* page table entries that point to data */
    uint16_t district;
    uint8_t type; /* enum object_type */
    uint8_t snap_type;
    bool listed[2];
    bool used;   /* by the nucleus, since evict_step last looked */
    bool stored; /* a committed generation or the snapshot under way may have it */
    uint32_t snap_version;
};

/* Beside the negative enum bw_result, functions of the nucleus return these; the invocation is then
 * run again. */
#define WAIT_OBJECT (-1000) /* the current domain waits for an object to be supplied */
#define WAIT_MEMORY (-1001) /* .. for a frame */
#define WAIT_COMMIT (-1002) /* .. for its district's next commit */
#define WAIT_CALLEE (-1003) /* .. for another domain */

void object_init(size_t frames);

/** @return the header if it is in memory (tombstones too), or NULL */
struct object *object_lookup(struct district *d, oid_t oid);
/** Finds the object of a key of district d, checking type and version.
 *  @return BW_OK and *out; BW_VOID; WAIT_OBJECT after the fetch was asked for */
int object_find(struct district *d, struct key k, struct object **out);
/** Same by id: any version. */
int object_fetch(struct district *d, oid_t oid, enum object_type type, struct object **out);
/** A new zeroed object. @return BW_OK, BW_EXISTS, BW_ARGUMENT, BW_NOSPACE, BW_NOMEM (commons),
 * WAIT_* */
int object_create(struct district *d, oid_t oid, enum object_type type, struct object **out);
/** As read from the store (bytes NULL: zeros; type NONE: there is none), or, in the commons, of
 * given content. */
int object_install(struct district *d, oid_t oid, enum object_type type, uint32_t version,
                   const uint8_t *bytes);
/** Commons, boot: an object whose content is this frame. */
struct object *object_adopt(struct district *d, oid_t oid, enum object_type type, void *frame);
/** Destroys what stands under the id, now or in the store. @return BW_OK, WAIT_MEMORY, WAIT_COMMIT
 */
int object_destroy(struct district *d, oid_t oid);
/** All keys to it become void. */
int object_rescind(struct object *o);
/** The same whatever it takes (no budget, the frame reserve): for what must not wait. False: not
 * even so. */
bool object_force_writable(struct object *o);
/** Readies the object for a change in this epoch: see invariant 1; object_make_writable
 * (district.h) is the quick test before it. @return BW_OK, WAIT_MEMORY, WAIT_COMMIT */
int object_make_dirty(struct object *o);
/** Removes the header and all that it has, whatever its state (the district ends). */
void object_discard(struct object *o);

void change_add(struct object_list *l, struct object *o, unsigned parity);
void change_remove(struct object_list *l, struct object *o, unsigned parity);

/** Whether a range key's ids are all below OID_LIMIT. */
static inline bool range_valid(struct key k)
{
    return k.tag <= 31 && k.value < OID_LIMIT && key_range_count(k) <= OID_LIMIT - k.value;
}

/** Key to an object as its range gives it. */
struct key object_key(const struct object *o);

static inline struct key *node_slots(struct object *o)
{
    return (struct key *)o->data;
}

#endif
