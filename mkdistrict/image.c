/*
 * The first generation of a district (image.h): system page, domain list, the programs bank,
 * steward, unix, terminal, relay, gate and those added, with their address spaces and keys, and the
 * file tree.
 *
 * Ids: system objects as district.h says; then the programs' own objects from OID_FIRST_FREE on;
 * then, each from an aligned id, the ranges of steward, terminal, relay, gate, those added and
 * unix, and the bank's, which is all the rest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mkdistrict.h"

/** From here on ids are the bank's. A multiple of 2^28, so that one range key covers them. */
#define UNIX_BASE ((oid_t)IMAGE_UNIX_RANGE)
#define BANK_BASE (UNIX_BASE + IMAGE_UNIX_RANGE)

struct program {
    const char *name; /* of the file, in the folder of programs; or a path */
    oid_t domain;
    struct segment space;
    struct domain_frame frame;
};

enum { BANK, STEWARD, UNIX, TERMINAL, RELAY, GATE, ADDED };
static const char *const program_name[ADDED] = {"bank",     "steward", "unix",
                                                "terminal", "relay",   "gate"};

static const char *programs_folder(const struct options *o)
{
    static char folder[4200];
    ssize_t n;

    if (o->programs)
        return o->programs;
    n = readlink("/proc/self/exe", folder, 4096);
    if (n <= 0)
        fail("cannot find out where this program is; use --programs");
    folder[n] = 0;
    strcpy(strrchr(folder, '/'), "/../boot");
    return folder;
}

static void make_stack(struct builder *b, struct segment *space)
{
    uint64_t page = (NATIVE_STACK_TOP - NATIVE_STACK_SIZE) / BW_PAGE_SIZE;

    for (; page < NATIVE_STACK_TOP / BW_PAGE_SIZE; page++) {
        oid_t oid = builder_id(b);

        builder_put(b, oid, OBJECT_PAGE, NULL);
        segment_put(b, space, 0, page, make_key(KEY_PAGE, RIGHT_WRITE, 0, oid));
    }
}

static struct key meter_key(void)
{
    return (struct key){.type = KEY_METER, .tag = IMAGE_METER};
}

/** Address space, registers and the keys that every program has. */
static void make_program(struct builder *b, struct program *p, const char *folder, unsigned place)
{
    struct domain_frame *f = &p->frame;
    char path[8192];

    if (strchr(p->name, '/'))
        snprintf(path, sizeof(path), "%s", p->name);
    else
        snprintf(path, sizeof(path), "%s/%s.elf", folder, p->name);
    p->domain = builder_id(b);
    p->space = segment_new(b, NATIVE_HEIGHT);
    f->regs.rip = elf_load(b, path, &p->space);
    f->regs.rsp = NATIVE_STACK_TOP - 16;
    f->regs.rflags = 0x202;
    f->state = DOMAIN_RUNNING;
    f->deadline = BW_NO_DEADLINE;
    f->list_slot = place;
    f->segment = segment_key(&p->space);
    f->meter = meter_key();
    f->keys[KR_SELF] = make_key(KEY_DOMAIN, RIGHT_WRITE, 0, p->domain);
    f->keys[KR_SPACE] = segment_key(&p->space);
    f->keys[KR_NAMES] = (struct key){.type = KEY_GRANT};
    make_stack(b, &p->space);
}

static struct key start_key(const struct program *p, unsigned badge)
{
    return make_key(KEY_START, 0, badge, p->domain);
}

static uint64_t window_page(unsigned slot)
{
    return IMAGE_WINDOW(slot) / BW_PAGE_SIZE;
}

static oid_t new_page(struct builder *b, const void *bytes)
{
    oid_t oid = builder_id(b);

    builder_put(b, oid, OBJECT_PAGE, bytes);
    return oid;
}

static void give_arguments(struct builder *b, struct program *p, const char *option,
                           const char *words)
{
    struct image_arguments arguments = {0};
    const char *why = split_words(words, arguments.exec, sizeof(arguments.exec));

    if (why)
        fail("%s: %s", option, why);
    segment_put(b, &p->space, 0, window_page(1),
                make_key(KEY_PAGE, RIGHT_WRITE, 0, new_page(b, &arguments)));
}

static void give_windows(struct builder *b, struct program *p, const struct options *o,
                         struct key inodes)
{
    oid_t rings;

    give_arguments(b, &p[STEWARD], "--exec", o->exec);
    for (unsigned i = 0; i < o->added_count; i++)
        give_arguments(b, &p[ADDED + i], "--program", o->added[i]);
    segment_put(b, &p[UNIX].space, 2, window_page(1), inodes);
    rings = new_page(b, NULL);
    segment_put(b, &p[UNIX].space, 0, window_page(2), make_key(KEY_PAGE, RIGHT_WRITE, 0, rings));
    segment_put(b, &p[TERMINAL].space, 0, window_page(2),
                make_key(KEY_PAGE, RIGHT_WRITE, 0, rings));
    for (unsigned i = 0; i < IMAGE_CHANNEL_PAGES; i++) {
        struct key page = make_key(KEY_PAGE, RIGHT_WRITE, 0, new_page(b, NULL));

        segment_put(b, &p[UNIX].space, 0, window_page(4) + i, page);
        segment_put(b, &p[RELAY].space, 0, window_page(4) + i, page);
    }
}

static void give_keys(struct builder *b, struct program *p, unsigned added, struct key files)
{
    oid_t ranges = (b->next + 2 * IMAGE_RANGE - 1) / IMAGE_RANGE * IMAGE_RANGE;
    struct key bank = start_key(&p[BANK], 0);

    if (ranges + (4 + added) * IMAGE_RANGE > UNIX_BASE)
        fail("the programs are too large");
    for (unsigned i = 0; i < added; i++) {
        p[ADDED + i].frame.keys[KR_RANGE] = range_key(ranges + (4 + i) * IMAGE_RANGE, IMAGE_RANGE);
        p[ADDED + i].frame.keys[KR_IMAGE_BANK] = bank;
        p[ADDED + i].frame.keys[KR_IMAGE_GATE] = start_key(&p[GATE], BADGE_PROGRAMS);
    }
    p[BANK].frame.keys[KR_RANGE] = range_key(BANK_BASE, OID_LIMIT - BANK_BASE);
    p[STEWARD].frame.keys[KR_RANGE] = range_key(ranges, IMAGE_RANGE);
    p[STEWARD].frame.keys[KR_IMAGE_BANK] = bank;
    p[STEWARD].frame.keys[KR_IMAGE_PEER] = start_key(&p[UNIX], BADGE_STEWARD);
    p[UNIX].frame.keys[KR_RANGE] = range_key(UNIX_BASE, IMAGE_UNIX_RANGE);
    p[UNIX].frame.keys[KR_IMAGE_BANK] = bank;
    p[UNIX].frame.keys[KR_IMAGE_PEER] = start_key(&p[TERMINAL], 0);
    p[UNIX].frame.keys[KR_IMAGE_FILES] = files;
    p[UNIX].frame.keys[KR_IMAGE_METER] = meter_key();
    p[TERMINAL].frame.keys[KR_RANGE] = range_key(ranges + IMAGE_RANGE, IMAGE_RANGE);
    p[TERMINAL].frame.keys[KR_IMAGE_PEER] = start_key(&p[UNIX], BADGE_TERMINAL);
    p[UNIX].frame.keys[KR_IMAGE_RELAY] = start_key(&p[RELAY], BADGE_WORK);
    p[RELAY].frame.keys[KR_RANGE] = range_key(ranges + 2 * IMAGE_RANGE, IMAGE_RANGE);
    p[RELAY].frame.keys[KR_IMAGE_PEER] = start_key(&p[UNIX], BADGE_RELAYED);
    p[GATE].frame.keys[KR_RANGE] = range_key(ranges + 3 * IMAGE_RANGE, IMAGE_RANGE);
    p[GATE].frame.keys[KR_IMAGE_METER] = meter_key();
}

static void make_system(struct builder *b, const struct program *p, unsigned programs,
                        const struct options *o, uint64_t now)
{
    union {
        struct system_page page;
        uint8_t bytes[BW_PAGE_SIZE];
    } system = {.page = {.magic = SYSTEM_MAGIC,
                         .abi_version = NUCLEUS_ABI_VERSION,
                         .commons_version = 1,
                         .bank_version = 1,
                         .steward_version = 1,
                         .unix_version = 1,
                         .domain_places = programs,
                         .link_version = 1}};
    oid_t list[BW_PAGE_SIZE / sizeof(oid_t)] = {0};

    system.page.realtime = now;
    strncpy(system.page.name, o->name, DISTRICT_NAME_MAX - 1);
    builder_put(b, OID_SYSTEM, OBJECT_PAGE, &system);
    for (unsigned i = 0; i < programs; i++)
        list[i] = p[i].domain;
    builder_put(b, OID_DOMAIN_LIST, OBJECT_PAGE, list);
    for (unsigned i = 1; i < OID_DOMAIN_LIST_PAGES; i++)
        builder_put(b, OID_DOMAIN_LIST + i, OBJECT_PAGE, NULL);
}

/** Places where the personality shows its own files, if the archive does not have them. */
static void make_mount_points(struct tree *t)
{
    static const struct {
        const char *path;
        uint32_t mode;
    } place[] = {{"/dev", 0755}, {"/proc", 0555}, {"/tmp", 01777}};
    const char *why = NULL;

    for (size_t i = 0; i < sizeof(place) / sizeof(place[0]); i++)
        if (!tree_lookup(t, place[i].path) &&
            !tree_make(t, place[i].path, S_IFDIR | place[i].mode, &why))
            fail("%s: %s", place[i].path, why);
}

/** The first word of a --program. */
static const char *first_word(const char *words)
{
    static char word[PROGRAMS_ADDED][4096];
    static unsigned next;
    const char *why = split_words(words, word[next], sizeof(word[next]));

    if (why || word[next][0] == 0)
        fail("--program: %s", why ? why : "it names none");
    return word[next++];
}

/** The district's first program; NUL-terminated. */
static const char *first_program(const struct options *o)
{
    static char words[4096];

    return split_words(o->exec, words, sizeof(words)) ? "" : words;
}

const char *image_make(struct store *st, const struct options *o, uint64_t now)
{
    struct builder b = {st, OID_FIRST_FREE}, unix_range = {st, UNIX_BASE};
    unsigned programs = ADDED + o->added_count;
    struct program *p = allocate(programs * sizeof(*p));
    struct tree *t = tree_new(&unix_range, now);
    struct key inodes = tree_inode_table(t), files;
    const char *missing = NULL;

    for (unsigned i = 0; i < programs; i++) {
        p[i].name = i < ADDED ? program_name[i] : first_word(o->added[i - ADDED]);
        make_program(&b, &p[i], programs_folder(o), i);
    }
    give_windows(&b, p, o, inodes);
    if (o->root)
        tar_read(t, o->root);
    make_mount_points(t);
    if (o->root && !tree_lookup(t, first_program(o)))
        missing = first_program(o);
    files = tree_emit(t);
    for (unsigned i = 0; i < programs; i++)
        segment_emit(&b, &p[i].space);
    give_keys(&b, p, o->added_count, files);
    for (unsigned i = 0; i < programs; i++)
        builder_put(&b, p[i].domain, OBJECT_DOMAIN, &p[i].frame);
    make_system(&b, p, programs, o, now);
    tree_free(t);
    free(p);
    return missing;
}
