// sources: ../../userland/unix/vm.c ../../userland/unix/pages.c ../../userland/unix/share.c
// sources: ../../userland/unix/shared.c ../../userland/unix/pages_change.c
/*
 * Address spaces of the personality over a simulated nucleus: objects, nodes and slots as in the
 * real one, each misuse an assertion. A model says what every byte must be; random operations on
 * several spaces (map, unmap, protect, fork, write, move, forget, end) are compared with it, and at
 * the end nothing may be left: no object, no count.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bailiwick/key.h>
#include "space.h"
#include "unix.h"
#include "vm.h"

/* --- the simulated nucleus -------------------------------------------------------------------- */

#define SPACES  24
#define OBJECTS 200000
/** The model looks at 512 pages around a 1 MiB border */
#define REGION_BASE  (SPACE_TOP - 0x40000000ull)
#define REGION_START 0x20080000ull
#define REGION_PAGES 512u
#define FILE_PAGES   32u

struct object {
    bool alive, node;
    uint8_t byte[4]; /* of 4096: enough to tell pages apart */
};

struct slot {
    bool used;
    bool file;
    unsigned page; /* of the file */
    uint64_t id;
    unsigned rights;
};

struct fake_space {
    bool alive;
    bool table[4],
        leaf[8]; /* nodes of height 2 for 256 MiB each, of height 1 for the region's MiB */
    uint64_t table_id[4], leaf_id[8];
    struct slot slot[REGION_PAGES + 1];
};

static struct object object[OBJECTS];
static uint64_t next_id;
static struct fake_space fake[SPACES];
static struct object file_pages[FILE_PAGES];
static bool file_hole[FILE_PAGES];
static unsigned file_key_page;
static long fail_in = -1; /* operations until one fails for lack of memory */

static bool failing(void)
{
    return fail_in >= 0 && fail_in-- == 0;
}

/** The store is full now and then. */
bool space_take_page(const struct space *s)
{
    (void)s;
    return !failing();
}

static unsigned page_of(uint64_t a)
{
    ck_assert(a >= REGION_START && a < REGION_START + REGION_PAGES * PAGE);
    return (unsigned)((a - REGION_START) / PAGE);
}

static unsigned leaf_of(uint64_t a)
{
    return (unsigned)((a - (REGION_START & ~0xfffffull)) >> 20);
}

static struct fake_space *space_of(uint16_t key)
{
    ck_assert(key >= 1 && key <= SPACES && fake[key - 1].alive);
    return &fake[key - 1];
}

static void object_make(uint64_t id, bool node, const struct object *model)
{
    ck_assert(id < OBJECTS && !object[id].alive);
    object[id] = (struct object){.alive = true, .node = node};
    if (model) {
        memcpy(object[id].byte, model->byte, sizeof model->byte);
    }
}

uint64_t object_ids(uint64_t count)
{
    uint64_t first = next_id;

    next_id += count;
    ck_assert(next_id < OBJECTS);
    return first;
}

int64_t machine_space_create(struct handle *h)
{
    if (failing()) {
        return BW_NOMEM;
    }
    for (h->slot = 0; fake[h->slot].alive; h->slot++) {
        ck_assert(h->slot + 1 < SPACES);
    }
    memset(&fake[h->slot], 0, sizeof fake[h->slot]);
    fake[h->slot].alive = true;
    h->id = object_ids(1);
    object_make(h->id, true, NULL);
    return BW_OK;
}

void machine_forget(struct handle *h)
{
    fake[h->slot].alive = false;
}

uint16_t machine_key(const struct handle *h)
{
    return (uint16_t)(h->slot + 1);
}

void machine_destroy(uint64_t id)
{
    ck_assert(id < OBJECTS && object[id].alive);
    object[id].alive = false;
}

void machine_destroy_flush(void)
{
}

static struct slot *slot_of(uint16_t space, uint64_t a)
{
    struct fake_space *s = space_of(space);

    ck_assert(s->leaf[leaf_of(a)]);
    return &s->slot[page_of(a)];
}

static struct object *slot_object(struct slot *slot)
{
    return slot->file ? &file_pages[slot->page] : &object[slot->id];
}

int64_t machine_page_create(uint16_t space, uint64_t a, unsigned rights, uint64_t id, uint16_t from)
{
    struct slot *slot = slot_of(space, a);

    ck_assert(!slot->used && (rights & 3) != 3);
    if (failing()) {
        return BW_NOSPACE;
    }
    object_make(id, false, from ? &file_pages[file_key_page] : NULL);
    *slot = (struct slot){.used = true, .id = id, .rights = rights};
    return BW_OK;
}

int64_t machine_page_copy(uint16_t space, uint64_t a, unsigned rights, uint64_t id)
{
    struct slot *slot = slot_of(space, a);

    ck_assert(slot->used);
    if (failing()) {
        return BW_NOSPACE;
    }
    object_make(id, false, slot_object(slot));
    *slot = (struct slot){.used = true, .id = id, .rights = rights};
    return BW_OK;
}

int64_t machine_node_create(uint16_t space, uint64_t a, unsigned height, uint64_t id)
{
    struct fake_space *s = space_of(space);

    if (failing()) {
        return BW_NOSPACE;
    }
    object_make(id, true, NULL);
    if (height == 2) {
        ck_assert(!s->table[a >> 28]);
        s->table[a >> 28] = true;
        s->table_id[a >> 28] = id;
    } else {
        ck_assert(s->table[a >> 28] && !s->leaf[leaf_of(a)]);
        s->leaf[leaf_of(a)] = true;
        s->leaf_id[leaf_of(a)] = id;
    }
    return BW_OK;
}

static void for_leaf_slots(uint64_t a, unsigned *first, unsigned *end)
{
    uint64_t start = a & ~0xfffffull, stop = start + 0x100000;

    start = start > REGION_START ? start : REGION_START;
    if (stop > REGION_START + REGION_PAGES * PAGE) {
        stop = REGION_START + REGION_PAGES * PAGE;
    }
    *first = page_of(start);
    *end = page_of(stop - PAGE) + 1;
}

int64_t machine_node_fork(uint16_t space, uint16_t source, uint64_t a, uint64_t id)
{
    struct fake_space *from = space_of(source);
    unsigned first, end;

    ck_assert(from->leaf[leaf_of(a)]);
    if (machine_node_create(space, a, 1, id) != BW_OK) {
        return BW_NOSPACE;
    }
    for_leaf_slots(a, &first, &end);
    for (unsigned i = first; i < end; i++) {
        from->slot[i].rights &= ~RIGHT_WRITE;
        space_of(space)->slot[i] = from->slot[i];
    }
    return BW_OK;
}

int64_t machine_node_destroy(uint16_t space, uint64_t a, unsigned height)
{
    struct fake_space *s = space_of(space);
    unsigned first, end;

    if (height == 2) {
        ck_assert(s->table[a >> 28]);
        s->table[a >> 28] = false;
        machine_destroy(s->table_id[a >> 28]);
        return BW_OK;
    }
    ck_assert(s->leaf[leaf_of(a)]);
    s->leaf[leaf_of(a)] = false;
    machine_destroy(s->leaf_id[leaf_of(a)]);
    for_leaf_slots(a, &first, &end);
    for (unsigned i = first; i < end; i++) {
        ck_assert(!s->slot[i].used);
    }
    return BW_OK;
}

int64_t machine_page_put(uint16_t space, uint64_t a, uint16_t key, unsigned rights)
{
    ck_assert(key == KR_FILE_PAGE && (rights & 3) != 3);
    *slot_of(space, a) =
        (struct slot){.used = true, .file = true, .page = file_key_page, .rights = rights};
    return BW_OK;
}

int64_t machine_page_put_id(uint16_t space, uint64_t a, uint64_t id, unsigned rights)
{
    ck_assert(object[id].alive && !slot_of(space, a)->used && (rights & 3) != 3);
    *slot_of(space, a) = (struct slot){.used = true, .id = id, .rights = rights};
    return BW_OK;
}

int64_t machine_rights(uint16_t space, uint64_t a, unsigned count, unsigned rights)
{
    ck_assert((rights & 3) != 3);
    for (unsigned i = 0; i < count; i++) {
        struct slot *slot = slot_of(space, a + i * PAGE);

        ck_assert(slot->used);
        slot->rights = rights;
    }
    return BW_OK;
}

int64_t machine_clear(uint16_t space, uint64_t a, unsigned count, bool destroy)
{
    for (unsigned i = 0; i < count; i++) {
        struct slot *slot = slot_of(space, a + i * PAGE);

        ck_assert(slot->used);
        if (destroy) {
            ck_assert(!slot->file);
            machine_destroy(slot->id);
        }
        slot->used = false;
    }
    return BW_OK;
}

/** One access of a processor. @return false: page fault */
static bool access_byte(uint16_t key, uint64_t a, unsigned access, uint8_t *byte)
{
    struct fake_space *s = space_of(key);
    struct slot *slot;

    if (a < REGION_START || a >= REGION_START + REGION_PAGES * PAGE || !s->leaf[leaf_of(a)]) {
        return false;
    }
    slot = &s->slot[page_of(a)];
    if (!slot->used || (access == VM_WRITE && !(slot->rights & RIGHT_WRITE)) ||
        (access == VM_EXEC && !(slot->rights & RIGHT_EXECUTE))) {
        return false;
    }
    ck_assert(slot->file || object[slot->id].alive);
    if (access == VM_WRITE) {
        slot_object(slot)->byte[a & 3] = *byte;
    } else {
        *byte = slot_object(slot)->byte[a & 3];
    }
    return true;
}

static int64_t bytes(uint16_t space, uint64_t a, uint8_t *p, size_t n, unsigned access,
                     uint64_t *at, size_t *done)
{
    for (*done = 0; *done < n; ++*done) {
        *at = a + *done;
        if (!access_byte(space, a + *done, access, p + *done)) {
            return BW_FAULT;
        }
    }
    return BW_OK;
}

int64_t machine_read(uint16_t space, uint64_t a, void *to, size_t n, uint64_t *at, size_t *done)
{
    return bytes(space, a, to, n, VM_READ, at, done);
}

int64_t machine_write(uint16_t space, uint64_t a, const void *from, size_t n, uint64_t *at,
                      size_t *done)
{
    return bytes(space, a, (uint8_t *)(uintptr_t)from, n, VM_WRITE, at, done);
}

int64_t machine_zero(uint16_t space, uint64_t a, size_t n, uint64_t *at, size_t *done)
{
    for (*done = 0; *done < n; ++*done) {
        uint8_t zero = 0;

        *at = a + *done;
        if (!access_byte(space, a + *done, VM_WRITE, &zero)) {
            return BW_FAULT;
        }
    }
    return BW_OK;
}

/* --- the file side ---------------------------------------------------------------------------- */

struct file {
    unsigned references;
};
static struct file the_file;
static uint64_t the_size = FILE_PAGES * BW_PAGE_SIZE;

void file_hold(struct file *f)
{
    f->references++;
}

void file_release(struct file *f)
{
    ck_assert(f->references > 0);
    f->references--;
}

bool file_is_regular(const struct file *f)
{
    return f != NULL;
}

uint32_t file_inode(const struct file *f)
{
    (void)f;
    return 7;
}

uint64_t file_size(const struct file *f)
{
    (void)f;
    return the_size;
}

int file_page(struct file *f, uint64_t offset, bool write, uint16_t to)
{
    (void)f;
    ck_assert(to == KR_FILE_PAGE && offset / PAGE < FILE_PAGES);
    if (file_hole[offset / PAGE] && !write) {
        return -ENXIO;
    }
    file_hole[offset / PAGE] = false;
    file_key_page = (unsigned)(offset / PAGE);
    return 0;
}

/* --- the model -------------------------------------------------------------------------------- */

enum backing { NOTHING, PRIVATE, SHARED, FILE_PRIVATE, FILE_SHARED };

struct model_page {
    enum backing backing;
    unsigned prot;
    unsigned file_page;
    uint8_t *shared; /* four bytes that several spaces see */
    bool copied;     /* FILE_PRIVATE: it has bytes of its own */
    uint8_t own[4];
};

struct model {
    struct space *space;
    struct model_page page[REGION_PAGES];
};

static struct model model[SPACES];
static uint8_t pool[100000][4];
static unsigned pool_used;

static uint8_t *model_bytes(struct model_page *p)
{
    switch (p->backing) {
    case SHARED:
        return p->shared;
    case FILE_SHARED:
        return file_pages[p->file_page].byte;
    case FILE_PRIVATE:
        return p->copied ? p->own : file_pages[p->file_page].byte;
    default:
        return p->own;
    }
}

/** A private mapping of a hole gets a page of its own at the first access of any kind. */
static void touch(struct model_page *p)
{
    if (p->backing == FILE_PRIVATE && !p->copied && file_hole[p->file_page]) {
        p->copied = true;
        memset(p->own, 0, sizeof p->own);
    }
}

static void check_read(struct model *m, unsigned page)
{
    struct model_page *p = &m->page[page];
    uint8_t got[4] = {0};
    size_t n = space_read(m->space, got, REGION_START + page * PAGE, 4);

    if (!p->backing || !p->prot) {
        ck_assert_uint_eq(n, 0);
        return;
    }
    ck_assert_uint_eq(n, 4);
    touch(p);
    ck_assert_mem_eq(got, model_bytes(p), 4);
}

static void check_write(struct model *m, unsigned page)
{
    struct model_page *p = &m->page[page];
    uint8_t value[4] = {(uint8_t)rand(), (uint8_t)rand(), (uint8_t)rand(), (uint8_t)rand()};
    size_t n = space_write(m->space, REGION_START + page * PAGE, value, 4);

    if (!p->backing || !(p->prot & VM_WRITE)) {
        ck_assert_uint_eq(n, 0);
        return;
    }
    ck_assert_uint_eq(n, 4);
    if (p->backing == FILE_PRIVATE) {
        p->copied = true;
    }
    memcpy(model_bytes(p), value, 4);
}

static void check_execute(struct model *m, unsigned page)
{
    struct model_page *p = &m->page[page];
    uint64_t a = REGION_START + page * PAGE;
    uint8_t byte;
    int r = 0;

    for (int i = 0; i < 3 && !access_byte(machine_key(&m->space->root), a, VM_EXEC, &byte); i++) {
        r = space_fault(m->space, a, VM_EXEC);
        if (r) {
            break;
        }
    }
    ck_assert_int_eq(r == 0, p->backing && (p->prot & VM_EXEC));
    if (r == 0) {
        touch(p);
    }
}

static void do_map(struct model *m, unsigned first, unsigned n, enum backing backing, unsigned prot)
{
    struct shared_memory *memory = backing == SHARED ? shared_new(n) : NULL;
    bool file = backing == FILE_PRIVATE || backing == FILE_SHARED,
         shared = backing == SHARED || backing == FILE_SHARED;
    unsigned file_first = (unsigned)rand() % (FILE_PAGES - (n < FILE_PAGES ? n : FILE_PAGES) + 1);

    if (file && n > FILE_PAGES) {
        n = FILE_PAGES;
        file_first = 0;
    }
    ck_assert_int_eq(area_map(m->space, REGION_START + first * PAGE, n * PAGE, prot,
                              shared ? AREA_SHARED : 0, file ? &the_file : NULL, memory,
                              file ? file_first * PAGE : 0),
                     0);
    if (memory) {
        shared_release(memory);
    }
    for (unsigned i = 0; i < n; i++) {
        m->page[first + i] = (struct model_page){.backing = backing,
                                                 .prot = prot,
                                                 .file_page = file_first + i,
                                                 .shared = pool[pool_used]};
        pool_used += backing == SHARED;
        ck_assert(pool_used < 100000);
    }
}

static void do_unmap(struct model *m, unsigned first, unsigned n)
{
    ck_assert_int_eq(area_unmap(m->space, REGION_START + first * PAGE, n * PAGE), 0);
    memset(&m->page[first], 0, n * sizeof m->page[0]);
}

static void do_protect(struct model *m, unsigned first, unsigned n, unsigned prot)
{
    bool whole = true;
    int r = area_protect(m->space, REGION_START + first * PAGE, n * PAGE, prot);

    for (unsigned i = 0; i < n; i++) {
        whole &= m->page[first + i].backing != NOTHING;
    }
    ck_assert_int_eq(r, whole ? 0 : -ENOMEM);
    for (unsigned i = 0; whole && i < n; i++) {
        m->page[first + i].prot = prot;
    }
}

static void do_fork(struct model *m)
{
    for (unsigned i = 0; i < SPACES; i++) {
        if (!model[i].space) {
            struct space *child = space_fork(m->space);

            ck_assert(child != NULL);
            model[i] = *m;
            model[i].space = child;
            return;
        }
    }
}

static void do_end(struct model *m)
{
    unsigned alive = 0;

    for (unsigned i = 0; i < SPACES; i++) {
        alive += model[i].space != NULL;
    }
    if (alive > 1) {
        space_release(m->space);
        m->space = NULL;
    }
}

/** As mremap does it: only within one kind of private anonymous pages. */
static void do_move(struct model *m, unsigned from, unsigned to, unsigned n)
{
    struct space *s = m->space;
    struct area *v = area_find(s, REGION_START + from * PAGE);
    struct area copy;

    if (!v || v->end < REGION_START + (from + n) * PAGE || (from < to + n && to < from + n)) {
        return;
    }
    copy = *v;
    ck_assert_int_eq(area_map(s, REGION_START + to * PAGE, n * PAGE, copy.prot, copy.flags,
                              copy.file, copy.memory,
                              copy.offset + REGION_START + from * PAGE - copy.start),
                     0);
    ck_assert_int_eq(pages_move(s, REGION_START + from * PAGE, REGION_START + to * PAGE, n * PAGE),
                     0);
    ck_assert_int_eq(area_unmap(s, REGION_START + from * PAGE, n * PAGE), 0);
    memcpy(&m->page[to], &m->page[from], n * sizeof m->page[0]);
    memset(&m->page[from], 0, n * sizeof m->page[0]);
}

static struct model *some_space(void)
{
    struct model *m;

    do {
        m = &model[rand() % SPACES];
    } while (!m->space);
    return m;
}

static void nothing_is_left(void)
{
    for (unsigned i = 0; i < SPACES; i++) {
        if (model[i].space) {
            space_release(model[i].space);
            model[i].space = NULL;
        }
    }
    for (uint64_t i = 0; i < next_id; i++) {
        ck_assert_msg(!object[i].alive, "object %lu is left", i);
        ck_assert_uint_eq(share_count(i), 1);
    }
    ck_assert_uint_eq(the_file.references, 0);
}

static void reset(void)
{
    memset(object, 0, sizeof object);
    memset(fake, 0, sizeof fake);
    memset(pool, 0, sizeof pool);
    memset(model, 0, sizeof model);
    memset(file_hole, 0, sizeof file_hole);
    memset(file_pages, 0, sizeof file_pages);
    next_id = 1;
    pool_used = 0;
    fail_in = -1;
    for (unsigned i = 0; i < FILE_PAGES; i++) {
        file_hole[i] = i % 5 == 4;
        memset(file_pages[i].byte, file_hole[i] ? 0 : (int)i + 1, 4);
    }
}

static void random_step(void)
{
    static const unsigned protections[] = {VM_READ, VM_READ | VM_WRITE, VM_READ | VM_EXEC, 0,
                                           VM_READ | VM_WRITE | VM_EXEC};
    struct model *m = some_space();
    unsigned first = (unsigned)rand() % REGION_PAGES, n = 1 + (unsigned)rand() % 40;
    unsigned prot = protections[rand() % 5];

    if (n > REGION_PAGES - first) {
        n = REGION_PAGES - first;
    }
    switch (rand() % 20) {
    case 0:
    case 1:
        do_map(m, first, n, PRIVATE, prot);
        break;
    case 2:
        do_map(m, first, n, rand() % 2 ? SHARED : FILE_SHARED, prot);
        break;
    case 3:
        do_map(m, first, n, FILE_PRIVATE, prot);
        break;
    case 4:
        do_unmap(m, first, n);
        break;
    case 5:
    case 6:
        do_protect(m, first, 1 + (unsigned)rand() % n, prot);
        break;
    case 7:
        do_fork(m);
        break;
    case 8:
        do_end(m);
        break;
    case 9:
        do_move(m, first, (unsigned)rand() % (REGION_PAGES - n + 1), n);
        break;
    case 10:
        check_execute(m, first);
        break;
    default:
        for (unsigned i = 0; i < n; i++) {
            if (rand() % 2) {
                check_read(m, first + i);
            } else {
                check_write(m, first + i);
            }
        }
        break;
    }
}

START_TEST(random_operations)
{
    srand((unsigned)_i + 1);
    reset();
    model[0].space = space_new();
    for (int step = 0; step < 1500; step++) {
        random_step();
    }
    for (unsigned i = 0; i < SPACES; i++) {
        for (unsigned j = 0; model[i].space && j < REGION_PAGES; j++) {
            check_read(&model[i], j);
        }
    }
    nothing_is_left();
}
END_TEST

START_TEST(fork_survives_any_shortage)
{
    reset();
    model[0].space = space_new();
    do_map(&model[0], 100, 60, PRIVATE, VM_READ | VM_WRITE);
    for (unsigned i = 0; i < 60; i++) {
        check_write(&model[0], 100 + i);
    }
    for (long n = 0;; n++) {
        struct space *child;

        fail_in = n;
        child = space_fork(model[0].space);
        if (child) {
            space_release(child);
            break;
        }
        fail_in = -1;
        for (unsigned i = 0; i < 60; i++) {
            check_read(&model[0], 100 + i);
        }
    }
    fail_in = -1;
    for (unsigned i = 0; i < 60; i++) {
        check_write(&model[0], 100 + i);
    }
    nothing_is_left();
}
END_TEST

START_TEST(fault_survives_any_shortage)
{
    reset();
    model[0].space = space_new();
    do_map(&model[0], 0, 300, PRIVATE, VM_READ | VM_WRITE);
    for (long n = 0; n < 4; n++) {
        uint64_t a = REGION_START + 10 * PAGE;

        fail_in = n;
        if (space_fault(model[0].space, a, VM_WRITE) == 0) {
            break;
        }
        ck_assert_int_lt(n, 3);
    }
    fail_in = -1;
    check_write(&model[0], 10);
    nothing_is_left();
}
END_TEST

START_TEST(last_copy_is_written_in_place)
{
    uint64_t before;
    struct space *child;

    reset();
    model[0].space = space_new();
    do_map(&model[0], 0, 8, PRIVATE, VM_READ | VM_WRITE);
    for (unsigned i = 0; i < 8; i++) {
        check_write(&model[0], i);
    }
    child = space_fork(model[0].space);
    space_release(child);
    before = next_id;
    for (unsigned i = 0; i < 8; i++) {
        check_write(&model[0], i);
    }
    ck_assert_uint_eq(next_id, before);
    nothing_is_left();
}
END_TEST

START_TEST(behind_the_end_of_a_file_is_a_bus_error)
{
    reset();
    the_size = 2 * PAGE + 1;
    model[0].space = space_new();
    ck_assert_int_eq(
        area_map(model[0].space, REGION_START, 8 * PAGE, VM_READ, 0, &the_file, NULL, 0), 0);
    ck_assert_int_eq(space_fault(model[0].space, REGION_START + 2 * PAGE, VM_READ), 0);
    ck_assert_int_eq(space_fault(model[0].space, REGION_START + 3 * PAGE, VM_READ), -ENXIO);
    vm_file_truncated(7, PAGE);
    the_size = PAGE;
    ck_assert_int_eq(space_fault(model[0].space, REGION_START + 2 * PAGE, VM_READ), -ENXIO);
    the_size = FILE_PAGES * PAGE;
    nothing_is_left();
}
END_TEST

START_TEST(areas_join_and_split)
{
    struct space *s;

    reset();
    s = model[0].space = space_new();
    ck_assert_int_eq(area_map(s, 0x20000000, 4 * PAGE, VM_READ, 0, NULL, NULL, 0), 0);
    ck_assert_int_eq(area_map(s, 0x20000000 + 4 * PAGE, 4 * PAGE, VM_READ, 0, NULL, NULL, 0), 0);
    ck_assert_uint_eq(s->areas, 1);
    ck_assert_int_eq(area_protect(s, 0x20000000 + 2 * PAGE, 2 * PAGE, VM_READ | VM_WRITE), 0);
    ck_assert_uint_eq(s->areas, 3);
    ck_assert_int_eq(area_protect(s, 0x20000000 + 2 * PAGE, 2 * PAGE, VM_READ), 0);
    ck_assert_uint_eq(s->areas, 1);
    ck_assert_int_eq(area_unmap(s, 0x20000000 + 3 * PAGE, PAGE), 0);
    ck_assert_uint_eq(s->areas, 2);
    ck_assert_ptr_null(area_find(s, 0x20000000 + 3 * PAGE));
    ck_assert_int_eq(area_protect(s, 0x20000000, 8 * PAGE, VM_READ), -ENOMEM);
    nothing_is_left();
}
END_TEST

START_TEST(places_are_free_and_high)
{
    struct space *s;
    uint64_t a, b;

    reset();
    s = model[0].space = space_new();
    a = area_place(s, 0, 16 * PAGE);
    ck_assert_uint_eq(a, STACK_TOP - STACK_SIZE - STACK_GAP - 16 * PAGE);
    ck_assert_int_eq(area_map(s, a, 16 * PAGE, VM_READ, 0, NULL, NULL, 0), 0);
    b = area_place(s, 0, PAGE);
    ck_assert_uint_eq(b, a - PAGE);
    ck_assert_uint_eq(area_place(s, a, PAGE), b);
    ck_assert_uint_eq(area_place(s, 0x30000000, PAGE), 0x30000000);
    ck_assert_uint_eq(area_place(s, 0, SPACE_TOP), 0);
    ck_assert_uint_eq(area_place(s, 0, ~0ull & ~(PAGE - 1)), 0);
    ck_assert_int_eq(area_map(s, a + 16 * PAGE, PAGE, VM_READ, 0, NULL, NULL, 0), 0);
    ck_assert_uint_eq(s->areas, 1); /* it has grown into the gap below the stack */
    ck_assert_uint_eq(area_place(s, 0, PAGE), b);
    ck_assert_int_eq(area_unmap(s, a, 17 * PAGE), 0);
    ck_assert_uint_eq(s->areas, 0);
    nothing_is_left();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vm");
    TCase *c = tcase_create("vm");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, random_operations, 0, 12);
    tcase_add_test(c, fork_survives_any_shortage);
    tcase_add_test(c, fault_survives_any_shortage);
    tcase_add_test(c, last_copy_is_written_in_place);
    tcase_add_test(c, behind_the_end_of_a_file_is_a_bus_error);
    tcase_add_test(c, areas_join_and_split);
    tcase_add_test(c, places_are_free_and_high);
    suite_add_tcase(suite, c);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
