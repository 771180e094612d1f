/*
 * What the bus driver believes of a virtio device's capabilities, over a configuration space that
 * is played here.
 */
#include <check.h>
#include <string.h>

#include "../../drivers/pci_config.c"

#define DEVICE 0x0018 /* 00:03.0 */

static union {
    uint8_t byte[256];
    uint32_t word[64];
} space;
static uint32_t address;
static bool resets; /* a device that takes two looks for a reset; else nothing is changed */
static unsigned looks;

/* Through its fifth capability. */
static int64_t play_reset(struct message *m, unsigned offset)
{
    uint32_t where, length;

    memcpy(&where, space.byte + 0x90 + VIRTIO_CAP_OFFSET, 4);
    memcpy(&length, space.byte + 0x90 + VIRTIO_CAP_LENGTH, 4);
    if (offset != 0xa0) {
        memcpy(space.byte + offset, &m->word[2], m->word[1]);
        return BW_OK;
    }
    ck_assert_uint_eq(m->word[1], 1);
    ck_assert_uint_eq(space.byte[0x90 + VIRTIO_CAP_BAR], 4);
    ck_assert_uint_eq(where, 0x200 + 20);
    ck_assert_uint_eq(length, 1);
    if (m->code == PORTS_OUT) {
        ck_assert_uint_eq(m->word[2], 0);
        looks = 2;
    } else {
        m->word[0] = looks ? looks-- : 0;
    }
    return BW_OK;
}

bw_time_t bw_monotonic(void)
{
    return 1;
}

int64_t bw_call(uint16_t key, struct message *m)
{
    unsigned offset = (address & 0xfc) + (unsigned)(m->word[0] - 4);

    ck_assert_uint_eq(key, KEY_AT(KR_PORTS));
    if (m->word[0] == 0) {
        address = (uint32_t)m->word[2];
    } else if (address >> 8 != (0x80000000u | DEVICE << 8) >> 8) {
        m->word[0] = ~0u;
    } else if (resets && (m->code == PORTS_OUT || offset == 0xa0)) {
        return m->code = play_reset(m, offset);
    } else {
        ck_assert_int_eq(m->code, PORTS_IN); /* finding changes nothing */
        m->word[0] = 0;
        memcpy(&m->word[0], space.byte + offset, m->word[1]);
    }
    return m->code = BW_OK;
}

static void add_capability(unsigned at, unsigned next, unsigned kind, unsigned bar, uint32_t offset,
                           uint32_t length)
{
    uint8_t *cap = space.byte + at;

    cap[0] = CAPABILITY_VENDOR;
    cap[1] = (uint8_t)next;
    cap[2] = 20;
    cap[VIRTIO_CAP_TYPE] = (uint8_t)kind;
    cap[VIRTIO_CAP_BAR] = (uint8_t)bar;
    memcpy(cap + VIRTIO_CAP_OFFSET, &offset, 4);
    memcpy(cap + VIRTIO_CAP_LENGTH, &length, 4);
    memcpy(cap + VIRTIO_CAP_MULTIPLIER, &(uint32_t){4}, 4);
}

/* As QEMU's transitional disk is: four structures in BAR 4, 64 bits wide, 16 KiB. */
static void setup(void)
{
    memset(&space, 0, sizeof(space));
    memcpy(space.byte, (uint16_t[]){VIRTIO_VENDOR, 0x1001}, 4);
    space.byte[PCI_STATUS] = STATUS_HAS_LIST;
    space.byte[PCI_SUBSYSTEM] = 2;
    space.byte[PCI_CAPABILITIES] = 0x40;
    add_capability(0x40, 0x54, VIRTIO_CAP_COMMON, 4, 0, 0x1000);
    add_capability(0x54, 0x68, VIRTIO_CAP_ISR, 4, 0x1000, 0x1000);
    add_capability(0x68, 0x7c, VIRTIO_CAP_DEVICE, 4, 0x2000, 0x1000);
    add_capability(0x7c, 0x90, VIRTIO_CAP_NOTIFY, 4, 0x3000, 0x1000);
    add_capability(0x90, 0, 5, 0, 0, 0);
    space.word[(PCI_BAR + 16) / 4] = 0xfe000000 | 0xc;
    space.word[(PCI_BAR + 20) / 4] = 0x1;
}

START_TEST(transitional_disk)
{
    struct pci_virtio v;
    uint64_t base;

    ck_assert(pci_find_virtio(DEVICE, &v, &base));
    ck_assert_uint_eq(base, 0x1fe000000ull);
    ck_assert_uint_eq(v.device_type, 2);
    ck_assert_uint_eq(v.common, 0);
    ck_assert_uint_eq(v.isr, 0x1000);
    ck_assert_uint_eq(v.device, 0x2000);
    ck_assert_uint_eq(v.notify, 0x3000);
    ck_assert_uint_eq(v.notify_multiplier, 4);
    ck_assert_uint_eq(v.pages, 4);
}
END_TEST

START_TEST(modern_device_in_a_narrow_region)
{
    struct pci_virtio v;
    uint64_t base;

    memcpy(space.byte + PCI_DEVICE, &(uint16_t){0x1044}, 2);
    space.word[(PCI_BAR + 16) / 4] = 0xfe000000;
    space.word[(PCI_BAR + 20) / 4] = 0;
    ck_assert(pci_find_virtio(DEVICE, &v, &base));
    ck_assert_uint_eq(base, 0xfe000000);
    ck_assert_uint_eq(v.device_type, 4);
    ck_assert_uint_eq(v.pages, 4);
}
END_TEST

START_TEST(a_device_is_reset_without_its_registers)
{
    add_capability(0x40, 0x54, VIRTIO_CAP_COMMON, 4, 0x200, 0x1000);
    resets = true;
    looks = 9;
    pci_reset_virtio(DEVICE);
    ck_assert_uint_eq(looks, 0);
    add_capability(0x90, 0, 6, 0, 0, 0); /* one that cannot be */
    looks = 9;
    pci_reset_virtio(DEVICE);
    ck_assert_uint_eq(looks, 9);
    resets = false;
}
END_TEST

static bool refused(void)
{
    struct pci_virtio v;
    uint64_t base;

    return !pci_find_virtio(DEVICE, &v, &base);
}

START_TEST(what_is_not_usable_is_refused)
{
    space.byte[PCI_VENDOR] = 0x86;
    ck_assert(refused()); /* of another maker */
    setup();
    space.byte[PCI_STATUS] = 0;
    ck_assert(refused()); /* legacy only */
    setup();
    space.byte[0x54 + VIRTIO_CAP_BAR] = 2;
    ck_assert(refused()); /* two regions */
    setup();
    space.byte[0x54 + VIRTIO_CAP_BAR] = 9;
    ck_assert(refused());
    setup();
    add_capability(0x7c, 0x90, VIRTIO_CAP_NOTIFY, 4, 0xff000, 0x1001);
    ck_assert(refused()); /* more than is mapped */
    setup();
    add_capability(0x40, 0x54, VIRTIO_CAP_COMMON, 4, 0xfffff000, 0x2000);
    ck_assert(refused());
    setup();
    add_capability(0x40, 0x54, 5, 4, 0, 0x1000);
    ck_assert(refused()); /* no common structure */
    setup();
    space.word[(PCI_BAR + 16) / 4] = 0xc001;
    ck_assert(refused()); /* ports */
    setup();
    space.word[(PCI_BAR + 16) / 4] = 0xc;
    space.word[(PCI_BAR + 20) / 4] = 0;
    ck_assert(refused()); /* the firmware has given it no address */
    setup();
    space.byte[0x40 + 1] = 0x40;
    ck_assert(refused()); /* a list in a circle */
}
END_TEST

static void set_region(unsigned n, uint32_t value)
{
    memcpy(space.byte + PCI_BAR + 4 * n, &value, 4);
}

START_TEST(channels_of_an_ide_controller)
{
    struct pci_channel c;

    memset(&space, 0, sizeof(space));
    ck_assert(pci_find_channel(DEVICE, 1, &c)); /* where a PC always had them */
    ck_assert_uint_eq(c.command, 0x170);
    ck_assert_uint_eq(c.control, 0x376);
    ck_assert_uint_eq(c.line, 15);
    ck_assert_uint_eq(c.master, 0);
    set_region(4, 0xc001);
    ck_assert(pci_find_channel(DEVICE, 1, &c));
    ck_assert_uint_eq(c.master, 0xc008);
    ck_assert(!pci_find_channel(DEVICE, 2, &c));

    space.byte[PCI_INTERFACE] = 0x85; /* both where the regions say */
    space.byte[PCI_INTERRUPT_LINE] = 11;
    ck_assert(!pci_find_channel(DEVICE, 1, &c));
    set_region(2, 0xd001);
    set_region(3, 0xd101);
    ck_assert(pci_find_channel(DEVICE, 1, &c));
    ck_assert_uint_eq(c.command, 0xd000);
    ck_assert_uint_eq(c.control, 0xd102);
    ck_assert_uint_eq(c.line, 11);
    ck_assert_uint_eq(c.master, 0xc008);
    set_region(2, 0xd000); /* memory */
    ck_assert(!pci_find_channel(DEVICE, 1, &c));
    ck_assert(pci_find_channel(NO_FUNCTION, 0, &c));
    ck_assert_uint_eq(c.command, 0x1f0);
    ck_assert_uint_eq(c.master, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pci");
    TCase *tests = tcase_create("virtio capabilities");

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, transitional_disk);
    tcase_add_test(tests, modern_device_in_a_narrow_region);
    tcase_add_test(tests, a_device_is_reset_without_its_registers);
    tcase_add_test(tests, what_is_not_usable_is_refused);
    tcase_add_test(tests, channels_of_an_ide_controller);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
