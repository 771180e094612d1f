/*
 * Inodes of the file tree and their data; filetree.h has the invariants.
 *
 * Data is read and written where pages are; what is missing reads as zeros and is made by the first
 * write. A file whose page count equals what its size spans is dense, and then no page is looked up
 * before it is used; only files with holes pay for that.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "filetree.h"

#define PAGE       4096ul
#define SPAN_PAGES 16u /* pages made ahead of one copy */

struct filetree filetree;

static uint64_t pages_of(uint64_t size)
{
    return (size + PAGE - 1) / PAGE;
}

static bool dense(const struct filetree_inode *n)
{
    return n->pages == pages_of(n->size);
}

/** Least height >= 1 that spans size; 0 for an empty file. */
static unsigned height_for(uint64_t size)
{
    unsigned height = 1;

    if (size == 0) {
        return 0;
    }
    while (segment_span(height) < size) {
        height++;
    }
    return height;
}

struct filetree_inode *filetree_inode(uint32_t ino)
{
    if (ino == 0 || ino >= filetree.super->inodes) {
        return NULL;
    }
    return &filetree.inodes[ino];
}

long filetree_create(uint32_t mode)
{
    struct filetree_super *s = filetree.super;
    struct filetree_inode *n;
    uint32_t ino = s->free_head;

    if (ino != 0) {
        n = &filetree.inodes[ino];
        s->free_head = n->next;
        s->free_count--;
    } else {
        if (s->inodes >= FILETREE_INODES_MAX || filetree.backend->table(s->inodes) != 0) {
            return -ENOSPC;
        }
        ino = s->inodes++;
        n = &filetree.inodes[ino];
    }
    memset(n, 0, sizeof(*n));
    n->mode = mode;
    n->atime = n->mtime = n->ctime = filetree.now();
    return ino;
}

void filetree_destroy(uint32_t ino)
{
    struct filetree_super *s = filetree.super;
    struct filetree_inode *n = &filetree.inodes[ino];

    if (S_ISDIR(n->mode)) {
        directory_forget(ino);
    }
    filetree_truncate(ino, 0);
    memset(n, 0, sizeof(*n));
    n->next = s->free_head;
    s->free_head = ino;
    s->free_count++;
}

void filetree_forget(uint32_t ino)
{
    struct filetree_inode *n = filetree_inode(ino);

    if (n != NULL && n->mode != 0 && n->links == 0) {
        filetree_destroy(ino);
    }
}

/* --- reading --- */

static long read_sparse(uint32_t ino, uint64_t offset, struct io *io, size_t n)
{
    size_t to_page_end = PAGE - offset % PAGE;

    if (n > to_page_end) {
        n = to_page_end;
    }
    if (filetree.inodes[ino].height != 0 && filetree.backend->present(ino, offset, 0)) {
        return filetree.backend->read(ino, offset, io, n);
    }
    return io_give_zeros(io, n);
}

long filetree_read(uint32_t ino, uint64_t offset, struct io *io)
{
    struct filetree_inode *inode = filetree_inode(ino);
    uint64_t start = offset, end;

    if (inode == NULL || offset >= inode->size) {
        return 0;
    }
    end = inode->size - offset > io->left ? offset + io->left : inode->size;
    while (offset < end) {
        size_t n = (size_t)(end - offset);
        long r = dense(inode) ? filetree.backend->read(ino, offset, io, n)
                              : read_sparse(ino, offset, io, n);

        if (r <= 0) {
            return offset > start ? (long)(offset - start) : r;
        }
        offset += (uint64_t)r;
    }
    return (long)(offset - start);
}

/* --- writing --- */

static void undo_growth(uint32_t ino);

static int ensure_height(uint32_t ino, uint64_t size)
{
    struct filetree_inode *inode = &filetree.inodes[ino];
    unsigned need = height_for(size);

    while (inode->height < need) {
        int r = filetree.backend->set_height(ino, inode->height, inode->height + 1);

        if (r != 0) {
            return r;
        }
        inode->height++;
    }
    return 0;
}

static bool has_page(uint32_t ino, uint64_t page)
{
    struct filetree_inode *inode = &filetree.inodes[ino];

    if (page >= pages_of(inode->size) || inode->height == 0) {
        return false;
    }
    return dense(inode) || filetree.backend->present(ino, page * PAGE, 0);
}

/**
 * Makes the missing pages of [first, first + count). Their number goes to *made; they are not yet
 * in the inode's count, since the density of the file as it was is asked all along.
 * @return how many pages from first on are there, or -errno if not even the first
 */
static long make_pages(uint32_t ino, uint64_t first, unsigned count, unsigned *made)
{
    *made = 0;
    for (unsigned i = 0; i < count; i++) {
        if (!has_page(ino, first + i)) {
            int r = filetree.backend->create(ino, (first + i) * PAGE);

            if (r != 0) {
                return i > 0 ? (long)i : r;
            }
            ++*made;
        }
    }
    return count;
}

static void count_pages(struct filetree_inode *inode, int64_t change)
{
    inode->pages += (uint64_t)change;
    filetree.super->pages += (uint64_t)change;
}

/** Writes at most SPAN_PAGES pages. @return bytes or -errno */
static long write_span(uint32_t ino, uint64_t offset, struct io *io, size_t n)
{
    struct filetree_inode *inode = &filetree.inodes[ino];
    uint64_t first = offset / PAGE, behind, last;
    unsigned made;
    long there, r;

    if (offset % PAGE + n > SPAN_PAGES * PAGE) {
        n = SPAN_PAGES * PAGE - offset % PAGE;
    }
    there = make_pages(ino, first, (unsigned)(pages_of(offset + n) - first), &made);
    if (there < 0) {
        return there;
    }
    last = first + (uint64_t)there;
    if (offset + n > last * PAGE) {
        n = (size_t)(last * PAGE - offset);
    }
    count_pages(inode, made);
    r = filetree.backend->write(ino, offset, io, n);
    if (r > 0 && offset + (uint64_t)r > inode->size) {
        inode->size = offset + (uint64_t)r;
    }
    behind = pages_of(inode->size) > first ? pages_of(inode->size) : first;
    if (behind < last) { /* the copy stopped early: nothing may stay behind the end */
        filetree.backend->clear(ino, behind * PAGE, 0, (unsigned)(last - behind));
        count_pages(inode, -(int64_t)(last - behind));
    }
    return r;
}

long filetree_write(uint32_t ino, uint64_t offset, struct io *io)
{
    struct filetree_inode *inode = filetree_inode(ino);
    uint64_t start = offset, end, size;
    long r = 0;

    if (inode == NULL) {
        return -EIO;
    }
    size = inode->size;
    if (io->left == 0) {
        return 0;
    }
    if (offset >= FILETREE_SIZE_MAX) {
        return -EFBIG;
    }
    end = FILETREE_SIZE_MAX - offset > io->left ? offset + io->left : FILETREE_SIZE_MAX;
    if (offset % PAGE != 0 && offset > inode->size) {
        r = filetree_truncate(ino, offset); /* zeros up to where we begin */
    }
    if (r == 0) {
        r = ensure_height(ino, end);
    }
    while (r >= 0 && offset < end) {
        r = write_span(ino, offset, io, (size_t)(end - offset));
        offset += r > 0 ? (uint64_t)r : 0;
        if (r == 0) {
            break;
        }
    }
    if (r < 0) {
        if (offset == start && inode->size > size) {
            inode->size = size; /* only the zeros before it were added */
        }
        undo_growth(ino);
    }
    inode->mtime = inode->ctime = filetree.now();
    return offset > start ? (long)(offset - start) : r;
}

/* --- truncation --- */

static uint64_t count_present(uint32_t ino, uint64_t from, unsigned pages)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < pages; i++) {
        n += filetree.backend->present(ino, from + i * PAGE, 0);
    }
    return n;
}

/**
 * Destroys what lies in [from, to) below the node of `height` that begins at `base`.
 * `all`: the file had no holes.
 */
static void clear_below(uint32_t ino, unsigned height, uint64_t base, uint64_t from, uint64_t to,
                        bool all)
{
    uint64_t step = segment_span(height - 1);
    uint64_t end = base + segment_span(height);
    uint64_t at = from > base ? from : base;

    end = to < end ? to : end;
    if (height == 1) {
        unsigned pages = (unsigned)((end - at) / PAGE);
        uint64_t there = all ? pages : count_present(ino, at, pages);

        if (there != 0) {
            filetree.backend->clear(ino, at, 0, pages);
            count_pages(&filetree.inodes[ino], -(int64_t)there);
        }
        return;
    }
    for (uint64_t slot = at / step * step; slot < end; slot += step) {
        if (filetree.backend->present(ino, slot, height - 1)) {
            clear_below(ino, height - 1, slot, from, to, all);
            if (slot >= from) {
                filetree.backend->clear(ino, slot, height - 1, 1);
            }
        }
    }
}

/** Gives back the height that `size` does not need. */
static void trim_height(uint32_t ino, uint64_t size)
{
    struct filetree_inode *inode = &filetree.inodes[ino];
    unsigned need = height_for(size);

    while (need < inode->height &&
           filetree.backend->set_height(ino, inode->height, inode->height - 1) == 0) {
        inode->height--;
    }
}

/** Destroys what lies between `size` and `end`, which nothing is behind. */
static void cut_off(uint32_t ino, uint64_t size, uint64_t end, bool all)
{
    struct filetree_inode *inode = &filetree.inodes[ino];
    uint64_t from = pages_of(size) * PAGE, to = pages_of(end) * PAGE;

    if (inode->height == 0) {
        return;
    }
    if (size % PAGE != 0 && has_page(ino, size / PAGE)) {
        filetree.backend->zero(ino, size, PAGE - size % PAGE);
    }
    if (from < to) {
        clear_below(ino, inode->height, 0, from, to, all);
    }
    trim_height(ino, size);
}

/** After a failure to grow: nothing may be left behind the size. */
static void undo_growth(uint32_t ino)
{
    struct filetree_inode *inode = &filetree.inodes[ino];

    if (inode->height != 0) {
        cut_off(ino, inode->size, segment_span(inode->height), false);
    }
}

int filetree_truncate(uint32_t ino, uint64_t size)
{
    struct filetree_inode *inode = filetree_inode(ino);
    int r;

    if (inode == NULL) {
        return -EIO;
    }
    if (size > FILETREE_SIZE_MAX) {
        return -EFBIG;
    }
    if (size < inode->size) {
        cut_off(ino, size, inode->size, dense(inode));
    } else {
        uint64_t end = inode->size;

        r = ensure_height(ino, size);
        if (r != 0) {
            undo_growth(ino);
            return r;
        }
        if (size > end && end % PAGE != 0 && has_page(ino, end / PAGE)) {
            filetree.backend->zero(ino, end, PAGE - end % PAGE);
        }
    }
    inode->size = size;
    inode->mtime = inode->ctime = filetree.now();
    return 0;
}

int filetree_page(uint32_t ino, uint64_t offset, bool write, uint16_t to)
{
    struct filetree_inode *inode = filetree_inode(ino);

    if (inode == NULL || offset >= inode->size) {
        return -ENXIO;
    }
    if (!has_page(ino, offset / PAGE)) {
        int r;

        if (!write) {
            return -ENXIO;
        }
        r = ensure_height(ino, inode->size);
        r = r == 0 ? filetree.backend->create(ino, offset) : r;
        if (r != 0) {
            return r;
        }
        count_pages(inode, 1);
    }
    return filetree.backend->page(ino, offset, to);
}

long filetree_read_memory(uint32_t ino, uint64_t offset, void *to, size_t n)
{
    struct io io;

    io_init_memory(&io, to, n);
    return filetree_read(ino, offset, &io);
}

long filetree_write_memory(uint32_t ino, uint64_t offset, const void *from, size_t n)
{
    struct io io;

    io_init_memory(&io, (void *)(uintptr_t)from, n);
    return filetree_write(ino, offset, &io);
}
