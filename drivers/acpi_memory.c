/*
 * What ACPI's tables are read from: a page of physical memory at a time, by a program that has the
 * nucleus's key as its first.
 */
#include "acpi.h"

#include <bailiwick/runtime.h>

#define KR_NUCLEUS KR_PROGRAM
#define KR_MEMORY  24 /* the page that is being read */

uint8_t acpi_byte(uint64_t address)
{
    static uint64_t known; /* page that KR_MEMORY is for */
    uint64_t page = address & ~(uint64_t)(BW_PAGE_SIZE - 1);
    struct message m = {.code = NUCLEUS_PHYSICAL, .word = {page, 1}, .take = {KEY_AT(KR_MEMORY)}};

    if (page != known && bw_call(KEY_AT(KR_NUCLEUS), &m) < 0) {
        return 0xff; /* RAM: no table lies there */
    }
    known = page;
    m = (struct message){.code = PHYSICAL_READ, .word = {address - page, 1}};
    return bw_call(KEY_AT(KR_MEMORY), &m) < 0 ? 0xff : (uint8_t)m.word[0];
}
