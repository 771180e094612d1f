/*
 * The journal page (bailiwick/journal.h): requests that come from the district itself, by a key
 * that is good for nothing else. Each write is a root of the store, and is answered when that is
 * durable; so a district that writes all the time keeps only its own disk busy.
 */
#include "journal.h"
#include <bailiwick/journal.h>

_Static_assert(JOURNAL_SIZE == STORE_JOURNAL, "what a district may write is what is kept");

int64_t journal_grant(void)
{
    static const char name[] = "journal";
    struct message m = {.code = DISTRICT_GRANT, .string = name, .length = sizeof(name) - 1};

    server_own_key(BADGE_JOURNAL, KEY_AT(KR_HANDED));
    m.send[0] = KEY_AT(KR_HANDED);
    return bw_call(KEY_AT(KR_DISTRICT), &m);
}

static void read(struct message *reply)
{
    static uint8_t page[JOURNAL_SIZE];

    reply->word[0] = store_journal(server.store, page);
    reply->string = page;
    reply->length = sizeof(page);
}

static void write(const struct message *m, const void *string, struct message *reply)
{
    struct store_info info;
    int error;

    store_info(server.store, &info);
    reply->word[0] = info.journal_sequence;
    if (m->cut || m->length > JOURNAL_SIZE) {
        reply->code = BW_ARGUMENT;
    } else if (server.reopen) { /* the next checkpoint finds out what the disk has */
        reply->code = BW_IO;
    } else if (m->word[0] != info.journal_sequence) {
        reply->code = BW_AGAIN;
    } else {
        error = store_set_journal(server.store, info.journal_sequence + 1, string, m->length);
        reply->code = server_changed(error);
        reply->word[0] += error == STORE_OK;
    }
}

void journal_serve(const struct message *m, const void *string, struct message *reply)
{
    if (!server.running) {
        reply->code = BW_REFUSED;
    } else if (m->code == JOURNAL_READ) {
        read(reply);
    } else if (m->code == JOURNAL_WRITE) {
        write(m, string, reply);
    } else {
        reply->code = BW_ORDER;
    }
}
