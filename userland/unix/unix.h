/*
 * The Linux personality: what its parts share. One single-threaded server in the district; each
 * thread of a Linux process is a foreign domain whose keeper it is. Everything here is ordinary
 * memory of the district, so it persists with it.
 *
 * How a system call runs: the nucleus delivers FAULT_SYSCALL; main.c sets `current` and calls the
 * handler from the table in syscall.c with the six arguments. A handler returns a value >= 0, or
 * -errno, or BLOCKED after wait_on(): then the thread stays parked, and when it is woken the *same
 * handler is called again from the start* with the same arguments. What a handler must remember
 * between the runs is in current->progress (0 at the first run) and current->wait_timed_out.
 */
#ifndef UNIX_UNIX_H
#define UNIX_UNIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <bailiwick/types.h>
#include <bailiwick/domain.h>

struct process;
struct thread;
/* Key registers: the file side uses 10..15, the process side 24..31; 16..23 hold nothing across
 * calls. */
struct files;     /* files.h: descriptor table, shared by CLONE_FILES */
struct directory; /* files.h: root, cwd and umask, shared by CLONE_FS */
struct file;      /* files.h: open file description */

/** Handler result: the thread waits. Never an errno. */
#define BLOCKED (-4096L)
/** Handler result in place of the -EINTR of wait_on() (which means: run again after a handler with
 *  SA_RESTART, or if no handler ran): run again only if no handler ran, as poll and epoll_wait do.
 * What is in the thread's progress is kept when a call is run again. */
#define INTERRUPTED (-514L)

extern struct thread *current; /* whose call is being served; NULL outside calls */

/* --- user memory of current's process (vm.c); each handles copy-on-write and demand pages --- */
/** @return 0 or -EFAULT */
int user_read(void *to, uint64_t from, size_t n);
int user_write(uint64_t to, const void *from, size_t n);
/** @return length without NUL, -EFAULT, or -ENAMETOOLONG if there is no NUL within size */
long user_read_string(char *to, uint64_t from, size_t size);
/** Copies between a segment (key designator) and user memory in the nucleus, without a buffer.
 *  @return bytes done (may be short at a fault, at least 1) or -EFAULT */
long user_from_segment(uint64_t to, uint16_t segment, uint64_t offset, size_t n);
long user_to_segment(uint16_t segment, uint64_t offset, uint64_t from, size_t n);

/* --- waiting (wait.c) ------------------------------------------------------------------------- */
struct waiter;
struct wait_queue {
    struct waiter *first;
};
/** Enters current in q (several calls: in several queues, as poll does); deadline MONOTONIC or
 *  BW_NO_DEADLINE. The handler then returns BLOCKED. @return BLOCKED, or -EINTR if a signal is
 * pending, or -ENOMEM */
long wait_on(struct wait_queue *q, bw_time_t deadline);
/** Every thread in q leaves all its queues and runs its handler again. */
void wake_all(struct wait_queue *q);

/* --- time, ids, randomness (machine.c) --- */
bw_time_t time_monotonic(void);
bw_time_t time_realtime(void);
bw_time_t time_boottime(void);
void random_bytes(void *to, size_t n);
/** Fresh id offsets in KR_RANGE for new objects; never given out twice. */
uint64_t object_ids(uint64_t count);

/* --- signals (signal.c) --- */
void signal_process(struct process *p, int signal);
void signal_group(int pgid, int signal); /* all processes of the group; as the tty's ISIG does */
/** The process wants a signal after each restart of the district; 0: none. @return -EINVAL: there
 * is no such signal */
long signal_set_at_restart(struct process *p, long signal);
/** Orphan and job-control question of a tty read/write by current: 0 go on, or -EIO, -EINTR after
 * it has sent SIGTTIN/SIGTTOU to current's group (then the call is restarted when continued). */
long signal_background(int signal);

/** ppoll, pselect6, epoll_pwait: from now to the end of the call current has the signal mask at
 * `address` (NULL: nothing); to be called in each run of the handler, before it waits. @return 0,
 * -errno */
long signal_temporary_mask(uint64_t address, uint64_t size);

/* --- processes, as the file side sees them (process.c) --- */
int process_pid(const struct process *p);
int process_pgid(const struct process *p);
int process_sid(const struct process *p);
struct process *process_find(int pid);
struct process *process_next(const struct process *p); /* NULL: first; in order of pid */
struct process *thread_process(const struct thread *t);
struct files *process_files(struct process *p);
struct directory *process_directory(struct process *p);
uint64_t *thread_progress(struct thread *t);
bool thread_timed_out(const struct thread *t);
/** Has a signal come that it does not block, or is its process being ended? Then wait_on() returns
 * at once. */
bool thread_signalled(const struct thread *t);
/** Formats a /proc/PID file ("stat", "status", "cmdline", "maps", "statm", "comm") into buf.
 *  @return length, -ENOENT */
long process_describe(struct process *p, const char *what, char *buf, size_t size);
/** Machine-wide /proc files ("uptime", "meminfo", "vmstat", "stat", "loadavg", "enosys": unknown
 * calls counted). */
long system_describe(const char *what, char *buf, size_t size);

/* --- what the process side needs of files (files.h has the rest) --- */
struct files *files_new(void);
struct files *files_clone(struct files *f); /* fork: new table, same descriptions */
struct files *files_share(struct files *f); /* CLONE_FILES */
void files_release(struct files *f);        /* exit */
void files_exec(struct files *f);           /* closes close-on-exec */
struct directory *directory_new(void);
struct directory *directory_clone(struct directory *d);
struct directory *directory_share(struct directory *d);
void directory_release(struct directory *d);
struct file *files_get(struct files *f, int fd); /* no reference taken; NULL */
void file_hold(struct file *f);
void file_release(struct file *f);
/** Opens a path of current's directory context for exec and mmap. @return 0, -errno; *out is held
 */
int file_open_exec(const char *path, struct file **out);
/** True if it is a regular file of the tree; then its inode, size and data segment can be had. */
bool file_is_regular(const struct file *f);
uint32_t file_inode(const struct file *f);
uint64_t file_size(const struct file *f);
int file_mode(const struct file *f); /* inode mode bits */
bool file_writable(const struct file *f);
/** Reads file bytes into the personality's memory. @return bytes or -errno */
long file_pread(struct file *f, void *to, size_t n, uint64_t offset);
/** Puts a key to the data page at `offset` (page-aligned) into key place `to`; write: makes the
 * page if it is a hole. @return 0, -ENXIO a hole or behind the end, -ENOSPC */
int file_page(struct file *f, uint64_t offset, bool write, uint16_t to);
/** Path for /proc/PID/exe and maps. @return length */
long file_path(const struct file *f, char *buf, size_t size);
/** Called by the file side when file pages vanish (truncate) so that mappings of them go (vm.c). */
void vm_file_truncated(uint32_t inode, uint64_t new_size);
/** Standard input, output and error of the first process. */
int files_open_console(struct files *f);
/** /proc/self/exe and friends: the process side's answer for readlink of /proc/PID/`what`. */
long process_readlink(struct process *p, const char *what, char *buf, size_t size);

#endif
