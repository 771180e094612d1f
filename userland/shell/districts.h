/*
 * The commands about districts as a whole. See districts.c.
 */
#ifndef SHELL_DISTRICTS_H
#define SHELL_DISTRICTS_H

#include "commands.h"

enum command_result districts_list(int count, char **words);
enum command_result districts_restart(int count, char **words);
enum command_result districts_attach(int count, char **words);
enum command_result districts_checkpoint(int count, char **words);
enum command_result districts_kill(int count, char **words);
/** `poweroff` and `reboot`. */
enum command_result districts_end_machine(int count, char **words);

#endif
