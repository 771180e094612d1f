/*
 * Bonds. What a bond is stands in the members' stores (struct bond_line); of those that run there
 * is a group here. The protocol is in bond_step.c, what the stores do in store/server/bond.c; here
 * it is carried out: the members are frozen by the nucleus at one instant, their store servers are
 * told, and what they report goes into the next step.
 *
 *   group     | reached by                        | is
 *   joined    | bond_make                         | not durable: its first checkpoint makes it so
 *   running   | that, bond_start, bond_found      | as the stores say
 *   leaving   | bond_part while it is checkpointed | as before, but no other checkpoint begins
 *   (none)    | bond_part, bond_end, a first checkpoint that failed
 *
 * Invariants:
 *   1. All members of a group run, unless this districtd has been started after them and has not
 *      heard of all yet (slot 0).
 *   2. No member of a group is frozen but by us.
 *   3. A district of which the store says that it is in a bond runs in that bond's group or not at
 *      all.
 */
#include "bond_group.h"
#include <stdio.h>
#include <string.h>
#include "events.h"
#include "lifecycle.h"

#ifndef BW_MUTATION
#define BW_MUTATION 0 /* tests: dissolve() */
#endif

#define GROUPS   (REGISTRY_MAX / 2)
#define RETRY_NS 10000000ull
#define TELL_NS  3000000000ull

static struct group groups[GROUPS];
static bw_time_t next_retry;

_Static_assert(BOND_LINE_MAX == BOND_MAX, "one limit");

bool bond_same_id(const uint64_t *a, const uint64_t *b)
{
    return a[0] == b[0] && a[1] == b[1];
}

struct group *group_of(unsigned slot, unsigned *member)
{
    const struct entry *e = registry_entry(slot);

    for (struct group *g = groups; g < groups + GROUPS; g++) {
        for (unsigned i = 0; g->used && i < g->bond.members; i++) {
            if (bond_same_id(g->bond.member[i].id, e->id)) {
                *member = i;
                return g;
            }
        }
    }
    return NULL;
}

struct group *group_new(const struct bond_line *bond)
{
    for (struct group *g = groups; g < groups + GROUPS; g++) {
        if (!g->used) {
            *g = (struct group){.used = true, .bond = *bond, .round.members = bond->members};
            return g;
        }
    }
    return NULL; /* there are fewer bonds than pairs of districts */
}

unsigned bond_slot(const struct bond_line *bond, unsigned member)
{
    return registry_by_id(bond->member[member].id);
}

void bond_names(const struct bond_line *bond, unsigned but, char *to, size_t size)
{
    size_t at = 0;

    to[0] = 0;
    for (unsigned i = 0; i < bond->members && at < size; i++) {
        if (i != but) {
            at += (size_t)snprintf(to + at, size - at, "%s%.*s", at ? ", " : "",
                                   DISTRICT_NAME_MAX - 1, bond->member[i].name);
        }
    }
}

static int64_t order(unsigned slot, enum store_bond_order what, uint64_t a, uint64_t b,
                     const void *string, size_t length)
{
    struct message m = {.code = STORE_BOND, .string = string, .length = length};

    m.word[0] = what;
    m.word[1] = a;
    m.word[2] = b;
    return bw_call(KEY_STORE(slot), &m);
}

int64_t bond_set(unsigned slot, const struct bond_line *bond)
{
    return order(slot, STORE_BOND_SET, 0, 0, bond, sizeof(*bond));
}

int64_t bond_set_none(unsigned slot)
{
    return bond_set(slot, &(struct bond_line){0});
}

/* --- checkpoints ------------------------------------------------------------------------------ */

/** It never was, or is no more. */
static int64_t dissolve(struct group *g)
{
    int64_t result = BW_OK;

    for (unsigned i = g->bond.members; i-- > 0;) { /* the home is the last to leave */
        if (g->slot[i] && registry_entry(g->slot[i])->running) {
            int64_t r = bond_set_none(g->slot[i]);

            result = result == BW_OK ? r : result;
        }
    }
    g->used = false;
    bw_assert(BW_MUTATION != 1 || result == BW_OK); /* the mutation that ends it then */
    return result;
}

static int64_t freeze(struct group *g, struct district_frozen *frozen)
{
    struct message m = {.code = DISTRICT_FREEZE, .buffer = frozen};

    m.size = g->bond.members * sizeof(*frozen);
    m.word[0] = g->bond.members - 1;
    m.word[1] = g->joined;
    for (unsigned i = 1; i < g->bond.members; i++) {
        m.send[i - 1] = KEY_DISTRICT_OF(g->slot[i]);
    }
    return bw_call(KEY_DISTRICT_OF(g->slot[0]), &m);
}

static bool complete(const struct group *g)
{
    for (unsigned i = 0; i < g->bond.members; i++) {
        if (g->slot[i] == 0 || !registry_entry(g->slot[i])->running) {
            return false;
        }
    }
    return true;
}

/** Above all instants that a member has seen: also if the clock was set back. */
static uint64_t next_instant(const struct group *g)
{
    uint64_t instant = bw_realtime();
    struct district_line line;

    for (unsigned i = 0; i < g->bond.members; i++) {
        lifecycle_line(g->slot[i], &line);
        if (line.bond.last >= instant) {
            instant = line.bond.last + 1;
        }
    }
    return instant;
}

static void tell_all(struct group *g, enum store_bond_order what, uint64_t a, uint64_t b)
{
    for (unsigned i = 0; i < g->bond.members; i++) {
        if (g->slot[i]) {
            order(g->slot[i], what, a, b, NULL, 0);
        }
    }
}

/** Begins a checkpoint, if one is wanted and can be. */
static void begin(struct group *g)
{
    struct district_frozen frozen[BOND_MAX];
    uint64_t instant;
    bw_time_t asked; /* who asks from now on, asks for the next one */
    int64_t result;

    if (!g->again || g->leaving || g->round.phase != BOND_IDLE || !complete(g)) {
        return;
    }
    instant = next_instant(g);
    asked = bw_monotonic();
    result = freeze(g, frozen);
    /* Who is busy says when he is not. Else something is being fetched, or one still loads. */
    g->retry = result != BW_OK && result != BW_CLEAN && result != BW_BUSY;
    g->again = g->retry || result == BW_BUSY;
    next_retry = bw_monotonic() + RETRY_NS;
    if (result == BW_CLEAN) {
        tell_all(g, STORE_BOND_CLEAN, 0, asked);
    }
    if (result != BW_OK) {
        return;
    }
    bond_step(&g->round, BOND_FROZEN, 0, instant);
    g->tell = bw_monotonic() + TELL_NS;
    for (unsigned i = 0; i < g->bond.members; i++) {
        order(g->slot[i], STORE_BOND_WRITE, instant, asked, &frozen[i], sizeof(frozen[i]));
    }
}

static void decided(struct group *g)
{
    char names[DISTRICT_MESSAGE_MAX];

    for (unsigned i = 1; i < g->bond.members; i++) {
        order(g->slot[i], STORE_BOND_KEEP, g->round.instant, 0, NULL, 0);
    }
    for (unsigned i = 0; g->joined && i < g->bond.members; i++) {
        bond_names(&g->bond, i, names, sizeof(names));
        events_say(EVENT_BOND, false, registry_entry(g->slot[i])->name, "bonded with %s", names);
    }
    g->joined = g->told = false;
}

/** @param member who could not, for that reason */
static void undo(struct group *g, unsigned member, int64_t result)
{
    char names[DISTRICT_MESSAGE_MAX / 2];

    if (result != BW_OK && !g->told) {
        bond_names(&g->bond, member, names, sizeof(names));
        events_say(EVENT_CHECKPOINT, true, registry_entry(g->slot[member])->name,
                   "cannot be checkpointed, and so neither can what it is bonded with: %s", names);
        g->told = true;
    }
    tell_all(g, STORE_BOND_UNDO, 0, (uint64_t)result);
    if (g->joined) {
        dissolve(g);
    }
}

/** Tells those who are ready for something that we know nothing of what the home's store says of
 * it, as soon as that has been heard of. */
static void answer_asked(struct group *g)
{
    unsigned home = bond_slot(&g->bond, 0);
    struct district_line line;

    if (!g->asked || home == 0 || !lifecycle_line(home, &line) || line.error || line.bond.doubt) {
        return; /* it will be heard of */
    }
    for (unsigned i = 0; i < g->bond.members; i++) {
        struct district_line own;
        enum bond_action a;

        if (!(g->asked >> i & 1) || g->slot[i] == 0) {
            continue;
        }
        lifecycle_line(g->slot[i], &own);
        a = bond_answer(i, own.bond.instant,
                        bond_same_id(line.bond.id, g->bond.id) ? line.bond.instant : 0);
        order(g->slot[i], a == BOND_KEEP ? STORE_BOND_KEEP : STORE_BOND_UNDO, own.bond.instant, 0,
              NULL, 0);
    }
    g->asked = 0;
    if (!bond_same_id(line.bond.id, g->bond.id)) {
        dissolve(g);
    }
}

/** One leaves, the others stay. */
static int64_t leave(struct group *g, unsigned member)
{
    struct bond_line rest = g->bond;
    int64_t result = g->slot[member] ? bond_set_none(g->slot[member]) : BW_OK;

    rest.members--;
    memmove(&rest.member[member], &rest.member[member + 1],
            (rest.members - member) * sizeof(rest.member[0]));
    memmove(&g->slot[member], &g->slot[member + 1], (rest.members - member) * sizeof(g->slot[0]));
    g->bond = rest;
    g->round.members = rest.members;
    rest.last = next_instant(g) - 1;
    for (unsigned i = rest.members; i-- > 0;) {
        int64_t r = bond_set(g->slot[i], &rest);

        result = result == BW_OK ? r : result;
    }
    return result;
}

/** Who was to leave does, if nothing is under way. @return BW_AGAIN: something is */
static int64_t part_if_wanted(struct group *g)
{
    unsigned leaving = g->leaving;

    if (leaving == 0) {
        return BW_OK;
    }
    if (g->round.phase != BOND_IDLE) {
        return BW_AGAIN;
    }
    g->leaving = 0;
    if (leaving != EVERYBODY) {
        events_say(EVENT_BOND, false, registry_entry(g->slot[leaving - 1])->name, "left its bond");
        return leave(g, leaving - 1);
    }
    for (unsigned i = 0; i < g->bond.members; i++) {
        events_say(EVENT_BOND, false, registry_entry(g->slot[i])->name, "its bond was ended");
    }
    return dissolve(g);
}

/** Not all are heard of: those whose stores say that they have left, in an end of the bond that was
 * not finished, have. Else the others would wait for them. */
static void take_out_left(struct group *g)
{
    static struct district_line line[BOND_MAX];
    struct bond_seen seen[BOND_MAX] = {0};
    unsigned missing = 0;
    uint64_t instant = 0;

    if (g->joined || g->round.phase != BOND_IDLE || complete(g)) {
        return;
    }
    switch (bond_look(&g->bond, line, seen, &instant, &missing)) {
    case BOND_MISSING:
        break; /* it will be heard of */
    case BOND_OVER:
        dissolve(g);
        break;
    case BOND_TOGETHER:
        for (unsigned i = g->bond.members; i-- > 0;) {
            if (!seen[i].bonded) {
                leave(g, i);
            }
        }
    }
}

static void act(struct group *g, unsigned member, enum bond_action action, int64_t result)
{
    switch (action) {
    case BOND_COMMIT:
        order(g->slot[0], STORE_BOND_COMMIT, g->round.instant, 0, NULL, 0);
        break;
    case BOND_KEEP:
        decided(g);
        break;
    case BOND_UNDO:
        undo(g, member, result);
        break;
    case BOND_ASK:
        g->asked |= 1u << member;
        break;
    case BOND_NOTHING:
        break;
    }
}

void bond_heard(unsigned slot, const uint64_t *word)
{
    unsigned member;
    struct group *g = group_of(slot, &member);

    if (!registry_entry(slot)->running) {
        return;
    }
    if (!g) {
        if (word[0] != BONDED_AT) { /* it was in one that never became durable */
            order(slot, STORE_BOND_UNDO, 0, 0, NULL, 0);
            bond_set_none(slot);
        }
        return;
    }
    if (word[0] != BONDED_AT) { /* it is in a bond, as far as it knows */
        g->slot[member] = slot;
    }
    if (word[0] == BONDED_ASK) {
        g->again = true;
    } else {
        enum bond_event event = word[0] == BONDED_READY ? BOND_READY : BOND_AT;

        act(g, member, bond_step(&g->round, event, member, word[1]), (int64_t)word[3]);
    }
    if (g->used) {
        answer_asked(g);
    }
    if (g->used) {
        take_out_left(g);
    }
    if (g->used) {
        part_if_wanted(g);
    }
    if (g->used) {
        begin(g);
    }
}

static void found(unsigned slot, const struct bond_line *bond)
{
    unsigned member;
    struct group *g = group_of(slot, &member);

    if (!g) {
        group_new(bond);
        g = group_of(slot, &member);
    }
    if (g) {
        g->slot[member] = slot;
    }
}

void bond_found(unsigned slot)
{
    const struct bond_line bond = registry_entry(slot)->line.bond;
    struct district_line line;

    if (bond.members && registry_entry(slot)->running) {
        found(slot, &bond);
    }
    for (unsigned i = 0; i < bond.members; i++) {
        unsigned other = bond_slot(&bond, i),
                 running = registry_entry(slot)->running ? slot : other;

        if (other == 0 || other == slot ||
            registry_entry(other)->running == registry_entry(slot)->running ||
            !lifecycle_line(other, &line) || !bond_same_id(line.bond.id, bond.id)) {
            continue;
        }
        bond_end(running, "not all of its bond were started, or ended");
        events_say(EVENT_ENDED, true, registry_entry(running)->name,
                   "ended: districtd failed while it started or ended what is bonded with it");
    }
}

static bw_time_t due(const struct group *g)
{
    if (!g->used) {
        return BW_NO_DEADLINE;
    }
    return g->round.phase != BOND_IDLE ? g->tell : g->retry ? next_retry : BW_NO_DEADLINE;
}

bw_time_t bond_due(void)
{
    bw_time_t first = BW_NO_DEADLINE;

    for (const struct group *g = groups; g < groups + GROUPS; g++) {
        first = due(g) < first ? due(g) : first;
    }
    return first;
}

void bond_run(void)
{
    for (struct group *g = groups; g < groups + GROUPS; g++) {
        if (bw_monotonic() < due(g)) {
            continue;
        }
        if (g->round.phase == BOND_IDLE) {
            begin(g);
        } else { /* a large one may take so long; or a server has ended between hearing and doing */
            g->tell = bw_monotonic() + TELL_NS;
            tell_all(g, STORE_BOND_TELL, 0, 0);
        }
    }
}

/* --- making and ending bonds ------------------------------------------------------------------ */

static char words[DISTRICT_MESSAGE_MAX]; /* of a refusal */

static void refuse(struct message *reply, int64_t code, const char *format, const char *name,
                   const char *other)
{
    reply->code = code;
    reply->length = (size_t)snprintf(words, sizeof(words), format, name, other);
    reply->string = words;
}

/** Takes the next name off the list. @return false: there is none */
static bool next_name(const char **list, char name[DISTRICT_NAME_MAX])
{
    size_t n = strcspn(*list, " ");

    snprintf(name, DISTRICT_NAME_MAX, "%.*s", (int)n, *list);
    *list += n + strspn(*list + n, " ");
    return n > 0;
}

/** Whether the district can be bonded, with those found before it. @return false: *reply says why
 */
static bool may_join(unsigned slot, const char *name, const struct bond_line *bond,
                     struct message *reply)
{
    const struct entry *e = registry_entry(slot);
    unsigned member;
    struct group *g;

    if (slot == 0) {
        refuse(reply, BW_ABSENT, "no district is named '%s'", name, "");
    } else if (!e->running) {
        refuse(reply, BW_REFUSED, "%s is not running; 'restart %s' starts it", name, name);
    } else if ((g = group_of(slot, &member)) != NULL) {
        refuse(reply, BW_EXISTS, "%s is in a bond already; 'unbond %s' ends that", name, name);
    } else if (bond->members == BOND_MAX) {
        refuse(reply, BW_LIMIT, "a bond has at most four districts%s%s", "", "");
    } else {
        for (unsigned i = 0; i < bond->members; i++) {
            if (bond_same_id(bond->member[i].id, e->id)) {
                refuse(reply, BW_ARGUMENT, "%s is named twice%s", name, "");
                return false;
            }
        }
        return true;
    }
    return false;
}

void bond_make(const char *names, struct message *reply)
{
    struct bond_line bond = {0};
    char name[DISTRICT_NAME_MAX];
    struct group *g;

    while (next_name(&names, name)) {
        unsigned slot = registry_find(name);

        if (!may_join(slot, name, &bond, reply)) {
            return;
        }
        memcpy(bond.member[bond.members].id, registry_entry(slot)->id, sizeof(bond.member[0].id));
        memcpy(bond.member[bond.members++].name, name, sizeof(name));
    }
    if (bond.members < 2) {
        refuse(reply, BW_ARGUMENT, "it takes two districts%s%s", "", "");
        return;
    }
    g = lifecycle_random(bond.id) == BW_OK ? group_new(&bond) : NULL;
    if (!g) {
        refuse(reply, BW_LIMIT, "this machine has no source of randomness%s%s", "", "");
        return;
    }
    g->joined = g->again = true;
    for (unsigned i = 0; i < bond.members; i++) {
        g->slot[i] = bond_slot(&bond, i);
        if (order(g->slot[i], STORE_BOND_JOIN, 0, 0, &bond, sizeof(bond)) != BW_OK) {
            refuse(reply, BW_REFUSED, "%s cannot be checkpointed%s",
                   registry_entry(g->slot[i])->name, "");
            dissolve(g);
            return;
        }
    }
    begin(g);
}

/** Ends the bond of districts that do not run: all stores must be there, and nothing in doubt. */
static void part_stopped(unsigned slot, struct message *reply)
{
    static struct district_line line[BOND_MAX];
    struct bond_seen seen[BOND_MAX] = {0};
    struct bond_line bond;
    unsigned missing = 0;
    uint64_t instant = 0;

    if (!bond_known(slot, &bond)) {
        refuse(reply, BW_ABSENT, "%s is in no bond%s", registry_entry(slot)->name, "");
        return;
    }
    switch (bond_look(&bond, line, seen, &instant, &missing)) {
    case BOND_OVER:
        reply->code = bond_set_none(slot);
        return;
    case BOND_MISSING:
        refuse(reply, BW_REFUSED,
               "the store of %s is not there; 'restart %s --alone' ends the bond",
               bond.member[missing].name, registry_entry(slot)->name);
        return;
    case BOND_TOGETHER:
        break;
    }
    for (unsigned i = bond.members; i-- > 0 && reply->code == BW_OK;) {
        if (seen[i].bonded && seen[i].instant != instant) {
            refuse(reply, BW_REFUSED,
                   "the last checkpoint of %s is not decided; 'restart %s' decides it",
                   bond.member[i].name, registry_entry(slot)->name);
        } else if (seen[i].bonded) {
            reply->code = bond_set_none(bond_slot(&bond, i));
        }
    }
}

void bond_part(const char *names, struct message *reply)
{
    char name[DISTRICT_NAME_MAX], other[DISTRICT_NAME_MAX];
    unsigned slot = next_name(&names, name) ? registry_find(name) : 0, member, leaver = 0;
    bool one = next_name(&names, other);
    struct group *g = slot ? group_of(slot, &member) : NULL;

    if (slot == 0) {
        refuse(reply, BW_ABSENT, "no district is named '%s'", name, "");
    } else if (one &&
               (!g || registry_find(other) == 0 || group_of(registry_find(other), &leaver) != g)) {
        refuse(reply, BW_ABSENT, "%s is not in a bond with %s that runs", other, name);
    } else if (!g) {
        part_stopped(slot, reply);
    } else if (!complete(g)) {
        refuse(reply, BW_REFUSED, "not all that %s is bonded with are there%s", name, "");
    } else {
        g->leaving = one && leaver > 0 && g->bond.members > 2 ? 1 + leaver : EVERYBODY;
        reply->code = part_if_wanted(g);
    }
}
