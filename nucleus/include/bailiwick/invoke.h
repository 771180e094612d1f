/*
 * Invocation: what a native domain's SYSCALL instruction means.
 *
 *   rax   bits 0-7 enum operation, 8-15 flags (INVOKE_*), 16-31 designator of the invoked key,
 *         32-47 designator of the slot that takes the next caller's resume key (RETURN; 0: dropped)
 *   rdi   CALL, SEND, POST: order code.  RETURN: result code
 *   rsi rdx r8 r9   words 0 to 3
 *   r10   four designators of keys to send, 16 bits each, first one lowest; 0 sends void
 *   rbx   four designators of slots for the keys received; 0 drops the key
 *   r12 r13   address and length of the string sent       (with INVOKE_STRING, else none)
 *   r14 r15   address and size of the receive buffer      (with INVOKE_RECEIVE, else none)
 *   rbp   deadline, MONOTONIC nanoseconds, of RETURN       (with INVOKE_DEADLINE, else none)
 *
 * Afterwards:
 *   rax   bits 0-7 enum delivery, bit 8 DELIVERY_CUT, bits 16-31 badge (tag of the start key used)
 *   rdi   order (a received message) or result (a reply); rsi rdx r8 r9 the words
 *   r13   length of the string received, never above r15
 *   rcx   0 if the sender is of the same district, else its district slot + 1; r11 is undefined
 * The other registers are unchanged. If the sender sent fewer keys, the slots become void (keys of
 * the nucleus itself touch the first one only).
 *
 * A designator names a place for a key: bits 0-4 a key register; with bit 15 set, slot (bits 5-12)
 * of the node whose key is in that register. Register 0 is always void, so 0 means none.
 *
 * CALL   sends a message with a resume key to the caller as its hidden fifth key, and waits for the
 *        reply. Keys that the nucleus itself implements answer at once.
 * RETURN sends a reply through a resume key (or any message through a start key, without waiting;
 *        void sends nothing) and then waits for a message. A reply that goes into the void is
 *        dropped.
 * SEND   sends and goes on. A busy receiver queues the sender unless INVOKE_NOBLOCK: then BW_BUSY.
 * POST   sets bit (badge & 63) in the receiver's posted word; never waits, carries nothing else.
 *        The receiver gets all bits at once: delivery POSTED, word 0 the bits, which are cleared.
 *        The nucleus itself posts POST_RESTARTED to every domain that is not foreign, nor STOPPED,
 *        when its district is started.
 * SELF   services without a key, enum self_order in rdi.
 *
 * Every invocation either completes or leaves the domain as it was, to be run again.
 */
#ifndef BAILIWICK_INVOKE_H
#define BAILIWICK_INVOKE_H

#include <bailiwick/domain.h>

enum operation {
    OP_CALL = 1,
    OP_RETURN = 2,
    OP_SEND = 3,
    OP_POST = 4,
    OP_SELF = 5,
};

#define INVOKE_STRING   0x01u
#define INVOKE_RECEIVE  0x02u
#define INVOKE_DEADLINE 0x04u
#define INVOKE_NOBLOCK  0x08u
/** RETURN: take posts and the deadline only, leave callers queued */
#define INVOKE_POSTS_ONLY 0x10u

enum delivery {
    DELIVERY_MESSAGE = 0, /* a message, or the reply to a CALL; results of SEND, POST and SELF */
    DELIVERY_POSTED = 1,  /* word 0: the bits */
    DELIVERY_TIMEOUT = 2,
};
#define POST_RESTARTED ((uint64_t)1 << 63)
#define DELIVERY_CUT   0x100u /* the string did not fit the receive buffer, or it was not there */

#define KEY_AT(reg)            ((uint16_t)((reg)&31u))
#define KEY_IN_NODE(reg, slot) ((uint16_t)(0x8000u | ((slot)&255u) << 5 | ((reg)&31u)))
#define FOUR_KEYS(a, b, c, d)                                                                      \
    ((uint64_t)(a) | (uint64_t)(b) << 16 | (uint64_t)(c) << 32 | (uint64_t)(d) << 48)

/* Words are written w0..w3, sent keys k0..k3; "->" is the reply. Every order may also fail with a
 * nucleus result. Order 0 is never used. */

/** OP_SELF. */
enum self_order {
    SELF_COPY_KEY = 1, /* key at sent designator 0 -> place at receive designator 0 */
    SELF_IDENTIFY = 2, /* sent designator 0 -> w0 type | rights << 8 | tag << 16 | version << 32,
                          w1: value of a KEY_NUMBER, else 0 */
    SELF_WEAKEN = 3, /* k0 (page, node, segment) without RIGHT_WRITE unless w0 has it, executable if
                        w0 says so, sense if w1 -> receive place 0 */
    SELF_NUMBER = 4, /* KEY_NUMBER of value w0 -> receive place 0 */
    SELF_TIME = 5, /* -> w0 MONOTONIC of the district, w1 REALTIME, w2 BOOTTIME, w3 TSC a second */
    SELF_DISTRICT = 6, /* -> w0 incarnation counter, w1 its random half, w2 epoch, w3 slot (0:
                          commons), string: its name, DISTRICT_NAME_MAX bytes */
    SELF_ENTROPY = 7,  /* -> w0..w3: 256 bits that are fresh in each incarnation, same within it */
    SELF_YIELD = 8,    /* lets others of its class run */
    SELF_SET_FS = 9,   /* fs_base := w0 */
    SELF_LOG = 10,     /* the string goes to the nucleus's log (for a district: prefixed) */
    SELF_SAME = 11,    /* -> w0 1 if sent keys 0 and 1 are the same key */
    SELF_SPACE = 12,   /* -> w0 blocks free in the district's store (as last told, less what
                          was made since), w1 blocks it has (0: not known), w2 enum space_stage.
                          w0 enum district_pressed: asks for a checkpoint now, and why */
    SELF_SENDER = 13, /* of the last message from outside that the caller received: w0 district slot
                         + 1 (0: none yet), w1 incarnation, w2 its random half, w3 epoch, string:
                         its name, DISTRICT_NAME_MAX bytes; none if that incarnation has ended */
    SELF_LINK_STATE = 14,  /* k0 named link -> w0 enum link_state, w1 connection number,
                              w2 enum link_reason */
    SELF_LINK_ACK = 15,    /* k0 named link, w0 connection number: RELINKED -> LIVE. BW_AGAIN: there
                              is a newer connection */
    SELF_LINK_REOPEN = 16, /* k0 named link: is to be established (LINK_MANUAL; or at once) */
    SELF_LINK_DROP = 17,   /* k0 link: its entry is free again; all keys to it are void. Who waits
                              for a reply through it gets BW_VOID */
    SELF_BARRIER = 19,     /* w0 epoch, of now or earlier: returns when a generation that has what
                              happened in it is committed, after asking for a checkpoint if need be
                              -> w0 the last generation */
    SELF_START = 20,       /* how this run began -> w0 the generation it started from, w1 enum
                              start_reason, w2 REALTIME then */
    SELF_MEMORY = 18, /* -> w0 objects of the district in memory, w1 fetched from its store so far,
                         w2 that left memory again, w3 TSC ticks the processor was idle */
};

/** KEY_PAGE. Offsets in the page: what reaches beyond its end is refused (BW_ARGUMENT). */
enum page_order {
    PAGE_READ = 1,    /* w0 offset, w1 length -> string */
    PAGE_WRITE = 2,   /* w0 offset, string. Needs RIGHT_WRITE */
    PAGE_PHYSICAL = 3 /* k0 KEY_NUCLEUS -> w0 physical address (drivers, commons only) */
};

/** KEY_NODE. Writing needs RIGHT_WRITE. Through a sense key what is fetched is sense. */
enum node_order {
    NODE_FETCH = 1,   /* w0 slot -> k0 */
    NODE_STORE = 2,   /* w0 slot, k0 */
    NODE_CLEAR = 3,   /* w0 first slot, w1 count */
    NODE_COPY = 4,    /* k0 node: its slots w1 .. w1+w2-1 to our slots from w0 */
    NODE_SEGMENT = 5, /* w0 height, w1 rights -> k0: this node as a segment */
};

/**
 * KEY_SEGMENT, and KEY_PAGE as a segment of height 0. a: an address in the segment, b: bytes.
 * A copy that meets a missing or forbidden page stops there: BW_FAULT, w0 the address, w1 bytes
 * done.
 */
enum segment_order {
    SEGMENT_READ = 16,   /* w0 a, w1 b (at most BW_STRING_MAX) -> string; w1 bytes done */
    SEGMENT_WRITE = 17,  /* w0 a, string -> w1 bytes done. Needs WRITE all along the path */
    SEGMENT_COPY = 18,   /* w0 a, k0 source segment, w1 its address, w2 b -> w1 bytes done */
    SEGMENT_GET = 19,    /* w0 a, w1 height (0: page) -> k0: the key in the slot for a there */
    SEGMENT_PUT = 20,    /* w0 a, w1 height, k0: stores it there; -> BW_ABSENT, w0 the height of the
                            node that is missing on the way */
    SEGMENT_CREATE = 21, /* w0 a, w1 height | type << 8 | rights << 16, w2 offset in range k0:
                            creates a page or a node (then its key is a segment key of that height)
                            under the id and puts it there. With k1 (page key, or node or segment
                            key) it starts as a copy of that. Missing nodes as with SEGMENT_PUT */
    SEGMENT_UNSHARE = 22, /* as SEGMENT_CREATE, but starts as a copy of what is in the slot now */
    SEGMENT_FORK = 23,    /* w0 a, w1 height >= 1, w2 offset in range k0, k1 source segment: creates
                             here a node that is a copy of the source's node of that height at a,
                             withdrawing RIGHT_WRITE from all slots of both, so that each keeps its
                             copy on write */
    SEGMENT_CLEAR = 24,   /* w0 a, w1 height, w2 count: voids so many consecutive slots of that
                             height; missing nodes count as void. With k0 a range: also destroys the
                             objects that were named there and whose ids it covers. At most 256 a
                             call: -> w1 done */
    SEGMENT_RIGHTS = 25,  /* w0 a, w1 height | rights << 16, w2 count: sets the rights of page keys
                             in these slots. RIGHT_WRITE comes back only to pages in range k0; void
                             slots stay void. -> w1 slots done */
    SEGMENT_ZERO = 26,    /* w0 a, w1 b: writes zeros; faults as SEGMENT_WRITE -> w1 bytes done */
};

/** KEY_DOMAIN. Registers of a domain other than the caller are as of its last trap. */
enum domain_order {
    DOMAIN_GET_REGS = 1, /* -> string: struct regs; w0 state, w1 flags */
    DOMAIN_SET_REGS = 2, /* string: struct regs (made safe: user addresses, flags) */
    DOMAIN_GET_FPU = 3,  /* -> string: the FPU area (DOMAIN_FPU_SIZE at most), empty if none yet */
    DOMAIN_SET_FPU = 4,  /* string: FPU area as got (checked), or empty for the initial state */
    DOMAIN_START = 5,    /* STOPPED -> RUNNING */
    DOMAIN_STOP = 6,     /* any -> STOPPED; a resume key to it becomes void */
    DOMAIN_MAKE_START = 7,   /* w0 badge -> k0 */
    DOMAIN_GET_KEY = 8,      /* w0 register -> k0 */
    DOMAIN_SET_KEY = 9,      /* w0 register (1..31), k0 */
    DOMAIN_SET_SEGMENT = 10, /* k0: address space (segment key, height <= 4; or void) */
    DOMAIN_SET_KEEPER = 11,  /* k0: start key or void */
    DOMAIN_SET_METER = 12,   /* k0: meter */
    DOMAIN_SET_FOREIGN = 13, /* w0 0 or 1 */
    DOMAIN_COPY = 14,   /* k0 domain: registers, FPU and foreign flag of it are copied here; this
                           one must be STOPPED */
    DOMAIN_RESUME = 15, /* WAITING or STOPPED: what a fault reply through its resume key would do:
                           w0 FAULT_* reply code, w1 value or string regs. Voids the resume key */
    DOMAIN_MAKE = 16,   /* as 9..13 in one: w0 badge of its keeper start key to be made on domain
                           k1, k0 segment, k2 meter, w1 1 if foreign, w2 0: leave, 1: also COPY
                           from k3 */
};

/**
 * KEY_RANGE. Ids must be used once only; the nucleus refuses one that is in use (BW_EXISTS) while
 * it knows of it, and gives each object a version from its epoch, so that an older key stays void.
 */
enum range_order {
    RANGE_CREATE = 1,  /* w0 offset, w1 type -> k0: page (WRITE), node (WRITE) or domain key */
    RANGE_DESTROY = 2, /* w0 offset, w1 count -> w1 ids done (at most 256 a call) */
    RANGE_KEY = 3,     /* w0 offset, w1 type -> k0: key to an object that exists */
    RANGE_RESCIND = 4, /* w0 offset: all keys to it become void -> k0 new key */
    RANGE_SUB = 5,     /* w0 offset, w1 count -> k0: range over [offset, offset + count) */
    RANGE_COUNT = 6,   /* -> w0 how many ids it covers, w1 its first id */
    RANGE_FIND = 7,    /* k0: -> w0 offset here of the object it names; BW_ABSENT */
};

/**
 * Fault messages to a keeper: order, w0 address (FAULT_SYSCALL: rax), w1 error code (page faults:
 * bit 0 present, 1 write, 4 fetch, as the CPU gives), w2 rip, string struct regs, badge of the
 * keeper key. After a syscall instruction rip is behind it. The reply (RETURN to the resume key):
 * enum fault_reply.
 */
enum fault_order {
    FAULT_SYSCALL = 0x100,
    FAULT_PAGE = 0x101,
    FAULT_DIVIDE = 0x102,
    FAULT_DEBUG = 0x103, /* #DB, INT3, #OF, #BR */
    FAULT_ILLEGAL = 0x104,
    FAULT_PROTECTION = 0x105, /* #GP, #SS, #NP, #TS */
    FAULT_FPU = 0x106,        /* #MF, #XM */
    FAULT_ALIGNMENT = 0x107,
};
enum fault_reply {
    FAULT_RETRY = 0,    /* run on with the registers as they are */
    FAULT_SET_REGS = 1, /* string: struct regs */
    FAULT_SET_RAX = 2,  /* rax := w0 */
};

/** KEY_GRANT. */
enum grant_order {
    GRANT_FIND = 1, /* string: name -> k0 what districtd granted under it, or BW_ABSENT */
    GRANT_OPEN = 2, /* string: struct link_params, k0 start key that is posted when the link's state
                       changes, or void -> k0 named link, SEVERED at first */
    GRANT_PUBLISH = 3,   /* string: struct publication_params, k0 start key: replaces what had the
                            name; void: withdraws it */
    GRANT_PUBLISHED = 4, /* string: name -> k0 what this district has published under it, string:
                            access list; BW_ABSENT */
};

/** KEY_PORTS, KEY_IRQ, KEY_PHYSICAL. */
enum ports_order {
    PORTS_IN = 1,        /* w0 port offset, w1 width 1, 2 or 4 -> w0 */
    PORTS_OUT = 2,       /* w0 port offset, w1 width, w2 value */
    PORTS_SUB = 3,       /* w0 offset, w1 count -> k0 */
    PORTS_IN_WORDS = 4,  /* w0 port offset, w1 count -> string: so many words of 16 bits from there;
                            BW_ARGUMENT, with none read, if the receive buffer is smaller */
    PORTS_OUT_WORDS = 5, /* w0 port offset, string: words of 16 bits, written there */
};
#define PORTS_WORDS_MAX 256u /* a disk's sector */
enum irq_order {
    IRQ_BIND = 1,   /* k0 start key: posted on each interrupt. Unmasks. k0 void: unbinds */
    IRQ_UNMASK = 2, /* the device was served */
};
enum physical_order {
    PHYSICAL_MAP = 1,   /* k0 segment, w0 address in it (1 MiB aligned): maps the registers there,
                           uncached; at most 256 pages. Its nodes must exist down to height 2; k1,
                           a fresh node key, becomes the node of height 1 there */
    PHYSICAL_SUB = 2,   /* w0 first page, w1 count -> k0 */
    PHYSICAL_READ = 3,  /* w0 byte offset, w1 width 1, 2, 4, 8 -> w0 */
    PHYSICAL_WRITE = 4, /* w0 byte offset, w1 width, w2 value */
};

/** KEY_NUCLEUS. */
enum nucleus_order {
    NUCLEUS_INFO = 1,     /* -> w0 frames in all, w1 free frames, w2 nucleus frames, w3 TSC Hz */
    NUCLEUS_DISTRICT = 2, /* string: struct district_params -> k0 district key; BW_LIMIT;
                             BW_EXISTS: that district is in memory already */
    NUCLEUS_SET_REALTIME = 3, /* w0 REALTIME now, in ns since 1970 */
    NUCLEUS_PORTS = 4,        /* w0 first, w1 count -> k0 */
    NUCLEUS_PHYSICAL = 5,     /* w0 address, w1 pages (outside RAM only) -> k0 */
    NUCLEUS_IRQ = 6,          /* w0 line -> k0 */
    NUCLEUS_METER = 7,        /* w0 class -> k0 */
    NUCLEUS_DMA = 8, /* k0 segment, w0 address, w1 pages <= 256: creates physically contiguous
                        pages in range k1 from offset w2 -> w0 physical address of the first */
    NUCLEUS_STATISTICS = 9,    /* -> string: struct nucleus_statistics */
    NUCLEUS_COMMAND_LINE = 10, /* -> string: what the boot loader passed */
    NUCLEUS_ORPHANS = 11,      /* callers of the commons to whose reply nobody has the key get VOID:
                                  after the destruction of a program that served them */
    NUCLEUS_FIND = 12,         /* w0 and w1 the id of a district -> k0 its key; BW_ABSENT: it is not
                                  in memory. For the next one, when all who held the key have ended
                                  */
};

struct nucleus_statistics {
    uint64_t invocations, faults, page_faults, copies, snapshots, dispatches, cr3_writes,
        interrupts;
    uint64_t fetched, evicted; /* objects that came from stores; that left memory again */
    uint64_t idle;             /* TSC ticks without anything to run */
    uint64_t reserved[5];
};

#endif
