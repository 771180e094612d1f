/*
 * Power: switches the machine off as its ACPI tables say, and resets it in the ways that every PC
 * has.
 */
#include "acpi.h"
#include "ports.h"

#include <bailiwick/names.h>

#define KR_NUCLEUS  KR_PROGRAM
#define KR_RESET    (KR_PROGRAM + 1) /* 0xcf9: the chip set's reset control */
#define KR_KEYBOARD (KR_PROGRAM + 2) /* 0x64: the keyboard controller's command port */
#define KR_CONTROL  25               /* a port being written */

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

static void write_port(uint16_t port, unsigned width, uint32_t value)
{
    struct message m = {.code = NUCLEUS_PORTS, .word = {port, width}, .take = {KEY_AT(KR_CONTROL)}};

    if (port && bw_call(KEY_AT(KR_NUCLEUS), &m) >= 0) {
        port_out(KEY_AT(KR_CONTROL), 0, width, value);
    }
}

/* Most machines are in ACPI mode already, or do not care. */
static void power_off(void)
{
    struct acpi_off off;

    if (!acpi_find_off(&off)) {
        bw_log("power: the machine has no ACPI tables that tell how to switch it off\n");
        return;
    }
    for (unsigned tries = 0; tries < 2; tries++) {
        for (unsigned n = 0; n < 2; n++) {
            write_port(off.control[n], 2, off.value[n]);
        }
        settle();
        write_port(off.enable_port, 1, off.enable_value);
        settle();
    }
    bw_log("power: the machine does not switch itself off\n");
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
