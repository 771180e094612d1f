/*
 * Figures of links, counted in instructions (counting.h), with districts that are made up
 * (supply.h): a call from one district to another over a live link against a call at home, and what
 * it takes to sever the links to a district, by their number.
 */
#include <stdio.h>
#include <string.h>
#include "supply.h"

#define ROUNDS 1000u

/* Key registers of this program: districts, and links to what they publish. */
#define KR_HOLDER(i) KEY_AT(13 + (i))
#define KR_TARGET    KEY_AT(25)
#define KR_HOME      KEY_AT(26)
#define KR_LINK      KEY_AT(31)
#define KR_PASSED(i) KEY_AT(16 + (i))
#define KR_INTO(i)   KEY_AT(28 + (i))

/* Code of domains, a page each. */
extern const uint8_t bw_echo_page[BW_PAGE_SIZE], bw_caller_page[BW_PAGE_SIZE];
__asm__(".section .text.pages, \"ax\"\n"
        ".set ANSWER, 0x0000000100010002\n" /* RETURN through register 1, next caller there too */
        ".balign 4096\n"
        ".globl bw_echo_page, bw_caller_page\n"
        "bw_echo_page:\n" /* answers with what it got; word 0: which keys go with that */
        "   mov $ANSWER, %rax\n"
        "   syscall\n"
        "   mov %rsi, %r10\n"
        "   test %al, %al\n"
        "   jz bw_echo_page\n"
        "   xor %r10d, %r10d\n" /* a post: it was started */
        "   jmp bw_echo_page\n"
        ".balign 4096, 0xcc\n"
        "bw_caller_page:\n" /* the first message brings a key for register 2 */
        "   mov $ANSWER, %rax\n"
        "   mov $2, %ebx\n"
        "   syscall\n"
        "   test %al, %al\n"
        "   jnz bw_caller_page\n"
        "   xor %ebx, %ebx\n"
        "1: mov $ANSWER, %rax\n" /* the others: word 0, what to invoke; word 1, how often */
        "   syscall\n"
        "   mov %rsi, %r12\n"
        "   mov %rdx, %r14\n"
        "   lfence\n"
        "   rdtsc\n"
        "   shl $32, %rdx\n"
        "   or %rdx, %rax\n"
        "   mov %rax, %r15\n"
        "2: mov %r12, %rax\n"
        "   mov $1, %edi\n"
        "   xor %esi, %esi\n"
        "   syscall\n"
        "   dec %r14\n"
        "   jnz 2b\n"
        "   lfence\n"
        "   rdtsc\n"
        "   shl $32, %rdx\n"
        "   or %rdx, %rax\n"
        "   sub %r15, %rax\n"
        "   mov %rax, %rsi\n" /* word 0: how long that took */
        "   jmp 1b\n"
        ".balign 4096, 0xcc\n"
        ".previous\n");

/** Domain i of a district runs this page, in a space that has nothing else. */
static void supply_program(uint16_t district, unsigned i, const uint8_t *page, uint64_t takes,
                           const struct key *keys)
{
    oid_t code = OID_CODE + 2 * i;

    object_begin(code, OBJECT_PAGE);
    memcpy(object.bytes, page, BW_PAGE_SIZE);
    supply(district);
    object_begin(code + 1, OBJECT_NODE);
    object.keys[CODE_ADDRESS / BW_PAGE_SIZE] = object_key(KEY_PAGE, RIGHT_EXECUTE, 0, code);
    supply(district);
    object_begin(OID_DOMAINS + i, OBJECT_DOMAIN);
    struct domain_frame *f = &object.domain;
    f->state = DOMAIN_RUNNING;
    f->call_count = 1;
    f->deadline = BW_NO_DEADLINE;
    f->list_slot = i;
    f->segment = object_key(KEY_SEGMENT, RIGHT_EXECUTE, 1, code + 1);
    f->meter = (struct key){.type = KEY_METER, .tag = 2};
    f->regs = (struct regs){.rip = CODE_ADDRESS, .rflags = 0x202, .rbx = takes};
    if (keys)
        memcpy(f->keys, keys, sizeof f->keys);
    supply(district);
}

/** The link to what a district publishes goes to `to`, when it runs and has come to its first
 * message. */
static void find(uint16_t district, const char *name, uint16_t to)
{
    struct message m;

    do {
        bw_wait(bw_monotonic() + 1000000);
        m = (struct message){
            .code = DISTRICT_PUBLISHED, .string = name, .length = strlen(name), .take = {to}};
    } while (bw_call(district, &m) < 0);
}

/* --- calls ------------------------------------------------------------------------------------ */

/** Calls by the domain behind KR_INTO(0), to what is in its register. @return instructions each */
static uint64_t calls(unsigned key, unsigned rounds)
{
    struct message m = {.code = 1, .word = {OP_CALL | (uint64_t)key << 16, rounds}};

    must(bw_call(KR_INTO(0), &m), "calls");
    return (m.word[0] + rounds / 2) / rounds;
}

static void measure_calls(void)
{
    const struct key home[BW_KEY_REGISTERS] = {[3] = object_key(KEY_START, 0, 0, OID_DOMAINS + 1)};
    struct message m = {.code = 1, .send = {KR_LINK}};

    district_new(KR_TARGET, "target");
    supply_system(KR_TARGET, 1, 1);
    supply_program(KR_TARGET, 0, bw_echo_page, 0, NULL);
    district_start(KR_TARGET);
    district_new(KR_HOME, "caller");
    supply_system(KR_HOME, 2, 1);
    supply_program(KR_HOME, 0, bw_caller_page, 0, home);
    supply_program(KR_HOME, 1, bw_echo_page, 0, NULL);
    district_start(KR_HOME);
    find(KR_TARGET, "a", KR_LINK);
    find(KR_HOME, "a", KR_INTO(0));
    must(bw_call(KR_INTO(0), &m), "a link for the caller");
    calls(2, 10);
    calls(3, 10);
    report("link_call_instructions", calls(2, ROUNDS));
    report("home_call_instructions", calls(3, ROUNDS));
    district_kill(KR_TARGET);
    district_kill(KR_HOME);
}

/* --- severing --------------------------------------------------------------------------------- */

#define HOLDERS  3u /* no district may have all the links of another one */
#define NODES    20u
#define DOMAINS  2u
#define OID_KEYS ((oid_t)0x30000)

/** A district whose domains hand out keys to themselves, each with a tag of its own: as many as
 * their nodes have slots. */
static void make_target(void)
{
    district_new(KR_TARGET, "target");
    supply_system(KR_TARGET, DOMAINS, DOMAINS);
    for (unsigned d = 0; d < DOMAINS; d++) {
        struct key keys[BW_KEY_REGISTERS] = {0};

        for (unsigned n = 0; n < NODES; n++) {
            oid_t oid = OID_KEYS + d * NODES + n;

            object_begin(oid, OBJECT_NODE);
            for (unsigned i = 0; i < BW_NODE_SLOTS; i++)
                object.keys[i] =
                    object_key(KEY_START, 0, 1 + n * BW_NODE_SLOTS + i, OID_DOMAINS + d);
            supply(KR_TARGET);
            keys[2 + n] = object_key(KEY_NODE, RIGHT_WRITE, 0, oid);
        }
        supply_program(KR_TARGET, d, bw_echo_page, 0, keys);
    }
    district_start(KR_TARGET);
}

static void make_holders(void)
{
    for (unsigned i = 0; i < HOLDERS; i++) {
        const char name[] = {(char)('1' + i), 0};

        district_new(KR_HOLDER(i), name);
        supply_system(KR_HOLDER(i), 1, 1);
        supply_program(KR_HOLDER(i), 0, bw_echo_page, FOUR_KEYS(2, 3, 4, 5), NULL);
        district_start(KR_HOLDER(i));
        find(KR_HOLDER(i), "a", KR_INTO(i));
    }
}

static void drop_link(uint16_t key)
{
    struct message m = {.send = {key}};

    must(bw_self(SELF_LINK_DROP, &m), "dropping a link");
}

/** The next four keys of a domain of the target become links of a holder, and of nobody else. */
static void pass(uint16_t from, unsigned number, uint16_t to)
{
    unsigned node = 2 + number / BW_NODE_SLOTS, slot = number % BW_NODE_SLOTS;
    struct message m = {
        .code = 1,
        .word = {FOUR_KEYS(KEY_IN_NODE(node, slot), KEY_IN_NODE(node, slot + 1),
                           KEY_IN_NODE(node, slot + 2), KEY_IN_NODE(node, slot + 3))},
        .take = {KR_PASSED(0), KR_PASSED(1), KR_PASSED(2), KR_PASSED(3)}};

    must(bw_call(from, &m), "four keys");
    m = (struct message){.code = 1,
                         .send = {KR_PASSED(0), KR_PASSED(1), KR_PASSED(2), KR_PASSED(3)}};
    must(bw_call(to, &m), "passing them on");
    for (unsigned i = 0; i < 4; i++)
        drop_link(KR_PASSED(i));
}

/** Links of all holders to the target. */
static unsigned count_links(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < HOLDERS; i++) {
        struct link_line line;
        struct message m = {.code = DISTRICT_LINKS, .buffer = &line, .size = sizeof line};

        while (bw_call(KR_HOLDER(i), &m) == BW_OK) {
            n += strcmp(line.district, "target") == 0;
            m = (struct message){.code = DISTRICT_LINKS,
                                 .word = {m.word[0] + 1},
                                 .buffer = &line,
                                 .size = sizeof line};
        }
    }
    return n;
}

static void measure_sever(unsigned links)
{
    char name[48];
    uint64_t begin;

    make_target();
    make_holders();
    find(KR_TARGET, "a", KR_LINK);
    find(KR_TARGET, "b", KR_HOME);
    for (unsigned i = 0; i < links / 4; i++)
        pass(i % DOMAINS ? KR_HOME : KR_LINK, i / DOMAINS * 4, KR_INTO(i % HOLDERS));
    bw_assert(count_links() == links / 4 * 4);
    begin = ticks();
    district_kill(KR_TARGET);
    snprintf(name, sizeof name, "sever_%u_links_instructions", links);
    report(name, ticks() - begin);
    for (unsigned i = 0; i < HOLDERS; i++)
        district_kill(KR_HOLDER(i));
}

int main_native(uint64_t word)
{
    (void)word;
    supply_open();
    report_open();
    measure_calls();
    measure_sever(12);
    measure_sever(1000);
    measure_sever(10000);
    report_done();
    return 0;
}
