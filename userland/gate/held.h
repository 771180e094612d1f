/*
 * Messages to one other district that were sent, not called, and do not fit its queue yet. Their
 * senders do not wait, so they are kept here, in order. Ordinary memory of the district.
 */
#ifndef GATE_HELD_H
#define GATE_HELD_H

#include "queue.h"

struct held {
    struct held *next;
    struct gate_message message; /* up to its length */
};

struct held_list {
    struct held *first, **end; /* where the next one goes, if it is not the first */
    unsigned count;
};

/** Takes a copy. @return false: GATE_HELD are held already, or there is no memory */
bool held_put(struct held_list *list, const struct gate_message *m);
/** Copies the first one out, if there is one, and drops it. @return false: there is none */
bool held_take(struct held_list *list, struct gate_message *m);
void held_drop(struct held_list *list);

#endif
