/*
 * Power: switches the machine off or resets it. There is no ACPI interpreter here; the ports are
 * those where QEMU's and Bochs' chip sets have their ACPI registers, and the reset ways that every
 * PC has.
 */
#include "ports.h"

#include <bailiwick/names.h>

#define KR_QEMU_ACPI  KR_PROGRAM       /* 0x604: PM1a control of QEMU's pc and q35 */
#define KR_BOCHS_ACPI (KR_PROGRAM + 1) /* 0xb004: of Bochs and old QEMU */
#define KR_RESET      (KR_PROGRAM + 2) /* 0xcf9: the chip set's reset control */
#define KR_KEYBOARD   (KR_PROGRAM + 3) /* 0x64: the keyboard controller's command port */

#define ACPI_SLEEP_S5      0x2000u /* SLP_EN, SLP_TYP 0 */
#define RESET_FULL         0x02u
#define RESET_NOW          0x06u
#define KEYBOARD_PULSE_CPU 0xfeu
#define PATIENCE           50000000ull /* ns for a port to have its effect */

static void settle(void)
{
    bw_time_t until = bw_monotonic() + PATIENCE;

    while (bw_monotonic() < until) {
        bw_wait(until);
    }
}

static void power_off(void)
{
    port_out(KEY_AT(KR_QEMU_ACPI), 0, 2, ACPI_SLEEP_S5);
    settle();
    port_out(KEY_AT(KR_BOCHS_ACPI), 0, 2, ACPI_SLEEP_S5);
    settle();
    bw_log("power: the machine cannot be switched off from here\n");
}

static void reboot(void)
{
    port_out(KEY_AT(KR_RESET), 0, 1, RESET_FULL);
    port_out(KEY_AT(KR_RESET), 0, 1, RESET_NOW);
    settle();
    port_out(KEY_AT(KR_KEYBOARD), 0, 1, KEYBOARD_PULSE_CPU);
    settle();
    bw_log("power: the machine cannot be reset from here\n");
}

int main_native(uint64_t word)
{
    struct message m = {0};
    uint16_t reply = 0;

    (void)word;
    bw_assert(bw_publish("power", 0) >= 0);
    for (;;) {
        bw_return(reply, &m, KEY_AT(KR_CALLER), 0);
        reply = m.delivery == DELIVERY_MESSAGE ? KEY_AT(KR_CALLER) : 0;
        if (!reply) {
            continue;
        }
        switch (m.code) {
        case POWER_OFF:
            power_off();
            m.code = BW_IO;
            break;
        case POWER_REBOOT:
            reboot();
            m.code = BW_IO;
            break;
        default:
            m.code = BW_ORDER;
        }
    }
}
