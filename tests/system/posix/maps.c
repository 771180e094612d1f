/*
 * Files as memory, devices and /proc.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include "posix.h"

#define BOTH (PROT_READ | PROT_WRITE)

static char *shared, *private;

static int change_both(void *unused)
{
    (void)unused;
    shared[0] = 'c';
    private[1] = 'c';
    return 0;
}

/** Touches a mapping behind the end of its file. */
static int touch_lost_page(void *unused)
{
    int fd = file_with("lost", "");
    volatile char *map;

    (void)unused;
    if (ftruncate(fd, 8192) != 0) {
        return 1;
    }
    map = mmap(NULL, 8192, BOTH, MAP_SHARED, fd, 0);
    map[5000] = 1;
    if (ftruncate(fd, 100) != 0) {
        return 1;
    }
    map[50] = 1;
    map[5000] = 1;
    return 0;
}

void check_maps(void)
{
    int fd = file_with("map", ""), status;

    YES(ftruncate(fd, 10000) == 0);
    shared = mmap(NULL, 10000, BOTH, MAP_SHARED, fd, 0);
    private = mmap(NULL, 10000, BOTH, MAP_PRIVATE, fd, 0);
    YES(shared != MAP_FAILED && private != MAP_FAILED);
    strcpy(shared + 5000, "shared");
    YES(pread(fd, buffer, 6, 5000) == 6 && memcmp(buffer, "shared", 6) == 0);
    YES(pwrite(fd, "SHARED", 6, 5000) == 6 && memcmp(shared + 5000, "SHARED", 6) == 0);
    YES(memcmp(private + 5000, "SHARED", 6) == 0);
    private[5000] = 'x';
    YES(shared[5000] == 'S');
    YES(ended(child(change_both, NULL)) == 0 && shared[0] == 'c' && private[1] == 0);
    YES(unlink("map") == 0 && close(fd) == 0);
    shared[9000] = 'l'; /* it lives on without a name */
    YES(shared[9000] == 'l' && memcmp(shared + 5000, "SHARED", 6) == 0);
    munmap(shared, 10000);
    munmap(private, 10000);
    status = ended(child(touch_lost_page, NULL));
    YES(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

static void check_memory_devices(void)
{
    struct stat st;
    int fd = open("/dev/null", O_RDWR);

    YES(write(fd, "x", 1) == 1 && read(fd, buffer, 1) == 0);
    close(fd);
    fd = open("/dev/zero", O_RDONLY);
    buffer[4999] = 1;
    YES(read(fd, buffer, 5000) == 5000 && buffer[4999] == 0);
    close(fd);
    fd = open("/dev/urandom", O_RDONLY);
    YES(read(fd, buffer, 5000) == 5000);
    close(fd);
    fd = open("/dev/full", O_WRONLY);
    ERROR(write(fd, "x", 1), ENOSPC);
    close(fd);
    YES(stat("/dev/tty", &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0x500);
    ERROR(unlink("/dev/null"), EPERM);
    ERROR(rmdir("/dev"), EBUSY);
}

static void check_proc(void)
{
    char link[64];
    struct stat st;
    int fd = file_with("f", "text"), ends[2];

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    YES(stat(link, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 4);
    YES(readlink(link, buffer, 100) == 12 && memcmp(buffer, "/tmp/posix/f", 12) == 0);
    close(fd);
    YES(pipe(ends) == 0);
    snprintf(link, sizeof(link), "/proc/self/fd/%d", ends[0]);
    YES(stat(link, &st) == 0 && S_ISFIFO(st.st_mode));
    YES(readlink(link, buffer, 100) > 6 && memcmp(buffer, "pipe:[", 6) == 0);
    close(ends[0]);
    close(ends[1]);
    fd = open("/proc/self/cmdline", O_RDONLY);
    YES(read(fd, buffer, 1000) > 5);
    close(fd);
    YES(readlink("/proc/self/exe", buffer, 1000) > 0);
    YES(readlink("/proc/self/cwd", buffer, 1000) == 10 && memcmp(buffer, "/tmp/posix", 10) == 0);
    ERROR(open("/proc/nothing", O_RDONLY), ENOENT);
    ERROR(open("/proc/nothing", O_CREAT | O_WRONLY, 0600), EACCES);
    ERROR(open("/proc/self/exe", O_WRONLY), ETXTBSY);
    ERROR(rmdir("/proc"), EBUSY);
}

static void check_sendfile(void)
{
    int in = open("/bin/busybox", O_RDONLY), out = creat("copy", 0700);
    struct stat st;
    off_t left;

    YES(fstat(in, &st) == 0);
    for (left = st.st_size; left > 0;) {
        ssize_t n = sendfile(out, in, NULL, (size_t)left);

        if (n <= 0) {
            break;
        }
        left -= n;
    }
    YES(left == 0 && close(in) == 0 && close(out) == 0);
    YES(system("cmp /bin/busybox copy") == 0);
}

void check_devices(void)
{
    check_memory_devices();
    check_proc();
    check_sendfile();
}
