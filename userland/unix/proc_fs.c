/*
 * /proc. A place there is an id: pid << 32 | entry << 16 | descriptor number. Pid 0 is the
 * machine's own part. Contents are made when a file is read from its beginning, and kept with the
 * open file, so that a reader in pieces sees one state.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sysmacros.h>
#include "files.h"

#define TEXT_MAX 65536u
#define ID(pid, entry, number)                                                                     \
    ((uint64_t)(pid) << 32 | (uint64_t)(entry) << 16 | (uint64_t)(number))
#define ID_PID(id)    ((int)((id) >> 32))
#define ID_ENTRY(id)  ((unsigned)((id) >> 16 & 0xffff))
#define ID_NUMBER(id) ((int)((id)&0xffff))

enum source {
    SOURCE_NONE,    /* a directory */
    SOURCE_TEXT,    /* entry.text */
    SOURCE_SYSTEM,  /* system_describe(name) */
    SOURCE_PROCESS, /* process_describe(name) */
    SOURCE_LINK,    /* process_readlink(name), or ours */
    SOURCE_FDS,     /* the directory of descriptors */
};

struct entry {
    const char *name;
    uint8_t parent; /* entry index of its directory */
    uint8_t source;
    uint32_t mode;
    const char *text;
};

/* Entries of the machine's part; index 0 is /proc itself. */
static const struct entry system_entries[] = {
    {"", 0, SOURCE_NONE, S_IFDIR | 0555, NULL},
    {"self", 0, SOURCE_LINK, S_IFLNK | 0777, NULL},
    {"uptime", 0, SOURCE_SYSTEM, S_IFREG | 0444, NULL},
    {"meminfo", 0, SOURCE_SYSTEM, S_IFREG | 0444, NULL},
    {"loadavg", 0, SOURCE_SYSTEM, S_IFREG | 0444, NULL},
    {"stat", 0, SOURCE_SYSTEM, S_IFREG | 0444, NULL},
    {"enosys", 0, SOURCE_SYSTEM, S_IFREG | 0444, NULL},
    {"version", 0, SOURCE_TEXT, S_IFREG | 0444,
     "Linux version 6.1.0-bailiwick (Bailiwick) #1 SMP\n"},
    {"mounts", 0, SOURCE_TEXT, S_IFREG | 0444,
     "district / bailiwick rw,relatime 0 0\nproc /proc proc rw 0 0\n"},
    {"filesystems", 0, SOURCE_TEXT, S_IFREG | 0444, "nodev\tproc\n\tbailiwick\n"},
    {"cpuinfo", 0, SOURCE_TEXT, S_IFREG | 0444,
     "processor\t: 0\nvendor_id\t: Bailiwick\nmodel name\t: x86-64\ncpu cores\t: 1\n\n"},
    {"cmdline", 0, SOURCE_TEXT, S_IFREG | 0444, "\n"},
    {"partitions", 0, SOURCE_TEXT, S_IFREG | 0444, "major minor  #blocks  name\n\n"},
    {"swaps", 0, SOURCE_TEXT, S_IFREG | 0444, "Filename\tType\tSize\tUsed\tPriority\n"},
    {"sys", 0, SOURCE_NONE, S_IFDIR | 0555, NULL},
#define SYSTEM_SYS 14
    {"kernel", SYSTEM_SYS, SOURCE_NONE, S_IFDIR | 0555, NULL},
#define SYSTEM_KERNEL 15
    {"hostname", SYSTEM_KERNEL, SOURCE_TEXT, S_IFREG | 0444, "bailiwick\n"},
    {"osrelease", SYSTEM_KERNEL, SOURCE_TEXT, S_IFREG | 0444, "6.1.0-bailiwick\n"},
    {"ostype", SYSTEM_KERNEL, SOURCE_TEXT, S_IFREG | 0444, "Linux\n"},
    {"pid_max", SYSTEM_KERNEL, SOURCE_TEXT, S_IFREG | 0444, "32768\n"},
    {"vm", SYSTEM_SYS, SOURCE_NONE, S_IFDIR | 0555, NULL},
#define SYSTEM_VM 20
    {"overcommit_memory", SYSTEM_VM, SOURCE_TEXT, S_IFREG | 0444, "1\n"},
    {"vmstat", 0, SOURCE_SYSTEM, S_IFREG | 0444, NULL},
    {"district", 0, SOURCE_SYSTEM, S_IFREG | 0444, NULL},
};

/* Entries of each process; index 0 is its directory. */
static const struct entry process_entries[] = {
    {"", 0, SOURCE_NONE, S_IFDIR | 0555, NULL},
    {"stat", 0, SOURCE_PROCESS, S_IFREG | 0444, NULL},
    {"status", 0, SOURCE_PROCESS, S_IFREG | 0444, NULL},
    {"cmdline", 0, SOURCE_PROCESS, S_IFREG | 0444, NULL},
    {"comm", 0, SOURCE_PROCESS, S_IFREG | 0444, NULL},
    {"maps", 0, SOURCE_PROCESS, S_IFREG | 0444, NULL},
    {"statm", 0, SOURCE_PROCESS, S_IFREG | 0444, NULL},
    {"mounts", 0, SOURCE_TEXT, S_IFREG | 0444,
     "district / bailiwick rw,relatime 0 0\nproc /proc proc rw 0 0\n"},
    {"exe", 0, SOURCE_LINK, S_IFLNK | 0777, NULL},
    {"cwd", 0, SOURCE_LINK, S_IFLNK | 0777, NULL},
    {"root", 0, SOURCE_LINK, S_IFLNK | 0777, NULL},
    {"restart_signal", 0, SOURCE_PROCESS, S_IFREG | 0644, NULL},
    {"fd", 0, SOURCE_FDS, S_IFDIR | 0500, NULL},
#define PROCESS_FD 12
};

#define SYSTEM_COUNT  (sizeof(system_entries) / sizeof(system_entries[0]))
#define PROCESS_COUNT (sizeof(process_entries) / sizeof(process_entries[0]))
_Static_assert(PROCESS_FD == PROCESS_COUNT - 1, "fd is the last entry of a process");

/** /proc/PID/fd/N: the entry is PROCESS_FD and the number N + 1. */
static bool is_descriptor(uint64_t id)
{
    return ID_PID(id) != 0 && ID_ENTRY(id) == PROCESS_FD && ID_NUMBER(id) != 0;
}

/** The entry of an id, NULL if the process is gone. */
static const struct entry *entry_of(uint64_t id)
{
    if (ID_PID(id) == 0) {
        return ID_ENTRY(id) < SYSTEM_COUNT ? &system_entries[ID_ENTRY(id)] : NULL;
    }
    if (process_find(ID_PID(id)) == NULL || ID_ENTRY(id) >= PROCESS_COUNT) {
        return NULL;
    }
    return &process_entries[ID_ENTRY(id)];
}

struct file *proc_fd_file(uint64_t id)
{
    struct process *p = is_descriptor(id) ? process_find(ID_PID(id)) : NULL;
    struct files *t = p != NULL ? process_files(p) : NULL;

    return t != NULL ? files_get(t, ID_NUMBER(id) - 1) : NULL;
}

/* --- names --- */

/** A decimal number without leading zeros, -1 if it is none. */
static int number_of(const char *name)
{
    char *end;
    long n = *name >= '0' && *name <= '9' ? strtol(name, &end, 10) : -1;

    return n < 0 || *end != '\0' || n > 1 << 22 || (*name == '0' && n != 0) ? -1 : (int)n;
}

static int lookup_descriptor(uint64_t directory, const char *name, uint64_t *id)
{
    int n = number_of(name);

    *id = ID(ID_PID(directory), PROCESS_FD, n + 1);
    return n >= 0 && n < FILES_MAX && proc_fd_file(*id) != NULL ? 0 : -ENOENT;
}

static int lookup_in(const struct entry *entries, size_t count, uint64_t directory,
                     const char *name, uint64_t *id)
{
    for (size_t i = 1; i < count; i++) {
        if (entries[i].parent == ID_ENTRY(directory) && strcmp(entries[i].name, name) == 0) {
            *id = ID(ID_PID(directory), i, 0);
            return 0;
        }
    }
    return -ENOENT;
}

int proc_lookup(uint64_t directory, const char *name, uint64_t *id)
{
    const struct entry *d = entry_of(directory);
    int pid;

    if (d == NULL) {
        return -ENOENT;
    }
    if (d->source == SOURCE_FDS) {
        return is_descriptor(directory) ? -ENOTDIR : lookup_descriptor(directory, name, id);
    }
    if (!S_ISDIR(d->mode)) {
        return -ENOTDIR;
    }
    if (ID_PID(directory) != 0) {
        return lookup_in(process_entries, PROCESS_COUNT, directory, name, id);
    }
    pid = directory == PROC_ROOT ? number_of(name) : -1;
    if (pid > 0 && process_find(pid) != NULL) {
        *id = ID(pid, 0, 0);
        return 0;
    }
    return lookup_in(system_entries, SYSTEM_COUNT, directory, name, id);
}

uint64_t proc_parent(uint64_t id)
{
    if (is_descriptor(id)) {
        return ID(ID_PID(id), PROCESS_FD, 0);
    }
    if (ID_PID(id) == 0) {
        return ID(0, system_entries[ID_ENTRY(id)].parent, 0);
    }
    return ID_ENTRY(id) == 0 ? PROC_ROOT : ID(ID_PID(id), 0, 0);
}

long proc_directory_path(uint64_t id, char *buf, size_t size)
{
    const struct entry *e = entry_of(id);
    char text[128];
    int n;

    if (e == NULL) {
        return -ENOENT;
    }
    if (ID_PID(id) != 0) {
        n = snprintf(text, sizeof(text), "/proc/%d%s%s", ID_PID(id), *e->name ? "/" : "", e->name);
    } else if (e->parent != 0) {
        const struct entry *up = &system_entries[e->parent];

        n = up->parent != 0 ? snprintf(text, sizeof(text), "/proc/%s/%s/%s",
                                       system_entries[up->parent].name, up->name, e->name)
                            : snprintf(text, sizeof(text), "/proc/%s/%s", up->name, e->name);
    } else {
        n = snprintf(text, sizeof(text), "/proc%s%s", *e->name ? "/" : "", e->name);
    }
    if ((size_t)n > size) {
        return -ERANGE;
    }
    memcpy(buf, text, (size_t)n);
    return n;
}

/* Positions in a directory: 0 ".", 1 "..", then entries, then processes by pid or descriptors. */
#define FIRST_ENTRY 2u
#define FIRST_PID   ((uint64_t)1 << 32)

static bool give(char *name, size_t size, const char *text, uint64_t position, uint64_t *next)
{
    snprintf(name, size, "%s", text);
    *next = position + 1;
    return true;
}

static bool next_process(uint64_t position, char *name, size_t size, uint64_t *id, uint8_t *type,
                         uint64_t *next)
{
    int least = position >= FIRST_PID ? (int)(position - FIRST_PID) : 0;

    for (struct process *p = process_next(NULL); p != NULL; p = process_next(p)) {
        int pid = process_pid(p);

        if (pid >= least) {
            snprintf(name, size, "%d", pid);
            *id = ID(pid, 0, 0);
            *type = S_IFDIR >> 12;
            *next = FIRST_PID + (uint64_t)pid + 1;
            return true;
        }
    }
    return false;
}

static bool next_descriptor(uint64_t directory, uint64_t position, char *name, size_t size,
                            uint64_t *id, uint8_t *type, uint64_t *next)
{
    struct process *p = process_find(ID_PID(directory));
    struct files *t = p != NULL ? process_files(p) : NULL;

    for (int fd = (int)(position - FIRST_ENTRY); t != NULL && fd <= files_highest(t); fd++) {
        if (files_get(t, fd) != NULL) {
            snprintf(name, size, "%d", fd);
            *id = ID(ID_PID(directory), PROCESS_FD, fd + 1);
            *type = S_IFLNK >> 12;
            *next = FIRST_ENTRY + (uint64_t)fd + 1;
            return true;
        }
    }
    return false;
}

bool proc_entry(uint64_t directory, uint64_t index, char *name, size_t size, uint64_t *id,
                uint8_t *type, uint64_t *next)
{
    bool system = ID_PID(directory) == 0;
    const struct entry *entries = system ? system_entries : process_entries;
    size_t count = system ? SYSTEM_COUNT : PROCESS_COUNT;

    if (index < FIRST_ENTRY) {
        *id = index == 0 ? directory : proc_parent(directory);
        *type = S_IFDIR >> 12;
        return give(name, size, index == 0 ? "." : "..", index, next);
    }
    if (!system && ID_ENTRY(directory) == PROCESS_FD) {
        return next_descriptor(directory, index, name, size, id, type, next);
    }
    for (uint64_t i = index < FIRST_PID ? index - FIRST_ENTRY + 1 : count; i < count; i++) {
        if (entries[i].parent == ID_ENTRY(directory)) {
            *id = ID(ID_PID(directory), i, 0);
            *type = (uint8_t)((entries[i].mode & S_IFMT) >> 12);
            return give(name, size, entries[i].name, FIRST_ENTRY + i - 1, next);
        }
    }
    return directory == PROC_ROOT && next_process(index, name, size, id, type, next);
}

/* --- what they are --- */

int proc_stat(uint64_t id, struct stat *st)
{
    const struct entry *e = entry_of(id);
    uint64_t now = time_realtime();

    if (e == NULL) {
        return -ENOENT;
    }
    memset(st, 0, sizeof(*st));
    st->st_dev = makedev(0, 4);
    st->st_ino = id + 1;
    st->st_mode = is_descriptor(id) ? S_IFLNK | 0700 : e->mode;
    st->st_nlink = S_ISDIR(st->st_mode) ? 2 : 1;
    st->st_blksize = 1024;
    st->st_atim.tv_sec = st->st_mtim.tv_sec = st->st_ctim.tv_sec = (time_t)(now / 1000000000u);
    return 0;
}

static long descriptor_link(uint64_t id, char *buf, size_t size)
{
    struct file *f = proc_fd_file(id);

    return f != NULL ? file_path(f, buf, size) : -ENOENT;
}

static long directory_link(struct process *p, const char *name, char *buf, size_t size)
{
    struct directory *d = process_directory(p);

    if (d == NULL) {
        return -ENOENT;
    }
    return path_of_directory(path_root(), (*name == 'c' ? d->cwd : d->root)->place, buf, size);
}

long proc_readlink(uint64_t id, char *buf, size_t size)
{
    const struct entry *e = entry_of(id);
    char text[16];
    size_t n;

    if (e == NULL) {
        return -ENOENT;
    }
    if (is_descriptor(id)) {
        return descriptor_link(id, buf, size);
    }
    if (e->source != SOURCE_LINK) {
        return -EINVAL;
    }
    if (ID_PID(id) != 0) {
        struct process *p = process_find(ID_PID(id));

        return *e->name == 'e' ? process_readlink(p, e->name, buf, size)
                               : directory_link(p, e->name, buf, size);
    }
    n = (size_t)snprintf(text, sizeof(text), "%d", process_pid(thread_process(current)));
    n = n < size ? n : size;
    memcpy(buf, text, n);
    return (long)n;
}

static long make_text(uint64_t id, char *buf, size_t size)
{
    const struct entry *e = entry_of(id);

    if (e == NULL) {
        return -ESRCH;
    }
    switch (e->source) {
    case SOURCE_TEXT:
        strcpy(buf, e->text);
        return (long)strlen(e->text);
    case SOURCE_SYSTEM:
        return system_describe(e->name, buf, size);
    case SOURCE_PROCESS:
        return process_describe(process_find(ID_PID(id)), e->name, buf, size);
    default:
        return -EISDIR;
    }
}

/* --- as open files --- */

static long refresh(struct file *f)
{
    char *buf = malloc(TEXT_MAX);
    long n = buf != NULL ? make_text(f->vnode->place.id, buf, TEXT_MAX) : -ENOMEM;

    if (n < 0) {
        free(buf);
        return n;
    }
    free(f->proc.text);
    f->proc.length = (size_t)n < TEXT_MAX ? (size_t)n : TEXT_MAX;
    f->proc.text = malloc(f->proc.length + 1);
    if (f->proc.text == NULL) {
        f->proc.length = 0;
        free(buf);
        return -ENOMEM;
    }
    memcpy(f->proc.text, buf, f->proc.length);
    free(buf);
    return 0;
}

static long proc_read(struct file *f, struct io *io, uint64_t *offset)
{
    size_t n;
    long r = *offset == 0 || f->proc.text == NULL ? refresh(f) : 0;

    if (r != 0) {
        return r;
    }
    if (*offset >= f->proc.length || io->left == 0) {
        return 0;
    }
    n = f->proc.length - (size_t)*offset;
    r = io_give(io, f->proc.text + *offset, n < io->left ? n : io->left);
    if (r > 0) {
        *offset += (uint64_t)r;
    }
    return r;
}

/** A number to the one file that can be written: restart_signal. */
static long proc_write(struct file *f, struct io *io, uint64_t *offset)
{
    struct process *p = process_find(ID_PID(f->vnode->place.id));
    char text[16] = "", *end;
    long number, r;
    size_t n = io->left;

    (void)offset;
    if (n == 0 || n >= sizeof text) {
        return n == 0 ? 0 : -EINVAL;
    }
    r = io_take(io, text, n);
    if (r < 0) {
        return r;
    }
    number = strtol(text, &end, 10);
    if (p == NULL) {
        r = -ESRCH;
    } else if (end == text || (*end != '\0' && strcmp(end, "\n") != 0)) {
        r = -EINVAL;
    } else {
        r = signal_set_at_restart(p, number);
    }
    if (r < 0) {
        io->done = 0; /* nothing was done with what was taken */
        return r;
    }
    return (long)n;
}

static unsigned proc_poll(struct file *f)
{
    (void)f;
    return EPOLLIN | EPOLLOUT;
}

static void proc_close(struct file *f)
{
    free(f->proc.text);
}

const struct file_kind file_proc = {
    .name = "proc",
    .read = proc_read,
    .write = proc_write,
    .poll = proc_poll,
    .close = proc_close,
    .seekable = true,
};

long proc_open(struct vnode *v, uint32_t flags, struct file **out)
{
    uint32_t mode = place_mode(v->place);

    if (mode == 0) {
        return -ENOENT;
    }
    if (S_ISREG(mode) && (flags & O_ACCMODE) != O_RDONLY && !(mode & 0200)) {
        return -EACCES;
    }
    *out = file_new(S_ISDIR(mode) ? &file_directory : &file_proc, flags, v);
    return *out != NULL ? 0 : -ENOMEM;
}
