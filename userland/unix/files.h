/*
 * The file side of the personality: what its own parts share, and what the process side calls
 * besides unix.h. Layers, each knowing only those below it:
 *
 *   sys_file*.c   system calls: arguments in, errno out
 *   file*.c       descriptor tables and open files; pipe.c tty.c poll.c device.c proc_fs.c socket.c
 *                 are kinds of open file (struct file_kind)
 *   path.c        from a path to a place; mount points
 *   file_vnode.c  inodes in use: counts, locks, the pipe of a fifo
 *   filetree*.c   the tree in nodes and pages (bailiwick/filetree.h)
 *
 * Key registers: the file side uses 10 to 15.
 */
#ifndef UNIX_FILES_H
#define UNIX_FILES_H

#include <errno.h>
#include <sys/types.h>
#include <sys/stat.h>
#include "unix.h"
#include "filetree.h"
#include "io.h"

#define FILES_MAX    1024 /* descriptors of one table */
#define PATH_LIMIT   4096
#define SYMLINKS_MAX 40

/* --- places: what a path leads to ------------------------------------------------------------- */

enum place_kind {
    PLACE_TREE = 0,   /* id: inode of the tree */
    PLACE_DEVICE = 1, /* id: index of a built-in entry of /dev */
    PLACE_PROC = 2,   /* id: PROC_ID(pid, entry) */
};

struct place {
    uint32_t kind;
    uint64_t id;
};

/** An inode (or device or /proc entry) in use; one for each place, found by vnode_get. */
struct vnode {
    struct vnode *next; /* hash chain */
    struct place place;
    unsigned references;
    struct pipe *fifo;         /* of a fifo while it is open */
    struct listener *listener; /* of a socket's name while that socket is open */
    struct record_lock *locks; /* fcntl locks, by start */
    struct flock_holder *flock;
    struct wait_queue lock_queue;
};

bool vnode_in_use(uint32_t ino);
struct vnode *vnode_get(struct place place); /* takes a reference; NULL: no memory */
void vnode_hold(struct vnode *v);
void vnode_release(struct vnode *v); /* the last one frees an inode without links */
/** stat() of any place. @return 0 or -errno */
int place_stat(struct place place, struct stat *st);
/** Mode bits, 0 if there is nothing. */
uint32_t place_mode(struct place place);
static inline bool place_same(struct place a, struct place b)
{
    return a.kind == b.kind && a.id == b.id;
}

/** Root, working directory and umask. */
struct directory {
    unsigned references;
    struct vnode *root;
    struct vnode *cwd;
    uint32_t umask;
};

/* --- open files ------------------------------------------------------------------------------- */

struct file;

/** What a kind of open file can do. A missing operation answers -EINVAL (ioctl: -ENOTTY). */
struct file_kind {
    const char *name;
    /** @return bytes, -errno or BLOCKED; what was done is in io->done in any case */
    long (*read)(struct file *f, struct io *io, uint64_t *offset);
    long (*write)(struct file *f, struct io *io, uint64_t *offset);
    /** @return EPOLL* bits that hold now */
    unsigned (*poll)(struct file *f);
    /** Fills in the queues that are woken when poll changes. @return how many, at most 2 */
    int (*queues)(struct file *f, struct wait_queue *queue[2]);
    long (*ioctl)(struct file *f, unsigned request, uint64_t argument);
    void (*close)(struct file *f); /* the last reference is gone */
    bool seekable;
};

struct file {
    unsigned references;
    unsigned watched; /* epoll items that name it */
    uint32_t flags;   /* O_* as fcntl gives them */
    const struct file_kind *kind;
    struct vnode *vnode; /* NULL: no name (pipe, eventfd, socket, epoll) */
    uint32_t parent;     /* inode of the directory it was opened in, 0: unknown */
    uint64_t offset;
    /* by kind */
    union {
        struct {
            struct pipe *in, *out;     /* pipe: one of them; connected socket: both */
            struct listener *listener; /* of a socket that has a name: socket.h */
            unsigned channel;          /* + 1, while it is being connected to another district */
            int error;                 /* why it could not be; SO_ERROR tells it once */
            bool fresh;                /* it has been, and connect() has not said so yet */
        } pipe;
        struct {
            char *text; /* contents made at the read at offset 0 */
            size_t length;
        } proc;
        struct {
            uint64_t count;
            bool semaphore;
            struct wait_queue queue;
        } event;
        struct epoll *epoll;
        uint32_t device; /* rdev */
    };
};

/** A new open file with one reference. @return NULL: no memory */
struct file *file_new(const struct file_kind *kind, uint32_t flags, struct vnode *v);
/** Opens a place that exists. @return 0 or -errno; BLOCKED for a fifo without its other end */
long file_open_place(struct place place, uint32_t parent, uint32_t flags, struct file **out);
/** Puts f into the lowest free descriptor >= least; takes over the reference (drops it on failure).
 */
long files_install(struct files *t, struct file *f, int least, bool close_on_exec);
/** The calling process's file of a descriptor, NULL. */
struct file *file_of(uint64_t fd);
/** Drops a descriptor. @return 0 or -EBADF */
long files_close(struct files *t, int fd);
bool files_close_on_exec(struct files *t, int fd);
void files_set_close_on_exec(struct files *t, int fd, bool on);
/** Duplicates into exactly `to`. */
long files_duplicate_to(struct files *t, int from, int to, bool close_on_exec);
/** Highest descriptor in use, -1: none. */
int files_highest(struct files *t);

extern const struct file_kind file_regular, file_directory, file_pipe, file_fifo, file_tty,
    file_device, file_proc, file_event, file_epoll, file_socket;

static inline bool file_reads(const struct file *f)
{
    return (f->flags & 3) != 1; /* O_WRONLY */
}
static inline bool file_writes(const struct file *f)
{
    return (f->flags & 3) != 0; /* O_RDONLY */
}

/** read/write with blocking, progress and signals as all callers want it. offset NULL: the file's
 * own */
long file_transfer(struct file *f, struct io *io, uint64_t *offset, bool write);
/** True for the program of a running process: it may not be written (ETXTBSY). */
bool file_is_executing(uint32_t ino);
/** Truncates or extends a regular file's inode and tells its mappings. */
int file_set_size(uint32_t ino, uint64_t size);
/** stat() of an open file. */
int file_stat(struct file *f, struct stat *st);

/* --- paths (path.c) --------------------------------------------------------------------------- */

#define WALK_NOFOLLOW  1u /* do not follow a symbolic link at the end */
#define WALK_PARENT    2u /* the last name need not exist */
#define WALK_DIRECTORY 4u /* it must be a directory */

struct walk {
    struct place place;  /* what it is, if found */
    struct place parent; /* directory of the last name */
    bool found;
    bool trailing;                    /* the path ended in a slash */
    char name[FILETREE_NAME_MAX + 1]; /* last name; empty if the path is a root, "." or ".." */
};

/** Walks a path. @return 0 or -errno; with WALK_PARENT also 0 if only the last name is missing */
int path_walk(const struct directory *d, struct place start, const char *path, unsigned flags,
              struct walk *w);
/** The absolute path of a directory as seen from `root`. @return length or -errno */
long path_of_directory(struct place root, struct place directory, char *buf, size_t size);
/** Finds the mount points, making /dev and /proc if they are missing. */
void path_init(void);
/** True for a directory that may not be removed or renamed. */
bool path_is_mount(struct place place);
struct place path_root(void);
/** Is it the directory that the built-in devices appear in? */
bool path_is_dev(struct place place);
/** A symbolic link's target, without NUL. @return its length or -errno */
long place_readlink(struct place place, char *buf, size_t size);

/* --- kinds ------------------------------------------------------------------------------------ */

/** Built-in entries of /dev, by index; false behind the last. */
bool device_entry(unsigned index, const char **name, uint32_t *mode, uint32_t *rdev,
                  const char **link);
long tty_open(struct vnode *v, uint32_t flags, bool controlling_only, struct file **out);
long device_open(uint32_t rdev, struct vnode *v, uint32_t flags, struct file **out);

long pipe_pair(uint32_t flags, struct file **read_end, struct file **write_end);
long fifo_open(struct vnode *v, uint32_t flags, struct file **out);
long event_new(uint64_t count, uint32_t flags, struct file **out);
void epoll_forget(struct file *f); /* a watched file is closed */

long proc_open(struct vnode *v, uint32_t flags, struct file **out);
int proc_lookup(uint64_t directory, const char *name, uint64_t *id);
int proc_stat(uint64_t id, struct stat *st);
long proc_readlink(uint64_t id, char *buf, size_t size);
/** The index-th name of a directory. @return false behind the last */
bool proc_entry(uint64_t directory, uint64_t index, char *name, size_t size, uint64_t *id,
                uint8_t *type, uint64_t *next);
uint64_t proc_parent(uint64_t id);
/** The open file that /proc/PID/fd/N names, NULL. */
struct file *proc_fd_file(uint64_t id);
long proc_directory_path(uint64_t id, char *buf, size_t size);
#define PROC_ROOT 0u

void locks_release(struct vnode *v, int pid); /* record locks, at each close by that process */
void flock_release(struct vnode *v, struct file *f);
long locks_fcntl(struct file *f, int command, uint64_t argument);

/* --- what the process side calls -------------------------------------------------------------- */

/** Once, before the first process. */
void files_init(void);
/** The terminal agent has posted: takes input, wakes writers. */
void tty_poll(void);
/** Hands pending output to the terminal agent; main.c calls it before it waits. */
void tty_flush(void);
/** Moves bytes between sockets and the channels to other districts; main.c calls it before it waits.
 */
void relay_flush(void);
/** The relay may have posted: relay_flush looks even if no channel is known to be in use. */
void relay_posted(void);
/** Next moment at which tty_poll should be called (VTIME), BW_NO_DEADLINE: none. */
bw_time_t tty_deadline(void);
/** The session's leader has ended: SIGHUP to the foreground group, the terminal is free again. */
void tty_session_ended(int sid);
/** rdev of the session's controlling terminal and its foreground group, 0 and -1 if none (for ps).
 */
uint32_t tty_of_session(int sid, int *foreground);
/** A message of the personality itself on the terminal. */
void tty_print(const char *text);
/** Gives the terminal to a session: before the first process of it runs. */
void tty_attach(int sid, int pgid);
void tty_init(void);
/** POSIX record locks of an ended process go. */
void files_process_ended(struct files *f, int pid);

/* clang-format off */
#define FILE_CALLS(X)                                                                             \
    X(read) X(write) X(open) X(close) X(stat) X(fstat) X(lstat) X(poll) X(lseek) X(ioctl)         \
    X(pread64) X(pwrite64) X(readv) X(writev) X(access) X(pipe) X(select) X(dup) X(dup2)          \
    X(sendfile) X(socket) X(connect) X(accept) X(sendto) X(recvfrom) X(sendmsg) X(recvmsg)        \
    X(shutdown) X(bind) X(listen) X(getsockname) X(getpeername) X(socketpair) X(setsockopt)       \
    X(getsockopt) X(fcntl) X(flock) X(fsync) X(fdatasync) X(truncate) X(ftruncate) X(getcwd)      \
    X(chdir) X(fchdir) X(rename) X(mkdir) X(rmdir) X(creat) X(link) X(unlink) X(symlink)          \
    X(readlink) X(chmod) X(fchmod) X(chown) X(fchown) X(lchown) X(umask) X(utime) X(mknod)        \
    X(statfs) X(fstatfs) X(chroot) X(sync) X(utimes) X(epoll_create) X(getdents64) X(fadvise64)   \
    X(epoll_wait) X(epoll_ctl) X(openat) X(mkdirat) X(mknodat) X(fchownat) X(futimesat)           \
    X(newfstatat) X(unlinkat) X(renameat) X(linkat) X(symlinkat) X(readlinkat) X(fchmodat)        \
    X(faccessat) X(pselect6) X(ppoll) X(utimensat) X(epoll_pwait) X(fallocate) X(accept4)         \
    X(eventfd) X(eventfd2) X(epoll_create1) X(dup3) X(pipe2) X(preadv) X(pwritev) X(renameat2)    \
    X(syncfs) X(close_range) X(faccessat2) X(readahead)
/* clang-format on */

#define FILE_CALL_DECLARE(name)                                                                    \
    long sys_##name(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f);
FILE_CALLS(FILE_CALL_DECLARE)

#endif
