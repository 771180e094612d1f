/*
 * archive: the vault's command. push, pull, list, prune, verify.
 */
#include <stdlib.h>
#include <string.h>

#include "vault.h"

struct archiving {
    const char *vault;
    struct maker maker;
    struct retention retention;
};

static void list_one(void *ctx, struct manifest *m, const char *why)
{
    struct vault *v = ctx;
    char id[40], when[40], size[32];

    if (why) {
        printf("%-20.31s damaged: %s; archive verify names all losses\n", m->key + 1, why);
        return;
    }
    (void)v;
    printf("%-20s %.8s %10llu  %s  %8llu objects  %s\n", m->head.name, show_id(m->head.id, id),
           (unsigned long long)m->head.number, show_when(m->head.time, when),
           (unsigned long long)m->head.objects, show_bytes(m->head.bytes * STORE_BLOCK, size));
    manifest_free(m);
}

static int do_list(struct vault *v, int argc, char **argv, struct archiving *a)
{
    (void)argc;
    (void)argv;
    (void)a;
    manifests_each(v, list_one, v);
    return 0;
}

static int do_push(struct vault *v, int argc, char **argv, struct archiving *a)
{
    (void)a;
    return archive_push(v, argc, argv);
}

static int do_pull(struct vault *v, int argc, char **argv, struct archiving *a)
{
    return archive_pull(v, argc, argv, &a->maker);
}

static int do_prune(struct vault *v, int argc, char **argv, struct archiving *a)
{
    return archive_prune(v, argc ? argv[0] : NULL, &a->retention);
}

static int do_verify(struct vault *v, int argc, char **argv, struct archiving *a)
{
    (void)argc;
    (void)argv;
    (void)a;
    return archive_verify(v);
}

static const struct verb {
    const char *name;
    int least, most; /* arguments */
    int (*run)(struct vault *v, int argc, char **argv, struct archiving *a);
    const char *wants;
} verbs[] = {
    {"push", 1, 2, do_push, "push wants FILE, and perhaps a generation or `all`"},
    {"pull", 3, 3, do_pull, "pull wants NAME, a generation (or `newest`) and FILE"},
    {"list", 0, 0, do_list, "list wants nothing more"},
    {"prune", 0, 1, do_prune, "prune wants at most the NAME of one district"},
    {"verify", 0, 0, do_verify, "verify wants nothing more"},
};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    command_misused("archive", "there is push, pull, list, prune and verify");
}

enum { VAULT = 256, NAME, SIZE, FORCE, KEEP };

static void parse(int argc, char **argv, struct archiving *a)
{
    static const struct option options[] = {{"vault", required_argument, NULL, VAULT},
                                            {"name", required_argument, NULL, NAME},
                                            {"size", required_argument, NULL, SIZE},
                                            {"force", no_argument, NULL, FORCE},
                                            {"keep", required_argument, NULL, KEEP},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int c;

    while ((c = command_option(argc, argv, "h", options)) != -1) {
        if (c == VAULT)
            a->vault = optarg;
        if (c == NAME && bad_name(optarg))
            fail("--name %s: %s", optarg, bad_name(optarg));
        if (c == NAME)
            a->maker.name = optarg;
        if (c == SIZE && !parse_size(optarg, &a->maker.size))
            fail("--size %s: not a size; write e.g. 256M or 4G", optarg);
        a->maker.force |= c == FORCE;
        if (c == KEEP && !parse_retention(optarg, &a->retention))
            fail("--keep %s: write LAST,MINUTES,HOURS,DAYS, e.g. 8,60,24,365", optarg);
    }
}

int command_archive(int argc, char **argv)
{
    struct archiving a = {.retention = RETENTION_DEFAULT};
    const struct verb *verb;
    struct vault v;
    int rest, r;

    parse(argc, argv, &a);
    if (optind == argc)
        command_misused("archive", "what is to be done?");
    verb = find_verb(argv[optind]);
    rest = argc - optind - 1;
    if (rest < verb->least || rest > verb->most)
        command_misused("archive", verb->wants);
    if (a.vault && !a.vault[0])
        fail("--vault: which folder?");
    vault_open(&v, a.vault, verb->run == do_push);
    r = verb->run(&v, rest, argv + optind + 1, &a);
    vault_close(&v);
    return r;
}
