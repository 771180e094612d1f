/*
 * The relay: carries bytes of the district's sockets to the relays of other districts, over one
 * named link to each ("NAME/.relay"). The personality shares a window of channels with it
 * (../channels.h) and never waits for it.
 *
 * Messages go one way and without waiting (SEND, INVOKE_NOBLOCK): two relays that called each other
 * could wait for ever. What could not be sent is tried again a little later; everything that has to
 * be sent follows from the state of the channels, so nothing is queued.
 *
 * A connection is named by its token. When a link is severed, all connections over it are reset:
 * the other side may have gone back in time, and knows other bytes. So they are when this district
 * was restarted, except with one that it is bonded with. A listening channel goes on.
 *
 * The nucleus does not wait for our buffer: a string that it cannot put there is cut. So DATA says
 * where it begins, and who misses some asks for it AGAIN; it is in the ring until it is TAKEN.
 *
 * Invariants of a channel that is open:
 *   1. out_tail <= sent <= out_head <= out_tail + CHANNEL_RING; and so the other side has room for
 *      whatever is sent.
 *   2. What goes to the personality is what follows in_head; what lies beyond the ring resets the
 *      connection.
 *   3. Who was sent OPEN, or sent OPENED, gets CLOSED or RESET, unless the link is cut before.
 */
#include <errno.h>
#include <string.h>
#include <bailiwick/image.h>
#include <bailiwick/program.h>
#include "../channels.h"

#define KR_PEERS    24 /* node: named links */
#define KEY_PEER(p) KEY_IN_NODE(KR_PEERS, (p))

#define BADGE_RELAY 0u             /* messages of other relays */
#define BADGE_LINK  2u             /* a link has changed */
#define PEERS       (CHANNELS + 1) /* so one is idle when a new one comes */
#define RETRY_NS    1000000ull     /* the other one was busy */
#define ASK_NS      500000000ull   /* no answer to OPEN */
#define NAME        ".relay"

enum relay_order {                 /* w0 the receiver's channel, w1 token, unless said otherwise */
                   RELAY_OPEN = 1, /* w0 the sender's channel, string: name */
                   RELAY_OPENED = 2,  /* w2 the sender's channel */
                   RELAY_REFUSED = 3, /* w2 errno */
                   RELAY_DATA = 4,    /* w2 bytes before these, string */
                   RELAY_TAKEN = 5,   /* w2 bytes taken */
                   RELAY_OVER = 6,    /* nothing more comes */
                   RELAY_CLOSED = 7,  /* nothing more comes, nothing more is taken */
                   RELAY_RESET = 8,   /* no w0: whichever has the token */
                   RELAY_AGAIN = 9,   /* w2 bytes that have come; what follows is sent again */
};

/** What is not the personality's business. */
static struct side {
    uint64_t token; /* 0: no connection */
    unsigned peer;
    uint32_t theirs; /* channel of the other side */
    uint32_t sent, taken_told;
    bool asked, answered, over_told;
    bool gap; /* the other side is to send again from in_head */
    bw_time_t ask_again;
} side[CHANNELS];

static struct peer {
    char name[DISTRICT_NAME_MAX]; /* empty: free */
    uint64_t connection;
} peer[PEERS];

static struct channels *const window = (struct channels *)IMAGE_WINDOW(4);
static struct incarnation incarnation;
static uint64_t tokens;
static bw_time_t again; /* when something is to be tried again */
static bool changed;    /* the personality is to look */

static struct channel *channel_of(unsigned c)
{
    return &window->channel[c];
}

static void set(uint32_t *field, uint32_t value)
{
    channel_store(field, value);
    changed = true;
}

static void try_again(bw_time_t after)
{
    bw_time_t then = bw_monotonic() + after;

    again = then < again ? then : again;
}

/* --- connections --------------------------------------------------------------------------- */

static void reset(unsigned c)
{
    struct channel *ch = channel_of(c);

    side[c] = (struct side){0};
    if (ch->state == CHANNEL_OPEN || ch->state == CHANNEL_INCOMING) {
        set(&ch->reset, 1);
    }
}

/** A connection that was not open yet begins anew. */
static bool begins(unsigned c)
{
    return c < CHANNELS_OURS && channel_of(c)->state == CHANNEL_IDLE;
}

static void reset_peer(unsigned p)
{
    for (unsigned c = 0; c < CHANNELS; c++) {
        if (side[c].token && side[c].peer == p) {
            if (begins(c)) {
                side[c].asked = false;
            } else {
                reset(c);
            }
        }
    }
}

/** Whether a peer was restarted together with us: the link to it is what it was. */
static bool bonded(unsigned p)
{
    uint64_t connection;
    enum link_reason reason;

    return bw_link_state(KEY_PEER(p), &connection, &reason) == LINK_LIVE &&
           connection == peer[p].connection;
}

/** What the last messages to us were is not known any more: they are sent again, by both. */
static void go_on(unsigned c)
{
    side[c].asked = side[c].asked && !begins(c);
    side[c].over_told = false;
    side[c].gap = true;
    side[c].taken_told--;
}

static void restarted(void)
{
    for (unsigned c = 0; c < CHANNELS; c++) {
        if (side[c].token && bonded(side[c].peer)) {
            go_on(c);
        } else if (begins(c)) {
            side[c] = (struct side){0};
        } else if (side[c].token) {
            reset(c);
        }
    }
}

/** Looks at the link to a peer. @return whether messages may be sent */
static bool peer_ready(unsigned p, enum link_reason *reason)
{
    uint64_t connection;
    enum link_state state = bw_link_state(KEY_PEER(p), &connection, reason);

    if (state == LINK_SEVERED || connection != peer[p].connection) {
        if (peer[p].connection) {
            reset_peer(p);
        }
        peer[p].connection = state == LINK_SEVERED ? 0 : connection;
    }
    if (state == LINK_RELINKED) {
        state = bw_link_acknowledge(KEY_PEER(p), connection) == BW_OK ? LINK_LIVE : state;
    }
    return state == LINK_LIVE;
}

/** The peer of that name, PEERS: we have no link to it. */
static unsigned known_peer(const char *name)
{
    unsigned p = 0;

    while (p < PEERS && strncmp(peer[p].name, name, sizeof(peer[p].name)) != 0) {
        p++;
    }
    return p;
}

/** A peer that no connection is with. Its link, if it has one, is given up. */
static unsigned idle_peer(void)
{
    unsigned p = known_peer("");

    for (p = p == PEERS ? 0 : p; p < PEERS; p++) {
        unsigned c = 0;

        while (c < CHANNELS && (!side[c].token || side[c].peer != p)) {
            c++;
        }
        if (c == CHANNELS) {
            break;
        }
    }
    if (p < PEERS && peer[p].name[0]) {
        struct message m = {.send = {KEY_PEER(p)}};

        bw_self(SELF_LINK_DROP, &m);
        peer[p] = (struct peer){0};
    }
    return p;
}

/** The peer of that name; its link is opened if need be. @return PEERS: it cannot be */
static unsigned find_peer(const char *name)
{
    unsigned p = known_peer(name);

    if (p == PEERS && (p = idle_peer()) < PEERS) {
        if (bw_link_open(name, NAME, LINK_NOTIFY, BADGE_LINK, KEY_PEER(p)) != BW_OK) {
            return PEERS;
        }
        memcpy(peer[p].name, name, strnlen(name, sizeof(peer[p].name) - 1));
    }
    return p;
}

/** Sends to the other side of a channel. @return true if it was taken */
static bool tell(unsigned c, enum relay_order order, uint64_t w2, const void *string, size_t length)
{
    struct message m = {.code = order,
                        .word = {order == RELAY_OPEN ? c : side[c].theirs, side[c].token, w2},
                        .string = string,
                        .length = length};
    enum link_reason reason;

    if (!peer_ready(side[c].peer, &reason)) {
        return false;
    }
    switch (bw_send(KEY_PEER(side[c].peer), &m, INVOKE_NOBLOCK)) {
    case BW_OK:
        return true;
    case BW_BUSY:
        try_again(RETRY_NS);
        return false;
    default: /* the link was cut just now: peer_ready says so when we come again */
        try_again(RETRY_NS);
        return false;
    }
}

static uint64_t new_token(void)
{
    return (incarnation.random ^ ++tokens * 0x9e3779b97f4a7c15ull) | 1;
}

/* --- what the personality wants --------------------------------------------------------------- */

static void fail(unsigned c, int error)
{
    channel_of(c)->error = (uint32_t)error;
    side[c] = (struct side){0};
    set(&channel_of(c)->state, CHANNEL_FAILED);
}

static void connect(unsigned c)
{
    struct channel *ch = channel_of(c);
    struct side *s = &side[c];
    enum link_reason reason;

    if (!s->token) {
        unsigned p = find_peer(ch->district);

        if (p == PEERS) {
            fail(c, EAGAIN);
            return;
        }
        *s = (struct side){.token = new_token(), .peer = p};
    }
    if (!peer_ready(s->peer, &reason)) {
        if (reason >= LINK_NO_DISTRICT) {
            fail(c, reason == LINK_REFUSED ? EACCES : ECONNREFUSED);
        }
        return; /* else the link's next state is posted */
    }
    if (!s->asked || bw_monotonic() >= s->ask_again) {
        s->asked |= tell(c, RELAY_OPEN, 0, ch->name, strnlen(ch->name, sizeof(ch->name)));
        s->ask_again = bw_monotonic() + ASK_NS;
    }
    try_again(ASK_NS);
}

/** Bytes that were put go out, as far as the other side takes them. */
static void send_bytes(unsigned c)
{
    struct channel *ch = channel_of(c);
    struct side *s = &side[c];
    uint32_t over = channel_load(&ch->out_over), head = channel_load(&ch->out_head);

    if (head - ch->out_tail > CHANNEL_RING) {
        reset(c); /* the personality has broken the window's invariant */
        return;
    }
    while (s->sent != head) {
        uint32_t at = s->sent % CHANNEL_RING, n = CHANNEL_RING - at;

        n = n < head - s->sent ? n : head - s->sent;
        if (!tell(c, RELAY_DATA, s->sent, window->out[c] + at, n)) {
            return;
        }
        s->sent += n;
    }
    if (over && !s->over_told) {
        s->over_told = tell(c, RELAY_OVER, 0, NULL, 0);
    }
}

static void carry(unsigned c)
{
    struct channel *ch = channel_of(c);
    struct side *s = &side[c];
    uint32_t taken = channel_load(&ch->in_tail);

    if (c >= CHANNELS_OURS && !s->answered) {
        s->answered = channel_load(&ch->want) == WANT_DATA && tell(c, RELAY_OPENED, c, NULL, 0);
        if (!s->answered) {
            return;
        }
    }
    send_bytes(c);
    if (s->gap && tell(c, RELAY_AGAIN, ch->in_head, NULL, 0)) {
        s->gap = false;
    }
    if (s->token && taken != s->taken_told && tell(c, RELAY_TAKEN, taken, NULL, 0)) {
        s->taken_told = taken;
    }
}

/** The other side has the connection, or may have. */
static bool known_there(unsigned c)
{
    return side[c].token && (c < CHANNELS_OURS ? side[c].asked : side[c].answered);
}

/** The personality is through with the channel. */
static void finish(unsigned c)
{
    struct channel *ch = channel_of(c);

    if (c >= CHANNELS_OURS && side[c].token && !side[c].answered &&
        !tell(c, RELAY_REFUSED, ch->refusal, NULL, 0) && side[c].token) {
        return; /* it was busy */
    }
    if (known_there(c) && !tell(c, begins(c) ? RELAY_RESET : RELAY_CLOSED, 0, NULL, 0) &&
        known_there(c)) {
        return; /* it was busy */
    }
    side[c] = (struct side){0};
    ch->out_tail = ch->in_head = ch->in_over = ch->closed = ch->reset = 0;
    ch->error = ch->listener = 0;
    set(&ch->state, CHANNEL_ENDED);
}

static void look_at(unsigned c)
{
    struct channel *ch = channel_of(c);

    switch (channel_load(&ch->want)) {
    case WANT_CONNECT:
        if (ch->state == CHANNEL_IDLE) {
            connect(c);
        } else if (side[c].token) {
            carry(c);
        }
        break;
    case WANT_DONE:
        if (ch->state != CHANNEL_ENDED) {
            finish(c);
        }
        break;
    default:
        if (ch->state == CHANNEL_ENDED) {
            set(&ch->state, CHANNEL_IDLE);
        }
        if (side[c].token) {
            carry(c);
        }
    }
}

/* --- what other relays say -------------------------------------------------------------------- */

static void answer(unsigned p, uint64_t theirs, uint64_t token, enum relay_order order, int error)
{
    struct message m = {.code = order, .word = {theirs, token, (uint64_t)error}};
    enum link_reason reason;

    if (peer_ready(p, &reason)) {
        bw_send(KEY_PEER(p), &m, INVOKE_NOBLOCK); /* if it is lost, they ask again */
    }
}

static void reset_token(unsigned p, uint64_t token)
{
    for (unsigned c = 0; c < CHANNELS; c++) {
        if (token && side[c].token == token && side[c].peer == p) {
            reset(c);
        }
    }
}

static unsigned find_listener(const char *name, size_t length)
{
    unsigned c = 0;

    while (c < CHANNELS_OURS && (channel_load(&channel_of(c)->want) != WANT_LISTEN ||
                                 strnlen(channel_of(c)->name, LINK_NAME_MAX) != length ||
                                 memcmp(channel_of(c)->name, name, length) != 0)) {
        c++;
    }
    return c;
}

/** A channel for a connection from a peer; CHANNELS: there is none for it. No peer gets more than
 * what it then leaves for others. */
static unsigned vacant_channel(unsigned p)
{
    unsigned first = CHANNELS, vacant = 0, his = 0;

    for (unsigned c = CHANNELS; c-- > CHANNELS_OURS;) {
        his += side[c].token && side[c].peer == p;
        if (channel_load(&channel_of(c)->want) == WANT_NOTHING &&
            channel_of(c)->state == CHANNEL_IDLE) {
            first = c;
            vacant++;
        }
    }
    return his < vacant ? first : CHANNELS;
}

/** Somebody connects. He asks again until he has an answer. */
static void opened_by(unsigned p, const struct message *m, const char *name)
{
    unsigned listener, c;

    for (unsigned i = CHANNELS_OURS; i < CHANNELS; i++) {
        if (side[i].token == m->word[1] && side[i].peer == p) {
            side[i].answered = false; /* the answer was lost */
            return;
        }
    }
    listener = find_listener(name, m->length);
    c = vacant_channel(p);
    if (listener == CHANNELS_OURS || c == CHANNELS) {
        answer(p, m->word[0], m->word[1], RELAY_REFUSED,
               listener == CHANNELS_OURS ? ECONNREFUSED : EAGAIN);
        return;
    }
    side[c] = (struct side){.token = m->word[1], .peer = p, .theirs = (uint32_t)m->word[0]};
    channel_of(c)->listener = listener;
    memcpy(channel_of(c)->district, peer[p].name, sizeof(peer[p].name));
    set(&channel_of(c)->state, CHANNEL_INCOMING);
}

static void received(unsigned c, const struct message *m, const uint8_t *bytes)
{
    struct channel *ch = channel_of(c);
    uint32_t head = ch->in_head, room = CHANNEL_RING - (head - channel_load(&ch->in_tail));
    uint32_t beyond = (uint32_t)m->word[2] - head, skip = -beyond; /* these came before */

    if (m->cut || (beyond > 0 && beyond <= room)) {
        side[c].gap = true;
        return;
    }
    if (skip > CHANNEL_RING || (m->length > skip && m->length - skip > room)) {
        reset(c);
        return;
    }
    for (size_t i = skip; i < m->length; i++) {
        window->in[c][(head + i - skip) % CHANNEL_RING] = bytes[i];
    }
    if (m->length > skip) {
        set(&ch->in_head, head + (uint32_t)m->length - skip);
    }
}

static void serve_channel(unsigned c, const struct message *m, const uint8_t *bytes)
{
    struct channel *ch = channel_of(c);

    switch (m->code) {
    case RELAY_OPENED:
        if (begins(c)) {
            side[c].theirs = (uint32_t)m->word[2];
            set(&ch->state, CHANNEL_OPEN);
        }
        break;
    case RELAY_REFUSED:
        if (begins(c)) {
            fail(c, m->word[2] == EAGAIN || m->word[2] == EACCES ? (int)m->word[2] : ECONNREFUSED);
        }
        break;
    case RELAY_DATA:
        received(c, m, bytes);
        break;
    case RELAY_TAKEN:
        if ((uint32_t)m->word[2] - ch->out_tail <= side[c].sent - ch->out_tail) {
            set(&ch->out_tail, (uint32_t)m->word[2]);
        }
        break;
    case RELAY_AGAIN:
        if ((uint32_t)m->word[2] - ch->out_tail <= side[c].sent - ch->out_tail) {
            side[c].sent = (uint32_t)m->word[2];
        }
        break;
    case RELAY_OVER:
        set(&ch->in_over, 1);
        break;
    case RELAY_CLOSED:
        set(&ch->closed, 1);
        set(&ch->in_over, 1);
        break;
    default:
        reset(c);
    }
}

static void serve(const struct message *m, const uint8_t *bytes)
{
    char name[DISTRICT_NAME_MAX + 1] = {0};
    struct message sender = {.buffer = name, .size = DISTRICT_NAME_MAX};
    unsigned c = m->word[0] < CHANNELS ? (unsigned)m->word[0] : 0;
    unsigned p;

    bw_self(SELF_SENDER, &sender);
    if (m->sender == 0 || !name[0]) { /* or who sent it has ended */
        return;
    }
    p = m->code == RELAY_OPEN ? find_peer(name) : known_peer(name);
    if (p == PEERS) {
        return;
    }
    if (m->code == RELAY_OPEN) {
        if (m->word[1] && !m->cut) {
            opened_by(p, m, (const char *)bytes);
        }
    } else if (m->code == RELAY_RESET) {
        reset_token(p, m->word[1]);
    } else if (m->word[0] < CHANNELS && side[c].token && side[c].token == m->word[1] &&
               side[c].peer == p) {
        serve_channel(c, m, bytes);
    } else if (m->code == RELAY_OPENED || m->code == RELAY_DATA) { /* of a past */
        answer(p, 0, m->word[1], RELAY_RESET, 0);
    }
}

/* --- the loop --------------------------------------------------------------------------------- */

static void look_at_incarnation(void)
{
    struct incarnation now;

    bw_incarnation(&now);
    if (now.count != incarnation.count || now.random != incarnation.random) {
        incarnation = now;
        restarted();
    }
}

/** Makes the node of KR_PEERS. A store that is full from the start may be made larger later. */
static void make_peers(void)
{
    uint64_t id = bw_next_id(1);
    struct message m;

    for (;;) {
        m = (struct message){
            .code = RANGE_CREATE, .word = {id, OBJECT_NODE}, .take = {KEY_AT(KR_PEERS)}};
        if (bw_call(KEY_AT(KR_RANGE), &m) != BW_NOSPACE) {
            break;
        }
        bw_wait(bw_monotonic() + 1000000000ull);
    }
    bw_assert(m.code == BW_OK);
}

int main_native(uint64_t word)
{
    static uint8_t bytes[CHANNEL_RING];
    struct message m;

    (void)word;
    make_peers();
    bw_assert(bw_publish_name(NAME, "*", BADGE_RELAY) == BW_OK);
    for (;;) {
        again = BW_NO_DEADLINE;
        look_at_incarnation();
        for (unsigned c = 0; c < CHANNELS; c++) {
            look_at(c);
        }
        if (changed) {
            changed = false;
            bw_post(KEY_AT(KR_IMAGE_PEER));
        }
        m = (struct message){.buffer = bytes, .size = sizeof(bytes), .deadline = again};
        bw_return(0, &m, 0, 0);
        look_at_incarnation();
        if (m.cut) { /* what is touched is there when they send it again */
            memset(bytes, 0, sizeof(bytes));
        }
        if (m.delivery == DELIVERY_MESSAGE) {
            serve(&m, bytes);
        } else if (m.delivery == DELIVERY_POSTED && (m.word[0] & 1ull << BADGE_LINK)) {
            enum link_reason reason;

            for (unsigned p = 0; p < PEERS; p++) {
                if (peer[p].name[0]) {
                    peer_ready(p, &reason);
                }
            }
        }
    }
}
