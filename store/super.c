/*
 * The superblock: which store this is. It is written when the store is made, twice on each device,
 * and never again but to mend one of them from another.
 */
#include <string.h>

#include "internal.h"

_Static_assert(STORE_LABEL_BLOCKS == SUPER_TWINS, "the superblock is what comes first");

void super_for_copy(struct disk_super *s, unsigned copy)
{
    s->copy = copy;
    s->checksum = store_checksum(s, offsetof(struct disk_super, checksum));
}

/** @return STORE_FOREIGN: something else is there */
static int check(const struct disk_super *s, uint64_t *sum)
{
    *sum = store_checksum(s, offsetof(struct disk_super, checksum));
    if (s->magic != SUPER_MAGIC)
        return STORE_FOREIGN;
    if (*sum != s->checksum || s->copy >= STORE_COPIES_MAX)
        return STORE_DAMAGED;
    if (s->version != STORE_FORMAT_VERSION || s->block_size != STORE_BLOCK ||
        s->first_data != FIRST_DATA || s->root_first != ROOT_FIRST || s->root_slots != ROOT_SLOTS ||
        s->root_slot_blocks != ROOT_SLOT_BLOCKS || s->root_twins != ROOT_TWINS)
        return STORE_VERSION;
    return STORE_OK;
}

/** One twin of one copy, and what is known of it. */
struct sight {
    uint64_t expected, found;
    int result;
};

static int look(struct store *st, unsigned twin, struct disk_super *s, struct sight *seen)
{
    *seen = (struct sight){0};
    if (twin % SUPER_TWINS >= st->io.blocks)
        return STORE_FOREIGN;
    seen->result = io_read_from(st, twin / SUPER_TWINS, twin % SUPER_TWINS, s, 1);
    if (seen->result)
        return seen->result;
    seen->result = check(s, &seen->found);
    seen->expected = s->checksum;
    return seen->result;
}

static void mend(struct store *st, unsigned twin)
{
    struct disk_super s = st->super;

    super_for_copy(&s, twin / SUPER_TWINS);
    if (st->io.copies > 1)
        io_repair(st, twin / SUPER_TWINS, twin % SUPER_TWINS, &s);
    else
        io_write_copy(st, twin % SUPER_TWINS, &st->super);
}

/** Names what is wrong with a twin, and mends it if that is allowed. */
static void report(struct store *st, unsigned twin, const struct sight *seen)
{
    if (st->repairs)
        mend(st, twin);
    else
        st->bad_supers |= 1u << twin;
    store_damaged_copy(
        st, __FILE__, __LINE__,
        &(struct store_damage){.what = seen->result == STORE_IO ? "superblock: cannot be read"
                                                                : "superblock: checksum",
                               .block = twin % SUPER_TWINS,
                               .generation = NONE,
                               .expected = seen->expected,
                               .found = seen->found,
                               .copy = st->io.copies > 1 ? twin / SUPER_TWINS : st->super.copy,
                               .repaired = st->repairs});
}

/** Is the whole device of that twin missing? */
static bool missing(const struct store *st, const struct sight *seen, unsigned twin)
{
    unsigned first = twin / SUPER_TWINS * SUPER_TWINS;

    return st->io.copies > 1 && seen[first].result == STORE_IO &&
           seen[first + 1].result == STORE_IO;
}

int super_check(struct store *st)
{
    struct sight seen[STORE_COPIES_MAX * SUPER_TWINS];
    unsigned twins = st->io.copies * SUPER_TWINS;

    for (unsigned t = 0; t < twins; t++) {
        struct disk_super s;

        if (look(st, t, &s, &seen[t]) == STORE_OK && memcmp(s.id, st->super.id, sizeof(s.id)) != 0)
            seen[t].result = STORE_DAMAGED;
    }
    for (unsigned t = 0; t < twins; t++)
        if (seen[t].result && !missing(st, seen, t))
            report(st, t, &seen[t]);
    return STORE_OK;
}

int super_open(struct store *st)
{
    struct sight seen;
    int r = STORE_FOREIGN;

    for (unsigned t = 0; t < st->io.copies * SUPER_TWINS; t++) {
        int here = look(st, t, &st->super, &seen);

        if (here == STORE_OK) {
            st->super.name[STORE_NAME_MAX - 1] = st->super.owner[STORE_NAME_MAX - 1] = 0;
            return super_check(st);
        }
        if (here == STORE_VERSION)
            return here;
        if (r == STORE_FOREIGN || here == STORE_DAMAGED)
            r = here;
    }
    if (r == STORE_DAMAGED)
        DAMAGED(st, "superblock: none is whole", 0, NONE, 0, 1, 0);
    return r;
}

void super_mend(struct store *st)
{
    for (unsigned t = 0; t < st->io.copies * SUPER_TWINS; t++)
        if (st->bad_supers >> t & 1)
            mend(st, t);
    st->bad_supers = 0;
}
