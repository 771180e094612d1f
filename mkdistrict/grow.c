/*
 * --grow: gives a store more room. The file grows first, then the store says so durably;
 * interrupted between, the file is only longer than it has to be.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools.h"

/** Makes the file at least that long; a disk must be. */
static void make_longer(struct opened *o, uint64_t size)
{
    struct stat s;

    if (o->file.device)
        return;
    if (fstat(o->file.fd, &s) || ((uint64_t)s.st_size < size && ftruncate(o->file.fd, (off_t)size)))
        fail("%s: %s", o->path, strerror(errno));
}

int grow_file(const char *path, uint64_t size)
{
    struct store *st = NULL;
    struct opened o;
    struct store_io io;
    char before[32], after[32];

    opened_open(&o, path, true);
    size -= size % STORE_BLOCK;
    if (size <= o.info.blocks * STORE_BLOCK)
        fail("%s: it has room for %s already; a store never becomes smaller", o.path,
             show_bytes(o.info.blocks * STORE_BLOCK, before));
    if (size / STORE_BLOCK > STORE_MAX_BLOCKS)
        fail("--grow: no store can be so large");
    make_longer(&o, size);
    store_close(o.store);
    o.store = NULL;
    io = file_io(&o.file);
    if (io.blocks < size / STORE_BLOCK)
        fail("%s: the disk is smaller than that", o.path);
    opened_check(&o, store_open(&io, &st));
    o.store = st;
    opened_check(&o, store_grow(st, size / STORE_BLOCK));
    printf("%s: %s, was %s\n", o.path, show_bytes(size, after),
           show_bytes(o.info.blocks * STORE_BLOCK, before));
    opened_close(&o);
    return 0;
}
