/*
 * The console server (console.h): shares the machine's terminal, the "serial" driver, between
 * sessions.
 *
 * Published: "console", session 0 (login and shell), which alone may attach; "consoles", for
 * districtd, which opens and closes the others. A session's start key has its number as badge.
 *
 * Invariants:
 *   1. Exactly one open session has the focus; session 0 is always open.
 *   2. Only the session with the focus sends to the terminal and gets what is typed.
 *   3. Ctrl-] never reaches a session other than 0: it gives the focus back. That holds even when
 * the session has stopped reading: after STALL_NS what does not fit its input is dropped.
 *   4. Nothing here waits for a session; sessions are posted, and come when they like.
 */
#include <stdbool.h>
#include <string.h>
#include <bailiwick/console.h>
#include <bailiwick/names.h>
#include <bailiwick/runtime.h>
#include "session.h"

#define KR_OFFERED   KEY_AT(KR_ARGUMENT)
#define KR_SERIAL    KEY_AT(24)
#define KR_LISTENERS 25         /* node: slot s holds session s's key for posts */
#define KR_ATTACHED  KEY_AT(26) /* resume key of the shell that waits in CONSOLE_ATTACH */
#define KR_HANDED    KEY_AT(27)

#define SESSIONS        64u
#define BADGE_DISTRICTD 64u
#define BADGE_SERIAL    65u /* posts of the driver */

#define KEY_DETACH 0x1d /* Ctrl-] */
#define STALL_NS   2000000000ull

static struct session sessions[SESSIONS];
static unsigned focus;
static bool attached; /* KR_ATTACHED waits */
static uint64_t rows = 24, columns = 80;

static uint8_t staged[512]; /* read from the driver, not yet given to a session */
static size_t staged_at, staged_end;
static bw_time_t stalled_since; /* 0: the session with the focus takes its input */

static uint16_t listener(unsigned s)
{
    return KEY_IN_NODE(KR_LISTENERS, s);
}

static void notify(unsigned s)
{
    if (sessions[s].listening) {
        bw_post(listener(s));
    }
}

static void make_own_key(uint16_t badge, uint16_t place)
{
    struct message m = {.code = DOMAIN_MAKE_START, .word = {badge}, .take = {place}};

    bw_assert(bw_call(KEY_AT(KR_SELF), &m) == BW_OK);
}

static void connect_serial(void)
{
    struct message m = {.code = CONSOLE_LISTEN, .send = {KR_HANDED}};

    bw_assert(bw_find("serial", KR_SERIAL) == BW_OK);
    make_own_key(BADGE_SERIAL, KR_HANDED);
    bw_call(KR_SERIAL, &m);
    m = (struct message){.code = CONSOLE_SIZE};
    if (bw_call(KR_SERIAL, &m) == BW_OK && m.word[0] && m.word[1]) {
        rows = m.word[0];
        columns = m.word[1];
    }
}

/** A call to the driver; a driver that was restarted meanwhile is found again. */
static int64_t call_serial(struct message *m)
{
    struct message again = *m;

    if (bw_call(KR_SERIAL, m) == BW_OK) {
        return BW_OK;
    }
    connect_serial();
    *m = again;
    return bw_call(KR_SERIAL, m);
}

/** Shows what the driver takes of the focused session's output. */
static void pump_output(void)
{
    struct session *s = &sessions[focus];
    const uint8_t *from;
    size_t n;

    while ((n = session_unshown(s, &from)) > 0) {
        struct message m = {.code = CONSOLE_WRITE, .string = from};

        m.length = n < CONSOLE_WRITE_MAX ? n : CONSOLE_WRITE_MAX;
        if (call_serial(&m) != BW_OK || m.word[0] == 0 || m.word[0] > n) {
            break;
        }
        s->shown += m.word[0];
    }
    if (s->wants_room && s->written - s->shown <= CONSOLE_BACKLOG / 2) {
        s->wants_room = false;
        notify(focus);
    }
}

static void set_focus(unsigned s)
{
    unsigned old = focus;

    focus = s;
    stalled_since = 0;
    if (sessions[old].wants_room) { /* without the focus there is always room */
        sessions[old].wants_room = false;
        notify(old);
    }
    if (s != 0) {
        session_rewind_line(&sessions[s]);
    }
    notify(s);
}

/** Gives the focus to session 0 and answers the attach: 0 the user left, 1 the session was closed.
 */
static void return_focus(uint64_t why)
{
    set_focus(0);
    if (attached) {
        struct message m = {.code = BW_OK, .word = {why}};
        bw_send(KR_ATTACHED, &m, 0);
        bw_drop_key(KR_ATTACHED);
        attached = false;
    }
    pump_output();
}

/** Gives one typed byte to whom it belongs. @return false if it must wait */
static bool deliver(uint8_t c)
{
    if (c == KEY_DETACH && focus != 0) {
        return_focus(0);
        return true;
    }
    if (session_type(&sessions[focus], c)) {
        stalled_since = 0;
        return true;
    }
    if (stalled_since == 0) {
        stalled_since = bw_monotonic();
    }
    return bw_monotonic() - stalled_since > STALL_NS;
}

/** Gives what is staged to the session with the focus. @return false if it must wait */
static bool deliver_staged(void)
{
    unsigned before = focus;
    bool all = true;

    while (staged_at < staged_end && (all = deliver(staged[staged_at]))) {
        staged_at++;
    }
    notify(before);
    if (focus != before) {
        notify(focus);
    }
    return all;
}

/** Reads what was typed, as far as the session with the focus takes it. */
static void pump_input(void)
{
    while (staged_at == staged_end || deliver_staged()) {
        struct message m = {.code = CONSOLE_READ, .word = {sizeof(staged)}, .buffer = staged};

        m.size = sizeof(staged);
        staged_at = staged_end = 0;
        if (call_serial(&m) != BW_OK || m.length == 0) {
            return;
        }
        staged_end = m.length;
    }
}

/* --- requests ------------------------------------------------------------------------------------
 */

/** What was typed ahead of an attach goes where it was meant to. */
static void deliver_ahead(void)
{
    static uint8_t typed[SESSION_INPUT];
    size_t n = session_read(&sessions[0], typed, sizeof(typed));

    for (size_t i = 0; i < n; i++) {
        deliver(typed[i]);
    }
}

static void serve_attach(uint64_t s, struct message *reply, uint16_t *reply_to)
{
    if (s == 0 || s >= SESSIONS || !sessions[s].open) {
        reply->code = BW_ABSENT;
        return;
    }
    bw_copy_key(KEY_AT(KR_CALLER), KR_ATTACHED);
    attached = true;
    *reply_to = 0;
    set_focus((unsigned)s);
    deliver_ahead();
    notify(focus);
    pump_output();
}

static void serve_listen(unsigned s, struct message *reply)
{
    if (s == 0 && focus != 0) { /* a new login or shell: the one that attached is gone */
        set_focus(0);
        bw_drop_key(KR_ATTACHED);
        attached = false;
    }
    reply->code = bw_copy_key(KR_OFFERED, listener(s));
    sessions[s].listening = reply->code == BW_OK;
}

/** Requests of the session itself. */
static void serve_session(unsigned s, const struct message *m, struct message *reply,
                          uint16_t *reply_to)
{
    static uint8_t out[CONSOLE_WRITE_MAX];

    if (!sessions[s].open) {
        reply->code = BW_REFUSED;
        return;
    }
    switch (m->code) {
    case CONSOLE_WRITE:
        reply->word[0] = session_write(&sessions[s], m->buffer, m->length, s == focus);
        session_mark(&sessions[s], m->word[0], m->word[1] + reply->word[0]);
        if (s == focus) {
            pump_output();
        }
        break;
    case CONSOLE_READ:
        reply->length = m->word[0] < sizeof(out) ? m->word[0] : sizeof(out);
        reply->length = session_read(&sessions[s], out, reply->length);
        reply->string = out;
        break;
    case CONSOLE_LISTEN:
        serve_listen(s, reply);
        break;
    case CONSOLE_SIZE:
        reply->word[0] = rows;
        reply->word[1] = columns;
        reply->word[2] = sessions[s].gated;
        break;
    case CONSOLE_SHOWN:
        reply->word[0] = sessions[s].mark;
        reply->word[1] = sessions[s].number;
        break;
    case CONSOLE_DETACH:
        if (s != 0 && s == focus) {
            return_focus(0);
        }
        break;
    case CONSOLE_ATTACH:
        if (s == 0) {
            serve_attach(m->word[0], reply, reply_to);
        } else {
            reply->code = BW_REFUSED;
        }
        break;
    default:
        reply->code = BW_ORDER;
    }
}

/** Requests of districtd. */
static void serve_districtd(const struct message *m, struct message *reply)
{
    uint64_t s = m->word[0];

    if (m->code != CONSOLE_OPEN && m->code != CONSOLE_CLOSE && m->code != CONSOLE_GATED) {
        reply->code = BW_ORDER;
        return;
    }
    if (s == 0 || s >= SESSIONS) {
        reply->code = BW_ARGUMENT;
        return;
    }
    if (m->code == CONSOLE_GATED) {
        sessions[s].gated = m->word[1] != 0;
        notify((unsigned)s);
        return;
    }
    if (focus == s) {
        return_focus(1);
    }
    session_close(&sessions[s]);
    bw_drop_key(listener((unsigned)s));
    if (m->code == CONSOLE_CLOSE) {
        return;
    }
    if (!session_open(&sessions[s], m->word[1] != 0)) {
        reply->code = BW_NOMEM;
        return;
    }
    make_own_key((uint16_t)s, KR_HANDED);
    reply->send[0] = KR_HANDED;
}

static void set_up(void)
{
    struct message m = {.code = RANGE_CREATE, .take = {KEY_AT(KR_LISTENERS)}};

    m.word[0] = bw_next_id(1);
    m.word[1] = OBJECT_NODE;
    bw_assert(bw_call(KEY_AT(KR_RANGE), &m) == BW_OK);
    bw_assert(session_open(&sessions[0], false));
    connect_serial();
    bw_assert(bw_publish("console", 0) == BW_OK);
    bw_assert(bw_publish("consoles", BADGE_DISTRICTD) == BW_OK);
    m = (struct message){.code = NAMES_READY};
    bw_call(KEY_AT(KR_NAMES), &m);
}

int main_native(uint64_t word)
{
    static uint8_t in[CONSOLE_WRITE_MAX];
    struct message m = {0};
    uint16_t reply_to = 0;

    (void)word;
    set_up();
    for (;;) {
        m.buffer = in;
        m.size = sizeof(in);
        m.take[0] = KR_OFFERED;
        m.deadline = stalled_since ? stalled_since + STALL_NS + 1 : BW_NO_DEADLINE;
        bw_return(reply_to, &m, KEY_AT(KR_CALLER), 0);

        struct message request = m;
        m = (struct message){.code = BW_OK};
        reply_to = 0;
        if (request.delivery == DELIVERY_MESSAGE) {
            reply_to = KEY_AT(KR_CALLER);
            if (request.badge < SESSIONS) {
                serve_session(request.badge, &request, &m, &reply_to);
            } else {
                serve_districtd(&request, &m);
            }
        } else {
            pump_output();
        }
        if (request.delivery != DELIVERY_MESSAGE || staged_at != staged_end) {
            pump_input();
        }
    }
}
