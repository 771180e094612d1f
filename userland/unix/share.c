/*
 * Counts of owned pages that several entries name (vm.h, invariant 2): a hash with open addressing
 * of those above one. A page that is not in it is named once. Key 0 is an empty place, so keys are
 * id + 1.
 */
#include <stdlib.h>
#include "vm.h"

struct share {
    uint64_t key;
    uint32_t count;
};

static struct share *place;
static size_t mask, used;

static size_t home(uint64_t key)
{
    return (key * 0x9e3779b97f4a7c15ull >> 20) & mask;
}

static struct share *find(uint64_t key)
{
    if (!used) {
        return NULL;
    }
    for (size_t i = home(key); place[i].key; i = (i + 1) & mask) {
        if (place[i].key == key) {
            return &place[i];
        }
    }
    return NULL;
}

static void insert(uint64_t key, uint32_t count)
{
    size_t i = home(key);

    while (place[i].key) {
        i = (i + 1) & mask;
    }
    place[i] = (struct share){key, count};
    used++;
}

/* Empties place i, moving back those that were put behind it. */
static void empty(size_t i)
{
    size_t j = i;

    used--;
    for (;;) {
        size_t h;

        place[i].key = 0;
        do {
            j = (j + 1) & mask;
            if (!place[j].key) {
                return;
            }
            h = home(place[j].key);
        } while (i <= j ? i < h && h <= j : i < h || h <= j);
        place[i] = place[j];
        i = j;
    }
}

bool share_reserve(size_t n)
{
    struct share *old = place;
    size_t old_size = place ? mask + 1 : 0, size = old_size ? old_size : 256;

    while ((used + n) * 2 > size) {
        size *= 2;
    }
    if (size == old_size) {
        return true;
    }
    place = calloc(size, sizeof *place);
    if (!place) {
        place = old;
        return false;
    }
    mask = size - 1;
    used = 0;
    for (size_t i = 0; i < old_size; i++) {
        if (old[i].key) {
            insert(old[i].key, old[i].count);
        }
    }
    free(old);
    return true;
}

unsigned share_count(uint64_t id)
{
    struct share *s = find(id + 1);

    return s ? s->count : 1;
}

bool share_add(uint64_t id)
{
    struct share *s = find(id + 1);

    if (s) {
        s->count++;
        return true;
    }
    if (!share_reserve(1)) {
        return false;
    }
    insert(id + 1, 2);
    return true;
}

unsigned share_drop(uint64_t id)
{
    struct share *s = find(id + 1);

    if (!s) {
        return 0;
    }
    if (s->count > 2) {
        return --s->count;
    }
    empty((size_t)(s - place));
    return 1;
}
