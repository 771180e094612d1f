/*
 * mkdistrict's commands: what their parts share. Each command is one function that gets its own
 * arguments (argv[0] is its name) and returns the exit status; errors end in fail().
 */
#ifndef MKDISTRICT_TOOLS_H
#define MKDISTRICT_TOOLS_H

#include <stdio.h>
#include <getopt.h>

#include "mkdistrict.h"
#include <store/mirror.h>

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *arguments; /* for the user */
    const char *purpose;
};

/* command.c */
/** NULL if the word is no command. */
const struct command *command_find(const char *word);
void commands_print(void);
/** Says how the command is used, and ends with status 2. */
void command_misused(const char *name, const char *why) __attribute__((noreturn));
/** Runs getopt_long for a command: -h and --help are answered, wrong options end the program. */
int command_option(int argc, char **argv, const char *letters, const struct option *known);
/** A number of a generation, "newest" for the current one. */
uint64_t parse_generation(const char *text);

int command_ls(int argc, char **argv);
int command_cat(int argc, char **argv);
int command_get(int argc, char **argv);
int command_put(int argc, char **argv);
int command_dump(int argc, char **argv);
int command_export(int argc, char **argv);
int command_import(int argc, char **argv);
int command_archive(int argc, char **argv);
int command_mirror(int argc, char **argv);
int command_hold(int argc, char **argv);

/* grow.c */
int grow_file(const char *path, uint64_t size);

/* open.c: an existing store, and one generation of it */
struct opened {
    struct file file;
    struct store *store;
    struct store_info info;
    struct store_generation generation;
    char path[4096];
    struct file second; /* of a mirrored store, if `mirrored` */
    struct mirror mirror;
    bool mirrored;
};
/** Splits FILE@GEN; a file of the whole name comes first. @param path 4096 bytes
 *  @return the generation, STORE_NEWEST without one */
uint64_t split_generation(const char *argument, char *path);
void opened_open(struct opened *o, const char *argument, bool write);
/** The same with the generation given apart (STORE_NEWEST: what the argument says). */
void opened_open_at(struct opened *o, const char *argument, uint64_t generation, bool write);
void opened_close(struct opened *o);
/** Ends the program with the store's name and the reason, unless r is STORE_OK. */
void opened_check(struct opened *o, int r);

/* mirror.c: stores with a second copy */
/** What the user said of the other copy of a store that is to be opened. */
struct other_copy {
    const char *path; /* NULL: nothing */
    bool alone;       /* it may be out of date from then on */
};
extern struct other_copy other_copy;
/** False: the other copy would be out of date without knowing it. */
bool mirror_writable(const struct store_info *i);
/** Opens both files and decides; then mirror_open opens the store. */
void mirror_open_files(struct opened *o, const char *other, bool write);
/** Opens a store in one file, if that may be. @return enum store_error */
int mirror_open_one(struct opened *o, const struct store_io *base, bool write);

/* progress.c: a line on the terminal (standard error) while long work is done; else silence */
struct progress {
    const char *what; /* e.g. "exporting" */
    uint64_t total;   /* bytes; 0: not known */
    uint64_t done;
    uint64_t start, shown; /* ns */
    bool terminal;
    int lock; /* of the terminal, -1: none */
};
void progress_start(struct progress *p, const char *what, uint64_t total);
void progress_add(struct progress *p, uint64_t bytes);
void progress_end(struct progress *p);
/** Takes the line away, if there is one. */
void progress_clear(void);
/** "12 s", "3 min 20 s", "2 h 5 min" */
const char *show_duration(uint64_t seconds, char buf[32]);
/** The line itself. @param elapsed ns */
void progress_text(const struct progress *p, uint64_t elapsed, char *to, size_t size);

/* files.c: reading the file tree of one generation */
struct files {
    struct opened *of;
    uint64_t generation;
    struct key root[BW_NODE_SLOTS];
    struct filetree_super super;
    struct key root_key;
    struct key range;              /* the personality's ids */
    uint32_t state;                /* of the personality: enum domain_state */
    const struct overlay *overlay; /* what put has changed, or NULL */
    uint64_t steps;                /* of files_next, since its walk began */
};
/** Finds the file tree; fails if the generation has none. */
void files_open(struct files *t, struct opened *o);
/** @return false if there is no such inode or it is free */
bool files_inode(struct files *t, uint32_t number, struct filetree_inode *inode);
/** Follows a path; symbolic links too, the last one only if `follow`. Fails if there is no such
 * file. @return its inode number */
uint32_t files_find(struct files *t, const char *path, bool follow, struct filetree_inode *inode);
/** The same, with 0 and *why instead of failing. */
uint32_t files_look(struct files *t, const char *path, bool follow, struct filetree_inode *inode,
                    const char **why);
/** Reads a page of a file's data (files_data_key). @return false if it is a hole (page is zeros) */
bool files_page(struct files *t, struct key data, uint64_t index, uint8_t page[BW_PAGE_SIZE]);
/** Reads up to n bytes from the start, e.g. of a symbolic link. @return how many */
size_t files_read(struct files *t, uint32_t number, const struct filetree_inode *inode, void *to,
                  size_t n);
/** Calls `each` for every name in a directory but "." and "..", until it returns non-zero. */
int files_each(struct files *t, uint32_t directory, const struct filetree_inode *inode,
               int (*each)(void *ctx, const char *name, uint32_t number), void *ctx);
/** A key's object; fails on damage. @return false if the key is void or its object is gone */
bool files_fetch(struct files *t, struct key k, enum object_type type, void *bytes);
/** Key of an inode's data: a segment, or void. */
struct key files_data_key(struct files *t, uint32_t number);
/** The key of a page of a segment, void if it is a hole. */
struct key files_page_key(struct files *t, struct key segment, uint64_t index);
/** The first page from `index` on that is not a hole, UINT64_MAX if there is none. A walk begins at
 * 0. Fails if the segment cannot be true. */
uint64_t files_next(struct files *t, struct key segment, uint64_t index);

/* One generation as it travels: in a stream, in a vault, into a new store. The numbers are
 * little-endian. In streams and vaults: do not change. */
struct generation_head {
    uint8_t id[16]; /* of the district */
    char name[STORE_NAME_MAX];
    char owner[STORE_NAME_MAX];
    uint64_t blocks; /* capacity of the store it comes from */
    uint64_t interval;
    uint64_t number, parent, time;
    uint64_t objects; /* that follow */
    uint64_t bytes;   /* how many of them have bytes */
    uint32_t reason;
    uint32_t crash_policy;
    uint32_t abi_version, image_version;
    uint32_t keep_last, keep_minutes, keep_hours, keep_days;
    uint64_t next;    /* numbers below it are taken; 0: not said */
    uint32_t journal; /* bytes of the journal page that follow the head; in vaults: 0 */
    uint32_t zero;
    uint64_t journal_sequence;
    uint32_t reserved[2];
};
_Static_assert(sizeof(struct generation_head) == 200, "in streams: head");

struct generation_object {
    uint64_t oid;
    uint32_t version;
    uint8_t type;
    uint8_t flags; /* OBJECT_BYTES: 4096 bytes follow */
    uint16_t reserved;
};
_Static_assert(sizeof(struct generation_object) == 16, "in streams: object");

/* generation.c */
/** Describes the opened generation; counts its objects. */
void generation_describe(struct opened *o, struct generation_head *h);
/** Calls `each` with every object in order of id; fails on damage. bytes NULL: it has none. */
void generation_each(struct opened *o,
                     void (*each)(void *ctx, const struct generation_object *g, const void *bytes),
                     void *ctx);
/** NULL if a head can be believed, else what is wrong. */
const char *generation_implausible(const struct generation_head *h);

/** A new store, made from one generation. */
struct maker {
    struct generation_head head;
    struct store *store;
    const char *path;
    const char *name;               /* other than the head's, or NULL */
    uint64_t size;                  /* bytes; 0: as the head says */
    bool same_id;                   /* it stays the same district */
    bool force;                     /* overwrites */
    uint64_t next;                  /* numbers below it are taken, besides what the head says */
    uint8_t journal[STORE_JOURNAL]; /* as many bytes as the head says */
};
void maker_begin(struct maker *m);
void maker_object(struct maker *m, const struct generation_object *g, const void *bytes);
/** Gives the store its name. */
void maker_finish(struct maker *m);

/** ns since 1970 */
uint64_t time_now(void);
/** "2026-11-21 09:20:11" */
const char *show_when(uint64_t ns, char buf[40]);
/** 32 hexadecimal digits. */
const char *show_id(const uint8_t id[16], char buf[40]);
void write_all(int fd, const void *bytes, size_t n, const char *path);

#endif
