/*
 * Runs a target without libFuzzer: its seeds, the corpus, and for some seconds mutations of them,
 * the same ones for the same seed.
 *
 *   TARGET [--seconds N] [--seed N] [--write FOLDER] [FILE | FOLDER]...
 *
 * --write puts the target's own seeds into a folder. An input that fails, or takes more than
 * PATIENCE seconds of the processor, is left in the file TARGET.failed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <sanitizer/common_interface_defs.h>

#include "fuzz.h"

#define INPUT_MAX 4096u
#define PATIENCE  20u

struct input {
    size_t size;
    uint8_t bytes[INPUT_MAX];
};

static struct input *pool;
static size_t count;
static struct input now; /* being run */
static uint64_t chance, runs;
static char failed[4096];

static uint64_t any(uint64_t limit)
{
    uint64_t x = chance += 0x9e3779b97f4a7c15ull;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return (x ^ x >> 31) % limit;
}

static void leave_input(void)
{
    int fd = open(failed, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (fd >= 0 && write(fd, now.bytes, now.size) == (ssize_t)now.size)
        close(fd);
}

static void on_signal(int number)
{
    static const char late[] = "it takes too long\n";

    if (number == SIGPROF && write(STDERR_FILENO, late, sizeof(late) - 1) < 0)
        _exit(3);
    leave_input();
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void run(void)
{
    static const struct itimerval patience = {.it_value.tv_sec = PATIENCE};

    setitimer(ITIMER_PROF, &patience, NULL);
    LLVMFuzzerTestOneInput(now.bytes, now.size);
    runs++;
}

static struct input *more(void)
{
    pool = realloc(pool, (count + 1) * sizeof(*pool));
    if (!pool)
        abort();
    return &pool[count++];
}

static void read_file(const char *path)
{
    struct input *i = more();
    FILE *f = fopen(path, "rb");

    if (!f) {
        fprintf(stderr, "%s cannot be read\n", path);
        exit(2);
    }
    i->size = fread(i->bytes, 1, sizeof(i->bytes), f);
    fclose(f);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_corpus(const char *path)
{
    struct dirent **names;
    int n = scandir(path, &names, NULL, by_name);

    if (n < 0) {
        read_file(path);
        return;
    }
    for (int i = 0; i < n; i++) {
        char file[8192];

        snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            read_file(file);
        free(names[i]);
    }
    free(names);
}

static void read_seeds(const char *write_to)
{
    struct input i;

    for (unsigned n = 0; (i.size = fuzz_seed(n, i.bytes, sizeof(i.bytes))) > 0; n++) {
        char path[4096];
        FILE *f;

        *more() = i;
        if (!write_to)
            continue;
        snprintf(path, sizeof(path), "%s/seed-%02u", write_to, n);
        f = fopen(path, "wb");
        if (!f || fwrite(i.bytes, 1, i.size, f) != i.size || fclose(f))
            exit(2);
    }
}

/* --- mutations -------------------------------------------------------------------------------- */

static uint64_t number(void)
{
    switch (any(5)) {
    case 0:
        return any(16);
    case 1:
        return any(1024);
    case 2:
        return (uint64_t)0 - any(4);
    case 3:
        return 1ull << any(64);
    default:
        return any(UINT64_MAX);
    }
}

static void insert(const uint8_t *bytes, size_t n)
{
    size_t at = any(now.size + 1) / 16 * 16;

    if (now.size + n > INPUT_MAX)
        return;
    memmove(now.bytes + at + n, now.bytes + at, now.size - at);
    memcpy(now.bytes + at, bytes, n);
    now.size += n;
}

static void take_out(void)
{
    size_t at = any(now.size + 1) / 16 * 16, n = 16 * (1 + any(4));

    if (now.size < 32 || at + n > now.size)
        return;
    memmove(now.bytes + at, now.bytes + at + n, now.size - at - n);
    now.size -= n;
}

static void mutate(void)
{
    const struct input *other = &pool[any(count)];
    uint8_t record[16];
    uint64_t v = number();
    size_t at;

    switch (any(6)) {
    case 0:
        for (size_t i = 0; i < sizeof(record); i++)
            record[i] = (uint8_t)any(256);
        memcpy(record + 8, &v, 8);
        insert(record, sizeof(record));
        break;
    case 1:
        take_out();
        break;
    case 2:
        at = other->size ? any(other->size) / 16 * 16 : 0;
        if (at + 16 <= other->size)
            insert(other->bytes + at, 16);
        break;
    case 3:
        at = any(now.size + 1) / 8 * 8;
        if (at + 8 <= now.size)
            memcpy(now.bytes + at, &v, 8);
        break;
    default:
        if (now.size)
            now.bytes[any(now.size)] = any(2) ? (uint8_t)any(256) : (uint8_t)v;
        break;
    }
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seconds", required_argument, NULL, 's'},
                                            {"seed", required_argument, NULL, 'r'},
                                            {"write", required_argument, NULL, 'w'},
                                            {0}};
    const char *write_to = NULL;
    double length = 0, end;
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 's')
            length = atof(optarg);
        else if (c == 'r')
            chance = strtoull(optarg, NULL, 10);
        else if (c == 'w')
            write_to = optarg;
        else
            return 2;
    }
    snprintf(failed, sizeof(failed), "%s.failed", argv[0]);
    read_seeds(write_to);
    for (int i = optind; i < argc; i++)
        read_corpus(argv[i]);
    __sanitizer_set_death_callback(leave_input);
    signal(SIGPROF, on_signal);
    signal(SIGABRT, on_signal);
    for (size_t i = 0; i < count; i++) {
        now = pool[i];
        run();
    }
    for (end = seconds() + length; seconds() < end;) {
        now = pool[any(count)];
        for (unsigned n = 1 + (unsigned)any(5); n > 0; n--)
            mutate();
        run();
    }
    fprintf(stderr, "%zu inputs, %llu runs\n1 passed, 0 failed\n", count, (unsigned long long)runs);
    return 0;
}
