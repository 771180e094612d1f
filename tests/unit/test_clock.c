// sources: fake_panic.c
/*
 * The battery clock's registers to time: the driver over a CMOS clock that is played here.
 */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>

#define main_native clock_main
#include "../../drivers/clock.c"

static uint8_t cmos_byte[128];
static unsigned selected, reads, updating_reads;
static uint64_t set_to;
static int ticks_at;      /* the seconds change at this read; 0: never */
static bool ticks_always; /* the minute changes at every read */
static char logged[256];
static int64_t hpet_error; /* what the HPET says */
static bool hpet_is_there, hpet_counts;

int64_t bw_call(uint16_t key, struct message *m)
{
    if (key == KEY_AT(KR_NUCLEUS)) {
        set_to = m->word[0];
        return m->code = BW_OK;
    }
    if (m->code == PORTS_OUT && m->word[0] == 0) {
        selected = m->word[2] & 0x7f;
    } else if (m->code == PORTS_IN && m->word[0] == 1) {
        if (selected == CMOS_STATUS_A && updating_reads) {
            updating_reads--;
            m->word[0] = STATUS_A_UPDATING;
            return m->code = BW_OK;
        }
        if (ticks_always) {
            cmos_byte[CMOS_MINUTE] = (uint8_t)reads;
        }
        if (++reads == (unsigned)ticks_at) {
            cmos_byte[CMOS_SECOND] = 0;
            cmos_byte[CMOS_MINUTE]++;
        }
        m->word[0] = cmos_byte[selected];
    }
    return m->code = BW_OK;
}

void bw_log(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vsnprintf(logged, sizeof(logged), format, list);
    va_end(list);
}

int64_t bw_self(enum self_order order, struct message *m)
{
    ck_assert_int_eq(order, SELF_TIME);
    m->word[3] = 2400123456;
    return m->code = BW_OK;
}

bw_time_t bw_monotonic(void)
{
    return 5000;
}

bool acpi_find_hpet(uint64_t *base)
{
    *base = 0xfed00000;
    return hpet_is_there;
}

bool hpet_begin(struct hpet *h, uint16_t key)
{
    (void)h;
    ck_assert(key == KEY_AT(KR_HPET));
    return true;
}

bool hpet_end(struct hpet *h, int64_t *error)
{
    (void)h;
    *error = hpet_error;
    return hpet_counts;
}

int64_t bw_publish(const char *name, uint16_t badge)
{
    (void)name, (void)badge;
    return BW_OK;
}

int64_t bw_find_now(const char *name, uint16_t place)
{
    (void)name, (void)place;
    return BW_ABSENT;
}

int64_t bw_post(uint16_t key)
{
    (void)key;
    return BW_OK;
}

void bw_return(uint16_t key, struct message *m, uint16_t resume, unsigned flags)
{
    (void)key, (void)m, (void)resume, (void)flags;
}

bw_time_t bw_realtime(void)
{
    return 0;
}

static void put(const char *digits, unsigned status)
{
    static const uint8_t order[] = {CMOS_CENTURY, CMOS_YEAR,   CMOS_MONTH, CMOS_DAY,
                                    CMOS_HOUR,    CMOS_MINUTE, CMOS_SECOND};

    for (unsigned n = 0; n < 7; n++) {
        unsigned value = (unsigned)(digits[2 * n] - '0') * 10 + (unsigned)(digits[2 * n + 1] - '0');

        cmos_byte[order[n]] =
            (uint8_t)(status & STATUS_B_BINARY ? value : value / 10 << 4 | value % 10);
    }
    cmos_byte[CMOS_STATUS_B] = (uint8_t)status;
    cmos_byte[CMOS_STATUS_D] = STATUS_D_VALID;
    reads = updating_reads = 0;
    ticks_at = 0;
    ticks_always = false;
}

START_TEST(decimal_and_binary)
{
    put("20240229123456", STATUS_B_24_HOURS);
    ck_assert_int_eq(read_clock(), 1709210096);
    put("20240229123456", STATUS_B_24_HOURS | STATUS_B_BINARY);
    ck_assert_int_eq(read_clock(), 1709210096);
    put("19991231235959", STATUS_B_24_HOURS);
    ck_assert_int_eq(read_clock(), 946684799);
    put("20380119031408", STATUS_B_24_HOURS);
    ck_assert_int_eq(read_clock(), 2147483648);
}
END_TEST

START_TEST(twelve_hours)
{
    static const struct {
        const char *digits;
        bool pm;
        int64_t seconds;
    } time[] = {{"20000101120000", false, 946684800},
                {"20000101120000", true, 946728000},
                {"20000101010000", false, 946688400},
                {"20000101110000", true, 946767600}};

    for (unsigned n = 0; n < 4; n++) {
        put(time[n].digits, n & 1 ? STATUS_B_BINARY : 0);
        cmos_byte[CMOS_HOUR] |= time[n].pm ? HOUR_PM : 0;
        ck_assert_int_eq(read_clock(), time[n].seconds);
    }
}
END_TEST

START_TEST(century_that_is_not_kept)
{
    put("00240229123456", STATUS_B_24_HOURS);
    ck_assert_int_eq(read_clock(), 1709210096);
    put("00991231235959", STATUS_B_24_HOURS);
    ck_assert_int_eq(read_clock(), 946684799);
    put("19240229123456", STATUS_B_24_HOURS); /* never changed since it was made */
    ck_assert_int_eq(read_clock(), 1709210096);
    cmos_byte[CMOS_CENTURY] = 0xff;
    ck_assert_int_eq(read_clock(), 1709210096);
}
END_TEST

/* Whenever the second changes while the registers are read, the time is one of the two. */
START_TEST(torn_readings_are_repeated)
{
    for (int at = 1; at < 20; at++) {
        int64_t seconds;

        put("20240229123459", STATUS_B_24_HOURS);
        ticks_at = at;
        seconds = read_clock();
        ck_assert_msg(seconds == 1709210099 || seconds == 1709210100, "at %d", at);
    }
    put("20240229123456", STATUS_B_24_HOURS);
    updating_reads = 5;
    ck_assert_int_eq(read_clock(), 1709210096);
    ck_assert_uint_eq(updating_reads, 0);
    ticks_always = true;
    ck_assert_int_eq(read_clock(), -1);
    ticks_always = false;
    updating_reads = UINT32_MAX; /* never ends */
    ck_assert_int_eq(read_clock(), -1);
}
END_TEST

START_TEST(nonsense_is_refused)
{
    static const char *const nonsense[] = {"20241329123456", "20240029123456", "20240200123456",
                                           "20240229243456", "20240229126056", "20240229123460",
                                           "20240230123456", "20230229123456", "20240431123456"};

    for (unsigned n = 0; n < sizeof(nonsense) / sizeof(nonsense[0]); n++) {
        set_to = 7;
        put(nonsense[n], STATUS_B_24_HOURS | STATUS_B_BINARY);
        ck_assert_int_eq(read_clock(), -1);
        ck_assert(!set_realtime());
        ck_assert_uint_eq(set_to, 7);
    }
    put("20240229123456", STATUS_B_24_HOURS);
    ck_assert(set_realtime());
    ck_assert_uint_eq(set_to, 1709210096000000000ull);
}
END_TEST

START_TEST(digits_that_are_none)
{
    static const uint8_t registers[] = {CMOS_YEAR, CMOS_MONTH,  CMOS_DAY,
                                        CMOS_HOUR, CMOS_MINUTE, CMOS_SECOND};

    for (unsigned n = 0; n < sizeof(registers); n++) {
        put("20240229123456", STATUS_B_24_HOURS);
        cmos_byte[registers[n]] = 0x0a;
        ck_assert_int_eq(read_clock(), -1);
        cmos_byte[registers[n]] = 0xff;
        ck_assert_int_eq(read_clock(), -1);
    }
    memset(cmos_byte, 0xff, sizeof(cmos_byte)); /* there is no clock */
    updating_reads = 0;
    ck_assert_int_eq(read_clock(), -1);
    put("20240229003456", 0); /* of twelve hours: 1 to 12 */
    ck_assert_int_eq(read_clock(), -1);
    put("20240229133456", 0);
    ck_assert_int_eq(read_clock(), -1);
}
END_TEST

/* What is logged when the HPET has been looked at twice. */
static const char *compared(int64_t error)
{
    static unsigned step;

    hpet_error = error;
    logged[0] = '\0';
    check_steps = 0;
    for (step = 0; step < 5 && check_step() != BW_NO_DEADLINE; step++) {
    }
    ck_assert_uint_le(step, 1);
    return logged;
}

START_TEST(the_second_clock)
{
    ck_assert_str_eq(compared(0), "");
    hpet_is_there = true;
    ck_assert_str_eq(compared(0), "clock: the HPET does not count\n");
    hpet_counts = true;
    ck_assert_str_eq(compared(-4000), "clock: the TSC's 2400 MHz are right, by the HPET\n");
    ck_assert_str_eq(compared(-200000),
                     "clock: the TSC is taken for 2400 MHz, which is wrong: by the HPET, time "
                     "loses by 200 parts in a thousand\n");
    ck_assert_ptr_nonnull(strstr(compared(6000), "gains by 6 parts"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clock");
    TCase *tests = tcase_create("clock");

    tcase_add_test(tests, decimal_and_binary);
    tcase_add_test(tests, twelve_hours);
    tcase_add_test(tests, century_that_is_not_kept);
    tcase_add_test(tests, torn_readings_are_repeated);
    tcase_add_test(tests, nonsense_is_refused);
    tcase_add_test(tests, digits_that_are_none);
    tcase_add_test(tests, the_second_clock);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
