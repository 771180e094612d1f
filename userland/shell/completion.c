/*
 * Completion: the first word is a command; what may follow is read off its usage line, which names
 * a district NAME, a generation N, a free DISK, a COMMAND, its --options and literal words.
 */
#include "completion.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "administration.h"
#include "commands.h"

struct choice {
    const char *typed;
    size_t length; /* of what is typed */
    char (*words)[LINE_WORD];
    size_t count;
};

/** Adds a word if it begins with what is typed. */
static void offer(struct choice *c, const char *word, size_t n)
{
    if (c->count < LINE_WORDS && n >= c->length && n < LINE_WORD &&
        memcmp(word, c->typed, c->length) == 0) {
        memcpy(c->words[c->count], word, n);
        c->words[c->count++][n] = 0;
    }
}

static void offer_commands(struct choice *c)
{
    const char *name, *arguments;

    for (size_t i = 0; command_at(i, &name, &arguments); i++) {
        offer(c, name, strlen(name));
    }
}

static void offer_districts(struct choice *c)
{
    struct district_line line;

    for (unsigned i = 0; admin_line(i, &line); i++) {
        if (line.error != BW_EXISTS) {
            offer(c, line.name, strnlen(line.name, sizeof(line.name)));
        }
    }
}

static void offer_disks(struct choice *c)
{
    char name[DISK_NAME_SIZE];
    struct disk_line d;

    for (unsigned i = 0; admin_disk(i, &d); i++) {
        if (d.state == DISK_FREE) {
            admin_disk_name(name, d.number);
            offer(c, name, strlen(name));
        }
    }
}

/** The newest ones, if there are too many. */
static void offer_generations(struct choice *c, const char *name)
{
    struct generation_line g;
    char number[24];

    for (uint64_t n = 0; admin_generation(name, n, false, &g); n = g.number + 1) {
        if (c->count == LINE_WORDS) {
            memmove(c->words[0], c->words[1], (LINE_WORDS - 1) * LINE_WORD);
            c->count--;
        }
        snprintf(number, sizeof(number), "%llu", (unsigned long long)g.number);
        offer(c, number, strlen(number));
    }
}

/** What a usage line has literally: --options, and words in small letters. */
static void offer_options(struct choice *c, const char *arguments)
{
    for (const char *at = arguments; *at;) {
        size_t n = strcspn(at, " []|");

        if (strncmp(at, "--", 2) == 0 || (*at >= 'a' && *at <= 'z')) {
            offer(c, at, n);
        }
        at += n + strspn(at + n, " []|");
    }
}

/** The usage of the command that a line begins with; NULL: it is none. */
static const char *usage_of(const char *text)
{
    const char *name, *arguments;
    size_t n = strcspn(text, " ");

    for (size_t i = 0; command_at(i, &name, &arguments); i++) {
        if (strlen(name) == n && strncmp(name, text, n) == 0) {
            return arguments;
        }
    }
    return NULL;
}

/** The second word of the line: the district. */
static void district_of(const char *text, char *name, size_t size)
{
    text += strcspn(text, " ");
    text += strspn(text, " ");
    snprintf(name, size, "%.*s", (int)strcspn(text, " "), text);
}

/** How many words lie before `start`, and whether the last of them is an option. */
static unsigned words_before(const char *text, size_t start, bool *option)
{
    unsigned n = 0;

    *option = false;
    for (size_t at = 0; at < start;) {
        size_t length = strcspn(text + at, " ");

        if (length > 0) {
            *option = text[at] == '-';
            n++;
        }
        at += length + strspn(text + at + length, " ");
    }
    return n;
}

size_t completion(void *ctx, const char *text, size_t start, size_t cursor,
                  char words[LINE_WORDS][LINE_WORD])
{
    struct choice c = {.typed = text + start, .length = cursor - start, .words = words};
    const char *usage;
    char name[DISTRICT_NAME_MAX];
    bool option;
    unsigned before;

    (void)ctx;
    while (*text == ' ' && start > 0) {
        text++;
        start--;
    }
    before = words_before(text, start, &option);
    usage = usage_of(text);
    if (before == 0) {
        offer_commands(&c);
    } else if (usage && before == 1 && strstr(usage, "COMMAND")) {
        offer_commands(&c);
    } else if (usage && before == 1) {
        if (strstr(usage, "NAME")) {
            offer_districts(&c);
        }
        offer_options(&c, strstr(usage, "NAME") ? "--help" : usage);
    } else if (usage && before > 1 &&
               (strstr(usage, "NAME NAME") || strstr(usage, "NAME [NAME]"))) {
        offer_districts(&c);
    } else if (usage && before == 2 && strstr(usage, "NAME DISK")) {
        offer_disks(&c);
    } else if (usage && before == 2) {
        district_of(text, name, sizeof(name));
        offer_options(&c, usage);
        if (strstr(usage, "NAME N") || strstr(usage, "[N ")) {
            offer_generations(&c, name);
        }
    } else if (usage && option && strstr(usage, "--generation N")) {
        district_of(text, name, sizeof(name));
        offer_generations(&c, name);
    }
    return c.count;
}
