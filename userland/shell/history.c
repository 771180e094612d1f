/*
 * The commands about generations: listing them, going back, dropping one.
 */
#include "history.h"
#include <stdio.h>
#include <string.h>
#include "administration.h"
#include "bonds.h"
#include "format.h"
#include "screen.h"

#define NONE       UINT64_MAX
#define LISTED_MAX 256u /* a store keeps no more */

/** Why it was made: enum store_reason, on disk. */
static const char *reason_text(uint32_t reason)
{
    static const char *const texts[] = {
        "as a new store", "by itself",   "as asked", "for want of space or memory",
        "at the end",     "on the host",
    };

    return reason < sizeof(texts) / sizeof(texts[0]) ? texts[reason] : "?";
}

/** The current generation. @return false: the store does not answer */
static bool current(const char *name, struct generation_line *g)
{
    for (uint64_t n = 0; admin_generation(name, n, false, g); n = g->number + 1) {
        if (g->flags & GENERATION_CURRENT) {
            return true;
        }
    }
    return false;
}

static bool kept(const char *name, uint64_t number, struct generation_line *g)
{
    return number != NONE && admin_generation(name, number, false, g) && g->number == number;
}

/** The numbers that are kept, rows of them as "3 to 9". */
static void list_kept(const char *name, char *to, size_t size)
{
    struct generation_line g;
    uint64_t first = NONE, last = 0;
    size_t at = 0;

    to[0] = 0;
    for (uint64_t n = 0; at + 50 < size; n = last + 1) {
        bool more = admin_generation(name, n, false, &g);

        if (first != NONE && (!more || g.number != last + 1)) {
            at += (size_t)snprintf(to + at, size - at, first == last ? "%s%llu" : "%s%llu to %llu",
                                   at ? ", " : "", (unsigned long long)first,
                                   (unsigned long long)last);
        }
        if (!more) {
            return;
        }
        first = first == NONE || g.number != last + 1 ? g.number : first;
        last = g.number;
    }
}

bool history_chosen(const char *command, const char *name, const char *text, uint64_t *generation)
{
    struct generation_line g;
    char list[300];

    if (!parse_number(text, generation)) {
        screen_print("%s: '%s' is not the number of a generation; see 'generations %s'\n", command,
                     text, name);
        return false;
    }
    if (!kept(name, *generation, &g)) {
        list_kept(name, list, sizeof(list));
        screen_print("%s: %s does not keep generation %llu; there are %s\n", command, name,
                     (unsigned long long)*generation, list);
        return false;
    }
    return true;
}

void history_announce(const char *name, uint64_t generation, bool running)
{
    struct generation_line from, to;
    const char *lost = running ? "; what was not committed is lost" : "";
    char age[FORMAT_SIZE];

    if (generation == ROLLBACK_NEWEST) {
        screen_print("%s: goes back to its current generation%s\n", name, lost);
        return;
    }
    if (!current(name, &from) || !kept(name, generation, &to)) {
        return;
    }
    format_time(age, to.age);
    if (from.number == to.number) {
        screen_print("%s: goes back to generation %llu, %s old%s\n", name,
                     (unsigned long long)to.number, age, lost);
    } else {
        screen_print(
            "%s: goes from generation %llu to %llu, %s old%s; 'rollback %s %llu' undoes it "
            "while that is kept\n",
            name, (unsigned long long)from.number, (unsigned long long)to.number, age, lost, name,
            (unsigned long long)from.number);
    }
}

/* --- generations ------------------------------------------------------------------------------ */

static void print_line(const struct generation_line *g, uint64_t before)
{
    char age[FORMAT_SIZE], held[FORMAT_SIZE] = "?", from[FORMAT_SIZE] = "";

    if (g->held != NONE) {
        format_bytes(held, g->held);
    }
    if (g->parent != NONE && g->parent != before) {
        snprintf(from, sizeof(from), ", from %llu", (unsigned long long)g->parent);
    }
    screen_print("%c%11llu  %-14s %9llu %10s  %s%s%s%s\n",
                 g->flags & GENERATION_CURRENT     ? '*'
                 : g->flags & GENERATION_ABANDONED ? '-'
                                                   : ' ',
                 (unsigned long long)g->number, format_time(age, g->age),
                 (unsigned long long)g->changed, held, reason_text(g->reason), from,
                 g->flags & GENERATION_ABANDONED ? ", abandoned" : "",
                 g->flags & GENERATION_DAMAGED ? ", DAMAGED" : "");
}

/** All that are kept now, as they are at one moment or nearly so: a busy district's change while
 * they are asked for. @return how many */
static unsigned collect(const char *name, struct generation_line *g)
{
    unsigned n = 0, current = 0;

    for (uint64_t next = 0; n < LISTED_MAX && admin_generation(name, next, false, &g[n]); n++) {
        next = g[n].number + 1;
        if (g[n].flags & GENERATION_CURRENT) {
            g[current].flags &= ~GENERATION_CURRENT;
            g[n].flags |= GENERATION_CURRENT;
            current = n;
        }
    }
    return n;
}

enum command_result history_generations(int count, char **words)
{
    static struct generation_line g[LISTED_MAX];
    struct generation_line now;
    struct district_line line;
    bool unknown = false;
    uint32_t flags = 0;
    unsigned n;

    (void)count;
    if (!command_district("generations", words[1], &line)) {
        return COMMAND_DONE;
    }
    n = collect(words[1], g);
    if (n == 0) {
        screen_print("generations: %s: %s\n", words[1],
                     line.message[0] ? line.message : "its store has none");
        return COMMAND_DONE;
    }
    screen_print(" %11s  %-14s %9s %10s  %s\n", "GENERATION", "AGE", "CHANGED", "ONLY HERE",
                 "MADE");
    for (unsigned i = 0; i < n; i++) {
        if (admin_generation(words[1], g[i].number, true, &now) && now.number == g[i].number) {
            g[i].held = now.held; /* which takes a while to find out */
        }
        print_line(&g[i], i ? g[i - 1].number : NONE);
        flags |= g[i].flags;
        unknown |= g[i].held == NONE;
    }
    screen_print("* the current one%s%s%s\n",
                 flags & GENERATION_ABANDONED ? "; - left behind by a rollback, which can be undone"
                                              : "",
                 flags & GENERATION_DAMAGED ? "; DAMAGED: something in it cannot be read" : "",
                 unknown ? "; ? gone meanwhile, or not known" : "");
    return COMMAND_DONE;
}

/* --- rollback --------------------------------------------------------------------------------- */

/** The generation `back` steps before the current one, along what it grew from. */
static bool steps_back(const char *name, const char *text, uint64_t *generation)
{
    struct generation_line g;
    uint64_t back;

    if (!parse_number(text, &back)) {
        screen_print("rollback: '%s' is not a number of generations\n", text);
        return false;
    }
    if (back == 0) {
        *generation = ROLLBACK_NEWEST;
        return true;
    }
    if (!current(name, &g)) {
        screen_print("rollback: %s: its store does not answer\n", name);
        return false;
    }
    for (uint64_t n = 0; n < back; n++) {
        if (!kept(name, g.ancestor, &g)) {
            screen_print("rollback: %s can go back %llu generations, not %llu; see 'generations "
                         "%s'\n",
                         name, (unsigned long long)n, (unsigned long long)back, name);
            return false;
        }
    }
    *generation = g.number;
    return true;
}

/** Understands [N | --back K]. @param generation ROLLBACK_NEWEST: whichever that is then */
static bool target_of(int count, char **words, uint64_t *generation)
{
    if (count == 2) {
        *generation = ROLLBACK_NEWEST;
        return true;
    }
    if (count == 4 && strcmp(words[2], "--back") == 0) {
        return steps_back(words[1], words[3], generation);
    }
    if (count == 4 || words[2][0] == '-') {
        screen_print("rollback: '%s' is %s; usage: rollback NAME [N | --back K]\n", words[2],
                     count == 3 && strcmp(words[2], "--back") == 0 ? "without a number"
                                                                   : "not known");
        return false;
    }
    return history_chosen("rollback", words[1], words[2], generation);
}

enum command_result history_rollback(int count, char **words)
{
    char bonded[DISTRICT_MESSAGE_MAX];
    struct district_line line;
    struct message m = {0};
    int64_t result;

    if (!command_district("rollback", words[1], &line)) {
        return COMMAND_DONE;
    }
    if (!command_runs(&line)) {
        screen_print("rollback: %s is not running; 'restart %s --generation N' starts it from "
                     "generation N\n",
                     words[1], words[1]);
        return COMMAND_DONE;
    }
    if (!target_of(count, words, &m.word[0])) {
        return COMMAND_DONE;
    }
    history_announce(words[1], m.word[0], true);
    line.message[0] = 0;
    result = admin_order(DISTRICTS_ROLLBACK, words[1], &m, &line);
    if (result == BW_OK) {
        screen_print("%s: runs from generation %llu%s\n", words[1],
                     (unsigned long long)line.generation,
                     bonds_others(&line, ", with ", bonded, sizeof(bonded)));
    } else {
        screen_print("rollback: %s: %s\n", words[1],
                     m.length && line.message[0] ? line.message : admin_reason(result));
    }
    return COMMAND_DONE;
}

/* --- drop ------------------------------------------------------------------------------------- */

enum command_result history_drop(int count, char **words)
{
    struct district_line line;
    struct message m = {0};
    uint64_t generation;
    char freed[FORMAT_SIZE];
    int64_t result;

    (void)count;
    if (!command_district("drop", words[1], &line) ||
        !history_chosen("drop", words[1], words[2], &generation)) {
        return COMMAND_DONE;
    }
    m.word[0] = generation;
    result = admin_store(words[1], STORE_DROP, &m);
    if (result == BW_OK) {
        screen_print("%s: generation %llu dropped; %s freed\n", words[1],
                     (unsigned long long)generation, format_bytes(freed, m.word[0]));
    } else if (result == BW_EXISTS) {
        screen_print("drop: generation %llu is the one that %s goes on from; it stays\n",
                     (unsigned long long)generation, words[1]);
    } else if (result == BW_REFUSED) {
        screen_print("drop: two generations of %s are always kept\n", words[1]);
    } else {
        screen_print("drop: %s: %s\n", words[1], admin_store_reason(words[1], result));
    }
    return COMMAND_DONE;
}
