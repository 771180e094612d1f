/*
 * Changing a tree by copying: leaves that change and all index blocks above them are written anew,
 * to new places; nothing that exists is touched. One pass applies all changes of a commit, in order
 * of id, so that each block is written once, children before their parents and in ascending places.
 *
 * Nodes that become small (below a quarter) are merged with a neighbour; nodes that become too
 * large are split evenly, except where ids were appended, as with newly bought ones: then the left
 * ones stay full.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/** A child for the level above: with a place (node NULL), or still to be written. */
struct built {
    struct disk_child child;
    struct node *node;
};

struct list {
    struct built *at;
    size_t count, capacity;
};

struct updater {
    struct store *st;
    const struct update *update;
    uint64_t birth, generation;
    bool release;
    struct tree_counts *counts;
};

static int list_add(struct list *l, struct built b)
{
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 160;
        struct built *at = realloc(l->at, capacity * sizeof(*at));

        if (!at)
            return STORE_NOMEM;
        l->at = at;
        l->capacity = capacity;
    }
    l->at[l->count++] = b;
    return STORE_OK;
}

static size_t item_size(unsigned level)
{
    return level ? sizeof(struct disk_child) : sizeof(struct disk_entry);
}

static unsigned node_limit(unsigned level)
{
    return level ? NODE_CHILDREN : NODE_ENTRIES;
}

static uint64_t item_key(unsigned level, const void *items, size_t i)
{
    return level ? ((const struct disk_child *)items)[i].key
                 : ((const struct disk_entry *)items)[i].oid;
}

/** An index block of the old tree is not in the new one. */
static int release(struct updater *u, const struct disk_ref *ref)
{
    u->counts->nodes -= ref->place != 0;
    return u->release && ref->place ? map_free(u->st, ref->place, 1) : STORE_OK;
}

/** How many of `left` items go into the next node. */
static size_t share(size_t left, unsigned limit, bool appended)
{
    size_t nodes = (left + limit - 1) / limit;
    size_t full = limit - limit / 16;

    if (left <= limit)
        return left;
    return appended ? full : (left + nodes - 1) / nodes;
}

/** Makes fresh nodes of n items and adds them to out. key: lower bound of the first. */
static int emit(struct updater *u, unsigned level, uint64_t key, const void *items, size_t n,
                bool appended, struct list *out)
{
    size_t size = item_size(level), done = 0;

    while (done < n) {
        size_t count = share(n - done, node_limit(level), appended);
        struct node *node = node_fresh(u->st, level);
        struct built b = {.node = node};
        int r;

        if (!node)
            return STORE_NOMEM;
        memcpy(node->disk.bytes, (const char *)items + done * size, count * size);
        node->disk.count = (uint16_t)count;
        b.child.key = done ? item_key(level, items, done) : key;
        r = list_add(out, b);
        if (r)
            return r;
        done += count;
    }
    return STORE_OK;
}

/** Merges a leaf's entries with updates lo..hi-1 into `to`; returns how many there are. */
static size_t merge_leaf(struct updater *u, const struct disk_entry *old, size_t n, size_t lo,
                         size_t hi, struct disk_entry *to)
{
    size_t i = 0, count = 0;

    while (i < n || lo < hi) {
        const struct disk_entry *e = lo < hi ? &u->update[lo].entry : NULL;

        if (!e || (i < n && old[i].oid < e->oid)) {
            to[count++] = old[i++];
            continue;
        }
        if (i < n && old[i].oid == e->oid) {
            i++;
            u->counts->objects--;
        }
        if (e->type != OBJECT_NONE) {
            to[count++] = *e;
            u->counts->objects++;
        }
        lo++;
    }
    return count;
}

static int update_leaf(struct updater *u, const struct disk_ref *ref, uint64_t key, size_t lo,
                       size_t hi, struct list *out)
{
    struct node *n = NULL;
    struct disk_entry *to;
    size_t old = 0, count;
    bool appended;
    int r = STORE_OK;

    if (ref->place)
        r = node_get(u->st, ref, key, u->generation, &n);
    if (r)
        return r;
    old = n ? n->disk.count : 0;
    appended = old == 0 || n->disk.entry[old - 1].oid < u->update[lo].entry.oid;
    to = malloc((old + hi - lo) * sizeof(*to));
    if (to) {
        count = merge_leaf(u, n ? n->disk.entry : NULL, old, lo, hi, to);
        r = emit(u, 0, key, to, count, appended, out);
        free(to);
    } else {
        r = STORE_NOMEM;
    }
    if (n)
        node_put(n);
    return r ? r : release(u, ref);
}

static unsigned built_count(const struct built *b)
{
    return b->node->disk.count;
}

/** Turns a child that has a place into a fresh copy, so that it can be merged. */
static int open_child(struct updater *u, unsigned level, struct built *b)
{
    struct disk_ref ref = {b->child.place, b->child.checksum, b->child.birth, level};
    struct node *n, *copy;
    int r;

    if (b->node)
        return STORE_OK;
    r = node_get(u->st, &ref, b->child.key, u->generation, &n);
    if (r)
        return r;
    copy = node_fresh(u->st, level);
    if (copy) {
        memcpy(copy->disk.bytes, n->disk.bytes, sizeof(copy->disk.bytes));
        copy->disk.count = n->disk.count;
        b->node = copy;
    }
    node_put(n);
    return copy ? release(u, &ref) : STORE_NOMEM;
}

/** Appends b's items to a, if they fit. */
static bool absorb(struct updater *u, unsigned level, struct built *a, struct built *b)
{
    size_t size = item_size(level), n = built_count(a);

    if (n + built_count(b) > node_limit(level))
        return false;
    memcpy(a->node->disk.bytes + n * size, b->node->disk.bytes, built_count(b) * size);
    a->node->disk.count = (uint16_t)(n + built_count(b));
    node_discard(u->st, b->node);
    b->node = NULL;
    return true;
}

/** Merges small new nodes of that level with their neighbours in the list. */
static int merge_small(struct updater *u, unsigned level, struct list *l)
{
    for (size_t i = 0; i < l->count && l->count > 1; i++) {
        size_t left = i + 1 < l->count ? i : i - 1;
        int r;

        if (!l->at[i].node || built_count(&l->at[i]) >= node_limit(level) / 4)
            continue;
        r = open_child(u, level, &l->at[left]);
        if (r == STORE_OK)
            r = open_child(u, level, &l->at[left + 1]);
        if (r)
            return r;
        if (!absorb(u, level, &l->at[left], &l->at[left + 1]))
            continue;
        memmove(l->at + left + 1, l->at + left + 2, (l->count - left - 2) * sizeof(*l->at));
        l->count--;
        i = left ? left - 1 : 0;
    }
    return STORE_OK;
}

/** Writes the fresh nodes of a list; then all of it has places. */
static int write_list(struct updater *u, struct list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        struct built *b = &l->at[i];
        struct disk_ref ref;
        int r;

        if (!b->node)
            continue;
        r = node_write(u->st, b->node, u->birth, &ref);
        if (r)
            return r;
        u->counts->nodes++;
        b->node = NULL;
        b->child.place = ref.place;
        b->child.checksum = ref.checksum;
        b->child.birth = ref.birth;
    }
    return STORE_OK;
}

/** Makes the nodes of the next level from a written list. */
static int emit_inner(struct updater *u, unsigned level, uint64_t key, const struct list *l,
                      bool appended, struct list *out)
{
    struct disk_child *c = malloc((l->count + 1) * sizeof(*c));
    int r;

    if (!c)
        return STORE_NOMEM;
    for (size_t i = 0; i < l->count; i++)
        c[i] = l->at[i].child;
    r = emit(u, level, key, c, l->count, appended, out);
    free(c);
    return r;
}

static int update_node(struct updater *u, const struct disk_ref *ref, uint64_t key, size_t lo,
                       size_t hi, struct list *out);

static int update_children(struct updater *u, const struct node *n, size_t lo, size_t hi,
                           struct list *l)
{
    for (unsigned i = 0; i < n->disk.count; i++) {
        struct built b = {.child = n->disk.child[i]};
        struct disk_ref ref = node_child(n, i);
        size_t end = lo;
        int r;

        while (end < hi &&
               (i + 1 == n->disk.count || u->update[end].entry.oid < n->disk.child[i + 1].key))
            end++;
        r = end > lo ? update_node(u, &ref, b.child.key, lo, end, l) : list_add(l, b);
        if (r)
            return r;
        lo = end;
    }
    return STORE_OK;
}

static int update_inner(struct updater *u, const struct disk_ref *ref, uint64_t key, size_t lo,
                        size_t hi, struct list *out)
{
    struct list l = {0};
    struct node *n;
    bool appended;
    int r = node_get(u->st, ref, key, u->generation, &n);

    if (r)
        return r;
    appended = u->update[lo].entry.oid >= n->disk.child[n->disk.count - 1].key;
    r = update_children(u, n, lo, hi, &l);
    if (r == STORE_OK)
        r = merge_small(u, n->disk.level - 1u, &l);
    if (r == STORE_OK)
        r = write_list(u, &l);
    if (r == STORE_OK)
        r = emit_inner(u, n->disk.level, key, &l, appended, out);
    node_put(n);
    free(l.at);
    return r ? r : release(u, ref);
}

static int update_node(struct updater *u, const struct disk_ref *ref, uint64_t key, size_t lo,
                       size_t hi, struct list *out)
{
    return ref->place && ref->level ? update_inner(u, ref, key, lo, hi, out)
                                    : update_leaf(u, ref, key, lo, hi, out);
}

/** An inner node with one child is not needed: the child becomes the root. */
static bool collapse(struct updater *u, struct list *top, unsigned *level, struct disk_ref *root)
{
    struct node *n = top->at[0].node;

    if (top->count != 1 || *level == 0 || n->disk.count != 1)
        return false;
    *root = node_child(n, 0);
    node_discard(u->st, n);
    return true;
}

/** A root that is an old inner node with one child gives way to it, too. */
static int shrink(struct updater *u, struct disk_ref *root)
{
    while (root->level) {
        struct node *n;
        struct disk_ref child;
        int r = node_get(u->st, root, 0, u->generation, &n);
        bool one;

        if (r)
            return r;
        one = n->disk.count == 1;
        child = node_child(n, 0);
        node_put(n);
        if (!one)
            return STORE_OK;
        u->counts->nodes--;
        r = u->release || root->birth == u->birth ? map_free(u->st, root->place, 1) : STORE_OK;
        if (r)
            return r;
        *root = child;
    }
    return STORE_OK;
}

/** Builds levels above `top` until there is one node, and writes that. */
static int finish(struct updater *u, unsigned level, struct list *top, struct disk_ref *root)
{
    int r = STORE_OK;

    while (top->count > 1) {
        struct list next = {0};

        if (level + 1 >= LEVEL_MAX)
            return STORE_NOSPACE;
        r = write_list(u, top);
        if (r == STORE_OK)
            r = emit_inner(u, ++level, 0, top, true, &next);
        free(top->at);
        *top = next;
        if (r)
            return r;
    }
    if (top->count == 0) {
        *root = (struct disk_ref){0};
        return STORE_OK;
    }
    if (collapse(u, top, &level, root))
        return shrink(u, root);
    r = write_list(u, top);
    *root = (struct disk_ref){top->at[0].child.place, top->at[0].child.checksum,
                              top->at[0].child.birth, level};
    return r;
}

int tree_update(struct store *st, struct disk_ref *root, const struct update *update, size_t n,
                uint64_t birth, uint64_t generation, bool release_old, struct tree_counts *counts)
{
    struct updater u = {st, update, birth, generation, release_old, counts};
    struct disk_ref result = {0};
    struct list top = {0};
    int r;

    if (n == 0)
        return STORE_OK;
    r = update_node(&u, root, 0, 0, n, &top);
    if (r == STORE_OK)
        r = finish(&u, root->place ? (unsigned)root->level : 0, &top, &result);
    free(top.at);
    if (r == STORE_OK)
        *root = result;
    return r;
}
