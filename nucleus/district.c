#include "district.h"
#include "cpu.h"
#include "frame.h"
#include "link.h"
#include "paging.h"
#include "panic.h"
#include "string.h"

struct district districts[DISTRICT_MAX];
bw_time_t realtime_offset;

void district_init(void)
{
    for (unsigned i = 0; i < DISTRICT_MAX; i++)
        districts[i].slot = (uint16_t)i;
    COMMONS->state = DISTRICT_RUNNING;
    COMMONS->instance = 1;
    COMMONS->incarnation = 1;
    COMMONS->incarnation_random = rdtsc();
    COMMONS->budget = INT64_MAX;
    memcpy(COMMONS->name, "commons", 8);
}

struct key district_key(const struct district *d)
{
    return (struct key){.type = KEY_DISTRICT, .version = d->instance, .value = d->slot};
}

bw_time_t district_deadline(const struct district *d, bw_time_t monotonic)
{
    bw_time_t now = clock_now(), theirs = now + d->monotonic_offset;
    if (monotonic <= theirs)
        return 0;
    monotonic -= theirs;
    return monotonic < BW_NO_DEADLINE - 1 - now ? now + monotonic : BW_NO_DEADLINE - 1;
}

struct system_page *district_system(struct district *d)
{
    return (struct system_page *)d->system->data;
}

struct district *district_find(const void *id)
{
    for (struct district *d = districts + 1; d < districts + DISTRICT_MAX; d++)
        if (d->state != DISTRICT_EMPTY && memcmp(d->id, id, sizeof d->id) == 0)
            return d;
    return NULL;
}

int district_create(const struct district_params *p, struct key *out)
{
    struct district *d = NULL;
    if (district_find(p->id) != NULL)
        return BW_EXISTS;
    for (unsigned i = 1; i < DISTRICT_MAX && d == NULL; i++)
        if (districts[i].state == DISTRICT_EMPTY)
            d = &districts[i];
    if (d == NULL)
        return BW_LIMIT;
    struct district fresh = {.slot = d->slot, .instance = d->instance + 1};
    *d = fresh;
    d->persistent = true;
    d->incarnation = p->incarnation;
    d->incarnation_random = p->incarnation_random;
    memcpy(d->entropy, p->entropy, sizeof d->entropy);
    memcpy(d->id, p->id, sizeof d->id);
    memcpy(d->bond, p->bond, sizeof d->bond);
    d->instant = p->instant;
    d->started_from = p->from;
    d->start_reason = p->reason;
    d->started_at = clock_now();
    d->generation = p->generation;
    d->epoch = p->generation + 1;
    memcpy(d->name, p->name, sizeof d->name - 1);
    d->budget = INT64_MAX;
    d->committed_at = clock_now();
    d->state = DISTRICT_LOADING;
    d->load_cursor = UINT64_MAX; /* DISTRICT_START has not come */
    *out = district_key(d);
    return BW_OK;
}

/* --- what is wanted from the store ------------------------------------------------------------ */

/** Its store server, NULL if that has ended. */
static struct activity *server_of(const struct district *d)
{
    struct key k = d->binding;
    struct object *o = k.type == KEY_START ? object_lookup(COMMONS, k.value) : NULL;
    bool there = o != NULL && o->type == OBJECT_DOMAIN && o->version == k.version;
    return there ? object_activity(o) : NULL;
}

void district_notify(struct district *d)
{
    struct activity *server = server_of(d);
    if (server != NULL)
        domain_post(server, (uint64_t)1 << (d->binding.tag & 63));
}

static void share_with_server(struct district *d, const struct district *share)
{
    struct activity *server = server_of(d);
    if (server != NULL)
        domain_share(server, share);
}

void district_bind(struct district *d, struct key server)
{
    share_with_server(d, COMMONS);
    d->binding = server;
    share_with_server(d, d);
    for (unsigned i = 0; i < WANTS; i++)
        d->wants[i].told = false; /* a new server starts from nothing */
    district_notify(d);
}

void district_want(struct district *d, oid_t oid)
{
    struct want *place = NULL;
    for (unsigned i = 0; i < WANTS; i++) {
        if (d->wants[i].oid == oid)
            return;
        if (d->wants[i].oid == 0 && place == NULL)
            place = &d->wants[i];
    }
    if (place == NULL)
        return;
    *place = (struct want){.oid = oid};
    d->want_count++;
    district_notify(d);
}

static void want_done(struct district *d, oid_t oid)
{
    for (unsigned i = 0; i < WANTS; i++)
        if (d->wants[i].oid == oid) {
            d->wants[i].oid = 0;
            d->want_count--;
        }
}

/** It could not be taken: the server is to be told again. */
static void want_again(struct district *d, oid_t oid)
{
    for (unsigned i = 0; i < WANTS; i++)
        if (d->wants[i].oid == oid)
            d->wants[i].told = false;
}

/** Those who waited for this object, or found the table full, go on. */
static void wake_fetchers(struct district *d, oid_t oid)
{
    bool all = d->want_count == WANTS - 1;
    for (struct activity *a = d->fetch_waiters.first, *next; a != NULL; a = next) {
        next = a->next;
        if (a->wants != oid && !all)
            continue;
        queue_remove(a);
        /* Who fetches one object after the other is not to wait a turn of the others for each. */
        if (activity_frame(a)->state == DOMAIN_RUNNING)
            schedule_first(a);
        else
            domain_wake(a);
    }
}

/* --- loading ---------------------------------------------------------------------------------- */

static void fail(struct district *d, const char *why)
{
    log_line("district %s: cannot be loaded: %s", d->name, why);
    d->state = DISTRICT_FAILED;
    district_notify(d);
}

static bool system_valid(const struct system_page *s)
{
    return s->magic == SYSTEM_MAGIC && s->abi_version == NUCLEUS_ABI_VERSION &&
           s->domain_places <= OID_DOMAIN_LIST_PAGES * 512u && s->link_places <= LINK_NAMED_MAX &&
           s->publication_places <= PUBLICATIONS_MAX && s->bonded_links <= BONDED_LINKS_MAX &&
           (s->cpu_features & ~fpu_features()) == 0;
}

/** Clocks go on from the snapshot; BOOTTIME adds the time it was down. */
static void set_clocks(struct district *d, const struct system_page *s)
{
    bw_time_t now = clock_now(), real = now + realtime_offset;
    bw_time_t down = s->realtime != 0 && real > s->realtime ? real - s->realtime : 0;
    d->monotonic_offset = s->monotonic - now;
    d->boottime_offset = s->boottime + down - now;
}

/** A domain that was loaded goes on: what it waited for outside is over, its deadline counts again,
 * and a server is told, now or when it next waits. */
static void start_domain(struct district *d, struct activity *a)
{
    struct domain_frame *f = activity_frame(a);
    domain_refresh(a);
    if (f->state == DOMAIN_WAITING && (f->flags & DOMAIN_OUTSIDE) && !a->kept)
        invoke_answer(a, BW_RESTARTED);
    else if (f->state == DOMAIN_RUNNING)
        schedule_ready(a);
    else if (f->state == DOMAIN_AVAILABLE && f->deadline != BW_NO_DEADLINE)
        schedule_set_deadline(a, district_deadline(d, f->deadline));
    if (f->state != DOMAIN_STOPPED && !(f->flags & DOMAIN_FOREIGN))
        domain_post(a, POST_RESTARTED);
}

static void run(struct district *d)
{
    struct system_page *s = district_system(d);
    if (s->cpu_features != fpu_features() && object_make_writable(d->system) == BW_OK)
        s->cpu_features = fpu_features();
    for (struct object *o = d->all; o != NULL; o = o->all.next)
        if (o->type == OBJECT_DOMAIN)
            start_domain(d, object_activity(o));
    d->committed_at = clock_now();
    district_notify(d);
}

/** It is all there, and runs when those are that it is bonded with. */
static void run_bonded(struct district *d)
{
    struct district *member[BOND_MAX];
    d->loaded = true;
    unsigned count = bond_ready(d, member);
    for (unsigned i = 0; i < count; i++)
        if (named_start(member[i]) != BW_OK) {
            d->starved = true; /* there is no memory for its link table */
            return;
        }
    for (unsigned i = 0; i < count; i++)
        member[i]->state = DISTRICT_RUNNING;
    bond_put_back(member, count);
    for (unsigned i = 0; i < count; i++)
        run(member[i]);
}

/** The domain in a place of the list is asked for, or the page with the place: then the next place
 * to look at is that page's last. @return BW_OK: is there or nothing is; WAIT_OBJECT; BW_DAMAGED */
static int load_place(struct district *d, size_t *at)
{
    size_t place = *at;
    struct object *list, *domain;
    int r = object_fetch(d, OID_DOMAIN_LIST + place / 512, OBJECT_PAGE, &list);
    if (r != BW_OK) {
        *at = place | 511;
        return r == BW_VOID ? BW_OK : r;
    }
    oid_t oid = ((oid_t *)list->data)[place % 512];
    if (oid == 0)
        return BW_OK;
    r = object_fetch(d, oid, OBJECT_DOMAIN, &domain);
    if (r == BW_VOID)
        return BW_DAMAGED;
    return r;
}

void district_load(struct district *d)
{
    if (d->state != DISTRICT_LOADING || d->load_cursor == UINT64_MAX)
        return;
    int r = BW_OK;
    if (d->system == NULL) {
        struct object *o;
        r = object_fetch(d, OID_SYSTEM, OBJECT_PAGE, &o);
        if (r == WAIT_OBJECT)
            return;
        if (r != BW_OK || !system_valid((struct system_page *)o->data)) {
            fail(d, "its system page is missing, of another version, or needs CPU features that "
                    "this machine lacks");
            return;
        }
        d->system = o;
        set_clocks(d, district_system(d));
    }
    r = named_load(d);
    if (r != BW_VOID) {
        int bonded = bond_load(d);
        r = r == BW_OK || bonded == BW_VOID ? bonded : r;
    }
    if (r == BW_VOID) {
        fail(d, "a page of its link tables is missing");
        return;
    }
    size_t places = district_system(d)->domain_places;
    bool waiting = r != BW_OK;
    /* Many are asked for at a time; the cursor passes those that are there. */
    for (size_t p = d->load_cursor; p < places && d->want_count < WANTS; p++) {
        r = load_place(d, &p);
        if (r == BW_DAMAGED) {
            fail(d, "a domain of its list is missing");
            return;
        }
        if (r != BW_OK)
            waiting = true;
        else if (!waiting)
            d->load_cursor = p + 1;
    }
    if (!waiting && d->load_cursor >= places && !d->loaded)
        run_bonded(d);
}

int district_supply(struct district *d, const struct object_header *h, const uint8_t *bytes)
{
    if (h->oid == 0 || h->oid >= OID_LIMIT || h->type > OBJECT_DOMAIN)
        return BW_ARGUMENT;
    if (bytes != NULL && !object_content_valid((enum object_type)h->type, bytes))
        return BW_DAMAGED;
    if (bytes == NULL && h->type == OBJECT_DOMAIN)
        return BW_DAMAGED;
    int r = object_install(d, h->oid, (enum object_type)h->type, h->version, bytes);
    if (r == BW_NOMEM) {
        want_again(d, h->oid);
        d->starved = true;
    }
    if (r != BW_OK && r != BW_EXISTS)
        return r;
    if (r == BW_OK) {
        d->fetched++;
        statistics.fetched++;
    }
    want_done(d, h->oid);
    if (d->state == DISTRICT_LOADING)
        district_load(d);
    wake_fetchers(d, h->oid);
    return BW_OK;
}

/* --- ending ----------------------------------------------------------------------------------- */

int district_kill(struct district *d)
{
    if (d->state != DISTRICT_ENDING) {
        d->state = DISTRICT_ENDING;
        d->snapshot = false; /* what is left of it must not be committed */
        named_note_end(d);
    }
    bool told = link_sever_waiters(d);
    for (unsigned i = 0; i < 1024 && d->all != NULL; i++)
        object_discard(d->all);
    if (!told || d->all != NULL)
        return BW_AGAIN;
    link_forget_all(d);
    share_with_server(d, COMMONS);
    d->state = DISTRICT_EMPTY;
    return BW_OK;
}

/* --- the domain list -------------------------------------------------------------------------- */

static int list_set(struct district *d, uint32_t place, oid_t oid)
{
    struct object *list;
    oid_t id = OID_DOMAIN_LIST + place / 512;
    int r = object_fetch(d, id, OBJECT_PAGE, &list);
    if (r == BW_VOID && oid != 0)
        r = object_create(d, id, OBJECT_PAGE, &list);
    else if (r == BW_OK)
        r = object_make_writable(list);
    if (r == BW_OK)
        ((oid_t *)list->data)[place % 512] = oid;
    return r;
}

/** A free place: a hole that is in memory, or behind the last. */
static uint32_t free_place(struct district *d)
{
    uint32_t places = district_system(d)->domain_places;
    for (uint32_t page = 0; page * 512 < places; page++) {
        struct object *list = object_lookup(d, OID_DOMAIN_LIST + page);
        if (list == NULL || list->type != OBJECT_PAGE)
            continue;
        const oid_t *oids = (const oid_t *)list->data;
        for (uint32_t i = 0; i < 512 && page * 512 + i < places; i++)
            if (oids[i] == 0)
                return page * 512 + i;
    }
    return places;
}

int district_list_domain(struct district *d, oid_t oid, uint32_t *place)
{
    uint32_t at = free_place(d);
    if (at >= OID_DOMAIN_LIST_PAGES * 512u)
        return BW_LIMIT;
    int r = object_make_writable(d->system);
    if (r == BW_OK)
        r = list_set(d, at, oid);
    if (r != BW_OK)
        return r;
    if (at == district_system(d)->domain_places)
        district_system(d)->domain_places++;
    *place = at;
    return BW_OK;
}

int district_unlist_domain(struct district *d, uint32_t place)
{
    return list_set(d, place, 0);
}

/* --- reports ---------------------------------------------------------------------------------- */

void district_crash(struct district *d, struct object *domain, uint64_t code, uint64_t error,
                    uint64_t address)
{
    struct domain_frame *f = (struct domain_frame *)domain->data;
    log_line("district %s: domain %lu crashed: fault %lx error %lx address %lx rip %lx", d->name,
             domain->oid, code, error, address, f->regs.rip);
    d->crashed = true;
    d->crash_oid = domain->oid;
    d->crash_code = code;
    d->crash_error = error;
    d->crash_address = address;
    d->crash_rip = f->regs.rip;
    district_notify(d);
}

void district_log(struct district *d, const char *bytes, size_t n)
{
    log_bytes(d->name, 8);
    log_bytes(": ", 2);
    log_bytes(bytes, (unsigned)n);
    size_t room = DISTRICT_LOG_MAX - d->log_length;
    if (n > room) { /* the oldest goes; self_log sends less than there is room for */
        memmove(d->log, d->log + (n - room), d->log_length - (n - room));
        d->log_length -= (uint32_t)(n - room);
    }
    memcpy(d->log + d->log_length, bytes, n);
    d->log_length += (uint32_t)n;
}

void district_status(const struct district *d, struct district_status *out)
{
    *out = (struct district_status){
        .state = d->state,
        .crashed = d->crashed,
        .pressed = d->pressed,
        .generation = d->generation,
        .epoch = d->epoch,
        .incarnation = d->incarnation,
        .objects = d->objects,
        .dirty = d->changes[d->epoch & 1].count,
        .snapshot_left = d->snapshot ? d->changes[d->snapshot_epoch & 1].count : 0,
        .domains = d->domains,
        .committed_at = d->committed_at,
        .crash_oid = d->crash_oid,
        .crash_code = d->crash_code,
        .crash_error = d->crash_error,
        .crash_address = d->crash_address,
        .crash_rip = d->crash_rip,
    };
    memcpy(out->name, d->name, sizeof out->name);
}
