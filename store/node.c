/*
 * Index blocks: the cache that they are read through, their check, and the writing of new ones.
 *
 * A node's legal states:
 *
 *   state     | place | in the hash | may be evicted
 *   fresh     | 0     | no          | no; on store.fresh until it is written or discarded
 *   in flight | set   | yes         | no; its bytes are being written
 *   clean     | set   | yes         | when nobody pins it
 *
 * The hash finds a node by place. A place is used again for other content after it was freed; the
 * checksum, which the caller knows, tells the two apart.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static size_t hash_of(uint64_t place)
{
    return (place * 0x9e3779b97f4a7c15ull >> 40) % HASH_SIZE;
}

static bool in_flight(const struct store *st, const struct node *n)
{
    return n->written == st->io_epoch;
}

static void lru_remove(struct store *st, struct node *n)
{
    *(n->older ? &n->older->newer : &st->oldest) = n->newer;
    *(n->newer ? &n->newer->older : &st->newest) = n->older;
}

static void lru_add(struct store *st, struct node *n)
{
    n->newer = NULL;
    n->older = st->newest;
    *(st->newest ? &st->newest->newer : &st->oldest) = n;
    st->newest = n;
}

static void cache_remove(struct store *st, struct node *n)
{
    struct node **p = &st->hash[hash_of(n->place)];

    while (*p != n)
        p = &(*p)->next;
    *p = n->next;
    lru_remove(st, n);
    st->cached--;
    free(n);
}

/** Nobody who still needs a node with this place has it pinned: its block was freed before. */
static void cache_add(struct store *st, struct node *n)
{
    struct node **head = &st->hash[hash_of(n->place)];
    struct node *old = *head, *next;

    while (old && old->place != n->place)
        old = old->next;
    if (old && old->pins == 0 && !in_flight(st, old))
        cache_remove(st, old);
    n->next = *head;
    *head = n;
    lru_add(st, n);
    st->cached++;
    for (old = st->oldest; old && st->cached > st->io.cache_blocks + st->in_flight; old = next) {
        next = old->newer;
        if (old->pins == 0 && !in_flight(st, old) && old != n)
            cache_remove(st, old);
    }
}

static struct node *cache_find(struct store *st, uint64_t place, uint64_t checksum)
{
    struct node *n = st->hash[hash_of(place)];

    while (n && (n->place != place || n->checksum != checksum))
        n = n->next;
    if (n && n != st->newest) {
        lru_remove(st, n);
        lru_add(st, n);
    }
    return n;
}

static uint64_t node_key(const struct disk_node *d, unsigned i)
{
    return d->level ? d->child[i].key : d->entry[i].oid;
}

/** Checks all that later code relies on, so that a wrong node cannot lead it astray. */
static int check(struct store *st, const struct disk_ref *ref, const struct disk_node *d,
                 uint64_t low, uint64_t generation)
{
    unsigned limit = d->level ? NODE_CHILDREN : NODE_ENTRIES;

    if (d->magic != NODE_MAGIC)
        return DAMAGED(st, "index block: magic", ref->place, generation, low, NODE_MAGIC, d->magic);
    if (d->level != ref->level)
        return DAMAGED(st, "index block: level", ref->place, generation, low, ref->level, d->level);
    if (d->birth != ref->birth)
        return DAMAGED(st, "index block: generation", ref->place, generation, low, ref->birth,
                       d->birth);
    if (d->count == 0 || d->count > limit)
        return DAMAGED(st, "index block: count", ref->place, generation, low, limit, d->count);
    for (unsigned i = 0; i < d->count; i++) {
        uint64_t place = d->level ? d->child[i].place : d->entry[i].place;
        bool bytes = d->level || d->entry[i].flags & ENTRY_BYTES;

        if (i && node_key(d, i) <= node_key(d, i - 1))
            return DAMAGED(st, "index block: order of ids", ref->place, generation, node_key(d, i),
                           node_key(d, i - 1) + 1, node_key(d, i));
        if (bytes && (place < FIRST_DATA || place >= st->committed.head.blocks))
            return DAMAGED(st, "index block: place outside the store", ref->place, generation,
                           node_key(d, i), st->committed.head.blocks, place);
    }
    return STORE_OK;
}

int node_get(struct store *st, const struct disk_ref *ref, uint64_t low, uint64_t generation,
             struct node **out)
{
    struct wanted wanted = {.what = "index block: checksum",
                            .block = ref->place,
                            .generation = generation,
                            .oid = low,
                            .checksum = ref->checksum,
                            .believe = MUTATED(MUTATION_NODE_CHECKSUM)};
    struct node *n = cache_find(st, ref->place, ref->checksum);
    int r;

    if (n) {
        /* The checksum covers level and birth, but another reference may claim others. */
        r = n->disk.level == ref->level && n->disk.birth == ref->birth
                ? STORE_OK
                : check(st, ref, &n->disk, low, generation);
        if (r)
            return r;
        n->pins++;
        *out = n;
        return STORE_OK;
    }
    n = calloc(1, sizeof(*n));
    if (!n)
        return STORE_NOMEM;
    r = io_read_checked(st, &wanted, &n->disk);
    if (r == STORE_OK)
        r = check(st, ref, &n->disk, low, generation);
    if (r) {
        free(n);
        return r;
    }
    n->place = ref->place;
    n->checksum = ref->checksum;
    n->pins = 1;
    cache_add(st, n);
    *out = n;
    return STORE_OK;
}

void node_put(struct node *n)
{
    n->pins--;
}

struct node *node_fresh(struct store *st, unsigned level)
{
    struct node *n = calloc(1, sizeof(*n));

    if (!n)
        return NULL;
    n->disk.magic = NODE_MAGIC;
    n->disk.level = (uint16_t)level;
    n->next = st->fresh;
    if (n->next)
        n->next->newer = n;
    st->fresh = n;
    return n;
}

static void fresh_remove(struct store *st, struct node *n)
{
    *(n->newer ? &n->newer->next : &st->fresh) = n->next;
    if (n->next)
        n->next->newer = n->newer;
    n->next = n->newer = NULL;
}

void node_discard(struct store *st, struct node *n)
{
    fresh_remove(st, n);
    free(n);
}

int node_write(struct store *st, struct node *n, uint64_t birth, struct disk_ref *ref)
{
    int r = map_allocate(st, &n->place);

    if (r)
        return r;
    n->disk.birth = birth;
    n->checksum = store_checksum(&n->disk, STORE_BLOCK);
    *ref = (struct disk_ref){n->place, n->checksum, birth, n->disk.level};
    fresh_remove(st, n);
    n->written = st->io_epoch;
    st->in_flight++;
    cache_add(st, n);
    r = io_write(st, n->place, &n->disk, 1);
    if (r == STORE_OK && st->in_flight > 2 * st->io.cache_blocks)
        r = io_wait(st);
    return r;
}

void node_cache_free(struct store *st)
{
    while (st->fresh)
        node_discard(st, st->fresh);
    while (st->oldest)
        cache_remove(st, st->oldest);
}

struct disk_ref node_child(const struct node *n, unsigned i)
{
    const struct disk_child *c = &n->disk.child[i];

    return (struct disk_ref){c->place, c->checksum, c->birth, n->disk.level - 1u};
}
