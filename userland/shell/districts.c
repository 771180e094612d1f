/*
 * The commands about districts as a whole: which there are, starting them, their consoles,
 * checkpoints, their end, and the machine's.
 */
#include "districts.h"
#include <stdio.h>
#include <string.h>
#include <bailiwick/console.h>
#include <bailiwick/names.h>
#include "administration.h"
#include "bonds.h"
#include "format.h"
#include "history.h"
#include "screen.h"

#define DECISION_LOOKS   500u
#define DECISION_LOOK_NS 2000000ull
#define RESTART_RETRY_NS 50000000ull
#define RESTART_RETRIES  100

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

enum command_result districts_list(int count, char **words)
{
    struct district_line line;
    unsigned i;

    (void)count;
    (void)words;
    admin_first(&line);
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
        screen_print("%s\n", admin_works() ? "no district stores are attached to this machine"
                                           : admin_reason(BW_VOID));
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

enum command_result districts_restart(int count, char **words)
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

enum command_result districts_attach(int count, char **words)
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

enum command_result districts_checkpoint(int count, char **words)
{
    struct district_line line;

    (void)count;
    if (command_district("checkpoint", words[1], &line)) {
        checkpoint_one("checkpoint", words[1]);
    }
    return COMMAND_DONE;
}

enum command_result districts_kill(int count, char **words)
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
    bool all = admin_works();

    if (!all) {
        screen_print("%s: what runs cannot be checkpointed: %s\n", command, admin_reason(BW_VOID));
    }
    admin_settle();
    for (unsigned i = 0; admin_line(i, &line); i++) {
        line.name[DISTRICT_NAME_MAX - 1] = 0;
        if (line.error == 0 && command_runs(&line)) {
            all = checkpoint_one(command, line.name) && all;
        }
    }
    return all;
}

static bool any_in_doubt(void)
{
    struct district_line line;

    for (unsigned i = 0; admin_line(i, &line); i++) {
        if (line.error == 0 && command_runs(&line) && line.bond.members && line.bond.doubt) {
            return true;
        }
    }
    return false;
}

/** Waits, not for ever, until the store of each bonded district knows that its checkpoint counts: else tools could not
 * tell without the others. */
static void await_decisions(void)
{
    for (unsigned i = 0; i < DECISION_LOOKS && any_in_doubt(); i++) {
        bw_wait(bw_monotonic() + DECISION_LOOK_NS);
    }
}

/** Ends the machine's run: `poweroff` and `reboot`. */
enum command_result districts_end_machine(int count, char **words)
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
    await_decisions();
    screen_print(off ? "powering off\n" : "rebooting\n");
    result = admin_power(off ? POWER_OFF : POWER_REBOOT);
    screen_print("%s: %s\n", words[0],
                 result == BW_IO ? "this machine cannot do that by itself: use its switch"
                                 : admin_reason(result));
    return COMMAND_DONE;
}
