/*
 * Time: the TSC counts, the local APIC's one-shot timer interrupts. Both are calibrated once
 * against channel 2 of the interval timer; the program clock looks whether that was right.
 */
#include "cpu.h"
#include "panic.h"
#include "paging.h"

#define APIC_REGISTER(offset) (*(volatile uint32_t *)((uint8_t *)paging_apic() + (offset)))
#define APIC_EOI              0xb0
#define APIC_SPURIOUS         0xf0
#define APIC_TIMER            0x320
#define APIC_LINT0            0x350
#define APIC_LINT1            0x360
#define APIC_INITIAL          0x380
#define APIC_CURRENT          0x390
#define APIC_DIVIDE           0x3e0

#define PIT_HZ            1193182u
#define CALIBRATION_TICKS ((int)PIT_HZ / 100) /* 10 ms */
#define TRIES             8u
#define LOOKS_MOST        100000u

static uint64_t tsc_base, tsc_hz, apic_hz;
static uint64_t ns_per_tsc; /* 32.32 fixed point */
static bw_time_t armed = BW_NO_DEADLINE;

/** One instant by all three clocks. */
struct moment {
    uint64_t tsc;
    uint32_t apic;
    uint16_t pit;
};

/** The best of several looks: whatever keeps this machine from running (there may be others on its
 * processor) in the middle of one makes it worse. */
static struct moment look(void)
{
    struct moment best = {0};
    uint64_t best_took = UINT64_MAX;
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t begin = rdtsc();
        outb(0x43, 0x80); /* what channel 2 counts is held until it is read */
        uint32_t apic = APIC_REGISTER(APIC_CURRENT);
        uint64_t took = rdtsc() - begin;
        uint8_t low = inb(0x42), high = inb(0x42);
        if (took < best_took) {
            best_took = took;
            best = (struct moment){begin + took / 2, apic, (uint16_t)(high << 8 | low)};
        }
    }
    return best;
}

/** Both rates, while channel 2 counts down once, or again if it was at its end when last looked at. */
static void calibrate(void)
{
    struct moment first, last;
    unsigned looks = 0;
    uint8_t control = inb(0x61);
    outb(0x61, (uint8_t)((control & ~2u) | 1u));
    do {
        outb(0x43, 0xb0);
        outb(0x42, 0xff);
        outb(0x42, 0xff);
        look(); /* it begins a tick later */
        first = look();
        do {
            last = look();
            if (control == 0xff || ++looks == LOOKS_MOST)
                cannot_run("the machine lacks", "an interval timer (PIT)");
        } while (first.pit - last.pit < CALIBRATION_TICKS && !(inb(0x61) & 0x20));
    } while (inb(0x61) & 0x20);
    uint64_t ticks = (uint64_t)(first.pit - last.pit);
    tsc_hz = (last.tsc - first.tsc) * PIT_HZ / ticks;
    apic_hz = (uint64_t)(first.apic - last.apic) * PIT_HZ / ticks;
}

void clock_init(void)
{
    APIC_REGISTER(APIC_SPURIOUS) = 0x100 | VECTOR_SPURIOUS;
    APIC_REGISTER(APIC_LINT0) = 0x700; /* external interrupts: the PIC */
    APIC_REGISTER(APIC_LINT1) = 0x400; /* NMI */
    APIC_REGISTER(APIC_DIVIDE) = 0xb;  /* by 1 */
    APIC_REGISTER(APIC_TIMER) = VECTOR_TIMER | 0x10000;
    APIC_REGISTER(APIC_INITIAL) = UINT32_MAX;
    calibrate();
    APIC_REGISTER(APIC_INITIAL) = 0;
    APIC_REGISTER(APIC_TIMER) = VECTOR_TIMER;
    assert(tsc_hz != 0 && apic_hz != 0, "the clocks run");
    ns_per_tsc = (1000000000ull << 32) / tsc_hz;
    tsc_base = rdtsc();
}

bw_time_t clock_now(void)
{
    return (bw_time_t)((unsigned __int128)(rdtsc() - tsc_base) * ns_per_tsc >> 32);
}

uint64_t clock_tsc_hz(void)
{
    return tsc_hz;
}

void clock_arm(bw_time_t when)
{
    if (when >= armed)
        return;
    armed = when;
    bw_time_t now = clock_now();
    bw_time_t delay = when > now ? when - now : 0;
    if (delay > 1000000000u)
        delay = 1000000000u; /* comes too early once a second; harmless */
    uint64_t count = delay * apic_hz / 1000000000u + 1;
    APIC_REGISTER(APIC_INITIAL) = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
}

void clock_fired(void)
{
    armed = BW_NO_DEADLINE;
    APIC_REGISTER(APIC_EOI) = 0;
}
