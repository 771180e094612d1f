/*
 * FPU and vector state of domains. Who has used the FPU, or is foreign, has its state loaded when it
 * is dispatched and somebody else's is there. Who has not used it runs with CR0.TS set, and gets a
 * state with #NM: so servers that never use it cost nothing; what another district has left in the
 * registers is cleared away before. A domain's state is in its frame (XSAVE format where the CPU has
 * it, else FXSAVE) whenever it is not the owner; fpu_save brings the frame up to date at a snapshot.
 *
 * To load at #NM for all would be less work still. But registers that are somebody else's are then
 * open to LazyFP (CVE-2018-3665), and in QEMU's emulation to XSAVE and XRSTOR, which do not look at
 * CR0.TS there.
 */
#include "cpu.h"
#include "object.h"
#include "domain.h"
#include "string.h"

static bool have_xsave;
static unsigned left_by; /* district whose domain used the registers last; 0, the commons: none */
static uint64_t features = 3;
static uint32_t area_size = 512;
static uint32_t mxcsr_mask = 0xffbf;
static uint8_t initial[DOMAIN_FPU_SIZE] __attribute__((aligned(64)));

static void save(uint8_t *area)
{
    if (have_xsave)
        __asm__ volatile("xsave64 %0" : "+m"(*area) : "a"((uint32_t)features), "d"(0) : "memory");
    else
        __asm__ volatile("fxsave64 %0" : "=m"(*area) : : "memory");
}

static void load(const uint8_t *area)
{
    if (have_xsave)
        __asm__ volatile("xrstor64 %0" : : "m"(*area), "a"((uint32_t)features), "d"(0) : "memory");
    else
        __asm__ volatile("fxrstor64 %0" : : "m"(*area) : "memory");
}

void fpu_init(void)
{
    uint32_t r[4];
    uint64_t cr4;
    __asm__ volatile("movq %%cr4, %0" : "=r"(cr4));
    cr4 |= 1u << 9 | 1u << 10; /* OSFXSR, OSXMMEXCPT */
    cpuid(1, 0, r);
    have_xsave = r[2] & 1u << 26;
    if (have_xsave)
        cr4 |= 1u << 18;
    __asm__ volatile("movq %0, %%cr4" : : "r"(cr4));
    write_cr0((read_cr0() & ~(uint64_t)0xc) | 1u << 1 | 1u << 5); /* no EM, no TS; MP, NE */
    if (have_xsave) {
        cpuid(0xd, 0, r);
        features = r[0] & 7;
        __asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)features), "d"(0));
        cpuid(0xd, 0, r);
        area_size = r[1];
    }
    __asm__ volatile("fninit");
    uint32_t mxcsr = 0x1f80;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
    memset(initial, 0, sizeof initial);
    save(initial);
    uint32_t mask;
    memcpy(&mask, initial + 28, 4);
    if (mask != 0)
        mxcsr_mask = mask;
    memset(initial + 160, 0, 512 - 160); /* whatever firmware left in the vector registers */
    write_cr0(read_cr0() | 8);
    cpu0.fpu_trap = true;
}

uint64_t fpu_features(void)
{
    return features;
}

uint32_t fpu_area_size(void)
{
    return area_size;
}

static void trap(bool on)
{
    if (on && !cpu0.fpu_trap)
        write_cr0(read_cr0() | 8);
    if (!on && cpu0.fpu_trap)
        __asm__ volatile("clts");
    cpu0.fpu_trap = on;
}

void fpu_save(struct activity *a)
{
    if (cpu0.fpu_owner != a || a == NULL)
        return;
    bool trapped = cpu0.fpu_trap;
    trap(false);
    save(activity_frame(a)->fpu);
    trap(trapped);
}

void fpu_forget(struct activity *a)
{
    if (cpu0.fpu_owner == a)
        cpu0.fpu_owner = NULL;
}

/** Nothing of another district may be found in the registers. */
static void clear_for(const struct activity *a)
{
    unsigned district = a->domain->district;
    if (left_by == 0 || district == 0 || district == left_by)
        return;
    trap(false);
    if (cpu0.fpu_owner != NULL)
        save(activity_frame(cpu0.fpu_owner)->fpu);
    load(initial);
    cpu0.fpu_owner = NULL;
    left_by = 0;
}

void fpu_dispatch(struct activity *a)
{
    if (activity_frame(a)->flags & (DOMAIN_HAS_FPU | DOMAIN_FOREIGN)) {
        fpu_switch(a);
    } else {
        clear_for(a);
        trap(true);
    }
}

void fpu_switch(struct activity *a)
{
    trap(false);
    if (cpu0.fpu_owner == a)
        return;
    if (cpu0.fpu_owner != NULL)
        save(activity_frame(cpu0.fpu_owner)->fpu);
    struct domain_frame *f = activity_frame(a);
    if (!(f->flags & DOMAIN_HAS_FPU)) {
        memcpy(f->fpu, initial, area_size);
        f->flags |= DOMAIN_HAS_FPU;
    }
    load(f->fpu);
    cpu0.fpu_owner = a;
    left_by = a->domain->district;
}

bool fpu_check(uint8_t area[DOMAIN_FPU_SIZE])
{
    uint32_t mxcsr;
    memcpy(&mxcsr, area + 24, 4);
    if (mxcsr & ~mxcsr_mask)
        return false;
    if (!have_xsave)
        return true;
    uint64_t header[8];
    memcpy(header, area + 512, sizeof header);
    if (header[0] & ~features)
        return false;
    for (unsigned i = 1; i < 8; i++)
        if (header[i] != 0)
            return false;
    return true;
}
