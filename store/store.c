/*
 * Making and opening a store, what it says of itself, and reading from it. commit.c and policy.c
 * write.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static unsigned copies_of(const struct store_io *io)
{
    return io->copies > 1 ? io->copies : 1;
}

static struct store *store_new(const struct store_io *io)
{
    struct store *st = calloc(1, sizeof(*st));

    if (!st)
        return NULL;
    st->io = *io;
    st->io.copies = copies_of(io);
    if (st->io.cache_blocks == 0)
        st->io.cache_blocks = 1024;
    if (st->io.fold_limit == 0)
        st->io.fold_limit = 300;
    st->io_epoch = 1;
    st->pinned = NONE;
    st->root_buffer = malloc((size_t)ROOT_BLOCKS * STORE_BLOCK);
    if (!st->root_buffer) {
        free(st);
        return NULL;
    }
    return st;
}

void store_close(struct store *st)
{
    if (!st)
        return;
    if (st->in_flight || st->parcels || st->begun)
        io_wait(st);
    node_cache_free(st);
    map_forget(st);
    points_free(&st->guard);
    points_free(&st->now.points);
    points_free(&st->committed.points);
    free(st->update);
    free(st->root_buffer);
    free(st);
}

int store_open(const struct store_io *io, struct store **out)
{
    struct store *st = store_new(io);
    int r;

    *out = NULL;
    if (!st)
        return STORE_NOMEM;
    r = st->io.copies > STORE_COPIES_MAX ? STORE_ARGUMENT : root_open(st);
    if (r) {
        store_close(st);
        return r;
    }
    *out = st;
    return STORE_OK;
}

void store_copy_name(char *to, const char *from)
{
    memset(to, 0, STORE_NAME_MAX);
    for (size_t i = 0; i < STORE_NAME_MAX - 1 && from[i]; i++)
        to[i] = from[i];
}

/** Block 0 or 1, the same on all devices but for which of them it is. */
static int write_super_twins(struct store *st)
{
    struct disk_super other = st->super;
    int r = STORE_OK;

    for (uint64_t twin = 0; twin < SUPER_TWINS && r == STORE_OK; twin++)
        r = io_write(st, twin, &st->super, 1);
    if (r || st->io.copies == 1)
        return r;
    r = io_flush(st);
    st->repairs = true;
    for (unsigned copy = 1; copy < st->io.copies && r == STORE_OK; copy++) {
        super_for_copy(&other, copy);
        for (uint64_t twin = 0; twin < SUPER_TWINS && r == STORE_OK; twin++)
            r = io_repair(st, copy, twin, &other) ? STORE_OK : STORE_IO;
    }
    return r;
}

static int write_super(struct store *st, const struct store_format_params *p)
{
    struct disk_super *s = &st->super;

    s->magic = SUPER_MAGIC;
    s->version = STORE_FORMAT_VERSION;
    s->block_size = STORE_BLOCK;
    s->first_data = FIRST_DATA;
    s->root_first = ROOT_FIRST;
    s->root_slots = ROOT_SLOTS;
    s->root_slot_blocks = ROOT_SLOT_BLOCKS;
    s->root_twins = ROOT_TWINS;
    s->created = p->time;
    memcpy(s->id, p->id, sizeof(s->id));
    store_copy_name(s->name, p->name);
    store_copy_name(s->owner, p->owner);
    super_for_copy(s, 0);
    return write_super_twins(st);
}

static int write_first_root(struct store *st, const struct store_format_params *p)
{
    struct disk_root *h = &st->now.head;
    int r;

    h->blocks = p->blocks;
    h->free_blocks = p->blocks - FIRST_DATA;
    h->current = h->newest = NONE;
    h->interval = p->interval;
    h->crash_policy = p->crash_policy;
    h->abi_version = p->abi_version;
    h->image_version = p->image_version;
    h->keep_last = p->keep_last;
    h->keep_minutes = p->keep_minutes;
    h->keep_hours = p->keep_hours;
    h->keep_days = p->keep_days;
    if (!p->keep_last && !p->keep_minutes && !p->keep_hours && !p->keep_days) {
        h->keep_last = STORE_KEEP_LAST;
        h->keep_minutes = STORE_KEEP_MINUTES;
        h->keep_hours = STORE_KEEP_HOURS;
        h->keep_days = STORE_KEEP_DAYS;
    }
    h->copies = st->io.copies;
    h->in_sync = (1u << st->io.copies) - 1;
    h->mirror_history = h->in_sync;
    h->claim_start = FIRST_DATA;
    st->committed.head = *h;
    r = map_claim(st, h, map_claim_target(st));
    return r ? r : root_write(st, &st->now, true);
}

int store_format(const struct store_io *io, const struct store_format_params *p, struct store **out)
{
    struct store *st;
    int r;

    *out = NULL;
    if (p->blocks < STORE_MIN_BLOCKS || p->blocks > STORE_MAX_BLOCKS || p->blocks > io->blocks)
        return STORE_ARGUMENT;
    if (p->copies > STORE_COPIES_MAX || (p->copies > 1 ? p->copies : 1) != copies_of(io))
        return STORE_ARGUMENT;
    if (p->keep_last + p->keep_minutes + p->keep_hours + p->keep_days &&
        !retention_valid(p->keep_last, p->keep_minutes, p->keep_hours, p->keep_days))
        return STORE_ARGUMENT;
    st = store_new(io);
    if (!st)
        return STORE_NOMEM;
    r = write_super(st, p);
    if (r == STORE_OK)
        r = write_first_root(st, p);
    if (r) {
        store_close(st);
        return r;
    }
    st->claimed = true;
    *out = st;
    return STORE_OK;
}

void store_info(const struct store *st, struct store_info *info)
{
    const struct disk_root *h = &st->committed.head;

    *info = (struct store_info){
        .format_version = st->super.version,
        .abi_version = h->abi_version,
        .image_version = h->image_version,
        .crash_policy = h->crash_policy,
        .interval = h->interval,
        .created = st->super.created,
        .ran_at = h->ran_at,
        .incarnation = h->incarnation,
        .incarnation_random = h->incarnation_random,
        .current = h->current,
        .newest = h->newest,
        .next_generation = h->next_generation,
        .sequence = h->sequence,
        .blocks = h->blocks,
        .free_blocks = h->free_blocks,
        .avoided_blocks = h->avoid_length,
        .generations = generations_kept(&st->committed),
        .keep_last = h->keep_last,
        .keep_minutes = h->keep_minutes,
        .keep_hours = h->keep_hours,
        .keep_days = h->keep_days,
        .copies = h->copies,
        .copy = st->super.copy,
        .in_sync = h->in_sync,
        .mirror_changes = h->mirror_changes,
        .mirror_history = h->mirror_history,
        .roots_lost = root_twins_lost(st),
        .root_cut_off = root_cut_off(st),
        .leaks = (h->flags & ROOT_LEAKS) != 0,
        .share = h->share,
        .journal = h->journal,
        .journal_sequence = h->journal_sequence,
        .autostart = (h->flags & ROOT_AUTOSTART) != 0,
        .gated = (h->flags & ROOT_GATED) != 0,
    };
    memcpy(info->id, st->super.id, sizeof(info->id));
    memcpy(info->name, st->super.name, STORE_NAME_MAX);
    memcpy(info->owner, st->super.owner, STORE_NAME_MAX);
    memcpy(info->ran_by, h->ran_by, STORE_NAME_MAX);
    bond_info(st, info);
}

/* --- reading ---------------------------------------------------------------------------------- */

/** The nearest kept generation that it grew from. */
static uint64_t ancestor(const struct state *s, const struct disk_generation *g)
{
    while (g->base != NONE) {
        g = generation_find((struct state *)s, g->base);
        if (!g)
            return NONE;
        if (!(g->flags & GENERATION_GHOST))
            return g->number;
    }
    return NONE;
}

int store_generation(const struct store *st, uint32_t index, struct store_generation *out)
{
    const struct state *s = &st->committed;

    for (uint32_t i = 0; i < s->head.generations; i++) {
        const struct disk_generation *g = &s->generation[i];

        if (g->flags & GENERATION_GHOST || index-- > 0)
            continue;
        *out =
            (struct store_generation){g->number,  g->parent, g->time,        g->objects,
                                      g->changed, g->reason, ancestor(s, g), generation_instant(g)};
        return STORE_OK;
    }
    return STORE_ABSENT;
}

static struct store_object object_of(const struct disk_entry *e)
{
    return (struct store_object){e->oid,   e->type, e->version, (e->flags & ENTRY_BYTES) != 0,
                                 e->place, e->birth};
}

int store_get(struct store *st, uint64_t generation, oid_t oid, struct store_object *o, void *buf)
{
    const struct disk_generation *g = generation_kept(&st->committed, generation);
    struct disk_entry e;
    int r;

    if (!g)
        return STORE_ABSENT;
    r = tree_find(st, &g->root, g->number, oid, &e);
    if (r)
        return r;
    *o = object_of(&e);
    if (!buf)
        return STORE_OK;
    if (!o->bytes) {
        memset(buf, 0, STORE_BLOCK);
        return STORE_OK;
    }
    r = io_read_checked(st,
                        &(struct wanted){.what = "object: checksum",
                                         .block = e.place,
                                         .generation = g->number,
                                         .oid = oid,
                                         .checksum = e.checksum,
                                         .believe = MUTATED(MUTATION_OBJECT_CHECKSUM)},
                        buf);
    if (r == STORE_DAMAGED)
        memset(buf, 0, STORE_BLOCK);
    return r;
}

int store_walk(struct store *st, uint64_t generation, oid_t first,
               int (*each)(void *ctx, const struct store_object *o), void *ctx)
{
    const struct disk_generation *g = generation_kept(&st->committed, generation);
    const struct disk_entry *e;
    struct cursor c;
    int r;

    if (!g)
        return STORE_ABSENT;
    r = cursor_seek(&c, st, &g->root, g->number, first);
    while (r == STORE_OK && (e = cursor_entry(&c))) {
        struct store_object o = object_of(e);

        r = each(ctx, &o);
        if (r == STORE_OK)
            r = cursor_next(&c);
    }
    cursor_end(&c);
    return r;
}
