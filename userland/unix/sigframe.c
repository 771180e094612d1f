/*
 * Frames of signal handlers on the user's stack, as Linux lays them out (struct rt_sigframe of
 * x86-64):
 *
 *   sp      return address (sa_restorer)
 *   +8      ucontext: flags, link, stack, sigcontext, mask
 *   +312    siginfo
 *   above   FPU area, 64-byte aligned, as the nucleus gives it (XSAVE or FXSAVE format), if the
 *           domain has one; its software-reserved bytes carry Linux's magic numbers and the size
 *
 * What comes back in rt_sigreturn is the user's: the nucleus makes registers and FPU area safe.
 */
#include <signal.h>
#include <string.h>
#include <bailiwick/runtime.h>
#include "process.h"

#define XSTATE_MAGIC1  0x46505853u
#define XSTATE_MAGIC2  0x46505845u
#define FXSAVE_SIZE    512u
#define SOFTWARE_BYTES 464u /* in the FXSAVE area */
#define UC_FP_XSTATE   1u
#define UC_STRICT_SS   6u
#define USER_CS        0x33u
#define USER_SS        0x2bu
#define RED_ZONE       128u
/** Flags that a handler's return may set: CF PF AF ZF SF TF DF OF AC ID */
#define FRAME_FLAGS 0x240dd5u

struct frame_software {
    uint32_t magic1;
    uint32_t extended_size;
    uint64_t features;
    uint32_t size;
    uint32_t pad[7];
};
_Static_assert(sizeof(struct frame_software) == 48, "ABI: _fpx_sw_bytes");

struct sigframe {
    uint64_t restorer;
    uint64_t uc_flags, uc_link;
    uint64_t stack_base;
    uint32_t stack_flags, pad;
    uint64_t stack_size;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    uint16_t cs, gs, fs, ss;
    uint64_t error, trap, old_mask, cr2;
    uint64_t fpu;
    uint64_t reserved[8];
    uint64_t mask;
    struct signal_info info;
};
_Static_assert(offsetof(struct sigframe, r8) == 48, "ABI: sigcontext");
_Static_assert(offsetof(struct sigframe, mask) == 304, "ABI: ucontext");
_Static_assert(sizeof(struct sigframe) == 440, "ABI: rt_sigframe");

static uint8_t fpu_area[DOMAIN_FPU_SIZE + 4];

static void from_regs(struct sigframe *f, const struct regs *r)
{
    f->r8 = r->r8, f->r9 = r->r9, f->r10 = r->r10, f->r11 = r->r11;
    f->r12 = r->r12, f->r13 = r->r13, f->r14 = r->r14, f->r15 = r->r15;
    f->rdi = r->rdi, f->rsi = r->rsi, f->rbp = r->rbp, f->rbx = r->rbx;
    f->rdx = r->rdx, f->rax = r->rax, f->rcx = r->rcx, f->rsp = r->rsp;
    f->rip = r->rip, f->rflags = r->rflags;
    f->cs = USER_CS;
    f->ss = USER_SS;
}

static void to_regs(struct regs *r, const struct sigframe *f)
{
    r->r8 = f->r8, r->r9 = f->r9, r->r10 = f->r10, r->r11 = f->r11;
    r->r12 = f->r12, r->r13 = f->r13, r->r14 = f->r14, r->r15 = f->r15;
    r->rdi = f->rdi, r->rsi = f->rsi, r->rbp = f->rbp, r->rbx = f->rbx;
    r->rdx = f->rdx, r->rax = f->rax, r->rcx = f->rcx, r->rsp = f->rsp;
    r->rip = f->rip;
    r->rflags = (r->rflags & ~(uint64_t)FRAME_FLAGS) | (f->rflags & FRAME_FLAGS);
}

/** Gets the FPU area with Linux's marks in it. @return bytes, 0: the domain has none */
static size_t fpu_get(struct thread *t)
{
    struct message m = {.code = DOMAIN_GET_FPU, .buffer = fpu_area, .size = DOMAIN_FPU_SIZE};
    struct frame_software software = {0};
    uint32_t magic2 = XSTATE_MAGIC2;
    size_t n;

    if (bw_call(thread_key(t), &m) != BW_OK || m.length < FXSAVE_SIZE) {
        return 0;
    }
    n = m.length;
    if (n > FXSAVE_SIZE) {
        software.magic1 = XSTATE_MAGIC1;
        software.extended_size = (uint32_t)n + 4;
        memcpy(&software.features, fpu_area + FXSAVE_SIZE, sizeof software.features);
        software.size = (uint32_t)n;
        memcpy(fpu_area + n, &magic2, sizeof magic2);
        n += 4;
    }
    memcpy(fpu_area + SOFTWARE_BYTES, &software, sizeof software);
    return n;
}

static void fpu_set(struct thread *t, uint64_t address)
{
    struct message m = {.code = DOMAIN_SET_FPU};
    struct frame_software software;

    if (address && space_read(t->process->space, fpu_area, address, FXSAVE_SIZE) == FXSAVE_SIZE) {
        m.string = fpu_area;
        m.length = FXSAVE_SIZE;
        memcpy(&software, fpu_area + SOFTWARE_BYTES, sizeof software);
        if (software.magic1 == XSTATE_MAGIC1 && software.size > FXSAVE_SIZE &&
            software.size <= DOMAIN_FPU_SIZE &&
            space_read(t->process->space, fpu_area, address, software.size) == software.size) {
            m.length = software.size;
        }
        memset(fpu_area + SOFTWARE_BYTES, 0, sizeof software);
    }
    bw_call(thread_key(t), &m);
}

static bool on_stack(const struct thread *t, uint64_t sp)
{
    return sp > t->stack_base && sp - t->stack_base <= t->stack_size;
}

int sigframe_push(struct thread *t, struct regs *regs, const struct signal_action *action,
                  const struct signal_info *info, uint64_t old_mask)
{
    struct sigframe f = {.restorer = action->restorer, .uc_flags = UC_STRICT_SS, .mask = old_mask};
    uint64_t sp = regs->rsp - RED_ZONE;
    size_t fpu = fpu_get(t);

    if ((action->flags & SA_ONSTACK) && t->stack_size && !on_stack(t, regs->rsp)) {
        sp = t->stack_base + t->stack_size;
    }
    from_regs(&f, regs);
    f.stack_base = t->stack_base;
    f.stack_flags = t->stack_size ? (on_stack(t, regs->rsp) ? SS_ONSTACK : 0) : SS_DISABLE;
    f.stack_size = t->stack_size;
    f.info = *info;
    f.old_mask = old_mask;
    f.cr2 = info->fault.address;
    if (fpu) {
        sp = (sp - fpu) & ~63ull;
        f.fpu = sp;
        f.uc_flags |= fpu > FXSAVE_SIZE ? UC_FP_XSTATE : 0;
        if (space_write(t->process->space, sp, fpu_area, fpu) != fpu) {
            return -EFAULT;
        }
    }
    sp = ((sp - sizeof f) & ~15ull) - 8;
    if (space_write(t->process->space, sp, &f, sizeof f) != sizeof f) {
        return -EFAULT;
    }
    regs->rdi = (uint64_t)info->number;
    regs->rsi = sp + offsetof(struct sigframe, info);
    regs->rdx = sp + offsetof(struct sigframe, uc_flags);
    regs->rax = 0;
    regs->rsp = sp;
    regs->rip = action->handler;
    regs->rflags &= ~(uint64_t)0x10500; /* TF, DF, RF */
    return 0;
}

long sigframe_pop(struct thread *t, struct regs *regs, uint64_t *mask)
{
    struct sigframe f;
    uint64_t sp = regs->rsp - 8; /* the handler's ret took the restorer's address */

    if (space_read(t->process->space, &f, sp, sizeof f) != sizeof f) {
        return -EFAULT;
    }
    to_regs(regs, &f);
    fpu_set(t, f.fpu);
    t->stack_base = f.stack_base;
    t->stack_size = f.stack_flags & SS_DISABLE ? 0 : f.stack_size;
    *mask = f.mask;
    return 0;
}
