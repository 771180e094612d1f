/*
 * The heap of native programs, at its real address but over the host's memory.
 */
#include <check.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#define malloc         heap_malloc
#define free           heap_free
#define calloc         heap_calloc
#define realloc        heap_realloc
#define aligned_alloc  heap_aligned_alloc
#define posix_memalign heap_posix_memalign
#include "../../userland/runtime/heap.c"

static jmp_buf broken;
static size_t pages_left;

int64_t bw_map_fresh(uintptr_t address, size_t pages)
{
    if (pages > pages_left) {
        return BW_NOMEM;
    }
    pages_left -= pages;
    return mmap((void *)address, pages * BW_PAGE_SIZE, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == (void *)address
               ? BW_OK
               : BW_NOMEM;
}

void bw_panic(const char *file, int line, const char *what)
{
    (void)file, (void)line, (void)what;
    longjmp(broken, 1);
}

static void setup(void)
{
    pages_left = 8192;
}

static void teardown(void)
{
    munmap((void *)NATIVE_HEAP, mapped - NATIVE_HEAP);
    top = mapped = NATIVE_HEAP;
    memset(free_list, 0, sizeof(free_list));
}

START_TEST(classes_cover_all_sizes)
{
    for (size_t size = 0; size < 3000000; size += size < 70000 ? 1 : 997) {
        unsigned class = class_of(size);

        if (class >= CLASSES || class_size(class) < size || class_size(class) % GRANULE != 0 ||
            (class > 0 && class_size(class - 1) >= size)) {
            ck_abort_msg("size %zu is in class %u", size, class);
        }
    }
    ck_assert_uint_lt(class_of(NATIVE_HEAP_LIMIT - NATIVE_HEAP), CLASSES);
}
END_TEST

/* One check a block, not a byte: Check keeps a message for each. */
static bool all_bytes(const unsigned char *bytes, size_t n, unsigned char fill)
{
    while (n > 0 && bytes[n - 1] == fill)
        n--;
    return n == 0;
}

/* Many blocks of random sizes and ages, each filled with its own byte, are never mixed up. */
START_TEST(blocks_do_not_overlap)
{
    enum { BLOCKS = 300, ROUNDS = 20000 };
    static struct {
        unsigned char *bytes;
        size_t size;
    } block[BLOCKS];
    unsigned seed = (unsigned)_i + 1;

    memset(block, 0, sizeof(block));
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned n = (unsigned)rand_r(&seed) % BLOCKS;
        size_t size = (size_t)rand_r(&seed) % (rand_r(&seed) % 10 ? 200 : 20000);
        unsigned char fill = (unsigned char)n;

        ck_assert(all_bytes(block[n].bytes, block[n].size, fill));
        switch (rand_r(&seed) % 4) {
        case 0:
            heap_free(block[n].bytes);
            block[n].bytes = heap_malloc(size);
            break;
        case 1:
            heap_free(block[n].bytes);
            block[n].bytes = heap_calloc(1, size);
            ck_assert(all_bytes(block[n].bytes, size, 0));
            break;
        case 2:
            heap_free(block[n].bytes);
            block[n].bytes = heap_aligned_alloc(64, size);
            ck_assert_uint_eq((uintptr_t)block[n].bytes % 64, 0);
            break;
        default:
            block[n].bytes = heap_realloc(block[n].bytes, size);
            ck_assert(all_bytes(block[n].bytes, size < block[n].size ? size : block[n].size, fill));
        }
        ck_assert_ptr_nonnull(block[n].bytes);
        block[n].size = size;
        memset(block[n].bytes, fill, size);
    }
}
END_TEST

START_TEST(freed_blocks_are_used_again)
{
    void *first = heap_malloc(1000);
    uintptr_t end = top;

    for (unsigned n = 0; n < 1000; n++) {
        heap_free(first);
        first = heap_malloc(900 + n % 100);
    }
    ck_assert_uint_eq(top, end);
}
END_TEST

START_TEST(exhaustion_is_an_error_not_an_end)
{
    void *last;

    pages_left = 64;
    last = heap_malloc(100000);
    ck_assert_ptr_nonnull(last);
    ck_assert_ptr_null(heap_malloc(1000000));
    ck_assert_ptr_null(heap_malloc(SIZE_MAX));
    ck_assert_ptr_null(heap_calloc(SIZE_MAX / 2, 4));
    ck_assert_ptr_null(heap_aligned_alloc(4096, SIZE_MAX - 8));
    while (heap_malloc(5000)) {
    }
    heap_free(last);
    ck_assert_ptr_nonnull(heap_malloc(5000));
}
END_TEST

START_TEST(misuse_is_an_assertion)
{
    char *volatile body = heap_malloc(100);
    volatile int asserted = 0;

    heap_free(body);
    if (setjmp(broken) == 0) {
        heap_free(body);
    } else {
        asserted++;
    }
    body = heap_malloc(100);
    if (setjmp(broken) == 0) {
        heap_free(body + 16);
    } else {
        asserted++;
    }
    if (setjmp(broken) == 0) {
        heap_free((void *)0x1000);
    } else {
        asserted++;
    }
    ck_assert_int_eq(asserted, 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("heap");
    TCase *tests = tcase_create("heap");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, classes_cover_all_sizes);
    tcase_add_loop_test(tests, blocks_do_not_overlap, 0, 4);
    tcase_add_test(tests, freed_blocks_are_used_again);
    tcase_add_test(tests, exhaustion_is_an_error_not_an_end);
    tcase_add_test(tests, misuse_is_an_assertion);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
