/*
 * What a store looks like on disk. docs/store-format.md explains it byte by byte. All numbers are
 * little-endian. On disk: do not change.
 *
 *   block 0, 1            superblock and its twin, written once
 *   block 8 ..            ROOT_SLOTS slots of ROOT_SLOT_BLOCKS blocks: the root with sequence s is
 *                         in slot s % ROOT_SLOTS, twice; the whole one with the highest s counts
 *   block FIRST_DATA ..   objects' bytes, index blocks, map blocks, anywhere
 */
#ifndef STORE_FORMAT_H
#define STORE_FORMAT_H

#include <stddef.h>
#include <store/store.h>

#define SUPER_MAGIC 0x31657261776c4942ull /* "BIlware1" */
#define ROOT_MAGIC  0x31746f6f72774942ull /* "BIwroot1" */
#define NODE_MAGIC  0x65646e42u           /* "Bnde" */

#define SUPER_TWINS      2u
#define ROOT_FIRST       8u
#define ROOT_SLOTS       4u
#define ROOT_TWINS       2u  /* times that a root is written into its slot */
#define ROOT_BLOCKS      16u /* of one twin */
#define ROOT_SLOT_BLOCKS (ROOT_TWINS * ROOT_BLOCKS)
#define FIRST_DATA       (ROOT_FIRST + ROOT_SLOTS * ROOT_SLOT_BLOCKS)

/** Of a root whose district is in a bond: who does not know of bonds must not run it alone */
#define ROOT_VERSION_BONDED 2u

#define NONE UINT64_MAX /* a generation number that is none */

struct disk_super {
    uint64_t magic;
    uint32_t version;
    uint32_t block_size;
    uint8_t id[16];
    uint64_t created; /* ns since 1970 */
    uint64_t first_data;
    uint32_t root_first, root_slots, root_slot_blocks, root_twins;
    char name[STORE_NAME_MAX];
    char owner[STORE_NAME_MAX];
    uint32_t copy; /* of a mirror: which of its copies this is; else 0 */
    uint8_t reserved[3956];
    uint64_t checksum; /* of all bytes before it */
};
_Static_assert(sizeof(struct disk_super) == STORE_BLOCK, "on disk: superblock");

/** Names an index block: everything needed to read and believe it. place 0: the tree is empty. */
struct disk_ref {
    uint64_t place;
    uint64_t checksum;
    uint64_t birth; /* generation that wrote it; map tree: root sequence */
    uint64_t level; /* 0: its entries are leaves */
};

#define GENERATION_GHOST   1u /* dropped; stays as a fork between kept ones, owns no blocks */
#define GENERATION_DAMAGED 2u /* dropping it has met damage: retention passes it over */
/** Made in a bond: its time is the instant that all members know it by */
#define GENERATION_BONDED 4u

struct disk_generation {
    uint64_t number;
    uint64_t parent; /* it grew from that; NONE: the first. History, kept or not */
    uint64_t base;   /* nearest ancestor in this table, or NONE */
    uint64_t time;
    uint64_t objects;
    uint64_t changed;
    struct disk_ref root;
    uint32_t reason;
    uint32_t flags;
    uint64_t nodes; /* index blocks of its tree */
};
_Static_assert(sizeof(struct disk_generation) == 96, "on disk: generation");

#define ROOT_LEAKS     1u /* some used blocks are needed by nobody: see generation_drop */
#define ROOT_AUTOSTART 2u /* the district starts by itself when the machine does */
#define ROOT_GATED     4u /* what it shows on its console is held until it is committed */

/** The bond that a district is in: see bond.c. */
struct disk_bond {
    uint8_t id[16];
    uint64_t last;      /* the highest instant that was prepared or decided here */
    uint64_t prepared;  /* generation that counts only if the home has its instant; NONE: none */
    uint32_t members;   /* 0: it is in none */
    uint32_t self;      /* which of them it is; 0: the home */
    struct {            /* the others, in order */
        uint8_t id[16]; /* of a store */
        char name[STORE_NAME_MAX];
    } other[STORE_BOND_MAX - 1];
};
_Static_assert(sizeof(struct disk_bond) == 184, "on disk: bond");

/** Followed by `generations` struct disk_generation in ascending order, then `points` uint64_t,
 * then `journal` bytes. */
struct disk_root {
    uint64_t magic;
    uint64_t checksum; /* of bytes 16 .. length - 1 */
    uint32_t length;
    uint32_t version;
    uint8_t id[16]; /* of the store: roots of an earlier store in the same place do not count */
    uint64_t sequence;
    uint64_t incarnation;
    uint64_t incarnation_random;
    uint64_t current;
    uint64_t newest;
    uint64_t next_generation;
    uint64_t blocks;
    uint64_t free_blocks;
    uint64_t claim_start, claim_length; /* the incarnation may write to free blocks in it only */
    uint64_t avoid_start, avoid_length; /* unspent claim of its predecessor: not written to */
    struct disk_ref map;                /* tree: area number -> block of 32,768 bits, 1 = used */
    uint64_t interval;
    uint64_t ran_at;
    uint32_t crash_policy;
    uint32_t abi_version, image_version;
    uint32_t keep_last, keep_minutes, keep_hours, keep_days;
    uint32_t generations;
    uint32_t points; /* the map is the tree with these ranges [p0,p1), [p2,p3).. inverted */
    uint32_t flags;
    char ran_by[STORE_NAME_MAX];
    uint32_t copies;           /* devices that the store is on: 1, or 2 of a mirror */
    uint32_t in_sync;          /* bit n: copy n has all of it */
    uint64_t mirror_changes;   /* of in_sync */
    uint64_t mirror_history;   /* its last values, 2 bits each, the present one lowest */
    uint32_t journal;          /* bytes of the journal page; behind them it is zero */
    uint32_t share;            /* weight of the district; 0: the usual one */
    uint64_t journal_sequence; /* counts what was written to it */
    struct disk_bond bond;
    uint8_t reserved[32];
};
_Static_assert(sizeof(struct disk_root) == 512, "on disk: root");

#define ENTRY_BYTES 1u /* the object has a data block */

struct disk_entry {
    uint64_t oid;
    uint32_t version;
    uint8_t type;
    uint8_t flags;
    uint16_t reserved;
    uint64_t place;
    uint64_t checksum;
    uint64_t birth;
};
_Static_assert(sizeof(struct disk_entry) == 40, "on disk: leaf entry");

struct disk_child {
    uint64_t key; /* no key below it is lower, except below the first child */
    uint64_t place;
    uint64_t checksum;
    uint64_t birth;
};
_Static_assert(sizeof(struct disk_child) == 32, "on disk: inner entry");

#define NODE_ENTRIES  102u
#define NODE_CHILDREN 127u
#define LEVEL_MAX     8u

struct disk_node {
    uint32_t magic;
    uint16_t level;
    uint16_t count;
    uint64_t birth;
    union {
        struct disk_entry entry[NODE_ENTRIES];
        struct disk_child child[NODE_CHILDREN];
        uint8_t bytes[STORE_BLOCK - 16];
    };
};
_Static_assert(sizeof(struct disk_node) == STORE_BLOCK, "on disk: index block");

/* The allocation map: entries of its tree have this type, and in `version` the count of used
 * blocks. */
#define AREA_BLOCKS (STORE_BLOCK * 8u)
#define MAP_TYPE    0xffu

#endif
