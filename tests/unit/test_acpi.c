// sources: ../../drivers/acpi.c
/*
 * How to switch a machine off and where its HPET is, from tables laid out here as a BIOS lays them
 * out, and from damaged ones.
 */
#include <check.h>
#include <string.h>

#include "../../drivers/acpi.h"

#define BASE 0xe0000u
#define RSDT 0xf0000u
#define FADT 0xf1000u
#define DSDT 0xf2000u
#define HPET 0xf3000u

static uint8_t memory[0x20000];

uint8_t acpi_byte(uint64_t address)
{
    return address >= BASE && address - BASE < sizeof(memory) ? memory[address - BASE] : 0xff;
}

static uint8_t *at(uint64_t address)
{
    return memory + (address - BASE);
}

static void put(uint64_t address, uint64_t value, unsigned bytes)
{
    memcpy(at(address), &value, bytes);
}

/* The byte at `place` makes the sum right. */
static void finish(uint64_t table, unsigned length, unsigned place)
{
    uint8_t sum = 0;

    *at(table + place) = 0;
    for (unsigned n = 0; n < length; n++) {
        sum = (uint8_t)(sum + *at(table + n));
    }
    *at(table + place) = (uint8_t)-sum;
}

static void make_dsdt(const char *code, unsigned length)
{
    memcpy(at(DSDT), "DSDT", 4);
    put(DSDT + 4, 36 + 8 + length, 4);
    memcpy(at(DSDT + 36 + 8), code, length);
    finish(DSDT, 36 + 8 + length, 9);
}

static void make_tables(void)
{
    memset(memory, 0, sizeof(memory));
    memcpy(at(0xe4560), "RSD PTR ", 8);
    put(0xe4560 + 16, RSDT, 4);
    finish(0xe4560, 20, 8);
    memcpy(at(RSDT), "RSDT", 4);
    put(RSDT + 4, 36 + 8, 4);
    put(RSDT + 36, DSDT, 4); /* not the one that is sought */
    put(RSDT + 40, FADT, 4);
    finish(RSDT, 44, 9);
    memcpy(at(FADT), "FACP", 4);
    put(FADT + 4, 116, 4);
    put(FADT + 40, DSDT, 4);
    put(FADT + 48, 0xb2, 4);
    put(FADT + 52, 0xf1, 1);
    put(FADT + 64, 0x604, 4);
    finish(FADT, 116, 9);
    make_dsdt("\x08_S5_\x12\x06\x04\x0a\x05\x01\x00\x00", 13);
}

START_TEST(it_is_found)
{
    struct acpi_off off;

    make_tables();
    ck_assert(acpi_find_off(&off));
    ck_assert_uint_eq(off.control[0], 0x604);
    ck_assert_uint_eq(off.control[1], 0);
    ck_assert_uint_eq(off.value[0], 0x2000 | 5 << 10);
    ck_assert_uint_eq(off.value[1], 0x2000 | 1 << 10);
    ck_assert_uint_eq(off.enable_port, 0xb2);
    ck_assert_uint_eq(off.enable_value, 0xf1);
}
END_TEST

START_TEST(other_forms_of_the_package)
{
    struct acpi_off off;

    make_tables();
    make_dsdt("\x08\\_S5_\x12\x47\x00\x02\x00\x00\x00", 13);
    ck_assert(acpi_find_off(&off));
    ck_assert_uint_eq(off.value[0], 0x2000);
    make_dsdt("xx_S5_\x12\x06\x04\x0a\x05\x01\x00\x00", 14); /* used, not defined */
    ck_assert(!acpi_find_off(&off));
    make_dsdt("\x08_S5_\x12\x06\x01\x0a\x05\x01\x00\x00", 13); /* one element */
    ck_assert(!acpi_find_off(&off));
    make_dsdt("\x08_S5_\x11\x06\x04\x0a\x05\x01\x00\x00", 13); /* no package */
    ck_assert(!acpi_find_off(&off));
}
END_TEST

START_TEST(damage_is_noticed)
{
    static const uint64_t tables[] = {0xe4560, RSDT, FADT, DSDT};
    struct acpi_off off;

    for (unsigned n = 0; n < 4; n++) {
        make_tables();
        *at(tables[n] + 10) ^= 1;
        ck_assert_msg(!acpi_find_off(&off), "%#lx", (unsigned long)tables[n]);
    }
    for (unsigned n = 1; n < 4; n++) {
        make_tables();
        put(tables[n] + 4, 0xffffffff, 4);
        ck_assert(!acpi_find_off(&off));
    }
    memset(memory, 0, sizeof(memory));
    ck_assert(!acpi_find_off(&off));
}
END_TEST

/* The RSDT's first entry becomes the HPET's table. */
static void make_hpet(uint64_t base, uint8_t space, unsigned length)
{
    make_tables();
    put(RSDT + 36, HPET, 4);
    finish(RSDT, 44, 9);
    memcpy(at(HPET), "HPET", 4);
    put(HPET + 4, length, 4);
    put(HPET + 40, space, 1);
    put(HPET + 44, base, 8);
    finish(HPET, length, 9);
}

START_TEST(the_hpet)
{
    uint64_t base;

    make_tables();
    ck_assert(!acpi_find_hpet(&base));
    make_hpet(0xfed00000, 0, 56);
    ck_assert(acpi_find_hpet(&base));
    ck_assert_uint_eq(base, 0xfed00000);
    ++*at(HPET + 50);
    ck_assert(!acpi_find_hpet(&base)); /* does not sum up */
    make_hpet(0xfed00000, 1, 56);
    ck_assert(!acpi_find_hpet(&base)); /* ports */
    make_hpet(0, 0, 56);
    ck_assert(!acpi_find_hpet(&base));
    make_hpet(0xfed00000, 0, 52);
    ck_assert(!acpi_find_hpet(&base)); /* too short */
    memset(memory, 0, sizeof(memory));
    ck_assert(!acpi_find_hpet(&base));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("acpi");
    TCase *t = tcase_create("off");

    tcase_add_test(t, it_is_found);
    tcase_add_test(t, other_forms_of_the_package);
    tcase_add_test(t, damage_is_noticed);
    tcase_add_test(t, the_hpet);
    suite_add_tcase(s, t);
    return run_suite(s);
}
