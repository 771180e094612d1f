/*
 * The disk as it could be after a power cut: what is durable, and on top of it those writes of the
 * interval under way that happened to arrive. Everything that is written to an image is taken back
 * by image_restore, so that a change costs what it changes, whatever the size of the disk.
 */
#ifndef RECORDED_IMAGE_H
#define RECORDED_IMAGE_H

#include <store/store.h>

#include "log.h"

struct undo {
    uint64_t sector;
    uint8_t bytes[SECTOR];
};

struct image {
    uint8_t *bytes;
    uint64_t blocks;
    struct undo *undo;
    size_t undos, capacity;
    uint64_t damages; /* reported by the library */
    char damage[160]; /* the last one, in words */
};

/** Starts as the file is; the file stays as it is. */
void image_open(struct image *i, const char *path);
/** For good: n sectors (data NULL: zeros). */
void image_settle(struct image *i, const struct log_entry *e);
/** Until image_restore: sectors [first, first + n) of the entry. */
void image_apply(struct image *i, const struct log_entry *e, uint64_t first, uint64_t n);
void image_restore(struct image *i);
/** What is read and written through it is the image. */
struct store_io image_io(struct image *i);
/** Writes it to a new file, sparsely. */
void image_save(const struct image *i, const char *path);

#endif
