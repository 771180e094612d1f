// sources: fake_polling.h
/*
 * The keyboard's driver over a controller that is played here: as it should be, silent, and wild.
 */
#include <check.h>
#include <stdio.h>

#define main_native ps2_main
#include "../../drivers/ps2.c"
#include "fake_polling.h"

static uint8_t waiting[256]; /* bytes for the driver */
static unsigned first, end;
static bool always_full, always_busy, keeps_quiet, answers_keyboard;
static uint8_t config, said_to_keyboard[16], handed[256];
static unsigned command, said, hands, unmasks;
static uint8_t wanted; /* lights, as `keys` says */

static void queue(uint8_t byte)
{
    ck_assert_uint_lt(end, sizeof(waiting));
    waiting[end++] = byte;
}

static void write_data(uint8_t byte)
{
    if (command == WRITE_CONFIGURATION) {
        config = byte;
        command = 0;
        return;
    }
    ck_assert_uint_lt(said, sizeof(said_to_keyboard));
    said_to_keyboard[said++] = byte;
    if (answers_keyboard) {
        queue(KEYBOARD_ACKNOWLEDGED);
    }
}

static void port(struct message *m, bool data)
{
    if (m->code == PORTS_IN && !data) {
        m->word[0] =
            (always_full || first < end ? STATUS_FULL : 0) | (always_busy ? STATUS_BUSY : 0);
    } else if (m->code == PORTS_IN) {
        m->word[0] = first < end ? waiting[first++] : 0x1e;
    } else if (data) {
        write_data((uint8_t)m->word[2]);
    } else {
        command = (unsigned)m->word[2];
        if (command == READ_CONFIGURATION && !keeps_quiet) {
            queue(config);
        }
    }
}

int64_t bw_call(uint16_t key, struct message *m)
{
    int64_t order = m->code;

    m->code = BW_OK;
    if (key == KEY_AT(KR_DATA) || key == KEY_AT(KR_STATUS)) {
        m->code = order;
        port(m, key == KEY_AT(KR_DATA));
        m->code = BW_OK;
    } else if (key == KEY_AT(KR_KEYS)) {
        ck_assert_int_eq(order, KEYS_TYPED);
        for (size_t n = 0; n < m->length; n++) {
            handed[hands++ % sizeof(handed)] = ((const uint8_t *)m->string)[n];
        }
        m->word[0] = wanted;
    } else if (key == KEY_AT(KR_IRQ)) {
        unmasks += order == IRQ_UNMASK;
    }
    return m->code;
}

void bw_exit(uint64_t word)
{
    (void)word;
    ck_abort_msg("it does not end");
}

int64_t bw_find(const char *name, uint16_t place)
{
    ck_assert_str_eq(name, "keys");
    ck_assert(place == KEY_AT(KR_KEYS));
    return BW_OK;
}

uint64_t bw_wait(bw_time_t deadline)
{
    (void)deadline;
    return 0;
}

static void set_up(void)
{
    always_full = always_busy = keeps_quiet = false;
    answers_keyboard = true;
    first = end = said = hands = unmasks = 0;
    config = CONFIG_NO_KEYBOARD;
    lights = lights_wanted = wanted = 0;
    lights_announced = false;
    ck_assert(set_up_controller());
    ck_assert(serve_interrupt());
    first = end = said = unmasks = 0;
}

static void press(uint8_t code)
{
    queue(code);
    ck_assert(serve_interrupt());
}

START_TEST(it_is_set_up)
{
    set_up();
    ck_assert_uint_eq(config, CONFIG_INTERRUPT | CONFIG_TRANSLATE | CONFIG_NO_MOUSE);
    ck_assert_uint_eq(hands, 0); /* what the keyboard says of it is no key */
}
END_TEST

START_TEST(keys_and_lights)
{
    set_up();
    press(0x1e);
    ck_assert(hands == 1 && handed[0] == 0x1e && said == 0 && unmasks == 1);
    wanted = 4;
    press(0x3a);
    ck_assert(hands == 2 && said == 2 && said_to_keyboard[0] == KEYBOARD_LIGHTS);
    ck_assert_uint_eq(said_to_keyboard[1], 4);
    press(0xba);
    ck_assert(hands == 3 && said == 2); /* it has been told */
}
END_TEST

/* Without a word from it keys go on, and it is told again with the next one. */
START_TEST(a_keyboard_that_does_not_answer)
{
    set_up();
    answers_keyboard = false;
    wanted = 4;
    press(0x3a);
    ck_assert(said == 1 && said_to_keyboard[0] == KEYBOARD_LIGHTS);
    press(0x1e);
    ck_assert(hands == 2 && said == 2 && said_to_keyboard[1] == KEYBOARD_LIGHTS);
    press(KEYBOARD_RESEND);
    ck_assert_uint_eq(hands, 2);
    answers_keyboard = true;
    press(0x1f);
    ck_assert(hands == 3 && said == 4 && said_to_keyboard[3] == 4);
}
END_TEST

START_TEST(a_controller_that_takes_nothing)
{
    set_up();
    always_busy = true;
    wanted = 4;
    pauses = 0;
    press(0x3a);
    ck_assert(hands == 1 && said == 0 && unmasks == 1);
    ck_assert_uint_gt(pauses, 10); /* others had their turns */
    press(0x1e);
    ck_assert_uint_eq(hands, 2);
    ck_assert(!set_up_controller());
    always_busy = false;
    keeps_quiet = true;
    ck_assert(!set_up_controller());
}
END_TEST

START_TEST(a_controller_without_an_end)
{
    set_up();
    always_full = true;
    ck_assert(!serve_interrupt());
    ck_assert_uint_eq(unmasks, 0);
    ck_assert_int_eq(ps2_main(0), 0); /* it ends, too */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ps2");
    TCase *tests = tcase_create("ps2");

    tcase_add_test(tests, it_is_set_up);
    tcase_add_test(tests, keys_and_lights);
    tcase_add_test(tests, a_keyboard_that_does_not_answer);
    tcase_add_test(tests, a_controller_that_takes_nothing);
    tcase_add_test(tests, a_controller_without_an_end);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
