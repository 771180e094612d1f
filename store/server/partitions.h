/*
 * The partition table of a disk (GPT), read and checked. Pure: blocks come from a struct store_io.
 *
 * It is believed all or not at all: checksums, a size of everything that this file knows, no
 * partition outside the disk or over another one, ours or not. Where the first copy is not whole
 * the second one, at the end of the disk, counts; that needs a disk of whole blocks.
 */
#ifndef SERVER_PARTITIONS_H
#define SERVER_PARTITIONS_H

#include <stdbool.h>
#include <store/store.h>

#define PARTITIONS_MAX 128u

/** Type of a partition that has a district store, or is free for one. On disk: do not change. */
#define PARTITION_DISTRICT                                                                         \
    {                                                                                              \
        0x5f, 0x27, 0xa2, 0x99, 0xf7, 0x24, 0xcd, 0x45, 0x8b, 0x29, 0xbe, 0x60, 0xbd, 0xcc, 0x08,  \
            0x61                                                                                   \
    } /* 99A2275F-24F7-45CD-8B29-BE60BDCC0861 */

struct partitions {
    unsigned count; /* of those of our type */
    struct {
        unsigned number;         /* place in the table, from 1 on */
        uint64_t first, sectors; /* of 512 bytes */
    } at[PARTITIONS_MAX];
    bool second;  /* the first copy of the table is not whole */
    char why[96]; /* it is refused */
};

enum partitions_result {
    PARTITIONS_NONE,  /* there is no such table */
    PARTITIONS_FOUND, /* perhaps none of ours in it */
    PARTITIONS_REFUSED,
};

enum partitions_result partitions_read(const struct store_io *io, struct partitions *p);

#endif
