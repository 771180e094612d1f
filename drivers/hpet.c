/*
 * Only the lower half of the counter is used, so that it is read at once: MONOTONIC says whether it
 * may have gone round.
 */
#include "hpet.h"

enum hpet_register {
    HPET_ID = 0x00, /* period behind it */
    HPET_PERIOD = 0x04,
    HPET_CONTROL = 0x10,
    HPET_COUNTER = 0xf0,
};
#define ID_REVISION    0xffu
#define PERIOD_MOST    100000000u /* fs */
#define PERIOD_LEAST   100000u
#define CONTROL_COUNTS 1u

#define LOOKS     8u
#define FS_PER_NS 1000000u

static uint32_t get(const struct hpet *h, enum hpet_register reg)
{
    struct message m = {.code = PHYSICAL_READ, .word = {reg, 4}};

    return bw_call(h->key, &m) < 0 ? UINT32_MAX : (uint32_t)m.word[0];
}

static void set(const struct hpet *h, enum hpet_register reg, uint32_t value)
{
    struct message m = {.code = PHYSICAL_WRITE, .word = {reg, 4, value}};

    bw_call(h->key, &m);
}

/* The best of several: whoever runs in between makes one worse. */
static struct hpet_moment look(const struct hpet *h)
{
    struct hpet_moment best = {.unsure = UINT64_MAX};

    for (unsigned n = 0; n < LOOKS; n++) {
        bw_time_t before = bw_monotonic();
        uint32_t count = get(h, HPET_COUNTER);
        uint64_t unsure = bw_monotonic() - before;

        if (unsure < best.unsure) {
            best = (struct hpet_moment){before + unsure / 2, unsure, count};
        }
    }
    return best;
}

bool hpet_begin(struct hpet *h, uint16_t key)
{
    uint32_t id;

    *h = (struct hpet){.key = key};
    id = get(h, HPET_ID);
    h->period = get(h, HPET_PERIOD);
    if (id == UINT32_MAX || !(id & ID_REVISION) || h->period < PERIOD_LEAST ||
        h->period > PERIOD_MOST) {
        return false;
    }
    h->control = get(h, HPET_CONTROL);
    set(h, HPET_CONTROL, h->control | CONTROL_COUNTS);
    h->first = look(h);
    return true;
}

bool hpet_end(struct hpet *h, int64_t *error)
{
    struct hpet_moment last = look(h);
    uint64_t passed = last.monotonic - h->first.monotonic;
    uint64_t counted = (uint32_t)(last.count - h->first.count) * h->period / FS_PER_NS;
    uint64_t round = ((uint64_t)1 << 32) * h->period / FS_PER_NS;
    int64_t difference = (int64_t)(passed - counted);

    set(h, HPET_CONTROL, h->control);
    if (!counted || passed > round / 2) {
        return false;
    }
    *error = 0;
    if ((uint64_t)(difference < 0 ? -difference : difference) > h->first.unsure + last.unsure) {
        *error = difference * 1000000 / (int64_t)counted;
    }
    return true;
}
