/*
 * Orphans: domains that wait for a reply of the commons which nobody can give any more, because the
 * program that held the resume key, or the link to it, was destroyed. They are answered VOID, as if
 * the program had been gone when they called. Without that a server that fails would take along
 * those whom it served.
 *
 * A walk over all nodes and domains of the commons: for when a program has ended, which is rare.
 * Resume keys of the commons lie in the commons only, since none of its domains calls a district.
 */
#include "district.h"
#include "domain.h"
#include "link.h"

#define ORPHANS_MAX 128u /* looked at in one walk */

struct waiting {
    struct activity *activity;
    bool held; /* somebody has the key to its reply */
};

static bool leads_to(struct key k, const struct activity *a)
{
    return k.type == KEY_RESUME && k.value == a->domain->oid &&
           key_call_count(k) == activity_frame(a)->call_count;
}

static void look(const struct key *keys, size_t count, struct waiting *w, size_t n)
{
    for (size_t i = 0; i < count; i++) {
        if (keys[i].type == KEY_LINK)
            link_holder(COMMONS, keys[i]);
        for (size_t j = 0; keys[i].type == KEY_RESUME && j < n; j++)
            w[j].held |= leads_to(keys[i], w[j].activity);
    }
}

/** Those who wait for a reply; not those whose keeper looks after a fault. */
static size_t find_waiting(struct waiting *w)
{
    size_t n = 0;

    for (struct object *o = COMMONS->all; o != NULL && n < ORPHANS_MAX; o = o->all.next) {
        if (o->type != OBJECT_DOMAIN)
            continue;
        const struct domain_frame *f = activity_frame(object_activity(o));
        if (f->state == DOMAIN_WAITING && !(f->flags & DOMAIN_IN_FAULT))
            w[n++] = (struct waiting){.activity = object_activity(o)};
    }
    return n;
}

void orphans_answer(void)
{
    static struct waiting w[ORPHANS_MAX];
    size_t n = find_waiting(w);

    link_holders_begin(COMMONS);
    for (const struct object *o = COMMONS->all; o != NULL; o = o->all.next) {
        if (o->type == OBJECT_NODE)
            look((const struct key *)o->data, BW_NODE_SLOTS, w, n);
        else if (o->type == OBJECT_DOMAIN)
            look(((const struct domain_frame *)o->data)->keys, BW_KEY_REGISTERS, w, n);
    }
    for (size_t i = 0; i < n; i++)
        if (!w[i].held)
            invoke_answer(w[i].activity, BW_VOID);
    link_holders_end(COMMONS);
}
