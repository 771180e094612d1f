/*
 * From a module of the boot archive to an address space (native.h).
 *
 * Pages of text and read-only data are the archive's own where its keys allow that, else copies;
 * pages of data are copies whose tail behind the file's bytes is zeroed; the rest of bss and the
 * stack are fresh. All objects made are of the program's own range, from offset 0 on, and fewer
 * than NATIVE_RANGE_USED.
 */
#include "supervisor.h"

#include <elf.h>
#include <string.h>

#define PAGE_DOWN(a) ((a) & ~(uint64_t)(BW_PAGE_SIZE - 1))
#define NODE_RIGHTS  (RIGHT_WRITE | RIGHT_EXECUTE)
#define PAGE_UP(a)   PAGE_DOWN((a) + BW_PAGE_SIZE - 1)

static uint64_t next_offset; /* in KR_NEW_RANGE */

const struct boot_module *module_find(const char *name)
{
    const struct boot_module *module = (const struct boot_module *)BOOT_ARCHIVE;

    for (unsigned n = 0; n < BOOT_MODULES_MAX && module[n].name[0]; n++) {
        if (strncmp(module[n].name, name, BOOT_NAME_MAX) == 0) {
            return &module[n];
        }
    }
    return NULL;
}

/* An order to the new space that may meet missing nodes on its way: makes them, and tries again. */
static int64_t put(const struct message *order)
{
    struct message m = *order;

    for (unsigned tries = 0; bw_call(KEY_AT(KR_NEW_ROOT), &m) == BW_ABSENT; tries++) {
        uint64_t height = m.word[0];

        if (height == 0 || height >= NATIVE_HEIGHT || tries > 2 * NATIVE_HEIGHT) {
            return BW_ARGUMENT;
        }
        m = (struct message){
            .code = SEGMENT_CREATE,
            .word = {order->word[0], height | OBJECT_NODE << 8 | NODE_RIGHTS << 16, next_offset++},
            .send = {KEY_AT(KR_NEW_RANGE)}};
        bw_call(KEY_AT(KR_NEW_ROOT), &m);
        m = *order;
    }
    return m.code;
}

/* Creates a page at `address` of the new space; `copy`: place of the page that it starts as, or 0.
 */
static int64_t create_page(uint64_t address, unsigned rights, uint16_t copy)
{
    struct message m = {.code = SEGMENT_CREATE,
                        .word = {address, OBJECT_PAGE << 8 | rights << 16, next_offset++},
                        .send = {KEY_AT(KR_NEW_RANGE), copy}};

    /* The domain has the last id. */
    return next_offset < NATIVE_RANGE_USED ? put(&m) : BW_LIMIT;
}

static int64_t make_root(void)
{
    struct message m = {
        .code = RANGE_CREATE, .word = {next_offset++, OBJECT_NODE}, .take = {KEY_AT(KR_TEMP)}};

    if (bw_call(KEY_AT(KR_NEW_RANGE), &m) < 0) {
        return m.code;
    }
    m = (struct message){
        .code = NODE_SEGMENT, .word = {NATIVE_HEIGHT, NODE_RIGHTS}, .take = {KEY_AT(KR_NEW_ROOT)}};
    return bw_call(KEY_AT(KR_TEMP), &m);
}

static int64_t fresh_pages(uint64_t from, uint64_t to)
{
    int64_t result = BW_OK;

    for (uint64_t a = from; a < to && result >= 0; a += BW_PAGE_SIZE) {
        result = create_page(a, RIGHT_WRITE, 0);
    }
    return result;
}

/* Puts the archive's own page into the new space, if its key gives at least `rights`. */
static bool share_page(uint64_t address, unsigned rights)
{
    struct message m = {.send = {KEY_AT(KR_TEMP)}};

    bw_self(SELF_IDENTIFY, &m);
    if ((m.word[0] >> 8 & rights) != rights) {
        return false;
    }
    m = (struct message){.word = {rights}, .send = {KEY_AT(KR_TEMP)}, .take = {KEY_AT(KR_TEMP)}};
    if (bw_self(SELF_WEAKEN, &m) < 0) {
        return false;
    }
    m = (struct message){.code = SEGMENT_PUT, .word = {address, 0}, .send = {KEY_AT(KR_TEMP)}};
    return put(&m) >= 0;
}

/* One page of the file, at `offset` of the archive. */
static int64_t file_page(uint64_t address, uint64_t offset, unsigned rights)
{
    struct message m = {.code = SEGMENT_GET, .word = {offset, 0}, .take = {KEY_AT(KR_TEMP)}};

    if (bw_call(KEY_AT(KR_ARCHIVE), &m) < 0) {
        return m.code;
    }
    if (!(rights & RIGHT_WRITE) && share_page(address, rights)) {
        return BW_OK;
    }
    return create_page(address, rights, KEY_AT(KR_TEMP));
}

static int64_t zero(uint64_t from, uint64_t to)
{
    struct message m = {.code = SEGMENT_ZERO, .word = {from, to - from}};

    return from < to ? bw_call(KEY_AT(KR_NEW_ROOT), &m) : BW_OK;
}

static int64_t load_segment(const struct boot_module *module, const Elf64_Phdr *p)
{
    uint64_t first = PAGE_DOWN(p->p_vaddr);
    uint64_t file_end = p->p_vaddr + p->p_filesz;
    uint64_t copied = p->p_filesz ? PAGE_UP(file_end) : first;
    uint64_t offset = module->offset + PAGE_DOWN(p->p_offset);
    unsigned rights = p->p_flags & PF_W ? RIGHT_WRITE : p->p_flags & PF_X ? RIGHT_EXECUTE : 0;
    int64_t result = BW_OK;

    for (uint64_t a = first; a < copied && result >= 0; a += BW_PAGE_SIZE) {
        result = file_page(a, offset + (a - first), rights);
    }
    if (result >= 0 && rights & RIGHT_WRITE) {
        result = zero(file_end, copied);
    }
    return result < 0 ? result : fresh_pages(copied, PAGE_UP(p->p_vaddr + p->p_memsz));
}

/* Whether the module is an ELF file of native.h's layout, whose segments lie within it. */
static bool acceptable(const struct boot_module *module, const Elf64_Ehdr *e)
{
    const Elf64_Phdr *p = (const Elf64_Phdr *)((const char *)e + sizeof(*e));

    if (module->size < BW_PAGE_SIZE || memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 ||
        e->e_ident[EI_CLASS] != ELFCLASS64 || e->e_type != ET_EXEC || e->e_machine != EM_X86_64 ||
        e->e_phoff != sizeof(*e) || e->e_phentsize != sizeof(*p) || e->e_phnum > 16) {
        return false;
    }
    for (unsigned n = 0; n < e->e_phnum; n++) {
        if (p[n].p_type != PT_LOAD) {
            continue;
        }
        if (p[n].p_filesz > p[n].p_memsz || p[n].p_offset > module->size ||
            p[n].p_filesz > module->size - p[n].p_offset || p[n].p_vaddr < NATIVE_BASE ||
            p[n].p_vaddr > NATIVE_LIMIT || p[n].p_memsz > NATIVE_LIMIT - p[n].p_vaddr ||
            (p[n].p_vaddr - p[n].p_offset) % BW_PAGE_SIZE) {
            return false;
        }
    }
    return true;
}

int64_t load_program(const struct boot_module *module, uint64_t *entry)
{
    const Elf64_Ehdr *e = (const Elf64_Ehdr *)(BOOT_ARCHIVE + module->offset);
    const Elf64_Phdr *p = (const Elf64_Phdr *)(e + 1);
    int64_t result;

    if (!acceptable(module, e)) {
        return BW_ARGUMENT;
    }
    next_offset = 0;
    result = make_root();
    for (unsigned n = 0; n < e->e_phnum && result >= 0; n++) {
        if (p[n].p_type == PT_LOAD && p[n].p_memsz) {
            result = load_segment(module, &p[n]);
        }
    }
    if (result >= 0) {
        result = fresh_pages(NATIVE_STACK_TOP - NATIVE_STACK_SIZE, NATIVE_STACK_TOP);
    }
    *entry = e->e_entry;
    return result;
}
