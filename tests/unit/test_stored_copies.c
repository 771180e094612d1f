// sources: ../../store ../../store/server/disk.c ../../store/server/copies.c
/*
 * The two disks of a mirrored store, behind two drivers: who is asked, who is told, what happens
 * when the other disk comes late or a disk fails, and that both have the same in the end.
 */
#include "fake_runtime.h"
#include <store/mirror.h>
#include "copies.h"

#define SECONDS 1000000000ull
#define OTHER   KEY_AT(FAKE_SECOND)

struct server server = {.next = BW_NO_DEADLINE, .line = {.name = "test"}};
static char last_event[300];
static unsigned events;
static uint8_t committed; /* what object 1 is filled with */

static int64_t fake_call(uint16_t key, struct message *m)
{
    (void)m;
    ck_abort_msg("a call to key %u", key);
    return BW_VOID;
}

int64_t bw_copy_key(uint16_t from, uint16_t to)
{
    ck_assert(from == OTHER && to == KEY_AT(KR_PARTNER));
    return BW_OK;
}

void server_event(enum event_kind kind, bool important, const char *format, ...)
{
    va_list list;

    ck_assert(kind == EVENT_MIRROR && important);
    va_start(list, format);
    vsnprintf(last_event, sizeof(last_event), format, list);
    va_end(list);
    events++;
}

void server_damage(void *ctx, const struct store_damage *d)
{
    (void)ctx;
    ck_assert_msg(d->repaired || driver.fail_from || second_driver.fail_from, "damage: %s",
                  d->what);
}

int server_open_store(void)
{
    struct store_io io = {.damage = server_damage, .cache_blocks = 16};
    struct store *opened;
    int error = copies_open(&io, &opened);

    if (error == STORE_OK) {
        store_close(server.store);
        server.store = opened;
    }
    server.reopen = error != STORE_OK;
    return error;
}

int64_t server_result(int error)
{
    return error == STORE_OK ? BW_OK : BW_IO;
}

/* --- stores on the disks, without drivers ----------------------------------------------------- */

static int raw_read(void *ctx, uint64_t block, void *buf, size_t n)
{
    memcpy(buf, (uint8_t *)ctx + block * STORE_BLOCK, n * STORE_BLOCK);
    return 0;
}

static int raw_write(void *ctx, uint64_t block, const void *buf, size_t n)
{
    memcpy((uint8_t *)ctx + block * STORE_BLOCK, buf, n * STORE_BLOCK);
    return 0;
}

static int raw_flush(void *ctx)
{
    (void)ctx;
    return 0;
}

static struct store_io raw(const struct fake_driver *d)
{
    return (struct store_io){.ctx = d->bytes,
                             .blocks = FAKE_BLOCKS,
                             .read = raw_read,
                             .write = raw_write,
                             .flush = raw_flush,
                             .cache_blocks = 16};
}

static int put(struct store *st)
{
    struct store_info info;
    uint8_t *bytes = disk_page(DISK_OBJECTS + 3); /* written from the window, as objects are */
    int r;

    store_info(st, &info);
    disk_settle(DISK_OBJECTS + 3, 1);
    memset(bytes, committed + 1, STORE_BLOCK);
    r = store_begin(st, info.next_generation);
    r = r ? r : store_put(st, 1, OBJECT_PAGE, 1, bytes);
    r = r ? r : store_commit(st, 1, STORE_MADE_ASKED);
    committed += r == STORE_OK;
    return r;
}

/** Makes a store of one or two copies; the second copy's disk may have the first one, or nothing.
 */
static void make(unsigned copies)
{
    struct store_io io[2] = {raw(&driver), raw(&second_driver)};
    struct store_format_params p = {.name = "test", .blocks = 1024, .copies = copies};
    static struct mirror m;
    uint8_t bytes[STORE_BLOCK] = {1};
    struct store *st;

    if (copies == 2) {
        mirror_fresh(&m, io);
        io[0].ctx = NULL;
        mirror_io(&m, &io[0]);
    }
    ck_assert_int_eq(store_format(&io[0], &p, &st), STORE_OK);
    ck_assert_int_eq(store_begin(st, 0), STORE_OK);
    for (oid_t oid = 2; oid < 200; oid++) {
        bytes[oid] = (uint8_t)oid;
        ck_assert_int_eq(store_put(st, oid, OBJECT_PAGE, 1, bytes), STORE_OK);
    }
    ck_assert_int_eq(store_commit(st, 1, STORE_MADE_FORMAT), STORE_OK);
    for (unsigned n = 0; n < 5; n++)
        ck_assert_int_eq(put(st), STORE_OK);
    store_close(st);
}

/** One disk goes on without the other. */
static void run_alone(const struct fake_driver *d)
{
    struct store_io io = raw(d);
    struct store *st;
    uint64_t incarnation;

    ck_assert_int_eq(store_open(&io, &st), STORE_OK);
    ck_assert_int_eq(store_claim(st, STORE_NEWEST, 1, "test", 1, &incarnation), STORE_OK);
    ck_assert_int_eq(put(st), STORE_OK);
    store_close(st);
}

static void check_disk(const struct fake_driver *d)
{
    struct store_io io = raw(d);
    struct store_verify v = {.repair = false};
    uint8_t bytes[STORE_BLOCK];
    struct store_object o;
    struct store *st;

    ck_assert_int_eq(store_open(&io, &st), STORE_OK);
    ck_assert_int_eq(store_verify(st, &v), STORE_OK);
    ck_assert_int_eq(store_get(st, STORE_NEWEST, 1, &o, bytes), STORE_OK);
    ck_assert_uint_eq(bytes[77], committed);
    store_close(st);
}

/* --- the server ------------------------------------------------------------------------------- */

static void setup(void)
{
    static uint8_t bytes[(size_t)FAKE_BLOCKS * STORE_BLOCK];

    fake_window(&second_driver, DISK_SECOND_WINDOW);
    second_driver.bytes = bytes;
    fake_open();
    fake_now = 1000;
}

static void begin(void)
{
    ck_assert_int_eq(copies_look(), STORE_OK);
    ck_assert_int_eq(server_open_store(), STORE_OK);
}

static void claim(void)
{
    uint64_t incarnation;

    ck_assert_int_eq(store_claim(server.store, STORE_NEWEST, 1, "test", 1, &incarnation), STORE_OK);
    server.running = true;
}

static void check_text(const char *expected)
{
    char text[64];

    copies_text(text, sizeof(text));
    ck_assert_str_eq(text, expected);
}

static void bring_up_to_date(void)
{
    unsigned steps = 0;

    while (copies_due() != BW_NO_DEADLINE) {
        ck_assert_uint_lt(++steps, 1000);
        if (fake_now < copies_due())
            fake_now = copies_due();
        copies_step();
        if (server.running && steps % 2)
            ck_assert_int_eq(put(server.store), STORE_OK);
    }
    ck_assert_uint_gt(steps, 1);
}

START_TEST(one_disk_is_no_mirror)
{
    struct message m = {0};

    make(1);
    begin();
    copies_describe(&m);
    ck_assert_uint_eq(m.word[2], 0);
    ck_assert_int_eq(copies_ready(), BW_OK);
    ck_assert_int_eq(copies_alone(), BW_OK);
    ck_assert(copies_due() == BW_NO_DEADLINE);
    check_text("");
    claim();
    ck_assert_int_eq(put(server.store), STORE_OK);
    check_disk(&driver);
}
END_TEST

START_TEST(the_other_disk_comes)
{
    struct message m = {0};

    make(2);
    begin();
    copies_describe(&m);
    ck_assert_uint_eq(m.word[2], 1);
    ck_assert_int_eq(copies_ready(), BW_AGAIN);
    ck_assert_int_eq(copies_pair(OTHER), BW_OK);
    ck_assert_int_eq(copies_ready(), BW_OK);
    copies_describe(&m);
    ck_assert_uint_eq(m.word[2], 1 | REGISTER_PAIRED);
    ck_assert_uint_eq(m.send[3], KEY_AT(KR_PARTNER));
    check_text("mirrored: both copies are up to date");
    claim();
    for (unsigned n = 0; n < 9; n++)
        ck_assert_int_eq(put(server.store), STORE_OK);
    check_disk(&driver);
    check_disk(&second_driver);
    ck_assert_int_eq(copies_pair(OTHER), BW_EXISTS); /* it is in use */
    ck_assert_uint_eq(events, 0);
}
END_TEST

START_TEST(the_user_is_asked)
{
    make(2);
    begin();
    ck_assert_int_eq(copies_alone(), BW_AGAIN); /* the other disk may still come */
    fake_now = 5 * SECONDS;
    ck_assert_int_eq(copies_ready(), BW_REFUSED);
    ck_assert_ptr_nonnull(strstr(server.line.message, "'restart test --alone'"));
    ck_assert_int_ne(put(server.store), STORE_OK);
    ck_assert_int_eq(copies_alone(), BW_OK);
    ck_assert_int_eq(copies_ready(), BW_OK);
    check_text("mirrored: only copy 0");
    claim();
    ck_assert_int_eq(put(server.store), STORE_OK);
    check_disk(&driver);
}
END_TEST

START_TEST(the_other_disk_comes_late)
{
    make(2);
    run_alone(&driver);
    begin();
    ck_assert_int_eq(copies_ready(), BW_OK);
    claim();
    server.writing = true;
    ck_assert_int_eq(copies_pair(OTHER), BW_OK);
    copies_step();
    check_text("mirrored: only copy 0");
    ck_assert(copies_due() > fake_now);
    server.writing = false;
    copies_step();
    ck_assert_str_eq(last_event, "copy 1 is out of date: it is brought up to date");
    bring_up_to_date();
    ck_assert_str_eq(last_event, "both copies are up to date");
    check_text("mirrored: both copies are up to date");
    check_disk(&driver);
    check_disk(&second_driver);
}
END_TEST

START_TEST(the_other_disk_comes_after_a_run_without_it)
{
    make(2);
    begin();
    fake_now = 5 * SECONDS;
    ck_assert_int_eq(copies_alone(), BW_OK);
    claim();
    ck_assert_int_eq(put(server.store), STORE_OK);
    server.running = false;
    ck_assert_int_eq(copies_pair(OTHER), BW_OK);
    ck_assert_str_eq(last_event, "copy 1 is out of date: it is brought up to date");
    bring_up_to_date();
    check_disk(&driver);
    check_disk(&second_driver);
}
END_TEST

START_TEST(the_own_disk_is_the_stale_one)
{
    make(2);
    run_alone(&second_driver);
    begin();
    ck_assert_int_eq(copies_pair(OTHER), BW_OK);
    ck_assert_str_eq(last_event, "copy 0 is out of date: it is brought up to date");
    bring_up_to_date();
    check_text("mirrored: both copies are up to date");
    check_disk(&driver);
    check_disk(&second_driver);
}
END_TEST

START_TEST(the_other_disk_is_too_small)
{
    make(2);
    run_alone(&driver);
    second_driver.small = true;
    begin();
    ck_assert_int_eq(copies_pair(OTHER), BW_OK);
    ck_assert_str_eq(last_event,
                     "copy 1 is not used: it cannot be written, or its disk is too small");
    ck_assert_int_eq(copies_ready(), BW_OK);
    check_text("mirrored: only copy 0");
    claim();
    ck_assert_int_eq(put(server.store), STORE_OK);
    ck_assert_int_eq(server_open_store(), STORE_OK);
    ck_assert_uint_eq(events, 1);
    check_disk(&driver);
}
END_TEST

START_TEST(what_went_apart_stays_closed)
{
    make(2);
    run_alone(&driver);
    run_alone(&second_driver);
    begin();
    ck_assert_int_eq(copies_pair(OTHER), BW_OK);
    ck_assert_ptr_null(server.store);
    ck_assert_int_ne(server.line.error, 0);
    ck_assert_ptr_nonnull(strstr(server.line.message, "they differ"));
}
END_TEST

START_TEST(what_went_apart_is_not_taken_while_it_runs)
{
    make(2);
    run_alone(&driver);
    run_alone(&second_driver);
    begin();
    claim();
    ck_assert_int_eq(copies_pair(OTHER), BW_EXISTS);
    ck_assert(copies_due() == BW_NO_DEADLINE);
    ck_assert_int_eq(put(server.store), STORE_OK);
    check_text("mirrored: only copy 0");
}
END_TEST

START_TEST(another_store_is_not_taken)
{
    make(2);
    memset(second_driver.bytes, 0, (size_t)FAKE_BLOCKS * STORE_BLOCK);
    begin();
    ck_assert_int_eq(copies_pair(OTHER), BW_EXISTS);
    memcpy(second_driver.bytes, driver.bytes, (size_t)FAKE_BLOCKS * STORE_BLOCK);
    ck_assert_int_eq(copies_pair(OTHER), BW_EXISTS); /* the same copy */
    ck_assert_ptr_nonnull(server.store);
}
END_TEST

static void lose(struct fake_driver *d, const char *event)
{
    make(2);
    begin();
    ck_assert_int_eq(copies_pair(OTHER), BW_OK);
    claim();
    d->fail_from = 7;
    while (put(server.store) == STORE_OK) {
    }
    ck_assert_int_eq(server_open_store(), STORE_OK);
    ck_assert(server.copy_lost);
    ck_assert_str_eq(last_event, event);
    claim();
    for (unsigned n = 0; n < 5; n++)
        ck_assert_int_eq(put(server.store), STORE_OK);
    ck_assert(copies_due() == BW_NO_DEADLINE);
}

START_TEST(the_second_disk_fails)
{
    lose(&second_driver, "copy 1 has failed: it goes on with copy 0 alone");
    check_text("mirrored: only copy 0");
    check_disk(&driver);
}
END_TEST

START_TEST(the_own_disk_fails)
{
    lose(&driver, "copy 0 has failed: it goes on with copy 1 alone");
    check_text("mirrored: only copy 1");
    check_disk(&second_driver);
}
END_TEST

START_TEST(the_disk_fails_that_is_brought_up_to_date)
{
    make(2);
    run_alone(&driver);
    begin();
    ck_assert_int_eq(copies_pair(OTHER), BW_OK);
    claim();
    second_driver.fail_from = 3;
    while (copies_due() != BW_NO_DEADLINE) {
        fake_now = copies_due() > fake_now ? copies_due() : fake_now;
        ck_assert_int_eq(put(server.store), STORE_OK);
        copies_step();
    }
    ck_assert_str_eq(last_event, "copy 1 has failed: it goes on with copy 0 alone");
    ck_assert(!server.reopen);
    check_text("mirrored: only copy 0");
    check_disk(&driver);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stored_copies");
    TCase *tests = tcase_create("copies");

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, one_disk_is_no_mirror);
    tcase_add_test(tests, the_other_disk_comes);
    tcase_add_test(tests, the_user_is_asked);
    tcase_add_test(tests, the_other_disk_comes_late);
    tcase_add_test(tests, the_other_disk_comes_after_a_run_without_it);
    tcase_add_test(tests, the_own_disk_is_the_stale_one);
    tcase_add_test(tests, the_other_disk_is_too_small);
    tcase_add_test(tests, what_went_apart_stays_closed);
    tcase_add_test(tests, what_went_apart_is_not_taken_while_it_runs);
    tcase_add_test(tests, another_store_is_not_taken);
    tcase_add_test(tests, the_second_disk_fails);
    tcase_add_test(tests, the_own_disk_fails);
    tcase_add_test(tests, the_disk_fails_that_is_brought_up_to_date);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
