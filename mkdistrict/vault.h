/*
 * A vault: generations of many districts in one LevelDB, deduplicated by content.
 * docs/vault-format.md has it byte by byte.
 *
 *   key                                        value
 *   "v"                                        "bailiwick vault 1"
 *   "b" hash                                   a block: how it is packed, and it
 *   "p" hash                                   a piece of a manifest: the same
 *   "g" name 0 id number (8, big-endian)       a manifest: head, hashes of pieces, hash of all that
 *
 * Hashes are BLAKE2b-256 of what is packed. Invariants:
 *   1. A manifest is written when all that it leads to is durable, and only then.
 *   2. A block or piece is removed only when no manifest leads to it.
 *   3. So at any instant every manifest is whole; what no manifest leads to is rest, of an
 *      interrupted push or prune, and is used again by the next push or removed by the next prune.
 */
#ifndef MKDISTRICT_VAULT_H
#define MKDISTRICT_VAULT_H

#include <leveldb/c.h>
#include <sodium.h>

#include "tools.h"

#define VAULT_HASH     32u
#define VAULT_BLOCK    'b'
#define VAULT_PIECE    'p'
#define PIECE_ENTRIES  1024u
#define PIECE_SIZE_MAX (PIECE_ENTRIES * sizeof(struct vault_entry))
#define VAULT_KEY_MAX  (1 + STORE_NAME_MAX + 16 + 8)

struct vault_entry {
    struct generation_object object;
    uint8_t hash[VAULT_HASH]; /* of its bytes, zeros without */
};
_Static_assert(sizeof(struct vault_entry) == 48, "in vaults: entry");

struct vault {
    const char *path;
    leveldb_t *db;
    leveldb_readoptions_t *reading;
    leveldb_writeoptions_t *durable;
    leveldb_writebatch_t *batch;
    size_t batched; /* bytes */
};
/** make: it is made if there is none. path NULL: $BW_VAULT, or ~/.bailiwick/vault. */
void vault_open(struct vault *v, const char *path, bool make);
void vault_close(struct vault *v);

void vault_hash(const void *bytes, size_t n, uint8_t hash[VAULT_HASH]);
const char *vault_show(const uint8_t hash[VAULT_HASH], char buf[80]);

/** Puts what has that name, unless it is there and whole. @return bytes stored, 0: it was there */
size_t vault_keep(struct vault *v, char kind, const uint8_t hash[VAULT_HASH], const void *bytes,
                  size_t n);
enum vault_found { VAULT_THERE, VAULT_MISSING, VAULT_DAMAGED };
/** Gets and checks it. @param n in: room, out: how long it is */
enum vault_found vault_get(struct vault *v, char kind, const uint8_t hash[VAULT_HASH], void *bytes,
                           size_t *n);
/** The same with what was stored at hand. */
enum vault_found vault_unpack(const uint8_t hash[VAULT_HASH], const char *packed, size_t size,
                              void *bytes, size_t *n);
/** Makes all that was put durable. */
void vault_flush(struct vault *v);
/** Removes a key at the next flush. */
void vault_remove(struct vault *v, const char *key, size_t size);

/** About how many bytes the entries of a kind take. */
uint64_t vault_size(struct vault *v, char kind);
/** An iterator over the keys from there on. Behind its end it is asked what it could not read. */
leveldb_iterator_t *vault_iterate(struct vault *v, const char *from, size_t n);
bool vault_end_whole(struct vault *v, leveldb_iterator_t *i); /* false: something */
/** Fails if there was something. */
void vault_end(struct vault *v, leveldb_iterator_t *i);

/* --- manifests (manifest.c) --- */

struct manifest {
    struct generation_head head;
    uint32_t pieces;
    uint8_t (*piece)[VAULT_HASH];
    char key[VAULT_KEY_MAX];
    size_t key_size;
};
void manifest_free(struct manifest *m);
/** Key of the generation that m->head describes. */
void manifest_key(struct manifest *m);
/** Makes it durable; the last step of a push. */
void manifest_put(struct vault *v, struct manifest *m);
/** @return false if there is none under m->key; fails if it is damaged */
bool manifest_get(struct vault *v, struct manifest *m);
/** Calls `each` for every manifest, in order of name, id and number. why: NULL, or what is wrong
 * (then only its key is set). */
void manifests_each(struct vault *v, void (*each)(void *ctx, struct manifest *m, const char *why),
                    void *ctx);
/** All of them that can be read, in order; one that cannot ends the program. @return how many */
size_t manifests_all(struct vault *v, struct manifest **all);
/** Gets a piece. @return what came; *count entries */
enum vault_found manifest_piece(struct vault *v, const uint8_t hash[VAULT_HASH],
                                struct vault_entry entry[PIECE_ENTRIES], size_t *count);

/** Hashes by their first eight bytes: a rare collision keeps a block too many. */
struct hash_set {
    uint64_t *slot;
    size_t capacity, count;
    bool zero;
};
void hash_set_add(struct hash_set *s, const uint8_t hash[VAULT_HASH]);
bool hash_set_has(const struct hash_set *s, const uint8_t hash[VAULT_HASH]);

/* --- archive_policy.c --- */

#define RETENTION_DEFAULT ((struct retention){8, 60, 24, 36500})
/** Which generations to keep. @param time of each, ns, ascending */
void retention_choose(const struct retention *r, const uint64_t *time, size_t n, bool *keep);

int archive_push(struct vault *v, int argc, char **argv);
int archive_pull(struct vault *v, int argc, char **argv, struct maker *m);
int archive_prune(struct vault *v, const char *name, const struct retention *r);
int archive_verify(struct vault *v);
/** Does a word of the user's name this district: its name, or the beginning of its id? */
bool archive_names(const char *word, const struct generation_head *h);
/** Says that nobody has that name, and ends the program. */
void archive_nobody(const struct vault *v, const char *word) __attribute__((noreturn));

#endif
