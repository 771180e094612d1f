/*
 * Loading a native program: a static ELF64 within NATIVE_BASE .. NATIVE_LIMIT, page by page, W^X.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mkdistrict.h"

#define PROGRAM_MAX (64u << 20)

static uint8_t *read_whole(const char *path, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat s;
    uint8_t *bytes;

    if (fd < 0 || fstat(fd, &s))
        fail("%s: %s", path, strerror(errno));
    if (s.st_size < (off_t)sizeof(Elf64_Ehdr) || s.st_size > PROGRAM_MAX)
        fail("%s: not a native program", path);
    bytes = allocate((size_t)s.st_size);
    if (read(fd, bytes, (size_t)s.st_size) != s.st_size)
        fail("%s: cannot read it", path);
    close(fd);
    *size = (size_t)s.st_size;
    return bytes;
}

static void check_header(const char *path, const Elf64_Ehdr *e, size_t size)
{
    if (memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 || e->e_ident[EI_CLASS] != ELFCLASS64 ||
        e->e_machine != EM_X86_64 || e->e_type != ET_EXEC || e->e_phentsize != sizeof(Elf64_Phdr))
        fail("%s: not a native program", path);
    if (e->e_phoff > size || e->e_phnum > (size - e->e_phoff) / sizeof(Elf64_Phdr))
        fail("%s: cut off", path);
}

static void check_segment(const char *path, const Elf64_Phdr *p, size_t size)
{
    if (p->p_filesz > p->p_memsz || p->p_offset > size || p->p_filesz > size - p->p_offset)
        fail("%s: cut off", path);
    if (p->p_vaddr < NATIVE_BASE || p->p_memsz > NATIVE_LIMIT ||
        p->p_vaddr + p->p_memsz > NATIVE_LIMIT)
        fail("%s: linked outside the space of native programs", path);
    if (p->p_flags & PF_W && p->p_flags & PF_X)
        fail("%s: a segment is writable and executable", path);
}

static unsigned rights_of(const Elf64_Phdr *p)
{
    return (p->p_flags & PF_W ? RIGHT_WRITE : 0) | (p->p_flags & PF_X ? RIGHT_EXECUTE : 0);
}

static void load_segment(struct builder *b, const char *path, const uint8_t *file,
                         const Elf64_Phdr *p, struct segment *space)
{
    uint64_t first = p->p_vaddr / BW_PAGE_SIZE, end = p->p_vaddr + p->p_memsz;

    for (uint64_t page = first; page * BW_PAGE_SIZE < end; page++) {
        uint64_t from = page * BW_PAGE_SIZE, lo = from > p->p_vaddr ? from : p->p_vaddr;
        uint64_t hi = p->p_vaddr + p->p_filesz;
        _Alignas(8) uint8_t bytes[BW_PAGE_SIZE] = {0};
        oid_t oid = builder_id(b);

        if (hi > from + BW_PAGE_SIZE)
            hi = from + BW_PAGE_SIZE;
        if (hi > lo)
            memcpy(bytes + (lo - from), file + p->p_offset + (lo - p->p_vaddr), hi - lo);
        if (segment_get(space, page).type != KEY_VOID)
            fail("%s: two segments share a page", path);
        builder_put(b, oid, OBJECT_PAGE, bytes);
        segment_put(b, space, 0, page, make_key(KEY_PAGE, rights_of(p), 0, oid));
    }
}

uint64_t elf_load(struct builder *b, const char *path, struct segment *space)
{
    size_t size;
    uint8_t *file = read_whole(path, &size);
    const Elf64_Ehdr *e = (const Elf64_Ehdr *)file;
    uint64_t entry;

    check_header(path, e, size);
    for (unsigned i = 0; i < e->e_phnum; i++) {
        Elf64_Phdr p;

        memcpy(&p, file + e->e_phoff + i * sizeof(p), sizeof(p));
        if (p.p_type != PT_LOAD || p.p_memsz == 0)
            continue;
        check_segment(path, &p, size);
        load_segment(b, path, file, &p, space);
    }
    entry = e->e_entry;
    free(file);
    return entry;
}
