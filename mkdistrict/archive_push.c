/*
 * archive push: blocks and pieces first, the manifest last (vault.h, invariant 1).
 */
#include <stdlib.h>
#include <string.h>

#include "vault.h"

struct pushing {
    struct vault *v;
    struct manifest m;
    uint32_t capacity;
    struct vault_entry entry[PIECE_ENTRIES];
    size_t entries;
    uint64_t stored; /* bytes, packed */
    struct progress p;
};

static void end_piece(struct pushing *u)
{
    struct manifest *m = &u->m;

    if (u->entries == 0)
        return;
    if (m->pieces == u->capacity) {
        u->capacity = u->capacity ? 2 * u->capacity : 256;
        m->piece = realloc(m->piece, (size_t)u->capacity * VAULT_HASH);
        if (!m->piece)
            fail("out of memory");
    }
    vault_hash(u->entry, u->entries * sizeof(u->entry[0]), m->piece[m->pieces]);
    u->stored += vault_keep(u->v, VAULT_PIECE, m->piece[m->pieces], u->entry,
                            u->entries * sizeof(u->entry[0]));
    m->pieces++;
    u->entries = 0;
}

/** About one id in 128 ends a piece, in whatever generation it is. */
static bool ends_piece(uint64_t oid)
{
    return oid * 0x9e3779b97f4a7c15ull >> 57 == 0;
}

static void push_object(void *ctx, const struct generation_object *g, const void *bytes)
{
    struct pushing *u = ctx;
    struct vault_entry *e = &u->entry[u->entries++];

    *e = (struct vault_entry){.object = *g};
    if (bytes) {
        vault_hash(bytes, STORE_BLOCK, e->hash);
        u->stored += vault_keep(u->v, VAULT_BLOCK, e->hash, bytes, STORE_BLOCK);
        progress_add(&u->p, STORE_BLOCK);
    }
    if (ends_piece(g->oid) || u->entries == PIECE_ENTRIES)
        end_piece(u);
}

/** @return true if the vault has this very generation already */
static bool known(struct pushing *u)
{
    struct manifest there = u->m;
    bool same;

    there.piece = NULL;
    if (!manifest_get(u->v, &there))
        return false;
    same = there.pieces == u->m.pieces &&
           memcmp(there.piece, u->m.piece, (size_t)there.pieces * VAULT_HASH) == 0;
    manifest_free(&there);
    if (!same)
        fail("%s: the vault has another generation %llu of %s: a copy of the district went its own "
             "way; give this one an id of its own (export and import) and push that",
             u->v->path, (unsigned long long)u->m.head.number, u->m.head.name);
    return true;
}

static void push_generation(struct vault *v, struct opened *o)
{
    struct pushing *u = allocate(sizeof(*u));
    char all[32], stored[32];

    u->v = v;
    generation_describe(o, &u->m.head);
    if (generation_implausible(&u->m.head))
        fail("%s: %s", o->path, generation_implausible(&u->m.head));
    manifest_key(&u->m);
    progress_start(&u->p, "archiving", u->m.head.bytes * STORE_BLOCK);
    generation_each(o, push_object, u);
    end_piece(u);
    vault_flush(v);
    progress_end(&u->p);
    if (known(u)) {
        printf("%s: generation %llu is in the vault already\n", u->m.head.name,
               (unsigned long long)u->m.head.number);
    } else {
        manifest_put(v, &u->m);
        printf("%s: generation %llu pushed: %s, %s of it new in the vault\n", u->m.head.name,
               (unsigned long long)u->m.head.number, show_bytes(u->m.head.bytes * STORE_BLOCK, all),
               show_bytes(u->stored, stored));
    }
    manifest_free(&u->m);
    free(u);
}

int archive_push(struct vault *v, int argc, char **argv)
{
    struct opened o;

    if (argc == 2 && strcmp(argv[1], "all") == 0) {
        opened_open(&o, argv[0], false);
        for (uint32_t i = 0; store_generation(o.store, i, &o.generation) == STORE_OK; i++)
            push_generation(v, &o);
    } else {
        opened_open_at(&o, argv[0], argc == 2 ? parse_generation(argv[1]) : STORE_NEWEST, false);
        push_generation(v, &o);
    }
    opened_close(&o);
    return 0;
}
