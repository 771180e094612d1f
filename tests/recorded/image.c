/*
 * Images of a disk after a power cut (image.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"

void image_open(struct image *i, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat s;

    *i = (struct image){0};
    if (fd < 0 || fstat(fd, &s) || s.st_size == 0)
        die("%s: %s", path, errno ? strerror(errno) : "it is empty");
    i->blocks = (uint64_t)s.st_size / STORE_BLOCK;
    i->bytes =
        mmap(NULL, (size_t)s.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
    if (i->bytes == MAP_FAILED)
        die("%s: %s", path, strerror(errno));
    close(fd);
}

static void put(struct image *i, uint64_t sector, const uint8_t *data)
{
    if (sector >= i->blocks * (STORE_BLOCK / SECTOR))
        die("the log writes behind the end of the disk");
    if (data)
        memcpy(i->bytes + sector * SECTOR, data, SECTOR);
    else
        memset(i->bytes + sector * SECTOR, 0, SECTOR);
}

static void remember(struct image *i, uint64_t sector)
{
    if (i->undos == i->capacity) {
        i->capacity = i->capacity ? 2 * i->capacity : 1024;
        i->undo = realloc(i->undo, i->capacity * sizeof(*i->undo));
        if (!i->undo)
            die("out of memory");
    }
    i->undo[i->undos].sector = sector;
    memcpy(i->undo[i->undos++].bytes, i->bytes + sector * SECTOR, SECTOR);
}

void image_settle(struct image *i, const struct log_entry *e)
{
    for (uint64_t n = 0; n < e->sectors; n++)
        put(i, e->sector + n, e->data ? e->data + n * SECTOR : NULL);
}

void image_apply(struct image *i, const struct log_entry *e, uint64_t first, uint64_t n)
{
    for (uint64_t k = first; k < first + n; k++) {
        remember(i, e->sector + k);
        put(i, e->sector + k, e->data ? e->data + k * SECTOR : NULL);
    }
}

void image_restore(struct image *i)
{
    while (i->undos > 0) {
        i->undos--;
        put(i, i->undo[i->undos].sector, i->undo[i->undos].bytes);
    }
    i->damages = 0;
    i->damage[0] = 0;
}

/* --- as the library's disk -------------------------------------------------------------------- */

static int io_read(void *ctx, uint64_t block, void *buf, size_t n)
{
    const struct image *i = ctx;

    memcpy(buf, i->bytes + block * STORE_BLOCK, n * STORE_BLOCK);
    return 0;
}

static int io_write(void *ctx, uint64_t block, const void *buf, size_t n)
{
    struct image *i = ctx;
    struct log_entry e = {.sector = block * (STORE_BLOCK / SECTOR),
                          .sectors = n * (STORE_BLOCK / SECTOR),
                          .data = buf};

    image_apply(i, &e, 0, e.sectors);
    return 0;
}

static int io_flush(void *ctx)
{
    (void)ctx;
    return 0;
}

static void io_damage(void *ctx, const struct store_damage *d)
{
    struct image *i = ctx;

    i->damages++;
    snprintf(i->damage, sizeof(i->damage), "%s, block %llu, object %#llx", d->what,
             (unsigned long long)d->block, (unsigned long long)d->oid);
}

struct store_io image_io(struct image *i)
{
    return (struct store_io){.ctx = i,
                             .blocks = i->blocks,
                             .read = io_read,
                             .write = io_write,
                             .flush = io_flush,
                             .damage = io_damage};
}

void image_save(const struct image *i, const char *path)
{
    static const uint8_t zeros[STORE_BLOCK];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || ftruncate(fd, (off_t)(i->blocks * STORE_BLOCK)))
        die("%s: %s", path, strerror(errno));
    for (uint64_t b = 0; b < i->blocks; b++) {
        const uint8_t *block = i->bytes + b * STORE_BLOCK;

        if (memcmp(block, zeros, STORE_BLOCK) != 0 &&
            pwrite(fd, block, STORE_BLOCK, (off_t)(b * STORE_BLOCK)) != (ssize_t)STORE_BLOCK)
            die("%s: %s", path, strerror(errno));
    }
    if (close(fd))
        die("%s: %s", path, strerror(errno));
}
