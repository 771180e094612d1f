/*
 * Objects that the nucleus wants: read from the newest generation and supplied, one message each.
 * This is the path of the district's page faults, so it waits for nothing but the disk.
 */
#include <string.h>
#include "server.h"

/* In the window, so that a block is read straight to where it is sent from. */
#define SUPPLY_PAGE (DISK_SUPPLY + 1)

static void supply(oid_t oid)
{
    uint8_t *bytes = disk_page(SUPPLY_PAGE);
    struct object_header *header = (struct object_header *)(bytes - sizeof(*header));
    struct store_object o = {.type = OBJECT_NONE};
    int error = store_get(server.store, STORE_NEWEST, oid, &o, bytes);
    struct message m = {.code = DISTRICT_SUPPLY, .string = header};

    if (error == STORE_DAMAGED) {
        server_ended(ENDED_DAMAGED,
                     "object %llu, store block %llu: damaged; see mkdistrict --verify",
                     (unsigned long long)oid, (unsigned long long)server_damaged_block());
        return;
    }
    if (error != STORE_OK && error != STORE_ABSENT) {
        server_ended(ENDED_DAMAGED, "object %llu: %s", (unsigned long long)oid,
                     store_error_text(error));
        return;
    }
    *header = (struct object_header){.oid = oid};
    m.length = sizeof(*header);
    if (error == STORE_OK) {
        header->type = o.type;
        header->version = o.version;
        header->flags = o.bytes ? OBJECT_BYTES : 0;
        m.length += BW_PAGE_SIZE;
    }
    if (bw_call(KEY_AT(KR_DISTRICT), &m) < 0 && m.code != BW_VOID && m.code != BW_EXISTS) {
        server_ended(ENDED_DAMAGED, "object %llu is not acceptable (%lld)", (unsigned long long)oid,
                     (long long)m.code);
    }
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
            supply(wanted[i]);
        }
        if (server.ended) {
            return;
        }
    }
}
