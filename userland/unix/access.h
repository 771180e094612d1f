/*
 * Who may connect to this district's sockets below /district/NAME. See access.c.
 */
#ifndef UNIX_ACCESS_H
#define UNIX_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#define ACCESS_FILE "district.allow" /* in /etc */
#define ACCESS_MAX  16384u           /* bytes of it; a longer one allows nothing */

/** Whether the lists allow a district to connect to a socket. @param path behind /district/NAME/ */
bool access_allows(const char *lists, size_t length, const char *path, const char *district);

#endif
