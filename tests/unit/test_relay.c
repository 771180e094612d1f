// sources: fake_panic.c
/*
 * The relay (userland/unix/relay) with the personality and the relays of other districts played by
 * the test: strings that the nucleus had to cut, answers that meet a busy peer, connections that
 * are given up, greedy peers, more peers than there are places for.
 *
 * The relay runs as a coroutine: it runs whenever it has got a message, until it waits again.
 */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#undef fail /* of Check */
#include "../../userland/unix/relay/relay.c"

#define SENT 4096u

static ucontext_t test_context, relay_context;
static struct message *waiting; /* what the relay waits for a message in */
static bw_time_t now;
static char sender_name[DISTRICT_NAME_MAX];
static struct {
    char name[DISTRICT_NAME_MAX];
    enum link_state state;
    enum link_reason reason;
    uint64_t connection;
    bool busy;
} link[256]; /* by place in KR_PEERS */
static struct {
    unsigned peer;
    int64_t code;
    uint64_t word[BW_MESSAGE_WORDS];
    size_t length;
} sent[SENT];
static unsigned sent_count, opened, dropped, runs = 1;

/* --- the run-time library ------------------------------------------------------------------ */

void bw_return(uint16_t key, struct message *m, uint16_t resume, unsigned flags)
{
    (void)key, (void)resume, (void)flags;
    waiting = m;
    swapcontext(&relay_context, &test_context);
}

static unsigned place_of(uint16_t key)
{
    ck_assert_uint_eq(key & (0x8000u | 31), 0x8000u | KR_PEERS);
    return key >> 5 & 255;
}

int64_t bw_send(uint16_t key, struct message *m, unsigned flags)
{
    unsigned p = place_of(key);

    ck_assert_uint_eq(flags, INVOKE_NOBLOCK);
    ck_assert_uint_eq(link[p].state, LINK_LIVE);
    if (link[p].busy)
        return BW_BUSY;
    ck_assert_uint_lt(sent_count, SENT);
    sent[sent_count].peer = p;
    sent[sent_count].code = m->code;
    sent[sent_count].length = m->length;
    memcpy(sent[sent_count++].word, m->word, sizeof(m->word));
    return BW_OK;
}

int64_t bw_self(enum self_order order, struct message *m)
{
    switch (order) {
    case SELF_SENDER:
        memcpy(m->buffer, sender_name, DISTRICT_NAME_MAX);
        return BW_OK;
    case SELF_LINK_DROP:
        memset(&link[place_of(m->send[0])], 0, sizeof(link[0]));
        dropped++;
        return BW_OK;
    default:
        ck_abort_msg("order %d", order);
        return BW_ORDER;
    }
}

enum link_state bw_link_state(uint16_t place, uint64_t *connection, enum link_reason *reason)
{
    unsigned p = place_of(place);

    *connection = link[p].connection;
    *reason = link[p].reason;
    return link[p].state;
}

int64_t bw_link_acknowledge(uint16_t place, uint64_t connection)
{
    ck_assert_uint_eq(connection, link[place_of(place)].connection);
    link[place_of(place)].state = LINK_LIVE;
    return BW_OK;
}

int64_t bw_link_open(const char *district, const char *name, enum link_mode mode, uint16_t badge,
                     uint16_t place)
{
    unsigned p = place_of(place);

    ck_assert_str_eq(name, ".relay");
    ck_assert(mode == LINK_NOTIFY && badge == BADGE_LINK);
    ck_assert_uint_eq(link[p].name[0], 0);
    memcpy(link[p].name, district, strlen(district));
    link[p].state = LINK_LIVE;
    link[p].connection = 1;
    opened++;
    return BW_OK;
}

void bw_incarnation(struct incarnation *i)
{
    *i = (struct incarnation){runs, runs, 1};
}

bw_time_t bw_monotonic(void)
{
    return now;
}

int64_t bw_call(uint16_t key, struct message *m)
{
    (void)key;
    return m->code = BW_OK;
}

int64_t bw_publish_name(const char *name, const char *access, uint16_t badge)
{
    (void)name, (void)access, (void)badge;
    return BW_OK;
}

uint64_t bw_next_id(uint64_t count)
{
    return count;
}

int64_t bw_post(uint16_t key)
{
    (void)key;
    return BW_OK;
}

uint64_t bw_wait(bw_time_t deadline)
{
    (void)deadline;
    return 0;
}

/* --- the world ------------------------------------------------------------------------------- */

static void run_relay(void)
{
    main_native(0);
}

static void set_up(void)
{
    static uint8_t stack[1 << 16];

    memset(link, 0, sizeof(link));
    sent_count = opened = dropped = 0;
    now = 1000;
    ck_assert_ptr_eq(mmap(window, sizeof(*window), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
                     window);
    getcontext(&relay_context);
    relay_context.uc_stack.ss_sp = stack;
    relay_context.uc_stack.ss_size = sizeof(stack);
    makecontext(&relay_context, run_relay, 0);
    swapcontext(&test_context, &relay_context);
}

/** The relay is woken: its time has come, or the personality has posted. */
static void wake(enum delivery delivery)
{
    waiting->delivery = delivery;
    waiting->cut = 0;
    waiting->length = 0;
    waiting->word[0] = 1 << BADGE_WORK;
    swapcontext(&test_context, &relay_context);
}

static void posted(void)
{
    wake(DELIVERY_POSTED);
}

static void later(void)
{
    ck_assert_uint_ne(waiting->deadline, BW_NO_DEADLINE);
    now = waiting->deadline;
    wake(DELIVERY_TIMEOUT);
}

static void message(const char *from, enum relay_order order, uint64_t w0, uint64_t token,
                    uint64_t w2, const char *string, bool cut)
{
    memset(sender_name, 0, sizeof(sender_name));
    memcpy(sender_name, from, strlen(from));
    *waiting = (struct message){.code = order,
                                .word = {w0, token, w2},
                                .buffer = waiting->buffer,
                                .size = waiting->size,
                                .sender = 2,
                                .cut = cut};
    waiting->length = string == NULL || cut ? 0 : strlen(string);
    if (waiting->length > 0)
        memcpy(waiting->buffer, string, waiting->length);
    swapcontext(&test_context, &relay_context);
}

/** The last message that was sent, which must be of that order. */
static const uint64_t *last(enum relay_order order)
{
    ck_assert_uint_gt(sent_count, 0);
    ck_assert_int_eq(sent[sent_count - 1].code, order);
    return sent[sent_count - 1].word;
}

static void listen_in(unsigned c, const char *name)
{
    strcpy(channel_of(c)->name, name);
    channel_of(c)->want = WANT_LISTEN;
}

/** Somebody connects. @return the channel, CHANNELS if he was refused */
static unsigned incoming(const char *from, uint64_t token)
{
    unsigned before = sent_count, c = 0;

    message(from, RELAY_OPEN, 3, token, 0, "chat", false);
    if (sent_count > before && sent[sent_count - 1].code == RELAY_REFUSED)
        return CHANNELS;
    while (channel_of(c)->state != CHANNEL_INCOMING || channel_of(c)->want != WANT_NOTHING)
        ck_assert_uint_lt(++c, CHANNELS);
    channel_of(c)->want = WANT_DATA; /* the personality lets him in */
    posted();
    ck_assert_uint_eq(last(RELAY_OPENED)[2], c);
    return c;
}

/** The personality is through with a channel, and so is the relay. */
static void done(unsigned c)
{
    channel_of(c)->want = WANT_DONE;
    posted();
    ck_assert_uint_eq(channel_of(c)->state, CHANNEL_ENDED);
    channel_of(c)->want = WANT_NOTHING;
    channel_of(c)->out_head = channel_of(c)->in_tail = channel_of(c)->out_over = 0;
    posted();
    ck_assert_uint_eq(channel_of(c)->state, CHANNEL_IDLE);
}

/* --- the tests -------------------------------------------------------------------------------- */

/** A string that did not arrive is asked for again; what came twice counts once. */
START_TEST(cut_strings)
{
    set_up();
    listen_in(0, "chat");
    unsigned c = incoming("b", 77);
    message("b", RELAY_DATA, c, 77, 0, "hello ", true);
    ck_assert_uint_eq(last(RELAY_AGAIN)[2], 0);
    message("b", RELAY_DATA, c, 77, 6, "world", false); /* was on its way */
    ck_assert_uint_eq(last(RELAY_AGAIN)[2], 0);
    message("b", RELAY_DATA, c, 77, 0, "hello ", false);
    message("b", RELAY_DATA, c, 77, 0, "hello world", false);
    message("b", RELAY_DATA, c, 77, 6, "world", false);
    ck_assert_uint_eq(channel_of(c)->in_head, 11);
    ck_assert(memcmp(window->in[c], "hello world", 11) == 0);
    ck_assert_uint_eq(channel_of(c)->reset, 0);
    message("b", RELAY_DATA, c, 77, 5000, "far away", false);
    ck_assert_uint_eq(channel_of(c)->reset, 1);
}
END_TEST

START_TEST(a_name_that_is_cut)
{
    set_up();
    listen_in(0, "chat");
    unsigned before = sent_count;
    message("b", RELAY_OPEN, 3, 77, 0, "chat", true);
    ck_assert_uint_eq(sent_count, before);
    ck_assert_uint_lt(incoming("b", 77), CHANNELS); /* he asks again */
}
END_TEST

/** A connection to "b" is open in channel 0. @return its token */
static uint64_t connect_out(void)
{
    strcpy(channel_of(0)->district, "b");
    strcpy(channel_of(0)->name, "chat");
    channel_of(0)->want = WANT_CONNECT;
    posted();
    uint64_t token = last(RELAY_OPEN)[1];
    message("b", RELAY_OPENED, 0, token, 20, NULL, false);
    ck_assert_uint_eq(channel_of(0)->state, CHANNEL_OPEN);
    return token;
}

START_TEST(sends_again)
{
    set_up();
    uint64_t token = connect_out();
    channel_of(0)->out_head = 1000;
    posted();
    ck_assert_uint_eq(last(RELAY_DATA)[2], 0);
    message("b", RELAY_TAKEN, 0, token, 300, NULL, false);
    message("b", RELAY_AGAIN, 0, token, 600, NULL, false);
    ck_assert_uint_eq(last(RELAY_DATA)[2], 600);
    ck_assert_uint_eq(sent[sent_count - 1].length, 400);
    unsigned before = sent_count;
    message("b", RELAY_AGAIN, 0, token, 299, NULL, false);  /* it has more than that */
    message("b", RELAY_AGAIN, 0, token, 1001, NULL, false); /* so much was never sent */
    ck_assert_uint_eq(sent_count, before);
}
END_TEST

/** connect() is given up before there is an answer, while the other side is busy: it hears of it.
 */
START_TEST(given_up)
{
    set_up();
    strcpy(channel_of(0)->district, "b");
    strcpy(channel_of(0)->name, "chat");
    channel_of(0)->want = WANT_CONNECT;
    posted();
    uint64_t token = last(RELAY_OPEN)[1];
    link[0].busy = true;
    channel_of(0)->want = WANT_DONE;
    posted();
    later();
    ck_assert_uint_eq(side[0].token, token);
    link[0].busy = false;
    later();
    ck_assert_uint_eq(last(RELAY_RESET)[1], token);
    ck_assert_uint_eq(side[0].token, 0);
    ck_assert_uint_eq(channel_of(0)->state, CHANNEL_ENDED);
}
END_TEST

/** .. and if the link is cut before, it need not. */
START_TEST(given_up_and_cut)
{
    set_up();
    connect_out();
    link[0].busy = true;
    channel_of(0)->want = WANT_DONE;
    posted();
    link[0].state = LINK_SEVERED;
    later();
    ck_assert_uint_eq(side[0].token, 0);
    ck_assert_uint_eq(channel_of(0)->state, CHANNEL_ENDED);
}
END_TEST

/** connect() is given up before the relay has looked: it is not freed before the relay knows. */
START_TEST(given_up_at_once)
{
    set_up();
    channel_of(0)->want = WANT_DONE;
    ck_assert_uint_ne(channel_of(0)->state, CHANNEL_ENDED);
    done(0);
    ck_assert_uint_eq(sent_count, 0);
    connect_out(); /* it is as good as new */
}
END_TEST

/** Whoever opens all that he can leaves channels to others. */
START_TEST(greedy_peers)
{
    uint64_t token = 1;
    set_up();
    listen_in(0, "chat");
    for (char name[] = "a"; name[0] < 'e'; name[0]++) {
        unsigned got = 0;
        while (incoming(name, ++token) < CHANNELS)
            ck_assert_uint_lt(++got, CHANNELS - CHANNELS_OURS);
        ck_assert_uint_ge(got, 1);
    }
}
END_TEST

/** More districts than there are places for peers, one after the other. */
START_TEST(many_peers)
{
    set_up();
    listen_in(0, "chat");
    for (unsigned n = 0; n < 200; n++) {
        char name[8];
        snprintf(name, sizeof(name), "d%u", n);
        unsigned c = incoming(name, 1000 + n);
        ck_assert_uint_lt(c, CHANNELS);
        ck_assert_str_eq(link[sent[sent_count - 1].peer].name, name);
        if (n > 3) { /* some stay */
            done(c);
            last(RELAY_CLOSED);
        }
    }
    ck_assert_uint_eq(opened, 200);
    ck_assert_uint_eq(dropped, 200 - PEERS);
}
END_TEST

/** Nonsense opens no links and leaves no traces. */
START_TEST(nonsense)
{
    set_up();
    listen_in(0, "chat");
    for (enum relay_order order = 0; order < 12; order++)
        for (uint64_t token = 0; token < 2; token++)
            if (order != RELAY_OPEN)
                message("x", order, token * 1000, token, 5, "", false);
    message("x", RELAY_OPEN, 0, 0, 0, "chat", false);
    message("", RELAY_OPEN, 0, 5, 0, "chat", false); /* its sender has ended */
    ck_assert_uint_le(opened, 1);
    for (unsigned c = 0; c < CHANNELS; c++)
        ck_assert_uint_eq(channel_of(c)->state, CHANNEL_IDLE);
}
END_TEST

/** A restart ends connections, but not those to a district that was restarted together with ours:
 * then what may have been lost on the way is sent again. */
START_TEST(a_restart)
{
    set_up();
    listen_in(0, "chat");
    unsigned bonded_one = incoming("b", 77), other = incoming("c", 78);
    message("b", RELAY_DATA, bonded_one, 77, 0, "hello ", false);
    for (unsigned p = 0; p < PEERS; p++)
        if (strcmp(link[p].name, "c") == 0) {
            link[p].connection++; /* severed, and established again */
            link[p].state = LINK_RELINKED;
        }
    unsigned before = sent_count;
    runs++;
    posted();
    ck_assert_uint_eq(channel_of(bonded_one)->reset, 0);
    ck_assert_uint_eq(channel_of(other)->reset, 1);
    bool asked = false;
    for (; before < sent_count; before++)
        asked = asked || (sent[before].code == RELAY_AGAIN && sent[before].word[2] == 6);
    ck_assert(asked);
    message("b", RELAY_DATA, bonded_one, 77, 0, "hello world", false);
    ck_assert_uint_eq(channel_of(bonded_one)->in_head, 11);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("relay");
    TCase *t = tcase_create("relay");
    tcase_add_test(t, cut_strings);
    tcase_add_test(t, a_name_that_is_cut);
    tcase_add_test(t, sends_again);
    tcase_add_test(t, given_up);
    tcase_add_test(t, given_up_and_cut);
    tcase_add_test(t, given_up_at_once);
    tcase_add_test(t, greedy_peers);
    tcase_add_test(t, many_peers);
    tcase_add_test(t, nonsense);
    tcase_add_test(t, a_restart);
    suite_add_tcase(s, t);
    return run_suite(s);
}
