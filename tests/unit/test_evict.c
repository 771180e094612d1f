// sources: ../../nucleus/object.c ../../nucleus/snapshot.c ../../nucleus/share.c
// sources: ../../nucleus/evict.c ../../nucleus/segment.c
/*
 * What leaves memory and what stays: real objects, page tables and eviction over a small memory, a
 * store that makes every node and page when it is fetched, and programs that are only the sequence
 * of pages they touch. Everything is counted, nothing is timed, so each run gives the same numbers.
 */
#include "fake_objects.h"

#define FRAMES  1200u
#define RESERVE 40u

struct queue memory_waiters;

/* --- frames: a few, and the count of each kind ------------------------------------------------ */

static uint8_t *arena;
static struct object *owner[FRAMES];
static uint8_t kind[FRAMES];
static size_t available, table_frames;
static uint64_t *parents[FRAMES]; /* of page tables */
static unsigned entries[FRAMES];

static size_t frame_number(const void *p)
{
    size_t n = ((uintptr_t)p - (uintptr_t)arena) / 4096;
    ck_assert_uint_lt(n, FRAMES);
    return n;
}

void *frame_allocate(enum frame_use use, bool common)
{
    if (available == 0 || (!common && available <= RESERVE))
        return NULL;
    size_t n = 0;
    while (kind[n] != FRAME_FREE)
        n++;
    kind[n] = (uint8_t)use;
    owner[n] = NULL;
    parents[n] = NULL;
    entries[n] = 0;
    available--;
    table_frames += use == FRAME_TABLE;
    return arena + n * 4096;
}

void frame_free(void *frame)
{
    size_t n = frame_number(frame);
    ck_assert_int_ne(kind[n], FRAME_FREE);
    table_frames -= kind[n] == FRAME_TABLE;
    kind[n] = FRAME_FREE;
    available++;
}

void frame_set_object(void *frame, struct object *o)
{
    owner[frame_number(frame)] = o;
}

struct object *frame_object(uint64_t physical)
{
    size_t n = ((uintptr_t)frame_pointer(physical) - (uintptr_t)arena) / 4096;
    return n < FRAMES && kind[n] == FRAME_OBJECT ? owner[n] : NULL;
}

void frame_set_parent(void *table, uint64_t *entry)
{
    parents[frame_number(table)] = entry;
}

uint64_t *frame_parent(const void *table)
{
    return parents[frame_number(table)];
}

unsigned frame_entries(const void *entry, int change)
{
    return entries[frame_number(entry)] += (unsigned)change;
}

size_t frame_count(void)
{
    return FRAMES;
}

bool frame_scarce(void)
{
    return available <= RESERVE + 8;
}

bool frame_low(void)
{
    return available < RESERVE + 40;
}

void *slab_allocate(struct slab *s, bool common)
{
    void *piece = s->free;
    (void)common;
    if (piece == NULL)
        return calloc(1, s->size);
    s->free = *(void **)piece;
    return memset(piece, 0, s->size);
}

/* Pieces stay readable, as those of real slabs: paging.c looks at the stamps of spaces that are
 * gone.
 */
void slab_free(struct slab *s, void *piece)
{
    *(void **)piece = s->free;
    s->free = piece;
}

/* --- page tables: the real ones, of which only the walk of the processor is played ------------ */

uint8_t load_start[1], boot_end[1], text_start[1], rodata_start[1], data_start[1], nucleus_end[1];
#define write_cr3(value)      ((void)(value))
#define invalidate_page(page) ((void)(page))
#include "../../nucleus/x86_64/paging.c"

/* --- the rest of the nucleus ------------------------------------------------------------------ */

static struct activity programs[4];
static unsigned notified[DISTRICT_MAX];

int domain_attach(struct object *o)
{
    o->aux = &programs[o->district];
    programs[o->district].domain = o;
    object_district(o)->domains++;
    return BW_OK;
}

void domain_detach(struct object *o)
{
    object_district(o)->domains--;
    o->aux = NULL;
}

void district_load(struct district *d)
{
    (void)d;
}

void district_notify(struct district *d)
{
    notified[d->slot]++;
}

static oid_t wanted;
void district_want(struct district *d, oid_t oid)
{
    (void)d;
    wanted = oid;
}

/* --- the store: a segment of height 3, whose nodes' and pages' ids follow from their place ---- */

#define HEIGHT   3u
#define ROOT     OID_FIRST_FREE
#define NODES(h) (ROOT + ((oid_t)(h) << 32)) /* of height h; 0: pages */
#define DOMAIN   NODES(HEIGHT + 1)

static struct key root_key(void)
{
    return (struct key){.type = KEY_SEGMENT,
                        .rights = RIGHT_WRITE,
                        .tag = HEIGHT,
                        .version = 1,
                        .value = NODES(HEIGHT)};
}

/** As stored answers a page fault. @return BW_OK, BW_NOMEM */
static int supply(struct district *d, oid_t oid)
{
    static struct key slots[BW_NODE_SLOTS];
    unsigned height = (unsigned)((oid - ROOT) >> 32);
    if (height == 0)
        return object_install(d, oid, OBJECT_PAGE, 1, NULL);
    for (unsigned i = 0; i < BW_NODE_SLOTS; i++)
        slots[i] =
            (struct key){.type = height > 1 ? KEY_SEGMENT : KEY_PAGE,
                         .rights = RIGHT_WRITE,
                         .tag = height > 1 ? (uint16_t)(height - 1) : 0,
                         .version = 1,
                         .value = NODES(height - 1) + (oid - NODES(height)) * BW_NODE_SLOTS + i};
    return object_install(d, oid, OBJECT_NODE, 1, (const uint8_t *)slots);
}

/* --- programs --------------------------------------------------------------------------------- */

static uint64_t fetches[4]; /* pages and nodes, by district */

/** The scheduler between two invocations. */
static void between(void)
{
    if (frame_low())
        evict_step();
}

static void fetch(struct district *d)
{
    int r;
    for (unsigned i = 0; (r = supply(d, wanted)) == BW_NOMEM; i++) {
        ck_assert_msg(i < 1000, "eviction does not come to an end");
        evict_step();
    }
    ck_assert_int_eq(r, BW_OK);
    fetches[d->slot]++;
}

/** The program of a district reads or writes a page. @return BW_OK, WAIT_COMMIT */
static int touch(struct district *d, uint64_t page, bool write)
{
    struct activity *a = &programs[d->slot];
    uint64_t address = page * BW_PAGE_SIZE;
    for (unsigned tries = 0; tries < 50; tries++) {
        between();
        int r = paging_attach(a);
        if (r == BW_OK && a->space->epoch != d->epoch) { /* as paging_switch */
            a->space->epoch = d->epoch;
            for (unsigned i = 0; i < 256; i++)
                a->space->top[i] &= ~W;
        }
        if (r == BW_OK && (write ? paging_writable(a, address) : paging_readable(a, address)))
            return BW_OK;
        if (r == BW_OK)
            r = paging_fault(a, address, 4 | (write ? 2 : 0));
        if (r == WAIT_OBJECT)
            fetch(d);
        else if (r == WAIT_MEMORY)
            evict_step();
        else if (r != BW_OK)
            return r;
    }
    ck_abort_msg("page %lu of district %u is fetched in vain", (unsigned long)page, d->slot);
}

static void read_page(struct district *d, uint64_t page)
{
    ck_assert_int_eq(touch(d, page, false), BW_OK);
}

static struct district *start(unsigned slot)
{
    struct district *d = &districts[slot];
    struct object *domain;
    d->slot = (uint16_t)slot;
    d->persistent = true;
    d->state = DISTRICT_RUNNING;
    d->epoch = 2;
    d->budget = INT64_MAX;
    ck_assert_int_eq(object_create(d, OID_SYSTEM, OBJECT_PAGE, &d->system), BW_OK);
    ck_assert_int_eq(object_create(d, DOMAIN, OBJECT_DOMAIN, &domain), BW_OK);
    ((struct domain_frame *)domain->data)->segment = root_key();
    return d;
}

static void set_up(void)
{
    if (arena == NULL) {
        arena = aligned_alloc(4096, FRAMES * 4096);
        object_init(4096);
        nucleus_top = aligned_alloc(4096, 4096);
    }
    memset(kind, FRAME_FREE, sizeof kind);
    memset(fetches, 0, sizeof fetches);
    memset(districts, 0, sizeof districts);
    available = FRAMES;
    table_frames = 0;
}

static void tear_down(void)
{
    for (unsigned i = 1; i < 4; i++)
        while (districts[i].all != NULL)
            object_discard(districts[i].all);
    ck_assert_uint_eq(available, FRAMES);
}

/** Snapshot, pull and commit at once. */
static void checkpoint(struct district *d)
{
    uint64_t objects, ticks;
    struct object_header header;
    const uint8_t *bytes;
    if (snapshot_begin(d, &objects, &ticks) != BW_OK)
        return;
    for (struct object *o; (o = snapshot_next(d, NULL)) != NULL;) {
        ck_assert_int_eq(snapshot_describe(o, &header, &bytes), BW_OK);
        snapshot_pulled(d, o);
    }
    ck_assert_int_eq(snapshot_committed(d, d->snapshot_epoch), BW_OK);
}

static uint64_t seed = 1;
static uint64_t chance(uint64_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % n;
}

/* --- tests ------------------------------------------------------------------------------------ */

/** A hot set is touched while a scan of many times the memory goes by. */
START_TEST(hot_set_stays)
{
    enum { HOT = 400, SCAN = 20000, FAR = 100000 };
    struct district *d = start(1);
    for (unsigned i = 0; i < HOT; i++)
        read_page(d, i);
    uint64_t before = fetches[1], cold = 0;
    for (unsigned i = 0; i < SCAN; i++) {
        uint64_t start = fetches[1];
        read_page(d, FAR + i);
        cold += fetches[1] - start;
        for (unsigned k = 0; k < 4; k++)
            read_page(d, (i * 4 + k) % HOT);
    }
    uint64_t again = fetches[1] - before - cold;
    ck_assert_uint_ge(cold, SCAN);
    ck_assert_msg(again == 0, "%lu of the hot set were fetched again", again);
}
END_TEST

/** What is used more seldom is fetched more often, and nothing used at random does worse than by
 * chance. */
START_TEST(use_decides)
{
    enum { FEW = 300, MANY = 3000, TOUCHES = 60000 };
    struct district *d = start(1);
    uint64_t few = 0, many = 0, few_fetches = 0, many_fetches = 0;
    for (unsigned i = 0; i < TOUCHES; i++) {
        bool first = chance(2);
        uint64_t before = fetches[1];
        read_page(d, first ? chance(FEW) : 1000 + chance(MANY));
        *(first ? &few : &many) += 1;
        *(first ? &few_fetches : &many_fetches) += fetches[1] - before;
    }
    ck_assert_uint_lt(few_fetches * 20, few); /* of every 20 touches fewer than one */
    ck_assert_uint_lt(many_fetches * 10, many * 9);
}
END_TEST

/** Two that want all memory have the same of it, however fast each is. */
START_TEST(equals_share)
{
    enum { PAGES = 4000, ROUNDS = 20000 };
    struct district *a = start(1), *b = start(2);
    for (unsigned i = 0; i < ROUNDS; i++) {
        read_page(a, chance(PAGES));
        for (unsigned k = 0; k < 5; k++)
            read_page(b, chance(PAGES));
    }
    size_t difference = a->objects > b->objects ? a->objects - b->objects : b->objects - a->objects;
    ck_assert_uint_lt(difference * 5, a->objects); /* evict.c frees some at a time */
}
END_TEST

/** Of two that want all memory, one with three times the share of the other has three times as
 * much. */
START_TEST(shares_count)
{
    enum { PAGES = 4000, ROUNDS = 20000 };
    struct district *a = start(1), *b = start(2);
    a->share = 3 * SHARE_USUAL;
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned k = 0; k < 5; k++)
            read_page(a, chance(PAGES));
        for (unsigned k = 0; k < 5; k++)
            read_page(b, chance(PAGES));
    }
    size_t expected = 3 * b->objects;
    size_t difference = a->objects > expected ? a->objects - expected : expected - a->objects;
    ck_assert_uint_lt(difference * 4, a->objects);
}
END_TEST

/** A small working set is not touched by a large neighbour's greed, even while it rests. */
START_TEST(small_one_stays)
{
    enum { SMALL = 300, SCAN = 20000 };
    struct district *small = start(1), *large = start(2);
    for (unsigned i = 0; i < SMALL; i++)
        read_page(small, i);
    uint64_t before = fetches[1];
    for (unsigned i = 0; i < SCAN; i++)
        touch(large, i, true) == BW_OK ? (void)0 : checkpoint(large);
    for (unsigned i = 0; i < SMALL; i++)
        read_page(small, i);
    ck_assert_uint_eq(fetches[1], before);
}
END_TEST

/** Page tables with a single page each do not fill the memory. */
START_TEST(sparse_tables_go)
{
    struct district *d = start(1);
    for (uint64_t i = 0; i < 6000; i++)
        read_page(d, i * 512);
    ck_assert_uint_lt(table_frames, FRAMES / 2);
    uint64_t before = fetches[1];
    for (uint64_t i = 5950; i < 6000; i++)
        read_page(d, i * 512);
    ck_assert_uint_eq(fetches[1], before); /* the last ones are still there */
}
END_TEST

/** The program's other view of the same memory: page tables of their own. */
static void change_view(struct district *d)
{
    struct domain_frame *f = (struct domain_frame *)programs[d->slot].domain->data;
    f->segment.rights ^= RIGHT_EXECUTE;
    programs[d->slot].space = NULL;
}

/** Pages in the tables of two are kept while one of them uses them, and leave when neither does. */
START_TEST(shared_pages_leave)
{
    enum { SHARED = 600, HOT = 200, FAR = 100000 };
    struct district *d = start(1);
    for (unsigned i = 0; i < 2 * SHARED; i++) {
        read_page(d, i % SHARED);
        if (i % SHARED == 0)
            change_view(d);
    }
    uint64_t before = fetches[1], cold = 0;
    for (unsigned i = 0; i < 6000; i++) {
        uint64_t at = fetches[1];
        read_page(d, FAR + i);
        cold += fetches[1] - at;
        for (unsigned k = 0; k < 4; k++)
            read_page(d, (i * 4 + k) % HOT);
    }
    unsigned left = 0;
    for (unsigned i = HOT; i < SHARED; i++)
        left += object_lookup(d, NODES(0) + i) != NULL;
    ck_assert_uint_eq(fetches[1] - before - cold, 0);
    ck_assert_uint_lt(left, 20);
}
END_TEST

/** A page that is destroyed is in nobody's tables any more, and its neighbours are. */
START_TEST(destroyed_page_is_unmapped)
{
    struct district *d = start(1);
    struct activity *a = &programs[1];
    for (unsigned i = 0; i < 3; i++)
        read_page(d, i);
    ck_assert_int_eq(object_destroy(d, NODES(0) + 1), BW_OK);
    ck_assert_ptr_null(paging_readable(a, BW_PAGE_SIZE));
    ck_assert_ptr_nonnull(paging_readable(a, 0));
    ck_assert_ptr_nonnull(paging_readable(a, 2 * BW_PAGE_SIZE));
    change_view(d);
    for (unsigned i = 2; i < 4; i++)
        read_page(d, i);
    ck_assert_int_eq(object_destroy(d, NODES(0) + 2), BW_OK); /* in the tables of two */
    ck_assert_ptr_null(paging_readable(a, 2 * BW_PAGE_SIZE));
    change_view(d);
    ck_assert_int_eq(paging_attach(a), BW_OK);
    ck_assert_ptr_null(paging_readable(a, 2 * BW_PAGE_SIZE));
}
END_TEST

/** Nothing but writes: something can be evicted at all times, a checkpoint is asked for before
 * anybody must wait for it, and one district's dirt does not stop another. */
START_TEST(dirt_is_bounded)
{
    struct district *a = start(1), *b = start(2);
    notified[1] = 0;
    uint64_t page = 0, asked_at = 0;
    while (touch(a, page, true) == BW_OK) {
        ck_assert_uint_lt(page, FRAMES);
        page++;
        asked_at = asked_at == 0 && a->pressed ? page : asked_at;
    }
    ck_assert_uint_gt(asked_at, 0);
    ck_assert_uint_lt(asked_at, page * 2 / 3);
    ck_assert_uint_lt(a->changes[a->epoch & 1].count, FRAMES * 2 / 3);
    size_t dirty = a->changes[a->epoch & 1].count;
    for (uint64_t i = 0; i < 2000; i++) /* a's standstill is a's alone */
        ck_assert_int_eq(touch(b, chance(4000), false), BW_OK);
    ck_assert_uint_eq(a->changes[a->epoch & 1].count, dirty);
    for (uint64_t i = 0; i < 70; i++)
        ck_assert_int_eq(touch(b, i, true), BW_OK);
    checkpoint(a);
    ck_assert_int_eq(touch(a, page, true), BW_OK);
}
END_TEST

/** While a snapshot is written out what it holds stays, and the district goes on. */
START_TEST(under_a_snapshot)
{
    struct district *d = start(1);
    uint64_t objects, ticks;
    for (uint64_t i = 0; i < 300; i++)
        ck_assert_int_eq(touch(d, i, true), BW_OK);
    ck_assert_int_eq(snapshot_begin(d, &objects, &ticks), BW_OK);
    for (unsigned i = 0; i < 100; i++)
        snapshot_pulled(d, snapshot_next(d, NULL));
    uint64_t stopped = 0;
    for (uint64_t i = 0; i < 3000; i++)
        stopped += touch(d, chance(4000), chance(3) == 0) != BW_OK;
    ck_assert_uint_gt(stopped, 0);
    for (unsigned i = 0; i < 300; i++) /* pulled or not, the store does not have it for certain */
        ck_assert_ptr_nonnull(object_lookup(d, NODES(0) + i));
    for (struct object *o; (o = snapshot_next(d, NULL)) != NULL;)
        snapshot_pulled(d, o);
    ck_assert_int_eq(snapshot_committed(d, d->snapshot_epoch), BW_OK);
    checkpoint(d);
    for (uint64_t i = 0; i < 300; i++)
        ck_assert_int_eq(touch(d, 4000 + i, true), BW_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("evict");
    TCase *c = tcase_create("evict");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, hot_set_stays);
    tcase_add_test(c, use_decides);
    tcase_add_test(c, equals_share);
    tcase_add_test(c, shares_count);
    tcase_add_test(c, small_one_stays);
    tcase_add_test(c, sparse_tables_go);
    tcase_add_test(c, shared_pages_leave);
    tcase_add_test(c, destroyed_page_is_unmapped);
    tcase_add_test(c, dirt_is_bounded);
    tcase_add_test(c, under_a_snapshot);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
