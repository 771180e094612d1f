/*
 * The line discipline; tty_line.h has its invariants.
 */
#include <signal.h>
#include <string.h>
#include <termios.h>
#include "tty_line.h"

#define DISABLED 0 /* _POSIX_VDISABLE */

static const uint8_t first_cc[TTY_CONTROLS] = {
    [VINTR] = 3,     [VQUIT] = 28,   [VERASE] = 127, [VKILL] = 21, [VEOF] = 4,
    [VMIN] = 1,      [VSTART] = 17,  [VSTOP] = 19,   [VSUSP] = 26, [VREPRINT] = 18,
    [VDISCARD] = 15, [VWERASE] = 23, [VLNEXT] = 22,
};

void tty_line_init(struct tty_line *t)
{
    memset(t, 0, sizeof(*t));
    t->set.iflag = ICRNL | IXON | IUTF8;
    t->set.oflag = OPOST | ONLCR;
    t->set.cflag = B38400 | CS8 | CREAD | HUPCL;
    t->set.lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
    memcpy(t->set.cc, first_cc, sizeof(first_cc));
}

static bool canonical(const struct tty_line *t)
{
    return (t->set.lflag & ICANON) != 0;
}

static bool is_control(const struct tty_line *t, unsigned which, uint8_t byte)
{
    return t->set.cc[which] != DISABLED && t->set.cc[which] == byte;
}

/* --- output --- */

static size_t out_room(const struct tty_line *t)
{
    return TTY_OUT - t->out_count;
}

static void out_raw(struct tty_line *t, uint8_t byte)
{
    if (out_room(t) > 0) {
        t->output[(t->out_start + t->out_count) % TTY_OUT] = byte;
        t->out_count++;
    }
}

static void move_column(struct tty_line *t, uint8_t byte)
{
    if (byte == '\r') {
        t->column = 0;
    } else if (byte == '\b') {
        t->column -= t->column > 0;
    } else if (byte == '\t') {
        t->column = (t->column | 7) + 1;
    } else if (byte >= ' ' && byte != 127 && (byte & 0xc0) != 0x80) {
        t->column++;
    }
}

/** One byte with output processing; needs room for two. */
static void out_byte(struct tty_line *t, uint8_t byte)
{
    uint32_t flags = t->set.oflag;

    if (flags & OPOST) {
        if (byte == '\n' && (flags & ONLCR)) {
            out_raw(t, '\r');
            t->column = 0;
        } else if (byte == '\n' && (flags & ONLRET)) {
            t->column = 0;
        } else if (byte == '\r' && (flags & ONOCR) && t->column == 0) {
            return;
        } else if (byte == '\r' && (flags & OCRNL)) {
            byte = '\n';
        } else if ((flags & OLCUC) && byte >= 'a' && byte <= 'z') {
            byte -= 'a' - 'A';
        }
    }
    out_raw(t, byte);
    move_column(t, byte);
}

size_t tty_line_write(struct tty_line *t, const uint8_t *from, size_t n)
{
    size_t done = 0;

    while (done < n && !t->stopped && out_room(t) >= 2) {
        out_byte(t, from[done++]);
    }
    return done;
}

size_t tty_line_take_output(struct tty_line *t, uint8_t *to, size_t n)
{
    size_t done = 0;

    while (done < n && t->out_count > 0 && !t->stopped) {
        to[done++] = t->output[t->out_start];
        t->out_start = (t->out_start + 1) % TTY_OUT;
        t->out_count--;
    }
    return done;
}

void tty_line_flush_output(struct tty_line *t)
{
    t->out_count = 0;
}

/* --- echo --- */

static bool shown_as_caret(const struct tty_line *t, uint8_t byte)
{
    return (t->set.lflag & ECHOCTL) && (byte < ' ' || byte == 127) && byte != '\t' && byte != '\n';
}

static void echo_byte(struct tty_line *t, uint8_t byte)
{
    if (shown_as_caret(t, byte)) {
        out_byte(t, '^');
        out_byte(t, byte ^ 0x40);
    } else {
        out_byte(t, byte);
    }
}

static void echo(struct tty_line *t, uint8_t byte)
{
    if (t->set.lflag & ECHO) {
        echo_byte(t, byte);
    } else if (byte == '\n' && (t->set.lflag & ECHONL) && canonical(t)) {
        out_byte(t, byte);
    }
}

/* --- input --- */

static uint32_t place(const struct tty_line *t, uint32_t i)
{
    return (t->start + i) % TTY_IN;
}

static void put(struct tty_line *t, uint8_t byte, enum tty_mark mark)
{
    uint32_t at = place(t, t->count);

    t->input[at] = byte;
    t->mark[at] = (uint8_t)mark;
    t->count++;
    if (mark != TTY_PLAIN || !canonical(t)) {
        t->committed = t->count;
    }
}

/** Screen column behind the bytes that are under edit. */
static unsigned edit_width(const struct tty_line *t)
{
    unsigned column = t->edit_column;

    for (uint32_t i = t->committed; i < t->count; i++) {
        uint8_t byte = t->input[place(t, i)];

        if (byte == '\t') {
            column = (column | 7) + 1;
        } else if (shown_as_caret(t, byte)) {
            column += 2;
        } else if (!(t->set.iflag & IUTF8) || (byte & 0xc0) != 0x80) {
            column++;
        }
    }
    return column;
}

/** Takes the last character of the edited line away, with what the screen shows of it. */
static void erase_one(struct tty_line *t)
{
    unsigned before = edit_width(t), after;

    while (t->count > t->committed + 1 && (t->set.iflag & IUTF8) &&
           (t->input[place(t, t->count - 1)] & 0xc0) == 0x80) {
        t->count--;
    }
    t->count--;
    after = edit_width(t);
    if (!(t->set.lflag & ECHO)) {
        return;
    }
    if (!(t->set.lflag & ECHOE)) {
        echo_byte(t, t->set.cc[VERASE]);
        return;
    }
    for (; before > after; before--) {
        out_byte(t, '\b');
        out_byte(t, ' ');
        out_byte(t, '\b');
    }
}

static uint8_t last(const struct tty_line *t)
{
    return t->input[place(t, t->count - 1)];
}

static void erase_word(struct tty_line *t)
{
    while (t->count > t->committed && (last(t) == ' ' || last(t) == '\t')) {
        erase_one(t);
    }
    while (t->count > t->committed && last(t) != ' ' && last(t) != '\t') {
        erase_one(t);
    }
}

static void kill_line(struct tty_line *t)
{
    if ((t->set.lflag & ECHOKE) && (t->set.lflag & ECHOE)) {
        while (t->count > t->committed) {
            erase_one(t);
        }
        return;
    }
    t->count = t->committed;
    echo(t, t->set.cc[VKILL]);
    if (t->set.lflag & ECHOK) {
        echo(t, '\n');
    }
}

static void reprint(struct tty_line *t)
{
    echo(t, t->set.cc[VREPRINT]);
    echo(t, '\n');
    t->edit_column = t->column;
    for (uint32_t i = t->committed; i < t->count; i++) {
        echo(t, t->input[place(t, i)]);
    }
}

/** Editing keys of canonical mode. @return true if the byte was one */
static bool edit(struct tty_line *t, uint8_t byte)
{
    bool extended = (t->set.lflag & IEXTEN) != 0;

    if (is_control(t, VERASE, byte) || (byte == '\b' && t->set.cc[VERASE] == 127)) {
        if (t->count > t->committed) {
            erase_one(t);
        }
    } else if (extended && is_control(t, VWERASE, byte)) {
        erase_word(t);
    } else if (is_control(t, VKILL, byte)) {
        kill_line(t);
    } else if (extended && is_control(t, VREPRINT, byte)) {
        reprint(t);
    } else if (extended && is_control(t, VLNEXT, byte)) {
        t->literal = true;
        if ((t->set.lflag & ECHO) && (t->set.lflag & ECHOCTL)) {
            out_byte(t, '^');
            out_byte(t, '\b');
        }
    } else {
        return false;
    }
    return true;
}

static void plain(struct tty_line *t, uint8_t byte)
{
    if (t->count >= TTY_IN - 1) {
        if (canonical(t)) {
            out_byte(t, '\a');
        }
        return;
    }
    if (t->count == t->committed) {
        t->edit_column = t->column;
    }
    put(t, byte, TTY_PLAIN);
    echo(t, byte);
}

static void canonical_input(struct tty_line *t, uint8_t byte)
{
    if (edit(t, byte)) {
        return;
    }
    if (byte == '\n' || is_control(t, VEOL, byte) || is_control(t, VEOL2, byte)) {
        put(t, byte, TTY_END);
        echo(t, byte);
    } else if (is_control(t, VEOF, byte)) {
        put(t, byte, TTY_EOF);
    } else {
        plain(t, byte);
    }
}

/** Ctrl-S and Ctrl-Q. @return true if the byte was one */
static bool flow(struct tty_line *t, uint8_t byte)
{
    if (!(t->set.iflag & IXON)) {
        return false;
    }
    if (is_control(t, VSTART, byte)) {
        t->stopped = false;
        return true;
    }
    if (is_control(t, VSTOP, byte)) {
        t->stopped = true;
        return true;
    }
    return false;
}

static int signal_of(const struct tty_line *t, uint8_t byte)
{
    if (!(t->set.lflag & ISIG)) {
        return 0;
    }
    return is_control(t, VINTR, byte)   ? SIGINT
           : is_control(t, VQUIT, byte) ? SIGQUIT
           : is_control(t, VSUSP, byte) ? SIGTSTP
                                        : 0;
}

int tty_line_input(struct tty_line *t, uint8_t byte)
{
    int signal;

    if (t->literal) {
        t->literal = false;
        plain(t, byte);
        return 0;
    }
    if (t->set.iflag & ISTRIP) {
        byte &= 0x7f;
    }
    signal = signal_of(t, byte);
    if (signal != 0) {
        t->stopped = false;
        if (!(t->set.lflag & NOFLSH)) {
            tty_line_flush_input(t);
            tty_line_flush_output(t);
        }
        echo(t, byte);
        return signal;
    }
    if (flow(t, byte)) {
        return 0;
    }
    if ((t->set.iflag & IXANY) && t->stopped) {
        t->stopped = false;
    }
    if (byte == '\r' && (t->set.iflag & IGNCR)) {
        return 0;
    }
    if (byte == '\r' && (t->set.iflag & ICRNL)) {
        byte = '\n';
    } else if (byte == '\n' && (t->set.iflag & INLCR)) {
        byte = '\r';
    }
    if (canonical(t)) {
        canonical_input(t, byte);
    } else {
        plain(t, byte);
    }
    return 0;
}

bool tty_line_accepts(const struct tty_line *t)
{
    return t->count < TTY_IN - 1 || (canonical(t) && t->committed == 0);
}

void tty_line_flush_input(struct tty_line *t)
{
    t->count = t->committed = 0;
}

void tty_line_set(struct tty_line *t, const struct tty_settings *set)
{
    bool was = canonical(t);

    t->set = *set;
    if (was && !canonical(t)) {
        t->committed = t->count;
    } else if (!was && canonical(t)) {
        /* What was typed raw and not yet read is a line of its own. */
        for (uint32_t i = 0; i < t->count; i++) {
            t->mark[place(t, i)] = TTY_PLAIN;
        }
        if (t->count > 0) {
            t->mark[place(t, t->count - 1)] = TTY_END;
        }
        t->committed = t->count;
    }
    if (!(set->iflag & IXON)) {
        t->stopped = false;
    }
}

/* --- reading --- */

size_t tty_line_readable(const struct tty_line *t, bool *ready)
{
    size_t n = 0;

    *ready = t->committed > 0;
    if (!canonical(t)) {
        return t->count;
    }
    for (uint32_t i = 0; i < t->committed; i++) {
        uint8_t mark = t->mark[place(t, i)];

        n += mark != TTY_EOF;
        if (mark != TTY_PLAIN) {
            break;
        }
    }
    return n;
}

size_t tty_line_read(struct tty_line *t, uint8_t *to, size_t n)
{
    size_t done = 0;
    bool line = canonical(t);

    while (t->committed > 0) {
        uint32_t at = place(t, 0);
        uint8_t mark = line ? t->mark[at] : (uint8_t)TTY_PLAIN;

        if (done == n && mark != TTY_EOF) {
            break;
        }
        if (mark != TTY_EOF) {
            to[done++] = t->input[at];
        }
        t->start = (t->start + 1) % TTY_IN;
        t->count--;
        t->committed--;
        if (mark != TTY_PLAIN) {
            break;
        }
    }
    return done;
}
