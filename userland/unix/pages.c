/*
 * The pages of address spaces: the mirror of the page tree (vm.h) and what changes it. Each
 * function keeps slot and entry in step: first the nucleus, then the entry, so that a failure
 * leaves both as they were.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bailiwick/key.h>
#include "unix.h"
#include "vm.h"

#define IDS_AT_ONCE 64u
#define AROUND      16u /* pages that get WRITE back at one fault */

#define TABLE_OF(a) ((a) >> 28 & 255)
#define LEAF_OF(a)  ((a) >> 20 & 255)
#define ENTRY_OF(a) ((a) >> 12 & 255)
#define LEAF_SPAN   0x100000ull
#define TABLE_SPAN  0x10000000ull

/** Ids are bought in runs, so that what one space uses is destroyed in runs. */
static uint64_t space_id(struct space *s)
{
    if (s->id_next == s->id_end) {
        s->id_next = object_ids(IDS_AT_ONCE);
        s->id_end = s->id_next + IDS_AT_ONCE;
    }
    return s->id_next++;
}

static void map_set(struct map *m, unsigned i)
{
    m->word[i / 64] |= 1ull << i % 64;
}

static void map_clear(struct map *m, unsigned i)
{
    m->word[i / 64] &= ~(1ull << i % 64);
}

/** The first slot at or behind i whose bit is set; BW_NODE_SLOTS: none. */
static unsigned map_next(const struct map *m, unsigned i)
{
    while (i < BW_NODE_SLOTS) {
        uint64_t rest = m->word[i / 64] >> i % 64;

        if (rest) {
            return i + (unsigned)__builtin_ctzll(rest);
        }
        i = (i / 64 + 1) * 64;
    }
    return BW_NODE_SLOTS;
}

#define MAP_EACH(i, m) (unsigned i = map_next(m, 0); i < BW_NODE_SLOTS; i = map_next(m, i + 1))

static struct leaf *leaf_find(struct space *s, uint64_t a)
{
    struct table *t = s->table[TABLE_OF(a)];

    return t ? t->leaf[LEAF_OF(a)] : NULL;
}

static struct table *table_get(struct space *s, uint64_t a)
{
    struct table **t = &s->table[TABLE_OF(a)];

    if (!*t) {
        struct table *fresh = calloc(1, sizeof *fresh);

        if (!fresh) {
            return NULL;
        }
        fresh->id = space_id(s);
        if (machine_node_create(machine_key(&s->root), a, 2, fresh->id) != BW_OK) {
            free(fresh);
            return NULL;
        }
        *t = fresh;
        map_set(&s->map, TABLE_OF(a));
    }
    return *t;
}

static struct leaf *leaf_get(struct space *s, uint64_t a)
{
    struct table *t = table_get(s, a);
    struct leaf *l;

    if (!t || t->leaf[LEAF_OF(a)]) {
        return t ? t->leaf[LEAF_OF(a)] : NULL;
    }
    l = calloc(1, sizeof *l);
    if (!l) {
        return NULL;
    }
    l->id = space_id(s);
    if (machine_node_create(machine_key(&s->root), a, 1, l->id) != BW_OK) {
        free(l);
        return NULL;
    }
    t->leaf[LEAF_OF(a)] = l;
    map_set(&t->map, LEAF_OF(a));
    t->used++;
    return l;
}

uint64_t *pages_entry(struct space *s, uint64_t address)
{
    struct leaf *l = leaf_find(s, address);

    return l ? &l->entry[ENTRY_OF(address)] : NULL;
}

/* --- rights ----------------------------------------------------------------------------------- */

static unsigned rights_of(uint64_t entry)
{
    return (entry & ENTRY_WRITE ? RIGHT_WRITE : 0) | (entry & ENTRY_EXEC ? RIGHT_EXECUTE : 0);
}

/** What a page may get in an area: writing wins over executing unless the fault was a fetch. */
static uint64_t bits_for(const struct area *v, unsigned access, bool writable)
{
    if ((v->prot & VM_WRITE) && writable && access != VM_EXEC) {
        return ENTRY_WRITE;
    }
    return v->prot & VM_EXEC ? ENTRY_EXEC : 0;
}

static int errno_of(int64_t result)
{
    return result == BW_OK ? 0 : -ENOMEM;
}

static void entry_set(struct space *s, struct leaf *l, uint64_t a, uint64_t value)
{
    unsigned i = ENTRY_OF(a);

    if (!l->entry[i] && value) {
        map_set(&l->map, i);
        l->used++;
        s->resident++;
    } else if (l->entry[i] && !value) {
        map_clear(&l->map, i);
        l->used--;
        s->resident--;
    }
    l->entry[i] = value;
}

/* --- faults ----------------------------------------------------------------------------------- */

static int fault_anonymous(struct space *s, struct leaf *l, const struct area *v, uint64_t a,
                           unsigned access, uint16_t copy_of)
{
    uint64_t bits = bits_for(v, access, true), id = space_id(s);
    int64_t r = machine_page_create(machine_key(&s->root), a, rights_of(bits), id, copy_of);

    if (r == BW_OK) {
        entry_set(s, l, a, ENTRY_PRESENT | ENTRY_IN_SLOT | ENTRY_OWNED | bits | id);
    }
    return errno_of(r);
}

static int fault_shared(struct space *s, struct leaf *l, const struct area *v, uint64_t a,
                        unsigned access)
{
    uint64_t bits = bits_for(v, access, true);
    uint64_t *page = shared_page(v->memory, (a - v->start + v->offset) / PAGE);
    uint16_t space = machine_key(&s->root);
    int64_t r;

    if (!page) {
        return -ENOMEM;
    }
    if (*page) {
        r = machine_page_put_id(space, a, *page - 1, rights_of(bits));
    } else {
        uint64_t id = space_id(s);

        r = machine_page_create(space, a, rights_of(bits), id, 0);
        if (r == BW_OK) {
            *page = id + 1;
        }
    }
    if (r == BW_OK) {
        entry_set(s, l, a, ENTRY_PRESENT | ENTRY_IN_SLOT | ENTRY_OBJECT | bits | (*page - 1));
    }
    return errno_of(r);
}

static int fault_file(struct space *s, struct leaf *l, const struct area *v, uint64_t a,
                      unsigned access)
{
    uint64_t offset = a - v->start + v->offset;
    bool shared = v->flags & AREA_SHARED;
    uint64_t bits = bits_for(v, access, shared);
    int64_t r;
    int error;

    if (offset >= PAGE_CEIL(file_size(v->file))) {
        return -ENXIO;
    }
    error = file_page(v->file, offset, shared, KR_FILE_PAGE);
    if (error == -ENXIO && !shared) {
        return fault_anonymous(s, l, v, a, access, 0);
    }
    if (error) {
        return error == -ENOSPC ? -ENXIO : error;
    }
    if (access == VM_WRITE && !shared) {
        return fault_anonymous(s, l, v, a, access, KR_FILE_PAGE);
    }
    r = machine_page_put(machine_key(&s->root), a, KR_FILE_PAGE, rights_of(bits));
    if (r == BW_OK) {
        entry_set(s, l, a, ENTRY_PRESENT | ENTRY_IN_SLOT | ENTRY_FILE | bits);
    }
    return errno_of(r);
}

static int fault_absent(struct space *s, struct leaf *l, const struct area *v, uint64_t a,
                        unsigned access)
{
    if (v->memory) {
        return fault_shared(s, l, v, a, access);
    }
    if (v->file) {
        return fault_file(s, l, v, a, access);
    }
    return fault_anonymous(s, l, v, a, access, 0);
}

/** Private page that others name too, or that belongs to a file: a copy of our own. */
static int fault_copy(struct space *s, struct leaf *l, const struct area *v, uint64_t a)
{
    uint64_t e = l->entry[ENTRY_OF(a)], id = space_id(s), bits = bits_for(v, VM_WRITE, true);
    uint16_t space = machine_key(&s->root);
    int64_t r;

    if (!(e & ENTRY_IN_SLOT)) {
        r = machine_page_put_id(space, a, e & ENTRY_ID, 0);
        if (r != BW_OK) {
            return -ENOMEM;
        }
        l->entry[ENTRY_OF(a)] |= ENTRY_IN_SLOT;
    }
    r = machine_page_copy(space, a, rights_of(bits), id);
    if (r != BW_OK) {
        return -ENOMEM;
    }
    if (e & ENTRY_OWNED) {
        share_drop(e & ENTRY_ID);
    }
    l->entry[ENTRY_OF(a)] = ENTRY_PRESENT | ENTRY_IN_SLOT | ENTRY_OWNED | bits | id;
    return 0;
}

static bool may_get_write(uint64_t e)
{
    uint64_t want = ENTRY_PRESENT | ENTRY_IN_SLOT | ENTRY_OWNED;

    return (e & (want | ENTRY_WRITE)) == want && share_count(e & ENTRY_ID) == 1;
}

/** Gives WRITE back to a page that only we name, and to its neighbours of the same kind. */
static int64_t give_write(struct space *s, struct leaf *l, const struct area *v, uint64_t a)
{
    uint64_t first = a, end = a + PAGE;
    uint64_t low = v->start > (a & -LEAF_SPAN) ? v->start : a & -LEAF_SPAN;
    uint64_t high = v->end < (a & -LEAF_SPAN) + LEAF_SPAN ? v->end : (a & -LEAF_SPAN) + LEAF_SPAN;
    int64_t r;

    while (end < high && end - a < AROUND * PAGE && may_get_write(l->entry[ENTRY_OF(end)])) {
        end += PAGE;
    }
    while (first > low && a - first < AROUND * PAGE &&
           may_get_write(l->entry[ENTRY_OF(first - PAGE)])) {
        first -= PAGE;
    }
    r = machine_rights(machine_key(&s->root), first, (unsigned)((end - first) / PAGE), RIGHT_WRITE);
    if (r == BW_OK) {
        for (uint64_t at = first; at < end; at += PAGE) {
            l->entry[ENTRY_OF(at)] = (l->entry[ENTRY_OF(at)] & ~ENTRY_EXEC) | ENTRY_WRITE;
        }
    }
    return r;
}

static int fault_present(struct space *s, struct leaf *l, const struct area *v, uint64_t a,
                         unsigned access)
{
    uint64_t *e = &l->entry[ENTRY_OF(a)];
    bool ours = !(*e & ENTRY_FILE) || (v->flags & AREA_SHARED);
    uint64_t bits;
    int64_t r;

    if (*e & ENTRY_OWNED) {
        ours = share_count(*e & ENTRY_ID) == 1;
    }
    if (access == VM_WRITE && !ours) {
        return fault_copy(s, l, v, a);
    }
    if (access == VM_WRITE && (*e & ENTRY_OWNED) && (*e & ENTRY_IN_SLOT) && !(*e & ENTRY_WRITE)) {
        return errno_of(give_write(s, l, v, a));
    }
    bits = bits_for(v, access, ours);
    if ((*e & ENTRY_IN_SLOT) && (*e & (ENTRY_WRITE | ENTRY_EXEC)) == bits) {
        return FAULT_NO_CHANGE;
    }
    if (*e & ENTRY_IN_SLOT) {
        r = machine_rights(machine_key(&s->root), a, 1, rights_of(bits));
    } else {
        r = machine_page_put_id(machine_key(&s->root), a, *e & ENTRY_ID, rights_of(bits));
    }
    if (r == BW_OK) {
        *e = (*e & ~(ENTRY_WRITE | ENTRY_EXEC)) | ENTRY_IN_SLOT | bits;
    }
    return errno_of(r);
}

int pages_fault(struct space *s, const struct area *v, uint64_t address, unsigned access)
{
    uint64_t a = PAGE_FLOOR(address);
    struct leaf *l = leaf_find(s, a);

    if (!l) {
        l = leaf_get(s, a);
        if (!l) {
            return -ENOMEM;
        }
    }
    if (l->entry[ENTRY_OF(a)]) {
        return fault_present(s, l, v, a, access);
    }
    return fault_absent(s, l, v, a, access);
}

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
        entry_set(s, l, a, 0);
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
        l = leaf_find(s, a);
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
        unsigned how = narrowed & ENTRY_IN_SLOT ? rights_of(narrowed) : PROTECT_DETACH;

        if (narrowed == e) {
            continue;
        }
        entry_set(s, l, a, narrowed);
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
    struct leaf *from = leaf_find(parent, a), *to;

    if (!from->used) {
        return 0;
    }
    to = malloc(sizeof *to);
    if (!to || !share_reserve(from->used)) {
        free(to);
        return -ENOMEM;
    }
    to->id = space_id(child);
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
            struct table *t = table_get(child, i * TABLE_SPAN);

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
        if (!leaf_get(s, a)) {
            return -ENOMEM;
        }
    }
    for (uint64_t i = 0; i < length; i += PAGE) {
        struct leaf *l = leaf_find(s, from + i);
        uint64_t e = l ? l->entry[ENTRY_OF(from + i)] : 0;

        if (!e) {
            continue;
        }
        if (e & ENTRY_IN_SLOT) {
            machine_clear(machine_key(&s->root), from + i, 1, false);
        }
        entry_set(s, l, from + i, 0);
        if (!(e & ENTRY_FILE)) {
            entry_set(s, leaf_find(s, to + i), to + i,
                      e & ~(ENTRY_IN_SLOT | ENTRY_WRITE | ENTRY_EXEC));
        }
    }
    return 0;
}
