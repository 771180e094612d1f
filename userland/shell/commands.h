/*
 * The commands of the shell.
 */
#ifndef SHELL_COMMANDS_H
#define SHELL_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <bailiwick/admin.h>

#define WORDS_MAX 16

enum command_result {
    COMMAND_DONE,
    COMMAND_LOGOUT,
};

/** Runs one command line, already split; words[count] need not exist. */
enum command_result command_run(int count, char **words);

/** Finds the district that a command names, or says that there is none and which there are. */
bool command_district(const char *command, const char *name, struct district_line *line);
bool command_runs(const struct district_line *line);

/** For completion: the index-th command, its usage and its options; false behind the last. */
bool command_at(size_t index, const char **name, const char **arguments);

#endif
