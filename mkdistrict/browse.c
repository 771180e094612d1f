/*
 * ls, cat and get: files of any generation, without booting.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools.h"

#define DEPTH_MAX 128

static const struct option no_options[] = {{"help", no_argument, NULL, 'h'}, {0}};

/* --- ls --------------------------------------------------------------------------------------- */

struct listing {
    struct files *t;
    bool detailed;
    bool terminal;
    char **name; /* of the directory listed, to be sorted */
    uint32_t *number;
    size_t count, capacity;
};

static void show_mode(uint32_t mode, char to[11])
{
    static const char types[] = "?pc?d?b?-?l?s???";
    static const char bits[] = "rwxrwxrwx";

    to[0] = types[mode >> 12 & 15];
    for (unsigned i = 0; i < 9; i++)
        to[1 + i] = mode >> (8 - i) & 1 ? bits[i] : '-';
    if (mode & S_ISUID)
        to[3] = mode & S_IXUSR ? 's' : 'S';
    if (mode & S_ISGID)
        to[6] = mode & S_IXGRP ? 's' : 'S';
    if (mode & S_ISVTX)
        to[9] = mode & S_IXOTH ? 't' : 'T';
    to[10] = 0;
}

/** Names as they are; on a terminal without what could steer it. */
static void print_name(const struct listing *l, const char *name)
{
    for (; *name; name++)
        putchar(l->terminal && ((unsigned char)*name < ' ' || *name == 127) ? '?' : *name);
}

static void print_line(struct listing *l, const char *name, uint32_t number)
{
    struct filetree_inode i;
    char mode[11], when[40], target[BW_PAGE_SIZE + 1];

    if (!l->detailed) {
        print_name(l, name);
        putchar('\n');
        return;
    }
    if (!files_inode(l->t, number, &i))
        fail("%s: damaged: %s names the free inode %u", l->t->of->path, name, number);
    show_mode(i.mode, mode);
    printf("%s %3u %5u %5u ", mode, i.links, i.uid, i.gid);
    if (S_ISCHR(i.mode) || S_ISBLK(i.mode))
        printf("%5u,%4u ", i.rdev >> 8, i.rdev & 255);
    else
        printf("%10llu ", (unsigned long long)i.size);
    printf("%s ", show_when(i.mtime, when));
    print_name(l, name);
    if (S_ISLNK(i.mode)) {
        target[files_read(l->t, number, &i, target, BW_PAGE_SIZE)] = 0;
        printf(" -> ");
        print_name(l, target);
    }
    putchar('\n');
}

static int collect(void *ctx, const char *name, uint32_t number)
{
    struct listing *l = ctx;

    if (l->count == l->capacity) {
        l->capacity = l->capacity ? 2 * l->capacity : 64;
        l->name = realloc(l->name, l->capacity * sizeof(*l->name));
        l->number = realloc(l->number, l->capacity * sizeof(*l->number));
        if (!l->name || !l->number)
            fail("out of memory");
    }
    l->name[l->count] = strdup(name);
    l->number[l->count] = number;
    if (!l->name[l->count++])
        fail("out of memory");
    return 0;
}

static int by_name(const void *a, const void *b, void *ctx)
{
    const struct listing *l = ctx;

    return strcmp(l->name[*(const size_t *)a], l->name[*(const size_t *)b]);
}

static void list_directory(struct listing *l, uint32_t number, const struct filetree_inode *inode)
{
    size_t *order;

    files_each(l->t, number, inode, collect, l);
    order = allocate((l->count + 1) * sizeof(*order));
    for (size_t i = 0; i < l->count; i++)
        order[i] = i;
    qsort_r(order, l->count, sizeof(*order), by_name, l);
    for (size_t i = 0; i < l->count; i++)
        print_line(l, l->name[order[i]], l->number[order[i]]);
    for (size_t i = 0; i < l->count; i++)
        free(l->name[i]);
    free(l->name);
    free(l->number);
    free(order);
}

int command_ls(int argc, char **argv)
{
    struct listing l = {.terminal = isatty(STDOUT_FILENO) == 1};
    struct filetree_inode inode;
    struct opened o;
    struct files t;
    const char *path;
    uint32_t number;
    int c;

    while ((c = command_option(argc, argv, "lh", no_options)) != -1)
        l.detailed |= c == 'l';
    if (argc - optind < 1 || argc - optind > 2)
        command_misused("ls", argc == optind ? "which FILE?" : "one PATH at a time");
    path = argc - optind == 2 ? argv[optind + 1] : "/";
    opened_open(&o, argv[optind], false);
    files_open(&t, &o);
    l.t = &t;
    number = files_find(&t, path, !l.detailed || path[strlen(path) - (*path != 0)] == '/', &inode);
    if (S_ISDIR(inode.mode))
        list_directory(&l, number, &inode);
    else
        print_line(&l, path, number);
    opened_close(&o);
    return 0;
}

/* --- cat and get ------------------------------------------------------------------------------ */

static void copy_page(struct files *t, struct key data, uint64_t index, uint64_t size, int fd,
                      const char *to)
{
    uint64_t left = size - index * BW_PAGE_SIZE;
    uint8_t page[BW_PAGE_SIZE];

    files_page(t, data, index, page);
    write_all(fd, page, left < BW_PAGE_SIZE ? (size_t)left : BW_PAGE_SIZE, to);
}

/** Copies a file's bytes, holes as zeros. */
static void copy_all(struct files *t, uint32_t number, const struct filetree_inode *inode, int fd,
                     const char *to, struct progress *p)
{
    struct key data = files_data_key(t, number);

    for (uint64_t i = 0; i * BW_PAGE_SIZE < inode->size; i++) {
        copy_page(t, data, i, inode->size, fd, to);
        progress_add(p, BW_PAGE_SIZE);
    }
}

/** The same, into a file that gets the same holes. */
static void copy_sparse(struct files *t, uint32_t number, const struct filetree_inode *inode,
                        int fd, const char *to, struct progress *p)
{
    struct key data = files_data_key(t, number);
    uint64_t pages = (inode->size + BW_PAGE_SIZE - 1) / BW_PAGE_SIZE, done = 0;

    for (uint64_t i = 0; (i = files_next(t, data, i)) < pages; i++) {
        if (lseek(fd, (off_t)(i * BW_PAGE_SIZE), SEEK_SET) < 0)
            fail("%s: %s", to, strerror(errno));
        copy_page(t, data, i, inode->size, fd, to);
        progress_add(p, (i - done) * BW_PAGE_SIZE);
        done = i;
    }
    if (ftruncate(fd, (off_t)inode->size))
        fail("%s: %s", to, strerror(errno));
    progress_add(p, inode->size - done * BW_PAGE_SIZE);
}

int command_cat(int argc, char **argv)
{
    struct filetree_inode inode;
    struct progress p;
    struct opened o;
    struct files t;

    while (command_option(argc, argv, "h", no_options) != -1)
        ;
    if (argc - optind < 2)
        command_misused("cat", argc == optind ? "which FILE?" : "which PATH?");
    opened_open(&o, argv[optind], false);
    files_open(&t, &o);
    for (int i = optind + 1; i < argc; i++) {
        uint32_t number = files_find(&t, argv[i], true, &inode);

        if (!S_ISREG(inode.mode))
            fail("%s: %s: %s", o.path, argv[i],
                 S_ISDIR(inode.mode) ? "is a folder; ls lists it" : "is not a file");
        progress_start(&p, "reading", inode.size);
        p.terminal &= isatty(STDOUT_FILENO) == 0;
        copy_all(&t, number, &inode, STDOUT_FILENO, "standard output", &p);
        progress_end(&p);
    }
    opened_close(&o);
    return 0;
}

struct getting {
    struct files *t;
    int folder;       /* where the names are made */
    const char *path; /* of it, for messages */
    unsigned depth;
    uint8_t *seen; /* bit per inode: folders on the way and done: none may come twice */
    struct progress progress;
    uint64_t left_out;
};

static void get_named(struct getting *g, const char *name, uint32_t number);

static int get_entry(void *ctx, const char *name, uint32_t number)
{
    get_named(ctx, name, number);
    return 0;
}

static void set_times(int folder, const char *name, const struct filetree_inode *i)
{
    struct timespec t[2] = {{(time_t)(i->atime / 1000000000u), (long)(i->atime % 1000000000u)},
                            {(time_t)(i->mtime / 1000000000u), (long)(i->mtime % 1000000000u)}};

    utimensat(folder, name, t, AT_SYMLINK_NOFOLLOW);
}

static void get_folder(struct getting *g, const char *name, uint32_t number,
                       const struct filetree_inode *inode, const char *path)
{
    struct getting inner = *g;

    if (g->seen[number / 8] >> number % 8 & 1 || g->depth >= DEPTH_MAX)
        fail("%s: damaged: the folder %s is in two places", g->t->of->path, path);
    g->seen[number / 8] |= (uint8_t)(1u << number % 8);
    if (mkdirat(g->folder, name, 0700))
        fail("%s: %s", path, strerror(errno));
    inner.folder = openat(g->folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inner.folder < 0)
        fail("%s: %s", path, strerror(errno));
    inner.path = path;
    inner.depth++;
    files_each(g->t, number, inode, get_entry, &inner);
    g->progress = inner.progress;
    g->left_out = inner.left_out;
    fchmod(inner.folder, inode->mode & 0777);
    close(inner.folder);
}

static void get_file(struct getting *g, const char *name, uint32_t number,
                     const struct filetree_inode *inode, const char *path)
{
    int fd = openat(g->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        fail("%s: %s", path, strerror(errno));
    copy_sparse(g->t, number, inode, fd, path, &g->progress);
    if (fchmod(fd, inode->mode & 0777) || close(fd))
        fail("%s: %s", path, strerror(errno));
}

/** Makes `name`, which must not exist, in the folder. */
static void get_named(struct getting *g, const char *name, uint32_t number)
{
    struct filetree_inode inode;
    char path[4096], target[BW_PAGE_SIZE + 1];

    snprintf(path, sizeof(path), "%.3700s%s%s", g->path, g->path[0] ? "/" : "", name);
    if (!files_inode(g->t, number, &inode))
        fail("%s: damaged: %s names the free inode %u", g->t->of->path, path, number);
    if (S_ISDIR(inode.mode)) {
        get_folder(g, name, number, &inode, path);
    } else if (S_ISREG(inode.mode)) {
        get_file(g, name, number, &inode, path);
    } else if (S_ISLNK(inode.mode)) {
        target[files_read(g->t, number, &inode, target, BW_PAGE_SIZE)] = 0;
        if (symlinkat(target, g->folder, name))
            fail("%s: %s", path, strerror(errno));
    } else {
        g->left_out++;
        return;
    }
    set_times(g->folder, name, &inode);
}

/** Adds up the sizes of the files that are to be copied. Damage is told when its turn comes. */
struct adding {
    struct files *t;
    uint8_t *seen; /* bit per inode: folders that have been added */
    unsigned depth;
    uint64_t bytes;
};

static int add_size(void *ctx, const char *name, uint32_t number)
{
    struct filetree_inode inode;
    struct adding *a = ctx;

    (void)name;
    if (!files_inode(a->t, number, &inode))
        return 0;
    if (S_ISREG(inode.mode))
        a->bytes += inode.size;
    if (S_ISDIR(inode.mode) && a->depth < DEPTH_MAX && !(a->seen[number / 8] >> number % 8 & 1)) {
        a->seen[number / 8] |= (uint8_t)(1u << number % 8);
        a->depth++;
        files_each(a->t, number, &inode, add_size, a);
        a->depth--;
    }
    return 0;
}

/** The last part of a path that the file's copy is to be named by. */
static const char *last_name(const char *path, char copy[4096])
{
    const char *name;

    snprintf(copy, 4096, "%s", path);
    name = basename(copy);
    if (strcmp(name, "/") == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        fail("%s: say what the copy is to be named: mkdistrict get FILE %s TO", path, path);
    return name;
}

int command_get(int argc, char **argv)
{
    struct getting g = {.folder = AT_FDCWD, .path = ""};
    struct filetree_inode inode;
    struct opened o;
    struct files t;
    struct adding sum = {.t = &t};
    struct stat s;
    char from[4096], to[4096];
    uint32_t number;

    while (command_option(argc, argv, "h", no_options) != -1)
        ;
    if (argc - optind < 2 || argc - optind > 3)
        command_misused("get", argc == optind       ? "which FILE?"
                               : argc == optind + 1 ? "which PATH?"
                                                    : "one PATH at a time");
    opened_open(&o, argv[optind], false);
    files_open(&t, &o);
    number = files_find(&t, argv[optind + 1], true, &inode);
    if (argc - optind == 2)
        snprintf(to, sizeof(to), "%s", last_name(argv[optind + 1], from));
    else if (stat(argv[optind + 2], &s) == 0 && S_ISDIR(s.st_mode))
        snprintf(to, sizeof(to), "%.3800s/%.255s", argv[optind + 2],
                 last_name(argv[optind + 1], from));
    else
        snprintf(to, sizeof(to), "%s", argv[optind + 2]);
    g.t = &t;
    g.seen = allocate(t.super.inodes / 8 + 1);
    if (isatty(STDERR_FILENO)) {
        sum.seen = allocate(t.super.inodes / 8 + 1);
        add_size(&sum, "", number);
        free(sum.seen);
    }
    progress_start(&g.progress, "reading", sum.bytes);
    get_named(&g, to, number);
    progress_end(&g.progress);
    if (g.left_out)
        fprintf(stderr, "mkdistrict: %llu device files, pipes and sockets are left out\n",
                (unsigned long long)g.left_out);
    free(g.seen);
    opened_close(&o);
    return 0;
}
