/*
 * See explore.h. What must hold for every image that a power cut can leave:
 *
 *  1. It opens, at the state of the last operation that returned, or of the one under way, whole:
 * all kept generations with all their objects, and what the head says.
 *  2. Its allocation map is exactly what is reachable.
 *  3. A new incarnation can be claimed, is higher than every one that was acknowledged, and can
 * commit.
 *  4. If writes of the one that was cut off still arrive, in flight or new ones inside its claim,
 * none of that is harmed.
 *  5. Recovering may itself be cut off (1 to 3 hold again).
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../store/internal.h"
#include "explore.h"

const char *const operation_name[OPERATIONS] = {
    "put one", "put some", "put many",    "put zero",    "delete", "delete all", "empty", "abort",
    "restart", "go back",  "drop oldest", "drop middle", "policy", "reopen",     "grow"};

struct statistics statistics;
char explorer_where[256];

struct explorer {
    struct simdisk *disk;
    struct model *m;
    struct image *image;
    const struct effort *effort;
    unsigned objects;
    uint64_t random;
    bool nested;
    size_t fold_limit; /* small ones, so that the map is written often */
    /* the operation under way */
    bool has_under_way;
    struct model_state under_way;
    void (*foresee)(const struct explorer *x, struct model_state *to);
    uint64_t argument;
    /* the image being made */
    struct undecided {
        uint64_t sector;
        const uint8_t *bytes;
        size_t write; /* which of the writes it belongs to */
    } * undecided;
    size_t count, capacity;
    bool *chosen;
    bool *claimed; /* by block: the interrupted incarnation may still write there */
};

static uint64_t any(struct explorer *x, uint64_t n)
{
    return model_random_number(&x->random) % n;
}

/* --- judging one image
 * ----------------------------------------------------------------------------- */

static void bad_image(struct explorer *x, const char *what)
{
    model_fail("%s%s: %s", explorer_where, x->nested ? ", while recovering" : "", what);
}

static const struct model_state *matching(struct explorer *x, struct store *st)
{
    const char *what = model_differs(st, &x->m->state), *other;

    if (!what)
        return &x->m->state;
    if (!x->has_under_way)
        bad_image(x, what);
    other = model_differs(st, &x->under_way);
    if (other) {
        fprintf(stderr, "against the last acknowledged state: %s\n", what);
        bad_image(x, other);
    }
    return &x->under_way;
}

static void check_map(struct explorer *x, struct store *st)
{
    struct store_verify v = {0};

    if (store_verify(st, &v) != STORE_OK)
        bad_image(x, "verification finds damage, or the map is not exact");
}

static struct store_io io_of_image(struct explorer *x)
{
    struct store_io io = image_io(x->image);

    io.fold_limit = x->fold_limit;
    return io;
}

static struct store_io io_of_disk(struct explorer *x)
{
    struct store_io io = simdisk_io(x->disk);

    io.fold_limit = x->fold_limit;
    return io;
}

static void explore_recovery(struct explorer *x, const struct model_state *state);

/** Where the interrupted incarnation may write as long as it does not know: free blocks of its
 * claim. */
static void note_claim(struct explorer *x, struct store *st)
{
    const struct disk_root *h = &st->committed.head;
    int r;

    memset(x->claimed, 0, x->disk->blocks * sizeof(*x->claimed));
    for (uint64_t b = FIRST_DATA; b < h->blocks; b++)
        x->claimed[b] =
            in_ring(h->claim_start, h->claim_length, h->blocks, b) && !map_used(st, b, &r);
}

/** It does: what was under way arrives after all, and the rest of its claim is overwritten. */
static void stale_writes(struct explorer *x)
{
    static const uint8_t junk[STORE_BLOCK] = {1, 2, 3};
    const struct flights *f = &x->disk->flying;

    for (uint64_t b = FIRST_DATA; b < x->disk->blocks; b++)
        if (x->claimed[b])
            image_write(x->image, b, junk);
    for (size_t i = 0; i < f->count; i++)
        if (f->at[i].block >= FIRST_DATA)
            image_write(x->image, f->at[i].block, f->at[i].bytes);
}

static void small_commit(struct model *m, uint64_t seed)
{
    int r = model_try_begin(m);

    for (oid_t oid = 1; oid <= 6 && r == STORE_OK; oid++)
        r = model_try_put(m, oid * 3, OBJECT_PAGE, seed + oid);
    if (r == STORE_OK)
        r = model_try_commit(m);
    if (r)
        model_abort(m);
    if (r && r != STORE_NOSPACE)
        model_fail("%s: recovering: %s", explorer_where, store_error_text(r));
}

/** Claims, commits, lets stale writes arrive, and looks at everything once more. */
static void recover(struct explorer *x, struct store *st, const struct model_state *state)
{
    struct model m = {.io = io_of_image(x), .st = st};
    struct store_info info;
    const char *what;
    int r;

    statistics.recoveries++;
    model_state_copy(&m.state, state);
    if (x->m->state.incarnation > m.state.incarnation)
        m.state.incarnation = x->m->state.incarnation;
    note_claim(x, st);
    model_claim(&m, m.state.current);
    small_commit(&m, statistics.images);
    small_commit(&m, statistics.images + 77);
    store_info(m.st, &info);
    if (info.avoided_blocks) /* else the store was so full that it had to use them */
        stale_writes(x);
    store_close(m.st);
    r = store_open(&m.io, &m.st);
    if (r)
        bad_image(x, "does not open after a stale writer");
    what = model_differs(m.st, &m.state);
    if (what) {
        fprintf(stderr, "after recovery and a stale writer: %s\n", what);
        bad_image(x, what);
    }
    check_map(x, m.st);
    store_close(m.st);
    model_state_free(&m.state);
}

static void judge(struct explorer *x)
{
    struct store_io io = io_of_image(x);
    const struct model_state *state;
    const struct effort *e = x->effort;
    struct store *st;
    int r = store_open(&io, &st);

    statistics.images++;
    if (r)
        bad_image(x, store_error_text(r));
    state = matching(x, st);
    check_map(x, st);
    if (x->image->damages)
        bad_image(x, "damage is reported");
    if (x->nested || !e->deeper || statistics.images % e->deeper || state->count == 0) {
        store_close(st);
        return;
    }
    if (e->twice && statistics.images / e->deeper % e->twice == 0) {
        store_close(st);
        explore_recovery(x, state);
        r = store_open(&io, &st);
        if (r)
            bad_image(x, "it was changed");
    }
    recover(x, st, state);
}

/* --- making images
 * --------------------------------------------------------------------------------- */

static void collect(struct explorer *x)
{
    const struct flights *f = &x->disk->flying;

    x->count = 0;
    for (size_t i = 0; i < f->count; i++)
        for (unsigned s = 0; s < SECTORS_PER_BLOCK; s++) {
            const uint8_t *bytes = f->at[i].bytes + s * SECTOR;
            uint64_t sector = f->at[i].block * SECTORS_PER_BLOCK + s;

            if (memcmp(bytes, x->disk->durable + sector * SECTOR, SECTOR) == 0)
                continue; /* there or not, it is the same */
            if (x->count == x->capacity) {
                x->capacity = x->capacity ? x->capacity * 2 : 1024;
                x->undecided = realloc(x->undecided, x->capacity * sizeof(*x->undecided));
                x->chosen = realloc(x->chosen, x->capacity);
            }
            x->undecided[x->count++] = (struct undecided){sector, bytes, i};
        }
}

/** garbage: index of a sector that is neither old nor new; SIZE_MAX: none. */
static void try_chosen(struct explorer *x, size_t garbage)
{
    image_restore(x->image);
    for (size_t i = 0; i < x->count; i++) {
        uint8_t junk[SECTOR];

        if (i == garbage) {
            for (size_t k = 0; k < SECTOR; k++)
                junk[k] = (uint8_t)(k * 31 + statistics.images);
            image_write_sector(x->image, x->undecided[i].sector, junk);
        } else if (x->chosen[i]) {
            image_write_sector(x->image, x->undecided[i].sector, x->undecided[i].bytes);
        }
    }
    judge(x);
}

static void choose_all(struct explorer *x, bool value)
{
    for (size_t i = 0; i < x->count; i++)
        x->chosen[i] = value;
}

static void try_all_subsets(struct explorer *x)
{
    for (uint64_t set = 0; set < (uint64_t)1 << x->count; set++) {
        for (size_t i = 0; i < x->count; i++)
            x->chosen[i] = set >> i & 1;
        try_chosen(x, SIZE_MAX);
    }
    for (size_t i = 0; i < x->count; i++) {
        choose_all(x, true);
        try_chosen(x, i);
    }
}

/** All or nothing, prefixes, one write missing, one write alone, a torn write. */
static void try_families(struct explorer *x)
{
    size_t writes = x->disk->flying.count, step = writes > 12 ? writes / 8 : 1;

    for (size_t w = 0; w <= writes; w += step) {
        for (size_t i = 0; i < x->count; i++)
            x->chosen[i] = x->undecided[i].write < w;
        try_chosen(x, SIZE_MAX);
        for (size_t i = 0; i < x->count; i++)
            x->chosen[i] = x->undecided[i].write != w;
        try_chosen(x, SIZE_MAX);
        for (size_t i = 0; i < x->count; i++)
            x->chosen[i] = x->undecided[i].write == w;
        try_chosen(x, SIZE_MAX);
        for (size_t i = 0; i < x->count; i++)
            x->chosen[i] =
                x->undecided[i].write < w ||
                (x->undecided[i].write == w && x->undecided[i].sector % 8 < statistics.images % 8);
        try_chosen(x, SIZE_MAX);
    }
    choose_all(x, true);
    try_chosen(x, SIZE_MAX);
}

static void try_random(struct explorer *x, unsigned n)
{
    for (unsigned k = 0; k < n; k++) {
        uint64_t odds = 1 + any(x, 7);

        for (size_t i = 0; i < x->count; i++)
            x->chosen[i] = any(x, 8) < odds;
        try_chosen(x, k % 4 == 0 ? any(x, x->count) : SIZE_MAX);
    }
}

/** A power cut now. */
static void cut(void *ctx)
{
    struct explorer *x = ctx;

    statistics.points++;
    if (x->foresee && !x->has_under_way) {
        x->foresee(x, &x->under_way);
        x->has_under_way = true;
    }
    image_base(x->image, x->disk->durable);
    collect(x);
    if (x->count <= x->effort->exhaustive) {
        if (x->count)
            try_all_subsets(x);
        else
            judge(x);
        return;
    }
    try_families(x);
    try_random(x, x->effort->random);
}

/* --- operations
 * ------------------------------------------------------------------------------------ */

static void foresee_begin(const struct explorer *x, struct model_state *to)
{
    model_after_begin(x->m, to);
}

static void foresee_commit(const struct explorer *x, struct model_state *to)
{
    model_after_commit(x->m, to);
}

static void foresee_claim(const struct explorer *x, struct model_state *to)
{
    model_after_claim(x->m, x->argument, to);
}

static void foresee_drop(const struct explorer *x, struct model_state *to)
{
    model_after_drop(x->m, x->argument, to);
}

static void begin_operation(struct explorer *x,
                            void (*foresee)(const struct explorer *, struct model_state *),
                            uint64_t argument)
{
    x->foresee = foresee;
    x->argument = argument;
}

/** It has returned: from now on only the acknowledged state will do, whatever is still in flight.
 */
static void end_operation(struct explorer *x)
{
    if (x->has_under_way)
        model_state_free(&x->under_way);
    x->has_under_way = false;
    x->foresee = NULL;
    if (x->disk->flying.count)
        cut(x);
}

static void operation_commit(struct explorer *x, unsigned puts, unsigned deletes, bool zero,
                             bool commit)
{
    struct model *m = x->m;
    int r;

    begin_operation(x, foresee_begin, 0);
    r = model_try_begin(m);
    end_operation(x);
    for (unsigned i = 0; i < puts && r == STORE_OK; i++) {
        uint64_t seed = zero ? 0 : 1 + any(x, 1u << 30);

        r = model_try_put(m, 1 + any(x, x->objects), 1 + (uint32_t)any(x, 3), seed);
    }
    for (unsigned i = 0; i < deletes && r == STORE_OK; i++)
        r = model_try_delete(m, deletes > 5 ? 1 + i : 1 + any(x, x->objects));
    if (r == STORE_OK && commit) {
        begin_operation(x, foresee_commit, 0);
        r = model_try_commit(m);
        end_operation(x);
        statistics.commits++;
    }
    if (m->begun)
        model_abort(m);
    if (r && r != STORE_NOSPACE)
        model_fail("%s: %s", explorer_where, store_error_text(r));
}

static void operation_claim(struct explorer *x, uint64_t generation)
{
    begin_operation(x, foresee_claim, generation);
    model_claim(x->m, generation);
    end_operation(x);
}

static void operation_drop(struct explorer *x, uint32_t index)
{
    struct model_state *s = &x->m->state;

    if (s->count <= 2)
        return;
    if (s->kept[index].number == s->current)
        index = index ? index - 1 : 1;
    begin_operation(x, foresee_drop, s->kept[index].number);
    model_drop(x->m, s->kept[index].number);
    end_operation(x);
}

static void foresee_grow(const struct explorer *x, struct model_state *to)
{
    model_after_grow(x->m, x->argument, to);
}

static void operation_grow(struct explorer *x)
{
    uint64_t blocks = x->m->state.blocks + 1 + any(x, 24);

    if (blocks > x->disk->blocks)
        return;
    begin_operation(x, foresee_grow, blocks);
    if (model_try_grow(x->m, blocks))
        model_fail("%s: it cannot grow", explorer_where);
    end_operation(x);
}

static void operation_policy(struct explorer *x)
{
    begin_operation(x, NULL, 0);
    if (store_set_interval(x->m->st, any(x, 1u << 30)))
        model_fail("%s: the interval cannot be set", explorer_where);
    end_operation(x);
}

static void operation_reopen(struct explorer *x)
{
    begin_operation(x, foresee_claim, x->m->state.current);
    model_reopen(x->m);
    end_operation(x);
}

void explorer_run(struct explorer *x, enum operation o)
{
    switch (o) {
    case OPERATION_PUT_ONE:
        operation_commit(x, 1, 0, false, true);
        break;
    case OPERATION_PUT_SOME:
        operation_commit(x, 3 + (unsigned)any(x, 6), 1, false, true);
        break;
    case OPERATION_PUT_MANY:
        operation_commit(x, 10 + (unsigned)any(x, 2 * x->objects), 0, false, true);
        break;
    case OPERATION_PUT_ZERO:
        operation_commit(x, 2, 0, true, true);
        break;
    case OPERATION_DELETE:
        operation_commit(x, 0, 2, false, true);
        break;
    case OPERATION_DELETE_ALL:
        operation_commit(x, 0, x->objects, false, true);
        break;
    case OPERATION_EMPTY:
        operation_commit(x, 0, 0, false, true);
        break;
    case OPERATION_ABORT:
        operation_commit(x, 4, 1, false, false);
        break;
    case OPERATION_RESTART:
        operation_claim(x, x->m->state.current);
        break;
    case OPERATION_GO_BACK:
        operation_claim(x, x->m->state.kept[0].number);
        break;
    case OPERATION_DROP_OLDEST:
        operation_drop(x, 0);
        break;
    case OPERATION_DROP_MIDDLE:
        operation_drop(x, x->m->state.count / 2);
        break;
    case OPERATION_POLICY:
        operation_policy(x);
        break;
    case OPERATION_GROW:
        operation_grow(x);
        break;
    default:
        operation_reopen(x);
        break;
    }
}

enum operation explorer_choose(struct explorer *x)
{
    static const enum operation often[] = {OPERATION_PUT_ONE, OPERATION_PUT_SOME,
                                           OPERATION_PUT_MANY};

    return any(x, 3) ? often[any(x, 3)] : (enum operation)any(x, OPERATIONS);
}

static struct explorer *explorer_on(struct simdisk *disk, unsigned objects, uint64_t seed,
                                    const struct effort *e)
{
    struct explorer *x = calloc(1, sizeof(*x));

    assert(disk->blocks <= 4096);

    x->disk = disk;
    x->image = image_new(disk->blocks);
    x->claimed = calloc(disk->blocks, sizeof(*x->claimed));
    x->effort = e;
    x->objects = objects;
    x->random = seed;
    x->fold_limit = seed % 3 == 0 ? 4 : seed % 3 == 1 ? 24 : 0;
    disk->ctx = x;
    return x;
}

struct explorer *explorer_new(uint64_t blocks, unsigned objects, uint64_t seed,
                              const struct effort *e)
{
    struct explorer *x = explorer_on(simdisk_new(blocks), objects, seed, e);
    struct store_io io = io_of_disk(x);

    x->m = model_new_io(&io, blocks - blocks / 8);
    model_begin(x->m);
    for (oid_t oid = 1; oid <= objects / 2; oid++)
        model_put(x->m, oid, OBJECT_PAGE, seed + oid);
    model_commit(x->m);
    model_claim(x->m, 0);
    x->disk->before_flush = cut;
    return x;
}

void explorer_free(struct explorer *x)
{
    x->disk->before_flush = NULL;
    model_free(x->m);
    simdisk_free(x->disk);
    image_free(x->image);
    free(x->undecided);
    free(x->chosen);
    free(x->claimed);
    free(x);
}

/** The crashes of the next incarnation's first steps, from the image as it is. */
static void explore_recovery(struct explorer *x, const struct model_state *state)
{
    static const struct effort less = {6, 6, 0, 0};
    struct explorer *y = explorer_on(simdisk_from(x->image->bytes, x->disk->blocks), x->objects,
                                     statistics.images, &less);

    y->nested = true;
    y->m = calloc(1, sizeof(*y->m));
    y->fold_limit = x->fold_limit;
    y->m->io = io_of_disk(y);
    if (store_open(&y->m->io, &y->m->st))
        bad_image(x, "it does not open again");
    model_state_copy(&y->m->state, state);
    y->disk->before_flush = cut;
    explorer_run(y, OPERATION_RESTART);
    explorer_run(y, OPERATION_PUT_SOME);
    explorer_free(y);
}

/* --- damage --------------------------------------------------------------------------------------
 */

static void damage_once(struct explorer *x, uint64_t block, uint64_t other)
{
    uint8_t bytes[STORE_BLOCK];
    const uint8_t *now = x->image->bytes + block * STORE_BLOCK;

    memcpy(bytes, now, sizeof(bytes));
    switch (any(x, 4)) {
    case 0: /* a bit turns */
        bytes[any(x, any(x, 2) ? 256 : sizeof(bytes))] ^= (uint8_t)(1u << any(x, 8));
        break;
    case 1: /* a sector is garbage */
        memset(bytes + any(x, 8) * SECTOR, (int)any(x, 256), SECTOR);
        break;
    case 2: /* a write went astray */
        memcpy(bytes, x->image->bytes + other * STORE_BLOCK, sizeof(bytes));
        break;
    default: /* a write was lost */
        memset(bytes, 0, sizeof(bytes));
        break;
    }
    image_write(x->image, block, bytes);
}

/** Every object that can be read must be right; what cannot must have been reported. */
static void believe_nothing(struct explorer *x, struct store *st)
{
    const struct model_state *s = &x->m->state;
    uint64_t page[512], expected[512];

    for (uint32_t k = 0; k < s->count; k++)
        for (oid_t oid = 1; oid < s->kept[k].limit; oid++) {
            const struct model_object *e = &s->kept[k].object[oid];
            struct store_object o;
            uint64_t before = x->image->damages;
            int r = store_get(st, s->kept[k].number, oid, &o, page);

            if (r == STORE_DAMAGED && x->image->damages == before)
                bad_image(x, "damage that nobody reported");
            if (r != STORE_OK && r != STORE_ABSENT && r != STORE_DAMAGED)
                bad_image(x, store_error_text(r));
            if (r == STORE_ABSENT && e->type != OBJECT_NONE)
                bad_image(x, "a damaged object is said not to exist");
            if (r != STORE_OK)
                continue;
            model_bytes(e->seed, oid, expected);
            if (o.type != e->type || o.version != e->version ||
                memcmp(page, expected, sizeof(page)) != 0)
                bad_image(x, "damaged bytes are believed");
        }
}

void explorer_damage(struct explorer *x, unsigned times)
{
    struct store_io io = io_of_image(x);
    uint64_t used[4096];
    size_t count = 0;
    int r;

    if (x->m->begun || x->disk->flying.count)
        return;
    for (uint64_t b = FIRST_DATA; b < x->m->state.blocks && count < 4096; b++)
        if (map_used(x->m->st, b, &r))
            used[count++] = b;
    image_base(x->image, x->disk->current);
    for (unsigned i = 0; i < times; i++) {
        struct store_verify v = {0};
        struct store *st;
        unsigned n = 1 + (unsigned)any(x, 3);

        image_restore(x->image);
        for (unsigned k = 0; k < n; k++)
            damage_once(x, used[any(x, count)], used[any(x, count)]);
        statistics.images++;
        if (store_open(&io, &st))
            bad_image(x, "does not open though its roots are whole");
        believe_nothing(x, st);
        if (x->image->damages && store_verify(st, &v) != STORE_DAMAGED)
            bad_image(x, "verification does not find what reading did");
        store_close(st);
    }
}

/* --- forged stores
 * --------------------------------------------------------------------------------- */

static int look(void *ctx, const struct store_object *o)
{
    (void)ctx;
    return o->type == 0;
}

/** Does everything with it, without asking for success. */
static void use_all(struct store *st)
{
    struct store_generation g;
    struct store_verify v = {0};
    struct store_object o;
    uint64_t page[512], incarnation;
    struct store_info info;

    store_verify(st, &v);
    for (uint32_t i = 0; i < 8 && store_generation(st, i, &g) == STORE_OK; i++) {
        store_walk(st, g.number, 0, look, NULL);
        for (oid_t oid = 1; oid < 20; oid++)
            store_get(st, g.number, oid, &o, page);
    }
    if (store_claim(st, STORE_NEWEST, 1, "forged", 1, &incarnation))
        return;
    for (unsigned round = 0; round < 2; round++) {
        store_info(st, &info);
        if (store_begin(st, info.next_generation))
            break;
        memset(page, 7, sizeof(page));
        for (oid_t oid = 1; oid < 12; oid++)
            if (store_put(st, oid * (round + 1), OBJECT_PAGE, 1, page))
                break;
        if (store_commit(st, 1, STORE_MADE_ASKED))
            store_abort(st);
    }
    store_info(st, &info);
    if (store_generation(st, 0, &g) == STORE_OK)
        store_drop(st, g.number);
}

static void forge_block(struct explorer *x, uint64_t block)
{
    uint8_t bytes[STORE_BLOCK];
    uint64_t *word = (uint64_t *)bytes;

    memcpy(bytes, x->image->bytes + block * STORE_BLOCK, sizeof(bytes));
    for (unsigned n = 1 + (unsigned)any(x, 6); n > 0; n--) {
        size_t at = any(x, any(x, 2) ? 64 : 512);

        switch (any(x, 4)) {
        case 0:
            bytes[at * 8 + any(x, 8)] = (uint8_t)any(x, 256);
            break;
        case 1:
            word[at] = any(x, 300);
            break;
        case 2:
            word[at] = word[any(x, 64)];
            break;
        default:
            word[at] = (uint64_t)0 - any(x, 3);
            break;
        }
    }
    image_write(x->image, block, bytes);
}

void explorer_forge(struct explorer *x, unsigned times)
{
    struct store_io io = io_of_image(x);
    uint64_t used[4096];
    size_t count = 0;
    int r;

    for (uint64_t b = FIRST_DATA; b < x->m->state.blocks && count < 4000; b++)
        if (map_used(x->m->st, b, &r) &&
            ((const struct disk_node *)(x->disk->current + b * STORE_BLOCK))->magic == NODE_MAGIC)
            used[count++] = b;
    if (MUTATED(MUTATION_ROOT_CHECKSUM))
        for (count = 0; count < ROOT_SLOTS; count++)
            used[count] = ROOT_FIRST + count * ROOT_SLOT_BLOCKS;
    image_base(x->image, x->disk->current);
    for (unsigned i = 0; i < times && count; i++) {
        struct store *st;

        image_restore(x->image);
        for (unsigned k = 1 + (unsigned)any(x, 3); k > 0; k--)
            forge_block(x, used[any(x, count)]);
        statistics.images++;
        if (store_open(&io, &st) == STORE_OK)
            use_all(st);
        store_close(st);
    }
}
