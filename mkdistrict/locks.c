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
 *
 * The kernel does not tell whose an OFD lock is; but the fdinfo of a descriptor lists the locks
 * that it has, so /proc knows, as far as one may look there.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
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

/* --- who it is -------------------------------------------------------------------------------- */

/** Reads a small file of /proc, ended by a zero byte. */
static void read_small(const char *path, char *to, size_t size)
{
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(to, 1, size - 1, f) : 0;

    to[n] = 0;
    if (f)
        fclose(f);
}

/** Has that process a lock on the file, through one of its descriptors? */
static bool has_lock(const char *pid, const struct stat *file)
{
    char folder[300], path[600], info[4096];
    bool found = false;
    struct dirent *e;
    struct stat s;
    DIR *d;

    snprintf(folder, sizeof(folder), "/proc/%s/fd", pid);
    d = opendir(folder);
    while (d && !found && (e = readdir(d))) {
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        if (stat(path, &s) || s.st_dev != file->st_dev || s.st_ino != file->st_ino)
            continue;
        snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid, e->d_name);
        read_small(path, info, sizeof(info));
        found = strstr(info, "\nlock:") != NULL;
    }
    if (d)
        closedir(d);
    return found;
}

static const char *describe(const char *pid)
{
    static char text[160];
    char path[300], command[256], *name;

    snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
    read_small(path, command, sizeof(command));
    name = strrchr(command, '/');
    snprintf(text, sizeof(text), "%.80s, process %.20s", name ? name + 1 : command, pid);
    return text;
}

static const char *holder(int fd)
{
    const char *who = "a program that cannot be seen from here";
    struct dirent *e;
    struct stat file;
    char own[32];
    DIR *d;

    snprintf(own, sizeof(own), "%d", (int)getpid());
    if (fstat(fd, &file) || !(d = opendir("/proc")))
        return who;
    while ((e = readdir(d))) {
        if (isdigit((unsigned char)e->d_name[0]) && strcmp(e->d_name, own) != 0 &&
            has_lock(e->d_name, &file)) {
            who = describe(e->d_name);
            break;
        }
    }
    closedir(d);
    return who;
}

const char *lock_image(int fd, bool write)
{
    unsigned uses = write ? READS | WRITES | RESIZES : READS;
    unsigned refuses = write ? READS | WRITES | RESIZES : WRITES | RESIZES;

    for (unsigned i = 0; i < 4; i++) {
        if ((uses >> i & 1 && !take(fd, USES + (off_t)i)) ||
            (refuses >> i & 1 && !take(fd, REFUSES + (off_t)i)))
            return holder(fd);
    }
    for (unsigned i = 0; i < 4; i++) {
        if ((uses >> i & 1 && held_by_another(fd, REFUSES + (off_t)i)) ||
            (refuses >> i & 1 && held_by_another(fd, USES + (off_t)i)))
            return holder(fd);
    }
    return NULL;
}
