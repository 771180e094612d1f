/*
 * put: files and folders of the host into a district that does not run. It makes a new generation
 * with the reason "host tool"; the one before is kept, so that it can be undone.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edit.h"

#define DEPTH_MAX 128

struct putting {
    struct edit e;
    uint32_t uid, gid;
    uint32_t mode; /* permissions, of files; UINT32_MAX: as the source has them */
    bool inside;   /* of a folder, under its own name */
    uint64_t left_out;
    struct progress p;
};

static void put_entry(struct putting *u, int at, const char *source, const char *shown,
                      uint32_t directory, const char *name, unsigned depth);

static bool all_zero(const uint8_t *bytes)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, BW_PAGE_SIZE - 1) == 0;
}

static struct filetree_inode attributes(const struct putting *u, const struct stat *s)
{
    struct filetree_inode i = {.mode = (s->st_mode & S_IFMT) | (s->st_mode & 0777),
                               .uid = u->uid,
                               .gid = u->gid,
                               .ctime = u->e.now};

    if (u->mode != UINT32_MAX && S_ISREG(s->st_mode))
        i.mode = S_IFREG | u->mode;
    i.atime = i.mtime = s->st_mtim.tv_sec < 0 ? 0
                                              : (uint64_t)s->st_mtim.tv_sec * 1000000000u +
                                                    (uint64_t)s->st_mtim.tv_nsec;
    return i;
}

static unsigned height_for(uint64_t size)
{
    unsigned height = 1;

    while (height < SEGMENT_HEIGHT_MAX && segment_span(height) < size)
        height++;
    return height;
}

/** A page of a file; the first one that is not zero makes the segment. */
static void put_page(struct putting *u, struct segment *s, uint64_t size, uint64_t index,
                     const uint8_t *page, struct filetree_inode *i)
{
    oid_t oid;

    if (all_zero(page))
        return;
    if (!s->root) {
        *s = segment_new(&u->e.b, height_for(size));
        i->height = s->height;
    }
    oid = builder_id(&u->e.b);
    opened_check(u->e.t.of, store_put(u->e.b.store, oid, OBJECT_PAGE, 1, page));
    segment_put(&u->e.b, s, 0, index, make_key(KEY_PAGE, RIGHT_WRITE, 0, oid));
    i->pages++;
    u->e.data_pages++;
}

static size_t read_page(int fd, uint8_t page[BW_PAGE_SIZE], const char *shown)
{
    size_t done = 0;

    memset(page, 0, BW_PAGE_SIZE);
    while (done < BW_PAGE_SIZE) {
        ssize_t r = read(fd, page + done, BW_PAGE_SIZE - done);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            fail("%s: %s", shown, strerror(errno));
        if (r == 0)
            break;
        done += (size_t)r;
    }
    return done;
}

/** Ends what put_page began; gives the inode its data. */
static uint32_t finish_inode(struct putting *u, struct segment *s, struct filetree_inode *i)
{
    struct key data = key_void();
    uint32_t number;

    if (s->root) {
        data = segment_key(s);
        data.rights = RIGHT_WRITE;
        segment_emit(&u->e.b, s);
    }
    number = edit_new_inode(&u->e, i);
    edit_set_data(&u->e, number, data);
    return number;
}

static uint32_t put_file(struct putting *u, int fd, const struct stat *st, const char *shown)
{
    struct filetree_inode i = attributes(u, st);
    struct segment s = {.root = NULL};
    uint8_t page[BW_PAGE_SIZE];
    size_t n;

    if (st->st_size > (off_t)1 << 44)
        fail("%s: the file is too large", shown);
    do {
        n = read_page(fd, page, shown);
        if (i.size + n > (uint64_t)st->st_size)
            fail("%s: it has grown while it was read; try again", shown);
        put_page(u, &s, (uint64_t)st->st_size, i.size / BW_PAGE_SIZE, page, &i);
        i.size += n;
        progress_add(&u->p, n);
    } while (n == BW_PAGE_SIZE);
    return finish_inode(u, &s, &i);
}

static uint32_t put_link(struct putting *u, int at, const char *source, const struct stat *st,
                         const char *shown)
{
    struct filetree_inode i = attributes(u, st);
    struct segment s = {.root = NULL};
    char target[BW_PAGE_SIZE] = {0};
    ssize_t n = readlinkat(at, source, target, sizeof(target) - 1);

    if (n <= 0)
        fail("%s: %s", shown, n < 0 ? strerror(errno) : "a symbolic link to nothing");
    i.mode = S_IFLNK | 0777;
    i.size = (uint64_t)n;
    put_page(u, &s, i.size, 0, (const uint8_t *)target, &i);
    return finish_inode(u, &s, &i);
}

static uint32_t folder_for(struct putting *u, const struct stat *st, uint32_t directory,
                           const char *name, const char *shown)
{
    struct filetree_inode like = attributes(u, st), there;
    uint32_t number = edit_lookup(&u->e, directory, name);

    if (number == 0)
        return edit_make_directory(&u->e, directory, name, &like);
    if (!files_inode(&u->e.t, number, &there) || !S_ISDIR(there.mode))
        fail("%s: a file is in its place in the district", shown);
    return number;
}

static void put_folder(struct putting *u, int fd, const struct stat *st, uint32_t directory,
                       const char *name, const char *shown, unsigned depth)
{
    uint32_t number = folder_for(u, st, directory, name, shown);
    DIR *d = fdopendir(fd);
    struct dirent *e;

    if (!d)
        fail("%s: %s", shown, strerror(errno));
    if (depth > DEPTH_MAX)
        fail("%s: too many folders in each other", shown);
    while ((errno = 0, e = readdir(d))) {
        char path[4096];

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof(path), "%.3800s/%s", shown, e->d_name);
        put_entry(u, dirfd(d), e->d_name, path, number, e->d_name, depth + 1);
    }
    if (errno)
        fail("%s: %s", shown, strerror(errno));
    closedir(d);
}

static void check_target(struct putting *u, uint32_t directory, const char *name, const char *shown)
{
    uint32_t number = edit_lookup(&u->e, directory, name);
    struct filetree_inode there;

    if (number && files_inode(&u->e.t, number, &there) && S_ISDIR(there.mode))
        fail("%s: a folder is in its place in the district", shown);
}

static void put_entry(struct putting *u, int at, const char *source, const char *shown,
                      uint32_t directory, const char *name, unsigned depth)
{
    struct stat st;
    int fd;

    if (fstatat(at, source, &st, depth ? AT_SYMLINK_NOFOLLOW : 0))
        fail("%s: %s", shown, strerror(errno));
    if (S_ISLNK(st.st_mode)) {
        check_target(u, directory, name, shown);
        edit_name(&u->e, directory, name, put_link(u, at, source, &st, shown));
        return;
    }
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        if (depth == 0)
            fail("%s: neither a file nor a folder", shown);
        u->left_out++;
        return;
    }
    fd = openat(at, source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        fail("%s: %s", shown, strerror(errno));
    if (S_ISDIR(st.st_mode)) {
        put_folder(u, fd, &st, directory, name, shown, depth);
        return;
    }
    check_target(u, directory, name, shown);
    edit_name(&u->e, directory, name, put_file(u, fd, &st, shown));
    close(fd);
}

/* --- what the user says ----------------------------------------------------------------------- */

static bool parse_owner(const char *text, struct putting *u)
{
    unsigned long uid, gid;
    char *end;

    if (!isdigit((unsigned char)text[0]))
        return false;
    uid = gid = strtoul(text, &end, 10);
    if (*end == ':' && isdigit((unsigned char)end[1]))
        gid = strtoul(end + 1, &end, 10);
    if (*end || uid > UINT32_MAX - 1 || gid > UINT32_MAX - 1)
        return false;
    u->uid = (uint32_t)uid;
    u->gid = (uint32_t)gid;
    return true;
}

static bool parse_mode(const char *text, struct putting *u)
{
    char *end;
    unsigned long mode = strtoul(text, &end, 8);

    if (!isdigit((unsigned char)text[0]) || *end || mode > 07777)
        return false;
    u->mode = (uint32_t)mode;
    return true;
}

/** Finds the folder and the name for a path in the district. `source` gives the name if the path is
 * a folder. */
static uint32_t find_place(struct putting *u, const char *path, const char *source, char name[256])
{
    char above[4096], copy[4096], full[4096];
    struct filetree_inode inode;
    struct files *t = &u->e.t;
    const char *why, *last, *folder;
    uint32_t number;

    if (strlen(path) >= sizeof(above) || strlen(source) >= sizeof(above))
        fail("%.40s...: the name is too long", strlen(path) >= sizeof(above) ? path : source);
    number = files_look(t, path, true, &inode, &why);
    if (number && S_ISDIR(inode.mode)) {
        if (!realpath(source, full))
            fail("%s: %s", source, strerror(errno));
        last = basename(full);
        u->inside = true;
    } else {
        strcpy(above, path);
        strcpy(copy, path);
        last = basename(copy);
        folder = dirname(above);
        number = files_look(t, folder, true, &inode, &why);
        if (number == 0)
            fail("%s: %s: %s", t->of->path, folder, why);
        if (!S_ISDIR(inode.mode))
            fail("%s: %s is not a folder", t->of->path, folder);
    }
    if (strlen(last) > FILETREE_NAME_MAX || strcmp(last, "/") == 0 || strcmp(last, ".") == 0 ||
        strcmp(last, "..") == 0)
        fail("%s: %s: this cannot be a file's name", t->of->path, path);
    strcpy(name, last);
    return number;
}

static uint64_t total; /* of size_of */

static int add_size(const char *path, const struct stat *s, int kind, struct FTW *where)
{
    (void)path;
    (void)where;
    total += kind == FTW_F && S_ISREG(s->st_mode) ? (uint64_t)s->st_blocks * 512 : 0;
    return 0;
}

/** Of a file, or of all in a folder. What cannot be read is told when its turn comes. */
static uint64_t size_of(const char *source)
{
    struct stat s;

    if (stat(source, &s))
        fail("%s: %s", source, strerror(errno));
    total = S_ISREG(s.st_mode) ? (uint64_t)s.st_blocks * 512 : 0;
    if (S_ISDIR(s.st_mode))
        nftw(source, add_size, 32, FTW_PHYS);
    return total;
}

/** What is clear from the start is said before anything is written. */
static void check_space(struct opened *o, uint64_t bytes)
{
    char wanted[32], have[32];

    if (bytes / STORE_BLOCK > o->info.free_blocks)
        fail("%s: the store is full: it has %s free, and %s are wanted", o->path,
             show_bytes(o->info.free_blocks * STORE_BLOCK, have), show_bytes(bytes, wanted));
}

enum { OWNER = 256, MODE, MIRROR, ALONE };

int command_put(int argc, char **argv)
{
    static const struct option options[] = {{"owner", required_argument, NULL, OWNER},
                                            {"mode", required_argument, NULL, MODE},
                                            {"mirror", required_argument, NULL, MIRROR},
                                            {"alone", no_argument, NULL, ALONE},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    static struct putting u = {.mode = UINT32_MAX};
    char name[256];
    struct opened o;
    uint64_t size;
    uint32_t directory;
    int c;

    while ((c = command_option(argc, argv, "h", options)) != -1) {
        if (c == OWNER && !parse_owner(optarg, &u))
            fail("--owner %s: write UID or UID:GID, as numbers", optarg);
        if (c == MODE && !parse_mode(optarg, &u))
            fail("--mode %s: write permissions as an octal number, e.g. 755", optarg);
        if (c == MIRROR)
            other_copy.path = optarg;
        other_copy.alone |= c == ALONE;
    }
    if (argc - optind != 3)
        command_misused("put", "it wants FILE, SRC and PATH");
    if (!argv[optind + 2][0])
        fail("PATH is empty: where in the district?");
    size = size_of(argv[optind + 1]);
    opened_open(&o, argv[optind], true);
    check_space(&o, size);
    edit_begin(&u.e, &o);
    directory = find_place(&u, argv[optind + 2], argv[optind + 1], name);
    progress_start(&u.p, "putting", size);
    put_entry(&u, AT_FDCWD, argv[optind + 1], argv[optind + 1], directory, name, 0);
    edit_finish(&u.e);
    progress_end(&u.p);
    store_info(o.store, &o.info);
    printf("%s: generation %llu made with %s in %s\n", o.path, (unsigned long long)o.info.current,
           u.inside ? name : argv[optind + 2], u.inside ? argv[optind + 2] : "it");
    if (u.left_out)
        fprintf(stderr, "mkdistrict: %llu device files, pipes and sockets are left out\n",
                (unsigned long long)u.left_out);
    opened_close(&o);
    return 0;
}
