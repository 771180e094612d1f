/*
 * Paths: from a string to a place. The tree is walked by inode; /dev and /proc are mount points:
 * the directories of the tree with those names, which are made if they are missing. In /dev the
 * tree's own entries come first and the built-in devices behind them; /proc is not in the tree at
 * all.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "files.h"

static uint32_t dev_ino, proc_ino; /* the directories that are mount points */

static uint32_t make_mount(const char *name)
{
    long ino = directory_lookup(FILETREE_ROOT_INODE, name, strlen(name));

    if (ino == -ENOENT) {
        ino = filetree_make(FILETREE_ROOT_INODE, name, S_IFDIR | 0755, 0);
    }
    return ino > 0 && S_ISDIR(filetree_inode((uint32_t)ino)->mode) ? (uint32_t)ino : 0;
}

void path_init(void)
{
    dev_ino = make_mount("dev");
    proc_ino = make_mount("proc");
    if (directory_lookup(FILETREE_ROOT_INODE, "tmp", 3) == -ENOENT) {
        filetree_make(FILETREE_ROOT_INODE, "tmp", S_IFDIR | 01777, 0);
    }
}

struct place path_root(void)
{
    return (struct place){PLACE_TREE, FILETREE_ROOT_INODE};
}

bool path_is_mount(struct place place)
{
    return place.kind == PLACE_TREE &&
           (place.id == dev_ino || place.id == proc_ino || place.id == FILETREE_ROOT_INODE);
}

bool path_is_dev(struct place place)
{
    return place.kind == PLACE_TREE && place.id == dev_ino && dev_ino != 0;
}

static long lookup_device(const char *name, struct place *out)
{
    const char *entry, *link;
    uint32_t mode, rdev;

    for (unsigned i = 0; device_entry(i, &entry, &mode, &rdev, &link); i++) {
        if (strcmp(entry, name) == 0) {
            *out = (struct place){PLACE_DEVICE, i};
            return 0;
        }
    }
    return -ENOENT;
}

static struct place parent_of(struct place dir)
{
    long up;

    if (dir.kind == PLACE_PROC) {
        return dir.id == PROC_ROOT ? path_root() : (struct place){PLACE_PROC, proc_parent(dir.id)};
    }
    up = directory_lookup((uint32_t)dir.id, "..", 2);
    return up > 0 ? (struct place){PLACE_TREE, (uint64_t)up} : dir;
}

/** One name (not "." or "..") in a directory. */
static long lookup(struct place dir, const char *name, struct place *out)
{
    long ino;

    if (dir.kind == PLACE_PROC) {
        out->kind = PLACE_PROC;
        return proc_lookup(dir.id, name, &out->id);
    }
    if (dir.kind != PLACE_TREE) {
        return -ENOTDIR;
    }
    ino = directory_lookup((uint32_t)dir.id, name, strlen(name));
    if (ino == -ENOENT && path_is_dev(dir)) {
        return lookup_device(name, out);
    }
    if (ino < 0) {
        return ino;
    }
    *out = (struct place){PLACE_TREE, (uint64_t)ino};
    if (ino == proc_ino) {
        *out = (struct place){PLACE_PROC, PROC_ROOT};
    }
    return 0;
}

long place_readlink(struct place place, char *buf, size_t size)
{
    const char *name, *link;
    uint32_t mode, rdev;
    size_t n;

    switch (place.kind) {
    case PLACE_TREE:
        return filetree_read_memory((uint32_t)place.id, 0, buf, size);
    case PLACE_DEVICE:
        if (!device_entry((unsigned)place.id, &name, &mode, &rdev, &link) || link == NULL) {
            return -EINVAL;
        }
        n = strlen(link) < size ? strlen(link) : size;
        memcpy(buf, link, n);
        return (long)n;
    default:
        return proc_readlink(place.id, buf, size);
    }
}

/** What of the path is still to be walked. */
struct rest {
    char *buffer; /* PATH_LIMIT bytes */
    char *at;
    unsigned links;
};

/** Takes the next name. @return its length, 0 at the end, -ENAMETOOLONG */
static long next_name(struct rest *rest, char name[FILETREE_NAME_MAX + 1])
{
    size_t n;

    rest->at += strspn(rest->at, "/");
    n = strcspn(rest->at, "/");
    if (n > FILETREE_NAME_MAX) {
        return -ENAMETOOLONG;
    }
    memcpy(name, rest->at, n);
    name[n] = '\0';
    rest->at += n;
    return (long)n;
}

static bool at_end(const struct rest *rest)
{
    return rest->at[strspn(rest->at, "/")] == '\0';
}

/** Puts a link's target before the rest. */
static long insert_link(struct rest *rest, struct place link)
{
    size_t left = strlen(rest->at);
    char *target;
    long n;

    if (++rest->links > SYMLINKS_MAX) {
        return -ELOOP;
    }
    target = malloc(PATH_LIMIT);
    if (target == NULL) {
        return -ENOMEM;
    }
    n = place_readlink(link, target, PATH_LIMIT);
    if (n == 0) {
        n = -ENOENT;
    } else if (n > 0 && (size_t)n + left + 1 > PATH_LIMIT) {
        n = -ENAMETOOLONG;
    }
    if (n > 0) {
        memmove(rest->buffer + n, rest->at, left + 1);
        memcpy(rest->buffer, target, (size_t)n);
        rest->at = rest->buffer;
    }
    free(target);
    return n < 0 ? n : 0;
}

/** The last name was not found, or the walk goes into something that is no directory. */
static long missing(struct walk *w, const struct rest *rest, unsigned flags, long error)
{
    if (error == -ENOENT && (flags & WALK_PARENT) && at_end(rest)) {
        w->found = false;
        w->trailing = *rest->at == '/';
        return 0;
    }
    return error;
}

/** Is the link at the end of the path to be followed? */
static bool follow_last(const struct rest *rest, unsigned flags)
{
    return !at_end(rest) || *rest->at == '/' || !(flags & WALK_NOFOLLOW);
}

static long step(const struct directory *d, struct rest *rest, unsigned flags, struct walk *w)
{
    struct place found;
    uint32_t mode;
    long r;

    if (!S_ISDIR(place_mode(w->place))) {
        return -ENOTDIR;
    }
    if (strcmp(w->name, ".") == 0 || strcmp(w->name, "..") == 0) {
        if (w->name[1] == '.' && !place_same(w->place, d->root->place)) {
            w->place = parent_of(w->place);
        }
        w->parent = w->place;
        return 0;
    }
    w->parent = w->place;
    r = lookup(w->place, w->name, &found);
    if (r != 0) {
        return missing(w, rest, flags, r);
    }
    mode = place_mode(found);
    if (S_ISLNK(mode) && follow_last(rest, flags)) {
        struct file *open = found.kind == PLACE_PROC ? proc_fd_file(found.id) : NULL;

        if (open != NULL) {
            /* The file itself; if it has no name, opening the link gives the same open file. */
            w->place = open->vnode != NULL ? open->vnode->place : found;
            return 0;
        }
        r = insert_link(rest, found);
        if (r == 0 && *rest->at == '/') {
            w->place = d->root->place;
        }
        return r;
    }
    w->place = found;
    return 0;
}

static long walk_on(const struct directory *d, struct rest *rest, unsigned flags, struct walk *w)
{
    for (;;) {
        char name[FILETREE_NAME_MAX + 1];
        long n = next_name(rest, name);
        long r;

        if (n <= 0) {
            return n;
        }
        memcpy(w->name, name, (size_t)n + 1);
        r = step(d, rest, flags, w);
        if (r != 0 || !w->found) {
            return r;
        }
    }
}

int path_walk(const struct directory *d, struct place start, const char *path, unsigned flags,
              struct walk *w)
{
    struct rest rest = {0};
    long r;

    if (*path == '\0') {
        return -ENOENT;
    }
    if (strlen(path) >= PATH_LIMIT) {
        return -ENAMETOOLONG;
    }
    rest.buffer = rest.at = malloc(PATH_LIMIT);
    if (rest.buffer == NULL) {
        return -ENOMEM;
    }
    strcpy(rest.buffer, path);
    *w = (struct walk){.place = *path == '/' ? d->root->place : start, .found = true};
    w->parent = w->place;
    r = walk_on(d, &rest, flags, w);
    if (r == 0 && w->found) {
        size_t length = strlen(path);

        w->trailing = path[length - 1] == '/';
        if (((flags & WALK_DIRECTORY) || w->trailing) && !S_ISDIR(place_mode(w->place))) {
            r = -ENOTDIR;
        }
    }
    free(rest.buffer);
    return (int)r;
}

/** Puts "/name" before what is at *at. */
static int prepend(char *buf, size_t *at, const char *name, size_t n)
{
    if (n + 1 > *at) {
        return -ERANGE;
    }
    *at -= n;
    memcpy(buf + *at, name, n);
    buf[--*at] = '/';
    return 0;
}

long path_of_directory(struct place root, struct place directory, char *buf, size_t size)
{
    char name[FILETREE_NAME_MAX + 1];
    size_t at = size;

    if (directory.kind == PLACE_PROC) {
        return proc_directory_path(directory.id, buf, size);
    }
    while (!place_same(directory, root) && directory.id != FILETREE_ROOT_INODE) {
        struct place up = parent_of(directory);
        long n = directory_name_of((uint32_t)up.id, (uint32_t)directory.id, name);

        if (n < 0 || place_same(up, directory)) {
            return -ENOENT;
        }
        if (prepend(buf, &at, name, (size_t)n) != 0) {
            return -ERANGE;
        }
        directory = up;
    }
    if (at == size) {
        if (size < 1) {
            return -ERANGE;
        }
        buf[--at] = '/';
    }
    memmove(buf, buf + at, size - at);
    return (long)(size - at);
}
