/*
 * The file tree's logic over a backend: inodes, their data, directories. The backend is the nucleus
 * (filetree_nucleus.c), or memory in tests. All results are 0 or more, or -errno.
 *
 * Invariants:
 *   1. An inode's data segment exists if and only if its height is not 0, and its height is the
 *      least >= 1 that spans its size rounded up to pages (it may be higher after a truncation to a
 *      size > 0).
 *   2. No data page lies at or behind the size rounded up; the bytes between size and there are
 *      zero, unless a mapping wrote them.
 *   3. inode.pages counts the data pages; if it is the number that the size spans, there is no
 *      hole.
 *   4. super.free_count inodes are chained from super.free_head; each has mode 0.
 *   5. A change is complete when its function returns; between, only this server could look.
 */
#ifndef UNIX_FILETREE_H
#define UNIX_FILETREE_H

#include <stdbool.h>
#include <bailiwick/filetree.h>
#include "io.h"

/** Largest file: what a segment of height 4 spans. */
#define FILETREE_SIZE_MAX ((uint64_t)1 << 44)

struct filetree_backend {
    /** Data pages of inode `ino`; they exist all along. @return bytes (> 0) or -errno */
    long (*read)(uint32_t ino, uint64_t offset, struct io *io, size_t n);
    long (*write)(uint32_t ino, uint64_t offset, struct io *io, size_t n);
    int (*zero)(uint32_t ino, uint64_t offset, size_t n);
    /** Is there something in the slot of that height (0: page) for the offset? */
    bool (*present)(uint32_t ino, uint64_t offset, unsigned height);
    /** Makes the page at the offset, which is missing, and the nodes on the way. 0 or -ENOSPC */
    int (*create)(uint32_t ino, uint64_t offset);
    /** Voids and destroys `count` (<= 256) consecutive objects of that height; what is below nodes
     * is gone already. */
    void (*clear)(uint32_t ino, uint64_t offset, unsigned height, unsigned count);
    /** The data segment itself: from height `from` to `to` = from + 1 or from - 1. 0 is none; a
     * rise keeps the old one as first slot, a fall keeps the first slot only. */
    int (*set_height)(uint32_t ino, unsigned from, unsigned to);
    /** Key of the page at the offset into a key place. 0 or -ENXIO */
    int (*page)(uint32_t ino, uint64_t offset, uint16_t to);
    /** Makes the page of the inode table that holds `ino` if it is missing. 0 or -ENOSPC */
    int (*table)(uint32_t ino);
};

struct filetree {
    struct filetree_super *super;
    struct filetree_inode *inodes;
    const struct filetree_backend *backend;
    uint64_t (*now)(void); /* REALTIME */
};

extern struct filetree filetree;
extern const struct filetree_backend filetree_nucleus;

/** Attaches the nucleus's backend. @return 0 or -errno if it is not a file tree of this version */
int filetree_open(void);

/* --- inodes (filetree.c) --- */
/** @return the inode, NULL if the number is out of range */
struct filetree_inode *filetree_inode(uint32_t ino);
/** A new inode with no links. @return its number or -ENOSPC */
long filetree_create(uint32_t mode);
/** Frees an inode and its data. */
void filetree_destroy(uint32_t ino);
long filetree_read(uint32_t ino, uint64_t offset, struct io *io);
long filetree_write(uint32_t ino, uint64_t offset, struct io *io);
int filetree_truncate(uint32_t ino, uint64_t size);
/** See file_page of unix.h. */
int filetree_page(uint32_t ino, uint64_t offset, bool write, uint16_t to);
/** Short forms with memory. */
long filetree_read_memory(uint32_t ino, uint64_t offset, void *to, size_t n);
long filetree_write_memory(uint32_t ino, uint64_t offset, const void *from, size_t n);

/* --- directories (filetree_directory.c) --- */
/** @return the inode number, -ENOENT, -ENOTDIR */
long directory_lookup(uint32_t dir, const char *name, size_t length);
int directory_add(uint32_t dir, const char *name, size_t length, uint32_t ino);
int directory_remove(uint32_t dir, const char *name, size_t length);
/** Points an existing name to another inode. */
int directory_replace(uint32_t dir, const char *name, size_t length, uint32_t ino);
/** True if it has no entries but "." and "..". */
bool directory_empty(uint32_t dir);
/** The first used record at or behind `*offset`, which moves behind it. @return its length of name,
 * 0 at the end, or -errno */
long directory_next(uint32_t dir, uint64_t *offset, char name[FILETREE_NAME_MAX + 1], uint32_t *ino,
                    uint8_t *type);
/** A directory is destroyed: what is remembered of it goes. */
void directory_forget(uint32_t dir);
/** The name that `ino` has in a directory. @return its length or -ENOENT */
long directory_name_of(uint32_t dir, uint32_t ino, char name[FILETREE_NAME_MAX + 1]);

/* --- names (filetree_names.c): creation, removal, renaming; counts of links --- */
/** Makes an inode of that mode and gives it a name. @return its number or -errno */
long filetree_make(uint32_t dir, const char *name, uint32_t mode, uint32_t rdev);
int filetree_symlink(uint32_t dir, const char *name, const char *target);
int filetree_link(uint32_t dir, const char *name, uint32_t ino);
/** Removes a name; the inode lives on while `in_use` says so. */
int filetree_unlink(uint32_t dir, const char *name);
int filetree_rmdir(uint32_t dir, const char *name);
int filetree_rename(uint32_t from_dir, const char *from, uint32_t to_dir, const char *to,
                    bool exchange);
/** Frees an inode whose last link and last user are gone. */
void filetree_forget(uint32_t ino);
/** By the layer above: is the inode open or a working directory? */
extern bool (*filetree_in_use)(uint32_t ino);

#endif
