/*
 * What workers run: a page each, mapped at WORKER_CODE.
 */
#include "fuzz.h"

__asm__(
    ".section .text.pages, \"ax\"\n"
    ".balign 4096\n"
    ".globl bw_fuzz_worker_page, bw_fuzz_honest_page\n"
    "bw_fuzz_worker_page:\n"
    "   mov 0x100000, %rax\n" /* xorshift */
    "   mov %rax, %rcx\n"
    "   shl $13, %rcx\n"
    "   xor %rcx, %rax\n"
    "   mov %rax, %rcx\n"
    "   shr $7, %rcx\n"
    "   xor %rcx, %rax\n"
    "   mov %rax, %rcx\n"
    "   shl $17, %rcx\n"
    "   xor %rcx, %rax\n"
    "   mov %rax, 0x100000\n"
    "   incq 0x100008\n"
    "   shr $20, %rax\n"
    "   movq %rax, %xmm0\n" /* some of them own the FPU now and then */
    "   and $1023, %eax\n"
    "   shl $7, %eax\n"
    "   lea 0x110000(%rax), %r11\n"
    "   mov 8(%r11), %rdi\n"
    "   mov 16(%r11), %rsi\n"
    "   mov 24(%r11), %rdx\n"
    "   mov 32(%r11), %r8\n"
    "   mov 40(%r11), %r9\n"
    "   mov 48(%r11), %r10\n"
    "   mov 56(%r11), %rbx\n"
    "   mov 64(%r11), %r12\n"
    "   mov 72(%r11), %r13\n"
    "   mov 80(%r11), %r14\n"
    "   mov 88(%r11), %r15\n"
    "   mov 96(%r11), %rbp\n"
    "   mov 0(%r11), %rax\n"
    "   syscall\n"
    "   jmp bw_fuzz_worker_page\n"
    ".balign 4096, 0xcc\n"
    /* Nobody has a key to this one. It counts in a register and in three pages, in this order, so
     * that each copy of it from one instant has r14 >= first >= second >= third >= r14 - 1. */
    "bw_fuzz_honest_page:\n"
    "   mov $0x100000, %r13\n"
    "1: inc %r14\n"
    "   mov %r14, (%r13)\n"
    "   mov %r14, 0x1000(%r13)\n"
    "   movq %r14, %xmm3\n"
    "   mov %r14, 0x2000(%r13)\n"
    "   movq %xmm3, %rax\n"
    "   cmp %rax, %r14\n"
    "   je 1b\n"
    "   movq $1, 0x2008(%r13)\n" /* its FPU state was another's */
    "   jmp 1b\n"
    ".balign 4096, 0xcc\n"
    ".previous\n");
