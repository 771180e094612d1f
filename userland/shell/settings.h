/*
 * The commands for what is set for a district. See settings.c.
 */
#ifndef SHELL_SETTINGS_H
#define SHELL_SETTINGS_H

#include "commands.h"

/** `interval`, `retention`, `policy`, `autostart`, `gated`, `share`. */
enum command_result settings_command(int count, char **words);

#endif
