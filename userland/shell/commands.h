/*
 * The commands of the shell.
 */
#ifndef SHELL_COMMANDS_H
#define SHELL_COMMANDS_H

#define WORDS_MAX 16

enum command_result {
    COMMAND_DONE,
    COMMAND_LOGOUT,
};

/** Runs one command line, already split; words[count] need not exist. */
enum command_result command_run(int count, char **words);

#endif
