/*
 * The battery clock: MC146818 compatible CMOS clock behind ports 0x70 and 0x71, in UTC. Sets the
 * machine's REALTIME once, at its start, and tells the time to whoever may find "clock".
 *
 * The clock changes its registers once a second and says so by "update in progress" shortly before;
 * they are read until two readings agree with no update between them.
 */
#include "ports.h"

#include <bailiwick/names.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define KR_NUCLEUS KR_PROGRAM
#define KR_PORTS   (KR_PROGRAM + 1)

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

#define READING 7
static const uint8_t reading_register[READING] = {CMOS_SECOND, CMOS_MINUTE, CMOS_HOUR,   CMOS_DAY,
                                                  CMOS_MONTH,  CMOS_YEAR,   CMOS_CENTURY};

static uint8_t cmos(unsigned index)
{
    port_out(KEY_AT(KR_PORTS), 0, 1, index | NMI_OFF);
    return (uint8_t)port_in(KEY_AT(KR_PORTS), 1, 1);
}

static void read_once(uint8_t reading[READING])
{
    for (unsigned tries = 0; cmos(CMOS_STATUS_A) & STATUS_A_UPDATING && tries < 10000; tries++) {
    }
    for (unsigned n = 0; n < READING; n++) {
        reading[n] = cmos(reading_register[n]);
    }
}

static unsigned from_bcd(uint8_t value)
{
    return (value >> 4) * 10u + (value & 15u);
}

/* Seconds since 1970, or -1 if the registers do not hold a date. */
static int64_t seconds_of(const uint8_t raw[READING], unsigned status)
{
    unsigned value[READING];
    bool pm = raw[2] & HOUR_PM;
    struct tm tm = {0};

    for (unsigned n = 0; n < READING; n++) {
        uint8_t byte = n == 2 && !(status & STATUS_B_24_HOURS) ? raw[n] & ~HOUR_PM : raw[n];

        value[n] = status & STATUS_B_BINARY ? byte : from_bcd(byte);
    }
    if (!(status & STATUS_B_24_HOURS)) {
        value[2] = value[2] % 12 + (pm ? 12 : 0);
    }
    if (value[6] < 19 || value[6] > 29) {
        value[6] = value[5] < 70 ? 20 : 19;
    }
    if (value[0] > 60 || value[1] > 59 || value[2] > 23 || value[3] < 1 || value[3] > 31 ||
        value[4] < 1 || value[4] > 12 || value[5] > 99) {
        return -1;
    }
    tm.tm_sec = (int)value[0];
    tm.tm_min = (int)value[1];
    tm.tm_hour = (int)value[2];
    tm.tm_mday = (int)value[3];
    tm.tm_mon = (int)value[4] - 1;
    tm.tm_year = (int)(value[6] * 100 + value[5]) - 1900;
    return timegm(&tm);
}

static int64_t read_clock(void)
{
    uint8_t first[READING], second[READING];
    unsigned tries = 0;

    read_once(second);
    do {
        memcpy(first, second, sizeof(first));
        read_once(second);
    } while (memcmp(first, second, sizeof(first)) != 0 && ++tries < 5);
    return seconds_of(second, cmos(CMOS_STATUS_B));
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

int main_native(uint64_t word)
{
    struct message m = {0};
    uint16_t reply = 0;
    bool valid = set_realtime();

    (void)word;
    bw_assert(bw_publish("clock", 0) >= 0);
    for (;;) {
        bw_return(reply, &m, KEY_AT(KR_CALLER), 0);
        reply = m.delivery == DELIVERY_MESSAGE ? KEY_AT(KR_CALLER) : 0;
        if (m.code == CLOCK_GET) {
            m.word[0] = valid ? bw_realtime() : 0;
            m.code = valid ? BW_OK : BW_IO;
        } else {
            m.code = BW_ORDER;
        }
    }
}
