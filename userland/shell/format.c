/*
 * Words, times and sizes as people read and write them.
 */
#include "format.h"
#include <stdio.h>
#include <string.h>

#define US     1000ull
#define MS     (1000ull * US)
#define SECOND (1000ull * MS)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static const char *two_units(char buf[FORMAT_SIZE], uint64_t ns, uint64_t big, const char *big_name,
                             uint64_t small, const char *small_name)
{
    unsigned long long rest = ns % big / small;

    if (rest == 0) {
        snprintf(buf, FORMAT_SIZE, "%llu %s", (unsigned long long)(ns / big), big_name);
    } else {
        snprintf(buf, FORMAT_SIZE, "%llu %s %llu %s", (unsigned long long)(ns / big), big_name,
                 rest, small_name);
    }
    return buf;
}

const char *format_time(char buf[FORMAT_SIZE], uint64_t ns)
{
    if (ns < SECOND) {
        snprintf(buf, FORMAT_SIZE, "%llu ms", (unsigned long long)(ns / MS));
    } else if (ns < 10 * SECOND) {
        snprintf(buf, FORMAT_SIZE, "%llu.%llu s", (unsigned long long)(ns / SECOND),
                 (unsigned long long)(ns % SECOND / (SECOND / 10)));
    } else if (ns < MINUTE) {
        snprintf(buf, FORMAT_SIZE, "%llu s", (unsigned long long)(ns / SECOND));
    } else if (ns < HOUR) {
        two_units(buf, ns, MINUTE, "min", SECOND, "s");
    } else if (ns < DAY) {
        two_units(buf, ns, HOUR, "h", MINUTE, "min");
    } else {
        two_units(buf, ns, DAY, "d", HOUR, "h");
    }
    return buf;
}

const char *format_short_time(char buf[FORMAT_SIZE], uint64_t ns)
{
    if (ns < US) {
        snprintf(buf, FORMAT_SIZE, "%llu ns", (unsigned long long)ns);
    } else if (ns < MS) {
        snprintf(buf, FORMAT_SIZE, "%llu us", (unsigned long long)(ns / US));
    } else if (ns < 10 * MS) {
        snprintf(buf, FORMAT_SIZE, "%llu.%llu ms", (unsigned long long)(ns / MS),
                 (unsigned long long)(ns % MS / (MS / 10)));
    } else {
        format_time(buf, ns);
    }
    return buf;
}

const char *format_bytes(char buf[FORMAT_SIZE], uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
    uint64_t tenths = bytes / 1024 * 10 + bytes % 1024 * 10 / 1024;
    unsigned unit = 0;

    while (tenths >= 10240 && unit < sizeof(units) / sizeof(units[0]) - 1) {
        tenths /= 1024;
        unit++;
    }
    if (tenths >= 1000 || unit == 0 || (tenths % 10 == 0 && tenths >= 100)) {
        snprintf(buf, FORMAT_SIZE, "%llu %s", (unsigned long long)(tenths / 10), units[unit]);
    } else {
        snprintf(buf, FORMAT_SIZE, "%llu.%llu %s", (unsigned long long)(tenths / 10),
                 (unsigned long long)(tenths % 10), units[unit]);
    }
    return buf;
}

/** Year, month and day of a day counted from 1970-01-01 (Howard Hinnant, days_from_civil, the other
 * way round): years begin in March, so that the leap day is their last. */
static void date_of(uint64_t day, unsigned *year, unsigned *month, unsigned *of_month)
{
    uint64_t since = day + 719468; /* days since 0000-03-01 */
    uint64_t era = since / 146097;
    unsigned of_era = (unsigned)(since % 146097);
    unsigned y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * y + y / 4 - y / 100);
    unsigned m = (5 * of_year + 2) / 153;

    *of_month = of_year - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = (unsigned)(y + era * 400) + (*month <= 2);
}

const char *format_date(char buf[FORMAT_SIZE], uint64_t ns)
{
    unsigned long long seconds = ns / SECOND % 86400;
    unsigned year, month, day;

    date_of(ns / DAY, &year, &month, &day);
    snprintf(buf, FORMAT_SIZE, "%04u-%02u-%02u %02llu:%02llu:%02llu", year, month, day,
             seconds / 3600, seconds / 60 % 60, seconds % 60);
    return buf;
}

/** Reads digits. @return behind them, NULL if there are none or too many */
static const char *read_digits(const char *text, uint64_t *value)
{
    const char *at = text;

    for (*value = 0; *at >= '0' && *at <= '9'; at++) {
        if (*value > UINT64_MAX / 100) {
            return NULL;
        }
        *value = *value * 10 + (uint64_t)(*at - '0');
    }
    return at == text ? NULL : at;
}

bool parse_number(const char *text, uint64_t *value)
{
    const char *end = read_digits(text, value);

    return end && *end == 0;
}

bool parse_numbers(const char *text, uint64_t *values, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        text = read_digits(text, &values[i]);
        if (!text || *text != (i + 1 < count ? ',' : 0)) {
            return false;
        }
        text++;
    }
    return true;
}

/** The unit at the end of a time; 0 if there is no such unit. */
static uint64_t unit_ns(const char *unit)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {{"", SECOND},    {"ms", MS},  {"s", SECOND}, {"sec", SECOND}, {"m", MINUTE},
                 {"min", MINUTE}, {"h", HOUR}, {"us", US},    {"ns", 1}};

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(unit, units[i].name) == 0) {
            return units[i].ns;
        }
    }
    return 0;
}

bool parse_time(const char *text, uint64_t *ns)
{
    uint64_t whole = 0;
    uint64_t thousandths = 0;
    uint64_t unit;
    int digits = 0;

    if (strcmp(text, "off") == 0 || strcmp(text, "never") == 0) {
        *ns = 0;
        return true;
    }
    for (; *text >= '0' && *text <= '9'; text++, digits++) {
        whole = whole * 10 + (uint64_t)(*text - '0');
        if (whole > 1000000000) {
            return false;
        }
    }
    if (*text == '.') {
        uint64_t place = 100;
        for (text++; *text >= '0' && *text <= '9'; text++, digits++, place /= 10) {
            thousandths += (uint64_t)(*text - '0') * place;
        }
    }
    unit = unit_ns(text);
    if (digits == 0 || unit == 0 || whole > UINT64_MAX / 2 / unit) {
        return false;
    }
    *ns = whole * unit + thousandths * (unit / 1000) + thousandths * (unit % 1000) / 1000;
    return true;
}

uint64_t ticks_to_ns(uint64_t ticks, uint64_t per_second)
{
    if (per_second == 0) {
        return 0;
    }
    return ticks / per_second * SECOND + ticks % per_second * SECOND / per_second;
}

int split_words(char *line, char **words, int max)
{
    int count = 0;
    char *to;

    for (;;) {
        while (*line == ' ' || *line == '\t') {
            line++;
        }
        if (*line == 0) {
            return count;
        }
        if (count == max) {
            return -2;
        }
        words[count++] = to = line;
        while (*line && *line != ' ' && *line != '\t') {
            char quote = *line;
            if (quote != '\'' && quote != '"') {
                *to++ = *line++;
                continue;
            }
            for (line++; *line != quote; *to++ = *line++) {
                if (*line == 0) {
                    return -1;
                }
            }
            line++;
        }
        if (*line) {
            line++;
        }
        *to = 0;
    }
}
