/*
 * The backend in memory checks what it is asked: a page is never made twice, nor read where there
 * is none, and no node is dropped that has something below it.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "filetree_memory.h"

/* --- user memory: the tests use the personality's own --- */

int user_read(void *to, uint64_t from, size_t n);
int user_write(uint64_t to, const void *from, size_t n);

uint8_t *fault_at;

int user_read(void *to, uint64_t from, size_t n)
{
    if (fault_at != NULL && (uint8_t *)(uintptr_t)from + n > fault_at) {
        return -EFAULT;
    }
    memcpy(to, (void *)(uintptr_t)from, n);
    return 0;
}

int user_write(uint64_t to, const void *from, size_t n)
{
    memcpy((void *)(uintptr_t)to, from, n);
    return 0;
}

/* --- a backend in memory --- */

struct memory_node {
    void *slot[256]; /* nodes, or pages at height 1 */
};

struct memory_store store;

struct filetree_super super;
struct filetree_inode inodes[INODES];
static uint64_t clock_now;

static void *make_object(size_t size)
{
    if (store.left == 0) {
        return NULL;
    }
    store.left -= store.left > 0;
    store.objects++;
    return calloc(1, size);
}

static void drop_object(void *object)
{
    store.objects--;
    free(object);
}

static unsigned slot_at(uint64_t offset, unsigned height)
{
    return (unsigned)(offset >> (12 + 8 * (height - 1))) & 255;
}

/** The place of what is at that height, NULL if a node on the way is missing. */
static void **place_of(uint32_t ino, uint64_t offset, unsigned height)
{
    struct memory_node *n = store.root[ino];

    if (n == NULL || offset >= segment_span(store.height[ino])) {
        return NULL;
    }
    for (unsigned h = store.height[ino]; h > height + 1 && n != NULL; h--) {
        n = n->slot[slot_at(offset, h)];
    }
    return n != NULL ? &n->slot[slot_at(offset, height + 1)] : NULL;
}

static uint8_t *page_at(uint32_t ino, uint64_t offset)
{
    void **p = place_of(ino, offset, 0);

    ck_assert_msg(p != NULL && *p != NULL, "inode %u has no page at %llx", ino,
                  (unsigned long long)offset);
    return *p;
}

static size_t chunk(uint64_t offset, size_t n)
{
    return n < PAGE - offset % PAGE ? n : PAGE - offset % PAGE;
}

static long memory_read(uint32_t ino, uint64_t offset, struct io *io, size_t n)
{
    return io_give(io, page_at(ino, offset) + offset % PAGE, chunk(offset, n));
}

static long memory_write(uint32_t ino, uint64_t offset, struct io *io, size_t n)
{
    return io_take(io, page_at(ino, offset) + offset % PAGE, chunk(offset, n));
}

static int memory_zero(uint32_t ino, uint64_t offset, size_t n)
{
    ck_assert_uint_le(n, PAGE - offset % PAGE);
    memset(page_at(ino, offset) + offset % PAGE, 0, n);
    return 0;
}

bool memory_present(uint32_t ino, uint64_t offset, unsigned height)
{
    void **p = place_of(ino, offset, height);

    return p != NULL && *p != NULL;
}

static int memory_create(uint32_t ino, uint64_t offset)
{
    ck_assert_uint_lt(offset, segment_span(store.height[ino]));
    for (unsigned h = store.height[ino] - 1; h + 1 > 0; h--) {
        void **p = place_of(ino, offset, h);

        ck_assert_msg(h > 0 || *p == NULL, "a page is made twice");
        if (*p == NULL && (*p = make_object(h > 0 ? sizeof(struct memory_node) : PAGE)) == NULL) {
            return -ENOSPC;
        }
    }
    return 0;
}

static void memory_clear(uint32_t ino, uint64_t offset, unsigned height, unsigned count)
{
    ck_assert_uint_le(count, 256);
    for (unsigned i = 0; i < count; i++) {
        void **p = place_of(ino, offset, height);

        if (p != NULL && *p != NULL) {
            for (unsigned s = 0; height > 0 && s < 256; s++) {
                ck_assert_ptr_null(((struct memory_node *)*p)->slot[s]);
            }
            drop_object(*p);
            *p = NULL;
        }
        offset += height == 0 ? PAGE : segment_span(height);
    }
}

static int memory_set_height(uint32_t ino, unsigned from, unsigned to)
{
    struct memory_node *old = store.root[ino];

    ck_assert_uint_eq(from, store.height[ino]);
    ck_assert(to == from + 1 || to + 1 == from);
    if (to > from) {
        struct memory_node *n = make_object(sizeof(*n));

        if (n == NULL) {
            return -ENOSPC;
        }
        n->slot[0] = old;
        store.root[ino] = n;
    } else {
        void *first = to == 0 ? NULL : old->slot[0];

        for (unsigned i = to == 0 ? 0 : 1; i < 256; i++) {
            ck_assert_ptr_null(old->slot[i]);
        }
        if (to != 0 && first == NULL && (first = make_object(sizeof(*old))) == NULL) {
            return -ENOSPC;
        }
        drop_object(old);
        store.root[ino] = first;
    }
    store.height[ino] = to;
    return 0;
}

static int memory_page(uint32_t ino, uint64_t offset, uint16_t to)
{
    (void)to;
    return memory_present(ino, offset, 0) ? 0 : -ENXIO;
}

static int memory_table(uint32_t ino)
{
    return ino < INODES ? 0 : -ENOSPC;
}

static const struct filetree_backend memory_backend = {
    memory_read,  memory_write,      memory_zero, memory_present, memory_create,
    memory_clear, memory_set_height, memory_page, memory_table,
};

static uint64_t now(void)
{
    return ++clock_now;
}

uint32_t open_ino;

static bool is_open(uint32_t ino)
{
    return ino == open_ino;
}

void memory_tree_setup(void)
{
    memset(&store, 0, sizeof(store));
    memset(inodes, 0, sizeof(inodes));
    store.left = -1;
    super =
        (struct filetree_super){.magic = FILETREE_MAGIC, .version = FILETREE_VERSION, .inodes = 2};
    filetree = (struct filetree){&super, inodes, &memory_backend, now};
    filetree_in_use = is_open;
    open_ino = 0;
    fault_at = NULL;
    for (uint32_t i = 1; i < INODES; i++) {
        directory_forget(i);
    }
    inodes[1] = (struct filetree_inode){.mode = S_IFDIR | 0755, .links = 2};
    ck_assert_int_eq(directory_add(1, ".", 1, 1), 0);
    ck_assert_int_eq(directory_add(1, "..", 2, 1), 0);
}

void memory_tree_free(void)
{
    for (uint32_t i = 1; i < super.inodes; i++) {
        filetree_truncate(i, 0);
    }
    ck_assert_int_eq(store.objects, 0);
}
