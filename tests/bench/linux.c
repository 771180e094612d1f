/*
 * A Linux program that measures the personality from inside a district, in TSC ticks (instructions,
 * under `qemu -icount shift=0`), and that puts a district into the states whose checkpoints are
 * measured.
 *
 *   bench calls            getpid, anonymous page faults, fork + exit + wait
 *   bench hold MIB         has that much memory in use, then waits for ever
 *   bench dirty            in steps: a line N on the standard input makes N pages dirty
 *   bench steal TICKS N    makes N pages dirty, then spins for so long; says for how long it did
 *                          not run
 *   bench work N ROUNDS    so often writes to each of N pages and computes; says how long that took
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#define PAGE 4096ul

static void report(const char *name, uint64_t begin, uint64_t end, unsigned rounds)
{
    printf("bench %s %llu\n", name, (unsigned long long)((end - begin + rounds / 2) / rounds));
}

static char *pages(size_t count)
{
    char *p = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        perror("bench: mmap");
        exit(1);
    }
    return p;
}

static void measure_getpid(void)
{
    const unsigned rounds = 200;
    for (unsigned i = 0; i < 5; i++)
        syscall(SYS_getpid);
    uint64_t begin = __rdtsc();
    for (unsigned i = 0; i < rounds; i++)
        syscall(SYS_getpid);
    report("getpid_instructions", begin, __rdtsc(), rounds);
}

static void measure_faults(void)
{
    const unsigned rounds = 512;
    char *p = pages(rounds);
    uint64_t begin = __rdtsc();
    for (unsigned i = 0; i < rounds; i++)
        p[i * PAGE] = 1;
    report("anonymous_fault_instructions", begin, __rdtsc(), rounds);
    munmap(p, rounds * PAGE);
}

static void measure_fork(void)
{
    const unsigned rounds = 10;
    uint64_t begin = 0;
    for (unsigned i = 0; i < rounds + 2; i++) {
        if (i == 2)
            begin = __rdtsc();
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        if (pid < 0 || waitpid(pid, NULL, 0) != pid) {
            perror("bench: fork");
            exit(1);
        }
    }
    report("fork_exit_wait_instructions", begin, __rdtsc(), rounds);
}

static void hold(size_t mib)
{
    char *p = pages(mib << 8);
    for (size_t i = 0; i < mib << 8; i++)
        p[i * PAGE] = (char)(i + 1);
    printf("bench holds %zu\n", mib);
    fflush(stdout);
    for (;;)
        pause();
}

static void dirty(void)
{
    const size_t most = 16384;
    char *p = pages(most), line[32];
    printf("bench ready\n");
    fflush(stdout);
    for (uint64_t round = 1; fgets(line, sizeof line, stdin); round++) {
        size_t n = strtoul(line, NULL, 10);
        for (size_t i = 0; i < n && i < most; i++)
            memset(p + i * PAGE, (int)(round * 37 + i), PAGE);
        printf("bench dirtied %zu\n", n);
        fflush(stdout);
    }
}

/** What others used meanwhile shows as gaps in the time that a spinning program sees. */
static void steal(uint64_t duration, size_t count)
{
    char *p = pages(count + 1);
    for (size_t i = 0; i < count; i++)
        memset(p + i * PAGE, (int)(i + 1), PAGE);
    printf("bench spins\n");
    fflush(stdout);
    uint64_t begin = __rdtsc(), last = begin, stolen = 0;
    while (last - begin < duration) {
        uint64_t now = __rdtsc();
        stolen += now - last > 100 ? now - last : 0;
        last = now;
    }
    printf("bench stolen %llu\n", (unsigned long long)stolen);
}

#define ROUND_STEPS 20000 /* far less than an interval */

static void work(size_t count, uint64_t rounds)
{
    char *p = pages(count);
    uint64_t begin, state = 1;
    for (size_t i = 0; i < count; i++)
        p[i * PAGE] = 1;
    begin = __rdtsc();
    for (uint64_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < count; i++)
            p[i * PAGE + round % PAGE] = (char)state;
        for (unsigned i = 0; i < ROUND_STEPS; i++)
            __asm__ volatile("imul $0x5851f42d, %0, %0" : "+r"(state));
    }
    printf("bench worked %llu\n", (unsigned long long)(__rdtsc() - begin));
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "calls") == 0) {
        measure_getpid();
        measure_faults();
        measure_fork();
    } else if (argc == 3 && strcmp(argv[1], "hold") == 0) {
        hold(strtoul(argv[2], NULL, 10));
    } else if (argc == 2 && strcmp(argv[1], "dirty") == 0) {
        dirty();
    } else if (argc == 4 && strcmp(argv[1], "steal") == 0) {
        steal(strtoull(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
    } else if (argc == 4 && strcmp(argv[1], "work") == 0) {
        work(strtoul(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
    } else {
        fprintf(stderr, "usage: bench calls | hold MIB | dirty | steal TICKS N | work N ROUNDS\n");
        return 2;
    }
    return 0;
}
