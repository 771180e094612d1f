/*
 * The supervisor: the first program of the commons. It starts the others from the boot archive,
 * each with only the keys that the policy table gives it, is the name service by which they find
 * one another (names.h), and is the keeper of all of them.
 *
 * It calls nobody but the nucleus, so that nobody can hold it up; who waits for a name is answered
 * by a send when the name is there.
 */
#include "supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char string[BW_PAGE_SIZE] __attribute__((aligned(16)));

static void make_node(unsigned reg)
{
    struct message m = {
        .code = RANGE_CREATE, .word = {bw_next_id(1), OBJECT_NODE}, .take = {KEY_AT(reg)}};

    bw_call(KEY_AT(KR_RANGE), &m);
    bw_assert(m.code >= 0);
}

/* Drops what came in KR_ARGUMENT.., so that a later start does not hand it on. */
static void drop_arguments(void)
{
    for (unsigned n = 0; n < BW_MESSAGE_KEYS; n++) {
        bw_drop_key(KEY_AT(KR_ARGUMENT + n));
    }
}

/* A disk's name was published: a store server for it. One that runs is told, since its disk's
 * driver was another one. */
static void start_for_disk(const char *name)
{
    char *end, store[NAME_MAX_LENGTH + 1];
    unsigned long word;

    if (strncmp(name, "disk", 4) != 0) {
        return;
    }
    word = strtoul(name + 4, &end, 10);
    drop_arguments();
    for (unsigned n = 0; n < policies_count && *end == '\0'; n++) {
        if (policies[n].when == START_FOR_DISK && program_start(&policies[n], word) == BW_LIMIT) {
            bw_log("supervisor: there are too many disks: %s has no store server\n", name);
        }
    }
    snprintf(store, sizeof(store), "store%lu", word);
    names_post(store);
}

static int64_t publish(const struct program *p, unsigned index, const char *name)
{
    if (!policy_allows(p->policy->publish, name, p->word)) {
        bw_log("supervisor: %s may not publish \"%s\"\n", program_title(p), name);
        return BW_REFUSED;
    }
    if (!names_publish(name, index)) {
        return BW_LIMIT;
    }
    if (p->policy->device) {
        start_for_disk(name);
    }
    return BW_OK;
}

static bool find(const struct program *p, unsigned index, const char *name, bool wait,
                 struct message *m)
{
    if (!policy_allows(p->policy->find, name, p->word)) {
        bw_log("supervisor: %s may not find \"%s\"\n", program_title(p), name);
        m->code = BW_REFUSED;
        return true;
    }
    return names_find(name, index, wait, m);
}

static int64_t spawn(const struct program *p, const char *name, uint64_t word)
{
    const struct policy *policy = policy_find(name);
    int64_t index;

    if (!policy || policy->when != START_ON_DEMAND || !policy_allows(p->policy->spawn, name, 0)) {
        bw_log("supervisor: %s may not start \"%s\"\n", program_title(p), name);
        return BW_REFUSED;
    }
    index = program_start(policy, word);
    return index < 0 ? index : BW_OK;
}

/* An order of names.h; what came is in *m and becomes the reply. @return whether to reply now */
static bool serve(unsigned index, struct message *m)
{
    const struct program *p = &programs[index];
    int64_t order = m->code;
    uint64_t word = m->word[0];

    string[m->length < sizeof(string) ? m->length : sizeof(string) - 1] = '\0';
    *m = (struct message){.code = BW_OK, .buffer = m->buffer, .size = m->size};
    if (p->state != PROGRAM_RUNNING) {
        return false;
    }
    switch (order) {
    case NAMES_FIND:
        return find(p, index, string, word != 1, m);
    case NAMES_PUBLISH:
        m->code = strlen(string) > NAME_MAX_LENGTH ? BW_ARGUMENT : publish(p, index, string);
        return true;
    case NAMES_READY:
        return true;
    case NAMES_SPAWN:
        m->code = spawn(p, string, word);
        return true;
    case NAMES_WAIT:
        return names_wait(string, word, index, m);
    case NAMES_EXIT:
        program_exit(index, word);
        return false;
    case NAMES_LIST:
        m->length = program_list(string, sizeof(string));
        m->string = string;
        return true;
    default:
        m->code = BW_ORDER;
        return true;
    }
}

/* @return whether *m is a reply to be sent */
static bool dispatch(struct message *m)
{
    unsigned index = m->badge & ~BADGE_KIND;

    if (m->delivery == DELIVERY_POSTED) {
        for (unsigned n = 0; n < PROGRAMS_MAX; n++) {
            if (m->word[0] >> n & 1) {
                program_silent(n);
            }
        }
        return false;
    }
    if (m->delivery != DELIVERY_MESSAGE || index >= PROGRAMS_MAX || !programs[index].policy) {
        return false;
    }
    if ((m->badge & BADGE_KIND) == BADGE_KEEPER) {
        program_fault(index, m);
        return false;
    }
    return (m->badge & BADGE_KIND) == BADGE_NAMES && serve(index, m);
}

int main_native(uint64_t modules)
{
    struct message m = {0};
    bool reply = false;

    make_node(KR_PROGRAM_KEYS);
    make_node(KR_HANDED_KEYS);
    make_node(KR_NAME_KEYS);
    make_node(KR_WAITER_KEYS);
    bw_log("supervisor: %llu modules\n", (unsigned long long)modules);
    for (unsigned n = 0; n < policies_count; n++) {
        if (policies[n].when == START_AT_BOOT) {
            program_start(&policies[n], 0);
        }
    }
    for (;;) {
        if (!reply) {
            m = (struct message){0};
        }
        for (unsigned n = 0; n < BW_MESSAGE_KEYS; n++) {
            m.take[n] = KEY_AT(KR_ARGUMENT + n);
        }
        m.buffer = string;
        m.size = sizeof(string);
        m.deadline = program_tick();
        bw_return(reply ? KEY_AT(KR_CALLER) : 0, &m, KEY_AT(KR_CALLER), 0);
        reply = dispatch(&m);
    }
}
