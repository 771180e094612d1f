/* OP_SELF and grant keys: services without an object. */
#include "invoke.h"
#include "cpu.h"
#include "panic.h"
#include "link.h"
#include "string.h"

static int self_identify(struct call *c)
{
    struct key k = c->k[0];
    bool shows = k.type == KEY_NUMBER || k.type == KEY_METER;
    uint64_t tag = k.type == KEY_RESUME || k.type == KEY_LINK ? 0 : k.tag;
    c->out[0] =
        k.type | (uint64_t)k.rights << 8 | tag << 16 | (shows ? (uint64_t)k.version << 32 : 0);
    c->out[1] = k.type == KEY_NUMBER ? k.value : 0;
    return BW_OK;
}

static int self_weaken(struct call *c)
{
    struct key k = c->k[0];
    if (k.type != KEY_PAGE && k.type != KEY_NODE && k.type != KEY_SEGMENT)
        return BW_ARGUMENT;
    k.rights &= (uint8_t)c->w[0] | RIGHT_SENSE;
    k.rights |=
        c->w[0] & RIGHT_EXECUTE; /* what can be read can be executed: no authority is added */
    c->out_key = c->w[1] ? key_sense(k) : k;
    return BW_OK;
}

static int self_time(struct call *c)
{
    bw_time_t now = clock_now();
    c->out[0] = now + c->d->monotonic_offset;
    c->out[1] = now + realtime_offset;
    c->out[2] = now + c->d->boottime_offset;
    c->out[3] = clock_tsc_hz();
    return BW_OK;
}

static int self_log(struct call *c)
{
    static char text[512];
    size_t n;
    int r = call_get(c, text, 0, sizeof text, &n);
    if (r != BW_OK)
        return r;
    if (c->d->persistent)
        district_log(c->d, text, n);
    else
        log_bytes(text, (unsigned)n);
    return BW_OK;
}

static int self_space(struct call *c)
{
    struct district *d = c->d;
    int64_t left = (int64_t)d->space_free - d->made - d->made_frozen;
    c->out[0] = left > 0 ? (uint64_t)left : 0;
    c->out[1] = d->space_total;
    c->out[2] = d->space_stage;
    if (c->w[0] != 0 && d->persistent) {
        d->pressed = c->w[0] == PRESSED_SHORT ? PRESSED_SHORT : PRESSED_ASKED;
        district_notify(d);
    }
    return BW_OK;
}

static int self_memory(struct call *c)
{
    c->out[0] = c->d->objects;
    c->out[1] = c->d->fetched;
    c->out[2] = c->d->evicted;
    c->out[3] = statistics.idle;
    return BW_OK;
}

/** Waits until the store has an epoch. It is run again after each commit, also by a district that
 * was restarted meanwhile: what it was restarted from is committed. */
static int self_barrier(struct call *c)
{
    struct district *d = c->d;
    if (!d->persistent)
        return BW_REFUSED;
    if (c->w[0] > d->epoch)
        return BW_ARGUMENT;
    c->out[0] = d->generation;
    if (d->generation >= c->w[0])
        return BW_OK;
    if (c->w[0] == d->epoch && !d->pressed) {
        d->pressed = PRESSED_ASKED;
        district_notify(d);
    }
    return WAIT_COMMIT;
}

static int self_sender(struct call *c)
{
    const struct domain_frame *f = activity_frame(c->a);
    c->out[0] = f->sender_slot;
    c->out[1] = f->sender_incarnation;
    c->out[2] = f->sender_random;
    c->out[3] = f->sender_epoch;
    if (f->sender_slot == 0 || f->sender_slot > DISTRICT_MAX)
        return BW_OK;
    const struct district *d = &districts[f->sender_slot - 1];
    if (d->incarnation != f->sender_incarnation || d->incarnation_random != f->sender_random)
        return BW_OK; /* the slot is another one's by now */
    return call_put(c, d->name, DISTRICT_NAME_MAX);
}

static int link_state(struct call *c)
{
    const struct named_link *n = named_of(c->d, c->k[0]);
    const struct link_entry *e = n == NULL ? NULL : link_entry(c->d, c->k[0]);
    if (e == NULL)
        return BW_ARGUMENT;
    bool ended = e->state != LINK_SEVERED && link_cut(e);
    c->out[0] = ended ? LINK_SEVERED : e->state;
    c->out[1] = n->connection;
    c->out[2] = ended ? LINK_PEER_ENDED : e->reason;
    return BW_OK;
}

int order_self(struct call *c)
{
    switch (c->order) {
    case SELF_COPY_KEY:
        c->out_key = c->k[0];
        return BW_OK;
    case SELF_IDENTIFY:
        return self_identify(c);
    case SELF_WEAKEN:
        return self_weaken(c);
    case SELF_NUMBER:
        c->out_key = (struct key){.type = KEY_NUMBER, .value = c->w[0]};
        return BW_OK;
    case SELF_TIME:
        return self_time(c);
    case SELF_DISTRICT:
        c->out[0] = c->d->incarnation;
        c->out[1] = c->d->incarnation_random;
        c->out[2] = c->d->epoch;
        c->out[3] = c->d->slot;
        return call_put(c, c->d->name, sizeof c->d->name);
    case SELF_ENTROPY:
        memcpy(c->out, c->d->entropy, sizeof c->out);
        return BW_OK;
    case SELF_YIELD:
        c->a->yield = true;
        return BW_OK;
    case SELF_SET_FS:
        if (c->w[0] >> 47)
            return BW_ARGUMENT;
        c->regs->fs_base = c->w[0];
        return BW_OK;
    case SELF_LOG:
        return self_log(c);
    case SELF_SAME:
        c->out[0] = keys_same(c->k[0], c->k[1]);
        return BW_OK;
    case SELF_SPACE:
        return self_space(c);
    case SELF_MEMORY:
        return self_memory(c);
    case SELF_START:
        c->out[0] = c->d->started_from;
        c->out[1] = c->d->start_reason;
        c->out[2] = c->d->started_at + realtime_offset;
        return BW_OK;
    case SELF_BARRIER:
        return self_barrier(c);
    case SELF_SENDER:
        return self_sender(c);
    case SELF_LINK_STATE:
        return link_state(c);
    case SELF_LINK_ACK:
        return named_acknowledge(c->d, c->k[0], c->w[0]);
    case SELF_LINK_REOPEN:
        return named_reopen(c->d, c->k[0]);
    case SELF_LINK_DROP:
        if (c->k[0].type != KEY_LINK)
            return BW_ARGUMENT;
        if (c->k[0].value >= LINKS)
            return named_drop(c->d, c->k[0]);
        return link_drop(c->d, c->k[0]);
    default:
        return BW_ORDER;
    }
}

static int grant_find(struct call *c)
{
    char name[DISTRICT_NAME_MAX] = {0};
    int r = call_get(c, name, 1, sizeof name - 1, NULL);
    if (r != BW_OK)
        return r;
    for (unsigned i = 0; i < GRANTS; i++) {
        if (memcmp(c->d->grants[i].name, name, sizeof name) != 0)
            continue;
        c->out_key = link_cross(COMMONS, c->d, c->d->grants[i].key);
        return c->out_key.type == KEY_VOID ? BW_LIMIT : BW_OK;
    }
    return BW_ABSENT;
}

int order_grant(struct call *c)
{
    static struct link_params link;
    static struct publication_params publication;
    int r;
    switch (c->order) {
    case GRANT_FIND:
        return grant_find(c);
    case GRANT_OPEN:
        r = call_get(c, &link, sizeof link, sizeof link, NULL);
        return r == BW_OK ? named_open(c->d, &link, c->k[0], &c->out_key) : r;
    case GRANT_PUBLISHED:
        return order_published(c, c->d);
    case GRANT_PUBLISH:
        r = call_get(c, &publication, sizeof publication, sizeof publication, NULL);
        return r == BW_OK ? named_publish(c->d, &publication, c->k[0]) : r;
    default:
        return BW_ORDER;
    }
}
