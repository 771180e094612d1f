/*
 * What people set for a district: it is in its store, durable when the answer comes, and what
 * concerns the nucleus or the next checkpoint holds at once if the district runs.
 */
#include "settings.h"

#define INTERVAL_MIN_NS 10000000ull

_Static_assert(RETENTION_MAX == STORE_KEEP_MAX, "what is said is what holds");

bool settings_has(int64_t order)
{
    return order == STORE_INTERVAL || order == STORE_RETENTION || order == STORE_POLICY ||
           order == STORE_SHARE || order == STORE_AUTOSTART || order == STORE_GATED;
}

static bool acceptable(int64_t order, const uint64_t *word)
{
    switch (order) {
    case STORE_INTERVAL:
        return word[0] == 0 || word[0] >= INTERVAL_MIN_NS;
    case STORE_RETENTION: /* the store looks at their sum */
        return word[0] <= RETENTION_MAX && word[1] <= RETENTION_MAX && word[2] <= RETENTION_MAX &&
               word[3] <= RETENTION_MAX;
    case STORE_POLICY:
        return word[0] <= POLICY_CONTINUES;
    case STORE_SHARE:
        return word[0] != 0 && word[0] <= SHARE_MAX;
    default:
        return true;
    }
}

/** @return enum store_error */
static int put(int64_t order, const uint64_t *word)
{
    switch (order) {
    case STORE_INTERVAL:
        return store_set_interval(server.store, word[0]);
    case STORE_RETENTION:
        return store_set_retention(server.store, (uint32_t)word[0], (uint32_t)word[1],
                                   (uint32_t)word[2], (uint32_t)word[3]);
    case STORE_POLICY:
        return store_set_crash_policy(server.store, (uint32_t)word[0]);
    case STORE_SHARE:
        return store_set_share(server.store, (uint32_t)word[0]);
    case STORE_AUTOSTART:
        return store_set_autostart(server.store, word[0] != 0);
    default:
        return store_set_gated(server.store, word[0] != 0);
    }
}

int64_t settings_tell_share(void)
{
    struct message m = {.code = DISTRICT_SHARE};
    struct store_info info;

    store_info(server.store, &info);
    m.word[0] = info.share ? info.share : SHARE_USUAL;
    return bw_call(KEY_AT(KR_DISTRICT), &m);
}

/** Setting it again and again must not put the next checkpoint off for ever. */
static void interval_counts(uint64_t ns)
{
    bw_time_t next = ns ? bw_monotonic() + ns : BW_NO_DEADLINE;

    server.next = ns && server.next < next ? server.next : next;
}

int64_t settings_set(int64_t order, const uint64_t *word)
{
    int error;

    if (!server.store) {
        return server.line.error;
    }
    if (!acceptable(order, word)) {
        return BW_ARGUMENT;
    }
    error = put(order, word);
    if (error == STORE_OK && server.running && order == STORE_INTERVAL) {
        interval_counts(word[0]);
    } else if (error == STORE_OK && server.running && order == STORE_SHARE) {
        settings_tell_share();
    }
    return server_changed(error);
}
