/*
 * How the space of the store is shared out.
 *
 * Space is promised before it is used, in objects: each that exists, and each that still may be
 * made, has a block, though it be all zero now. What is not promised is the reserve, in which
 * changed objects are written beside the old ones. Older generations have what is left over. So
 * three things can run out, each with its own consequence: promises (new objects are refused: first
 * by the district's own servers, which see how much is left, then by the nucleus), free blocks
 * (fewer objects may become dirty before the district must wait for a commit), and room for old
 * generations (the oldest goes).
 */
#include <stdio.h>
#include "server.h"
#include "space.h"

#define GENERATIONS_MIN 2u /* are kept in any case */
#define BUDGET_MIN      32u

/* Parts of the store, in blocks. */
#define RESERVE_FRACTION 16u
#define RESERVE_MIN      256u
#define RESERVE_MAX      16384u
#define WANTED_FRACTION  8u /* free beside the reserve before older generations are kept */
#define SCARCE_FRACTION  12u
#define SCARCE_MIN       384u
#define SCARCE_MAX       24576u
#define INDEX_FRACTION   32u /* blocks of the index for so many objects, at most, in practice */
#define INDEX_MIN        128u

static enum space_stage stage;
static uint64_t budget;
static bool told; /* that it is nearly full */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/** Blocks that no new object gets: so that what exists can change, and generations come and go. */
static uint64_t reserve(const struct store_info *info)
{
    uint64_t part = info->blocks / RESERVE_FRACTION;

    return part < RESERVE_MIN ? RESERVE_MIN : least(part, RESERVE_MAX);
}

static uint64_t current_objects(uint64_t current)
{
    struct store_generation g;

    for (uint32_t i = 0; store_generation(server.store, i, &g) == STORE_OK; i++) {
        if (g.number == current) {
            return g.objects;
        }
    }
    return 0;
}

/** New objects that may be promised a block. What older generations hold of that, they give up. */
static uint64_t room(const struct store_info *info)
{
    uint64_t objects = current_objects(info->current);
    uint64_t index = objects / INDEX_FRACTION + INDEX_MIN;

    return less(info->blocks, objects + index + reserve(info));
}

/** The oldest goes that can: not the current one, which may be old itself after going back. */
static bool drop_oldest(uint64_t current)
{
    struct store_generation g;

    for (uint32_t i = 0; store_generation(server.store, i, &g) == STORE_OK; i++) {
        if (g.number != current && store_drop(server.store, g.number) == STORE_OK) {
            return true;
        }
    }
    return false;
}

/** Old generations go, all that can or as far as that gives the district more.
 * @return false if none could */
static bool drop_old(bool all)
{
    struct store_info info;
    bool any = false;

    for (;;) {
        uint64_t wanted;

        store_info(server.store, &info);
        wanted = reserve(&info) + least(room(&info), info.blocks / WANTED_FRACTION);
        if ((!all && info.free_blocks >= wanted) || info.generations <= GENERATIONS_MIN ||
            !drop_oldest(info.current)) {
            return any;
        }
        any = true;
    }
}

/** The store is nearly full when new objects may have less than this. */
static uint64_t scarce(const struct store_info *info)
{
    uint64_t part = info->blocks / SCARCE_FRACTION;

    return part < SCARCE_MIN ? SCARCE_MIN : least(part, SCARCE_MAX);
}

/** @param rest of what new objects may have. A store that was scarce stays so for a little more,
 * and that it is so again is news only when it had recovered well. */
static void tell_stage(const struct store_info *info, uint64_t rest)
{
    uint64_t part = scarce(info);

    if (stage != SPACE_PLENTY) {
        part += part / 4;
    }
    stage = rest == 0 ? SPACE_FULL : rest < part ? SPACE_SCARCE : SPACE_PLENTY;
    told = told && rest <= 2 * part;
    if (stage == SPACE_PLENTY) {
        return;
    }
    if (!told) {
        server_event(EVENT_SPACE, true,
                     "the store is nearly full: %llu KiB are left for new files and memory; "
                     "'mkdistrict --grow' on the host makes it larger",
                     (unsigned long long)(rest * (STORE_BLOCK / 1024)));
        told = true;
    }
    if (!server.line.message[0]) {
        snprintf(server.line.message, sizeof(server.line.message), "%s",
                 "the store is nearly full: grow it on the host with mkdistrict --grow");
    }
}

/** How many objects may become dirty before the next commit. Two commits may come of them: one that
 * is under way by then, and the next. */
static uint64_t budget_for(const struct store_info *info, const struct district_status *status,
                           uint64_t rest)
{
    uint64_t fit, may;

    if (store_room(server.store, &fit) != STORE_OK) {
        fit = 0;
    }
    /* The index of small commits may cost more than the objects. */
    may = fit / (info->free_blocks > fit + fit / 2 ? 4 : 2);
    may = less(may, status->dirty + status->domains); /* these become dirty unasked when they run */
    if (stage != SPACE_FULL) { /* new ones among them: not far into the reserve */
        may = least(may, rest + reserve(info) / 4);
    }
    return may < BUDGET_MIN ? BUDGET_MIN : may;
}

void checkpoint_budget(void)
{
    struct district_status status = {0};
    struct message ask = {.code = DISTRICT_STATUS, .buffer = &status, .size = sizeof(status)};
    struct message m = {.code = DISTRICT_BUDGET};
    struct store_info info;
    uint64_t rest;

    drop_old(false);
    store_info(server.store, &info);
    rest = room(&info);
    bw_call(KEY_AT(KR_DISTRICT), &ask);
    tell_stage(&info, rest);
    budget = budget_for(&info, &status, rest);
    m.word[0] = budget;
    m.word[1] = stage;
    m.word[2] = rest;
    m.word[3] = info.blocks;
    bw_call(KEY_AT(KR_DISTRICT), &m);
}

bool space_budget_nears(uint64_t changed)
{
    return changed >= budget - budget / 4;
}

bool space_make_room(void)
{
    return drop_old(true);
}
