/*
 * What the native programs that count share: they are booted in place of the supervisor, under
 * `qemu -icount shift=0`, where the TSC counts instructions, and are all that runs.
 */
#ifndef BENCH_COUNTING_H
#define BENCH_COUNTING_H

#include <stdint.h>
#include <bailiwick/runtime.h>

#define KR_NUCLEUS KEY_AT(KR_PROGRAM)
#define KR_PORTS   KEY_AT(24)

static inline uint64_t ticks(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

/** Ends everything, with a line in the log, if a result is an error. */
void must(int64_t result, const char *what);
/** To be called first: report() writes to the serial port. */
void report_open(void);
/** Writes the line "bench NAME VALUE". */
void report(const char *name, uint64_t value);
/** Says that all was reported, and switches the machine off. */
void report_done(void);

#endif
