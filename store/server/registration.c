/*
 * Making the store known to districtd: once when it is open, and again to each districtd that
 * follows one which has ended; then it takes over what the answer says.
 */
#include <bailiwick/block.h>
#include <bailiwick/names.h>
#include "copies.h"
#include "server.h"

/** The slot to ask for: of whole disks their number, of partitions behind those, up to eight of
 * each disk. Where that is not unique, who comes first has it. */
static uint64_t wish(void)
{
    uint64_t whole = server.disk % BLOCK_WHOLE_MAX, part = server.disk / BLOCK_WHOLE_MAX;

    return 1 + (part ? DISTRICT_MAX / 2 + 8 * whole + part - 1 : whole) % (DISTRICT_MAX - 1);
}

bool server_register(void)
{
    struct message m = {
        .code = DISTRICTS_REGISTER, .string = &server.line, .length = sizeof(server.line)};
    bool there = server.running || server_find_district();

    server_fill_line();
    if (BW_MUTATION == 1 && there && server.disk == 0 && server.line.generation == 0) {
        bw_wait(bw_monotonic() + 1000000000ull); /* the mutation that comes late then */
    }
    server.line.state = there ? DISTRICT_RUNNING : DISTRICT_EMPTY;
    server_own_key(BADGE_ANYBODY, KEY_AT(KR_HANDED));
    m.send[0] = KEY_AT(KR_HANDED);
    m.send[1] = KEY_AT(KR_DISK);
    m.take[0] = KEY_AT(KR_OFFERED);
    m.take[1] = KEY_AT(KR_ADOPTED);
    m.send[2] = there ? KEY_AT(KR_DISTRICT) : 0;
    copies_describe(&m);
    m.word[2] |= server.slot ? REGISTER_AGAIN : 0;
    m.word[3] = server.slot ? server.slot : wish();
    if (bw_find("districts", KEY_AT(KR_DISTRICTS)) != BW_OK) {
        return true;
    }
    if (bw_call(KEY_AT(KR_DISTRICTS), &m) == BW_VOID) {
        return true; /* it has ended: the next one posts */
    }
    server.slot = (unsigned)m.word[0];
    if (m.code == BW_EXISTS) { /* it stays closed */
        server.line.error = BW_EXISTS;
        store_close(server.store);
        server.store = NULL;
    }
    if (m.code == BW_OK && m.word[1] != 0) { /* the server before this one had both disks */
        copies_pair(KEY_AT(KR_OFFERED));
    }
    if (m.code == BW_OK && m.word[2] == 0 && server.running) {
        server_stopped(); /* its start, or its end, was not finished */
    }
    if (m.code == BW_OK && m.word[2] != 0 && !server.running) { /* and a district that still runs */
        bw_copy_key(KEY_AT(KR_ADOPTED), KEY_AT(KR_DISTRICT));
        server_own_key(BADGE_DISTRICT, KEY_AT(KR_HANDED));
        server_adopt(KEY_AT(KR_HANDED));
    }
    return m.code != BW_OK || m.word[0] != 0;
}

void server_look_for_districtd(void)
{
    struct message m = {.send = {KEY_AT(KR_HANDED), KEY_AT(KR_DISTRICTS)}};

    if (!server.free && bw_find("districts", KEY_AT(KR_HANDED)) == BW_OK &&
        bw_self(SELF_SAME, &m) == BW_OK && m.word[0] == 0) {
        bw_assert(BW_MUTATION != 1 || server.line.mirror[0]); /* the mutation that ends it then */
        if (server.bonded) {
            checkpoint_forget();
        }
        server_register();
        server.unknown = false;
        if (server.bonded) { /* it does not know what is under way */
            checkpoint_tell();
        }
    }
}
