/*
 * The commands about bonds. See bonds.c.
 */
#ifndef SHELL_BONDS_H
#define SHELL_BONDS_H

#include "commands.h"

enum command_result bonds_bond(int count, char **words);
enum command_result bonds_unbond(int count, char **words);
/** The others in its bond, as "PREFIXa, b"; empty if it is in none. @return to */
const char *bonds_others(const struct district_line *line, const char *prefix, char *to,
                         size_t size);

#endif
