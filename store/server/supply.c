/*
 * Objects that the nucleus wants: read from the newest generation and supplied, one message each.
 * This is the path of the district's page faults, so it waits for nothing but the disk.
 *
 * The nucleus names an object once. One that it has no frame for is kept here and offered again
 * until there is memory: a checkpoint, or the end of somebody else, may give some.
 */
#include <string.h>
#include "server.h"
#include "whole.h"

/* In the window, so that a block is read straight to where it is sent from. */
#define SUPPLY_PAGE (DISK_SUPPLY + 1)
#define AHEAD_MAX   16u
#define KEPT_MAX    256u /* more than the nucleus wants at a time */

static oid_t row_next;      /* the id behind the last that was supplied */
static unsigned row_length; /* how many were supplied at once */

static oid_t kept[KEPT_MAX];
static unsigned kept_count;

/** Hands an object, or that there is none, to the nucleus. @return its answer */
static int64_t hand_over(oid_t oid, const struct store_object *o)
{
    struct object_header *header =
        (struct object_header *)(disk_page(SUPPLY_PAGE) - sizeof(*header));
    struct message m = {.code = DISTRICT_SUPPLY, .string = header, .length = sizeof(*header)};

    *header = (struct object_header){
        .oid = oid, .type = o->type, .version = o->version, .flags = o->bytes ? OBJECT_BYTES : 0};
    m.length += o->bytes ? BW_PAGE_SIZE : 0;
    return bw_call(KEY_AT(KR_DISTRICT), &m);
}

/** Reads an object of the current generation; a device that fails once is asked once more. */
static int get(oid_t oid, struct store_object *o)
{
    int error = store_get(server.store, STORE_NEWEST, oid, o, disk_page(SUPPLY_PAGE));

    if (error == STORE_IO) {
        error = store_get(server.store, STORE_NEWEST, oid, o, disk_page(SUPPLY_PAGE));
    }
    return error;
}

/** The object cannot be had: districtd decides how the district goes on. */
static void refuse(oid_t oid, int error)
{
    struct store_info info;

    store_info(server.store, &info);
    whole_note_object(oid);
    if (error == STORE_DAMAGED) {
        server_ended(ENDED_DAMAGED, oid, "object %llu of generation %llu is damaged (block %llu)",
                     (unsigned long long)oid, (unsigned long long)info.current,
                     (unsigned long long)server.damaged_block);
    } else {
        server_ended(ENDED_DAMAGED, oid, "object %llu of generation %llu: %s",
                     (unsigned long long)oid, (unsigned long long)info.current,
                     store_error_text(error));
    }
}

/** The nucleus does not accept what the store has: so it will be in each start from there. */
static void refuse_content(oid_t oid)
{
    struct store_info info;

    store_info(server.store, &info);
    whole_condemn(info.current);
    server_ended(ENDED_DAMAGED, oid, "object %llu of generation %llu is not acceptable",
                 (unsigned long long)oid, (unsigned long long)info.current);
}

/** Offers the object to the nucleus. @return false if that has no memory for it now */
static bool supply(oid_t oid)
{
    struct store_object o = {.type = OBJECT_NONE};
    int error = get(oid, &o);
    int64_t result;

    if (error != STORE_OK && error != STORE_ABSENT) {
        refuse(oid, error);
        return true;
    }
    if (error == STORE_ABSENT) {
        o = (struct store_object){.type = OBJECT_NONE};
    }
    result = hand_over(oid, &o);
    if (result == BW_ARGUMENT || result == BW_DAMAGED) {
        refuse_content(oid);
    }
    return result != BW_NOMEM && result != BW_AGAIN;
}

/** In a row of wanted ids, what follows is offered unasked, ever more of it. */
static void supply_ahead(oid_t oid)
{
    struct store_object o;

    row_length = oid == row_next ? 2 * row_length : 1;
    if (row_length > AHEAD_MAX) {
        row_length = AHEAD_MAX;
    }
    row_next = oid + 1;
    for (unsigned i = 1; i < row_length; i++) {
        if (store_get(server.store, STORE_NEWEST, row_next, &o, disk_page(SUPPLY_PAGE)) !=
                STORE_OK ||
            hand_over(row_next, &o) != BW_OK) {
            return;
        }
        row_next++;
    }
}

void supply_reset(void)
{
    kept_count = 0;
}

bool supply_kept(void)
{
    while (kept_count > 0 && supply(kept[kept_count - 1])) {
        kept_count--;
    }
    return kept_count > 0;
}

void supply_wanted(void)
{
    static oid_t wanted[DISTRICT_WANTED_MAX];

    for (;;) {
        struct message m = {.code = DISTRICT_WANTED, .buffer = wanted, .size = sizeof(wanted)};

        if (bw_call(KEY_AT(KR_DISTRICT), &m) != BW_OK || m.word[0] == 0) {
            return;
        }
        for (size_t i = 0; i < m.length / sizeof(oid_t) && !server.ended; i++) {
            if (supply(wanted[i])) {
                supply_ahead(wanted[i]);
            } else if (kept_count < KEPT_MAX) {
                kept[kept_count++] = wanted[i];
                server.short_of_memory = true;
            }
        }
        if (server.ended) {
            return;
        }
    }
}
