/*
 * Calls of the I/O callbacks: ranges checked, results made ours, and the epoch that tells which
 * index blocks may still be on their way to the device. Every block but roots and superblocks is
 * read with the checksum that it must have; of a mirror, a copy that has it stands in for one that
 * has not, and is written over it.
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

int io_read_from(struct store *st, unsigned copy, uint64_t block, void *buf, size_t n)
{
    if (st->io.copies == 1)
        return io_read(st, block, buf, n);
    if (block >= st->io.blocks || n > st->io.blocks - block)
        return STORE_IO;
    return st->io.read_copy(st->io.ctx, copy, block, buf, n) ? STORE_IO : STORE_OK;
}

/* --- reading what must have a checksum -------------------------------------------------------- */

static bool right(const struct wanted *w, const void *buf, uint64_t *sum)
{
    *sum = store_checksum(buf, STORE_BLOCK);
    return *sum == w->checksum || w->believe;
}

static int bad(struct store *st, const struct wanted *w, uint64_t sum, unsigned copy, bool repaired)
{
    return store_damaged_copy(st, __FILE__, __LINE__,
                              &(struct store_damage){.what = w->what,
                                                     .block = w->block,
                                                     .generation = w->generation,
                                                     .oid = w->oid,
                                                     .expected = w->checksum,
                                                     .found = sum,
                                                     .copy = copy,
                                                     .repaired = repaired});
}

bool io_repair(struct store *st, unsigned copy, uint64_t block, const void *bytes)
{
    return st->repairs && st->io.repair && st->io.repair(st->io.ctx, copy, block, bytes) == 0;
}

static bool in_sync(const struct store *st, unsigned copy)
{
    return store_in_sync(st) >> copy & 1;
}

/** Looks at each copy; if one is right it is left in buf, and the others are mended. */
static int read_copies(struct store *st, const struct wanted *w, uint8_t *buf)
{
    uint64_t sum[STORE_COPIES_MAX] = {0};
    unsigned wrong = 0, answered = 0;
    bool any = false;
    uint8_t other[STORE_BLOCK];

    for (unsigned c = 0; c < st->io.copies; c++) {
        uint8_t *to = any ? other : buf;

        if (st->io.read_copy(st->io.ctx, c, w->block, to, 1) == 0) {
            answered++;
            if (right(w, to, &sum[c])) {
                any = true;
                continue;
            }
        } else if (!in_sync(st, c)) {
            continue;
        }
        wrong |= 1u << c;
    }
    if (!any && answered == 0)
        return STORE_IO;
    for (unsigned c = 0; c < st->io.copies; c++)
        if (wrong >> c & 1)
            bad(st, w, sum[c], c, any && io_repair(st, c, w->block, buf));
    return any ? STORE_OK : STORE_DAMAGED;
}

int io_read_checked(struct store *st, const struct wanted *w, void *buf)
{
    uint64_t sum;
    int r = io_read(st, w->block, buf, 1);

    if (r == STORE_OK && right(w, buf, &sum))
        return STORE_OK;
    if (st->io.copies > 1 && w->block < st->io.blocks)
        return read_copies(st, w, buf);
    return r ? r : bad(st, w, sum, st->super.copy, false);
}

int io_read_all(struct store *st, const struct wanted *w, void *buf)
{
    return st->io.copies > 1 && w->block < st->io.blocks ? read_copies(st, w, buf)
                                                         : io_read_checked(st, w, buf);
}

/* --- writing ---------------------------------------------------------------------------------- */

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
