/*
 * One transfer: ranges of user memory of the calling process (iovec), or one range of the
 * personality's own memory. The kinds of open file take from it or give to it, and never see
 * addresses.
 */
#ifndef UNIX_IO_H
#define UNIX_IO_H

#include <stddef.h>
#include <stdint.h>

#define IO_PARTS_MAX    1024
#define IO_TRANSFER_MAX 0x7ffff000ul

struct io_part {
    uint64_t address;
    uint64_t length;
};

struct io {
    const struct io_part *part; /* user ranges; NULL: memory */
    unsigned parts;             /* from `part` on */
    uint64_t into;              /* bytes of part[0] that are done */
    uint8_t *memory;
    size_t left; /* bytes not yet done */
    size_t done; /* bytes done, those of earlier runs of a call included */
};

void io_init_memory(struct io *io, void *memory, size_t n);
/** One user range, kept in *part. */
void io_init_user(struct io *io, struct io_part *part, uint64_t address, size_t n);
void io_init_parts(struct io *io, const struct io_part *part, unsigned parts, size_t n);
/** Reads an iovec; *part is to be freed if 0 is returned. @return 0 or -errno */
long io_read_parts(struct io *io, struct io_part **part, uint64_t address, uint64_t count);
/** Passes over n bytes (done earlier). */
void io_skip(struct io *io, size_t n);
/** Copies n <= left bytes to the caller. @return bytes done, > 0, or -EFAULT */
long io_give(struct io *io, const void *from, size_t n);
/** Copies n <= left bytes from the caller. @return as io_give */
long io_take(struct io *io, void *to, size_t n);
/** Gives n zeros. */
long io_give_zeros(struct io *io, size_t n);
/** Segment to the caller, and from the caller to a segment; pages of the segment must be there. */
long io_from_segment(struct io *io, uint16_t segment, uint64_t offset, size_t n);
long io_to_segment(struct io *io, uint16_t segment, uint64_t offset, size_t n);

#endif
