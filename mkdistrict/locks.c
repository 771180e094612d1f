/*
 * Locks that fit QEMU's image locks, so that an emulator and a host tool, or two host tools, keep
 * out of each other's way. QEMU (block/file-posix.c) takes read locks (OFD) on single bytes of the
 * image:
 *
 *   byte 100 + i   I use permission i
 *   byte 200 + i   nobody else may use permission i
 *
 * with i = 0 consistent read, 1 write, 2 write unchanged, 3 resize. Whoever wants permission i
 * looks whether another holds byte 200 + i, and whoever will not share it, whether another holds
 * 100 + i. A holder that is killed loses its locks.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "mkdistrict.h"

#define USES    100
#define REFUSES 200
#define READS   1u
#define WRITES  2u
#define RESIZES 8u

static bool take(int fd, off_t byte)
{
    struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    return fcntl(fd, F_OFD_SETLK, &l) == 0;
}

static bool held_by_another(int fd, off_t byte)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    return fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

const char *lock_image(int fd, bool write)
{
    unsigned uses = write ? READS | WRITES | RESIZES : READS;
    unsigned refuses = write ? READS | WRITES | RESIZES : WRITES | RESIZES;

    for (unsigned i = 0; i < 4; i++) {
        if (uses >> i & 1 && !take(fd, USES + (off_t)i))
            return "another program has locked it";
        if (refuses >> i & 1 && !take(fd, REFUSES + (off_t)i))
            return "another program has locked it";
    }
    for (unsigned i = 0; i < 4; i++) {
        if (uses >> i & 1 && held_by_another(fd, REFUSES + (off_t)i))
            return "an emulator or another program has it open for writing";
        if (refuses >> i & 1 && held_by_another(fd, USES + (off_t)i))
            return "an emulator or another program has it open";
    }
    return NULL;
}
