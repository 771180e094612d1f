/*
 * What is on a disk that is not a store. See parts.c.
 */
#ifndef SERVER_PARTS_H
#define SERVER_PARTS_H

#include <stdbool.h>

/** Looks at it: a partition is free, of a whole disk the partitions are offered. @return whether
 * there is something to be served here: the free partition, or a table that is refused, as
 * server.line says */
bool parts_look(void);

#endif
