/*
 * Page tables: a cache of segments, nothing more. Each address space in use (struct space) has
 * tables of its own, built at faults and torn down where a node changes.
 *
 * Withdrawing write permission for a snapshot costs no walk: a space carries the epoch in which its
 * tables were last known right. When it is loaded and that is old, write permission is taken from
 * its top-level entries only, and pushed down one level at a time as it is written to again. So:
 *
 *   1. a leaf entry is writable *on its whole path* only if its object was made writable in this
 *      epoch;
 *   2. an upper entry without write permission may have stale permissions below it;
 *   3. each entry that maps an object's content is counted in object.mapped; object.entry is one of
 *      them or NULL; the entries in use of each table are counted in frame_entries;
 *   4. each node on the path to an entry has (space, address) in its node_maps, or overflow is set;
 *   5. an entry that the nucleus has used on behalf of the program is marked as accessed, too.
 */
#ifndef NUCLEUS_PAGING_H
#define NUCLEUS_PAGING_H

#include "cpu.h"
#include "object.h"
#include "domain.h"

struct space {
    struct space *sibling;         /* other spaces with the same root */
    struct space *next, *previous; /* of the district */
    struct object *root;
    uint64_t *top;
    uint64_t id;    /* of this space, never the same again */
    uint64_t stamp; /* of its tables: new when they are dropped */
    uint64_t epoch;
    struct key key; /* what it was built from */
};

#define NODE_MAPS 4u
struct node_maps {
    struct {
        struct space *space;
        uint64_t stamp;
        uint64_t base; /* address | height */
    } at[NODE_MAPS];
    uint32_t
        overflow; /* district.drops + 1 when there were too many for `at`; old: none any more */
    uint8_t count;
    struct space *own; /* spaces with this node as their root */
};

struct range_map { /* of RAM, from the boot loader */
    uint64_t from, to;
};

/** Final tables of the nucleus, with each section's rights. `ram_limit`: end of the highest RAM. */
void paging_init(uint64_t ram_limit);
void *paging_apic(void);

/** Finds or makes the space of the domain's segment key. @return BW_OK (a->space may be NULL: no
 * space), WAIT_* */
int paging_find_space(struct activity *a);
static inline int paging_attach(struct activity *a)
{
    return a->space != NULL && a->space->id == a->space_id ? BW_OK : paging_find_space(a);
}
/** Loads the domain's address space. */
void paging_switch(struct activity *a);
static inline void paging_load(struct activity *a, uint64_t epoch)
{
    struct space *s = a->space;
    if (s == NULL || s != cpu0.space || cpu0.reload || s->epoch != epoch)
        paging_switch(a);
}
/** A fault of the current domain. @return BW_OK: retry; BW_FAULT: to its keeper; WAIT_* */
int paging_fault(struct activity *a, uint64_t address, uint64_t error);
/** Pointer to user memory that is mapped writable right now, or NULL: walk the segment. */
void *paging_writable(const struct activity *a, uint64_t address);
/** Same for reading. */
const void *paging_readable(const struct activity *a, uint64_t address);

/** Slots [first, first + count) of the node changed; protect: only lost RIGHT_WRITE. */
void paging_node_changed(struct object *node, unsigned first, unsigned count, bool protect);
/** The page goes away or its keys are rescinded: nothing maps it any more. */
void paging_page_gone(struct object *page);
/** Forgets that the page was accessed, as far as it knows where it is mapped. */
void paging_not_accessed(struct object *page);
/** Whether the page is not mapped, or was not accessed since the last time: then it is no more. One
 * that is mapped more than once, only paging_sweep can tell about. */
bool paging_page_idle(struct object *page);
/** Goes on through the district's tables, so many of level 1, and unmaps what was not accessed
 * since it was last there. */
void paging_sweep(struct district *d, unsigned tables);
/** Whether more spaces than it can name were built from the node since the last paging_drop_all. */
bool paging_node_shared(const struct object *node);
/** Whether tables that are in use were built from the node. */
bool paging_node_mapped(const struct object *node);
/** The node goes away or its keys are rescinded. */
void paging_node_gone(struct object *node);
/** Drops all tables of a district. */
void paging_drop_all(struct district *d);
void paging_use_nucleus_tables(void);

#endif
