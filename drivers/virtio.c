/*
 * Opening a modern virtio device that pci has handed over (virtio 1.x, 3.1 and 4.1).
 */
#include "virtio.h"

#include <string.h>

#define KR_REGISTERS (KR_PROGRAM + PCI_REGISTERS)
#define KR_INTERRUPT (KR_PROGRAM + PCI_INTERRUPT)
#define KR_FUNCTION  (KR_PROGRAM + PCI_FUNCTION)

/* Offsets in the common configuration structure. */
enum common_offset {
    COMMON_DEVICE_FEATURE_SELECT = 0,
    COMMON_DEVICE_FEATURE = 4,
    COMMON_DRIVER_FEATURE_SELECT = 8,
    COMMON_DRIVER_FEATURE = 12,
    COMMON_MSIX_CONFIG = 16,
    COMMON_STATUS = 20,
    COMMON_GENERATION = 21,
    COMMON_QUEUE_SELECT = 22,
    COMMON_QUEUE_SIZE = 24,
    COMMON_QUEUE_MSIX = 26,
    COMMON_QUEUE_ENABLE = 28,
    COMMON_QUEUE_NOTIFY = 30,
    COMMON_QUEUE_DESCRIPTOR = 32,
    COMMON_QUEUE_DRIVER = 40,
    COMMON_QUEUE_DEVICE = 48,
};

#define STATUS_ACKNOWLEDGE 0x01u
#define STATUS_DRIVER      0x02u
#define STATUS_DRIVER_OK   0x04u
#define STATUS_FEATURES_OK 0x08u
#define STATUS_NEEDS_RESET 0x40u
#define MSIX_NONE          0xffffu
#define RESET_PATIENCE     1000000000ull /* ns */

static volatile uint8_t *register_at(uint32_t offset)
{
    return (volatile uint8_t *)(VIRTIO_REGISTERS_AT + offset);
}

static uint8_t common8(struct virtio *v, enum common_offset offset)
{
    return *register_at(v->place.common + offset);
}

static uint16_t common16(struct virtio *v, enum common_offset offset)
{
    return *(volatile uint16_t *)register_at(v->place.common + offset);
}

static uint32_t common32(struct virtio *v, enum common_offset offset)
{
    return *(volatile uint32_t *)register_at(v->place.common + offset);
}

static void set8(struct virtio *v, enum common_offset offset, uint8_t value)
{
    *register_at(v->place.common + offset) = value;
}

static void set16(struct virtio *v, enum common_offset offset, uint16_t value)
{
    *(volatile uint16_t *)register_at(v->place.common + offset) = value;
}

static void set32(struct virtio *v, enum common_offset offset, uint32_t value)
{
    *(volatile uint32_t *)register_at(v->place.common + offset) = value;
}

/* 64-bit fields are written as two halves (virtio 1.x, 4.1.3.1). */
static void set64(struct virtio *v, enum common_offset offset, uint64_t value)
{
    set32(v, offset, (uint32_t)value);
    set32(v, offset + 4, (uint32_t)(value >> 32));
}

uint32_t virtio_config32(struct virtio *v, unsigned offset)
{
    if (offset + 4 > v->place.device_length) {
        return 0;
    }
    return *(volatile uint32_t *)register_at(v->place.device + offset);
}

uint64_t virtio_config64(struct virtio *v, unsigned offset)
{
    uint64_t value;
    uint8_t generation;

    do {
        generation = common8(v, COMMON_GENERATION);
        value = virtio_config32(v, offset) | (uint64_t)virtio_config32(v, offset + 4) << 32;
    } while (generation != common8(v, COMMON_GENERATION));
    return value;
}

/* The node of height 1 at VIRTIO_REGISTERS_AT becomes the mapping of the device's registers. */
static int64_t map_registers(void)
{
    struct message node = {
        .code = RANGE_CREATE, .word = {bw_next_id(1), OBJECT_NODE}, .take = {KEY_AT(KR_SCRATCH)}};
    struct message m = {.code = PHYSICAL_MAP,
                        .word = {VIRTIO_REGISTERS_AT},
                        .send = {KEY_AT(KR_SPACE), KEY_AT(KR_SCRATCH)}};
    int64_t result = bw_call(KEY_AT(KR_RANGE), &node);

    return result < 0 ? result : bw_call(KEY_AT(KR_REGISTERS), &m);
}

/* The DMA area; mapping a page there first makes the nodes on the way, also those for the
 * registers. */
static int64_t make_area(struct virtio *v, unsigned pages, uint16_t nucleus)
{
    struct message m = {.code = NUCLEUS_DMA,
                        .word = {VIRTIO_DMA_AT, pages, 0},
                        .send = {KEY_AT(KR_SPACE), KEY_AT(KR_RANGE)}};
    int64_t result = bw_map_fresh(VIRTIO_DMA_AT, 1);

    m.word[2] = bw_next_id(pages);
    if (result >= 0) {
        result = bw_call(nucleus, &m);
    }
    v->physical = m.word[0];
    return result;
}

static int64_t find_place(struct virtio *v)
{
    struct message m = {.code = PCI_VIRTIO, .buffer = &v->place, .size = sizeof(v->place)};
    int64_t result = bw_call(KEY_AT(KR_FUNCTION), &m);

    return result < 0 ? result : m.length == sizeof(v->place) ? BW_OK : BW_ARGUMENT;
}

static int64_t bus_master(bool on)
{
    struct message m = {.code = PCI_MASTER, .word = {on}};

    return bw_call(KEY_AT(KR_FUNCTION), &m);
}

static int64_t reset(struct virtio *v)
{
    bw_time_t until = bw_monotonic() + RESET_PATIENCE;

    set8(v, COMMON_STATUS, 0);
    while (common8(v, COMMON_STATUS)) {
        if (bw_monotonic() > until) {
            return BW_IO;
        }
    }
    set8(v, COMMON_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    return BW_OK;
}

static int64_t negotiate(struct virtio *v, uint64_t features)
{
    uint64_t offered = 0;

    for (uint32_t half = 0; half < 2; half++) {
        set32(v, COMMON_DEVICE_FEATURE_SELECT, half);
        offered |= (uint64_t)common32(v, COMMON_DEVICE_FEATURE) << 32 * half;
    }
    v->features = offered & (features | VIRTIO_F_VERSION_1);
    for (uint32_t half = 0; half < 2; half++) {
        set32(v, COMMON_DRIVER_FEATURE_SELECT, half);
        set32(v, COMMON_DRIVER_FEATURE, (uint32_t)(v->features >> 32 * half));
    }
    set8(v, COMMON_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
    if (!(v->features & VIRTIO_F_VERSION_1) || !(common8(v, COMMON_STATUS) & STATUS_FEATURES_OK)) {
        return BW_IO;
    }
    return BW_OK;
}

static int64_t set_up_queue(struct virtio *v)
{
    uint16_t size;
    uint64_t doorbell;

    set16(v, COMMON_QUEUE_SELECT, 0);
    size = common16(v, COMMON_QUEUE_SIZE);
    size = size < VIRTIO_QUEUE_MAX ? size : VIRTIO_QUEUE_MAX;
    doorbell = (uint64_t)common16(v, COMMON_QUEUE_NOTIFY) * v->place.notify_multiplier;
    if (size < 4 || size & (size - 1) || doorbell + 2 > v->place.notify_length) {
        return BW_IO;
    }
    virtio_queue_init(v, size);
    v->doorbell = (volatile uint16_t *)register_at(v->place.notify + (uint32_t)doorbell);
    set16(v, COMMON_QUEUE_SIZE, size);
    set16(v, COMMON_MSIX_CONFIG, MSIX_NONE);
    set16(v, COMMON_QUEUE_MSIX, MSIX_NONE);
    set64(v, COMMON_QUEUE_DESCRIPTOR, v->physical);
    set64(v, COMMON_QUEUE_DRIVER, v->physical + BW_PAGE_SIZE);
    set64(v, COMMON_QUEUE_DEVICE, v->physical + 2 * BW_PAGE_SIZE);
    set16(v, COMMON_QUEUE_ENABLE, 1);
    return BW_OK;
}

static int64_t bind_interrupt(void)
{
    struct message start = {
        .code = DOMAIN_MAKE_START, .word = {VIRTIO_POST_IRQ}, .take = {KEY_AT(KR_SCRATCH)}};
    struct message bind = {.code = IRQ_BIND, .send = {KEY_AT(KR_SCRATCH)}};
    int64_t result = bw_call(KEY_AT(KR_SELF), &start);

    return result < 0 ? result : bw_call(KEY_AT(KR_INTERRUPT), &bind);
}

int64_t virtio_open(struct virtio *v, uint64_t features, unsigned pages, uint16_t nucleus)
{
    int64_t result;

    memset(v, 0, sizeof(*v));
    if ((result = find_place(v)) < 0 || (result = make_area(v, pages, nucleus)) < 0 ||
        (result = map_registers()) < 0 || (result = reset(v)) < 0 ||
        (result = negotiate(v, features)) < 0 || (result = set_up_queue(v)) < 0 ||
        (result = bus_master(true)) < 0) {
        return result;
    }
    return bind_interrupt();
}

void virtio_ready(struct virtio *v)
{
    set8(v, COMMON_STATUS,
         STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
}

void virtio_acknowledge(struct virtio *v)
{
    (void)*register_at(v->place.isr);
}

void virtio_unmask(void)
{
    struct message m = {.code = IRQ_UNMASK};

    bw_call(KEY_AT(KR_INTERRUPT), &m);
}

bool virtio_broken(struct virtio *v)
{
    return common8(v, COMMON_STATUS) & STATUS_NEEDS_RESET;
}
