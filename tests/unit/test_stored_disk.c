// sources: ../../store/server/disk.c
/*
 * The store server's block client against a driver that completes requests in any order.
 */
#include "fake_runtime.h"

static struct store_io io;
static uint8_t model[FAKE_BLOCKS]; /* what each block is filled with */

static int64_t fake_call(uint16_t key, struct message *m)
{
    (void)m;
    ck_abort_msg("a call to key %u", key);
    return BW_VOID;
}

static void setup(void)
{
    fake_open();
    disk_io(&io);
    ck_assert_uint_eq(io.blocks, FAKE_BLOCKS);
    srand(7);
}

static void fill_block(uint8_t *to, uint64_t block, uint8_t value)
{
    memset(to, value, STORE_BLOCK);
    memcpy(to, &block, sizeof(block));
}

static void check_block(const uint8_t *at, uint64_t block)
{
    static uint8_t expected[STORE_BLOCK];

    if (model[block] == 0)
        memset(expected, 0, sizeof(expected));
    else
        fill_block(expected, block, model[block]);
    ck_assert_mem_eq(at, expected, STORE_BLOCK);
}

static void write_heap(uint64_t block, size_t n)
{
    uint8_t *buf = malloc(n * STORE_BLOCK);

    for (size_t i = 0; i < n; i++)
        fill_block(buf + i * STORE_BLOCK, block + i, model[block + i] = (uint8_t)(rand() | 1));
    ck_assert_int_eq(io.write(io.ctx, block, buf, n), 0);
    free(buf);
}

static void write_window(uint64_t block, unsigned page)
{
    disk_settle(page, 1);
    fill_block(disk_page(page), block, model[block] = (uint8_t)(rand() | 1));
    ck_assert_int_eq(io.write(io.ctx, block, disk_page(page), 1), 0);
}

static void read_heap(uint64_t block, size_t n)
{
    uint8_t *buf = malloc(n * STORE_BLOCK);

    ck_assert_int_eq(io.read(io.ctx, block, buf, n), 0);
    for (size_t i = 0; i < n; i++)
        check_block(buf + i * STORE_BLOCK, block + i);
    free(buf);
}

START_TEST(what_is_written_is_read)
{
    uint64_t at = 0;

    for (int round = 0; round < 20000; round++) {
        uint64_t block = (uint64_t)rand() % (FAKE_BLOCKS - 64);
        int what = rand() % 100;

        if (what < 60) { /* a row, as objects come; a block is not written twice between flushes */
            unsigned page = DISK_OBJECTS + (unsigned)rand() % (DISK_OBJECT_PAGES - 15);
            for (unsigned i = 0; i < 15 && at + 200 < FAKE_BLOCKS; i++)
                write_window(at++, page + i);
        } else if (what < 75 && at + 200 < FAKE_BLOCKS) {
            write_heap(at, 8);
            at += 8;
        } else if (what < 90) {
            read_heap(block, 1 + (size_t)rand() % 64);
        } else if (what < 95) {
            ck_assert_int_eq(io.read(io.ctx, block, disk_page(DISK_SUPPLY + 1), 1), 0);
            check_block(disk_page(DISK_SUPPLY + 1), block);
        }
        if (at + 200 >= FAKE_BLOCKS || what == 99) {
            ck_assert_int_eq(io.flush(io.ctx), 0);
            ck_assert_uint_eq(driver.in_flight, 0);
            at = at + 200 >= FAKE_BLOCKS ? 0 : at;
        }
    }
    ck_assert_uint_gt(driver.most_in_flight, 4);
}
END_TEST

START_TEST(rows_become_one_request)
{
    uint64_t before;

    ck_assert_int_eq(io.flush(io.ctx), 0);
    before = driver.requests;
    for (unsigned i = 0; i < 15; i++)
        write_window(100 + i, DISK_OBJECTS + i);
    ck_assert_int_eq(io.wait(io.ctx), 0);
    ck_assert_uint_eq(driver.requests - before, 1);
    write_window(300, DISK_OBJECTS);
    write_window(302, DISK_OBJECTS + 1); /* not next on the disk */
    write_window(303, DISK_OBJECTS + 5); /* not next in memory */
    ck_assert_int_eq(io.wait(io.ctx), 0);
    ck_assert_uint_eq(driver.requests - before, 4);
}
END_TEST

START_TEST(failures_are_told_once)
{
    driver.fail_write = 1;
    write_window(5, DISK_OBJECTS);
    write_window(7, DISK_OBJECTS + 1);
    ck_assert_int_ne(io.flush(io.ctx), 0);
    ck_assert_int_eq(io.flush(io.ctx), 0);
    driver.fail_flush = 1;
    write_window(9, DISK_OBJECTS);
    ck_assert_int_ne(io.flush(io.ctx), 0);
    ck_assert_int_eq(io.flush(io.ctx), 0);
}
END_TEST

START_TEST(what_is_read_ahead_may_be_bad)
{
    static uint8_t buf[STORE_BLOCK];

    write_heap(100, 64);
    ck_assert_int_eq(io.flush(io.ctx), 0);
    driver.bad_block = 130;
    for (uint64_t block = 100; block < 164; block++)
        if (block == driver.bad_block)
            ck_assert_int_ne(io.read(io.ctx, block, buf, 1), 0);
        else
            read_heap(block, 1);
}
END_TEST

START_TEST(the_ends_of_the_disk_are_kept)
{
    static uint8_t buf[2 * STORE_BLOCK];

    ck_assert_int_ne(io.read(io.ctx, FAKE_BLOCKS, buf, 1), 0);
    ck_assert_int_ne(io.read(io.ctx, FAKE_BLOCKS - 1, buf, 2), 0);
    ck_assert_int_ne(io.write(io.ctx, FAKE_BLOCKS - 1, buf, 2), 0);
    ck_assert_int_ne(io.write(io.ctx, UINT64_MAX, buf, 2), 0);
    ck_assert_int_eq(io.read(io.ctx, FAKE_BLOCKS - 1, buf, 1), 0);
}
END_TEST

START_TEST(a_silent_driver_is_given_up)
{
    static uint8_t buf[STORE_BLOCK];

    driver.silent = true;
    write_window(5, DISK_OBJECTS);
    ck_assert_int_ne(io.flush(io.ctx), 0);
    ck_assert_int_ne(io.read(io.ctx, 1, buf, 1), 0);
    ck_assert_int_ne(io.write(io.ctx, 1, buf, 1), 0);
    disk_settle(DISK_OBJECTS, DISK_OBJECT_PAGES);
    ck_assert_int_ne(io.flush(io.ctx), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stored_disk");
    TCase *tests = tcase_create("disk");

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_is_written_is_read);
    tcase_add_test(tests, rows_become_one_request);
    tcase_add_test(tests, failures_are_told_once);
    tcase_add_test(tests, what_is_read_ahead_may_be_bad);
    tcase_add_test(tests, the_ends_of_the_disk_are_kept);
    tcase_add_test(tests, a_silent_driver_is_given_up);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
