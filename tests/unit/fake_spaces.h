/*
 * The nucleus below the personality's address spaces: objects, nodes and slots as in the real one,
 * where each misuse is a failure, and which may run short of memory at any call; and files to map.
 * Included by one file of a test program.
 */
#ifndef TESTS_FAKE_SPACES_H
#define TESTS_FAKE_SPACES_H

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

#endif
