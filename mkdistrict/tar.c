/*
 * Reading a tar archive (any that libarchive knows, compressed or not) into a file tree.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "tools.h"

#define FILE_SIZE_MAX ((int64_t)1 << 44) /* what a segment of height 4 spans */

static uint64_t nanoseconds(time_t seconds, long ns)
{
    return seconds < 0 ? 0 : (uint64_t)seconds * 1000000000ull + (uint64_t)ns;
}

static void set_attributes(struct filetree_inode *a, struct archive_entry *e)
{
    a->uid = (uint32_t)archive_entry_uid(e);
    a->gid = (uint32_t)archive_entry_gid(e);
    a->mtime = nanoseconds(archive_entry_mtime(e), archive_entry_mtime_nsec(e));
    a->atime = archive_entry_atime_is_set(e)
                   ? nanoseconds(archive_entry_atime(e), archive_entry_atime_nsec(e))
                   : a->mtime;
    a->ctime = a->mtime;
    if (S_ISCHR(a->mode) || S_ISBLK(a->mode))
        a->rdev = (uint32_t)(archive_entry_rdevmajor(e) << 8 | (archive_entry_rdevminor(e) & 255));
}

static void read_data(struct tree *t, struct inode *i, struct archive *a, const char *tar,
                      const char *path, struct progress *p)
{
    const void *bytes;
    size_t n;
    int64_t offset;
    int r;

    while ((r = archive_read_data_block(a, &bytes, &n, &offset)) == ARCHIVE_OK) {
        inode_write(t, i, (uint64_t)offset, bytes, n);
        progress_add(p,
                     (uint64_t)archive_filter_bytes(a, -1) - p->done); /* as read of the archive */
    }
    if (r != ARCHIVE_EOF)
        fail("%s: %s: %s", tar, path, archive_error_string(a));
}

static void add_entry(struct tree *t, struct archive *a, struct archive_entry *e, const char *tar,
                      struct progress *p)
{
    const char *path = archive_entry_pathname(e), *hardlink = archive_entry_hardlink(e),
               *why = NULL;
    uint32_t mode = (uint32_t)archive_entry_mode(e);
    struct filetree_inode *attributes;
    struct inode *i;

    if (!path)
        fail("%s: an entry has no name", tar);
    if (hardlink) {
        why = tree_link(t, path, hardlink);
        if (why)
            fail("%s: %s: %s", tar, path, why);
        return;
    }
    i = tree_make(t, path, mode, &why);
    if (!i)
        fail("%s: %s: %s", tar, path, why);
    attributes = inode_attributes(i);
    set_attributes(attributes, e);
    if (S_ISREG(mode)) {
        if (archive_entry_size(e) > FILE_SIZE_MAX)
            fail("%s: %s: the file is too large", tar, path);
        attributes->size = (uint64_t)archive_entry_size(e);
        read_data(t, i, a, tar, path, p);
        inode_finish(t, i);
    } else if (S_ISLNK(mode)) {
        const char *target = archive_entry_symlink(e);

        if (!target || !target[0] || strlen(target) >= BW_PAGE_SIZE)
            fail("%s: %s: a symbolic link without a usable target", tar, path);
        attributes->size = strlen(target);
        inode_target(i, target);
        inode_write(t, i, 0, target, attributes->size);
        inode_finish(t, i);
    }
}

void tar_read(struct tree *t, const char *path)
{
    struct archive *a = archive_read_new();
    struct archive_entry *e;
    struct progress p;
    struct stat s;
    int r;

    if (!a)
        fail("out of memory");
    archive_read_support_filter_all(a);
    archive_read_support_format_tar(a);
    archive_read_support_format_empty(a);
    if (archive_read_open_filename(a, strcmp(path, "-") == 0 ? NULL : path, 1 << 16) != ARCHIVE_OK)
        fail("%s: %s", path,
             archive_errno(a) == EILSEQ
                 ? "this is no tar archive" /* what libarchive says so with */
             : archive_errno(a) > 0 ? strerror(archive_errno(a))
                                    : archive_error_string(a));
    progress_start(&p, "reading",
                   stat(path, &s) == 0 && S_ISREG(s.st_mode) ? (uint64_t)s.st_size : 0);
    while ((r = archive_read_next_header(a, &e)) != ARCHIVE_EOF) {
        if (r < ARCHIVE_WARN)
            fail("%s: %s", path, archive_error_string(a));
        add_entry(t, a, e, path, &p);
    }
    progress_end(&p);
    archive_read_free(a);
}
