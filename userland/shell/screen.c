/*
 * The session of one terminal. The console never waits; we do, for its posts.
 */
#include "screen.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <bailiwick/console.h>
#include <bailiwick/names.h>

#define LINE_MAX_SHOWN 1024
#define RETRY_NS       1000000000ull
#define LOOK_NS        2000000000ull

static uint64_t terminal;
static unsigned columns = 80;

void screen_open(uint64_t which)
{
    struct message m = {.code = DOMAIN_MAKE_START, .word = {1}, .take = {KR_SCREEN_OWN}};
    char name[NAME_MAX_LENGTH + 1];

    terminal = which;
    snprintf(name, sizeof(name), "console%llu", (unsigned long long)terminal);
    if (bw_find(name, KR_CONSOLE) != BW_OK) { /* the console has failed for good */
        bw_exit(1);
    }
    bw_assert(bw_call(KEY_AT(KR_SELF), &m) == BW_OK);
    m = (struct message){.code = CONSOLE_LISTEN, .send = {KR_SCREEN_OWN}};
    bw_call(KR_CONSOLE, &m);
    m = (struct message){.code = CONSOLE_SIZE};
    if (bw_call(KR_CONSOLE, &m) == BW_OK && m.word[1] > 0) {
        columns = (unsigned)m.word[1];
    }
}

unsigned screen_columns(void)
{
    return columns;
}

/** After a failed call: a console that was restarted is found again. */
static void reopen(void)
{
    bw_wait(bw_monotonic() + RETRY_NS);
    screen_open(terminal);
}

void screen_put(void *ctx, const char *text, size_t n)
{
    (void)ctx;
    while (n > 0) {
        struct message m = {.code = CONSOLE_WRITE, .string = text};

        m.length = n < CONSOLE_WRITE_MAX ? n : CONSOLE_WRITE_MAX;
        if (bw_call(KR_CONSOLE, &m) != BW_OK || m.word[0] > n) {
            reopen();
            continue;
        }
        text += m.word[0];
        n -= m.word[0];
        if (n > 0) {
            bw_wait(bw_monotonic() + RETRY_NS);
        }
    }
}

void screen_print(const char *format, ...)
{
    char plain[LINE_MAX_SHOWN];
    const char *at = plain;
    const char *newline;
    va_list list;

    va_start(list, format);
    vsnprintf(plain, sizeof(plain), format, list);
    va_end(list);
    while ((newline = strchr(at, '\n')) != NULL) {
        screen_put(NULL, at, (size_t)(newline - at));
        screen_put(NULL, "\r\n", 2);
        at = newline + 1;
    }
    screen_put(NULL, at, strlen(at));
}

int screen_poll(bw_time_t until)
{
    for (;;) {
        uint8_t c;
        /* One only: what is typed ahead is for whoever has the terminal next. */
        struct message m = {.code = CONSOLE_READ, .word = {1}, .buffer = &c, .size = 1};

        if (bw_call(KR_CONSOLE, &m) != BW_OK) {
            reopen();
        } else if (m.length > 0) {
            return c;
        } else if (until != BW_NO_DEADLINE && bw_monotonic() >= until) {
            return -1;
        } else {
            /* A console that was restarted knows nothing of us, and posts nothing. */
            bw_time_t look = bw_monotonic() + LOOK_NS;

            bw_wait(until < look ? until : look);
        }
    }
}

uint8_t screen_get(void)
{
    return (uint8_t)screen_poll(BW_NO_DEADLINE);
}
