/*
 * A store in a file or on a block device: opening, locking, and making one so that it appears
 * complete or not at all. A new file has no name at first (O_TMPFILE); where that is not possible
 * it has a temporary one beside its place. Its name is the last thing that it gets.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mkdistrict.h"

static uint64_t size_of(int fd, const char *path)
{
    struct stat s;
    uint64_t size = 0;

    if (fstat(fd, &s))
        fail("%s: %s", path, strerror(errno));
    if (!S_ISBLK(s.st_mode))
        return (uint64_t)s.st_size;
    if (ioctl(fd, BLKGETSIZE64, &size))
        fail("%s: %s", path, strerror(errno));
    return size;
}

static void lock(int fd, const char *path, bool write)
{
    const char *who = lock_image(fd, write);

    if (who)
        fail("%s is in use by %s", path, who);
}

void file_open(struct file *f, const char *path, bool write)
{
    struct stat s;

    *f = (struct file){.path = path};
    f->fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
    if (f->fd < 0)
        fail("%s: %s", path, strerror(errno));
    if (fstat(f->fd, &s) || (!S_ISREG(s.st_mode) && !S_ISBLK(s.st_mode)))
        fail("%s: neither a file nor a disk", path);
    f->device = S_ISBLK(s.st_mode);
    lock(f->fd, path, write);
}

static void directory_of(const char *path, char dir[4096])
{
    char copy[4096];

    if (strlen(path) >= sizeof(copy) - 32)
        fail("%.40s...: the name is too long", path);
    strcpy(copy, path);
    strcpy(dir, dirname(copy));
}

static void create_beside(struct file *f, const char *path)
{
    char dir[4096];

    directory_of(path, dir);
    f->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (f->fd >= 0)
        return;
    snprintf(f->temporary, sizeof(f->temporary), "%.4000s/.mkdistrict-XXXXXX", dir);
    f->fd = mkostemp(f->temporary, O_CLOEXEC);
    if (f->fd < 0) {
        f->temporary[0] = 0;
        fail("%s: cannot make it in %s: %s", path, dir, strerror(errno));
    }
}

/** Whatever stands at path may be replaced, and is not in use. @return true if it is a block device
 */
static bool may_replace(struct file *f, const char *path, bool force)
{
    struct stat s;
    int fd;

    if (stat(path, &s)) {
        if (errno != ENOENT)
            fail("%s: %s", path, strerror(errno));
        return false;
    }
    if (!S_ISREG(s.st_mode) && !S_ISBLK(s.st_mode))
        fail("%s: neither a file nor a disk", path);
    if (!force)
        fail("%s exists; --force overwrites it", path);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        fail("%s: %s", path, strerror(errno));
    lock(fd, path, true);
    if (!S_ISBLK(s.st_mode))
        return false; /* fd stays open: its locks keep others out until the new file is in place */
    f->fd = fd;
    return true;
}

void file_create(struct file *f, const char *path, uint64_t size, bool force)
{
    *f = (struct file){.path = path, .fd = -1};
    f->device = may_replace(f, path, force);
    if (f->device) {
        if (size_of(f->fd, path) < size)
            fail("%s: the disk is smaller than --size", path);
        return;
    }
    create_beside(f, path);
    lock(f->fd, path, true);
    if (fchmod(f->fd, 0600) || ftruncate(f->fd, (off_t)size))
        fail("%s: %s", path, strerror(errno));
}

/** A file without a name gets a temporary one. */
static void name_temporarily(struct file *f)
{
    char proc[64], dir[4096];

    directory_of(f->path, dir);
    snprintf(proc, sizeof(proc), "/proc/self/fd/%d", f->fd);
    for (int i = 0; i < 100; i++) {
        snprintf(f->temporary, sizeof(f->temporary), "%.4000s/.mkdistrict-%d-%d", dir,
                 (int)getpid(), i);
        if (linkat(AT_FDCWD, proc, AT_FDCWD, f->temporary, AT_SYMLINK_FOLLOW) == 0)
            return;
        if (errno != EEXIST)
            break;
    }
    f->temporary[0] = 0;
    fail("%s: %s", f->path, strerror(errno));
}

static void sync_directory(const char *path)
{
    char dir[4096];
    int fd;

    directory_of(path, dir);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

void file_finish(struct file *f, bool force)
{
    if (fsync(f->fd))
        fail("%s: %s", f->path, strerror(errno));
    if (f->device)
        return;
    if (!f->temporary[0])
        name_temporarily(f);
    if (force ? rename(f->temporary, f->path)
              : renameat2(AT_FDCWD, f->temporary, AT_FDCWD, f->path, RENAME_NOREPLACE)) {
        /* Some file systems cannot refuse to replace in one step; a link can. */
        if (force || (errno != EINVAL && errno != ENOSYS) || link(f->temporary, f->path))
            fail("%s: %s", f->path, strerror(errno));
        unlink(f->temporary);
    }
    f->temporary[0] = 0;
    sync_directory(f->path);
}

void file_lengthen(struct file *f, uint64_t size)
{
    char text[32];

    if (!f->device && size_of(f->fd, f->path) < size && ftruncate(f->fd, (off_t)size))
        fail("%s: %s", f->path, strerror(errno));
    if (size_of(f->fd, f->path) < size)
        fail("%s: the disk is smaller than %s", f->path, show_bytes(size, text));
}

void file_discard(struct file *f)
{
    if (f->temporary[0])
        unlink(f->temporary);
}

static int read_blocks(void *ctx, uint64_t block, void *buf, size_t n)
{
    struct file *f = ctx;
    size_t done = 0, size = n * STORE_BLOCK;

    while (done < size) {
        ssize_t r =
            pread(f->fd, (char *)buf + done, size - done, (off_t)(block * STORE_BLOCK + done));

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return -1;
        done += (size_t)r;
    }
    return 0;
}

static int write_blocks(void *ctx, uint64_t block, const void *buf, size_t n)
{
    struct file *f = ctx;
    size_t done = 0, size = n * STORE_BLOCK;

    while (done < size) {
        ssize_t r = pwrite(f->fd, (const char *)buf + done, size - done,
                           (off_t)(block * STORE_BLOCK + done));

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            fail("%s: %s", f->path, strerror(errno));
        done += (size_t)r;
    }
    return 0;
}

static int flush(void *ctx)
{
    struct file *f = ctx;

    return fdatasync(f->fd);
}

static void print_damage(void *ctx, const struct store_damage *d)
{
    struct file *f = ctx;

    if ((f->opening && !d->repaired) || ++f->damages > DAMAGES_SHOWN)
        return;
    printf("%s: %s: %s", f->path, d->repaired ? "repaired" : "damaged", d->what);
    if (d->copy)
        printf(", copy %u", d->copy);
    printf(", at byte %llu (block %llu)", (unsigned long long)d->block * STORE_BLOCK,
           (unsigned long long)d->block);
    if (d->generation != STORE_NEWEST)
        printf(", generation %llu", (unsigned long long)d->generation);
    if (d->oid)
        printf(", object %#llx", (unsigned long long)d->oid);
    printf(": expected %#llx, found %#llx [%s:%d]\n", (unsigned long long)d->expected,
           (unsigned long long)d->found, d->file, d->line);
}

struct store_io file_io(struct file *f)
{
    return (struct store_io){
        .ctx = f,
        .blocks = size_of(f->fd, f->path) / STORE_BLOCK,
        .read = read_blocks,
        .write = write_blocks,
        .flush = flush,
        .damage = print_damage,
        .cache_blocks = 16384,
    };
}
