/*
 * Two devices as one: struct store_io made of two others. mirror_decide.c says which of them is
 * believed, and rests on what is done here.
 *
 * Invariants:
 *   1. A flush succeeds only if all of `complete` have flushed everything: so nothing is
 *      acknowledged that a copy which its root calls in sync does not have.
 *   2. A copy of `complete` of which a write or flush has failed is neither read nor written any
 *      more, and every flush fails until mirror_survive. So no root is written after it that calls
 *      it in sync, but one that was under way may be durable on the survivor alone. The last one
 *      that is up to date stays in use, like a disk without a mirror.
 *   3. Roots and superblocks are read from copies in `complete` only. Other blocks may come from
 *      any active copy, since their checksums are known.
 *   4. A copy that is active and not complete has the leader's roots, durably, before anything else
 *      is written to it: what it was before does not count from then on. Its own are removed first,
 *      so that it never has an older root, its own or the leader's, without a newer one.
 *   5. What an active copy lacks is reachable from a root that was committed before it became
 *      active: so a scrub begun after that meets all of it.
 *
 * The copies differ in one field only: the superblock's `copy`.
 */
#include <string.h>

#include <store/mirror.h>

#include "internal.h"

#define LOOK_CACHE 16u /* index blocks; looking reads none of them */

/* --- looking ---------------------------------------------------------------------------------- */

/** Reads whichever copy of the superblock is whole. */
static bool read_super(const struct store_io *io, struct disk_super *s)
{
    for (uint64_t b = 0; b < SUPER_TWINS && b < io->blocks; b++)
        if (io->read(io->ctx, b, s, 1) == 0 && s->magic == SUPER_MAGIC &&
            store_checksum(s, offsetof(struct disk_super, checksum)) == s->checksum)
            return true;
    return false;
}

void mirror_look(const struct store_io *io, struct mirror_look *look)
{
    struct store_io alone = *io;
    struct disk_super s;
    struct store *st;

    *look = (struct mirror_look){.label = read_super(io, &s) && s.copy < MIRROR_COPIES};
    if (look->label) {
        look->copy = s.copy;
        memcpy(look->id, s.id, sizeof(look->id));
        store_copy_name(look->name, s.name);
    }
    alone.cache_blocks = LOOK_CACHE;
    alone.copies = 1;
    look->error = store_open(&alone, &st);
    if (look->error == STORE_OK) {
        store_info(st, &look->info);
        store_close(st);
        look->seen =
            (struct mirror_seen){MIRROR_WHOLE, look->info.in_sync, look->info.mirror_changes,
                                 look->info.sequence, look->info.mirror_history};
    } else if (look->label) {
        look->seen.state = MIRROR_DAMAGED;
    }
}

static bool mirrored(const struct mirror_look *look)
{
    return look->label && (look->error != STORE_OK || look->info.copies == MIRROR_COPIES);
}

bool mirror_pair(const struct mirror_look *a, const struct mirror_look *b)
{
    return mirrored(a) && mirrored(b) && (a->error == STORE_OK || b->error == STORE_OK) &&
           a->copy != b->copy && memcmp(a->id, b->id, sizeof(a->id)) == 0;
}

/* --- the callbacks ---------------------------------------------------------------------------- */

static bool usable(const struct mirror *m, unsigned copy)
{
    return (m->active & ~m->lost) >> copy & 1;
}

/** A write to the copy has failed. The last one that is up to date is not given up. */
static void give_up(struct mirror *m, unsigned copy)
{
    unsigned bit = 1u << copy;

    if (!(m->complete & bit)) {
        m->active &= ~bit;
        m->device[copy].read = NULL;
    } else if ((m->complete & ~m->lost) == bit) {
        m->failed = true;
    } else {
        m->lost |= bit;
    }
}

static int read_from(struct mirror *m, unsigned copy, uint64_t block, void *buf, size_t n)
{
    const struct store_io *d = &m->device[copy];

    if (!usable(m, copy) || block >= d->blocks || n > d->blocks - block)
        return -1;
    if (block < FIRST_DATA && !(m->complete >> copy & 1))
        return -1;
    return d->read(d->ctx, block, buf, n);
}

static int mirror_read(void *ctx, uint64_t block, void *buf, size_t n)
{
    struct mirror *m = ctx;

    return read_from(m, m->decision.leader, block, buf, n) &&
           read_from(m, !m->decision.leader, block, buf, n);
}

static int mirror_read_copy(void *ctx, unsigned copy, uint64_t block, void *buf, size_t n)
{
    return copy < MIRROR_COPIES ? read_from(ctx, copy, block, buf, n) : -1;
}

/** Writes a block; the bytes may change when this returns. */
static bool write_through(const struct store_io *d, uint64_t block, const void *bytes)
{
    return d->write(d->ctx, block, bytes, 1) == 0 && (!d->wait || d->wait(d->ctx) == 0);
}

static int mirror_write(void *ctx, uint64_t block, const void *buf, size_t n)
{
    struct mirror *m = ctx;

    if (m->frozen)
        return -1;
    for (unsigned copy = 0; copy < MIRROR_COPIES; copy++)
        if (usable(m, copy) && m->device[copy].write(m->device[copy].ctx, block, buf, n))
            give_up(m, copy);
    return m->failed ? -1 : 0;
}

static int mirror_repair(void *ctx, unsigned copy, uint64_t block, const void *buf)
{
    struct mirror *m = ctx;

    if (m->frozen || copy >= MIRROR_COPIES || !usable(m, copy))
        return m->last == 1u << copy ? 0 : -1;
    if (MUTATED(MUTATION_REPAIR_LIES) || write_through(&m->device[copy], block, buf))
        return 0;
    give_up(m, copy);
    return -1;
}

static int mirror_wait(void *ctx)
{
    struct mirror *m = ctx;

    for (unsigned copy = 0; copy < MIRROR_COPIES; copy++) {
        const struct store_io *d = &m->device[copy];

        if (usable(m, copy) && d->wait && d->wait(d->ctx))
            give_up(m, copy);
    }
    return m->failed ? -1 : 0;
}

static int mirror_flush(void *ctx)
{
    struct mirror *m = ctx;
    bool failed;

    for (unsigned copy = 0; copy < MIRROR_COPIES; copy++) {
        const struct store_io *d = &m->device[copy];

        if (MUTATED(MUTATION_ONE_COPY_FLUSHED) && copy != m->decision.leader)
            continue;
        if (usable(m, copy) && d->flush(d->ctx))
            give_up(m, copy);
    }
    failed = m->failed || m->lost;
    m->failed = false;
    return failed ? -1 : 0;
}

/** What a copy lacks that is being brought up to date is no damage. */
static void mirror_damage(void *ctx, const struct store_damage *d)
{
    struct mirror *m = ctx;

    if (d->repaired && mirror_behind(m) >> d->copy & 1)
        return;
    if (m->damage)
        m->damage(m->ctx, d);
}

void mirror_io(struct mirror *m, struct store_io *io)
{
    m->damage = io->damage;
    m->ctx = io->ctx;
    io->ctx = m;
    io->blocks = UINT64_MAX;
    for (unsigned copy = 0; copy < MIRROR_COPIES; copy++)
        if (m->active >> copy & 1 && m->device[copy].blocks < io->blocks)
            io->blocks = m->device[copy].blocks;
    io->read = mirror_read;
    io->write = mirror_write;
    io->wait = mirror_wait;
    io->flush = mirror_flush;
    io->damage = mirror_damage;
    io->read_copy = mirror_read_copy;
    io->repair = mirror_repair;
    /* While the roots call a copy in sync that is not there, it is not looked for. */
    io->copies = m->recorded == m->complete ? MIRROR_COPIES : 1;
}

/* --- beginning -------------------------------------------------------------------------------- */

enum mirror_verdict mirror_begin(struct mirror *m, const struct store_io *device,
                                 const struct mirror_look *look, unsigned count)
{
    struct mirror_seen seen[MIRROR_COPIES] = {{.state = MIRROR_ABSENT}};

    *m = (struct mirror){.recorded = 0};
    for (unsigned i = 0; i < count; i++) {
        m->device[look[i].copy] = device[i];
        seen[look[i].copy] = look[i].seen;
    }
    m->decision = mirror_decide(seen);
    m->recorded = seen[m->decision.leader].in_sync;
    switch (m->decision.verdict) {
    case MIRROR_BOTH:
        m->active = m->complete = MIRROR_ALL;
        break;
    case MIRROR_STALE:
    case MIRROR_ALONE:
    case MIRROR_ASK:
        m->active = m->complete = 1u << m->decision.leader;
        m->frozen = m->decision.verdict == MIRROR_ASK;
        break;
    case MIRROR_SPLIT:
    case MIRROR_INCOMPLETE:
    case MIRROR_NONE:
        m->frozen = true;
        break;
    }
    return m->decision.verdict;
}

void mirror_fresh(struct mirror *m, const struct store_io device[MIRROR_COPIES])
{
    *m = (struct mirror){.active = MIRROR_ALL,
                         .complete = MIRROR_ALL,
                         .recorded = MIRROR_ALL,
                         .decision = {MIRROR_BOTH, 0}};
    memcpy(m->device, device, sizeof(m->device));
}

void mirror_alone(struct mirror *m)
{
    m->frozen = m->active == 0;
}

/** Gives a copy what the leader has in these blocks, where it differs. What the leader cannot read
 * becomes zeros. @return false if that copy fails */
static bool align(struct mirror *m, unsigned copy, uint64_t first, uint64_t count)
{
    const struct store_io *from = &m->device[m->decision.leader], *to = &m->device[copy];
    uint8_t good[STORE_BLOCK], there[STORE_BLOCK];

    for (uint64_t b = first; b < first + count; b++) {
        if (from->read(from->ctx, b, good, 1))
            memset(good, 0, sizeof(good));
        if (to->read(to->ctx, b, there, 1) || memcmp(good, there, STORE_BLOCK) != 0)
            if (!write_through(to, b, good))
                return false;
    }
    return to->flush(to->ctx) == 0;
}

#define ROOTS (ROOT_SLOTS * ROOT_TWINS) /* that a copy has room for */

/** What the one in that place says its number is; 0: none. */
static uint64_t root_sequence(const struct store_io *io, unsigned place)
{
    uint8_t block[STORE_BLOCK];
    const struct disk_root *h = (const struct disk_root *)block;

    if (io->read(io->ctx, ROOT_FIRST + place * ROOT_BLOCKS, block, 1) || h->magic != ROOT_MAGIC)
        return 0;
    return h->sequence;
}

/** Removes all roots of a copy, durably, the oldest first: what it says of itself, if this is cut
 * off, is what it has said, or nothing. An older root might say that it is the only one. */
static bool remove_roots(const struct store_io *to)
{
    static const uint8_t zeros[STORE_BLOCK];
    uint64_t sequence[ROOTS];

    for (unsigned i = 0; i < ROOTS; i++)
        sequence[i] = root_sequence(to, i);
    for (;;) {
        unsigned oldest = ROOTS;

        for (unsigned i = 0; i < ROOTS; i++)
            if (sequence[i] && (oldest == ROOTS || sequence[i] < sequence[oldest]))
                oldest = i;
        if (oldest == ROOTS)
            return true;
        if (!write_through(to, ROOT_FIRST + oldest * ROOT_BLOCKS, zeros) || to->flush(to->ctx))
            return false;
        sequence[oldest] = 0;
    }
}

/** The newest root: of copies in sync, only that can be missing. A twin that the leader was cut off
 * before writing is still an older root there, and stays out of this. */
static bool align_newest(struct mirror *m, unsigned copy, uint64_t sequence)
{
    const struct store_io *from = &m->device[m->decision.leader];
    unsigned place = sequence % ROOT_SLOTS * ROOT_TWINS;

    for (unsigned twin = 0; twin < ROOT_TWINS; twin++, place++)
        if ((root_sequence(from, place) == sequence || MUTATED(MUTATION_OLDER_TWIN)) &&
            !align(m, copy, ROOT_FIRST + place * ROOT_BLOCKS, ROOT_BLOCKS))
            return false;
    return true;
}

/** What the copy was before does not count any more. Of the leader's roots the newest comes first:
 * it says that the copy is not up to date; older ones may say anything. */
static bool align_all(struct mirror *m, unsigned copy, uint64_t sequence)
{
    const struct store_io *from = &m->device[m->decision.leader], *to = &m->device[copy];
    struct disk_super s;

    if (!read_super(from, &s))
        return false;
    if (MUTATED(MUTATION_NOT_ALIGNED))
        return true;
    if (!MUTATED(MUTATION_NOT_REMOVED) && !remove_roots(to))
        return false;
    super_for_copy(&s, copy);
    for (uint64_t b = 0; b < SUPER_TWINS; b++)
        if (!write_through(to, b, &s))
            return false;
    return (MUTATED(MUTATION_NOT_REMOVED) || align_newest(m, copy, sequence)) &&
           align(m, copy, ROOT_FIRST, ROOT_SLOTS * ROOT_SLOT_BLOCKS);
}

int mirror_add(struct mirror *m, struct store *st, unsigned copy, const struct store_io *device)
{
    struct store_info info;

    store_info(st, &info);
    if (m->frozen || m->lost || m->active >> copy & 1 || info.in_sync >> copy & 1)
        return STORE_STATE;
    if (device->blocks < info.blocks)
        return STORE_TRUNCATED;
    m->device[copy] = *device;
    if (!align_all(m, copy, info.sequence)) {
        m->device[copy].read = NULL;
        return STORE_IO;
    }
    m->active |= 1u << copy;
    /* The same as before, but now it is written to both: from here on repairs are allowed. */
    return store_set_in_sync(st, info.in_sync);
}

/** The roots of the leader say durably who is up to date. */
static int record(struct mirror *m, const struct store_io *base)
{
    struct store_io io = *base;
    struct store *st;
    int r;

    mirror_io(m, &io);
    r = store_open(&io, &st);
    if (r)
        return r;
    r = store_set_in_sync(st, m->complete);
    store_close(st);
    if (r == STORE_OK)
        m->recorded = m->complete;
    return r;
}

/** The copy that was there from the start; one that fails or is too small is left out. */
static int add_other(struct mirror *m, struct store *st, unsigned copy,
                     const struct store_io *device)
{
    int r = mirror_add(m, st, copy, device);

    if (r == STORE_OK || mirror_behind(m))
        return r;
    m->device[copy].read = NULL;
    return STORE_OK;
}

int mirror_open(struct mirror *m, const struct store_io *base, struct store **out)
{
    unsigned other = !m->decision.leader;
    struct store_io io = *base, device = m->device[other];
    int r = m->complete ? STORE_OK : STORE_STATE;

    *out = NULL;
    if (r == STORE_OK && !m->frozen && m->recorded != m->complete &&
        !MUTATED(MUTATION_NOT_RECORDED))
        r = record(m, base);
    if (r)
        return r;
    mirror_io(m, &io);
    r = store_open(&io, out);
    if (r || m->frozen)
        return r;
    /* The same as before, on all copies: from here on what is wrong in one of them is repaired. */
    if (m->active == MIRROR_ALL)
        r = store_set_in_sync(*out, m->complete);
    if (r == STORE_OK && device.read && !(m->active >> other & 1))
        r = add_other(m, *out, other, &device);
    if (r) {
        store_close(*out);
        *out = NULL;
    }
    return r;
}

/* --- losing a copy, and getting it back ------------------------------------------------------- */

unsigned mirror_survive(struct mirror *m)
{
    unsigned lost = m->lost;

    for (unsigned copy = 0; copy < MIRROR_COPIES; copy++)
        if (lost >> copy & 1)
            m->device[copy].read = NULL;
    m->active &= ~lost;
    m->complete &= ~lost;
    m->lost = 0;
    m->failed = false;
    if (!(m->complete >> m->decision.leader & 1))
        m->decision.leader = !m->decision.leader;
    return lost;
}

unsigned mirror_in_sync(const struct mirror *m)
{
    return m->complete & ~m->lost;
}

unsigned mirror_behind(const struct mirror *m)
{
    return m->active & ~m->complete;
}

/** All was verified: what was written is flushed, then the roots say so, the leader's first. */
static int finish_resync(struct mirror *m, struct store *st)
{
    unsigned copy = !m->decision.leader;
    struct store_info info;
    int r = mirror_flush(m) ? STORE_IO : STORE_OK;

    if (r || !mirror_behind(m)) /* it may just have been given up */
        return r ? r : STORE_ABSENT;
    m->active &= ~(1u << copy);
    m->last = 1u << copy;
    r = store_set_in_sync(st, MIRROR_ALL);
    m->last = 0;
    if (r)
        return r;
    m->active = m->complete = m->recorded = MIRROR_ALL;
    store_info(st, &info);
    if (align_newest(m, copy, info.sequence))
        return STORE_ABSENT;
    give_up(m, copy);
    return STORE_IO;
}

int mirror_resync(struct mirror *m, struct store *st, struct store_scrub *scrub,
                  uint64_t max_blocks)
{
    int r;

    if (!mirror_behind(m))
        return STORE_ABSENT;
    r = store_scrub_step(st, scrub, max_blocks);
    if (r != STORE_ABSENT && !MUTATED(MUTATION_SYNC_EARLY))
        return r;
    return scrub->errors > scrub->repaired ? STORE_DAMAGED : finish_resync(m, st);
}
