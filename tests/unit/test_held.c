// sources: ../../userland/console/session.c
/*
 * Output that is held until it is committed: random histories of a district that writes, is
 * checkpointed, killed and restarted from the newest or an older generation, and of the console
 * that outlives it, with the terminal agent's rules (userland/unix/terminal). A byte is known by an
 * id of its own.
 *
 * Oracles: what the console takes is committed; as long as every restart is from the newest
 * generation it is just what was written, nothing twice, nothing left out; and after one from an
 * older generation what it takes goes on from what that one had shown, or from what the console had
 * if that is of the same history.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "session.h"
#include "../../userland/unix/terminal/held.h"

#define BYTES 500u
#define KEPT  5u

static struct state {
    struct held held;
    uint32_t shown, head;
    unsigned written[BYTES];
} now, frozen, kept[KEPT]; /* newest first */
static uint64_t epoch, generation, frozen_epoch, kept_number[KEPT];
static unsigned kepts, ids;
static bool writing;

static struct session console;
static unsigned screen[BYTES]; /* ids of what the console has taken, by number */
static bool mutated;

static unsigned chance(unsigned n)
{
    return (unsigned)random() % n;
}

/** @return false: it is wrong */
static bool show(void)
{
    uint32_t limit = mutated ? now.head : held_limit(&now.held, now.head, epoch, generation);
    uint32_t n = limit - now.shown;

    n = n ? 1 + chance(n) : 0;
    for (uint32_t i = now.shown; i < now.shown + n; i++) {
        screen[i] = now.written[i];
        if (i >= kept[0].head || kept[0].written[i] != now.written[i]) {
            return false; /* not committed */
        }
    }
    session_mark(&console, n ? held_mark(&now.held) : console.mark,
                 n ? now.shown + n : console.number);
    now.shown += n;
    return true;
}

static void write_some(void)
{
    for (unsigned n = chance(9); n > 0 && now.head < BYTES; n--) {
        now.written[now.head++] = ++ids;
    }
}

static void commit(void)
{
    kepts += kepts < KEPT;
    memmove(&kept[1], &kept[0], (KEPT - 1) * sizeof(kept[0]));
    memmove(&kept_number[1], &kept_number[0], (KEPT - 1) * sizeof(kept_number[0]));
    kept[0] = frozen;
    generation = kept_number[0] = frozen_epoch;
    writing = false;
}

/** @return false: it is wrong */
static bool restart(unsigned back)
{
    uint32_t before;
    bool same;

    back = back < kepts ? back : kepts - 1;
    now = kept[back];
    memmove(&kept[0], &kept[back], (kepts - back) * sizeof(kept[0]));
    memmove(&kept_number[0], &kept_number[back], (kepts - back) * sizeof(kept_number[0]));
    kepts -= back;
    writing = false;
    generation = epoch++;
    before = now.shown;
    same = console.number <= now.head && console.number >= now.shown &&
           memcmp(screen, now.written, console.number * sizeof(*screen)) == 0;
    if (held_goes_on(&now.held, kept_number[0], console.mark, (uint32_t)console.number, now.shown,
                     now.head)) {
        now.shown = (uint32_t)console.number;
        return same;
    }
    session_mark(&console, held_mark(&now.held), now.shown);
    memcpy(screen, now.written, now.shown * sizeof(*screen)); /* the last screen is shown again */
    return back > 0 || before == 0 || console.mark == 0;
}

/** @return false: something was wrong */
static bool history(unsigned seed, unsigned back)
{
    bool good = true;

    srandom(seed);
    memset(&now, 0, sizeof(now));
    memset(&kept[0], 0, sizeof(kept[0]));
    memset(&console, 0, sizeof(console));
    console.gated = true;
    kepts = 1;
    kept_number[0] = generation = ids = 0;
    epoch = 1;
    writing = false;
    session_mark(&console, held_mark(&now.held), 0);
    for (unsigned n = 0; n < 600 && good; n++) {
        switch (chance(6)) {
        case 0:
            write_some();
            break;
        case 1:
            if (!writing) {
                frozen = now;
                frozen_epoch = epoch++;
                writing = true;
            }
            break;
        case 2:
            if (writing) {
                commit();
            }
            break;
        case 3:
            good = chance(8) || restart(chance(back + 1));
            break;
        default:
            good = show();
        }
    }
    return good;
}

START_TEST(nothing_is_contradicted_or_shown_twice)
{
    ck_assert(history((unsigned)_i, 0));
}
END_TEST

START_TEST(going_back_is_another_story)
{
    ck_assert(history((unsigned)_i, 3));
}
END_TEST

START_TEST(what_is_not_held_is_noticed)
{
    mutated = true;
    ck_assert(!history(1, 0));
    mutated = false;
}
END_TEST

START_TEST(counts_wrap)
{
    struct held h = {0};

    held_begin(&h, 0xfffffff0u);
    ck_assert_uint_eq(held_limit(&h, 0x10, 5, 4), 0xfffffff0u);
    ck_assert_uint_eq(held_limit(&h, 0x20, 6, 5), 0x10);
    ck_assert(h.waits);
    ck_assert_uint_eq(held_limit(&h, 0x20, 7, 6), 0x20);
    ck_assert(!h.waits);
    ck_assert_uint_eq(held_mark(&h), 7);
    ck_assert(held_goes_on(&h, 6, 7, 0x10, 0xfffffff0u, 0x20));
    ck_assert(!held_goes_on(&h, 5, 7, 0x10, 0xfffffff0u, 0x20));
    ck_assert(!held_goes_on(&h, 6, 7, 0x21, 0xfffffff0u, 0x20));
    ck_assert(!held_goes_on(&h, 6, 0, 0x10, 0xfffffff0u, 0x20));
}
END_TEST

START_TEST(each_commit_is_looked_for_soon)
{
    struct held h = {0};
    uint64_t time = 5, last;

    ck_assert_uint_eq(held_look(&h, time), UINT64_MAX);
    for (unsigned e = 1; e < 100; e++) { /* there is always more that waits */
        held_limit(&h, e, e, e - 1);
        last = time;
        time = held_look(&h, time);
        ck_assert_uint_eq(time - last, HELD_LOOK_NS);
        time += HELD_LOOK_MAX_NS;
    }
    for (unsigned i = 0; i < 200; i++) { /* it does not come */
        last = time;
        time = held_look(&h, time);
        ck_assert_uint_ge(time - last, HELD_LOOK_NS);
        ck_assert_uint_le(time - last, HELD_LOOK_MAX_NS);
    }
    ck_assert_uint_eq(time - last, HELD_LOOK_MAX_NS);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("held");
    TCase *t = tcase_create("held");

    tcase_add_loop_test(t, nothing_is_contradicted_or_shown_twice, 0, 300);
    tcase_add_loop_test(t, going_back_is_another_story, 0, 600);
    tcase_add_test(t, what_is_not_held_is_noticed);
    tcase_add_test(t, counts_wrap);
    tcase_add_test(t, each_commit_is_looked_for_soon);
    suite_add_tcase(s, t);
    return run_suite(s);
}
