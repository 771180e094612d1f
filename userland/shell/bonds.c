/*
 * `bond` and `unbond`: districts that are checkpointed, started, ended and taken back together.
 */
#include "bonds.h"
#include <stdio.h>
#include <string.h>
#include <bailiwick/runtime.h>
#include "administration.h"
#include "screen.h"

#define ASK_AGAIN_NS 10000000ull

const char *bonds_others(const struct district_line *line, const char *prefix, char *to,
                         size_t size)
{
    size_t at = 0;

    to[0] = 0;
    for (unsigned i = 0; i < line->bond.members && i < BOND_LINE_MAX && at < size; i++) {
        if (strncmp(line->bond.member[i].name, line->name, DISTRICT_NAME_MAX) != 0) {
            at += (size_t)snprintf(to + at, size - at, "%s%.*s", at ? ", " : prefix,
                                   (int)DISTRICT_NAME_MAX, line->bond.member[i].name);
        }
    }
    return to;
}

/** Asks districtd, with the words behind the command as one string. @return the result; if it is
 * not BW_OK, text says why */
static int64_t ask(enum districts_order order, int count, char **words, char *text, size_t size)
{
    char names[BOND_LINE_MAX * DISTRICT_NAME_MAX + 1] = "";
    struct message m;
    size_t at = 0;
    bool waited = false;
    int64_t result;

    for (int i = 1; i < count && at < sizeof(names); i++) {
        at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%.*s", i > 1 ? " " : "",
                               (int)DISTRICT_NAME_MAX - 1, words[i]);
    }
    do {
        m = (struct message){.buffer = text, .size = size - 1};
        result = admin_order(order, names, &m, NULL);
        if (result == BW_AGAIN) { /* a checkpoint is under way */
            waited = true;
            bw_wait(bw_monotonic() + ASK_AGAIN_NS);
        }
    } while (result == BW_AGAIN);
    if (waited && result == BW_ABSENT) { /* then it was done */
        return BW_OK;
    }
    text[m.length < size ? m.length : size - 1] = 0;
    if (text[0] == 0) {
        snprintf(text, size, "%s", admin_reason(result));
    }
    return result;
}

enum command_result bonds_bond(int count, char **words)
{
    char text[DISTRICT_MESSAGE_MAX], names[DISTRICT_MESSAGE_MAX];
    struct district_line line;
    struct message m = {0};
    int64_t result;

    for (int i = 1; i < count; i++) {
        if (!command_district("bond", words[i], &line)) {
            return COMMAND_DONE;
        }
    }
    if (count == 2) {
        bonds_others(&line, "", names, sizeof(names));
        screen_print(names[0] ? "%s: bonded with %s\n" : "%s: in no bond\n", words[1], names);
        return COMMAND_DONE;
    }
    if (ask(DISTRICTS_BOND, count, words, text, sizeof(text)) != BW_OK) {
        screen_print("bond: %s\n", text);
        return COMMAND_DONE;
    }
    result =
        admin_store(words[1], STORE_CHECKPOINT, &m); /* the first common one makes it durable */
    if (result == BW_OK && command_district("bond", words[1], &line) && line.bond.members) {
        screen_print(
            "%s: bonded with %s; they are checkpointed, restarted and rolled back together\n",
            words[1], bonds_others(&line, "", names, sizeof(names)));
    } else {
        screen_print("bond: they could not be checkpointed together: %s\n", admin_reason(result));
    }
    return COMMAND_DONE;
}

enum command_result bonds_unbond(int count, char **words)
{
    char text[DISTRICT_MESSAGE_MAX], names[DISTRICT_MESSAGE_MAX];
    struct district_line line;

    for (int i = 1; i < count; i++) {
        if (!command_district("unbond", words[i], &line)) {
            return COMMAND_DONE;
        }
    }
    bonds_others(&line, ", ", names, sizeof(names));
    if (ask(DISTRICTS_UNBOND, count, words, text, sizeof(text)) != BW_OK) {
        screen_print("unbond: %s\n", text);
        return COMMAND_DONE;
    }
    if (count > 2 && admin_find(words[1], &line) && line.bond.members) { /* only one has left */
        names[0] = 0;
    }
    screen_print("%s%s: in no bond any more\n", words[count - 1], names);
    return COMMAND_DONE;
}
