/*
 * Programs of the commons that have failed for good. See given_up.c.
 */
#ifndef DISTRICTS_GIVEN_UP_H
#define DISTRICTS_GIVEN_UP_H

/** Enters an event for each that was not known yet. */
void given_up_look(void);

#endif
