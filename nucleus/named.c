/*
 * Named links and publications: the persistent tables of a district, in system objects, and the
 * volatile half of each named link in the link table (entries from LINKS on).
 *
 * The pages are brought in before the district runs and are never evicted, so looking something up
 * here never waits. Keys in them are not believed: they are checked when they are used.
 */
#include "link.h"
#include "cpu.h"
#include "panic.h"
#include "string.h"

#define PER_PAGE (BW_PAGE_SIZE / sizeof(struct named_link))
#define ENDED    128u /* runs that are remembered */

static struct object *page_of(struct district *d, oid_t first, uint64_t place)
{
    struct object *o = object_lookup(d, first + place / PER_PAGE);
    return o != NULL && o->type == OBJECT_PAGE ? o : NULL;
}

static struct named_link *named_at(struct district *d, uint64_t place)
{
    struct object *page = page_of(d, OID_NAMED_LINKS, place);
    return page == NULL ? NULL : (struct named_link *)page->data + place % PER_PAGE;
}

static struct publication *publication_at(struct district *d, uint64_t place)
{
    struct object *page = page_of(d, OID_PUBLICATIONS, place);
    return page == NULL ? NULL : (struct publication *)page->data + place % PER_PAGE;
}

static uint32_t link_places(struct district *d)
{
    uint32_t n = d->persistent ? district_system(d)->link_places : 0;
    return n < LINK_NAMED_MAX ? n : LINK_NAMED_MAX;
}

static uint32_t publication_places(struct district *d)
{
    uint32_t n = d->persistent ? district_system(d)->publication_places : 0;
    return n < PUBLICATIONS_MAX ? n : PUBLICATIONS_MAX;
}

static int load_table(struct district *d, oid_t first, uint32_t places)
{
    int waits = BW_OK;
    for (uint32_t p = 0; p < places; p += PER_PAGE) {
        struct object *page;
        int r = object_fetch(d, first + p / PER_PAGE, OBJECT_PAGE, &page);
        if (r == WAIT_OBJECT)
            waits = r; /* all are asked for at a time */
        else if (r != BW_OK)
            return r;
    }
    return waits;
}

int named_load(struct district *d)
{
    int links = load_table(d, OID_NAMED_LINKS, link_places(d));
    int publications = load_table(d, OID_PUBLICATIONS, publication_places(d));
    return links == BW_OK || publications == BW_VOID ? publications : links;
}

/** The domain that a start key of a district leads to; NULL: it is gone, or that is no such key. */
static struct activity *program_of(struct district *d, const struct key *k)
{
    struct object *o = k->type == KEY_START && keys_valid(k, 1) ? object_lookup(d, k->value) : NULL;
    bool there = o != NULL && o->type == OBJECT_DOMAIN && o->version == k->version;
    return there ? object_activity(o) : NULL;
}

static void post(struct district *d, const struct key *k)
{
    struct activity *a = program_of(d, k);
    if (a != NULL)
        domain_post(a, (uint64_t)1 << (k->tag & 63));
}

/** Asks the broker to look. */
static void tell_broker(struct district *d)
{
    post(COMMONS, &d->watcher);
}

static struct link_entry *half(struct district *d, uint64_t place)
{
    struct link_entry *e = link_entry_at(d, (unsigned)(LINKS + place));
    assert(e != NULL, "a named link has its volatile half");
    return e;
}

static void sever(struct link_entry *e, const struct named_link *n, enum link_reason reason)
{
    *e = (struct link_entry){.version = n->version,
                             .state = LINK_SEVERED,
                             .reason = (uint8_t)reason,
                             .wanted = n->mode != LINK_MANUAL || reason == LINK_OPENED,
                             .since = clock_now()};
}

int named_start(struct district *d)
{
    for (uint32_t i = 0; i < link_places(d); i++) {
        const struct named_link *n = named_at(d, i);
        if (link_room(d, LINKS + i) != BW_OK)
            return BW_NOMEM;
        if (n->mode != LINK_FREE)
            sever(half(d, i), n, n->connection == 0 ? LINK_OPENED : LINK_RESTARTED);
    }
    tell_broker(d);
    return BW_OK;
}

/* --- making entries ------------------------------------------------------------------------ */

/** A place of a table is made ready to be changed, with the system page. @return BW_OK, WAIT_* */
static int ready_place(struct district *d, oid_t first, uint32_t place, uint32_t places)
{
    struct object *page = page_of(d, first, place);
    int r = object_make_writable(d->system);
    if (r == BW_OK && page == NULL && place == places)
        r = object_create(d, first + place / PER_PAGE, OBJECT_PAGE, &page);
    else if (r == BW_OK)
        r = page == NULL ? BW_BROKEN : object_make_writable(page);
    return r;
}

/** Whether it is a text with nothing but zeros behind it, so that comparing bytes compares texts.
 */
static bool text_padded(const char *text, size_t size)
{
    size_t n = 0;
    while (n < size && text[n] != 0)
        n++;
    if (n == size)
        return false;
    while (n < size && text[n] == 0)
        n++;
    return n == size;
}

int named_open(struct district *d, const struct link_params *p, struct key notice, struct key *link)
{
    if (!text_padded(p->district, sizeof p->district) || !text_padded(p->name, sizeof p->name) ||
        p->district[0] == 0 || p->name[0] == 0 || p->mode < LINK_NOTIFY || p->mode > LINK_MANUAL ||
        (notice.type != KEY_START && notice.type != KEY_VOID))
        return BW_ARGUMENT;
    if (!d->persistent)
        return BW_REFUSED;
    uint32_t place = 0, places = link_places(d), version;
    while (place < places && named_at(d, place)->mode != LINK_FREE)
        place++;
    if (place == LINK_NAMED_MAX)
        return BW_LIMIT;
    int r = link_room(d, LINKS + place);
    if (r == BW_OK)
        r = ready_place(d, OID_NAMED_LINKS, place, places);
    if (r == BW_OK)
        r = link_next_version(d, &version);
    if (r != BW_OK)
        return r;
    if (place == places)
        district_system(d)->link_places++;
    struct named_link *n = named_at(d, place);
    *n = (struct named_link){.version = version, .mode = p->mode, .notice = notice};
    memcpy(n->district, p->district, sizeof n->district);
    memcpy(n->name, p->name, sizeof n->name);
    sever(half(d, place), n, LINK_OPENED);
    *link = (struct key){.type = KEY_LINK, .version = version, .value = LINKS + place};
    tell_broker(d);
    return BW_OK;
}

/** The place of a published name, or the first free one; *found tells which. */
static uint32_t publication_place(struct district *d, const char *name, bool *found)
{
    uint32_t places = publication_places(d), vacant = places;
    *found = false;
    for (uint32_t i = 0; i < places; i++) {
        const struct publication *p = publication_at(d, i);
        if (p->name[0] == 0 && vacant == places)
            vacant = i;
        if (memcmp(p->name, name, sizeof p->name) == 0) {
            *found = true;
            return i;
        }
    }
    return vacant;
}

int named_publish(struct district *d, const struct publication_params *p, struct key k)
{
    bool found;
    if (!text_padded(p->name, sizeof p->name) || p->name[0] == 0 ||
        !text_padded(p->access, sizeof p->access) || (k.type != KEY_START && k.type != KEY_VOID))
        return BW_ARGUMENT;
    if (!d->persistent)
        return BW_REFUSED;
    uint32_t places = publication_places(d), place = publication_place(d, p->name, &found);
    if (k.type == KEY_VOID && !found)
        return BW_ABSENT;
    if (place == PUBLICATIONS_MAX)
        return BW_LIMIT;
    int r = ready_place(d, OID_PUBLICATIONS, place, places);
    if (r != BW_OK)
        return r;
    struct publication *entry = publication_at(d, place);
    memset(entry, 0, sizeof *entry);
    if (k.type != KEY_VOID) {
        entry->key = k;
        memcpy(entry->name, p->name, sizeof entry->name);
        memcpy(entry->access, p->access, sizeof entry->access);
    }
    if (place == places)
        district_system(d)->publication_places++;
    tell_broker(d);
    return BW_OK;
}

const struct publication *named_find(struct district *d, const char *name)
{
    bool found;
    uint32_t place = publication_place(d, name, &found);
    if (!found)
        return NULL;
    const struct publication *p = publication_at(d, place);
    return program_of(d, &p->key) != NULL ? p : NULL;
}

/* --- the life of a link -------------------------------------------------------------------- */

struct named_link *named_of(struct district *d, struct key link)
{
    if (link.type != KEY_LINK || link.value < LINKS || link.value - LINKS >= link_places(d))
        return NULL;
    struct named_link *n = named_at(d, link.value - LINKS);
    return n->mode != LINK_FREE && n->version == link.version ? n : NULL;
}

static struct key key_to(uint64_t place, uint32_t version)
{
    uint64_t index = place < LINK_NAMED_MAX ? LINKS + place : 0;
    return (struct key){.type = KEY_LINK, .version = version, .value = index};
}

int named_establish(struct district *d, uint64_t place, uint32_t version, struct district *to,
                    struct key target)
{
    static const uint8_t nobody[16];
    struct named_link *n = named_of(d, key_to(place, version));
    if (n == NULL)
        return BW_ABSENT;
    if (memcmp(n->peer, nobody, sizeof nobody) != 0 && memcmp(n->peer, to->id, sizeof n->peer) != 0)
        return BW_REFUSED;
    if (!object_force_writable(page_of(d, OID_NAMED_LINKS, place)))
        return BW_NOMEM;
    bool first = n->connection++ == 0;
    if (first || n->mode == LINK_AUTO)
        n->acknowledged = n->connection;
    memcpy(n->peer, to->id, sizeof n->peer);
    *half(d, place) = (struct link_entry){
        .target = target,
        .version = version,
        .instance = to->instance,
        .district = to->slot,
        .state = n->acknowledged == n->connection ? LINK_LIVE : LINK_RELINKED,
        .since = clock_now(),
    };
    post(d, &n->notice);
    return BW_OK;
}

void named_put_back(struct district *d, struct district *to, const struct bonded_link *note)
{
    uint64_t place = note->index - LINKS;
    struct named_link *n = named_of(d, key_to(place, note->version));
    if (n == NULL || memcmp(n->peer, to->id, sizeof n->peer) != 0 || note->target.type != KEY_START)
        return;
    *half(d, place) = (struct link_entry){
        .target = note->target,
        .version = note->version,
        .instance = to->instance,
        .district = to->slot,
        .state = n->acknowledged == n->connection ? LINK_LIVE : LINK_RELINKED,
        .messages = note->messages,
        .since = clock_now(),
    };
}

int named_refuse(struct district *d, uint64_t place, uint32_t version, enum link_reason reason)
{
    struct named_link *n = named_of(d, key_to(place, version));
    if (n == NULL)
        return BW_ABSENT;
    struct link_entry *e = half(d, place);
    if (e->state == LINK_SEVERED && e->reason == reason)
        return BW_OK; /* nothing new */
    bw_time_t since = e->state == LINK_SEVERED ? e->since : clock_now();
    bool wanted = e->wanted;
    sever(e, n, reason);
    e->wanted = wanted || n->mode != LINK_MANUAL;
    e->since = since;
    post(d, &n->notice);
    return BW_OK;
}

int named_acknowledge(struct district *d, struct key link, uint64_t connection)
{
    struct named_link *n = named_of(d, link);
    if (n == NULL)
        return BW_SEVERED;
    if (connection != n->connection)
        return connection < n->connection ? BW_AGAIN : BW_ARGUMENT;
    int r = object_make_writable(page_of(d, OID_NAMED_LINKS, link.value - LINKS));
    if (r != BW_OK)
        return r;
    n->acknowledged = connection;
    struct link_entry *e = half(d, link.value - LINKS);
    if (e->state == LINK_RELINKED)
        e->state = LINK_LIVE;
    return BW_OK;
}

int named_reopen(struct district *d, struct key link)
{
    struct named_link *n = named_of(d, link);
    if (n == NULL)
        return BW_SEVERED;
    struct link_entry *e = half(d, link.value - LINKS);
    if (link_cut(e)) {
        e->wanted = true;
        tell_broker(d);
    }
    return BW_OK;
}

int named_lost(struct district *d, struct key link)
{
    const struct named_link *n = named_of(d, link);
    if (n == NULL)
        return BW_VOID;
    sever(half(d, link.value - LINKS), n, LINK_NO_NAME);
    tell_broker(d);
    return BW_SEVERED;
}

int named_drop(struct district *d, struct key link)
{
    struct named_link *n = named_of(d, link);
    if (n == NULL)
        return BW_SEVERED;
    int r = object_make_writable(page_of(d, OID_NAMED_LINKS, link.value - LINKS));
    if (r != BW_OK)
        return r;
    memset(n, 0, sizeof *n);
    memset(half(d, link.value - LINKS), 0, sizeof(struct link_entry));
    return BW_OK;
}

/* --- reports --------------------------------------------------------------------------------- */

/** The last runs that ended: links are cut by that itself, and nothing is written into them. */
static struct ended {
    uint16_t slot;
    uint32_t instance;
    bw_time_t at;
    char name[DISTRICT_NAME_MAX];
} ended[ENDED];
static unsigned ended_next;

void named_note_end(const struct district *d)
{
    struct ended *n = &ended[ended_next++ % ENDED];
    *n = (struct ended){.slot = d->slot, .instance = d->instance, .at = clock_now()};
    memcpy(n->name, d->name, sizeof n->name);
}

/** Of the run that a link leads to, or a note that says nothing: too many have ended since. */
static struct ended end_of(const struct link_entry *e)
{
    for (unsigned i = 0; i < ENDED; i++)
        if (ended[i].slot == e->district && ended[i].instance == e->instance)
            return ended[i];
    return (struct ended){0};
}

static void describe(struct district *d, uint64_t index, const struct link_entry *e,
                     struct link_line *line)
{
    struct ended end = end_of(e);
    *line = (struct link_line){.state = e->state,
                               .reason = e->reason,
                               .version = e->version,
                               .messages = e->messages,
                               .since = e->since,
                               .wanted = e->wanted,
                               .waiting = e->target.type == KEY_RESUME};
    if (e->target.type != KEY_VOID && link_cut(e)) {
        line->state = LINK_SEVERED;
        line->reason = LINK_PEER_ENDED;
        line->since = end.at;
    }
    if (index < LINKS) {
        bool same = districts[e->district].instance == e->instance;
        memcpy(line->district, same ? districts[e->district].name : end.name,
               sizeof line->district);
        return;
    }
    const struct named_link *n = named_at(d, index - LINKS);
    memcpy(line->district, n->district, sizeof line->district);
    memcpy(line->name, n->name, sizeof line->name);
    line->mode = n->mode;
    line->connection = n->connection;
    line->wanted = e->wanted || (line->state == LINK_SEVERED && n->mode != LINK_MANUAL);
}

int named_line(struct district *d, uint64_t *index, struct link_line *line)
{
    /* named ones first: 0 .. LINK_NAMED_MAX - 1, then the others */
    uint64_t i = *index;
    for (; i < link_places(d); i++)
        if (named_at(d, i)->mode != LINK_FREE) {
            *index = i;
            describe(d, LINKS + i, half(d, i), line);
            return BW_OK;
        }
    i = i < LINK_NAMED_MAX ? LINK_NAMED_MAX : i;
    for (; i - LINK_NAMED_MAX < d->links.limit; i++) {
        const struct link_entry *e = link_entry_at(d, (unsigned)(i - LINK_NAMED_MAX));
        if (e->target.type == KEY_VOID)
            continue;
        *index = i;
        describe(d, i - LINK_NAMED_MAX, e, line);
        return BW_OK;
    }
    return BW_ABSENT;
}
