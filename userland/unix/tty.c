/*
 * The terminal of the district: one line discipline, the rings shared with the terminal agent, the
 * session that has it as its controlling terminal, and the open file.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <bailiwick/image.h>
#include <bailiwick/runtime.h>
#include "files.h"
#include "rings.h"
#include "tty_line.h"

#define TTY_RDEV (4u << 8 | 64u) /* what ps calls the controlling terminal: ttyS0 */
#define COPY     4096u

static struct tty_line line;
static struct wait_queue queue;
static int session, foreground; /* 0: none */
static struct winsize size;
static uint32_t seen_resized;
static bool to_post;
static bw_time_t last_input; /* for VTIME */

static struct terminal_rings *rings(void)
{
    return (struct terminal_rings *)IMAGE_WINDOW(2);
}

void tty_init(void)
{
    tty_line_init(&line);
}

void tty_attach(int sid, int pgid)
{
    session = sid;
    foreground = pgid;
}

void tty_session_ended(int sid)
{
    if (sid != 0 && sid == session) {
        int group = foreground;

        session = foreground = 0;
        if (group != 0) {
            signal_group(group, SIGHUP);
            signal_group(group, SIGCONT);
        }
        wake_all(&queue);
    }
}

uint32_t tty_of_session(int sid, int *group)
{
    bool has = sid != 0 && sid == session;

    *group = has ? foreground : -1;
    return has ? TTY_RDEV : 0;
}

/* --- the rings --- */

static void take_size(void)
{
    struct terminal_rings *r = rings();
    uint32_t resized = rings_load(&r->resized);

    if (resized == seen_resized) {
        return;
    }
    seen_resized = resized;
    size.ws_row = (unsigned short)r->rows;
    size.ws_col = (unsigned short)r->columns;
    if (foreground != 0) {
        signal_group(foreground, SIGWINCH);
    }
}

static void take_input(void)
{
    uint8_t byte;

    while (tty_line_accepts(&line) && rings_take_in(rings(), &byte, 1) == 1) {
        int signal = tty_line_input(&line, byte);

        if (signal != 0 && foreground != 0) {
            signal_group(foreground, signal);
        }
        last_input = time_monotonic();
        to_post = true;
    }
}

void tty_flush(void)
{
    struct terminal_rings *r = rings();
    uint8_t buffer[256];
    size_t room;

    while (line.out_count > 0 && (room = rings_out_room(r)) > 0) {
        size_t n =
            tty_line_take_output(&line, buffer, room < sizeof(buffer) ? room : sizeof(buffer));

        if (n == 0) {
            break; /* Ctrl-S */
        }
        rings_put_out(r, buffer, n);
        to_post = true;
    }
    if (to_post) {
        to_post = false;
        bw_post(KR_IMAGE_PEER);
    }
}

void tty_poll(void)
{
    take_size();
    take_input();
    tty_flush();
    wake_all(&queue);
}

bw_time_t tty_deadline(void)
{
    return BW_NO_DEADLINE; /* readers with VTIME wait with a deadline of their own */
}

void tty_print(const char *text)
{
    tty_line_write(&line, (const uint8_t *)text, strlen(text));
}

/* --- job control --- */

static bool is_controlling(void)
{
    return session != 0 && process_sid(thread_process(current)) == session;
}

/** 0: current may use the terminal; else what the call returns. */
static long background(int signal)
{
    if (!is_controlling() || foreground == 0 ||
        process_pgid(thread_process(current)) == foreground) {
        return 0;
    }
    return signal_background(signal);
}

static long set_controlling(void)
{
    struct process *p = thread_process(current);

    if (process_sid(p) != process_pid(p)) {
        return -EPERM;
    }
    if (session != 0 && session != process_sid(p)) {
        return -EPERM;
    }
    tty_attach(process_sid(p), process_pgid(p));
    return 0;
}

static long drop_controlling(void)
{
    struct process *p = thread_process(current);

    if (!is_controlling()) {
        return -ENOTTY;
    }
    if (process_sid(p) == process_pid(p)) {
        tty_session_ended(session);
    }
    return 0;
}

static bool group_in_session(int group)
{
    for (struct process *p = process_next(NULL); p != NULL; p = process_next(p)) {
        if (process_pgid(p) == group && process_sid(p) == session) {
            return true;
        }
    }
    return false;
}

static long set_foreground(uint64_t argument)
{
    int group;
    long r;

    if (!is_controlling()) {
        return -ENOTTY;
    }
    r = background(SIGTTOU);
    if (r != 0) {
        return r;
    }
    if (user_read(&group, argument, sizeof(group)) != 0) {
        return -EFAULT;
    }
    if (group <= 0) {
        return -EINVAL;
    }
    if (!group_in_session(group)) {
        return -EPERM;
    }
    foreground = group;
    return 0;
}

/* --- the open file --- */

static long read_some(struct io *io)
{
    uint8_t buffer[COPY];
    size_t n = tty_line_read(&line, buffer, io->left < sizeof(buffer) ? io->left : sizeof(buffer));
    long r = n > 0 ? io_give(io, buffer, n) : 0;

    take_input(); /* there is room again */
    return r;
}

/** Non-canonical: is there enough for a read of n bytes? If not, *deadline is until when to wait.
 */
static bool enough(size_t n, size_t there, bw_time_t *deadline)
{
    size_t least = line.set.cc[VMIN];
    bw_time_t time = line.set.cc[VTIME] * 100000000ull;

    *deadline = BW_NO_DEADLINE;
    if (least == 0) {
        *deadline = time_monotonic() + time;
        return there > 0 || time == 0 || thread_timed_out(current);
    }
    least = least > n ? n : least;
    if (there > 0 && time != 0) {
        *deadline = last_input + time;
        return there >= least || time_monotonic() >= *deadline;
    }
    return there >= least;
}

static long tty_read(struct file *f, struct io *io, uint64_t *offset)
{
    bw_time_t deadline = BW_NO_DEADLINE;
    bool ready;
    size_t there;
    long r = background(SIGTTIN);

    (void)offset;
    if (r != 0 || io->left == 0) {
        return r;
    }
    take_input();
    if (thread_signalled(current)) {
        return wait_on(&queue, deadline); /* what came behind a Ctrl-C is not for whom that ends */
    }
    there = tty_line_readable(&line, &ready);
    if (!(line.set.lflag & ICANON)) {
        ready = enough(io->left, there, &deadline);
    }
    if (ready) {
        return read_some(io);
    }
    if (f->flags & O_NONBLOCK) {
        return -EAGAIN;
    }
    return wait_on(&queue, deadline);
}

static long tty_write(struct file *f, struct io *io, uint64_t *offset)
{
    uint8_t buffer[COPY];
    long r = line.set.lflag & TOSTOP ? background(SIGTTOU) : 0;
    size_t before = io->done;

    (void)offset;
    if (r != 0) {
        return r;
    }
    while (io->left > 0) {
        size_t room = line.stopped ? 0 : (TTY_OUT - line.out_count) / 2;
        long n;

        if (room == 0) {
            tty_flush();
            room = line.stopped ? 0 : (TTY_OUT - line.out_count) / 2;
        }
        if (room == 0) {
            break;
        }
        n = io_take(io, buffer, room < sizeof(buffer) ? room : sizeof(buffer));
        if (n <= 0) {
            return io->done > before ? (long)(io->done - before) : n;
        }
        tty_line_write(&line, buffer, (size_t)n);
    }
    if (io->left == 0) {
        return (long)(io->done - before);
    }
    if (f->flags & O_NONBLOCK) {
        return io->done > 0 ? (long)io->done : -EAGAIN;
    }
    return wait_on(&queue, BW_NO_DEADLINE);
}

static unsigned tty_poll_bits(struct file *f)
{
    unsigned mask = 0;
    bool ready;
    size_t there;

    (void)f;
    take_input();
    there = tty_line_readable(&line, &ready);
    if (!(line.set.lflag & ICANON)) {
        ready =
            there >= (line.set.cc[VTIME] == 0 && line.set.cc[VMIN] > 1 ? line.set.cc[VMIN] : 1u);
    }
    mask |= ready ? EPOLLIN | EPOLLRDNORM : 0;
    mask |= !line.stopped && line.out_count < TTY_OUT / 2 ? EPOLLOUT | EPOLLWRNORM : 0;
    return mask;
}

static int tty_queues(struct file *f, struct wait_queue *queues[2])
{
    (void)f;
    queues[0] = &queue;
    return 1;
}

static long set_settings(unsigned request, uint64_t argument)
{
    struct tty_settings set;
    long r = background(SIGTTOU);

    if (r != 0) {
        return r;
    }
    if (user_read(&set, argument, sizeof(set)) != 0) {
        return -EFAULT;
    }
    if (request == TCSETSF) {
        tty_line_flush_input(&line);
    }
    tty_line_set(&line, &set);
    wake_all(&queue);
    return 0;
}

static long flush_queues(uint64_t which)
{
    long r = background(SIGTTOU);

    if (r != 0) {
        return r;
    }
    if (which > TCIOFLUSH) {
        return -EINVAL;
    }
    if (which != TCOFLUSH) {
        tty_line_flush_input(&line);
    }
    if (which != TCIFLUSH) {
        tty_line_flush_output(&line);
    }
    wake_all(&queue);
    return 0;
}

static long set_size(uint64_t argument)
{
    struct winsize new;

    if (user_read(&new, argument, sizeof(new)) != 0) {
        return -EFAULT;
    }
    if (memcmp(&new, &size, sizeof(size)) != 0) {
        size = new;
        if (foreground != 0) {
            signal_group(foreground, SIGWINCH);
        }
    }
    return 0;
}

static long give_int(uint64_t argument, int value)
{
    return user_write(argument, &value, sizeof(value));
}

static long tty_ioctl(struct file *f, unsigned request, uint64_t argument)
{
    bool ready;

    (void)f;
    switch (request) {
    case TCGETS:
        return user_write(argument, &line.set, sizeof(line.set));
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
        return set_settings(request, argument);
    case TCSBRK:
    case TCXONC:
        return 0;
    case TCFLSH:
        return flush_queues(argument);
    case TIOCSCTTY:
        return set_controlling();
    case TIOCNOTTY:
        return drop_controlling();
    case TIOCGPGRP:
        return is_controlling() ? give_int(argument, foreground) : -ENOTTY;
    case TIOCSPGRP:
        return set_foreground(argument);
    case TIOCGSID:
        return is_controlling() ? give_int(argument, session) : -ENOTTY;
    case TIOCGWINSZ:
        take_size();
        return user_write(argument, &size, sizeof(size));
    case TIOCSWINSZ:
        return set_size(argument);
    case TIOCOUTQ:
        return give_int(argument, (int)line.out_count);
    case FIONREAD:
        return give_int(argument, (int)tty_line_readable(&line, &ready));
    default:
        return -ENOTTY;
    }
}

const struct file_kind file_tty = {
    .name = "tty",
    .read = tty_read,
    .write = tty_write,
    .poll = tty_poll_bits,
    .queues = tty_queues,
    .ioctl = tty_ioctl,
};

long tty_open(struct vnode *v, uint32_t flags, bool controlling_only, struct file **out)
{
    if (controlling_only && !is_controlling()) {
        return -ENXIO;
    }
    if (!controlling_only && !(flags & O_NOCTTY) && session == 0) {
        set_controlling(); /* only a session's leader gets it */
    }
    *out = file_new(&file_tty, flags, v);
    return *out != NULL ? 0 : -ENOMEM;
}

/** The session of the process that has the table gets the terminal, if it is free. */
static void attach_owner(struct files *f)
{
    for (struct process *p = process_next(NULL); p != NULL; p = process_next(p)) {
        if (process_files(p) == f && session == 0) {
            tty_attach(process_sid(p), process_pgid(p));
        }
    }
}

int files_open_console(struct files *f)
{
    struct walk w;
    struct directory *d = directory_new();
    struct vnode *v;
    struct file *console;
    int r;

    if (d == NULL) {
        return -ENOMEM;
    }
    r = path_walk(d, d->cwd->place, "/dev/console", 0, &w);
    directory_release(d);
    v = r == 0 ? vnode_get(w.place) : NULL;
    console = file_new(&file_tty, O_RDWR, v);
    vnode_release(v);
    if (console == NULL) {
        return -ENOMEM;
    }
    for (int fd = 0; fd < 3; fd++) {
        file_hold(console);
        if (files_install(f, console, fd, false) < 0) {
            break;
        }
    }
    file_release(console);
    attach_owner(f);
    return 0;
}
