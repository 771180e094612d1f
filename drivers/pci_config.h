/*
 * PCI configuration space by the ports 0xcf8 (address) and 0xcfc (data), and what is found in it.
 */
#ifndef DRIVERS_PCI_CONFIG_H
#define DRIVERS_PCI_CONFIG_H

#include <bailiwick/pci.h>

#include <stdbool.h>
#include <stdint.h>

#define PCI_VENDOR         0x00u
#define PCI_DEVICE         0x02u
#define PCI_COMMAND        0x04u
#define PCI_STATUS         0x06u
#define PCI_INTERFACE      0x09u
#define PCI_CLASS          0x0au /* and subclass: 16 bits */
#define PCI_HEADER         0x0eu
#define PCI_BAR            0x10u
#define PCI_SECONDARY      0x19u
#define PCI_SUBSYSTEM      0x2eu
#define PCI_CAPABILITIES   0x34u
#define PCI_INTERRUPT_LINE 0x3cu
#define PCI_INTERRUPT_PIN  0x3du

#define COMMAND_IO      0x0001u
#define COMMAND_MEMORY  0x0002u
#define COMMAND_MASTER  0x0004u
#define COMMAND_NO_INTX 0x0400u

/** bus << 8 | device << 3 | function */
typedef uint16_t pci_address;

uint32_t pci_read(pci_address at, unsigned offset, unsigned width);
void pci_write(pci_address at, unsigned offset, unsigned width, uint32_t value);

/** Finds the structures of a modern virtio device, all in one memory region.
 *  @param base the region's physical address
 *  @return false: it is none, or its structures are not where we can use them */
bool pci_find_virtio(pci_address at, struct pci_virtio *v, uint64_t *base);

/** Resets a modern virtio device: it has done with all requests then. */
void pci_reset_virtio(pci_address at);

/** In place of a pci_address: the channels that a PC without PCI has */
#define NO_FUNCTION 0xffffu

struct pci_channel {
    uint16_t command, control, master; /* first ports; master 0: none */
    uint8_t line;
};
/** Where channel `n` of an IDE controller is. @return false: it has none */
bool pci_find_channel(pci_address at, unsigned n, struct pci_channel *c);

#endif
