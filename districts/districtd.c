/*
 * districtd: the registry of the districts that this machine can run, and the one who starts and
 * ends them. The shell asks it (admin.h), store servers register with it and tell it when a
 * district has broken (broken.c). It keeps the last events.
 *
 * It calls store servers, so they never call it once they are registered. It never calls a
 * district.
 */
#include <stdio.h>
#include <string.h>
#include <bailiwick/link.h>
#include <bailiwick/names.h>
#include "autostart.h"
#include "bond.h"
#include "broken.h"
#include "broker.h"
#include "events.h"
#include "given_up.h"
#include "lifecycle.h"
#include "registration.h"

#ifndef BW_MUTATION
#define BW_MUTATION 0 /* tests: serve_event() */
#endif

#define BADGE_DISTRICTS 0u /* of the published key */

static bw_time_t own_start;
static struct district_line answer_line; /* string of the reply under way */

static void reply_line(unsigned slot, struct message *reply)
{
    lifecycle_line(slot, &answer_line);
    reply->string = &answer_line;
    reply->length = sizeof(answer_line);
}

static void serve_list(uint64_t index, struct message *reply)
{
    unsigned slot = registry_at(index);

    if (slot) {
        reply_line(slot, reply);
    } else {
        reply->code = BW_ABSENT;
        reply->word[0] = own_start;
    }
}

/** Replies with the line as the district was before its first instruction. */
static void reply_started(unsigned slot, struct message *reply)
{
    struct district_line started = registry_entry(slot)->line;

    reply->word[0] = slot;
    reply_line(slot, reply);
    if (reply->code == BW_OK) {
        answer_line.generation = started.generation;
        answer_line.age = started.age;
        answer_line.fresh = started.fresh;
    }
}

/** It runs on; the line that is replied says why it does not go back. */
static void reply_refused(unsigned slot, struct message *reply)
{
    reply_line(slot, reply);
    registry_entry(slot)->message[0] = 0;
}

/** @param generation NULL: the current one */
static void serve_restart(unsigned slot, const uint64_t *generation, bool alone,
                          struct message *reply)
{
    struct entry *e = registry_entry(slot);
    struct bond_plan plan;

    if (e->running) {
        reply->code = BW_EXISTS;
    } else if (e->error) {
        reply->code = e->error;
        reply_line(slot, reply);
    } else {
        e->message[0] = 0;
        e->crashes = (struct crash_history){0};
        reply->code = bond_plan(slot, generation, alone, &plan);
        if (reply->code == BW_OK) {
            reply->code = bond_start(&plan, START_ASKED);
        }
        if (reply->code == BW_OK) {
            events_say(EVENT_STARTED, false, registry_entry(slot)->name,
                       e->line.fresh ? "started for the first time"
                                     : "restarted from generation %llu",
                       (unsigned long long)e->line.generation);
        }
        reply_started(slot, reply);
    }
}

static void serve_rollback(unsigned slot, uint64_t generation, struct message *reply)
{
    const uint64_t *chosen = generation == ROLLBACK_NEWEST ? NULL : &generation;
    struct entry *e = registry_entry(slot);
    struct bond_plan plan;

    if (!e->running) {
        reply->code = BW_REFUSED;
    } else if (chosen && !lifecycle_pin(slot, generation)) {
        reply->code = BW_ABSENT;
        registry_say(e, "generation %llu is not kept any more; see 'generations %s'",
                     (unsigned long long)generation, e->name);
        reply_refused(slot, reply);
    } else if ((reply->code = bond_plan(slot, chosen, false, &plan)) != BW_OK) {
        reply_refused(slot, reply);
    } else {
        bond_end(slot, "rolled back");
        e->message[0] = 0;
        e->crashes = (struct crash_history){0};
        /* Once more: what was under way may have been decided since. */
        reply->code = bond_plan(slot, chosen, false, &plan);
        if (reply->code == BW_OK) {
            reply->code = bond_start(&plan, START_ROLLED_BACK);
        }
        if (reply->code == BW_OK) {
            events_say(EVENT_ROLLED_BACK, false, registry_entry(slot)->name,
                       "rolled back to generation %llu, as asked",
                       (unsigned long long)e->line.generation);
        }
        reply_started(slot, reply);
    }
}

static void serve_kill(unsigned slot, struct message *reply)
{
    if (!registry_entry(slot)->running) {
        reply->code = BW_REFUSED;
        return;
    }
    bond_end(slot, "killed, as asked");
    events_say(EVENT_ENDED, false, registry_entry(slot)->name, "killed, as asked");
    reply_line(slot, reply);
}

/* --- events ----------------------------------------------------------------------------------- */

/** A store server reports. */
static void serve_event(unsigned slot, const void *string, size_t length)
{
    struct event e;

    if (length != sizeof(e)) {
        return;
    }
    memcpy(&e, string, sizeof(e));
    bw_assert(BW_MUTATION != 1 || e.kind != EVENT_SCRUB); /* the mutation that ends it then */
    e.text[sizeof(e.text) - 1] = 0;
    events_add((enum event_kind)e.kind, e.important, registry_entry(slot)->name, e.time, e.text);
}

static void serve_events(uint64_t number, struct message *reply)
{
    const struct event *e = events_from(number);

    if (e) {
        reply->string = e;
        reply->length = sizeof(*e);
    } else {
        reply->code = BW_ABSENT;
        reply->word[0] = events_next();
    }
}

/** A district's first link from an index on. */
static void serve_link(unsigned slot, uint64_t index, struct message *reply)
{
    static struct link_line line;
    struct message m = {.code = DISTRICT_LINKS, .word = {index}, .buffer = &line};

    m.size = sizeof(line);
    reply->code = registry_entry(slot)->running ? bw_call(KEY_DISTRICT_OF(slot), &m) : BW_REFUSED;
    reply->word[0] = m.word[0];
    if (reply->code == BW_OK) {
        reply->string = &line;
        reply->length = sizeof(line);
    }
}

/** The last of what a running district's native programs have logged. */
static void serve_log(unsigned slot, struct message *reply)
{
    static char text[DISTRICT_LOG_MAX];
    struct message m = {.code = DISTRICT_LOG, .buffer = text, .size = sizeof(text)};

    reply->code = registry_entry(slot)->running ? bw_call(KEY_DISTRICT_OF(slot), &m) : BW_REFUSED;
    reply->string = text;
    reply->length = reply->code == BW_OK ? m.length : 0;
}

/* --- the server ------------------------------------------------------------------------------- */

/** Orders about a district that the string names. @param word of the request */
static void serve_named(int64_t order, const uint64_t *word, const char *name,
                        struct message *reply)
{
    unsigned slot = registry_find(name);

    if (slot == 0) {
        reply->code = BW_ABSENT;
        return;
    }
    switch (order) {
    case DISTRICTS_RESTART:
        if (word[2] != 0) {
            struct message m = {.code = STORE_ALONE};

            if (bw_call(KEY_STORE(slot), &m) == BW_AGAIN) {
                reply->code = BW_AGAIN; /* the disk may still turn up */
                break;
            } /* what else is wrong, the start says */
        }
        serve_restart(slot, word[0] ? &word[1] : NULL, word[2] != 0, reply);
        break;
    case DISTRICTS_ROLLBACK:
        serve_rollback(slot, word[0], reply);
        break;
    case DISTRICTS_ATTACH:
        lifecycle_console(slot); /* who asks may be faster than the console's post */
        reply->code = registry_entry(slot)->running ? BW_OK : BW_REFUSED;
        reply->word[0] = slot;
        break;
    case DISTRICTS_KILL:
        serve_kill(slot, reply);
        break;
    case DISTRICTS_LINK:
        serve_link(slot, word[0], reply);
        break;
    case DISTRICTS_GATED:
        reply->code = lifecycle_gated(slot, word[0] != 0);
        break;
    case DISTRICTS_LOG:
        serve_log(slot, reply);
        break;
    default:
        reply->send[0] = KEY_STORE(slot);
    }
}

/** @param string what came with the request, NUL-terminated */
static void serve(const struct message *m, const char *string, struct message *reply)
{
    unsigned slot = m->word[2] < REGISTRY_MAX ? (unsigned)m->word[2] : 0;

    switch (m->code) {
    case DISTRICTS_LIST:
        serve_list(m->word[0], reply);
        break;
    case DISTRICTS_RESTART:
    case DISTRICTS_ROLLBACK:
    case DISTRICTS_ATTACH:
    case DISTRICTS_KILL:
    case DISTRICTS_STORE:
    case DISTRICTS_LINK:
    case DISTRICTS_GATED:
    case DISTRICTS_LOG:
        serve_named(m->code, m->word, string, reply);
        break;
    case DISTRICTS_REGISTER:
        registration_serve(reply, m->word, string, m->length);
        break;
    case DISTRICTS_ENDED:
        if (slot > 0) {
            broken(slot, (enum ended_why)m->word[0], (uint32_t)m->word[1], m->word[3], string);
        }
        break;
    case DISTRICTS_EVENT:
        if (slot > 0) {
            serve_event(slot, string, m->length);
        }
        break;
    case DISTRICTS_EVENTS:
        serve_events(m->word[0], reply);
        break;
    case DISTRICTS_BOND:
        bond_make(string, reply);
        break;
    case DISTRICTS_UNBOND:
        bond_part(string, reply);
        break;
    case DISTRICTS_BONDED:
        if (slot > 0) {
            bond_heard(slot, m->word);
        }
        break;
    default:
        reply->code = BW_ORDER;
    }
}

static bw_time_t next_deadline(void)
{
    bw_time_t next = autostart_due();

    next = broker_due() < next ? broker_due() : next;
    return bond_due() < next ? bond_due() : next;
}

static void posted(uint64_t badges)
{
    if (badges >> BADGE_BROKER & 1) {
        broker_post();
    }
    if (badges >> BADGE_DISTRICTS & 1) { /* a console or service that was restarted or given up */
        given_up_look();
        lifecycle_services();
        for (unsigned slot = 1; slot < REGISTRY_MAX; slot++) {
            lifecycle_console(slot);
        }
    }
}

int main_native(uint64_t word)
{
    static char string[sizeof(struct district_line) > sizeof(struct event)
                           ? sizeof(struct district_line) + 1
                           : sizeof(struct event) + 1];
    struct message m = {.code = NAMES_READY};
    uint16_t reply_to = 0;

    (void)word;
    own_start = bw_monotonic();
    events_open(own_start);
    lifecycle_open();
    bw_assert(bw_publish("districts", BADGE_DISTRICTS) == BW_OK);
    bw_call(KEY_AT(KR_NAMES), &m);
    given_up_look();
    registration_call();
    m = (struct message){0};
    for (;;) {
        m.buffer = string;
        m.size = sizeof(string) - 1;
        m.take[0] = KR_OFFERED;
        m.take[1] = KR_OFFERED_DISK;
        m.take[2] = KR_OFFERED_DISTRICT;
        m.take[3] = KR_OFFERED_PARTNER;
        m.deadline = next_deadline();
        bw_return(reply_to, &m, KEY_AT(KR_CALLER), 0);

        struct message request = m;
        m = (struct message){.code = BW_OK};
        reply_to = 0;
        if (request.delivery == DELIVERY_MESSAGE) {
            string[request.length] = 0;
            serve(&request, string, &m);
            reply_to = KEY_AT(KR_CALLER);
        } else if (request.delivery == DELIVERY_POSTED) {
            posted(request.word[0]);
        } else { /* no store server waits for our answer: they may be called */
            if (bw_monotonic() >= autostart_due()) {
                autostart_run();
            }
            bond_run();
        }
        if (bw_monotonic() >= broker_due()) {
            broker_run();
        }
    }
}
