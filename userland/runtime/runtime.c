/*
 * Short forms of what nearly every program does: keys, time, log, names, the end.
 *
 * Whether we run in the commons or in a district is told by what KR_NAMES is: a KEY_GRANT in a
 * district.
 */
#include "invocation.h"

#include <bailiwick/names.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LOG_LINE 512

bool runtime_in_district(void)
{
    struct message m = {.send = {KEY_AT(KR_NAMES)}};

    bw_self(SELF_IDENTIFY, &m);
    return (m.word[0] & 0xff) == KEY_GRANT;
}

int64_t bw_copy_key(uint16_t from, uint16_t to)
{
    struct message m = {.send = {from}, .take = {to}};

    return bw_self(SELF_COPY_KEY, &m);
}

void bw_drop_key(uint16_t place)
{
    bw_copy_key(KR_VOID, place);
}

bw_time_t bw_monotonic(void)
{
    struct message m = {0};

    bw_self(SELF_TIME, &m);
    return m.word[0];
}

bw_time_t bw_realtime(void)
{
    struct message m = {0};

    bw_self(SELF_TIME, &m);
    return m.word[1];
}

void bw_log(const char *format, ...)
{
    char line[LOG_LINE];
    struct message m = {.string = line};
    va_list list;
    int length;

    va_start(list, format);
    length = vsnprintf(line, sizeof(line), format, list);
    va_end(list);
    m.length = length < LOG_LINE ? (size_t)length : sizeof(line) - 1;
    if (m.length && line[m.length - 1] != '\n') {
        line[m.length < sizeof(line) - 1 ? m.length++ : m.length - 1] = '\n';
    }
    bw_self(SELF_LOG, &m);
}

uint64_t bw_wait(bw_time_t deadline)
{
    struct message m = {.deadline = deadline};

    bw_return(0, &m, 0, INVOKE_POSTS_ONLY);
    return m.delivery == DELIVERY_POSTED ? m.word[0] : 0;
}

int64_t bw_find(const char *name, uint16_t place)
{
    struct message m = {.code = runtime_in_district() ? (int)GRANT_FIND : (int)NAMES_FIND,
                        .take = {place},
                        .string = name,
                        .length = strlen(name)};

    return bw_call(KEY_AT(KR_NAMES), &m);
}

int64_t bw_find_now(const char *name, uint16_t place)
{
    struct message m = {
        .code = NAMES_FIND, .word = {1}, .take = {place}, .string = name, .length = strlen(name)};

    return bw_call(KEY_AT(KR_NAMES), &m);
}

int64_t bw_publish(const char *name, uint16_t badge)
{
    struct message start = {
        .code = DOMAIN_MAKE_START, .word = {badge}, .take = {KEY_AT(KR_SCRATCH)}};
    struct message m = {.code = NAMES_PUBLISH,
                        .send = {KEY_AT(KR_SCRATCH)},
                        .string = name,
                        .length = strlen(name)};
    int64_t result = bw_call(KEY_AT(KR_SELF), &start);

    return result < 0 ? result : bw_call(KEY_AT(KR_NAMES), &m);
}

void bw_exit(uint64_t word)
{
    struct message m = {.code = NAMES_EXIT, .word = {word}};

    if (!runtime_in_district()) {
        bw_call(KEY_AT(KR_NAMES), &m);
    }
    for (;;) {
        m = (struct message){.code = DOMAIN_STOP};
        bw_call(KEY_AT(KR_SELF), &m);
    }
}

void bw_panic(const char *file, int line, const char *what)
{
    bw_log("%s:%d: assertion failed: %s\n", file, line, what);
    __builtin_trap();
}

/* musl takes what FS points to for its struct pthread, whose first word points to itself. */
static uint64_t thread[128] __attribute__((aligned(64)));

void runtime_start(void)
{
    struct message m = {.word = {(uintptr_t)thread}};

    thread[0] = (uintptr_t)thread;
    bw_self(SELF_SET_FS, &m);
    uselocale(LC_GLOBAL_LOCALE);
}
