/*
 * The console server (console.h): shares the machine's terminals between sessions.
 *
 * Published: "console0" and so on, the home of each terminal (login and shell), which alone may
 * attach; "consoles", for districtd, which opens and closes the others; "terminals", where screens
 * makes its own known. A session's start key has its number as badge.
 *
 * Invariants:
 *   1. Each terminal has one open session as its focus, and no session is the focus of two. A home
 *      is always open, and the focus of no other terminal.
 *   2. Only a session that is a focus sends to a terminal, and gets what is typed there.
 *   3. Ctrl-] never reaches a session that is not a home: it gives the focus back. That holds even
 *      when the session has stopped reading: after STALL_NS what does not fit its input is dropped.
 *   4. Nothing here waits for a session; sessions are posted, and come when they like.
 *   5. "serial" is found again when it was restarted; screens makes itself known again. While what
 *      drives a terminal is not there, nobody waits for it: what the focus writes is kept as if it
 *      had none.
 *   6. After a restart of ours districtd is posted, which opens the sessions again, and screens.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <bailiwick/console.h>
#include <bailiwick/names.h>
#include <bailiwick/runtime.h>
#include "session.h"

#ifndef BW_MUTATION
#define BW_MUTATION 0 /* tests: deliver() */
#endif

#define KR_OFFERED   KEY_AT(KR_ARGUMENT)
#define KR_LISTENERS 25 /* node: slot s holds session s's key for posts */
#define KR_TERMINALS 26 /* node: slots TERMINAL_KEY + t, ATTACHED_KEY + t */
#define KR_HANDED    27 /* .. 30 */

#define TERMINAL_KEY 0u  /* what the terminal is driven by */
#define ATTACHED_KEY 16u /* resume key of the shell that waits in CONSOLE_ATTACH */

#define DISTRICTS       64u /* sessions 1.. of districts */
#define HOME(t)         (DISTRICTS + (t))
#define SESSIONS        HOME(CONSOLE_TERMINALS)
#define BADGE_DISTRICTD 128u
#define BADGE_SCREENS   129u
#define BADGE_TERMINAL  192u /* + t: its posts, bit t */

#define KEY_DETACH 0x1d /* Ctrl-] */
#define KEY_QUIT   0x1c /* Ctrl-\ */
#define STALL_NS   2000000000ull
#define RETRY_NS   100000000ull /* until the serial line is looked for again */

static struct session sessions[SESSIONS];
static uint8_t shown_at[SESSIONS]; /* the terminal that shows it or did so last */

static struct terminal {
    bool present;
    bool attached; /* a shell waits */
    unsigned focus;
    uint64_t rows, columns;
    uint8_t staged[512]; /* read from the driver, not yet given to a session */
    size_t staged_at, staged_end;
    bw_time_t stalled_since; /* 0: the session with the focus takes its input */
} terminals[CONSOLE_TERMINALS] = {{.rows = 24, .columns = 80}};

static bw_time_t serial_look; /* when to look for it, if it is not there */

static uint16_t listener(unsigned s)
{
    return KEY_IN_NODE(KR_LISTENERS, s);
}

static uint16_t driver(unsigned t)
{
    return KEY_IN_NODE(KR_TERMINALS, TERMINAL_KEY + t);
}

static uint16_t attached_shell(unsigned t)
{
    return KEY_IN_NODE(KR_TERMINALS, ATTACHED_KEY + t);
}

static bool has_focus(unsigned s)
{
    return terminals[shown_at[s]].focus == s;
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

/** Its driver may be about to be started again, or never be. */
static void connect_serial(void)
{
    struct message m = {.code = CONSOLE_LISTEN, .send = {KEY_AT(KR_HANDED)}};

    serial_look = bw_monotonic() + RETRY_NS;
    if (bw_find_now("serial", driver(0)) != BW_OK) {
        return;
    }
    make_own_key(BADGE_TERMINAL, KEY_AT(KR_HANDED));
    if (bw_call(driver(0), &m) != BW_OK) {
        return;
    }
    m = (struct message){.code = CONSOLE_SIZE};
    if (bw_call(driver(0), &m) == BW_OK && m.word[0] && m.word[1]) {
        terminals[0].rows = m.word[0];
        terminals[0].columns = m.word[1];
    }
    terminals[0].present = true;
}

/** A call to a terminal's driver. The serial driver, when restarted meanwhile, is found again. */
static int64_t call_driver(unsigned t, struct message *m)
{
    struct message again = *m;

    if (!terminals[t].present || bw_call(driver(t), m) == BW_OK) {
        return terminals[t].present ? BW_OK : BW_ABSENT;
    }
    terminals[t].present = false;
    if (t == 0) {
        connect_serial();
    }
    if (!terminals[t].present) {
        return BW_ABSENT;
    }
    *m = again;
    return bw_call(driver(t), m);
}

/** Shows what the driver takes of the focused session's output. */
static void pump_output(unsigned t)
{
    unsigned focus = terminals[t].focus;
    struct session *s = &sessions[focus];
    const uint8_t *from;
    size_t n;

    while ((n = session_unshown(s, &from)) > 0) {
        struct message m = {.code = CONSOLE_WRITE, .string = from};

        m.length = n < CONSOLE_WRITE_MAX ? n : CONSOLE_WRITE_MAX;
        if (call_driver(t, &m) != BW_OK || m.word[0] == 0 || m.word[0] > n) {
            break;
        }
        s->shown += m.word[0];
    }
    if (s->wants_room && (!terminals[t].present || s->written - s->shown <= CONSOLE_BACKLOG / 2)) {
        s->wants_room = false;
        notify(focus);
    }
}

static void set_focus(unsigned t, unsigned s)
{
    unsigned old = terminals[t].focus;

    terminals[t].focus = s;
    terminals[t].stalled_since = 0;
    shown_at[s] = (uint8_t)t;
    if (sessions[old].wants_room) { /* without the focus there is always room */
        sessions[old].wants_room = false;
        notify(old);
    }
    if (s != HOME(t)) {
        session_rewind_line(&sessions[s]);
    }
    notify(s);
}

/** Gives the focus of a terminal to its home and answers the attach. */
static void return_focus(unsigned t, enum console_detached why)
{
    set_focus(t, HOME(t));
    if (terminals[t].attached) {
        struct message m = {.code = BW_OK, .word = {why}};
        bw_send(attached_shell(t), &m, 0);
        bw_drop_key(attached_shell(t));
        terminals[t].attached = false;
    }
    pump_output(t);
}

/** Gives one typed byte to whom it belongs. @return false if it must wait */
static bool deliver(unsigned t, uint8_t c)
{
    struct terminal *terminal = &terminals[t];

    bw_assert(BW_MUTATION != 1 || c != KEY_QUIT); /* the mutation that ends it then */
    if (c == KEY_DETACH && terminal->focus != HOME(t)) {
        return_focus(t, DETACHED_BY_USER);
        return true;
    }
    if (session_type(&sessions[terminal->focus], c)) {
        terminal->stalled_since = 0;
        return true;
    }
    if (terminal->stalled_since == 0) {
        terminal->stalled_since = bw_monotonic();
    }
    return bw_monotonic() - terminal->stalled_since > STALL_NS;
}

/** Gives what is staged to the session with the focus. @return false if it must wait */
static bool deliver_staged(unsigned t)
{
    struct terminal *terminal = &terminals[t];
    unsigned before = terminal->focus;
    bool all = true;

    while (terminal->staged_at < terminal->staged_end &&
           (all = deliver(t, terminal->staged[terminal->staged_at]))) {
        terminal->staged_at++;
    }
    notify(before);
    if (terminal->focus != before) {
        notify(terminal->focus);
    }
    return all;
}

/** Reads what was typed, as far as the session with the focus takes it. */
static void pump_input(unsigned t)
{
    struct terminal *terminal = &terminals[t];

    while (terminal->staged_at == terminal->staged_end || deliver_staged(t)) {
        struct message m = {.code = CONSOLE_READ,
                            .word = {sizeof(terminal->staged)},
                            .buffer = terminal->staged,
                            .size = sizeof(terminal->staged)};

        terminal->staged_at = terminal->staged_end = 0;
        if (call_driver(t, &m) != BW_OK || m.length == 0) {
            return;
        }
        terminal->staged_end = m.length;
    }
}

/* --- requests --------------------------------------------------------------------------------- */

/** What was typed ahead of an attach goes where it was meant to. */
static void deliver_ahead(unsigned t)
{
    static uint8_t typed[SESSION_INPUT];
    size_t n = session_read(&sessions[HOME(t)], typed, sizeof(typed));

    for (size_t i = 0; i < n; i++) {
        deliver(t, typed[i]);
    }
}

static void serve_attach(unsigned t, uint64_t s, struct message *reply, uint16_t *reply_to)
{
    if (s == 0 || s >= DISTRICTS || !sessions[s].open) {
        reply->code = BW_ABSENT;
        return;
    }
    if (has_focus((unsigned)s)) {
        return_focus(shown_at[s], DETACHED_ELSEWHERE);
    }
    bw_copy_key(KEY_AT(KR_CALLER), attached_shell(t));
    terminals[t].attached = true;
    *reply_to = 0;
    set_focus(t, (unsigned)s);
    deliver_ahead(t);
    notify(terminals[t].focus);
    pump_output(t);
}

static void serve_listen(unsigned s, struct message *reply)
{
    unsigned t = s - DISTRICTS;

    if (s >= DISTRICTS && terminals[t].focus != s) { /* a new shell: who attached is gone */
        set_focus(t, s);
        bw_drop_key(attached_shell(t));
        terminals[t].attached = false;
    }
    reply->code = bw_copy_key(KR_OFFERED, listener(s));
    sessions[s].listening = reply->code == BW_OK;
}

static void serve_write(unsigned s, const struct message *m, struct message *reply)
{
    bool shown = has_focus(s) && terminals[shown_at[s]].present;

    reply->word[0] = session_write(&sessions[s], m->buffer, m->length, shown);
    session_mark(&sessions[s], m->word[0], m->word[1] + reply->word[0]);
    if (shown) {
        pump_output(shown_at[s]);
    }
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
        serve_write(s, m, reply);
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
        reply->word[0] = terminals[shown_at[s]].rows;
        reply->word[1] = terminals[shown_at[s]].columns;
        reply->word[2] = sessions[s].gated;
        break;
    case CONSOLE_SHOWN:
        reply->word[0] = sessions[s].mark;
        reply->word[1] = sessions[s].number;
        break;
    case CONSOLE_DETACH:
        if (s < DISTRICTS && has_focus(s)) {
            return_focus(shown_at[s], DETACHED_BY_USER);
        }
        break;
    case CONSOLE_ATTACH:
        if (s >= DISTRICTS) {
            serve_attach(s - DISTRICTS, m->word[0], reply, reply_to);
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
    if (s == 0 || s >= DISTRICTS) {
        reply->code = BW_ARGUMENT;
        return;
    }
    if (m->code == CONSOLE_GATED) {
        sessions[s].gated = m->word[1] != 0;
        notify((unsigned)s);
        return;
    }
    if (m->code == CONSOLE_OPEN && m->word[2] != 0 && sessions[s].open) {
        reply->code = BW_EXISTS;
        return;
    }
    if (has_focus((unsigned)s)) {
        return_focus(shown_at[s], DETACHED_ENDED);
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
    make_own_key((uint16_t)s, KEY_AT(KR_HANDED));
    reply->send[0] = KEY_AT(KR_HANDED);
}

/** Someone looks after a terminal from now on: its home is published, and its login started. */
static void open_terminal(unsigned t)
{
    struct message m = {
        .code = NAMES_SPAWN, .word = {t}, .string = "login", .length = strlen("login")};
    char name[NAME_MAX_LENGTH + 1];

    snprintf(name, sizeof(name), "console%u", t);
    bw_assert(bw_publish(name, (uint16_t)HOME(t)) == BW_OK);
    bw_call(KEY_AT(KR_NAMES), &m);
}

/** The program screens is there, for the first time or again. It waits for this reply, so it cannot
 * be called before. */
static void serve_screens(const struct message *m, struct message *reply)
{
    if (m->code != CONSOLE_SCREENS || m->word[0] == 0 || m->word[1] == 0) {
        reply->code = BW_ARGUMENT;
        return;
    }
    for (unsigned t = 1; t < CONSOLE_TERMINALS; t++) {
        struct terminal *terminal = &terminals[t];
        uint16_t handed = KEY_AT(KR_HANDED + t - 1);

        bw_copy_key(KEY_AT(KR_ARGUMENT + t - 1), driver(t));
        make_own_key((uint16_t)(BADGE_TERMINAL + t), handed);
        reply->send[t - 1] = handed;
        terminal->rows = m->word[0];
        terminal->columns = m->word[1];
        terminal->present = true;
        session_rewind_line(&sessions[terminal->focus]);
        open_terminal(t);
    }
}

static void make_node(unsigned reg)
{
    struct message m = {
        .code = RANGE_CREATE, .word = {bw_next_id(1), OBJECT_NODE}, .take = {KEY_AT(reg)}};

    bw_assert(bw_call(KEY_AT(KR_RANGE), &m) == BW_OK);
}

static void set_up(void)
{
    static const char *const users[] = {"districts", "keys"}; /* of the console before us */
    struct message m = {.code = NAMES_READY};

    make_node(KR_LISTENERS);
    make_node(KR_TERMINALS);
    for (unsigned t = 0; t < CONSOLE_TERMINALS; t++) {
        bw_assert(session_open(&sessions[HOME(t)], false));
        terminals[t].focus = HOME(t);
        shown_at[HOME(t)] = (uint8_t)t;
    }
    connect_serial();
    bw_assert(bw_publish("consoles", BADGE_DISTRICTD) == BW_OK);
    bw_assert(bw_publish("terminals", BADGE_SCREENS) == BW_OK);
    for (unsigned i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
        if (bw_find_now(users[i], KEY_AT(KR_HANDED)) == BW_OK) {
            bw_post(KEY_AT(KR_HANDED));
        }
    }
    open_terminal(0);
    bw_call(KEY_AT(KR_NAMES), &m);
}

/** @return whom to reply to */
static uint16_t serve(const struct message *request, struct message *reply)
{
    uint16_t reply_to = KEY_AT(KR_CALLER);

    if (request->badge < SESSIONS) {
        serve_session(request->badge, request, reply, &reply_to);
    } else if (request->badge == BADGE_DISTRICTD) {
        serve_districtd(request, reply);
    } else if (request->badge == BADGE_SCREENS) {
        serve_screens(request, reply);
    } else {
        reply->code = BW_ORDER;
    }
    return reply_to;
}

/** When input that waits is to be looked at again. */
static bw_time_t next_look(void)
{
    bw_time_t next = terminals[0].present ? BW_NO_DEADLINE : serial_look;

    for (unsigned t = 0; t < CONSOLE_TERMINALS; t++) {
        bw_time_t since = terminals[t].stalled_since;

        if (since && since + STALL_NS + 1 < next) {
            next = since + STALL_NS + 1;
        }
    }
    return next;
}

/** Input and output of the terminals in `posted`, and input that waits. */
static void pump(uint64_t posted)
{
    if (!terminals[0].present && bw_monotonic() >= serial_look) {
        connect_serial();
        posted |= terminals[0].present;
    }
    for (unsigned t = 0; t < CONSOLE_TERMINALS; t++) {
        if (posted >> t & 1) {
            pump_output(t);
        }
        if (posted >> t & 1 || terminals[t].staged_at != terminals[t].staged_end) {
            pump_input(t);
        }
    }
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
        for (unsigned n = 0; n < BW_MESSAGE_KEYS; n++) {
            m.take[n] = KEY_AT(KR_ARGUMENT + n);
        }
        m.deadline = next_look();
        bw_return(reply_to, &m, KEY_AT(KR_CALLER), 0);

        struct message request = m;
        m = (struct message){.code = BW_OK};
        reply_to = request.delivery == DELIVERY_MESSAGE ? serve(&request, &m) : 0;
        pump(request.delivery == DELIVERY_POSTED ? request.word[0] : 0);
    }
}
