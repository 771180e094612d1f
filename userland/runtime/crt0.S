/*
 * Where a native program starts: rsp is NATIVE_STACK_TOP - 16, rdi the word of its creator, all else 0.
 * Makes FS point to a block that musl's libc.a takes for its thread, then calls main_native.
 */
        .section .text._start, "ax", @progbits
        .globl _start
        .type _start, @function
_start:
        xorl    %ebp, %ebp
        andq    $-16, %rsp
        pushq   %rdi
        subq    $8, %rsp
        call    runtime_start
        movq    8(%rsp), %rdi
        call    main_native
        movslq  %eax, %rdi
        call    bw_exit
        ud2
        .size _start, . - _start

        .section .note.GNU-stack, "", @progbits
