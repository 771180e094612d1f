/*
 * The bond that the district is in, as its store server sees it. districtd coordinates
 * (districts/bond_step.h has the protocol, checkpoint.c what is written when); here is what the
 * store says of the bond, and what it is told.
 *
 * Between being told of a bond and the first commit in it, the bond is in memory alone: if we end
 * before, there is none.
 */
#include <string.h>
#include "server.h"

static struct store_bond joined; /* the bond from the next commit on */
static uint64_t kept;            /* the highest instant of which was said that it counts */

static void line_of(struct bond_line *line, const struct store_bond *b)
{
    memcpy(line->id, b->id, sizeof(line->id));
    line->members = b->members;
    line->last = b->last;
    for (unsigned i = 0; i < b->members; i++) {
        memcpy(line->member[i].id, b->member[i].id, sizeof(line->member[i].id));
        memcpy(line->member[i].name, b->member[i].name, sizeof(line->member[i].name));
    }
}

/** @return false: that cannot be */
static bool bond_of(struct store_bond *b, const void *string, size_t length)
{
    struct bond_line line;

    if (length != sizeof(line)) {
        return false;
    }
    memcpy(&line, string, sizeof(line));
    if (line.members == 1 || line.members > STORE_BOND_MAX) {
        return false;
    }
    *b = (struct store_bond){.members = line.members, .last = line.last};
    memcpy(b->id, line.id, sizeof(b->id));
    for (unsigned i = 0; i < line.members; i++) {
        memcpy(b->member[i].id, line.member[i].id, sizeof(b->member[i].id));
        memcpy(b->member[i].name, line.member[i].name, sizeof(b->member[i].name) - 1);
    }
    return true;
}

void bond_fill_line(struct bond_line *line, const struct store_info *info)
{
    *line = (struct bond_line){.last = info->bond.last};
    if (info->bond.members && info->instant) {
        line_of(line, &info->bond);
        line->instant = info->instant;
        line->doubt = info->in_doubt || server.reopen;
    }
}

void bond_open(void)
{
    struct store_info info;

    store_info(server.store, &info);
    joined = info.bond;
    kept = 0;
    server.bonded = info.bond.members && info.instant;
}

bool bond_is_home(void)
{
    struct store_info info;

    store_info(server.store, &info);
    return memcmp(joined.member[0].id, info.id, sizeof(info.id)) == 0;
}

int bond_commit(uint64_t instant, enum store_reason reason)
{
    return store_commit_bonded(server.store, instant, reason, &joined);
}

/** Takes back what was prepared. */
static int take_back(const struct store_info *info)
{
    struct store_generation g;
    uint64_t incarnation;
    int error = STORE_ABSENT;

    for (uint32_t i = 0; store_generation(server.store, i, &g) == STORE_OK; i++) {
        if (g.number == info->current) {
            error = store_claim(server.store, g.ancestor, info->incarnation_random, info->ran_by,
                                bw_realtime(), &incarnation);
            break;
        }
    }
    return error == STORE_OK ? store_drop(server.store, info->current) : error;
}

int bond_settle(void)
{
    struct store_info info;
    int error;

    store_info(server.store, &info);
    if (!info.in_doubt) {
        return STORE_OK;
    }
    error = info.instant == kept ? store_set_bond(server.store, &info.bond) : take_back(&info);
    /* Two generations always stay: the one taken back is then dropped by retention. */
    error = error == STORE_ARGUMENT ? STORE_OK : error;
    server.reopen |= error != STORE_OK;
    return error;
}

void bond_counts(uint64_t instant)
{
    kept = instant;
    bond_settle(); /* else before the next one */
}

void bond_report(enum bonded what, int64_t result)
{
    struct store_info info;

    store_info(server.store, &info);
    server.bond.what = what;
    server.bond.instant = what == BONDED_READY ? checkpoint_instant() : info.instant;
    server.bond.result = result;
}

static int64_t set(const void *string, size_t length)
{
    struct store_bond b;
    int error;

    if (!server.store) {
        return server.line.error;
    }
    if (!bond_of(&b, string, length)) {
        return BW_ARGUMENT;
    }
    if (checkpoint_instant()) {
        return BW_BUSY;
    }
    /* The mutation that ends it when it is to leave; but not its successor. */
    bw_assert(BW_MUTATION != 1 || b.members || server.disk == 0 || kept == 0);
    error = store_set_bond(server.store, b.members ? &b : NULL);
    if (error == STORE_OK) {
        bond_open();
        if (!server.bonded) {
            checkpoint_alone();
        }
    }
    return server_changed(error);
}

static int64_t join(const void *string, size_t length)
{
    struct store_bond b;

    if (!server.running || server.doomed || !bond_of(&b, string, length) || b.members == 0) {
        return BW_REFUSED;
    }
    joined = b;
    server.bonded = true;
    if (!server.writing) {
        bond_report(BONDED_AT, BW_OK);
    }
    return BW_OK;
}

/** What is answered before it is done: districtd does not wait for the disk. */
static void obey(const struct message *m, const void *string)
{
    struct district_frozen frozen;

    switch (m->word[0]) {
    case STORE_BOND_WRITE:
        if (m->length == sizeof(frozen)) {
            memcpy(&frozen, string, sizeof(frozen));
            checkpoint_together(&frozen, m->word[1], m->word[2]);
        }
        break;
    case STORE_BOND_COMMIT:
        if (checkpoint_instant() == m->word[1]) {
            checkpoint_decide();
        }
        break;
    case STORE_BOND_KEEP:
        if (checkpoint_instant() == m->word[1]) {
            checkpoint_keep();
        }
        break;
    case STORE_BOND_TELL:
        checkpoint_forget();
        checkpoint_tell();
        break;
    case STORE_BOND_UNDO:
        checkpoint_undo((int64_t)m->word[2]);
        break;
    default:
        checkpoint_clean(m->word[2]);
    }
}

bool bond_serve(const struct message *m, const void *string, struct message *reply)
{
    struct message answer = {.code = BW_OK};

    if (m->word[0] == STORE_BOND_SET || m->word[0] == STORE_BOND_JOIN) {
        reply->code = (m->word[0] == STORE_BOND_SET ? set : join)(string, m->length);
        return true;
    }
    bw_send(KEY_AT(KR_CALLER), &answer, INVOKE_NOBLOCK);
    if (server.running && server.bonded) {
        obey(m, string);
    } else if (server.running && m->word[0] == STORE_BOND_WRITE) {
        checkpoint_forget(); /* the server before us had joined, and nothing durable says so */
        bond_report(BONDED_AT, BW_REFUSED);
    }
    return false;
}
