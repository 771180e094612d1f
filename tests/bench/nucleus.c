/*
 * Figures of the nucleus alone, counted in instructions (counting.h). This program measures
 * invocations against a second domain with an address space of its own, and plays store server for
 * districts that it makes up, to see how long a snapshot stops them.
 */
#include <stdio.h>
#include <string.h>
#include "supply.h"

#define KR_PARTNER  KEY_AT(25)
#define KR_DISTRICT KEY_AT(26)
#define KR_WORK     KEY_AT(28)
#define KR_SPACE_2  KEY_AT(29)

#define ROUNDS    1000u
#define MIB_PAGES 256u

/* The code of other domains, a page each, mapped at CODE_ADDRESS there. */
#define DATA_ADDRESS 0x10000000ul
extern const uint8_t bw_partner_page[BW_PAGE_SIZE], bw_worker_page[BW_PAGE_SIZE];
__asm__(".section .text.pages, \"ax\"\n"
        ".balign 4096\n"
        ".globl bw_partner_page, bw_worker_page\n"
        "bw_partner_page:\n"                 /* answers every call with what it got */
        "   mov $0x0000000100010002, %rax\n" /* RETURN through register 1, next caller there too */
        "   syscall\n"
        "   jmp bw_partner_page\n"
        ".balign 4096, 0xcc\n"
        "bw_worker_page:\n" /* reads r9 pages from r8 on, then writes r15 words r14 apart */
        "   mov %r8, %rdi\n"
        "   mov %r9, %rcx\n"
        "   jrcxz 2f\n"
        "1: mov (%rdi), %rax\n"
        "   add $4096, %rdi\n"
        "   dec %rcx\n"
        "   jnz 1b\n"
        "2: mov %r8, %rdi\n"
        "   mov %r15, %rcx\n"
        "   jrcxz 4f\n"
        "3: incq (%rdi)\n"
        "   add %r14, %rdi\n"
        "   dec %rcx\n"
        "   jnz 3b\n"
        "4: mov $2, %eax\n" /* RETURN to nobody: waits for ever */
        "   xor %r10d, %r10d\n"
        "   xor %ebx, %ebx\n"
        "   syscall\n"
        "   jmp 4b\n"
        ".balign 4096, 0xcc\n"
        ".previous\n");

/* --- invocations ------------------------------------------------------------------------------ */

static inline uint64_t bw_bench_invoke(uint64_t rax, uint64_t rdi)
{
    register uint64_t w2 __asm__("r8") = 3, w3 __asm__("r9") = 4, keys __asm__("r10") = 0;
    uint64_t w0 = 1, w1 = 2, take = 0;
    __asm__ volatile("syscall"
                     : "+a"(rax), "+D"(rdi), "+S"(w0), "+d"(w1), "+b"(take), "+r"(w2), "+r"(w3),
                       "+r"(keys)::"rcx", "r11", "r13", "memory");
    return rdi;
}

static uint64_t cr3_writes(void)
{
    struct nucleus_statistics s;
    struct message m = {.code = NUCLEUS_STATISTICS, .buffer = &s, .size = sizeof s};
    must(bw_call(KR_NUCLEUS, &m), "statistics");
    return s.cr3_writes;
}

static void create(unsigned type, uint16_t to)
{
    struct message m = {.code = RANGE_CREATE, .word = {bw_next_id(1), type}, .take = {to}};
    must(bw_call(KEY_AT(KR_RANGE), &m), "create");
}

/** A domain that runs bw_partner_page in a space of its own; a start key to it goes to KR_PARTNER.
 */
static void make_partner(void)
{
    struct message m = {
        .code = SEGMENT_GET, .word = {(uintptr_t)bw_partner_page, 0}, .take = {KR_WORK}};
    must(bw_call(KEY_AT(KR_SPACE), &m), "code page");
    create(OBJECT_NODE, KR_SPACE_2);
    m = (struct message){
        .code = NODE_STORE, .word = {CODE_ADDRESS / BW_PAGE_SIZE}, .send = {KR_WORK}};
    must(bw_call(KR_SPACE_2, &m), "map code");
    m = (struct message){
        .code = NODE_SEGMENT, .word = {1, RIGHT_EXECUTE | RIGHT_WRITE}, .take = {KR_SPACE_2}};
    must(bw_call(KR_SPACE_2, &m), "segment");
    create(OBJECT_DOMAIN, KR_PARTNER);
    m = (struct message){.code = DOMAIN_SET_SEGMENT, .send = {KR_SPACE_2}};
    must(bw_call(KR_PARTNER, &m), "set segment");
    m = (struct message){.code = NUCLEUS_METER, .word = {1}, .take = {KR_WORK}};
    must(bw_call(KR_NUCLEUS, &m), "meter");
    m = (struct message){.code = DOMAIN_SET_METER, .send = {KR_WORK}};
    must(bw_call(KR_PARTNER, &m), "set meter");
    struct regs regs = {.rip = CODE_ADDRESS, .rflags = 0x202};
    m = (struct message){.code = DOMAIN_SET_REGS, .string = &regs, .length = sizeof regs};
    must(bw_call(KR_PARTNER, &m), "set registers");
    m = (struct message){.code = DOMAIN_START};
    must(bw_call(KR_PARTNER, &m), "start");
    m = (struct message){.code = DOMAIN_MAKE_START, .take = {KR_PARTNER}};
    must(bw_call(KR_PARTNER, &m), "make start key");
}

static __attribute__((noinline)) void bw_measure_invocations(void)
{
    const uint64_t call = OP_CALL | (uint64_t)KR_PARTNER << 16;

    make_partner();
    for (unsigned i = 0; i < 10; i++)
        bw_bench_invoke(call, 1);
    uint64_t cr3 = cr3_writes(), begin = ticks();
    for (unsigned i = 0; i < ROUNDS; i++)
        bw_bench_invoke(call, 1);
    uint64_t end = ticks();
    cr3 = cr3_writes() - cr3;
    report("call_return_instructions", (end - begin + ROUNDS / 2) / ROUNDS);
    report("call_return_cr3_writes_per_1000", cr3);
    begin = ticks();
    for (unsigned i = 0; i < ROUNDS; i++)
        bw_bench_invoke(OP_SELF, SELF_SAME);
    report("null_call_instructions", (ticks() - begin + ROUNDS / 2) / ROUNDS);
}

/* --- districts -------------------------------------------------------------------------------- */

#define OID_CODE_1 ((oid_t)0x20001)
#define OID_CODE_2 ((oid_t)0x20002)
#define OID_ROOT   ((oid_t)0x20003)
#define OID_DATA_2 ((oid_t)0x20004)
#define OID_DATA_1 ((oid_t)0x21000)
#define OID_DATA   ((oid_t)0x100000)

static void supply_space(unsigned pages)
{
    object_begin(OID_CODE, OBJECT_PAGE);
    memcpy(object.bytes, bw_worker_page, BW_PAGE_SIZE);
    supply(KR_DISTRICT);
    object_begin(OID_CODE_1, OBJECT_NODE);
    object.keys[CODE_ADDRESS / BW_PAGE_SIZE] = object_key(KEY_PAGE, RIGHT_EXECUTE, 0, OID_CODE);
    supply(KR_DISTRICT);
    object_begin(OID_CODE_2, OBJECT_NODE);
    object.keys[0] = object_key(KEY_SEGMENT, RIGHT_EXECUTE, 1, OID_CODE_1);
    supply(KR_DISTRICT);
    object_begin(OID_ROOT, OBJECT_NODE);
    object.keys[0] = object_key(KEY_SEGMENT, RIGHT_EXECUTE, 2, OID_CODE_2);
    object.keys[1] = object_key(KEY_SEGMENT, RIGHT_WRITE, 2, OID_DATA_2);
    supply(KR_DISTRICT);
    object_begin(OID_DATA_2, OBJECT_NODE);
    for (unsigned i = 0; i < pages / BW_NODE_SLOTS; i++)
        object.keys[i] = object_key(KEY_SEGMENT, RIGHT_WRITE, 1, OID_DATA_1 + i);
    supply(KR_DISTRICT);
    for (unsigned n = 0; n < pages / BW_NODE_SLOTS; n++) {
        object_begin(OID_DATA_1 + n, OBJECT_NODE);
        for (unsigned i = 0; i < BW_NODE_SLOTS; i++)
            object.keys[i] = object_key(KEY_PAGE, RIGHT_WRITE, 0, OID_DATA + n * BW_NODE_SLOTS + i);
        supply(KR_DISTRICT);
    }
    for (unsigned i = 0; i < pages; i++) {
        object_begin(OID_DATA + i, OBJECT_PAGE);
        object.header.flags = 0;
        supply(KR_DISTRICT);
    }
}

/** The first domain reads all `pages` and writes to `dirty` of them; the others do nothing. */
static void supply_domains(unsigned domains, unsigned pages, unsigned dirty)
{
    for (unsigned i = 0; i < domains; i++) {
        object_begin(OID_DOMAINS + i, OBJECT_DOMAIN);
        struct domain_frame *f = &object.domain;
        f->state = DOMAIN_RUNNING;
        f->call_count = 1;
        f->deadline = BW_NO_DEADLINE;
        f->list_slot = i;
        f->segment = object_key(KEY_SEGMENT, RIGHT_EXECUTE | RIGHT_WRITE, 3, OID_ROOT);
        f->meter = (struct key){.type = KEY_METER, .tag = 2};
        f->regs = (struct regs){.rip = CODE_ADDRESS, .rflags = 0x202, .r8 = DATA_ADDRESS};
        if (i == 0) {
            f->regs.r9 = pages;
            f->regs.r15 = dirty;
            f->regs.r14 = pages / dirty * BW_PAGE_SIZE;
        }
        supply(KR_DISTRICT);
    }
}

static struct district_status status(void)
{
    struct district_status s;
    struct message m = {.code = DISTRICT_STATUS, .buffer = &s, .size = sizeof s};
    must(bw_call(KR_DISTRICT, &m), "status");
    return s;
}

/** Until the district has done its work: nothing has become dirty for 50 ms. */
static void settle(uint64_t least)
{
    uint64_t before = 0, now = 0;
    do {
        before = now;
        bw_wait(bw_monotonic() + 50000000);
        now = status().dirty;
        bw_assert(!status().crashed);
    } while (now < least || now != before);
}

/** Pulls the whole snapshot as a store server would. @return objects pulled */
static uint64_t pull_all(void)
{
    static uint8_t buffer[BW_STRING_MAX];
    uint64_t pulled = 0;
    for (;;) {
        struct message m = {.code = DISTRICT_PULL, .word = {DISTRICT_PULL_MAX}, .buffer = buffer};
        m.size = sizeof buffer;
        must(bw_call(KR_DISTRICT, &m), "pull");
        if (m.word[0] == 0)
            return pulled;
        pulled += m.word[0];
    }
}

static uint64_t snapshot_call; /* instructions of the last DISTRICT_SNAPSHOT, with the call */

/** One district; reports how long its snapshot stopped it. @return instructions a page pulled */
static uint64_t measure_stop(const char *name, unsigned pages, unsigned dirty, unsigned domains)
{
    struct message m;
    district_new(KR_DISTRICT, "bench");
    supply_system(KR_DISTRICT, domains, 0);
    supply_space(pages);
    supply_domains(domains, pages, dirty);
    district_start(KR_DISTRICT);
    settle(dirty + domains);
    m = (struct message){.code = DISTRICT_SNAPSHOT};
    uint64_t asked = ticks();
    must(bw_call(KR_DISTRICT, &m), "snapshot");
    snapshot_call = ticks() - asked;
    uint64_t epoch = m.word[0];
    report(name, m.word[2]);
    uint64_t begin = ticks(), pulled = pull_all(), per_page = (ticks() - begin) / pulled;
    m = (struct message){.code = DISTRICT_COMMITTED, .word = {epoch}};
    must(bw_call(KR_DISTRICT, &m), "committed");
    district_kill(KR_DISTRICT);
    return per_page;
}

static void measure_stops(void)
{
    static const unsigned sizes[] = {1, 16, 64, 256}, percents[] = {1, 10, 100},
                          counts[] = {1, 10, 100, 1000};
    char name[48];
    uint64_t per_page = 0;

    for (unsigned s = 0; s < 4; s++) {
        for (unsigned p = 0; p < 3; p++) {
            unsigned pages = sizes[s] * MIB_PAGES, dirty = pages * percents[p] / 100;
            snprintf(name, sizeof name, "stop_%umib_%upercent", sizes[s], percents[p]);
            per_page = measure_stop(name, pages, dirty, 1);
        }
    }
    report("snapshot_call_instructions", snapshot_call);
    report("pull_instructions_per_page", per_page);
    for (unsigned c = 0; c < 4; c++) {
        snprintf(name, sizeof name, "stop_%uprocesses", counts[c]);
        measure_stop(name, MIB_PAGES, MIB_PAGES / 10, counts[c]);
    }
}

int main_native(uint64_t word)
{
    (void)word;
    supply_open();
    report_open();
    bw_measure_invocations();
    measure_stops();
    report_done();
    return 0;
}
