/*
 * Names: who published what, and who waits for it. Keys are kept in the slots of two nodes: the
 * name's start key in slot n of KR_NAME_KEYS, a waiting caller's resume key in slot n of
 * KR_WAITER_KEYS.
 */
#include "supervisor.h"

#include <stdio.h>
#include <string.h>

#define NAMES_MAX   128u
#define WAITERS_MAX 128u

enum waiter_kind {
    WAITER_NONE = 0,
    WAITER_NAME, /* NAMES_FIND */
    WAITER_END,  /* NAMES_WAIT */
};

static struct {
    char name[NAME_MAX_LENGTH + 1];
    unsigned owner;
} names[NAMES_MAX];

static struct {
    uint8_t kind; /* enum waiter_kind */
    char name[NAME_MAX_LENGTH + 1];
    uint64_t word; /* WAITER_END: of the program */
    unsigned caller;
} waiters[WAITERS_MAX];

static int name_index(const char *name)
{
    for (unsigned n = 0; n < NAMES_MAX; n++) {
        if (names[n].name[0] && strcmp(names[n].name, name) == 0) {
            return (int)n;
        }
    }
    return -1;
}

/* Answers waiter `n` with *m, and forgets it. */
static void answer(unsigned n, struct message *m)
{
    bw_send(KEY_IN_NODE(KR_WAITER_KEYS, n), m, INVOKE_NOBLOCK);
    bw_drop_key(KEY_IN_NODE(KR_WAITER_KEYS, n));
    waiters[n].kind = WAITER_NONE;
}

/* Keeps the caller, whose resume key is in KR_CALLER, until what it waits for is there. */
static bool keep(enum waiter_kind kind, const char *name, uint64_t word, unsigned caller,
                 struct message *m)
{
    unsigned n = 0;

    while (n < WAITERS_MAX && waiters[n].kind != WAITER_NONE) {
        n++;
    }
    if (n == WAITERS_MAX) {
        m->code = BW_LIMIT;
        return true;
    }
    bw_copy_key(KEY_AT(KR_CALLER), KEY_IN_NODE(KR_WAITER_KEYS, n));
    bw_drop_key(KEY_AT(KR_CALLER));
    waiters[n].kind = (uint8_t)kind;
    waiters[n].word = word;
    waiters[n].caller = caller;
    snprintf(waiters[n].name, sizeof(waiters[n].name), "%s", name);
    return false;
}

static int name_place(const char *name)
{
    int n = name_index(name);

    for (unsigned free = 0; n < 0 && free < NAMES_MAX; free++) {
        if (!names[free].name[0]) {
            n = (int)free;
        }
    }
    return n;
}

bool names_publish(const char *name, unsigned owner)
{
    int n = name_place(name);

    if (n < 0) {
        return false;
    }
    snprintf(names[n].name, sizeof(names[n].name), "%s", name);
    names[n].owner = owner;
    bw_copy_key(KEY_AT(KR_ARGUMENT), KEY_IN_NODE(KR_NAME_KEYS, n));
    for (unsigned w = 0; w < WAITERS_MAX; w++) {
        if (waiters[w].kind == WAITER_NAME && strcmp(waiters[w].name, name) == 0) {
            struct message m = {.send = {KEY_IN_NODE(KR_NAME_KEYS, n)}};

            answer(w, &m);
        }
    }
    return true;
}

bool names_find(const char *name, unsigned caller, bool wait, struct message *m)
{
    int n = name_index(name);

    if (n < 0 && (!wait || !program_may_publish(name))) {
        m->code = wait ? BW_BROKEN : BW_ABSENT;
        return true;
    }
    if (n < 0) {
        return keep(WAITER_NAME, name, 0, caller, m);
    }
    m->code = BW_OK;
    m->send[0] = KEY_IN_NODE(KR_NAME_KEYS, n);
    return true;
}

bool names_wait(const char *program, uint64_t word, unsigned caller, struct message *m)
{
    const struct program *p = program_named(program, word);

    if (!p) {
        m->code = BW_ABSENT;
        return true;
    }
    if (p->state == PROGRAM_RUNNING || p->state == PROGRAM_SILENCING) {
        return keep(WAITER_END, program, word, caller, m);
    }
    m->code = BW_OK;
    m->word[0] = p->exit_word;
    return true;
}

void names_ended(const struct program *p)
{
    for (unsigned n = 0; n < WAITERS_MAX; n++) {
        if (waiters[n].kind == WAITER_END && program_named(waiters[n].name, waiters[n].word) == p) {
            struct message m = {.word = {p->exit_word}};

            answer(n, &m);
        } else if (waiters[n].kind == WAITER_NAME && !program_may_publish(waiters[n].name)) {
            struct message m = {.code = BW_BROKEN};

            answer(n, &m);
        }
    }
}

void names_post(const char *name)
{
    int n = name_index(name);

    if (n >= 0) {
        bw_post(KEY_IN_NODE(KR_NAME_KEYS, n));
    }
}

void names_forget(unsigned owner)
{
    for (unsigned n = 0; n < NAMES_MAX; n++) {
        if (names[n].name[0] && names[n].owner == owner) {
            names[n].name[0] = '\0';
            bw_drop_key(KEY_IN_NODE(KR_NAME_KEYS, n));
        }
    }
    for (unsigned n = 0; n < WAITERS_MAX; n++) {
        if (waiters[n].kind != WAITER_NONE && waiters[n].caller == owner) {
            waiters[n].kind = WAITER_NONE;
            bw_drop_key(KEY_IN_NODE(KR_WAITER_KEYS, n));
        }
    }
}
