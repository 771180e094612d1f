/*
 * A Linux program with more data than the machine has memory, for test_larger.py. Each page's
 * content follows from its number and its version, so that every look at it is a check. It takes
 * lines on the standard input and answers each with one line "larger WORD ...":
 *
 *   check            looks at all pages, in order
 *   random N         looks at N pages
 *   change N         looks at N pages and writes their next version
 *   hot PAGES N      touches a hot set all the while it looks at N others, in order
 *   forks N          N children at a time, each of which changes some pages of its own copy
 *   run              random and change, mixed, until the next line comes
 *
 * larger MIB [SEED]. Figures it gives: pages that were wrong, objects fetched from the store
 * meanwhile, instructions per object fetched (under qemu -icount; else ticks of the TSC).
 */
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#define PAGE  4096ul
#define WORDS (PAGE / 8)

static uint8_t *memory;
static uint32_t *versions;
static size_t pages;
static uint64_t seed, chain;
static unsigned long wrong;

struct figures {
    unsigned long fetched, idle, ticks;
};

static uint64_t next(uint64_t x)
{
    return x * 6364136223846793005u + 1442695040888963407u;
}

static size_t chance(size_t n)
{
    chain = next(chain);
    return (chain >> 33) % n;
}

static uint64_t first_word(size_t page)
{
    return next((page ^ seed << 40) * 0x9e3779b97f4a7c15u + versions[page]);
}

static void write_page(size_t page)
{
    uint64_t *p = (uint64_t *)(memory + page * PAGE), x = first_word(page);
    for (size_t i = 0; i < WORDS; i++, x = next(x))
        p[i] = x;
}

static bool is_right(size_t page)
{
    const uint64_t *p = (const uint64_t *)(memory + page * PAGE);
    uint64_t x = first_word(page);
    for (size_t i = 0; i < WORDS; i++, x = next(x))
        if (p[i] != x)
            return false;
    return true;
}

static void look_at(size_t page)
{
    if (is_right(page))
        return;
    wrong++;
    printf("larger: page %zu is not version %u\n", page, versions[page]);
}

static void change(size_t page)
{
    look_at(page);
    versions[page]++;
    write_page(page);
}

/* --- what the nucleus counts ----------------------------------------------------------------- */

static struct figures figures(void)
{
    struct figures f = {.ticks = __rdtsc()};
    char name[32];
    unsigned long value;
    FILE *file = fopen("/proc/vmstat", "r");
    while (file && fscanf(file, "%31s %lu", name, &value) == 2) {
        if (!strcmp(name, "pgmajfault"))
            f.fetched = value;
        if (!strcmp(name, "idle_ticks"))
            f.idle = value;
    }
    if (file)
        fclose(file);
    return f;
}

static void report(const char *what, struct figures before)
{
    struct figures f = figures();
    unsigned long fetched = f.fetched - before.fetched;
    unsigned long busy = f.ticks - before.ticks - (f.idle - before.idle);
    printf("larger %s: %lu wrong, %lu fetched, %lu each\n", what, wrong, fetched,
           fetched ? busy / fetched : 0);
}

/* --- the commands ---------------------------------------------------------------------------- */

static void hot(size_t count, size_t steps)
{
    struct figures begin = figures();
    unsigned long again = 0;
    for (size_t i = 0; i < count; i++)
        look_at(i);
    for (size_t i = 0; i < steps; i++) {
        look_at(count + i % (pages - count));
        if (i % 256 != 0)
            continue;
        struct figures before = figures();
        for (size_t k = 0; k < count; k++)
            look_at(k);
        again += figures().fetched - before.fetched;
    }
    printf("larger hot: %lu wrong, %lu fetched, %lu of them again\n", wrong,
           figures().fetched - begin.fetched, again);
}

static void forks(unsigned n)
{
    unsigned failed = 0;
    for (unsigned i = 0; i < n; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            chain = seed + i;
            for (unsigned k = 0; k < 200; k++)
                change(chance(pages));
            _exit(wrong > 0);
        }
        failed += pid < 0;
    }
    for (int status; wait(&status) > 0;)
        wrong += status != 0;
    printf("larger forks: %lu wrong, %u refused\n", wrong, failed);
}

static bool line_waits(void)
{
    struct pollfd in = {.fd = 0, .events = POLLIN};
    return poll(&in, 1, 0) > 0;
}

static void run(void)
{
    struct figures before = figures();
    size_t steps = 0;
    char line[80];
    for (; steps % 16 != 0 || !line_waits(); steps++) {
        if (steps % 4 == 0)
            change(chance(pages));
        else
            look_at(chance(pages));
    }
    if (!fgets(line, sizeof(line), stdin))
        exit(1);
    printf("larger run: %lu wrong, %lu fetched, %zu looked at\n", wrong,
           figures().fetched - before.fetched, steps);
}

static void obey(char *line)
{
    struct figures before = figures();
    size_t a, b;
    if (!strncmp(line, "check", 5)) {
        for (size_t i = 0; i < pages; i++)
            look_at(i);
        report("check", before);
    } else if (sscanf(line, "random %zu", &a) == 1) {
        for (size_t i = 0; i < a; i++)
            look_at(chance(pages));
        report("random", before);
    } else if (sscanf(line, "change %zu", &a) == 1) {
        for (size_t i = 0; i < a; i++)
            change(chance(pages));
        report("change", before);
    } else if (sscanf(line, "hot %zu %zu", &a, &b) == 2 && a < pages) {
        hot(a, b);
    } else if (sscanf(line, "forks %zu", &a) == 1) {
        forks((unsigned)a);
    } else if (!strncmp(line, "run", 3)) {
        run();
    } else if (line[0] == '\n') {
        printf("larger run: %lu wrong, 0 fetched, 0 looked at\n", wrong); /* it was not running */
    } else {
        printf("larger: what is that?\n");
    }
}

int main(int argc, char **argv)
{
    char line[80];
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: larger MIB [SEED]\n");
        return 2;
    }
    pages = strtoul(argv[1], NULL, 10) << 8;
    seed = chain = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    memory = mmap(NULL, pages * (PAGE + sizeof(*versions)), PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("larger: mmap");
        return 1;
    }
    versions = (uint32_t *)(memory + pages * PAGE);
    for (size_t i = 0; i < pages; i++)
        write_page(i);
    printf("larger holds %zu pages\n", pages);
    for (fflush(stdout); fgets(line, sizeof(line), stdin); fflush(stdout))
        obey(line);
    return wrong > 0;
}
