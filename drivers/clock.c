/*
 * The battery clock: MC146818 compatible CMOS clock behind ports 0x70 and 0x71, in UTC. Sets the
 * machine's REALTIME once, at its start, and tells the time to whoever may find "clock".
 *
 * The clock changes its registers once a second and says so by "update in progress" shortly before;
 * they are read until two readings agree with no update between them. A reading is a date or
 * nothing: who does not know the time says so.
 *
 * The other thing done once is to compare MONOTONIC with the HPET, for a second while nobody waits
 * for it.
 */
#include "acpi.h"
#include "hpet.h"
#include "ports.h"

#include <bailiwick/names.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#ifndef BW_MUTATION
#define BW_MUTATION 0 /* tests: main_native() */
#endif

#define KR_NUCLEUS KR_PROGRAM
#define KR_PORTS   (KR_PROGRAM + 1)
#define KR_HPET    25

enum cmos_register {
    CMOS_SECOND = 0x00,
    CMOS_MINUTE = 0x02,
    CMOS_HOUR = 0x04,
    CMOS_DAY = 0x07,
    CMOS_MONTH = 0x08,
    CMOS_YEAR = 0x09,
    CMOS_STATUS_A = 0x0a,
    CMOS_STATUS_B = 0x0b,
    CMOS_STATUS_D = 0x0d,
    CMOS_CENTURY = 0x32,
};
#define STATUS_A_UPDATING 0x80u
#define STATUS_B_24_HOURS 0x02u
#define STATUS_B_BINARY   0x04u
#define STATUS_D_VALID    0x80u
#define HOUR_PM           0x80u
#define NMI_OFF           0x80u /* kept off while the index register is in use */

#define UPDATE_TRIES 10000u /* an update takes 2 ms */
#define READINGS     5u
#define NO_NUMBER    1000u

#define READING 7
static const uint8_t reading_register[READING] = {CMOS_SECOND, CMOS_MINUTE, CMOS_HOUR,   CMOS_DAY,
                                                  CMOS_MONTH,  CMOS_YEAR,   CMOS_CENTURY};

static uint8_t cmos(unsigned index)
{
    port_out(KEY_AT(KR_PORTS), 0, 1, index | NMI_OFF);
    return (uint8_t)port_in(KEY_AT(KR_PORTS), 1, 1);
}

/* @return false: it never stops updating */
static bool read_once(uint8_t reading[READING])
{
    unsigned tries = 0;

    while (cmos(CMOS_STATUS_A) & STATUS_A_UPDATING) {
        if (++tries == UPDATE_TRIES) {
            return false;
        }
    }
    for (unsigned n = 0; n < READING; n++) {
        reading[n] = cmos(reading_register[n]);
    }
    return true;
}

/* A register's value as the clock counts, or NO_NUMBER. */
static unsigned number_of(uint8_t byte, unsigned status)
{
    if (status & STATUS_B_BINARY) {
        return byte;
    }
    return (byte >> 4) < 10 && (byte & 15u) < 10 ? (byte >> 4) * 10u + (byte & 15u) : NO_NUMBER;
}

/* 0 to 23, or NO_NUMBER. */
static unsigned hour_of(uint8_t byte, unsigned status)
{
    unsigned hour;

    if (status & STATUS_B_24_HOURS) {
        hour = number_of(byte, status);
        return hour < 24 ? hour : NO_NUMBER;
    }
    hour = number_of(byte & (uint8_t)~HOUR_PM, status);
    return hour >= 1 && hour <= 12 ? hour % 12 + (byte & HOUR_PM ? 12 : 0) : NO_NUMBER;
}

/* Many clocks do not keep the century, or keep the one that they were made in. */
static unsigned year_of(uint8_t byte, uint8_t century_byte, unsigned status)
{
    unsigned year = number_of(byte, status), century = number_of(century_byte, status);

    if (year > 99) {
        return NO_NUMBER;
    }
    if (century < 20 || century > 29) {
        century = year < 70 ? 20 : 19;
    }
    return century * 100 + year;
}

/* Seconds since 1970, or -1 if the registers do not hold a date. */
static int64_t seconds_of(const uint8_t raw[READING], unsigned status)
{
    unsigned second = number_of(raw[0], status), minute = number_of(raw[1], status);
    unsigned hour = hour_of(raw[2], status), day = number_of(raw[3], status);
    unsigned month = number_of(raw[4], status), year = year_of(raw[5], raw[6], status);
    struct tm tm;
    int64_t seconds;

    if (second > 59 || minute > 59 || hour == NO_NUMBER || day < 1 || day > 31 || month < 1 ||
        month > 12 || year == NO_NUMBER) {
        return -1;
    }
    tm = (struct tm){.tm_sec = (int)second,
                     .tm_min = (int)minute,
                     .tm_hour = (int)hour,
                     .tm_mday = (int)day,
                     .tm_mon = (int)month - 1,
                     .tm_year = (int)year - 1900};
    seconds = timegm(&tm);
    return tm.tm_mday == (int)day ? seconds : -1; /* else the month has fewer days */
}

static int64_t read_clock(void)
{
    uint8_t first[READING], second[READING];

    if (!read_once(second)) {
        return -1;
    }
    for (unsigned tries = 0; tries < READINGS; tries++) {
        memcpy(first, second, sizeof(first));
        if (!read_once(second)) {
            return -1;
        }
        if (memcmp(first, second, sizeof(first)) == 0) {
            return seconds_of(second, cmos(CMOS_STATUS_B));
        }
    }
    return -1;
}

static bool set_realtime(void)
{
    int64_t seconds = read_clock();
    struct message m = {.code = NUCLEUS_SET_REALTIME, .word = {(uint64_t)seconds * 1000000000ull}};

    if (seconds < 0) {
        bw_log("clock: the CMOS clock does not hold a date\n");
        return false;
    }
    if (!(cmos(CMOS_STATUS_D) & STATUS_D_VALID)) {
        bw_log("clock: the CMOS battery is empty, its time may be wrong\n");
    }
    return bw_call(KEY_AT(KR_NUCLEUS), &m) >= 0;
}

/* --- the second clock ------------------------------------------------------------------------- */

#define CHECK_AFTER 1000000000ull /* ns from the start, and again for as long */
#define ERROR_MOST  5000          /* parts per million */

static struct hpet hpet;
static unsigned check_steps; /* done */

static void report(int64_t error)
{
    struct message m = {0};
    uint64_t mhz;

    bw_self(SELF_TIME, &m);
    mhz = (m.word[3] + 500000) / 1000000;
    if (error >= -ERROR_MOST && error <= ERROR_MOST) {
        bw_log("clock: the TSC's %llu MHz are right, by the HPET\n", (unsigned long long)mhz);
    } else {
        bw_log("clock: the TSC is taken for %llu MHz, which is wrong: by the HPET, time %s by "
               "%lld parts in a thousand\n",
               (unsigned long long)mhz, error > 0 ? "gains" : "loses",
               (long long)(error < 0 ? -error : error) / 1000);
    }
}

/* @return when to be called next */
static bw_time_t check_step(void)
{
    struct message m = {.code = NUCLEUS_PHYSICAL, .take = {KEY_AT(KR_HPET)}};
    int64_t error;

    if (check_steps++ == 0) {
        m.word[1] = 1;
        if (acpi_find_hpet(&m.word[0]) && bw_call(KEY_AT(KR_NUCLEUS), &m) >= 0 &&
            hpet_begin(&hpet, KEY_AT(KR_HPET))) {
            return bw_monotonic() + CHECK_AFTER;
        }
    } else if (hpet_end(&hpet, &error)) {
        report(error);
    } else {
        bw_log("clock: the HPET does not count\n");
    }
    return BW_NO_DEADLINE;
}

int main_native(uint64_t word)
{
    static unsigned asked;
    struct message m = {0};
    uint16_t reply = 0;
    bool valid = set_realtime();
    bw_time_t deadline = bw_monotonic() + CHECK_AFTER;

    (void)word;
    bw_assert(bw_publish("clock", 0) >= 0);
    if (bw_find_now("districts", KEY_AT(KR_SCRATCH)) >= 0) { /* its districts have a key to us */
        bw_post(KEY_AT(KR_SCRATCH));
    }
    for (;;) {
        m.deadline = deadline;
        bw_return(reply, &m, KEY_AT(KR_CALLER), 0);
        reply = m.delivery == DELIVERY_MESSAGE ? KEY_AT(KR_CALLER) : 0;
        if (m.delivery == DELIVERY_TIMEOUT) {
            deadline = check_step();
        } else if (m.code == CLOCK_GET) {
            bw_assert(BW_MUTATION != 1 || ++asked != 10); /* the mutation that ends it then */
            m.word[0] = valid ? bw_realtime() : 0;
            m.code = valid ? BW_OK : BW_IO;
        } else {
            m.code = BW_ORDER;
        }
    }
}
