/*
 * Keys (capabilities): 16 bytes, the same in memory and in a store.
 *
 *   byte 0      type (enum key_type)
 *   byte 1      rights (RIGHT_*)
 *   bytes 2-3   tag: a start key's badge, a segment's height, a meter's priority, a range's shift
 *   bytes 4-7   version
 *   bytes 8-15  value: an object id of the same district, or an immediate value
 *
 * A key of a district names objects of that district only; what leads outside is a link. On disk:
 * do not change. Programs never see these bytes except through KEY_NUMBER and SELF_IDENTIFY.
 */
#ifndef BAILIWICK_KEY_H
#define BAILIWICK_KEY_H

#include <bailiwick/types.h>

enum key_type {
    KEY_VOID = 0,
    KEY_NUMBER = 1,  /* value, version and tag are free for the holder */
    KEY_PAGE = 2,    /* value: oid */
    KEY_NODE = 3,    /* value: oid; the 256 slots as keys */
    KEY_SEGMENT = 4, /* value: oid of a node, tag: height 1..4; the node read as memory */
    KEY_DOMAIN = 5,  /* value: oid; full control of a domain ("service key") */
    KEY_START = 6,   /* value: oid of a domain, tag: badge */
    KEY_RESUME = 7,  /* value: oid of a domain, tag|version: 48-bit call count; works once */
    KEY_RANGE = 8,   /* ids [value, value + (version << tag)): create and destroy objects */
    KEY_LINK = 9,    /* value: index in the district's link table, version: of that entry */
    KEY_METER = 10,  /* tag: scheduling class, 0 (first) .. 3 (last) */
    KEY_GRANT = 11,  /* looks up by name what the outside granted to this district */
    KEY_LAST_PERSISTENT = KEY_GRANT,
    /* From here on: in the commons only; a store that contains one is damaged. */
    KEY_NUCLEUS = 16,  /* control of the machine: enum nucleus_order */
    KEY_DISTRICT = 17, /* value: district slot, version: its instance: enum district_order */
    KEY_PORTS = 18,    /* I/O ports [value, value + version) */
    KEY_PHYSICAL = 19, /* physical memory [value, value + version * 4096): device registers */
    KEY_IRQ = 20,      /* value: interrupt line */
};

#define RIGHT_WRITE 0x01u /* page, node, segment: may be changed through this key */
/** Page, segment: instructions may be fetched (never while writable) */
#define RIGHT_EXECUTE 0x02u
#define RIGHT_SENSE   0x04u /* node, segment: keys fetched through it lose WRITE and become sense */

struct key {
    uint8_t type;
    uint8_t rights;
    uint16_t tag;
    uint32_t version;
    uint64_t value;
};
_Static_assert(sizeof(struct key) == 16, "on disk: a key is 16 bytes");

static inline struct key key_void(void)
{
    return (struct key){0};
}

/** Highest id + 1 that a range key covers, and how many ids that are. */
static inline uint64_t key_range_count(struct key k)
{
    return (uint64_t)k.version << k.tag;
}

/** A resume key's call count, 48 bits: tag is the high part. */
static inline uint64_t key_call_count(struct key k)
{
    return (uint64_t)k.tag << 32 | k.version;
}

/** Bytes of address space that a segment of this height spans: 1 MiB, 256 MiB, 64 GiB, ... */
static inline uint64_t segment_span(unsigned height)
{
    return (uint64_t)1 << (BW_PAGE_SHIFT + BW_NODE_SHIFT * height);
}
#define SEGMENT_HEIGHT_MAX 4u

#endif
