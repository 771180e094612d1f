/*
 * The commands about disks: which there are, and making a district on a free partition.
 */
#ifndef SHELL_DISKS_H
#define SHELL_DISKS_H

#include "commands.h"

enum command_result disks_list(int count, char **words);
enum command_result disks_mkdistrict(int count, char **words);

#endif
