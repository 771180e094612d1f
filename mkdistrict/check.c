/*
 * --verify: every block, and then what the nucleus and the tools rely on in every kept generation.
 */
#include <stdio.h>
#include <string.h>

#include "mkdistrict.h"

int verify_file(const char *path)
{
    struct store_verify v = {0};
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
    r = store_verify(st, &v);
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
