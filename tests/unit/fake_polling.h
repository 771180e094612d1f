// sources: fake_panic.c
/*
 * Time for a driver that polls: a millisecond goes by whenever it looks, and each time that it gives
 * the processor away is counted. Included by one file of a test program.
 */
#ifndef TESTS_FAKE_POLLING_H
#define TESTS_FAKE_POLLING_H

#include <check.h>
#include <bailiwick/runtime.h>

static uint64_t now;
static unsigned pauses;

int64_t bw_self(enum self_order order, struct message *m)
{
    ck_assert_int_eq(order, SELF_YIELD);
    pauses++;
    return m->code = BW_OK;
}

bw_time_t bw_monotonic(void)
{
    return now += 1000000;
}

void bw_log(const char *format, ...)
{
    (void)format;
}

#endif
