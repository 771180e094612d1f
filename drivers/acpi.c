/*
 * From the root pointer, which the BIOS leaves between 0xe0000 and 1 MiB, to the tables: the fixed
 * description (FADT), and from it to the package _S5_ in the byte code of the DSDT, which is not
 * interpreted: the package holds constants in every machine that exists (ACPI 6, 4.8.3, 5.2 and
 * 7.4.2); and where the HPET is (IA-PC HPET specification 1.0a, 3.2.4).
 */
#include "acpi.h"

#include <string.h>

#define ROOT_FIRST  0xe0000u
#define ROOT_LIMIT  0x100000u
#define ROOT_SIZE   20u
#define HEADER_SIZE 36u
#define TABLE_MAX   (1u << 20)

#define ROOT_REVISION  15u
#define ROOT_RSDT      16u
#define ROOT_XSDT      24u
#define HEADER_LENGTH  4u
#define FADT_DSDT      40u
#define FADT_SMI       48u
#define FADT_ENABLE    52u
#define FADT_PM1A      64u
#define FADT_PM1B      68u
#define FADT_SIZE      72u
#define HPET_SPACE     40u
#define HPET_BASE      44u
#define HPET_SIZE      56u
#define SPACE_MEMORY   0u
#define SLEEP_ENABLE   0x2000u
#define SLEEP_SHIFT    10u
#define SLEEP_TYPES    7u
#define OPCODE_NAME    0x08u
#define OPCODE_ROOT    0x5cu
#define OPCODE_BYTE    0x0au
#define OPCODE_ONE     0x01u
#define OPCODE_ZERO    0x00u
#define OPCODE_PACKAGE 0x12u

static uint64_t number(uint64_t at, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned n = bytes; n-- > 0;) {
        value = value << 8 | acpi_byte(at + n);
    }
    return value;
}

static bool matches(uint64_t at, const char *text)
{
    while (*text && acpi_byte(at) == (uint8_t)*text) {
        at++;
        text++;
    }
    return !*text;
}

static bool sums_up(uint64_t at, uint64_t bytes)
{
    uint8_t sum = 0;

    for (uint64_t n = 0; n < bytes; n++) {
        sum = (uint8_t)(sum + acpi_byte(at + n));
    }
    return sum == 0;
}

/* Length of the table there, 0 if it is not one or damaged. */
static uint32_t table_length(uint64_t at, const char *signature)
{
    uint32_t length;

    if (!at || !matches(at, signature)) {
        return 0;
    }
    length = (uint32_t)number(at + HEADER_LENGTH, 4);
    return length >= HEADER_SIZE && length <= TABLE_MAX && sums_up(at, length) ? length : 0;
}

static uint64_t find_root(void)
{
    for (uint64_t at = ROOT_FIRST; at < ROOT_LIMIT; at += 16) {
        if (matches(at, "RSD PTR ") && sums_up(at, ROOT_SIZE)) {
            return at;
        }
    }
    return 0;
}

/* The first table of that signature with that many bytes; 0: there is none. */
static uint64_t find_table(const char *signature, uint32_t least)
{
    uint64_t root = find_root();
    bool wide = root && acpi_byte(root + ROOT_REVISION) >= 2 && number(root + ROOT_XSDT, 8);
    uint64_t list = !root ? 0 : wide ? number(root + ROOT_XSDT, 8) : number(root + ROOT_RSDT, 4);
    uint32_t length = table_length(list, wide ? "XSDT" : "RSDT");
    unsigned size = wide ? 8 : 4;

    for (uint32_t n = HEADER_SIZE; n + size <= length; n += size) {
        uint64_t table = number(list + n, size);

        if (table_length(table, signature) >= least) {
            return table;
        }
    }
    return 0;
}

/* A constant of byte code. @return the bytes that it takes; 0: it is something else */
static unsigned constant(uint64_t at, uint8_t *value)
{
    uint8_t opcode = acpi_byte(at);

    *value = opcode == OPCODE_BYTE ? acpi_byte(at + 1) : opcode;
    return opcode == OPCODE_BYTE ? 2 : opcode == OPCODE_ZERO || opcode == OPCODE_ONE ? 1 : 0;
}

/* The first two elements of the package at `at`. */
static bool read_package(uint64_t at, uint8_t type[2])
{
    unsigned size;

    if (acpi_byte(at) != OPCODE_PACKAGE) {
        return false;
    }
    at += 2u + (acpi_byte(at + 1) >> 6); /* its length: 1 to 4 bytes */
    if (acpi_byte(at++) < 2) {           /* elements */
        return false;
    }
    size = constant(at, &type[0]);
    return size && constant(at + size, &type[1]);
}

static bool find_sleep_type(uint64_t dsdt, uint8_t type[2])
{
    uint32_t length = table_length(dsdt, "DSDT");

    for (uint32_t n = HEADER_SIZE + 2; n + 11 <= length; n++) {
        uint64_t at = dsdt + n;

        if (matches(at, "_S5_") &&
            (acpi_byte(at - 1) == OPCODE_NAME ||
             (acpi_byte(at - 1) == OPCODE_ROOT && acpi_byte(at - 2) == OPCODE_NAME))) {
            return read_package(at + 4, type);
        }
    }
    return false;
}

bool acpi_find_off(struct acpi_off *off)
{
    uint64_t fadt = find_table("FACP", FADT_SIZE);
    uint8_t type[2];

    if (!fadt || !find_sleep_type(number(fadt + FADT_DSDT, 4), type)) {
        return false;
    }
    for (unsigned n = 0; n < 2; n++) {
        off->control[n] = (uint16_t)number(fadt + (n ? FADT_PM1B : FADT_PM1A), 4);
        off->value[n] = (uint16_t)((type[n] & SLEEP_TYPES) << SLEEP_SHIFT | SLEEP_ENABLE);
    }
    off->enable_port = (uint16_t)number(fadt + FADT_SMI, 4);
    off->enable_value = acpi_byte(fadt + FADT_ENABLE);
    return off->control[0] != 0;
}

bool acpi_find_hpet(uint64_t *base)
{
    uint64_t table = find_table("HPET", HPET_SIZE);

    *base = table ? number(table + HPET_BASE, 8) : 0;
    return *base && acpi_byte(table + HPET_SPACE) == SPACE_MEMORY;
}
