/*
 * ELF64 executables and shared objects: what has to be mapped where. Pure: bytes in, plan out.
 */
#ifndef UNIX_ELF_H
#define UNIX_ELF_H

#include <stddef.h>
#include <stdint.h>

#define ELF_HEADER_SIZE     4096u /* bytes of the file that elf_plan wants to see */
#define ELF_SEGMENTS_MAX    16u
#define ELF_INTERPRETER_MAX 256u

struct elf_segment {
    uint64_t address, file_offset, file_size, memory_size;
    uint32_t prot; /* VM_* */
};

struct elf_plan {
    uint64_t entry;
    uint64_t headers; /* address of the program headers, 0: not mapped */
    uint16_t header_size, header_count;
    uint64_t low, high; /* page-aligned span of all segments */
    int fixed;          /* ET_EXEC */
    int executable_stack;
    unsigned segments;
    struct elf_segment segment[ELF_SEGMENTS_MAX];
    uint64_t interpreter_offset, interpreter_size; /* in the file; 0: none */
};

/**
 * @param bytes     the file's beginning, n of them
 * @param file_size of the whole file
 * @return 0, -ENOEXEC
 */
int elf_plan(const void *bytes, size_t n, uint64_t file_size, struct elf_plan *plan);

#endif
