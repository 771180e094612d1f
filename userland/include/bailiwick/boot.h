/*
 * The start of the commons: the boot archive that the nucleus hands to the supervisor, and which
 * key each program of the commons then finds in KR_PROGRAM and up.
 *
 * The archive is a read-only segment of height 2, mapped at BOOT_ARCHIVE in the supervisor. Its
 * page 0 is BOOT_MODULES_MAX struct boot_module, as many as rdi says; each module's bytes follow,
 * beginning on a page.
 *
 *   supervisor   +0 KEY_NUCLEUS, +1 the archive (segment key)
 *   stored       +0 KEY_NUCLEUS; word: number of its disk
 *   districtd    +0 KEY_NUCLEUS
 *   pci          +0 KEY_NUCLEUS, +1 ports 0xcf8..0xcff
 *   serial       +0 ports 0x3f8..0x3ff, +1 interrupt line 4
 *   vga          +0 ports 0x3c0..0x3df, +1 physical pages 0xb8000..0xbffff
 *   ps2          +0 port 0x60, +1 port 0x64, +2 interrupt line 1
 *   clock        +0 KEY_NUCLEUS, +1 ports 0x70..0x71
 *   power        +0 KEY_NUCLEUS, +1 and +2 ports 0xcf9, 0x64
 *   virtio_blk   +0..+2 from pci (pci.h), +4 KEY_NUCLEUS; word: number of its disk
 *   ata          the same; word: number of its first disk
 *   entropy      the same if pci started it; word: 1 if so
 *   others       nothing
 */
#ifndef BAILIWICK_BOOT_H
#define BAILIWICK_BOOT_H

#include <bailiwick/native.h>

#include <stdint.h>

#define BOOT_ARCHIVE     NATIVE_WINDOWS
#define BOOT_MODULES_MAX 64u
#define BOOT_NAME_MAX    48u

struct boot_module {
    char name[BOOT_NAME_MAX]; /* the file's base name without ".elf"; ends with NUL */
    uint64_t offset;          /* in the archive, a multiple of the page size */
    uint64_t size;            /* in bytes */
};
_Static_assert(sizeof(struct boot_module) * BOOT_MODULES_MAX == 4096, "the table fills page 0");

#endif
