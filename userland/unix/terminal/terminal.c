/*
 * The terminal agent: the domain that talks to the console on behalf of the personality, which
 * itself never waits for anybody outside the district. It moves bytes between the shared rings
 * (rings.h) and the console that districtd granted.
 *
 * Invariants:
 *   1. `shown` counts the bytes of output that the console has taken; out_tail follows it and never
 *      runs ahead. In a replay `shown` is behind out_tail: then only history is being repeated.
 *   2. Everything here is as of the checkpoint after a restart, except the link to the console,
 *      which is severed: it is looked up again whenever the incarnation has changed, a call says
 *      so, or districtd posts what is published as CONSOLE_NOTICE: the console was restarted.
 *   3. If the session is gated, what is beyond held.free is not committed, and is not shown:
 *      nothing that was seen is contradicted by a restart from the newest generation, and nothing
 *      is shown twice: the console knows the number of what it has. A checkpoint is asked for as
 *      soon as something waits.
 *   4. While nothing happens the agent waits without a deadline, so that an idle district stays
 *      clean.
 */
#include <string.h>
#include <bailiwick/console.h>
#include <bailiwick/image.h>
#include <bailiwick/program.h>
#include "../rings.h"
#include "../../console/queries.h"
#include "held.h"

#define KR_CONSOLE  KEY_AT(24)
#define KR_MY_START KEY_AT(25)

#define BADGE_CONSOLE   2 /* the console's posts; the personality's have badge 0 */
#define BADGE_NOTICE    3 /* districtd's */
#define RETRY_NS        1000000000ull
#define DEFAULT_ROWS    24u
#define DEFAULT_COLUMNS 80u
#define CONNECT_TRIES   3

static struct terminal_rings *const rings = (struct terminal_rings *)IMAGE_WINDOW(2);

/* persistent */
static uint64_t incarnation[2];
static uint32_t shown;
static uint8_t replay[RINGS_OUT]; /* shown before the restart; goes out before anything new */
static size_t replay_at, replay_end;
static int connected; /* KR_CONSOLE is believed to be live */
static int gated;     /* as the console says */
static struct held held;

/** True once in each incarnation of the district but the first. */
static int restarted(void)
{
    struct message m = {0};
    uint64_t old = incarnation[0];

    bw_self(SELF_DISTRICT, &m);
    if (m.word[0] == incarnation[0] && m.word[1] == incarnation[1]) {
        return 0;
    }
    incarnation[0] = m.word[0];
    incarnation[1] = m.word[1];
    connected = 0;
    return old != 0;
}

/** Keeps the last screenful of what was shown, to be shown again before anything new. */
static void keep_last_screen(void)
{
    uint32_t screen = rings->rows ? rings->rows : DEFAULT_ROWS;
    uint32_t room = RINGS_OUT - (rings_load(&rings->out_head) - shown);
    uint32_t lines = 0;
    uint32_t n = 0;

    while (n < room) {
        uint8_t c = rings->out[(shown - n - 1) % RINGS_OUT];
        if (c == 0 || (c == '\n' && ++lines == screen)) {
            break;
        }
        n++;
    }
    if (n == room) { /* not from the middle of a line */
        while (n > 0 && rings->out[(shown - n) % RINGS_OUT] != '\n') {
            n--;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        replay[i] = rings->out[(shown - n + i) % RINGS_OUT];
    }
    blank_queries(replay, sizeof(replay), 0, n);
    replay_at = 0;
    replay_end = n;
}

static void learn_size(void)
{
    struct message m = {.code = CONSOLE_SIZE};
    uint32_t rows = DEFAULT_ROWS;
    uint32_t columns = DEFAULT_COLUMNS;

    if (bw_call(KR_CONSOLE, &m) == BW_OK && m.word[0] > 0 && m.word[1] > 0) {
        rows = (uint32_t)m.word[0];
        columns = (uint32_t)m.word[1];
    }
    if (m.code == BW_OK) {
        if (!gated && m.word[2]) {
            held_begin(&held, shown);
        }
        gated = m.word[2] != 0;
    }
    if (rows != rings->rows || columns != rings->columns) {
        rings->rows = rows;
        rings->columns = columns;
        rings_store(&rings->resized, rings->resized + 1);
        bw_post(KEY_AT(KR_IMAGE_PEER));
    }
}

/** After a restart of the district or the console: goes on behind what the console has shown, or
 * shows the last screen again. */
static void resume(void)
{
    struct message m = {.code = CONSOLE_SHOWN}, start = {0};

    bw_self(SELF_START, &start);
    if (gated && bw_call(KR_CONSOLE, &m) == BW_OK &&
        held_goes_on(&held, start.word[0], m.word[0], (uint32_t)m.word[1], shown,
                     rings_load(&rings->out_head))) {
        replay_at = replay_end = 0;
        shown = (uint32_t)m.word[1];
        rings_store(&rings->out_tail, shown);
        return;
    }
    keep_last_screen();
    if (gated) { /* from here on this is what it shows */
        m = (struct message){.code = CONSOLE_WRITE, .word = {held_mark(&held), shown}};
        bw_call(KR_CONSOLE, &m);
    }
}

/** Finds the console and asks it for posts. */
static void connect(void)
{
    for (int tries = 0; tries < CONNECT_TRIES && !connected; tries++) {
        struct message m = {
            .code = DOMAIN_MAKE_START, .word = {BADGE_CONSOLE}, .take = {KR_MY_START}};

        if (bw_find("console", KR_CONSOLE) != BW_OK || bw_call(KEY_AT(KR_SELF), &m) != BW_OK) {
            return;
        }
        m = (struct message){.code = CONSOLE_LISTEN, .send = {KR_MY_START}};
        connected = bw_call(KR_CONSOLE, &m) == BW_OK;
    }
    if (connected) {
        learn_size();
        resume();
    }
}

/** Writes to the console. @param number of the first byte; NULL: it is history
 *  @return bytes taken; 0 also if the console is gone */
static size_t write_console(const uint8_t *from, size_t n, const uint32_t *number)
{
    struct message m = {.code = CONSOLE_WRITE, .string = from, .length = n};

    if (gated && number) {
        m.word[0] = held_mark(&held);
        m.word[1] = *number;
    }
    if (bw_call(KR_CONSOLE, &m) != BW_OK) {
        connected = 0;
        return 0;
    }
    return m.word[0] <= n ? m.word[0] : 0;
}

/** Shows the last screen again. @return 1 if it has been shown */
static int drain_replay(void)
{
    while (connected && replay_at < replay_end) {
        size_t taken = write_console(replay + replay_at, replay_end - replay_at, NULL);

        if (taken == 0) {
            break;
        }
        replay_at += taken;
    }
    return replay_at == replay_end;
}

/** Up to where output may be shown. */
static uint32_t limit(void)
{
    uint32_t head = rings_load(&rings->out_head);
    struct incarnation now;

    if (!gated) {
        return head;
    }
    bw_incarnation(&now);
    head = held_limit(&held, head, now.epoch, bw_committed());
    if (held.waits && held.epoch == now.epoch) { /* what would have it is not being written yet */
        bw_hurry();
    }
    return head;
}

/** Hands output to the console. @return 1 if the personality has more room than before */
static int drain_output(void)
{
    int made_room = 0;

    while (connected) {
        size_t n = limit() - shown;
        size_t taken;

        if (n > RINGS_OUT - shown % RINGS_OUT) {
            n = RINGS_OUT - shown % RINGS_OUT;
        }
        taken = n ? write_console(rings->out + shown % RINGS_OUT, n, &shown) : 0;
        if (taken == 0) {
            break;
        }
        shown += (uint32_t)taken;
        rings_store(&rings->out_tail, shown);
        made_room = 1;
    }
    return made_room;
}

/** Takes input from the console as far as there is room. @return 1 if there was any */
static int fill_input(void)
{
    int any = 0;

    while (connected) {
        uint32_t head = rings->in_head;
        uint32_t used = head - rings_load(&rings->in_tail);
        uint8_t buffer[256];
        struct message m = {.code = CONSOLE_READ, .buffer = buffer, .size = sizeof(buffer)};

        if (used >= RINGS_IN) {
            break;
        }
        m.word[0] = RINGS_IN - used < sizeof(buffer) ? RINGS_IN - used : sizeof(buffer);
        if (bw_call(KR_CONSOLE, &m) != BW_OK) {
            connected = 0;
            break;
        }
        if (m.length == 0 || m.length > RINGS_IN - used) {
            break;
        }
        for (size_t i = 0; i < m.length; i++) {
            rings->in[(head + i) % RINGS_IN] = buffer[i];
        }
        rings_store(&rings->in_head, head + (uint32_t)m.length);
        any = 1;
    }
    return any;
}

int main_native(uint64_t word)
{
    (void)word;
    while (bw_publish_name(CONSOLE_NOTICE, "", BADGE_NOTICE) == BW_NOSPACE) {
        bw_wait(bw_monotonic() + RETRY_NS); /* a store that is full may be made larger later */
    }
    for (;;) {
        uint64_t posted;
        int moved = 0;

        if (restarted()) {
            rings_store(&rings->restarts, rings->restarts + 1);
            moved = 1;
        }
        if (!connected) {
            connect();
        }
        if (drain_replay()) {
            moved |= drain_output();
        }
        moved |= fill_input();
        if (moved) {
            bw_post(KEY_AT(KR_IMAGE_PEER));
        }
        posted = bw_wait(!connected ? bw_monotonic() + RETRY_NS
                         : gated    ? held_look(&held, bw_monotonic())
                                    : BW_NO_DEADLINE);
        if (posted >> BADGE_NOTICE & 1) {
            connected = 0;
        } else if (posted >> BADGE_CONSOLE & 1) {
            learn_size();
        }
    }
}
