#include "held.h"
#include <stdlib.h>
#include <string.h>

static size_t size_of(const struct gate_message *m)
{
    return offsetof(struct gate_message, bytes) + m->length;
}

bool held_put(struct held_list *list, const struct gate_message *m)
{
    struct held *h;

    if (list->count == GATE_HELD) {
        return false;
    }
    h = malloc(offsetof(struct held, message) + size_of(m));
    if (!h) {
        return false;
    }
    h->next = NULL;
    memcpy(&h->message, m, size_of(m));
    *(list->count ? list->end : &list->first) = h;
    list->end = &h->next;
    list->count++;
    return true;
}

bool held_take(struct held_list *list, struct gate_message *m)
{
    struct held *h = list->first;

    if (!h) {
        return false;
    }
    memcpy(m, &h->message, size_of(&h->message));
    list->first = h->next;
    list->count--;
    free(h);
    return true;
}

void held_drop(struct held_list *list)
{
    while (list->first) {
        struct held *h = list->first;

        list->first = h->next;
        free(h);
    }
    list->count = 0;
}
