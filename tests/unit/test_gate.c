// sources: ../../userland/gate/queue.c
/*
 * The queues of two gates in a simulated world: frames that are lost, come twice and late, and
 * districts that are checkpointed, killed, restarted from the newest generation or rolled back to
 * an older one, at random (seeds), and at each step of a history.
 *
 * Oracles:
 *   1. When both have agreed, what each has heard is the beginning of what the other has said.
 *   2. Nothing leaves that is not committed: no message, no acknowledgement.
 *   3. In the history of a side, nothing is delivered twice, and no call answered twice.
 *   4. As long as everybody restarts from his newest generation, nothing is severed, and in the end
 *      everything has been delivered and answered.
 *   5. In the end both have agreed, and no call waits.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "queue.h"

#define LOG         400u
#define GENERATIONS 6u
#define FLIGHT      8u
#define MUTATIONS   6

extern int gate_mutation;

/** What a checkpoint has. */
struct state {
    struct gate_queue q;
    uint32_t said[LOG], saids;   /* ids of messages put, in this conversation */
    uint32_t heard[LOG], heards; /* ids of messages delivered, in this conversation */
    uint32_t ever[LOG], evers;   /* ids delivered, in all */
    uint64_t call[GATE_CALLS];   /* numbers of ours that wait */
    uint64_t request[GATE_CALLS];
};

struct side {
    struct state now;
    struct state checkpoint[GENERATIONS + 1];
    struct state *frozen, *kept[GENERATIONS]; /* newest first */
    unsigned kepts;
    bool writing, up;
    uint64_t epoch, frozen_epoch, generation, count;
};

static struct side side[2];
static struct gate_frame flight[2][FLIGHT]; /* to side */
static unsigned flights[2];
static uint32_t ids;
static const char *wrong;
static unsigned severs;

static unsigned chance(unsigned n)
{
    return (unsigned)random() % n;
}

static void expect(bool good, const char *what)
{
    if (!good && !wrong) {
        wrong = what;
    }
}

/* --- the parts of the world ------------------------------------------------------------------ */

static struct gate_run run_of(const struct side *s)
{
    return (struct gate_run){s->count, s->count * 0x9e3779b97f4a7c15ull};
}

static void say(struct side *s, enum gate_kind kind, uint64_t to)
{
    struct gate_message *m = gate_queue_room(&s->now.q);

    *m = (struct gate_message){.kind = kind, .to = to, .word = {++ids}};
    s->now.said[s->now.saids++ % LOG] = ids;
    gate_queue_put(&s->now.q, s->epoch);
}

static void put_call(struct side *s)
{
    for (unsigned i = 0; i < GATE_CALLS; i++) {
        if (!s->now.call[i] && gate_queue_room(&s->now.q) && s->now.saids < LOG) {
            s->now.call[i] = s->now.q.last + 1;
            say(s, GATE_CALL, 0);
            return;
        }
    }
}

static void put_reply(struct side *s)
{
    unsigned first = chance(GATE_CALLS);

    for (unsigned n = 0; n < GATE_CALLS; n++) {
        unsigned i = (first + n) % GATE_CALLS;

        if (s->now.request[i] && gate_queue_room(&s->now.q) && s->now.saids < LOG) {
            say(s, GATE_REPLY, s->now.request[i]);
            s->now.request[i] = 0;
            return;
        }
    }
}

static void delivered(struct state *t, const struct gate_message *m)
{
    uint32_t id = (uint32_t)m->word[0];
    unsigned i = 0;

    for (unsigned n = 0; n < t->evers; n++) {
        expect(t->ever[n] != id, "a message was delivered twice");
    }
    t->ever[t->evers++ % LOG] = id;
    t->heard[t->heards++ % LOG] = id;
    if (m->kind == GATE_CALL) {
        while (i < GATE_CALLS && t->request[i]) {
            i++;
        }
        expect(i < GATE_CALLS, "more calls than may be under way");
        if (i < GATE_CALLS) {
            t->request[i] = m->number;
        }
        return;
    }
    while (i < GATE_CALLS && t->call[i] != m->to) {
        i++;
    }
    expect(i < GATE_CALLS, "a reply to nobody");
    if (i < GATE_CALLS) {
        t->call[i] = 0;
    }
}

static void severed(struct state *t)
{
    severs++;
    t->saids = t->heards = 0;
    memset(t->call, 0, sizeof(t->call));
    memset(t->request, 0, sizeof(t->request));
}

static bool room_for(const struct state *t, const struct gate_frame *f)
{
    unsigned free = 0;

    for (unsigned i = 0; i < GATE_CALLS; i++) {
        free += t->request[i] == 0;
    }
    return free || f->kind != GATE_DATA || f->message.kind != GATE_CALL;
}

static void receive(struct side *s, const struct gate_frame *f)
{
    struct state *t = &s->now;

    if (!s->up || t->evers == LOG || !room_for(t, f)) {
        return;
    }
    switch (gate_queue_receive(&t->q, f, s->epoch)) {
    case GATE_DELIVER:
        delivered(t, &f->message);
        break;
    case GATE_SEVERED:
        severed(t);
        break;
    default:
        break;
    }
}

static void deliver(unsigned to, unsigned which, bool again)
{
    struct gate_frame f = flight[to][which];

    if (!again) {
        flight[to][which] = flight[to][--flights[to]];
    }
    receive(&side[to], &f);
}

/** Oracle 2. */
static void look_at_frame(const struct side *s, const struct gate_frame *f)
{
    const struct state *c = s->kept[0];
    bool same = c->q.conversation == f->conversation;

    if (f->durable) {
        expect(same && c->q.delivered >= f->durable, "what is not committed was acknowledged");
    }
    if (f->kind == GATE_DATA) {
        expect(same && c->q.last >= f->message.number &&
                   c->said[f->message.number - 1] == f->message.word[0],
               "what is not committed was sent");
    }
}

static bool send(unsigned from, bool lossy)
{
    static struct gate_frame f;
    struct side *s = &side[from];
    unsigned to = 1 - from;

    if (!s->up || !side[to].up || !gate_queue_next(&s->now.q, &f)) {
        return false;
    }
    look_at_frame(s, &f);
    expect(gate_frame_valid(&f, gate_frame_length(&f)), "a frame is not valid");
    if (lossy && chance(6) == 0) {
        return false; /* busy */
    }
    if (flights[to] < FLIGHT && !(lossy && chance(6) == 0)) {
        flight[to][flights[to]++] = f;
    }
    gate_queue_sent(&s->now.q, &f);
    return true;
}

static void freeze(struct side *s)
{
    if (s->up && !s->writing) {
        *s->frozen = s->now;
        s->frozen_epoch = s->epoch++;
        s->writing = true;
    }
}

static void commit(struct side *s)
{
    if (!s->up || !s->writing) {
        return;
    }
    struct state *oldest = s->kept[GENERATIONS - 1];

    s->kepts += s->kepts < GENERATIONS;
    memmove(&s->kept[1], &s->kept[0], (GENERATIONS - 1) * sizeof(s->kept[0]));
    s->kept[0] = s->frozen;
    s->frozen = oldest;
    s->generation = s->frozen_epoch;
    s->writing = false;
}

static void kill_side(unsigned i)
{
    side[i].up = side[i].writing = false;
    flights[0] = flights[1] = 0; /* the link is cut */
}

/** Restarts from the generation `back` steps before the newest. */
static void restart(unsigned i, unsigned back)
{
    struct side *s = &side[i];

    back = back < s->kepts ? back : s->kepts - 1;
    s->now = *s->kept[back];
    for (unsigned n = 0; n < back; n++) { /* those are left behind */
        struct state *newest = s->kept[0];

        memmove(&s->kept[0], &s->kept[1], (GENERATIONS - 1) * sizeof(s->kept[0]));
        s->kept[GENERATIONS - 1] = newest;
        s->kepts--;
    }
    s->epoch++;
    s->generation = s->epoch - 1;
    s->count += 2;
    s->up = true;
    gate_queue_begin(&s->now.q, run_of(s));
    if (chance(2)) { /* the other one is told that the connection is new */
        gate_queue_begin(&side[1 - i].now.q, run_of(&side[1 - i]));
    }
}

/** Oracle 1. */
static void look_at_agreement(void)
{
    const struct gate_queue *a = &side[0].now.q, *b = &side[1].now.q;

    if (!a->agreed || !b->agreed || memcmp(&a->you, &b->me, sizeof(a->you)) != 0 ||
        memcmp(&b->you, &a->me, sizeof(b->you)) != 0 || a->conversation != b->conversation) {
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        const struct state *x = &side[i].now, *y = &side[1 - i].now;

        expect(x->heards <= y->saids && memcmp(x->heard, y->said, x->heards * 4) == 0,
               "one has heard what the other has not said");
        expect(y->q.acked <= x->q.delivered, "one has forgotten what he had acknowledged");
    }
}

static void begin(unsigned seed)
{
    srandom(seed);
    for (unsigned i = 0; i < 2; i++) {
        memset(&side[i].checkpoint[0], 0, sizeof(side[i].checkpoint[0]));
        side[i].epoch = side[i].generation = side[i].count = 0;
        side[i].up = side[i].writing = false;
    }
    flights[0] = flights[1] = ids = severs = 0;
    wrong = NULL;
    for (unsigned i = 0; i < 2; i++) {
        side[i].epoch = 1;
        side[i].count = i;
        side[i].kepts = 1;
        side[i].frozen = &side[i].checkpoint[GENERATIONS];
        for (unsigned n = 0; n < GENERATIONS; n++) {
            side[i].kept[n] = &side[i].checkpoint[n];
        }
        restart(i, 0);
    }
}

/* --- histories -------------------------------------------------------------------------------- */

/** One random step without a kill. */
static void step(void)
{
    unsigned i = chance(2);
    struct side *s = &side[i];

    switch (s->up ? chance(12) : 12) {
    case 0:
        put_call(s);
        break;
    case 1:
        put_reply(s);
        break;
    case 2:
        freeze(s);
        break;
    case 3:
        commit(s);
        break;
    case 4:
        gate_queue_committed(&s->now.q, s->generation);
        break;
    case 5:
        if (chance(4) == 0) {
            gate_queue_again(&s->now.q);
        }
        break;
    case 6:
    case 7:
    case 8:
        send(i, true);
        break;
    default:
        if (flights[i]) {
            deliver(i, chance(flights[i]), chance(5) == 0);
        }
    }
    look_at_agreement();
}

static bool quiet(void)
{
    bool all = true;

    for (unsigned i = 0; i < 2; i++) {
        const struct state *t = &side[i].now;

        all &= side[i].up && t->q.agreed && t->q.acked == t->q.last && !t->q.hello && !t->q.ack;
        for (unsigned n = 0; n < GATE_CALLS; n++) {
            all &= !t->call[n] && !t->request[n];
        }
    }
    return all;
}

/** Everything that is under way comes to its end. */
static void settle(void)
{
    for (unsigned round = 0; round < 60 && !quiet(); round++) {
        for (unsigned i = 0; i < 2; i++) {
            if (!side[i].up) {
                restart(i, 0);
            }
            for (unsigned n = 0; n < GATE_CALLS; n++) {
                put_reply(&side[i]);
            }
            freeze(&side[i]);
            commit(&side[i]);
            gate_queue_committed(&side[i].now.q, side[i].generation);
            if (round % 4 == 3) {
                gate_queue_again(&side[i].now.q);
            }
            while (send(i, false) && flights[1 - i] < FLIGHT) {
            }
            while (flights[1 - i]) {
                receive(&side[1 - i], &flight[1 - i][0]);
                memmove(&flight[1 - i][0], &flight[1 - i][1],
                        --flights[1 - i] * sizeof(flight[0][0]));
            }
        }
        look_at_agreement();
    }
    for (unsigned i = 0; i < 2; i++) {
        const struct state *x = &side[i].now, *y = &side[1 - i].now;

        expect(x->q.agreed && x->q.conversation == y->q.conversation, "they have not agreed");
        expect(x->heards == y->saids, "something was not delivered");
        expect(x->q.acked == x->q.last, "something was not acknowledged");
        for (unsigned n = 0; n < GATE_CALLS; n++) {
            expect(x->call[n] == 0, "a call waits");
        }
    }
}

/** @param back how far restarts may go back: 0 to the newest only */
static const char *history(unsigned seed, unsigned steps, unsigned back)
{
    begin(seed);
    for (unsigned n = 0; n < steps && !wrong; n++) {
        unsigned i = chance(2);

        if (side[i].up && chance(150) == 0) {
            kill_side(i);
        } else if (!side[i].up && chance(10) == 0) {
            restart(i, back ? chance(back + 1) : 0);
        }
        step();
    }
    settle();
    expect(back || severs == 0, "severed although nobody went back");
    return wrong;
}

/** One kill, at a certain step of a quiet history. */
static const char *kill_at(unsigned seed, unsigned when, unsigned which, unsigned back)
{
    begin(seed);
    for (unsigned n = 0; n < 220 && !wrong; n++) {
        if (n == when) {
            kill_side(which);
            restart(which, back);
        }
        step();
    }
    settle();
    expect(back || severs == 0, "severed although nobody went back");
    return wrong;
}

START_TEST(restarts_are_only_a_delay)
{
    const char *what = history((unsigned)_i, 2000, 0);

    ck_assert_msg(what == NULL, "seed %d: %s", _i, what);
}
END_TEST

START_TEST(going_back_severs)
{
    const char *what = history((unsigned)_i, 2000, 4);

    ck_assert_msg(what == NULL, "seed %d: %s", _i, what);
}
END_TEST

START_TEST(a_kill_at_each_step)
{
    for (unsigned when = 0; when < 200; when++) {
        for (unsigned variant = 0; variant < 6; variant++) {
            const char *what = kill_at((unsigned)_i, when, variant % 2, variant / 2);

            ck_assert_msg(what == NULL, "seed %d, kill at %u, variant %u: %s", _i, when, variant,
                          what);
        }
    }
}
END_TEST

/** Each precaution that is left out is noticed. */
START_TEST(faults_are_caught)
{
    unsigned seed = 0;

    gate_mutation = _i;
    while (seed < 400 && !history(seed, 2000, 4)) {
        seed++;
    }
    ck_assert_msg(wrong != NULL, "fault %d is not noticed", _i);
    gate_mutation = 0;
}
END_TEST

START_TEST(what_is_not_a_frame)
{
    static struct gate_frame f;
    size_t header = offsetof(struct gate_frame, message);
    size_t least = header + offsetof(struct gate_message, bytes);

    f.kind = GATE_HELLO;
    ck_assert(gate_frame_valid(&f, header));
    ck_assert(!gate_frame_valid(&f, header - 1));
    ck_assert(!gate_frame_valid(&f, header + 1));
    ck_assert(!gate_frame_valid(&f, 0));
    f.kind = 0;
    ck_assert(!gate_frame_valid(&f, header));
    f.kind = GATE_ACK + 1;
    ck_assert(!gate_frame_valid(&f, header));
    f.kind = GATE_DATA;
    ck_assert(!gate_frame_valid(&f, header));
    ck_assert(!gate_frame_valid(&f, least));
    f.message.kind = GATE_CALL;
    ck_assert(gate_frame_valid(&f, least));
    f.message.length = 1;
    ck_assert(!gate_frame_valid(&f, least));
    ck_assert(gate_frame_valid(&f, least + 1));
    f.message.length = GATE_BYTES_MAX + 1;
    ck_assert(!gate_frame_valid(&f, least + GATE_BYTES_MAX + 1));
    f.message.length = UINT32_MAX;
    ck_assert(!gate_frame_valid(&f, least - 1));
    f.message.length = 0;
    f.message.name[LINK_NAME_MAX - 1] = 'x';
    ck_assert(!gate_frame_valid(&f, least));
}
END_TEST

/** A gate that says anything: the queue stays one. */
START_TEST(what_a_forged_gate_says)
{
    static struct gate_queue q;
    static struct gate_frame f;
    struct gate_run me = {1, 2}, you = {3, 4};

    srandom((unsigned)_i);
    memset(&q, 0, sizeof(q));
    gate_queue_begin(&q, me);
    for (unsigned n = 0; n < 3000; n++) {
        uint64_t *number[] = {&f.conversation,   &f.durable,     &f.delivered, &f.tag,
                              &f.message.number, &f.message.tag, &f.message.to};

        f.kind = GATE_HELLO + chance(3);
        f.agreed = chance(2);
        f.from = chance(20) ? you : me;
        f.to = chance(20) ? me : you;
        f.message.kind = 1 + chance(2);
        for (unsigned i = 0; i < sizeof(number) / sizeof(*number); i++) {
            unsigned kind = chance(8);

            *number[i] = kind == 0   ? UINT64_MAX - chance(2)
                         : kind == 1 ? 1ull << chance(64)
                         : kind == 2 ? chance(40)
                         : i == 0    ? q.conversation
                         : i == 4    ? q.delivered + chance(3)
                                     : q.acked + chance(GATE_OUTBOX);
        }
        gate_queue_receive(&q, &f, n / 20 + 1);
        if (chance(3) == 0 && gate_queue_room(&q)) {
            gate_queue_put(&q, n / 20 + 1);
        }
        gate_queue_committed(&q, n / 20);
        while (gate_queue_next(&q, &f)) {
            ck_assert(gate_frame_valid(&f, gate_frame_length(&f)) || f.kind == GATE_DATA);
            gate_queue_sent(&q, &f);
        }
        ck_assert(q.acked <= q.sent && q.sent <= q.last && q.last <= q.acked + GATE_OUTBOX);
        ck_assert(q.durable <= q.delivered);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gate");
    TCase *t = tcase_create("gate");

    tcase_set_timeout(t, 100);
    tcase_add_test(t, what_is_not_a_frame);
    tcase_add_loop_test(t, what_a_forged_gate_says, 0, 100);
    tcase_add_loop_test(t, restarts_are_only_a_delay, 0, 400);
    tcase_add_loop_test(t, going_back_severs, 1000, 1800);
    tcase_add_loop_test(t, a_kill_at_each_step, 0, 4);
    tcase_add_loop_test(t, faults_are_caught, 1, MUTATIONS + 1);
    suite_add_tcase(s, t);
    return run_suite(s);
}
