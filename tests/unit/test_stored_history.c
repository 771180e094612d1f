// sources: ../../store ../../store/server/disk.c ../../store/server/history.c
// sources: ../../store/server/whole.c ../../store/server/scrub.c ../../store/server/journal.c
// sources: ../../store/server/settings.c
/*
 * What the store server knows of generations: their line of descent, which of them can be read when
 * blocks are damaged, dropping one at the right moment, and the scrub, which rests between its
 * steps and finds all damage. And the journal page, which belongs to none of them.
 */
#include "fake_runtime.h"
#include <bailiwick/journal.h>
#include "history.h"
#include "journal.h"
#include "scrub.h"
#include "settings.h"
#include "whole.h"

#define OBJECTS 40u
#define FIRST   5000u

struct server server = {.next = BW_NO_DEADLINE};
static unsigned events, answers;
static int64_t last_code;
static char last_event[300];
static uint64_t damages;

static int64_t fake_call(uint16_t key, struct message *m)
{
    (void)m;
    ck_abort_msg("call of %u", key);
    return BW_VOID;
}

int64_t bw_send(uint16_t key, struct message *m, unsigned flags)
{
    ck_assert_uint_eq(key, KEY_DROPPER);
    ck_assert_uint_eq(flags, INVOKE_NOBLOCK);
    last_code = m->code;
    answers++;
    return BW_OK;
}

int64_t bw_copy_key(uint16_t from, uint16_t to)
{
    ck_assert(from == KEY_AT(KR_CALLER) && to == KEY_DROPPER);
    return BW_OK;
}

void bw_drop_key(uint16_t place)
{
    ck_assert_uint_eq(place, KEY_DROPPER);
}

void server_event(enum event_kind kind, bool important, const char *format, ...)
{
    va_list list;

    (void)kind;
    (void)important;
    va_start(list, format);
    vsnprintf(last_event, sizeof(last_event), format, list);
    va_end(list);
    events++;
}

int64_t server_result(int error)
{
    return error == STORE_OK ? BW_OK : error == STORE_ARGUMENT ? BW_ARGUMENT : BW_IO;
}

int64_t server_changed(int error)
{
    return server_result(error);
}

void server_own_key(uint16_t badge, uint16_t place)
{
    ck_abort_msg("key %u in %u", badge, place);
}

void checkpoint_budget(void)
{
}

int checkpoint_recover(struct store_info *found)
{
    store_info(server.store, found);
    return store_claim(server.store, STORE_NEWEST, 1, "test", bw_realtime(), &found->incarnation);
}

static void on_damage(void *ctx, const struct store_damage *d)
{
    (void)ctx;
    damages++;
    whole_note(d);
}

static void claim(uint64_t generation)
{
    uint64_t incarnation;

    ck_assert_int_eq(store_claim(server.store, generation, 5, "test", 2, &incarnation), STORE_OK);
}

/** A generation in which these objects have other bytes. */
static void commit(uint64_t number, unsigned from, unsigned to)
{
    static uint8_t bytes[OBJECTS][STORE_BLOCK]; /* as they are until the commit */

    ck_assert_int_eq(store_begin(server.store, number), STORE_OK);
    for (unsigned i = from; i < to; i++) {
        memset(bytes[i], (int)(number + 1), sizeof(bytes[i]));
        memcpy(bytes[i], &i, sizeof(i));
        ck_assert_int_eq(store_put(server.store, FIRST + i, OBJECT_PAGE, 1, bytes[i]), STORE_OK);
        disk_submit();
    }
    ck_assert_int_eq(store_commit(server.store, number * 1000000000ull, STORE_MADE_ASKED),
                     STORE_OK);
}

/** 0 - 1 - 2 - 3 - 4, and 5 - 6 that grew from 2 and is current. */
static void setup(void)
{
    struct store_format_params params = {.name = "test", .blocks = FAKE_BLOCKS};
    struct store_io io = {.cache_blocks = 64, .damage = on_damage};

    srand(3);
    fake_open();
    disk_io(&io);
    ck_assert_int_eq(store_format(&io, &params, &server.store), STORE_OK);
    strcpy(server.line.name, "test");
    commit(0, 0, OBJECTS);
    claim(0);
    for (unsigned n = 1; n <= 4; n++)
        commit(n, n, n + 2);
    claim(2);
    commit(5, 20, 22);
    commit(6, 30, 32);
    store_close(server.store);
    ck_assert_int_eq(store_open(&io, &server.store), STORE_OK);
}

static void teardown(void)
{
    store_close(server.store);
}

/** Damages the block of an object as of a generation. */
static void harm(uint64_t generation, unsigned index)
{
    static uint8_t bytes[STORE_BLOCK];
    struct store_object o;

    ck_assert_int_eq(store_get(server.store, generation, FIRST + index, &o, NULL), STORE_OK);
    driver.bytes[o.block * STORE_BLOCK + 77] ^= 1;
    ck_assert_int_eq(store_get(server.store, generation, FIRST + index, &o, bytes), STORE_DAMAGED);
}

static void check_whole(uint64_t bound, uint64_t expected)
{
    uint64_t found = STORE_NEWEST;

    ck_assert_int_eq(whole_before(bound, &found), expected != STORE_NEWEST);
    ck_assert_uint_eq(found, expected);
}

START_TEST(lines_say_how_they_descend)
{
    static const struct {
        uint64_t number, ancestor;
        uint32_t flags;
    } expected[] = {{0, UINT64_MAX, 0},
                    {1, 0, 0},
                    {2, 1, 0},
                    {3, 2, GENERATION_ABANDONED},
                    {4, 3, GENERATION_ABANDONED},
                    {5, 2, 0},
                    {6, 5, GENERATION_CURRENT}};
    struct generation_line g;

    for (unsigned i = 0; i < 7; i++) {
        ck_assert_int_eq(history_line(i, true, &g), BW_OK);
        ck_assert_uint_eq(g.number, expected[i].number);
        ck_assert_uint_eq(g.ancestor, expected[i].ancestor);
        ck_assert_uint_eq(g.flags, expected[i].flags);
        ck_assert_uint_gt(g.held, 0);
        ck_assert_uint_lt(g.held, OBJECTS * STORE_BLOCK);
    }
    ck_assert_int_eq(history_line(7, false, &g), BW_ABSENT);
}
END_TEST

START_TEST(damage_leads_to_the_newest_whole_ancestor)
{
    char choice[DISTRICT_MESSAGE_MAX];
    struct generation_line g;

    check_whole(UINT64_MAX, 6);
    check_whole(6, 5);
    check_whole(5, 2); /* not 4, which was left behind */
    harm(6, 30);
    check_whole(UINT64_MAX, 5);
    harm(5, 20);
    check_whole(UINT64_MAX, 2);
    ck_assert_int_eq(history_line(5, false, &g), BW_OK);
    ck_assert_uint_eq(g.flags, GENERATION_DAMAGED);
    harm(2, 3); /* of 2 */
    check_whole(UINT64_MAX, 1);
    whole_choice(choice, sizeof(choice));
    ck_assert_str_eq(choice, "'restart test --generation N' works with 4, 3, 1, 0");
    whole_condemn(1);
    check_whole(UINT64_MAX, 0);
    harm(0, 39); /* in all of them */
    check_whole(UINT64_MAX, STORE_NEWEST);
    whole_choice(choice, sizeof(choice));
    ck_assert_ptr_nonnull(strstr(choice, "none of its 7"));
}
END_TEST

START_TEST(a_drop_waits_for_the_snapshot)
{
    struct message reply = {0};
    struct generation_line g;

    server.writing = true;
    ck_assert(!history_drop(4, &reply));
    ck_assert(history_waits());
    history_work();
    ck_assert_uint_eq(answers, 0);
    ck_assert(history_drop(3, &reply)); /* one at a time */
    ck_assert_int_eq(reply.code, BW_BUSY);
    server.writing = false;
    history_work();
    ck_assert_uint_eq(answers, 1);
    ck_assert_int_eq(last_code, BW_OK);
    ck_assert(!history_waits());
    ck_assert_int_eq(history_line(4, false, &g), BW_OK);
    ck_assert_uint_eq(g.number, 5);
}
END_TEST

START_TEST(what_stays_is_not_dropped)
{
    struct message reply = {0};

    ck_assert(history_drop(6, &reply));
    ck_assert_int_eq(reply.code, BW_EXISTS);
    ck_assert(history_drop(77, &reply));
    ck_assert_int_ne(reply.code, BW_OK);
    for (uint64_t n = 0; n < 5; n++) {
        ck_assert(history_drop(n, &reply));
        ck_assert_int_eq(reply.code, BW_OK);
        ck_assert_uint_gt(reply.word[0], 0);
    }
    ck_assert(history_drop(5, &reply));
    ck_assert_int_eq(reply.code, BW_REFUSED);
}
END_TEST

START_TEST(settings_are_checked)
{
    static const uint64_t good[4] = {2, 0, 0, 0}, most[4] = {RETENTION_MAX, 0, 0, 0};
    static const uint64_t few[4] = {1, 0, 0, 0}, many[4] = {RETENTION_MAX, 1, 0, 0};
    static const uint64_t huge[4] = {2, UINT64_MAX, 0, 0};

    ck_assert_int_eq(settings_set(STORE_RETENTION, good), BW_OK);
    ck_assert_int_eq(settings_set(STORE_RETENTION, most), BW_OK);
    ck_assert_int_eq(settings_set(STORE_RETENTION, few), BW_ARGUMENT);
    ck_assert_int_eq(settings_set(STORE_RETENTION, many), BW_ARGUMENT);
    ck_assert_int_eq(settings_set(STORE_RETENTION, huge), BW_ARGUMENT);
    ck_assert_int_eq(settings_set(STORE_POLICY, (uint64_t[]){POLICY_CONTINUES}), BW_OK);
    ck_assert_int_eq(settings_set(STORE_POLICY, (uint64_t[]){3}), BW_ARGUMENT);
}
END_TEST

/** Runs a scrub to its end. @return how many steps it took */
static unsigned scrub_all(void)
{
    unsigned steps = 0;

    for (scrub_order(SCRUB_BEGIN); scrub_look()->state == SCRUB_RUNNING; steps++) {
        ck_assert_uint_lt(steps, 1000);
        if (fake_now < scrub_due())
            fake_now = scrub_due();
        scrub_step();
    }
    ck_assert_uint_eq(scrub_due(), BW_NO_DEADLINE);
    return steps;
}

START_TEST(a_scrub_rests_and_finds_all)
{
    const struct scrub_line *s;

    scrub_order(SCRUB_BEGIN);
    scrub_step();
    ck_assert_uint_gt(scrub_due(), fake_now);
    s = scrub_look();
    ck_assert_uint_gt(s->done, 0);
    ck_assert_uint_lt(s->done, s->total);
    scrub_step(); /* it rests */
    ck_assert_uint_eq(scrub_look()->done, s->done);
    scrub_order(SCRUB_STOP);
    ck_assert_int_eq(scrub_look()->state, SCRUB_STOPPED);
    scrub_all();
    ck_assert_int_eq(scrub_look()->state, SCRUB_DONE);
    ck_assert_uint_eq(scrub_look()->errors, 0);
    ck_assert_ptr_nonnull(strstr(last_event, "no damage"));
    harm(6, 30);
    harm(4, 4);
    damages = 0;
    ck_assert_uint_gt(scrub_all(), 1);
    ck_assert_uint_eq(scrub_look()->errors, 2);
    ck_assert_uint_eq(damages, 2);
    ck_assert_ptr_nonnull(strstr(last_event, "2 damaged, 0 repaired"));
}
END_TEST

START_TEST(a_scrub_of_what_is_written_fast_comes_to_an_end)
{
    const struct scrub_line *s;
    uint64_t number = 7;

    claim(6);
    ck_assert_int_eq(settings_set(STORE_RETENTION, (const uint64_t[4]){20, 0, 0, 0}), BW_OK);
    for (; number < 20; number++)
        commit(number, 0, OBJECTS);
    scrub_order(SCRUB_BEGIN);
    while ((s = scrub_look())->state == SCRUB_RUNNING) {
        ck_assert_uint_lt(number, 100);
        fake_now = scrub_due() > fake_now ? scrub_due() : fake_now;
        scrub_step();
        commit(number++, 0, OBJECTS); /* more blocks than a step reads */
    }
    ck_assert_int_eq(s->state, SCRUB_DONE);
    ck_assert_uint_eq(s->errors, 0);
    ck_assert_uint_le(s->done, s->total + OBJECTS);
}
END_TEST

static struct message ask(const char *string, struct message m)
{
    struct message reply = {.code = BW_OK};

    m.length = string ? strlen(string) : 0;
    journal_serve(&m, string, &reply);
    return reply;
}

/** A write names what it follows: one that does not know of the last write is refused. */
START_TEST(the_journal_page_is_not_overwritten_by_the_past)
{
    const struct message look = {.code = JOURNAL_READ};
    struct message r;

    server.running = false;
    ck_assert_int_eq(ask(NULL, look).code, BW_REFUSED);
    server.running = true;
    r = ask(NULL, look);
    ck_assert(r.code == BW_OK && r.word[0] == 0 && r.length == JOURNAL_SIZE);
    r = ask("first", (struct message){.code = JOURNAL_WRITE});
    ck_assert(r.code == BW_OK && r.word[0] == 1);
    r = ask("second", (struct message){.code = JOURNAL_WRITE, .word = {1}});
    ck_assert(r.code == BW_OK && r.word[0] == 2);
    claim(2); /* another past */
    ck_assert_int_eq(ask("first", (struct message){.code = JOURNAL_WRITE}).code, BW_AGAIN);
    ck_assert_int_eq(ask("first", (struct message){.code = JOURNAL_WRITE, .word = {1}}).code,
                     BW_AGAIN);
    ck_assert_int_eq(ask("x", (struct message){.code = JOURNAL_WRITE, .word = {2}, .cut = 1}).code,
                     BW_ARGUMENT);
    r = ask(NULL, look);
    ck_assert(r.word[0] == 2 && strcmp(r.string, "second") == 0);
    server.reopen = true;
    ck_assert_int_eq(ask("x", (struct message){.code = JOURNAL_WRITE, .word = {2}}).code, BW_IO);
    server.reopen = server.running = false;
    ck_assert_int_eq(ask(NULL, (struct message){.code = 77}).code, BW_REFUSED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stored_history");
    TCase *tests = tcase_create("history");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, lines_say_how_they_descend);
    tcase_add_test(tests, damage_leads_to_the_newest_whole_ancestor);
    tcase_add_test(tests, a_drop_waits_for_the_snapshot);
    tcase_add_test(tests, what_stays_is_not_dropped);
    tcase_add_test(tests, settings_are_checked);
    tcase_add_test(tests, a_scrub_rests_and_finds_all);
    tcase_add_test(tests, a_scrub_of_what_is_written_fast_comes_to_an_end);
    tcase_add_test(tests, the_journal_page_is_not_overwritten_by_the_past);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
