/*
 * A domain: a process, one 4 KiB frame. Between instructions a domain *is* this frame, so that a
 * snapshot needs nothing else. On disk: do not change.
 *
 * States (one function of the nucleus, domain_set_state, changes them):
 *
 *   state      | runs? | what ends it
 *   STOPPED    | no    | DOMAIN_START through its domain key
 *   RUNNING    | yes   | its own invocations, a fault, DOMAIN_STOP
 *   AVAILABLE  | no    | a message to a start key of it, a post, its deadline
 *   WAITING    | no    | its resume key is invoked (a reply), or its link is cut
 *
 * A domain that waits for a busy one, for an object to be fetched or for memory is RUNNING, with
 * rip at its invocation: the queue that it stands in is volatile and it simply invokes again.
 */
#ifndef BAILIWICK_DOMAIN_H
#define BAILIWICK_DOMAIN_H

#include <bailiwick/key.h>

enum domain_state {
    DOMAIN_STOPPED = 0,
    DOMAIN_RUNNING = 1,
    DOMAIN_AVAILABLE = 2,
    DOMAIN_WAITING = 3,
};

#define DOMAIN_FOREIGN    0x01u /* its syscall instructions are faults to its keeper */
#define DOMAIN_IN_FAULT   0x02u /* WAITING for its keeper: the reply is a fault reply */
#define DOMAIN_OUTSIDE    0x04u /* WAITING for a reply from outside its district */
#define DOMAIN_HAS_FPU    0x08u /* fpu[] holds a state; else it starts from the initial one */
#define DOMAIN_POSTS_ONLY 0x10u /* AVAILABLE to posts, not to messages */
#define DOMAIN_CRASHED    0x20u /* STOPPED by a fault that no keeper took: fault_* say which */

/** General registers, as in fault messages and DOMAIN_GET_REGS / DOMAIN_SET_REGS. */
struct regs {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rip, rflags, fs_base, gs_base;
};
_Static_assert(sizeof(struct regs) == 160, "on disk: registers");

#define DOMAIN_FPU_OFFSET 1024u
#define DOMAIN_FPU_SIZE   3072u

struct domain_frame {
    struct regs regs;
    uint32_t state;      /* enum domain_state */
    uint32_t flags;      /* DOMAIN_* */
    uint64_t call_count; /* 48 bits; what its next resume key will carry */
    bw_time_t deadline;  /* district's MONOTONIC; BW_NO_DEADLINE if none */
    uint64_t posted;     /* bits posted and not yet received */
    uint32_t list_slot;  /* its place in the district's domain list */
    uint32_t fault_code; /* last fault: enum fault_order, error bits, address */
    uint64_t fault_error;
    uint64_t fault_address;
    uint64_t sender_slot; /* of the last message from outside: district slot + 1, its incarnation */
    uint64_t sender_incarnation, sender_random;
    uint64_t sender_epoch;
    uint64_t reserved;
    struct key segment; /* address space */
    struct key keeper;  /* start key that faults go to; void: none */
    struct key meter;
    struct key spare;
    uint8_t pad[192];
    struct key keys[BW_KEY_REGISTERS];
    uint8_t fpu[DOMAIN_FPU_SIZE]; /* XSAVE or FXSAVE format, 64-byte aligned */
};
_Static_assert(offsetof(struct domain_frame, segment) == 256, "on disk: key slots of a domain");
_Static_assert(offsetof(struct domain_frame, keys) == 512, "on disk: key registers");
_Static_assert(offsetof(struct domain_frame, fpu) == DOMAIN_FPU_OFFSET, "on disk: fpu area");
_Static_assert(sizeof(struct domain_frame) == 4096, "on disk: a domain is one frame");

#endif
