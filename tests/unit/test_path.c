// sources: ../../userland/unix/path.c ../../userland/unix/filetree.c
// sources: ../../userland/unix/filetree_directory.c ../../userland/unix/filetree_names.c
// sources: ../../userland/unix/file_io.c filetree_memory.c
/*
 * Paths: names, dots, symbolic links, the limits, mount points, and paths of directories. Devices
 * and /proc are stand-ins with two entries each.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include "filetree_memory.h"
#include "files.h"

static struct vnode root_vnode;
static struct directory here;

/* --- stand-ins --- */

bool device_entry(unsigned index, const char **name, uint32_t *mode, uint32_t *rdev,
                  const char **link)
{
    *name = index == 0 ? "null" : "fd";
    *mode = index == 0 ? S_IFCHR | 0666 : S_IFLNK | 0777;
    *rdev = 0;
    *link = index == 0 ? NULL : "/proc/self";
    return index < 2;
}

enum { PROC_SELF = 1, PROC_ONE = 2, PROC_FILE = 3 };

int proc_lookup(uint64_t directory, const char *name, uint64_t *id)
{
    if (directory == PROC_ROOT && strcmp(name, "self") == 0) {
        *id = PROC_SELF;
    } else if (directory == PROC_ROOT && strcmp(name, "1") == 0) {
        *id = PROC_ONE;
    } else if (directory == PROC_ONE && strcmp(name, "stat") == 0) {
        *id = PROC_FILE;
    } else {
        return -ENOENT;
    }
    return 0;
}

uint64_t proc_parent(uint64_t id)
{
    return id == PROC_FILE ? PROC_ONE : PROC_ROOT;
}

long proc_readlink(uint64_t id, char *buf, size_t size)
{
    (void)size;
    ck_assert_uint_eq(id, PROC_SELF);
    *buf = '1';
    return 1;
}

struct file *proc_fd_file(uint64_t id)
{
    (void)id;
    return NULL;
}

long proc_directory_path(uint64_t id, char *buf, size_t size)
{
    (void)size;
    return (long)strlen(strcpy(buf, id == PROC_ROOT ? "/proc" : "/proc/1"));
}

uint32_t place_mode(struct place place)
{
    struct filetree_inode *n;

    switch (place.kind) {
    case PLACE_TREE:
        n = filetree_inode((uint32_t)place.id);
        return n != NULL ? n->mode : 0;
    case PLACE_DEVICE:
        return place.id == 0 ? S_IFCHR : S_IFLNK;
    default:
        return place.id == PROC_SELF ? S_IFLNK : place.id == PROC_FILE ? S_IFREG : S_IFDIR;
    }
}

/* --- the tree of the tests --- */

static uint32_t a, b, f;

static uint32_t make(uint32_t dir, const char *name, uint32_t mode)
{
    long ino = filetree_make(dir, name, mode, 0);

    ck_assert_int_gt(ino, 0);
    return (uint32_t)ino;
}

static void setup(void)
{
    memory_tree_setup();
    path_init();
    root_vnode.place = path_root();
    here = (struct directory){.root = &root_vnode, .cwd = &root_vnode};
    a = make(1, "a", S_IFDIR | 0755);
    b = make(a, "b", S_IFDIR | 0755);
    f = make(b, "f", S_IFREG | 0644);
    ck_assert_int_eq(filetree_symlink(1, "to_b", "a/b"), 0);
    ck_assert_int_eq(filetree_symlink(b, "up", "../.."), 0);
    ck_assert_int_eq(filetree_symlink(b, "abs", "/a"), 0);
    ck_assert_int_eq(filetree_symlink(1, "loop", "loop"), 0);
    ck_assert_int_eq(filetree_symlink(1, "dangling", "a/none"), 0);
}

static int walk_from(uint32_t start, const char *path, unsigned flags, struct walk *w)
{
    return path_walk(&here, (struct place){PLACE_TREE, start}, path, flags, w);
}

/** The inode of the tree that a path leads to from "/", or -errno. */
static long at(const char *path)
{
    struct walk w;
    int r = walk_from(1, path, 0, &w);

    return r != 0 ? r : (long)w.place.id;
}

START_TEST(plain_names)
{
    ck_assert_int_eq(at("/"), 1);
    ck_assert_int_eq(at("a/b/f"), f);
    ck_assert_int_eq(at("//a///b//f"), f);
    ck_assert_int_eq(at("a/./b/../b/f"), f);
    ck_assert_int_eq(at("../../a"), a);
    ck_assert_int_eq(at("a/b/"), b);
    ck_assert_int_eq(at("a/b/f/"), -ENOTDIR);
    ck_assert_int_eq(at("a/b/f/x"), -ENOTDIR);
    ck_assert_int_eq(at("a/b/f/.."), -ENOTDIR);
    ck_assert_int_eq(at(""), -ENOENT);
    ck_assert_int_eq(at("x"), -ENOENT);
    ck_assert_int_eq(at("x/y"), -ENOENT);
}
END_TEST

START_TEST(relative_start)
{
    struct walk w;

    ck_assert_int_eq(walk_from(b, "f", 0, &w), 0);
    ck_assert_uint_eq(w.place.id, f);
    ck_assert_uint_eq(w.parent.id, b);
    ck_assert_str_eq(w.name, "f");
    ck_assert_int_eq(walk_from(b, "..", 0, &w), 0);
    ck_assert_uint_eq(w.place.id, a);
    ck_assert_str_eq(w.name, "..");
    ck_assert_int_eq(walk_from(b, "/", 0, &w), 0);
    ck_assert_str_eq(w.name, "");
}
END_TEST

START_TEST(links)
{
    struct walk w;

    ck_assert_int_eq(at("to_b/f"), f);
    ck_assert_int_eq(at("to_b/up/a/b/f"), f);
    ck_assert_int_eq(at("to_b/abs/b"), b);
    ck_assert_int_eq(at("loop"), -ELOOP);
    ck_assert_int_eq(at("loop/x"), -ELOOP);
    ck_assert_int_eq(at("dangling"), -ENOENT);
    ck_assert_int_eq(walk_from(1, "to_b", WALK_NOFOLLOW, &w), 0);
    ck_assert(S_ISLNK(place_mode(w.place)));
    ck_assert_int_eq(walk_from(1, "to_b/", WALK_NOFOLLOW, &w), 0);
    ck_assert_uint_eq(w.place.id, b);
}
END_TEST

START_TEST(forty_links)
{
    char name[16], target[16] = "a";

    for (int i = 1; i <= SYMLINKS_MAX + 1; i++) {
        snprintf(name, sizeof(name), "l%d", i);
        ck_assert_int_eq(filetree_symlink(1, name, target), 0);
        strcpy(target, name);
    }
    ck_assert_int_eq(at("l40"), a);
    ck_assert_int_eq(at("l41"), -ELOOP);
}
END_TEST

START_TEST(new_names)
{
    struct walk w;

    ck_assert_int_eq(walk_from(1, "a/new", WALK_PARENT, &w), 0);
    ck_assert(!w.found && !w.trailing);
    ck_assert_uint_eq(w.parent.id, a);
    ck_assert_str_eq(w.name, "new");
    ck_assert_int_eq(walk_from(1, "a/new/", WALK_PARENT, &w), 0);
    ck_assert(!w.found && w.trailing);
    ck_assert_int_eq(walk_from(1, "a/new/x", WALK_PARENT, &w), -ENOENT);
    ck_assert_int_eq(walk_from(1, "dangling", WALK_PARENT, &w), 0);
    ck_assert_uint_eq(w.parent.id, a);
    ck_assert_str_eq(w.name, "none");
    ck_assert_int_eq(walk_from(1, "a/b/f", WALK_PARENT, &w), 0);
    ck_assert(w.found);
}
END_TEST

START_TEST(limits)
{
    static char path[PATH_LIMIT + 10];

    memset(path, 'n', sizeof(path) - 1);
    ck_assert_int_eq(at(path), -ENAMETOOLONG);
    path[256] = '\0';
    ck_assert_int_eq(at(path), -ENAMETOOLONG);
    path[255] = '\0';
    ck_assert_int_eq(at(path), -ENOENT);
    memset(path, '/', sizeof(path) - 1);
    path[PATH_LIMIT - 1] = '\0';
    ck_assert_int_eq(at(path), 1);
}
END_TEST

START_TEST(links_that_grow_too_long)
{
    static char dots[3000] = "", target[3100];

    for (int i = 0; i < 1400; i++) {
        memcpy(dots + 2 * i, "./", 3);
    }
    ck_assert_int_eq(filetree_symlink(1, "dots", dots), 0);
    ck_assert_int_eq(at("dots"), 1);
    snprintf(target, sizeof(target), "%sdots", dots);
    ck_assert_int_eq(filetree_symlink(1, "twice", target), 0);
    ck_assert_int_eq(at("twice"), 1);
    snprintf(target, sizeof(target), "dots/%s", dots);
    ck_assert_int_eq(filetree_symlink(1, "long", target), 0);
    ck_assert_int_eq(at("long"), -ENAMETOOLONG);
}
END_TEST

START_TEST(mount_points)
{
    struct walk w;
    long dev = at("/dev");

    ck_assert_int_gt(dev, 1);
    ck_assert_int_eq(walk_from(1, "/dev/null", 0, &w), 0);
    ck_assert_uint_eq(w.place.kind, PLACE_DEVICE);
    ck_assert_uint_eq(w.parent.id, dev);
    make((uint32_t)dev, "null", S_IFREG);
    ck_assert_int_eq(walk_from(1, "/dev/null", 0, &w), 0);
    ck_assert_uint_eq(w.place.kind, PLACE_TREE); /* the tree's own comes first */
    ck_assert_int_eq(walk_from(1, "/proc", 0, &w), 0);
    ck_assert_uint_eq(w.place.kind, PLACE_PROC);
    ck_assert_int_eq(walk_from(1, "/proc/self/stat", 0, &w), 0);
    ck_assert_uint_eq(w.place.id, PROC_FILE);
    ck_assert_int_eq(walk_from(1, "/dev/fd/stat", 0, &w), 0);
    ck_assert_uint_eq(w.place.id, PROC_FILE);
    ck_assert_int_eq(at("/proc/1/../../a"), a);
    ck_assert_int_eq(walk_from(1, "/proc/x", WALK_PARENT, &w), 0);
    ck_assert_uint_eq(w.parent.kind, PLACE_PROC);
    ck_assert(path_is_mount((struct place){PLACE_TREE, (uint64_t)dev}));
    ck_assert(path_is_mount(path_root()));
    ck_assert(!path_is_mount((struct place){PLACE_TREE, a}));
}
END_TEST

START_TEST(a_root_of_its_own)
{
    struct vnode jail = {.place = {PLACE_TREE, a}};
    struct walk w;

    here.root = here.cwd = &jail;
    ck_assert_int_eq(walk_from(b, "../../../b/f", 0, &w), 0);
    ck_assert_uint_eq(w.place.id, f);
    ck_assert_int_eq(walk_from(b, "/b", 0, &w), 0);
    ck_assert_uint_eq(w.place.id, b);
    ck_assert_int_eq(walk_from(b, "abs", 0, &w), -ENOENT); /* "/a" is not in it */
}
END_TEST

static const char *path_of(uint32_t ino)
{
    static char text[PATH_LIMIT];
    long n = path_of_directory(here.root->place, (struct place){PLACE_TREE, ino}, text,
                               sizeof(text) - 1);

    ck_assert_int_gt(n, 0);
    text[n] = '\0';
    return text;
}

START_TEST(paths_of_directories)
{
    struct vnode jail = {.place = {PLACE_TREE, a}};
    char small[4];

    ck_assert_str_eq(path_of(1), "/");
    ck_assert_str_eq(path_of(a), "/a");
    ck_assert_str_eq(path_of(b), "/a/b");
    ck_assert_int_eq(path_of_directory(path_root(), (struct place){PLACE_TREE, b}, small, 4), 4);
    ck_assert_int_eq(path_of_directory(path_root(), (struct place){PLACE_TREE, b}, small, 3),
                     -ERANGE);
    here.root = &jail;
    ck_assert_str_eq(path_of(b), "/b");
    here.root = &root_vnode;
    open_ino = b;
    filetree_unlink(b, "f");
    filetree_unlink(b, "up");
    filetree_unlink(b, "abs");
    ck_assert_int_eq(filetree_rmdir(a, "b"), 0);
    ck_assert_int_eq(path_of_directory(path_root(), (struct place){PLACE_TREE, b}, small, 4),
                     -ENOENT);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("path");
    TCase *t = tcase_create("all");

    tcase_add_checked_fixture(t, setup, memory_tree_free);
    tcase_add_test(t, plain_names);
    tcase_add_test(t, relative_start);
    tcase_add_test(t, links);
    tcase_add_test(t, forty_links);
    tcase_add_test(t, new_names);
    tcase_add_test(t, limits);
    tcase_add_test(t, links_that_grow_too_long);
    tcase_add_test(t, mount_points);
    tcase_add_test(t, a_root_of_its_own);
    tcase_add_test(t, paths_of_directories);
    suite_add_tcase(s, t);
    return run_suite(s);
}
