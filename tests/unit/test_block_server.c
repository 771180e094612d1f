// sources: fake_panic.c
/*
 * A disk driver's side of the shared windows: the client of a part of a disk cannot reach beyond
 * it, whatever it writes into its ring, and parts do not overlap.
 */
#include <check.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../../drivers/block_server.c"

#define SECTORS 10000u
#define PLACES  4u

static struct block_server row[PLACES];
static unsigned count;
static char published[32];

int64_t bw_call(uint16_t key, struct message *m)
{
    (void)key;
    m->word[0] = m->code == NUCLEUS_DMA ? 0x1000000 : m->word[0];
    return m->code = BW_OK;
}

int64_t bw_map_fresh(uintptr_t address, size_t pages)
{
    (void)address, (void)pages;
    return BW_OK;
}

uint64_t bw_next_id(uint64_t n)
{
    return n;
}

int64_t bw_publish(const char *name, uint16_t badge)
{
    ck_assert_uint_eq(badge, BLOCK_POST_SUBMIT + count - 1);
    snprintf(published, sizeof(published), "%s", name);
    return BW_OK;
}

int64_t bw_post(uint16_t key)
{
    (void)key;
    return BW_OK;
}

int64_t bw_copy_key(uint16_t from, uint16_t to)
{
    (void)from, (void)to;
    return BW_OK;
}

bw_time_t bw_monotonic(void)
{
    return 1;
}

void bw_log(const char *format, ...)
{
    (void)format;
}

static int64_t order(unsigned place, int64_t code, uint64_t w0, uint64_t w1, uint64_t w2)
{
    struct message m = {.code = code, .word = {w0, w1, w2}};

    block_serve(row, place, &count, PLACES, 0, &m);
    return m.code;
}

static void setup(void)
{
    memset(row, 0, sizeof(row));
    count = 1;
    row[0] = (struct block_server){.number = 3, .capacity = SECTORS, .can_flush = true};
    ck_assert_int_eq(block_make_window(&row[0], 0, 0), BW_OK);
}

START_TEST(parts_are_within_the_disk_and_apart)
{
    setup();
    ck_assert_int_eq(order(0, BLOCK_PART, 100, 1000, 1), BW_OK);
    ck_assert_str_eq(published, "disk103");
    ck_assert_int_eq(order(0, BLOCK_PART, 100, 1000, 1), BW_OK); /* once more: it is there */
    ck_assert_uint_eq(count, 2);
    ck_assert_int_eq(order(0, BLOCK_PART, 2000, 10, 1), BW_ARGUMENT);
    ck_assert_int_eq(order(0, BLOCK_PART, 1099, 1, 2), BW_ARGUMENT);
    ck_assert_int_eq(order(0, BLOCK_PART, 0, 101, 2), BW_ARGUMENT);
    ck_assert_int_eq(order(0, BLOCK_PART, 0, SECTORS, 2), BW_ARGUMENT);
    ck_assert_int_eq(order(0, BLOCK_PART, SECTORS - 1, 2, 2), BW_ARGUMENT);
    ck_assert_int_eq(order(0, BLOCK_PART, 2000, UINT64_MAX, 2), BW_ARGUMENT);
    ck_assert_int_eq(order(0, BLOCK_PART, UINT64_MAX, 1, 2), BW_ARGUMENT);
    ck_assert_int_eq(order(0, BLOCK_PART, 2000, 0, 2), BW_ARGUMENT);
    ck_assert_int_eq(order(0, BLOCK_PART, 2000, 10, 0), BW_ARGUMENT);
    ck_assert_int_eq(order(0, BLOCK_PART, 2000, 10, BLOCK_PART_MAX + 1), BW_ARGUMENT);
    ck_assert_int_eq(order(1, BLOCK_PART, 10, 10, 2), BW_ARGUMENT); /* part of a part */
    ck_assert_int_eq(order(0, BLOCK_PART, 1100, SECTORS - 1100, 128), BW_OK);
    ck_assert_str_eq(published, "disk12803");
    ck_assert_int_eq(order(0, BLOCK_PART, 0, 100, 3), BW_OK);
    ck_assert_int_eq(order(0, BLOCK_PART, 0, 100, 4), BW_ARGUMENT);
    ck_assert_uint_eq(count, PLACES);
    row[2].number = 99; /* as if its place were another disk's */
    ck_assert_int_eq(order(0, BLOCK_PART, 1100, 10, 5), BW_LIMIT);
}
END_TEST

/* Any request that a client can write; what comes through is counted from the disk's first sector.
 */
START_TEST(no_request_reaches_beyond)
{
    static const uint64_t near[] = {0, 1, 8, 992, 999, 1000, 1001, 9000, UINT64_MAX, 1ull << 63};
    void *window;
    unsigned through = 0;

    setup();
    ck_assert_int_eq(order(0, BLOCK_PART, 100, 1000, 1), BW_OK);
    window = mmap((void *)row[1].window, BLOCK_WINDOW_PAGES * BW_PAGE_SIZE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    ck_assert_ptr_eq(window, (void *)row[1].window);
    ck_assert_int_eq(order(1, BLOCK_OPEN, 0, 0, 0), BW_OK);
    srandom(2);
    for (unsigned n = 0; n < 100000; n++) {
        struct block_ring *ring = ring_of(&row[1]);
        struct block_request r;
        unsigned entry;

        ring->request[n % BLOCK_RING] = (struct block_request){
            .operation = (uint32_t)random() % 5,
            .page = (uint32_t)random() % (BLOCK_WINDOW_PAGES + 2),
            .sector = near[random() % 10] - (uint64_t)random() % 3,
            .sectors = (uint32_t)near[random() % 10] + (uint32_t)random() % 3};
        ring->submitted = n + 1;
        if (!block_next(&row[1], &r, &entry)) {
            ck_assert_uint_eq(ring->request[n % BLOCK_RING].done, 1);
            continue;
        }
        ck_assert_uint_eq(entry, n % BLOCK_RING);
        block_taken(&row[1]);
        if (r.operation != BLOCK_FLUSH) {
            ck_assert_uint_ge(r.sector, 100);
            ck_assert_uint_le(r.sectors, 1000);
            ck_assert_uint_le(r.sector + r.sectors, 1100);
            ck_assert(r.page >= 1 && r.page * 8 + r.sectors <= BLOCK_WINDOW_PAGES * 8);
            through++;
        }
        block_complete(&row[1], entry, BW_OK);
    }
    ck_assert_uint_gt(through, 1000);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("block server");
    TCase *c = tcase_create("parts");

    tcase_add_test(c, parts_are_within_the_disk_and_apart);
    tcase_add_test(c, no_request_reaches_beyond);
    suite_add_tcase(s, c);
    return run_suite(s);
}
