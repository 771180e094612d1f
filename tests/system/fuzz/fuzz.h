/*
 * The fuzzer's parts. Workers are domains that run one small loop (worker.c): pick an entry of a
 * script at random, load all registers from it, SYSCALL. Scripts are random invocations made by
 * script.c. main.c keeps workers of the commons going, district.c plays store server and broker for
 * districts full of workers.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <bailiwick/district.h>
#include <bailiwick/runtime.h>

/* A worker's address space, a segment of height 2. */
#define WORKER_CODE   0x1000ul
#define WORKER_DATA   0x100000ul /* its generator's state, how often it went round */
#define WORKER_SCRIPT 0x110000ul
#define ENTRIES       1024u /* of 128 bytes: 32 pages */
#define SCRIPT_PAGES  (ENTRIES * sizeof(struct entry) / BW_PAGE_SIZE)
#define SPARE_PAGES   4u /* behind the script, for strings */

/** One invocation: registers in the order in which the loop loads them. */
struct entry {
    uint64_t rax, rdi, rsi, rdx, r8, r9, r10, rbx, r12, r13, r14, r15, rbp;
    uint64_t unused[3];
};
_Static_assert(sizeof(struct entry) == 128, "worker.c multiplies by 128");

extern const uint8_t bw_fuzz_worker_page[BW_PAGE_SIZE], bw_fuzz_honest_page[BW_PAGE_SIZE];

/* Key registers of main. */
#define KR_NUCLEUS KEY_AT(KR_PROGRAM)
#define KR_PORTS   KEY_AT(24)
#define KR_OWN     KEY_AT(26)
#define KR_PLAY    KEY_AT(27) /* range of all objects of the commons' workers */
#define KR_WORK    KEY_AT(28)
#define KR_WORK_2  KEY_AT(29)
/** Node of main's: what it keeps of its workers, and the districts' keys */
#define KR_TABLE_AT 30u

#define FUZZ_DISTRICTS    3u
#define FIRST_DISTRICT_AT 64u /* in the table */

/* script.c */
void random_seed(uint64_t seed);
uint64_t random_bits(void);
/** Below n. */
uint64_t pick(uint64_t n);
/** What kind of key a worker's register holds at first; VOID: any. Scripts choose registers by it.
 */
unsigned register_kind(unsigned reg);
void script_fill(struct entry *script, bool keeper);

/* main.c */
extern uint64_t balloon; /* frames taken away in this round */
void must(int64_t result, const char *what);
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** Ends the run: what must never be was seen. */
void failed(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* district.c */
void district_begin(void);
/** Some small steps of their store server and broker. */
void district_step(void);
void district_end(void);
extern uint64_t district_commits, district_restarts, district_connections;

/* commons.c */
void commons_begin(void);
void commons_step(void);
void commons_end(void);
/** A start key to one of its workers, or void. */
void commons_start_key(uint16_t take);

#endif
