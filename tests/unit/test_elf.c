// sources: ../../userland/unix/elf.c
/*
 * ELF headers: a good one gives the plan that it describes; every damaged one is refused or gives a
 * plan that keeps to the file and the address space.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "elf.h"
#include "vm.h"

#define FILE_SIZE 0x20000u

static uint8_t image[ELF_HEADER_SIZE];

static void put(size_t at, uint64_t value, size_t n)
{
    memcpy(image + at, &value, n);
}

static void program_header(unsigned i, uint32_t type, uint32_t flags, uint64_t offset,
                           uint64_t address, uint64_t in_file, uint64_t in_memory)
{
    size_t at = 64 + i * 56;

    put(at, type, 4);
    put(at + 4, flags, 4);
    put(at + 8, offset, 8);
    put(at + 16, address, 8);
    put(at + 32, in_file, 8);
    put(at + 40, in_memory, 8);
}

static void make(unsigned type)
{
    memset(image, 0, sizeof image);
    memcpy(image, "\177ELF\2\1\1", 7);
    put(16, type, 2);
    put(18, 62, 2);
    put(24, 0x401234, 8);
    put(32, 64, 8);
    put(54, 56, 2);
    put(56, 4, 2);
    program_header(0, 3, 4, 0x300, 0x400300, 28, 28);
    program_header(1, 1, 5, 0, 0x400000, 0x5000, 0x5000);
    program_header(2, 1, 6, 0x5800, 0x406800, 0x100, 0x3000);
    program_header(3, 0x6474e551, 6, 0, 0, 0, 0);
}

START_TEST(a_good_one)
{
    struct elf_plan p;

    make(2);
    ck_assert_int_eq(elf_plan(image, sizeof image, FILE_SIZE, &p), 0);
    ck_assert(p.fixed && !p.executable_stack);
    ck_assert_uint_eq(p.entry, 0x401234);
    ck_assert_uint_eq(p.headers, 0x400040);
    ck_assert_uint_eq(p.header_count, 4);
    ck_assert_uint_eq(p.segments, 2);
    ck_assert_uint_eq(p.low, 0x400000);
    ck_assert_uint_eq(p.high, 0x40a000);
    ck_assert_uint_eq(p.segment[0].prot, VM_READ | VM_EXEC);
    ck_assert_uint_eq(p.segment[1].prot, VM_READ | VM_WRITE);
    ck_assert_uint_eq(p.interpreter_offset, 0x300);
    ck_assert_uint_eq(p.interpreter_size, 28);
}
END_TEST

/** Spoils one field of the good one. */
static int spoiled(size_t at, uint64_t value, size_t n)
{
    struct elf_plan p;

    make(2);
    put(at, value, n);
    return elf_plan(image, sizeof image, FILE_SIZE, &p);
}

START_TEST(bad_ones)
{
    struct elf_plan p;

    ck_assert_int_eq(spoiled(0, 0, 1), -ENOEXEC);
    ck_assert_int_eq(spoiled(4, 1, 1), -ENOEXEC);     /* 32 bits */
    ck_assert_int_eq(spoiled(16, 1, 2), -ENOEXEC);    /* an object file */
    ck_assert_int_eq(spoiled(18, 3, 2), -ENOEXEC);    /* another machine */
    ck_assert_int_eq(spoiled(32, 4096, 8), -ENOEXEC); /* headers behind what was read */
    ck_assert_int_eq(spoiled(32, ~0ull - 50, 8), -ENOEXEC);
    ck_assert_int_eq(spoiled(54, 32, 2), -ENOEXEC);
    ck_assert_int_eq(spoiled(56, 0, 2), -ENOEXEC);
    ck_assert_int_eq(spoiled(56, 0xffff, 2), -ENOEXEC);
    ck_assert_int_eq(spoiled(64 + 56 + 40, 0x100, 8),
                     -ENOEXEC); /* more in the file than in memory */
    ck_assert_int_eq(spoiled(64 + 56 + 32, FILE_SIZE + 1, 8), -ENOEXEC); /* behind the file's end */
    ck_assert_int_eq(spoiled(64 + 2 * 56 + 16, 0x406801, 8), -ENOEXEC);  /* not congruent */
    ck_assert_int_eq(spoiled(64 + 2 * 56 + 16, 0x404800, 8), -ENOEXEC);  /* overlaps */
    ck_assert_int_eq(spoiled(64 + 2 * 56 + 40, SPACE_TOP, 8), -ENOEXEC);
    ck_assert_int_eq(spoiled(64 + 2 * 56 + 16, ~0xfffull | 0x800, 8), -ENOEXEC);
    ck_assert_int_eq(spoiled(64 + 32, ELF_INTERPRETER_MAX + 1, 8), -ENOEXEC);
    make(2);
    ck_assert_int_eq(elf_plan(image, 63, FILE_SIZE, &p), -ENOEXEC);
}
END_TEST

START_TEST(any_bytes)
{
    struct elf_plan p;

    srand(1);
    for (int i = 0; i < 200000; i++) {
        make(i % 2 ? 2 : 3);
        for (int n = 1 + rand() % 6; n > 0; n--) {
            image[rand() % 300] = (uint8_t)rand();
        }
        if (elf_plan(image, sizeof image, FILE_SIZE, &p)) {
            continue;
        }
        ck_assert(p.segments > 0 && p.segments <= ELF_SEGMENTS_MAX && p.low < p.high);
        ck_assert(p.high <= SPACE_TOP && p.interpreter_size <= ELF_INTERPRETER_MAX);
        for (unsigned s = 0; s < p.segments; s++) {
            ck_assert(p.segment[s].file_offset + p.segment[s].file_size <= FILE_SIZE);
            ck_assert(p.segment[s].file_size <= p.segment[s].memory_size);
            ck_assert(p.segment[s].address >= p.low);
            ck_assert(p.segment[s].address + p.segment[s].memory_size <= p.high);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("elf");
    TCase *c = tcase_create("elf");

    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_good_one);
    tcase_add_test(c, bad_ones);
    tcase_add_test(c, any_bytes);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
