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
 * heard of all yet (slot 0).
 *   2. No member of a group is frozen but by us.
 *   3. A district of which the store says that it is in a bond runs in that bond's group or not at
 *      all.
 */
#include "bond.h"
#include <stdio.h>
#include <string.h>
#include "bond_step.h"
#include "events.h"
#include "lifecycle.h"

#define EVERYBODY UINT32_MAX
#define GROUPS    (REGISTRY_MAX / 2)
#define RETRY_NS  5000000ull
#define SETTLE_NS 3000000000ull /* so long after the start disks may still turn up */

struct group {
    bool used;
    bool joined;      /* not durable yet */
    unsigned leaving; /* 1 + who is to leave when nothing is under way; EVERYBODY: it ends */
    bool again;       /* a checkpoint is wanted */
    bool retry;       /* ... and could not begin for a moment */
    unsigned asked;   /* mask: ready for something that we know nothing of */
    struct bond_line bond;
    unsigned slot[BOND_MAX];
    struct bond_round round;
};

static struct group groups[GROUPS];
static bw_time_t next_retry;

_Static_assert(BOND_LINE_MAX == BOND_MAX, "one limit");

static bool same_id(const uint64_t *a, const uint64_t *b)
{
    return a[0] == b[0] && a[1] == b[1];
}

/** The group that the district in this slot belongs to, by its store. @param member which one it is
 */
static struct group *group_of(unsigned slot, unsigned *member)
{
    const struct entry *e = registry_entry(slot);

    for (struct group *g = groups; g < groups + GROUPS; g++) {
        for (unsigned i = 0; g->used && i < g->bond.members; i++) {
            if (same_id(g->bond.member[i].id, e->id)) {
                *member = i;
                return g;
            }
        }
    }
    return NULL;
}

static struct group *group_new(const struct bond_line *bond)
{
    for (struct group *g = groups; g < groups + GROUPS; g++) {
        if (!g->used) {
            *g = (struct group){.used = true, .bond = *bond, .round.members = bond->members};
            return g;
        }
    }
    return NULL; /* there are fewer bonds than pairs of districts */
}

static unsigned slot_of(const struct bond_line *bond, unsigned member)
{
    return registry_by_id(bond->member[member].id);
}

/** The names of all members but one (BOND_MAX: of all), as a list. */
static void names_of(const struct bond_line *bond, unsigned but, char *to, size_t size)
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

/** @param bond members 0: none */
static int64_t set_bond(unsigned slot, const struct bond_line *bond)
{
    return order(slot, STORE_BOND_SET, 0, 0, bond, sizeof(*bond));
}

static int64_t set_none(unsigned slot)
{
    return set_bond(slot, &(struct bond_line){0});
}

/* --- checkpoints -------------------------------------------------------------------------------
 */

/** It never was, or is no more. */
static int64_t dissolve(struct group *g)
{
    int64_t result = BW_OK;

    for (unsigned i = g->bond.members; i-- > 0;) { /* the home is the last to leave */
        if (g->slot[i] && registry_entry(g->slot[i])->running) {
            int64_t r = set_none(g->slot[i]);

            result = result == BW_OK ? r : result;
        }
    }
    g->used = false;
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
    int64_t result;

    if (!g->again || g->leaving || g->round.phase != BOND_IDLE || !complete(g)) {
        return;
    }
    instant = next_instant(g);
    result = freeze(g, frozen);
    /* Who is busy says when he is not. Else something is being fetched, or one still loads. */
    g->retry = result != BW_OK && result != BW_CLEAN && result != BW_BUSY;
    g->again = g->retry || result == BW_BUSY;
    next_retry = bw_monotonic() + RETRY_NS;
    if (result == BW_CLEAN) {
        tell_all(g, STORE_BOND_CLEAN, 0, 0);
    }
    if (result != BW_OK) {
        return;
    }
    bond_step(&g->round, BOND_FROZEN, 0, instant);
    for (unsigned i = 0; i < g->bond.members; i++) {
        order(g->slot[i], STORE_BOND_WRITE, instant, 0, &frozen[i], sizeof(frozen[i]));
    }
}

static void decided(struct group *g)
{
    char names[DISTRICT_MESSAGE_MAX];

    for (unsigned i = 1; i < g->bond.members; i++) {
        order(g->slot[i], STORE_BOND_KEEP, g->round.instant, 0, NULL, 0);
    }
    for (unsigned i = 0; g->joined && i < g->bond.members; i++) {
        names_of(&g->bond, i, names, sizeof(names));
        events_say(EVENT_BOND, false, registry_entry(g->slot[i])->name, "bonded with %s", names);
    }
    g->joined = false;
}

/** @param result of the member that could not */
static void undo(struct group *g, int64_t result)
{
    tell_all(g, STORE_BOND_UNDO, 0, (uint64_t)result);
    if (g->joined) {
        dissolve(g);
    }
}

/** Tells those who are ready for something that we know nothing of what the home's store says of
 * it, as soon as that has been heard of. */
static void answer_asked(struct group *g)
{
    unsigned home = slot_of(&g->bond, 0);
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
                        same_id(line.bond.id, g->bond.id) ? line.bond.instant : 0);
        order(g->slot[i], a == BOND_KEEP ? STORE_BOND_KEEP : STORE_BOND_UNDO, own.bond.instant, 0,
              NULL, 0);
    }
    g->asked = 0;
    if (!same_id(line.bond.id, g->bond.id)) {
        dissolve(g);
    }
}

/** One leaves, the others stay. */
static int64_t leave(struct group *g, unsigned member)
{
    struct bond_line rest = g->bond;
    int64_t result = set_none(g->slot[member]);

    rest.members--;
    memmove(&rest.member[member], &rest.member[member + 1],
            (rest.members - member) * sizeof(rest.member[0]));
    memmove(&g->slot[member], &g->slot[member + 1], (rest.members - member) * sizeof(g->slot[0]));
    g->bond = rest;
    g->round.members = rest.members;
    rest.last = next_instant(g) - 1;
    for (unsigned i = rest.members; i-- > 0;) {
        int64_t r = set_bond(g->slot[i], &rest);

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
        undo(g, result);
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
        if (word[0] == BONDED_ASK) { /* it was in one that never became durable */
            set_none(slot);
        }
        return;
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
        part_if_wanted(g);
    }
    if (g->used) {
        begin(g);
    }
}

void bond_found(unsigned slot)
{
    const struct bond_line *bond = &registry_entry(slot)->line.bond;
    unsigned member;
    struct group *g = group_of(slot, &member);

    if (!bond->members) {
        return;
    }
    if (!g) {
        group_new(bond);
        g = group_of(slot, &member);
    }
    if (g) {
        g->slot[member] = slot;
    }
}

bw_time_t bond_due(void)
{
    for (const struct group *g = groups; g < groups + GROUPS; g++) {
        if (g->used && g->retry) {
            return next_retry;
        }
    }
    return BW_NO_DEADLINE;
}

void bond_run(void)
{
    for (struct group *g = groups; g < groups + GROUPS; g++) {
        if (g->used && g->retry && bw_monotonic() >= next_retry) {
            begin(g);
        }
    }
}

/* --- starting and ending -----------------------------------------------------------------------
 */

/** The newest kept generation of that instant. @return false: there is none */
static bool find_instant(unsigned slot, uint64_t instant, uint64_t *generation)
{
    struct generation_line g;
    bool found = false;

    for (uint64_t n = 0; lifecycle_generation(slot, n, &g); n = g.number + 1) {
        if (g.instant == instant) {
            *generation = g.number;
            found = true;
        }
    }
    return found;
}

/** What the stores of a bond say. @return bond_restart's verdict */
static enum bond_verdict look(const struct bond_line *bond, struct district_line *line,
                              struct bond_seen *seen, uint64_t *instant, unsigned *missing)
{
    for (unsigned i = 0; i < bond->members; i++) {
        unsigned slot = slot_of(bond, i);

        if (slot && !lifecycle_line(slot, &line[i])) {
            slot = 0;
        }
        seen[i].there = slot && line[i].error == 0 && (i > 0 || !line[i].bond.doubt);
        seen[i].bonded =
            seen[i].there && line[i].bond.members && same_id(line[i].bond.id, bond->id);
        seen[i].instant = line[i].bond.instant;
    }
    return bond_restart(seen, bond->members, instant, missing);
}

/** A plan for the district alone, which then is in no bond. */
static int64_t plan_alone(unsigned slot, const uint64_t *generation, const struct bond_line *bond,
                          struct bond_plan *p)
{
    *p = (struct bond_plan){.members = 1, .slot = {slot}, .current = {!generation}};
    p->generation[0] = generation ? *generation : 0;
    return bond->members ? set_none(slot) : BW_OK;
}

/** Takes those out who have left. */
static void without_left(struct bond_line *bond, const struct bond_seen *seen)
{
    struct bond_line rest = *bond;

    rest.members = 0;
    for (unsigned i = 0; i < bond->members; i++) {
        if (seen[i].bonded) {
            rest.member[rest.members++] = bond->member[i];
        }
    }
    *bond = rest;
}

/** Where each member is to start from, so that all are at that instant. */
static int64_t plan_members(unsigned slot, const uint64_t *generation, uint64_t instant,
                            struct bond_plan *p)
{
    struct entry *e = registry_entry(slot);
    struct district_line line;

    p->members = p->bond.members;
    for (unsigned i = 0; i < p->members; i++) {
        p->slot[i] = slot_of(&p->bond, i);
        lifecycle_line(p->slot[i], &line);
        p->current[i] = line.bond.instant == instant && !(generation && p->slot[i] == slot);
        if (p->current[i]) {
            continue;
        }
        if (generation && p->slot[i] == slot) {
            p->generation[i] = *generation;
        } else if (!find_instant(p->slot[i], instant, &p->generation[i])) {
            registry_say(e, "%s, which is bonded with it, does not keep the generation that %s",
                         registry_entry(p->slot[i])->name,
                         generation ? "belongs to that one" : "the bond is at");
            return BW_REFUSED;
        }
    }
    return BW_OK;
}

static int64_t plan_together(unsigned slot, const uint64_t *generation, uint64_t instant,
                             struct bond_plan *p)
{
    struct entry *e = registry_entry(slot);
    struct generation_line g;
    char names[DISTRICT_MESSAGE_MAX / 2];

    if (generation && (!lifecycle_generation(slot, *generation, &g) || g.number != *generation)) {
        registry_say(e, "generation %llu is not kept", (unsigned long long)*generation);
        return BW_ABSENT;
    }
    if (generation && g.instant == 0) {
        names_of(&p->bond, BOND_MAX, names, sizeof(names));
        registry_say(e, "generation %llu is older than its bond (%s); 'unbond %s' ends that",
                     (unsigned long long)*generation, names, e->name);
        return BW_REFUSED;
    }
    return plan_members(slot, generation, generation ? g.instant : instant, p);
}

int64_t bond_plan(unsigned slot, const uint64_t *generation, bool alone, struct bond_plan *p)
{
    static struct district_line line[BOND_MAX];
    struct bond_seen seen[BOND_MAX] = {0};
    struct entry *e = registry_entry(slot);
    struct district_line own;
    unsigned missing = 0;
    uint64_t instant = 0;

    lifecycle_line(slot, &own);
    if (own.bond.members == 0) {
        return plan_alone(slot, generation, &own.bond, p);
    }
    *p = (struct bond_plan){.bond = own.bond};
    switch (look(&own.bond, line, seen, &instant, &missing)) {
    case BOND_OVER:
        return plan_alone(slot, generation, &own.bond, p);
    case BOND_MISSING:
        if (alone) {
            return plan_alone(slot, generation, &own.bond, p);
        }
        registry_say(
            e,
            "it is bonded with %s, whose store is not there%s; 'restart %s --alone' ends "
            "the bond",
            own.bond.member[missing].name,
            own.bond.doubt && missing == 0 ? " and knows whether its newest generation counts" : "",
            e->name);
        return bw_monotonic() < SETTLE_NS ? BW_AGAIN : BW_REFUSED;
    case BOND_TOGETHER:
        break;
    }
    without_left(&p->bond, seen);
    return plan_together(slot, generation, instant, p);
}

/** The stores say what the plan says. */
static int64_t settle(const struct bond_plan *p)
{
    struct district_line line;
    int64_t result = BW_OK;

    for (unsigned i = 0; i < p->members && p->bond.members && result == BW_OK; i++) {
        lifecycle_line(p->slot[i], &line);
        if ((p->current[i] && line.bond.doubt) || line.bond.members != p->bond.members) {
            struct bond_line bond = p->bond;

            bond.last = line.bond.last;
            result = set_bond(p->slot[i], &bond);
        }
    }
    return result;
}

int64_t bond_start(const struct bond_plan *p, enum start_reason reason)
{
    int64_t result = settle(p);
    unsigned made = 0, begun = 0;
    struct group *g;

    for (; made < p->members && result == BW_OK; made++) {
        struct entry *e = registry_entry(p->slot[made]);

        e->message[0] = 0;
        result =
            lifecycle_create(p->slot[made], p->current[made] ? NULL : &p->generation[made], reason);
        if (result != BW_OK) {
            break;
        }
    }
    g = result == BW_OK && p->bond.members ? group_new(&p->bond) : NULL;
    for (unsigned i = 0; g && i < p->members; i++) {
        g->slot[i] = p->slot[i];
    }
    for (; begun < made && result == BW_OK; begun++) {
        result = lifecycle_begin(p->slot[begun]);
    }
    if (result == BW_OK) {
        return BW_OK;
    }
    if (g) {
        g->used = false;
    }
    for (unsigned i = 0; i < made; i++) {
        if (registry_entry(p->slot[i])->running) {
            lifecycle_end(p->slot[i]);
        }
    }
    return result;
}

int64_t bond_start_newest(unsigned slot, enum start_reason reason)
{
    struct bond_plan p;
    int64_t result = bond_plan(slot, NULL, false, &p);

    return result == BW_OK ? bond_start(&p, reason) : result;
}

void bond_end(unsigned slot, const char *text)
{
    unsigned member;
    struct group *g = group_of(slot, &member);
    const char *name = registry_entry(slot)->name;

    for (unsigned i = 0; g && i < g->bond.members; i++) {
        if (g->slot[i] && g->slot[i] != slot && registry_entry(g->slot[i])->running) {
            lifecycle_end(g->slot[i]);
            registry_say(registry_entry(g->slot[i]), "ended with %s, which it is bonded with",
                         name);
            events_say(EVENT_ENDED, false, registry_entry(g->slot[i])->name,
                       "ended with %s, which it is bonded with: %s", name, text);
        }
    }
    lifecycle_end(slot);
    if (g) {
        g->used = false;
    }
}

/** All others of the group have what belongs to that generation, and can read it as far as known.
 */
static bool all_whole(const struct group *g, unsigned slot, uint64_t generation)
{
    char unused[DISTRICT_MESSAGE_MAX];
    struct generation_line line;
    uint64_t other, whole;

    if (!lifecycle_generation(slot, generation, &line) || line.instant == 0) {
        return false;
    }
    for (unsigned i = 0; i < g->bond.members; i++) {
        if (g->slot[i] && g->slot[i] != slot &&
            (!find_instant(g->slot[i], line.instant, &other) ||
             !lifecycle_whole(g->slot[i], other + 1, &whole, unused) || whole != other)) {
            return false;
        }
    }
    return true;
}

bool bond_whole(unsigned slot, uint64_t bound, uint64_t *generation, char *choice)
{
    unsigned member;
    const struct group *g = group_of(slot, &member);

    while (lifecycle_whole(slot, bound, generation, choice)) {
        if (!g || all_whole(g, slot, *generation)) {
            return true;
        }
        bound = *generation;
    }
    return false;
}

/* --- making and ending bonds --------------------------------------------------------------------
 */

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
            if (same_id(bond->member[i].id, e->id)) {
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
        g->slot[i] = slot_of(&bond, i);
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
    struct district_line own;
    unsigned missing = 0;
    uint64_t instant = 0;

    lifecycle_line(slot, &own);
    if (own.bond.members == 0) {
        refuse(reply, BW_ABSENT, "%s is in no bond%s", registry_entry(slot)->name, "");
        return;
    }
    switch (look(&own.bond, line, seen, &instant, &missing)) {
    case BOND_OVER:
        reply->code = set_none(slot);
        return;
    case BOND_MISSING:
        refuse(reply, BW_REFUSED,
               "the store of %s is not there; 'restart %s --alone' ends the bond",
               own.bond.member[missing].name, registry_entry(slot)->name);
        return;
    case BOND_TOGETHER:
        break;
    }
    for (unsigned i = own.bond.members; i-- > 0 && reply->code == BW_OK;) {
        if (seen[i].bonded && seen[i].instant != instant) {
            refuse(reply, BW_REFUSED,
                   "the last checkpoint of %s is not decided; 'restart %s' decides it",
                   own.bond.member[i].name, registry_entry(slot)->name);
        } else if (seen[i].bonded) {
            reply->code = set_none(slot_of(&own.bond, i));
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
