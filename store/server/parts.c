/*
 * A disk that is no store but has a partition table: its driver is told to make a disk of each
 * partition of our type, for which the supervisor then starts a store server of its own.
 */
#include "parts.h"
#include <stdio.h>
#include <bailiwick/block.h>
#include "partitions.h"
#include "server.h"

/** @return how many of them the driver has no room for */
static unsigned offer(const struct partitions *p)
{
    unsigned refused = 0;

    for (unsigned n = 0; n < p->count; n++) {
        struct message m = {.code = BLOCK_PART,
                            .word = {p->at[n].first, p->at[n].sectors, p->at[n].number}};

        refused += bw_call(KEY_AT(KR_DISK), &m) != BW_OK;
    }
    bw_log("stored: disk%llu has %u partitions for districts%s", (unsigned long long)server.disk,
           p->count, p->second ? "; the first copy of its table is not whole" : "");
    return refused;
}

bool parts_look(void)
{
    static struct partitions p;
    struct store_io io = {.ctx = NULL};
    unsigned refused;

    server.free = server.disk >= BLOCK_WHOLE_MAX;
    if (server.free) {
        return true;
    }
    disk_io(&io);
    switch (partitions_read(&io, &p)) {
    case PARTITIONS_FOUND:
        refused = offer(&p);
        if (refused == 0) {
            return false;
        }
        server.line.error = BW_LIMIT;
        snprintf(server.line.message, sizeof(server.line.message),
                 "of its %u partitions the last %u cannot be used: there is room for no more",
                 p.count, refused);
        server_event(EVENT_SPACE, true, "%s", server.line.message);
        return true;
    case PARTITIONS_REFUSED:
        server.line.error = BW_DAMAGED;
        snprintf(server.line.message, sizeof(server.line.message),
                 "its partition table is refused: %s", p.why);
        server_event(EVENT_DAMAGE, true, "%s", server.line.message);
        return true;
    default:
        bw_log("stored: disk%llu is not a district store", (unsigned long long)server.disk);
        return false;
    }
}
