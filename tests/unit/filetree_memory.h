/*
 * A file tree in memory, for tests: the backend of userland/unix/filetree.h over malloc, with user
 * memory that is the test's own.
 */
#ifndef TESTS_FILETREE_MEMORY_H
#define TESTS_FILETREE_MEMORY_H

#include "../../userland/unix/filetree.h"

#define PAGE   4096u
#define INODES 512u

struct memory_node;

struct memory_store {
    struct memory_node *root[INODES];
    unsigned height[INODES];
    long objects; /* nodes and pages that exist */
    long left;    /* objects that may still be made; -1: any number */
};

extern struct memory_store store;
extern struct filetree_super super;
extern struct filetree_inode inodes[INODES];
extern uint8_t *fault_at; /* user memory from here on is not there; NULL: all is */
extern uint32_t open_ino; /* the inode that is in use */

/** An empty tree: only the root directory. */
void memory_tree_setup(void);
/** Frees all data, and checks that nothing is left. */
void memory_tree_free(void);
bool memory_present(uint32_t ino, uint64_t offset, unsigned height);

#endif
