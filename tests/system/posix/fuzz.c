/*
 * fuzz ROUNDS SEED: random system calls with random and half-sensible arguments, each round in a
 * process of its own, below /tmp/fuzz. Whatever they do, the district must live. Refuses to run
 * anywhere else.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS_A_ROUND 2500
#define AREA          65536
#define COUNT(a)      (sizeof(a) / sizeof((a)[0]))

static const short calls[] = {
    0,   1,   2,   3,   4,   5,   6,   7,   8,   9,   10,  11,  12,  16,  17,  18,  19,  20,
    21,  22,  23,  25,  28,  32,  33,  35,  40,  41,  42,  43,  44,  45,  46,  47,  48,  49,
    50,  51,  52,  53,  54,  55,  72,  73,  74,  75,  76,  77,  78,  79,  80,  81,  82,  83,
    84,  85,  86,  87,  88,  89,  90,  91,  92,  93,  94,  95,  96,  97,  98,  99,  132, 133,
    137, 138, 157, 162, 187, 202, 213, 217, 221, 228, 232, 233, 235, 257, 258, 259, 260, 261,
    262, 263, 264, 265, 266, 267, 268, 269, 270, 271, 280, 281, 284, 285, 288, 290, 291, 292,
    293, 295, 296, 302, 306, 316, 318, 332, 334, 435, 436, 439};
static const char *const names[] = {"a",
                                    "b",
                                    "c",
                                    "d",
                                    "d/a",
                                    "d/b",
                                    "d/e",
                                    "../fuzz/a",
                                    ".",
                                    "..",
                                    "/",
                                    "l",
                                    "l/a",
                                    "",
                                    "a/",
                                    "d/",
                                    "/proc",
                                    "/dev",
                                    "loop",
                                    "fifo",
                                    "/dev/null",
                                    "/dev/zero",
                                    "/dev/full",
                                    "/dev/tty2",
                                    "/proc/self/fd",
                                    "/proc/self/fd/0",
                                    "/proc/self/stat",
                                    "/proc/1/cmdline",
                                    "/proc/self/exe"};
static const int requests[] = {0x5401, 0x5413, 0x541b, 0x540f, 0x5421, 0x5451, 0x5429};
static const long edges[] = {-1,        -100,           INT32_MAX,       1l << 31, INT64_MAX,
                             INT64_MIN, 1l << 44,       (1l << 44) - 1,  4096,     65536,
                             0x400000,  0xfffffffff000, -0x800000000000, -256};

static uint64_t state;
static char *area;

static unsigned random_number(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 11);
}

static long random_name(void)
{
    char *at = area + random_number() % (AREA - 100);

    strcpy(at, names[random_number() % COUNT(names)]);
    return (long)at;
}

static long random_argument(void)
{
    switch (random_number() % 12) {
    case 0:
        return random_number() % 5;
    case 1:
        return (int)(random_number() % 40) - 5;
    case 2:
    case 3:
    case 4:
        return random_name();
    case 5:
    case 6:
        return (long)(area + random_number() % AREA);
    case 7:
        return (long)(area + AREA - random_number() % 50);
    case 8:
        return random_number() % 70000;
    case 9:
        return edges[random_number() % COUNT(edges)];
    case 10:
        return O_CREAT | O_RDWR | (random_number() % 2 ? O_NONBLOCK : 0);
    default:
        return random_number();
    }
}

/** Calls that would end the round, or write to the terminal, are left out. */
static int harmless(int call, const long *argument)
{
    int fd = (int)argument[0];
    int writes = call == SYS_write || call == SYS_writev || call == SYS_pwrite64 ||
                 call == SYS_sendfile || call == SYS_pwritev;

    return !((writes || call == SYS_close) && fd >= 0 && fd < 3) &&
           !(call == SYS_close_range && argument[0] < 3) &&
           !((call == SYS_dup2 || call == SYS_dup3) && (unsigned long)argument[1] < 3);
}

static void one_call(void)
{
    int call = calls[random_number() % COUNT(calls)];
    long argument[6];

    for (int i = 0; i < 6; i++) {
        argument[i] = random_argument();
    }
    if (call == SYS_ioctl) {
        argument[1] = requests[random_number() % COUNT(requests)];
    }
    if (call == SYS_fcntl) {
        argument[1] = random_number() % 12;
    }
    if ((call <= 1 || (call >= 17 && call <= 20)) && random_number() % 3) {
        argument[0] = random_number() % 14 + 3;
    }
    if (call == SYS_munmap || call == SYS_mprotect || call == SYS_mremap || call == SYS_madvise) {
        argument[0] = (long)(area + AREA + (random_number() % 16) * 4096);
    }
    if (call == SYS_mmap) {
        argument[3] &= ~0x10; /* MAP_FIXED would take our own memory */
    }
    if (harmless(call, argument)) {
        syscall(call, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
    }
}

static void on_alarm(int signal)
{
    (void)signal;
}

static void open_things(void)
{
    int ends[2];

    mkdir("d", 0777);
    mkdir("d/e", 0777);
    if (symlink("d", "l") != 0 || symlink("loop", "loop") != 0 || mkfifo("fifo", 0600) != 0 ||
        pipe(ends) != 0) {
        return; /* they are there from the round before */
    }
    open("a", O_CREAT | O_RDWR, 0600);
    open("d", O_RDONLY);
    syscall(SYS_epoll_create1, 0);
    syscall(SYS_eventfd2, 5, O_NONBLOCK);
    syscall(SYS_socketpair, 1, 1, 0, ends);
}

static void one_round(uint64_t seed)
{
    struct itimerval often = {{0, 5000}, {0, 5000}};
    struct sigaction action = {.sa_handler = on_alarm};

    state = 88172645463325252ull + seed * 7919;
    area = mmap(NULL, AREA + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(area + AREA, 4096);
    for (int i = 0; i < AREA; i++) {
        area[i] = random_number() % 3 ? 0 : (char)random_number();
    }
    syscall(SYS_close_range, 3, ~0u, 0);
    open_things();
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGALRM, &action, NULL); /* ends every wait */
    syscall(SYS_setitimer, ITIMER_REAL, &often, NULL);
    for (int i = 0; i < CALLS_A_ROUND; i++) {
        one_call();
    }
}

static int in_a_district(void)
{
    char text[100] = "";
    int fd = open("/proc/version", O_RDONLY);
    ssize_t n = read(fd, text, sizeof(text) - 1);

    close(fd);
    return n > 0 && strstr(text, "Bailiwick") != NULL;
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 10, seed = argc > 2 ? atoi(argv[2]) : 1;

    if (!in_a_district()) {
        fputs("fuzz: this is no district\n", stderr);
        return 2;
    }
    for (int i = 0; i < rounds; i++) {
        pid_t pid;

        if (system("rm -rf /tmp/fuzz; mkdir /tmp/fuzz") != 0 || chdir("/tmp/fuzz") != 0) {
            perror("/tmp/fuzz");
            return 1;
        }
        pid = fork();
        if (pid == 0) {
            alarm(0);
            one_round((uint64_t)(seed + i));
            _exit(0);
        }
        if (waitpid(pid, NULL, 0) != pid) {
            perror("waitpid");
            return 1;
        }
    }
    return 0;
}
