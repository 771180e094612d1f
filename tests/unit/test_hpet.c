// sources: ../../drivers/hpet.c
/*
 * MONOTONIC compared with an HPET that is played here: right, wrong, hostile.
 */
#include <check.h>
#include <stdlib.h>
#include "../../drivers/hpet.h"

#define KEY    17
#define PERIOD 10000000u /* fs: 100 MHz */

static uint64_t now;                 /* ns, by MONOTONIC */
static uint64_t took;                /* ns that each look at MONOTONIC takes */
static uint64_t rate_ppm;            /* of MONOTONIC, by the HPET */
static uint32_t id, period, control; /* registers */
static uint64_t count_at_zero;

int64_t bw_call(uint16_t key, struct message *m)
{
    uint64_t reg = m->word[0];

    ck_assert(key == KEY && m->word[1] == 4);
    if (m->code == PHYSICAL_WRITE) {
        ck_assert_uint_eq(reg, 0x10);
        control = (uint32_t)m->word[2];
        return m->code = BW_OK;
    }
    ck_assert_int_eq(m->code, PHYSICAL_READ);
    if (reg == 0xf0) {
        m->word[0] = control & 1 ? (uint32_t)(count_at_zero + now * 1000000 / rate_ppm / 10) : 7;
    } else {
        m->word[0] = reg == 0 ? id : reg == 4 ? period : control;
    }
    return m->code = BW_OK;
}

bw_time_t bw_monotonic(void)
{
    now += took;
    return now;
}

static void set_up(void)
{
    now = 123456789;
    took = 0;
    rate_ppm = 1000000;
    id = 0x8086a201;
    period = PERIOD;
    control = 0;
    count_at_zero = 0xfffff000; /* it goes round in between */
}

/* @return ppm, INT64_MAX: nothing was found out */
static int64_t compare(uint64_t ns)
{
    struct hpet h;
    int64_t error = INT64_MAX;

    if (!hpet_begin(&h, KEY)) {
        return INT64_MAX;
    }
    now += ns;
    return hpet_end(&h, &error) ? error : INT64_MAX;
}

START_TEST(right_and_wrong_rates)
{
    set_up();
    ck_assert_int_eq(compare(1000000000), 0);
    ck_assert_uint_eq(control, 0); /* as it was */
    control = 3;
    ck_assert_int_eq(compare(1000000000), 0);
    ck_assert_uint_eq(control, 3);
    rate_ppm = 1200000;
    ck_assert_int_le(llabs(compare(1000000000) - 200000), 1);
    rate_ppm = 900000;
    ck_assert_int_le(llabs(compare(1000000000) + 100000), 1);
}
END_TEST

/* What may come from looking at one clock after the other is no error. */
START_TEST(slow_looks)
{
    set_up();
    took = 3000000;
    ck_assert_int_eq(compare(1000000000), 0);
    rate_ppm = 1002000;
    ck_assert_int_eq(compare(1000000000), 0);
    rate_ppm = 1200000;
    ck_assert_int_gt(compare(1000000000), 190000);
}
END_TEST

START_TEST(nothing_that_counts)
{
    struct hpet h;

    set_up();
    id = UINT32_MAX; /* nobody there */
    ck_assert(!hpet_begin(&h, KEY));
    id = 0;
    ck_assert(!hpet_begin(&h, KEY));
    id = 1;
    period = 0;
    ck_assert(!hpet_begin(&h, KEY));
    period = 100000001;
    ck_assert(!hpet_begin(&h, KEY));
    set_up();
    ck_assert(hpet_begin(&h, KEY));
    control = 0; /* stands still, at another count */
    ck_assert_int_eq(compare(0), INT64_MAX);
    set_up();
    ck_assert_int_eq(compare(30000000000), INT64_MAX); /* it may have gone round unseen */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hpet");
    TCase *tests = tcase_create("hpet");

    tcase_add_test(tests, right_and_wrong_rates);
    tcase_add_test(tests, slow_looks);
    tcase_add_test(tests, nothing_that_counts);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
