/*
 * Transfers between open files and the caller (io.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "unix.h"
#include "io.h"

#ifdef BW_NATIVE
#include <bailiwick/runtime.h>
#endif

#define ZEROS 4096u

static const uint8_t zeros[ZEROS];

void io_init_memory(struct io *io, void *memory, size_t n)
{
    *io = (struct io){.memory = memory, .left = n};
}

void io_init_user(struct io *io, struct io_part *part, uint64_t address, size_t n)
{
    if (n > IO_TRANSFER_MAX) {
        n = IO_TRANSFER_MAX;
    }
    *part = (struct io_part){address, n};
    *io = (struct io){.part = part, .parts = 1, .left = n};
}

void io_init_parts(struct io *io, const struct io_part *part, unsigned parts, size_t n)
{
    *io = (struct io){.part = part, .parts = parts, .left = n};
}

long io_read_parts(struct io *io, struct io_part **part, uint64_t address, uint64_t count)
{
    uint64_t total = 0;

    if (count > IO_PARTS_MAX) {
        return -EINVAL;
    }
    *part = malloc(count * sizeof(**part) + 1);
    if (*part == NULL) {
        return -ENOMEM;
    }
    if (user_read(*part, address, count * sizeof(**part)) != 0) {
        free(*part);
        return -EFAULT;
    }
    for (uint64_t i = 0; i < count; i++) {
        if ((*part)[i].length > INT64_MAX) {
            free(*part);
            return -EINVAL;
        }
        if ((*part)[i].length > IO_TRANSFER_MAX - total) {
            (*part)[i].length = IO_TRANSFER_MAX - total;
        }
        total += (*part)[i].length;
    }
    io_init_parts(io, *part, (unsigned)count, total);
    return 0;
}

void io_skip(struct io *io, size_t n)
{
    if (n > io->left) {
        n = io->left;
    }
    io->left -= n;
    io->done += n;
    if (io->part == NULL) {
        io->memory = io->memory != NULL ? io->memory + n : NULL;
        return;
    }
    io->into += n;
    while (io->parts > 1 && io->into >= io->part->length) {
        io->into -= io->part->length;
        io->part++;
        io->parts--;
    }
}

/** The caller's next address and how much of n is contiguous there; passes empty ranges. */
static size_t contiguous(struct io *io, size_t n, uint64_t *address)
{
    io_skip(io, 0);
    if (n > io->left) {
        n = io->left;
    }
    if (n > io->part->length - io->into) {
        n = (size_t)(io->part->length - io->into);
    }
    *address = io->part->address + io->into;
    return n;
}

long io_give(struct io *io, const void *from, size_t n)
{
    size_t done = 0;

    if (n > io->left) {
        n = io->left;
    }
    if (io->part == NULL) {
        memcpy(io->memory, from, n);
        io_skip(io, n);
        return (long)n;
    }
    while (done < n) {
        uint64_t address;
        size_t now = contiguous(io, n - done, &address);

        if (user_write(address, (const uint8_t *)from + done, now) != 0) {
            return done > 0 ? (long)done : -EFAULT;
        }
        io_skip(io, now);
        done += now;
    }
    return (long)done;
}

long io_take(struct io *io, void *to, size_t n)
{
    size_t done = 0;

    if (n > io->left) {
        n = io->left;
    }
    if (io->part == NULL) {
        memcpy(to, io->memory, n);
        io_skip(io, n);
        return (long)n;
    }
    while (done < n) {
        uint64_t address;
        size_t now = contiguous(io, n - done, &address);

        if (user_read((uint8_t *)to + done, address, now) != 0) {
            return done > 0 ? (long)done : -EFAULT;
        }
        io_skip(io, now);
        done += now;
    }
    return (long)done;
}

long io_give_zeros(struct io *io, size_t n)
{
    size_t done = 0;

    if (n > io->left) {
        n = io->left;
    }
    while (done < n) {
        long r = io_give(io, zeros, n - done < ZEROS ? n - done : ZEROS);

        if (r <= 0) {
            return done > 0 ? (long)done : r;
        }
        done += (size_t)r;
    }
    return (long)done;
}

#ifdef BW_NATIVE

static long memory_from_segment(struct io *io, uint16_t segment, uint64_t offset, size_t n)
{
    struct message m = {.code = SEGMENT_READ, .buffer = io->memory};

    n = n > BW_STRING_MAX ? BW_STRING_MAX : n;
    m.word[0] = offset;
    m.word[1] = n;
    m.size = n;
    if (bw_call(segment, &m) != BW_OK) {
        return -EIO;
    }
    io_skip(io, m.length);
    return (long)m.length;
}

static long memory_to_segment(struct io *io, uint16_t segment, uint64_t offset, size_t n)
{
    struct message m = {.code = SEGMENT_WRITE, .string = io->memory};

    n = n > BW_STRING_MAX ? BW_STRING_MAX : n;
    m.word[0] = offset;
    m.length = n;
    if (bw_call(segment, &m) != BW_OK) {
        return -EIO;
    }
    io_skip(io, n);
    return (long)n;
}

long io_from_segment(struct io *io, uint16_t segment, uint64_t offset, size_t n)
{
    uint64_t address;
    long r;

    if (n == 0 || io->left == 0) {
        return 0;
    }
    if (io->part == NULL) {
        return memory_from_segment(io, segment, offset, n < io->left ? n : io->left);
    }
    n = contiguous(io, n, &address);
    r = user_from_segment(address, segment, offset, n);
    if (r > 0) {
        io_skip(io, (size_t)r);
    }
    return r;
}

long io_to_segment(struct io *io, uint16_t segment, uint64_t offset, size_t n)
{
    uint64_t address;
    long r;

    if (n == 0 || io->left == 0) {
        return 0;
    }
    if (io->part == NULL) {
        return memory_to_segment(io, segment, offset, n < io->left ? n : io->left);
    }
    n = contiguous(io, n, &address);
    r = user_to_segment(segment, offset, address, n);
    if (r > 0) {
        io_skip(io, (size_t)r);
    }
    return r;
}

#endif
