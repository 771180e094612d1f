/*
 * The districts that this machine knows of.
 *
 * Invariants:
 *   1. At most one entry without error has a given name. The others stay in the list, with the
 *      reason.
 *   2. Only an entry without error is running.
 */
#include "registry.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct entry entries[REGISTRY_MAX];

struct entry *registry_entry(unsigned slot)
{
    return &entries[slot];
}

unsigned registry_find(const char *name)
{
    unsigned unusable = 0;

    for (unsigned i = 1; i < REGISTRY_MAX; i++) {
        if (entries[i].known && strncmp(entries[i].name, name, DISTRICT_NAME_MAX) == 0) {
            if (entries[i].error == 0) {
                return i;
            }
            unusable = i;
        }
    }
    return unusable;
}

unsigned registry_by_id(const uint64_t id[2])
{
    for (unsigned i = 1; i < REGISTRY_MAX; i++) {
        const struct entry *e = &entries[i];

        if (e->known && e->error == 0 && e->id[0] == id[0] && e->id[1] == id[1]) {
            return i;
        }
    }
    return 0;
}

unsigned registry_partner(const uint64_t id[2], unsigned copy)
{
    for (unsigned i = 1; i < REGISTRY_MAX && copy != 0; i++) {
        const struct entry *e = &entries[i];

        if (e->known && e->copy != 0 && e->copy != copy && e->id[0] == id[0] && e->id[1] == id[1]) {
            return i;
        }
    }
    return 0;
}

unsigned registry_at(uint64_t index)
{
    for (unsigned i = 1; i < REGISTRY_MAX; i++) {
        if (entries[i].known && index-- == 0) {
            return i;
        }
    }
    return 0;
}

void registry_say(struct entry *e, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vsnprintf(e->message, sizeof(e->message), format, list);
    va_end(list);
}

bool registry_name_valid(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t n = strnlen(name, DISTRICT_NAME_MAX);

    return n > 0 && n < DISTRICT_NAME_MAX && strspn(name, allowed) == n && !strchr("-_.", name[0]);
}

unsigned registry_add(const struct district_line *line, unsigned other, uint64_t wish)
{
    struct entry *e;
    unsigned slot = wish < REGISTRY_MAX && !entries[wish].known ? (unsigned)wish : 0;

    for (slot = slot ? slot : 1; slot < REGISTRY_MAX && entries[slot].known; slot++) {
    }
    if (slot == REGISTRY_MAX) {
        return 0;
    }
    e = &entries[slot];
    *e = (struct entry){.known = true, .line = *line, .error = line->error};
    snprintf(e->name, sizeof(e->name), "%.*s", (int)sizeof(e->name) - 1, line->name);
    if (other) {
        e->error = BW_EXISTS;
        registry_say(
            e, "another store of this machine has the same district name; detach one of them");
    } else if (line->error) {
        registry_say(e, "%s", line->message);
    }
    return slot;
}
