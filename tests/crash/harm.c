/*
 * Damaged and forged stores: what was changed is found and not believed; and whatever is in the
 * blocks, nothing crashes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explorer.h"

static void damage_once(struct explorer *x, uint64_t block, uint64_t other)
{
    uint8_t bytes[STORE_BLOCK];
    const uint8_t *now = x->image->bytes + block * STORE_BLOCK;

    memcpy(bytes, now, sizeof(bytes));
    switch (explorer_any(x, 4)) {
    case 0: /* a bit turns */
        bytes[explorer_any(x, explorer_any(x, 2) ? 256 : sizeof(bytes))] ^=
            (uint8_t)(1u << explorer_any(x, 8));
        break;
    case 1: /* a sector is garbage */
        memset(bytes + explorer_any(x, 8) * SECTOR, (int)explorer_any(x, 256), SECTOR);
        break;
    case 2: /* a write went astray */
        memcpy(bytes, x->image->bytes + other * STORE_BLOCK, sizeof(bytes));
        break;
    default: /* a write was lost */
        memset(bytes, 0, sizeof(bytes));
        break;
    }
    image_write(x->image, block, bytes);
}

/** Every object that can be read must be right; what cannot must have been reported. */
static void believe_nothing(struct explorer *x, struct store *st)
{
    const struct model_state *s = &x->m->state;
    uint64_t page[512];

    for (uint32_t k = 0; k < s->count; k++)
        for (oid_t oid = 1; oid < s->kept[k].limit; oid++) {
            const struct model_object *e = &s->kept[k].object[oid];
            struct store_object o;
            uint64_t before = x->image->damages;
            int r = store_get(st, s->kept[k].number, oid, &o, page);

            if (r == STORE_DAMAGED && x->image->damages == before)
                explorer_bad(x, "damage that nobody reported");
            if (r != STORE_OK && r != STORE_ABSENT && r != STORE_DAMAGED)
                explorer_bad(x, store_error_text(r));
            if (r == STORE_ABSENT && e->type != OBJECT_NONE)
                explorer_bad(x, "a damaged object is said not to exist");
            if (r != STORE_OK)
                continue;
            if (o.type != e->type || o.version != e->version ||
                !model_bytes_are(e->seed, e->made, page))
                explorer_bad(x, "damaged bytes are believed");
        }
}

static uint64_t scrub_errors(struct explorer *x, struct store *st)
{
    struct store_scrub s;
    int r = store_scrub_begin(st, &s);

    while (r == STORE_OK)
        r = store_scrub_step(st, &s, 1 + explorer_any(x, 30));
    if (r != STORE_ABSENT)
        explorer_bad(x, "scrubbing does not come to an end");
    return s.errors;
}

void explorer_damage(struct explorer *x, unsigned times)
{
    struct store_io io = explorer_image_io(x);
    uint64_t used[4096];
    size_t count = 0;
    int r;

    if (x->m->begun || x->disk->flying.count)
        return;
    for (uint64_t b = FIRST_DATA; b < x->m->state.blocks && count < 4096; b++)
        if (map_used(x->m->st, b, &r))
            used[count++] = b;
    for (unsigned i = 0; i < times && count; i++) {
        struct store_verify v = {0};
        struct store *st;
        unsigned n = 1 + (unsigned)explorer_any(x, 3);

        image_restore(x->image);
        for (unsigned k = 0; k < n; k++)
            damage_once(x, used[explorer_any(x, count)], used[explorer_any(x, count)]);
        statistics->damaged++;
        if (store_open(&io, &st))
            explorer_bad(x, "does not open though its roots are whole");
        believe_nothing(x, st);
        if (x->image->damages && store_verify(st, &v) != STORE_DAMAGED)
            explorer_bad(x, "verification does not find what reading did");
        if (x->image->damages && scrub_errors(x, st) == 0)
            explorer_bad(x, "scrubbing does not find what reading did");
        store_close(st);
    }
}

/* --- forged stores ---------------------------------------------------------------------------- */

static int look(void *ctx, const struct store_object *o)
{
    (void)ctx;
    return o->type == 0;
}

/** Does everything with it, without asking for success. */
static void use_all(struct store *st)
{
    struct store_generation g;
    struct store_verify v = {0};
    struct store_object o;
    uint64_t page[512], incarnation;
    struct store_info info;

    store_verify(st, &v);
    for (uint32_t i = 0; i < 8 && store_generation(st, i, &g) == STORE_OK; i++) {
        store_walk(st, g.number, 0, look, NULL);
        for (oid_t oid = 1; oid < 20; oid++)
            store_get(st, g.number, oid, &o, page);
    }
    if (store_claim(st, STORE_NEWEST, 1, "forged", 1, &incarnation))
        return;
    for (unsigned round = 0; round < 2; round++) {
        store_info(st, &info);
        if (store_begin(st, info.next_generation))
            break;
        memset(page, 7, sizeof(page));
        for (oid_t oid = 1; oid < 12; oid++)
            if (store_put(st, oid * (round + 1), OBJECT_PAGE, 1, page))
                break;
        if (store_commit(st, 1, STORE_MADE_ASKED))
            store_abort(st);
    }
    store_info(st, &info);
    if (store_generation(st, 0, &g) == STORE_OK)
        store_drop(st, g.number);
}

static void forge_block(struct explorer *x, uint64_t block)
{
    uint8_t bytes[STORE_BLOCK];
    uint64_t *word = (uint64_t *)bytes;

    memcpy(bytes, x->image->bytes + block * STORE_BLOCK, sizeof(bytes));
    for (unsigned n = 1 + (unsigned)explorer_any(x, 6); n > 0; n--) {
        size_t at = explorer_any(x, explorer_any(x, 2) ? 64 : 512);

        switch (explorer_any(x, 4)) {
        case 0:
            bytes[at * 8 + explorer_any(x, 8)] = (uint8_t)explorer_any(x, 256);
            break;
        case 1:
            word[at] = explorer_any(x, 300);
            break;
        case 2:
            word[at] = word[explorer_any(x, 64)];
            break;
        default:
            word[at] = (uint64_t)0 - explorer_any(x, 3);
            break;
        }
    }
    image_write(x->image, block, bytes);
}

void explorer_forge(struct explorer *x, unsigned times)
{
    struct store_io io = explorer_image_io(x);
    uint64_t used[4096];
    size_t count = 0;
    int r;

    if (x->disk->flying.count)
        return;
    for (uint64_t b = FIRST_DATA; b < x->m->state.blocks && count < 4000; b++)
        if (map_used(x->m->st, b, &r) &&
            ((const struct disk_node *)(x->disk->current + b * STORE_BLOCK))->magic == NODE_MAGIC)
            used[count++] = b;
    if (MUTATED(MUTATION_ROOT_CHECKSUM))
        for (count = 0; count < ROOT_SLOTS; count++)
            used[count] = ROOT_FIRST + count * ROOT_SLOT_BLOCKS;
    for (unsigned i = 0; i < times && count; i++) {
        struct store *st;

        image_restore(x->image);
        for (unsigned k = 1 + (unsigned)explorer_any(x, 3); k > 0; k--)
            forge_block(x, used[explorer_any(x, count)]);
        statistics->damaged++;
        if (store_open(&io, &st) == STORE_OK)
            use_all(st);
        store_close(st);
    }
}
