/*
 * archive prune: first the manifests that retention does not keep are removed, durably; then what
 * no manifest leads to (vault.h, invariant 2). archive verify: everything is read and compared.
 */
#include <stdlib.h>
#include <string.h>

#include "vault.h"

/* --- prune ------------------------------------------------------------------------------------ */

static int by_time(const void *a, const void *b)
{
    const struct manifest *const *x = a, *const *y = b;

    if ((*x)->head.time != (*y)->head.time)
        return (*x)->head.time < (*y)->head.time ? -1 : 1;
    return ((*x)->head.number > (*y)->head.number) - ((*x)->head.number < (*y)->head.number);
}

/** Removes manifests of one district, all[0 .. n - 1]. Those that stay have `stays` set. */
static void prune_district(struct vault *v, struct manifest *all, size_t n,
                           const struct retention *r, bool *stays)
{
    struct manifest **m = allocate(n * sizeof(struct manifest *));
    uint64_t *time = allocate(n * sizeof(*time));
    bool *keep = allocate(n * sizeof(*keep));

    for (size_t i = 0; i < n; i++)
        m[i] = &all[i];
    qsort(m, n, sizeof(struct manifest *), by_time);
    for (size_t i = 0; i < n; i++)
        time[i] = m[i]->head.time;
    retention_choose(r, time, n, keep);
    for (size_t i = 0; i < n; i++) {
        stays[m[i] - all] = keep[i];
        if (keep[i])
            continue;
        vault_remove(v, m[i]->key, m[i]->key_size);
        printf("%s: generation %llu removed\n", m[i]->head.name,
               (unsigned long long)m[i]->head.number);
    }
    free(m);
    free(time);
    free(keep);
}

/** All that a manifest leads to. A piece that cannot be read would lead to blocks unknown. */
static void mark(struct vault *v, const struct manifest *m, struct hash_set *used)
{
    struct vault_entry *entry = allocate(PIECE_SIZE_MAX);
    size_t n;

    for (uint32_t i = 0; i < m->pieces; i++) {
        if (hash_set_has(used, m->piece[i]))
            continue;
        if (manifest_piece(v, m->piece[i], entry, &n) != VAULT_THERE)
            fail("%s: the list of generation %llu of %s is damaged: nothing more is removed; "
                 "archive "
                 "verify names all losses",
                 v->path, (unsigned long long)m->head.number, m->head.name);
        hash_set_add(used, m->piece[i]);
        for (size_t k = 0; k < n; k++)
            if (entry[k].object.flags & OBJECT_BYTES)
                hash_set_add(used, entry[k].hash);
    }
    free(entry);
}

/** Removes the unused ones of a kind. @return their bytes */
static uint64_t sweep(struct vault *v, char kind, const struct hash_set *used, uint64_t *count)
{
    leveldb_iterator_t *i = vault_iterate(v, &kind, 1);
    uint64_t bytes = 0;
    struct progress p;

    progress_start(&p, "looking for unused blocks", vault_size(v, kind));
    for (; leveldb_iter_valid(i); leveldb_iter_next(i)) {
        size_t n, size;
        const char *key = leveldb_iter_key(i, &n);

        if (key[0] != kind)
            break;
        leveldb_iter_value(i, &size);
        progress_add(&p, size);
        if (n == 1 + VAULT_HASH && hash_set_has(used, (const uint8_t *)key + 1))
            continue;
        vault_remove(v, key, n);
        bytes += n + size;
        ++*count;
    }
    vault_end(v, i);
    progress_end(&p);
    return bytes;
}

int archive_prune(struct vault *v, const char *name, const struct retention *r)
{
    struct hash_set used = {.slot = NULL};
    struct manifest *all;
    size_t n = manifests_all(v, &all), end;
    bool *stays = allocate(n + 1);
    uint64_t bytes, blocks = 0, pieces = 0, removed = 0;
    bool named = !name;
    char text[32];

    for (size_t i = 0; i < n; i++)
        named |= name && archive_names(name, &all[i].head);
    if (!named)
        archive_nobody(v, name);
    for (size_t i = 0; i < n; i = end) {
        for (end = i; end < n && memcmp(all[end].head.id, all[i].head.id, 16) == 0 &&
                      strcmp(all[end].head.name, all[i].head.name) == 0;
             end++)
            stays[end] = true;
        if (!name || archive_names(name, &all[i].head))
            prune_district(v, all + i, end - i, r, stays + i);
    }
    vault_flush(v);
    for (size_t i = 0; i < n; i++) {
        if (stays[i])
            mark(v, &all[i], &used);
        removed += !stays[i];
        manifest_free(&all[i]);
    }
    bytes = sweep(v, VAULT_PIECE, &used, &pieces) + sweep(v, VAULT_BLOCK, &used, &blocks);
    vault_flush(v);
    if (blocks + pieces)
        leveldb_compact_range(v->db, NULL, 0, NULL,
                              0); /* else the space is given back much later */
    printf("%s: %llu generations removed, %llu kept; %llu unused blocks removed, %s\n", v->path,
           (unsigned long long)removed, (unsigned long long)(n - removed),
           (unsigned long long)blocks, show_bytes(bytes, text));
    free(stays);
    free(used.slot);
    free(all);
    return 0;
}

/* --- verify ----------------------------------------------------------------------------------- */

struct verifying {
    struct vault *v;
    struct hash_set whole; /* blocks */
    uint64_t errors, blocks, bytes, generations;
};

/** Reads all of a kind. */
static void verify_kind(struct verifying *y, char kind)
{
    static uint8_t bytes[PIECE_SIZE_MAX];
    leveldb_iterator_t *i = vault_iterate(y->v, &kind, 1);
    struct progress p;
    char text[80];

    progress_start(&p, kind == VAULT_BLOCK ? "verifying blocks" : "verifying pieces",
                   vault_size(y->v, kind));
    for (; leveldb_iter_valid(i); leveldb_iter_next(i)) {
        size_t n, size, room = sizeof(bytes);
        const char *key = leveldb_iter_key(i, &n), *value;

        if (key[0] != kind)
            break;
        value = leveldb_iter_value(i, &size);
        progress_add(&p, size);
        y->bytes += size;
        if (n != 1 + VAULT_HASH ||
            vault_unpack((const uint8_t *)key + 1, value, size, bytes, &room) != VAULT_THERE) {
            y->errors++;
            progress_clear();
            printf("%s: damaged: %s %s\n", y->v->path, kind == VAULT_BLOCK ? "block" : "piece",
                   n == 1 + VAULT_HASH ? vault_show((const uint8_t *)key + 1, text) : "of no name");
            continue;
        }
        y->blocks += kind == VAULT_BLOCK;
        hash_set_add(&y->whole, (const uint8_t *)key + 1);
    }
    progress_end(&p);
    if (!vault_end_whole(y->v, i)) {
        y->errors++;
        printf("%s: damaged: a part of LevelDB's files with %s\n", y->v->path,
               kind == VAULT_BLOCK ? "blocks" : "pieces");
    }
}

/** What a generation lacks is counted and told once. */
static void verify_manifest(void *ctx, struct manifest *m, const char *why)
{
    struct verifying *y = ctx;
    struct vault_entry *entry = allocate(PIECE_SIZE_MAX);
    uint64_t lost = 0, objects = 0;
    size_t n;

    y->generations++;
    if (why) {
        y->errors++;
        printf("%s: damaged: the manifest of a generation of %.31s: %s\n", y->v->path, m->key + 1,
               why);
        free(entry);
        return;
    }
    for (uint32_t i = 0; i < m->pieces; i++) {
        if (manifest_piece(y->v, m->piece[i], entry, &n) != VAULT_THERE) {
            lost++;
            continue;
        }
        for (size_t k = 0; k < n; k++)
            lost += entry[k].object.flags & OBJECT_BYTES && !hash_set_has(&y->whole, entry[k].hash);
        objects += n;
    }
    if (lost || objects != m->head.objects) {
        y->errors++;
        printf("%s: generation %llu of %s lacks %llu blocks or pieces; push it again if the store "
               "still has it\n",
               y->v->path, (unsigned long long)m->head.number, m->head.name,
               (unsigned long long)lost);
    }
    manifest_free(m);
    free(entry);
}

int archive_verify(struct vault *v)
{
    struct verifying y = {.v = v};
    char text[32];

    verify_kind(&y, VAULT_PIECE);
    verify_kind(&y, VAULT_BLOCK);
    manifests_each(v, verify_manifest, &y);
    free(y.whole.slot);
    if (y.errors) {
        printf("%s: %llu errors\n", v->path, (unsigned long long)y.errors);
        return 1;
    }
    printf("%s: all is well: %llu generations, %llu blocks, %s read and compared\n", v->path,
           (unsigned long long)y.generations, (unsigned long long)y.blocks,
           show_bytes(y.bytes, text));
    return 0;
}
