/*
 * What the nucleus relies on in one generation of a district, checked from outside: kinds of keys,
 * domain frames, the system objects. A key to an object that no longer exists, or of another
 * version, is void and not an error.
 *
 * A generation is of any instant, also of one in which the personality has changed a half of what a
 * change of the file tree is, and the rest when the district goes on. So its tree is compared only
 * where the personality waits for its next event; damage that stays is found there.
 */
#include <stdio.h>
#include <string.h>

#include "mkdistrict.h"

#define USER_LIMIT    (1ull << 47)
#define FLAGS_ALLOWED 0x00254dd5ull /* CF PF AF ZF SF TF OF DF NT RF AC ID */
#define FLAGS_FIXED   0x202ull
#define FLAGS_KNOWN                                                                                \
    (DOMAIN_FOREIGN | DOMAIN_IN_FAULT | DOMAIN_OUTSIDE | DOMAIN_HAS_FPU | DOMAIN_POSTS_ONLY |      \
     DOMAIN_CRASHED)

struct checker {
    struct store *st;
    uint64_t generation;
    uint64_t errors;
    uint64_t domains;
    struct key files; /* root of the file tree, if found */
    bool at_rest;     /* whoever changes the file tree is not in the middle of something */
};

static void wrong(struct checker *c, oid_t oid, const char *what, uint64_t found)
{
    if (++c->errors <= DAMAGES_SHOWN)
        printf("generation %llu, object %#llx: %s (%#llx)\n", (unsigned long long)c->generation,
               (unsigned long long)oid, what, (unsigned long long)found);
}

static enum object_type type_of_key(const struct key *k)
{
    switch (k->type) {
    case KEY_PAGE:
        return OBJECT_PAGE;
    case KEY_NODE:
    case KEY_SEGMENT:
        return OBJECT_NODE;
    case KEY_DOMAIN:
    case KEY_START:
    case KEY_RESUME:
        return OBJECT_DOMAIN;
    default:
        return OBJECT_NONE;
    }
}

static void check_key(struct checker *c, oid_t holder, const struct key *k)
{
    enum object_type type = type_of_key(k);
    struct store_object o;

    if (k->type > KEY_LAST_PERSISTENT)
        wrong(c, holder, "a kind of key that no store may hold", k->type);
    if (k->type == KEY_SEGMENT && (k->tag == 0 || k->tag > SEGMENT_HEIGHT_MAX + 1))
        wrong(c, holder, "a segment key of an impossible height", k->tag);
    if (k->type == KEY_RANGE &&
        (k->tag > 60 || k->value > OID_LIMIT || key_range_count(*k) > OID_LIMIT - k->value))
        wrong(c, holder, "a range key beyond the ids of a district", k->value);
    if (type == OBJECT_NONE)
        return;
    if (store_get(c->st, c->generation, k->value, &o, NULL) != STORE_OK) {
        if (c->generation == 0)
            wrong(c, holder, "a key to an object that does not exist", k->value);
    } else if (o.type != type && (k->type == KEY_RESUME || o.version == k->version)) {
        wrong(c, holder, "a key to an object of another kind", k->value);
    }
}

static void check_list(struct checker *c, oid_t oid, uint32_t place)
{
    oid_t list[BW_PAGE_SIZE / sizeof(oid_t)];
    struct store_object o;
    oid_t page = OID_DOMAIN_LIST + place / 512;

    if (place >= OID_DOMAIN_LIST_PAGES * 512 ||
        store_get(c->st, c->generation, page, &o, list) != STORE_OK || list[place % 512] != oid)
        wrong(c, oid, "not in its place of the domain list", place);
}

static void check_domain(struct checker *c, oid_t oid, const struct domain_frame *f)
{
    const struct key *special[] = {&f->segment, &f->keeper, &f->meter, &f->spare};

    c->domains++;
    if (f->state > DOMAIN_WAITING)
        wrong(c, oid, "a domain in no known state", f->state);
    if (f->flags & ~FLAGS_KNOWN)
        wrong(c, oid, "a domain with unknown flags", f->flags);
    if (f->regs.rip >= USER_LIMIT || f->regs.fs_base >= USER_LIMIT || f->regs.gs_base >= USER_LIMIT)
        wrong(c, oid, "a domain with an address outside user space", f->regs.rip);
    if ((f->regs.rflags | FLAGS_FIXED) & ~(FLAGS_ALLOWED | FLAGS_FIXED))
        wrong(c, oid, "a domain with flags that no program may have", f->regs.rflags);
    if (f->call_count >> 48)
        wrong(c, oid, "a call count beyond 48 bits", f->call_count);
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
        check_key(c, oid, special[i]);
    for (unsigned i = 0; i < BW_KEY_REGISTERS; i++)
        check_key(c, oid, &f->keys[i]);
    if (f->keys[KR_IMAGE_FILES].type == KEY_NODE && f->keys[KR_IMAGE_METER].type == KEY_METER &&
        !(f->flags & DOMAIN_FOREIGN)) {
        c->files = f->keys[KR_IMAGE_FILES];
        c->at_rest |= f->state == DOMAIN_AVAILABLE;
    }
    check_list(c, oid, f->list_slot);
}

static int check_object(void *ctx, const struct store_object *o)
{
    struct checker *c = ctx;
    union {
        struct key slot[BW_NODE_SLOTS];
        struct domain_frame domain;
    } bytes;
    struct store_object again;
    int r;

    if (o->oid >= OID_LIMIT)
        wrong(c, o->oid, "an id that no object can have", o->oid);
    if (o->type == OBJECT_PAGE)
        return 0;
    r = store_get(c->st, c->generation, o->oid, &again, &bytes);
    if (r)
        return r;
    if (o->type == OBJECT_DOMAIN)
        check_domain(c, o->oid, &bytes.domain);
    for (unsigned i = 0; o->type == OBJECT_NODE && i < BW_NODE_SLOTS; i++)
        if (bytes.slot[i].type != KEY_VOID)
            check_key(c, o->oid, &bytes.slot[i]);
    return 0;
}

static void check_system(struct checker *c)
{
    union {
        struct system_page page;
        uint8_t bytes[BW_PAGE_SIZE];
    } s;
    struct store_object o;

    if (store_get(c->st, c->generation, OID_SYSTEM, &o, &s) != STORE_OK || o.type != OBJECT_PAGE) {
        wrong(c, OID_SYSTEM, "there is no system page", 0);
        return;
    }
    if (s.page.magic != SYSTEM_MAGIC)
        wrong(c, OID_SYSTEM, "the system page's mark is wrong", s.page.magic);
    if (s.page.abi_version > NUCLEUS_ABI_VERSION)
        wrong(c, OID_SYSTEM, "made for a newer nucleus", s.page.abi_version);
    if (s.page.domain_places > OID_DOMAIN_LIST_PAGES * 512)
        wrong(c, OID_SYSTEM, "more domains than the list has places", s.page.domain_places);
    if (s.page.epoch > c->generation)
        wrong(c, OID_SYSTEM, "from a later epoch than its generation", s.page.epoch);
    c->at_rest = s.page.monotonic == 0; /* it has never run */
}

uint64_t check_generation(struct store *st, uint64_t generation)
{
    struct checker c = {.st = st, .generation = generation};
    int r;

    check_system(&c);
    r = store_walk(st, generation, 0, check_object, &c);
    if (r)
        wrong(&c, 0, store_error_text(r), 0);
    if (c.domains == 0)
        wrong(&c, 0, "there is no domain", 0);
    if (c.files.type == KEY_NODE && c.at_rest)
        c.errors += check_filetree(st, generation, c.files);
    return c.errors;
}
