/*
 * The heap of timers (timer.h). place 1 is the root; children of n are 2n and 2n + 1.
 */
#include <stdlib.h>
#include "timer.h"

static struct timer **heap;
static uint32_t count, capacity;

static void put(uint32_t place, struct timer *t)
{
    heap[place] = t;
    t->place = place;
}

static void sift_up(uint32_t place, struct timer *t)
{
    while (place > 1 && heap[place / 2]->when > t->when) {
        put(place, heap[place / 2]);
        place /= 2;
    }
    put(place, t);
}

static void sift_down(uint32_t place, struct timer *t)
{
    for (;;) {
        uint32_t child = 2 * place;

        if (child > count) {
            break;
        }
        if (child < count && heap[child + 1]->when < heap[child]->when) {
            child++;
        }
        if (heap[child]->when >= t->when) {
            break;
        }
        put(place, heap[child]);
        place = child;
    }
    put(place, t);
}

static bool grow(void)
{
    uint32_t wanted = capacity ? 2 * capacity : 64;
    struct timer **bigger = realloc(heap, wanted * sizeof *bigger);

    if (!bigger) {
        return false;
    }
    heap = bigger;
    capacity = wanted;
    return true;
}

bool timer_set(struct timer *t, bw_time_t when)
{
    if (t->place) {
        timer_cancel(t);
    }
    if (count + 1 >= capacity && !grow()) {
        return false;
    }
    t->when = when;
    sift_up(++count, t);
    return true;
}

void timer_cancel(struct timer *t)
{
    uint32_t place = t->place;
    struct timer *last;

    if (!place) {
        return;
    }
    t->place = 0;
    last = heap[count--];
    if (last == t) {
        return;
    }
    if (place > 1 && heap[place / 2]->when > last->when) {
        sift_up(place, last);
    } else {
        sift_down(place, last);
    }
}

bw_time_t timer_next(void)
{
    return count ? heap[1]->when : BW_NO_DEADLINE;
}

struct timer *timer_due(bw_time_t now)
{
    struct timer *t;

    if (!count || heap[1]->when > now) {
        return NULL;
    }
    t = heap[1];
    timer_cancel(t);
    return t;
}
