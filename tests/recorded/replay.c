/*
 * Replays the writes of a real machine: for each interval between two flushes it builds disks as a
 * power cut could have left them, and opens each with the store library.
 *
 *   replay [--images N] [--seed N] [--marks FILE] [--save PREFIX] [--saved N] [--lose-flushes]
 *          DISK LOG
 *
 * DISK is the disk before the first write, LOG what blklogwrites recorded. A line of FILE is
 * "ENTRIES GENERATION": when the log had so many entries, somebody had been told that GENERATION is
 * committed. --save keeps N of the images as PREFIX0, PREFIX1, ..., none from before the first
 * mark, and prints "saved FILE ENTRIES GENERATION". --lose-flushes leaves out every other flush, by
 * chance: then something must be found, which is proof that it can be.
 *
 * Each image must
 *   1. open, at a generation not older than the last one that anybody was told of, and with a root
 *      not older than the last durable one;
 *   2. verify, with every generation exactly as it was when it was first seen, and everything in it
 *      that the nucleus relies on right;
 *   3. take a new incarnation and another commit, and verify again.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "mkdistrict.h"

#define KNOWN_MAX 65536u
#define MARKS_MAX 4096u

struct mark {
    uint64_t entries, generation;
};

static struct replay {
    struct log log;
    struct image image;
    /* options */
    uint64_t images, seed, saved;
    const char *save;
    bool lose;
    struct mark mark[MARKS_MAX];
    size_t marks;
    /* where it is */
    size_t start, crash; /* entries [start, crash) are undecided */
    const char *family;
    uint64_t sequence; /* of the newest durable root */
    uint64_t chance;   /* state of the generator */
    /* done */
    uint64_t intervals, tried, kept_images;
} replay;

static uint64_t known[KNOWN_MAX]; /* generation -> what is in it, 0: not seen yet */

void die(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    fprintf(stderr, "replay: ");
    vfprintf(stderr, format, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    exit(2);
}

void *allocate(size_t size)
{
    void *p = calloc(1, size);

    if (!p)
        die("out of memory");
    return p;
}

static uint64_t any(uint64_t limit)
{
    uint64_t x = replay.chance += 0x9e3779b97f4a7c15ull;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return (x ^ x >> 31) % limit;
}

/* --- judging ---------------------------------------------------------------------------------- */

static void bad(const char *what, uint64_t expected, uint64_t found)
{
    printf("entries %zu to %zu of %zu, %s: %s: expected %llu, found %llu %s\n", replay.start,
           replay.crash, replay.log.count, replay.family, what, (unsigned long long)expected,
           (unsigned long long)found, replay.image.damage);
    printf("after %llu images; --seed %llu\n0 passed, 1 failed\n", (unsigned long long)replay.tried,
           (unsigned long long)replay.seed);
    exit(1);
}

/** What was told before this entry. @return a generation; 0: nothing was */
static uint64_t told(size_t entries)
{
    uint64_t generation = 0;

    for (size_t i = 0; i < replay.marks; i++)
        if (replay.mark[i].entries <= entries && replay.mark[i].generation > generation)
            generation = replay.mark[i].generation;
    return generation;
}

static int fold(void *ctx, const struct store_object *o)
{
    uint64_t *sum = ctx;
    const uint64_t word[] = {o->oid, o->type, o->version, o->bytes, o->block, o->birth};

    for (size_t i = 0; i < sizeof(word) / sizeof(word[0]); i++)
        *sum = (*sum ^ word[i]) * 0x9e3779b97f4a7c15ull ^ *sum >> 29;
    return 0;
}

/** Every generation must be what it was; a new one must be what the nucleus can use. */
static void compare_generations(struct store *st)
{
    struct store_generation g;

    for (uint32_t i = 0; store_generation(st, i, &g) == STORE_OK; i++) {
        uint64_t sum = g.parent ^ g.time, before;

        if (g.number >= KNOWN_MAX)
            die("more generations than expected");
        if (store_walk(st, g.number, 0, fold, &sum) != STORE_OK)
            bad("a generation cannot be walked", 0, g.number);
        sum |= 1;
        before = known[g.number];
        known[g.number] = sum;
        if (before && before != sum)
            bad("a generation is not what it was", before, sum);
        if (!before && check_generation(st, g.number))
            bad("a generation that no nucleus could use", 0, g.number);
    }
}

static void verify(struct store *st, bool structure_only)
{
    struct store_verify v = {.structure_only = structure_only};
    int r = store_verify(st, &v);

    if (r != STORE_OK || replay.image.damages)
        bad("it does not verify", 0, v.errors);
}

/** Goes on from it as a machine would. */
static void go_on(struct store *st)
{
    uint8_t page[STORE_BLOCK];
    struct store_info info;
    uint64_t incarnation;
    int r;

    store_info(st, &info);
    r = store_claim(st, STORE_NEWEST, any(1ull << 60), "replay", info.created, &incarnation);
    if (r != STORE_OK || incarnation != info.incarnation + 1)
        bad("no new incarnation can be begun", info.incarnation + 1, incarnation);
    r = store_begin(st, info.next_generation);
    memset(page, (int)any(255) + 1, sizeof(page));
    for (unsigned i = 0; r == STORE_OK && i < 4; i++)
        r = store_put(st, OID_LIMIT - 1 - any(64), OBJECT_PAGE, 1, page);
    if (r == STORE_OK)
        r = store_commit(st, info.created, STORE_MADE_TOOL);
    if (r != STORE_OK)
        bad("it takes no commit", 0, (uint64_t)-r);
    verify(st, true);
}

static void save(uint64_t floor)
{
    char path[4096];

    /* Evenly over all that will be tried, as far as is known by now. */
    if (!replay.save || floor == 0 || replay.kept_images == replay.saved ||
        replay.tried < replay.kept_images * replay.images / replay.saved + any(8))
        return;
    snprintf(path, sizeof(path), "%s%llu", replay.save, (unsigned long long)replay.kept_images++);
    image_save(&replay.image, path);
    printf("saved %s %zu %llu\n", path, replay.crash, (unsigned long long)floor);
}

/** Judges the image, and takes back what was applied to it. */
static void judge(const char *family)
{
    struct store_io io = image_io(&replay.image);
    uint64_t floor = told(replay.crash);
    struct store_info info;
    struct store *st;
    int r;

    replay.family = family;
    replay.tried++;
    save(floor);
    r = store_open(&io, &st);
    if (r != STORE_OK)
        bad("it does not open", STORE_OK, (uint64_t)-r);
    store_info(st, &info);
    if (info.newest < floor || info.current < floor)
        bad("a generation is lost that somebody was told of", floor, info.current);
    if (info.sequence < replay.sequence)
        bad("a durable root is lost", replay.sequence, info.sequence);
    verify(st, false);
    compare_generations(st);
    go_on(st);
    store_close(st);
    image_restore(&replay.image);
}

/* --- images ----------------------------------------------------------------------------------- */

static void apply_all(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        image_apply(&replay.image, &replay.log.entry[i], 0, replay.log.entry[i].sectors);
}

/** Each piece of `unit` sectors by chance. */
static void apply_some(uint64_t unit, uint64_t of)
{
    for (size_t i = replay.start; i < replay.crash; i++) {
        const struct log_entry *e = &replay.log.entry[i];

        for (uint64_t first = 0; first < e->sectors; first += unit) {
            uint64_t n = e->sectors - first < unit ? e->sectors - first : unit;

            if (any(of) != 0)
                image_apply(&replay.image, e, first, n);
        }
    }
}

/** All before one write, and of that the first sectors only. */
static void apply_torn(void)
{
    size_t at = replay.start + any(replay.crash - replay.start);
    const struct log_entry *e = &replay.log.entry[at];

    apply_all(replay.start, at);
    image_apply(&replay.image, e, 0, any(e->sectors + 1));
}

static void apply_one(bool without)
{
    size_t at = replay.start + any(replay.crash - replay.start);

    if (without) {
        apply_all(replay.start, at);
        apply_all(at + 1, replay.crash);
    } else {
        apply_all(at, at + 1);
    }
}

static void try_one(void)
{
    switch (any(7)) {
    case 0:
        apply_some(UINT64_MAX, 2);
        judge("requests by chance");
        break;
    case 1:
        apply_some(STORE_BLOCK / SECTOR, 2);
        judge("blocks by chance");
        break;
    case 2:
        apply_some(1, 2);
        judge("sectors by chance");
        break;
    case 3:
        apply_some(1, 12);
        judge("most sectors");
        break;
    case 4:
        apply_torn();
        judge("torn");
        break;
    case 5:
        apply_one(true);
        judge("one request lost");
        break;
    default:
        apply_one(false);
        judge("one request arrived");
        break;
    }
}

/** All that a cut between two flushes is tried with. */
static void try_interval(size_t start, size_t end, uint64_t count)
{
    replay.start = start;
    replay.crash = start;
    judge("nothing arrived");
    replay.crash = end;
    apply_all(start, end);
    judge("all arrived");
    for (uint64_t i = 2; i < count; i++) {
        /* Most cuts have the whole interval to choose from, some come earlier. */
        replay.crash = any(3) ? end : start + 1 + any(end - start);
        try_one();
    }
}

/* --- the log ---------------------------------------------------------------------------------- */

static void settle(size_t start, size_t end)
{
    struct store_io io = image_io(&replay.image);
    struct store_info info;
    struct store *st;

    for (size_t i = start; i < end; i++)
        image_settle(&replay.image, &replay.log.entry[i]);
    if (store_open(&io, &st) == STORE_OK) {
        store_info(st, &info);
        replay.sequence = info.sequence;
    }
    store_close(st);
    image_restore(&replay.image);
}

static uint64_t count_intervals(void)
{
    uint64_t n = 1;

    for (size_t i = 0; i < replay.log.count; i++)
        n += replay.log.entry[i].flush;
    return n;
}

static void run(void)
{
    uint64_t intervals = count_intervals(), per = replay.images / intervals + 1;
    size_t start = 0, end;

    for (end = 0; end <= replay.log.count; end++) {
        bool last = end == replay.log.count;

        if (!last && !replay.log.entry[end].flush)
            continue;
        if (!last && replay.lose && any(2))
            continue;
        if (end > start) {
            replay.intervals++;
            try_interval(start, end, per + any(3));
        }
        if (!last)
            settle(start, end);
        start = end; /* a flush that carries data counts for the next interval */
    }
}

static void read_marks(const char *path)
{
    FILE *f = fopen(path, "r");
    unsigned long long entries, generation;

    if (!f)
        die("%s cannot be read", path);
    while (replay.marks < MARKS_MAX && fscanf(f, "%llu %llu", &entries, &generation) == 2)
        replay.mark[replay.marks++] = (struct mark){entries, generation};
    fclose(f);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"images", required_argument, NULL, 'i'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"marks", required_argument, NULL, 'm'},
                                            {"save", required_argument, NULL, 'p'},
                                            {"saved", required_argument, NULL, 'n'},
                                            {"lose-flushes", no_argument, NULL, 'l'},
                                            {0}};
    int c;

    replay.images = 500;
    replay.saved = 4;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'i')
            replay.images = strtoull(optarg, NULL, 10);
        else if (c == 's')
            replay.seed = strtoull(optarg, NULL, 10);
        else if (c == 'm')
            read_marks(optarg);
        else if (c == 'p')
            replay.save = optarg;
        else if (c == 'n')
            replay.saved = strtoull(optarg, NULL, 10);
        else if (c == 'l')
            replay.lose = true;
        else
            return 2;
    }
    if (argc - optind != 2)
        die("which DISK and LOG?");
    replay.chance = replay.seed;
    image_open(&replay.image, argv[optind]);
    log_read(&replay.log, argv[optind + 1]);
    run();
    printf("%llu images of %llu intervals between flushes, %zu entries, %zu generations told of\n",
           (unsigned long long)replay.tried, (unsigned long long)replay.intervals, replay.log.count,
           replay.marks);
    printf("1 passed, 0 failed\n");
    return 0;
}
