/*
 * Changes of many pages at once: removal, protection, fork, move. Slots and entries are kept in
 * step as in pages.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "pages.h"
#include "unix.h"

/* --- removal ---------------------------------------------------------------------------------- */

/** Whether this entry was the last name of a page of ours. */
static bool entry_was_last(uint64_t e)
{
    return (e & ENTRY_OWNED) && share_drop(e & ENTRY_ID) == 0;
}

/** All pages of a leaf go with it. The slot of its node is left to the caller. */
static void leaf_free(struct space *s, struct leaf *l)
{
    for
        MAP_EACH(i, &l->map)
        {
            s->owned -= !!(l->entry[i] & ENTRY_OWNED);
            if (entry_was_last(l->entry[i])) {
                machine_destroy(l->entry[i] & ENTRY_ID);
            }
        }
    s->resident -= l->used;
    free(l);
}

/** Drops the nodes for `a` that are empty now. */
static void prune(struct space *s, uint64_t a)
{
    struct table *t = s->table[TABLE_OF(a)];
    struct leaf *l = t->leaf[LEAF_OF(a)];

    if (l->used) {
        return;
    }
    free(l);
    t->leaf[LEAF_OF(a)] = NULL;
    map_clear(&t->map, LEAF_OF(a));
    machine_node_destroy(machine_key(&s->root), a & -LEAF_SPAN, 1);
    if (--t->used == 0) {
        s->table[TABLE_OF(a)] = NULL;
        map_clear(&s->map, TABLE_OF(a));
        free(t);
        machine_node_destroy(machine_key(&s->root), a & -TABLE_SPAN, 2);
    }
}

/** Consecutive slots of one leaf that are to be treated alike. */
struct run {
    uint64_t start;
    unsigned count;
    unsigned how;
};

static bool run_add(struct run *run, uint64_t a, unsigned how)
{
    if (run->count && run->how == how && run->start + run->count * PAGE == a) {
        run->count++;
        return true;
    }
    if (!run->count) {
        *run = (struct run){a, 1, how};
        return true;
    }
    return false;
}

enum { RUN_VOID = 0, RUN_DESTROY = 1 };

static void run_clear(struct space *s, struct run *run)
{
    if (run->count) {
        machine_clear(machine_key(&s->root), run->start, run->count, run->how == RUN_DESTROY);
        run->count = 0;
    }
}

static void remove_in_leaf(struct space *s, struct leaf *l, uint64_t start, uint64_t end)
{
    struct run run = {0};

    for (uint64_t a = start; a < end && l->used; a += PAGE) {
        uint64_t e = l->entry[ENTRY_OF(a)];
        bool last;

        if (!e) {
            continue;
        }
        last = entry_was_last(e);
        pages_entry_set(s, l, a, 0);
        if (!(e & ENTRY_IN_SLOT)) {
            if (last) {
                machine_destroy(e & ENTRY_ID);
            }
        } else if (!run_add(&run, a, last ? RUN_DESTROY : RUN_VOID)) {
            run_clear(s, &run);
            run_add(&run, a, last ? RUN_DESTROY : RUN_VOID);
        }
    }
    run_clear(s, &run);
}

/** Calls `each` for every leaf that overlaps [start, end), with the part of it. */
static void for_leaves(struct space *s, uint64_t start, uint64_t end,
                       void (*each)(struct space *, struct leaf *, uint64_t, uint64_t, uint32_t),
                       uint32_t word)
{
    for (uint64_t a = start; a < end;) {
        uint64_t next = (a & -LEAF_SPAN) + LEAF_SPAN;
        struct leaf *l;

        if (!s->table[TABLE_OF(a)]) {
            a = (a & -TABLE_SPAN) + TABLE_SPAN;
            continue;
        }
        l = pages_leaf(s, a);
        if (l) {
            each(s, l, a, next < end ? next : end, word);
        }
        a = next;
    }
}

static void remove_part(struct space *s, struct leaf *l, uint64_t start, uint64_t end,
                        uint32_t word)
{
    (void)word;
    remove_in_leaf(s, l, start, end);
    prune(s, start);
}

void pages_remove(struct space *s, uint64_t start, uint64_t end)
{
    for_leaves(s, start, end, remove_part, 0);
    machine_destroy_flush();
}

void pages_release(struct space *s)
{
    for
        MAP_EACH(i, &s->map)
        {
            struct table *t = s->table[i];

        for
            MAP_EACH(j, &t->map)
            {
                machine_destroy(t->leaf[j]->id);
                leaf_free(s, t->leaf[j]);
            }
        machine_destroy(t->id);
        free(t);
        s->table[i] = NULL;
        }
    s->map = (struct map){0};
}

/* --- protection ------------------------------------------------------------------------------- */

enum { PROTECT_DETACH = 0x100 };

static void run_protect(struct space *s, struct run *run)
{
    uint16_t space = machine_key(&s->root);

    if (!run->count) {
        return;
    }
    if (run->how == PROTECT_DETACH) {
        machine_clear(space, run->start, run->count, false);
    } else {
        machine_rights(space, run->start, run->count, run->how);
    }
    run->count = 0;
}

/** What an entry becomes under `prot`; the same if nothing changes. */
static uint64_t entry_narrowed(uint64_t e, uint32_t prot)
{
    if (!prot) {
        return e & ENTRY_FILE ? 0 : e & ~(ENTRY_IN_SLOT | ENTRY_WRITE | ENTRY_EXEC);
    }
    if (!(prot & VM_WRITE) && (e & ENTRY_WRITE)) {
        e = (e & ~ENTRY_WRITE) | (prot & VM_EXEC ? ENTRY_EXEC : 0);
    }
    return prot & VM_EXEC ? e : e & ~ENTRY_EXEC;
}

static void protect_part(struct space *s, struct leaf *l, uint64_t start, uint64_t end,
                         uint32_t prot)
{
    struct run run = {0};

    for (uint64_t a = start; a < end; a += PAGE) {
        uint64_t e = l->entry[ENTRY_OF(a)], narrowed = entry_narrowed(e, prot);
        unsigned how = narrowed & ENTRY_IN_SLOT ? pages_rights(narrowed) : PROTECT_DETACH;

        if (narrowed == e) {
            continue;
        }
        pages_entry_set(s, l, a, narrowed);
        if ((e & ENTRY_IN_SLOT) && !run_add(&run, a, how)) {
            run_protect(s, &run);
            run_add(&run, a, how);
        }
    }
    run_protect(s, &run);
    prune(s, start);
}

void pages_protect(struct space *s, uint64_t start, uint64_t end, uint32_t prot)
{
    for_leaves(s, start, end, protect_part, prot);
}

/* --- fork and move ---------------------------------------------------------------------------- */

static int fork_leaf(struct space *child, struct space *parent, struct table *t, uint64_t a)
{
    struct leaf *from = pages_leaf(parent, a), *to;

    if (!from->used) {
        return 0;
    }
    to = malloc(sizeof *to);
    if (!to || !share_reserve(from->used)) {
        free(to);
        return -ENOMEM;
    }
    to->id = pages_id(child);
    if (machine_node_fork(machine_key(&child->root), machine_key(&parent->root), a, to->id) !=
        BW_OK) {
        free(to);
        return -ENOMEM;
    }
    to->map = from->map;
    memset(to->entry, 0, sizeof to->entry);
    to->used = from->used;
    for
        MAP_EACH(i, &from->map)
        {
            uint64_t e = from->entry[i] & ~ENTRY_WRITE;

            from->entry[i] = to->entry[i] = e;
            if (e & ENTRY_OWNED) {
                share_add(e & ENTRY_ID);
                child->owned++;
            }
        }
    child->resident += to->used;
    t->leaf[LEAF_OF(a)] = to;
    map_set(&t->map, LEAF_OF(a));
    t->used++;
    return 0;
}

int pages_fork(struct space *child, struct space *parent)
{
    for
        MAP_EACH(i, &parent->map)
        {
            struct table *t = pages_table_get(child, i * TABLE_SPAN);

            if (!t) {
                return -ENOMEM;
            }
        for
            MAP_EACH(j, &parent->table[i]->map)
            {
                if (fork_leaf(child, parent, t, i * TABLE_SPAN + j * LEAF_SPAN)) {
                    return -ENOMEM;
                }
            }
        }
    return 0;
}

int pages_move(struct space *s, uint64_t from, uint64_t to, uint64_t length)
{
    for (uint64_t a = to & -LEAF_SPAN; a < to + length; a += LEAF_SPAN) {
        if (!pages_leaf_get(s, a)) {
            return -ENOMEM;
        }
    }
    for (uint64_t i = 0; i < length; i += PAGE) {
        struct leaf *l = pages_leaf(s, from + i);
        uint64_t e = l ? l->entry[ENTRY_OF(from + i)] : 0;

        if (!e) {
            continue;
        }
        if (e & ENTRY_IN_SLOT) {
            machine_clear(machine_key(&s->root), from + i, 1, false);
        }
        pages_entry_set(s, l, from + i, 0);
        if (!(e & ENTRY_FILE)) {
            pages_entry_set(s, pages_leaf(s, to + i), to + i,
                            e & ~(ENTRY_IN_SLOT | ENTRY_WRITE | ENTRY_EXEC));
        }
    }
    return 0;
}
