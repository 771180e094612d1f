/*
 * Memory of the process whose call is being served (unix.h).
 */
#include <string.h>
#include "process.h"

static struct space *here(void)
{
    return current->process->space;
}

int user_read(void *to, uint64_t from, size_t n)
{
    return space_read(here(), to, from, n) == n ? 0 : -EFAULT;
}

int user_write(uint64_t to, const void *from, size_t n)
{
    return space_write(here(), to, from, n) == n ? 0 : -EFAULT;
}

long user_read_string(char *to, uint64_t from, size_t size)
{
    size_t total = 0;

    while (total < size) {
        size_t step = PAGE - ((from + total) & (PAGE - 1));
        size_t want = step < size - total ? step : size - total;
        size_t got = space_read(here(), to + total, from + total, want);
        char *end = memchr(to + total, 0, got);

        if (end) {
            return end - to;
        }
        if (got < want) {
            return -EFAULT;
        }
        total += got;
    }
    return -ENAMETOOLONG;
}

/** One direction of a copy with a segment. A fault on the segment's side ends it. */
static long user_copy(uint16_t segment, uint64_t offset, uint64_t address, size_t n, bool to_user)
{
    struct space *s = here();
    size_t total = 0;

    while (total < n && address + total < SPACE_TOP) {
        size_t step = n - total < BW_STRING_MAX ? n - total : BW_STRING_MAX, done;
        uint16_t space = machine_key(&s->root);
        bool at_source;
        int64_t r =
            machine_copy(to_user ? space : segment, to_user ? address + total : offset + total,
                         to_user ? segment : space, to_user ? offset + total : address + total,
                         step, &at_source, &done);

        total += done;
        if (r != BW_OK && (r != BW_FAULT || at_source == to_user ||
                           space_fault(s, address + total, to_user ? VM_WRITE : VM_READ) != 0)) {
            break;
        }
    }
    return total || !n ? (long)total : -EFAULT;
}

long user_from_segment(uint64_t to, uint16_t segment, uint64_t offset, size_t n)
{
    return user_copy(segment, offset, to, n, true);
}

long user_to_segment(uint16_t segment, uint64_t offset, uint64_t from, size_t n)
{
    return user_copy(segment, offset, from, n, false);
}
