/*
 * The PCI bus driver: finds the functions on bus 0 and behind bridges, in slot order, has the
 * supervisor start a driver for each that we have one for, and then serves those drivers (pci.h).
 * Where no IDE controller is found there may be one that does not speak PCI.
 *
 * A function's place in the table plus one is the badge of its start key.
 *
 * When pci itself is started again the drivers may be running: finding a function changes nothing
 * in it, and the supervisor leaves a driver alone that runs.
 */
#include "pci_config.h"
#include "ports.h"

#include <bailiwick/names.h>
#include <string.h>

#define KR_NUCLEUS   KR_PROGRAM
#define KR_REGISTERS 24
#define KR_LINE      25
#define KR_FUNCTION  26
#define KR_CHANNEL   27 /* .. 30 */

#define FUNCTIONS_MAX 64u
#define BUS_DEPTH_MAX 8u

#define MASTER_COMMAND 0u /* of an IDE channel's bus master; 0: it stops */

#define CLASS_IDE           0x0101u
#define CLASS_BRIDGE_PCI    0x0604u
#define HEADER_MULTI        0x80u
#define HEADER_TYPE         0x7fu
#define HEADER_BRIDGE       0x01u
#define VIRTIO_TYPE_BLOCK   2u
#define VIRTIO_TYPE_ENTROPY 4u

static struct function {
    pci_address at;
    bool is_virtio, is_ide;
    struct pci_virtio virtio;
    uint64_t base; /* of its registers */
} functions[FUNCTIONS_MAX];
static unsigned functions_count;

static void add_function(pci_address at)
{
    struct function *f = &functions[functions_count];

    if (functions_count == FUNCTIONS_MAX) {
        bw_log("pci: more than %u functions: the rest is ignored\n", FUNCTIONS_MAX);
        return;
    }
    functions_count++;
    f->at = at;
    f->is_ide = at == NO_FUNCTION || pci_read(at, PCI_CLASS, 2) == CLASS_IDE;
    if (at == NO_FUNCTION) {
        return;
    }
    f->is_virtio = pci_find_virtio(at, &f->virtio, &f->base);
    if (f->virtio.device_type && !f->is_virtio) {
        bw_log("pci: %02x:%02x.%x is a virtio device in a form that we cannot use", at >> 8,
               at >> 3 & 31, at & 7);
    }
}

static void scan_bus(unsigned bus, unsigned depth);

static void scan_function(pci_address at, unsigned depth)
{
    add_function(at);
    if ((pci_read(at, PCI_HEADER, 1) & HEADER_TYPE) == HEADER_BRIDGE &&
        pci_read(at, PCI_CLASS, 2) == CLASS_BRIDGE_PCI && depth < BUS_DEPTH_MAX) {
        unsigned below = pci_read(at, PCI_SECONDARY, 1);

        if (below > (unsigned)at >> 8) {
            scan_bus(below, depth + 1);
        }
    }
}

static void scan_bus(unsigned bus, unsigned depth)
{
    for (unsigned device = 0; device < 32; device++) {
        pci_address at = (pci_address)(bus << 8 | device << 3);
        unsigned count;

        if (pci_read(at, PCI_VENDOR, 2) == 0xffff) {
            continue;
        }
        count = pci_read(at, PCI_HEADER, 1) & HEADER_MULTI ? 8 : 1;
        for (unsigned n = 0; n < count && functions_count < FUNCTIONS_MAX; n++) {
            if (pci_read((pci_address)(at + n), PCI_VENDOR, 2) != 0xffff) {
                scan_function((pci_address)(at + n), depth);
            }
        }
    }
}

/* A key made by the nucleus into `reg`. */
static int64_t machine_key(enum nucleus_order order, uint64_t w0, uint64_t w1, unsigned reg)
{
    struct message m = {.code = order, .word = {w0, w1}, .take = {KEY_AT(reg)}};

    return bw_call(KEY_AT(KR_NUCLEUS), &m);
}

/* The keys that the driver of function `n` gets: registers, interrupt line, function. */
static int64_t make_keys(unsigned n)
{
    const struct function *f = &functions[n];
    unsigned line = f->is_virtio ? pci_read(f->at, PCI_INTERRUPT_LINE, 1) : 0;
    struct message m = {.code = DOMAIN_MAKE_START, .word = {n + 1}, .take = {KEY_AT(KR_FUNCTION)}};
    int64_t result = bw_call(KEY_AT(KR_SELF), &m);

    bw_drop_key(KEY_AT(KR_LINE));
    if (result >= 0 && line && line < 16 && pci_read(f->at, PCI_INTERRUPT_PIN, 1)) {
        result = machine_key(NUCLEUS_IRQ, line, 0, KR_LINE);
    }
    bw_drop_key(KEY_AT(KR_REGISTERS));
    if (result >= 0 && f->is_virtio) {
        result = machine_key(NUCLEUS_PHYSICAL, f->base, f->virtio.pages, KR_REGISTERS);
    }
    return result;
}

static int64_t spawn(const char *program, uint64_t word)
{
    struct message m = {.code = NAMES_SPAWN,
                        .word = {word},
                        .send = {KEY_AT(KR_REGISTERS), KEY_AT(KR_LINE), KEY_AT(KR_FUNCTION)},
                        .string = program,
                        .length = strlen(program)};

    return bw_call(KEY_AT(KR_NAMES), &m);
}

static void start_driver(unsigned n, const char *program, uint64_t word)
{
    const struct function *f = &functions[n];
    int64_t result = make_keys(n);

    if (f->at != NO_FUNCTION) {
        uint32_t command = pci_read(f->at, PCI_COMMAND, 2);

        pci_write(f->at, PCI_COMMAND, 2, command | (f->is_ide ? COMMAND_IO : COMMAND_MEMORY));
    }
    if (result >= 0) {
        result = spawn(program, word);
    }
    bw_log("pci: %02x:%02x.%x is %s %llu%s\n", f->at >> 8, f->at >> 3 & 31, f->at & 7, program,
           (unsigned long long)word, result < 0 ? ": its driver could not be started" : "");
}

/* Disks at IDE controllers have the numbers behind the others', four for each controller. */
static void start_ide(unsigned disks)
{
    bool any = false;

    for (unsigned n = 0; n < functions_count; n++) {
        any |= functions[n].is_ide;
    }
    if (!any) {
        add_function(NO_FUNCTION);
    }
    for (unsigned n = 0; n < functions_count; n++) {
        if (functions[n].is_ide) {
            start_driver(n, "ata", disks);
            disks += 4;
        }
    }
}

static void start_drivers(void)
{
    unsigned disks = 0;
    bool entropy = false;

    for (unsigned n = 0; n < functions_count; n++) {
        if (!functions[n].is_virtio) {
            continue;
        }
        if (functions[n].virtio.device_type == VIRTIO_TYPE_BLOCK) {
            start_driver(n, "virtio_blk", disks++);
        } else if (functions[n].virtio.device_type == VIRTIO_TYPE_ENTROPY && !entropy) {
            start_driver(n, "entropy", 1);
            entropy = true;
        }
    }
    start_ide(disks);
    if (!entropy) {
        for (unsigned reg = KR_REGISTERS; reg <= KR_FUNCTION; reg++) {
            bw_drop_key(KEY_AT(reg));
        }
        spawn("entropy", 0);
    }
    bw_log("pci: %u functions, %u disks\n", functions_count, disks);
}

static void set_master(const struct function *f, bool on)
{
    uint32_t command;

    if (f->at == NO_FUNCTION) {
        return;
    }
    command = pci_read(f->at, PCI_COMMAND, 2);
    command &= ~(COMMAND_MASTER | COMMAND_NO_INTX);
    command |= on ? COMMAND_MASTER | COMMAND_MEMORY : COMMAND_NO_INTX;
    pci_write(f->at, PCI_COMMAND, 2, command);
}

/* What its driver, which is dead, has begun is over when this returns: a device that may do no DMA
 * any more may still end what it is at (QEMU's does), into memory that is somebody else's then. */
static void quiet(const struct function *f)
{
    struct pci_channel c;

    if (f->is_virtio) {
        pci_reset_virtio(f->at);
    }
    for (unsigned n = 0; f->is_ide && pci_find_channel(f->at, n, &c); n++) {
        if (c.master && machine_key(NUCLEUS_PORTS, c.master, 1, KR_CHANNEL) >= 0) {
            port_out(KEY_AT(KR_CHANNEL), MASTER_COMMAND, 1, 0);
        }
    }
    set_master(f, false);
}

static void read_config(const struct function *f, struct message *m)
{
    uint64_t offset = m->word[0], width = m->word[1];

    if (f->at == NO_FUNCTION || (width != 1 && width != 2 && width != 4) || offset >= 256 ||
        offset % width) {
        m->code = BW_ARGUMENT;
        return;
    }
    m->code = BW_OK;
    m->word[0] = pci_read(f->at, (unsigned)offset, (unsigned)width);
}

/* The keys of a channel: registers KR_CHANNEL and up are sent. */
static void give_channel(const struct function *f, struct message *m)
{
    struct pci_channel c;

    if (!f->is_ide || m->word[0] > 1 || !pci_find_channel(f->at, (unsigned)m->word[0], &c)) {
        m->code = BW_ABSENT;
        return;
    }
    bw_drop_key(KEY_AT(KR_CHANNEL + PCI_CHANNEL_MASTER));
    if ((m->code = machine_key(NUCLEUS_PORTS, c.command, 8, KR_CHANNEL + PCI_CHANNEL_COMMAND)) <
            0 ||
        (m->code = machine_key(NUCLEUS_PORTS, c.control, 1, KR_CHANNEL + PCI_CHANNEL_CONTROL)) <
            0 ||
        (m->code = machine_key(NUCLEUS_IRQ, c.line, 0, KR_CHANNEL + PCI_CHANNEL_IRQ)) < 0) {
        return;
    }
    if (c.master) {
        m->code = machine_key(NUCLEUS_PORTS, c.master, 8, KR_CHANNEL + PCI_CHANNEL_MASTER);
    }
    m->word[0] = c.master != 0;
    for (unsigned n = 0; n < 4; n++) {
        m->send[n] = KEY_AT(KR_CHANNEL + n);
    }
}

static void serve(const struct function *f, struct message *m)
{
    switch (m->code) {
    case PCI_READ:
        read_config(f, m);
        break;
    case PCI_MASTER:
        set_master(f, m->word[0] != 0);
        m->code = BW_OK;
        break;
    case PCI_VIRTIO:
        m->code = f->is_virtio ? BW_OK : BW_ABSENT;
        m->string = f->is_virtio ? &f->virtio : NULL;
        m->length = sizeof(f->virtio);
        break;
    case PCI_CHANNEL:
        give_channel(f, m);
        break;
    case PCI_QUIET:
        quiet(f);
        bw_post(KEY_AT(KR_ARGUMENT));
        m->code = BW_OK;
        break;
    default:
        m->code = BW_ORDER;
    }
}

int main_native(uint64_t word)
{
    struct message m = {.take = {KEY_AT(KR_ARGUMENT)}};
    uint16_t reply = 0;

    (void)word;
    scan_bus(0, 0);
    start_drivers();
    bw_assert(bw_publish("pci", 0) >= 0);
    for (;;) {
        bw_return(reply, &m, KEY_AT(KR_CALLER), 0);
        reply = m.delivery == DELIVERY_MESSAGE ? KEY_AT(KR_CALLER) : 0;
        if (!reply || m.badge == 0 || m.badge > functions_count) {
            m.code = BW_ORDER;
        } else {
            serve(&functions[m.badge - 1], &m);
        }
    }
}
