/*
 * Reads ELF64 headers (elf.h). Every field is a claim until checked: sizes and sums against the
 * file and the address space.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include "elf.h"
#include "vm.h"

#define ET_EXEC      2
#define ET_DYN       3
#define EM_X86_64    62
#define PT_LOAD      1
#define PT_INTERP    3
#define PT_GNU_STACK 0x6474e551u
#define PF_X         1u
#define PF_W         2u
#define PF_R         4u
#define HEADERS_MAX  ((ELF_HEADER_SIZE - sizeof(struct elf_header)) / sizeof(struct program_header))

struct elf_header {
    uint8_t magic[4], class, data, version, abi, pad[8];
    uint16_t type, machine;
    uint32_t version2;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
_Static_assert(sizeof(struct elf_header) == 64, "ELF64 header");

struct program_header {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
_Static_assert(sizeof(struct program_header) == 56, "ELF64 program header");

static bool header_is_good(const struct elf_header *h)
{
    return !memcmp(h->magic, "\177ELF", 4) && h->class == 2 && h->data == 1 &&
           (h->type == ET_EXEC || h->type == ET_DYN) && h->machine == EM_X86_64 &&
           h->phentsize == sizeof(struct program_header) && h->phnum && h->phnum <= HEADERS_MAX;
}

static int add_segment(struct elf_plan *plan, const struct program_header *p, uint64_t file_size)
{
    struct elf_segment *s = &plan->segment[plan->segments];

    if (!p->memsz) {
        return 0;
    }
    if (plan->segments == ELF_SEGMENTS_MAX || p->filesz > p->memsz || p->vaddr >= SPACE_TOP ||
        p->memsz > SPACE_TOP - p->vaddr || p->offset > file_size ||
        p->filesz > file_size - p->offset || ((p->vaddr ^ p->offset) & (PAGE - 1)) ||
        PAGE_FLOOR(p->vaddr) < plan->high) {
        return -ENOEXEC;
    }
    s->address = p->vaddr;
    s->file_offset = p->offset;
    s->file_size = p->filesz;
    s->memory_size = p->memsz;
    s->prot = (p->flags & PF_R ? VM_READ : 0) | (p->flags & PF_W ? VM_WRITE : 0) |
              (p->flags & PF_X ? VM_EXEC : 0);
    if (!plan->segments) {
        plan->low = PAGE_FLOOR(p->vaddr);
    }
    plan->high = PAGE_CEIL(p->vaddr + p->memsz);
    plan->segments++;
    return 0;
}

/** Where the headers lie in memory: in the segment whose file bytes hold them. */
static void find_headers(struct elf_plan *plan, const struct elf_header *h)
{
    for (unsigned i = 0; i < plan->segments; i++) {
        const struct elf_segment *s = &plan->segment[i];

        if (s->file_offset <= h->phoff && h->phoff - s->file_offset < s->file_size) {
            plan->headers = s->address + (h->phoff - s->file_offset);
        }
    }
}

int elf_plan(const void *bytes, size_t n, uint64_t file_size, struct elf_plan *plan)
{
    struct elf_header h;
    struct program_header p;

    memset(plan, 0, sizeof *plan);
    if (n < sizeof h) {
        return -ENOEXEC;
    }
    memcpy(&h, bytes, sizeof h);
    if (!header_is_good(&h) || h.phoff > n || (n - h.phoff) / sizeof p < h.phnum) {
        return -ENOEXEC;
    }
    plan->entry = h.entry;
    plan->fixed = h.type == ET_EXEC;
    plan->header_size = h.phentsize;
    plan->header_count = h.phnum;
    for (unsigned i = 0; i < h.phnum; i++) {
        memcpy(&p, (const char *)bytes + h.phoff + i * sizeof p, sizeof p);
        if (p.type == PT_LOAD && add_segment(plan, &p, file_size)) {
            return -ENOEXEC;
        }
        if (p.type == PT_INTERP) {
            if (p.filesz < 2 || p.filesz > ELF_INTERPRETER_MAX || p.offset > file_size ||
                p.filesz > file_size - p.offset) {
                return -ENOEXEC;
            }
            plan->interpreter_offset = p.offset;
            plan->interpreter_size = p.filesz;
        }
        if (p.type == PT_GNU_STACK) {
            plan->executable_stack = (p.flags & PF_X) != 0;
        }
    }
    if (!plan->segments || (plan->fixed && plan->low < SPACE_LOW)) {
        return -ENOEXEC;
    }
    find_headers(plan, &h);
    return 0;
}
