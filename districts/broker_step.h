/*
 * What the broker of named links does next: a step function without calls, the same in districtd
 * (broker.c) and in the simulator (tests/sim). It knows of the districts what the registry knows.
 *
 * A round looks at all named links of all running districts. For each one that waits to be
 * established:
 *
 *   its peer does not run, or publishes no such name     REFUSE
 *   the publication does not name the holder             REFUSE
 *   else                                                 CONNECT; REFUSE if that is a stranger
 *
 * Between two steps anything may happen to districts, links and publications. So each order names
 * exactly what it is for (place and version of the link; a key to just that run of the peer), and
 * who makes a change posts: another round follows.
 */
#ifndef DISTRICTS_BROKER_STEP_H
#define DISTRICTS_BROKER_STEP_H

#include <stdbool.h>
#include <bailiwick/link.h>

enum broker_order {
    BROKER_REST = 0, /* the round is over */
    BROKER_LINE,     /* DISTRICT_LINKS of `slot` from `index` -> `index`, `line` */
    BROKER_FIND,     /* DISTRICT_PUBLISHED of `other`, `line.name` -> `access`, and a key to keep */
    BROKER_CONNECT,  /* DISTRICT_LINK of `slot` at `index`, `line.version` to that key */
    BROKER_REFUSE,   /* .. not, because of `why` */
};

struct broker {
    bool wanted; /* links may wait that this round has not seen */
    bool failed; /* in this round something could not be done that may be possible later */
    enum broker_order last;
    unsigned slot, other; /* of the holder; of the peer */
    uint64_t index;
    enum link_reason why;
    struct link_line line;
    char access[LINK_ACCESS_MAX]; /* NUL-terminated */
};

/** @param result of the last order (of REST: anything) @return the next one */
enum broker_order broker_step(struct broker *b, int64_t result);

#endif
