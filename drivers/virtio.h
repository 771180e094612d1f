/*
 * virtio devices over PCI, modern (virtio 1.x), with one split queue and the legacy interrupt line.
 *
 * A driver opens the device, sets up queue 0, says that it is ready, then adds requests, and takes
 * back those that the device has used. All memory that the device reaches is one contiguous DMA
 * area of the driver: the queue is at its start, the rest (from VIRTIO_QUEUE_PAGES on) is the
 * driver's.
 */
#ifndef DRIVERS_VIRTIO_H
#define DRIVERS_VIRTIO_H

#include <bailiwick/pci.h>
#include <bailiwick/runtime.h>

#include <stdbool.h>

#define VIRTIO_REGISTERS_AT 0x10000000ul /* device registers are mapped here */
#define VIRTIO_DMA_AT       0x10100000ul /* the DMA area */
#define VIRTIO_QUEUE_MAX    256u
#define VIRTIO_QUEUE_PAGES  3u
#define VIRTIO_POST_IRQ     1u /* badge of the interrupt's posts */

#define VIRTIO_F_VERSION_1 (1ull << 32)

struct virtio_descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
};
#define DESCRIPTOR_NEXT  1u
#define DESCRIPTOR_WRITE 2u /* by the device */

/** One piece of a request. */
struct virtio_piece {
    uint64_t physical;
    uint32_t length;
    bool device_writes;
};

struct virtio {
    struct pci_virtio place;
    uint64_t features; /* negotiated */
    uint64_t physical; /* of the DMA area */
    /* queue 0 */
    uint16_t size, free_head, free_count, last_used;
    volatile struct virtio_descriptor *descriptor;
    volatile uint16_t *available; /* flags, index, ring[size] */
    volatile uint16_t *used;      /* flags, index, then {id, length} of 32 bits each */
    volatile uint16_t *doorbell;
};

/** Maps the registers, resets the device, negotiates `features` (VIRTIO_F_VERSION_1 is added),
 * makes the DMA area of `pages`, sets up queue 0 and the interrupt. `nucleus`: place of
 * KEY_NUCLEUS. */
int64_t virtio_open(struct virtio *v, uint64_t features, unsigned pages, uint16_t nucleus);
/** The device may work from now on. */
void virtio_ready(struct virtio *v);
/** Serves the interrupt line: reads the device's cause. */
void virtio_acknowledge(struct virtio *v);
/** Lets the line interrupt again. */
void virtio_unmask(void);
/** Whether the device has given up (a bug of ours, or its own). */
bool virtio_broken(struct virtio *v);
/** A field of the device's own registers; 0 if it has none there. */
uint32_t virtio_config32(struct virtio *v, unsigned offset);
uint64_t virtio_config64(struct virtio *v, unsigned offset);

/* virtio_queue.c */

/** Lays queue 0 out at the start of the DMA area. */
void virtio_queue_init(struct virtio *v, uint16_t size);
/** Adds a request of `count` pieces. @return its head descriptor, or -1 if the queue is full */
int virtio_add(struct virtio *v, const struct virtio_piece *piece, unsigned count);
/** Tells the device that requests were added. */
void virtio_kick(struct virtio *v);
/** Takes back one used request. @return its head descriptor, or -1 if there is none */
int virtio_take_used(struct virtio *v, uint32_t *length);

#endif
