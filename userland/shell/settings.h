/*
 * The commands for what is set for a district. See settings.c.
 */
#ifndef SHELL_SETTINGS_H
#define SHELL_SETTINGS_H

#include "commands.h"

enum command_result settings_interval(int count, char **words);
enum command_result settings_policy(int count, char **words);
enum command_result settings_autostart(int count, char **words);
enum command_result settings_share(int count, char **words);
enum command_result settings_gated(int count, char **words);

#endif
