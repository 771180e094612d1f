/*
 * What is on a disk that is not a store. See parts.c.
 */
#ifndef SERVER_PARTS_H
#define SERVER_PARTS_H

#include <stddef.h>

enum parts {
    PARTS_NONE,    /* nothing of ours */
    PARTS_FREE,    /* it is a partition, of our type */
    PARTS_OFFERED, /* partitions, which are disks of their own now */
    PARTS_REFUSED, /* partitions, but the table cannot be true; `why` says it */
};

enum parts parts_look(char *why, size_t size);

#endif
