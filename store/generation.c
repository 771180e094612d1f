/*
 * The table of generations: how they descend from one another, and dropping one.
 *
 * Dropping frees exactly the blocks that only this generation reaches. Blocks carry the generation
 * that wrote them (birth), and are inherited from generation to generation until one replaces them.
 * So of the tree of G, what its nearest kept ancestor has is what was born no later than that; and
 * of the rest, what others have can be found by looking at its nearest kept relatives: descendants,
 * and those that fork off behind that ancestor. A dropped generation from which several kept ones
 * fork stays in the table as a ghost, because without it that relation would be lost.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/** Index of the first one whose number is not lower. */
static uint32_t index_from(const struct state *s, uint64_t number)
{
    uint32_t lo = 0, hi = s->head.generations;

    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;

        if (s->generation[mid].number < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct disk_generation *generation_find(struct state *s, uint64_t number)
{
    uint32_t i = index_from(s, number);

    return i < s->head.generations && s->generation[i].number == number ? &s->generation[i] : NULL;
}

static bool kept(const struct disk_generation *g)
{
    return !(g->flags & GENERATION_GHOST);
}

const struct disk_generation *generation_kept(const struct state *s, uint64_t number)
{
    const struct disk_generation *g;

    if (number == STORE_NEWEST)
        number = s->head.current;
    g = generation_find((struct state *)s, number);
    return g && kept(g) ? g : NULL;
}

uint32_t generations_kept(const struct state *s)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->head.generations; i++)
        n += kept(&s->generation[i]);
    return n;
}

int generation_add(struct state *s, const struct disk_generation *g)
{
    if (s->head.generations == STORE_GENERATIONS_MAX)
        return STORE_NOSPACE;
    s->generation[s->head.generations++] = *g;
    return STORE_OK;
}

static void remove_entry(struct state *s, struct disk_generation *g)
{
    size_t i = (size_t)(g - s->generation);

    memmove(g, g + 1, (s->head.generations - i - 1) * sizeof(*g));
    s->head.generations--;
}

uint32_t generation_children(const struct state *s, uint64_t number)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->head.generations; i++)
        n += s->generation[i].base == number;
    return n;
}

/** Takes an entry out; its children then hang on what it hung on. */
static void unhook(struct state *s, struct disk_generation *g)
{
    uint64_t number = g->number, base = g->base;
    struct disk_generation *below;

    for (uint32_t i = 0; i < s->head.generations; i++)
        if (s->generation[i].base == number)
            s->generation[i].base = base;
    remove_entry(s, g);
    below = base == NONE ? NULL : generation_find(s, base);
    if (below && !kept(below) && generation_children(s, base) < 2)
        unhook(s, below);
}

/* --- what only one generation needs ----------------------------------------------------------- */

struct dropping {
    struct store *st;
    uint64_t generation;
    bool has_floor;
    uint64_t floor; /* nearest kept ancestor: what was born up to it is not ours to free */
    const struct disk_generation *other[STORE_GENERATIONS_MAX];
    unsigned others;
    uint64_t *garbage; /* blocks to be freed */
    size_t count, capacity;
    uint64_t nodes; /* looked at: more than the store has blocks is a forged tree */
    bool anyway;    /* what cannot be read is passed over */
};

/** A kept generation is a nearest relative if it hangs on G, or on a ghost between G and the floor,
 * or on ghosts that hang there: open[] marks what relatives may hang on. Bases have lower numbers,
 * so that one pass upwards finds them all. */
static void find_relatives(struct dropping *d)
{
    const struct state *s = &d->st->now;
    bool open[STORE_GENERATIONS_MAX] = {false};
    uint32_t i = index_from(s, d->generation);

    open[i] = true;
    while (s->generation[i].base != NONE) {
        i = index_from(s, s->generation[i].base);
        if (kept(&s->generation[i])) {
            d->has_floor = true;
            d->floor = s->generation[i].number;
            break;
        }
        open[i] = true;
    }
    for (i = d->has_floor ? i + 1 : 0; i < s->head.generations; i++) {
        const struct disk_generation *g = &s->generation[i];

        if (open[i] || g->base == NONE || !open[index_from(s, g->base)])
            continue;
        if (kept(g))
            d->other[d->others++] = g;
        else
            open[i] = true;
    }
}

static int garbage_add(struct dropping *d, uint64_t place)
{
    if (d->count == d->capacity) {
        size_t capacity = d->capacity ? d->capacity * 2 : 64;
        uint64_t *garbage = realloc(d->garbage, capacity * sizeof(*garbage));

        if (!garbage)
            return STORE_NOMEM;
        d->garbage = garbage;
        d->capacity = capacity;
    }
    d->garbage[d->count++] = place;
    return STORE_OK;
}

static void sift(uint64_t *a, size_t root, size_t n)
{
    for (size_t child; (child = 2 * root + 1) < n; root = child) {
        uint64_t t;

        if (child + 1 < n && a[child] < a[child + 1])
            child++;
        if (a[root] >= a[child])
            return;
        t = a[root];
        a[root] = a[child];
        a[child] = t;
    }
}

static void garbage_sort(struct dropping *d)
{
    uint64_t *a = d->garbage;

    for (size_t i = d->count / 2; i-- > 0;)
        sift(a, i, d->count);
    for (size_t i = d->count; i-- > 1;) {
        uint64_t t = a[0];

        a[0] = a[i];
        a[i] = t;
        sift(a, 0, i);
    }
}

/** Frees all of it, or, if a block of it cannot have been in use, nothing. */
static int garbage_free(struct dropping *d)
{
    const uint64_t *a = d->garbage;
    int r = STORE_OK;

    garbage_sort(d);
    for (size_t i = 0; i < d->count; i++)
        if ((i && a[i] == a[i - 1]) || !map_may_free(d->st, a[i]))
            return DAMAGED(d->st, "map: a block is freed that is not in use", a[i], d->generation,
                           0, 1, 0);
    for (size_t i = 0, n; i < d->count && r == STORE_OK; i += n) {
        for (n = 1; i + n < d->count && a[i + n] == a[i] + n; n++)
            ;
        r = map_free(d->st, a[i], n);
    }
    return r;
}

/** What cannot be told for damage stays used. */
static int pass_over(const struct dropping *d, int r)
{
    return r == STORE_DAMAGED && d->anyway ? STORE_OK : r;
}

static int drop_leaf(struct dropping *d, const struct node *n)
{
    struct cursor c[STORE_GENERATIONS_MAX > 8 ? 8 : STORE_GENERATIONS_MAX];
    unsigned cursors = d->others < 8 ? d->others : 8;
    int r = STORE_OK;

    for (unsigned k = 0; k < cursors; k++)
        c[k].depth = 0;
    for (unsigned k = 0; k < cursors && r == STORE_OK; k++)
        r = cursor_seek(&c[k], d->st, &d->other[k]->root, d->other[k]->number,
                        n->disk.entry[0].oid);
    for (unsigned i = 0; i < n->disk.count && r == STORE_OK; i++) {
        const struct disk_entry *e = &n->disk.entry[i], *o;
        bool shared = !(e->flags & ENTRY_BYTES) || (d->has_floor && e->birth <= d->floor);

        for (unsigned k = 0; k < cursors && !shared && r == STORE_OK; k++) {
            while ((o = cursor_entry(&c[k])) && o->oid < e->oid && r == STORE_OK)
                r = cursor_next(&c[k]);
            shared = o && o->oid == e->oid && o->flags & ENTRY_BYTES && o->place == e->place;
        }
        for (unsigned k = cursors; k < d->others && !shared && r == STORE_OK; k++) {
            struct disk_entry f;

            r = tree_find(d->st, &d->other[k]->root, d->other[k]->number, e->oid, &f);
            shared = r == STORE_OK && f.flags & ENTRY_BYTES && f.place == e->place;
            r = r == STORE_ABSENT ? STORE_OK : r;
        }
        if (r == STORE_OK && (!shared || (MUTATED(MUTATION_DROP_SHARED) && e->flags & ENTRY_BYTES)))
            r = garbage_add(d, e->place);
    }
    for (unsigned k = 0; k < cursors; k++)
        cursor_end(&c[k]);
    return pass_over(d, r);
}

static int drop_node(struct dropping *d, const struct disk_ref *ref, uint64_t key)
{
    struct node *n;
    int r;

    if (ref->place == 0 || (d->has_floor && ref->birth <= d->floor))
        return STORE_OK;
    for (unsigned k = 0; k < d->others; k++) {
        bool shared;

        r = tree_shares(d->st, &d->other[k]->root, d->other[k]->number, key, (unsigned)ref->level,
                        ref->place, &shared);
        if (r || shared)
            return pass_over(d, r);
    }
    if (++d->nodes > d->st->committed.head.blocks)
        return DAMAGED(d->st, "index: the same blocks again and again", ref->place, d->generation,
                       key, d->st->committed.head.blocks, d->nodes);
    r = node_get(d->st, ref, key, d->generation, &n);
    if (r)
        return pass_over(d, r);
    if (!MUTATED(MUTATION_DROP_LEAKS))
        r = garbage_add(d, ref->place);
    if (r == STORE_OK && n->disk.level == 0)
        r = drop_leaf(d, n);
    for (unsigned i = 0; n->disk.level && i < n->disk.count && r == STORE_OK; i++) {
        struct disk_ref child = node_child(n, i);

        r = drop_node(d, &child, n->disk.child[i].key);
    }
    node_put(n);
    return r;
}

/** Finds the blocks that only that generation holds. */
static int collect(struct dropping *d)
{
    const struct disk_generation *g = generation_find(&d->st->now, d->generation);

    find_relatives(d);
    return drop_node(d, &g->root, 0);
}

int generation_held(struct store *st, uint64_t number, uint64_t *blocks)
{
    struct dropping d = {.st = st, .generation = number};
    int r = collect(&d);

    *blocks = d.count;
    free(d.garbage);
    return r;
}

void generation_strike(struct store *st, uint64_t number)
{
    struct disk_generation *g = generation_find(&st->now, number);

    if (generation_children(&st->now, number) > 1) {
        g->flags |= GENERATION_GHOST;
        g->root = (struct disk_ref){0};
        g->nodes = 0;
    } else {
        unhook(&st->now, g);
    }
}

int generation_drop(struct store *st, uint64_t number)
{
    struct dropping d = {.st = st, .generation = number};
    size_t before = st->now.points.count;
    int r = collect(&d);

    (void)before;
    INVARIANT(12, st->now.points.count == before);
    /* Everything has been read and checked: from here on only memory can run out. */
    if (r == STORE_OK)
        r = garbage_free(&d);
    free(d.garbage);
    if (r == STORE_OK)
        generation_strike(st, number);
    return r;
}

int generation_drop_readable(struct store *st, uint64_t number)
{
    struct dropping d = {.st = st, .generation = number, .anyway = true};
    int r = collect(&d);

    if (r == STORE_OK)
        r = garbage_free(&d);
    free(d.garbage);
    if (r == STORE_OK) {
        generation_strike(st, number);
        st->now.head.flags |= ROOT_LEAKS;
    }
    return r;
}
