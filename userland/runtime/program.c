/* What only native programs of a district need: program.h. */
#include <string.h>
#include <bailiwick/gate.h>
#include <bailiwick/image.h>
#include <bailiwick/program.h>

void bw_incarnation(struct incarnation *now)
{
    struct message m = {0};

    bw_self(SELF_DISTRICT, &m);
    *now = (struct incarnation){m.word[0], m.word[1], m.word[2]};
}

bool bw_sender(struct incarnation *sender)
{
    struct message m = {0};

    bw_self(SELF_SENDER, &m);
    *sender = (struct incarnation){m.word[1], m.word[2], m.word[3]};
    return m.word[0] != 0;
}

static int64_t publish(const char *name, const char *access, uint16_t key)
{
    struct publication_params p = {0};
    struct message m = {.code = GRANT_PUBLISH, .string = &p, .length = sizeof(p), .send = {key}};

    if (strlen(name) >= sizeof(p.name) || strlen(access) >= sizeof(p.access)) {
        return BW_ARGUMENT;
    }
    memcpy(p.name, name, strlen(name));
    memcpy(p.access, access, strlen(access));
    return bw_call(KEY_AT(KR_NAMES), &m);
}

static int64_t make_start(uint16_t badge)
{
    struct message m = {.code = DOMAIN_MAKE_START, .word = {badge}, .take = {KEY_AT(KR_SCRATCH)}};

    return bw_call(KEY_AT(KR_SELF), &m);
}

int64_t bw_publish_name(const char *name, const char *access, uint16_t badge)
{
    int64_t result = make_start(badge);

    return result < 0 ? result : publish(name, access, KEY_AT(KR_SCRATCH));
}

int64_t bw_withdraw_name(const char *name)
{
    return publish(name, "", 0);
}

int64_t bw_link_open(const char *district, const char *name, enum link_mode mode, uint16_t badge,
                     uint16_t place)
{
    struct link_params p = {.mode = mode};
    struct message m = {.code = GRANT_OPEN, .string = &p, .length = sizeof(p), .take = {place}};

    if (strlen(district) >= sizeof(p.district) || strlen(name) >= sizeof(p.name)) {
        return BW_ARGUMENT;
    }
    memcpy(p.district, district, strlen(district));
    memcpy(p.name, name, strlen(name));
    if (mode == LINK_GATED) {
        m.code = GATE_OPEN;
        return badge ? BW_ARGUMENT : bw_call(KEY_AT(KR_IMAGE_GATE), &m);
    }
    if (badge) {
        int64_t result = make_start(badge);

        if (result < 0) {
            return result;
        }
        m.send[0] = KEY_AT(KR_SCRATCH);
    }
    return bw_call(KEY_AT(KR_NAMES), &m);
}

enum link_state bw_link_state(uint16_t place, uint64_t *connection, enum link_reason *reason)
{
    struct message m = {.send = {place}};

    if (bw_self(SELF_LINK_STATE, &m) != BW_OK) {
        m.word[0] = LINK_SEVERED;
    }
    if (connection) {
        *connection = m.word[1];
    }
    if (reason) {
        *reason = (enum link_reason)m.word[2];
    }
    return (enum link_state)m.word[0];
}

int64_t bw_link_acknowledge(uint16_t place, uint64_t connection)
{
    struct message m = {.word = {connection}, .send = {place}};

    return bw_self(SELF_LINK_ACK, &m);
}

int64_t bw_link_reopen(uint16_t place)
{
    struct message m = {.send = {place}};

    return bw_self(SELF_LINK_REOPEN, &m);
}

int64_t bw_barrier(void)
{
    struct incarnation now;
    struct message m = {0};

    bw_incarnation(&now);
    m.word[0] = now.epoch;
    return bw_self(SELF_BARRIER, &m);
}

uint64_t bw_committed(void)
{
    struct message m = {0};

    bw_self(SELF_BARRIER, &m); /* epoch 0 is */
    return m.word[0];
}

void bw_hurry(void)
{
    struct message m = {.word = {PRESSED_ASKED}};

    bw_self(SELF_SPACE, &m);
}

enum start_reason bw_start_reason(uint64_t *generation)
{
    struct message m = {0};

    bw_self(SELF_START, &m);
    if (generation) {
        *generation = m.word[0];
    }
    return (enum start_reason)m.word[1];
}

/** The key is found each time: a store server that was restarted has granted another one. */
static int64_t call_journal(struct message *m)
{
    int64_t result = bw_find("journal", KEY_AT(KR_SCRATCH));

    return result == BW_OK ? bw_call(KEY_AT(KR_SCRATCH), m) : result;
}

int64_t bw_journal_read(void *page, uint64_t *number)
{
    struct message m = {.code = JOURNAL_READ, .buffer = page, .size = JOURNAL_SIZE};
    int64_t result = call_journal(&m);

    *number = m.word[0];
    return result;
}

int64_t bw_journal_write(const void *bytes, size_t length, uint64_t *number)
{
    struct message m = {.code = JOURNAL_WRITE, .string = bytes, .length = length};
    int64_t result;

    m.word[0] = *number;
    result = call_journal(&m);
    if (result == BW_OK) {
        *number = m.word[0];
    }
    return result;
}
