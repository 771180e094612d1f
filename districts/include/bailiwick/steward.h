/*
 * The steward: the first domain of a district. It starts the district's program once and answers
 * for it.
 */
#ifndef BAILIWICK_STEWARD_H
#define BAILIWICK_STEWARD_H

enum steward_order {
    STEWARD_STATUS = 1, /* -> w0 enum steward_state, w1 process id of the program or -(result) */
};

enum steward_state {
    STEWARD_NEW = 0,     /* the program has not been started yet */
    STEWARD_STARTED = 1, /* it has been, once and for ever */
    STEWARD_FAILED = 2,  /* it cannot be; the log says why */
};

#endif
