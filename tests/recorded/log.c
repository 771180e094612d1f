/*
 * Reading a log of writes (log.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define LOG_MAGIC    0x6a736677736872ull
#define LOG_VERSION  1u
#define FLAG_FLUSH   1u
#define FLAG_DISCARD 4u

struct log_super {
    uint64_t magic, version, entries;
    uint32_t sector_size;
};

struct disk_log_entry {
    uint64_t sector, sectors, flags, length;
};

static const uint8_t *map_file(const char *path, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat s;
    void *p;

    if (fd < 0 || fstat(fd, &s))
        die("%s: %s", path, strerror(errno));
    *size = (size_t)s.st_size;
    p = mmap(NULL, *size ? *size : 1, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        die("%s: %s", path, strerror(errno));
    close(fd);
    return p;
}

void log_read(struct log *l, const char *path)
{
    size_t size, at;
    const uint8_t *bytes = map_file(path, &size);
    const struct log_super *super = (const struct log_super *)bytes;

    if (size < SECTOR || super->magic != LOG_MAGIC || super->version != LOG_VERSION ||
        super->sector_size != SECTOR)
        die("%s: not a log of writes in sectors of %u bytes", path, SECTOR);
    l->count = super->entries;
    l->entry = calloc(l->count ? l->count : 1, sizeof(*l->entry));
    if (!l->entry)
        die("out of memory");
    at = SECTOR;
    for (size_t i = 0; i < l->count; i++) {
        const struct disk_log_entry *e = (const struct disk_log_entry *)(bytes + at);
        bool data;

        if (at + SECTOR > size)
            die("%s: it ends in entry %zu of %zu", path, i, l->count);
        data = e->sectors && !(e->flags & FLAG_DISCARD);
        at += SECTOR;
        if (data && e->sectors > (size - at) / SECTOR)
            die("%s: it ends in the data of entry %zu", path, i);
        l->entry[i] = (struct log_entry){e->sector, e->sectors, data ? bytes + at : NULL,
                                         (e->flags & FLAG_FLUSH) != 0};
        at += data ? e->sectors * SECTOR : 0;
    }
}
