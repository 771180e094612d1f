/*
 * Configuration space: access, memory regions, virtio's capabilities.
 *
 * virtio over PCI (virtio 1.x, 4.1.4): capabilities of vendor type (9) say in which region (BAR),
 * at which offset and how long each structure of the device is.
 */
#include "pci_config.h"
#include "ports.h"

#include <string.h>

#define KR_PORTS (KR_PROGRAM + 1) /* 0xcf8 .. 0xcff */

#define CAPABILITY_VENDOR 0x09u
#define STATUS_HAS_LIST   0x10u

#define VIRTIO_VENDOR         0x1af4u
#define VIRTIO_TRANSITIONAL   0x1000u /* .. 0x103f: the type is the subsystem id */
#define VIRTIO_MODERN         0x1040u /* + type */
#define VIRTIO_DEVICE_LIMIT   0x107fu
#define VIRTIO_CAP_COMMON     1u
#define VIRTIO_CAP_NOTIFY     2u
#define VIRTIO_CAP_ISR        3u
#define VIRTIO_CAP_DEVICE     4u
#define VIRTIO_CAP_ACCESS     5u
#define VIRTIO_CAP_TYPE       3u /* offsets in the capability */
#define VIRTIO_CAP_BAR        4u
#define VIRTIO_CAP_OFFSET     8u
#define VIRTIO_CAP_LENGTH     12u
#define VIRTIO_CAP_MULTIPLIER 16u
#define VIRTIO_CAP_DATA       16u

#define INTERFACE_NATIVE 0x1u /* of an IDE controller: channel 0; 4 times that: channel 1 */

#define BAR_IO    0x1u
#define BAR_TYPE  0x6u
#define BAR_64    0x4u
#define BAR_COUNT 6u
#define NO_BAR    0xffu
#define BAR_PORT  0xfffcu
#define PAGES_MAX 256u /* of a region that is mapped */

#define COMMON_STATUS  20u           /* in the common structure; 0 resets the device */
#define RESET_PATIENCE 1000000000ull /* ns */

static void select_register(pci_address at, unsigned offset)
{
    port_out(KEY_AT(KR_PORTS), 0, 4, 0x80000000u | (uint32_t)at << 8 | (offset & 0xfcu));
}

uint32_t pci_read(pci_address at, unsigned offset, unsigned width)
{
    select_register(at, offset);
    return port_in(KEY_AT(KR_PORTS), 4 + (offset & 3u), width);
}

void pci_write(pci_address at, unsigned offset, unsigned width, uint32_t value)
{
    select_register(at, offset);
    port_out(KEY_AT(KR_PORTS), 4 + (offset & 3u), width, value);
}

/* Address of a memory region, 0 if it is none or has none. Its size is not asked for: that would
 * take it away for a moment, and its driver may be running if we are a restarted pci. */
static uint64_t region_base(pci_address at, unsigned bar)
{
    unsigned offset = PCI_BAR + 4 * bar;
    uint32_t low = pci_read(at, offset, 4);
    bool wide = (low & BAR_TYPE) == BAR_64 && bar + 1 < BAR_COUNT;
    uint64_t high = wide ? pci_read(at, offset + 4, 4) : 0;

    return low & BAR_IO ? 0 : high << 32 | (low & ~15u);
}

static uint32_t device_type(pci_address at)
{
    uint32_t device = pci_read(at, PCI_DEVICE, 2);

    if (pci_read(at, PCI_VENDOR, 2) != VIRTIO_VENDOR || device < VIRTIO_TRANSITIONAL ||
        device > VIRTIO_DEVICE_LIMIT) {
        return 0;
    }
    return device >= VIRTIO_MODERN ? device - VIRTIO_MODERN : pci_read(at, PCI_SUBSYSTEM, 2);
}

/* Takes one vendor capability into *v; only the first of each kind counts, all must be in one BAR.
 */
static bool take_capability(pci_address at, unsigned cap, struct pci_virtio *v, unsigned *bar)
{
    unsigned kind = pci_read(at, cap + VIRTIO_CAP_TYPE, 1);
    unsigned where = pci_read(at, cap + VIRTIO_CAP_BAR, 1);
    uint32_t offset = pci_read(at, cap + VIRTIO_CAP_OFFSET, 4);
    uint32_t length = pci_read(at, cap + VIRTIO_CAP_LENGTH, 4);

    if (kind < VIRTIO_CAP_COMMON || kind > VIRTIO_CAP_DEVICE) {
        return true;
    }
    if (where >= BAR_COUNT || (*bar != NO_BAR && where != *bar)) {
        return false;
    }
    *bar = where;
    if (kind == VIRTIO_CAP_COMMON && !v->common_length) {
        v->common = offset;
        v->common_length = length;
    } else if (kind == VIRTIO_CAP_NOTIFY && !v->notify_length) {
        v->notify = offset;
        v->notify_length = length;
        v->notify_multiplier = pci_read(at, cap + VIRTIO_CAP_MULTIPLIER, 4);
    } else if (kind == VIRTIO_CAP_ISR) {
        v->isr = offset;
    } else if (kind == VIRTIO_CAP_DEVICE && !v->device_length) {
        v->device = offset;
        v->device_length = length;
    }
    return true;
}

static uint64_t later(uint64_t end, uint32_t offset, uint32_t length)
{
    uint64_t other = (uint64_t)offset + length;

    return other > end ? other : end;
}

/* Pages from the region's start to the end of the last structure. */
static uint64_t pages_used(const struct pci_virtio *v)
{
    uint64_t end = later(0, v->common, v->common_length);

    end = later(end, v->notify, v->notify_length);
    end = later(end, v->device, v->device_length);
    end = later(end, v->isr, 1);
    return (end + BW_PAGE_SIZE - 1) / BW_PAGE_SIZE;
}

bool pci_find_virtio(pci_address at, struct pci_virtio *v, uint64_t *base)
{
    unsigned bar = NO_BAR;
    unsigned cap;
    uint64_t pages;

    memset(v, 0, sizeof(*v));
    v->device_type = device_type(at);
    if (!v->device_type || !(pci_read(at, PCI_STATUS, 2) & STATUS_HAS_LIST)) {
        return false;
    }
    cap = pci_read(at, PCI_CAPABILITIES, 1) & 0xfcu;
    for (unsigned n = 0; cap && n < 48; n++) {
        if (pci_read(at, cap, 1) == CAPABILITY_VENDOR && !take_capability(at, cap, v, &bar)) {
            return false;
        }
        cap = pci_read(at, cap + 1, 1) & 0xfcu;
    }
    if (!v->common_length || !v->notify_length) {
        return false;
    }
    *base = region_base(at, bar);
    pages = pages_used(v);
    v->pages = (uint32_t)pages;
    return *base != 0 && pages <= PAGES_MAX;
}

/* The first vendor capability of that kind, or 0. */
static unsigned find_capability(pci_address at, unsigned kind)
{
    unsigned cap = pci_read(at, PCI_CAPABILITIES, 1) & 0xfcu;

    for (unsigned n = 0; cap && n < 48; n++) {
        if (pci_read(at, cap, 1) == CAPABILITY_VENDOR &&
            pci_read(at, cap + VIRTIO_CAP_TYPE, 1) == kind) {
            return cap;
        }
        cap = pci_read(at, cap + 1, 1) & 0xfcu;
    }
    return 0;
}

/* Through the capability that gives access to the registers without mapping them. */
void pci_reset_virtio(pci_address at)
{
    unsigned common = find_capability(at, VIRTIO_CAP_COMMON);
    unsigned window = find_capability(at, VIRTIO_CAP_ACCESS);
    bw_time_t until = bw_monotonic() + RESET_PATIENCE;

    if (!common || !window) {
        return;
    }
    pci_write(at, window + VIRTIO_CAP_BAR, 1, pci_read(at, common + VIRTIO_CAP_BAR, 1));
    pci_write(at, window + VIRTIO_CAP_OFFSET, 4,
              pci_read(at, common + VIRTIO_CAP_OFFSET, 4) + COMMON_STATUS);
    pci_write(at, window + VIRTIO_CAP_LENGTH, 4, 1);
    pci_write(at, window + VIRTIO_CAP_DATA, 1, 0);
    while (pci_read(at, window + VIRTIO_CAP_DATA, 1) && bw_monotonic() < until) {
    }
}

/* The PCI IDE Controller Specification: a channel is at its old place, or where regions 2n and 2n+1
 * say; the bus master has 8 ports for each channel in region 4. */
bool pci_find_channel(pci_address at, unsigned n, struct pci_channel *c)
{
    static const struct pci_channel old[2] = {{0x1f0, 0x3f6, 0, 14}, {0x170, 0x376, 0, 15}};
    uint32_t region[2], master;

    if (n > 1) {
        return false;
    }
    *c = old[n];
    if (at == NO_FUNCTION) {
        return true;
    }
    if (pci_read(at, PCI_INTERFACE, 1) & INTERFACE_NATIVE << 2 * n) {
        region[0] = pci_read(at, PCI_BAR + 8 * n, 4);
        region[1] = pci_read(at, PCI_BAR + 8 * n + 4, 4);
        c->command = (uint16_t)(region[0] & BAR_PORT);
        c->control = (uint16_t)((region[1] & BAR_PORT) + 2);
        c->line = (uint8_t)pci_read(at, PCI_INTERRUPT_LINE, 1);
        if (!(region[0] & region[1] & BAR_IO) || !c->command || c->control == 2 || c->line >= 16) {
            return false;
        }
    }
    master = pci_read(at, PCI_BAR + 16, 4);
    if (master & BAR_IO && master & BAR_PORT) {
        c->master = (uint16_t)((master & BAR_PORT) + 8 * n);
    }
    return true;
}
