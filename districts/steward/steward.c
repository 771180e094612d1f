/*
 * The steward: first domain of a district. It has the personality start the district's program (the
 * words that mkdistrict put into its arguments page) exactly once in the life of the district, and
 * then answers for it.
 *
 * `state` is ordinary memory of the district, so it is part of every checkpoint: after a restart
 * the program goes on by itself and is not started again. A restart between the call and its answer
 * finds both as of the same instant; a personality that was asked twice answers BW_EXISTS.
 */
#include <string.h>
#include <bailiwick/image.h>
#include <bailiwick/personality.h>
#include <bailiwick/runtime.h>
#include <bailiwick/steward.h>

static enum steward_state state; /* persistent */
static uint64_t program;

static const struct image_arguments *const arguments =
    (const struct image_arguments *)IMAGE_WINDOW(1);

/** Bytes of the words, the NUL of each counted; 0 if there are none or they do not end. */
static size_t words_length(const struct image_arguments *a)
{
    size_t at = 0;

    while (at < sizeof(a->exec) && a->exec[at] != 0) {
        size_t n = strnlen(a->exec + at, sizeof(a->exec) - at);
        if (at + n >= sizeof(a->exec)) {
            return 0;
        }
        at += n + 1;
    }
    return at;
}

static const char *reason(int64_t code)
{
    switch (code) {
    case BW_ABSENT:
        return "there is no such file";
    case BW_ARGUMENT:
        return "it is not a program";
    case BW_NOMEM:
    case BW_NOSPACE:
        return "there is no memory for it";
    case BW_VOID:
        return "the district has no personality";
    default:
        return "the personality refused it";
    }
}

static void start_program(void)
{
    struct message m = {.code = UNIX_SPAWN, .string = arguments->exec};

    m.length = words_length(arguments);
    if (m.length == 0) {
        bw_log("steward: this district names no program to start");
        state = STEWARD_FAILED;
        program = (uint64_t)-BW_ARGUMENT;
        return;
    }
    bw_call(KEY_AT(KR_IMAGE_PEER), &m);
    if (m.code == BW_OK || m.code == BW_EXISTS) {
        state = STEWARD_STARTED;
        program = m.word[0];
        return;
    }
    bw_log("steward: cannot start %.200s: %s (%lld)", arguments->exec, reason(m.code),
           (long long)m.code);
    state = STEWARD_FAILED;
    program = (uint64_t)-m.code;
}

int main_native(uint64_t word)
{
    struct message m = {0};
    uint16_t reply = 0;

    (void)word;
    if (state == STEWARD_NEW) {
        start_program();
    }
    for (;;) {
        bw_return(reply, &m, KEY_AT(KR_CALLER), 0);
        reply = 0;
        if (m.delivery != DELIVERY_MESSAGE) {
            m = (struct message){0};
            continue;
        }
        int64_t order = m.code;
        m = (struct message){.code = BW_ORDER};
        if (order == STEWARD_STATUS) {
            m.code = BW_OK;
            m.word[0] = state;
            m.word[1] = program;
        }
        reply = KEY_AT(KR_CALLER);
    }
}
