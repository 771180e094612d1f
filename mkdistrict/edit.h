/*
 * Changing the file tree of a district that does not run: what put does to names, inodes and nodes.
 * Everything changed is kept in memory (the overlay) until edit_finish gives it to the store.
 *
 * What the personality remembers outside the tree stays right: nodes and pages keep their ids, a
 * file that is replaced keeps its inode and data until the personality lets go of them, and
 * filetree_super.edits tells it to forget the names that it has looked up.
 */
#ifndef MKDISTRICT_EDIT_H
#define MKDISTRICT_EDIT_H

#include "tools.h"

struct edited {
    oid_t oid; /* 0: free place */
    uint32_t version;
    uint8_t type;
    uint8_t bytes[BW_PAGE_SIZE] __attribute__((aligned(8)));
};

struct overlay {
    struct edited **slot; /* open addressing, by oid */
    size_t capacity, count;
};
/** NULL: not changed. */
struct edited *overlay_find(const struct overlay *o, oid_t oid);

struct edit {
    struct files t;
    struct overlay overlay;
    struct builder b; /* ids for what is new */
    uint64_t now;
    uint64_t data_pages; /* made, for filetree_super.pages */
};

/** Begins a generation; fails if this one cannot be changed from outside. */
void edit_begin(struct edit *e, struct opened *o);
/** Commits it. */
void edit_finish(struct edit *e);

/** A new inode without names or data. */
uint32_t edit_new_inode(struct edit *e, const struct filetree_inode *inode);
void edit_set_inode(struct edit *e, uint32_t number, const struct filetree_inode *inode);
void edit_set_data(struct edit *e, uint32_t number, struct key data);
/** The inode that a name in a directory has, 0: none. */
uint32_t edit_lookup(struct edit *e, uint32_t directory, const char *name);
/** Gives an inode a name; another's that has it loses it. Counts links. */
void edit_name(struct edit *e, uint32_t directory, const char *name, uint32_t number);
/** A new empty directory with that name. */
uint32_t edit_make_directory(struct edit *e, uint32_t parent, const char *name,
                             const struct filetree_inode *like);

#endif
