/*
 * districtd: the registry of the districts that this machine can run, and the one who starts and
 * ends them. The shell asks it (admin.h), store servers register with it and tell it when a
 * district has broken; the crash policy (policy.c) then says what to do.
 *
 * It calls store servers, so they never call it once they are registered. It never calls a
 * district.
 */
#include <stdio.h>
#include <string.h>
#include <bailiwick/names.h>
#include "lifecycle.h"

#define KR_OFFERED KEY_AT(KR_ARGUMENT)

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
    }
}

static void serve_restart(unsigned slot, struct message *reply)
{
    struct entry *e = registry_entry(slot);

    if (e->running) {
        reply->code = BW_EXISTS;
    } else if (e->error) {
        reply->code = e->error;
        reply_line(slot, reply);
    } else {
        struct district_line started;

        e->message[0] = 0;
        e->crashes = (struct crash_history){0};
        reply->code = lifecycle_start(slot);
        reply->word[0] = slot;
        started = e->line;
        reply_line(slot, reply);
        if (reply->code == BW_OK) { /* as it was before its first instruction */
            answer_line.generation = started.generation;
            answer_line.age = started.age;
            answer_line.fresh = started.fresh;
        }
    }
}

static void serve_kill(unsigned slot, struct message *reply)
{
    if (!registry_entry(slot)->running) {
        reply->code = BW_REFUSED;
        return;
    }
    lifecycle_end(slot);
    reply_line(slot, reply);
}

/** The slot of a live store server, other than the one that registers, with that name. A dead one's
 *  entry goes. @param ended set if its district ran */
static unsigned other_with_name(const char *name, bool *ended)
{
    unsigned slot = registry_find(name);
    struct message m = {.code = STORE_LINE, .buffer = &answer_line, .size = sizeof(answer_line)};

    if (slot == 0 || registry_entry(slot)->error) {
        return 0;
    }
    if (bw_call(KEY_STORE(slot), &m) == BW_OK) {
        return slot;
    }
    if (registry_entry(slot)->running) { /* what it ran cannot be committed any more */
        lifecycle_end(slot);
        *ended = true;
    }
    registry_remove(slot);
    return 0;
}

static void serve_register(struct message *reply, const void *string, size_t length)
{
    struct district_line line;
    bool ended = false;
    unsigned other;
    unsigned slot;

    if (length != sizeof(line)) {
        reply->code = BW_ARGUMENT;
        return;
    }
    memcpy(&line, string, sizeof(line));
    line.name[sizeof(line.name) - 1] = 0;
    line.message[sizeof(line.message) - 1] = 0;
    other = other_with_name(line.name, &ended);
    slot = registry_add(&line, other);
    if (slot == 0) {
        reply->code = BW_LIMIT;
        return;
    }
    bw_copy_key(KR_OFFERED, KEY_STORE(slot));
    if (ended) {
        registry_say(registry_entry(slot),
                     "stopped: its store server failed and was started again");
    }
    if (other) {
        bw_log("districtd: two stores have the district name %s; the second stays closed",
               line.name);
    }
    reply->code = other ? BW_EXISTS : BW_OK;
    reply->word[0] = slot;
}

/* --- districts that broke
 * -------------------------------------------------------------------------- */

static const char *fault_text(uint64_t code)
{
    switch (code) {
    case FAULT_SYSCALL:
        return "system call";
    case FAULT_PAGE:
        return "page fault";
    case FAULT_DIVIDE:
        return "division";
    case FAULT_DEBUG:
        return "breakpoint";
    case FAULT_ILLEGAL:
        return "illegal instruction";
    case FAULT_PROTECTION:
        return "protection fault";
    default:
        return "fault";
    }
}

/** Describes in a few words what happened. */
static void describe(unsigned slot, enum ended_why why, const char *text, char *to, size_t size)
{
    struct district_status s;

    if (why == ENDED_CRASHED && lifecycle_status(slot, &s) == BW_OK) {
        snprintf(to, size, "%s of domain %llu at %#llx", fault_text(s.crash_code),
                 (unsigned long long)s.crash_oid, (unsigned long long)s.crash_rip);
        bw_log("districtd: %s: %s, error %#llx, address %#llx", registry_entry(slot)->name, to,
               (unsigned long long)s.crash_error, (unsigned long long)s.crash_address);
    } else {
        snprintf(to, size, "%s", text[0] ? text : "it ended");
        bw_log("districtd: %s: %s", registry_entry(slot)->name, to);
    }
}

static void roll_back(unsigned slot, const char *what)
{
    struct entry *e = registry_entry(slot);

    lifecycle_end(slot);
    if (lifecycle_start(slot) == BW_OK) {
        registry_say(e, "%.48s; rolled back to generation %llu", what,
                     (unsigned long long)e->line.generation);
    }
}

static void serve_ended(unsigned slot, enum ended_why why, uint32_t policy, const char *text)
{
    struct entry *e = registry_entry(slot);
    char what[80];

    if (!e->running) {
        return;
    }
    describe(slot, why, text, what, sizeof(what));
    switch (policy_decide(&e->crashes, why, policy, bw_monotonic())) {
    case ACTION_ROLL_BACK:
        roll_back(slot, what);
        break;
    case ACTION_STOP:
        lifecycle_end(slot);
        registry_say(e, "%s%.72s",
                     policy_recent(&e->crashes, bw_monotonic()) == POLICY_ROLLBACKS
                         ? "it breaks again and again: "
                         : "stopped: ",
                     what);
        break;
    case ACTION_LEAVE:
        registry_say(e, "runs on after: %.72s", what);
        break;
    }
}

/* --- the server
 * ------------------------------------------------------------------------------------ */

/** Orders about a district that the string names. */
static void serve_named(int64_t order, const char *name, struct message *reply)
{
    unsigned slot = registry_find(name);

    if (slot == 0) {
        reply->code = BW_ABSENT;
        return;
    }
    switch (order) {
    case DISTRICTS_RESTART:
        serve_restart(slot, reply);
        break;
    case DISTRICTS_ATTACH:
        reply->code = registry_entry(slot)->running ? BW_OK : BW_REFUSED;
        reply->word[0] = slot;
        break;
    case DISTRICTS_KILL:
        serve_kill(slot, reply);
        break;
    default:
        reply->send[0] = KEY_STORE(slot);
    }
}

/** @param string what came with the request, NUL-terminated */
static void serve(const struct message *m, const char *string, struct message *reply)
{
    switch (m->code) {
    case DISTRICTS_LIST:
        serve_list(m->word[0], reply);
        break;
    case DISTRICTS_RESTART:
    case DISTRICTS_ATTACH:
    case DISTRICTS_KILL:
    case DISTRICTS_STORE:
        serve_named(m->code, string, reply);
        break;
    case DISTRICTS_REGISTER:
        serve_register(reply, string, m->length);
        break;
    case DISTRICTS_ENDED:
        if (m->word[2] > 0 && m->word[2] < REGISTRY_MAX) {
            serve_ended((unsigned)m->word[2], (enum ended_why)m->word[0], (uint32_t)m->word[1],
                        string);
        }
        break;
    default:
        reply->code = BW_ORDER;
    }
}

int main_native(uint64_t word)
{
    static char string[sizeof(struct district_line) + 1];
    struct message m = {.code = NAMES_READY};
    uint16_t reply_to = 0;

    (void)word;
    lifecycle_open();
    bw_assert(bw_publish("districts", 0) == BW_OK);
    bw_call(KEY_AT(KR_NAMES), &m);
    m = (struct message){0};
    for (;;) {
        m.buffer = string;
        m.size = sizeof(string) - 1;
        m.take[0] = KR_OFFERED;
        bw_return(reply_to, &m, KEY_AT(KR_CALLER), 0);

        struct message request = m;
        m = (struct message){.code = BW_OK};
        reply_to = 0;
        if (request.delivery == DELIVERY_MESSAGE) {
            string[request.length] = 0;
            serve(&request, string, &m);
            reply_to = KEY_AT(KR_CALLER);
        }
    }
}
