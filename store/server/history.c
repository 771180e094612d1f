/*
 * What people ask about a store's generations: the list, and dropping one.
 *
 * A generation cannot be dropped while a snapshot is written out; who asks then waits for that.
 */
#include "history.h"
#include <stdio.h>
#include "server.h"
#include "whole.h"

static struct {
    bool waits;
    uint64_t generation;
} drop;

static bool descends_from(uint64_t generation, uint64_t ancestor)
{
    while (generation != STORE_NEWEST && generation > ancestor) {
        generation = whole_ancestor(generation);
    }
    return generation == ancestor;
}

static uint32_t flags_of(uint64_t generation, uint64_t current)
{
    uint32_t flags = generation == current ? GENERATION_CURRENT : 0;

    if (!descends_from(current, generation)) {
        flags |= GENERATION_ABANDONED;
    }
    if (!whole_generation(generation)) {
        flags |= GENERATION_DAMAGED;
    }
    return flags;
}

/** The first kept generation with that number or a higher one. */
static bool find(uint64_t number, struct store_generation *g)
{
    for (uint32_t i = 0; store_generation(server.store, i, g) == STORE_OK; i++) {
        if (g->number >= number) {
            return true;
        }
    }
    return false;
}

int64_t history_line(uint64_t number, bool held, struct generation_line *line)
{
    struct store_generation g;
    struct store_info info;
    uint64_t now = bw_realtime();
    uint64_t blocks;

    if (!server.store || !find(number, &g)) {
        return BW_ABSENT;
    }
    store_info(server.store, &info);
    *line = (struct generation_line){.number = g.number,
                                     .parent = g.parent,
                                     .ancestor = g.ancestor,
                                     .age = now > g.time ? now - g.time : 0,
                                     .objects = g.objects,
                                     .changed = g.changed,
                                     .held = UINT64_MAX,
                                     .reason = g.reason,
                                     .flags = flags_of(g.number, info.current),
                                     .instant = g.instant};
    if (held && store_held(server.store, g.number, &blocks) == STORE_OK) {
        line->held = blocks * STORE_BLOCK;
    }
    return BW_OK;
}

void history_kept(char *to, size_t size)
{
    struct store_generation g;
    size_t at = 0;

    to[0] = 0;
    for (uint32_t i = 0; store_generation(server.store, i, &g) == STORE_OK && at < size; i++) {
        at += (size_t)snprintf(to + at, size - at, "%s%llu", i ? ", " : "",
                               (unsigned long long)g.number);
    }
}

/** A store that was only read so far is claimed first: only then may it be changed. */
static int drop_claimed(uint64_t generation)
{
    struct store_info info;
    int error = server.reopen ? STORE_STATE : store_drop(server.store, generation);

    if (error == STORE_STATE) {
        error = checkpoint_recover(&info);
        if (error == STORE_OK) {
            error = store_drop(server.store, generation);
        }
    }
    return error;
}

/** Drops it now. @param freed bytes */
static int64_t drop_now(uint64_t generation, uint64_t *freed)
{
    struct store_info before, after;
    int error;

    *freed = 0;
    if (!server.store) {
        return server.line.error;
    }
    store_info(server.store, &before);
    if (generation == before.current) {
        return BW_EXISTS;
    }
    error = drop_claimed(generation);
    if (error == STORE_ARGUMENT) {
        return BW_REFUSED;
    }
    if (error != STORE_OK) {
        return server_changed(error);
    }
    store_info(server.store, &after);
    if (after.free_blocks > before.free_blocks) { /* it may have been claimed first */
        *freed = (after.free_blocks - before.free_blocks) * STORE_BLOCK;
    }
    server_event(EVENT_DROPPED, false, "generation %llu dropped, as asked",
                 (unsigned long long)generation);
    if (server.running) {
        checkpoint_budget();
    }
    return BW_OK;
}

bool history_drop(uint64_t generation, struct message *reply)
{
    if (drop.waits) {
        reply->code = BW_BUSY;
        return true;
    }
    if (server.writing) {
        drop.waits = true;
        drop.generation = generation;
        bw_copy_key(KEY_AT(KR_CALLER), KEY_DROPPER);
        return false;
    }
    reply->code = drop_now(generation, &reply->word[0]);
    return true;
}

bool history_waits(void)
{
    return drop.waits;
}

void history_work(void)
{
    struct message m = {0};

    if (!drop.waits || server.writing) {
        return;
    }
    drop.waits = false;
    m.code = drop_now(drop.generation, &m.word[0]);
    bw_send(KEY_DROPPER, &m, INVOKE_NOBLOCK);
    bw_drop_key(KEY_DROPPER);
}
