/*
 * --verify: every block, and then what the nucleus and the tools rely on in every kept generation.
 */
#include <stdio.h>
#include <string.h>

#include "tools.h"

static void show_progress(void *ctx, uint64_t done, uint64_t total)
{
    struct progress *p = ctx;

    p->total = total * STORE_BLOCK;
    progress_add(p, done * STORE_BLOCK - p->done);
}

int verify_file(const char *path)
{
    struct progress p;
    struct store_verify v = {.progress = show_progress, .ctx = &p};
    struct store_generation g;
    struct store_io io;
    struct store *st;
    struct file f;
    uint64_t wrong = 0;
    char size[32];
    int r;

    file_open(&f, path, false);
    io = file_io(&f);
    r = store_open(&io, &st);
    if (r)
        fail("%s: %s", path, store_error_text(r));
    progress_start(&p, "verifying", 0);
    r = store_verify(st, &v);
    progress_end(&p);
    if (r && r != STORE_DAMAGED)
        fail("%s: %s", path, store_error_text(r));
    if (f.damages > DAMAGES_SHOWN)
        printf("%s: and %llu more\n", path, (unsigned long long)(f.damages - DAMAGES_SHOWN));
    for (uint32_t i = 0; r == STORE_OK && store_generation(st, i, &g) == STORE_OK; i++)
        wrong += check_generation(st, g.number);
    store_close(st);
    if (v.errors || wrong) {
        printf("%s: %llu error%s\n", path, (unsigned long long)(v.errors + wrong),
               v.errors + wrong == 1 ? "" : "s");
        return 1;
    }
    printf("%s: all is well: %s read and compared\n", path,
           show_bytes(v.blocks * STORE_BLOCK, size));
    return 0;
}
