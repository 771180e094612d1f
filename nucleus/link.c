#include "link.h"
#include "cpu.h"
#include "frame.h"
#include "panic.h"
#include "string.h"

/* No district takes more than this many entries of another's table; and only few when more than
 * half of it is in use, so that some are left for each of the others. */
#define QUOTA      (LINKS / 4)
#define QUOTA_FULL (LINKS / DISTRICT_MAX)
#define SWEEP      256u  /* entries looked at in one search for dead ones */
#define HASHES     2048u /* heads of chains: one frame */

/* --- the table ----------------------------------------------------------------------------- */

int link_room(struct district *d, unsigned index)
{
    struct link_entry **chunk = &d->links.chunk[index / LINK_CHUNK];
    if (*chunk != NULL)
        return BW_OK;
    *chunk = frame_allocate(FRAME_LINKS, !d->persistent);
    if (*chunk == NULL)
        return WAIT_MEMORY;
    memset(*chunk, 0, BW_PAGE_SIZE);
    return BW_OK;
}

void link_forget_all(struct district *d)
{
    for (unsigned i = 0; i < LINK_CHUNKS; i++)
        if (d->links.chunk[i] != NULL)
            frame_free(d->links.chunk[i]);
    if (d->links.hash != NULL)
        frame_free(d->links.hash);
    memset(&d->links, 0, sizeof d->links);
}

int link_next_version(struct district *d, uint32_t *version)
{
    static uint32_t commons_version;
    if (!d->persistent) {
        *version = ++commons_version;
        return BW_OK;
    }
    if (!object_force_writable(d->system))
        return WAIT_MEMORY;
    *version = ++district_system(d)->link_version;
    return BW_OK;
}

/** Entries of the table that lead to a district; what led to an earlier run of it is not counted.
 */
static uint16_t *peer_count(struct district *d, const struct district *to)
{
    struct link_peer *p = &d->links.peer[to->slot];
    if (p->instance != to->instance)
        *p = (struct link_peer){.instance = to->instance};
    return &p->count;
}

/* --- equality: the same key again is the same link ------------------------------------------ */

static uint16_t *hash_head(struct district *d, struct key target, unsigned district)
{
    uint64_t h = target.value ^ (uint64_t)target.tag << 24 ^ (uint64_t)district << 44 ^
                 (uint64_t)(target.type << 8 | target.rights) << 52;
    return &d->links.hash[h * 0x9e3779b97f4a7c15ull >> 53];
}
_Static_assert(HASHES == 1u << (64 - 53) && HASHES * 2 <= BW_PAGE_SIZE, "heads fill one frame");

static void unchain(struct district *d, struct link_entry *e, unsigned index)
{
    uint16_t *at = hash_head(d, e->target, e->district);
    while (*at != index + 1u) {
        assert(*at != 0, "an interned link is in its chain");
        at = &link_entry_at(d, *at - 1u)->chain;
    }
    *at = e->chain;
}

/* --- those who wait for a reply from here ---------------------------------------------------- */

static void waiter_add(struct district *d, struct link_entry *e, unsigned index)
{
    e->next = d->links.waiters;
    e->previous = 0;
    if (e->next != 0)
        link_entry_at(d, e->next - 1u)->previous = (uint16_t)(index + 1);
    d->links.waiters = (uint16_t)(index + 1);
}

static void waiter_remove(struct district *d, struct link_entry *e)
{
    if (e->next != 0)
        link_entry_at(d, e->next - 1u)->previous = e->previous;
    if (e->previous != 0)
        link_entry_at(d, e->previous - 1u)->next = e->next;
    else
        d->links.waiters = e->next;
}

/** The caller that a resume link leads to, if he still waits for just this reply. */
static struct activity *waiter(const struct link_entry *e)
{
    struct object *o = link_cut(e) ? NULL : object_lookup(&districts[e->district], e->target.value);
    if (o == NULL || o->type != OBJECT_DOMAIN)
        return NULL;
    struct activity *a = object_activity(o);
    const struct domain_frame *f = activity_frame(a);
    return f->state == DOMAIN_WAITING && f->call_count == key_call_count(e->target) ? a : NULL;
}

/* --- making and freeing ---------------------------------------------------------------------- */

/** Takes an unnamed entry out of everything and puts it into the free list. */
static void entry_free(struct district *d, struct link_entry *e, unsigned index)
{
    struct district *to = &districts[e->district];
    if (e->target.type == KEY_RESUME)
        waiter_remove(d, e);
    else
        unchain(d, e, index);
    if (e->instance == to->instance)
        (*peer_count(d, to))--;
    e->target = key_void();
    e->version = 0;
    e->next = d->links.free;
    d->links.free = (uint16_t)(index + 1);
}

/** The link to the same key, if there is one. Those to an earlier run of its district go. */
static struct key interned(struct district *d, struct key target, const struct district *to)
{
    for (unsigned i = *hash_head(d, target, to->slot), next; i != 0; i = next) {
        struct link_entry *e = link_entry_at(d, i - 1);
        next = e->chain;
        if (e->district != to->slot)
            continue;
        if (e->instance != to->instance)
            entry_free(d, e, i - 1);
        else if (memcmp(&e->target, &target, sizeof target) == 0)
            return (struct key){.type = KEY_LINK, .version = e->version, .value = i - 1};
    }
    return key_void();
}

/** A link that nobody can use any more: its district or program has ended, or the caller has had
 * his answer. */
static bool entry_dead(const struct link_entry *e)
{
    if (link_cut(e))
        return true;
    if (e->target.type == KEY_RESUME)
        return waiter(e) == NULL;
    if (e->target.type != KEY_START)
        return false;
    const struct object *o = object_lookup(&districts[e->district], e->target.value);
    return o == NULL || o->type != OBJECT_DOMAIN || o->version != e->target.version;
}

/** Frees dead entries, of a district if not NULL, among the next few of the table. */
static void sweep(struct district *d, const struct district *of)
{
    for (unsigned n = 0; n < SWEEP && d->links.limit > 0; n++) {
        unsigned i = d->links.hand++ % d->links.limit;
        struct link_entry *e = link_entry_at(d, i);
        if (e->target.type != KEY_VOID && (of == NULL || e->district == of->slot) && entry_dead(e))
            entry_free(d, e, i);
    }
}

/** The table grows by a chunk. */
static void grow(struct district *d)
{
    unsigned first = d->links.limit;
    if (first >= LINKS || link_room(d, first) != BW_OK)
        return;
    for (unsigned i = LINK_CHUNK; i-- > 0;) {
        link_entry_at(d, first + i)->next = d->links.free;
        d->links.free = (uint16_t)(first + i + 1);
    }
    d->links.limit += LINK_CHUNK;
}

/** Entries that lead to districts which still run. */
static unsigned live(const struct district *d)
{
    unsigned n = 0;
    for (unsigned i = 0; i < DISTRICT_MAX; i++)
        if (d->links.peer[i].instance == districts[i].instance &&
            districts[i].state == DISTRICT_RUNNING)
            n += d->links.peer[i].count;
    return n;
}

static bool over_quota(struct district *d, const struct district *to)
{
    unsigned n = *peer_count(d, to);
    return n >= QUOTA || (n >= QUOTA_FULL && live(d) >= LINKS / 2);
}

/** A free entry for a link to `to`: *index. False: there is none, or the quota is used up. */
static bool take_entry(struct district *d, const struct district *to, unsigned *index)
{
    if (over_quota(d, to)) {
        sweep(d, to);
        if (over_quota(d, to))
            return false;
    }
    if (d->links.free == 0)
        grow(d);
    for (unsigned n = 0; n < LINKS / SWEEP && d->links.free == 0; n++)
        sweep(d, NULL);
    if (d->links.free == 0)
        return false;
    *index = d->links.free - 1u;
    return true;
}

static bool hash_there(struct district *d)
{
    if (d->links.hash == NULL) {
        d->links.hash = frame_allocate(FRAME_LINKS, !d->persistent);
        if (d->links.hash != NULL)
            memset(d->links.hash, 0, BW_PAGE_SIZE);
    }
    return d->links.hash != NULL;
}

/** A new entry is entered where it will be looked for. */
static void link_enter(struct district *d, struct district *to, struct link_entry *e,
                       unsigned index)
{
    if (e->target.type == KEY_RESUME) {
        waiter_add(d, e, index);
    } else {
        uint16_t *head = hash_head(d, e->target, e->district);
        e->chain = *head;
        *head = (uint16_t)(index + 1);
    }
    (*peer_count(d, to))++;
}

static struct key link_make(struct district *d, struct district *to, struct key target)
{
    unsigned index;
    uint32_t version;
    if (!hash_there(d))
        return key_void();
    if (target.type != KEY_RESUME) {
        struct key known = interned(d, target, to);
        if (known.type != KEY_VOID)
            return known;
    }
    if (!take_entry(d, to, &index) || link_next_version(d, &version) != BW_OK)
        return key_void();
    struct link_entry *e = link_entry_at(d, index);
    d->links.free = e->next;
    e->target = target;
    e->version = version;
    e->instance = to->instance;
    e->district = to->slot;
    e->state = LINK_LIVE;
    e->held = false;
    e->messages = 0;
    e->since = clock_now();
    link_enter(d, to, e, index);
    return (struct key){.type = KEY_LINK, .version = version, .value = index};
}

void link_free(struct district *d, struct key link)
{
    struct link_entry *e = link.value < LINKS ? link_entry(d, link) : NULL;
    if (e != NULL && e->target.type != KEY_VOID)
        entry_free(d, e, (unsigned)link.value);
}

int link_drop(struct district *d, struct key link)
{
    struct link_entry *e = link.value < LINKS ? link_entry(d, link) : NULL;
    struct activity *a = e != NULL && e->target.type == KEY_RESUME ? waiter(e) : NULL;
    if (a != NULL && !invoke_answer(a, BW_VOID))
        return WAIT_MEMORY;
    link_free(d, link);
    return BW_OK;
}

/* --- use -------------------------------------------------------------------------------------- */

#define CROSSING (1u << KEY_START | 1u << KEY_RESUME | 1u << KEY_PAGE | 1u << KEY_SEGMENT)

static bool crosses(struct key k)
{
    return k.type < 32 && (CROSSING >> k.type & 1);
}

/** A link that `from` has goes to `to`. Apart, since every call over a border comes by here, and
 * few bring links. */
static __attribute__((noinline)) struct key pass_on(struct district *from, struct district *to,
                                                    struct key k)
{
    struct district *home;
    struct key target;
    if (link_resolve(from, k, &home, &target) != BW_OK)
        return key_void();
    struct key result = home == to ? target : link_make(to, home, target);
    if (target.type == KEY_RESUME && result.type != KEY_VOID)
        link_free(from, k); /* a resume link moves */
    return result;
}

struct key link_cross(struct district *from, struct district *to, struct key k)
{
    if (from == to || k.type == KEY_NUMBER)
        return k;
    if (crosses(k))
        return link_make(to, from, k);
    return k.type == KEY_LINK ? pass_on(from, to, k) : key_void();
}

/** The entry of a link that is to be put back: free, and of a version that there was. */
static struct link_entry *vacant(struct district *d, const struct bonded_link *note)
{
    if (note->index >= LINKS || note->version == 0 ||
        note->version > district_system(d)->link_version)
        return NULL;
    while (note->index >= d->links.limit) {
        unsigned before = d->links.limit;
        grow(d);
        if (d->links.limit == before)
            return NULL;
    }
    struct link_entry *e = link_entry_at(d, note->index);
    return e->target.type == KEY_VOID ? e : NULL;
}

void link_put_back(struct district *d, struct district *to, const struct bonded_link *note)
{
    if (note->index >= LINKS) {
        named_put_back(d, to, note);
        return;
    }
    struct link_entry fresh = {.target = note->target,
                               .version = note->version,
                               .instance = to->instance,
                               .district = to->slot,
                               .state = LINK_LIVE,
                               .messages = note->messages,
                               .since = clock_now()};
    if (!crosses(note->target) || !hash_there(d) || over_quota(d, to))
        return;
    struct link_entry *e = vacant(d, note);
    if (e == NULL ||
        (note->target.type != KEY_RESUME && interned(d, note->target, to).type != KEY_VOID))
        return;
    *e = fresh;
    link_enter(d, to, e, note->index);
    struct activity *a = note->target.type == KEY_RESUME ? waiter(e) : NULL;
    if (a != NULL)
        a->kept = true;
}

void link_list_free(struct district *d)
{
    d->links.free = 0;
    for (unsigned i = d->links.limit; i-- > 0;) {
        struct link_entry *e = link_entry_at(d, i);
        if (e->target.type != KEY_VOID)
            continue;
        *e = (struct link_entry){.next = d->links.free};
        d->links.free = (uint16_t)(i + 1);
    }
}

bool link_sever_waiters(struct district *d)
{
    for (unsigned n = 0; n < SWEEP && d->links.waiters != 0; n++) {
        unsigned index = d->links.waiters - 1u;
        struct link_entry *e = link_entry_at(d, index);
        struct activity *a = waiter(e);
        if (a != NULL && !invoke_answer(a, BW_SEVERED))
            return false; /* for lack of memory, which the end of `d` frees */
        entry_free(d, e, index);
    }
    return d->links.waiters == 0;
}

void link_holders_begin(struct district *d)
{
    for (unsigned i = d->links.waiters; i != 0; i = link_entry_at(d, i - 1)->next)
        link_entry_at(d, i - 1)->held = false;
}

void link_holder(struct district *d, struct key link)
{
    struct link_entry *e = link.value < LINKS ? link_entry(d, link) : NULL;
    if (e != NULL)
        e->held = true;
}

void link_holders_end(struct district *d)
{
    for (unsigned i = d->links.waiters, next; i != 0; i = next) {
        struct link_entry *e = link_entry_at(d, i - 1);
        next = e->next;
        if (e->held)
            continue;
        struct activity *a = waiter(e);
        if (a == NULL || invoke_answer(a, BW_VOID))
            entry_free(d, e, i - 1);
    }
}
