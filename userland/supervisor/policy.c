/*
 * The one table of who may do what in the commons (least authority). Programs that are started at
 * boot are started in this order.
 */
#include "supervisor.h"

#include <stdio.h>
#include <string.h>

const struct policy policies[] = {
    {.program = "serial",
     .when = START_AT_BOOT,
     .publish = "serial",
     .grants = {{GRANT_PORTS, 0x3f8, 8}, {GRANT_IRQ, 4, 1}}},
    {.program = "clock",
     .when = START_AT_BOOT,
     .class = 1,
     .find = "districts",
     .publish = "clock",
     .grants = {{GRANT_NUCLEUS, 0, 0}, {GRANT_PORTS, 0x70, 2}}},
    {.program = "power",
     .when = START_AT_BOOT,
     .class = 1,
     .publish = "power",
     .grants = {{GRANT_NUCLEUS, 0, 0}, {GRANT_PORTS, 0xcf9, 1}, {GRANT_PORTS, 0x64, 1}}},
    {.program = "console",
     .when = START_AT_BOOT,
     .class = 1,
     .find = "serial districts keys",
     .publish = "console* consoles terminals",
     .spawn = "login"},
    {.program = "vga",
     .when = START_AT_BOOT,
     .screen = true,
     .find = "keys",
     .publish = "vga",
     .spawn = "screens",
     .grants = {{GRANT_PORTS, 0x3c0, 0x20}, {GRANT_PHYSICAL, 0xb8, 8}}},
    {.program = "screens",
     .when = START_ON_DEMAND,
     .class = 1,
     .find = "vga terminals",
     .publish = "keys",
     .spawn = "ps2"},
    {.program = "ps2",
     .when = START_ON_DEMAND,
     .find = "keys",
     .grants = {{GRANT_PORTS, 0x60, 1}, {GRANT_PORTS, 0x64, 1}, {GRANT_IRQ, 1, 1}}},
    {.program = "pci",
     .when = START_AT_BOOT,
     .publish = "pci",
     .spawn = "virtio_blk ata entropy",
     .grants = {{GRANT_NUCLEUS, 0, 0}, {GRANT_PORTS, 0xcf8, 8}}},
    {.program = "districtd",
     .when = START_AT_BOOT,
     .class = 1,
     .find = "consoles clock entropy store*",
     .publish = "districts",
     .grants = {{GRANT_NUCLEUS, 0, 0}}},
    {.program = "login", .when = START_ON_DEMAND, .class = 1, .find = "console#", .spawn = "shell"},
    {.program = "shell",
     .when = START_ON_DEMAND,
     .class = 1,
     .once = true,
     .find = "console# districts power clock store*"},
    {.program = "virtio_blk",
     .when = START_ON_DEMAND,
     .device = true,
     .publish = "virtio_blk# disk*",
     .grants = {{GRANT_HANDED, 0, 0},
                {GRANT_HANDED, 0, 0},
                {GRANT_HANDED, 0, 0},
                {GRANT_HANDED, 0, 0},
                {GRANT_NUCLEUS, 0, 0}}},
    {.program = "ata",
     .when = START_ON_DEMAND,
     .device = true,
     .publish = "ata# disk*",
     .grants = {{GRANT_HANDED, 0, 0},
                {GRANT_HANDED, 0, 0},
                {GRANT_HANDED, 0, 0},
                {GRANT_HANDED, 0, 0},
                {GRANT_NUCLEUS, 0, 0}}},
    {.program = "entropy",
     .when = START_ON_DEMAND,
     .device = true,
     .find = "districts",
     .publish = "entropy",
     .grants = {{GRANT_HANDED, 0, 0},
                {GRANT_HANDED, 0, 0},
                {GRANT_HANDED, 0, 0},
                {GRANT_HANDED, 0, 0},
                {GRANT_NUCLEUS, 0, 0}}},
    {.program = "stored",
     .when = START_FOR_DISK,
     .find = "disk# districts clock entropy",
     .publish = "store#",
     .grants = {{GRANT_NUCLEUS, 0, 0}}},
};
const unsigned policies_count = sizeof(policies) / sizeof(policies[0]);

const struct policy *policy_find(const char *program)
{
    for (unsigned n = 0; n < policies_count; n++) {
        if (strcmp(policies[n].program, program) == 0) {
            return &policies[n];
        }
    }
    return NULL;
}

/* Whether `name` is `pattern`, of `length`, in which a final '#' stands for `word`, a final '*' for
 * any number. */
static bool matches(const char *pattern, size_t length, const char *name, uint64_t word)
{
    char number[24] = "";

    if (length && pattern[length - 1] == '*') {
        const char *digits = name + length - 1;

        return strncmp(pattern, name, length - 1) == 0 && digits[0] != '\0' &&
               digits[strspn(digits, "0123456789")] == '\0';
    }
    if (length && pattern[length - 1] == '#') {
        length--;
        snprintf(number, sizeof(number), "%llu", (unsigned long long)word);
    }
    return strncmp(pattern, name, length) == 0 && strcmp(name + length, number) == 0;
}

bool policy_allows(const char *patterns, const char *name, uint64_t word)
{
    while (patterns && *patterns) {
        size_t length = strcspn(patterns, " ");

        if (strlen(name) >= length - 1 && matches(patterns, length, name, word)) {
            return true;
        }
        patterns += length + strspn(patterns + length, " ");
    }
    return false;
}
