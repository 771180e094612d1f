/*
 * mkdistrict: what its parts share. Errors are one line on standard error, and the program ends:
 * nothing is left behind, because a new store has no name until it is complete (file.c).
 */
#ifndef MKDISTRICT_H
#define MKDISTRICT_H

#include <stdarg.h>

#include <bailiwick/district.h>
#include <bailiwick/domain.h>
#include <bailiwick/filetree.h>
#include <bailiwick/image.h>
#include <store/store.h>

/** Which generations stay: the last ones, and one a minute, an hour and a day for so many of these.
 */
struct retention {
    uint32_t last, minutes, hours, days;
};
#define PROGRAMS_ADDED 16

struct options {
    const char *file;
    const char *name; /* of the district; NULL: from the file's name */
    const char *root; /* tar, "-" standard input; NULL: none */
    const char *exec;
    const char *added[PROGRAMS_ADDED]; /* further native programs, with their arguments */
    unsigned added_count;
    const char *mirror;   /* file of the second copy; NULL: none */
    const char *programs; /* folder of the native programs; NULL: beside this program */
    uint64_t size;
    uint64_t interval;
    struct retention keep; /* all 0: the store's default */
    bool force;
};

/* main.c */
/** Prints "mkdistrict: " and the text, removes what is half made, and ends with status 1. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void *allocate(size_t size); /* zeroed; fails if there is none */
/** A signal that ends the program removes what is half made, too. */
void catch_signals(void);
extern struct file making, making_second; /* what is half made */

/* words.c: what the user wrote */
/** "256M" -> bytes. @return false if it is not a size */
bool parse_size(const char *text, uint64_t *bytes);
/** "500ms", "1s", "0" -> ns. */
bool parse_interval(const char *text, uint64_t *ns);
/** A shell's words with its quotes: NUL-separated, an empty word at the end. NULL: fine, else why
 * not. */
const char *split_words(const char *text, char *to, size_t size);
/** "8,60,24,30": the last 8, one a minute for 60 minutes, one an hour for 24, one a day for 30. */
bool parse_retention(const char *text, struct retention *r);
/** NULL if it will do as a district's name, else why not. */
const char *bad_name(const char *name);
/** "1.5 MiB" */
const char *show_bytes(uint64_t bytes, char buf[32]);

/** Lines about damage that are printed; the rest is counted. */
#define DAMAGES_SHOWN 50

/* file.c: a store in a file */
struct file {
    int fd;
    const char *path;
    char temporary[4096]; /* its name while it is not complete, else empty */
    bool device;          /* a block device, written in place */
    bool opening;         /* damage is not printed: it is met again */
    uint64_t damages;     /* lines printed */
};
/** Opens an existing store and locks it, for reading or for both; fails if it is in use. */
void file_open(struct file *f, const char *path, bool write);
/** Makes a nameless or temporary file of `size` bytes beside `path`. */
void file_create(struct file *f, const char *path, uint64_t size, bool force);
/** Gives it its name. */
void file_finish(struct file *f, bool force);
/** Makes an existing one at least that long; a disk must be. */
void file_lengthen(struct file *f, uint64_t size);
/** Removes a temporary one; safe in a signal handler. */
void file_discard(struct file *f);
struct store_io file_io(struct file *f);

/* locks.c */
/** Takes the locks that QEMU takes on an image. @return NULL, or who is in the way: "qemu, process
 * 12" */
const char *lock_image(int fd, bool write);

/* builder.c: making objects */
struct builder {
    struct store *store;
    oid_t next; /* next id for builder_id */
};
oid_t builder_id(struct builder *b);
/** bytes NULL: an object of zeros. */
void builder_put(struct builder *b, oid_t oid, enum object_type type, const void *bytes);
struct key make_key(enum key_type type, unsigned rights, unsigned tag, oid_t oid);
struct key range_key(oid_t first, uint64_t count);

/** A segment under construction: a tree of nodes in memory. */
struct segment_node {
    oid_t oid;
    struct key slot[BW_NODE_SLOTS];
    struct segment_node *child[BW_NODE_SLOTS];
};
struct segment {
    unsigned height;
    struct segment_node *root;
};
struct segment segment_new(struct builder *b, unsigned height);
/** Puts a key into the slot of that height for page `index`, making nodes on the way. */
void segment_put(struct builder *b, struct segment *s, unsigned height, uint64_t index,
                 struct key k);
struct key segment_get(const struct segment *s, uint64_t index); /* a page's key, or void */
struct key segment_key(const struct segment *s);
/** Puts its nodes into the store and forgets them. */
void segment_emit(struct builder *b, struct segment *s);
void segment_forget(struct segment *s);

/* elf.c */
/** Maps the program's pages into the space; @return its entry */
uint64_t elf_load(struct builder *b, const char *path, struct segment *space);

/* image.c */
/** @return NULL, or the first program, if the file tree that was given lacks it */
const char *image_make(struct store *st, const struct options *o, uint64_t now);

/* tree.c: the file tree in the making */
struct tree;
/** now: time of what has none of its own, ns since 1970 */
struct tree *tree_new(struct builder *b, uint64_t now);
struct inode;
/** Makes or replaces what stands at `path`; parents are made. NULL with *why set if that cannot be.
 */
struct inode *tree_make(struct tree *t, const char *path, uint32_t mode, const char **why);
struct inode *tree_lookup(struct tree *t, const char *path);
/** A second name. @return NULL or why not */
const char *tree_link(struct tree *t, const char *path, const char *target);
struct filetree_inode *inode_attributes(struct inode *i);
/** What a symbolic link points to: remembered, so that later paths lead through it. */
void inode_target(struct inode *i, const char *target);
/** Appends to a file's or symbolic link's data at `offset`; page by page in ascending order. */
void inode_write(struct tree *t, struct inode *i, uint64_t offset, const void *bytes, size_t n);
void inode_finish(struct tree *t, struct inode *i);
/** Writes directories, inodes and the root. @return node key of the root */
struct key tree_emit(struct tree *t);
/** The inode table's segment, for the window of the personality. */
struct key tree_inode_table(struct tree *t);

void tree_free(struct tree *t);

/* tar.c */
void tar_read(struct tree *t, const char *path);

/* info.c, check.c */
int show_info(const char *path);
/** Of a mirrored store, with the file of its other copy (or NULL); `repair`: what one copy has
 * wrong is written over from the other. */
int verify_file(const char *path, const char *other, bool repair);
/** Checks what the nucleus and the tools rely on in one generation; prints what is wrong. @return
 * errors */
uint64_t check_generation(struct store *st, uint64_t generation);
/** The same for the file tree. */
uint64_t check_filetree(struct store *st, uint64_t generation, struct key root);

#endif
