/*
 * int64_t runtime_invoke(uint64_t rax, struct message *m, bw_time_t deadline): the one SYSCALL
 * instruction of a native program, on a hot path. The message's four designators of each kind lie in
 * memory as the registers want them. r11 is undefined after it, so it holds `m` while the results are
 * stored.
 */
        .section .text.runtime_invoke, "ax", @progbits
        .globl runtime_invoke
        .type runtime_invoke, @function
        .p2align 4
runtime_invoke:
        pushq   %rbp
        pushq   %rbx
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        pushq   %rsi
        movq    %rdi, %rax
        movq    %rdx, %rbp
        movq    56(%rsi), %r12          /* string, length */
        movq    64(%rsi), %r13
        testq   %r12, %r12
        jz      1f
        testq   %r13, %r13
        jz      1f
        orq     $0x100, %rax            /* INVOKE_STRING */
1:
        movq    72(%rsi), %r14          /* buffer, size */
        movq    80(%rsi), %r15
        testq   %r14, %r14
        jz      2f
        testq   %r15, %r15
        jz      2f
        orq     $0x200, %rax            /* INVOKE_RECEIVE */
2:
        movq    40(%rsi), %r10          /* send */
        movq    48(%rsi), %rbx          /* take */
        movq    0(%rsi), %rdi           /* code and words */
        movq    16(%rsi), %rdx
        movq    24(%rsi), %r8
        movq    32(%rsi), %r9
        movq    8(%rsi), %rsi
        syscall
        popq    %r11
        movq    %rdi, 0(%r11)
        movq    %rsi, 8(%r11)
        movq    %rdx, 16(%r11)
        movq    %r8, 24(%r11)
        movq    %r9, 32(%r11)
        movq    $0, 40(%r11)
        movq    $0, 56(%r11)
        movq    %r13, 64(%r11)
        movw    %ax, 98(%r11)           /* delivery and, in the byte above, cut */
        shrl    $16, %eax
        movw    %ax, 96(%r11)           /* badge */
        movl    %ecx, 100(%r11)         /* sender */
        movq    %rdi, %rax
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        popq    %rbp
        ret
        .size runtime_invoke, . - runtime_invoke

        .section .note.GNU-stack, "", @progbits
