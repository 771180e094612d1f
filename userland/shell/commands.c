/*
 * The table of the shell's commands, and what they share. Every error is one line "COMMAND: what is
 * wrong", and says what to do where that is known.
 */
#include "commands.h"
#include <stdio.h>
#include <string.h>
#include "administration.h"
#include "bonds.h"
#include "disks.h"
#include "districts.h"
#include "history.h"
#include "links.h"
#include "screen.h"
#include "settings.h"
#include "watch.h"

struct command {
    const char *name;
    const char *arguments; /* for the usage line */
    int least, most;       /* how many arguments */
    const char *what;      /* one line for `help` */
    const char *more;      /* further lines for --help */
    enum command_result (*run)(int count, char **words);
};

bool command_runs(const struct district_line *line)
{
    return line->state == DISTRICT_LOADING || line->state == DISTRICT_RUNNING;
}

bool command_district(const char *command, const char *name, struct district_line *line)
{
    struct district_line other;
    char known[400] = "";
    size_t at = 0;

    if (admin_find(name, line)) {
        return true;
    }
    for (unsigned i = 0; admin_line(i, &other) && at + DISTRICT_NAME_MAX + 3 < sizeof(known); i++) {
        if (other.error == BW_EXISTS) { /* its namesake is in the list */
            continue;
        }
        at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%.*s", at ? ", " : "",
                               (int)DISTRICT_NAME_MAX, other.name);
    }
    if (!admin_works()) {
        screen_print("%s: %s\n", command, admin_reason(BW_VOID));
    } else if (at) {
        screen_print("%s: no district is named '%s'; known: %s\n", command, name, known);
    } else {
        screen_print("%s: no district is named '%s'; this machine has no district stores\n",
                     command, name);
    }
    return false;
}

static enum command_result logout(int count, char **words)
{
    (void)count;
    (void)words;
    return COMMAND_LOGOUT;
}

static enum command_result help(int count, char **words);

/* A line of a text is one on the screen. */
static const struct command commands[] = {
    {"districts", "", 0, 0, "lists the districts of this machine",
     "For each: its state, newest generation, incarnation, how old that generation\n"
     "is, and the store's use.",
     districts_list},
    {"restart", "NAME [--generation N] [--alone]", 1, 4,
     "starts a district from its newest generation and attaches to it",
     "A new district is started for the first time. With --generation N it starts\n"
     "from that one, and what was done since is left behind: 'rollback' undoes\n"
     "that. Ctrl-] detaches; the district runs on. Of a mirrored store that does\n"
     "not know what its missing copy has, --alone uses the one that is there; the\n"
     "other one is then out of date, and is brought up to date when it is back. Of\n"
     "a bond of which a store is missing, --alone starts this district without the\n"
     "others, and ends the bond.",
     districts_restart},
    {"attach", "NAME", 1, 1, "attaches the terminal to a running district's console",
     "Ctrl-] detaches; the district runs on.", districts_attach},
    {"checkpoint", "NAME", 1, 1, "checkpoints a district now and returns when that is committed",
     "Says which generation it is, how many objects were written, and how long the\n"
     "district stood still.",
     districts_checkpoint},
    {"kill", "NAME", 1, 1, "drops a district from memory at once, like a power cut",
     "What it did since its newest generation is lost.", districts_kill},
    {"generations", "NAME", 1, 1, "lists the generations that a district can go back to",
     "For each: its age, how many objects it changed, how much space only it holds\n"
     "(what dropping it gives), and why it was made.",
     history_generations},
    {"rollback", "NAME [N | --back K]", 1, 3, "takes a running district back to a generation",
     "N is its number, K how many before the current one; without either it goes\n"
     "back to the current one. The generations that are left behind are kept for a\n"
     "while: 'rollback NAME N' with one of them undoes it.",
     history_rollback},
    {"drop", "NAME N", 2, 2, "drops a generation and frees the space that only it holds",
     "The current one, and the last two, stay.", history_drop},
    {"retention", "NAME [LAST,MINUTES,HOURS,DAYS]", 1, 2, "shows or sets how many generations stay",
     "LAST of the newest, then so many older ones a minute, an hour and a day\n"
     "apart; for example 8,60,24,30. It is kept in the store and takes effect at\n"
     "the next checkpoint.",
     settings_command},
    {"scrub", "NAME [--stop]", 1, 2, "reads everything that a district's store keeps, and compares",
     "The store server does it beside its other work, whether the district runs or\n"
     "not. Damage is named, and repaired where there is a second copy. Ctrl-C\n"
     "stops watching; the scrub goes on until it is done, or --stop.",
     watch_scrub},
    {"events", "[NAME]", 0, 1, "lists what has happened to the districts",
     "Starts, rollbacks and why, damage, checkpoints that failed. Important ones\n"
     "are also shown before the next prompt.",
     watch_events},
    {"bond", "NAME NAME [NAME [NAME]]", 1, 4,
     "bonds running districts: what happens to one happens to all",
     "They are checkpointed at the same instant, and restarted, killed and rolled\n"
     "back together; links between them stay. It is kept in their stores. With one\n"
     "NAME it shows the bond.",
     bonds_bond},
    {"unbond", "NAME [NAME]", 1, 2, "ends the bond of a district; or the second one leaves it",
     "They run on, each by itself. If the one that leaves was named first when\n"
     "they were bonded, the bond ends for all.",
     bonds_unbond},
    {"links", "NAME", 1, 1, "lists the links of a district to others",
     "For each: what it leads to, since when it is live or severed and why, how\n"
     "often it was established, and the messages sent through it since. A link\n"
     "without a name is made when a key is passed, and does not come back once it\n"
     "is severed.",
     links_list},
    {"log", "NAME", 1, 1, "shows what the native programs of a district have logged",
     "The last 2048 bytes of this run.", links_log},
    {"interval", "NAME [TIME]", 1, 2, "shows or sets the time between a district's checkpoints",
     "TIME is a number with ms, s, m or h, at least 10ms, or 'off'. It is kept in\n"
     "the store.",
     settings_command},
    {"policy", "NAME [rollback|stop|continue]", 1, 2,
     "shows or sets what happens when a district breaks",
     "It goes back to the newest generation (soon again: one farther; at their\n"
     "end: stops), stops, or continues (without the process that broke). It is\n"
     "kept in the store.",
     settings_command},
    {"share", "NAME [SHARE]", 1, 2, "shows or sets a district's share of memory and processor",
     "SHARE is a number from 1 to 10000, 100 at first: of what several districts\n"
     "want at a time, one with 200 gets twice as much as one with 100. It is kept\n"
     "in the store.",
     settings_command},
    {"autostart", "NAME [on|off]", 1, 2,
     "shows or sets whether a district starts by itself when the machine does",
     "From its newest generation, unless its store needs a decision: then an event\n"
     "says so. It is kept in the store.",
     settings_command},
    {"gated", "NAME [on|off]", 1, 2,
     "shows or sets whether a district's output waits until it is committed",
     "What is shown on its console, echo and prompts too, is then never\n"
     "contradicted by a kill or a power cut. A checkpoint is made as soon as there\n"
     "is output. It is kept in the store.",
     settings_command},
    {"disks", "", 0, 0, "lists the disks and partitions that have a district, or room for one",
     NULL, disks_list},
    {"mkdistrict",
     "NAME DISK [--from DISTRICT] [--interval TIME] [--keep LAST,MINUTES,HOURS,DAYS] [--force]", 2,
     9, "makes a district on a free partition",
     "It is a copy of the newest generation of DISTRICT (if nothing is said, of\n"
     "one named 'fresh'), programs that run in it among it, with an id of its own;\n"
     "of one that was never started it is a new one. 'disks' lists what is free.\n"
     "--force overwrites a partition that has something else than a store on it.",
     disks_mkdistrict},
    {"poweroff", "[--force]", 0, 1,
     "checkpoints the running districts and switches the machine off",
     "Does not if one cannot be checkpointed, except with --force.", districts_end_machine},
    {"reboot", "[--force]", 0, 1, "checkpoints the running districts and starts the machine again",
     "Does not if one cannot be checkpointed, except with --force.", districts_end_machine},
    {"help", "[COMMAND]", 0, 1, "shows this list, or more about one command", NULL, help},
    {"exit", "", 0, 0, "logs out; the districts run on", NULL, logout},
    {"logout", "", 0, 0, "logs out; the districts run on", NULL, logout},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static void unknown(const char *name)
{
    screen_print("%s: unknown command; 'help' lists the commands\n", name);
}

static void print_help(const struct command *c)
{
    screen_print("usage: %s%s%s\n%s: %s.\n", c->name, c->arguments[0] ? " " : "", c->arguments,
                 c->name, c->what);
    if (c->more) {
        screen_print("%s\n", c->more);
    }
}

static enum command_result help(int count, char **words)
{
    const struct command *c;

    if (count == 2) {
        c = command_find(words[1]);
        if (c) {
            print_help(c);
        } else {
            unknown(words[1]);
        }
        return COMMAND_DONE;
    }
    for (c = commands; c < commands + COMMANDS; c++) {
        int length = (int)(strlen(c->name) + 1 + strlen(c->arguments));
        bool below = length > 24; /* then what it does goes below */

        screen_print("  %s %s%s%*s %s\n", c->name, c->arguments, below ? "\n  " : "",
                     below ? 24 : 24 - length, "", c->what);
    }
    screen_print("Each takes --help. Ctrl-] leaves the console of a district.\n"
                 "At a screen, Alt-F1 to Alt-F4 choose a terminal, and Shift-PgUp looks back.\n");
    return COMMAND_DONE;
}

bool command_at(size_t index, const char **name, const char **arguments)
{
    if (index >= COMMANDS) {
        return false;
    }
    *name = commands[index].name;
    *arguments = commands[index].arguments;
    return true;
}

enum command_result command_run(int count, char **words)
{
    const struct command *c = command_find(words[0]);

    if (!c) {
        unknown(words[0]);
        return COMMAND_DONE;
    }
    if (count == 2 && (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0)) {
        print_help(c);
        return COMMAND_DONE;
    }
    if (count - 1 < c->least || count - 1 > c->most) {
        screen_print("%s: %s; usage: %s%s%s\n", c->name,
                     count - 1 < c->least ? "a name is missing" : "too many arguments", c->name,
                     c->arguments[0] ? " " : "", c->arguments);
        return COMMAND_DONE;
    }
    return c->run(count, words);
}
