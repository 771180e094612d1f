/*
 * The commands about disks.
 *
 * A new district is a copy of another one's newest generation: the shell carries it from the store
 * server of the one to that of the other (store/server/maker.c).
 */
#include "disks.h"
#include <stdio.h>
#include <string.h>
#include "administration.h"
#include "format.h"
#include "screen.h"

#define TEMPLATE        "fresh" /* copied if nothing else is said */
#define CTRL_C          3
#define LOOK_EVERY      256u        /* objects */
#define INTERVAL_MIN_NS 10000000ull /* admin.h: STORE_INTERVAL */

static const char *what_is_on(const struct disk_line *d)
{
    static char text[64];

    if (d->state == DISK_FREE) {
        return "free";
    }
    if (d->state == DISK_OTHER) {
        return "something else than a store";
    }
    snprintf(text, sizeof(text), d->error ? "not usable; 'districts' says why" : "district %.32s",
             d->name);
    return text;
}

enum command_result disks_list(int count, char **words)
{
    char name[DISK_NAME_SIZE], size[FORMAT_SIZE];
    struct disk_line d;
    unsigned i;

    (void)count;
    (void)words;
    for (i = 0; admin_disk(i, &d); i++) {
        if (i == 0) {
            screen_print("%-10s %10s  %s\n", "DISK", "SIZE", "WHAT");
        }
        screen_print("%-10s %10s  %s\n", admin_disk_name(name, d.number),
                     format_bytes(size, d.bytes), what_is_on(&d));
    }
    if (i == 0) {
        screen_print("no disk of this machine has a district store or room for one\n");
    }
    return COMMAND_DONE;
}

/* --- mkdistrict ------------------------------------------------------------------------------- */

static bool name_valid(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t n = strlen(name);

    return n > 0 && n < DISTRICT_NAME_MAX && strspn(name, allowed) == n && !strchr("-_.", name[0]);
}

/** Finds the disk of that name. @return false: there is none, which it says */
static bool find_disk(const char *wanted, struct disk_line *d)
{
    char name[DISK_NAME_SIZE];

    for (unsigned i = 0; admin_disk(i, d); i++) {
        if (strcmp(admin_disk_name(name, d->number), wanted) == 0) {
            return true;
        }
    }
    screen_print("mkdistrict: there is no %s for a district; 'disks' lists them\n", wanted);
    return false;
}

static bool parse_keep(const char *text, uint32_t keep[4])
{
    uint64_t n[4];

    if (!parse_numbers(text, n, 4) || n[0] < 2 || n[0] > RETENTION_MAX || n[1] > RETENTION_MAX ||
        n[2] > RETENTION_MAX || n[3] > RETENTION_MAX || n[0] + n[1] + n[2] + n[3] > RETENTION_MAX) {
        return false;
    }
    for (unsigned i = 0; i < 4; i++) {
        keep[i] = (uint32_t)n[i];
    }
    return true;
}

struct wish {
    const char *name, *from;
    uint64_t disk;
    bool force, set_interval, set_keep;
    uint64_t interval;
    uint32_t keep[4];
};

/** Understands the options. @return false: something is wrong, which it says */
static bool parse(int count, char **words, struct wish *w)
{
    for (int i = 3; i < count; i++) {
        const char *value = i + 1 < count ? words[i + 1] : "";

        if (strcmp(words[i], "--force") == 0) {
            w->force = true;
            continue;
        }
        if (strcmp(words[i], "--from") == 0 && value[0]) {
            w->from = value;
        } else if (strcmp(words[i], "--interval") == 0 && parse_time(value, &w->interval) &&
                   (w->interval == 0 || w->interval >= INTERVAL_MIN_NS)) {
            w->set_interval = true;
        } else if (strcmp(words[i], "--keep") == 0 && parse_keep(value, w->keep)) {
            w->set_keep = true;
        } else {
            screen_print("mkdistrict: '%s %s' is not known; see 'mkdistrict --help'\n", words[i],
                         value);
            return false;
        }
        i++;
    }
    return true;
}

static bool failed(const struct wish *w, int64_t result)
{
    screen_print("mkdistrict: %s: %s\n", w->name,
                 result == BW_NOSPACE ? "it does not fit the partition" : admin_reason(result));
    return false;
}

/** Copies all objects. @return false: not all, which it says */
static bool copy(const struct wish *w, const struct store_like *like, struct message *last)
{
    static uint8_t bytes[BW_PAGE_SIZE];
    struct message m;
    uint64_t next = 0;

    for (uint64_t n = 0;; n++) {
        int64_t result;

        if (n % LOOK_EVERY == LOOK_EVERY - 1) {
            screen_print("\r%s: %llu of %llu objects\x1b[K", w->name, (unsigned long long)n,
                         (unsigned long long)like->objects);
            if (screen_poll(bw_monotonic()) == CTRL_C) {
                screen_print("\nmkdistrict: given up; the partition is still free\n");
                return false;
            }
        }
        m = (struct message){
            .word = {like->generation, next}, .buffer = bytes, .size = sizeof(bytes)};
        result = admin_store(w->from, STORE_READ, &m);
        m.string = bytes;
        if (result == BW_ABSENT) {
            *last = m;
            return true;
        }
        if (result != BW_OK) {
            screen_print("\rmkdistrict: generation %llu of %s: %s\x1b[K\n",
                         (unsigned long long)like->generation, w->from,
                         result == BW_REFUSED ? "it was dropped meanwhile; 'interval NAME off' or "
                                                "'kill NAME' keeps it"
                                              : admin_reason(result));
            return false;
        }
        next = m.word[0] + 1;
        m.buffer = NULL;
        m.size = 0;
        result = admin_at_disk(w->disk, STORE_PUT, &m);
        if (result != BW_OK) {
            screen_print("\r\x1b[K");
            return failed(w, result);
        }
    }
}

static bool make(const struct wish *w, struct store_like *like)
{
    struct message m = {.buffer = like, .size = sizeof(*like)};
    int64_t result = admin_store(w->from, STORE_LIKE, &m);

    if (result != BW_OK) {
        screen_print("mkdistrict: %s: %s\n", w->from, admin_reason(result));
        return false;
    }
    snprintf(like->name, sizeof(like->name), "%s", w->name);
    like->interval = w->set_interval ? w->interval : like->interval;
    if (w->set_keep) {
        memcpy(like->keep, w->keep, sizeof(like->keep));
    }
    m = (struct message){.word = {w->force}, .string = like, .length = sizeof(*like)};
    result = admin_at_disk(w->disk, STORE_MAKE, &m);
    if (result == BW_EXISTS) {
        screen_print("mkdistrict: something is there already; 'disks' shows what. What is not a "
                     "store --force overwrites\n");
        return false;
    }
    if (result == BW_ARGUMENT) {
        screen_print("mkdistrict: the partition is too small for a store\n");
        return false;
    }
    if (result != BW_OK) {
        return failed(w, result);
    }
    if (!copy(w, like, &m)) {
        return false;
    }
    m.buffer = NULL;
    m.size = 0;
    result = admin_at_disk(w->disk, STORE_MADE, &m);
    screen_print("\r\x1b[K");
    return result == BW_OK || failed(w, result);
}

enum command_result disks_mkdistrict(int count, char **words)
{
    struct wish w = {.name = words[1], .from = TEMPLATE};
    struct district_line other;
    struct store_like like;
    struct disk_line d;

    if (!name_valid(w.name)) {
        screen_print("mkdistrict: '%s' cannot be a name: letters, digits, '-', '_' and '.', up to "
                     "31, a letter or digit first\n",
                     w.name);
        return COMMAND_DONE;
    }
    if (!parse(count, words, &w) || !find_disk(words[2], &d) ||
        !command_district("mkdistrict", w.from, &other)) {
        return COMMAND_DONE;
    }
    if (admin_find_now(w.name, &other)) {
        screen_print("mkdistrict: there is a district %s already\n", w.name);
        return COMMAND_DONE;
    }
    w.disk = d.number;
    if (make(&w, &like)) {
        screen_print("%s: made on %s from generation %llu of %s; 'restart %s' starts it\n", w.name,
                     words[2], (unsigned long long)like.generation, w.from, w.name);
    }
    return COMMAND_DONE;
}
