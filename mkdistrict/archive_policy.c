/*
 * Which generations a vault keeps: the last few, and ever sparser older ones. Age is counted from
 * the newest generation, not from now: a district that rests loses nothing.
 */
#include <ctype.h>
#include <stdlib.h>

#include "vault.h"

#define SECOND 1000000000ull
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

bool parse_retention(const char *text, struct retention *r)
{
    uint32_t value[4] = {0};

    for (unsigned i = 0; i < 4; i++) {
        char *end;
        unsigned long n;

        if (!isdigit((unsigned char)*text))
            return false;
        n = strtoul(text, &end, 10);
        if (n > 1000000 || (*end && *end != ','))
            return false;
        value[i] = (uint32_t)n;
        if (*end == 0) {
            *r = (struct retention){value[0], value[1], value[2], value[3]};
            return value[0] > 0;
        }
        text = end + 1;
    }
    return false;
}

/** The span of time of which, at that age, one stays; 0: none does. */
static uint64_t span_at(const struct retention *r, uint64_t age)
{
    static const uint64_t unit[] = {MINUTE, HOUR, DAY};
    const uint32_t count[] = {r->minutes, r->hours, r->days};

    for (unsigned i = 0; i < 3; i++)
        if (age < count[i] * unit[i])
            return unit[i];
    return 0;
}

/** Of each minute, hour or day the first stays: a later one never takes its place, and the first of
 * a day is the first of an hour, so what is kept does not depend on how often this is done. */
void retention_choose(const struct retention *r, const uint64_t *time, size_t n, bool *keep)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t span = span_at(r, time[n - 1] > time[i] ? time[n - 1] - time[i] : 0);
        bool first = span && (i == 0 || time[i] / span != time[i - 1] / span);

        keep[i] = first || n - i <= r->last;
    }
}
