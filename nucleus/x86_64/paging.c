#include "paging.h"
#include "cpu.h"
#include "district.h"
#include "frame.h"
#include "panic.h"
#include "segment.h"
#include "string.h"

#define P        1ull
#define W        2ull
#define U        4ull
#define UNCACHED 0x18ull
#define ACCESSED 0x20ull
#define LARGE    0x80ull
#define NX       (1ull << 63)
#define ADDRESS  0x000ffffffffff000ull

#define USER_LIMIT    0x800000000000ull
#define APIC_PHYSICAL 0xfee00000ull

extern uint8_t load_start[], boot_end[], text_start[], rodata_start[], data_start[], nucleus_end[];

static uint64_t *nucleus_top;
static struct slab spaces = {.size = 112};
_Static_assert(sizeof(struct space) <= 112, "spaces fit their slab");
static struct slab maps = {.size = 112};
_Static_assert(sizeof(struct node_maps) <= 112, "node maps fit their slab");
static uint64_t last_stamp;

static uint64_t *table_at(uint64_t entry)
{
    return frame_pointer(entry & ADDRESS);
}

static unsigned table_index(uint64_t address, unsigned level)
{
    return address >> (12 + 9 * (level - 1)) & 511;
}

/* --- the nucleus's own tables ----------------------------------------------------------------- */

static uint64_t *boot_table(uint64_t *entry)
{
    if (!(*entry & P)) {
        void *frame = frame_allocate(FRAME_NUCLEUS, true);
        assert(frame != NULL, "there is memory for the nucleus's page tables");
        frame_zero(frame);
        *entry = frame_physical(frame) | P | W;
    }
    return table_at(*entry);
}

static void boot_map(uint64_t address, uint64_t physical, uint64_t rights, unsigned level)
{
    uint64_t *table = nucleus_top;
    for (unsigned l = 4; l > level; l--)
        table = boot_table(&table[table_index(address, l)]);
    table[table_index(address, level)] = physical | rights | P | (level == 2 ? LARGE : 0);
}

/** Text and read-only data must not be writable through the direct map either. */
static uint64_t direct_rights(uint64_t physical)
{
    uint64_t text = (uint64_t)text_start - NUCLEUS_MAP, data = (uint64_t)data_start - NUCLEUS_MAP;
    return physical >= text && physical < data ? NX : W | NX;
}

void paging_init(uint64_t ram_limit)
{
    nucleus_top = frame_allocate(FRAME_NUCLEUS, true);
    assert(nucleus_top != NULL, "there is memory for the nucleus's page tables");
    frame_zero(nucleus_top);
    uint64_t limit = ram_limit > 1ull << 32 ? ram_limit : 1ull << 32;
    uint64_t image_end = (uint64_t)nucleus_end - NUCLEUS_MAP;
    for (uint64_t at = 0; at < limit; at += 0x200000) {
        bool ram = at < ram_limit;
        if (at < image_end)
            for (uint64_t small = at; small < at + 0x200000; small += 4096)
                boot_map(DIRECT_MAP + small, small, direct_rights(small), 1);
        else
            boot_map(DIRECT_MAP + at, at, W | NX | (ram ? 0 : UNCACHED), 2);
    }
    for (uint64_t at = (uint64_t)text_start; at < (uint64_t)nucleus_end; at += 4096)
        boot_map(at, at - NUCLEUS_MAP,
                 at < (uint64_t)rodata_start ? 0
                 : at < (uint64_t)data_start ? NX
                                             : W | NX,
                 1);
    boot_map((uint64_t)paging_apic(), APIC_PHYSICAL, W | NX | UNCACHED, 1);
    write_cr3(frame_physical(nucleus_top));
}

void *paging_apic(void)
{
    return (void *)(0xffffffffc0000000ull + (APIC_PHYSICAL & 0x3fffffff));
}

void paging_use_nucleus_tables(void)
{
    write_cr3(frame_physical(nucleus_top));
    cpu0.space = NULL;
    cpu0.reload = false;
}

/* --- entries ---------------------------------------------------------------------------------- */

static void entry_clear(uint64_t *e)
{
    struct object *o = frame_object(*e & ADDRESS);
    if (o != NULL) {
        o->mapped--;
        if (o->entry == e)
            o->entry = NULL;
    }
    *e = 0;
    frame_entries(e, -1);
}

/** Applies to all present leaf entries in [from, to). */
static void space_range(struct space *s, uint64_t from, uint64_t to, bool protect)
{
    if (to > USER_LIMIT)
        to = USER_LIMIT;
    for (uint64_t va = from; va < to;) {
        uint64_t *table = s->top;
        unsigned level = 4;
        while (level > 1 && (table[table_index(va, level)] & P)) {
            table = table_at(table[table_index(va, level)]);
            level--;
        }
        if (level > 1) { /* nothing below this entry: behind it */
            uint64_t span = 1ull << (12 + 9 * (level - 1));
            va = (va & ~(span - 1)) + span;
            continue;
        }
        for (unsigned i = table_index(va, 1); i < 512 && va < to; i++, va += 4096) {
            if (!(table[i] & P))
                continue;
            if (protect)
                table[i] &= ~W;
            else
                entry_clear(&table[i]);
        }
    }
    if (cpu0.space == s)
        cpu0.reload = true;
}

static void free_tables(uint64_t *table, unsigned level)
{
    unsigned n = level == 4 ? 256 : 512;
    for (unsigned i = 0; i < n; i++) {
        if (!(table[i] & P))
            continue;
        if (level == 1) {
            entry_clear(&table[i]);
            continue;
        }
        free_tables(table_at(table[i]), level - 1);
        frame_free(table_at(table[i]));
        table[i] = 0;
        frame_entries(table, -1);
    }
}

static void space_drop(struct space *s)
{
    free_tables(s->top, 4);
    s->stamp = ++last_stamp;
    if (cpu0.space == s)
        write_cr3(frame_physical(s->top));
}

static void space_free(struct space *s)
{
    struct district *d = object_district(s->root);
    if (cpu0.space == s)
        paging_use_nucleus_tables();
    space_drop(s);
    if (d->sweep == s) {
        d->sweep = s->next;
        d->sweep_at = 0;
    }
    frame_free(s->top);
    if (s->next != NULL)
        s->next->previous = s->previous;
    if (s->previous != NULL)
        s->previous->next = s->next;
    else
        d->spaces = s->next;
    s->id = 0;
    s->stamp = 0;
    slab_free(&spaces, s);
}

void paging_drop_all(struct district *d)
{
    d->drops++;
    for (struct space *s = d->spaces; s != NULL; s = s->next)
        space_drop(s);
}

/* --- what is used, for evict.c ---------------------------------------------------------------- */

/** Tables in which no entry is left go, from the one that `entry` lies in upwards. */
static void release_empty(const uint64_t *entry)
{
    uint64_t *table = (uint64_t *)((uintptr_t)entry & ~4095ul), *parent;
    while (frame_entries(table, 0) == 0 && (parent = frame_parent(table)) != NULL) {
        frame_free(table);
        *parent = 0;
        frame_entries(parent, -1);
        table = (uint64_t *)((uintptr_t)parent & ~4095ul);
    }
}

void paging_page_gone(struct object *page)
{
    uint64_t *e = page->entry;
    if (page->mapped == 1 && e != NULL) {
        entry_clear(e);
        release_empty(e);
        cpu0.reload = true;
    } else if (page->mapped > 0) {
        paging_drop_all(object_district(page));
    }
}

void paging_not_accessed(struct object *page)
{
    if (page->entry == NULL)
        return;
    *page->entry &= ~ACCESSED;
    cpu0.reload = true;
}

bool paging_page_idle(struct object *page)
{
    uint64_t *e = page->entry;
    if (page->mapped == 0)
        return true;
    if (e == NULL || (!(*e & ACCESSED) && page->mapped > 1))
        return false;
    cpu0.reload = true;
    if (*e & ACCESSED) {
        *e &= ~ACCESSED;
        return false;
    }
    entry_clear(e);
    release_empty(e);
    return true;
}

/** Entries that were not accessed since the last time go, and the others have to show it again. */
static void sweep_table(uint64_t *table)
{
    for (unsigned i = 0; i < 512; i++) {
        if (!(table[i] & P))
            continue;
        struct object *o = frame_object(table[i] & ADDRESS);
        if (!(table[i] & ACCESSED)) {
            entry_clear(&table[i]);
            if (o != NULL)
                o->used = true; /* a round of the hand is time to show that it still is */
            continue;
        }
        table[i] &= ~ACCESSED;
        if (o != NULL)
            o->entry = &table[i];
    }
    release_empty(table);
}

/** The next level 1 table of the space from `at` on is swept. @return the address behind it, or
 * USER_LIMIT */
static uint64_t sweep_next(struct space *s, uint64_t at)
{
    while (at < USER_LIMIT) {
        uint64_t *table = s->top;
        unsigned level = 4;
        for (; level > 1 && (table[table_index(at, level)] & P); level--)
            table = table_at(table[table_index(at, level)]);
        uint64_t span = 1ull << (12 + 9 * (level > 1 ? level - 1 : 1));
        at = (at & ~(span - 1)) + span;
        if (level > 1)
            continue;
        sweep_table(table);
        break;
    }
    return at;
}

void paging_sweep(struct district *d, unsigned tables)
{
    for (unsigned i = 0; i < tables; i++) {
        if (d->sweep == NULL) {
            d->sweep = d->spaces;
            d->sweep_at = 0;
        }
        struct space *s = d->sweep;
        if (s == NULL)
            return;
        d->sweep_at = sweep_next(s, d->sweep_at);
        if (cpu0.space == s)
            cpu0.reload = true;
        if (d->sweep_at < USER_LIMIT)
            continue;
        d->sweep = s->next;
        d->sweep_at = 0;
    }
}

/* --- nodes ------------------------------------------------------------------------------------ */

static struct node_maps *node_maps(struct object *node)
{
    if (node->aux == NULL)
        node->aux = slab_allocate(&maps, node->district == 0);
    return node->aux;
}

void paging_node_changed(struct object *node, unsigned first, unsigned count, bool protect)
{
    struct node_maps *m = node->aux;
    if (m == NULL)
        return;
    if (paging_node_shared(node)) {
        paging_drop_all(object_district(node));
        m->count = 0;
        return;
    }
    for (unsigned i = 0; i < m->count; i++) {
        if (m->at[i].space->stamp != m->at[i].stamp)
            continue;
        unsigned shift = BW_PAGE_SHIFT + BW_NODE_SHIFT * ((m->at[i].base & 15) - 1);
        uint64_t base = m->at[i].base & ~15ull;
        space_range(m->at[i].space, base + ((uint64_t)first << shift),
                    base + ((uint64_t)(first + count) << shift), protect);
    }
}

bool paging_node_shared(const struct object *node)
{
    const struct node_maps *m = node->aux;
    return m != NULL && m->overflow == object_district(node)->drops + 1;
}

/** Whether the space has entries from one node: for more than one table, whether it has tables. */
static bool space_holds(const struct space *s, uint64_t from, uint64_t to)
{
    unsigned lowest = to - from > 0x200000 ? 2 : 1;
    if (to > USER_LIMIT)
        to = USER_LIMIT;
    for (uint64_t at = from; at < to;) {
        const uint64_t *table = s->top;
        unsigned level = 4;
        while (level > lowest && (table[table_index(at, level)] & P))
            table = table_at(table[table_index(at, level--)]);
        if (table[table_index(at, level)] & P)
            return true;
        uint64_t span = 1ull << (12 + 9 * (level - 1));
        at = (at & ~(span - 1)) + span;
    }
    return false;
}

bool paging_node_mapped(const struct object *node)
{
    const struct node_maps *m = node->aux;
    if (m == NULL)
        return false;
    for (unsigned i = 0; i < m->count; i++) {
        unsigned height = m->at[i].base & 15;
        uint64_t base = m->at[i].base & ~15ull;
        if (m->at[i].space->stamp == m->at[i].stamp &&
            space_holds(m->at[i].space, base,
                        base + (1ull << (BW_PAGE_SHIFT + BW_NODE_SHIFT * height))))
            return true;
    }
    return paging_node_shared(node);
}

void paging_node_gone(struct object *node)
{
    struct node_maps *m = node->aux;
    if (m == NULL)
        return;
    while (m->own != NULL) {
        struct space *s = m->own;
        m->own = s->sibling;
        space_free(s);
    }
    paging_node_changed(node, 0, BW_NODE_SLOTS, false);
    slab_free(&maps, m);
    node->aux = NULL;
}

/** Records that entries of `s` are built from this node. */
static int node_record(struct object *node, struct space *s, uint64_t base)
{
    struct node_maps *m = node_maps(node);
    if (m == NULL)
        return WAIT_MEMORY;
    unsigned stale = NODE_MAPS;
    for (unsigned i = 0; i < m->count; i++) {
        if (m->at[i].space == s && m->at[i].base == base && m->at[i].stamp == s->stamp)
            return BW_OK;
        if (m->at[i].space->stamp != m->at[i].stamp)
            stale = i;
    }
    if (stale == NODE_MAPS && m->count < NODE_MAPS)
        stale = m->count++;
    if (stale == NODE_MAPS) {
        m->overflow = object_district(node)->drops + 1;
        return BW_OK;
    }
    m->at[stale].space = s;
    m->at[stale].stamp = s->stamp;
    m->at[stale].base = base;
    return BW_OK;
}

/* --- spaces ----------------------------------------------------------------------------------- */

static bool same_key(struct key a, struct key b)
{
    return a.type == b.type && a.rights == b.rights && a.tag == b.tag && a.version == b.version &&
           a.value == b.value;
}

static int space_new(struct district *d, struct object *root, struct key k, struct space **out)
{
    struct node_maps *m = node_maps(root);
    struct space *s = m == NULL ? NULL : slab_allocate(&spaces, !d->persistent);
    uint64_t *top = s == NULL ? NULL : frame_allocate(FRAME_TABLE, !d->persistent);
    if (top == NULL) {
        if (s != NULL)
            slab_free(&spaces, s);
        return WAIT_MEMORY;
    }
    memset(top, 0, 2048);
    memcpy(top + 256, nucleus_top + 256, 2048);
    s->top = top;
    s->root = root;
    s->key = k;
    s->id = ++last_stamp;
    s->stamp = ++last_stamp;
    s->epoch = d->epoch;
    s->sibling = m->own;
    m->own = s;
    s->next = d->spaces;
    if (d->spaces != NULL)
        d->spaces->previous = s;
    d->spaces = s;
    *out = s;
    return BW_OK;
}

int paging_find_space(struct activity *a)
{
    struct key k = activity_frame(a)->segment;
    struct district *d = object_district(a->domain);
    a->space = NULL;
    struct object *root;
    if (k.type != KEY_SEGMENT)
        return BW_OK;
    int r = object_find(d, k, &root);
    if (r != BW_OK)
        return r == BW_VOID ? BW_OK : r;
    struct node_maps *m = root->aux;
    struct space *s = m == NULL ? NULL : m->own;
    while (s != NULL && !same_key(s->key, k))
        s = s->sibling;
    if (s == NULL && (r = space_new(d, root, k, &s)) != BW_OK)
        return r;
    a->space = s;
    a->space_id = s->id;
    return BW_OK;
}

/** Another space than the loaded one, or one whose tables have lost rights. */
void paging_switch(struct activity *a)
{
    struct space *s = a->space;
    if (s == NULL) {
        if (cpu0.space != NULL)
            paging_use_nucleus_tables();
        return;
    }
    uint64_t epoch = object_district(a->domain)->epoch;
    if (s->epoch != epoch) {
        s->epoch = epoch;
        for (unsigned i = 0; i < 256; i++)
            s->top[i] &= ~W;
        cpu0.reload = true;
    }
    if (cpu0.space == s && !cpu0.reload)
        return;
    cpu0.space = s;
    cpu0.reload = false;
    statistics.cr3_writes++;
    write_cr3(frame_physical(s->top));
}

/** Gives write permission back to an upper entry; what may be stale moves one level down. */
static void push_down(uint64_t *entry)
{
    uint64_t *table = table_at(*entry);
    for (unsigned i = 0; i < 512; i++)
        table[i] &= ~W;
    *entry |= W;
}

static int space_install(struct space *s, bool common, uint64_t address, uint64_t entry)
{
    uint64_t *table = s->top;
    for (unsigned level = 4; level > 1; level--) {
        uint64_t *e = &table[table_index(address, level)];
        if (!(*e & P)) {
            void *frame = frame_allocate(FRAME_TABLE, common);
            if (frame == NULL)
                return WAIT_MEMORY;
            frame_zero(frame);
            frame_set_parent(frame, e);
            *e = frame_physical(frame) | P | W | U;
            frame_entries(e, 1);
        } else if ((entry & W) && !(*e & W)) {
            push_down(e);
        }
        table = table_at(*e);
    }
    uint64_t *e = &table[table_index(address, 1)];
    bool was_present = *e & P;
    if (was_present)
        entry_clear(e);
    *e = entry;
    frame_entries(e, 1);
    struct object *o = frame_object(entry & ADDRESS);
    if (o != NULL) {
        o->mapped++;
        o->entry = e;
    }
    if (was_present)
        invalidate_page(address);
    return BW_OK;
}

int paging_fault(struct activity *a, uint64_t address, uint64_t error)
{
    struct district *d = object_district(a->domain);
    struct space *s = a->space;
    bool write = error & 2, fetch = error & 16;
    if (s == NULL || address >= USER_LIMIT)
        return BW_FAULT;
    struct walk w;
    int r = segment_walk(d, s->key, address, &w);
    if (r != BW_OK)
        return r;
    bool may_write = w.rights & RIGHT_WRITE, may_execute = (w.rights & RIGHT_EXECUTE) && !may_write;
    if ((write && !may_write) || (fetch && !may_execute))
        return BW_FAULT;
    uint64_t entry = P | U | (may_execute ? 0 : NX);
    if (w.page == NULL) {
        entry |= w.physical | UNCACHED | (may_write ? W : 0);
    } else {
        if (write && (r = object_make_writable(w.page)) != BW_OK)
            return r;
        entry |= frame_physical(w.page->data);
        if (may_write && w.page->dirty_epoch == d->epoch)
            entry |= W;
    }
    for (unsigned i = 0; i < w.depth; i++)
        if ((r = node_record(w.path[i].node, s, w.path[i].base | w.path[i].height)) != BW_OK)
            return r;
    statistics.page_faults++;
    return space_install(s, !d->persistent, address, entry);
}

static uint64_t leaf(const struct activity *a, uint64_t address, uint64_t rights)
{
    struct space *s = a->space;
    if (s == NULL || s->id != a->space_id || address >= USER_LIMIT)
        return 0;
    if ((rights & W) && s->epoch != object_district(a->domain)->epoch)
        return 0;
    uint64_t *table = s->top;
    for (unsigned level = 4;; level--) {
        uint64_t e = table[table_index(address, level)];
        if ((e & rights) != rights)
            return 0;
        if (level == 1) {
            table[table_index(address, level)] |= ACCESSED;
            return e & UNCACHED ? 0 : (e & ADDRESS) | (address & 4095);
        }
        table = table_at(e);
    }
}

void *paging_writable(const struct activity *a, uint64_t address)
{
    uint64_t physical = leaf(a, address, P | W | U);
    return physical == 0 ? NULL : frame_pointer(physical);
}

const void *paging_readable(const struct activity *a, uint64_t address)
{
    uint64_t physical = leaf(a, address, P | U);
    return physical == 0 ? NULL : frame_pointer(physical);
}
