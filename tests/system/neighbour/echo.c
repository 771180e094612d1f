/*
 * Answers with the number of the last message before, so that the asker knows that none was lost or
 * came twice. The keys that it gets it keeps, in a node, until as many more have come.
 */
#include <bailiwick/program.h>
#include "echo.h"

#define KR_KEPT KEY_AT(24)

static void keep(uint16_t key)
{
    static unsigned next;
    struct message m = {.code = NODE_STORE, .word = {next++ % ECHO_KEYS}, .send = {key}};

    bw_call(KR_KEPT, &m);
}

int main_native(uint64_t word)
{
    struct message m = {
        .code = RANGE_CREATE, .word = {bw_next_id(1), OBJECT_NODE}, .take = {KR_KEPT}};
    uint16_t reply_to = 0;
    uint64_t last = 0;

    (void)word;
    bw_assert(bw_call(KEY_AT(KR_RANGE), &m) == BW_OK);
    bw_assert(bw_publish_name(ECHO_NAME, "*", 0) == BW_OK);
    m = (struct message){0};
    for (;;) {
        m.take[0] = KEY_AT(KR_ARGUMENT);
        bw_return(reply_to, &m, KEY_AT(KR_CALLER), 0);
        reply_to = 0;
        if (m.delivery == DELIVERY_MESSAGE) {
            uint64_t number = m.word[0];

            keep(KEY_AT(KR_ARGUMENT));
            m = (struct message){.code = BW_OK, .word = {last}};
            last = number;
            reply_to = KEY_AT(KR_CALLER);
        }
    }
}
