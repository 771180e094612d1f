/*
 * Descriptor tables and control registers of the one CPU. Everything per-CPU hangs from struct cpu,
 * so that more CPUs need an array and a loop here, not a rewrite.
 */
#include "cpu.h"
#include "panic.h"
#include "string.h"

extern uint8_t cpu_stack_top[];

struct cpu cpu0;

static uint64_t gdt[7] = {
    0,
    0x00209a0000000000, /* 0x08 ring 0 code */
    0x0000920000000000, /* 0x10 ring 0 data */
    0x0000f20000000000, /* 0x18 ring 3 data */
    0x0020fa0000000000, /* 0x20 ring 3 code */
    0,                  /* 0x28 task state, 16 bytes */
    0,
};

static struct {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map;
} __attribute__((packed)) tss;

static struct {
    uint16_t offset0;
    uint16_t selector;
    uint8_t ist;
    uint8_t type;
    uint16_t offset1;
    uint32_t offset2;
    uint32_t reserved;
} idt[64];

static uint8_t fault_stack[4096] __attribute__((aligned(16)));

struct table_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

static void load_descriptors(void)
{
    uint64_t base = (uint64_t)&tss;
    gdt[5] = (sizeof tss - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
    gdt[6] = base >> 32;
    tss.rsp[0] = (uint64_t)cpu_stack_top;
    tss.ist[0] = (uint64_t)(fault_stack + sizeof fault_stack);
    tss.io_map = sizeof tss;
    struct table_pointer g = {sizeof gdt - 1, (uint64_t)gdt};
    __asm__ volatile("lgdt %0\n\tltr %w1\n\t"
                     "pushq %2\n\tleaq 1f(%%rip), %%rax\n\tpushq %%rax\n\tlretq\n1:\n\t"
                     "movw %w3, %%ss"
                     :
                     : "m"(g), "r"(0x28), "i"(CODE_SELECTOR), "r"(DATA_SELECTOR)
                     : "rax", "memory");
    for (unsigned i = 0; i < 64; i++) {
        uint64_t at = (uint64_t)trap_vectors + 16 * i;
        idt[i].offset0 = (uint16_t)at;
        idt[i].selector = CODE_SELECTOR;
        /* NMI, double fault and machine check find a stack of their own, to say their last words.
         */
        idt[i].ist = i == 2 || i == 8 || i == 18;
        idt[i].type = i == 3 || i == 4 ? 0xee : 0x8e;
        idt[i].offset1 = (uint16_t)(at >> 16);
        idt[i].offset2 = (uint32_t)(at >> 32);
    }
    struct table_pointer t = {sizeof idt - 1, (uint64_t)idt};
    __asm__ volatile("lidt %0" : : "m"(t));
}

/** What is used without asking again; boot.S has looked for what it takes to come so far. */
static void require_features(void)
{
    static const struct {
        uint32_t leaf;
        uint8_t bit; /* of edx */
        const char *name;
    } needed[] = {{1, 4, "a time stamp counter"},
                  {1, 9, "a local APIC"},
                  {1, 24, "FXSAVE"},
                  {1, 26, "SSE2"},
                  {0x80000001, 11, "SYSCALL"}};
    for (unsigned i = 0; i < sizeof needed / sizeof *needed; i++) {
        uint32_t r[4];
        cpuid(needed[i].leaf, 0, r);
        if (!(r[3] & 1u << needed[i].bit))
            cannot_run("the processor lacks", needed[i].name);
    }
}

void cpu_init(void)
{
    require_features();
    cpu0.self = &cpu0;
    cpu0.stack = cpu_stack_top;
    load_descriptors();
    wrmsr(MSR_GS_BASE, (uint64_t)&cpu0);
    wrmsr(MSR_KERNEL_GS_BASE, 0);
    wrmsr(MSR_FS_BASE, 0);
    wrmsr(0xc0000081, (uint64_t)CODE_SELECTOR << 32 | 0x10ull << 48); /* STAR */
    wrmsr(0xc0000082, (uint64_t)trap_syscall_entry);                  /* LSTAR */
    wrmsr(0xc0000084, 0x47700); /* FMASK: IF, TF, DF, IOPL, NT, AC */
    uint32_t r[4];
    uint64_t cr4;
    __asm__ volatile("movq %%cr4, %0" : "=r"(cr4));
    cpuid(0, 0, r);
    if (r[0] >= 7) {
        cpuid(7, 0, r);
        if (r[1] & 1u << 7)
            cr4 |= 1u << 20; /* SMEP */
        if (r[1] & 1u << 20)
            cr4 |= 1u << 21; /* SMAP */
        if (r[2] & 1u << 2)
            cr4 |= 1u << 11; /* UMIP */
    }
    __asm__ volatile("movq %0, %%cr4" : : "r"(cr4));
}
