/*
 * The log of a disk's writes as QEMU's blklogwrites leaves it (the format of Linux' dm-log-writes):
 *
 *   sector 0: u64 magic, u64 version 1, u64 entries, u32 size of a sector
 *   then each entry: a sector with u64 first sector, u64 sectors, u64 flags, u64 length, and the
 *   sectors' data behind it, unless they were discarded
 *
 * The number of entries is right even if the emulator was killed.
 */
#ifndef RECORDED_LOG_H
#define RECORDED_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECTOR 512u

struct log_entry {
    uint64_t sector, sectors; /* of 512 bytes; none: a flush alone */
    const uint8_t *data;      /* NULL: they read as zeros from now on */
    bool flush;               /* what was completed before is durable */
};

struct log {
    struct log_entry *entry;
    size_t count;
};

/** Ends the program with a message if it cannot be read. */
void log_read(struct log *l, const char *path);

void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
