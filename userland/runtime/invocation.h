/*
 * The registers of one invocation, as invoke_stub.S loads and stores them. The offsets are used
 * there.
 */
#ifndef RUNTIME_INVOCATION_H
#define RUNTIME_INVOCATION_H

#include <bailiwick/runtime.h>

struct invocation {
    uint64_t rax, rdi;         /* 0, 8 */
    uint64_t word[4];          /* 16: rsi rdx r8 r9 */
    uint64_t r10, rbx;         /* 48, 56: designators sent, received */
    uint64_t string, length;   /* 64, 72: r12 r13 */
    uint64_t buffer, size;     /* 80, 88: r14 r15 */
    uint64_t deadline, sender; /* 96, 104: rbp, rcx */
};
_Static_assert(offsetof(struct invocation, word) == 16, "invoke_stub.S");
_Static_assert(offsetof(struct invocation, string) == 64, "invoke_stub.S");
_Static_assert(offsetof(struct invocation, sender) == 104, "invoke_stub.S");

/** Executes the one SYSCALL instruction of a native program with these registers. */
void runtime_invoke(struct invocation *i);

/** Called by _start before main_native. */
void runtime_start(void);

#endif
