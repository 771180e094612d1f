/*
 * System calls on open files: reading, writing, descriptors.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "files.h"
#include "sys_file.h"

#define SEND_CHUNK 65536u
#define SETTABLE   (O_APPEND | O_NONBLOCK | O_NOATIME | O_DIRECT | O_ASYNC)

struct files *own_files(void)
{
    return process_files(thread_process(current));
}

static long transfer_at(uint64_t fd, struct io *io, uint64_t *offset, bool write)
{
    struct file *f = file_of(fd);

    if (f == NULL) {
        return -EBADF;
    }
    if (offset != NULL) {
        if (!f->kind->seekable) {
            return -ESPIPE;
        }
        if ((int64_t)*offset < 0) {
            return -EINVAL;
        }
        *offset += *thread_progress(current);
    }
    return file_transfer(f, io, offset, write);
}

static long transfer(uint64_t fd, uint64_t address, uint64_t n, uint64_t *offset, bool write)
{
    struct io_part part;
    struct io io;

    io_init_user(&io, &part, address, n);
    return transfer_at(fd, &io, offset, write);
}

static long transfer_parts(uint64_t fd, uint64_t address, uint64_t n, uint64_t *offset, bool write)
{
    struct io_part *part;
    struct io io;
    long r = io_read_parts(&io, &part, address, n);

    if (r == 0) {
        r = transfer_at(fd, &io, offset, write);
        free(part);
    }
    return r;
}

CALL(read)
{
    UNUSED3;
    return transfer(a, b, c, NULL, false);
}

CALL(write)
{
    UNUSED3;
    return transfer(a, b, c, NULL, true);
}

CALL(pread64)
{
    UNUSED2;
    return transfer(a, b, c, &d, false);
}

CALL(pwrite64)
{
    UNUSED2;
    return transfer(a, b, c, &d, true);
}

CALL(readv)
{
    UNUSED3;
    return transfer_parts(a, b, c, NULL, false);
}

CALL(writev)
{
    UNUSED3;
    return transfer_parts(a, b, c, NULL, true);
}

CALL(preadv)
{
    UNUSED2;
    return transfer_parts(a, b, c, &d, false);
}

CALL(pwritev)
{
    UNUSED2;
    return transfer_parts(a, b, c, &d, true);
}

/* --- positions --- */

/** Next data or hole of a file, by whole pages. */
static long seek_data(struct file *f, uint64_t offset, bool hole)
{
    uint64_t size = file_size(f);

    if (f->kind != &file_regular || (int64_t)offset < 0 || offset >= size) {
        return f->kind != &file_regular ? -EINVAL : -ENXIO;
    }
    return hole ? (long)size : (long)offset; /* as a file system without knowledge of holes */
}

CALL(lseek)
{
    struct file *file = file_of(a);
    int64_t base, offset = (int64_t)b, sum;
    struct stat st;

    UNUSED3;
    if (file == NULL) {
        return -EBADF;
    }
    if (!file->kind->seekable) {
        return -ESPIPE;
    }
    switch (c) {
    case SEEK_SET:
        base = 0;
        break;
    case SEEK_CUR:
        base = (int64_t)file->offset;
        break;
    case SEEK_END:
        base = file_stat(file, &st) == 0 ? st.st_size : 0;
        break;
    case SEEK_DATA:
    case SEEK_HOLE:
        sum = seek_data(file, b, c == SEEK_HOLE);
        if (sum >= 0) {
            file->offset = (uint64_t)sum;
        }
        return sum;
    default:
        return -EINVAL;
    }
    if (__builtin_add_overflow(base, offset, &sum) || sum < 0) {
        return -EINVAL;
    }
    file->offset = (uint64_t)sum;
    return sum;
}

/* --- copying in the personality --- */

/** One piece of sendfile: from `in` at *from to `out`. @return bytes or -errno */
static long send_piece(struct file *out, struct file *in, uint64_t *from, size_t n)
{
    static uint8_t buffer[SEND_CHUNK];
    struct io io;
    long got, put;
    uint64_t at = *from;

    io_init_memory(&io, buffer, n < SEND_CHUNK ? n : SEND_CHUNK);
    got = file_transfer(in, &io, &at, false);
    if (got <= 0) {
        return got;
    }
    io_init_memory(&io, buffer, (size_t)got);
    put = file_transfer(out, &io, NULL, true);
    if (io.done > 0) {
        put = (long)io.done;
    }
    if (put > 0) {
        *from += (uint64_t)put;
    }
    return put;
}

CALL(sendfile)
{
    struct file *out = file_of(a), *in = file_of(b);
    uint64_t from, *progress = thread_progress(current);
    long r = 0;

    UNUSED2;
    if (out == NULL || in == NULL || !file_reads(in) || !file_writes(out)) {
        return -EBADF;
    }
    if (in->kind != &file_regular) {
        return -EINVAL;
    }
    from = in->offset;
    if (c != 0 && user_read(&from, c, sizeof(from)) != 0) {
        return -EFAULT;
    }
    while (*progress < d && *progress < IO_TRANSFER_MAX) {
        r = send_piece(out, in, &from, (size_t)(d - *progress));
        if (r <= 0) {
            break;
        }
        *progress += (uint64_t)r;
        if (c == 0) {
            in->offset = from;
        } else if (user_write(c, &from, sizeof(from)) != 0) {
            return -EFAULT;
        }
    }
    if (r == -EPIPE && *progress == 0) {
        signal_process(thread_process(current), 13);
    }
    return r == BLOCKED || *progress == 0 ? r : (long)*progress;
}

CALL(fadvise64)
{
    UNUSED6;
    return file_of(a) != NULL ? 0 : -EBADF;
}

CALL(readahead)
{
    UNUSED6;
    return file_of(a) != NULL ? 0 : -EBADF;
}

/* --- descriptors --- */

CALL(close)
{
    UNUSED5;
    return files_close(own_files(), (int)a);
}

CALL(close_range)
{
    struct files *t = own_files();
    int last = b > (uint64_t)files_highest(t) ? files_highest(t) : (int)b;

    UNUSED3;
    if (a > b || (c & ~6ul) != 0) {
        return -EINVAL;
    }
    for (int fd = a > INT_MAX ? INT_MAX : (int)a; fd <= last; fd++) {
        if (c & 4) { /* CLOSE_RANGE_CLOEXEC */
            files_set_close_on_exec(t, fd, true);
        } else {
            files_close(t, fd);
        }
    }
    return 0;
}

static long duplicate(uint64_t fd, uint64_t least, bool close_on_exec)
{
    struct file *f = file_of(fd);

    if (f == NULL) {
        return -EBADF;
    }
    if (least >= FILES_MAX) {
        return -EINVAL;
    }
    file_hold(f);
    return files_install(own_files(), f, (int)least, close_on_exec);
}

CALL(dup)
{
    UNUSED5;
    return duplicate(a, 0, false);
}

CALL(dup2)
{
    UNUSED4;
    if (a == b) {
        return file_of(a) != NULL ? (long)a : -EBADF;
    }
    return files_duplicate_to(own_files(), (int)a, (int)b, false);
}

CALL(dup3)
{
    UNUSED3;
    if (a == b || (c & ~(uint64_t)O_CLOEXEC)) {
        return -EINVAL;
    }
    return files_duplicate_to(own_files(), (int)a, (int)b, (c & O_CLOEXEC) != 0);
}

static long set_flags(struct file *f, uint64_t flags)
{
    f->flags = (f->flags & ~(uint32_t)SETTABLE) | ((uint32_t)flags & SETTABLE);
    return 0;
}

CALL(fcntl)
{
    struct file *file = file_of(a);

    UNUSED3;
    if (file == NULL) {
        return -EBADF;
    }
    switch (b) {
    case F_DUPFD:
        return duplicate(a, c, false);
    case F_DUPFD_CLOEXEC:
        return duplicate(a, c, true);
    case F_GETFD:
        return files_close_on_exec(own_files(), (int)a) ? FD_CLOEXEC : 0;
    case F_SETFD:
        files_set_close_on_exec(own_files(), (int)a, (c & FD_CLOEXEC) != 0);
        return 0;
    case F_GETFL:
        return (long)file->flags;
    case F_SETFL:
        return set_flags(file, c);
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
        return locks_fcntl(file, (int)b, c);
    case F_GETPIPE_SZ:
        return file->kind == &file_pipe || file->kind == &file_fifo ? 65536 : -EBADF;
    case F_SETPIPE_SZ:
        return file->kind == &file_pipe || file->kind == &file_fifo ? (c <= 65536 ? 65536 : -EPERM)
                                                                    : -EBADF;
    case F_SETOWN:
        return 0;
    case F_GETOWN:
        return 0;
    default:
        return -EINVAL;
    }
}

CALL(ioctl)
{
    struct file *file = file_of(a);
    int on;

    UNUSED3;
    if (file == NULL) {
        return -EBADF;
    }
    switch ((uint32_t)b) {
    case FIOCLEX:
    case FIONCLEX:
        files_set_close_on_exec(own_files(), (int)a, (uint32_t)b == FIOCLEX);
        return 0;
    case FIONBIO:
        if (user_read(&on, c, sizeof(on)) != 0) {
            return -EFAULT;
        }
        return set_flags(file,
                         on != 0 ? file->flags | O_NONBLOCK : file->flags & ~(uint32_t)O_NONBLOCK);
    default:
        return file->kind->ioctl != NULL ? file->kind->ioctl(file, (uint32_t)b, c) : -ENOTTY;
    }
}

/* --- pipes and eventfd --- */

static long make_pipe(uint64_t address, uint64_t flags)
{
    bool close_on_exec = (flags & O_CLOEXEC) != 0;
    struct file *end[2];
    int fd[2];
    long r;

    if (flags & ~(uint64_t)(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) {
        return -EINVAL;
    }
    r = pipe_pair((uint32_t)flags & O_NONBLOCK, &end[0], &end[1]);
    if (r != 0) {
        return r;
    }
    fd[0] = (int)files_install(own_files(), end[0], 0, close_on_exec);
    fd[1] = (int)files_install(own_files(), end[1], 0, close_on_exec);
    if (fd[0] >= 0 && fd[1] >= 0 && user_write(address, fd, sizeof(fd)) == 0) {
        return 0;
    }
    r = fd[0] < 0 ? fd[0] : fd[1] < 0 ? fd[1] : -EFAULT;
    files_close(own_files(), fd[0]);
    files_close(own_files(), fd[1]);
    return r;
}

CALL(pipe)
{
    UNUSED5;
    return make_pipe(a, 0);
}

CALL(pipe2)
{
    UNUSED4;
    return make_pipe(a, b);
}

static long make_event(uint64_t count, uint64_t flags)
{
    struct file *f;
    long r;

    if (flags & ~(uint64_t)(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)) {
        return -EINVAL;
    }
    r = event_new((uint32_t)count, (uint32_t)flags, &f);
    return r != 0 ? r : files_install(own_files(), f, 0, (flags & EFD_CLOEXEC) != 0);
}

CALL(eventfd)
{
    UNUSED5;
    return make_event(a, 0);
}

CALL(eventfd2)
{
    UNUSED4;
    return make_event(a, b);
}
