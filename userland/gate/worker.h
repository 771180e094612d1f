/*
 * Workers: domains that make the calls of other districts here, so that the gate itself never waits
 * for a program. A worker shares the gate's memory and has a stack of its own. Its call is one at
 * home: a checkpoint has it half-done, and it goes on after a restart.
 */
#ifndef GATE_WORKER_H
#define GATE_WORKER_H

#include "queue.h"

#define WORKERS      32u
#define KR_WORKERS   26 /* node for keys to them, which the gate makes */
#define WORKER_POSTS 3u /* post bit of the gate: a request is done */

enum request_state {
    REQUEST_FREE = 0,
    REQUEST_READY = 1, /* waits for a worker */
    REQUEST_CALLS = 2, /* a worker has it */
    REQUEST_DONE = 3,  /* `message` is the reply */
};

struct request {
    uint32_t state;
    bool forgotten; /* nobody wants its reply any more */
    struct gate_message message;
};

/** Has a worker call the key at `server` with the request. @return false: all are busy, or no more
 * can be made; again later */
bool worker_call(struct request *r, uint16_t server);
enum request_state worker_state(const struct request *r);

#endif
