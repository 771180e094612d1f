/*
 * void runtime_invoke(struct invocation *i): the one SYSCALL instruction of a native program.
 * r11 is undefined after it, so it holds the pointer while the results are stored.
 */
        .section .text.runtime_invoke, "ax", @progbits
        .globl runtime_invoke
        .type runtime_invoke, @function
runtime_invoke:
        pushq   %rbp
        pushq   %rbx
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        pushq   %rdi
        movq    0(%rdi), %rax
        movq    16(%rdi), %rsi
        movq    24(%rdi), %rdx
        movq    32(%rdi), %r8
        movq    40(%rdi), %r9
        movq    48(%rdi), %r10
        movq    56(%rdi), %rbx
        movq    64(%rdi), %r12
        movq    72(%rdi), %r13
        movq    80(%rdi), %r14
        movq    88(%rdi), %r15
        movq    96(%rdi), %rbp
        movq    8(%rdi), %rdi
        syscall
        popq    %r11
        movq    %rax, 0(%r11)
        movq    %rdi, 8(%r11)
        movq    %rsi, 16(%r11)
        movq    %rdx, 24(%r11)
        movq    %r8, 32(%r11)
        movq    %r9, 40(%r11)
        movq    %r13, 72(%r11)
        movq    %rcx, 104(%r11)
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        popq    %rbp
        ret
        .size runtime_invoke, . - runtime_invoke

        .section .note.GNU-stack, "", @progbits
