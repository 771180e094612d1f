/*
 * Random invocations: most of them nearly right, since what is plainly wrong is refused early.
 */
#include "fuzz.h"

static uint64_t state = 1;

void random_seed(uint64_t seed)
{
    state = seed * 0x9e3779b97f4a7c15ull | 1;
}

uint64_t random_bits(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1dull;
}

uint64_t pick(uint64_t n)
{
    return (random_bits() >> 16) % n;
}

static bool chance(unsigned percent)
{
    return pick(100) < percent;
}

unsigned register_kind(unsigned reg)
{
    static const uint8_t kinds[] = {KEY_DOMAIN, KEY_START, KEY_NODE,    KEY_SEGMENT,
                                    KEY_PAGE,   KEY_RANGE, KEY_SEGMENT, KEY_START};
    return reg >= 4 && reg < 28 ? kinds[reg % 8] : KEY_VOID;
}

/** A register that held such a key at first; behind it a resume key, a node's slot, or anything. */
static uint16_t designator(unsigned kind)
{
    unsigned reg = 1 + (unsigned)pick(31);
    while (kind != KEY_VOID && register_kind(reg) != kind)
        reg = 4 + (unsigned)pick(24);
    if (chance(3))
        return (uint16_t)random_bits();
    if (chance(10))
        return KEY_IN_NODE(reg, pick(16));
    return chance(5) ? KEY_AT(1) : KEY_AT(reg);
}

/** Where received keys go: most often where they spoil nothing. */
static uint16_t taker(void)
{
    if (chance(50))
        return KEY_AT(28 + pick(4));
    return chance(50) ? KEY_IN_NODE(2, pick(16)) : designator(KEY_VOID);
}

static uint64_t takers(void)
{
    return chance(50) ? taker() : FOUR_KEYS(taker(), taker(), 0, chance(50) ? taker() : 0);
}

static uint64_t address(void)
{
    static const uint64_t bases[] = {0, WORKER_CODE, WORKER_DATA, WORKER_SCRIPT,
                                     WORKER_SCRIPT + SCRIPT_PAGES * BW_PAGE_SIZE};
    uint64_t a = bases[pick(5)] + pick(8) * BW_PAGE_SIZE;
    if (chance(30))
        a += pick(BW_PAGE_SIZE);
    if (chance(5))
        a = random_bits() >> pick(64);
    return chance(2) ? (uint64_t)-1 - pick(5000) : a;
}

static uint64_t length(void)
{
    static const uint64_t lengths[] = {0, 1, 16, 160, 832, 4096, 5000, 65536, 65537};
    return chance(70) ? lengths[pick(9)] : chance(90) ? pick(300) : random_bits() >> pick(64);
}

/** What segment orders take as their second word: height, type or rights, rights. */
static uint64_t shape(void)
{
    uint64_t height = pick(4), second = pick(4);
    return height | (chance(80) ? (height == 0 ? OBJECT_PAGE : OBJECT_NODE) : second) << 8 |
           pick(8) << 16;
}

static uint64_t word(void)
{
    switch (pick(10)) {
    case 0 ... 2:
        return pick(8);
    case 3:
        return address();
    case 4:
        return shape();
    case 5:
        return pick(256);
    case 6:
        return pick(1200); /* an offset in a range */
    case 7:
        return length();
    case 8:
        return 1ull << pick(64);
    default:
        return random_bits() >> pick(64);
    }
}

/** What a sent key is for, by order: kinds of k0 and k1. */
static uint64_t sent_keys(unsigned kind, uint64_t order)
{
    unsigned k0 = KEY_VOID, k1 = KEY_VOID, k2 = KEY_VOID;
    if (kind == KEY_NODE)
        k0 = order == NODE_COPY ? KEY_NODE : KEY_VOID;
    else if (kind == KEY_SEGMENT || kind == KEY_PAGE)
        k0 = order == SEGMENT_COPY || order == SEGMENT_PUT ? KEY_SEGMENT : KEY_RANGE;
    else if (order == DOMAIN_SET_SEGMENT || order == DOMAIN_MAKE)
        k0 = KEY_SEGMENT;
    else if (order == DOMAIN_SET_KEEPER)
        k0 = KEY_START;
    else if (order == DOMAIN_COPY)
        k0 = KEY_DOMAIN;
    if (order == SEGMENT_FORK || order == SEGMENT_CREATE)
        k1 = chance(70) ? KEY_SEGMENT : KEY_NODE;
    if (order == DOMAIN_MAKE)
        k1 = k2 = KEY_DOMAIN;
    return FOUR_KEYS(chance(85) ? designator(k0) : 0, chance(60) ? designator(k1) : 0,
                     chance(30) ? designator(k2) : 0, chance(30) ? designator(k2) : 0);
}

static uint64_t order_of(unsigned kind)
{
    switch (kind) {
    case KEY_DOMAIN:
        return 1 + pick(16);
    case KEY_NODE:
        return 1 + pick(5);
    case KEY_SEGMENT:
        return 16 + pick(11);
    case KEY_PAGE:
        return chance(50) ? 1 + pick(2) : 16 + pick(11);
    case KEY_RANGE:
        return 1 + pick(7);
    default:
        return chance(80) ? 1 + pick(16) : random_bits() >> pick(64);
    }
}

static void fill_order(struct entry *e)
{
    static const uint8_t kinds[] = {KEY_DOMAIN, KEY_START, KEY_NODE,    KEY_NODE, KEY_SEGMENT,
                                    KEY_PAGE,   KEY_RANGE, KEY_SEGMENT, KEY_VOID};
    unsigned kind = kinds[pick(sizeof kinds)];
    e->rax |= (uint64_t)designator(kind) << 16;
    e->rdi = order_of(chance(95) ? kind : KEY_VOID);
    e->r10 = sent_keys(kind, e->rdi);
    if (kind == KEY_SEGMENT || kind == KEY_PAGE) {
        e->rsi = address();
        e->rdx = e->rdi >= SEGMENT_GET && e->rdi < SEGMENT_ZERO ? shape() : length();
        e->r8 = chance(60) ? pick(1024) : length();
    } else if (kind == KEY_NODE) {
        e->rsi = chance(80) ? pick(20) : pick(300);
        e->rdx = chance(80) ? pick(20) : pick(300);
        e->r8 = pick(260);
    } else if (kind == KEY_RANGE) {
        e->rsi = pick(1030);
        e->rdx = chance(70) ? 1 + pick(3) : pick(300);
    }
}

static uint64_t operation(bool keeper)
{
    unsigned n = (unsigned)pick(100);
    if (keeper && n < 60)
        return OP_RETURN;
    return n < 62   ? OP_CALL
           : n < 72 ? OP_RETURN
           : n < 84 ? OP_SEND
           : n < 90 ? OP_POST
           : n < 98 ? OP_SELF
                    : n;
}

static void fill(struct entry *e, bool keeper)
{
    uint64_t op = operation(keeper), flags = 0;
    flags |= chance(50) ? INVOKE_STRING : 0;
    flags |= chance(60) ? INVOKE_RECEIVE : 0;
    flags |= op == OP_RETURN && chance(85) ? INVOKE_DEADLINE : 0;
    flags |= chance(50) ? INVOKE_NOBLOCK : 0;
    flags |= chance(8) ? INVOKE_POSTS_ONLY : 0;
    uint16_t resume = chance(80) ? KEY_AT(1) : taker();
    *e = (struct entry){.rax = op | flags << 8 | (uint64_t)resume << 32};
    e->rsi = word();
    e->rdx = word();
    e->r8 = word();
    e->r9 = word();
    e->rbx = takers();
    e->r12 = address();
    e->r13 = length();
    e->r14 = address();
    e->r15 = length();
    e->rbp = chance(60)   ? bw_monotonic() + pick(20000000)
             : chance(50) ? 0
                          : random_bits() >> pick(64);
    if (op == OP_CALL) {
        fill_order(e);
        return;
    }
    unsigned kind = op == OP_SEND || op == OP_POST ? KEY_START : KEY_VOID;
    uint16_t key = (op == OP_RETURN && chance(60)) || chance(20) ? KEY_AT(1) : designator(kind);
    e->rax |= (uint64_t)key << 16;
    e->rdi = op == OP_RETURN ? pick(4) : 1 + pick(op == OP_SELF ? 22 : 12);
    e->r10 = FOUR_KEYS(designator(KEY_VOID), chance(50) ? designator(KEY_VOID) : KEY_AT(1), 0,
                       chance(50) ? designator(KEY_START) : 0);
}

void script_fill(struct entry *script, bool keeper)
{
    for (unsigned i = 0; i < ENTRIES; i++)
        fill(&script[i], keeper);
}
