/*
 * Nucleus operations (machine.h), object ids, time.
 *
 * Keys to domains and spaces are kept in nodes, in the key registers from KR_KEYS on; a handle's
 * slot counts through all of them. When they are full, a handle has no slot, and its key is made
 * from the range each time it is needed.
 */
#include <string.h>
#include <bailiwick/image.h>
#include <bailiwick/filetree.h>
#include <bailiwick/runtime.h>
#include "machine.h"
#include "space.h"
#include "unix.h"

#define KR_KEYS     24u /* .. 30 */
#define KEY_NODES   7u
#define SLOTS       (KEY_NODES * BW_NODE_SLOTS)
#define NO_SLOT     0xffffu
#define KR_MADE     16u /* .. 19: keys made when needed, in turn */
#define KR_WORK     23u
#define DESTROY_MAX 256u
#define RUN_MAX     256u

_Static_assert(KR_KEYS + KEY_NODES == KR_FILE_PAGE, "key registers of the process side");

static uint16_t free_slot[SLOTS];
static unsigned free_slots;
static uint64_t doomed[DESTROY_MAX];
static unsigned doomed_count;

static uint16_t place_of(uint16_t slot)
{
    return KEY_IN_NODE(KR_KEYS + slot / BW_NODE_SLOTS, slot % BW_NODE_SLOTS);
}

/** A call with words and at most two keys, without the generality of struct message: every fault
 * makes one. The build knows by its name that its SYSCALL is an invocation. */
static __attribute__((noinline)) int64_t bw_words(uint16_t key, int64_t order, uint64_t w0,
                                                  uint64_t w1, uint64_t w2, uint64_t keys,
                                                  uint64_t take)
{
    uint64_t rax = OP_CALL | (uint64_t)key << 16;
    register uint64_t r8 __asm__("r8") = w2;
    register uint64_t r10 __asm__("r10") = keys;

    __asm__ volatile("syscall"
                     : "+a"(rax), "+D"(order), "+S"(w0), "+d"(w1), "+r"(r8)
                     : "b"(take), "r"(r10)
                     : "rcx", "r9", "r11", "r13", "memory");
    return order;
}

static int64_t call(uint16_t key, int64_t order, uint64_t w0, uint64_t w1, uint64_t w2, uint16_t k0,
                    uint16_t k1, uint16_t take)
{
    return bw_words(key, order, w0, w1, w2, FOUR_KEYS(k0, k1, 0, 0), take);
}

/* --- objects ---------------------------------------------------------------------------------- */

int64_t machine_init(void)
{
    struct filetree_super super;
    struct message m = {
        .code = NODE_FETCH, .word = {FILETREE_SLOT_SUPER}, .take = {KEY_AT(KR_WORK)}};
    int64_t r = bw_call(KEY_AT(KR_IMAGE_FILES), &m);

    if (r != BW_OK) {
        return r;
    }
    m = (struct message){
        .code = PAGE_READ, .word = {0, sizeof super}, .buffer = &super, .size = sizeof super};
    r = bw_call(KEY_AT(KR_WORK), &m);
    if (r != BW_OK || super.magic != FILETREE_MAGIC) {
        return r != BW_OK ? r : BW_BROKEN;
    }
    bw_set_next_id(super.first_offset);
    for (unsigned i = 0; i < KEY_NODES; i++) {
        r = call(KEY_AT(KR_RANGE), RANGE_CREATE, object_ids(1), OBJECT_NODE, 0, 0, 0,
                 KEY_AT(KR_KEYS + i));
        if (r != BW_OK) {
            return r;
        }
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        free_slot[i] = (uint16_t)(SLOTS - 1 - i);
    }
    free_slots = SLOTS;
    return BW_OK;
}

uint64_t object_ids(uint64_t count)
{
    return bw_next_id(count);
}

static void slot_take(struct handle *h)
{
    h->slot = free_slots ? free_slot[--free_slots] : NO_SLOT;
}

/** The next of the registers for keys that have no slot. */
static uint16_t made_place(void)
{
    static unsigned turn;

    return KEY_AT(KR_MADE + turn++ % 4);
}

void machine_forget(struct handle *h)
{
    if (h->slot != NO_SLOT) {
        free_slot[free_slots++] = h->slot;
    }
}

int64_t machine_domain_create(struct handle *h)
{
    int64_t r;

    h->id = object_ids(1) | MACHINE_DOMAIN;
    slot_take(h);
    r = call(KEY_AT(KR_RANGE), RANGE_CREATE, h->id & ~MACHINE_DOMAIN, OBJECT_DOMAIN, 0, 0, 0,
             h->slot == NO_SLOT ? 0 : place_of(h->slot));
    if (r != BW_OK) {
        machine_forget(h);
    }
    return r;
}

int64_t machine_space_create(struct handle *h)
{
    int64_t r;

    h->id = object_ids(1);
    slot_take(h);
    r = call(KEY_AT(KR_RANGE), RANGE_CREATE, h->id, OBJECT_NODE, 0, 0, 0, KEY_AT(KR_WORK));
    if (r == BW_OK && h->slot != NO_SLOT) {
        r = call(KEY_AT(KR_WORK), NODE_SEGMENT, NATIVE_HEIGHT, RIGHT_WRITE | RIGHT_EXECUTE, 0, 0, 0,
                 place_of(h->slot));
    }
    if (r != BW_OK) {
        machine_forget(h);
    }
    return r;
}

uint16_t machine_key(const struct handle *h)
{
    uint16_t made;

    if (h->slot != NO_SLOT) {
        return place_of(h->slot);
    }
    made = made_place();
    if (h->id & MACHINE_DOMAIN) {
        call(KEY_AT(KR_RANGE), RANGE_KEY, h->id & ~MACHINE_DOMAIN, OBJECT_DOMAIN, 0, 0, 0, made);
    } else {
        call(KEY_AT(KR_RANGE), RANGE_KEY, h->id, OBJECT_NODE, 0, 0, 0, made);
        call(made, NODE_SEGMENT, NATIVE_HEIGHT, RIGHT_WRITE | RIGHT_EXECUTE, 0, 0, 0, made);
    }
    return made;
}

/** Ids are collected nearly in order, so insertion sorts them fast. */
void machine_destroy(uint64_t id)
{
    unsigned i = doomed_count;

    id &= ~MACHINE_DOMAIN;
    while (i > 0 && doomed[i - 1] > id) {
        doomed[i] = doomed[i - 1];
        i--;
    }
    doomed[i] = id;
    if (++doomed_count == DESTROY_MAX) {
        machine_destroy_flush();
    }
}

void machine_destroy_flush(void)
{
    if (doomed_count > 0) {
        space_freed();
    }
    for (unsigned i = 0; i < doomed_count;) {
        unsigned n = 1;

        while (i + n < doomed_count && doomed[i + n] == doomed[i] + n && n < RUN_MAX) {
            n++;
        }
        call(KEY_AT(KR_RANGE), RANGE_DESTROY, doomed[i], n, 0, 0, 0, 0);
        i += n;
    }
    doomed_count = 0;
}

/* --- memory ----------------------------------------------------------------------------------- */

static uint64_t kind(unsigned height, unsigned type, unsigned rights)
{
    return height | type << 8 | rights << 16;
}

int64_t machine_page_create(uint16_t space, uint64_t address, unsigned rights, uint64_t id,
                            uint16_t from)
{
    return call(space, SEGMENT_CREATE, address, kind(0, OBJECT_PAGE, rights), id, KEY_AT(KR_RANGE),
                from, 0);
}

int64_t machine_page_copy(uint16_t space, uint64_t address, unsigned rights, uint64_t id)
{
    return call(space, SEGMENT_UNSHARE, address, kind(0, OBJECT_PAGE, rights), id, KEY_AT(KR_RANGE),
                0, 0);
}

int64_t machine_node_create(uint16_t space, uint64_t address, unsigned height, uint64_t id)
{
    return call(space, SEGMENT_CREATE, address,
                kind(height, OBJECT_NODE, RIGHT_WRITE | RIGHT_EXECUTE), id, KEY_AT(KR_RANGE), 0, 0);
}

int64_t machine_node_fork(uint16_t space, uint16_t source, uint64_t address, uint64_t id)
{
    return call(space, SEGMENT_FORK, address, 1, id, KEY_AT(KR_RANGE), source, 0);
}

int64_t machine_node_destroy(uint16_t space, uint64_t address, unsigned height)
{
    space_freed();
    return call(space, SEGMENT_CLEAR, address, height, 1, KEY_AT(KR_RANGE), 0, 0);
}

int64_t machine_page_put(uint16_t space, uint64_t address, uint16_t key, unsigned rights)
{
    struct message m = {.word = {rights}, .send = {key}, .take = {KEY_AT(KR_WORK)}};
    int64_t r = bw_self(SELF_WEAKEN, &m);

    if (r != BW_OK) {
        return r;
    }
    return call(space, SEGMENT_PUT, address, 0, 0, KEY_AT(KR_WORK), 0, 0);
}

int64_t machine_page_put_id(uint16_t space, uint64_t address, uint64_t id, unsigned rights)
{
    int64_t r = call(KEY_AT(KR_RANGE), RANGE_KEY, id, OBJECT_PAGE, 0, 0, 0, KEY_AT(KR_FILE_PAGE));

    return r == BW_OK ? machine_page_put(space, address, KEY_AT(KR_FILE_PAGE), rights) : r;
}

int64_t machine_rights(uint16_t space, uint64_t address, unsigned count, unsigned rights)
{
    return call(space, SEGMENT_RIGHTS, address, kind(0, 0, rights), count, KEY_AT(KR_RANGE), 0, 0);
}

int64_t machine_clear(uint16_t space, uint64_t address, unsigned count, bool destroy)
{
    if (destroy) {
        space_freed();
    }
    return call(space, SEGMENT_CLEAR, address, 0, count, destroy ? KEY_AT(KR_RANGE) : 0, 0, 0);
}

/** What a copy reports: how far it came and where it stopped. */
static int64_t copied(int64_t result, const struct message *m, size_t n, uint64_t *at, size_t *done)
{
    *at = m->word[0];
    *done = result == BW_OK ? n : result == BW_FAULT ? m->word[1] : 0;
    if (*done > n) {
        *done = n;
    }
    return result;
}

int64_t machine_read(uint16_t space, uint64_t address, void *to, size_t n, uint64_t *at,
                     size_t *done)
{
    struct message m = {.code = SEGMENT_READ, .word = {address, n}, .buffer = to, .size = n};
    int64_t r = bw_call(space, &m);

    return copied(r, &m, n, at, done);
}

int64_t machine_write(uint16_t space, uint64_t address, const void *from, size_t n, uint64_t *at,
                      size_t *done)
{
    struct message m = {.code = SEGMENT_WRITE, .word = {address}, .string = from, .length = n};
    int64_t r = bw_call(space, &m);

    return copied(r, &m, n, at, done);
}

int64_t machine_zero(uint16_t space, uint64_t address, size_t n, uint64_t *at, size_t *done)
{
    size_t step = n < BW_STRING_MAX ? n : BW_STRING_MAX;
    struct message m = {.code = SEGMENT_ZERO, .word = {address, step}};
    int64_t r = bw_call(space, &m);

    return copied(r, &m, step, at, done);
}

int64_t machine_copy(uint16_t to, uint64_t to_address, uint16_t from, uint64_t from_address,
                     size_t n, bool *at_source, size_t *done)
{
    struct message m = {
        .code = SEGMENT_COPY, .word = {to_address, from_address, n}, .send = {from}};
    int64_t r = bw_call(to, &m);
    uint64_t at;

    *at_source = r == BW_FAULT && m.word[2] == 1;
    return copied(r, &m, n, &at, done);
}

/* --- time ------------------------------------------------------------------------------------- */

static uint64_t self_time(unsigned word)
{
    struct message m = {0};

    bw_self(SELF_TIME, &m);
    return m.word[word];
}

bw_time_t time_monotonic(void)
{
    return self_time(0);
}

bw_time_t time_realtime(void)
{
    return self_time(1);
}

bw_time_t time_boottime(void)
{
    return self_time(2);
}

uint64_t machine_ticks_per_second(void)
{
    return self_time(3);
}

void machine_memory(uint64_t figures[4])
{
    struct message m = {0};

    bw_self(SELF_MEMORY, &m);
    memcpy(figures, m.word, 4 * sizeof(figures[0]));
}

void machine_run(struct district_run *run)
{
    struct message m = {.buffer = run->name, .size = DISTRICT_NAME_MAX};

    *run = (struct district_run){0};
    bw_self(SELF_DISTRICT, &m);
    run->incarnation = m.word[0];
    run->random = m.word[1];
    m = (struct message){0};
    bw_self(SELF_START, &m);
    run->from = m.word[0];
    run->reason = m.word[1];
    run->started = m.word[2];
}
