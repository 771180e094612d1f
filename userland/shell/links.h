/*
 * The commands about links between districts, and their programs' log. See links.c.
 */
#ifndef SHELL_LINKS_H
#define SHELL_LINKS_H

#include "commands.h"

enum command_result links_list(int count, char **words);
enum command_result links_log(int count, char **words);

#endif
