/*
 * Data of files, names and folders, descriptors.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "posix.h"

static char *volatile nowhere = (char *)1; /* no address of anything */

static void check_sparse(void)
{
    const off_t far = (off_t)10 << 30;
    struct stat st;
    int fd = file_with("sparse", "");

    YES(pwrite(fd, "x", 1, far) == 1 && fstat(fd, &st) == 0 && st.st_size == far + 1);
    YES(st.st_blocks <= 16);
    YES(pread(fd, buffer, 5, far - 4) == 5 && buffer[4] == 'x' && buffer[0] == 0);
    ERROR(pwrite(fd, "x", 1, (off_t)1 << 45), EFBIG);
    ERROR(ftruncate(fd, (off_t)1 << 45), EFBIG);
    YES(ftruncate(fd, 0) == 0 && fstat(fd, &st) == 0 && st.st_blocks == 0);
    close(fd);
}

static void check_vectors(void)
{
    char a[2], b[8];
    struct iovec out[] = {{"ab", 2}, {"", 0}, {"cde", 3}}, in[] = {{a, 2}, {b, 8}};
    int fd = file_with("vector", "");

    YES(writev(fd, out, 3) == 5 && lseek(fd, 0, SEEK_SET) == 0);
    YES(readv(fd, in, 2) == 5 && memcmp(a, "ab", 2) == 0 && memcmp(b, "cde", 3) == 0);
    close(fd);
}

/** A buffer that ends in the middle of a transfer. */
static void check_faults(void)
{
    char *edge = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = file_with("fault", "");

    munmap(edge + 4096, 4096);
    memset(edge, 'e', 4096);
    YES(write(fd, edge, 8192) == 4096);
    YES(pread(fd, edge + 4000, 4096, 0) == 96);
    ERROR(write(fd, nowhere, 5), EFAULT);
    ERROR(pread(fd, nowhere, 5, 0), EFAULT);
    munmap(edge, 4096);
    close(fd);
}

void check_data(void)
{
    struct stat st;
    int fd = file_with("x", "0123456789"), append;

    YES(lseek(fd, 0, SEEK_CUR) == 10);
    YES(pread(fd, buffer, 4, 3) == 4 && memcmp(buffer, "3456", 4) == 0);
    YES(pwrite(fd, "AB", 2, 20) == 2 && fstat(fd, &st) == 0 && st.st_size == 22);
    YES(pread(fd, buffer, 100, 10) == 12 && buffer[0] == 0 && buffer[9] == 0 && buffer[10] == 'A');
    YES(lseek(fd, -2, SEEK_END) == 20);
    ERROR(lseek(fd, -100, SEEK_CUR), EINVAL);
    YES(ftruncate(fd, 5) == 0 && pread(fd, buffer, 10, 0) == 5);
    YES(ftruncate(fd, 8192) == 0 && pread(fd, buffer, 10000, 0) == 8192);
    YES(buffer[4] == '4' && buffer[5] == 0 && buffer[8191] == 0);
    append = open("x", O_WRONLY | O_APPEND);
    YES(write(append, "end", 3) == 3 && fstat(append, &st) == 0 && st.st_size == 8195);
    ERROR(read(append, buffer, 1), EBADF);
    YES(unlink("x") == 0 && fstat(fd, &st) == 0 && st.st_nlink == 0);
    YES(write(append, "more", 4) == 4 && pread(fd, buffer, 7, 8192) == 7);
    YES(memcmp(buffer, "endmore", 7) == 0);
    close(fd);
    close(append);
    check_sparse();
    check_vectors();
    check_faults();
}

/* --- names --- */

static void check_links(void)
{
    struct stat a, b;

    close(file_with("file", "text"));
    YES(link("file", "other") == 0 && stat("file", &a) == 0 && stat("other", &b) == 0);
    YES(a.st_ino == b.st_ino && b.st_nlink == 2);
    ERROR(link("file", "other"), EEXIST);
    YES(unlink("file") == 0 && stat("other", &b) == 0 && b.st_nlink == 1);
    YES(mkdir("d", 0777) == 0 && mkdir("d/e/", 0777) == 0);
    YES(symlink("d/e", "s") == 0 && lstat("s", &a) == 0 && S_ISLNK(a.st_mode) && a.st_size == 3);
    YES(readlink("s", buffer, 100) == 3 && memcmp(buffer, "d/e", 3) == 0);
    ERROR(readlink("d", buffer, 100), EINVAL);
    YES(stat("s", &a) == 0 && S_ISDIR(a.st_mode));
    ERROR(open("s", O_RDONLY | O_NOFOLLOW), ELOOP);
    YES(symlink("loop", "loop") == 0);
    ERROR(stat("loop", &a), ELOOP);
    YES(close(open("s/file", O_CREAT | O_WRONLY, 0600)) == 0 && stat("d/e/file", &a) == 0);
    YES((a.st_mode & 0777) == 0600);
}

static void check_directories(void)
{
    struct stat st;

    YES(stat("d", &st) == 0 && st.st_nlink == 3 && (st.st_mode & 0777) == 0755);
    ERROR(mkdir("d", 0777), EEXIST);
    ERROR(mkdir("none/d", 0777), ENOENT);
    ERROR(open("d", O_RDWR), EISDIR);
    ERROR(unlink("d"), EISDIR);
    ERROR(rmdir("d/."), EINVAL);
    ERROR(rmdir("d"), ENOTEMPTY);
    ERROR(rename("d", "d/e/f"), EINVAL);
    ERROR(open("d/e/file/x", O_RDONLY), ENOTDIR);
    ERROR(open("d/e/file/", O_RDONLY), ENOTDIR);
    ERROR(open("new/", O_CREAT | O_WRONLY, 0600), EISDIR);
    YES(rename("d/e/file", "moved") == 0);
    ERROR(stat("d/e/file", &st), ENOENT);
    YES(rename("d/e", "e2") == 0 && stat("d", &st) == 0 && st.st_nlink == 2);
    YES(chdir("e2") == 0 && getcwd(buffer, 100) && strcmp(buffer, "/tmp/posix/e2") == 0);
    YES(rmdir("../e2") == 0);
    ERROR(open("z", O_CREAT | O_WRONLY, 0600), ENOENT);
    YES(getcwd(buffer, 100) == NULL && errno == ENOENT);
    YES(chdir("/tmp/posix") == 0);
}

/** Removes 500 files while they are being listed. */
static void check_listing(void)
{
    struct dirent *e;
    int seen = 0;
    char name[300];
    DIR *d;

    mkdir("many", 0755);
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "many/file%d", i);
        YES(close(open(name, O_CREAT | O_WRONLY, 0600)) == 0);
    }
    d = opendir("many");
    while ((e = readdir(d)) != NULL) {
        if (e->d_name[0] != '.') {
            YES(e->d_type == DT_REG && unlinkat(dirfd(d), e->d_name, 0) == 0);
            seen++;
        }
    }
    closedir(d);
    YES(seen == 500 && rmdir("many") == 0);
    memset(name, 'a', 256);
    name[256] = '\0';
    ERROR(open(name, O_CREAT, 0600), ENAMETOOLONG);
    name[255] = '\0';
    YES(close(creat(name, 0600)) == 0 && unlink(name) == 0);
}

static void check_attributes(void)
{
    struct timespec t[2] = {{1000, 5}, {2000, 7}};
    struct stat st;

    YES(access("moved", R_OK | W_OK) == 0);
    ERROR(access("moved", X_OK), EACCES);
    YES(chmod("moved", 0755) == 0 && access("moved", X_OK) == 0);
    YES(utimensat(AT_FDCWD, "moved", t, 0) == 0 && stat("moved", &st) == 0);
    YES(st.st_atim.tv_sec == 1000 && st.st_mtim.tv_nsec == 7);
    t[0].tv_nsec = UTIME_OMIT;
    t[1].tv_nsec = UTIME_NOW;
    YES(utimensat(AT_FDCWD, "moved", t, 0) == 0 && stat("moved", &st) == 0);
    YES(st.st_atim.tv_sec == 1000 && st.st_mtim.tv_sec > 2000);
    YES(chown("moved", 3, 4) == 0 && stat("moved", &st) == 0 && st.st_uid == 3 && st.st_gid == 4);
    YES(umask(077) == 022 && close(creat("masked", 0666)) == 0 && stat("masked", &st) == 0);
    YES((st.st_mode & 0777) == 0600 && umask(022) == 077);
}

void check_names(void)
{
    struct stat st, here;
    struct statfs fs;
    int fd, folder;

    ERROR(open("x", O_RDONLY), ENOENT);
    YES(close(open("x", O_CREAT | O_EXCL | O_RDWR, 0666)) == 0);
    ERROR(open("x", O_CREAT | O_EXCL | O_RDWR, 0666), EEXIST);
    check_links();
    check_directories();
    check_listing();
    check_attributes();
    fd = file_with("old", "old");
    close(file_with("new", "new!"));
    YES(rename("new", "old") == 0 && stat("old", &st) == 0 && st.st_size == 4);
    YES(pread(fd, buffer, 9, 0) == 3); /* the one that lost its name */
    close(fd);
    folder = open("/tmp", O_RDONLY | O_DIRECTORY);
    YES(fstatat(folder, "posix/old", &st, 0) == 0 && S_ISREG(st.st_mode));
    YES(fstatat(folder, "", &here, AT_EMPTY_PATH) == 0 && S_ISDIR(here.st_mode));
    YES(fchdir(folder) == 0 && chdir("posix") == 0);
    close(folder);
    YES(statfs("/", &fs) == 0 && fs.f_bsize == 4096 && fs.f_bfree > 0);
    ERROR(open(nowhere, O_RDONLY), EFAULT);
}

void check_descriptors(void)
{
    struct stat st;
    int fd = file_with("f", "abcdef"), copy;

    YES((copy = dup(fd)) > fd && lseek(fd, 3, SEEK_SET) == 3 && lseek(copy, 0, SEEK_CUR) == 3);
    YES(fcntl(fd, F_DUPFD, 100) == 100 && fcntl(100, F_GETFD) == 0);
    YES(fcntl(100, F_SETFD, FD_CLOEXEC) == 0 && fcntl(100, F_GETFD) == FD_CLOEXEC);
    YES(dup2(fd, 200) == 200 && dup2(200, 200) == 200);
    ERROR(dup2(77, 200), EBADF);
    ERROR(dup3(fd, fd, 0), EINVAL);
    YES((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
    YES(fcntl(fd, F_SETFL, O_APPEND) == 0 && (fcntl(copy, F_GETFL) & O_APPEND) != 0);
    YES(syscall(SYS_close_range, 100, 200, 0) == 0);
    ERROR(fcntl(100, F_GETFD), EBADF);
    ERROR(fstat(200, &st), EBADF);
    close(copy);
    YES(close(fd) == 0);
    ERROR(close(fd), EBADF);
    ERROR(write(open("f", O_RDONLY), "x", 1), EBADF);
    for (fd = 0; fd >= 0 && fd < 5000;) {
        fd = dup(0);
    }
    fd = errno;
    YES(fd == EMFILE && syscall(SYS_close_range, 3, ~0u, 0) == 0);
}
