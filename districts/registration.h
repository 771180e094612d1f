/*
 * How store servers become known. See registration.c.
 */
#ifndef DISTRICTS_REGISTRATION_H
#define DISTRICTS_REGISTRATION_H

#include <stddef.h>
#include <bailiwick/runtime.h>

/* What comes with a message. */
#define KR_OFFERED          KEY_AT(KR_ARGUMENT)
#define KR_OFFERED_DISK     KEY_AT(KR_ARGUMENT + 1)
#define KR_OFFERED_DISTRICT KEY_AT(KR_ARGUMENT + 2)
#define KR_OFFERED_PARTNER  KEY_AT(KR_ARGUMENT + 3)

/** DISTRICTS_REGISTER. @param word of the request */
void registration_serve(struct message *reply, const uint64_t *word, const void *string,
                        size_t length);
/** Asks the store servers that run already to register: those that knew a districtd before us. */
void registration_call(void);

#endif
