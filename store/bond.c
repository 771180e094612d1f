/*
 * Bonds: what a store knows of the districts that its own commits and goes back together with
 * (districts/bond_step.c has the protocol).
 *
 * A checkpoint of a bond is one generation in each member's store, of the same instant: the time in
 * its table entry, which has the flag GENERATION_BONDED. First all members but the home commit
 * theirs, as prepared; then the home commits, and that decides. So
 *
 *   1. if the home's current generation has an instant, each member keeps one of that instant;
 *   2. a member whose current generation is in doubt (it is the one prepared) keeps the one that it
 *      grew from;
 *   3. what is committed by other means on top of a generation of a bond (by a host tool) has the
 *      instant of that one; nothing is committed on top of one in doubt.
 *
 * Going back to another generation needs nothing here: the instant is that of the current one, and
 * what was prepared is then not current any more.
 */
#include <string.h>

#include "internal.h"

uint64_t generation_instant(const struct disk_generation *g)
{
    return g->flags & GENERATION_BONDED ? g->time : 0;
}

bool bond_in_doubt(const struct disk_root *h)
{
    return h->bond.members && h->bond.prepared == h->current;
}

bool generation_needed(const struct state *s, uint64_t number)
{
    const struct disk_generation *g = generation_kept(s, STORE_NEWEST);

    if (number == s->head.current)
        return true;
    return g && bond_in_doubt(&s->head) && number == g->base && !MUTATED(MUTATION_NOT_KEPT);
}

void bond_info(const struct store *st, struct store_info *info)
{
    const struct disk_bond *d = &st->committed.head.bond;
    const struct disk_generation *g = generation_kept(&st->committed, STORE_NEWEST);
    struct store_bond *b = &info->bond;

    info->instant = g ? generation_instant(g) : 0;
    info->in_doubt = bond_in_doubt(&st->committed.head);
    if (d->members == 0)
        return;
    memcpy(b->id, d->id, sizeof(b->id));
    b->members = d->members;
    b->last = d->last;
    for (unsigned i = 0, k = 0; i < d->members; i++) {
        bool self = i == d->self;

        memcpy(b->member[i].id, self ? st->super.id : d->other[k].id, sizeof(b->member[i].id));
        memcpy(b->member[i].name, self ? st->super.name : d->other[k].name, STORE_NAME_MAX - 1);
        k += !self;
    }
}

bool bond_place(const struct store *st, const struct store_bond *b, uint32_t *self)
{
    for (*self = 0; *self < b->members && b->members <= STORE_BOND_MAX; ++*self)
        if (memcmp(b->member[*self].id, st->super.id, sizeof(st->super.id)) == 0)
            return b->members > 1;
    return false;
}

void bond_enter(struct disk_root *h, const struct store_bond *b, uint32_t self, uint64_t prepared)
{
    struct disk_bond *d = &h->bond;

    *d = (struct disk_bond){
        .members = b->members, .self = self, .last = b->last, .prepared = prepared};
    memcpy(d->id, b->id, sizeof(d->id));
    for (unsigned i = 0, k = 0; i < b->members; i++) {
        if (i == self)
            continue;
        memcpy(d->other[k].id, b->member[i].id, sizeof(d->other[k].id));
        store_copy_name(d->other[k++].name, b->member[i].name);
    }
}

/** What store_set_bond sets. */
struct setting {
    const struct store_bond *bond;
    uint32_t self;
};

static void change_bond(struct disk_root *h, const void *value)
{
    const struct setting *s = value;

    if (s->bond)
        bond_enter(h, s->bond, s->self, NONE);
    else
        h->bond = (struct disk_bond){0};
}

int store_set_bond(struct store *st, const struct store_bond *bond)
{
    struct setting s = {.bond = bond};

    if (bond && !bond_place(st, bond, &s.self))
        return STORE_ARGUMENT;
    if (st->begun)
        return STORE_STATE;
    return change_head(st, change_bond, &s);
}
