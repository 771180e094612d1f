/*
 * archive pull: a generation of the vault as a store. It gets its name when all of it has been
 * compared with its hashes.
 */
#include <stdlib.h>
#include <string.h>

#include "vault.h"

bool archive_names(const char *word, const struct generation_head *h)
{
    char id[40];

    return strcmp(word, h->name) == 0 ||
           (strlen(word) >= 4 && strncmp(show_id(h->id, id), word, strlen(word)) == 0);
}

void archive_nobody(const struct vault *v, const char *word)
{
    fail("%s: there is no district %s in the vault; archive list shows what there is", v->path,
         word);
}

/** Finds the one generation that is meant. */
static struct manifest *choose(struct vault *v, struct manifest *all, size_t n, const char *word,
                               uint64_t generation)
{
    struct manifest *found = NULL;
    bool named = false;

    for (size_t i = 0; i < n; i++) {
        const struct generation_head *h = &all[i].head;

        if (!archive_names(word, h))
            continue;
        named = true;
        if (found && memcmp(found->head.id, h->id, sizeof(h->id)) != 0)
            fail("%s: several districts are named %s; say which by the beginning of its id "
                 "(archive list)",
                 v->path, word);
        if (generation == h->number || generation == STORE_NEWEST)
            found = &all[i];
    }
    if (!named)
        archive_nobody(v, word);
    if (!found)
        fail("%s: generation %llu of %s is not in the vault; archive list shows what there is",
             v->path, (unsigned long long)generation, word);
    return found;
}

static void check_found(struct vault *v, enum vault_found found, const char *what,
                        const uint8_t hash[VAULT_HASH])
{
    char text[80];

    if (found != VAULT_THERE)
        fail("%s: %s %.16s... of this generation is %s in the vault; archive verify names all "
             "losses",
             v->path, what, vault_show(hash, text), found == VAULT_MISSING ? "missing" : "damaged");
}

static void pull_object(struct vault *v, struct maker *m, const struct vault_entry *e,
                        struct progress *p)
{
    uint8_t bytes[STORE_BLOCK];
    size_t n = sizeof(bytes);

    if (!(e->object.flags & OBJECT_BYTES)) {
        maker_object(m, &e->object, NULL);
        return;
    }
    check_found(v, vault_get(v, VAULT_BLOCK, e->hash, bytes, &n), "block", e->hash);
    if (n != STORE_BLOCK)
        check_found(v, VAULT_DAMAGED, "block", e->hash);
    maker_object(m, &e->object, bytes);
    progress_add(p, STORE_BLOCK);
}

static void pull_all(struct vault *v, const struct manifest *from, struct maker *m)
{
    struct vault_entry *entry = allocate(PIECE_SIZE_MAX);
    uint64_t objects = 0;
    struct progress p;
    size_t n;

    progress_start(&p, "restoring", from->head.bytes * STORE_BLOCK);
    for (uint32_t i = 0; i < from->pieces; i++) {
        check_found(v, manifest_piece(v, from->piece[i], entry, &n), "piece", from->piece[i]);
        for (size_t k = 0; k < n; k++)
            pull_object(v, m, &entry[k], &p);
        objects += n;
    }
    if (objects != from->head.objects)
        fail("%s: generation %llu of %s has %llu objects in the vault, and should have %llu",
             v->path, (unsigned long long)from->head.number, from->head.name,
             (unsigned long long)objects, (unsigned long long)from->head.objects);
    progress_end(&p);
    free(entry);
}

int archive_pull(struct vault *v, int argc, char **argv, struct maker *m)
{
    struct manifest *all, *from;
    size_t n = manifests_all(v, &all);

    (void)argc;
    from = choose(v, all, n, argv[0], parse_generation(argv[1]));
    m->path = argv[2];
    m->head = from->head;
    m->same_id = m->name == NULL;
    for (size_t i = 0; i < n; i++) {
        uint64_t next = all[i].head.next ? all[i].head.next : all[i].head.number + 1;

        if (memcmp(all[i].head.id, from->head.id, sizeof(from->head.id)) == 0 && next > m->next)
            m->next = next;
    }
    maker_begin(m);
    pull_all(v, from, m);
    maker_finish(m);
    printf("%s: district %s, generation %llu%s\n", m->path, m->name ? m->name : m->head.name,
           (unsigned long long)m->head.number, m->same_id ? "" : ", with an id of its own");
    for (size_t i = 0; i < n; i++)
        manifest_free(&all[i]);
    free(all);
    return 0;
}
