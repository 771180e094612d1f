/*
 * Progress of long work: one line on standard error, rewritten at most five times a second, if that
 * is a terminal and the work takes longer than a moment.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "tools.h"

#define INTERVAL 200000000ull
#define PATIENCE 700000000ull /* shorter work shows nothing */

static bool on_screen;

static uint64_t monotonic(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

const char *show_duration(uint64_t seconds, char buf[32])
{
    if (seconds < 100)
        snprintf(buf, 32, "%u s", (unsigned)seconds);
    else if (seconds < 3600)
        snprintf(buf, 32, "%u min %u s", (unsigned)(seconds / 60), (unsigned)(seconds % 60));
    else if (seconds < 360000000)
        snprintf(buf, 32, "%u h %u min", (unsigned)(seconds / 3600), (unsigned)(seconds / 60 % 60));
    else
        strcpy(buf, "years");
    return buf;
}

void progress_text(const struct progress *p, uint64_t elapsed, char *to, size_t size)
{
    double seconds = (double)elapsed / 1e9;
    double rate = seconds > 0 ? (double)p->done / seconds : 0;
    char done[32], total[32], per_second[32], left[32];

    show_bytes(p->done, done);
    show_bytes((uint64_t)rate, per_second);
    if (p->total == 0) {
        snprintf(to, size, "%s: %s, %s/s", p->what, done, per_second);
    } else if (p->done >= p->total || rate < 1) {
        snprintf(to, size, "%s: %s of %s, %s/s", p->what, done, show_bytes(p->total, total),
                 per_second);
    } else {
        snprintf(to, size, "%s: %s of %s (%u %%), %s/s, %s left", p->what, done,
                 show_bytes(p->total, total), (unsigned)((double)p->done / (double)p->total * 100),
                 per_second,
                 show_duration((uint64_t)((double)(p->total - p->done) / rate) + 1, left));
    }
}

/** Both ends of a pipe may be on one terminal: the first to come has its line there. */
static void take_terminal(struct progress *p)
{
    const char *name = ttyname(STDERR_FILENO);

    p->lock = name ? open(name, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC) : -1;
    p->terminal = name && (p->lock < 0 || flock(p->lock, LOCK_EX | LOCK_NB) == 0);
}

void progress_start(struct progress *p, const char *what, uint64_t total)
{
    *p = (struct progress){.what = what, .total = total};
    take_terminal(p);
    p->start = p->shown = monotonic();
}

void progress_add(struct progress *p, uint64_t bytes)
{
    char text[160];
    uint64_t now;

    p->done += bytes;
    if (!p->terminal)
        return;
    now = monotonic();
    if (now - p->shown < INTERVAL || now - p->start < PATIENCE)
        return;
    p->shown = now;
    progress_text(p, now - p->start, text, sizeof(text));
    fprintf(stderr, "\r%s\033[K", text);
    fflush(stderr);
    on_screen = true;
}

void progress_clear(void)
{
    if (on_screen)
        fprintf(stderr, "\r\033[K");
    on_screen = false;
}

void progress_end(struct progress *p)
{
    p->terminal = false;
    progress_clear();
    if (p->lock >= 0)
        close(p->lock);
    p->lock = -1;
}
