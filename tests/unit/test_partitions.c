// sources: ../../store/server/partitions.c
/*
 * Partition tables, true ones and hostile ones: what is believed lies within the disk, none over
 * another, whatever the bytes say.
 */
#include <check.h>
#include <partitions.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR  512u
#define SECTORS 4096u
#define ENTRIES 128u

static uint8_t disk[SECTORS * SECTOR];
static struct partitions found;

static int read_block(void *ctx, uint64_t block, void *buf, size_t n)
{
    (void)ctx;
    ck_assert(block < SECTORS / 8 && n <= SECTORS / 8 - block);
    memcpy(buf, disk + block * STORE_BLOCK, n * STORE_BLOCK);
    return 0;
}

static enum partitions_result look(void)
{
    struct store_io io = {.blocks = SECTORS / 8, .read = read_block};
    enum partitions_result result = partitions_read(&io, &found);

    for (unsigned n = 0; result == PARTITIONS_FOUND && n < found.count; n++) {
        ck_assert(found.at[n].first >= 3 && found.at[n].sectors > 0 &&
                  found.at[n].first < SECTORS &&
                  found.at[n].sectors <= SECTORS - found.at[n].first);
        ck_assert(found.at[n].number >= 1 && found.at[n].number <= ENTRIES);
        for (unsigned i = 0; i < n; i++) {
            ck_assert(found.at[n].first >= found.at[i].first + found.at[i].sectors ||
                      found.at[i].first >= found.at[n].first + found.at[n].sectors);
        }
    }
    ck_assert(result != PARTITIONS_REFUSED || found.why[0]);
    return result;
}

static uint32_t crc(const uint8_t *at, size_t n)
{
    uint32_t c = UINT32_MAX;

    while (n--) {
        c ^= *at++;
        for (int i = 0; i < 8; i++) {
            c = c >> 1 ^ (0xedb88320u & -(c & 1));
        }
    }
    return ~c;
}

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
    memcpy(at, &value, bytes);
}

static uint8_t *entry(unsigned n)
{
    return disk + 2 * SECTOR + (size_t)n * 128;
}

static void set(unsigned n, uint64_t first, uint64_t last, bool ours)
{
    static const uint8_t type[16] = PARTITION_DISTRICT;

    memset(entry(n), 0x11, 16);
    if (ours) {
        memcpy(entry(n), type, 16);
    }
    put(entry(n) + 32, first, 8);
    put(entry(n) + 40, last, 8);
}

/* Checksums of a copy: its header and entries are what they are now. */
static void sum(uint64_t header, uint64_t entries)
{
    uint8_t *h = disk + header * SECTOR;

    put(h + 88, crc(disk + entries * SECTOR, ENTRIES * 128), 4);
    put(h + 16, 0, 4);
    put(h + 16, crc(h, 92), 4);
}

static void write_header(uint64_t self, uint64_t other, uint64_t entries)
{
    uint8_t *h = disk + self * SECTOR;

    memset(h, 0, SECTOR);
    memcpy(h, "EFI PART", 8);
    put(h + 8, 0x10000, 4);
    put(h + 12, 92, 4);
    put(h + 24, self, 8);
    put(h + 32, other, 8);
    put(h + 40, 34, 8);
    put(h + 48, SECTORS - 34, 8);
    put(h + 72, entries, 8);
    put(h + 80, ENTRIES, 4);
    put(h + 84, 128, 4);
    sum(self, entries);
}

/* Both copies, from the entries that are there. */
static void seal(void)
{
    memcpy(disk + (SECTORS - 33) * SECTOR, entry(0), 32 * SECTOR);
    write_header(1, SECTORS - 1, 2);
    write_header(SECTORS - 1, 1, SECTORS - 33);
}

static void make(void)
{
    memset(disk, 0, sizeof(disk));
    disk[446 + 4] = 0xee;
    disk[510] = 0x55;
    disk[511] = 0xaa;
    set(0, 34, 99, false);
    set(1, 100, 1099, true);
    set(5, 2000, SECTORS - 34, true);
    seal();
}

START_TEST(a_true_table)
{
    make();
    ck_assert_int_eq(look(), PARTITIONS_FOUND);
    ck_assert_uint_eq(found.count, 2);
    ck_assert_uint_eq(found.at[0].number, 2);
    ck_assert_uint_eq(found.at[0].first, 100);
    ck_assert_uint_eq(found.at[0].sectors, 1000);
    ck_assert_uint_eq(found.at[1].number, 6);
    ck_assert_uint_eq(found.at[1].sectors, SECTORS - 33 - 2000);
    ck_assert(!found.second);
}
END_TEST

START_TEST(no_table)
{
    make();
    disk[511] = 0;
    ck_assert_int_eq(look(), PARTITIONS_NONE);
    make();
    disk[446 + 4] = 0x83;
    ck_assert_int_eq(look(), PARTITIONS_NONE);
    memset(disk, 0, sizeof(disk));
    ck_assert_int_eq(look(), PARTITIONS_NONE);
    memset(disk, 0xff, sizeof(disk));
    ck_assert_int_eq(look(), PARTITIONS_NONE);
}
END_TEST

START_TEST(the_second_copy_counts_if_the_first_is_not_whole)
{
    make();
    disk[SECTOR + 60] ^= 1;
    ck_assert_int_eq(look(), PARTITIONS_FOUND);
    ck_assert(found.second);
    ck_assert_uint_eq(found.count, 2);
    make();
    entry(70)[3] ^= 1; /* a checksum that is over all entries */
    ck_assert_int_eq(look(), PARTITIONS_FOUND);
    ck_assert(found.second);
    disk[(SECTORS - 1) * SECTOR] ^= 1;
    ck_assert_int_eq(look(), PARTITIONS_REFUSED);
    ck_assert_str_eq(found.why, "neither copy of it is whole");
}
END_TEST

START_TEST(partitions_that_cannot_be)
{
    static const struct {
        uint64_t first, last;
        bool ours;
        const char *why;
    } lies[] = {
        {1099, 1200, true, "partitions 2 and 3 overlap"},
        {50, 60, true, "partitions 1 and 3 overlap"},
        {200, 300, false, "partitions 2 and 3 overlap"},
        {100, 1099, true, "partitions 2 and 3 overlap"},
        {1200, 1199, true, "partition 3 is not within the disk"},
        {33, 33, true, "partition 3 is not within the disk"},
        {0, 3, true, "partition 3 is not within the disk"},
        {1200, SECTORS - 33, true, "partition 3 is not within the disk"},
        {1200, UINT64_MAX, true, "partition 3 is not within the disk"},
        {UINT64_MAX, UINT64_MAX, true, "partition 3 is not within the disk"},
        {SECTORS, SECTORS + 10, false, "partition 3 is not within the disk"},
    };

    for (unsigned n = 0; n < sizeof(lies) / sizeof(lies[0]); n++) {
        make();
        set(2, lies[n].first, lies[n].last, lies[n].ours);
        seal();
        ck_assert_int_eq(look(), PARTITIONS_REFUSED);
        ck_assert_str_eq(found.why, lies[n].why);
    }
}
END_TEST

START_TEST(headers_that_cannot_be)
{
    static const struct {
        unsigned at, bytes;
        uint64_t value;
        const char *why;
    } lies[] = {
        {8, 4, 0x20000, "it is of a kind that is not known here"},
        {80, 4, 0, "it is of a kind that is not known here"},
        {80, 4, ENTRIES + 1, "it is of a kind that is not known here"},
        {80, 4, UINT32_MAX, "it is of a kind that is not known here"},
        {84, 4, 0, "it is of a kind that is not known here"},
        {84, 4, 256, "it is of a kind that is not known here"},
        {48, 8, SECTORS - 1, "it is of a larger disk"},
        {48, 8, SECTORS, "it is of a larger disk"},
        {48, 8, UINT64_MAX, "it is of a larger disk"},
        {40, 8, SECTORS - 33, "it is of a larger disk"},
        {72, 8, 0, "its entries are not where they may be"},
        {72, 8, 1, "its entries are not where they may be"},
        {72, 8, 40, "its entries are not where they may be"},
        {72, 8, SECTORS - 31, "its entries are not where they may be"},
        {72, 8, UINT64_MAX, "its entries are not where they may be"},
        {40, 8, 33, "its entries are not where they may be"},
    };

    for (unsigned n = 0; n < sizeof(lies) / sizeof(lies[0]); n++) {
        make();
        put(disk + SECTOR + lies[n].at, lies[n].value, lies[n].bytes);
        sum(1, 2);
        ck_assert_int_eq(look(), PARTITIONS_REFUSED);
        ck_assert_str_eq(found.why, lies[n].why);
    }
    make(); /* a partition over the header */
    put(disk + SECTOR + 40, 0, 8);
    put(disk + SECTOR + 48, 1, 8);
    memset(entry(0), 0, 6 * 128);
    set(0, 0, 1, true);
    sum(1, 2);
    ck_assert_int_eq(look(), PARTITIONS_REFUSED);
    for (uint64_t size = 0; size < 92; size++) { /* not even a header: the second copy */
        make();
        put(disk + SECTOR + 12, size, 4);
        sum(1, 2);
        ck_assert_int_eq(look(), PARTITIONS_FOUND);
        ck_assert(found.second);
    }
}
END_TEST

/* Any bytes of header and entries, with checksums that are right: look() itself checks. */
START_TEST(random_tables)
{
    static const uint64_t near[] = {0, 1, 33, 34, 100, 1099, SECTORS - 34, SECTORS, UINT64_MAX};
    unsigned count[3] = {0};

    srandom(1);
    for (unsigned round = 0; round < 20000; round++) {
        unsigned changes = 1 + (unsigned)random() % 3;

        if (round % 16 == 0) {
            make();
        }
        while (changes--) {
            uint64_t value = near[(unsigned)random() % 9] + (unsigned)random() % 3 - 1;

            if (random() % 4) {
                set((unsigned)random() % 8, value, near[(unsigned)random() % 9], random() % 2);
            } else {
                put(disk + SECTOR + 8 + 4 * ((unsigned)random() % 20), value, 4);
            }
        }
        sum(1, 2);
        count[look()]++;
    }
    ck_assert_uint_gt(count[PARTITIONS_FOUND], 1000);
    ck_assert_uint_gt(count[PARTITIONS_REFUSED], 1000);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("partitions");
    TCase *c = tcase_create("gpt");

    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_true_table);
    tcase_add_test(c, no_table);
    tcase_add_test(c, the_second_copy_counts_if_the_first_is_not_whole);
    tcase_add_test(c, partitions_that_cannot_be);
    tcase_add_test(c, headers_that_cannot_be);
    tcase_add_test(c, random_tables);
    suite_add_tcase(s, c);
    return run_suite(s);
}
