/*
 * What must hold for every image that a power cut can leave:
 *
 *  1. It opens, at the state of the last operation that returned, or of the one under way, whole:
 *     all kept generations with all their objects, and what the head says. Opening and looking
 *     writes nothing, and reads no more than a fixed number of blocks before it is open.
 *  2. Its allocation map is exactly what is reachable.
 *  3. A new incarnation can be claimed, is higher than every one that was acknowledged, and can
 *     commit. Claiming takes a bounded number of reads and writes; opened again, it is there.
 *  4. If writes of the one that was cut off still arrive, in flight or new ones inside its claim,
 *     none of that is harmed.
 *  5. Recovering may itself be cut off, and recovering from that as well (1 to 4 hold again).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explorer.h"

#define OPEN_READS_MAX   (2u + 2u * ROOT_SLOTS * ROOT_SLOT_BLOCKS)
#define CLAIM_READS_MAX  32u /* blocks of the map, and the tree above them */
#define CLAIM_WRITES_MAX (2u * ROOT_SLOT_BLOCKS + 2u)
#define CLAIM_FLUSHES    3u
#define DEPTH_MAX        2u

void explorer_bad(struct explorer *x, const char *what)
{
    model_fail("%s%s: %s", explorer_where,
               x->depth == 0   ? ""
               : x->depth == 1 ? ", while recovering"
                               : ", while recovering from a cut while recovering",
               what);
}

const struct model_state *explorer_matching(struct explorer *x, struct store *st)
{
    const char *what = model_differs(st, &x->m->state), *other;

    if (!what)
        return &x->m->state;
    if (x->m->unsure && !model_differs(st, &x->m->maybe))
        return &x->m->maybe;
    if (!x->has_under_way)
        explorer_bad(x, what);
    other = model_differs(st, &x->under_way);
    if (other) {
        fprintf(stderr, "against the last acknowledged state: %s\n", what);
        explorer_bad(x, other);
    }
    return &x->under_way;
}

void explorer_check_map(struct explorer *x, struct store *st)
{
    struct store_verify v = {.structure_only = true}; /* the bytes were compared with the model */

    if (store_verify(st, &v) != STORE_OK)
        explorer_bad(x, "verification finds damage, or the map is not exact");
}

static void explore_recovery(struct explorer *x, const struct model_state *state);

/** Where the interrupted incarnation may write as long as it does not know: free blocks of its
 * claim. */
static void note_claim(struct explorer *x, struct store *st)
{
    const struct disk_root *h = &st->committed.head;
    int r;

    memset(x->claimed, 0, x->disk->blocks * sizeof(*x->claimed));
    for (uint64_t b = FIRST_DATA; b < h->blocks; b++)
        x->claimed[b] =
            in_ring(h->claim_start, h->claim_length, h->blocks, b) && !map_used(st, b, &r);
}

/** It does: what was under way arrives after all, and the rest of its claim is overwritten. */
static void stale_writes(struct explorer *x)
{
    static const uint8_t junk[STORE_BLOCK] = {1, 2, 3};
    const struct flights *f = &x->disk->flying;

    for (uint64_t b = FIRST_DATA; b < x->disk->blocks; b++)
        if (x->claimed[b])
            image_write(x->image, b, junk);
    for (size_t i = 0; i < f->count; i++)
        if (f->at[i].block % x->disk->blocks >= FIRST_DATA)
            image_write(x->image, f->at[i].block, f->at[i].bytes);
}

static void small_commit(struct model *m, uint64_t seed)
{
    int r = model_try_begin(m);

    for (oid_t oid = 1; oid <= 6 && r == STORE_OK; oid++)
        r = model_try_put(m, oid * 3, OBJECT_PAGE, seed + oid);
    if (r == STORE_OK)
        r = model_try_commit(m);
    if (r)
        model_abort(m);
    if (r && r != STORE_NOSPACE)
        model_fail("%s: recovering: %s", explorer_where, store_error_text(r));
}

void explorer_small_commits(struct explorer *x, struct model *m)
{
    small_commit(m, x->opened);
    small_commit(m, x->opened + 77);
}

static void open_again(struct explorer *x, struct model *m, const char *when)
{
    const char *what;

    store_close(m->st);
    if (store_open(&m->io, &m->st))
        explorer_bad(x, "does not open again");
    what = model_differs(m->st, &m->state);
    if (what) {
        fprintf(stderr, "%s: %s\n", when, what);
        explorer_bad(x, what);
    }
}

/** Claims, and counts what that takes. */
static void claim(struct explorer *x, struct model *m)
{
    struct image *i = x->image;

    i->reads = i->writes = i->flushes = 0;
    model_claim(m, m->state.current);
    if (i->reads > CLAIM_READS_MAX || i->writes > CLAIM_WRITES_MAX || i->flushes > CLAIM_FLUSHES)
        model_fail("%s: claiming took %llu reads, %llu writes, %llu flushes", explorer_where,
                   (unsigned long long)i->reads, (unsigned long long)i->writes,
                   (unsigned long long)i->flushes);
}

/** Claims, commits, lets stale writes arrive, and looks at everything once more. */
static void recover(struct explorer *x, const struct model_state *state)
{
    struct model m = {.io = explorer_image_io(x)};
    bool again = x->recoveries++ % 4 == 3; /* then the writer is two incarnations back */
    struct store_info info;

    statistics->recoveries++;
    model_state_copy(&m.state, state);
    if (x->m->state.incarnation > m.state.incarnation)
        m.state.incarnation = x->m->state.incarnation;
    if (store_open(&m.io, &m.st))
        explorer_bad(x, "it does not open again");
    note_claim(x, m.st);
    claim(x, &m);
    if (again) {
        open_again(x, &m, "after claiming");
        claim(x, &m);
    }
    explorer_small_commits(x, &m);
    store_info(m.st, &info);
    if (info.avoided_blocks && !again) /* else the store was so full that it had to use them */
        stale_writes(x);
    open_again(x, &m, "after recovery and a stale writer");
    explorer_check_map(x, m.st);
    store_close(m.st);
    model_state_free(&m.state);
}

/** Opens the image and looks at all of it. */
static const struct model_state *look(struct explorer *x)
{
    struct store_io io = explorer_image_io(x);
    const struct model_state *state;
    struct store *st;
    int r;

    if (x->mirror)
        return mirrors_look(x);
    r = store_open(&io, &st);
    if (r)
        explorer_bad(x, store_error_text(r));
    if (x->image->reads > OPEN_READS_MAX)
        explorer_bad(x, "opening reads without bound");
    state = explorer_matching(x, st);
    explorer_check_map(x, st);
    store_close(st);
    return state;
}

/** One in how many of the images that are recovered from has cuts of its own. Opening a mirror with
 * a copy that missed something does the most. */
static unsigned twice(const struct explorer *x)
{
    unsigned n = x->effort->twice;

    return n && x->mirror && x->complete != MIRROR_ALL ? 1 + n / 6 : n;
}

void explorer_judge(struct explorer *x)
{
    const struct effort *e = x->effort;
    const struct model_state *state;
    bool first = x->first, turn;

    x->first = false;
    x->image->watched = true;
    state = look(x);
    x->image->watched = false;
    if (x->image->damages)
        explorer_bad(x, "damage is reported");
    if (x->image->writes || x->image->flushes)
        explorer_bad(x, "looking at it writes to it");
    turn = e->deeper && x->opened % e->deeper == 0;
    if (!e->deeper || !(first || turn) || state->count == 0)
        return;
    if (turn && x->depth < DEPTH_MAX && twice(x) && x->opened / e->deeper % twice(x) == 0 &&
        !distinct_enough()) /* one operation of a mirror may lead to millions of images */
        explore_recovery(x, state);
    if (x->mirror)
        mirrors_recover(x, state);
    else
        recover(x, state);
}

/** The crashes of the next incarnation's first steps, from the image as it is. */
static void explore_recovery(struct explorer *x, const struct model_state *state)
{
    static const struct effort less[DEPTH_MAX] = {{6, 6, 12, 8}, {6, 6, 12, 0}};
    struct explorer *y =
        explorer_on(simdisk_from(x->image->bytes, x->disk->blocks, x->disk->copies), x->objects,
                    x->opened, &less[x->depth]);

    statistics->nested++;
    y->depth = x->depth + 1;
    y->m = calloc(1, sizeof(*y->m));
    y->fold_limit = x->fold_limit;
    y->values = x->values;
    y->m->io = explorer_disk_io(y);
    model_state_copy(&y->m->state, state);
    y->disk->before_flush = explorer_cut;
    if (x->mirror)
        mirrors_adopt(y, x);
    if (model_try_open(y->m))
        explorer_bad(x, "it does not open again");
    explorer_run(y, OPERATION_RESTART);
    explorer_run(y, OPERATION_PUT_SOME);
    explorer_free(y);
}
