/*
 * Runs a command that knows nothing of our locks while stores are locked as if it did. The locks
 * belong to descriptors that the command inherits: they last as long as it, however it ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tools.h"

static void hold(const char *path)
{
    struct file f;

    file_open(&f, path, true);
    if (fcntl(f.fd, F_SETFD, 0))
        fail("%s: %s", path, strerror(errno));
}

int command_hold(int argc, char **argv)
{
    static const struct option none[] = {{"help", no_argument, NULL, 'h'}, {0}};
    int end = 1;

    while (end < argc && strcmp(argv[end], "--") != 0)
        end++;
    (void)command_option(end, argv, "+", none);
    if (optind >= end || end + 1 >= argc)
        command_misused("hold", "it wants stores, then --, then a command");
    for (int i = optind; i < end; i++)
        hold(argv[i]);
    execvp(argv[end + 1], argv + end + 1);
    fail("%s: %s", argv[end + 1], strerror(errno));
}
