#include "link.h"
#include "frame.h"
#include "panic.h"
#include "string.h"

/* No district takes more than this many entries of another's table. */
#define QUOTA  (LINKS / 4)
#define FRAMES ((LINKS * sizeof(struct link_entry) + 4095) / 4096)

int link_init(struct district *d)
{
    if (d->links == NULL)
        d->links = frame_allocate_run(FRAMES);
    if (d->links == NULL)
        return BW_NOMEM;
    memset(d->links, 0, FRAMES * 4096);
    memset(d->link_count, 0, sizeof d->link_count);
    d->link_hint = 0;
    return BW_OK;
}

static void entry_clear(struct district *d, struct link_entry *e)
{
    if (e->target.type != KEY_VOID)
        d->link_count[e->district]--;
    e->target = key_void();
}

/** A link that nobody can use any more: its district has ended, or the caller has had its answer.
 */
static bool entry_dead(const struct link_entry *e)
{
    struct district *d = &districts[e->district];
    if (e->target.type == KEY_VOID || d->instance != e->instance || d->state != DISTRICT_RUNNING)
        return true;
    if (e->target.type != KEY_RESUME)
        return false;
    struct object *o = object_lookup(d, e->target.value);
    if (o == NULL || o->type != OBJECT_DOMAIN)
        return true;
    const struct domain_frame *f = (const struct domain_frame *)o->data;
    return f->call_count != key_call_count(e->target);
}

/** Versions of links are numbered by the holder, persistently, so that a key from a past never fits
 * again. */
static bool next_version(struct district *d, uint32_t *version)
{
    static uint32_t commons_version;
    if (!d->persistent) {
        *version = ++commons_version;
        return true;
    }
    if (!object_force_writable(d->system))
        return false;
    *version = ++district_system(d)->link_version;
    return true;
}

/** @return place of a free entry for a link to `to`, LINKS if there is none or the quota is used up
 */
static unsigned free_entry(struct district *d, const struct district *to)
{
    bool over = d->link_count[to->slot] >= QUOTA;
    for (unsigned n = 0; n < LINKS; n++) {
        unsigned i = (d->link_hint + n) % LINKS;
        struct link_entry *e = &d->links[i];
        if ((over && e->district != to->slot) || !entry_dead(e))
            continue;
        if (over && e->target.type == KEY_VOID)
            continue; /* only its own dead entries help it now */
        entry_clear(d, e);
        return i;
    }
    return LINKS;
}

static struct key link_make(struct district *d, struct district *to, struct key target)
{
    if (target.type == KEY_START) /* the same key again is the same link: that gives equality */
        for (unsigned i = 0; i < LINKS; i++) {
            const struct link_entry *e = &d->links[i];
            if (!entry_dead(e) && e->district == to->slot && memcmp(&e->target, &target, 16) == 0)
                return (struct key){.type = KEY_LINK, .version = e->version, .value = i};
        }
    unsigned found = free_entry(d, to);
    uint32_t version;
    if (found == LINKS || !next_version(d, &version))
        return key_void();
    d->link_count[to->slot]++;
    d->links[found] = (struct link_entry){
        .target = target, .version = version, .instance = to->instance, .district = to->slot};
    d->link_hint = found + 1;
    return (struct key){.type = KEY_LINK, .version = version, .value = found};
}

int link_resolve(struct district *d, struct key link, struct district **to, struct key *target)
{
    if (link.value >= LINKS)
        return BW_SEVERED;
    const struct link_entry *e = &d->links[link.value];
    if (e->target.type == KEY_VOID || e->version != link.version)
        return BW_SEVERED;
    struct district *other = &districts[e->district];
    if (other->instance != e->instance || other->state != DISTRICT_RUNNING)
        return BW_SEVERED;
    *to = other;
    *target = e->target;
    return BW_OK;
}

void link_free(struct district *d, struct key link)
{
    if (link.value >= LINKS || d->links[link.value].version != link.version)
        return;
    entry_clear(d, &d->links[link.value]);
    d->link_hint = (uint32_t)link.value;
}

struct key link_cross(struct district *from, struct district *to, struct key k)
{
    if (from == to || k.type == KEY_NUMBER)
        return k;
    if (k.type == KEY_START || k.type == KEY_RESUME)
        return link_make(to, from, k);
    if (k.type != KEY_LINK)
        return key_void();
    struct district *home;
    struct key target;
    if (link_resolve(from, k, &home, &target) != BW_OK)
        return key_void();
    struct key result = home == to ? target : link_make(to, home, target);
    if (target.type == KEY_RESUME && result.type != KEY_VOID)
        link_free(from, k); /* a resume link moves */
    return result;
}

static void forget(struct district *holder, uint16_t slot)
{
    for (unsigned i = 0; i < LINKS; i++)
        if (holder->links[i].target.type != KEY_VOID && holder->links[i].district == slot)
            entry_clear(holder, &holder->links[i]);
}

void link_sever_all(struct district *d)
{
    for (unsigned i = 0; i < LINKS; i++) {
        struct link_entry *e = &d->links[i];
        if (entry_dead(e) || e->target.type != KEY_RESUME)
            continue;
        struct object *o = object_lookup(&districts[e->district], e->target.value);
        if (o == NULL || o->type != OBJECT_DOMAIN)
            continue;
        struct activity *a = object_activity(o);
        struct domain_frame *f = activity_frame(a);
        if (f->state == DOMAIN_WAITING && f->call_count == key_call_count(e->target))
            invoke_answer(a, BW_SEVERED);
    }
    (void)link_init(d);
    for (unsigned i = 0; i < DISTRICT_MAX; i++) /* nobody's links lead here any more */
        if (districts[i].links != NULL && districts[i].link_count[d->slot] != 0)
            forget(&districts[i], d->slot);
}
