// sources: ../../drivers/ata_channel.c fake_polling.h
/*
 * A channel's commands by the processor, to a drive that is played here: one that does as it
 * should, one that is silent, one that lies about itself, and registers that read as anything.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "../../drivers/ata.h"
#include "fake_polling.h"

#define COMMAND 11 /* keys */
#define CONTROL 12
#define MASTER  13

#define SECTORS 64u

static bool wild, silent, counts_late;
static uint16_t identity[256];
static uint8_t disk[SECTORS * 512], memory[16 * 512];
static uint8_t reg[8];
static unsigned transfers; /* sectors that the command still moves */
static unsigned to_move;   /* the drive's next sector */
static unsigned looks;     /* at the status since the command */
static unsigned flushes, resets;
static bool writes, identifies;
static unsigned unit;      /* selected */
static unsigned resetting; /* looks at its status until a reset is over */

static uint8_t drive_status(void)
{
    if (unit == 1) {
        return 0; /* there is none */
    }
    if (silent || (resetting && resetting--)) {
        return 0x80;
    }
    if (counts_late && looks++ < 3) { /* it has not yet begun */
        return 0x40;
    }
    return counts_late && looks < 8 ? 0xc0 : (uint8_t)(0x40 | (transfers ? 0x08 : 0));
}

static void begin(uint8_t command)
{
    looks = 0;
    identifies = command == 0xec;
    writes = command == 0x30;
    transfers = identifies ? 1 : command == 0x20 || writes ? (reg[2] ? reg[2] : 256) : 0;
    to_move = reg[3] | reg[4] << 8 | reg[5] << 16;
    flushes += command == 0xe7;
}

static void move(struct message *m)
{
    uint8_t *at = identifies ? (uint8_t *)identity : disk + to_move % SECTORS * 512;

    if (m->code == PORTS_IN_WORDS) {
        ck_assert_uint_eq(m->word[1], 256);
        ck_assert_uint_eq(m->size, 512);
        if (wild) {
            for (unsigned n = 0; n < 512; n++) {
                ((uint8_t *)m->buffer)[n] = (uint8_t)rand();
            }
        } else {
            memcpy(m->buffer, at, 512);
        }
    } else {
        uint8_t sector[512];

        ck_assert_uint_eq(m->length, 512);
        memcpy(sector, m->string, 512); /* which must be there */
        if (!wild) {
            memcpy(at, sector, 512);
        }
    }
    transfers -= transfers > 0;
    to_move++;
}

int64_t bw_call(uint16_t key, struct message *m)
{
    int64_t order = m->code;
    uint64_t at = m->word[0];

    m->code = BW_OK;
    if (order == PORTS_IN_WORDS || order == PORTS_OUT_WORDS) {
        ck_assert(key == COMMAND && at == 0);
        m->code = order;
        move(m);
        m->code = BW_OK;
    } else if (order == PORTS_IN) {
        m->word[0] = wild                        ? (unsigned)rand()
                     : key == CONTROL || at == 7 ? drive_status()
                     : key == COMMAND            ? reg[at]
                                                 : 0;
        m->word[0] &= 0xff;
    } else if (key == COMMAND && at == 7) {
        begin((uint8_t)m->word[2]);
    } else if (key == COMMAND && !resetting) {
        reg[at] = (uint8_t)m->word[2];
        unit = reg[6] >> 4 & 1;
    } else if (key == CONTROL && m->word[2] & 4) {
        resets++;
        resetting = 1000;
    }
    return m->code;
}

static struct ata_prd prd[ATA_PRD_MAX];

static struct ata_channel new_channel(bool master)
{
    struct ata_channel c = {.command = COMMAND,
                            .control = CONTROL,
                            .master = master ? MASTER : 0,
                            .prd = prd,
                            .prd_physical = 0x1000};

    now = 0;
    wild = silent = counts_late = false;
    flushes = resets = pauses = transfers = resetting = 0;
    unit = 1; /* as the firmware has left it */
    memset(identity, 0, sizeof(identity));
    identity[49] = 0x0200;
    identity[60] = SECTORS;
    identity[83] = 0x5000; /* flush, of 28 bits */
    memcpy(&identity[27], "GEEN", 4);
    for (unsigned n = 0; n < sizeof(disk); n++) {
        disk[n] = (uint8_t)(n * 7 + n / 512);
    }
    return c;
}

static enum ata_outcome run(struct ata_channel *c, enum ata_operation operation, uint64_t sector,
                            uint32_t sectors)
{
    struct ata_request r = {operation, sector, sectors, memory, 0x10000};
    enum ata_outcome outcome = ata_begin(c, 0, &r);

    for (unsigned n = 0; outcome == ATA_BUSY; n++) {
        ck_assert_uint_lt(n, 100000);
        outcome = ata_step(c);
    }
    ck_assert_int_eq(c->state, ATA_IDLE);
    return outcome;
}

START_TEST(reads_writes_and_flushes)
{
    struct ata_channel c = new_channel(false);

    ata_find(&c);
    ck_assert(c.drive[0].present && c.drive[0].sectors == SECTORS && !c.drive[0].dma);
    ck_assert_str_eq(c.drive[0].model, "EGNE");
    ck_assert_int_eq(run(&c, ATA_READ, 5, 16), ATA_DONE);
    ck_assert_mem_eq(memory, disk + 5 * 512, 16 * 512);
    memset(memory, 0xaa, sizeof(memory));
    ck_assert_int_eq(run(&c, ATA_WRITE, 40, 3), ATA_DONE);
    ck_assert_mem_eq(disk + 40 * 512, memory, 3 * 512);
    ck_assert(disk[39 * 512] != 0xaa && disk[43 * 512] != 0xaa);
    ck_assert_int_eq(run(&c, ATA_FLUSH, 0, 0), ATA_DONE);
    ck_assert_uint_eq(flushes, 1);
}
END_TEST

/* A drive is not busy at once: what its status says before that is not of the command. */
START_TEST(a_drive_that_begins_late)
{
    struct ata_channel c = new_channel(false);
    struct ata_request flush = {ATA_FLUSH, 0, 0, memory, 0x10000};

    ata_find(&c);
    counts_late = true;
    ck_assert_int_eq(ata_begin(&c, 0, &flush), ATA_BUSY);
    ck_assert_int_eq(ata_step(&c), ATA_BUSY);
    ck_assert_int_eq(run(&c, ATA_READ, 1, 1), ATA_DONE);
    ck_assert_mem_eq(memory, disk + 512, 512);
}
END_TEST

START_TEST(a_drive_that_says_nothing)
{
    struct ata_channel c = new_channel(false);

    ata_find(&c);
    silent = true;
    ck_assert_int_eq(run(&c, ATA_WRITE, 1, 1), ATA_TIMEOUT);
    ck_assert_uint_gt(pauses, 100);
    ck_assert_uint_gt(resets, 1);
    silent = false;
    ck_assert_int_eq(run(&c, ATA_WRITE, 1, 1), ATA_DONE);
}
END_TEST

static bool is_believed(void)
{
    struct ata_channel c = {.command = COMMAND, .control = CONTROL};

    ata_find(&c);
    for (const char *m = c.drive[0].model; *m; m++) {
        ck_assert(*m >= ' ' && *m <= '~');
    }
    return c.drive[0].present;
}

START_TEST(a_drive_that_lies)
{
    uint8_t sum = 0;

    new_channel(false);
    ck_assert(is_believed());
    identity[61] = 0x1000; /* 2^28 sectors: as many as there are addresses */
    identity[60] = 0;
    ck_assert(is_believed());
    identity[60] = 1;
    ck_assert(!is_believed());
    identity[83] |= 0x0400; /* 48 bits, and none in there */
    ck_assert(!is_believed());
    identity[103] = 1;
    identity[100] = 1;
    ck_assert(!is_believed());
    identity[103] = 0;
    identity[100] = 1000;
    ck_assert(is_believed());
    identity[106] = 0x5000; /* large sectors */
    ck_assert(!is_believed());
    identity[106] = 0;
    identity[28] = 0x1b07; /* nothing that a terminal should see */
    ck_assert(is_believed());
    identity[255] = 0xa5;
    ck_assert(!is_believed()); /* does not sum up */
    for (unsigned n = 0; n < 512; n++) {
        sum = (uint8_t)(sum + ((uint8_t *)identity)[n]);
    }
    identity[255] |= (uint16_t)((uint8_t)-sum << 8);
    ck_assert(is_believed());
}
END_TEST

/* Whatever the registers say, all comes to an end, and no memory but the request's is touched. */
START_TEST(registers_that_read_as_anything)
{
    srand(1);
    for (unsigned n = 0; n < 300; n++) {
        struct ata_channel c = new_channel(n % 2);

        wild = true;
        ata_find(&c);
        for (unsigned i = 0; i < 2; i++) {
            ck_assert(!c.drive[i].present || c.drive[i].sectors <= (uint64_t)1 << 48);
        }
        c.drive[0].dma = n % 2;
        for (unsigned i = 0; i < 10; i++) {
            run(&c, (enum ata_operation)(rand() % 3), (unsigned)rand(), 1 + (unsigned)rand() % 16);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ata_channel");
    TCase *tests = tcase_create("ata_channel");

    tcase_add_test(tests, reads_writes_and_flushes);
    tcase_add_test(tests, a_drive_that_begins_late);
    tcase_add_test(tests, a_drive_that_says_nothing);
    tcase_add_test(tests, a_drive_that_lies);
    tcase_add_test(tests, registers_that_read_as_anything);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
