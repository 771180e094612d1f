/*
 * `links NAME`: the links that a running district has to others, named ones first. `log NAME`: what
 * its native programs, which have no terminal, have said.
 */
#include "links.h"
#include <stdio.h>
#include <string.h>
#include <bailiwick/runtime.h>
#include "administration.h"
#include "format.h"
#include "screen.h"

static const char *kind_text(const struct link_line *line)
{
    if (strcmp(line->name, ".gate") == 0) {
        return "gated";
    }
    switch (line->mode) {
    case LINK_NOTIFY:
        return "notify";
    case LINK_AUTO:
        return "auto";
    case LINK_MANUAL:
        return "manual";
    default:
        return line->waiting ? "reply" : "unnamed";
    }
}

static const char *state_text(const struct link_line *line)
{
    switch (line->state) {
    case LINK_LIVE:
        return "live";
    case LINK_RELINKED:
        return "relinked";
    default:
        return line->wanted ? "waits" : "severed";
    }
}

static const char *reason_text(const struct link_line *line)
{
    if (line->state == LINK_RELINKED) {
        return "not acknowledged yet";
    }
    if (line->state == LINK_LIVE) {
        return "";
    }
    switch (line->reason) {
    case LINK_OPENED:
        return "not established yet";
    case LINK_PEER_ENDED:
        return "the other side ended";
    case LINK_RESTARTED:
        return "this side was restarted";
    case LINK_NO_DISTRICT:
        return "that district does not run";
    case LINK_NO_NAME:
        return "it publishes no such name";
    case LINK_REFUSED:
        return "this district may not open it";
    default:
        return "another district has that name now";
    }
}

/** Programs of a district choose names and say what they like: none of it commands the terminal. */
static void make_plain(char *text)
{
    for (; *text; text++) {
        if (((unsigned char)*text < 0x20 && *text != '\n') || *text == 0x7f) {
            *text = '?';
        }
    }
}

static void print_link(const struct link_line *line, bw_time_t now)
{
    char to[DISTRICT_NAME_MAX + LINK_NAME_MAX + 1], age[FORMAT_SIZE] = "-";

    snprintf(to, sizeof(to), "%.31s%s%.111s", line->district, line->name[0] ? "/" : "", line->name);
    make_plain(to);
    if (line->since && line->since <= now) {
        format_time(age, now - line->since);
    }
    screen_print("%-28s %-8s %-9s %-12s %10llu %9llu  %s\n", to, kind_text(line), state_text(line),
                 age, (unsigned long long)line->connection, (unsigned long long)line->messages,
                 reason_text(line));
}

enum command_result links_list(int count, char **words)
{
    struct district_line district;
    struct link_line line;
    uint64_t index = 0;
    unsigned n = 0;
    int64_t result;

    (void)count;
    if (!command_district(words[0], words[1], &district)) {
        return COMMAND_DONE;
    }
    while ((result = admin_link(words[1], &index, &line)) == BW_OK) {
        if (n++ == 0) {
            screen_print("%-28s %-8s %-9s %-12s %10s %9s\n", "TO", "KIND", "STATE", "SINCE",
                         "CONNECTION", "MESSAGES");
        }
        print_link(&line, bw_monotonic());
        index++;
    }
    if (result == BW_REFUSED) {
        screen_print("links: %s is not running: it has no links; 'restart %s' starts it\n",
                     words[1], words[1]);
    } else if (result != BW_ABSENT) {
        screen_print("links: %s: %s\n", words[1], admin_reason(result));
    } else if (n == 0) {
        screen_print("%s has no links\n", words[1]);
    }
    return COMMAND_DONE;
}

enum command_result links_log(int count, char **words)
{
    static char text[DISTRICT_LOG_MAX + 1];
    struct district_line district;
    struct message m = {.buffer = text, .size = sizeof(text) - 1};
    int64_t result;

    (void)count;
    if (!command_district(words[0], words[1], &district)) {
        return COMMAND_DONE;
    }
    result = admin_order(DISTRICTS_LOG, words[1], &m, NULL);
    if (result == BW_REFUSED) {
        screen_print("log: %s is not running; 'restart %s' starts it\n", words[1], words[1]);
    } else if (result != BW_OK) {
        screen_print("log: %s: %s\n", words[1], admin_reason(result));
    } else {
        text[m.length] = 0;
        make_plain(text);
        screen_print("%s%s", text, m.length && text[m.length - 1] != '\n' ? "\n" : "");
    }
    return COMMAND_DONE;
}
