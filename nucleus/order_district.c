/* Orders of district keys (store server, districtd) and of the nucleus key. Commons only. */
#include "invoke.h"
#include "cpu.h"
#include "frame.h"
#include "link.h"
#include "paging.h"
#include "panic.h"
#include "segment.h"
#include "string.h"

#define COMMAND_LINE_MAX 512u
extern char boot_command_line[COMMAND_LINE_MAX];

static int district_wanted(struct call *c, struct district *d)
{
    oid_t oids[DISTRICT_WANTED_MAX];
    struct pieces p;
    int r = call_buffer(c, sizeof oids, &p);
    if (r != BW_OK)
        return r;
    size_t n = 0;
    for (unsigned i = 0; i < WANTS && (n + 1) * sizeof *oids <= p.length; i++) {
        if (d->wants[i].oid == 0 || d->wants[i].told)
            continue;
        d->wants[i].told = true;
        oids[n++] = d->wants[i].oid;
    }
    pieces_put(&p, 0, oids, n * sizeof *oids);
    c->out[0] = n;
    c->out_length = n * sizeof *oids;
    return BW_OK;
}

/** How long the string of a supply must be. */
static size_t supply_length(const struct object_header *h, size_t count)
{
    size_t length = count * sizeof *h;
    for (size_t i = 0; i < count; i++)
        length += h[i].flags & OBJECT_BYTES ? BW_PAGE_SIZE : 0;
    return length;
}

static int supply(struct call *c, struct district *d)
{
    static uint8_t buffer[BW_PAGE_SIZE];
    struct object_header headers[DISTRICT_SUPPLY_MAX];
    struct pieces p;
    size_t count = c->w[0] == 0 ? 1 : c->w[0], at = count * sizeof *headers;
    if (d->state != DISTRICT_LOADING && d->state != DISTRICT_RUNNING)
        return BW_REFUSED;
    if (count > DISTRICT_SUPPLY_MAX)
        return BW_ARGUMENT;
    snapshot_reap(d);
    int r = call_string(c, &p);
    if (r != BW_OK)
        return r;
    if (p.length < at)
        return BW_ARGUMENT;
    pieces_get(headers, &p, 0, at);
    if (p.length < supply_length(headers, count))
        return BW_ARGUMENT;
    for (size_t i = 0; i < count && r == BW_OK; i++) {
        const uint8_t *bytes = NULL;
        if (headers[i].flags & OBJECT_BYTES) {
            bytes = pieces_page(&p, at, buffer);
            at += BW_PAGE_SIZE;
        }
        r = district_supply(d, &headers[i], bytes);
        c->out[0] += r == BW_OK;
    }
    return r;
}

static int pull(struct call *c, struct district *d)
{
    struct object_header headers[DISTRICT_PULL_MAX];
    const uint8_t *contents[DISTRICT_PULL_MAX];
    struct pieces p;
    if (!d->snapshot)
        return BW_REFUSED;
    snapshot_reap(d);
    size_t max = c->w[0] < DISTRICT_PULL_MAX ? c->w[0] : DISTRICT_PULL_MAX;
    int r = call_buffer(c, BW_STRING_MAX, &p);
    if (r != BW_OK)
        return r;
    size_t fit = p.length / (sizeof *headers + BW_PAGE_SIZE), n = 0;
    for (struct object *o = snapshot_next(d, NULL); o != NULL && n < max && n < fit;
         o = snapshot_next(d, o), n++) {
        r = snapshot_describe(o, &headers[n], &contents[n]);
        if (r != BW_OK) {
            c->out[0] = headers[n].oid;
            return r;
        }
    }
    pieces_put(&p, 0, headers, n * sizeof *headers);
    c->out_length = n * sizeof *headers;
    for (size_t i = 0; i < n; i++) {
        if (contents[i] != NULL) {
            pieces_put(&p, c->out_length, contents[i], BW_PAGE_SIZE);
            c->out_length += BW_PAGE_SIZE;
        }
        snapshot_pulled(d, snapshot_next(d, NULL));
    }
    c->out[0] = n;
    c->out[1] = d->changes[d->snapshot_epoch & 1].count;
    return BW_OK;
}

static int grant(struct call *c, struct district *d)
{
    char name[DISTRICT_NAME_MAX] = {0};
    int r = call_get(c, name, 1, sizeof name - 1, NULL);
    if (r != BW_OK)
        return r;
    if (c->k[0].type != KEY_START && c->k[0].type != KEY_VOID)
        return BW_ARGUMENT;
    struct grant *place = NULL;
    for (unsigned i = 0; i < GRANTS; i++) {
        if (memcmp(d->grants[i].name, name, sizeof name) == 0) {
            place = &d->grants[i];
            break;
        }
        if (d->grants[i].name[0] == 0 && place == NULL)
            place = &d->grants[i];
    }
    if (place == NULL)
        return BW_LIMIT;
    memcpy(place->name, name, sizeof name);
    place->key = c->k[0];
    return BW_OK;
}

static int status(struct call *c, struct district *d)
{
    struct district_status s;
    district_status(d, &s);
    return call_put(c, &s, sizeof s);
}

static int begin(struct call *c, struct district *d)
{
    c->out[0] = d->epoch;
    int r = snapshot_begin(d, &c->out[1], &c->out[2]);
    if (r == BW_CLEAN)
        c->out[0] = d->epoch - 1;
    if (r == BW_OK) {
        d->made_frozen += d->made;
        d->made = 0;
    }
    return r;
}

static int drop(struct district *d)
{
    int r = snapshot_drop(d);
    if (r == BW_OK) {
        d->made += d->made_frozen;
        d->made_frozen = 0;
    }
    return r;
}

static int set_budget(struct call *c, struct district *d)
{
    if (c->w[1] > SPACE_FULL)
        return BW_ARGUMENT;
    d->budget = c->w[0] < INT64_MAX ? (int64_t)c->w[0] : INT64_MAX;
    if (!d->snapshot)
        d->made_frozen = 0; /* what is committed is counted in what we are told */
    d->space_stage = (uint8_t)c->w[1];
    d->space_free = c->w[2];
    d->space_total = c->w[3];
    queue_wake_all(&d->commit_waiters);
    return BW_OK;
}

/** The key that the broker hands in leads to a running district. @return BW_OK, *to and *target */
static int link_target(struct call *c, struct district **to, struct key *target)
{
    if (c->k[0].type != KEY_LINK)
        return BW_ARGUMENT;
    int r = link_resolve(c->d, c->k[0], to, target);
    return r == BW_OK && target->type != KEY_START ? BW_ARGUMENT : r;
}

static int establish(struct call *c, struct district *d)
{
    struct district *to;
    struct key target;
    if (c->w[1] > UINT32_MAX || c->w[2] > LINK_STRANGER)
        return BW_ARGUMENT;
    if (c->k[0].type == KEY_VOID)
        return named_refuse(d, c->w[0], (uint32_t)c->w[1], (enum link_reason)c->w[2]);
    int r = link_target(c, &to, &target);
    return r == BW_OK ? named_establish(d, c->w[0], (uint32_t)c->w[1], to, target) : r;
}

int order_published(struct call *c, struct district *d)
{
    char name[LINK_NAME_MAX] = {0};
    int r = call_get(c, name, 1, sizeof name - 1, NULL);
    if (r != BW_OK)
        return r;
    const struct publication *p = named_find(d, name);
    if (p == NULL)
        return BW_ABSENT;
    r = call_put(c, p->access, sizeof p->access);
    if (r != BW_OK)
        return r;
    c->out_key = link_cross(d, c->d, p->key);
    return c->out_key.type == KEY_VOID ? BW_LIMIT : BW_OK;
}

static int next_link(struct call *c, struct district *d)
{
    struct link_line line;
    c->out[0] = c->w[0];
    int r = named_line(d, &c->out[0], &line);
    return r == BW_OK ? call_put(c, &line, sizeof line) : r;
}

/** Orders about a running district's links. */
static int order_links(struct call *c, struct district *d)
{
    if (d->state != DISTRICT_RUNNING)
        return BW_REFUSED;
    switch (c->order) {
    case DISTRICT_LINKS:
        return next_link(c, d);
    case DISTRICT_LINK:
        return establish(c, d);
    case DISTRICT_PUBLISHED:
        return order_published(c, d);
    default:
        return BW_ORDER;
    }
}

int order_district(struct call *c)
{
    struct district *d = &districts[c->key.value & (DISTRICT_MAX - 1)];
    if (d->instance != c->key.version || d->state == DISTRICT_EMPTY)
        return BW_VOID;
    if (d->state == DISTRICT_ENDING && c->order != DISTRICT_KILL && c->order != DISTRICT_STATUS)
        return BW_VOID;
    switch (c->order) {
    case DISTRICT_BIND:
        if (c->k[0].type != KEY_START)
            return BW_ARGUMENT;
        district_bind(d, c->k[0]);
        return BW_OK;
    case DISTRICT_START:
        if (d->state != DISTRICT_LOADING || d->load_cursor != UINT64_MAX)
            return BW_REFUSED;
        d->load_cursor = 0;
        district_load(d);
        return BW_OK;
    case DISTRICT_WANTED:
        return district_wanted(c, d);
    case DISTRICT_SUPPLY:
        return supply(c, d);
    case DISTRICT_SNAPSHOT:
        return begin(c, d);
    case DISTRICT_FREEZE:
        return order_freeze(c, d);
    case DISTRICT_PULL:
        return pull(c, d);
    case DISTRICT_COMMITTED:
        return snapshot_committed(d, c->w[0]);
    case DISTRICT_DROP:
        return drop(d);
    case DISTRICT_KILL:
        return district_kill(d);
    case DISTRICT_GRANT:
        return grant(c, d);
    case DISTRICT_STATUS:
        return status(c, d);
    case DISTRICT_BUDGET:
        return set_budget(c, d);
    case DISTRICT_SHARE:
        if (c->w[0] == 0 || c->w[0] > SHARE_MAX)
            return BW_ARGUMENT;
        d->share = (uint32_t)c->w[0];
        return BW_OK;
    case DISTRICT_LOG:
        return call_put(c, d->log, d->log_length);
    case DISTRICT_WATCH:
        d->watcher = c->k[0];
        return c->k[0].type == KEY_START ? BW_OK : BW_ARGUMENT;
    default:
        return order_links(c, d);
    }
}

/* --- KEY_NUCLEUS ------------------------------------------------------------------------------ */

static int make_district(struct call *c)
{
    struct district_params p;
    int r = call_get(c, &p, sizeof p, sizeof p, NULL);
    return r == BW_OK ? district_create(&p, &c->out_key) : r;
}

/** Contiguous pages, all or none, in slots of one node of height 1 or more of them. */
static int make_dma(struct call *c)
{
    uint64_t pages = c->w[1];
    struct object *node;
    uint8_t rights;
    unsigned missing;
    if (pages == 0 || pages > BW_NODE_SLOTS || c->k[1].type != KEY_RANGE ||
        c->w[2] > key_range_count(c->k[1]) || pages > key_range_count(c->k[1]) - c->w[2])
        return BW_ARGUMENT;
    int r = segment_node(c->d, c->k[0], c->w[0], 1, &node, &rights, &missing);
    if (r == BW_ABSENT)
        c->out[0] = missing;
    if (r != BW_OK)
        return r;
    unsigned first = segment_slot(c->w[0], 1);
    if (!(rights & RIGHT_WRITE) || first + pages > BW_NODE_SLOTS)
        return BW_ARGUMENT;
    for (uint64_t i = 0; i < pages; i++)
        if (object_lookup(c->d, c->k[1].value + c->w[2] + i) != NULL)
            return BW_EXISTS;
    uint8_t *run = frame_allocate_run(pages);
    if (run == NULL)
        return BW_NOMEM;
    memset(run, 0, pages * BW_PAGE_SIZE);
    for (uint64_t i = 0; i < pages; i++) {
        struct object *o =
            object_adopt(c->d, c->k[1].value + c->w[2] + i, OBJECT_PAGE, run + i * BW_PAGE_SIZE);
        if (o == NULL)
            return BW_NOMEM;
        node_store(node, first + (unsigned)i, object_key(o));
    }
    c->out[0] = frame_physical(run);
    return BW_OK;
}

static int nucleus_keys(struct call *c)
{
    const struct district *d;
    switch (c->order) {
    case NUCLEUS_FIND:
        d = district_find(c->w);
        if (d != NULL)
            c->out_key = district_key(d);
        return d != NULL ? BW_OK : BW_ABSENT;
    case NUCLEUS_PORTS:
        if (c->w[0] > 0x10000 || c->w[1] > 0x10000 - c->w[0])
            return BW_ARGUMENT;
        c->out_key =
            (struct key){.type = KEY_PORTS, .version = (uint32_t)c->w[1], .value = c->w[0]};
        return BW_OK;
    case NUCLEUS_PHYSICAL:
        if (c->w[0] % BW_PAGE_SIZE != 0 || c->w[0] >> 52 || c->w[1] > 1u << 20 ||
            frame_is_ram(c->w[0]))
            return BW_ARGUMENT;
        c->out_key =
            (struct key){.type = KEY_PHYSICAL, .version = (uint32_t)c->w[1], .value = c->w[0]};
        return BW_OK;
    case NUCLEUS_IRQ:
        if (c->w[0] >= 16 || c->w[0] == 2)
            return BW_ARGUMENT;
        c->out_key = (struct key){.type = KEY_IRQ, .value = c->w[0]};
        return BW_OK;
    case NUCLEUS_METER:
        if (c->w[0] >= CLASSES)
            return BW_ARGUMENT;
        c->out_key = (struct key){.type = KEY_METER, .tag = (uint16_t)c->w[0]};
        return BW_OK;
    default:
        return BW_ORDER;
    }
}

int order_nucleus(struct call *c)
{
    switch (c->order) {
    case NUCLEUS_INFO:
        c->out[0] = frame_count();
        c->out[1] = frame_free_count();
        c->out[3] = clock_tsc_hz();
        return BW_OK;
    case NUCLEUS_DISTRICT:
        return make_district(c);
    case NUCLEUS_SET_REALTIME:
        realtime_offset = c->w[0] - clock_now();
        return BW_OK;
    case NUCLEUS_DMA:
        return make_dma(c);
    case NUCLEUS_ORPHANS:
        orphans_answer();
        return BW_OK;
    case NUCLEUS_STATISTICS:
        return call_put(c, &statistics, sizeof statistics);
    case NUCLEUS_COMMAND_LINE: {
        size_t n = 0;
        while (n < COMMAND_LINE_MAX && boot_command_line[n] != 0)
            n++;
        return call_put(c, boot_command_line, n);
    }
    default:
        return nucleus_keys(c);
    }
}
