// sources: ../../userland/unix/vm.c ../../userland/unix/pages.c ../../userland/unix/share.c
// sources: ../../userland/unix/shared.c ../../userland/unix/pages_change.c
/*
 * Address spaces of the personality over a simulated nucleus: objects, nodes and slots as in the
 * real one, each misuse an assertion. A model says what every byte must be; random operations on
 * several spaces (map, unmap, protect, fork, write, move, forget, end) are compared with it, and at
 * the end nothing may be left: no object, no count.
 */
#include "fake_spaces.h"

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

    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, random_operations, 0, 12);
    tcase_add_test(c, fork_survives_any_shortage);
    tcase_add_test(c, fault_survives_any_shortage);
    tcase_add_test(c, last_copy_is_written_in_place);
    tcase_add_test(c, behind_the_end_of_a_file_is_a_bus_error);
    tcase_add_test(c, areas_join_and_split);
    tcase_add_test(c, places_are_free_and_high);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
