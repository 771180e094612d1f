/*
 * GPT as the UEFI specification has it: sector 0 a protective MBR, sector 1 the header, then the
 * entries; the second copy's header is the last sector. All numbers are little-endian.
 */
#include "partitions.h"
#include <stdio.h>
#include <string.h>

#define SECTOR           512u
#define BLOCK_SECTORS    (STORE_BLOCK / SECTOR)
#define MBR_ENTRIES      446u
#define MBR_ENTRY        16u
#define MBR_ENTRY_TYPE   4u
#define MBR_PROTECTIVE   0xeeu
#define MBR_SIGNATURE    510u
#define HEADER_SECTOR    1u
#define ENTRIES_SIZE_MAX (PARTITIONS_MAX * (unsigned)sizeof(struct entry))

struct header {
    uint8_t signature[8];
    uint32_t revision, size;
    uint32_t checksum; /* of `size` bytes, with 0 here */
    uint32_t reserved;
    uint64_t self, other; /* sectors of this header and of the other copy's */
    uint64_t first_usable, last_usable;
    uint8_t disk[16];
    uint64_t entries; /* sector */
    uint32_t count, entry_size;
    uint32_t entries_checksum;
} __attribute__((packed));
_Static_assert(sizeof(struct header) == 92, "on disk: header");

struct entry {
    uint8_t type[16]; /* all zero: unused */
    uint8_t id[16];
    uint64_t first, last; /* sectors */
    uint64_t attributes;
    uint16_t name[36];
};
_Static_assert(sizeof(struct entry) == 128, "on disk: entry");

static uint32_t crc32(const void *bytes, size_t n)
{
    const uint8_t *at = bytes;
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < n; i++) {
        crc ^= at[i];
        for (unsigned bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
        }
    }
    return ~crc;
}

static bool read_sector(const struct store_io *io, uint64_t sector, uint8_t to[SECTOR])
{
    static uint8_t block[STORE_BLOCK] __attribute__((aligned(16)));

    if (sector / BLOCK_SECTORS >= io->blocks ||
        io->read(io->ctx, sector / BLOCK_SECTORS, block, 1) != 0) {
        return false;
    }
    memcpy(to, block + sector % BLOCK_SECTORS * SECTOR, SECTOR);
    return true;
}

static bool is_protective(const uint8_t mbr[SECTOR])
{
    if (mbr[MBR_SIGNATURE] != 0x55 || mbr[MBR_SIGNATURE + 1] != 0xaa) {
        return false;
    }
    for (unsigned n = 0; n < 4; n++) {
        if (mbr[MBR_ENTRIES + n * MBR_ENTRY + MBR_ENTRY_TYPE] == MBR_PROTECTIVE) {
            return true;
        }
    }
    return false;
}

/** Whether a whole header is at that sector. */
static bool read_header(const struct store_io *io, uint64_t sector, struct header *h)
{
    uint8_t bytes[SECTOR];
    uint32_t checksum;

    if (!read_sector(io, sector, bytes)) {
        return false;
    }
    memcpy(h, bytes, sizeof(*h));
    if (memcmp(h->signature, "EFI PART", sizeof(h->signature)) != 0 || h->size < sizeof(*h) ||
        h->size > SECTOR) {
        return false;
    }
    checksum = h->checksum;
    memset(bytes + offsetof(struct header, checksum), 0, sizeof(checksum));
    return crc32(bytes, h->size) == checksum && h->self == sector;
}

/** The entries of a header that fits(). @return whether they are whole */
static bool read_entries(const struct store_io *io, const struct header *h,
                         struct entry entries[PARTITIONS_MAX])
{
    uint32_t size = h->count * (uint32_t)sizeof(struct entry);
    uint8_t sector[SECTOR];

    memset(entries, 0, ENTRIES_SIZE_MAX);
    for (uint32_t done = 0; done < size; done += SECTOR) {
        if (!read_sector(io, h->entries + done / SECTOR, sector)) {
            return false;
        }
        memcpy((uint8_t *)entries + done, sector, size - done < SECTOR ? size - done : SECTOR);
    }
    return crc32(entries, size) == h->entries_checksum;
}

/** Whether what a whole header says can be; else p->why. */
static bool fits(const struct header *h, uint64_t sectors, struct partitions *p)
{
    uint64_t length = (h->count * (uint64_t)sizeof(struct entry) + SECTOR - 1) / SECTOR;

    if (h->revision != 0x10000 || h->entry_size != sizeof(struct entry) || h->count == 0 ||
        h->count > PARTITIONS_MAX) {
        snprintf(p->why, sizeof(p->why), "it is of a kind that is not known here");
    } else if (h->first_usable > h->last_usable || h->last_usable >= sectors - 1) {
        snprintf(p->why, sizeof(p->why), "it is of a larger disk");
    } else if (h->first_usable <= HEADER_SECTOR || h->entries <= HEADER_SECTOR ||
               h->entries > sectors || length > sectors - h->entries ||
               (h->entries <= h->last_usable && h->first_usable < h->entries + length)) {
        snprintf(p->why, sizeof(p->why), "its entries are not where they may be");
    } else {
        return true;
    }
    return false;
}

static bool is_used(const struct entry *e)
{
    static const uint8_t unused[16];

    return memcmp(e->type, unused, sizeof(unused)) != 0;
}

/** Whether no used entry is outside or over another; else p->why. */
static bool is_sound(const struct header *h, const struct entry *entries, struct partitions *p)
{
    for (unsigned n = 0; n < h->count; n++) {
        const struct entry *e = &entries[n];

        if (!is_used(e)) {
            continue;
        }
        if (e->first > e->last || e->first < h->first_usable || e->last > h->last_usable) {
            snprintf(p->why, sizeof(p->why), "partition %u is not within the disk", n + 1);
            return false;
        }
        for (unsigned i = 0; i < n; i++) {
            if (is_used(&entries[i]) && e->first <= entries[i].last &&
                entries[i].first <= e->last) {
                snprintf(p->why, sizeof(p->why), "partitions %u and %u overlap", i + 1, n + 1);
                return false;
            }
        }
    }
    return true;
}

static void choose_ours(const struct header *h, const struct entry *entries, struct partitions *p)
{
    static const uint8_t ours[16] = PARTITION_DISTRICT;

    for (unsigned n = 0; n < h->count; n++) {
        const struct entry *e = &entries[n];

        if (memcmp(e->type, ours, sizeof(ours)) == 0) {
            p->at[p->count].number = n + 1;
            p->at[p->count].first = e->first;
            p->at[p->count++].sectors = e->last - e->first + 1;
        }
    }
}

enum partitions_result partitions_read(const struct store_io *io, struct partitions *p)
{
    static struct entry entries[PARTITIONS_MAX];
    uint64_t sectors = io->blocks * BLOCK_SECTORS;
    uint64_t place[2] = {HEADER_SECTOR, sectors - 1};
    uint8_t mbr[SECTOR];
    struct header h;

    *p = (struct partitions){0};
    if (!read_sector(io, 0, mbr) || !is_protective(mbr)) {
        return PARTITIONS_NONE;
    }
    for (unsigned copy = 0; copy < 2; copy++) {
        p->second = copy == 1;
        if (!read_header(io, place[copy], &h)) {
            continue;
        }
        if (!fits(&h, sectors, p)) {
            return PARTITIONS_REFUSED;
        }
        if (!read_entries(io, &h, entries)) {
            continue;
        }
        if (!is_sound(&h, entries, p)) {
            return PARTITIONS_REFUSED;
        }
        choose_ours(&h, entries, p);
        return PARTITIONS_FOUND;
    }
    snprintf(p->why, sizeof(p->why), "neither copy of it is whole");
    return PARTITIONS_REFUSED;
}
