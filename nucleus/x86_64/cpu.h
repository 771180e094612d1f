/*
 * The machine, as far as more than one file touches it: per-CPU state, special instructions, and
 * what cpu.c, fpu.c, clock.c and interrupt.c offer.
 */
#ifndef NUCLEUS_CPU_H
#define NUCLEUS_CPU_H

#include <stdbool.h>
#include <stdint.h>
#include <bailiwick/domain.h>

struct activity;
struct object;
struct space;

/** Per-CPU state; GS points to it in ring 0. Offsets of the first four are known to trap.S. */
struct cpu {
    struct cpu *self;
    uint8_t *stack;
    uint64_t scratch;
    struct regs *regs; /* start of the running domain's frame */
    struct activity *current;
    struct activity *fpu_owner; /* whose FPU state is in the registers; NULL: nobody's */
    struct space *space;        /* whose tables CR3 has; NULL: the nucleus's own */
    bool reload;                /* tables of that space have lost rights: load CR3 again */
    bool fpu_trap;              /* CR0.TS as loaded */
    uint64_t fs_base, gs_base;  /* as loaded */
};
extern struct cpu cpu0;

static inline void outb(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}
static inline uint8_t inb(uint16_t port)
{
    uint8_t v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline uint64_t rdtsc(void)
{
    uint32_t lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (uint64_t)hi << 32 | lo;
}
static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t lo, hi;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (uint64_t)hi << 32 | lo;
}
static inline void wrmsr(uint32_t msr, uint64_t v)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}
static inline void write_cr3(uint64_t v)
{
    __asm__ volatile("movq %0, %%cr3" : : "r"(v) : "memory");
}
static inline void invalidate_page(uint64_t address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}
static inline uint64_t read_cr0(void)
{
    uint64_t v;
    __asm__ volatile("movq %%cr0, %0" : "=r"(v));
    return v;
}
static inline void write_cr0(uint64_t v)
{
    __asm__ volatile("movq %0, %%cr0" : : "r"(v) : "memory");
}
static inline uint64_t read_cr2(void)
{
    uint64_t v;
    __asm__ volatile("movq %%cr2, %0" : "=r"(v));
    return v;
}
static inline void cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
                     : "a"(leaf), "c"(sub));
}

#define MSR_FS_BASE        0xc0000100u
#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u

#define CODE_SELECTOR 0x08
#define DATA_SELECTOR 0x10
/* Ring 3: data 0x1b, code 0x23, as trap.S pushes them. */

/** Descriptor tables, task state, SYSCALL, CR4 protections. */
void cpu_init(void);

/* fpu.c */
void fpu_init(void);
/** XCR0 that this machine offers to domains (1 | 2 without XSAVE). */
uint64_t fpu_features(void);
/** `a` runs next: the registers are its, or CR0.TS is set. */
void fpu_dispatch(struct activity *a);
/** #NM: gives the FPU to the current domain, saving the owner's state into its frame. */
void fpu_switch(struct activity *a);
/** Saves the owner's registers to its frame if it is `a`; it stays owner. */
void fpu_save(struct activity *a);
/** `a`'s frame has been changed or is going away: forget that the registers are its. */
void fpu_forget(struct activity *a);
/** Makes an FPU area that came from outside safe to load. False: not acceptable. */
bool fpu_check(uint8_t area[DOMAIN_FPU_SIZE]);
/** Bytes of the area that this machine uses. */
uint32_t fpu_area_size(void);

/* clock.c */
void clock_init(void);
/** Nanoseconds since boot. */
bw_time_t clock_now(void);
uint64_t clock_tsc_hz(void);
/** Makes the timer interrupt come at `when` at the latest (an earlier one stays). */
void clock_arm(bw_time_t when);
/** The timer interrupt has come: it is no longer armed. */
void clock_fired(void);

/* interrupt.c */
#define VECTOR_PIC      32
#define VECTOR_TIMER    48
#define VECTOR_SPURIOUS 63
void interrupt_init(void);
void interrupt_mask(unsigned line);
void interrupt_unmask(unsigned line);
/** True if `line`'s interrupt is real (not a spurious one), after acknowledging it. */
bool interrupt_acknowledge(unsigned line);

/* trap.S, trap.c */
void trap_leave(const struct regs *regs) __attribute__((noreturn));
void trap_idle(void);
extern uint8_t trap_vectors[];
void trap_syscall_entry(void);

#endif
