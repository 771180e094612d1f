/*
 * The broker of named links (bailiwick/link.h). The nucleus keeps the links and says which wait to
 * be established; the broker finds the other side by its name, asks its publication whether this
 * district may open it, each time anew, and has the nucleus connect the two.
 *
 * It is posted when a link is opened, when something is published, and when a district has been
 * started, and then looks at all links of all running districts (broker_step.c): what waits for a
 * district that does not run yet is tried again when that one starts. It never calls a district.
 *
 * Districts can post as often as they like, and a round is work done for them at the commons'
 * expense: so there is a pause between two rounds. After it is also tried again what failed for
 * lack of something.
 */
#include "broker.h"
#include <string.h>
#include "broker_step.h"
#include "lifecycle.h"

#define KR_FOUND KEY_AT(29) /* of the other side, for a moment */
#define KR_POST  KEY_AT(29)
#define PAUSE_NS 10000000ull

static struct broker broker;
static bw_time_t ended; /* when the last round was over */

int64_t broker_watch(unsigned slot)
{
    struct message m = {.code = DOMAIN_MAKE_START, .word = {BADGE_BROKER}, .take = {KR_POST}};

    bw_call(KEY_AT(KR_SELF), &m);
    m = (struct message){.code = DISTRICT_WATCH, .send = {KR_POST}};
    return bw_call(KEY_DISTRICT_OF(slot), &m);
}

/** Carries out what the broker wants. @return the result */
static int64_t perform(enum broker_order order)
{
    struct message m = {.word = {broker.index, broker.line.version, broker.why}};

    switch (order) {
    case BROKER_LINE:
        m.code = DISTRICT_LINKS;
        m.buffer = &broker.line;
        m.size = sizeof(broker.line);
        bw_call(KEY_DISTRICT_OF(broker.slot), &m);
        broker.index = m.word[0];
        return m.code;
    case BROKER_FIND:
        m.code = DISTRICT_PUBLISHED;
        m.string = broker.line.name;
        m.length = strnlen(broker.line.name, sizeof(broker.line.name));
        m.buffer = broker.access;
        m.size = sizeof(broker.access) - 1;
        m.take[0] = KR_FOUND;
        bw_call(KEY_DISTRICT_OF(broker.other), &m);
        broker.access[m.code == BW_OK ? m.length : 0] = 0;
        return m.code;
    default:
        m.code = DISTRICT_LINK;
        m.send[0] = order == BROKER_CONNECT ? KR_FOUND : 0;
        return bw_call(KEY_DISTRICT_OF(broker.slot), &m);
    }
}

void broker_run(void)
{
    enum broker_order order;
    int64_t result = BW_OK;

    broker.wanted = true;
    while ((order = broker_step(&broker, result)) != BROKER_REST) {
        result = perform(order);
    }
    bw_drop_key(KR_FOUND);
    broker.wanted = broker.failed;
    ended = bw_monotonic();
}

void broker_post(void)
{
    broker.wanted = true;
}

bw_time_t broker_due(void)
{
    return broker.wanted ? ended + PAUSE_NS : BW_NO_DEADLINE;
}
