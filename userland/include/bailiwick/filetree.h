/*
 * The file tree of a Linux district: nodes and pages, documented so that host tools read it in any
 * generation and a newer personality can take it over. On disk: do not change.
 *
 *   root node  slot 0: page key, struct filetree_super
 *              slot 1: segment key, height 2: the inode table, 128-byte inodes, inode i at 128 * i
 *              slot 2: segment key, height 2: reserved for the personality (never read by tools)
 *              slot 16 + (i >> 16): node key A
 *   node A     slot (i >> 8) & 255: node key B
 *   node B     slot i & 255: the data of inode i: void (empty), or a segment key whose height is
 *              the least >= 1 that spans the file; missing pages and nodes are holes and read as
 *              zeros
 *
 * Directory data is a sequence of 4096-byte blocks; each is filled by struct filetree_entry records
 * that do not cross it (the last one's length reaches the block's end). ino 0: free record. "." and
 * ".." are stored. A symbolic link's target is its data, without a NUL. Inode 0 is never used;
 * inode 1 is "/". A free inode has mode 0; `next` chains the free ones from super.free_head. Inodes
 * at or above super.inodes have never been used (and their table pages need not exist).
 */
#ifndef BAILIWICK_FILETREE_H
#define BAILIWICK_FILETREE_H

#include <bailiwick/key.h>

#define FILETREE_MAGIC       0x6565727465444c42ull
#define FILETREE_VERSION     1u
#define FILETREE_ROOT_INODE  1u
#define FILETREE_SLOT_SUPER  0
#define FILETREE_SLOT_INODES 1
#define FILETREE_SLOT_DATA   16
#define FILETREE_NAME_MAX    255u
#define FILETREE_INODES_MAX  (1u << 21)

struct filetree_super {
    uint64_t magic;
    uint32_t version;
    uint32_t inodes;    /* high-water mark: inodes 1 .. inodes - 1 have been used */
    uint32_t free_head; /* first free inode below it, 0: none */
    uint32_t free_count;
    uint64_t pages;        /* data pages in use, for df */
    uint64_t first_offset; /* ids of the personality's range below this were used by mkdistrict */
    uint64_t edits; /* changes from outside, while the district did not run: what is remembered of
                       names is then forgotten, and inodes without links and users are freed */
};

struct filetree_inode {
    uint32_t mode; /* S_IFMT and permissions as Linux has them; 0: free */
    uint32_t links;
    uint32_t uid, gid;
    uint64_t size;
    uint64_t atime, mtime, ctime; /* ns since 1970 */
    uint64_t pages;               /* data pages present */
    uint32_t rdev;                /* of device nodes: major << 8 | minor */
    uint32_t next;                /* free inodes: the next free one */
    uint32_t height;              /* of the data's segment key, 0: no data */
    uint32_t reserved0;
    uint64_t reserved[7];
};
_Static_assert(sizeof(struct filetree_inode) == 128, "on disk: inode");

struct filetree_entry {
    uint32_t ino;
    uint16_t length; /* of this record, a multiple of 8 */
    uint8_t type;    /* DT_* as Linux has them */
    uint8_t name_length;
    char name[]; /* without NUL */
};
#define FILETREE_ENTRY_SIZE(name_length) ((8u + (name_length) + 7u) & ~7u)

#endif
