/*
 * What is set for a district, and kept in its store: each command shows it, or sets it and shows
 * it. What is set is one word, or several, as the district's line and the order to its store server
 * have them.
 */
#include "settings.h"
#include <string.h>
#include "administration.h"
#include "format.h"
#include "screen.h"

#define INTERVAL_MIN_NS 10000000ull /* admin.h: STORE_INTERVAL */

struct setting {
    const char *name;
    void (*get)(const struct district_line *line, uint64_t *word);
    bool (*parse)(const char *command, const char *text, uint64_t *word); /* says what is wrong */
    void (*show)(const char *district, const uint64_t *word);
    enum store_order order;
    enum districts_order through; /* not 0: districtd passes it on, and goes by it itself */
};

/* --- interval --------------------------------------------------------------------------------- */

static void get_interval(const struct district_line *line, uint64_t *word)
{
    *word = line->interval;
}

static bool parse_interval(const char *command, const char *text, uint64_t *word)
{
    if (!parse_time(text, word)) {
        screen_print("%s: '%s' is not a time; say 500ms, 2s, 1m or off\n", command, text);
        return false;
    }
    if (*word != 0 && *word < INTERVAL_MIN_NS) {
        screen_print("%s: 10ms is the shortest\n", command);
        return false;
    }
    return true;
}

static void show_interval(const char *district, const uint64_t *word)
{
    char text[FORMAT_SIZE];

    if (*word == 0) {
        screen_print("%s: is checkpointed only when asked\n", district);
    } else {
        screen_print("%s: is checkpointed every %s\n", district, format_short_time(text, *word));
    }
}

/* --- retention -------------------------------------------------------------------------------- */

static void get_retention(const struct district_line *line, uint64_t *word)
{
    for (unsigned i = 0; i < 4; i++) {
        word[i] = line->keep[i];
    }
}

static bool parse_retention(const char *command, const char *text, uint64_t *word)
{
    uint64_t all = 0;

    if (!parse_numbers(text, word, 4)) {
        screen_print("%s: '%s' is not LAST,MINUTES,HOURS,DAYS; for example 8,60,24,30\n", command,
                     text);
        return false;
    }
    for (unsigned i = 0; i < 4; i++) {
        all = word[i] > RETENTION_MAX ? UINT64_MAX : all + word[i];
    }
    if (word[0] < 2 || all > RETENTION_MAX) {
        screen_print("%s: at least 2 last ones are kept, and not more than %u in all\n", command,
                     RETENTION_MAX);
        return false;
    }
    return true;
}

static void show_retention(const char *district, const uint64_t *word)
{
    screen_print("%s: keeps the last %llu generations, then one a minute for %llu, one an hour for "
                 "%llu, one a day for %llu\n",
                 district, (unsigned long long)word[0], (unsigned long long)word[1],
                 (unsigned long long)word[2], (unsigned long long)word[3]);
}

/* --- policy ----------------------------------------------------------------------------------- */

static const struct {
    const char *name, *effect;
} policies[] = {
    {"rollback", "goes back to its newest generation, and if that does not help, farther"},
    {"stop", "stops"},
    {"continue", "runs on without what broke"},
};
#define POLICIES (sizeof(policies) / sizeof(policies[0]))

static void get_policy(const struct district_line *line, uint64_t *word)
{
    *word = line->crash_policy < POLICIES ? line->crash_policy : 0;
}

static bool parse_policy(const char *command, const char *text, uint64_t *word)
{
    for (*word = 0; *word < POLICIES; ++*word) {
        if (strcmp(text, policies[*word].name) == 0) {
            return true;
        }
    }
    screen_print("%s: '%s' is not known; say rollback, stop or continue\n", command, text);
    return false;
}

static void show_policy(const char *district, const uint64_t *word)
{
    screen_print("%s: %s: when it breaks it %s\n", district, policies[*word].name,
                 policies[*word].effect);
}

/* --- autostart, gated ------------------------------------------------------------------------- */

static bool parse_switch(const char *command, const char *text, uint64_t *on)
{
    *on = strcmp(text, "on") == 0;
    if (!*on && strcmp(text, "off") != 0) {
        screen_print("%s: '%s' is not known; say on or off\n", command, text);
        return false;
    }
    return true;
}

static void get_autostart(const struct district_line *line, uint64_t *word)
{
    *word = line->autostart != 0;
}

static void show_autostart(const char *district, const uint64_t *word)
{
    screen_print("%s: %s when the machine does\n", district,
                 *word ? "starts by itself" : "does not start by itself");
}

static void get_gated(const struct district_line *line, uint64_t *word)
{
    *word = line->gated != 0;
}

static void show_gated(const char *district, const uint64_t *word)
{
    screen_print("%s: what it shows on its console %s\n", district,
                 *word ? "is held until it is committed" : "is shown at once");
}

/* --- share ------------------------------------------------------------------------------------ */

static void get_share(const struct district_line *line, uint64_t *word)
{
    *word = line->share;
}

static bool parse_share(const char *command, const char *text, uint64_t *word)
{
    if (!parse_number(text, word) || *word == 0 || *word > SHARE_MAX) {
        screen_print("%s: '%s' is not a share; say a number from 1 to %u, %u is usual\n", command,
                     text, SHARE_MAX, SHARE_USUAL);
        return false;
    }
    return true;
}

static void show_share(const char *district, const uint64_t *word)
{
    screen_print("%s: has a share of %llu; %u is usual\n", district, (unsigned long long)*word,
                 SHARE_USUAL);
}

/* --- the commands ----------------------------------------------------------------------------- */

static const struct setting settings[] = {
    {"interval", get_interval, parse_interval, show_interval, STORE_INTERVAL, 0},
    {"retention", get_retention, parse_retention, show_retention, STORE_RETENTION, 0},
    {"policy", get_policy, parse_policy, show_policy, STORE_POLICY, 0},
    {"autostart", get_autostart, parse_switch, show_autostart, STORE_AUTOSTART, 0},
    {"gated", get_gated, parse_switch, show_gated, STORE_GATED, DISTRICTS_GATED},
    {"share", get_share, parse_share, show_share, STORE_SHARE, 0},
};

enum command_result settings_command(int count, char **words)
{
    const struct setting *s = settings;
    struct district_line line;
    struct message m = {0};
    uint64_t word[BW_MESSAGE_WORDS] = {0};
    int64_t result = BW_OK;

    while (strcmp(s->name, words[0]) != 0) {
        s++;
    }
    if (!command_district(s->name, words[1], &line)) {
        return COMMAND_DONE;
    }
    s->get(&line, word);
    if (count == 3) {
        if (!s->parse(s->name, words[2], word)) {
            return COMMAND_DONE;
        }
        memcpy(m.word, word, sizeof(word));
        result = s->through ? admin_order(s->through, words[1], &m, NULL)
                            : admin_store(words[1], s->order, &m);
    }
    if (result == BW_OK) {
        s->show(words[1], word);
    } else {
        screen_print("%s: %s: %s\n", s->name, words[1], admin_store_reason(words[1], result));
    }
    return COMMAND_DONE;
}
