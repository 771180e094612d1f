/*
 * The commands of mkdistrict, by name; and what all of them do with their arguments.
 */
#include <stdlib.h>
#include <string.h>

#include "tools.h"

static const struct command known[] = {
    {"ls", command_ls, "[-l] FILE[@GEN] [PATH]", "list files of a generation"},
    {"cat", command_cat, "FILE[@GEN] PATH...", "write files to standard output"},
    {"get", command_get, "FILE[@GEN] PATH [TO]", "copy a file or folder out of a generation"},
    {"put", command_put,
     "[--owner UID[:GID]] [--mode MODE] [--mirror FILE2 | --alone] FILE SRC PATH",
     "copy a file or folder into a district that does not run: makes a new generation"},
    {"dump", command_dump, "FILE[@GEN] [WHAT]",
     "print what is on disk: super, roots, block N, generations, index, map, object ID, system, "
     "journal, inode N or PATH"},
    {"export", command_export, "FILE[@GEN] [GEN] > STREAM",
     "write one generation as one stream, to a file or a pipe"},
    {"import", command_import, "[--name NEW] [--replace] [--size SIZE] [--force] FILE < STREAM",
     "make a store from a stream; a new district, or with --replace the same one again"},
    {"mirror", command_mirror, "[--force] FILE FILE2 | --remove [--alone] FILE",
     "make FILE2 the second copy of a store, or bring it up to date; or take it away"},
    {"hold", command_hold, "FILE... -- COMMAND [ARGUMENT...]",
     "run a command while nothing else may open the stores"},
    {"archive", command_archive,
     "[--vault DIR] push FILE [GEN | all] | pull [--name NEW] [--size SIZE] [--force] NAME GEN "
     "FILE |"
     " list | prune [--keep LAST,MINUTES,HOURS,DAYS] [NAME] | verify",
     "keep generations in a vault (default: $BW_VAULT or ~/.bailiwick/vault)"},
};
#define COMMANDS (sizeof(known) / sizeof(known[0]))

const struct command *command_find(const char *word)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(known[i].name, word) == 0)
            return &known[i];
    return NULL;
}

void commands_print(void)
{
    for (size_t i = 0; i < COMMANDS; i++)
        printf("       mkdistrict %s %s\n               %s\n", known[i].name, known[i].arguments,
               known[i].purpose);
}

static void print_usage(FILE *to, const char *name)
{
    const struct command *c = command_find(name);

    fprintf(to, "usage: mkdistrict %s %s\n       %s\n", name, c ? c->arguments : "",
            c ? c->purpose : "");
}

void command_misused(const char *name, const char *why)
{
    fprintf(stderr, "mkdistrict %s: %s; mkdistrict %s --help explains\n", name, why, name);
    exit(2);
}

int command_option(int argc, char **argv, const char *letters, const struct option *options)
{
    int c = getopt_long(argc, argv, letters, options, NULL);

    if (c == 'h') {
        print_usage(stdout, argv[0]);
        exit(0);
    }
    if (c == '?') {
        fprintf(stderr, "mkdistrict %s: --help explains\n", argv[0]);
        exit(2);
    }
    return c;
}
