/*
 * What an echo is asked.
 */
#ifndef NEIGHBOUR_ECHO_H
#define NEIGHBOUR_ECHO_H

#define ECHO_NAME "echo"

enum echo_order {
    ECHO_NEXT = 1, /* w0 number -> w0 number of the last one before. k0 any key: it is kept until
                      ECHO_KEYS more have come */
};

#define ECHO_KEYS 256u

#endif
