/*
 * The oracle of the simulation of bonded districts: what a power cut leaves is opened, restarted as
 * a machine would, and judged.
 */
#include <string.h>

#include "../../store/internal.h"
#include "bonds.h"

uint64_t bonds_any(struct world *w, uint64_t n)
{
    return model_random_number(&w->random) % n;
}

static void bad(const char *what)
{
    model_fail("%s: %s", explorer_where, what);
}

void bonds_must(int error, const char *what)
{
    if (error)
        model_fail("%s: %s: %s", explorer_where, what, store_error_text(error));
}

/* --- restarting ------------------------------------------------------------------------------- */

bool bonds_has_instant(struct store *st, uint64_t instant, uint64_t *number)
{
    struct store_generation g;
    bool found = false;

    for (uint32_t i = 0; store_generation(st, i, &g) == STORE_OK; i++)
        if (g.instant == instant) {
            *number = g.number;
            found = true;
        }
    return found;
}

static void look(struct store *const *st, unsigned members, const struct store_bond *bond,
                 struct bond_seen *seen)
{
    struct store_info info;

    for (unsigned i = 0; i < members; i++) {
        store_info(st[i], &info);
        seen[i] = (struct bond_seen){.there = true, .instant = info.instant};
        seen[i].bonded = info.bond.members && info.instant &&
                         memcmp(info.bond.id, bond->id, sizeof(bond->id)) == 0;
    }
}

/** Takes all to an instant as districtd does (0: each stays where it is, and is in no bond): the
 * home first, so that a restart in the middle goes there as well. */
void bonds_go_to(struct store *const *st, unsigned members, uint64_t instant)
{
    uint64_t number, incarnation;
    struct store_info info;

    for (unsigned i = 0; i < members; i++) {
        store_info(st[i], &info);
        if (instant == 0)
            bonds_must(store_set_bond(st[i], NULL), "ending a bond");
        else if (info.instant == instant && info.in_doubt)
            bonds_must(store_set_bond(st[i], &info.bond), "settling");
    }
    for (unsigned i = 0; i < members; i++) {
        store_info(st[i], &info);
        number = STORE_NEWEST;
        if (instant && info.instant != instant && !bonds_has_instant(st[i], instant, &number))
            model_fail("%s: member %u does not keep the instant of the home", explorer_where, i);
        bonds_must(store_claim(st[i], number, 1, "crash", 1, &incarnation), "claim");
    }
}

/** @return the instant that all are at then; 0: there is no bond */
uint64_t bonds_restart(struct store *const *st, unsigned members, const struct store_bond *bond)
{
    struct bond_seen seen[MEMBERS];
    uint64_t instant = 0;
    unsigned missing;

    look(st, members, bond, seen);
    if (bond_restart(seen, members, &instant, &missing) == BOND_OVER)
        instant = 0;
    if (MUTATED(MUTATION_BOND_NEWEST) && instant) {
        uint64_t incarnation;

        for (unsigned i = 0; i < members; i++)
            bonds_must(store_claim(st[i], STORE_NEWEST, 1, "crash", 1, &incarnation), "claim");
        return instant;
    }
    bonds_go_to(st, members, instant);
    return instant;
}

/* --- the oracle ------------------------------------------------------------------------------- */

static const struct contents *contents_at(const struct world *w, uint64_t instant, unsigned member)
{
    for (unsigned i = 0; i < w->pasts; i++)
        if (w->past[i].instant == instant)
            return &w->past[i].contents[member];
    return NULL;
}

bool bonds_contains(struct store *st, const struct contents *c)
{
    uint64_t page[512];
    struct store_object o;

    for (unsigned i = 0; i < OBJECTS; i++) {
        int r = store_get(st, STORE_NEWEST, FIRST_OID + i, &o, page);

        if (r || !model_bytes_are(c->value[i], FIRST_OID + i, page))
            return false;
    }
    return true;
}

void bonds_judge(const struct world *w, struct store *const *st, uint64_t instant)
{
    for (unsigned i = 0; i < w->members; i++) {
        bool sure = bonds_contains(st[i], w->bonded ? contents_at(w, w->sure, i) : &w->own[i]);
        bool maybe = w->maybe && bonds_contains(st[i], contents_at(w, w->maybe, i));

        if (instant && instant != w->sure && instant != w->maybe)
            bad("not at the last instant");
        if (instant && !bonds_contains(st[i], contents_at(w, instant, i)))
            model_fail("%s: member %u is not at the instant of the home", explorer_where, i);
        if (!sure && !maybe) /* in no bond: each is at its own last commit */
            bad("neither the last state nor the one being committed");
    }
    if (instant == 0 && w->bonded)
        bad("a bond was lost");
}

void bonds_cut(struct world *w, struct image *image)
{
    const struct flights *f = &w->disk->flying;
    uint64_t style = bonds_any(w, 4), until = bonds_any(w, f->count * SECTORS_PER_BLOCK + 1);

    for (size_t n = 0; n < f->count; n++)
        for (unsigned s = 0; s < SECTORS_PER_BLOCK; s++) {
            bool written = style == 0   ? bonds_any(w, 2)
                           : style == 1 ? n * SECTORS_PER_BLOCK + s < until
                           : style == 2 ? bonds_any(w, 16) != 0
                                        : bonds_any(w, 2) && s > 0;

            if (written)
                image_write_sector(image, f->at[n].block * SECTORS_PER_BLOCK + s,
                                   f->at[n].bytes + s * SECTOR);
        }
}

static void open_image(struct world *w)
{
    struct store *st[MEMBERS];
    uint64_t instant;

    for (unsigned i = 0; i < w->members; i++) {
        struct store_io io = image_io(w->image, i);

        bonds_must(store_open(&io, &st[i]), "opening after a power cut");
    }
    instant = bonds_restart(st, w->members, &w->bond);
    bonds_judge(w, st, instant);
    for (unsigned i = 0; i < w->members; i++) {
        struct store_verify v = {0};

        if (bonds_any(w, 8) == 0 && (store_verify(st[i], &v) || v.errors))
            bad("damage");
        store_close(st[i]);
    }
    statistics->opened++;
    statistics->recoveries++;
}

void bonds_before_flush(void *ctx)
{
    struct world *w = ctx;

    if (w->looking)
        return;
    w->looking = true;
    statistics->points++;
    for (unsigned i = 0; i < w->effort; i++) {
        bonds_cut(w, w->image);
        statistics->images++;
        open_image(w);
        image_restore(w->image);
    }
    w->looking = false;
}

void bonds_became_durable(void *ctx, uint64_t block)
{
    image_follow(((struct world *)ctx)->image, block);
}
