/*
 * Device interrupts, by the two 8259s, which every PC and emulator has. Lines come at VECTOR_PIC +
 * line. A line is masked from its interrupt until its driver says that the device was served.
 */
#include "cpu.h"
#include "panic.h"

#define PIC1 0x20
#define PIC2 0xa0

static uint8_t mask1 = 0xfb, mask2 = 0xff; /* all but the cascade */

void interrupt_init(void)
{
    static const uint8_t words[2][4] = {{0x11, VECTOR_PIC, 4, 1}, {0x11, VECTOR_PIC + 8, 2, 1}};
    outb(PIC1, words[0][0]);
    outb(PIC2, words[1][0]);
    for (unsigned i = 1; i < 4; i++) {
        outb(PIC1 + 1, words[0][i]);
        outb(PIC2 + 1, words[1][i]);
    }
    outb(PIC1 + 1, mask1);
    outb(PIC2 + 1, mask2);
    if (inb(PIC1 + 1) != mask1)
        cannot_run("the machine lacks", "an interrupt controller (8259)");
}

static void write_masks(unsigned line)
{
    if (line < 8)
        outb(PIC1 + 1, mask1);
    else
        outb(PIC2 + 1, mask2);
}

void interrupt_mask(unsigned line)
{
    if (line < 8)
        mask1 |= (uint8_t)(1u << line);
    else
        mask2 |= (uint8_t)(1u << (line - 8));
    write_masks(line);
}

void interrupt_unmask(unsigned line)
{
    if (line < 8)
        mask1 &= (uint8_t) ~(1u << line);
    else
        mask2 &= (uint8_t) ~(1u << (line - 8));
    write_masks(line);
}

static bool in_service(uint16_t pic, unsigned bit)
{
    outb(pic, 0x0b);
    return inb(pic) & 1u << bit;
}

bool interrupt_acknowledge(unsigned line)
{
    if (line == 7 && !in_service(PIC1, 7))
        return false;
    if (line == 15 && !in_service(PIC2, 7)) {
        outb(PIC1, 0x20);
        return false;
    }
    if (line >= 8)
        outb(PIC2, 0x20);
    outb(PIC1, 0x20);
    return true;
}
