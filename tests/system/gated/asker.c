/*
 * `bench_asker`: publishes "echo", which answers what it is sent, and counts what is sent as COUNT,
 * and "private", which nobody may open. `bench_asker DISTRICT`: sends there, over gated links, what
 * is taken and what is not, and logs each answer.
 */
#include <stdlib.h>
#include <string.h>
#include <bailiwick/gate.h>
#include <bailiwick/image.h>
#include <bailiwick/program.h>

#define KR_ECHO    KEY_AT(24)
#define KR_PRIVATE KEY_AT(25)
#define KR_NOTHING KEY_AT(26)
#define KR_OWN     KEY_AT(27)
#define KR_RELAY   KEY_AT(28)
#define KR_COUNT   KEY_AT(29)

#define COUNT   8 /* to "echo" */
#define COUNTED 9 /* -> w0 how many */

static const struct image_arguments *const arguments =
    (const struct image_arguments *)IMAGE_WINDOW(1);
static uint8_t out[GATE_BYTES_MAX + 1], in[GATE_BYTES_MAX + 1];

static void echo(void)
{
    struct message m = {0};
    uint64_t counted = 0;
    uint16_t reply_to = 0;

    bw_assert(bw_publish_name("echo", "asker", 0) == BW_OK);
    bw_assert(bw_publish_name("private", "nobody", 0) == BW_OK);
    for (;;) {
        m.buffer = in;
        m.size = sizeof(in);
        bw_return(reply_to, &m, KEY_AT(KR_CALLER), 0);
        reply_to = m.delivery == DELIVERY_MESSAGE ? KEY_AT(KR_CALLER) : 0;
        m.string = in;
        counted += reply_to && m.code == COUNT;
        m.word[0] = m.code == COUNTED ? counted : m.word[0];
    }
}

static void say(const char *what, int64_t result)
{
    bw_log("asker: %s: %lld", what, (long long)result);
}

static int64_t call(uint16_t key, size_t length, uint16_t sent)
{
    struct message m = {.code = 7, .word = {1, 2, 3, 4}, .string = out, .length = length};

    m.send[0] = sent;
    m.buffer = in;
    m.size = sizeof(in);
    bw_call(key, &m);
    if (m.code == 7 && (m.length != length || memcmp(in, out, length) != 0 || m.word[0] != 1 ||
                        m.word[1] != 2 || m.word[2] != 3 || m.word[3] != 4)) {
        return 1000;
    }
    return m.code;
}

static int64_t call_behind_others(void)
{
    for (unsigned i = 0; i < GATE_CALLS; i++) {
        struct message m = {.code = 7};

        bw_send(KR_ECHO, &m, 0);
    }
    return call(KR_ECHO, 0, 0);
}

static void send(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        struct message m = {.code = COUNT};

        bw_send(KR_ECHO, &m, 0);
    }
}

/** How many have come, asked through another link. When this returns, the queue is empty. */
static uint64_t counted(void)
{
    struct message m;

    do {
        m = (struct message){.code = COUNTED};
        bw_wait(bw_monotonic() + 10000000);
    } while (bw_call(KR_COUNT, &m) == BW_LIMIT);
    return m.word[0];
}

/** What is sent comes, also what the queue has no room for yet; of what cannot be held either we
 * are told. */
static void send_many(void)
{
    uint64_t came;

    send(GATE_HELD);
    while ((came = counted()) < GATE_HELD) { /* it may overtake some */
    }
    say("sent", (int64_t)came);
    send(16 * GATE_HELD);
    counted();
    say("sent too much", call(KR_ECHO, 0, 0));
    say("once told", call(KR_ECHO, 0, 0));
}

static void ask(const char *district)
{
    static char own[DISTRICT_NAME_MAX];
    struct message m = {.buffer = own, .size = sizeof(own)};

    for (size_t i = 0; i < sizeof(out); i++) {
        out[i] = (uint8_t)(i * 37 + 5);
    }
    bw_self(SELF_DISTRICT, &m);
    bw_assert(bw_link_open(district, "echo", LINK_GATED, 0, KR_ECHO) == BW_OK);
    bw_assert(bw_link_open(district, "private", LINK_GATED, 0, KR_PRIVATE) == BW_OK);
    bw_assert(bw_link_open(district, "nothing", LINK_GATED, 0, KR_NOTHING) == BW_OK);
    bw_assert(bw_link_open(district, ".relay", LINK_GATED, 0, KR_RELAY) == BW_OK);
    bw_assert(bw_link_open(district, "echo", LINK_GATED, 0, KR_COUNT) == BW_OK);
    say("own district", bw_link_open(own, "echo", LINK_GATED, 0, KR_OWN));
    while (call(KR_ECHO, 0, 0) == BW_ABSENT) { /* it has not published yet */
    }
    say("words", call(KR_ECHO, 0, 0));
    say("some bytes", call(KR_ECHO, 100, 0));
    say("all bytes", call(KR_ECHO, GATE_BYTES_MAX, 0));
    say("too many bytes", call(KR_ECHO, GATE_BYTES_MAX + 1, 0));
    say("a key", call(KR_ECHO, 0, KEY_AT(KR_SELF)));
    say("refused", call(KR_PRIVATE, 0, 0));
    say("not published", call(KR_NOTHING, 0, 0));
    say("its relay", call(KR_RELAY, 0, 0));
    say("behind others", call_behind_others());
    while (call(KR_ECHO, 0, 0) == BW_LIMIT) {
        bw_wait(bw_monotonic() + 10000000);
    }
    say("later", call(KR_ECHO, 0, 0));
    send_many();
    say("done", 0);
    for (;;) {
        bw_wait(BW_NO_DEADLINE);
    }
}

int main_native(uint64_t word)
{
    const char *district = arguments->exec + strlen(arguments->exec) + 1;

    (void)word;
    if (*district) {
        ask(district);
    } else {
        echo();
    }
    return 0;
}
