/*
 * dump: what is on disk, field by field. It reads the store's own headers: a picture of the format
 * (docs/store-format.md) and of what the nucleus keeps in objects. What a checksum denies is
 * printed all the same, and marked.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../store/internal.h"
#include "tools.h"
#include "dump.h"

static const char *const type_name[] = {"none", "page", "node", "domain"};

void dump_field(const char *name, const char *format, ...)
{
    va_list ap;

    printf("  %-20s ", name);
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    putchar('\n');
}

static void number(const char *name, uint64_t n)
{
    dump_field(name, "%llu", (unsigned long long)n);
}

static void number_or_none(const char *name, uint64_t n)
{
    if (n == NONE)
        dump_field(name, "none");
    else
        number(name, n);
}

static void moment(const char *name, uint64_t ns)
{
    char when[40];

    dump_field(name, "%llu (%s)", (unsigned long long)ns, show_when(ns, when));
}

/** A name as it is in a fixed field, without what could steer a terminal. */
static void words(const char *name, const char *text, size_t size)
{
    printf("  %-20s \"", name);
    for (size_t i = 0; i < size && text[i]; i++)
        putchar(isprint((unsigned char)text[i]) ? text[i] : '?');
    printf("\"\n");
}

static void sum(const char *name, uint64_t said, uint64_t found)
{
    if (said == found)
        dump_field(name, "%#llx", (unsigned long long)said);
    else
        dump_field(name, "%#llx WRONG: the bytes give %#llx", (unsigned long long)said,
                   (unsigned long long)found);
}

static void reference(const char *name, const struct disk_ref *r)
{
    if (r->place == 0)
        dump_field(name, "empty");
    else
        dump_field(name, "block %llu, checksum %#llx, birth %llu, level %llu",
                   (unsigned long long)r->place, (unsigned long long)r->checksum,
                   (unsigned long long)r->birth, (unsigned long long)r->level);
}

static void range(const char *name, uint64_t start, uint64_t length)
{
    dump_field(name, "%llu blocks from block %llu", (unsigned long long)length,
               (unsigned long long)start);
}

/* --- raw blocks ------------------------------------------------------------------------------- */

static void read_raw(struct opened *o, uint64_t block, void *to, size_t n)
{
    struct store_io io = file_io(&o->file);

    if (block >= io.blocks || n > io.blocks - block)
        fail("%s: block %llu: the store has %llu blocks", o->path, (unsigned long long)block,
             (unsigned long long)io.blocks);
    if (io.read(io.ctx, block, to, n))
        fail("%s: block %llu cannot be read", o->path, (unsigned long long)block);
}

void dump_hex(const uint8_t *bytes, size_t n)
{
    bool same = false;

    for (size_t at = 0; at < n; at += 16) {
        if (at && at + 16 < n && memcmp(bytes + at, bytes + at - 16, 16) == 0) {
            if (!same)
                printf("  *\n");
            same = true;
            continue;
        }
        same = false;
        printf("  %04zx ", at);
        for (size_t i = 0; i < 16; i++)
            printf("%s%02x", i == 8 ? "  " : " ", bytes[at + i]);
        printf("  ");
        for (size_t i = 0; i < 16; i++)
            putchar(bytes[at + i] >= ' ' && bytes[at + i] < 127 ? bytes[at + i] : '.');
        putchar('\n');
    }
}

static void dump_super(struct opened *o)
{
    char id[40];

    for (uint64_t copy = 0; copy < SUPER_TWINS; copy++) {
        struct disk_super s;

        read_raw(o, copy, &s, 1);
        printf("superblock, block %llu\n", (unsigned long long)copy);
        dump_field("magic", "%#llx%s", (unsigned long long)s.magic,
                   s.magic == SUPER_MAGIC ? "" : " WRONG");
        number("version", s.version);
        number("block size", s.block_size);
        dump_field("id", "%s", show_id(s.id, id));
        moment("created", s.created);
        number("first data block", s.first_data);
        dump_field("root slots", "%u of %u blocks from block %u", s.root_slots, s.root_slot_blocks,
                   s.root_first);
        number("root twins", s.root_twins);
        number("copy", s.copy);
        words("name", s.name, sizeof(s.name));
        words("owner", s.owner, sizeof(s.owner));
        sum("checksum", s.checksum, store_checksum(&s, offsetof(struct disk_super, checksum)));
    }
}

/* --- roots and generations -------------------------------------------------------------------- */

static void dump_generation(const struct disk_generation *g)
{
    printf("generation %llu%s\n", (unsigned long long)g->number,
           g->flags & GENERATION_GHOST ? ": dropped; kept as a fork only" : "");
    number_or_none("parent", g->parent);
    number_or_none("base", g->base);
    moment("time", g->time);
    number("objects", g->objects);
    number("changed", g->changed);
    reference("index", &g->root);
    number("reason", g->reason);
    dump_field("flags", "%#x%s", g->flags, g->flags & GENERATION_BONDED ? ": bonded" : "");
    number("index blocks", g->nodes);
}

static void dump_bond(const struct disk_bond *b)
{
    char id[40];

    number("bonded districts", b->members);
    if (b->members == 0 || b->members > STORE_BOND_MAX)
        return;
    dump_field("bond id", "%s", show_id(b->id, id));
    dump_field("of which it is", "%u%s", b->self, b->self == 0 ? ": the home" : "");
    moment("last instant", b->last);
    number_or_none("prepared", b->prepared);
    for (unsigned i = 0; i < b->members - 1; i++) {
        dump_field("bonded with", "%s", show_id(b->other[i].id, id));
        words("its name", b->other[i].name, sizeof(b->other[i].name));
    }
}

static void dump_head(const struct disk_root *r, uint64_t found)
{
    char id[40];

    dump_field("magic", "%#llx%s", (unsigned long long)r->magic,
               r->magic == ROOT_MAGIC ? "" : " WRONG");
    sum("checksum", r->checksum, found);
    dump_field("length", "%u bytes", r->length);
    number("version", r->version);
    dump_field("id", "%s", show_id(r->id, id));
    number("sequence", r->sequence);
    number("incarnation", r->incarnation);
    dump_field("incarnation random", "%#llx", (unsigned long long)r->incarnation_random);
    number_or_none("current", r->current);
    number_or_none("newest", r->newest);
    number("next generation", r->next_generation);
    number("blocks", r->blocks);
    number("free blocks", r->free_blocks);
    range("claim", r->claim_start, r->claim_length);
    range("avoid", r->avoid_start, r->avoid_length);
    reference("map", &r->map);
    dump_field("interval", "%llu ns", (unsigned long long)r->interval);
    moment("ran at", r->ran_at);
    number("crash policy", r->crash_policy);
    number("share", r->share);
    number("ABI version", r->abi_version);
    number("image version", r->image_version);
    dump_field("keep", "%u, %u minutes, %u hours, %u days", r->keep_last, r->keep_minutes,
               r->keep_hours, r->keep_days);
    number("generations", r->generations);
    number("points", r->points);
    dump_field("flags", "%#x%s%s%s", r->flags, r->flags & ROOT_LEAKS ? ": leaks" : "",
               r->flags & ROOT_AUTOSTART ? ": autostart" : "",
               r->flags & ROOT_GATED ? ": gated" : "");
    number("copies", r->copies);
    dump_field("in sync", "%#x", r->in_sync);
    number("mirror changes", r->mirror_changes);
    number("mirror history", r->mirror_history);
    dump_field("journal", "%u bytes, number %llu", r->journal,
               (unsigned long long)r->journal_sequence);
    dump_bond(&r->bond);
    words("ran by", r->ran_by, sizeof(r->ran_by));
}

/** Every slot's twins, with all that their length covers. */
static void dump_roots(struct opened *o)
{
    uint8_t *slot = allocate((size_t)ROOT_BLOCKS * STORE_BLOCK);
    const size_t limit = (size_t)ROOT_BLOCKS * STORE_BLOCK;

    for (unsigned s = 0; s < ROOT_SLOTS * ROOT_TWINS; s++) {
        const struct disk_root *r = (const struct disk_root *)slot;
        uint64_t block = ROOT_FIRST + (uint64_t)s * ROOT_BLOCKS;

        read_raw(o, block, slot, ROOT_BLOCKS);
        printf("root slot %u, twin %u, block %llu\n", s / ROOT_TWINS, s % ROOT_TWINS,
               (unsigned long long)block);
        if (r->magic == 0) {
            printf("  never written\n");
            continue;
        }
        dump_head(r, r->length > 16 && r->length <= limit
                         ? store_checksum(slot + 16, r->length - 16)
                         : ~r->checksum);
    }
    free(slot);
}

static void dump_generations(struct opened *o)
{
    const struct state *s = &o->store->committed;

    for (uint32_t i = 0; i < s->head.generations; i++)
        dump_generation(&s->generation[i]);
}

/* --- index and map ---------------------------------------------------------------------------- */

static void dump_node(const struct disk_node *n)
{
    unsigned limit = n->level ? NODE_CHILDREN : NODE_ENTRIES;

    dump_field("magic", "%#x%s", n->magic, n->magic == NODE_MAGIC ? "" : " WRONG");
    number("level", n->level);
    dump_field("count", "%u%s", n->count, n->count > limit ? " WRONG" : "");
    number("birth", n->birth);
    for (unsigned i = 0; i < n->count && i < limit && n->level; i++)
        printf("  child %3u  from %#llx: block %llu, checksum %#llx, birth %llu\n", i,
               (unsigned long long)n->child[i].key, (unsigned long long)n->child[i].place,
               (unsigned long long)n->child[i].checksum, (unsigned long long)n->child[i].birth);
    for (unsigned i = 0; i < n->count && i < limit && !n->level; i++) {
        const struct disk_entry *e = &n->entry[i];

        printf("  entry %3u  %s %#llx version %u, birth %llu", i,
               e->type == MAP_TYPE ? "area" : type_name[e->type & 3], (unsigned long long)e->oid,
               e->version, (unsigned long long)e->birth);
        if (e->flags & ENTRY_BYTES)
            printf(", block %llu, checksum %#llx\n", (unsigned long long)e->place,
                   (unsigned long long)e->checksum);
        else
            printf(", no bytes\n");
    }
}

/** A tree of index blocks. Its levels go down, so that it ends. */
static void dump_tree(struct opened *o, const struct disk_ref *ref)
{
    struct disk_node n;

    if (ref->place == 0) {
        printf("  empty\n");
        return;
    }
    read_raw(o, ref->place, &n, 1);
    printf("index block, block %llu\n", (unsigned long long)ref->place);
    sum("checksum", ref->checksum, store_checksum(&n, STORE_BLOCK));
    dump_node(&n);
    if (n.level != ref->level || n.level > LEVEL_MAX || n.count > NODE_CHILDREN) {
        printf("  what is below it is not shown: its header is wrong\n");
        return;
    }
    for (unsigned i = 0; n.level && i < n.count; i++) {
        struct disk_ref child = {n.child[i].place, n.child[i].checksum, n.child[i].birth,
                                 n.level - 1u};

        dump_tree(o, &child);
    }
}

static void dump_index(struct opened *o)
{
    const struct disk_generation *g = generation_kept(&o->store->committed, o->generation.number);

    printf("index of generation %llu\n", (unsigned long long)g->number);
    dump_tree(o, &g->root);
}

static void dump_map(struct opened *o)
{
    const struct disk_root *h = &o->store->committed.head;
    uint64_t start = 0;
    bool used = true;

    printf("allocation map\n");
    reference("tree", &h->map);
    for (size_t i = 0; i + 1 < o->store->committed.points.count; i += 2)
        range("inverted by the root", o->store->committed.points.at[i],
              o->store->committed.points.at[i + 1] - o->store->committed.points.at[i]);
    for (uint64_t b = FIRST_DATA; b <= h->blocks; b++) {
        int error = STORE_OK;
        bool now = b < h->blocks && map_used(o->store, b, &error);

        opened_check(o, error);
        if (now == used && b < h->blocks)
            continue;
        printf("  %s %llu .. %llu (%llu blocks)\n", used ? "used" : "free",
               (unsigned long long)start, (unsigned long long)b - 1,
               (unsigned long long)(b - start));
        start = b;
        used = now;
    }
    if (h->map.place == 0)
        return;
    printf("tree of the map's own blocks\n");
    dump_tree(o, &h->map);
}

static void dump_block(struct opened *o, uint64_t block)
{
    union {
        struct disk_node node;
        uint8_t bytes[STORE_BLOCK];
    } b;

    read_raw(o, block, &b, 1);
    printf("block %llu, byte %llu, checksum %#llx\n", (unsigned long long)block,
           (unsigned long long)block * STORE_BLOCK,
           (unsigned long long)store_checksum(&b, STORE_BLOCK));
    if (b.node.magic == NODE_MAGIC)
        dump_node(&b.node);
    else
        dump_hex(b.bytes, STORE_BLOCK);
}

/* --- what the user wants ---------------------------------------------------------------------- */

static uint64_t parse_number(const char *text, const char *what)
{
    unsigned long long n;
    char *end;

    errno = 0;
    n = strtoull(text ? text : "", &end, 0);
    if (!text || !isdigit((unsigned char)text[0]) || *end || errno)
        fail("dump %s: which one? It wants a number, e.g. 17 or 0x1000", what);
    return n;
}

static void show_super(struct opened *o, const char *which)
{
    (void)which;
    dump_super(o);
}

static void show_roots(struct opened *o, const char *which)
{
    (void)which;
    dump_roots(o);
}

static void show_block(struct opened *o, const char *which)
{
    dump_block(o, parse_number(which, "block"));
}

static void show_generations(struct opened *o, const char *which)
{
    (void)which;
    dump_generations(o);
}

static void show_journal(struct opened *o, const char *which)
{
    uint8_t page[STORE_JOURNAL];

    (void)which;
    printf("journal page, number %llu\n", (unsigned long long)store_journal(o->store, page));
    dump_hex(page, sizeof(page));
}

static void show_index(struct opened *o, const char *which)
{
    (void)which;
    dump_index(o);
}

static void show_map(struct opened *o, const char *which)
{
    (void)which;
    dump_map(o);
}

static void show_object(struct opened *o, const char *which)
{
    dump_object(o, parse_number(which, "object"));
}

static void show_system(struct opened *o, const char *which)
{
    (void)which;
    dump_object(o, OID_SYSTEM);
}

static void show_inode(struct opened *o, const char *which)
{
    if (!which)
        fail("dump inode: which one? It wants a number or a path");
    dump_inode(o, which);
}

static const struct part {
    const char *name;
    bool raw; /* works on a store that cannot be opened, too */
    bool which;
    void (*show)(struct opened *o, const char *which);
} parts[] = {
    {"super", true, false, show_super},      {"roots", true, false, show_roots},
    {"block", true, true, show_block},       {"generations", false, false, show_generations},
    {"index", false, false, show_index},     {"map", false, false, show_map},
    {"object", false, true, show_object},    {"system", false, false, show_system},
    {"journal", false, false, show_journal}, {"inode", false, true, show_inode},
};
#define PARTS (sizeof(parts) / sizeof(parts[0]))

static const struct part *find_part(const char *name)
{
    for (size_t i = 0; i < PARTS; i++)
        if (strcmp(parts[i].name, name) == 0)
            return &parts[i];
    fail("dump %s: there is super, roots, block N, generations, index, map, object ID, system, "
         "journal, inode N or PATH",
         name);
}

/** Opens only the file: what is in it may be anything. */
static void open_raw(struct opened *o, const char *argument)
{
    *o = (struct opened){.store = NULL};
    split_generation(argument, o->path);
    file_open(&o->file, o->path, false);
}

int command_dump(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    const struct part *p;
    struct opened o;
    int rest;

    while (command_option(argc, argv, "h", options) != -1)
        ;
    rest = argc - optind;
    if (rest < 1)
        command_misused("dump", "which FILE?");
    p = rest > 1 ? find_part(argv[optind + 1]) : NULL;
    if (rest > (p && p->which ? 3 : 2))
        command_misused("dump", "one structure at a time");
    if (!p || p->raw)
        open_raw(&o, argv[optind]);
    else
        opened_open(&o, argv[optind], false);
    if (p) {
        p->show(&o, rest == 3 ? argv[optind + 2] : NULL);
    } else {
        dump_super(&o);
        dump_roots(&o);
    }
    opened_close(&o);
    return 0;
}
