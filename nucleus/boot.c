/*
 * From the boot loader's information to the first domain: memory, the modules as a read-only
 * segment (the boot archive), and the supervisor, loaded from the module of that name. Everything
 * later is made by programs.
 */
#include <bailiwick/boot.h>
#include <bailiwick/native.h>
#include "cpu.h"
#include "district.h"
#include "domain.h"
#include "frame.h"
#include "paging.h"
#include "panic.h"
#include "segment.h"
#include "string.h"

#define MULTIBOOT_MAGIC  0x2badb002u
#define COMMAND_LINE_MAX 512u

struct multiboot_info {
    uint32_t flags, memory_lower, memory_upper, boot_device, command_line;
    uint32_t module_count, modules, symbols[4], map_length, map;
};
struct multiboot_module {
    uint32_t start, end, name, reserved;
};
struct multiboot_region {
    uint32_t size;
    uint64_t base, length;
    uint32_t type;
} __attribute__((packed));

struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_offset, section_offset;
    uint32_t flags;
    uint16_t header_size, program_size, program_count;
};
struct elf_program {
    uint32_t type, flags;
    uint64_t offset, address, physical, file_size, memory_size, align;
};

#define BOOT_OID       16ull        /* what is made here */
#define SUPERVISOR_OID 0x1000000ull /* KR_RANGE begins here; 2^50 ids */

char boot_command_line[COMMAND_LINE_MAX];
extern uint8_t nucleus_end[];

static struct boot_module modules[BOOT_MODULES_MAX];
static uint64_t module_address[BOOT_MODULES_MAX];
static size_t module_count;
static oid_t next_oid = BOOT_OID;
static struct object *space_root; /* of the supervisor */

void nucleus_main(uint32_t magic, uint32_t information) __attribute__((noreturn));

/* --- memory ----------------------------------------------------------------------------------- */

static const struct multiboot_region *next_region(const struct multiboot_info *info,
                                                  const struct multiboot_region *r)
{
    uint64_t end = info->map + info->map_length;
    uint64_t at = r == NULL ? info->map : frame_physical(r) + r->size + 4;
    return at + sizeof *r <= end ? frame_pointer(at) : NULL;
}

/** End of the highest RAM that begins below `below`. */
static uint64_t highest_ram(const struct multiboot_info *info, uint64_t below)
{
    uint64_t limit = 0;
    for (const struct multiboot_region *r = NULL; (r = next_region(info, r)) != NULL;)
        if (r->type == 1 && r->base < below && r->base + r->length > limit)
            limit = r->base + r->length;
    return limit;
}

/** Adds RAM in [from, to) that lies at or above `floor`. */
static void add_ram(const struct multiboot_info *info, uint64_t floor, uint64_t from, uint64_t to)
{
    for (const struct multiboot_region *r = NULL; (r = next_region(info, r)) != NULL;) {
        uint64_t start = r->base, end = r->base + r->length;
        if (start < from)
            start = from;
        if (start < floor)
            start = floor;
        if (end > to)
            end = to;
        if (r->type == 1 && start < end)
            frame_add(start, end & ~(uint64_t)4095);
    }
}

/** Name of a module: the file's base name without ".elf". */
static void module_name(char *to, const char *path)
{
    const char *base = path;
    for (const char *p = path; *p != 0 && *p != ' '; p++)
        if (*p == '/')
            base = p + 1;
    size_t n = 0;
    while (base[n] != 0 && base[n] != ' ' && n < BOOT_NAME_MAX - 1)
        n++;
    if (n > 4 && memcmp(base + n - 4, ".elf", 4) == 0)
        n -= 4;
    memcpy(to, base, n);
}

/** Copies what the loader said before its memory is used for anything else. @return end of all it
 * uses */
static uint64_t read_modules(const struct multiboot_info *info)
{
    uint64_t end = (uint64_t)nucleus_end - NUCLEUS_MAP;
    const struct multiboot_module *m = frame_pointer(info->modules);
    assert(info->module_count > 0 && info->module_count <= BOOT_MODULES_MAX,
           "the boot loader passes 1 to 64 modules");
    for (module_count = 0; module_count < info->module_count; module_count++, m++) {
        assert(m->start % BW_PAGE_SIZE == 0 && m->end >= m->start, "modules are page-aligned");
        module_name(modules[module_count].name, frame_pointer(m->name));
        modules[module_count].size = m->end - m->start;
        module_address[module_count] = m->start;
        if (m->end > end)
            end = m->end;
        if (m->name + 256 > end && m->name < end + (1u << 20))
            end = m->name + 256;
    }
    const char *line = info->flags & 4 ? frame_pointer(info->command_line) : "";
    for (size_t i = 0; line[i] != 0 && i < COMMAND_LINE_MAX - 1; i++)
        boot_command_line[i] = line[i];
    uint64_t tables[] = {frame_physical(info) + sizeof *info, info->map + info->map_length,
                         info->modules + info->module_count * sizeof *m};
    for (unsigned i = 0; i < 3; i++)
        if (tables[i] > end && tables[i] < end + (1u << 20))
            end = tables[i];
    return (end + 4095) & ~(uint64_t)4095;
}

static void memory_init(const struct multiboot_info *info)
{
    uint64_t limit = highest_ram(info, UINT64_MAX), table = read_modules(info);
    if (limit <= 16u << 20)
        cannot_run("the machine lacks", "memory (more than 16 MiB)");
    uint64_t floor = table + frame_table_size(limit);
    frame_init(table, limit);
    frame_hole(0xa0000, 1u << 20); /* the screen and the BIOS */
    frame_hole((highest_ram(info, 1ull << 32) + 4095) & ~(uint64_t)4095, 1ull << 32);
    add_ram(info, floor, 1u << 20, 1ull << 32);
    /* The loader's map may lie where frames are now: nothing has been handed out that was written
     * yet, but the part above 4 GiB is read first. */
    struct range_map high[8];
    unsigned count = 0;
    for (const struct multiboot_region *r = NULL; (r = next_region(info, r)) != NULL;)
        if (r->type == 1 && r->base >= 1ull << 32 && count < 8)
            high[count++] = (struct range_map){r->base, (r->base + r->length) & ~(uint64_t)4095};
    paging_init(limit);
    for (unsigned i = 0; i < count; i++)
        frame_add(high[i].from, high[i].to);
}

/* --- objects ---------------------------------------------------------------------------------- */

static struct object *make(enum object_type type)
{
    struct object *o = NULL;
    int r = object_create(COMMONS, next_oid++, type, &o);
    assert(r == BW_OK, "there is memory for the supervisor");
    return o;
}

static struct key segment_of(const struct object *node, unsigned height, uint8_t rights)
{
    struct key k = object_key(node);
    k.type = KEY_SEGMENT;
    k.tag = (uint16_t)height;
    k.rights = rights;
    return k;
}

/** The module bytes, in place, below the module table. @return the archive's root, a node of height
 * 2 */
static struct object *make_archive(void)
{
    struct object *root = make(OBJECT_NODE), *leaf = NULL, *first = make(OBJECT_PAGE);
    size_t page = 0;
    for (size_t m = 0; m <= module_count; m++) {
        size_t n = m == 0 ? 1 : (modules[m - 1].size + 4095) / 4096;
        if (m > 0)
            modules[m - 1].offset = page * BW_PAGE_SIZE;
        for (size_t i = 0; i < n; i++, page++) {
            assert(page < BW_NODE_SLOTS * BW_NODE_SLOTS, "the modules fit into 256 MiB");
            if (page % BW_NODE_SLOTS == 0) {
                leaf = make(OBJECT_NODE);
                node_slots(root)[page / BW_NODE_SLOTS] = segment_of(leaf, 1, RIGHT_EXECUTE);
            }
            uint8_t *at = m == 0 ? NULL : frame_pointer(module_address[m - 1] + i * BW_PAGE_SIZE);
            if (at != NULL)
                frame_adopt(at);
            struct object *o = m == 0 ? first : object_adopt(COMMONS, next_oid++, OBJECT_PAGE, at);
            assert(o != NULL, "there is memory for the boot archive");
            struct key k = object_key(o);
            k.rights = 0;
            node_slots(leaf)[page % BW_NODE_SLOTS] = k;
        }
    }
    memcpy(first->data, modules, sizeof modules);
    return root;
}

/** The node of `height` that covers an address of the supervisor's space, made if it is not there.
 */
static struct object *space_node(uint64_t address, unsigned height)
{
    struct object *node = space_root;
    for (unsigned h = NATIVE_HEIGHT; h > height; h--) {
        struct key *slot = &node_slots(node)[segment_slot(address, h)];
        if (slot->type == KEY_VOID)
            *slot = segment_of(make(OBJECT_NODE), h - 1, RIGHT_WRITE | RIGHT_EXECUTE);
        struct object *next = object_lookup(COMMONS, slot->value);
        assert(next != NULL, "a node that was made is there");
        node = next;
    }
    return node;
}

static uint8_t *space_page(uint64_t address, uint8_t rights)
{
    struct key *slot = &node_slots(space_node(address, 1))[segment_slot(address, 1)];
    if (slot->type == KEY_VOID)
        *slot = object_key(make(OBJECT_PAGE));
    slot->rights = rights;
    struct object *page = object_lookup(COMMONS, slot->value);
    assert(page != NULL, "a page that was made is there");
    return page->data;
}

static void load_segment(const uint8_t *file, const struct elf_program *p)
{
    uint8_t rights = p->flags & 2 ? RIGHT_WRITE : p->flags & 1 ? RIGHT_EXECUTE : 0;
    assert(p->address >= NATIVE_BASE && p->address + p->memory_size <= NATIVE_LIMIT,
           "the supervisor is linked as native.h says");
    for (uint64_t at = p->address; at < p->address + p->memory_size;) {
        uint64_t offset = at % BW_PAGE_SIZE, n = BW_PAGE_SIZE - offset, done = at - p->address;
        uint8_t *page = space_page(at, rights);
        if (done < p->file_size)
            memcpy(page + offset, file + p->offset + done,
                   p->file_size - done < n ? p->file_size - done : n);
        at += n;
    }
}

static uint64_t load_supervisor(void)
{
    size_t m = 0;
    while (m < module_count && memcmp(modules[m].name, "supervisor", 11) != 0)
        m++;
    assert(m < module_count, "one module is the supervisor");
    const uint8_t *file = frame_pointer(module_address[m]);
    const struct elf_header *h = (const struct elf_header *)file;
    assert(modules[m].size > sizeof *h && memcmp(h->ident, "\177ELF\2\1", 6) == 0 &&
               h->program_offset + h->program_count * sizeof(struct elf_program) <= modules[m].size,
           "the supervisor is an ELF64 file");
    const struct elf_program *p = (const struct elf_program *)(file + h->program_offset);
    for (unsigned i = 0; i < h->program_count; i++) {
        assert(p[i].offset + p[i].file_size <= modules[m].size, "the supervisor's file is whole");
        if (p[i].type == 1)
            load_segment(file, &p[i]);
    }
    for (uint64_t at = NATIVE_STACK_TOP - NATIVE_STACK_SIZE; at < NATIVE_STACK_TOP;
         at += BW_PAGE_SIZE)
        (void)space_page(at, RIGHT_WRITE);
    return h->entry;
}

static struct activity *make_supervisor(struct object *archive)
{
    space_root = make(OBJECT_NODE);
    uint64_t entry = load_supervisor();
    struct key boot_segment = segment_of(archive, 2, RIGHT_EXECUTE);
    node_slots(space_root)[BOOT_ARCHIVE / segment_span(2)] = boot_segment;
    struct object *domain = make(OBJECT_DOMAIN);
    struct domain_frame *f = (struct domain_frame *)domain->data;
    f->regs.rip = entry;
    f->regs.rsp = NATIVE_STACK_TOP - 16;
    f->regs.rdi = module_count;
    f->segment = segment_of(space_root, NATIVE_HEIGHT, RIGHT_WRITE | RIGHT_EXECUTE);
    f->meter = (struct key){.type = KEY_METER, .tag = 0};
    f->keys[KR_SELF] = object_key(domain);
    f->keys[KR_SPACE] = f->segment;
    f->keys[KR_RANGE] =
        (struct key){.type = KEY_RANGE, .tag = 20, .version = 1u << 30, .value = SUPERVISOR_OID};
    f->keys[KR_PROGRAM] = (struct key){.type = KEY_NUCLEUS};
    f->keys[KR_PROGRAM + 1] = boot_segment;
    struct activity *a = object_activity(domain);
    domain_refresh(a);
    domain_set_state(a, DOMAIN_RUNNING);
    return a;
}

void nucleus_main(uint32_t magic, uint32_t information)
{
    cpu_init();
    assert(magic == MULTIBOOT_MAGIC, "the boot loader speaks Multiboot");
    const struct multiboot_info *info = frame_pointer(information);
    assert((info->flags & 0x48) == 0x48, "the boot loader passes a memory map and modules");
    memory_init(info);
    interrupt_init();
    clock_init();
    fpu_init();
    object_init(frame_count());
    district_init();
    log_line("nucleus: %lu MiB of memory, TSC %lu MHz, %lu modules", (uint64_t)frame_count() >> 8,
             (clock_tsc_hz() + 500000) / 1000000, (uint64_t)module_count);
    schedule_run(make_supervisor(make_archive()));
}
