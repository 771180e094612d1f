// sources: ../../store/mirror_decide.c
/*
 * Which copy of a mirrored store is believed: the table, every combination of what two roots can
 * say, and every short history of a mirror with power cuts in it.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <store/mirror.h>

#define ABSENT                                                                                     \
    {                                                                                              \
        .state = MIRROR_ABSENT                                                                     \
    }
#define DAMAGED                                                                                    \
    {                                                                                              \
        .state = MIRROR_DAMAGED                                                                    \
    }
/* With the values of in_sync so far, or without. */
#define PAST(sync, times, number, past)                                                            \
    {                                                                                              \
        MIRROR_WHOLE, sync, times, number, past                                                    \
    }
#define SAYS(sync, times, number) PAST(sync, times, number, 0)
#define FIRST                     1u
#define SECOND                    2u
#define BOTH                      3u

static const struct {
    struct mirror_seen seen[2];
    enum mirror_verdict verdict;
    unsigned leader;
} table[] = {
    {{ABSENT, ABSENT}, MIRROR_NONE, 0},
    {{DAMAGED, DAMAGED}, MIRROR_NONE, 0},
    {{ABSENT, DAMAGED}, MIRROR_NONE, 0},
    /* one alone */
    {{SAYS(FIRST, 1, 10), ABSENT}, MIRROR_ALONE, 0},
    {{ABSENT, SAYS(SECOND, 1, 10)}, MIRROR_ALONE, 1},
    {{SAYS(BOTH, 0, 10), ABSENT}, MIRROR_ASK, 0},
    {{ABSENT, SAYS(BOTH, 0, 10)}, MIRROR_ASK, 1},
    {{DAMAGED, SAYS(BOTH, 0, 10)}, MIRROR_ASK, 1},
    {{SAYS(FIRST, 1, 10), DAMAGED}, MIRROR_STALE, 0},
    {{SAYS(SECOND, 1, 10), ABSENT}, MIRROR_INCOMPLETE, 0},
    {{DAMAGED, SAYS(FIRST, 1, 10)}, MIRROR_INCOMPLETE, 1},
    /* both say both */
    {{SAYS(BOTH, 0, 10), SAYS(BOTH, 0, 10)}, MIRROR_BOTH, 0},
    {{SAYS(BOTH, 0, 10), SAYS(BOTH, 0, 11)}, MIRROR_BOTH, 1},
    {{SAYS(BOTH, 0, 11), SAYS(BOTH, 0, 10)}, MIRROR_BOTH, 0},
    {{SAYS(BOTH, 0, 10), SAYS(BOTH, 0, 12)}, MIRROR_STALE, 1},
    {{SAYS(BOTH, 2, 20), SAYS(BOTH, 0, 12)}, MIRROR_STALE, 0},
    {{SAYS(BOTH, 2, 12), SAYS(BOTH, 0, 20)}, MIRROR_SPLIT, 1},
    /* one ran alone */
    {{SAYS(FIRST, 1, 12), SAYS(BOTH, 0, 10)}, MIRROR_STALE, 0},
    {{SAYS(BOTH, 0, 10), SAYS(SECOND, 1, 11)}, MIRROR_STALE, 1},
    {{SAYS(FIRST, 1, 11), SAYS(BOTH, 0, 12)}, MIRROR_SPLIT, 1},
    {{SAYS(FIRST, 0, 12), SAYS(BOTH, 0, 10)}, MIRROR_SPLIT, 0},
    {{SAYS(FIRST, 1, 12), SAYS(SECOND, 1, 12)}, MIRROR_SPLIT, 0},
    {{SAYS(FIRST, 1, 12), SAYS(SECOND, 5, 90)}, MIRROR_SPLIT, 1},
    /* one is being brought up to date */
    {{SAYS(FIRST, 1, 12), SAYS(FIRST, 1, 12)}, MIRROR_STALE, 0},
    {{SAYS(SECOND, 1, 13), SAYS(SECOND, 1, 12)}, MIRROR_STALE, 1},
    {{SAYS(SECOND, 1, 14), SAYS(SECOND, 1, 12)}, MIRROR_SPLIT, 0},
    {{SAYS(BOTH, 2, 13), SAYS(FIRST, 1, 12)}, MIRROR_BOTH, 0},
    {{SAYS(FIRST, 1, 12), SAYS(BOTH, 2, 13)}, MIRROR_SPLIT, 1},
    {{SAYS(BOTH, 2, 15), SAYS(FIRST, 1, 12)}, MIRROR_STALE, 0},
    {{SAYS(BOTH, 2, 15), SAYS(SECOND, 1, 12)}, MIRROR_SPLIT, 0},
    {{SAYS(SECOND, 1, 12), SAYS(FIRST, 1, 12)}, MIRROR_SPLIT, 0},
    /* what in_sync was before: both, the first alone, both ... */
    {{PAST(BOTH, 2, 20, 067), PAST(BOTH, 0, 10, 03)}, MIRROR_STALE, 0},
    {{PAST(BOTH, 2, 20, 067), PAST(FIRST, 1, 10, 015)}, MIRROR_STALE, 0},
    {{PAST(BOTH, 2, 20, 067), PAST(BOTH, 2, 21, 067)}, MIRROR_BOTH, 1},
    /* ... but the second was alone then, and in sync with a third one since */
    {{PAST(BOTH, 2, 20, 067), PAST(BOTH, 2, 90, 073)}, MIRROR_SPLIT, 1},
    {{PAST(FIRST, 3, 95, 0335), PAST(BOTH, 2, 90, 073)}, MIRROR_SPLIT, 0},
};

START_TEST(the_table)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct mirror_decision d = mirror_decide(table[i].seen);

        ck_assert_msg(d.verdict == table[i].verdict, "row %zu: %s, expected %s", i,
                      mirror_verdict_text(d.verdict), mirror_verdict_text(table[i].verdict));
        if (d.verdict < MIRROR_SPLIT)
            ck_assert_msg(d.leader == table[i].leader, "row %zu: copy %u leads", i, d.leader);
    }
}
END_TEST

/* --- every combination ------------------------------------------------------------------------ */

static const enum mirror_state states[] = {MIRROR_ABSENT, MIRROR_DAMAGED, MIRROR_WHOLE};
static const uint64_t sequences[] = {10, 11, 12, 20}, changes[] = {4, 5, 6, 9};

static struct mirror_seen combination(unsigned n)
{
    return (struct mirror_seen){states[n % 3], n / 3 % 4, changes[n / 12 % 4],
                                sequences[n / 48 % 4], 0};
}
#define COMBINATIONS 192u

static struct mirror_seen other_way_round(struct mirror_seen s)
{
    s.in_sync = (s.in_sync & 1) << 1 | s.in_sync >> 1;
    return s;
}

static void check_decision(const struct mirror_seen seen[2])
{
    struct mirror_decision d = mirror_decide(seen);
    const struct mirror_seen *l = &seen[d.leader], *o = &seen[!d.leader];
    bool used = d.verdict == MIRROR_BOTH || d.verdict == MIRROR_ALONE ||
                d.verdict == MIRROR_STALE || d.verdict == MIRROR_ASK;

    if (used) {
        ck_assert(l->state == MIRROR_WHOLE && (l->in_sync >> d.leader & 1));
        if (o->state == MIRROR_WHOLE)
            ck_assert_uint_le(o->sequence, l->sequence + 1);
    }
    if (d.verdict == MIRROR_BOTH) {
        ck_assert(o->state == MIRROR_WHOLE && l->in_sync == BOTH);
        ck_assert_uint_le(l->sequence - o->sequence, 1);
    }
    if (d.verdict == MIRROR_ALONE || d.verdict == MIRROR_ASK)
        ck_assert(o->state != MIRROR_WHOLE);
    if (d.verdict == MIRROR_ALONE)
        ck_assert(o->state == MIRROR_ABSENT && l->in_sync == 1u << d.leader);
    if (d.verdict == MIRROR_ASK)
        ck_assert_uint_eq(l->in_sync, BOTH);
    if (d.verdict == MIRROR_NONE)
        ck_assert(l->state != MIRROR_WHOLE && o->state != MIRROR_WHOLE);
    /* Who has run alone is never made like the other without a question. */
    if (d.verdict == MIRROR_STALE && o->state == MIRROR_WHOLE)
        ck_assert_uint_ne(o->in_sync, 1u << !d.leader);
}

START_TEST(every_combination)
{
    for (unsigned a = 0; a < COMBINATIONS; a++)
        for (unsigned b = 0; b < COMBINATIONS; b++) {
            struct mirror_seen seen[2] = {combination(a), combination(b)};
            struct mirror_seen turned[2] = {other_way_round(seen[1]), other_way_round(seen[0])};
            struct mirror_decision d = mirror_decide(seen), t = mirror_decide(turned);

            check_decision(seen);
            ck_assert_int_eq(d.verdict, t.verdict);
            if (d.verdict < MIRROR_SPLIT &&
                (seen[0].sequence != seen[1].sequence || d.verdict != MIRROR_BOTH))
                ck_assert_uint_eq(d.leader, !t.leader);
        }
}
END_TEST

/* --- histories -------------------------------------------------------------------------------- */

/* What a copy has: its root, and which acknowledged commits that includes. */
struct copy {
    struct mirror_seen root;
    unsigned has;  /* a bit for each commit */
    bool complete; /* every block that its root needs */
};

struct history {
    struct copy copy[2];
    unsigned active, in_sync; /* of the machine that runs; active 0: none does */
    unsigned leader;
    unsigned commits;
    unsigned live;     /* commits that were acknowledged and that nobody gave up */
    unsigned diverged; /* the user has started a copy alone that did not know that it was */
};

static uint64_t histories;

/** A root is written to `durable` of the active copies; the commit that it makes or none. */
static void write_root(struct history *h, unsigned durable, unsigned in_sync, unsigned commit)
{
    struct copy root = h->copy[h->leader];

    root.root.sequence++;
    if (root.root.in_sync != in_sync) {
        root.root.changes++;
        root.root.history = root.root.history << 2 | in_sync;
    }
    root.root.in_sync = in_sync;
    root.has |= commit;
    for (unsigned c = 0; c < 2; c++)
        if (h->active & durable & 1u << c) {
            bool complete = h->copy[c].complete;

            h->copy[c] = root;
            h->copy[c].complete = complete;
        }
}

static void check_leader(const struct history *h, unsigned leader, unsigned there)
{
    ck_assert_msg(h->copy[leader].complete, "an incomplete copy leads");
    if (!h->diverged || there == BOTH) /* else he runs now one, now the other */
        ck_assert_msg((h->copy[leader].has & h->live) == h->live, "an acknowledged commit is lost");
    if (there >> !leader & 1)
        ck_assert_msg((h->copy[!leader].has & ~h->copy[leader].has) == 0,
                      "the other copy's commits are lost without a question");
}

/** Begins to run as mirror_prepare does, with these copies there. @return false: refused */
static bool begin(struct history *h, unsigned there, bool forced)
{
    struct mirror_seen seen[2] = {{.state = MIRROR_ABSENT}, {.state = MIRROR_ABSENT}};
    struct mirror_decision d;

    for (unsigned c = 0; c < 2; c++)
        if (there >> c & 1)
            seen[c] = h->copy[c].root;
    d = mirror_decide(seen);
    if (there == BOTH && !h->diverged)
        ck_assert_msg(d.verdict == MIRROR_BOTH || d.verdict == MIRROR_STALE,
                      "both are there and nobody diverged: %s", mirror_verdict_text(d.verdict));
    if (d.verdict == MIRROR_ASK && forced) {
        h->live &= h->copy[d.leader].has;
        h->diverged = 1;
    } else if (d.verdict != MIRROR_BOTH && d.verdict != MIRROR_ALONE && d.verdict != MIRROR_STALE) {
        return false;
    } else {
        check_leader(h, d.leader, there);
    }
    h->leader = d.leader;
    h->active = d.verdict == MIRROR_BOTH ? BOTH : 1u << d.leader;
    h->in_sync = h->active;
    if (d.verdict == MIRROR_BOTH)
        h->copy[!d.leader] = h->copy[d.leader];
    if (h->copy[d.leader].root.in_sync != h->in_sync)
        write_root(h, h->active, h->in_sync, 0);
    if (d.verdict == MIRROR_STALE) {
        h->active = BOTH;
        h->copy[!d.leader] = h->copy[d.leader];
        h->copy[!d.leader].complete = false;
    }
    return true;
}

static void go_on(const struct history *h, unsigned left);

static void boots(const struct history *h, unsigned left)
{
    for (unsigned there = 1; there <= BOTH; there++)
        for (unsigned forced = 0; forced < 2; forced++) {
            struct history next = *h;

            next.active = 0;
            if (begin(&next, there, forced))
                go_on(&next, left);
        }
}

/** What a machine that runs may do next; `durable` of each root's copies get it before the power
 * goes, all of them if it does not. */
static void runs(const struct history *h, unsigned left)
{
    unsigned commit = 1u << h->commits;

    for (unsigned durable = 0; durable <= BOTH; durable++) {
        struct history next = *h;
        bool cut = (durable & h->active) != h->active;

        if (durable & ~h->active)
            continue;
        write_root(&next, durable, h->in_sync, cut ? 0 : commit);
        next.commits++;
        next.live |= cut ? 0 : commit;
        next.active = cut ? 0 : next.active;
        go_on(&next, left);
        /* Brought up to date: the leader says so first. */
        if (h->active == BOTH && h->in_sync != BOTH && durable != 1u << !h->leader) {
            next = *h;
            next.copy[0].complete = next.copy[1].complete = true;
            write_root(&next, durable, BOTH, 0);
            next.in_sync = BOTH;
            next.active = cut ? 0 : next.active;
            go_on(&next, left);
        }
    }
    for (unsigned lost = 0; lost < 2; lost++) {
        struct history next = *h;

        if (h->in_sync != BOTH)
            continue;
        next.leader = !lost;
        next.active = next.in_sync = 1u << !lost;
        write_root(&next, BOTH, next.in_sync, 0);
        go_on(&next, left);
    }
}

static void go_on(const struct history *h, unsigned left)
{
    histories++;
    if (left == 0)
        return;
    boots(h, left - 1);
    if (h->active)
        runs(h, left - 1);
}

START_TEST(every_short_history)
{
    struct history h = {
        .copy = {{PAST(BOTH, 0, 1, BOTH), 0, true}, {PAST(BOTH, 0, 1, BOTH), 0, true}}};

    histories = 0;
    go_on(&h, 9);
    ck_assert_uint_gt(histories, 100000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mirror_decide");
    TCase *tests = tcase_create("decide");

    tcase_set_timeout(tests, 100);
    tcase_add_test(tests, the_table);
    tcase_add_test(tests, every_combination);
    tcase_add_test(tests, every_short_history);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
