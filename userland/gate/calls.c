/*
 * Calls of programs here through gated links: each waits for its reply as a resume key. What is
 * sent and not called takes a place like a call, with a void key; what finds none is held.
 */
#include "peers.h"
#include <string.h>
#include <bailiwick/image.h>

#define KEY_CALL(p, i) KEY_IN_NODE(KR_CALLS, (p)*GATE_CALLS + (i))
#define KR_LINK        KEY_AT(30)
#define LINKS          64u

static struct link {
    unsigned peer;    /* + 1; 0: free */
    uint64_t severed; /* how often its queue was when its user last heard of that */
    int64_t untold;   /* why something sent was not taken, for the next call */
    char name[LINK_NAME_MAX];
} links[LINKS];

static void answer(uint16_t key, struct message *m)
{
    bw_send(key, m, 0); /* a caller at home; one who is gone does not mind */
    bw_drop_key(key);
}

static void answer_code(uint16_t key, int64_t code)
{
    struct message m = {.code = code};

    answer(key, &m);
}

void calls_severed(unsigned p)
{
    struct peer *o = peer[p];

    held_drop(&o->held);
    for (unsigned i = 0; i < GATE_CALLS; i++) {
        if (o->call[i].number && o->call[i].link < LINKS) {
            links[o->call[i].link].severed = o->queue.severed;
            answer_code(KEY_CALL(p, i), BW_SEVERED);
        }
        o->call[i].number = 0;
    }
}

static unsigned calls_unacknowledged(const struct gate_queue *q)
{
    unsigned n = 0;

    for (uint64_t i = q->acked + 1; i <= q->last; i++) {
        n += q->outbox[i % GATE_OUTBOX].kind == GATE_CALL;
    }
    return n;
}

/** Where the next call goes, or what is sent: they take the same places, of which the other gate
 * has as many. @return NULL: there is no room now */
static struct gate_message *call_room(unsigned p, unsigned *i)
{
    struct gate_queue *q = &peer[p]->queue;

    for (*i = 0; *i < GATE_CALLS && peer[p]->call[*i].number; ++*i) {
    }
    return *i < GATE_CALLS && calls_unacknowledged(q) < GATE_CALLS ? gate_queue_room(q) : NULL;
}

static bool is_void(uint16_t key)
{
    struct message m = {.send = {key}};

    bw_self(SELF_IDENTIFY, &m);
    return (m.word[0] & 0xff) == KEY_VOID;
}

/** Whether keys came with a message. */
static bool has_keys(void)
{
    for (unsigned i = 0; i < BW_MESSAGE_KEYS; i++) {
        if (!is_void(KEY_AT(KR_ARGUMENT + i))) {
            return true;
        }
    }
    return false;
}

static void fill(struct gate_message *g, unsigned link, const struct message *m,
                 const uint8_t *bytes)
{
    *g = (struct gate_message){.kind = GATE_CALL, .length = (uint32_t)m->length, .code = m->code};
    memcpy(g->word, m->word, sizeof(g->word));
    memcpy(g->name, links[link].name, sizeof(g->name));
    memcpy(g->bytes, bytes, m->length);
}

/** Whether a message can be taken at all. */
static int64_t acceptable(unsigned link, const struct message *m)
{
    unsigned p = links[link].peer - 1;
    enum link_reason reason;

    if (m->cut || m->length > GATE_BYTES_MAX || has_keys()) {
        return BW_ARGUMENT;
    }
    if (!peer_ready(p, &reason) && reason == LINK_STRANGER) {
        return BW_SEVERED;
    }
    return links[link].severed == peer[p]->queue.severed ? BW_OK : BW_SEVERED;
}

/** Puts a call into the queue. @return why not, or BW_OK: the caller waits */
static int64_t call(unsigned link, const struct message *m, const uint8_t *bytes)
{
    unsigned p = links[link].peer - 1, i;
    struct gate_queue *q = &peer[p]->queue;
    struct gate_message *room = call_room(p, &i);
    int64_t result = acceptable(link, m);

    if (result == BW_SEVERED || (result == BW_OK && links[link].untold != BW_OK)) {
        result = result == BW_OK ? links[link].untold : result; /* told now */
        links[link].severed = q->severed;
        links[link].untold = BW_OK;
    }
    if (result == BW_OK && !room) {
        result = BW_LIMIT;
    }
    if (result == BW_OK) {
        fill(room, link, m, bytes);
        bw_copy_key(KEY_AT(KR_CALLER), KEY_CALL(p, i));
        peer[p]->call[i] = (struct call){gate_queue_put(q, epoch_now()), link};
    }
    return result;
}

/** The same for what is sent: nobody waits, so what has no room in the queue is held. */
static void take_sent(unsigned link, const struct message *m, const uint8_t *bytes)
{
    static struct gate_message g;
    struct peer *o = peer[links[link].peer - 1];
    int64_t result = acceptable(link, m);

    if (result == BW_OK) {
        fill(&g, link, m, bytes);
        result = held_put(&o->held, &g) ? BW_OK : BW_LIMIT; /* pump() goes on with it */
    }
    if (result != BW_OK && result != BW_SEVERED) { /* the next call meets that by itself */
        links[link].untold = result;
    }
}

void calls_serve(unsigned link, const struct message *m, const uint8_t *bytes)
{
    bool there = link < LINKS && links[link].peer;

    if (there && is_void(KEY_AT(KR_CALLER))) {
        take_sent(link, m, bytes);
    } else {
        int64_t result = there ? call(link, m, bytes) : BW_VOID;

        if (result != BW_OK) {
            answer_code(KEY_AT(KR_CALLER), result);
        }
    }
}

void calls_pump(unsigned p)
{
    struct gate_queue *q = &peer[p]->queue;
    struct gate_message *room;
    unsigned i;

    while ((room = call_room(p, &i)) != NULL && held_take(&peer[p]->held, room)) {
        peer[p]->call[i] = (struct call){gate_queue_put(q, epoch_now()), LINKS};
    }
}

void calls_answered(unsigned p, const struct gate_message *g)
{
    struct peer *o = peer[p];

    for (unsigned i = 0; i < GATE_CALLS; i++) {
        if (o->call[i].number && o->call[i].number == g->to) {
            struct message m = {.code = g->code, .string = g->bytes, .length = g->length};

            memcpy(m.word, g->word, sizeof(m.word));
            o->call[i].number = 0;
            answer(KEY_CALL(p, i), &m); /* of what was sent: a void key */
        }
    }
}

static int64_t open_link(const struct link_params *params)
{
    char own[DISTRICT_NAME_MAX];
    struct message m = {.buffer = own, .size = sizeof(own)};
    unsigned i = 0, p;

    bw_self(SELF_DISTRICT, &m);
    if (params->district[0] == 0 || params->name[0] == 0 ||
        params->district[DISTRICT_NAME_MAX - 1] || params->name[LINK_NAME_MAX - 1] ||
        strncmp(own, params->district, sizeof(own)) == 0) {
        return BW_ARGUMENT;
    }
    while (i < LINKS && links[i].peer) {
        i++;
    }
    if (i == LINKS || (p = find_peer(params->district)) == PEERS) {
        return BW_LIMIT;
    }
    m = (struct message){.code = DOMAIN_MAKE_START, .word = {BADGE_FIRST + i}, .take = {KR_LINK}};
    if (bw_call(KEY_AT(KR_SELF), &m) != BW_OK) {
        return m.code;
    }
    links[i] = (struct link){.peer = p + 1, .severed = peer[p]->queue.severed};
    memcpy(links[i].name, params->name, strlen(params->name));
    return BW_OK;
}

void calls_open(const struct message *m, const uint8_t *bytes)
{
    static struct link_params params;
    struct message reply = {.code = BW_ORDER};

    if (m->code == GATE_OPEN) {
        reply.code = BW_ARGUMENT;
        if (m->length == sizeof(params)) {
            memcpy(&params, bytes, sizeof(params));
            reply.code = open_link(&params);
        }
        reply.send[0] = reply.code == BW_OK ? KR_LINK : 0;
    }
    answer(KEY_AT(KR_CALLER), &reply);
}
