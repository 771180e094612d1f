/*
 * System calls on memory.
 */
#include <sys/mman.h>
#include "process.h"

#define MAP_SHARED_VALIDATE_BIT 3
#define FIXED_NOREPLACE         0x100000

static struct space *here(void)
{
    return current->process->space;
}

static bool range_is_good(uint64_t start, uint64_t length)
{
    return !(start & (PAGE - 1)) && start < SPACE_TOP && length <= SPACE_TOP - start;
}

/** RLIMIT_AS and RLIMIT_DATA in one. */
static bool limit_allows(uint64_t more)
{
    uint64_t limit = current->process->limit[9].soft;

    return limit == ~0ull || area_total(here()) + more <= limit;
}

/** Where a mapping goes. @return 0, -errno */
static int choose_place(uint64_t hint, uint64_t length, uint64_t flags, uint64_t *place)
{
    if (flags & (MAP_FIXED | FIXED_NOREPLACE)) {
        if (!range_is_good(hint, length) || hint < SPACE_LOW || hint + length > STACK_TOP) {
            return hint & (PAGE - 1) ? -EINVAL : -ENOMEM;
        }
        if ((flags & FIXED_NOREPLACE) && area_place(here(), hint, length) != hint) {
            return -EEXIST;
        }
        *place = hint;
        return 0;
    }
    *place = area_place(here(), PAGE_FLOOR(hint), length);
    return *place ? 0 : -ENOMEM;
}

static long map_anonymous(uint64_t place, uint64_t length, uint32_t prot, bool shared)
{
    struct shared_memory *m = NULL;
    int error;

    if ((prot & VM_WRITE) && !space_take_mapping(length / PAGE)) {
        return -ENOMEM;
    }
    if (shared) {
        m = shared_new(length / PAGE);
        if (!m) {
            return -ENOMEM;
        }
    }
    error = area_map(here(), place, length, prot, shared ? AREA_SHARED : 0, NULL, m, 0);
    if (m) {
        shared_release(m);
    }
    return error ? error : (long)place;
}

static long map_file(uint64_t place, uint64_t length, uint32_t prot, bool shared, int fd,
                     uint64_t offset)
{
    struct file *file = files_get(current->process->files, fd);
    uint32_t flags = shared ? AREA_SHARED : 0;
    int error;

    if (!file) {
        return -EBADF;
    }
    if (!file_is_regular(file)) {
        return -ENODEV;
    }
    if (shared && !file_writable(file)) {
        if (prot & VM_WRITE) {
            return -EACCES;
        }
        flags |= AREA_MAY_NOT_WRITE;
    }
    error = area_map(here(), place, length, prot, flags, file, NULL, offset);
    return error ? error : (long)place;
}

CALL(mmap)
{
    uint64_t length = PAGE_CEIL(b), place;
    uint32_t prot = (uint32_t)(c & (VM_READ | VM_WRITE | VM_EXEC));
    unsigned type = d & MAP_SHARED_VALIDATE_BIT;
    bool shared = type != MAP_PRIVATE;
    int error;

    if (!b || !type || (f & (PAGE - 1))) {
        return -EINVAL;
    }
    if (b > SPACE_TOP || !limit_allows(length)) {
        return -ENOMEM;
    }
    error = choose_place(a, length, d, &place);
    if (error) {
        return error;
    }
    if (d & MAP_ANONYMOUS) {
        return map_anonymous(place, length, prot, shared);
    }
    return map_file(place, length, prot, shared, (int)e, f);
}

CALL(munmap)
{
    if (!b || !range_is_good(a, PAGE_CEIL(b))) {
        return -EINVAL;
    }
    return area_unmap(here(), a, PAGE_CEIL(b));
}

CALL(mprotect)
{
    if (!range_is_good(a, PAGE_CEIL(b)) || (c & ~0x7ull & ~0x03000000ull)) {
        return a & (PAGE - 1) || (c & ~7ull) ? -EINVAL : -ENOMEM;
    }
    return b ? area_protect(here(), a, PAGE_CEIL(b), (uint32_t)c & 7) : 0;
}

CALL(brk)
{
    struct space *s = here();
    uint64_t old_end = PAGE_CEIL(s->brk), end = PAGE_CEIL(a);

    if (a < s->brk_start || a >= SPACE_TOP || !s->brk_start) {
        return (long)s->brk;
    }
    if (end > old_end) {
        if (!space_take_mapping((end - old_end) / PAGE)) {
            return space_outcome(-ENOMEM) == BLOCKED ? BLOCKED : (long)s->brk;
        }
        if (!limit_allows(end - old_end) || area_place(s, old_end, end - old_end) != old_end ||
            area_map(s, old_end, end - old_end, VM_READ | VM_WRITE, AREA_HEAP, NULL, NULL, 0)) {
            return (long)s->brk;
        }
    } else if (end < old_end && area_unmap(s, end, old_end - end)) {
        return (long)s->brk;
    }
    s->brk = a;
    return (long)a;
}

/** Moves a whole range of one area. */
static long move_range(struct area *v, uint64_t from, uint64_t old_length, uint64_t to,
                       uint64_t length)
{
    struct space *s = here();
    struct area copy = *v;
    uint64_t moved = old_length < length ? old_length : length;
    int error;

    /* What moves is held by its old area until it is at its new place. */
    error = area_map(s, to, length, copy.prot, copy.flags, copy.file, copy.memory,
                     copy.offset + (from - copy.start));
    if (!error) {
        error = pages_move(s, from, to, moved);
    }
    if (!error) {
        error = area_unmap(s, from, old_length);
    }
    return error ? error : (long)to;
}

CALL(mremap)
{
    struct space *s = here();
    uint64_t old_length = PAGE_CEIL(b), length = PAGE_CEIL(c), to = e;
    struct area *v = range_is_good(a, old_length) ? area_find(s, a) : NULL;

    if ((a & (PAGE - 1)) || !length || length > SPACE_TOP || (d & ~3ull) || !old_length ||
        ((d & MREMAP_FIXED) && !(d & MREMAP_MAYMOVE))) {
        return -EINVAL;
    }
    if (!v || a + old_length > v->end) {
        return -EFAULT;
    }
    if (d & MREMAP_FIXED) {
        if (!range_is_good(to, length) || to < SPACE_LOW ||
            (to < a + old_length && a < to + length)) {
            return -EINVAL;
        }
        return move_range(v, a, old_length, to, length);
    }
    if (length <= old_length) {
        return length < old_length && area_unmap(s, a + length, old_length - length) ? -ENOMEM
                                                                                     : (long)a;
    }
    if (!limit_allows(length - old_length) ||
        (!v->file && !space_take_mapping((length - old_length) / PAGE))) {
        return -ENOMEM;
    }
    if (a + old_length == v->end && !v->memory &&
        area_place(s, v->end, length - old_length) == v->end) {
        return area_map(s, v->end, length - old_length, v->prot, v->flags, v->file, NULL,
                        v->offset + (v->end - v->start))
                   ? -ENOMEM
                   : (long)a;
    }
    if (!(d & MREMAP_MAYMOVE)) {
        return -ENOMEM;
    }
    to = area_place(s, 0, length);
    return to ? move_range(v, a, old_length, to, length) : -ENOMEM;
}

/** Private pages of [start, end) become as they were at first: zeros, or the file's. */
static int forget_pages(struct space *s, uint64_t start, uint64_t end)
{
    for (uint64_t at = start; at < end;) {
        struct area *v = area_find(s, at);

        if (!v) {
            return -ENOMEM;
        }
        if (!(v->flags & AREA_SHARED)) {
            pages_remove(s, at, end < v->end ? end : v->end);
        }
        at = v->end;
    }
    return 0;
}

CALL(madvise)
{
    uint64_t length = PAGE_CEIL(b);

    if (!range_is_good(a, length)) {
        return -EINVAL;
    }
    switch (c) {
    case MADV_DONTNEED:
    case MADV_FREE:
        return forget_pages(here(), a, a + length);
    case MADV_NORMAL:
    case MADV_RANDOM:
    case MADV_SEQUENTIAL:
    case MADV_WILLNEED:
    case MADV_HUGEPAGE:
    case MADV_NOHUGEPAGE:
    case MADV_DONTDUMP:
    case MADV_DODUMP:
    case MADV_COLD:
    case MADV_PAGEOUT:
        return 0;
    default:
        return -EINVAL;
    }
}

CALL(msync)
{
    return a & (PAGE - 1) ? -EINVAL : 0; /* a shared page of a file is the file's page */
}

CALL(mincore)
{
    uint64_t length = PAGE_CEIL(b);

    if (!range_is_good(a, length)) {
        return -EINVAL;
    }
    for (uint64_t at = 0; at < length; at += PAGE) {
        uint64_t *entry = pages_entry(here(), a + at);
        uint8_t there = entry && *entry;

        if (!area_find(here(), a + at)) {
            return -ENOMEM;
        }
        if (user_write(c + at / PAGE, &there, 1)) {
            return -EFAULT;
        }
    }
    return 0;
}

CALL(mlock)
{
    return 0; /* memory of a district is durable and may be fetched again at any time: nothing to
                 pin */
}
