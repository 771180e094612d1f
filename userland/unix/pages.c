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
#include "pages.h"
#include "space.h"

#define IDS_AT_ONCE 64u
#define AROUND      16u /* pages that get WRITE back at one fault */

/** Ids are bought in runs, so that what one space uses is destroyed in runs. */
uint64_t pages_id(struct space *s)
{
    if (s->id_next == s->id_end) {
        s->id_next = object_ids(IDS_AT_ONCE);
        s->id_end = s->id_next + IDS_AT_ONCE;
    }
    return s->id_next++;
}

struct leaf *pages_leaf(struct space *s, uint64_t a)
{
    struct table *t = s->table[TABLE_OF(a)];

    return t ? t->leaf[LEAF_OF(a)] : NULL;
}

struct table *pages_table_get(struct space *s, uint64_t a)
{
    struct table **t = &s->table[TABLE_OF(a)];

    if (!*t) {
        struct table *fresh = calloc(1, sizeof *fresh);

        if (!fresh) {
            return NULL;
        }
        fresh->id = pages_id(s);
        if (machine_node_create(machine_key(&s->root), a, 2, fresh->id) != BW_OK) {
            free(fresh);
            return NULL;
        }
        *t = fresh;
        map_set(&s->map, TABLE_OF(a));
    }
    return *t;
}

struct leaf *pages_leaf_get(struct space *s, uint64_t a)
{
    struct table *t = pages_table_get(s, a);
    struct leaf *l;

    if (!t || t->leaf[LEAF_OF(a)]) {
        return t ? t->leaf[LEAF_OF(a)] : NULL;
    }
    if (!space_take_page(s)) {
        return NULL;
    }
    l = calloc(1, sizeof *l);
    if (!l) {
        return NULL;
    }
    l->id = pages_id(s);
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
    struct leaf *l = pages_leaf(s, address);

    return l ? &l->entry[ENTRY_OF(address)] : NULL;
}

/* --- rights ----------------------------------------------------------------------------------- */

unsigned pages_rights(uint64_t entry)
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

void pages_entry_set(struct space *s, struct leaf *l, uint64_t a, uint64_t value)
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
    s->owned += !!(value & ENTRY_OWNED);
    s->owned -= !!(l->entry[i] & ENTRY_OWNED);
    l->entry[i] = value;
}

/* --- faults ----------------------------------------------------------------------------------- */

static int fault_anonymous(struct space *s, struct leaf *l, const struct area *v, uint64_t a,
                           unsigned access, uint16_t copy_of)
{
    uint64_t bits = bits_for(v, access, true), id;
    int64_t r;

    if (!space_take_page(s)) {
        return -ENOMEM;
    }
    id = pages_id(s);
    r = machine_page_create(machine_key(&s->root), a, pages_rights(bits), id, copy_of);
    if (r == BW_OK) {
        pages_entry_set(s, l, a, ENTRY_PRESENT | ENTRY_IN_SLOT | ENTRY_OWNED | bits | id);
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

    if (!page || (!*page && !space_take_page(s))) {
        return -ENOMEM;
    }
    if (*page) {
        r = machine_page_put_id(space, a, *page - 1, pages_rights(bits));
    } else {
        uint64_t id = pages_id(s);

        r = machine_page_create(space, a, pages_rights(bits), id, 0);
        if (r == BW_OK) {
            *page = id + 1;
        }
    }
    if (r == BW_OK) {
        pages_entry_set(s, l, a, ENTRY_PRESENT | ENTRY_IN_SLOT | ENTRY_OBJECT | bits | (*page - 1));
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
    r = machine_page_put(machine_key(&s->root), a, KR_FILE_PAGE, pages_rights(bits));
    if (r == BW_OK) {
        pages_entry_set(s, l, a, ENTRY_PRESENT | ENTRY_IN_SLOT | ENTRY_FILE | bits);
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
    uint64_t e = l->entry[ENTRY_OF(a)], id, bits = bits_for(v, VM_WRITE, true);
    uint16_t space = machine_key(&s->root);
    int64_t r;

    if (!space_take_page(s)) {
        return -ENOMEM;
    }
    id = pages_id(s);
    if (!(e & ENTRY_IN_SLOT)) {
        r = machine_page_put_id(space, a, e & ENTRY_ID, 0);
        if (r != BW_OK) {
            return -ENOMEM;
        }
        l->entry[ENTRY_OF(a)] |= ENTRY_IN_SLOT;
    }
    r = machine_page_copy(space, a, pages_rights(bits), id);
    if (r != BW_OK) {
        return -ENOMEM;
    }
    if (e & ENTRY_OWNED) {
        share_drop(e & ENTRY_ID);
    }
    pages_entry_set(s, l, a, ENTRY_PRESENT | ENTRY_IN_SLOT | ENTRY_OWNED | bits | id);
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
        r = machine_rights(machine_key(&s->root), a, 1, pages_rights(bits));
    } else {
        r = machine_page_put_id(machine_key(&s->root), a, *e & ENTRY_ID, pages_rights(bits));
    }
    if (r == BW_OK) {
        *e = (*e & ~(ENTRY_WRITE | ENTRY_EXEC)) | ENTRY_IN_SLOT | bits;
    }
    return errno_of(r);
}

int pages_fault(struct space *s, const struct area *v, uint64_t address, unsigned access)
{
    uint64_t a = PAGE_FLOOR(address);
    struct leaf *l = pages_leaf(s, a);

    if (!l) {
        l = pages_leaf_get(s, a);
        if (!l) {
            return -ENOMEM;
        }
    }
    if (l->entry[ENTRY_OF(a)]) {
        return fault_present(s, l, v, a, access);
    }
    return fault_absent(s, l, v, a, access);
}
