/*
 * Workers of the commons. All of what they are made of lies in one range of ids that they have a
 * key to themselves, so they change, destroy and make anew each other and their own memory. Each
 * step mends a few.
 *
 * Ids in the range, for worker w: w * WORKER_IDS + ...
 */
#include <string.h>
#include "fuzz.h"

#define WORKERS    8u
#define WORKER_IDS 64u
#define PLAY_IDS   1024u
#define PLAY_FIRST (1u << 20) /* in KR_RANGE */

enum { ID_DOMAIN, ID_ROOT, ID_CODE, ID_DATA, ID_NODE, ID_PAGES };
#define TABLE_ROOT(w) KEY_IN_NODE(KR_TABLE_AT, (w))

static uint64_t id_of(unsigned worker, unsigned id)
{
    return worker * WORKER_IDS + id;
}

/** Orders on the play range; an id may be in use, or gone, at any time. */
static int64_t play(int64_t order, uint64_t offset, uint64_t word, uint16_t take)
{
    struct message m = {.code = order, .word = {offset, word}, .take = {take}};
    return bw_call(KR_PLAY, &m);
}

static void create(unsigned worker, unsigned id, unsigned type, uint16_t take)
{
    (void)play(RANGE_DESTROY, id_of(worker, id), 1, 0);
    (void)play(RANGE_CREATE, id_of(worker, id), type, take);
}

static int64_t store(uint16_t node, unsigned slot, uint16_t key)
{
    struct message m = {.code = NODE_STORE, .word = {slot}, .send = {key}};
    return bw_call(node, &m);
}

static void as_segment(uint16_t node, unsigned height, uint16_t take)
{
    struct message m = {
        .code = NODE_SEGMENT, .word = {height, RIGHT_WRITE | RIGHT_EXECUTE}, .take = {take}};
    bw_call(node, &m);
}

/** The space of a worker: its root's segment key is left in the table. */
static void build_space(unsigned worker)
{
    struct message m = {.code = SEGMENT_GET, .word = {(uintptr_t)bw_fuzz_worker_page}};
    unsigned id = ID_PAGES;
    create(worker, ID_ROOT, OBJECT_NODE, KR_WORK);
    create(worker, ID_CODE, OBJECT_NODE, KR_WORK_2);
    m.take[0] = KEY_AT(KR_SCRATCH);
    must(bw_call(KEY_AT(KR_SPACE), &m), "code page");
    store(KR_WORK_2, WORKER_CODE / BW_PAGE_SIZE, KEY_AT(KR_SCRATCH));
    as_segment(KR_WORK_2, 1, KR_WORK_2);
    store(KR_WORK, 0, KR_WORK_2);
    create(worker, ID_DATA, OBJECT_NODE, KR_WORK_2);
    for (unsigned i = 0; i < 16 + SCRIPT_PAGES + SPARE_PAGES; i++) {
        if (i > 1 && i < 16)
            continue;
        create(worker, id++, OBJECT_PAGE, KEY_AT(KR_SCRATCH));
        store(KR_WORK_2, i, KEY_AT(KR_SCRATCH));
    }
    as_segment(KR_WORK_2, 1, KR_WORK_2);
    store(KR_WORK, 1, KR_WORK_2);
    as_segment(KR_WORK, 2, TABLE_ROOT(worker));
}

static void write_script(unsigned worker)
{
    static struct entry script[ENTRIES];
    script_fill(script, worker == 0);
    for (unsigned at = 0; at < sizeof script; at += BW_STRING_MAX) {
        struct message m = {.code = SEGMENT_WRITE,
                            .word = {WORKER_SCRIPT + at},
                            .string = (uint8_t *)script + at,
                            .length = BW_STRING_MAX};
        (void)bw_call(TABLE_ROOT(worker), &m);
    }
    uint64_t first[2] = {random_bits() | 1, 0};
    struct message m = {
        .code = SEGMENT_WRITE, .word = {WORKER_DATA}, .string = first, .length = sizeof first};
    (void)bw_call(TABLE_ROOT(worker), &m);
}

void commons_start_key(uint16_t take)
{
    struct message m = {.code = DOMAIN_MAKE_START, .word = {pick(70)}, .take = {take}};
    if (play(RANGE_KEY, id_of((unsigned)pick(WORKERS), ID_DOMAIN), OBJECT_DOMAIN, take) == BW_OK)
        bw_call(take, &m);
}

/** Weakens some keys to nodes and pages, and makes segments of some. */
static void vary(uint16_t take, bool segment)
{
    struct message m = {.word = {0, pick(2)}, .send = {take}, .take = {take}};
    if (segment)
        as_segment(take, 1 + (unsigned)pick(4), take);
    if (pick(4) == 0)
        bw_self(SELF_WEAKEN, &m);
}

/** A key of that kind, to `take`; void if what it would name is gone. */
static void any_key(unsigned kind, uint16_t take)
{
    static const uint8_t kinds[] = {KEY_DOMAIN, KEY_START, KEY_NODE, KEY_SEGMENT,
                                    KEY_PAGE,   KEY_RANGE, KEY_METER};
    unsigned worker = (unsigned)pick(WORKERS);
    struct message m = {.word = {pick(2) + 2}, .take = {take}};
    switch (kind == KEY_VOID ? kinds[pick(sizeof kinds)] : kind) {
    case KEY_RANGE:
        bw_copy_key(KR_PLAY, take);
        return;
    case KEY_DOMAIN:
        play(RANGE_KEY, id_of(worker, ID_DOMAIN), OBJECT_DOMAIN, take);
        return;
    case KEY_START:
        commons_start_key(take);
        return;
    case KEY_PAGE:
        play(RANGE_KEY, id_of(worker, ID_PAGES + (unsigned)pick(8)), OBJECT_PAGE, take);
        vary(take, false);
        return;
    case KEY_NODE:
    case KEY_SEGMENT:
        play(RANGE_KEY, id_of(worker, ID_ROOT + (unsigned)pick(4)), OBJECT_NODE, take);
        vary(take, kind == KEY_SEGMENT);
        return;
    default:
        m.code = NUCLEUS_METER;
        bw_call(KR_NUCLEUS, &m);
    }
}

static void give_keys(unsigned worker, uint16_t domain)
{
    create(worker, ID_NODE, OBJECT_NODE, KEY_AT(KR_SCRATCH));
    for (unsigned i = 0; i < 12; i++) {
        any_key(KEY_VOID, KEY_AT(KR_SCRATCH + 1));
        store(KEY_AT(KR_SCRATCH), i, KEY_AT(KR_SCRATCH + 1));
    }
    for (unsigned i = 1; i < BW_KEY_REGISTERS; i++) {
        if (i >= 4)
            any_key(register_kind(i), KEY_AT(KR_SCRATCH + 1));
        struct message m = {.code = DOMAIN_SET_KEY, .word = {i}, .send = {KEY_AT(KR_SCRATCH + 1)}};
        if (i == 2)
            m.send[0] = KEY_AT(KR_SCRATCH);
        if (i == 3)
            m.send[0] = KR_PLAY;
        bw_call(domain, &m);
    }
}

/** Sets its registers to the start of its loop, out of whatever it waited for. */
static void set_going(unsigned worker)
{
    struct regs r = {.rip = WORKER_CODE, .rflags = 0x202};
    if (play(RANGE_KEY, id_of(worker, ID_DOMAIN), OBJECT_DOMAIN, KR_WORK) != BW_OK)
        return;
    struct message m = {.code = DOMAIN_STOP};
    bw_call(KR_WORK, &m);
    m = (struct message){.code = DOMAIN_SET_REGS, .string = &r, .length = sizeof r};
    bw_call(KR_WORK, &m);
    m = (struct message){.code = DOMAIN_START};
    bw_call(KR_WORK, &m);
}

static void build(unsigned worker)
{
    struct message m;
    build_space(worker);
    write_script(worker);
    create(worker, ID_DOMAIN, OBJECT_DOMAIN, KR_WORK);
    m = (struct message){.code = NUCLEUS_METER, .word = {2 + pick(2)}, .take = {KR_WORK_2}};
    must(bw_call(KR_NUCLEUS, &m), "meter");
    m = (struct message){.code = DOMAIN_SET_METER, .send = {KR_WORK_2}};
    bw_call(KR_WORK, &m);
    m = (struct message){.code = DOMAIN_SET_SEGMENT, .send = {TABLE_ROOT(worker)}};
    bw_call(KR_WORK, &m);
    if (worker > 0 && pick(2) == 0) { /* the first one keeps some of the others */
        play(RANGE_KEY, id_of(0, ID_DOMAIN), OBJECT_DOMAIN, KR_WORK_2);
        m = (struct message){.code = DOMAIN_MAKE_START, .word = {worker}, .take = {KR_WORK_2}};
        bw_call(KR_WORK_2, &m);
        m = (struct message){.code = DOMAIN_SET_KEEPER, .send = {KR_WORK_2}};
        bw_call(KR_WORK, &m);
        m = (struct message){.code = DOMAIN_SET_FOREIGN, .word = {pick(3) == 0}};
        bw_call(KR_WORK, &m);
    }
    give_keys(worker, KR_WORK);
    set_going(worker);
}

static void clear_all(void)
{
    for (unsigned i = 0; i < PLAY_IDS; i += 256)
        must(play(RANGE_DESTROY, i, 256, 0), "destroy");
}

void commons_begin(void)
{
    static bool table;
    struct message m = {.code = RANGE_SUB, .word = {PLAY_FIRST, PLAY_IDS}, .take = {KR_PLAY}};
    must(bw_call(KEY_AT(KR_RANGE), &m), "range");
    if (!table) {
        m = (struct message){.code = RANGE_CREATE,
                             .word = {bw_next_id(1), OBJECT_NODE},
                             .take = {KEY_AT(KR_TABLE_AT)}};
        must(bw_call(KEY_AT(KR_RANGE), &m), "table");
        table = true;
    }
    for (unsigned w = 0; w < WORKERS; w++)
        build(w);
}

void commons_step(void)
{
    unsigned worker = (unsigned)pick(WORKERS);
    switch (pick(40)) {
    case 0:
        build(worker);
        break;
    case 1:
        write_script(worker);
        break;
    default:
        for (unsigned w = 0; w < WORKERS; w++)
            if (pick(3) != 0)
                set_going(w);
    }
}

void commons_end(void)
{
    clear_all();
    for (unsigned w = 0; w < WORKERS; w++)
        bw_drop_key(TABLE_ROOT(w));
}
