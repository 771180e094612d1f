/*
 * Run-time library of native programs: invocation, keys, heap. Links with musl's libc.a for string
 * and formatting functions only (none that make a Linux system call). See native.h for the layout.
 */
#ifndef BAILIWICK_RUNTIME_H
#define BAILIWICK_RUNTIME_H

#include <bailiwick/invoke.h>
#include <bailiwick/native.h>

/** Everything that an invocation passes in and gets back. Unused fields: 0. */
struct message {
    int64_t code; /* order, or result */
    uint64_t word[BW_MESSAGE_WORDS];
    uint16_t send[BW_MESSAGE_KEYS]; /* designators of keys to send */
    uint16_t take[BW_MESSAGE_KEYS]; /* designators of slots for keys received */
    const void *string;             /* to send */
    size_t length;                  /* of string; after an invocation: of what was received */
    void *buffer;                   /* for the string received */
    size_t size;                    /* of buffer */
    bw_time_t deadline;             /* RETURN: MONOTONIC, 0 or BW_NO_DEADLINE: none */
    /* set by the invocation: */
    uint16_t badge;
    uint8_t delivery; /* enum delivery */
    uint8_t cut;      /* 1: the string was cut */
    uint32_t sender;  /* 0: our own district, else its slot + 1 */
};

/*
 * Invocations leave take, buffer and size as the caller set them, clear send and string (so that
 * `m` can be used again), and set the rest; a deadline that has passed is cleared too.
 */

/** CALL; the reply's result is returned and also left in m->code. */
int64_t bw_call(uint16_t key, struct message *m);
/** SEND without waiting for an answer; flags 0 or INVOKE_NOBLOCK. Returns BW_OK, BW_BUSY, BW_VOID,
 * ... and leaves m as it is. */
int64_t bw_send(uint16_t key, struct message *m, unsigned flags);
/** Sends the reply in m (code, word, send, string) through `key` (0: none), then waits for the next
 *  message, which overwrites m (take and buffer stay as set by the caller). The caller's resume key
 * goes to place `resume`. flags: 0 or INVOKE_POSTS_ONLY. */
void bw_return(uint16_t key, struct message *m, uint16_t resume, unsigned flags);
/** POST through a start key. */
int64_t bw_post(uint16_t key);
/** OP_SELF. */
int64_t bw_self(enum self_order order, struct message *m);

/* Short forms. */
int64_t bw_copy_key(uint16_t from, uint16_t to);
void bw_drop_key(uint16_t place);
bw_time_t bw_monotonic(void);
bw_time_t bw_realtime(void);
/** One line to the nucleus's log; its newline may be left out. */
void bw_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** Waits until `deadline` (MONOTONIC) or a post; returns the bits posted, 0 at the deadline. */
uint64_t bw_wait(bw_time_t deadline);
/** Commons: finds `name` (NAMES_FIND) into place; district: GRANT_FIND. */
int64_t bw_find(const char *name, uint16_t place);
/** The same, but of the commons only, and BW_ABSENT if it is not there now. */
int64_t bw_find_now(const char *name, uint16_t place);
/** Commons: publishes a start key to ourselves with that badge. */
int64_t bw_publish(const char *name, uint16_t badge);
/** Ends this program: commons: NAMES_EXIT; district: stops the domain. */
void bw_exit(uint64_t word) __attribute__((noreturn));
/** Prints to the log which assertion broke, and ends by an illegal instruction: the keeper
 * (supervisor) or the crash policy of the district then decides. */
void bw_panic(const char *file, int line, const char *what) __attribute__((noreturn));
#define bw_assert(e) ((e) ? (void)0 : bw_panic(__FILE__, __LINE__, #e))

/** Maps fresh zeroed pages at `address` (page-aligned) in our own space, making nodes as needed. */
int64_t bw_map_fresh(uintptr_t address, size_t pages);
/** Puts a key (page, or segment of `height`) into our own space at `address`, making nodes as
 * needed. */
int64_t bw_map_key(uintptr_t address, unsigned height, uint16_t key);
/** The next unused id offset of KR_RANGE (the library's own cursor; it is in .data, so it
 * persists). */
uint64_t bw_next_id(uint64_t count);
/** Sets that cursor; for a program whose range begins with ids used by others ("unix"). */
void bw_set_next_id(uint64_t next);

/** Each program defines this; `word` is what the creator put in rdi. */
int main_native(uint64_t word);

#endif
