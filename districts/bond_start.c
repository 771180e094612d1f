/*
 * Starting and ending districts together with those that they are bonded with. A start is planned
 * first, by what the stores say: where is the bond (bond_restart), and which generation of each
 * member is that? Then all are made, the home first, whose claim decides where the bond is from now
 * on; and only then do they load and run.
 */
#include "bond_group.h"
#include <stdio.h>
#include <string.h>
#include "events.h"
#include "lifecycle.h"

#define SETTLE_NS 3000000000ull /* so long after the start disks may still turn up */

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

enum bond_verdict bond_look(const struct bond_line *bond, struct district_line *line,
                            struct bond_seen *seen, uint64_t *instant, unsigned *missing)
{
    for (unsigned i = 0; i < bond->members; i++) {
        unsigned slot = bond_slot(bond, i);

        if (slot && !lifecycle_line(slot, &line[i])) {
            slot = 0;
        }
        seen[i].there = slot && line[i].error == 0 && (i > 0 || !line[i].bond.doubt);
        seen[i].bonded =
            seen[i].there && line[i].bond.members && bond_same_id(line[i].bond.id, bond->id);
        seen[i].instant = line[i].bond.instant;
    }
    return bond_restart(seen, bond->members, instant, missing);
}

bool bond_known(unsigned slot, struct bond_line *bond)
{
    struct district_line line;
    unsigned home;

    lifecycle_line(slot, &line);
    *bond = line.bond;
    if (bond->members == 0) {
        return false;
    }
    home = bond_slot(bond, 0);
    if (home == 0 || !lifecycle_line(home, &line) || !bond_same_id(line.bond.id, bond->id) ||
        line.bond.members == 0) {
        return true; /* what that means is said by bond_restart */
    }
    if (!bond_same_id(line.bond.member[0].id, registry_entry(home)->id)) {
        return false;
    }
    for (unsigned i = 0; i < line.bond.members; i++) {
        if (bond_same_id(line.bond.member[i].id, registry_entry(slot)->id)) {
            line.bond.doubt = bond->doubt;
            *bond = line.bond;
            return true;
        }
    }
    return false;
}

/** A plan for the district alone, which then is in no bond. */
static int64_t plan_alone(unsigned slot, const uint64_t *generation, const struct bond_line *bond,
                          struct bond_plan *p)
{
    *p = (struct bond_plan){.asked = slot, .members = 1, .slot = {slot}, .current = {!generation}};
    p->generation[0] = generation ? *generation : 0;
    return bond->members ? bond_set_none(slot) : BW_OK;
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
    bool asked;

    p->members = p->bond.members;
    for (unsigned i = 0; i < p->members; i++) {
        p->slot[i] = bond_slot(&p->bond, i);
        lifecycle_line(p->slot[i], &line);
        asked = generation && p->slot[i] == slot;
        p->current[i] = line.bond.instant == instant && !(asked && line.generation != *generation);
        if (p->current[i]) {
            continue;
        }
        if (asked) {
            p->generation[i] = *generation;
        } else if (!find_instant(p->slot[i], instant, &p->generation[i]) ||
                   !lifecycle_pin(p->slot[i], p->generation[i])) {
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
        bond_names(&p->bond, BOND_MAX, names, sizeof(names));
        registry_say(e, "generation %llu is older than its bond (%s); 'unbond %s' ends that",
                     (unsigned long long)*generation, names, e->name);
        return BW_REFUSED;
    }
    return plan_members(slot, generation, generation ? g.instant : instant, p);
}

/** It is prepared, and the home has not decided it (yet). */
static bool undecided(unsigned slot, uint64_t generation, uint64_t instant)
{
    static struct district_line line;

    return lifecycle_line(slot, &line) && line.bond.doubt && line.generation == generation &&
           line.bond.instant != instant;
}

int64_t bond_plan(unsigned slot, const uint64_t *generation, bool alone, struct bond_plan *p)
{
    static struct district_line line[BOND_MAX];
    struct bond_seen seen[BOND_MAX] = {0};
    struct entry *e = registry_entry(slot);
    struct bond_line bond;
    unsigned missing = 0;
    uint64_t instant = 0;

    if (!bond_known(slot, &bond)) {
        return plan_alone(slot, generation, &bond, p);
    }
    *p = (struct bond_plan){.asked = slot, .bond = bond};
    switch (bond_look(&bond, line, seen, &instant, &missing)) {
    case BOND_OVER:
        return plan_alone(slot, generation, &bond, p);
    case BOND_MISSING:
        if (alone) {
            return plan_alone(slot, generation, &bond, p);
        }
        registry_say(e,
                     "it is bonded with %s, whose store is not there%s; 'restart %s --alone' ends "
                     "the bond",
                     bond.member[missing].name,
                     bond.doubt && missing == 0 ? " and knows whether its newest generation counts"
                                                : "",
                     e->name);
        return bw_monotonic() < SETTLE_NS ? BW_AGAIN : BW_REFUSED;
    case BOND_TOGETHER:
        break;
    }
    without_left(&p->bond, seen);
    if (generation && undecided(slot, *generation, instant)) {
        generation = NULL; /* the newest one that counts is meant */
    }
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
            result = bond_set(p->slot[i], &bond);
        }
    }
    return result;
}

/** Whoever was asked for says which of them could not be started, and why. */
static void say_failed(const struct bond_plan *p, const struct entry *failed)
{
    for (unsigned i = 0; i < p->members; i++) {
        struct entry *e = registry_entry(p->slot[i]);

        if (e != failed && !e->message[0] && failed->message[0]) {
            registry_say(e, "%s, which is bonded with it: %.150s", failed->name, failed->message);
        }
    }
}

/** Of those that nobody has asked for: what becomes of the other one is said by who asked. */
static void say_started(const struct bond_plan *p)
{
    for (unsigned i = 0; i < p->members; i++) {
        const struct entry *e = registry_entry(p->slot[i]);

        if (p->slot[i] != p->asked) {
            events_say(EVENT_STARTED, false, e->name,
                       "runs from generation %llu, with %s, which it is bonded with",
                       (unsigned long long)e->line.generation, registry_entry(p->asked)->name);
        }
    }
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
        say_started(p);
        return BW_OK;
    }
    if (g) {
        g->used = false;
    }
    say_failed(p, registry_entry(p->slot[begun ? begun - 1 : made]));
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
