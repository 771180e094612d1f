/*
 * mkdistrict's commands inside another program: fail() comes back here instead of ending it. What
 * was open is closed; memory is memory.c's business.
 */
#include <fcntl.h>
#include <getopt.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zstd.h>

#include "fuzz.h"
#include "tools.h"

#define WORDS_MAX 16

struct file making, making_second;

static jmp_buf failed;
static bool inside;

void *fuzz_calloc(size_t n, size_t size);

void fail(const char *format, ...)
{
    va_list ap;

    if (!inside || getenv("FUZZ_LOUD")) {
        va_start(ap, format);
        vfprintf(stderr, format, ap);
        fprintf(stderr, "\n");
        va_end(ap);
    }
    if (!inside)
        abort();
    file_discard(&making);
    file_discard(&making_second);
    longjmp(failed, 1);
}

void *allocate(size_t size)
{
    void *p = fuzz_calloc(1, size);

    if (!p)
        fail("out of memory");
    return p;
}

void catch_signals(void)
{
}

ZSTD_DCtx *fuzz_dctx(void);
ZSTD_CCtx *fuzz_cctx(void);
size_t fuzz_free_dctx(ZSTD_DCtx *c);
size_t fuzz_free_cctx(ZSTD_CCtx *c);

ZSTD_DCtx *fuzz_dctx(void)
{
    static ZSTD_DCtx *c;

    c = c ? c : ZSTD_createDCtx();
    ZSTD_DCtx_reset(c, ZSTD_reset_session_and_parameters);
    return c;
}

ZSTD_CCtx *fuzz_cctx(void)
{
    static ZSTD_CCtx *c;

    c = c ? c : ZSTD_createCCtx();
    ZSTD_CCtx_reset(c, ZSTD_reset_session_and_parameters);
    return c;
}

size_t fuzz_free_dctx(ZSTD_DCtx *c)
{
    (void)c;
    return 0;
}

size_t fuzz_free_cctx(ZSTD_CCtx *c)
{
    (void)c;
    return 0;
}

bool tool_try(void (*piece)(void *ctx), void *ctx)
{
    int first = dup(STDIN_FILENO);
    bool good;

    close(first);
    inside = true;
    good = setjmp(failed) == 0;
    if (good)
        piece(ctx);
    inside = false;
    making = making_second = (struct file){0};
    close_range((unsigned)first, ~0u, 0);
    return good;
}

struct call {
    int (*command)(int argc, char **argv);
    int argc, status;
    char *argv[WORDS_MAX];
};

static void call(void *ctx)
{
    struct call *c = ctx;

    c->status = c->command(c->argc, c->argv);
}

int tool_run(int (*command)(int argc, char **argv), const char *const *words)
{
    struct call c = {.command = command};
    static char copy[WORDS_MAX][4096];

    for (; words[c.argc]; c.argc++) {
        snprintf(copy[c.argc], sizeof(copy[c.argc]), "%s", words[c.argc]);
        c.argv[c.argc] = copy[c.argc];
    }
    optind = 0; /* getopt begins anew */
    return tool_try(call, &c) ? c.status : 1;
}
