/*
 * What a till is asked. It is naive on purpose: whoever asks twice has it done twice, so that every
 * message that is lost or repeated shows in the sum.
 */
#ifndef STORM_TILL_H
#define STORM_TILL_H

#define TILL_NAME "till"

enum till_order {
    TILL_ADD = 1, /* w0 number of the transfer, w1 amount, may be negative -> w0 balance, w1 the
                     asker's incarnation as the nucleus told it to the till */
};

#endif
