/*
 * The HPET (IA-PC HPET specification 1.0a) as a second clock, by which MONOTONIC is checked: that
 * comes from the TSC, whose rate the nucleus has measured by the interval timer in milliseconds.
 */
#ifndef DRIVERS_HPET_H
#define DRIVERS_HPET_H

#include <bailiwick/runtime.h>

#include <stdbool.h>

/** Both clocks at one moment. */
struct hpet_moment {
    bw_time_t monotonic;
    uint64_t unsure; /* ns by which they may be of different moments */
    uint32_t count;
};

struct hpet {
    uint16_t key;     /* KEY_PHYSICAL of its page */
    uint32_t control; /* as it was found */
    uint64_t period;  /* of its counter, in fs */
    struct hpet_moment first;
};

/** Has it count. @return false: there is none at the key */
bool hpet_begin(struct hpet *h, uint16_t key);
/**
 * Some time later, and once. @param error in parts per million, positive if MONOTONIC is fast; 0 if
 * that is within what can be told
 * @return false: it does not count, or too long ago
 */
bool hpet_end(struct hpet *h, int64_t *error);

#endif
