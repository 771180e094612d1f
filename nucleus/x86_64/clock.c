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
#define CALIBRATION_TICKS (PIT_HZ / 200) /* 5 ms */
#define CALIBRATIONS      20u
#define LOOKS_MOST        10000000u

static uint64_t tsc_base, tsc_hz, apic_hz;
static uint64_t ns_per_tsc; /* 32.32 fixed point */
static bw_time_t armed = BW_NO_DEADLINE;

static void wait_5ms(void)
{
    unsigned looks = 0;
    uint8_t control = inb(0x61);
    outb(0x61, (uint8_t)((control & ~2u) | 1u));
    outb(0x43, 0xb0);
    outb(0x42, (uint8_t)CALIBRATION_TICKS);
    outb(0x42, (uint8_t)(CALIBRATION_TICKS >> 8));
    while (!(inb(0x61) & 0x20) && looks < LOOKS_MOST)
        looks++;
    if (control == 0xff || looks == LOOKS_MOST)
        cannot_run("the machine lacks", "an interval timer (PIT)");
}

/** Both rates. Whatever keeps this machine from running for a while (there may be others on its
 * processor) makes a measurement too high: the lowest counts, when another one has come near. */
static void calibrate(void)
{
    uint64_t tsc = UINT64_MAX, apic = UINT64_MAX, apart = UINT64_MAX;
    for (unsigned i = 0; i < CALIBRATIONS && apart > tsc / 512; i++) {
        uint64_t t = rdtsc();
        uint32_t a = APIC_REGISTER(APIC_CURRENT);
        wait_5ms();
        t = rdtsc() - t;
        a -= APIC_REGISTER(APIC_CURRENT);
        apart = t < tsc ? tsc - t : t - tsc;
        tsc = t < tsc ? t : tsc;
        apic = a < apic ? a : apic;
    }
    tsc_hz = tsc * PIT_HZ / CALIBRATION_TICKS;
    apic_hz = apic * PIT_HZ / CALIBRATION_TICKS;
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
