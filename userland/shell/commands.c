/*
 * The commands of the shell, one function each, and the table that names them. Every error is one
 * line "COMMAND: what is wrong", and says what to do where that is known.
 */
#include "commands.h"
#include <stdio.h>
#include <string.h>
#include <bailiwick/console.h>
#include <bailiwick/names.h>
#include "administration.h"
#include "bonds.h"
#include "disks.h"
#include "format.h"
#include "history.h"
#include "links.h"
#include "screen.h"
#include "settings.h"
#include "watch.h"

#define RESTART_RETRY_NS 50000000ull
#define RESTART_RETRIES  100

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
    if (at) {
        screen_print("%s: no district is named '%s'; known: %s\n", command, name, known);
    } else {
        screen_print("%s: no district is named '%s'; this machine has no district stores\n",
                     command, name);
    }
    return false;
}

static const char *state_text(const struct district_line *line)
{
    switch (line->state) {
    case DISTRICT_LOADING:
        return "starting";
    case DISTRICT_RUNNING:
        return "running";
    case DISTRICT_ENDING:
        return "ending";
    case DISTRICT_FAILED:
        return "failed";
    default:
        return line->error ? "unusable" : "stopped";
    }
}

static enum command_result districts(int count, char **words)
{
    struct district_line line;
    unsigned i;

    (void)count;
    (void)words;
    for (i = 0; admin_line(i, &line); i++) {
        char age[FORMAT_SIZE], used[FORMAT_SIZE], capacity[FORMAT_SIZE];
        char bonded[DISTRICT_MESSAGE_MAX];

        if (i == 0) {
            screen_print("%-16s %-8s %10s %11s  %-11s %s\n", "NAME", "STATE", "GENERATION",
                         "INCARNATION", "AGE", "USED"); /* 80 columns */
        }
        screen_print("%-16.32s %-8s %10llu %11llu  %-11s %s of %s\n", line.name, state_text(&line),
                     (unsigned long long)line.generation, (unsigned long long)line.incarnation,
                     format_time(age, line.age), format_bytes(used, line.used),
                     format_bytes(capacity, line.capacity));
        if (line.autostart) {
            screen_print("  starts by itself\n");
        }
        if (line.gated) {
            screen_print("  shows only what is committed\n");
        }
        if (line.mirror[0]) {
            screen_print("  %.64s\n", line.mirror);
        }
        if (line.bond.members) {
            screen_print("  %s%s\n", bonds_others(&line, "bonded with ", bonded, sizeof(bonded)),
                         line.bond.doubt && line.state == DISTRICT_EMPTY
                             ? "; its last checkpoint counts only if theirs does"
                             : "");
        }
        if (line.message[0]) {
            screen_print("  %.192s\n", line.message);
        }
    }
    if (i == 0) {
        screen_print("no district stores are attached to this machine\n");
    }
    return COMMAND_DONE;
}

/** Attaches the terminal; a district that ended under it and runs again is attached again. */
static void attach_to(const char *name, uint64_t session)
{
    struct district_line line;
    struct message m = {0};
    int64_t result;

    for (;;) {
        result = admin_attach(session);
        if (result == DETACHED_BY_USER || result == DETACHED_ELSEWHERE) {
            screen_print("\n[detached from %s; it runs on%s]\n", name,
                         result == DETACHED_BY_USER ? "" : ", attached at another terminal");
            return;
        }
        if (result < 0) {
            screen_print("attach: %s: %s\n", name, admin_reason(result));
            return;
        }
        if (!admin_find(name, &line) || !command_runs(&line)) {
            screen_print("\n[%s has ended%s%.192s]\n", name, line.message[0] ? ": " : "",
                         line.message);
            return;
        }
        screen_print("\n[%s ended and was restarted from generation %llu%s%.192s]\n", name,
                     (unsigned long long)line.generation, line.message[0] ? ": " : "",
                     line.message);
        m = (struct message){0};
        if (admin_order(DISTRICTS_ATTACH, name, &m, NULL) != BW_OK) {
            return;
        }
        session = m.word[0];
    }
}

static void print_started(const struct district_line *line)
{
    char age[FORMAT_SIZE];

    if (line->fresh) {
        screen_print("%.32s: started for the first time\n", line->name);
    } else {
        screen_print("%.32s: restarted from generation %llu, %s old\n", line->name,
                     (unsigned long long)line->generation, format_time(age, line->age));
    }
    screen_print("[attached to %.32s; Ctrl-] detaches]\n", line->name);
}

/** Understands [--generation N] [--alone]. */
static bool start_point(int count, char **words, struct message *m)
{
    for (int i = 2; i < count; i++) {
        if (strcmp(words[i], "--alone") == 0) {
            m->word[2] = 1;
        } else if (strcmp(words[i], "--generation") == 0 && i + 1 < count) {
            m->word[0] = 1;
            if (!history_chosen("restart", words[1], words[++i], &m->word[1])) {
                return false;
            }
        } else {
            screen_print("restart: '%s' is %s; usage: restart NAME [--generation N] [--alone]\n",
                         words[i],
                         strcmp(words[i], "--generation") == 0 ? "without a number" : "not known");
            return false;
        }
    }
    return true;
}

/** Asks districtd. While disks may still turn up, a mirrored store waits for its other copy. */
static int64_t order_restart(const char *name, struct message *m, struct district_line *line)
{
    struct message asked = *m;
    int64_t result = admin_order(DISTRICTS_RESTART, name, m, line);

    for (int i = 0; result == BW_AGAIN && i < RESTART_RETRIES; i++) {
        bw_wait(bw_monotonic() + RESTART_RETRY_NS);
        *m = asked;
        result = admin_order(DISTRICTS_RESTART, name, m, line);
    }
    return result;
}

static enum command_result restart(int count, char **words)
{
    struct district_line line = {0};
    struct message m = {0};
    int64_t result;

    if (!command_district("restart", words[1], &line)) {
        return COMMAND_DONE;
    }
    if (command_runs(&line)) {
        if (count == 2) {
            screen_print("restart: %s runs already; 'attach %s' takes you there\n", words[1],
                         words[1]);
        } else {
            screen_print("restart: %s runs already; 'rollback %s N' goes back to generation N\n",
                         words[1], words[1]);
        }
        return COMMAND_DONE;
    }
    if (!start_point(count, words, &m)) {
        return COMMAND_DONE;
    }
    if (m.word[0]) {
        history_announce(words[1], m.word[1], false);
    }
    line.message[0] = 0;
    result = order_restart(words[1], &m, &line);
    if (result == BW_OK) {
        print_started(&line);
        attach_to(words[1], m.word[0]);
    } else if (result == BW_EXISTS) {
        screen_print("restart: %s runs already; 'attach %s' takes you there\n", words[1], words[1]);
    } else {
        screen_print("restart: %s: %.192s\n", words[1],
                     m.length && line.message[0] ? line.message : admin_reason(result));
    }
    return COMMAND_DONE;
}

static enum command_result attach(int count, char **words)
{
    struct district_line line;
    struct message m = {0};
    int64_t result;

    (void)count;
    if (!command_district("attach", words[1], &line)) {
        return COMMAND_DONE;
    }
    result = admin_order(DISTRICTS_ATTACH, words[1], &m, NULL);
    if (result == BW_OK) {
        screen_print("[attached to %s; Ctrl-] detaches]\n", words[1]);
        attach_to(words[1], m.word[0]);
    } else if (result == BW_REFUSED) {
        screen_print("attach: %s is not running; 'restart %s' starts it\n", words[1], words[1]);
    } else {
        screen_print("attach: %s: %s\n", words[1], admin_reason(result));
    }
    return COMMAND_DONE;
}

static void print_checkpoint(const char *name, const struct message *m)
{
    char stop[FORMAT_SIZE], took[FORMAT_SIZE];
    struct message time = {0};

    if (m->word[2] == 0) {
        screen_print("%s: nothing has changed since generation %llu\n", name,
                     (unsigned long long)m->word[0]);
        return;
    }
    bw_self(SELF_TIME, &time);
    screen_print("%s: generation %llu committed: %llu objects written, stopped for %s, took %s\n",
                 name, (unsigned long long)m->word[0], (unsigned long long)m->word[1],
                 format_short_time(stop, ticks_to_ns(m->word[2], time.word[3])),
                 format_short_time(took, m->word[3]));
}

/** Checkpoints a running district and reports. @return false if it could not be done */
static bool checkpoint_one(const char *command, const char *name)
{
    struct message m = {0};
    int64_t result = admin_store(name, STORE_CHECKPOINT, &m);

    if (result == BW_OK) {
        print_checkpoint(name, &m);
        return true;
    }
    if (result == BW_REFUSED) {
        screen_print("%s: %s is not running; 'restart %s' starts it\n", command, name, name);
    } else {
        screen_print("%s: %s was not checkpointed: %s\n", command, name, admin_reason(result));
    }
    return false;
}

static enum command_result checkpoint(int count, char **words)
{
    struct district_line line;

    (void)count;
    if (command_district("checkpoint", words[1], &line)) {
        checkpoint_one("checkpoint", words[1]);
    }
    return COMMAND_DONE;
}

static enum command_result kill(int count, char **words)
{
    char bonded[DISTRICT_MESSAGE_MAX];
    struct district_line line;
    struct message m = {0};
    int64_t result;

    (void)count;
    if (!command_district("kill", words[1], &line)) {
        return COMMAND_DONE;
    }
    result = admin_order(DISTRICTS_KILL, words[1], &m, &line);
    if (result == BW_OK) {
        screen_print("%s: dropped from memory; restart will find generation %llu%s\n", words[1],
                     (unsigned long long)line.generation,
                     bonds_others(&line, "; with it ", bonded, sizeof(bonded)));
    } else if (result == BW_REFUSED) {
        screen_print("kill: %s is not running\n", words[1]);
    } else {
        screen_print("kill: %s: %s\n", words[1], admin_reason(result));
    }
    return COMMAND_DONE;
}

/** Checkpoints every running district. @return false if one could not be */
static bool checkpoint_all(const char *command)
{
    struct district_line line;
    bool all = true;

    for (unsigned i = 0; admin_line(i, &line); i++) {
        line.name[DISTRICT_NAME_MAX - 1] = 0;
        if (line.error == 0 && command_runs(&line)) {
            all = checkpoint_one(command, line.name) && all;
        }
    }
    return all;
}

/** Ends the machine's run: `poweroff` and `reboot`. */
static enum command_result end_machine(int count, char **words)
{
    bool off = strcmp(words[0], "poweroff") == 0;
    bool force = count == 2;
    int64_t result;

    if (force && strcmp(words[1], "--force") != 0) {
        screen_print("%s: '%s' is not known; see '%s --help'\n", words[0], words[1], words[0]);
        return COMMAND_DONE;
    }
    if (!checkpoint_all(words[0]) && !force) {
        screen_print("%s: not done, so that nothing is lost; '%s --force' does it all the same\n",
                     words[0], words[0]);
        return COMMAND_DONE;
    }
    screen_print(off ? "powering off\n" : "rebooting\n");
    result = admin_power(off ? POWER_OFF : POWER_REBOOT);
    screen_print("%s: %s\n", words[0],
                 result == BW_IO ? "this machine cannot do that by itself: use its switch"
                                 : admin_reason(result));
    return COMMAND_DONE;
}

static enum command_result logout(int count, char **words)
{
    (void)count;
    (void)words;
    return COMMAND_LOGOUT;
}

static enum command_result help(int count, char **words);

static const struct command commands[] = {
    {"districts", "", 0, 0, "lists the districts of this machine",
     "For each: its state, newest generation, incarnation, how old that generation is, and the "
     "store's use.",
     districts},
    {"restart", "NAME [--generation N] [--alone]", 1, 4,
     "starts a district from its newest generation and attaches to it",
     "A new district is started for the first time. With --generation N it starts from that one, "
     "and what\nwas done since is left behind: 'rollback' undoes that. Ctrl-] detaches; the "
     "district "
     "runs on.\nOf a mirrored store that does not know what its missing copy has, --alone uses "
     "the one that "
     "is there;\nthe other one is then out of date, and is brought up to date when it is back. Of "
     "a bond of which a\nstore is missing, --alone starts this district without the others, and "
     "ends the bond.",
     restart},
    {"attach", "NAME", 1, 1, "attaches the terminal to a running district's console",
     "Ctrl-] detaches; the district runs on.", attach},
    {"checkpoint", "NAME", 1, 1, "checkpoints a district now and returns when that is committed",
     "Says which generation it is, how many objects were written, and how long the district stood "
     "still.",
     checkpoint},
    {"kill", "NAME", 1, 1, "drops a district from memory at once, like a power cut",
     "What it did since its newest generation is lost.", kill},
    {"generations", "NAME", 1, 1, "lists the generations that a district can go back to",
     "For each: its age, how many objects it changed, how much space only it holds (what dropping "
     "it gives),\nand why it was made.",
     history_generations},
    {"rollback", "NAME [N | --back K]", 1, 3, "takes a running district back to a generation",
     "N is its number, K how many before the newest one; without either it goes back to the newest "
     "one.\nThe generations that are left behind are kept for a while: 'rollback NAME N' with one "
     "of "
     "them undoes it.",
     history_rollback},
    {"drop", "NAME N", 2, 2, "drops a generation and frees the space that only it holds",
     "The current one, and the last two, stay.", history_drop},
    {"retention", "NAME [LAST,MINUTES,HOURS,DAYS]", 1, 2, "shows or sets how many generations stay",
     "LAST of the newest, then so many older ones a minute, an hour and a day apart; for example "
     "8,60,24,30.\nIt is kept in the store and takes effect at the next checkpoint.",
     history_retention},
    {"scrub", "NAME [--stop]", 1, 2, "reads everything that a district's store keeps, and compares",
     "The store server does it beside its other work, whether the district runs or not. Damage is "
     "named, and\nrepaired where there is a second copy. Ctrl-C stops watching; the scrub goes on "
     "until --stop.",
     watch_scrub},
    {"events", "[NAME]", 0, 1, "lists what has happened to the districts",
     "Starts, rollbacks and why, damage, checkpoints that failed. Important ones are also shown "
     "before the next prompt.",
     watch_events},
    {"bond", "NAME NAME...", 1, 4, "bonds running districts: what happens to one happens to all",
     "They are checkpointed at the same instant, and restarted, killed and rolled back together; "
     "links between\nthem stay. It is kept in their stores. With one NAME it shows the bond.",
     bonds_bond},
    {"unbond", "NAME [NAME]", 1, 2, "ends the bond of a district; or the second one leaves it",
     "They run on, each by itself.", bonds_unbond},
    {"links", "NAME", 1, 1, "lists the links of a district to others",
     "For each: what it leads to, since when it is live or severed and why, how often it was "
     "established,\nand the messages sent through it since. A link without a name is made when a "
     "key is "
     "passed, and does not\ncome back once it is severed.",
     links_list},
    {"log", "NAME", 1, 1, "shows what the native programs of a district have logged",
     "The last 2048 bytes of this run.", links_log},
    {"interval", "NAME [TIME]", 1, 2, "shows or sets the time between a district's checkpoints",
     "TIME is a number with ms, s, m or h, at least 10ms, or 'off'. It is kept in the store.",
     settings_interval},
    {"policy", "NAME [POLICY]", 1, 2, "shows or sets what happens when a district breaks",
     "POLICY is rollback (to the newest generation; soon again: one farther; at their end: stop), "
     "stop, or\ncontinue (without the process that broke). It is kept in the store.",
     settings_policy},
    {"share", "NAME [SHARE]", 1, 2, "shows or sets a district's share of memory and processor",
     "SHARE is a number from 1 to 10000, 100 at first: of what several districts want at a time, "
     "one "
     "with 200 gets\ntwice as much as one with 100. It is kept in the store.",
     settings_share},
    {"autostart", "NAME [on|off]", 1, 2,
     "shows or sets whether a district starts by itself when the machine does",
     "From its newest generation, unless its store needs a decision: then an event says so. It is "
     "kept in the store.",
     settings_autostart},
    {"gated", "NAME [on|off]", 1, 2,
     "shows or sets whether a district's output waits until it is committed",
     "What is shown on its console, echo and prompts too, is then never contradicted by a kill or "
     "a "
     "power cut.\nA checkpoint is made as soon as there is output. It is kept in the store.",
     settings_gated},
    {"disks", "", 0, 0, "lists the disks and partitions that have a district, or room for one",
     NULL, disks_list},
    {"mkdistrict",
     "NAME DISK [--from DISTRICT] [--interval TIME] [--keep LAST,MINUTES,HOURS,DAYS] [--force]", 2,
     9, "makes a district on a free partition",
     "It is a copy of the newest generation of DISTRICT (if nothing is said, of one named "
     "'fresh'), "
     "programs that\nrun in it among it, with an id of its own; of one that was never started it "
     "is a "
     "new one. 'disks' lists what is\nfree. --force overwrites a partition that has something else "
     "than a store on it.",
     disks_mkdistrict},
    {"poweroff", "[--force]", 0, 1,
     "checkpoints the running districts and switches the machine off",
     "Does not if one cannot be checkpointed, except with --force.", end_machine},
    {"reboot", "[--force]", 0, 1, "checkpoints the running districts and starts the machine again",
     "Does not if one cannot be checkpointed, except with --force.", end_machine},
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
        char usage[48];
        snprintf(usage, sizeof(usage), "%s %s", c->name, c->arguments);
        if (strlen(usage) > 24) { /* what it does goes below */
            screen_print("  %s\n", usage);
            usage[0] = 0;
        }
        screen_print("  %-24s %s\n", usage, c->what);
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
