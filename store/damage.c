/*
 * The one place through which every "this store is damaged" goes, and the words for errors.
 */
#include "internal.h"

int store_damaged_copy(struct store *st, const char *file, int line, struct store_damage *d)
{
    d->file = file;
    d->line = line;
    if (st->silent)
        return STORE_DAMAGED;
    st->damages++;
    st->repaired += d->repaired;
    if (st->io.damage)
        st->io.damage(st->io.ctx, d);
    return STORE_DAMAGED;
}

int store_damaged(struct store *st, const char *file, int line, const char *what, uint64_t block,
                  uint64_t generation, uint64_t oid, uint64_t expected, uint64_t found)
{
    return store_damaged_copy(st, file, line,
                              &(struct store_damage){.what = what,
                                                     .block = block,
                                                     .generation = generation,
                                                     .oid = oid,
                                                     .expected = expected,
                                                     .found = found,
                                                     .copy = st->super.copy});
}

const char *store_error_text(int error)
{
    switch (error) {
    case STORE_OK:
        return "no error";
    case STORE_IO:
        return "reading or writing failed";
    case STORE_FOREIGN:
        return "this is not a district store";
    case STORE_VERSION:
        return "a store of a format that is not known here";
    case STORE_DAMAGED:
        return "the store is damaged";
    case STORE_TRUNCATED:
        return "the store is cut off: the device is smaller than the store";
    case STORE_NOSPACE:
        return "the store is full";
    case STORE_NOMEM:
        return "out of memory";
    case STORE_ABSENT:
        return "no such object or generation";
    case STORE_STATE:
        return "not possible in this state of the store";
    case STORE_ARGUMENT:
        return "a bad argument";
    }
    return "unknown error";
}
