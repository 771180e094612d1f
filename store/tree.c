/*
 * Looking things up in a tree: one object, one index block, or all objects in order.
 *
 * A child's key is a lower bound of the keys below it (that of the first child of a node may be
 * higher than what is looked up: then the first is taken). Children that an update does not touch
 * keep their key and place, so that two trees share a block exactly if both have it under the same
 * key.
 */
#include "internal.h"

/** Last child with a key <= key, else the first. */
static unsigned child_for(const struct disk_node *d, uint64_t key)
{
    unsigned lo = 0, hi = d->count;

    while (hi - lo > 1) {
        unsigned mid = (lo + hi) / 2;

        if (d->child[mid].key <= key)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

/** First entry with an oid >= key, or count. */
static unsigned entry_for(const struct disk_node *d, uint64_t key)
{
    unsigned lo = 0, hi = d->count;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;

        if (d->entry[mid].oid < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/** Descends towards key to the node of that level, pinned. The root is at or above it. */
static int descend(struct store *st, const struct disk_ref *root, uint64_t generation, uint64_t key,
                   unsigned level, struct node **out)
{
    struct disk_ref ref = *root;

    for (;;) {
        int r = node_get(st, &ref, key, generation, out);

        if (r || (*out)->disk.level == level)
            return r;
        ref = node_child(*out, child_for(&(*out)->disk, key));
        node_put(*out);
    }
}

int tree_find(struct store *st, const struct disk_ref *root, uint64_t generation, uint64_t oid,
              struct disk_entry *e)
{
    struct node *n;
    unsigned i;
    int r;

    if (root->place == 0)
        return STORE_ABSENT;
    r = descend(st, root, generation, oid, 0, &n);
    if (r)
        return r;
    i = entry_for(&n->disk, oid);
    if (i < n->disk.count && n->disk.entry[i].oid == oid)
        *e = n->disk.entry[i];
    else
        r = STORE_ABSENT;
    node_put(n);
    return r;
}

int tree_shares(struct store *st, const struct disk_ref *root, uint64_t generation, uint64_t key,
                unsigned level, uint64_t place, bool *found)
{
    struct node *n;
    int r;

    *found = root->place == place && root->level == level;
    if (root->place == 0 || root->level <= level)
        return STORE_OK;
    r = descend(st, root, generation, key, level + 1, &n);
    if (r)
        return r;
    *found = n->disk.child[child_for(&n->disk, key)].place == place;
    node_put(n);
    return STORE_OK;
}

/** Fills the path from depth - 1 downwards: at each node the index is set already. */
static int go_down(struct cursor *c, uint64_t key, bool seek)
{
    while (c->node[c->depth - 1]->disk.level > 0) {
        struct node *above = c->node[c->depth - 1];
        struct disk_ref ref = node_child(above, c->index[c->depth - 1]);
        struct node *n;
        int r =
            node_get(c->st, &ref, above->disk.child[c->index[c->depth - 1]].key, c->generation, &n);

        if (r) {
            cursor_end(c);
            return r;
        }
        c->node[c->depth] = n;
        if (!seek)
            c->index[c->depth] = 0;
        else
            c->index[c->depth] =
                n->disk.level ? child_for(&n->disk, key) : entry_for(&n->disk, key);
        c->depth++;
    }
    return STORE_OK;
}

/** To the next leaf's first entry, if the path's end is behind its node's last. */
static int normalise(struct cursor *c)
{
    while (c->depth && c->index[c->depth - 1] >= c->node[c->depth - 1]->disk.count) {
        node_put(c->node[--c->depth]);
        if (c->depth)
            c->index[c->depth - 1]++;
    }
    return c->depth ? go_down(c, 0, false) : STORE_OK;
}

int cursor_seek(struct cursor *c, struct store *st, const struct disk_ref *root,
                uint64_t generation, uint64_t key)
{
    int r;

    c->st = st;
    c->generation = generation;
    c->depth = 0;
    if (root->place == 0)
        return STORE_OK;
    r = node_get(st, root, key, generation, &c->node[0]);
    if (r)
        return r;
    c->index[0] = c->node[0]->disk.level ? child_for(&c->node[0]->disk, key)
                                         : entry_for(&c->node[0]->disk, key);
    c->depth = 1;
    r = go_down(c, key, true);
    return r ? r : normalise(c);
}

const struct disk_entry *cursor_entry(const struct cursor *c)
{
    return c->depth ? &c->node[c->depth - 1]->disk.entry[c->index[c->depth - 1]] : NULL;
}

int cursor_next(struct cursor *c)
{
    uint64_t last = cursor_entry(c)->oid;
    const struct disk_entry *e;
    int r;

    c->index[c->depth - 1]++;
    r = normalise(c);
    e = cursor_entry(c);
    if (r == STORE_OK && e && e->oid <= last) {
        uint64_t place = c->node[c->depth - 1]->place;

        r = DAMAGED(c->st, "index: ids go back", place, c->generation, e->oid, last + 1, e->oid);
        cursor_end(c);
    }
    return r;
}

void cursor_end(struct cursor *c)
{
    while (c->depth)
        node_put(c->node[--c->depth]);
}
