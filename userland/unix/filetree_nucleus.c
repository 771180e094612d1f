/*
 * The file tree's backend in the nucleus: data segments hang in nodes below KR_IMAGE_FILES.
 *
 * Segment keys of files used lately are kept in a node of our own, one slot each, replaced in the
 * order of their last use; the two nodes A and B on the way to a segment are kept in key registers.
 * Invariant: a slot of the key node that `cached` gives to an inode holds that inode's present
 * segment key.
 */
#include <errno.h>
#include <string.h>
#include <bailiwick/image.h>
#include <bailiwick/runtime.h>
#include "unix.h"
#include "filetree.h"
#include "space.h"

#define KR_KEYS      10 /* node of cached segment keys */
#define KR_NODE_A    11
#define KR_NODE_B    12
#define KR_TABLE     13 /* the inode table's segment */
#define KR_FRESH     14 /* what is being made */
#define KR_FETCHED   15
#define SUPER_WINDOW IMAGE_WINDOW(3)
#define SLOTS        255u
#define HASH         512u
#define NONE         0xffffu
#define DATA_RIGHTS  (RIGHT_WRITE | RIGHT_EXECUTE)

struct cached_segment {
    uint32_t ino; /* 0: unused */
    uint16_t next_in_hash;
    uint16_t older, newer;
};

static struct cached_segment cached[SLOTS];
static uint16_t hash[HASH];
static uint16_t newest = NONE, oldest = NONE;
static uint32_t node_a = UINT32_MAX, node_b = UINT32_MAX; /* which ones the registers hold */

static int to_errno(int64_t result)
{
    switch (result) {
    case BW_OK:
        return 0;
    case BW_NOSPACE:
        return -ENOSPC;
    case BW_NOMEM:
        return -ENOMEM;
    default:
        return -EIO;
    }
}

/* --- node operations --- */

static int64_t node_fetch(uint16_t node, uint64_t slot, uint16_t to)
{
    struct message m = {.code = NODE_FETCH};

    m.word[0] = slot;
    m.take[0] = to;
    return bw_call(node, &m);
}

static int64_t node_store(uint16_t node, uint64_t slot, uint16_t key)
{
    struct message m = {.code = NODE_STORE};

    m.word[0] = slot;
    m.send[0] = key;
    return bw_call(node, &m);
}

static int64_t create_node(uint16_t to)
{
    struct message m = {.code = RANGE_CREATE};

    m.word[0] = object_ids(1);
    m.word[1] = OBJECT_NODE;
    m.take[0] = to;
    return bw_call(KR_RANGE, &m);
}

static unsigned key_type(uint16_t key)
{
    struct message m = {0};

    m.send[0] = key;
    return bw_self(SELF_IDENTIFY, &m) == BW_OK ? (unsigned)(m.word[0] & 255) : KEY_VOID;
}

/* --- the way to a segment --- */

/** The node in `slot` of `from` into `to`, made if it is missing and `make` says so. */
static int enter_node(uint16_t from, uint64_t slot, uint16_t to, bool make)
{
    int64_t r = node_fetch(from, slot, to);

    if (r == BW_OK && key_type(to) == KEY_NODE) {
        return 0;
    }
    if (!make) {
        return -ENOENT;
    }
    r = create_node(to);
    if (r == BW_OK) {
        r = node_store(from, slot, to);
    }
    return to_errno(r);
}

/** Gets node B of an inode into its register. */
static int reach(uint32_t ino, bool make)
{
    int r;

    if (node_a != ino >> 16) {
        node_a = node_b = UINT32_MAX;
        r = enter_node(KR_IMAGE_FILES, FILETREE_SLOT_DATA + (ino >> 16), KR_NODE_A, make);
        if (r != 0) {
            return r;
        }
        node_a = ino >> 16;
    }
    if (node_b != ino >> 8) {
        node_b = UINT32_MAX;
        r = enter_node(KR_NODE_A, ino >> 8 & 255, KR_NODE_B, make);
        if (r != 0) {
            return r;
        }
        node_b = ino >> 8;
    }
    return 0;
}

/* --- the cache of segment keys --- */

static uint16_t place_of(uint16_t slot)
{
    return KEY_IN_NODE(KR_KEYS, slot);
}

static void list_remove(uint16_t i)
{
    struct cached_segment *c = &cached[i];

    *(c->newer == NONE ? &newest : &cached[c->newer].older) = c->older;
    *(c->older == NONE ? &oldest : &cached[c->older].newer) = c->newer;
}

static void list_put_newest(uint16_t i)
{
    cached[i].newer = NONE;
    cached[i].older = newest;
    *(newest == NONE ? &oldest : &cached[newest].newer) = i;
    newest = i;
}

static void list_put_oldest(uint16_t i)
{
    cached[i].older = NONE;
    cached[i].newer = oldest;
    *(oldest == NONE ? &newest : &cached[oldest].older) = i;
    oldest = i;
}

static uint16_t cache_find(uint32_t ino)
{
    for (uint16_t i = hash[ino % HASH]; i != NONE; i = cached[i].next_in_hash) {
        if (cached[i].ino == ino) {
            return i;
        }
    }
    return NONE;
}

static void cache_unhash(uint16_t i)
{
    uint16_t *link = &hash[cached[i].ino % HASH];

    while (*link != i) {
        link = &cached[*link].next_in_hash;
    }
    *link = cached[i].next_in_hash;
    cached[i].ino = 0;
}

static void cache_forget(uint32_t ino)
{
    uint16_t i = cache_find(ino);

    if (i != NONE) {
        cache_unhash(i);
        list_remove(i);
        list_put_oldest(i);
    }
}

/** The place with the inode's segment key, 0 if there is none. */
static uint16_t segment(uint32_t ino)
{
    uint16_t i = cache_find(ino);

    if (i == newest && i != NONE) {
        return place_of(i);
    }
    if (i == NONE) {
        if (reach(ino, false) != 0) {
            return 0;
        }
        i = oldest;
        if (cached[i].ino != 0) {
            cache_unhash(i);
        }
        if (node_fetch(KR_NODE_B, ino & 255, place_of(i)) != BW_OK) {
            return 0;
        }
        cached[i].ino = ino;
        cached[i].next_in_hash = hash[ino % HASH];
        hash[ino % HASH] = i;
    }
    list_remove(i);
    list_put_newest(i);
    return place_of(i);
}

/* --- segment operations --- */

static int64_t segment_create(uint16_t seg, uint64_t offset, unsigned height, unsigned type,
                              struct message *m)
{
    *m = (struct message){.code = SEGMENT_CREATE};
    m->word[0] = offset;
    m->word[1] = height | type << 8 | DATA_RIGHTS << 16;
    m->word[2] = object_ids(1);
    m->send[0] = KR_RANGE;
    return bw_call(seg, m);
}

/** A page and the nodes that are missing on the way to it. */
static int create_path(uint16_t seg, uint64_t offset)
{
    struct message m;
    int64_t r;

    if (!space_take(SPACE_FILES, 1)) {
        return -ENOSPC;
    }
    while ((r = segment_create(seg, offset, 0, OBJECT_PAGE, &m)) == BW_ABSENT) {
        unsigned missing = (unsigned)m.word[0];

        if (missing == 0 || missing > SEGMENT_HEIGHT_MAX) {
            return -EIO;
        }
        r = segment_create(seg, offset, missing, OBJECT_NODE, &m);
        if (r != BW_OK) {
            break;
        }
    }
    return to_errno(r);
}

static long nucleus_read(uint32_t ino, uint64_t offset, struct io *io, size_t n)
{
    uint16_t seg = segment(ino);

    return seg == 0 ? -EIO : io_from_segment(io, seg, offset, n);
}

static long nucleus_write(uint32_t ino, uint64_t offset, struct io *io, size_t n)
{
    uint16_t seg = segment(ino);

    return seg == 0 ? -EIO : io_to_segment(io, seg, offset, n);
}

static int nucleus_zero(uint32_t ino, uint64_t offset, size_t n)
{
    struct message m = {.code = SEGMENT_ZERO};

    m.word[0] = offset;
    m.word[1] = n;
    return to_errno(bw_call(segment(ino), &m));
}

static int64_t segment_get(uint16_t seg, uint64_t offset, unsigned height, uint16_t to)
{
    struct message m = {.code = SEGMENT_GET};

    m.word[0] = offset;
    m.word[1] = height;
    m.take[0] = to;
    return bw_call(seg, &m);
}

static bool nucleus_present(uint32_t ino, uint64_t offset, unsigned height)
{
    uint16_t seg = segment(ino);

    return seg != 0 && segment_get(seg, offset, height, KR_FETCHED) == BW_OK &&
           key_type(KR_FETCHED) != KEY_VOID;
}

static int nucleus_create(uint32_t ino, uint64_t offset)
{
    uint16_t seg = segment(ino);

    return seg == 0 ? -EIO : create_path(seg, offset);
}

static void nucleus_clear(uint32_t ino, uint64_t offset, unsigned height, unsigned count)
{
    uint16_t seg = segment(ino);

    while (count > 0) {
        struct message m = {.code = SEGMENT_CLEAR};
        uint64_t done;

        m.word[0] = offset;
        m.word[1] = height;
        m.word[2] = count;
        m.send[0] = KR_RANGE;
        if (bw_call(seg, &m) != BW_OK || m.word[1] == 0) {
            return;
        }
        space_freed();
        done = m.word[1] < count ? m.word[1] : count;
        offset += done * (height == 0 ? BW_PAGE_SIZE : segment_span(height));
        count -= (unsigned)done;
    }
}

/** Destroys the node that a key (node or segment) names. */
static void destroy_named(uint16_t key)
{
    struct message m = {.code = RANGE_FIND};

    m.send[0] = key;
    if (bw_call(KR_RANGE, &m) == BW_OK) {
        uint64_t offset = m.word[0];

        m = (struct message){.code = RANGE_DESTROY};
        m.word[0] = offset;
        m.word[1] = 1;
        bw_call(KR_RANGE, &m);
        space_freed();
    }
}

static int64_t as_segment(uint16_t node, unsigned height, uint16_t to)
{
    struct message m = {.code = NODE_SEGMENT};

    m.word[0] = height;
    m.word[1] = DATA_RIGHTS;
    m.take[0] = to;
    return bw_call(node, &m);
}

/** A new root of the data segment, one level higher than the old one in KR_FETCHED (height 0:
 * none). */
static int raise_one(uint32_t ino, unsigned height)
{
    int64_t r = create_node(KR_FRESH);

    if (r == BW_OK && height != 0) {
        r = node_store(KR_FRESH, 0, KR_FETCHED);
    }
    if (r == BW_OK) {
        r = as_segment(KR_FRESH, height + 1, KR_FETCHED);
    }
    if (r == BW_OK) {
        r = node_store(KR_NODE_B, ino & 255, KR_FETCHED);
    }
    return to_errno(r);
}

/** The first slot of the root becomes the root. */
static int lower_one(uint32_t ino, unsigned height)
{
    uint16_t seg = segment(ino);
    int64_t r = BW_OK;

    if (height > 1) {
        r = segment_get(seg, 0, height - 1, KR_FETCHED);
        if (r != BW_OK || key_type(KR_FETCHED) != KEY_SEGMENT) {
            r = create_node(KR_FRESH);
            r = r == BW_OK ? as_segment(KR_FRESH, height - 1, KR_FETCHED) : r;
        }
    } else {
        bw_drop_key(KR_FETCHED);
    }
    if (r == BW_OK) {
        r = bw_copy_key(seg, KR_FRESH);
    }
    if (r == BW_OK) {
        r = node_store(KR_NODE_B, ino & 255, KR_FETCHED);
    }
    if (r == BW_OK) {
        cache_forget(ino);
        destroy_named(KR_FRESH);
    }
    return to_errno(r);
}

static int nucleus_set_height(uint32_t ino, unsigned from, unsigned to)
{
    int r = to < from || space_take(SPACE_FILES, 1) ? reach(ino, true) : -ENOSPC;

    if (r != 0) {
        return r;
    }
    if (to < from) {
        return lower_one(ino, from);
    }
    if (from != 0) {
        r = to_errno(node_fetch(KR_NODE_B, ino & 255, KR_FETCHED));
    }
    if (r == 0) {
        r = raise_one(ino, from);
        cache_forget(ino);
    }
    return r;
}

static int nucleus_page(uint32_t ino, uint64_t offset, uint16_t to)
{
    uint16_t seg = segment(ino);

    return seg != 0 && segment_get(seg, offset & ~4095ull, 0, to) == BW_OK ? 0 : -ENXIO;
}

static int nucleus_table(uint32_t ino)
{
    uint64_t offset = (uint64_t)ino * sizeof(struct filetree_inode) & ~4095ull;
    bool there =
        segment_get(KR_TABLE, offset, 0, KR_FETCHED) == BW_OK && key_type(KR_FETCHED) != KEY_VOID;

    return there ? 0 : create_path(KR_TABLE, offset);
}

const struct filetree_backend filetree_nucleus = {
    .read = nucleus_read,
    .write = nucleus_write,
    .zero = nucleus_zero,
    .present = nucleus_present,
    .create = nucleus_create,
    .clear = nucleus_clear,
    .set_height = nucleus_set_height,
    .page = nucleus_page,
    .table = nucleus_table,
};

int filetree_open(void)
{
    struct filetree_super *super = (struct filetree_super *)SUPER_WINDOW;

    for (unsigned i = 0; i < HASH; i++) {
        hash[i] = NONE;
    }
    for (uint16_t i = 0; i < SLOTS; i++) {
        list_put_oldest(i);
    }
    if (create_node(KR_KEYS) != BW_OK ||
        node_fetch(KR_IMAGE_FILES, FILETREE_SLOT_INODES, KR_TABLE) != BW_OK ||
        node_fetch(KR_IMAGE_FILES, FILETREE_SLOT_SUPER, KR_FETCHED) != BW_OK ||
        bw_map_key(SUPER_WINDOW, 0, KR_FETCHED) != BW_OK) {
        return -EIO;
    }
    if (super->magic != FILETREE_MAGIC || super->version != FILETREE_VERSION) {
        return -EINVAL;
    }
    filetree = (struct filetree){
        .super = super,
        .inodes = (struct filetree_inode *)IMAGE_WINDOW(1),
        .backend = &filetree_nucleus,
        .now = time_realtime,
    };
    return 0;
}
