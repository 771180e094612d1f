/*
 * posix GROUP: runs one group of checks in a fresh folder below /tmp; the last line is "posix: N
 * failures". It removes devices and fills folders, so it refuses to run anywhere but in a district.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "posix.h"

int failures;
char buffer[1 << 20];

static const struct {
    const char *name;
    void (*check)(void);
} groups[] = {
    {"data", check_data},           {"names", check_names},     {"descriptors", check_descriptors},
    {"pipes", check_pipes},         {"waits", check_waits},     {"locks", check_locks},
    {"maps", check_maps},           {"devices", check_devices}, {"sockets", check_sockets},
    {"registers", check_registers},
};

pid_t child(int (*work)(void *), void *argument)
{
    pid_t pid = fork();

    if (pid == 0) {
        _exit(work(argument));
    }
    return pid;
}

int ended(pid_t pid)
{
    int status = -1;

    return waitpid(pid, &status, 0) == pid ? status : -1;
}

int file_with(const char *name, const char *text)
{
    int fd = open(name, O_CREAT | O_TRUNC | O_RDWR, 0644);

    YES(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    return fd;
}

static bool in_a_district(void)
{
    int fd = open("/proc/version", O_RDONLY);
    ssize_t n = read(fd, buffer, sizeof(buffer) - 1);

    close(fd);
    buffer[n > 0 ? n : 0] = '\0';
    return strstr(buffer, "Bailiwick") != NULL;
}

int main(int argc, char **argv)
{
    if (!in_a_district()) {
        fputs("posix: this is no district\n", stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (system("rm -rf /tmp/posix") != 0 || mkdir("/tmp/posix", 0755) != 0 ||
        chdir("/tmp/posix") != 0) {
        perror("/tmp/posix");
        return 2;
    }
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        if (argc < 2 || strcmp(argv[1], groups[i].name) == 0) {
            groups[i].check();
        }
    }
    YES(chdir("/") == 0 && system("rm -rf /tmp/posix") == 0);
    printf("posix: %d failures\n", failures);
    return failures != 0;
}
