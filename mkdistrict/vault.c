/*
 * The vault's database: opening it, and what is stored by its content.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "vault.h"

#define BATCH_MAX (4u << 20)
#define MARK      "bailiwick vault 1"

/* How a block or piece is packed: the first byte. In vaults: do not change. */
#define PACKED_NOT  0
#define PACKED_ZSTD 1

static void check(struct vault *v, char *error)
{
    if (!error)
        return;
    if (strstr(error, "lock"))
        fail("%s: another mkdistrict uses the vault; try again when it is done", v->path);
    if (strstr(error, "does not exist"))
        fail("%s: there is no vault; mkdistrict archive push makes one", v->path);
    if (strncmp(error, "Corruption", 10) == 0)
        fail("%s: the vault is damaged (%s); archive verify names what is lost, then push again",
             v->path, error);
    fail("%s: the vault cannot be used: %s", v->path, error);
}

static const char *default_path(void)
{
    static char path[4096];
    const char *named = getenv("BW_VAULT"), *home = getenv("HOME");

    if (named && named[0])
        return named;
    if (!home || !home[0])
        fail("where is the vault? Say it with --vault DIR or in BW_VAULT");
    snprintf(path, sizeof(path), "%.4000s/.bailiwick/vault", home);
    return path;
}

/** Makes the folders above the vault; whose they are alone may read them. */
static void make_folders(const char *path)
{
    char copy[4096];

    if (strlen(path) >= sizeof(copy))
        fail("%.40s...: the name is too long", path);
    strcpy(copy, path);
    for (char *p = copy + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = 0;
        if (mkdir(copy, 0700) && errno != EEXIST)
            fail("%s: %s", copy, strerror(errno));
        *p = '/';
    }
}

/** A new vault is made in an empty folder, or where one was begun: not between other things. */
static void refuse_foreign(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;

    while (d && (e = readdir(d))) {
        if (e->d_name[0] != '.' && !isdigit((unsigned char)e->d_name[0]) &&
            strncmp(e->d_name, "LO", 2) != 0 && strncmp(e->d_name, "MANIFEST-", 9) != 0)
            fail("%s: this is no vault, and there is something else in it; name an empty folder or "
                 "a new one",
                 path);
    }
    if (d)
        closedir(d);
}

static leveldb_options_t *make_options(bool make)
{
    leveldb_options_t *o = leveldb_options_create();

    leveldb_options_set_create_if_missing(o, make);
    leveldb_options_set_compression(o, leveldb_no_compression); /* zstd has been at work already */
    leveldb_options_set_filter_policy(o, leveldb_filterpolicy_create_bloom(10));
    leveldb_options_set_write_buffer_size(o, 2 * BATCH_MAX);
    return o;
}

static void check_mark(struct vault *v, bool make)
{
    char *error = NULL, *mark;
    size_t n;

    mark = leveldb_get(v->db, v->reading, "v", 1, &n, &error);
    check(v, error);
    if (!mark && make) {
        leveldb_put(v->db, v->durable, "v", 1, MARK, strlen(MARK), &error);
        check(v, error);
        return;
    }
    if (!mark || n != strlen(MARK) || memcmp(mark, MARK, n) != 0)
        fail("%s: this is no vault, or one of a version that this program does not know", v->path);
    leveldb_free(mark);
}

void vault_open(struct vault *v, const char *path, bool make)
{
    char *error = NULL, inside[4200];
    bool there;
    leveldb_options_t *options = make_options(make);

    *v = (struct vault){.path = path && path[0] ? path : default_path()};
    if (sodium_init() < 0)
        fail("libsodium does not start");
    snprintf(inside, sizeof(inside), "%.4096s/CURRENT", v->path);
    there = access(inside, F_OK) == 0;
    if (!there && make)
        refuse_foreign(v->path);
    if (!there && !make) /* or LevelDB would make its folder */
        fail("%s: there is no vault; mkdistrict archive push makes one", v->path);
    umask(077); /* what is in stores forges keys */
    if (make)
        make_folders(v->path);
    v->db = leveldb_open(options, v->path, &error);
    check(v, error);
    v->reading = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(v->reading, 1);
    v->durable = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(v->durable, 1);
    v->batch = leveldb_writebatch_create();
    check_mark(v, make);
}

void vault_close(struct vault *v)
{
    vault_flush(v);
    leveldb_writebatch_destroy(v->batch);
    leveldb_writeoptions_destroy(v->durable);
    leveldb_readoptions_destroy(v->reading);
    leveldb_close(v->db);
}

void vault_hash(const void *bytes, size_t n, uint8_t hash[VAULT_HASH])
{
    crypto_generichash(hash, VAULT_HASH, bytes, n, NULL, 0);
}

const char *vault_show(const uint8_t hash[VAULT_HASH], char buf[80])
{
    return sodium_bin2hex(buf, 80, hash, VAULT_HASH);
}

static void content_key(char key[1 + VAULT_HASH], char kind, const uint8_t hash[VAULT_HASH])
{
    key[0] = kind;
    memcpy(key + 1, hash, VAULT_HASH);
}

/* --- what is stored by its content ------------------------------------------------------------ */

enum vault_found vault_unpack(const uint8_t hash[VAULT_HASH], const char *packed, size_t size,
                              void *bytes, size_t *n)
{
    uint8_t found[VAULT_HASH];
    size_t length;

    if (size < 1)
        return VAULT_DAMAGED;
    if (packed[0] == PACKED_ZSTD) {
        length = ZSTD_decompress(bytes, *n, packed + 1, size - 1);
        if (ZSTD_isError(length))
            return VAULT_DAMAGED;
    } else {
        length = size - 1;
        if (packed[0] != PACKED_NOT || length > *n)
            return VAULT_DAMAGED;
        memcpy(bytes, packed + 1, length);
    }
    vault_hash(bytes, length, found);
    if (memcmp(found, hash, VAULT_HASH) != 0)
        return VAULT_DAMAGED;
    *n = length;
    return VAULT_THERE;
}

/** Also what LevelDB itself finds damaged is VAULT_DAMAGED. */
enum vault_found vault_get(struct vault *v, char kind, const uint8_t hash[VAULT_HASH], void *bytes,
                           size_t *n)
{
    char key[1 + VAULT_HASH], *packed, *error = NULL;
    enum vault_found found;
    size_t size;

    content_key(key, kind, hash);
    packed = leveldb_get(v->db, v->reading, key, sizeof(key), &size, &error);
    if (error) {
        if (strncmp(error, "Corruption", 10) != 0)
            check(v, error);
        leveldb_free(error);
        return VAULT_DAMAGED;
    }
    if (!packed)
        return VAULT_MISSING;
    found = vault_unpack(hash, packed, size, bytes, n);
    leveldb_free(packed);
    return found;
}

/** What does not fit into one batch is made durable before it: when a log file of LevelDB's is
 * full, the next one's sync would not cover it. */
static void make_room(struct vault *v, size_t n)
{
    if (v->batched + n > BATCH_MAX)
        vault_flush(v);
    v->batched += n;
}

size_t vault_keep(struct vault *v, char kind, const uint8_t hash[VAULT_HASH], const void *bytes,
                  size_t n)
{
    static uint8_t there[PIECE_SIZE_MAX], packed[1 + ZSTD_COMPRESSBOUND(PIECE_SIZE_MAX)];
    size_t room = sizeof(there), size;
    char key[1 + VAULT_HASH];

    if (vault_get(v, kind, hash, there, &room) == VAULT_THERE)
        return 0;
    size = ZSTD_compress(packed + 1, sizeof(packed) - 1, bytes, n, 3);
    packed[0] = PACKED_ZSTD;
    if (ZSTD_isError(size) || size >= n) {
        packed[0] = PACKED_NOT;
        memcpy(packed + 1, bytes, n);
        size = n;
    }
    content_key(key, kind, hash);
    make_room(v, sizeof(key) + 1 + size);
    leveldb_writebatch_put(v->batch, key, sizeof(key), (const char *)packed, 1 + size);
    return sizeof(key) + 1 + size;
}

void vault_flush(struct vault *v)
{
    char *error = NULL;

    if (v->batched == 0)
        return;
    leveldb_write(v->db, v->durable, v->batch, &error);
    check(v, error);
    leveldb_writebatch_clear(v->batch);
    v->batched = 0;
}

void vault_remove(struct vault *v, const char *key, size_t size)
{
    make_room(v, size);
    leveldb_writebatch_delete(v->batch, key, size);
}

uint64_t vault_size(struct vault *v, char kind)
{
    const char *from = &kind, *to = (const char[]){(char)(kind + 1)};
    const size_t one = 1;
    uint64_t size = 0;

    leveldb_approximate_sizes(v->db, 1, &from, &one, &to, &one, &size);
    return size;
}

leveldb_iterator_t *vault_iterate(struct vault *v, const char *from, size_t n)
{
    leveldb_iterator_t *i = leveldb_create_iterator(v->db, v->reading);

    leveldb_iter_seek(i, from, n);
    return i;
}

bool vault_end_whole(struct vault *v, leveldb_iterator_t *i)
{
    char *error = NULL;

    leveldb_iter_get_error(i, &error);
    leveldb_iter_destroy(i);
    if (error && strncmp(error, "Corruption", 10) == 0) {
        leveldb_free(error);
        return false;
    }
    check(v, error);
    return true;
}

void vault_end(struct vault *v, leveldb_iterator_t *i)
{
    if (!vault_end_whole(v, i))
        fail("%s: the vault is damaged; archive verify names what is lost, then push again",
             v->path);
}

/* --- sets ------------------------------------------------------------------------------------- */

static uint64_t short_name(const uint8_t hash[VAULT_HASH])
{
    uint64_t n;

    memcpy(&n, hash, sizeof(n));
    return n;
}

/** The slot that has n, or the free one where it belongs. */
static size_t slot_of(const struct hash_set *s, uint64_t n)
{
    size_t i = (size_t)n & (s->capacity - 1);

    while (s->slot[i] && s->slot[i] != n)
        i = (i + 1) & (s->capacity - 1);
    return i;
}

static void grow(struct hash_set *s)
{
    struct hash_set old = *s;

    s->capacity = old.capacity ? 2 * old.capacity : 4096;
    s->slot = allocate(s->capacity * sizeof(*s->slot));
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slot[i])
            s->slot[slot_of(s, old.slot[i])] = old.slot[i];
    free(old.slot);
}

void hash_set_add(struct hash_set *s, const uint8_t hash[VAULT_HASH])
{
    uint64_t n = short_name(hash);
    size_t i;

    if (n == 0) {
        s->zero = true;
        return;
    }
    if (2 * s->count >= s->capacity)
        grow(s);
    i = slot_of(s, n);
    s->count += s->slot[i] == 0;
    s->slot[i] = n;
}

bool hash_set_has(const struct hash_set *s, const uint8_t hash[VAULT_HASH])
{
    uint64_t n = short_name(hash);

    if (n == 0)
        return s->zero;
    return s->capacity && s->slot[slot_of(s, n)] == n;
}
