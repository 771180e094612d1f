/*
 * --grow: gives a store more room. The file grows first, then the store says so durably;
 * interrupted between, the file is only longer than it has to be.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools.h"

/** The same files, as long as they are now. */
static int open_again(struct opened *o)
{
    struct store_io io = file_io(&o->file);

    store_close(o->store);
    o->store = NULL;
    if (!o->mirrored)
        return store_open(&io, &o->store);
    for (unsigned c = 0; c < MIRROR_COPIES; c++) /* both are long enough, that is all it takes */
        o->mirror.device[c].blocks = io.blocks;
    return mirror_open(&o->mirror, &io, &o->store);
}

int grow_file(const char *path, uint64_t size)
{
    struct opened o;
    char before[32], after[32];

    opened_open(&o, path, true);
    size -= size % STORE_BLOCK;
    if (size <= o.info.blocks * STORE_BLOCK)
        fail("%s: it has room for %s already; a store never becomes smaller", o.path,
             show_bytes(o.info.blocks * STORE_BLOCK, before));
    if (size / STORE_BLOCK > STORE_MAX_BLOCKS)
        fail("--grow: no store can be so large");
    file_lengthen(&o.file, size);
    if (o.mirrored)
        file_lengthen(&o.second, size);
    opened_check(&o, open_again(&o));
    opened_check(&o, store_grow(o.store, size / STORE_BLOCK));
    printf("%s: %s, was %s\n", o.path, show_bytes(size, after),
           show_bytes(o.info.blocks * STORE_BLOCK, before));
    opened_close(&o);
    return 0;
}
