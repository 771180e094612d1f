/*
 * A store server that was restarted takes over the district that its predecessor served, which goes
 * on meanwhile: it only waits for objects and commits.
 *
 * What the predecessor had under way is settled by what the disk has. If the generation that it was
 * writing is the current one, that commit happened, and the nucleus is told; else the snapshot is
 * dropped, and all that it held is dirty again. What was prepared in a bond waits for districtd's
 * word. The claim of a new incarnation of the store keeps us clear of what the predecessor may
 * still be writing; the district's own incarnation, by which others know it, stays.
 */
#include <string.h>
#include "journal.h"

/** Whether the store and what runs belong together: the store has no generation that the nucleus
 * does not know of, and lacks none. @param prepared what is in doubt has not been decided
 *  @param counts it has: that it counts */
static bool settle(const struct store_info *info, bool *prepared, bool *counts)
{
    struct district_status status;
    struct message m = {.code = DISTRICT_STATUS, .buffer = &status, .size = sizeof(status)};

    if (bw_call(KEY_AT(KR_DISTRICT), &m) != BW_OK || info->next_generation <= status.generation ||
        info->next_generation > status.epoch) {
        return false;
    }
    *counts = info->in_doubt && info->current == status.generation;
    if (info->in_doubt && info->current == status.epoch - 1 && info->current != status.generation) {
        *prepared = true; /* districtd is asked */
        return true;
    }
    m = (struct message){.code = DISTRICT_COMMITTED, .word = {info->current}};
    if (info->current == status.generation || bw_call(KEY_AT(KR_DISTRICT), &m) != BW_OK) {
        m = (struct message){.code = DISTRICT_DROP}; /* there need not be one */
        bw_call(KEY_AT(KR_DISTRICT), &m);
    }
    return true;
}

bool server_find_district(void)
{
    struct district_status status;
    struct store_info info;
    struct message m = {.code = NUCLEUS_FIND, .take = {KEY_AT(KR_DISTRICT)}};

    if (!server.store) {
        return false;
    }
    store_info(server.store, &info);
    memcpy(m.word, info.id, sizeof(info.id));
    if (bw_call(KEY_AT(KR_NUCLEUS), &m) != BW_OK) {
        return false;
    }
    m = (struct message){.code = DISTRICT_STATUS, .buffer = &status, .size = sizeof(status)};
    return bw_call(KEY_AT(KR_DISTRICT), &m) == BW_OK &&
           strncmp(status.name, info.name, sizeof(status.name) - 1) == 0;
}

void server_adopt(uint16_t own_key)
{
    struct message m = {.code = DISTRICT_BIND, .send = {own_key}};
    struct store_info info;
    bool prepared = false, counts = false;

    server.running = true;
    if (!server.store || checkpoint_recover(&info) != STORE_OK ||
        !settle(&info, &prepared, &counts) || bw_call(KEY_AT(KR_DISTRICT), &m) != BW_OK ||
        journal_grant() != BW_OK) {
        server_ended(ENDED_BROKEN, 0, "its store server failed, and could not be replaced");
        return;
    }
    server_event(EVENT_SERVER, true,
                 "its store server failed and was started again; the district runs on");
    checkpoint_reset();
    checkpoint_budget();
    bond_open();
    if (counts) { /* else the next checkpoint would take it back */
        bond_counts(info.instant);
    }
    if (prepared) {
        checkpoint_prepared(info.current, info.instant);
    } else {
        bond_report(BONDED_AT, BW_OK); /* districtd may think that we are in a bond */
    }
}
