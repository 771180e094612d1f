/*
 * A disk that is no store but has a partition table: its driver is told to make a disk of each
 * partition of our type, for which the supervisor then starts a store server of its own.
 */
#include "parts.h"
#include <stdio.h>
#include <bailiwick/block.h>
#include "partitions.h"
#include "server.h"

static void offer(const struct partitions *p)
{
    for (unsigned n = 0; n < p->count; n++) {
        struct message m = {.code = BLOCK_PART,
                            .word = {p->at[n].first, p->at[n].sectors, p->at[n].number}};

        if (bw_call(KEY_AT(KR_DISK), &m) != BW_OK) {
            bw_log("stored: disk%llu: partition %u cannot be had (%lld)",
                   (unsigned long long)server.disk, p->at[n].number, (long long)m.code);
        }
    }
    bw_log("stored: disk%llu has %u partitions for districts%s", (unsigned long long)server.disk,
           p->count, p->second ? "; the first copy of its table is not whole" : "");
}

bool parts_look(void)
{
    static struct partitions p;
    struct store_io io = {.ctx = NULL};

    server.free = server.disk >= BLOCK_WHOLE_MAX;
    if (server.free) {
        return true;
    }
    disk_io(&io);
    switch (partitions_read(&io, &p)) {
    case PARTITIONS_FOUND:
        offer(&p);
        return false;
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
