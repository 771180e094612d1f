/*
 * The commands about generations. See history.c.
 */
#ifndef SHELL_HISTORY_H
#define SHELL_HISTORY_H

#include <stdbool.h>
#include <stdint.h>
#include "commands.h"

enum command_result history_generations(int count, char **words);
enum command_result history_rollback(int count, char **words);
enum command_result history_drop(int count, char **words);
/** Reads a number that names a kept generation, or says that it does not, and which ones do.
 * @param text what was typed for `command` */
bool history_chosen(const char *command, const char *name, const char *text, uint64_t *generation);
/** Says what going to a generation will leave behind. @param running it has state that is newer
 * than its current generation */
void history_announce(const char *name, uint64_t generation, bool running);

#endif
