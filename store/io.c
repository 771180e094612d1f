/*
 * Calls of the I/O callbacks: ranges checked, results made ours, and the epoch that tells which
 * index blocks may still be on their way to the device.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

int io_read(struct store *st, uint64_t block, void *buf, size_t n)
{
    if (block >= st->io.blocks || n > st->io.blocks - block)
        return STORE_IO;
    return st->io.read(st->io.ctx, block, buf, n) ? STORE_IO : STORE_OK;
}

static struct parcel *parcel_new(struct parcel **list, uint64_t block, const void *bytes)
{
    struct parcel *p = malloc(sizeof(*p));

    if (!p)
        return NULL;
    p->next = *list;
    p->block = block;
    memcpy(p->bytes, bytes, STORE_BLOCK);
    *list = p;
    return p;
}

int io_late(struct store *st)
{
    int r = STORE_OK;

    while (st->late) {
        struct parcel *p = st->late;

        if (st->io.write(st->io.ctx, p->block, p->bytes, 1) || st->io.flush(st->io.ctx))
            r = STORE_IO;
        st->late = p->next;
        free(p);
    }
    return r;
}

int io_write(struct store *st, uint64_t block, const void *buf, size_t n)
{
    if (block >= st->io.blocks || n > st->io.blocks - block)
        return STORE_IO;
    if (MUTATED(MUTATION_ROOT_BEFORE_DATA) && block >= FIRST_DATA)
        return parcel_new(&st->late, block, buf) ? STORE_OK : STORE_NOMEM;
    return st->io.write(st->io.ctx, block, buf, n) ? STORE_IO : STORE_OK;
}

int io_write_copy(struct store *st, uint64_t block, const void *bytes)
{
    struct parcel *p = parcel_new(&st->parcels, block, bytes);

    return p ? io_write(st, block, p->bytes, 1) : STORE_NOMEM;
}

static void nothing_in_flight(struct store *st)
{
    st->io_epoch++;
    st->in_flight = 0;
    while (st->parcels) {
        struct parcel *p = st->parcels;

        st->parcels = p->next;
        free(p);
    }
}

int io_wait(struct store *st)
{
    int r = st->io.wait ? st->io.wait(st->io.ctx) : 0;

    nothing_in_flight(st);
    return r ? STORE_IO : STORE_OK;
}

int io_flush(struct store *st)
{
    int r = st->io.flush(st->io.ctx);

    nothing_in_flight(st);
    return r ? STORE_IO : STORE_OK;
}
