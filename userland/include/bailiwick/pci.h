/*
 * PCI: what the bus driver "pci" hands to the driver that it has started for a function, and the
 * orders of the function's own start key (badge: the function; nobody else's can be touched with
 * it).
 *
 * A driver that pci has asked the supervisor for finds in its key registers
 *   KR_PROGRAM + PCI_REGISTERS  KEY_PHYSICAL: the memory region (BAR) that holds all its registers
 *   KR_PROGRAM + PCI_INTERRUPT  KEY_IRQ: its interrupt line; void if it has none
 *   KR_PROGRAM + PCI_FUNCTION   start key: the orders below
 * The driver of an IDE controller has only the last, and asks for the rest.
 */
#ifndef BAILIWICK_PCI_H
#define BAILIWICK_PCI_H

#include <stdint.h>

enum pci_handed {
    PCI_REGISTERS = 0,
    PCI_INTERRUPT = 1,
    PCI_FUNCTION = 2,
};

enum pci_order {
    PCI_READ = 1,    /* w0 offset in configuration space, w1 width 1, 2 or 4 -> w0 */
    PCI_MASTER = 2,  /* w0 1: the function may do DMA; 0: it may not */
    PCI_VIRTIO = 3,  /* -> string: struct pci_virtio; BW_ABSENT: not a (modern) virtio device */
    PCI_QUIET = 4,   /* the supervisor, of a driver that died; no reply: its DMA and interrupts are
                        switched off and k0 (a start key) is posted */
    PCI_CHANNEL = 5, /* w0 0 or 1: that channel of an IDE controller -> k0..k3: enum
                        pci_channel_key, w0 1 if it has a bus master; BW_ABSENT: it is none */
};

enum pci_channel_key {
    PCI_CHANNEL_COMMAND = 0, /* KEY_PORTS: 8 registers */
    PCI_CHANNEL_CONTROL = 1, /* KEY_PORTS: 1 */
    PCI_CHANNEL_MASTER = 2,  /* KEY_PORTS: 8, or void */
    PCI_CHANNEL_IRQ = 3,     /* KEY_IRQ */
};

/** Where a modern virtio device's structures are, as byte offsets in PCI_REGISTERS. */
struct pci_virtio {
    uint32_t device_type; /* virtio's number: 1 net, 2 block, 4 entropy */
    uint32_t common, common_length;
    uint32_t notify, notify_length, notify_multiplier;
    uint32_t isr;
    uint32_t device, device_length; /* length 0: none */
    uint32_t pages;                 /* of PCI_REGISTERS */
};

#endif
