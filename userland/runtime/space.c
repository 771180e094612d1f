/*
 * Our own address space and range: fresh pages, keys mapped, ids.
 */
#include "invocation.h"

#define UNKNOWN UINT64_MAX

/* Offset in KR_RANGE of the next unused id. In .data, so that it persists with a district. */
static uint64_t next_id = UNKNOWN;

uint64_t bw_next_id(uint64_t count)
{
    uint64_t first;

    if (next_id == UNKNOWN) {
        next_id = runtime_in_district() ? 0 : NATIVE_RANGE_USED;
    }
    first = next_id;
    next_id += count;
    return first;
}

void bw_set_next_id(uint64_t next)
{
    next_id = next;
}

/* Creates one object in our space; an id that is in use already is passed over. */
static int64_t create(uintptr_t address, unsigned height, enum object_type type, uint64_t *missing)
{
    struct message m;

    do {
        m = (struct message){.code = SEGMENT_CREATE,
                             .word = {address,
                                      height | (uint64_t)type << 8 | (uint64_t)RIGHT_WRITE << 16,
                                      bw_next_id(1)},
                             .send = {KEY_AT(KR_RANGE)}};
        bw_call(KEY_AT(KR_SPACE), &m);
    } while (m.code == BW_EXISTS);
    *missing = m.word[0];
    return m.code;
}

/* Makes the nodes that are missing on the way to the slot for `address`, from the top down. */
static int64_t make_nodes(uintptr_t address, uint64_t missing)
{
    int64_t result = BW_ABSENT;

    for (unsigned tries = 0; result == BW_ABSENT && tries < SEGMENT_HEIGHT_MAX; tries++) {
        if (missing == 0 || missing > SEGMENT_HEIGHT_MAX) {
            return BW_ARGUMENT;
        }
        result = create(address, (unsigned)missing, OBJECT_NODE, &missing);
    }
    return result;
}

static int64_t map_page(uintptr_t address)
{
    uint64_t missing;
    int64_t result;

    while ((result = create(address, 0, OBJECT_PAGE, &missing)) == BW_ABSENT) {
        result = make_nodes(address, missing);
        if (result < 0) {
            return result;
        }
    }
    return result;
}

int64_t bw_map_fresh(uintptr_t address, size_t pages)
{
    int64_t result = BW_OK;

    if (address % BW_PAGE_SIZE) {
        return BW_ARGUMENT;
    }
    for (size_t n = 0; n < pages && result >= 0; n++) {
        result = map_page(address + n * BW_PAGE_SIZE);
    }
    return result;
}

int64_t bw_map_key(uintptr_t address, unsigned height, uint16_t key)
{
    struct message m;
    int64_t result = BW_OK;

    do {
        m = (struct message){.code = SEGMENT_PUT, .word = {address, height}, .send = {key}};
        if (bw_call(KEY_AT(KR_SPACE), &m) == BW_ABSENT) {
            result = make_nodes(address, m.word[0]);
        }
    } while (m.code == BW_ABSENT && result >= 0);
    return result < 0 ? result : m.code;
}
