/*
 * What people set for a district: it is in its store, durable when the answer comes, and what
 * concerns the nucleus holds at once if the district runs.
 */
#include "settings.h"

#define INTERVAL_MIN_NS 10000000ull

_Static_assert(RETENTION_MAX == STORE_KEEP_MAX, "what is said is what holds");

int64_t settings_interval(uint64_t ns)
{
    int error;

    if (!server.store) {
        return server.line.error;
    }
    if (ns != 0 && ns < INTERVAL_MIN_NS) {
        return BW_ARGUMENT;
    }
    error = store_set_interval(server.store, ns);
    if (error == STORE_OK && server.running) {
        bw_time_t next = ns ? bw_monotonic() + ns : BW_NO_DEADLINE;

        /* Setting it again and again must not put the next checkpoint off for ever. */
        server.next = ns && server.next < next ? server.next : next;
    }
    return server_changed(error);
}

int64_t settings_retention(const uint64_t *keep)
{
    for (unsigned i = 0; i < 4; i++) {
        if (keep[i] > STORE_KEEP_MAX) {
            return BW_ARGUMENT;
        }
    }
    if (!server.store) {
        return server.line.error;
    }
    return server_changed(store_set_retention(server.store, (uint32_t)keep[0], (uint32_t)keep[1],
                                              (uint32_t)keep[2], (uint32_t)keep[3]));
}

int64_t settings_policy(uint64_t policy)
{
    if (policy > POLICY_CONTINUES) {
        return BW_ARGUMENT;
    }
    if (!server.store) {
        return server.line.error;
    }
    return server_changed(store_set_crash_policy(server.store, (uint32_t)policy));
}

int64_t settings_autostart(bool on)
{
    return server.store ? server_changed(store_set_autostart(server.store, on)) : server.line.error;
}

int64_t settings_gated(bool on)
{
    return server.store ? server_changed(store_set_gated(server.store, on)) : server.line.error;
}

int64_t settings_tell_share(void)
{
    struct message m = {.code = DISTRICT_SHARE};
    struct store_info info;

    store_info(server.store, &info);
    m.word[0] = info.share ? info.share : SHARE_USUAL;
    return bw_call(KEY_AT(KR_DISTRICT), &m);
}

int64_t settings_share(uint64_t share)
{
    int error;

    if (share == 0 || share > SHARE_MAX) {
        return BW_ARGUMENT;
    }
    if (!server.store) {
        return server.line.error;
    }
    error = store_set_share(server.store, (uint32_t)share);
    if (error == STORE_OK && server.running) {
        settings_tell_share();
    }
    return server_changed(error);
}
