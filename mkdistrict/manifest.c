/*
 * Manifests: what a generation in the vault consists of. Its objects are listed in pieces, which
 * are cut where the ids say, so that generations which differ in few objects share most pieces.
 */
#include <stdlib.h>
#include <string.h>

#include "vault.h"

/* Value of a manifest: the head, the number of pieces (4 bytes, and 4 of zeros), their hashes, the
 * hash of key and all that. */
#define PIECES_AT (sizeof(struct generation_head) + 8)

void manifest_free(struct manifest *m)
{
    free(m->piece);
    m->piece = NULL;
    m->pieces = 0;
}

void manifest_key(struct manifest *m)
{
    size_t n = strlen(m->head.name) + 1;

    m->key[0] = 'g';
    memcpy(m->key + 1, m->head.name, n);
    memcpy(m->key + 1 + n, m->head.id, 16);
    for (unsigned i = 0; i < 8; i++)
        m->key[1 + n + 16 + i] = (char)(m->head.number >> (56 - 8 * i));
    m->key_size = 1 + n + 16 + 8;
}

static void hash_value(const struct manifest *m, const char *value, size_t n,
                       uint8_t hash[VAULT_HASH])
{
    crypto_generichash_state s;

    crypto_generichash_init(&s, NULL, 0, VAULT_HASH);
    crypto_generichash_update(&s, (const uint8_t *)m->key, m->key_size);
    crypto_generichash_update(&s, (const uint8_t *)value, n);
    crypto_generichash_final(&s, hash, VAULT_HASH);
}

void manifest_put(struct vault *v, struct manifest *m)
{
    size_t n = PIECES_AT + (size_t)m->pieces * VAULT_HASH;
    char *value = allocate(n + VAULT_HASH);

    vault_flush(v); /* invariant 1 */
    memcpy(value, &m->head, sizeof(m->head));
    memcpy(value + sizeof(m->head), &m->pieces, sizeof(m->pieces));
    memcpy(value + PIECES_AT, m->piece, n - PIECES_AT);
    hash_value(m, value, n, (uint8_t *)value + n);
    leveldb_writebatch_put(v->batch, m->key, m->key_size, value, n + VAULT_HASH);
    v->batched += n;
    vault_flush(v);
    free(value);
}

/** NULL if the value is whole and m is filled in, else what is wrong. */
static const char *decode(struct manifest *m, const char *value, size_t size)
{
    struct manifest again = {.pieces = 0};
    uint8_t hash[VAULT_HASH];

    if (size < PIECES_AT + VAULT_HASH)
        return "it is too short";
    hash_value(m, value, size - VAULT_HASH, hash);
    if (memcmp(hash, value + size - VAULT_HASH, VAULT_HASH) != 0)
        return "its hash does not fit";
    memcpy(&m->head, value, sizeof(m->head));
    memcpy(&m->pieces, value + sizeof(m->head), sizeof(m->pieces));
    if (generation_implausible(&m->head))
        return generation_implausible(&m->head);
    again.head = m->head;
    manifest_key(&again);
    if (again.key_size != m->key_size || memcmp(again.key, m->key, m->key_size) != 0)
        return "it stands under another name";
    if (size != PIECES_AT + (size_t)m->pieces * VAULT_HASH + VAULT_HASH)
        return "its length does not fit";
    m->piece = allocate((size_t)m->pieces * VAULT_HASH + 1);
    memcpy(m->piece, value + PIECES_AT, (size_t)m->pieces * VAULT_HASH);
    return NULL;
}

/** A manifest from where an iterator is. */
static const char *decode_at(struct manifest *m, leveldb_iterator_t *i)
{
    size_t key_size, size;
    const char *key = leveldb_iter_key(i, &key_size), *value = leveldb_iter_value(i, &size);

    *m = (struct manifest){.pieces = 0};
    if (key_size > sizeof(m->key))
        return "its name is too long";
    memcpy(m->key, key, key_size);
    m->key_size = key_size;
    return decode(m, value, size);
}

bool manifest_get(struct vault *v, struct manifest *m)
{
    leveldb_iterator_t *i = vault_iterate(v, m->key, m->key_size);
    const char *why = NULL, *key;
    bool there = false;
    size_t n;

    if (leveldb_iter_valid(i)) {
        key = leveldb_iter_key(i, &n);
        there = n == m->key_size && memcmp(key, m->key, n) == 0;
        why = there ? decode_at(m, i) : NULL;
    }
    vault_end(v, i);
    if (why)
        fail("%s: a manifest is damaged: %s; archive verify names it", v->path, why);
    return there;
}

void manifests_each(struct vault *v, void (*each)(void *ctx, struct manifest *m, const char *why),
                    void *ctx)
{
    leveldb_iterator_t *i = vault_iterate(v, "g", 1);

    for (; leveldb_iter_valid(i); leveldb_iter_next(i)) {
        struct manifest m;
        const char *why;
        size_t n;

        if (leveldb_iter_key(i, &n)[0] != 'g')
            break;
        why = decode_at(&m, i);
        each(ctx, &m, why);
    }
    vault_end(v, i);
}

struct all {
    struct vault *v;
    struct manifest *m;
    size_t count, capacity;
};

static void add(void *ctx, struct manifest *m, const char *why)
{
    struct all *a = ctx;

    if (why)
        fail("%s: a manifest is damaged: %s; archive verify names it", a->v->path, why);
    if (a->count == a->capacity) {
        a->capacity = a->capacity ? 2 * a->capacity : 64;
        a->m = realloc(a->m, a->capacity * sizeof(*a->m));
        if (!a->m)
            fail("out of memory");
    }
    a->m[a->count++] = *m;
}

size_t manifests_all(struct vault *v, struct manifest **all)
{
    struct all a = {.v = v};

    manifests_each(v, add, &a);
    *all = a.m;
    return a.count;
}

enum vault_found manifest_piece(struct vault *v, const uint8_t hash[VAULT_HASH],
                                struct vault_entry entry[PIECE_ENTRIES], size_t *count)
{
    size_t n = PIECE_SIZE_MAX;
    enum vault_found found = vault_get(v, VAULT_PIECE, hash, entry, &n);

    if (found == VAULT_THERE && n % sizeof(*entry) != 0)
        return VAULT_DAMAGED;
    *count = n / sizeof(*entry);
    return found;
}
