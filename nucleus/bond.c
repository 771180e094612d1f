/*
 * Bonds: districts that are frozen at one instant, and start again from it together (who is in a
 * bond, and that their generations count only together, is the business of the store servers and of
 * districtd). Links between them survive: at the common snapshot each district notes, in system
 * objects of its own, which links of the others lead to it; when all run again those links are put
 * back with the index and the version that they had. Who waited for a reply through one waits on.
 *
 * Invariants: a store can hand out keys only to objects of its own district. A link is put back
 * only into an entry that is free, and under a version that its holder has given out before.
 */
#include "link.h"
#include "invoke.h"
#include "panic.h"
#include "string.h"

#define PER_PAGE (BW_PAGE_SIZE / sizeof(struct bonded_link))

/* --- noting ---------------------------------------------------------------------------------- */

/** The place of a note; its page may not be writable. @return BW_OK, BW_AGAIN, BW_LIMIT */
static int note_place(struct district *d, uint32_t n, struct object **page)
{
    oid_t oid = OID_BONDED_LINKS + n / PER_PAGE;
    if (n >= BONDED_LINKS_MAX)
        return BW_LIMIT;
    int r = object_fetch(d, oid, OBJECT_PAGE, page);
    if (r == BW_VOID)
        r = object_create(d, oid, OBJECT_PAGE, page);
    if (r == WAIT_OBJECT)
        return BW_AGAIN;
    return r == BW_OK ? BW_OK : BW_LIMIT;
}

static int note(struct district *d, uint32_t n, const struct bonded_link *note)
{
    struct object *page;
    int r = note_place(d, n, &page);
    if (r != BW_OK)
        return r;
    struct bonded_link *place = (struct bonded_link *)page->data + n % PER_PAGE;
    if (memcmp(place, note, sizeof *note) == 0)
        return BW_OK;
    if (!object_force_writable(page))
        return BW_LIMIT;
    *((struct bonded_link *)page->data + n % PER_PAGE) = *note;
    return BW_OK;
}

/** All links of `holder` to `d`. @return BW_OK, BW_AGAIN, BW_LIMIT: no room for more */
static int note_links(struct district *d, struct district *holder, uint32_t *n)
{
    int r = BW_OK;
    for (unsigned i = 0; i < LINKS + LINK_NAMED_MAX && r == BW_OK; i++) {
        if (i == holder->links.limit)
            i = LINKS;
        const struct link_entry *e = link_entry_at(holder, i);
        if (e == NULL || e->target.type == KEY_VOID || e->district != d->slot || link_cut(e))
            continue;
        struct bonded_link fresh = {
            .target = e->target, .index = i, .version = e->version, .messages = e->messages};
        memcpy(fresh.holder, holder->id, sizeof fresh.holder);
        r = note(d, *n, &fresh);
        *n += r == BW_OK;
    }
    return r;
}

/* --- freezing -------------------------------------------------------------------------------- */

/** @return BW_OK: all can be frozen and something is dirty in one; BW_CLEAN, BW_BUSY, ... */
static int may_freeze(struct district *const *member, unsigned count)
{
    bool dirty = false;
    for (unsigned i = 0; i < count; i++) {
        for (unsigned k = 0; k < i; k++)
            if (member[k] == member[i])
                return BW_ARGUMENT;
        if (member[i]->snapshot)
            return BW_BUSY;
        if (member[i]->state != DISTRICT_RUNNING)
            return BW_REFUSED;
        dirty = dirty || member[i]->changes[member[i]->epoch & 1].count > 0;
    }
    return dirty ? BW_OK : BW_CLEAN;
}

/** Links that find no room are left out: they will have been severed by a restart. */
static int ready(struct district *d, struct district *const *member, unsigned count)
{
    uint32_t n = 0;
    int r = BW_OK;
    if (!object_force_writable(d->system))
        return BW_NOMEM;
    for (unsigned i = 0; i < count && r == BW_OK; i++)
        if (member[i] != d)
            r = note_links(d, member[i], &n);
    d->bonded_links = n;
    return r == BW_LIMIT ? BW_OK : r;
}

int bond_freeze(struct district *const *member, unsigned count, bool clean,
                struct district_frozen *out)
{
    int r = may_freeze(member, count);
    if (r == BW_CLEAN && clean)
        r = BW_OK;
    for (unsigned i = 0; i < count && r == BW_OK; i++)
        r = ready(member[i], member, count);
    for (unsigned i = 0; i < count && r == BW_OK; i++) {
        out[i].epoch = member[i]->epoch;
        r = snapshot_begin(member[i], &out[i].objects, &out[i].ticks);
        assert(r == BW_OK, "a district whose system page is dirty can be frozen");
    }
    for (unsigned i = 0; i < count && r != BW_OK; i++)
        member[i]->bonded_links = 0;
    return r;
}

/* --- starting again -------------------------------------------------------------------------- */

static bool bonded(const struct district *a, const struct district *b)
{
    return a->bond[0] == b->bond[0] && a->bond[1] == b->bond[1] && a->instant == b->instant;
}

static bool in_bond(const struct district *d)
{
    return d->bond[0] != 0 || d->bond[1] != 0;
}

static uint32_t notes(struct district *d)
{
    uint32_t n = in_bond(d) ? district_system(d)->bonded_links : 0;
    return n < BONDED_LINKS_MAX ? n : BONDED_LINKS_MAX;
}

int bond_load(struct district *d)
{
    int waits = BW_OK;
    for (uint32_t n = 0; n < notes(d); n += PER_PAGE) {
        struct object *page;
        int r = object_fetch(d, OID_BONDED_LINKS + n / PER_PAGE, OBJECT_PAGE, &page);
        if (r != BW_OK && r != WAIT_OBJECT)
            return r;
        waits = r == BW_OK ? waits : r;
    }
    return waits;
}

unsigned bond_ready(struct district *d, struct district **member)
{
    unsigned count = 0;
    member[count++] = d;
    for (unsigned i = 1; in_bond(d) && i < DISTRICT_MAX; i++) {
        struct district *other = &districts[i];
        bool is = other->state == DISTRICT_LOADING || other->state == DISTRICT_FAILED;
        if (other == d || !is || !bonded(d, other))
            continue;
        if (other->state == DISTRICT_FAILED || !other->loaded || count == BOND_MAX)
            return 0;
        member[count++] = other;
    }
    return count;
}

static struct district *holder_of(const struct bonded_link *note, struct district *const *member,
                                  unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (memcmp(member[i]->id, note->holder, sizeof note->holder) == 0)
            return member[i];
    return NULL;
}

static void put_back(struct district *d, struct district *const *member, unsigned count)
{
    for (uint32_t n = 0; n < notes(d); n++) {
        const struct object *page = object_lookup(d, OID_BONDED_LINKS + n / PER_PAGE);
        if (page == NULL || page->type != OBJECT_PAGE)
            return;
        const struct bonded_link *note = (const struct bonded_link *)page->data + n % PER_PAGE;
        struct district *holder = holder_of(note, member, count);
        if (holder != NULL && holder != d && keys_valid(&note->target, 1))
            link_put_back(holder, d, note);
    }
}

void bond_put_back(struct district *const *member, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        put_back(member[i], member, count);
    for (unsigned i = 0; i < count; i++)
        link_list_free(member[i]);
}

/* --- the order ------------------------------------------------------------------------------- */

static struct district *named_by(struct key k)
{
    struct district *d = &districts[k.value & (DISTRICT_MAX - 1)];
    return k.type == KEY_DISTRICT && d->instance == k.version && d->persistent ? d : NULL;
}

int order_freeze(struct call *c, struct district *d)
{
    struct district *member[BOND_MAX] = {d};
    struct district_frozen frozen[BOND_MAX];
    struct pieces p;
    if (c->w[0] >= BOND_MAX)
        return BW_ARGUMENT;
    unsigned count = (unsigned)c->w[0] + 1;
    for (unsigned i = 1; i < count; i++) {
        member[i] = named_by(c->k[i - 1]);
        if (member[i] == NULL)
            return BW_VOID;
    }
    int r = call_buffer(c, count * sizeof *frozen, &p);
    if (r == BW_OK)
        r = p.length < count * sizeof *frozen ? BW_ARGUMENT
                                              : bond_freeze(member, count, c->w[1] != 0, frozen);
    if (r != BW_OK)
        return r;
    for (unsigned i = 0; i < count; i++) {
        member[i]->made_frozen += member[i]->made;
        member[i]->made = 0;
    }
    c->out[0] = count;
    pieces_put(&p, 0, frozen, count * sizeof *frozen);
    c->out_length = count * sizeof *frozen;
    return BW_OK;
}
