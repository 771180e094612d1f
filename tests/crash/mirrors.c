/*
 * Stores on two disks, either of which may be lost at any moment and come back later, as it was.
 *
 * What must hold for every image that a power cut can leave of both, in addition to what judge.c
 * says of a single one:
 *
 *  1. With both disks there it opens, at the last acknowledged state or the one under way. Nobody
 *     is asked, unless one of them has never been told that it missed something; then they are not
 *     taken for equals.
 *  2. With only one there that had all, it opens at such a state as well.
 *  3. With only one there that had been given up, or was being brought up to date, the user is
 *     asked, or it is refused; and what it opens at is whole, and as it was when it was given up.
 *     It never calls itself the only one.
 *  4. After it went on with one of them, the other one is known to be out of date; brought up to
 *     date, it has everything again, alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explorer.h"

static bool leads(enum mirror_verdict v)
{
    return v == MIRROR_BOTH || v == MIRROR_ALONE || v == MIRROR_STALE || v == MIRROR_ASK;
}

/** Looks at those of the two devices that are there, and decides. */
static enum mirror_verdict begin(struct mirror *m, const struct store_io device[2], unsigned there)
{
    struct mirror_look look[MIRROR_COPIES];
    struct store_io io[MIRROR_COPIES];
    unsigned count = 0;

    for (unsigned c = 0; c < MIRROR_COPIES; c++) {
        if (!(there >> c & 1))
            continue;
        io[count] = device[c];
        io[count].damage = NULL; /* of one that missed something is no news; else it is met again */
        mirror_look(&io[count], &look[count]);
        count += look[count].label;
    }
    return mirror_begin(m, io, look, count);
}

static unsigned gone(const struct explorer *x)
{
    return (x->disk->copy[0].gone ? 1u : 0) | (x->disk->copy[1].gone ? 2u : 0);
}

static void forget_stale(struct explorer *x)
{
    while (x->stales)
        model_state_free(&x->stale[--x->stales]);
}

static void note_stale(struct explorer *x, const struct model_state *s)
{
    if (x->stales == STALE_MAX)
        model_fail("%s: too many states of a copy", explorer_where);
    model_state_copy(&x->stale[x->stales++], s);
}

/* --- on an image ------------------------------------------------------------------------------ */

struct on_image {
    struct explorer *x;
    unsigned there;
    struct mirror mirror;
    enum mirror_verdict verdict;
};

static void begin_on_image(struct on_image *o)
{
    struct store_io device[] = {image_io(o->x->image, 0), image_io(o->x->image, 1)};

    o->verdict = begin(&o->mirror, device, o->there);
}

static int open_begun(struct on_image *o, struct store **out)
{
    struct store_io base = explorer_image_io(o->x);

    return mirror_open(&o->mirror, &base, out);
}

/** To go on with it: whoever is asked, agrees. */
static int open_image(void *ctx, struct store **out)
{
    struct on_image *o = ctx;

    begin_on_image(o);
    if (o->verdict == MIRROR_ASK)
        mirror_alone(&o->mirror);
    return open_begun(o, out);
}

/** A copy that missed something has what it had. */
static void match_stale(struct explorer *x, struct store *st)
{
    for (unsigned i = 0; i < x->stales; i++)
        if (!model_differs(st, &x->stale[i]))
            return;
    explorer_matching(x, st);
}

/** Only to look: nothing is written. @return the state that it is in */
static const struct model_state *look(struct explorer *x, unsigned there)
{
    unsigned had_all = x->complete & ~x->doubtful & ~gone(x);
    bool must = there == MIRROR_ALL || (had_all & there);
    struct on_image o = {.x = x, .there = there};
    const struct model_state *state = NULL;
    uint64_t damages = x->image->damages;
    struct store *st;

    begin_on_image(&o);
    o.mirror.frozen = true;
    if (must && !leads(o.verdict))
        explorer_bad(x, mirror_verdict_text(o.verdict));
    if (there == MIRROR_ALL && o.verdict == MIRROR_ASK)
        explorer_bad(x, "somebody is asked though both copies are there");
    if (o.verdict == MIRROR_BOTH && x->complete != MIRROR_ALL && !x->finishing)
        explorer_bad(x, "a copy that missed something is taken for up to date");
    if (!(x->complete & there) && o.verdict == MIRROR_ALONE)
        explorer_bad(x, "a copy that missed something calls itself the only one");
    if (!leads(o.verdict)) {
        x->image->damages = damages;
        return NULL;
    }
    if (open_begun(&o, &st))
        explorer_bad(x, "a copy does not open");
    if (must) {
        state = explorer_matching(x, st);
        explorer_check_map(x, st);
    } else {
        match_stale(x, st); /* its roots may be being overwritten: verification may not like them */
        x->image->damages = damages;
    }
    store_close(st);
    return state;
}

const struct model_state *mirrors_look(struct explorer *x)
{
    look(x, 1);
    look(x, 2);
    return look(x, MIRROR_ALL);
}

/** Brings the other one up to date, to the end. */
static void resync_image(struct on_image *o, struct store *st)
{
    struct store_scrub scrub;
    int r = store_scrub_begin(st, &scrub);

    while (r == STORE_OK)
        r = mirror_resync(&o->mirror, st, &scrub, 1 + o->x->opened % 50);
    if (r != STORE_ABSENT || mirror_in_sync(&o->mirror) != MIRROR_ALL)
        explorer_bad(o->x, "a copy cannot be brought up to date");
}

/** Everything that is read of that copy alone is right. */
static void check_alone(struct explorer *x, unsigned copy, const struct model_state *state)
{
    struct on_image o = {.x = x, .there = 1u << copy};
    struct store_verify v = {0};
    struct store *st;
    const char *what;

    begin_on_image(&o);
    o.mirror.frozen = true;
    if (!leads(o.verdict) || open_begun(&o, &st))
        explorer_bad(x, "a copy does not open alone after recovery");
    what = model_differs(st, state);
    if (what)
        explorer_bad(x, what);
    if (store_verify(st, &v))
        explorer_bad(x, "a copy that was brought up to date is not whole");
    store_close(st);
}

void mirrors_recover(struct explorer *x, const struct model_state *state)
{
    unsigned had_all = x->complete & ~x->doubtful & ~gone(x);
    unsigned there = (unsigned)(x->recoveries++ % MIRROR_ALL) + 1;
    struct on_image o = {.x = x, .there = there & had_all ? there : MIRROR_ALL};
    struct model m = {.open = open_image, .open_ctx = &o};
    const char *what;

    statistics->recoveries++;
    model_state_copy(&m.state, state);
    if (open_image(&o, &m.st))
        explorer_bad(x, "it does not open to go on");
    /* With one copy alone it may be the state under way, or the one before. */
    if (model_differs(m.st, &m.state)) {
        model_state_free(&m.state);
        model_state_copy(&m.state, explorer_matching(x, m.st));
    }
    if (x->m->state.incarnation > m.state.incarnation)
        m.state.incarnation = x->m->state.incarnation;
    if (model_differs(m.st, &m.state)) /* acknowledged, but not on the image: never */
        explorer_bad(x, "an acknowledged incarnation is not there");
    if (m.state.count)
        model_claim(&m, m.state.current);
    explorer_small_commits(x, &m);
    what = o.there == MIRROR_ALL ? NULL : "alone";
    o.there = MIRROR_ALL;
    if (model_try_open(&m))
        explorer_bad(x, "does not open again");
    if (what && o.verdict != MIRROR_STALE)
        explorer_bad(x, "the copy that was not there is not known to be out of date");
    what = model_differs(m.st, &m.state);
    if (what)
        explorer_bad(x, what);
    if (mirror_behind(&o.mirror))
        resync_image(&o, m.st);
    store_close(m.st);
    if (o.verdict == MIRROR_BOTH || o.verdict == MIRROR_STALE)
        for (unsigned c = 0; c < MIRROR_COPIES; c++)
            check_alone(x, c, &m.state);
    model_state_free(&m.state);
}

/* --- on the disks ----------------------------------------------------------------------------- */

static void note_given_up(struct explorer *x)
{
    forget_stale(x);
    note_stale(x, &x->m->state);
    if (x->m->unsure)
        note_stale(x, &x->m->maybe);
}

/** Opens it as a boot does, or as who has lost a copy and goes on. */
static int open_disks(void *ctx, struct store **out)
{
    struct explorer *x = ctx;
    struct store_io base = explorer_disk_io(x);
    struct store_io device[] = {simdisk_io(x->disk, 0), simdisk_io(x->disk, 1)};
    enum mirror_verdict v;
    int r;

    if (x->survives) {
        x->survives = false;
        if (!mirror_survive(x->mirror))
            explorer_bad(x, "nothing is left though a copy is");
    } else {
        v = begin(x->mirror, device, MIRROR_ALL & ~gone(x));
        if (v == MIRROR_BOTH && x->complete != MIRROR_ALL)
            explorer_bad(x, "a copy that missed something is taken for up to date");
        if (v == MIRROR_ASK)
            mirror_alone(x->mirror);
    }
    r = mirror_open(x->mirror, &base, out);
    if (r == STORE_OK) {
        if (x->complete & ~mirror_in_sync(x->mirror)) /* one was given up: it stays as it is */
            note_given_up(x);
        x->complete = mirror_in_sync(x->mirror);
        x->doubtful = 0;
        x->resyncing = false;
    }
    return r;
}

void mirrors_begin(struct explorer *x, struct store_io *io)
{
    struct store_io device[] = {simdisk_io(x->disk, 0), simdisk_io(x->disk, 1)};

    x->mirror = calloc(1, sizeof(*x->mirror));
    mirror_fresh(x->mirror, device);
    mirror_io(x->mirror, io);
    x->complete = MIRROR_ALL;
}

void mirrors_follow(struct explorer *x)
{
    x->m->open = open_disks;
    x->m->open_ctx = x;
}

void mirrors_adopt(struct explorer *x, const struct explorer *from)
{
    struct on_image o = {.x = (struct explorer *)from, .there = MIRROR_ALL};

    x->mirror = calloc(1, sizeof(*x->mirror));
    begin_on_image(&o);
    x->complete = o.verdict == MIRROR_BOTH ? MIRROR_ALL : 1u << o.mirror.decision.leader;
    x->doubtful = MIRROR_ALL; /* one may be a root behind the other, until it is opened */
    for (unsigned i = 0; i < from->stales; i++)
        note_stale(x, &from->stale[i]);
    note_stale(x, &from->m->state);
    if (from->m->unsure)
        note_stale(x, &from->m->maybe);
    if (from->has_under_way)
        note_stale(x, &from->under_way);
    mirrors_follow(x);
}

void mirrors_end(struct explorer *x)
{
    forget_stale(x);
    free(x->mirror);
}

bool mirrors_fail(const struct explorer *x)
{
    return x->mirror && (gone(x) & x->mirror->active);
}

/** An operation has failed because a copy is gone: goes on with the other one. */
void mirrors_mend(struct explorer *x)
{
    struct model *m = x->m;

    x->failed = false;
    if (m->begun)
        model_abort(m);
    for (unsigned c = 0; c < MIRROR_COPIES; c++)
        if (gone(x) >> c & 1)
            simdisk_settle(x->disk, c);
    x->survives = m->st && explorer_any(x, 2);
    if (model_try_open(m))
        explorer_bad(x, "does not open with the copy that is left");
    explorer_claim(x, m->state.current);
}

/** Unless the other one is gone, or it is the only one that is complete. */
void mirrors_lose(struct explorer *x, unsigned copy)
{
    if (x->disk->copy[0].failing || x->disk->copy[1].failing || x->complete == 1u << copy)
        return;
    simdisk_lose(x->disk, copy, explorer_any(x, 12));
}

void mirrors_return(struct explorer *x)
{
    struct store_io device[] = {simdisk_io(x->disk, 0), simdisk_io(x->disk, 1)};
    unsigned copy = x->disk->copy[1].failing;
    bool missed;

    explorer_finish(x);
    if (x->failed)
        mirrors_mend(x);
    if (!x->disk->copy[copy].failing)
        return;
    missed = x->disk->copy[copy].gone;
    simdisk_return(x->disk, copy);
    if (!missed) /* nobody noticed */
        return;
    if (!(x->mirror->active >> copy & 1) && explorer_any(x, 2)) {
        if (mirror_add(x->mirror, x->m->st, copy, &device[copy]))
            explorer_bad(x, "a copy that is there again is not taken");
        x->resyncing = false;
        return;
    }
    explorer_run(x, OPERATION_REOPEN);
}

/** Some steps of bringing a copy up to date. */
void mirrors_resync(struct explorer *x)
{
    unsigned steps = 1 + (unsigned)explorer_any(x, 6);
    int r = STORE_OK;

    if (!mirror_behind(x->mirror) || x->m->begun)
        return;
    if (!x->resyncing)
        r = store_scrub_begin(x->m->st, &x->resync);
    x->resyncing = x->finishing = true;
    while (r == STORE_OK && steps-- > 0)
        r = mirror_resync(x->mirror, x->m->st, &x->resync, 1 + explorer_any(x, 20));
    if (r && r != STORE_ABSENT)
        explorer_failed(x, "bringing a copy up to date", r);
    x->complete = mirror_in_sync(x->mirror);
    x->finishing = false;
    if (x->complete == MIRROR_ALL)
        forget_stale(x);
}
