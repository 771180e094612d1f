// sources: fake_machine.h
/*
 * Bonds: districts are frozen at one instant or not at all; after they start again together, links
 * between them are what they were in the snapshot and who waits for a reply through one waits on,
 * while links to others are severed. Random histories of three districts in a bond and one beside
 * it, against a model of who holds what; and stores that claim links that there never were.
 */
#include "fake_machine.h"
#include "link.h"

#define BONDED  3u /* districts 0, 1 and 2; district 3 is in no bond */
#define SIDES   4u
#define DOMAINS 6u
#define HELD    64u

/* --- stores ---------------------------------------------------------------------------------- */

struct stored {
    struct object_header header;
    uint8_t bytes[BW_PAGE_SIZE];
};

static struct {
    struct stored object[64];
    unsigned count;
    uint64_t generation;
} store[SIDES];

static struct district *side[SIDES];

static struct stored *stored(unsigned i, oid_t oid)
{
    for (unsigned n = 0; n < store[i].count; n++)
        if (store[i].object[n].header.oid == oid)
            return &store[i].object[n];
    return NULL;
}

static void commit(unsigned i)
{
    struct district *d = side[i];
    struct object *o;
    while ((o = snapshot_next(d, NULL)) != NULL) {
        struct object_header h;
        const uint8_t *bytes;
        ck_assert_int_eq(snapshot_describe(o, &h, &bytes), BW_OK);
        struct stored *s = stored(i, o->oid);
        if (s == NULL) {
            ck_assert_uint_lt(store[i].count, 64);
            s = &store[i].object[store[i].count++];
        }
        s->header = h;
        memset(s->bytes, 0, sizeof s->bytes);
        if (bytes != NULL)
            memcpy(s->bytes, bytes, sizeof s->bytes);
        snapshot_pulled(d, o);
    }
    store[i].generation = d->snapshot_epoch;
    ck_assert_int_eq(snapshot_committed(d, d->snapshot_epoch), BW_OK);
}

static void supply_all(unsigned i)
{
    struct district *d = side[i];
    while (d->want_count > 0)
        for (unsigned n = 0; n < WANTS; n++) {
            if (d->wants[n].oid == 0)
                continue;
            const struct stored *s = stored(i, d->wants[n].oid);
            struct object_header none = {.oid = d->wants[n].oid};
            bool bytes = s != NULL && s->header.flags & OBJECT_BYTES;
            ck_assert_int_eq(
                district_supply(d, s == NULL ? &none : &s->header, bytes ? s->bytes : NULL), BW_OK);
        }
}

/* --- districts ------------------------------------------------------------------------------- */

static struct district *create(unsigned i, bw_time_t instant)
{
    struct district_params p = {.generation = store[i].generation, .id = {(uint8_t)(i + 1), 9}};
    struct key k;
    p.name[0] = (char)('a' + i);
    if (i < BONDED && instant != 0) {
        p.bond[1] = 77;
        p.instant = instant;
    }
    ck_assert_int_eq(district_create(&p, &k), BW_OK);
    return side[i] = &districts[k.value];
}

static void new_district(unsigned i)
{
    struct district *d = create(i, 0);
    struct object *o;
    ck_assert_int_eq(object_create(d, OID_SYSTEM, OBJECT_PAGE, &d->system), BW_OK);
    ck_assert_int_eq(object_create(d, OID_DOMAIN_LIST, OBJECT_PAGE, &o), BW_OK);
    district_system(d)->magic = SYSTEM_MAGIC;
    district_system(d)->abi_version = NUCLEUS_ABI_VERSION;
    d->state = DISTRICT_RUNNING;
    for (unsigned n = 0; n < DOMAINS; n++)
        ck_assert_int_eq(object_create(d, OID_FIRST_FREE + n, OBJECT_DOMAIN, &o), BW_OK);
}

static void set_up(void)
{
    memset(districts, 0, sizeof districts);
    memset(store, 0, sizeof store);
    object_init(4096);
    district_init();
    for (unsigned i = 0; i < SIDES; i++)
        new_district(i);
}

static void kill_side(unsigned i)
{
    while (district_kill(side[i]) == BW_AGAIN) {
    }
}

static void begin_loading(unsigned i)
{
    side[i]->load_cursor = 0;
    district_load(side[i]);
}

static struct activity *domain_of(unsigned i, unsigned n)
{
    struct object *o = object_lookup(side[i], OID_FIRST_FREE + n);
    ck_assert_ptr_nonnull(o);
    return object_activity(o);
}

static unsigned number_of(const struct district *d)
{
    for (unsigned i = 0; i < SIDES; i++)
        if (side[i] == d)
            return i;
    return SIDES;
}

/* --- the model: who holds what -------------------------------------------------------------- */

struct held {
    bool there;
    unsigned holder, to;
    struct key link, target;
};
static struct held now[HELD], frozen[HELD];

static struct held *free_place(void)
{
    for (unsigned n = 0; n < HELD; n++)
        if (!now[n].there)
            return &now[n];
    return NULL;
}

static void hold(unsigned holder, unsigned to, struct key link, struct key target)
{
    struct held *h = free_place();
    if (h == NULL) {
        link_free(side[holder], link);
        return;
    }
    *h = (struct held){.there = true, .holder = holder, .to = to, .link = link, .target = target};
}

static bool held_already(unsigned holder, struct key link)
{
    for (unsigned n = 0; n < HELD; n++)
        if (now[n].there && now[n].holder == holder && keys_same(now[n].link, link))
            return true;
    return false;
}

static void give_start(unsigned from, unsigned to)
{
    const struct object *o = domain_of(from, (unsigned)random() % DOMAINS)->domain;
    struct key target = {
        .type = KEY_START, .tag = (uint16_t)(random() % 3), .version = o->version, .value = o->oid};
    struct key link = link_cross(side[from], side[to], target);
    ck_assert_uint_eq(link.type, KEY_LINK);
    if (!held_already(to, link) && free_place() != NULL)
        hold(to, from, link, target);
}

/** A domain of `from` calls into `to` and waits. */
static void call(unsigned from, unsigned to)
{
    struct activity *a = domain_of(from, (unsigned)random() % DOMAINS);
    struct domain_frame *f = activity_frame(a);
    if (f->state == DOMAIN_WAITING || free_place() == NULL)
        return;
    ck_assert(object_force_writable(a->domain));
    f = activity_frame(a);
    queue_remove(a);
    domain_set_state(a, DOMAIN_WAITING);
    f->flags |= DOMAIN_OUTSIDE;
    struct key target = {.type = KEY_RESUME,
                         .tag = (uint16_t)(f->call_count >> 32),
                         .version = (uint32_t)f->call_count,
                         .value = a->domain->oid};
    struct key link = link_cross(side[from], side[to], target);
    ck_assert_uint_eq(link.type, KEY_LINK);
    hold(to, from, link, target);
}

static struct activity *caller(const struct held *h)
{
    return object_activity(object_lookup(side[h->to], h->target.value));
}

/** One that is held is used, passed on, or let go. */
static void use(struct held *h)
{
    struct district *to;
    struct key target;
    if (!h->there)
        return;
    ck_assert_int_eq(link_resolve(side[h->holder], h->link, &to, &target), BW_OK);
    ck_assert_uint_eq(number_of(to), h->to);
    ck_assert(keys_same(target, h->target));
    unsigned next = (unsigned)random() % SIDES;
    if (next != h->holder && next != h->to && random() % 2) {
        struct held was = *h;
        if (target.type == KEY_RESUME) {
            struct key moved = link_cross(side[was.holder], side[next], was.link);
            *h = (struct held){
                .there = true, .holder = next, .to = was.to, .link = moved, .target = target};
        }
        return;
    }
    if (target.type == KEY_RESUME)
        invoke_answer(caller(h), 5);
    link_free(side[h->holder], h->link);
    h->there = false;
}

static void look(bool whole)
{
    for (unsigned n = 0; n < HELD; n++) {
        struct held *h = &now[n];
        struct district *to;
        struct key target;
        if (!h->there)
            continue;
        int r = link_resolve(side[h->holder], h->link, &to, &target);
        bool kept = whole && h->holder < BONDED && h->to < BONDED;
        ck_assert_int_eq(r, kept ? BW_OK : BW_SEVERED);
        if (kept)
            ck_assert(number_of(to) == h->to && keys_same(target, h->target));
        if (h->target.type == KEY_RESUME && h->to < BONDED)
            ck_assert_int_eq(activity_frame(caller(h))->state == DOMAIN_WAITING, kept);
        h->there = kept;
    }
}

static void freeze_all(void)
{
    struct district_frozen out[BOND_MAX];
    int r;
    while ((r = bond_freeze(side, BONDED, false, out)) == BW_AGAIN)
        for (unsigned i = 0; i < BONDED; i++)
            supply_all(i);
    ck_assert_int_eq(r, BW_OK);
    for (unsigned i = 0; i < BONDED; i++) {
        ck_assert_uint_eq(out[i].epoch, side[i]->snapshot_epoch);
        ck_assert(side[i]->snapshot);
    }
    memcpy(frozen, now, sizeof frozen);
}

/** Each with the others, or all alone. */
static void restart_all(bool together)
{
    for (unsigned i = 0; i < BONDED; i++)
        kill_side(i);
    for (unsigned i = BONDED; i-- > 0;)
        create(i, together ? 5 : 0);
    for (unsigned i = 0; i < BONDED; i++)
        begin_loading(i);
    for (unsigned i = 0; i < BONDED; i++) {
        for (unsigned k = 0; together && k < BONDED; k++)
            ck_assert_uint_eq(side[k]->state, DISTRICT_LOADING);
        supply_all(i);
    }
    for (unsigned i = 0; i < BONDED; i++)
        ck_assert_uint_eq(side[i]->state, DISTRICT_RUNNING);
    memcpy(now, frozen, sizeof now);
}

START_TEST(random_histories)
{
    srandom((unsigned)_i + 1);
    memset(now, 0, sizeof now);
    set_up();
    freeze_all();
    for (unsigned i = 0; i < BONDED; i++)
        commit(i);
    for (unsigned n = 0; n < 3000; n++) {
        unsigned from = (unsigned)random() % SIDES, to = (unsigned)random() % SIDES;
        unsigned what = (unsigned)random() % 100;
        if (what < 30 && from != to)
            give_start(from, to);
        else if (what < 60 && from != to)
            call(from, to);
        else if (what < 90)
            use(&now[random() % HELD]);
        else if (what < 95) {
            give_start(0, 1);
            ck_assert(object_force_writable(side[0]->system));
            freeze_all();
            for (unsigned i = 0; i < BONDED; i++)
                commit(i);
        } else if (what < 98) {
            /* What waits in the one that goes on hears of it: it is not in the frozen state. */
            restart_all(true);
            look(true);
        } else if (what < 99) {
            restart_all(false);
            look(false);
            ck_assert(object_force_writable(side[0]->system));
            freeze_all();
            for (unsigned i = 0; i < BONDED; i++)
                commit(i);
        }
    }
    for (unsigned i = 0; i < SIDES; i++)
        kill_side(i);
    ck_assert_uint_eq(frames_out, 0);
}
END_TEST

START_TEST(all_or_none)
{
    struct district_frozen out[BOND_MAX];
    struct district *twice[2] = {side[0], side[0]};
    set_up();
    twice[0] = twice[1] = side[0];
    ck_assert_int_eq(bond_freeze(twice, 2, false, out), BW_ARGUMENT);
    ck_assert_int_eq(bond_freeze(side, 2, false, out), BW_OK);
    ck_assert_int_eq(bond_freeze(side, 3, false, out), BW_BUSY);
    ck_assert(!side[2]->snapshot);
    commit(0);
    commit(1);
    ck_assert_int_eq(bond_freeze(side, 2, false, out), BW_CLEAN);
    ck_assert(object_force_writable(side[1]->system));
    uint64_t epoch = side[0]->epoch;
    ck_assert_int_eq(bond_freeze(side, 2, false, out), BW_OK); /* the one that is clean as well */
    ck_assert_uint_eq(out[0].epoch, epoch);
    ck_assert(side[0]->snapshot && side[1]->snapshot);
    commit(0);
    commit(1);
    side[1]->state = DISTRICT_FAILED;
    ck_assert(object_force_writable(side[0]->system));
    ck_assert_int_eq(bond_freeze(side, 2, false, out), BW_REFUSED);
    ck_assert(!side[0]->snapshot);
}
END_TEST

/** The table is sound: what is in it may be there, is counted, and is not free as well. */
static void look_at_table(struct district *d)
{
    unsigned used = 0, counted = 0, listed = 0, waiting = 0, limit = d->links.limit;
    for (unsigned i = 0; i < limit; i++) {
        const struct link_entry *e = link_entry_at(d, i);
        if (e->target.type == KEY_VOID)
            continue;
        used++;
        waiting += e->target.type == KEY_RESUME;
        ck_assert(keys_valid(&e->target, 1));
        ck_assert(e->target.type == KEY_START || e->target.type == KEY_RESUME ||
                  e->target.type == KEY_PAGE || e->target.type == KEY_SEGMENT);
        ck_assert(&districts[e->district] != d);
        ck_assert(e->version > 0 && e->version <= district_system(d)->link_version);
    }
    for (unsigned i = d->links.free; i != 0 && listed <= limit; i = link_entry_at(d, i - 1)->next) {
        ck_assert_uint_eq(link_entry_at(d, i - 1)->target.type, KEY_VOID);
        listed++;
    }
    for (unsigned i = d->links.waiters; i != 0 && waiting > 0; i = link_entry_at(d, i - 1)->next)
        waiting--;
    ck_assert_uint_eq(waiting, 0);
    for (unsigned i = 0; i < DISTRICT_MAX; i++)
        if (d->links.peer[i].instance == districts[i].instance)
            counted += d->links.peer[i].count;
    ck_assert_uint_eq(used, counted);
    ck_assert_uint_eq(used + listed, limit);
}

static void forge(struct bonded_link *note)
{
    static const uint8_t types[] = {KEY_PAGE,  KEY_NODE,    KEY_DOMAIN,
                                    KEY_RANGE, KEY_NUCLEUS, KEY_LINK};
    note->holder[0] = (uint8_t)(1 + random() % 3);
    note->holder[1] = 9;
    if (random() % 2)
        note->index = (uint32_t)(random() % 8 == 0 ? random() : random() % 12);
    if (random() % 2)
        note->version = (uint32_t)random() % 20;
    if (random() % 3 == 0)
        note->target.type = types[random() % 6];
    if (random() % 8 == 0)
        note->target.value = (uint64_t)random() << (random() % 33);
}

/** Whatever is noted in its system objects, a store opens no way into another district, and harms
 * no table. */
START_TEST(forged_notes)
{
    srandom((unsigned)_i + 1);
    memset(now, 0, sizeof now);
    set_up();
    for (unsigned n = 0; n < 8; n++) {
        give_start(0, 1);
        give_start(2, 1);
        call(0, 1);
    }
    freeze_all();
    for (unsigned i = 0; i < BONDED; i++)
        commit(i);
    struct stored *page = stored(0, OID_BONDED_LINKS), *system = stored(0, OID_SYSTEM);
    ck_assert(page != NULL && system != NULL);
    struct bonded_link *note = (struct bonded_link *)page->bytes;
    for (unsigned n = 0; n < 64; n++) {
        note[n] = note[random() % 8];
        forge(&note[n]);
    }
    ((struct system_page *)system->bytes)->bonded_links = 64;
    restart_all(true);
    for (unsigned i = 0; i < BONDED; i++)
        look_at_table(side[i]);
    for (unsigned n = 0; n < 100; n++)
        give_start(0, 1);
    look_at_table(side[1]);
    for (unsigned i = 0; i < SIDES; i++)
        kill_side(i);
    ck_assert_uint_eq(frames_out, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bond");
    TCase *t = tcase_create("bond");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, all_or_none);
    tcase_add_loop_test(t, random_histories, 0, 40);
    tcase_add_loop_test(t, forged_notes, 0, 200);
    suite_add_tcase(s, t);
    return run_suite(s);
}
