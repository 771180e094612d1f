/*
 * Makes a store hostile: one more generation, whole by its checksums, in which objects are not what
 * any nucleus would have written. For tests of what a machine does with it.
 *
 *     forge FILE SEED                prints what was forged, one line each
 *     forge FILE SEED forbidden      a key that no store may hold, where it is met at once
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bailiwick/district.h>
#include <bailiwick/domain.h>
#include <bailiwick/image.h>
#include <store/store.h>

union content {
    uint8_t bytes[STORE_BLOCK];
    uint64_t word[STORE_BLOCK / 8];
    struct key slot[BW_NODE_SLOTS];
    struct domain_frame domain;
    struct system_page system;
    oid_t list[STORE_BLOCK / sizeof(oid_t)];
};

static struct {
    struct store *store;
    uint64_t seed, chance;
    oid_t *oid[OBJECT_DOMAIN + 1]; /* by type; system objects, below OID_FIRST_FREE, as 0 */
    size_t count[OBJECT_DOMAIN + 1];
} forge;

static void check(int error, const char *what)
{
    if (error) {
        fprintf(stderr, "forge: %s: %s\n", what, store_error_text(error));
        exit(1);
    }
}

/* --- chance ----------------------------------------------------------------------------------- */

static uint64_t any(uint64_t limit)
{
    uint64_t x = forge.chance += 0x9e3779b97f4a7c15ull;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return (x ^ x >> 31) % limit;
}

static uint64_t number(void)
{
    switch (any(6)) {
    case 0:
        return any(8);
    case 1:
        return (uint64_t)0 - 1 - any(4);
    case 2:
        return (1ull << any(64)) - any(2);
    case 3:
        return 0x7fffffffffffull - any(0x2000);
    case 4:
        return 0xffff800000000000ull + any(0x200000);
    default:
        return any(UINT64_MAX);
    }
}

/** Mostly one that is there. */
static oid_t any_oid(enum object_type type)
{
    switch (any(10)) {
    case 0:
        return number();
    case 1:
        return any(OID_FIRST_FREE);
    case 2:
        type = (enum object_type)(1 + any(3));
        break;
    default:
        break;
    }
    return forge.count[type] ? forge.oid[type][any(forge.count[type])] : OID_SYSTEM;
}

/* --- objects ---------------------------------------------------------------------------------- */

static bool get(oid_t oid, union content *c, struct store_object *o)
{
    return store_get(forge.store, STORE_NEWEST, oid, o, c) == STORE_OK;
}

static void put(oid_t oid, uint32_t type, uint32_t version, const union content *c)
{
    /* The library keeps what is given to it until the commit. */
    union content *copy = malloc(sizeof(*copy));

    memcpy(copy, c, sizeof(*copy));
    check(store_put(forge.store, oid, type, version, copy), "an object");
}

/** A key that a nucleus takes, to something that it should not lead to; or one that it must not
 * take.
 */
static struct key any_key(void)
{
    struct key k = {.type = (uint8_t)any(12),
                    .rights = (uint8_t)any(8),
                    .tag = (uint16_t)any(6),
                    .version = (uint32_t)(1 + any(3)),
                    .value = any_oid((enum object_type)(1 + any(3)))};

    switch (any(5)) {
    case 0:
        k.type = (uint8_t)(KEY_NUCLEUS + any(6));
        break;
    case 1:
        k.type = (uint8_t)any(256);
        k.rights = (uint8_t)any(256);
        break;
    case 2:
        k.tag = (uint16_t)number();
        k.version = (uint32_t)number();
        break;
    default:
        break;
    }
    return k;
}

/* --- kinds ------------------------------------------------------------------------------------ */

static void forge_slot(void)
{
    oid_t oid = any_oid(OBJECT_NODE);
    struct store_object o;
    union content c;

    if (!get(oid, &c, &o) || o.type != OBJECT_NODE)
        return;
    for (unsigned n = 1 + (unsigned)any(4); n > 0; n--)
        c.slot[any(4) ? any(8) : any(BW_NODE_SLOTS)] = any_key();
    put(oid, o.type, o.version, &c);
    printf("keys in node %#llx\n", (unsigned long long)oid);
}

/** Its segment contains itself, or is much higher than it says. */
static void forge_cycle(void)
{
    oid_t oid = any_oid(OBJECT_NODE);
    struct store_object o;
    union content c;

    if (!get(oid, &c, &o) || o.type != OBJECT_NODE)
        return;
    for (unsigned i = 0; i < BW_NODE_SLOTS; i++)
        if (any(2))
            c.slot[i] = (struct key){KEY_SEGMENT, 3, (uint16_t)(1 + any(4)), o.version, oid};
    put(oid, o.type, o.version, &c);
    printf("node %#llx is a part of itself\n", (unsigned long long)oid);
}

static void forge_words(union content *c, size_t from, size_t to)
{
    for (unsigned n = 1 + (unsigned)any(6); n > 0; n--)
        c->word[(from + any(to - from)) / 8] = number();
}

static void forge_registers(void)
{
    oid_t oid = any_oid(OBJECT_DOMAIN);
    struct store_object o;
    union content c;

    if (!get(oid, &c, &o) || o.type != OBJECT_DOMAIN)
        return;
    forge_words(&c, 0, sizeof(struct regs));
    if (any(2))
        c.domain.regs.rflags = number();
    put(oid, o.type, o.version, &c);
    printf("registers of domain %#llx\n", (unsigned long long)oid);
}

static void forge_domain(void)
{
    oid_t oid = any_oid(OBJECT_DOMAIN);
    struct store_object o;
    union content c;

    if (!get(oid, &c, &o) || o.type != OBJECT_DOMAIN)
        return;
    switch (any(6)) {
    case 0:
        c.domain.state = any(4) ? (uint32_t)any(4) : (uint32_t)number();
        c.domain.flags = (uint32_t)any(64);
        break;
    case 1:
        c.domain.flags = (uint32_t)number();
        c.domain.call_count = number();
        break;
    case 2:
        c.domain.deadline = number();
        c.domain.posted = number();
        c.domain.state = DOMAIN_AVAILABLE;
        break;
    case 3:
        c.domain.list_slot = any(2) ? (uint32_t)any(600) : (uint32_t)number();
        break;
    case 4:
        c.domain.flags |= DOMAIN_HAS_FPU;
        forge_words(&c, DOMAIN_FPU_OFFSET, STORE_BLOCK);
        c.word[(DOMAIN_FPU_OFFSET + 24) / 8] = number();
        c.word[(DOMAIN_FPU_OFFSET + 512) / 8] = number();
        break;
    default:
        forge_words(&c, sizeof(struct regs), 256);
        break;
    }
    put(oid, o.type, o.version, &c);
    printf("domain %#llx\n", (unsigned long long)oid);
}

static void forge_domain_keys(void)
{
    oid_t oid = any_oid(OBJECT_DOMAIN);
    struct store_object o;
    union content c;

    if (!get(oid, &c, &o) || o.type != OBJECT_DOMAIN)
        return;
    switch (any(5)) {
    case 0:
        c.domain.segment = any_key();
        break;
    case 1: /* it keeps itself, or a domain that does */
        c.domain.keeper =
            (struct key){KEY_START, 0, 0, o.version, any(2) ? oid : any_oid(OBJECT_DOMAIN)};
        break;
    case 2:
        c.domain.meter = any_key();
        break;
    case 3:
        c.domain.segment.tag = (uint16_t)any(8);
        break;
    default:
        c.domain.keys[any(BW_KEY_REGISTERS)] = any_key();
        break;
    }
    put(oid, o.type, o.version, &c);
    printf("keys of domain %#llx\n", (unsigned long long)oid);
}

static void forge_system(void)
{
    struct store_object o;
    union content c;

    if (!get(OID_SYSTEM, &c, &o))
        return;
    switch (any(4)) {
    case 0:
        forge_words(&c, 0, sizeof(struct system_page));
        break;
    case 1:
        c.system.domain_places = any(2) ? OID_DOMAIN_LIST_PAGES * 512 : (uint32_t)number();
        break;
    case 2:
        c.system.monotonic = number();
        c.system.boottime = number();
        c.system.realtime = number();
        break;
    default:
        memset(c.system.name, 'x', sizeof(c.system.name));
        c.system.link_version = (uint32_t)number();
        c.system.epoch = number();
        break;
    }
    put(OID_SYSTEM, OBJECT_PAGE, o.version, &c);
    printf("the system page\n");
}

static void forge_list(void)
{
    oid_t page = OID_DOMAIN_LIST + (any(4) ? 0 : any(OID_DOMAIN_LIST_PAGES));
    bool many = any(2);
    struct store_object o;
    union content c;

    if (!get(page, &c, &o))
        return;
    for (unsigned n = many ? 512 : 1 + (unsigned)any(4); n > 0; n--)
        c.list[many ? n - 1 : any(64)] = any_oid(OBJECT_DOMAIN);
    put(page, any(8) ? OBJECT_PAGE : OBJECT_NODE, 1, &c);
    if (get(OID_SYSTEM, &c, &o)) {
        c.system.domain_places = (uint32_t)(many ? 512 * (1 + any(128)) : 64);
        put(OID_SYSTEM, OBJECT_PAGE, o.version, &c);
    }
    printf("page %llu of the domain list\n", (unsigned long long)(page - OID_DOMAIN_LIST));
}

/** Whatever the nucleus keeps in the others. */
static void forge_system_object(void)
{
    oid_t oid = forge.count[0] ? forge.oid[0][any(forge.count[0])] : OID_SYSTEM;
    struct store_object o;
    union content c;

    if (!get(oid, &c, &o))
        return;
    forge_words(&c, 0, any(2) ? 512 : STORE_BLOCK);
    put(oid, o.type, o.version, &c);
    printf("system object %#llx\n", (unsigned long long)oid);
}

static void forge_type(void)
{
    oid_t oid = any(8) ? any_oid((enum object_type)(1 + any(3))) : any(OID_FIRST_FREE);
    struct store_object o;
    union content c;

    if (oid == 0 || !get(oid, &c, &o))
        return;
    put(oid, (uint32_t)(1 + any(3)), any(2) ? o.version : (uint32_t)number(), &c);
    printf("type or version of object %#llx\n", (unsigned long long)oid);
}

static void forge_page(void)
{
    oid_t oid = any_oid(OBJECT_PAGE);
    struct store_object o;
    union content c;

    if (oid < OID_FIRST_FREE || !get(oid, &c, &o) || o.type != OBJECT_PAGE)
        return;
    forge_words(&c, 0, STORE_BLOCK);
    put(oid, o.type, o.version, &c);
    printf("bytes of page %#llx\n", (unsigned long long)oid);
}

static void forge_missing(void)
{
    oid_t oid = any_oid((enum object_type)(1 + any(3)));

    if (oid && store_delete(forge.store, oid) == STORE_OK)
        printf("object %#llx is missing\n", (unsigned long long)oid);
}

/** What the store says of itself. */
static void forge_settings(void)
{
    switch (any(3)) {
    case 0:
        store_set_interval(forge.store, number());
        break;
    case 1:
        store_set_crash_policy(forge.store, (uint32_t)number());
        break;
    default:
        store_set_interval(forge.store, 1 + any(1000));
        break;
    }
    printf("the store's settings\n");
}

/** A device's key or one to a system object, in a domain's registers or in its address space. */
static void forge_forbidden(void)
{
    static const struct key keys[] = {
        {.type = KEY_NUCLEUS},
        {.type = KEY_DISTRICT, .version = 1},
        {.type = KEY_PORTS, .version = 8, .value = 0x3f8},
        {.type = KEY_PHYSICAL, .version = 256, .value = 0x100000},
        {.type = KEY_IRQ, .value = 4},
        {.type = KEY_LAST_PERSISTENT + 1},
        {.type = 255},
        {.type = KEY_PAGE, .rights = RIGHT_WRITE, .version = 1, .value = OID_SYSTEM},
        {.type = KEY_NODE, .rights = 0x80, .version = 1, .value = OID_FIRST_FREE},
        {.type = KEY_DOMAIN, .version = 1, .value = OID_LIMIT},
        {.type = KEY_RANGE, .version = 4096, .value = 0},
        {.type = KEY_RANGE, .tag = 40, .version = UINT32_MAX, .value = OID_FIRST_FREE},
    };
    struct key k = keys[forge.seed % (sizeof(keys) / sizeof(keys[0]))];
    union content list, c;
    struct store_object o;
    oid_t oid;

    if (!get(OID_DOMAIN_LIST, &list, &o) || !get(list.list[any(4)], &c, &o))
        check(STORE_ABSENT, "a domain");
    oid = o.oid;
    if (any(2)) {
        c.domain.keys[1 + any(BW_KEY_REGISTERS - 1)] = k;
    } else {
        oid = c.domain.segment.value;
        if (!get(oid, &c, &o))
            check(STORE_ABSENT, "its segment");
        c.slot[BW_NODE_SLOTS - 1] = k;
    }
    put(oid, o.type, o.version, &c);
    printf("a key of type %u in object %#llx\n", k.type, (unsigned long long)oid);
}

static void (*const kinds[])(void) = {forge_slot,          forge_cycle,       forge_registers,
                                      forge_domain,        forge_domain_keys, forge_system,
                                      forge_system_object, forge_list,        forge_type,
                                      forge_page,          forge_missing};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* --- the store -------------------------------------------------------------------------------- */

static int io_read(void *ctx, uint64_t block, void *buf, size_t n)
{
    size_t bytes = n * STORE_BLOCK;

    return pread(*(int *)ctx, buf, bytes, (off_t)(block * STORE_BLOCK)) != (ssize_t)bytes;
}

static int io_write(void *ctx, uint64_t block, const void *buf, size_t n)
{
    size_t bytes = n * STORE_BLOCK;

    return pwrite(*(int *)ctx, buf, bytes, (off_t)(block * STORE_BLOCK)) != (ssize_t)bytes;
}

static int io_flush(void *ctx)
{
    return fdatasync(*(int *)ctx);
}

static int note(void *ctx, const struct store_object *o)
{
    unsigned type = o->oid < OID_FIRST_FREE ? OBJECT_NONE : o->type;
    oid_t **oid = &forge.oid[type];

    (void)ctx;
    *oid = realloc(*oid, (forge.count[type] + 1) * sizeof(oid_t));
    if (!*oid)
        check(STORE_NOMEM, "its objects");
    (*oid)[forge.count[type]++] = o->oid;
    return 0;
}

int main(int argc, char **argv)
{
    int fd = argc >= 3 ? open(argv[1], O_RDWR) : -1;
    struct store_io io = {.ctx = &fd, .read = io_read, .write = io_write, .flush = io_flush};
    struct store_info info;
    uint64_t incarnation;
    struct stat s;

    if (fd < 0 || fstat(fd, &s)) {
        fprintf(stderr, "usage: forge FILE SEED [forbidden]\n");
        return 2;
    }
    io.blocks = (uint64_t)s.st_size / STORE_BLOCK;
    forge.seed = forge.chance = strtoull(argv[2], NULL, 10);
    check(store_open(&io, &forge.store), argv[1]);
    check(store_walk(forge.store, STORE_NEWEST, 0, note, NULL), "its objects");
    check(store_claim(forge.store, STORE_NEWEST, any(UINT64_MAX), "forge", 1, &incarnation),
          "a claim");
    if (argc == 3 && any(4) == 0)
        forge_settings();
    store_info(forge.store, &info);
    check(store_begin(forge.store, info.next_generation), "a generation");
    if (argc > 3)
        forge_forbidden();
    for (uint64_t n = argc > 3 ? 0 : 1 + any(4); n > 0; n--)
        kinds[any(KINDS)]();
    check(store_commit(forge.store, 1000000000, STORE_MADE_TOOL), "a commit");
    store_close(forge.store);
    return 0;
}
