/*
 * What is set for a district, and kept in its store: each command shows it, or sets it and shows
 * it.
 */
#include "settings.h"
#include <string.h>
#include "administration.h"
#include "format.h"
#include "screen.h"

#define INTERVAL_MIN_NS 10000000ull /* admin.h: STORE_INTERVAL */

static void print_interval(const char *name, uint64_t ns)
{
    char text[FORMAT_SIZE];

    if (ns == 0) {
        screen_print("%s: is checkpointed only when asked\n", name);
    } else {
        screen_print("%s: is checkpointed every %s\n", name, format_short_time(text, ns));
    }
}

enum command_result settings_interval(int count, char **words)
{
    struct district_line line;
    struct message m = {0};
    int64_t result;

    if (!command_district("interval", words[1], &line)) {
        return COMMAND_DONE;
    }
    if (count == 2) {
        print_interval(words[1], line.interval);
        return COMMAND_DONE;
    }
    if (!parse_time(words[2], &m.word[0])) {
        screen_print("interval: '%s' is not a time; say 500ms, 2s, 1m or off\n", words[2]);
        return COMMAND_DONE;
    }
    if (m.word[0] != 0 && m.word[0] < INTERVAL_MIN_NS) {
        screen_print("interval: 10ms is the shortest\n");
        return COMMAND_DONE;
    }
    uint64_t ns = m.word[0];
    result = admin_store(words[1], STORE_INTERVAL, &m);
    if (result == BW_OK) {
        print_interval(words[1], ns);
    } else {
        screen_print("interval: %s: %s\n", words[1], admin_store_reason(words[1], result));
    }
    return COMMAND_DONE;
}

enum command_result settings_policy(int count, char **words)
{
    static const char *const names[] = {"rollback", "stop", "continue"};
    static const char *const effects[] = {
        "goes back to its newest generation, and if that does not "
        "help, farther",
        "stops", "runs on without what broke"};
    struct district_line line;
    struct message m = {0};
    int64_t result = BW_OK;
    unsigned chosen;

    if (!command_district("policy", words[1], &line)) {
        return COMMAND_DONE;
    }
    chosen = line.crash_policy < 3 ? line.crash_policy : 0;
    if (count == 3) {
        for (chosen = 0; chosen < 3 && strcmp(words[2], names[chosen]) != 0; chosen++) {
        }
        if (chosen == 3) {
            screen_print("policy: '%s' is not known; say rollback, stop or continue\n", words[2]);
            return COMMAND_DONE;
        }
        m.word[0] = chosen;
        result = admin_store(words[1], STORE_POLICY, &m);
    }
    if (result == BW_OK) {
        screen_print("%s: %s: when it breaks it %s\n", words[1], names[chosen], effects[chosen]);
    } else {
        screen_print("policy: %s: %s\n", words[1], admin_store_reason(words[1], result));
    }
    return COMMAND_DONE;
}

/** Understands [on|off]. @return false: something else, which it says */
static bool parse_switch(const char *command, const char *text, bool *on)
{
    *on = strcmp(text, "on") == 0;
    if (!*on && strcmp(text, "off") != 0) {
        screen_print("%s: '%s' is not known; say on or off\n", command, text);
        return false;
    }
    return true;
}

enum command_result settings_autostart(int count, char **words)
{
    struct district_line line;
    struct message m = {0};
    int64_t result = BW_OK;
    bool on;

    if (!command_district("autostart", words[1], &line)) {
        return COMMAND_DONE;
    }
    on = line.autostart != 0;
    if (count == 3) {
        if (!parse_switch("autostart", words[2], &on)) {
            return COMMAND_DONE;
        }
        m.word[0] = on;
        result = admin_store(words[1], STORE_AUTOSTART, &m);
    }
    if (result == BW_OK) {
        screen_print("%s: %s when the machine does\n", words[1],
                     on ? "starts by itself" : "does not start by itself");
    } else {
        screen_print("autostart: %s: %s\n", words[1], admin_store_reason(words[1], result));
    }
    return COMMAND_DONE;
}

enum command_result settings_gated(int count, char **words)
{
    struct district_line line;
    struct message m = {0};
    int64_t result = BW_OK;
    bool on;

    if (!command_district("gated", words[1], &line)) {
        return COMMAND_DONE;
    }
    on = line.gated != 0;
    if (count == 3) {
        if (!parse_switch("gated", words[2], &on)) {
            return COMMAND_DONE;
        }
        m.word[0] = on;
        result = admin_order(DISTRICTS_GATED, words[1], &m, NULL);
    }
    if (result == BW_OK) {
        screen_print("%s: what it shows on its console %s\n", words[1],
                     on ? "is held until it is committed" : "is shown at once");
    } else {
        screen_print("gated: %s: %s\n", words[1], admin_store_reason(words[1], result));
    }
    return COMMAND_DONE;
}

enum command_result settings_share(int count, char **words)
{
    struct district_line line;
    struct message m = {0};
    int64_t result = BW_OK;
    uint64_t share;

    if (!command_district("share", words[1], &line)) {
        return COMMAND_DONE;
    }
    share = line.share;
    if (count == 3) {
        if (!parse_number(words[2], &share) || share == 0 || share > SHARE_MAX) {
            screen_print("share: '%s' is not a share; say a number from 1 to %u, %u is usual\n",
                         words[2], SHARE_MAX, SHARE_USUAL);
            return COMMAND_DONE;
        }
        m.word[0] = share;
        result = admin_store(words[1], STORE_SHARE, &m);
    }
    if (result == BW_OK) {
        screen_print("%s: has a share of %llu; %u is usual\n", words[1], (unsigned long long)share,
                     SHARE_USUAL);
    } else {
        screen_print("share: %s: %s\n", words[1], admin_store_reason(words[1], result));
    }
    return COMMAND_DONE;
}
