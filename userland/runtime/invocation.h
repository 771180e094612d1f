/*
 * What the parts of the run-time library share: the one SYSCALL instruction, and the start.
 */
#ifndef RUNTIME_INVOCATION_H
#define RUNTIME_INVOCATION_H

#include <bailiwick/runtime.h>

#include <stdbool.h>

/* Offsets of struct message that invoke_stub.S knows. */
_Static_assert(offsetof(struct message, word) == 8, "invoke_stub.S");
_Static_assert(offsetof(struct message, send) == 40, "invoke_stub.S");
_Static_assert(offsetof(struct message, take) == 48, "invoke_stub.S");
_Static_assert(offsetof(struct message, string) == 56, "invoke_stub.S");
_Static_assert(offsetof(struct message, length) == 64, "invoke_stub.S");
_Static_assert(offsetof(struct message, buffer) == 72, "invoke_stub.S");
_Static_assert(offsetof(struct message, size) == 80, "invoke_stub.S");
_Static_assert(offsetof(struct message, badge) == 96, "invoke_stub.S");
_Static_assert(offsetof(struct message, delivery) == 98, "invoke_stub.S");
_Static_assert(offsetof(struct message, cut) == 99, "invoke_stub.S");
_Static_assert(offsetof(struct message, sender) == 100, "invoke_stub.S");
_Static_assert(INVOKE_STRING == 1 && INVOKE_RECEIVE == 2, "invoke_stub.S");

/** Invokes: rax as in invoke.h, to which INVOKE_STRING and INVOKE_RECEIVE are added where `m` has
 * them; what comes back replaces what was sent. @return m->code */
int64_t runtime_invoke(uint64_t rax, struct message *m, bw_time_t deadline);

/** Called by _start before main_native. */
void runtime_start(void);

/** Whether we run in a district, not in the commons. */
bool runtime_in_district(void);

#endif
