/*
 * Address spaces: the sorted list of areas (vm.h, invariant 3) and copies with faults resolved.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "unix.h"
#include "vm.h"

#define AREAS_MAX 65530u
#define COPY_STEP 32768u

static struct space *spaces;

struct space *space_new(void)
{
    struct space *s = calloc(1, sizeof *s);

    if (!s) {
        return NULL;
    }
    if (machine_space_create(&s->root) != BW_OK) {
        free(s);
        return NULL;
    }
    s->references = 1;
    s->link = &spaces;
    s->next = spaces;
    if (spaces) {
        spaces->link = &s->next;
    }
    spaces = s;
    return s;
}

struct space *space_share(struct space *s)
{
    s->references++;
    return s;
}

static void area_hold(const struct area *v)
{
    if (v->file) {
        file_hold(v->file);
    }
    if (v->memory) {
        shared_hold(v->memory);
    }
}

static void area_drop(const struct area *v)
{
    if (v->file) {
        file_release(v->file);
    }
    if (v->memory) {
        shared_release(v->memory);
    }
}

void space_release(struct space *s)
{
    if (--s->references) {
        return;
    }
    /* The root first: with it go the page tables. A page that is destroyed while it is mapped costs
     * all processes theirs. */
    machine_destroy(s->root.id);
    machine_destroy_flush();
    pages_release(s);
    machine_destroy_flush();
    machine_forget(&s->root);
    for (unsigned i = 0; i < s->areas; i++) {
        area_drop(&s->area[i]);
    }
    *s->link = s->next;
    if (s->next) {
        s->next->link = s->link;
    }
    free(s->area);
    free(s);
}

/* --- the list --------------------------------------------------------------------------------- */

/** Index of the first area that ends above `address`. */
static unsigned area_index(struct space *s, uint64_t address)
{
    unsigned low = 0, high = s->areas;

    if (s->area_hint < s->areas && s->area[s->area_hint].start <= address &&
        address < s->area[s->area_hint].end) {
        return s->area_hint;
    }
    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (s->area[middle].end <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    s->area_hint = low;
    return low;
}

struct area *area_find(struct space *s, uint64_t address)
{
    unsigned i = area_index(s, address);

    return i < s->areas && s->area[i].start <= address ? &s->area[i] : NULL;
}

/** Makes room for n more areas, so that they can be inserted without failure. */
static int area_reserve(struct space *s, unsigned n)
{
    unsigned capacity = s->area_capacity ? s->area_capacity : 16;
    struct area *bigger;

    if (s->areas + n > AREAS_MAX) {
        return -ENOMEM;
    }
    while (capacity < s->areas + n) {
        capacity *= 2;
    }
    if (capacity == s->area_capacity) {
        return 0;
    }
    bigger = realloc(s->area, capacity * sizeof *bigger);
    if (!bigger) {
        return -ENOMEM;
    }
    s->area = bigger;
    s->area_capacity = capacity;
    return 0;
}

static void area_insert(struct space *s, unsigned i, const struct area *v)
{
    memmove(&s->area[i + 1], &s->area[i], (s->areas - i) * sizeof *v);
    s->area[i] = *v;
    s->areas++;
}

static void area_delete(struct space *s, unsigned i)
{
    s->areas--;
    memmove(&s->area[i], &s->area[i + 1], (s->areas - i) * sizeof *s->area);
}

/** Splits the area that holds `at` inside, so that one starts there. Room was reserved. */
static void area_split(struct space *s, uint64_t at)
{
    unsigned i = area_index(s, at);
    struct area right;

    if (i >= s->areas || s->area[i].start >= at) {
        return;
    }
    right = s->area[i];
    right.offset += at - right.start;
    right.start = at;
    area_hold(&right);
    s->area[i].end = at;
    area_insert(s, i + 1, &right);
}

/** Joins area i with the next one if they continue each other. */
static void area_join(struct space *s, unsigned i)
{
    struct area *v = &s->area[i], *w = v + 1;

    if (i + 1 >= s->areas || v->end != w->start || v->prot != w->prot || v->flags != w->flags ||
        v->file != w->file || v->memory != w->memory) {
        return;
    }
    if ((v->file || v->memory) && v->offset + (v->end - v->start) != w->offset) {
        return;
    }
    v->end = w->end;
    area_drop(w);
    area_delete(s, i + 1);
}

int area_unmap(struct space *s, uint64_t start, uint64_t length)
{
    uint64_t end = start + length;
    unsigned i;

    if (area_reserve(s, 2)) {
        return -ENOMEM;
    }
    area_split(s, start);
    area_split(s, end);
    i = area_index(s, start);
    if (i < s->areas && s->area[i].start < end) {
        pages_remove(s, start, end);
    }
    while (i < s->areas && s->area[i].start < end) {
        area_drop(&s->area[i]);
        area_delete(s, i);
    }
    return 0;
}

int area_map(struct space *s, uint64_t start, uint64_t length, uint32_t prot, uint32_t flags,
             struct file *file, struct shared_memory *memory, uint64_t offset)
{
    struct area v = {start, start + length, prot, flags, file, memory, offset};
    unsigned i;

    if (area_reserve(s, 3) || area_unmap(s, start, length)) {
        return -ENOMEM;
    }
    i = area_index(s, start);
    area_hold(&v);
    area_insert(s, i, &v);
    area_join(s, i);
    if (i) {
        area_join(s, i - 1);
    }
    return 0;
}

int area_protect(struct space *s, uint64_t start, uint64_t length, uint32_t prot)
{
    uint64_t end = start + length, at = start;
    unsigned first;

    if (area_reserve(s, 2)) {
        return -ENOMEM;
    }
    for (unsigned i = area_index(s, start); at < end; i++) {
        if (i >= s->areas || s->area[i].start > at) {
            return -ENOMEM;
        }
        if ((prot & VM_WRITE) && (s->area[i].flags & AREA_MAY_NOT_WRITE)) {
            return -EACCES;
        }
        at = s->area[i].end;
    }
    area_split(s, start);
    area_split(s, end);
    first = area_index(s, start);
    for (unsigned i = first; i < s->areas && s->area[i].start < end; i++) {
        s->area[i].prot = prot;
    }
    pages_protect(s, start, end, prot);
    for (unsigned i = first; i < s->areas && s->area[i].start < end;) {
        unsigned before = s->areas;

        area_join(s, i);
        i += s->areas == before;
    }
    if (first) {
        area_join(s, first - 1);
    }
    return 0;
}

static bool range_is_free(struct space *s, uint64_t start, uint64_t length)
{
    unsigned i = area_index(s, start);

    return start >= SPACE_LOW && start + length <= STACK_TOP &&
           (i >= s->areas || s->area[i].start >= start + length);
}

uint64_t area_place(struct space *s, uint64_t hint, uint64_t length)
{
    uint64_t top = STACK_TOP - STACK_SIZE - STACK_GAP;
    unsigned i;

    if (length > SPACE_TOP) {
        return 0;
    }
    if (hint && range_is_free(s, hint, length)) {
        return hint;
    }
    i = area_index(s, top);
    if (i < s->areas && s->area[i].start < top) {
        top = s->area[i].start; /* one that has grown into the gap below the stack */
    }
    for (; i > 0; i--) {
        struct area *v = &s->area[i - 1];

        if (v->end <= top && top - v->end >= length) {
            break;
        }
        if (v->start < top) {
            top = v->start;
        }
    }
    return top >= length + SPACE_LOW ? top - length : 0;
}

uint64_t area_total(const struct space *s)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < s->areas; i++) {
        total += s->area[i].end - s->area[i].start;
    }
    return total;
}

struct space *space_fork(struct space *parent)
{
    struct space *s = space_new();

    if (!s) {
        return NULL;
    }
    if (area_reserve(s, parent->areas)) {
        space_release(s);
        return NULL;
    }
    for (unsigned i = 0; i < parent->areas; i++) {
        s->area[i] = parent->area[i];
        area_hold(&s->area[i]);
    }
    s->areas = parent->areas;
    s->brk_start = parent->brk_start;
    s->brk = parent->brk;
    s->brk_limit = parent->brk_limit;
    if (pages_fork(s, parent)) {
        space_release(s);
        return NULL;
    }
    return s;
}

/* --- faults and copies ------------------------------------------------------------------------ */

int space_fault(struct space *s, uint64_t address, unsigned access)
{
    struct area *v = address < SPACE_TOP ? area_find(s, address) : NULL;

    if (!v) {
        return -EFAULT;
    }
    if (access == VM_READ ? !v->prot : !(v->prot & access)) {
        return -EACCES;
    }
    return pages_fault(s, v, address, access);
}

/** Goes on behind a fault in a copy. @return false: it cannot be resolved */
static bool resolve(struct space *s, int64_t result, uint64_t at, unsigned access, size_t done,
                    unsigned *tries)
{
    if (done) {
        *tries = 0;
    }
    return result == BW_FAULT && ++*tries < 8 && space_fault(s, at, access) >= 0;
}

size_t space_read(struct space *s, void *to, uint64_t from, size_t n)
{
    size_t total = 0;
    unsigned tries = 0;

    while (total < n && from + total < SPACE_TOP) {
        size_t step = n - total < COPY_STEP ? n - total : COPY_STEP, done = 0;
        uint64_t at = 0;
        int64_t r =
            machine_read(machine_key(&s->root), from + total, (char *)to + total, step, &at, &done);

        total += done;
        if (r != BW_OK && !resolve(s, r, at, VM_READ, done, &tries)) {
            break;
        }
    }
    return total;
}

size_t space_write(struct space *s, uint64_t to, const void *from, size_t n)
{
    size_t total = 0;
    unsigned tries = 0;

    while (total < n && to + total < SPACE_TOP) {
        size_t step = n - total < COPY_STEP ? n - total : COPY_STEP, done = 0;
        uint64_t at = 0;
        int64_t r = machine_write(machine_key(&s->root), to + total, (const char *)from + total,
                                  step, &at, &done);

        total += done;
        if (r != BW_OK && !resolve(s, r, at, VM_WRITE, done, &tries)) {
            break;
        }
    }
    return total;
}

size_t space_zero(struct space *s, uint64_t to, size_t n)
{
    size_t total = 0;
    unsigned tries = 0;

    while (total < n && to + total < SPACE_TOP) {
        size_t done = 0;
        uint64_t at = 0;
        int64_t r = machine_zero(machine_key(&s->root), to + total, n - total, &at, &done);

        total += done;
        if (r != BW_OK && !resolve(s, r, at, VM_WRITE, done, &tries)) {
            break;
        }
    }
    return total;
}

void vm_file_truncated(uint32_t inode, uint64_t new_size)
{
    for (struct space *s = spaces; s; s = s->next) {
        for (unsigned i = 0; i < s->areas; i++) {
            struct area *v = &s->area[i];
            uint64_t keep = PAGE_CEIL(new_size);

            if (!v->file || !file_is_regular(v->file) || file_inode(v->file) != inode) {
                continue;
            }
            if (keep < v->offset + (v->end - v->start)) {
                pages_remove(s, keep <= v->offset ? v->start : v->start + (keep - v->offset),
                             v->end);
            }
        }
    }
}
