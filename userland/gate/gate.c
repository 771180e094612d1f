/*
 * The gate: keeps the gated links of its district (bailiwick/gate.h). There is one queue (queue.h)
 * for each other district that is met, whatever the number of links; gates talk over one named link
 * to each other ("NAME/.gate").
 *
 * A call of a program here waits for its reply as a resume key, which is at home and so survives
 * restarts, like all else here: program, key and queue are always of one instant. A call of another
 * district is made by a worker (worker.h), to what is published under its name at that moment, if
 * the access list then has that district.
 *
 * Frames go without waiting (SEND, INVOKE_NOBLOCK); what is to be sent follows from the queues. A
 * commit is not waited for but looked for, ever more rarely, since it may be long in coming;
 * nothing here asks for one. While nothing is under way nothing is looked for, so that an idle
 * district stays clean.
 */
#include <stdlib.h>
#include <string.h>
#include <bailiwick/access.h>
#include <bailiwick/image.h>
#include <bailiwick/program.h>
#include "peers.h"

#define KR_PEERS    24 /* node: named links */
#define KEY_PEER(p) KEY_IN_NODE(KR_PEERS, (p))
#define KR_SERVER   KEY_AT(29)

#define NAME        ".gate"
#define BADGE_GATES 0u /* messages of other gates */
#define BADGE_LINK  2u /* posted: a link has changed */

#define RETRY_NS     1000000ull /* the other gate was busy; first look for a commit */
#define LOOK_PART    8u /* after having waited so long, it is looked for after 1/8 of that */
#define LOOK_MAX_NS  1000000000ull
#define AGAIN_NS     500000000ull /* nothing was heard: once more, then ever more rarely */
#define AGAIN_MAX_NS 32000000000ull

struct peer *peer[PEERS];
static struct incarnation incarnation;
static bw_time_t deadline;      /* when to look again */
static bw_time_t waiting_since; /* for a commit; 0: not */
static uint64_t committed;

static void look_after(bw_time_t ns)
{
    bw_time_t then = bw_monotonic() + ns;

    deadline = then < deadline ? then : deadline;
}

uint64_t epoch_now(void)
{
    struct incarnation now;

    bw_incarnation(&now);
    return now.epoch;
}

/* --- the other gates -------------------------------------------------------------------------- */

static struct gate_run this_run(void)
{
    return (struct gate_run){incarnation.count, incarnation.random};
}

bool peer_ready(unsigned p, enum link_reason *reason)
{
    uint64_t connection;
    enum link_state state = bw_link_state(KEY_PEER(p), &connection, reason);

    if (state == LINK_LIVE && connection != peer[p]->connection) {
        peer[p]->connection = connection;
        peer[p]->patience = AGAIN_NS;
        peer[p]->again = bw_monotonic() + AGAIN_NS;
        gate_queue_begin(&peer[p]->queue, this_run());
    }
    return state == LINK_LIVE;
}

unsigned find_peer(const char *name)
{
    unsigned p = 0;

    while (p < PEERS && peer[p] && strncmp(peer[p]->name, name, sizeof(peer[p]->name)) != 0) {
        p++;
    }
    if (p == PEERS || peer[p]) {
        return p;
    }
    struct peer *made = calloc(1, sizeof(*made));

    if (!made || bw_link_open(name, NAME, LINK_AUTO, BADGE_LINK, KEY_PEER(p)) != BW_OK) {
        free(made);
        return PEERS;
    }
    memcpy(made->name, name, strnlen(name, sizeof(made->name) - 1));
    made->patience = AGAIN_NS;
    gate_queue_begin(&made->queue, this_run());
    peer[p] = made;
    return p;
}

/** All calls to and from a peer are void. */
static void severed(unsigned p)
{
    struct peer *o = peer[p];

    bw_log("gate: one of this district and %s has gone back farther than it had told the other: "
           "all calls between them are void",
           o->name);
    calls_severed(p);
    for (unsigned i = 0; i < GATE_CALLS; i++) {
        if (o->request[i].state == REQUEST_READY) {
            o->request[i].state = REQUEST_FREE;
        }
        o->request[i].forgotten = true;
    }
}

/* --- calls of others -------------------------------------------------------------------------- */

/** Finds what a peer's call is for: a key in KR_SERVER. @return BW_OK, or the reply's code */
static int64_t find_server(const char *name, const char *district)
{
    static char access[LINK_ACCESS_MAX + 1];
    struct message m = {.code = GRANT_PUBLISHED,
                        .string = name,
                        .length = strlen(name),
                        .buffer = access,
                        .size = LINK_ACCESS_MAX,
                        .take = {KR_SERVER}};

    if (name[0] == '.') { /* those of gates and relays, who answer no calls */
        return BW_REFUSED;
    }
    if (bw_call(KEY_AT(KR_NAMES), &m) != BW_OK) {
        return m.code;
    }
    access[m.length] = 0;
    return access_allows(access, district) ? BW_OK : BW_REFUSED;
}

static void start_request(unsigned p, unsigned i)
{
    struct request *r = &peer[p]->request[i];
    int64_t code = find_server(r->message.name, peer[p]->name);

    if (code != BW_OK) {
        r->message = (struct gate_message){.code = code};
        r->state = REQUEST_DONE;
    } else if (!worker_call(r, KR_SERVER)) {
        look_after(AGAIN_NS); /* or when another one is done */
    }
}

/** A request is done: its reply goes into the queue, as soon as there is room. */
static void finish_request(unsigned p, unsigned i)
{
    struct request *r = &peer[p]->request[i];
    struct gate_message *room = gate_queue_room(&peer[p]->queue);

    if (!r->forgotten) {
        if (!room) {
            return;
        }
        memcpy(room, &r->message, offsetof(struct gate_message, bytes) + r->message.length);
        room->kind = GATE_REPLY;
        room->to = peer[p]->request_number[i];
        memset(room->name, 0, sizeof(room->name));
        gate_queue_put(&peer[p]->queue, epoch_now());
    }
    r->state = REQUEST_FREE;
    bw_drop_key(KR_SERVER);
}

/** What goes on with the calls of a peer. */
static void pump_requests(unsigned p)
{
    for (unsigned i = 0; i < GATE_CALLS; i++) {
        if (worker_state(&peer[p]->request[i]) == REQUEST_READY) {
            start_request(p, i);
        }
        if (worker_state(&peer[p]->request[i]) == REQUEST_DONE) {
            finish_request(p, i);
        }
    }
}

static unsigned free_request(unsigned p)
{
    unsigned i = 0;

    while (i < GATE_CALLS && worker_state(&peer[p]->request[i]) != REQUEST_FREE) {
        i++;
    }
    return i;
}

static void delivered(unsigned p, const struct gate_message *g)
{
    struct peer *o = peer[p];
    unsigned i = free_request(p);

    if (g->kind == GATE_CALL) {
        memcpy(&o->request[i].message, g, offsetof(struct gate_message, bytes) + g->length);
        o->request_number[i] = g->number;
        o->request[i].forgotten = false;
        o->request[i].state = REQUEST_READY;
        return;
    }
    calls_answered(p, g);
}

/* --- frames ----------------------------------------------------------------------------------- */

/** A gate of another district has sent something. */
static void serve_frame(const struct message *m, struct gate_frame *f)
{
    char name[DISTRICT_NAME_MAX + 1] = {0};
    struct message sender = {.buffer = name, .size = DISTRICT_NAME_MAX};
    unsigned p;

    bw_self(SELF_SENDER, &sender);
    if (m->sender == 0 || !name[0] || (p = find_peer(name)) == PEERS) {
        return;
    }
    if (m->cut) { /* our buffer was not in memory; now it is, and the queue is asked for more */
        memset(f, 0, sizeof(*f));
        peer[p]->queue.ack = true;
        return;
    }
    if (!gate_frame_valid(f, m->length) || f->from.count != sender.word[1] ||
        f->from.random != sender.word[2] ||
        (f->kind == GATE_DATA && f->message.kind == GATE_CALL && free_request(p) == GATE_CALLS)) {
        return;
    }
    peer[p]->patience = AGAIN_NS;
    switch (gate_queue_receive(&peer[p]->queue, f, epoch_now())) {
    case GATE_DELIVER:
        delivered(p, &f->message);
        break;
    case GATE_SEVERED:
        severed(p);
        break;
    default:
        break;
    }
}

/** Sends what is due to a peer. */
static void pump_frames(unsigned p)
{
    static struct gate_frame f;
    enum link_reason reason;

    while (gate_queue_next(&peer[p]->queue, &f)) {
        struct message m = {.string = &f, .length = gate_frame_length(&f)};
        uint64_t connection = peer[p]->connection;

        if (!peer_ready(p, &reason)) {
            return; /* its next state is posted */
        }
        if (connection != peer[p]->connection) {
            continue; /* the session has begun anew */
        }
        if (bw_send(KEY_PEER(p), &m, INVOKE_NOBLOCK) != BW_OK) {
            look_after(RETRY_NS);
            return;
        }
        gate_queue_sent(&peer[p]->queue, &f);
    }
}

/** Sends again what nothing was heard of. */
static void pump_again(unsigned p)
{
    struct peer *o = peer[p];
    bool waits = !o->queue.agreed || o->queue.sent > o->queue.acked;
    enum link_reason reason;

    if (!waits || !peer_ready(p, &reason)) {
        o->again = 0;
        return;
    }
    if (o->again == 0) {
        o->again = bw_monotonic() + o->patience;
    } else if (bw_monotonic() >= o->again) {
        o->patience = o->patience < AGAIN_MAX_NS ? o->patience * 2 : AGAIN_MAX_NS;
        o->again = bw_monotonic() + o->patience;
        gate_queue_again(&o->queue);
        pump_frames(p);
    }
    look_after(o->again - bw_monotonic());
}

/* --- the loop --------------------------------------------------------------------------------- */

static void look_at_incarnation(void)
{
    struct incarnation now;

    bw_incarnation(&now);
    if (now.count == incarnation.count && now.random == incarnation.random) {
        return;
    }
    incarnation = now;
    for (unsigned p = 0; p < PEERS && peer[p]; p++) {
        peer[p]->connection = 0;
        gate_queue_begin(&peer[p]->queue, this_run());
    }
}

/** If a commit is waited for, when to look again: the longer it takes, the more rarely. */
static void look_for_commit(bool waits, bool news)
{
    bw_time_t now = bw_monotonic(), waited;

    if (!waits) {
        waiting_since = 0;
        return;
    }
    if (waiting_since == 0 || news || waiting_since > now) {
        waiting_since = now;
    }
    waited = (now - waiting_since) / LOOK_PART;
    look_after(waited < RETRY_NS ? RETRY_NS : waited > LOOK_MAX_NS ? LOOK_MAX_NS : waited);
}

static void pump(void)
{
    uint64_t generation = bw_committed();
    bool waits = false;

    for (unsigned p = 0; p < PEERS && peer[p]; p++) {
        gate_queue_committed(&peer[p]->queue, generation);
        calls_pump(p);
        pump_requests(p);
        pump_frames(p);
        pump_again(p);
        waits |= gate_queue_waits(&peer[p]->queue);
    }
    look_for_commit(waits, generation != committed);
    committed = generation;
}

static void look_at_links(void)
{
    enum link_reason reason;

    for (unsigned p = 0; p < PEERS && peer[p]; p++) {
        if (!peer_ready(p, &reason) && reason == LINK_STRANGER &&
            (peer[p]->queue.last || peer[p]->queue.delivered)) {
            gate_queue_sever(&peer[p]->queue);
            severed(p);
        }
    }
}

/** A store that is full from the start may be made larger later. */
static void wait_for_room(void)
{
    bw_wait(bw_monotonic() + 1000000000ull);
}

static void make_node(uint16_t place)
{
    uint64_t id = bw_next_id(1);
    struct message m;

    for (;;) {
        m = (struct message){.code = RANGE_CREATE, .word = {id, OBJECT_NODE}, .take = {place}};
        if (bw_call(KEY_AT(KR_RANGE), &m) != BW_NOSPACE) {
            break;
        }
        wait_for_room();
    }
    bw_assert(m.code == BW_OK);
}

static void publish(void)
{
    int64_t result;

    while ((result = bw_publish_name(NAME, "*", BADGE_GATES)) == BW_NOSPACE) {
        wait_for_room();
    }
    bw_assert(result == BW_OK);
}

int main_native(uint64_t word)
{
    static union {
        struct gate_frame frame;
        uint8_t bytes[sizeof(struct gate_frame)];
    } in;
    struct message m;

    (void)word;
    make_node(KEY_AT(KR_PEERS));
    make_node(KEY_AT(KR_CALLS));
    make_node(KEY_AT(KR_WORKERS));
    look_at_incarnation();
    publish();
    for (;;) {
        deadline = BW_NO_DEADLINE;
        pump();
        m = (struct message){.buffer = &in, .size = sizeof(in), .deadline = deadline};
        for (unsigned i = 0; i < BW_MESSAGE_KEYS; i++) {
            m.take[i] = KEY_AT(KR_ARGUMENT + i);
        }
        bw_return(0, &m, KEY_AT(KR_CALLER), 0);
        look_at_incarnation();
        if (m.delivery == DELIVERY_POSTED) {
            look_at_links();
        } else if (m.delivery == DELIVERY_MESSAGE && m.badge == BADGE_GATES) {
            serve_frame(&m, &in.frame);
        } else if (m.delivery == DELIVERY_MESSAGE && m.badge == BADGE_PROGRAMS) {
            calls_open(&m, in.bytes);
        } else if (m.delivery == DELIVERY_MESSAGE) {
            calls_serve(m.badge - BADGE_FIRST, &m, in.bytes);
        }
    }
}
