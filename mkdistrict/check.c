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

/** Opens one copy of the store, or both. */
static void open_all(struct opened *o, const char *other, bool repair)
{
    struct store_io io;
    int r;

    if (other)
        mirror_open_files(o, other, repair);
    else
        file_open(&o->file, o->path, false);
    io = file_io(&o->file);
    if (other) {
        r = mirror_open(&o->mirror, &io, &o->store);
    } else {
        o->file.opening = true;
        r = store_open(&io, &o->store);
        o->file.opening = false;
        if (r == STORE_DAMAGED) /* that was all of it */
            r = store_open(&io, &o->store);
    }
    if (r)
        fail("%s: %s", o->path, store_error_text(r));
}

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

int verify_file(const char *path, const char *other, bool repair)
{
    static struct opened o;
    struct progress p;
    struct store_verify v = {.progress = show_progress, .ctx = &p, .repair = repair};
    struct store_generation g;
    uint64_t wrong = 0;
    char size[32];
    int r;

    if (repair && !other)
        fail("--repair mends a store from its second copy: name that with --mirror FILE2");
    snprintf(o.path, sizeof(o.path), "%.4000s", path);
    open_all(&o, other, repair);
    if (repair && o.mirror.complete != MIRROR_ALL)
        fail("%s: one of the copies is out of date: `mkdistrict mirror FILE FILE2' mends that",
             path);
    progress_start(&p, "verifying", 0);
    r = store_verify(o.store, &v);
    progress_end(&p);
    if (r && r != STORE_DAMAGED)
        fail("%s: %s", path, store_error_text(r));
    if (o.file.damages > DAMAGES_SHOWN)
        printf("%s: and %llu more\n", path, (unsigned long long)(o.file.damages - DAMAGES_SHOWN));
    for (uint32_t i = 0; r == STORE_OK && store_generation(o.store, i, &g) == STORE_OK; i++)
        wrong += check_generation(o.store, g.number);
    store_close(o.store);
    wrong += v.errors - v.repaired;
    if (v.repaired)
        printf("%s: %llu error%s repaired\n", path, (unsigned long long)v.repaired,
               plural(v.repaired));
    if (wrong) {
        printf("%s: %llu error%s\n", path, (unsigned long long)wrong, plural(wrong));
        return 1;
    }
    printf("%s: all is well: %s read and compared\n", path,
           show_bytes(v.blocks * STORE_BLOCK, size));
    return 0;
}
