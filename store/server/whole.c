/*
 * Which generations can be read, as far as is known: of each object that was met damaged, or that
 * the device did not give, it is tried whether a generation has it whole. An index block counts as
 * the lowest object below it, since that is found through it.
 *
 * What is remembered is bounded; of more damaged objects than fit, the last ones count. A fallback
 * that then meets one of the others is followed by the next fallback.
 */
#include "whole.h"
#include <stdio.h>
#include "server.h"

#define OBJECTS_MAX   24u
#define CONDEMNED_MAX 16u
#define CHOICE_MAX    8u /* that are named to the user */

static uint64_t object[OBJECTS_MAX]; /* a ring */
static uint64_t objects;
static uint64_t condemned[CONDEMNED_MAX]; /* a ring */
static uint64_t condemnations;

static bool in(const uint64_t *ring, uint64_t size, uint64_t count, uint64_t value)
{
    for (uint64_t i = 0; i < size && i < count; i++) {
        if (ring[i] == value) {
            return true;
        }
    }
    return false;
}

void whole_note_object(uint64_t oid)
{
    if (!in(object, OBJECTS_MAX, objects, oid)) {
        object[objects++ % OBJECTS_MAX] = oid;
    }
}

void whole_note(const struct store_damage *d)
{
    if (d->generation != STORE_NEWEST) {
        whole_note_object(d->oid);
    }
}

void whole_condemn(uint64_t generation)
{
    if (!in(condemned, CONDEMNED_MAX, condemnations, generation)) {
        condemned[condemnations++ % CONDEMNED_MAX] = generation;
    }
}

bool whole_generation(uint64_t generation)
{
    static uint8_t bytes[STORE_BLOCK];

    if (in(condemned, CONDEMNED_MAX, condemnations, generation)) {
        return false;
    }
    for (uint64_t i = 0; i < OBJECTS_MAX && i < objects; i++) {
        struct store_object o;
        int error = store_get(server.store, generation, object[i], &o, bytes);

        if (error != STORE_OK && error != STORE_ABSENT) {
            return false;
        }
    }
    return true;
}

uint64_t whole_ancestor(uint64_t generation)
{
    struct store_generation g;

    for (uint32_t i = 0; store_generation(server.store, i, &g) == STORE_OK; i++) {
        if (g.number == generation) {
            return g.ancestor;
        }
    }
    return STORE_NEWEST;
}

bool whole_before(uint64_t bound, uint64_t *generation)
{
    struct store_info info;

    store_info(server.store, &info);
    for (uint64_t g = info.current; g != STORE_NEWEST; g = whole_ancestor(g)) {
        if (g < bound && whole_generation(g)) {
            *generation = g;
            return true;
        }
    }
    return false;
}

void whole_choice(char *to, size_t size)
{
    uint64_t whole[CHOICE_MAX];
    struct store_generation g;
    unsigned n = 0, kept = 0;
    size_t at;

    for (kept = 0; store_generation(server.store, kept, &g) == STORE_OK; kept++) {
    }
    for (unsigned i = kept; i-- > 0 && n < CHOICE_MAX;) {
        if (store_generation(server.store, i, &g) == STORE_OK && whole_generation(g.number)) {
            whole[n++] = g.number;
        }
    }
    if (n == 0) {
        snprintf(to, size, "none of its %u generations can be restarted; see mkdistrict --verify",
                 kept);
        return;
    }
    at = (size_t)snprintf(to, size, "'restart %.31s --generation N' works with", server.line.name);
    for (unsigned i = 0; i < n && at < size; i++) {
        at += (size_t)snprintf(to + at, size - at, "%s %llu", i ? "," : "",
                               (unsigned long long)whole[i]);
    }
}
