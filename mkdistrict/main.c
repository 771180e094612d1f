/*
 * mkdistrict: makes the store of a new district, and shows and checks existing ones.
 */
#include <getopt.h>
#include <libgen.h>
#include <locale.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "tools.h"

/* Blocks that a new district needs besides the sixteenth of its store that is kept back for
 * changes: less, and it cannot even start its first program. */
#define ROOM_TO_RUN 512u

struct file making, making_second;

void fail(const char *format, ...)
{
    va_list ap;

    fflush(stdout);
    progress_clear();
    fprintf(stderr, "mkdistrict: ");
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    file_discard(&making);
    file_discard(&making_second);
    exit(1);
}

void *allocate(size_t size)
{
    void *p = calloc(1, size);

    if (!p)
        fail("out of memory");
    return p;
}

static void interrupted(int signal)
{
    file_discard(&making);
    file_discard(&making_second);
    _exit(128 + signal);
}

void catch_signals(void)
{
    signal(SIGINT, interrupted);
    signal(SIGTERM, interrupted);
    signal(SIGHUP, interrupted);
}

static void usage(void)
{
    printf("usage: mkdistrict [options] FILE     make the store of a new district in FILE\n"
           "       mkdistrict --info FILE        say what is in a store\n"
           "       mkdistrict --verify FILE      read and check all of it, name what is wrong\n"
           "       mkdistrict --repair --mirror FILE2 FILE\n"
           "                                     the same with its second copy, and mend one from "
           "the other\n"
           "       mkdistrict --grow SIZE FILE   give it more room\n");
    commands_print();
    printf("\n"
           "  --size SIZE        how much it can hold, e.g. 256M (default) or 4G\n"
           "  --name NAME        of the district (default: from FILE)\n"
           "  --root TAR         its first file tree: a tar archive, may be compressed; - reads "
           "standard input\n"
           "  --exec CMD         its first program (default: /bin/busybox sh)\n"
           "  --interval TIME    between checkpoints: 10ms and more, e.g. 500ms, 1s (default), "
           "2min; never\n"
           "  --keep L,M,H,D     generations that stay: the last L, then one a minute, an hour, a "
           "day, so many\n"
           "                     of each (default: 8,60,24,30)\n"
           "  --program 'P ARGS' a native program to run in it as well (docs/programs.md); may be "
           "repeated\n"
           "  --mirror FILE2     the store has a second copy there: made with it, verified, grown\n"
           "  --alone            change one copy without the other, which is then out of date\n"
           "  --programs DIR     where the native programs are (default: ../boot beside this "
           "program)\n"
           "  --force            overwrite FILE if it exists\n"
           "  --help             this text\n");
}

static void default_name(struct options *o)
{
    static char name[DISTRICT_NAME_MAX];
    char copy[4096];
    char *base, *dot;

    snprintf(copy, sizeof(copy), "%s", o->file);
    base = basename(copy);
    dot = strrchr(base, '.');
    if (dot && dot != base)
        *dot = 0;
    snprintf(name, sizeof(name), "%.31s", base);
    o->name = name;
}

static void owner_name(char owner[STORE_NAME_MAX])
{
    struct passwd *p = getpwuid(getuid());

    snprintf(owner, STORE_NAME_MAX, "%s", p ? p->pw_name : "");
}

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static struct store_format_params parameters(const struct options *o)
{
    struct store_format_params p = {.blocks = o->size / STORE_BLOCK,
                                    .interval = o->interval,
                                    .keep_last = o->keep.last,
                                    .keep_minutes = o->keep.minutes,
                                    .keep_hours = o->keep.hours,
                                    .keep_days = o->keep.days,
                                    .time = now(),
                                    .abi_version = NUCLEUS_ABI_VERSION,
                                    .image_version = 1};

    if (getrandom(p.id, sizeof(p.id), 0) != sizeof(p.id))
        fail("no random bytes to be had");
    snprintf(p.name, sizeof(p.name), "%s", o->name);
    owner_name(p.owner);
    return p;
}

static void check(int r, const char *path)
{
    if (r == STORE_NOSPACE)
        fail("%s: it does not fit: choose a larger --size", path);
    if (r)
        fail("%s: %s", path, store_error_text(r));
}

static int make(const struct options *o)
{
    struct store_format_params p = parameters(o);
    static struct mirror mirror;
    struct store_io io;
    struct store *st;
    char size[32], used[32];
    struct store_info i;
    const char *missing;

    catch_signals();
    file_create(&making, o->file, o->size, o->force);
    io = file_io(&making);
    if (o->mirror) {
        struct store_io both[MIRROR_COPIES] = {io};

        file_create(&making_second, o->mirror, o->size, o->force);
        both[1] = file_io(&making_second);
        mirror_fresh(&mirror, both);
        mirror_io(&mirror, &io);
        p.copies = MIRROR_COPIES;
    }
    check(store_format(&io, &p, &st), o->file);
    check(store_begin(st, 0), o->file);
    missing = image_make(st, o, p.time);
    check(store_commit(st, p.time, STORE_MADE_FORMAT), o->file);
    store_info(st, &i);
    store_close(st);
    if (i.free_blocks < i.blocks / 16 + ROOM_TO_RUN)
        check(STORE_NOSPACE, o->file);
    if (o->mirror)
        file_finish(&making_second, o->force);
    file_finish(&making, o->force);
    printf("%s: district %s, %s used of %s\n", o->file, o->name,
           show_bytes((i.blocks - i.free_blocks) * STORE_BLOCK, used), show_bytes(o->size, size));
    if (missing)
        fprintf(stderr,
                "mkdistrict: %s is not in its file tree, so it cannot start: `mkdistrict put' adds "
                "it, or choose another with --exec\n",
                missing);
    return 0;
}

static void check_options(struct options *o)
{
    char words[4096];
    bool named = o->name;
    const char *why;

    if (!named)
        default_name(o);
    why = bad_name(o->name);
    if (why && named)
        fail("--name %s: %s", o->name, why);
    if (why)
        fail("%s cannot be a district's name (%s); give it one with --name", o->name, why);
    why = split_words(o->exec, words, sizeof(words));
    if (why)
        fail("--exec: %s", why);
    if (o->size < (uint64_t)STORE_MIN_BLOCKS * STORE_BLOCK)
        fail("--size: at least 1M is needed");
    o->size -= o->size % STORE_BLOCK;
}

enum {
    SIZE = 256,
    NAME,
    ROOT,
    EXEC,
    INTERVAL,
    KEEP,
    MIRROR,
    ALONE,
    PROGRAM,
    PROGRAMS,
    FORCE,
    INFO,
    VERIFY,
    REPAIR,
    GROW,
    HELP
};

static void set_keep(const char *text, struct retention *r)
{
    if (!parse_retention(text, r))
        fail("--keep %s: write LAST,MINUTES,HOURS,DAYS, e.g. 8,60,24,30", text);
    if (r->last < 2)
        fail("--keep %s: the last two stay in any case; write 2 or more", text);
    if (r->last + r->minutes + r->hours + r->days > STORE_KEEP_MAX)
        fail("--keep %s: a store keeps %u generations at most", text, STORE_KEEP_MAX);
}

static void set_size(const char *option, const char *text, uint64_t *size)
{
    if (!parse_size(text, size))
        fail("--%s %s: not a size; write e.g. 256M or 4G", option, text);
}

/** An option that says how the store is to be. */
static void set(struct options *o, int option, const char *value)
{
    switch (option) {
    case SIZE:
        set_size("size", value, &o->size);
        break;
    case NAME:
        o->name = value;
        break;
    case ROOT:
        o->root = value;
        break;
    case EXEC:
        o->exec = value;
        break;
    case INTERVAL:
        if (!parse_interval(value, &o->interval))
            fail("--interval %s: not a time of 10ms or more; write e.g. 500ms, 1s or never", value);
        break;
    case KEEP:
        set_keep(value, &o->keep);
        break;
    case PROGRAM:
        if (o->added_count == PROGRAMS_ADDED)
            fail("--program: %u are the most", PROGRAMS_ADDED);
        o->added[o->added_count++] = value;
        break;
    case MIRROR:
        o->mirror = value;
        break;
    case ALONE:
        other_copy.alone = true;
        break;
    case PROGRAMS:
        o->programs = value;
        break;
    case FORCE:
        o->force = true;
        break;
    }
}

/** @return what is to be done with the file: INFO, VERIFY, REPAIR, GROW, or 0: it is to be made */
static int parse(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        {"size", required_argument, NULL, SIZE},
        {"name", required_argument, NULL, NAME},
        {"root", required_argument, NULL, ROOT},
        {"exec", required_argument, NULL, EXEC},
        {"interval", required_argument, NULL, INTERVAL},
        {"keep", required_argument, NULL, KEEP},
        {"program", required_argument, NULL, PROGRAM},
        {"mirror", required_argument, NULL, MIRROR},
        {"alone", no_argument, NULL, ALONE},
        {"programs", required_argument, NULL, PROGRAMS},
        {"force", no_argument, NULL, FORCE},
        {"info", no_argument, NULL, INFO},
        {"verify", no_argument, NULL, VERIFY},
        {"repair", no_argument, NULL, REPAIR},
        {"grow", required_argument, NULL, GROW},
        {"help", no_argument, NULL, HELP},
        {0},
    };
    int c, order = 0;

    while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        switch (c) {
        case INFO:
        case VERIFY:
        case REPAIR:
        case GROW:
            if (order)
                fail("--info, --verify, --repair or --grow, once");
            order = c;
            if (c == GROW)
                set_size("grow", optarg, &o->size);
            break;
        case 'h':
        case HELP:
            usage();
            exit(0);
        case '?':
            fprintf(stderr, "mkdistrict: --help explains the options\n");
            exit(2);
        default:
            set(o, c, optarg);
        }
    }
    return order;
}

static int run(int argc, char **argv)
{
    struct options o = {.exec = "/bin/busybox sh", .size = 256u << 20, .interval = 1000000000ull};
    const struct command *command = argc > 1 ? command_find(argv[1]) : NULL;
    int order;

    if (command)
        return command->run(argc - 1, argv + 1);
    order = parse(argc, argv, &o);

    if (optind + 1 != argc) {
        fprintf(stderr, "mkdistrict: %s; --help explains\n",
                optind == argc ? "which FILE?" : "one FILE at a time");
        return 2;
    }
    o.file = argv[optind];
    if (order == INFO)
        return show_info(o.file);
    if (order == VERIFY || order == REPAIR)
        return verify_file(o.file, o.mirror, order == REPAIR);
    other_copy.path = o.mirror;
    if (order == GROW)
        return grow_file(o.file, o.size);
    check_options(&o);
    return make(&o);
}

int main(int argc, char **argv)
{
    int status;

    setlocale(LC_CTYPE, "C.UTF-8"); /* so that libarchive gives every name as it is */
    status = run(argc, argv);
    if (fflush(stdout) || ferror(stdout))
        fail("standard output: what there is to say could not be written");
    return status;
}
