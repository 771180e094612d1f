/*
 * What happens and what is under way: events as districtd keeps them, and watching a scrub, which
 * the store server does by itself.
 */
#include "watch.h"
#include <stdio.h>
#include <string.h>
#include "administration.h"
#include "format.h"
#include "screen.h"

#define LOOK_NS     250000000ull
#define CTRL_C      3
#define NEWS_MAX    5u /* lines at once */
#define BLOCK_BYTES 4096u

static uint64_t news = 1; /* number of the next event to be shown unasked */

/* --- events ----------------------------------------------------------------------------------- */

static void print_event(const struct event *e)
{
    char date[FORMAT_SIZE];

    screen_print("%s  %-14.32s  %.208s\n", format_date(date, e->time), e->name, e->text);
}

/** The number that the next event will get. */
static uint64_t next_event(uint64_t from)
{
    struct event e;

    while (admin_event(from, &e)) {
        from = e.number + 1;
    }
    return from;
}

void watch_news(void)
{
    struct event e;
    unsigned important = 0, skipped = 0;
    static bool told;

    if (!admin_works() && !told) {
        screen_print("%s\n", admin_reason(BW_VOID));
        told = true;
    }
    for (uint64_t n = news; admin_event(n, &e); n = e.number + 1) {
        important += e.important;
    }
    for (; admin_event(news, &e); news = e.number + 1) {
        if (!e.important) {
            continue;
        }
        if (important-- > NEWS_MAX) {
            skipped++;
            continue;
        }
        if (skipped) {
            screen_print("%u events are not shown here; 'events' has them\n", skipped);
            skipped = 0;
        }
        print_event(&e);
    }
}

enum command_result watch_events(int count, char **words)
{
    struct district_line line;
    struct event e;
    bool any = false, unseen = false;

    if (count == 2 && !command_district("events", words[1], &line)) {
        return COMMAND_DONE;
    }
    for (uint64_t n = 0; admin_event(n, &e); n = e.number + 1) {
        bool shown = count == 1 || strncmp(e.name, words[1], sizeof(e.name)) == 0;

        if (shown) {
            print_event(&e);
            any = true;
        }
        if (e.number >= news && (shown || !e.important) && !unseen) {
            news = e.number + 1; /* what was listed is no news any more */
        } else if (e.number >= news) {
            unseen = true;
        }
    }
    if (!any && !admin_works()) {
        screen_print("events: %s\n", admin_reason(BW_VOID));
    } else if (!any) {
        screen_print("nothing has happened%s%s since the machine was started\n",
                     count == 2 ? " to " : "", count == 2 ? words[1] : "");
    }
    return COMMAND_DONE;
}

/* --- scrub ------------------------------------------------------------------------------------ */

static int64_t ask_scrub(const char *name, enum scrub_order order, struct scrub_line *line)
{
    struct message m = {.word = {order}, .buffer = line, .size = sizeof(*line)};
    int64_t result = admin_store(name, STORE_SCRUB, &m);

    return result == BW_OK && m.length != sizeof(*line) ? BW_IO : result;
}

/** Shows how far it is, in place of the line before. */
static void print_progress(const char *name, const struct scrub_line *s)
{
    char rate[FORMAT_SIZE], left[FORMAT_SIZE];
    uint64_t per_second = s->took ? s->done * 1000000000ull / s->took : 0;
    uint64_t rest = s->total > s->done ? s->total - s->done : 0;

    screen_print("\r%s: %llu of %llu blocks, %s/s, %s left\x1b[K", name,
                 (unsigned long long)s->done, (unsigned long long)s->total,
                 format_bytes(rate, per_second * BLOCK_BYTES),
                 per_second ? format_time(left, rest * 1000000000ull / per_second) : "?");
}

static void print_end(const char *name, const struct scrub_line *s)
{
    char took[FORMAT_SIZE];

    format_time(took, s->took);
    if (s->state == SCRUB_STOPPED) {
        screen_print("\r%s: the scrub was stopped after %llu of %llu blocks\x1b[K\n", name,
                     (unsigned long long)s->done, (unsigned long long)s->total);
    } else if (s->state != SCRUB_DONE) {
        screen_print("\r%s: the scrub could not go on; 'events %s' says why\x1b[K\n", name, name);
    } else if (s->errors == 0) {
        screen_print("\r%s: %llu blocks read in %s, no damage\x1b[K\n", name,
                     (unsigned long long)s->done, took);
    } else {
        screen_print("\r%s: %llu blocks read in %s, %llu damaged, %llu of them repaired\x1b[K\n",
                     name, (unsigned long long)s->done, took, (unsigned long long)s->errors,
                     (unsigned long long)s->repaired);
    }
}

/** Shows damage that was met since the last look. @param number of the next event */
static void print_findings(const char *name, uint64_t *number)
{
    struct event e;

    for (; admin_event(*number, &e); *number = e.number + 1) {
        if (strncmp(e.name, name, sizeof(e.name)) == 0 &&
            (e.kind == EVENT_DAMAGE || e.kind == EVENT_REPAIRED)) {
            screen_print("\r%.208s\x1b[K\n", e.text);
        }
        news = e.number >= news ? e.number + 1 : news;
    }
}

/** Shows a scrub until it ends or the user has seen enough. */
static void watch(const char *name, uint64_t number)
{
    struct scrub_line s;

    for (;;) {
        int64_t result = ask_scrub(name, SCRUB_LOOK, &s);

        if (result != BW_OK) {
            screen_print("\rscrub: %s: %s\x1b[K\n", name, admin_store_reason(name, result));
            return;
        }
        print_findings(name, &number);
        if (s.state != SCRUB_RUNNING) {
            print_end(name, &s);
            return;
        }
        print_progress(name, &s);
        if (screen_poll(bw_monotonic() + LOOK_NS) == CTRL_C) {
            screen_print(
                "\n%s: the scrub goes on; 'scrub %s' shows it, 'scrub %s --stop' ends it\n", name,
                name, name);
            return;
        }
    }
}

enum command_result watch_scrub(int count, char **words)
{
    bool stop = count == 3;
    struct district_line line;
    struct scrub_line s;
    uint64_t number;
    int64_t result;

    if (stop && strcmp(words[2], "--stop") != 0) {
        screen_print("scrub: '%s' is not known; usage: scrub NAME [--stop]\n", words[2]);
        return COMMAND_DONE;
    }
    if (!command_district("scrub", words[1], &line)) {
        return COMMAND_DONE;
    }
    number = next_event(news);
    result = ask_scrub(words[1], SCRUB_LOOK, &s);
    if (result == BW_OK && stop && s.state != SCRUB_RUNNING) {
        screen_print("scrub: none is under way in %s\n", words[1]);
        return COMMAND_DONE;
    }
    if (result == BW_OK) {
        result = ask_scrub(words[1], stop ? SCRUB_STOP : SCRUB_BEGIN, &s);
    }
    if (result == BW_OK && s.state == SCRUB_NEVER) {
        result = BW_DAMAGED; /* its store is not open */
    }
    if (result != BW_OK) {
        screen_print("scrub: %s: %s\n", words[1], admin_store_reason(words[1], result));
        return COMMAND_DONE;
    }
    watch(words[1], number);
    return COMMAND_DONE;
}
