/*
 * dump, continued: objects as the nucleus sees them (key.h, domain.h, district.h), and inodes
 * (filetree.h).
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dump.h"

/** "page 0x1002 version 1, write" */
static const char *show_key(const struct key *k, char buf[120])
{
    static const char *const name[] = {"void",  "number", "page",  "node", "segment", "domain",
                                       "start", "resume", "range", "link", "meter",   "grant"};
    const char *type = k->type <= KEY_LAST_PERSISTENT ? name[k->type] : "FORBIDDEN";
    unsigned long long value = k->value;
    size_t n;

    switch (k->type) {
    case KEY_VOID:
        return "void";
    case KEY_PAGE:
    case KEY_NODE:
    case KEY_DOMAIN:
        n = (size_t)snprintf(buf, 120, "%s %#llx version %u", type, value, k->version);
        break;
    case KEY_SEGMENT:
        n = (size_t)snprintf(buf, 120, "%s %#llx version %u, height %u", type, value, k->version,
                             k->tag);
        break;
    case KEY_START:
        n = (size_t)snprintf(buf, 120, "%s %#llx version %u, badge %u", type, value, k->version,
                             k->tag);
        break;
    case KEY_RESUME:
        n = (size_t)snprintf(buf, 120, "%s %#llx call %llu", type, value,
                             (unsigned long long)key_call_count(*k));
        break;
    case KEY_RANGE:
        n = (size_t)snprintf(buf, 120, "%s %#llx, %u << %u ids", type, value, k->version, k->tag);
        break;
    default:
        n = (size_t)snprintf(buf, 120, "%s %u: value %#llx, version %u, tag %u", type, k->type,
                             value, k->version, k->tag);
    }
    snprintf(buf + n, 120 - n, "%s%s%s", k->rights & RIGHT_WRITE ? ", write" : "",
             k->rights & RIGHT_EXECUTE ? ", execute" : "",
             k->rights & RIGHT_SENSE ? ", sense" : "");
    return buf;
}

static void dump_key(const char *name, const struct key *k)
{
    char text[120];

    dump_field(name, "%s", show_key(k, text));
}

/** Void ones are left out. */
static void dump_keys(const char *name, const struct key *k, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char title[32];

        if (k[i].type == KEY_VOID)
            continue;
        snprintf(title, sizeof(title), "%s %u", name, i);
        dump_key(title, &k[i]);
    }
}

static void dump_regs(const struct regs *r)
{
    static const char *const name[] = {"rax", "rbx", "rcx", "rdx",    "rsi",     "rdi",    "rbp",
                                       "rsp", "r8",  "r9",  "r10",    "r11",     "r12",    "r13",
                                       "r14", "r15", "rip", "rflags", "fs base", "gs base"};
    uint64_t value[sizeof(name) / sizeof(name[0])];

    _Static_assert(sizeof(value) == sizeof(*r), "every register has a name");
    memcpy(value, r, sizeof(value));
    for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++)
        dump_field(name[i], "%#llx", (unsigned long long)value[i]);
}

static void dump_domain(const struct domain_frame *f)
{
    static const char *const state[] = {"stopped", "running", "available", "waiting"};
    static const char *const flag[] = {"foreign", "in fault",   "outside",
                                       "has fpu", "posts only", "crashed"};

    dump_field("state", "%u %s", f->state, f->state < 4 ? state[f->state] : "WRONG");
    printf("  %-20s %#x", "flags", f->flags);
    for (unsigned i = 0; i < sizeof(flag) / sizeof(flag[0]); i++)
        if (f->flags >> i & 1)
            printf(", %s", flag[i]);
    putchar('\n');
    dump_regs(&f->regs);
    dump_field("call count", "%llu", (unsigned long long)f->call_count);
    if (f->deadline == BW_NO_DEADLINE)
        dump_field("deadline", "none");
    else
        dump_field("deadline", "%llu ns", (unsigned long long)f->deadline);
    dump_field("posted", "%#llx", (unsigned long long)f->posted);
    dump_field("place in the list", "%u", f->list_slot);
    dump_field("last fault", "code %u, error %#llx, address %#llx", f->fault_code,
               (unsigned long long)f->fault_error, (unsigned long long)f->fault_address);
    dump_key("segment", &f->segment);
    dump_key("keeper", &f->keeper);
    dump_key("meter", &f->meter);
    dump_key("spare", &f->spare);
    dump_keys("key register", f->keys, BW_KEY_REGISTERS);
    if (f->flags & DOMAIN_HAS_FPU) {
        printf("  floating point state\n");
        dump_hex(f->fpu, DOMAIN_FPU_SIZE);
    }
}

static void dump_system_page(const struct system_page *s)
{
    char when[40];

    dump_field("magic", "%#llx%s", (unsigned long long)s->magic,
               s->magic == SYSTEM_MAGIC ? "" : " WRONG");
    dump_field("ABI version", "%u", s->abi_version);
    dump_field("commons version", "%u", s->commons_version);
    dump_field("bank version", "%u", s->bank_version);
    dump_field("steward version", "%u", s->steward_version);
    dump_field("unix version", "%u", s->unix_version);
    dump_field("crash policy", "%u", s->crash_policy);
    dump_field("CPU features", "%#llx", (unsigned long long)s->cpu_features);
    dump_field("monotonic", "%llu ns", (unsigned long long)s->monotonic);
    dump_field("boottime", "%llu ns", (unsigned long long)s->boottime);
    dump_field("realtime", "%llu (%s)", (unsigned long long)s->realtime,
               show_when(s->realtime, when));
    dump_field("epoch", "%llu", (unsigned long long)s->epoch);
    dump_field("domain places", "%u", s->domain_places);
    dump_field("link version", "%u", s->link_version);
    printf("  %-20s \"", "name");
    for (size_t i = 0; i < sizeof(s->name) && s->name[i]; i++)
        putchar(isprint((unsigned char)s->name[i]) ? s->name[i] : '?');
    printf("\"\n");
}

static void dump_domain_list(oid_t page, const oid_t *list)
{
    for (unsigned i = 0; i < BW_PAGE_SIZE / sizeof(oid_t); i++) {
        char title[32];

        if (list[i] == 0)
            continue;
        snprintf(title, sizeof(title), "place %u", (unsigned)((page - OID_DOMAIN_LIST) * 512) + i);
        dump_field(title, "domain %#llx", (unsigned long long)list[i]);
    }
}

void dump_object(struct opened *o, oid_t oid)
{
    static const char *const type[] = {"none", "page", "node", "domain"};
    union {
        struct key slot[BW_NODE_SLOTS];
        struct domain_frame domain;
        struct system_page system;
        oid_t list[BW_PAGE_SIZE / sizeof(oid_t)];
        uint8_t bytes[BW_PAGE_SIZE];
    } b;
    struct store_object s;
    int r = store_get(o->store, o->generation.number, oid, &s, &b);

    if (r == STORE_ABSENT)
        fail("%s: generation %llu has no object %#llx", o->path,
             (unsigned long long)o->generation.number, (unsigned long long)oid);
    opened_check(o, r);
    printf("object %#llx in generation %llu\n", (unsigned long long)oid,
           (unsigned long long)o->generation.number);
    dump_field("type", "%s", type[s.type & 3]);
    dump_field("version", "%u", s.version);
    dump_field("birth", "generation %llu", (unsigned long long)s.birth);
    if (!s.bytes) {
        dump_field("bytes", "all zero, no block");
        return;
    }
    dump_field("bytes", "block %llu", (unsigned long long)s.block);
    if (s.type == OBJECT_NODE)
        dump_keys("slot", b.slot, BW_NODE_SLOTS);
    else if (s.type == OBJECT_DOMAIN)
        dump_domain(&b.domain);
    else if (oid == OID_SYSTEM)
        dump_system_page(&b.system);
    else if (oid >= OID_DOMAIN_LIST && oid < OID_DOMAIN_LIST + OID_DOMAIN_LIST_PAGES)
        dump_domain_list(oid, b.list);
    else
        dump_hex(b.bytes, BW_PAGE_SIZE);
}

/* --- inodes ----------------------------------------------------------------------------------- */

static void dump_time(const char *name, uint64_t ns)
{
    char when[40];

    dump_field(name, "%llu (%s)", (unsigned long long)ns, show_when(ns, when));
}

static int dump_name(void *ctx, const char *name, uint32_t number)
{
    (void)ctx;
    printf("  entry                inode %u \"", number);
    for (; *name; name++)
        putchar((unsigned char)*name >= ' ' && *name != 127 ? *name : '?');
    printf("\"\n");
    return 0;
}

/** The pages of a file, rows of following ids as one line. */
static void dump_pages(struct files *t, struct key data, const struct filetree_inode *i)
{
    uint64_t pages = (i->size + BW_PAGE_SIZE - 1) / BW_PAGE_SIZE, first = 0;
    struct key before = key_void();

    for (uint64_t p = 0; p <= pages; p++) {
        uint64_t next = p < pages ? files_next(t, data, p) : p;
        struct key k = next == p && p < pages ? files_page_key(t, data, p) : key_void();

        if (before.type == KEY_PAGE &&
            (k.type != KEY_PAGE || k.value != before.value + 1 || k.version != before.version))
            printf("  pages %llu .. %llu: objects %#llx and on\n", (unsigned long long)first,
                   (unsigned long long)p - 1, (unsigned long long)(before.value - (p - 1 - first)));
        if (before.type != KEY_PAGE || k.value != before.value + 1 || k.version != before.version)
            first = p;
        before = k;
        if (next > p)
            p = (next < pages ? next : pages) - 1;
    }
}

void dump_inode(struct opened *o, const char *which)
{
    struct filetree_inode i;
    struct key data;
    struct files t;
    uint32_t number;
    char *end;

    files_open(&t, o);
    number = (uint32_t)strtoul(which, &end, 10);
    if (!isdigit((unsigned char)which[0]) || *end)
        number = files_find(&t, which, false, &i);
    else if (!files_inode(&t, number, &i) && (number == 0 || number >= t.super.inodes))
        fail("%s: inode %s: the file tree has inodes 1 to %u", o->path, which, t.super.inodes - 1);
    data = files_data_key(&t, number);
    printf("inode %u in generation %llu\n", number, (unsigned long long)t.generation);
    dump_field("mode", "%#o%s", i.mode, i.mode ? "" : " (free)");
    dump_field("links", "%u", i.links);
    dump_field("uid, gid", "%u, %u", i.uid, i.gid);
    dump_field("size", "%llu", (unsigned long long)i.size);
    dump_time("atime", i.atime);
    dump_time("mtime", i.mtime);
    dump_time("ctime", i.ctime);
    dump_field("pages", "%llu", (unsigned long long)i.pages);
    dump_field("device", "%u, %u", i.rdev >> 8, i.rdev & 255);
    dump_field("next free", "%u", i.next);
    dump_field("height", "%u", i.height);
    dump_key("data", &data);
    if (S_ISDIR(i.mode))
        files_each(&t, number, &i, dump_name, NULL);
    else if (i.mode)
        dump_pages(&t, data, &i);
}
