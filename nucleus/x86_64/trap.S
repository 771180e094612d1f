/*
 * The ways into the nucleus and the one way out.
 *
 * A trap from ring 3 stores all registers straight into the running domain's frame (struct regs at its
 * start; cpu.regs points to it), so that between instructions the domain is its frame. Then a C function
 * runs on the one stack of this CPU, decides what runs next, and leaves with trap_leave(regs): it never
 * returns here. Traps from ring 0 happen only while idle (interrupts) or if the nucleus is broken.
 */
#define CPU_STACK 8
#define CPU_SCRATCH 16
#define CPU_REGS 24

        .section .text.fast, "ax"

.macro SAVE_REGS /* rsp = struct regs; all but rsp, rip, rflags, which the caller stores */
        movq %rax, 0(%rsp)
        movq %rbx, 8(%rsp)
        movq %rcx, 16(%rsp)
        movq %rdx, 24(%rsp)
        movq %rsi, 32(%rsp)
        movq %rdi, 40(%rsp)
        movq %rbp, 48(%rsp)
        movq %r8, 64(%rsp)
        movq %r9, 72(%rsp)
        movq %r10, 80(%rsp)
        movq %r11, 88(%rsp)
        movq %r12, 96(%rsp)
        movq %r13, 104(%rsp)
        movq %r14, 112(%rsp)
        movq %r15, 120(%rsp)
.endm

        .globl trap_syscall_entry
trap_syscall_entry:
        swapgs
        movq %rsp, %gs:CPU_SCRATCH
        movq %gs:CPU_REGS, %rsp
        SAVE_REGS
        movq %gs:CPU_SCRATCH, %rax
        movq %rax, 56(%rsp)
        movq %rcx, 128(%rsp)
        movq %r11, 136(%rsp)
        movq %gs:CPU_STACK, %rsp
        call trap_syscall
        ud2

/* Vectors 0..63, 16 bytes each; those without an error code push 0 first. The stack then has: vector, error,
 * rip, cs, rflags, rsp, ss. */
        .globl trap_vectors
        .set i, 0
        .align 16
trap_vectors:
        .rept 64
        .align 16
        .if !(i == 8 || (i >= 10 && i <= 14) || i == 17 || i == 21 || i == 29 || i == 30)
        pushq $0
        .endif
        pushq $i
        jmp trap_common
        .set i, i + 1
        .endr

trap_common:
        testb $3, 24(%rsp)
        jz trap_from_nucleus
        swapgs
        movq %rsp, %gs:CPU_SCRATCH
        movq %gs:CPU_REGS, %rsp
        SAVE_REGS
        movq %gs:CPU_SCRATCH, %rbx
        movq 16(%rbx), %rax
        movq %rax, 128(%rsp)
        movq 32(%rbx), %rax
        movq %rax, 136(%rsp)
        movq 40(%rbx), %rax
        movq %rax, 56(%rsp)
        movq 0(%rbx), %rdi
        movq 8(%rbx), %rsi
        movq %gs:CPU_STACK, %rsp
        cld
        call trap_interrupt
        ud2

trap_from_nucleus:
        pushq %rax
        pushq %rcx
        pushq %rdx
        pushq %rsi
        pushq %rdi
        pushq %r8
        pushq %r9
        pushq %r10
        pushq %r11
        movq 72(%rsp), %rdi
        movq 80(%rsp), %rsi
        leaq 88(%rsp), %rdx
        cld
        call trap_in_nucleus
        popq %r11
        popq %r10
        popq %r9
        popq %r8
        popq %rdi
        popq %rsi
        popq %rdx
        popq %rcx
        popq %rax
        addq $16, %rsp
        iretq

/* void trap_leave(const struct regs *): to ring 3, with all registers from there. */
        .globl trap_leave
trap_leave:
        movq %gs:CPU_STACK, %rsp
        pushq $0x1b
        pushq 56(%rdi)
        pushq 136(%rdi)
        pushq $0x23
        pushq 128(%rdi)
        movq 0(%rdi), %rax
        movq 8(%rdi), %rbx
        movq 16(%rdi), %rcx
        movq 24(%rdi), %rdx
        movq 32(%rdi), %rsi
        movq 48(%rdi), %rbp
        movq 64(%rdi), %r8
        movq 72(%rdi), %r9
        movq 80(%rdi), %r10
        movq 88(%rdi), %r11
        movq 96(%rdi), %r12
        movq 104(%rdi), %r13
        movq 112(%rdi), %r14
        movq 120(%rdi), %r15
        movq 40(%rdi), %rdi
        swapgs
        iretq

/* void trap_idle(void): waits for an interrupt; the only place where ring 0 has them on. */
        .globl trap_idle
trap_idle:
        sti
        hlt
        cli
        ret
