/*
 * Native programs: how one is laid out in memory, and which keys it finds in its registers.
 * Everything that creates a native program keeps to this: the nucleus (supervisor), the supervisor
 * (commons), mkdistrict (bank, steward, personality, terminal agent of a new district).
 *
 * A native program is a static ELF64 linked between NATIVE_BASE and NATIVE_LIMIT. Its address space
 * is a segment of height 3 (64 GiB); the node of height 2 in slot 0 holds the program:
 *
 *   0x00100000  text, read-only data, data, bss (as the ELF says, W^X)
 *   0x04000000  heap, grows up, pages made by the program itself from KR_RANGE
 *   0x0f000000  stack, NATIVE_STACK_SIZE bytes up to NATIVE_STACK_TOP, all present from the start
 *   0x10000000  (next 256 MiB slot) windows: boot archive, shared buffers, device registers, ...
 *
 * It starts at the ELF entry with rsp = NATIVE_STACK_TOP - 16, all other registers 0.
 */
#ifndef BAILIWICK_NATIVE_H
#define BAILIWICK_NATIVE_H

#define NATIVE_HEIGHT     3u
#define NATIVE_BASE       0x00100000ul
#define NATIVE_LIMIT      0x04000000ul
#define NATIVE_HEAP       0x04000000ul
#define NATIVE_HEAP_LIMIT 0x0e000000ul
#define NATIVE_STACK_SIZE 0x10000ul
#define NATIVE_STACK_TOP  0x0f010000ul
#define NATIVE_WINDOWS    0x10000000ul

/* Key registers at the start. */
#define KR_VOID   0
#define KR_CALLER 1 /* by convention: resume key of the message being served */
#define KR_SELF   2 /* domain key to itself */
#define KR_SPACE  3 /* its address space: writable segment key of NATIVE_HEIGHT */
/** Range key for its own objects; NATIVE_RANGE_USED ids were used to build it */
#define KR_RANGE    4
#define KR_NAMES    5  /* commons: start key to the supervisor (names.h); district: KEY_GRANT */
#define KR_PROGRAM  6  /* 6..15: what this program in particular is given */
#define KR_ARGUMENT 16 /* 16..19: keys received in a message */
#define KR_SCRATCH  20 /* 20..23: the run-time library's own; 24..31: the program's */

/** First offset in KR_RANGE that the program may use (what built it used those below). */
#define NATIVE_RANGE_USED 4096u

#endif
