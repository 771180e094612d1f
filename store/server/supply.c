/*
 * Objects that the nucleus wants: read from the newest generation and supplied. This is the path of
 * the district's page faults, so it waits for nothing but the disk.
 *
 * Where wanted ids follow each other, what comes behind them is read and supplied with them, ever
 * more of it: mostly one read of the disk, straight to where the one message is sent from.
 *
 * The nucleus names an object once. One that it has no frame for is kept here and offered again
 * until there is memory: a checkpoint, or the end of somebody else, may give some.
 */
#include <string.h>
#include "server.h"
#include "whole.h"

/* In the window, so that a block is read straight to where it is sent from. */
#define SUPPLY_PAGE (DISK_SUPPLY + 1)
#define AHEAD_MAX   DISTRICT_SUPPLY_MAX
_Static_assert(AHEAD_MAX < DISK_SUPPLY_PAGES, "what is supplied at once has room in the window");

#define KEPT_MAX 256u /* more than the nucleus wants at a time */

static oid_t row_next;      /* the id behind the last that was supplied */
static unsigned row_length; /* how many were supplied at once */

static oid_t kept[KEPT_MAX];
static unsigned kept_count;

/* The message: headers, which are put before the first page, and pages. */
static struct object_header batch[AHEAD_MAX];
static unsigned batched, pages;

/** Reads an object of the current generation behind what is in the message. */
static int get(oid_t oid, struct store_object *o)
{
    int error = store_get(server.store, STORE_NEWEST, oid, o, disk_page(SUPPLY_PAGE + pages));

    if (error != STORE_OK || !o->bytes) {
        disk_forget_ahead();
    }
    return error;
}

static void add(oid_t oid, const struct store_object *o)
{
    batch[batched++] = (struct object_header){
        .oid = oid, .type = o->type, .version = o->version, .flags = o->bytes ? OBJECT_BYTES : 0};
    pages += o->bytes;
}

/** Hands what is in the message to the nucleus. @param taken how many of them it took
 *  @return its answer to the next one */
static int64_t hand_over(unsigned *taken)
{
    size_t size = batched * sizeof(batch[0]);
    uint8_t *string = disk_page(SUPPLY_PAGE) - size;
    struct message m = {.code = DISTRICT_SUPPLY,
                        .word = {batched},
                        .string = string,
                        .length = size + (size_t)pages * BW_PAGE_SIZE};
    int64_t result;

    memcpy(string, batch, size);
    result = bw_call(KEY_AT(KR_DISTRICT), &m);
    *taken = (unsigned)m.word[0];
    return result;
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

/** In a row of wanted ids, adds what follows, ever more of it. */
static void add_ahead(oid_t oid)
{
    struct store_object o;

    row_length = oid == row_next ? 2 * row_length : 1;
    if (row_length > AHEAD_MAX) {
        row_length = AHEAD_MAX;
    }
    while (batched < row_length && get(oid + batched, &o) == STORE_OK) {
        add(oid + batched, &o);
    }
}

/** Offers the object to the nucleus. @param ahead with those behind it, if they will be wanted
 *  @return false if that has no memory for it now */
static bool supply(oid_t oid, bool ahead)
{
    struct store_object o = {.type = OBJECT_NONE};
    int64_t result;
    unsigned taken;
    int error;

    batched = pages = 0;
    error = get(oid, &o);
    if (error == STORE_IO) { /* a device that fails once is asked once more */
        error = get(oid, &o);
    }
    if (error != STORE_OK && error != STORE_ABSENT) {
        refuse(oid, error);
        return true;
    }
    if (error == STORE_ABSENT) {
        o = (struct store_object){.type = OBJECT_NONE};
    }
    add(oid, &o);
    if (ahead) {
        add_ahead(oid);
    }
    result = hand_over(&taken);
    row_next = oid + (taken ? taken : 1);
    if (taken > 0) {
        return true;
    }
    if (result == BW_ARGUMENT || result == BW_DAMAGED) {
        disk_touch();
        refuse_content(oid);
    }
    return result != BW_NOMEM && result != BW_AGAIN;
}

void supply_reset(void)
{
    kept_count = 0;
}

bool supply_kept(void)
{
    while (kept_count > 0 && supply(kept[kept_count - 1], false)) {
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
        for (size_t i = 0; i < m.length / sizeof(oid_t) && !server.doomed; i++) {
            if (!supply(wanted[i], true) && kept_count < KEPT_MAX) {
                kept[kept_count++] = wanted[i];
                server.short_of_memory = true;
            }
        }
        if (server.doomed) {
            return;
        }
    }
}
