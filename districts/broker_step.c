#include "broker_step.h"
#include <bailiwick/access.h>
#include "registry.h"

/** To the next place, of a district that runs. */
static enum broker_order look_on(struct broker *b)
{
    while (b->slot < REGISTRY_MAX &&
           (b->index >= LINK_NAMED_MAX || !registry_entry(b->slot)->running)) {
        b->slot++;
        b->index = 0;
    }
    return b->slot < REGISTRY_MAX ? BROKER_LINE : BROKER_REST;
}

static enum broker_order refuse(struct broker *b, enum link_reason why)
{
    b->why = why;
    return BROKER_REFUSE;
}

static enum broker_order look_at_line(struct broker *b, int64_t result)
{
    if (result != BW_OK) { /* it has no more, or has ended */
        b->index = LINK_NAMED_MAX;
    }
    if (b->index >= LINK_NAMED_MAX || !b->line.wanted || b->line.state != LINK_SEVERED) {
        b->index++;
        return look_on(b);
    }
    b->other = registry_find(b->line.district);
    if (b->other == 0 || !registry_entry(b->other)->running) {
        return refuse(b, LINK_NO_DISTRICT);
    }
    return BROKER_FIND;
}

static enum broker_order found(struct broker *b, int64_t result)
{
    if (result != BW_OK) {
        b->failed |= result == BW_LIMIT || result == BW_NOMEM;
        return refuse(b, result == BW_ABSENT ? LINK_NO_NAME : LINK_NO_DISTRICT);
    }
    return access_allows(b->access, registry_entry(b->slot)->name) ? BROKER_CONNECT
                                                                   : refuse(b, LINK_REFUSED);
}

static enum broker_order connected(struct broker *b, int64_t result)
{
    if (result == BW_REFUSED) {
        return refuse(b, LINK_STRANGER);
    }
    b->failed |= result != BW_OK && result != BW_ABSENT; /* ABSENT: the link was dropped */
    b->index++;
    return look_on(b);
}

enum broker_order broker_step(struct broker *b, int64_t result)
{
    switch (b->last) {
    case BROKER_REST:
        if (!b->wanted) {
            return BROKER_REST;
        }
        *b = (struct broker){.slot = 1};
        return b->last = look_on(b);
    case BROKER_LINE:
        return b->last = look_at_line(b, result);
    case BROKER_FIND:
        return b->last = found(b, result);
    default:
        return b->last = connected(b, result);
    }
}
