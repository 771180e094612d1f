/*
 * What the parts of the gate share: the other districts that were met, and what is under way with
 * each. gate.c talks to the other gates and has their calls made; calls.c serves the programs here.
 */
#ifndef GATE_PEERS_H
#define GATE_PEERS_H

#include <bailiwick/program.h>
#include "held.h"
#include "worker.h"

#define KR_CALLS    25  /* node, which the gate makes: resume keys of those who wait */
#define BADGE_FIRST 16u /* messages through the gated link with this number, or a higher one */
#define PEERS       32u
_Static_assert(PEERS *GATE_CALLS <= BW_NODE_SLOTS, "a slot for each call");

extern struct peer {
    char name[DISTRICT_NAME_MAX];
    uint64_t connection;
    struct gate_queue queue;
    struct held_list held;
    struct call {
        uint64_t number; /* 0: none */
        unsigned link;   /* LINKS: it was sent, nobody waits */
    } call[GATE_CALLS];
    struct request request[GATE_CALLS];
    uint64_t request_number[GATE_CALLS];
    bw_time_t again, patience; /* when something is sent again, and how long after the last time */
} * peer[PEERS];

/* gate.c */

/** The peer of that name, which is made if need be. @return PEERS: there is no room */
unsigned find_peer(const char *name);
/** Whether frames can go to a peer. A new connection is a new session. */
bool peer_ready(unsigned p, enum link_reason *reason);
uint64_t epoch_now(void);

/* calls.c */

/** A program asks for a link. */
void calls_open(const struct message *m, const uint8_t *bytes);
/** A message through a gated link. */
void calls_serve(unsigned link, const struct message *m, const uint8_t *bytes);
/** What is held for a peer goes into the queue, as far as there is room. */
void calls_pump(unsigned p);
/** A reply has come. */
void calls_answered(unsigned p, const struct gate_message *g);
/** All calls to a peer are void. */
void calls_severed(unsigned p);

#endif
