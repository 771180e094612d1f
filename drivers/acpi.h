/*
 * ACPI as far as it is needed: what its tables say of sleep state S5, for switching off, and where
 * the HPET is.
 */
#ifndef DRIVERS_ACPI_H
#define DRIVERS_ACPI_H

#include <stdbool.h>
#include <stdint.h>

struct acpi_off {
    uint16_t control[2];  /* ports of PM1a_CNT and PM1b_CNT; [1] may be 0: none */
    uint16_t value[2];    /* to be written there: SLP_TYP and SLP_EN */
    uint16_t enable_port; /* 0: the machine is always in ACPI mode */
    uint8_t enable_value; /* makes it so */
};

/** One byte of physical memory, outside RAM; by acpi_memory.c, or a test. */
uint8_t acpi_byte(uint64_t address);
/** @return false: there are no tables, or they are damaged, or do not tell */
bool acpi_find_off(struct acpi_off *off);
/** @return false: the tables do not tell */
bool acpi_find_hpet(uint64_t *base);

#endif
