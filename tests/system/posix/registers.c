/*
 * The vector registers are each process's own, however often others have the processor in between,
 * also if an XSAVE or XRSTOR is the first instruction to touch them since (an emulator that does not
 * look at CR0.TS then gives away what somebody else left in them; glibc's lazy binding does just
 * that with its callers' arguments).
 */
#include <cpuid.h>
#include <stdint.h>
#include "posix.h"

#define CHILDREN 3u
#define ROUNDS   40u
#define SPIN     1000000ul

static unsigned char area[4096] __attribute__((aligned(64)));

/** Sets %xmm3, lets time pass without touching it, and looks at it through XSAVE; then sets it through
 * XRSTOR, lets time pass, and looks at it. @return rounds in which it was not what it should be */
__attribute__((target("general-regs-only"))) static int rounds(uint64_t mine)
{
    uint64_t *saved = (uint64_t *)(area + 160 + 3 * 16), seen;
    int wrong = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        __asm__ volatile("movq %0, %%xmm3" : : "r"(mine));
        for (volatile unsigned long n = 0; n < SPIN; n++) {
        }
        __asm__ volatile("xsave %0" : "+m"(area) : "a"(3), "d"(0));
        wrong += *saved != mine;
        *saved = ~mine;
        for (volatile unsigned long n = 0; n < SPIN; n++) {
        }
        __asm__ volatile("xrstor %0" : : "m"(area), "a"(3), "d"(0));
        for (volatile unsigned long n = 0; n < SPIN; n++) {
        }
        __asm__ volatile("movq %%xmm3, %0" : "=r"(seen));
        wrong += seen != ~mine;
    }
    return wrong;
}

static int work(void *argument)
{
    int wrong = rounds(0x1111111111111111ull * (1 + (uint64_t)(uintptr_t)argument));

    return wrong > 99 ? 99 : wrong;
}

void check_registers(void)
{
    unsigned a, b, c = 0, d;
    pid_t pid[CHILDREN];

    __get_cpuid(1, &a, &b, &c, &d);
    if (!(c & bit_OSXSAVE)) {
        return;
    }
    for (uintptr_t i = 0; i < CHILDREN; i++) {
        pid[i] = child(work, (void *)i);
    }
    for (unsigned i = 0; i < CHILDREN; i++) {
        YES(ended(pid[i]) == 0);
    }
}
