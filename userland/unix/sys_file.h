/*
 * How the file side's system call handlers are written (files.h has their list).
 */
#ifndef UNIX_SYS_FILE_H
#define UNIX_SYS_FILE_H

#include "files.h"

#define CALL(name)                                                                                 \
    long sys_##name(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
/* The last n arguments are not used. */
#define UNUSED1 (void)f
#define UNUSED2 (void)e, (void)f
#define UNUSED3 (void)d, (void)e, (void)f
#define UNUSED4 (void)c, (void)d, (void)e, (void)f
#define UNUSED5 (void)b, (void)c, (void)d, (void)e, (void)f
#define UNUSED6 (void)a, (void)b, (void)c, (void)d, (void)e, (void)f

struct files *own_files(void);
struct directory *own_directory(void);
/** Walks a user's path from a directory descriptor (AT_FDCWD). @return 0 or -errno */
long walk_user(uint64_t dirfd, uint64_t path, unsigned flags, struct walk *w);
/** The same, for a name that is to be made: also checks that it is in the tree and not there yet.
 */
long walk_new(uint64_t dirfd, uint64_t path, bool directory, struct walk *w);
/** With AT_EMPTY_PATH and an empty path: the file of the descriptor, else as walk_user. *place is
 * set. */
long walk_at(uint64_t dirfd, uint64_t path, uint64_t flags, struct place *place);

#endif
